package mfahttp_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

const week = 7 * 24 * time.Hour

// entries returns what the third cookie holds.
func (b *browser) entries() []string {
	return strings.Split(b.cookies[browsersCookie], ".")
}

// news returns how often each user signed in from a new device since the last call.
func (h *host) news() map[string]int {
	n := make(map[string]int)
	for _, e := range h.Events.Take() {
		if e.Name == mfa.EventNewDevice {
			n[e.User]++
		}
	}
	return n
}

// R16: a remembered browser is asked for no code for a week, and another one is.
// Signing out leaves it remembered.
func TestR16_RememberedBrowser(t *testing.T) {
	h := newHost(t, mfa.Rules{Require: mfa.RequireAtSignIn, Remember: week})
	b := h.enrolled(t)
	b.leads(b.post("/sign-out"), "/sign-in")
	b.leads(b.signIn("alice"), "/verify") // known, and not remembered
	known := b.cookies[browsersCookie]
	b.leads(b.post("/verify", "code", b.code(), "remember", "yes"), "/home")
	if len(b.entries()) != 1 || b.cookies[browsersCookie] == known {
		t.Fatalf("the cookie is %q, before it was %q", b.cookies[browsersCookie], known)
	}
	b.leads(b.post("/sign-out"), "/sign-in")
	b.leads(b.signIn("alice"), "/home")
	other := h.browser(t)
	other.leads(other.signIn("alice"), "/verify")
	h.Clock.Advance(week)
	b.leads(b.signIn("alice"), "/verify")
	b.leads(b.post("/verify", "code", b.code()), "/home")
	if n := h.news()["alice"]; n != 0 {
		t.Errorf("told %d times of a new device: it was always the same", n)
	}
}

// A browser keeps the tokens of the last four users, newest first, and one of each.
func TestBrowsersOfSeveralUsers(t *testing.T) {
	h := newHost(t, mfa.Rules{Remember: week})
	for _, name := range []string{"carol", "dave", "erin"} {
		h.Users.Add(mfa.User{ID: name})
	}
	b := h.enrolled(t)
	for range 3 { // remembered again and again, she has one token still
		b.leads(b.signIn("alice"), "/verify")
		b.leads(b.post("/verify", "code", b.code(), "remember", "yes"), "/home")
		if n := len(b.entries()); n != 1 {
			t.Fatalf("%d tokens of one user", n)
		}
		h.Clock.Advance(week)
	}
	for i, name := range []string{"bob", "carol", "dave"} {
		before := b.cookies[browsersCookie]
		b.leads(b.signIn(name), "/home")
		if after := b.cookies[browsersCookie]; len(b.entries()) != i+2 || !strings.HasSuffix(after, "."+before) {
			t.Fatalf("after %s's sign-in the cookie is %q, before it was %q", name, after, before)
		}
		b.leads(b.signIn(name), "/home") // known: nothing changes
	}
	four := b.entries()
	b.leads(b.signIn("alice"), "/verify")
	b.leads(b.post("/verify", "code", b.code(), "remember", "yes"), "/home")
	if got := b.entries(); len(got) != 4 || !slices.Equal(got[1:], four[:3]) {
		t.Errorf("alice's new token is not in place of her old one: %q, before %q", got, four)
	}
	b.leads(b.signIn("erin"), "/home")
	if got := b.entries(); len(got) != 4 || slices.Contains(got, four[2]) {
		t.Errorf("the oldest, bob's, is still there: %q", got)
	}
	b.leads(b.signIn("alice"), "/home")
	b.leads(b.signIn("bob"), "/home")
	if n := h.news(); n["alice"] != 0 || n["bob"] != 1 {
		t.Errorf("alice was told of %d new devices and bob of %d, want 0 and 1", n["alice"], n["bob"])
	}
}

// Whatever the cookie says, signing in works, and no more of it is looked at than
// four tokens.
func TestBrowsersCookieGarbage(t *testing.T) {
	const longest = 8 + 512
	entry := strings.Repeat("a", longest)
	for _, tc := range []struct {
		name, value string
		kept        int // entries beside the new one
	}{
		{"none", "", 0},
		{"dots", "....", 0},
		{"one that could be a token", entry, 1},
		{"one byte too long", entry + "a", 0},
		{"no more than a mark", "abcdefgh", 0},
		{"a mark and one byte", "abcdefghi", 1},
		{"other bytes", "abcdefgh!x.abcdefgh%20.abcdefghä.abcdefgh i", 0},
		{"garbage beside one", "!.abcdefghi.", 1},
		{"the same twice", "abcdefghi.abcdefghi", 1},
		{"four", "abcdefgh1.abcdefgh2.abcdefgh3.abcdefgh4", 3},
		{"five", "abcdefgh1.abcdefgh2.abcdefgh3.abcdefgh4.abcdefgh5", 3},
		{"as long as four can be", strings.Join([]string{"b" + entry[1:], "c" + entry[1:], "d" + entry[1:], "e" + entry[1:]}, ".") + ".", 3},
		{"longer", strings.Repeat("abcdefghi.", 4*(longest+1)/10+1), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHost(t, mfa.Rules{Remember: week})
			b := h.browser(t)
			r := request("/sign-in", "name", "bob", "password", "right")
			r.Header.Set("Cookie", browsersCookie+"="+tc.value)
			b.leads(b.send(r), "/home")
			if got := b.entries(); len(got) != tc.kept+1 {
				t.Errorf("%d entries, want %d: %q", len(got), tc.kept+1, got)
			}
		})
	}
}

// The longest token that there can be is kept.
func TestBrowsersLongestToken(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	id := strings.Repeat("x", 254)
	h.Users.Add(mfa.User{ID: id})
	b := h.browser(t)
	b.leads(b.signIn(id), "/home")
	before := b.cookies[browsersCookie]
	b.leads(b.signIn("bob"), "/home")
	if !strings.HasSuffix(b.cookies[browsersCookie], "."+before) {
		t.Errorf("a token of %d bytes was dropped", len(before))
	}
	if n := len(browsersCookie) + 4*(len(before)+1); n > 4096 { // RFC 6265bis section 5.6: browsers drop longer ones
		t.Errorf("four of the longest make a cookie of %d bytes", n)
	}
}

// R13: a refused sign-in or a wrong code leaves the third cookie alone.
func TestR13_RefusalLeavesBrowsers(t *testing.T) {
	h := newHost(t, mfa.Rules{Remember: week})
	b := h.enrolled(t)
	for name, send := range map[string]func() *http.Response{
		"wrong password": func() *http.Response { return b.post("/sign-in", "name", "alice", "password", "wrong") },
		"unknown user":   func() *http.Response { return b.signIn("nobody") },
		"wrong code": func() *http.Response {
			b.leads(b.signIn("alice"), "/verify")
			return b.post("/verify", "code", b.app.Wrong(h.Clock.Now()), "remember", "yes")
		},
		"sign-out without a session": func() *http.Response { return h.browser(t).post("/sign-out") },
	} {
		t.Run(name, func(t *testing.T) {
			if got := send().Header.Values("Set-Cookie"); len(got) > 0 {
				t.Errorf("it sets %q", got)
			}
		})
	}
}

// mailing returns a browser in which alice is signed in and gets codes by mail.
func (h *host) mailing(t *testing.T) *browser {
	t.Helper()
	h.Users.Add(mfa.User{ID: "alice", Email: "alice@example.com", EmailVerified: true})
	b := h.browser(t)
	b.leads(b.signIn("alice"), "/home")
	b.leads(b.post("/mail"), "/home")
	return b
}

// A code that could not be sent leaves the flow as it is, and the page says so:
// also when it was to be sent at once with the sign-in.
func TestSendProblems(t *testing.T) {
	h := newHost(t, mfa.Rules{Methods: []mfa.Method{mfa.TOTP, mfa.EmailCode}})
	b := h.mailing(t)

	h.Inbox.Fail(errors.New("connection refused"))
	b.leads(b.signIn("alice", "send", "email_code"), "/verify?error=not_delivered")
	if b.cookies[pendingCookie] == "" {
		t.Fatal("the flow has no cookie")
	}
	h.Inbox.Fail(nil)
	b.leads(b.post("/verify?method=email_code", "send", "yes"), "/verify?error=too_soon&method=email_code&wait=60")
	h.Clock.Advance(59*time.Second + 500*time.Millisecond)
	b.leads(b.post("/verify?method=email_code", "send", "yes"), "/verify?error=too_soon&method=email_code&wait=1")
	h.Clock.Advance(500 * time.Millisecond)
	b.leads(b.post("/verify?method=email_code", "send", "yes"), "/verify")
	code := h.Inbox.Code(t, "alice@example.com")
	b.leads(b.signIn("alice", "send", "email_code"), "/verify?error=too_soon&wait=60")
	b.leads(b.post("/verify?method=email_code", "code", code), "/verify?error=refused&method=email_code") // of a flow that ended
	b.leads(b.post("/verify?method=sms_code", "send", "yes"), "/verify?error=refused&method=sms_code")
	h.Clock.Advance(time.Minute)
	b.leads(b.post("/verify?method=email_code", "send", "yes"), "/verify")
	b.leads(b.post("/verify?method=email_code", "code", h.Inbox.Code(t, "alice@example.com")), "/home")

	for range 5 {
		h.Clock.Advance(time.Minute)
		b.leads(b.signIn("alice"), "/verify")
		b.post("/verify?method=email_code", "send", "yes")
	}
	resp := b.post("/verify?method=email_code", "send", "yes")
	if got := resp.Header.Get("Location"); !strings.HasPrefix(got, "/verify?error=too_soon&method=email_code&wait=") || len(got) < len("/verify?error=too_soon&method=email_code&wait=1000") {
		t.Errorf("a sixth code within the hour leads to %q", got)
	}
	h.FailStore(errors.New("down"))
	if resp := b.post("/verify?method=email_code", "send", "yes"); resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("store down: %s", resp.Status)
	}
}

// What needs a new address leads to the page that asks for one, and its form to
// the step.
func TestStepUpEnroll(t *testing.T) {
	h := newHost(t, mfa.Rules{Methods: []mfa.Method{mfa.TOTP, mfa.EmailCode}})
	b := h.browser(t)
	b.leads(b.signIn("alice"), "/home")
	b.leads(b.post("/mail", "to", "/settings"), "/step-up?enroll=email_code&to=%2Fsettings")
	b.leads(b.post("/step-up", "enroll", "sms_code", "to", "/settings"), "/step-up?enroll=sms_code&error=forbidden&to=%2Fsettings")
	for _, word := range []string{"password", "backup_code", "carrier_pigeon"} {
		if resp := b.post("/step-up", "enroll", word); resp.StatusCode != http.StatusBadRequest {
			t.Errorf("enrolling %s: %s", word, resp.Status)
		}
	}
	b.leads(b.post("/step-up", "enroll", "email_code", "to", "/settings"), "/enroll")
	b.leads(b.get("/verify"), "/enroll")
}

func ExampleProblemOf() {
	r, err := http.NewRequest(http.MethodGet, "/verify?error=too_soon&wait=42", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	if problem, wait := mfahttp.ProblemOf(r); problem == mfahttp.ProblemTooSoon {
		fmt.Printf("Another code can be sent in %v.\n", wait)
	}
	// Output: Another code can be sent in 42s.
}
