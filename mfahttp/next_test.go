package mfahttp_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// Whatever a link or a form says, a redirect stays on this origin in every browser.
// Each address is tried where one can come in: at a sign-in without and with a
// further step, before a fresh proof, and when the proof is not needed.
func TestNoOpenRedirect(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	plain := h.browser(t)
	factor := h.enrolled(t)
	for _, tc := range []struct {
		name, to string
		ok       bool
	}{
		{"path", "/settings", true},
		{"root", "/", true},
		{"query and fragment", "/settings?a=1&b=%2F%2Fx#top", true},
		{"address in the query", "/go?to=https://evil.example", true},
		{"2 KiB", "/" + strings.Repeat("a", 2<<10-1), true},
		{"none", "", false},
		{"2 KiB and a byte", "/" + strings.Repeat("a", 2<<10), false},
		{"absolute", "https://evil.example/", false},
		{"another scheme", "javascript:alert(1)", false},
		{"host", "//evil.example/", false},
		{"three slashes", "///evil.example/", false},
		{"backslash", `/\evil.example/`, false},
		{"backslashes", `\\evil.example/`, false},
		{"backslash later", `/a\..\\evil.example`, false},
		{"tab", "/\t/evil.example", false},
		{"line break", "/\n/evil.example", false},
		{"header", "/x\r\nSet-Cookie: a=b", false},
		{"space", "/a b", false},
		{"space before", " //evil.example", false},
		{"NUL", "/\x00/evil.example", false},
		{"DEL", "/\x7f", false},
		{"relative", "evil", false},
		{"relative with dots", "../evil", false},
		{"user info", "@evil.example", false},
		{"not ASCII", "/\u2215evil.example", false},
		{"not UTF-8", "/\xff", false},
		{"bad escape", "/%zz", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := "/home"
			if tc.ok {
				want = tc.to
			}
			plain.leads(plain.signIn("bob", "to", tc.to), want)

			fresh := h.browser(t)
			fresh.app = factor.app
			fresh.leads(fresh.signIn("alice", "to", tc.to), "/verify")
			fresh.leads(fresh.post("/verify", "code", fresh.code()), want)
			fresh.leads(fresh.post("/step-up", "action", "x", "to", tc.to), want) // proven just now
			h.stale()
			fresh.leads(fresh.post("/step-up", "action", "x", "to", tc.to), "/verify")
			fresh.leads(fresh.post("/verify", "code", fresh.code()), want)
		})
	}
	for _, to := range []string{"/.//evil.example", "/..//evil.example", "/a/..//evil.example"} {
		resp := plain.signIn("bob", "to", to)
		u, err := url.Parse(resp.Header.Get("Location"))
		if err != nil || u.Host != "" || strings.HasPrefix(resp.Header.Get("Location"), "//") {
			t.Errorf("%s leads to %q", to, resp.Header.Get("Location"))
		}
	}
}

// Where a visitor was heading survives the sign-in page and all steps.
func TestBackToWhereTheUserWasHeading(t *testing.T) {
	h := newHost(t, mfa.Rules{Require: mfa.RequireAtDoor})
	b := h.browser(t)
	b.leads(b.get("/org/acme?tab=2"), "/sign-in?to=%2Forg%2Facme%3Ftab%3D2") // nothing has ended
	b.leads(b.post("/sign-in", "name", "alice", "password", "wrong", "to", "/org/acme?tab=2"), "/sign-in?error=refused&to=%2Forg%2Facme%3Ftab%3D2")
	b.leads(b.signIn("alice", "to", "/org/acme?tab=2"), "/org/acme?tab=2")
	b.leads(b.get("/org/acme?tab=2"), "/step-up?org=acme&to=%2Forg%2Facme%3Ftab%3D2")
	b.leads(b.post("/step-up", "org", "acme", "to", "/org/acme?tab=2"), "/enroll")
	b.leads(b.get("/verify"), "/enroll") // the step that is due
	b.stage()
	b.leads(b.post("/enroll", "code", b.code()), "/save-codes")
	b.leads(b.post("/save-codes"), "/org/acme?tab=2")
	if resp := b.get("/org/acme?tab=2"); resp.StatusCode != http.StatusOK {
		t.Errorf("the door: %s", resp.Status)
	}
}

// A failed request shows its page again with one word. What an attacker must not
// tell apart looks the same.
func TestProblems(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	b := h.enrolled(t)
	used := b.app.Code(h.Clock.Now().Add(-b.app.Period()))
	visitor := h.browser(t)
	visitor.app = b.app
	visitor.leads(visitor.signIn("alice"), "/verify")
	for name, code := range map[string]string{"wrong": b.app.Wrong(h.Clock.Now()), "used": used, "malformed": "12", "none": ""} {
		t.Run(name, func(t *testing.T) {
			visitor.leads(visitor.post("/verify", "code", code), "/verify?error=refused")
		})
	}
	visitor.leads(visitor.post("/verify?method=backup_code&error=over", "code", "0000-0000-0000-0000"), "/verify?error=refused&method=backup_code")
	visitor.leads(visitor.post("/enroll", "code", "123456"), "/verify") // a step that is not due
	visitor.leads(visitor.post("/sign-in", "name", "nobody", "password", "right"), "/sign-in?error=refused")
	visitor.leads(visitor.post("/sign-in", "name", "alice", "password", "wrong"), "/sign-in?error=refused")
	if err := h.Guard.Disable(t.Context(), "bob"); err != nil {
		t.Fatal(err)
	}
	visitor.leads(visitor.signIn("bob"), "/sign-in?error=refused")

	visitor.leads(visitor.signIn("alice"), "/verify") // the one before ended with bob's
	visitor.leads(visitor.post("/verify", "code", visitor.code()), "/home")
	visitor.leads(visitor.signIn("alice"), "/verify")
	for range 5 {
		visitor.leads(visitor.post("/verify", "code", b.app.Wrong(h.Clock.Now())), "/verify?error=refused")
	}
	visitor.leads(visitor.get("/verify"), "/sign-in?error=over")
	visitor.leads(visitor.signIn("alice"), "/verify")
	resp := visitor.post("/verify", "code", b.app.Wrong(h.Clock.Now()))
	u, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || u.Path != "/verify" {
		t.Fatalf("a locked method leads to %q", resp.Header.Get("Location"))
	}
	if p, wait := mfahttp.ProblemOf(&http.Request{URL: u}); p != mfahttp.ProblemThrottled || wait <= 0 || wait > 4*time.Minute {
		t.Errorf("a locked method: %q for %v", p, wait)
	}
	for range 3 { // then as many authenticators as allowed
		resp = b.post("/add", "to", "/settings")
		if resp.Header.Get("Location") == "/verify" {
			h.Clock.Advance(time.Hour)
			b.leads(b.post("/verify", "code", b.code()), "/enroll")
		} else if resp.Header.Get("Location") != "/enroll" {
			break
		}
		b.stage()
		b.post("/enroll", "code", b.code())
	}
	b.leads(resp, "/settings?error=forbidden")
}

// ProblemOf knows the words of Next and no others: anybody can write a link.
func TestProblemOf(t *testing.T) {
	for _, tc := range []struct {
		query string
		want  mfahttp.Problem
		wait  time.Duration
	}{
		{"", "", 0},
		{"error=", "", 0},
		{"error=refused", mfahttp.ProblemRefused, 0},
		{"error=over&wait=9", mfahttp.ProblemOver, 0},
		{"error=forbidden", mfahttp.ProblemForbidden, 0},
		{"error=weak", mfahttp.ProblemWeak, 0},
		{"error=throttled&wait=30", mfahttp.ProblemThrottled, 30 * time.Second},
		{"error=throttled", mfahttp.ProblemThrottled, 0},
		{"error=throttled&wait=-1", mfahttp.ProblemThrottled, 0},
		{"error=throttled&wait=99999999999999999999", mfahttp.ProblemThrottled, 0},
		{"error=throttled&wait=86400", mfahttp.ProblemThrottled, 24 * time.Hour},
		{"error=throttled&wait=86401", mfahttp.ProblemThrottled, 0},
		{"error=too_soon&wait=59", mfahttp.ProblemTooSoon, 59 * time.Second},
		{"error=not_delivered&wait=9", mfahttp.ProblemUndelivered, 0},
		{"error=<script>", "", 0},
		{"error=Refused", "", 0},
	} {
		t.Run(tc.query, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/verify", nil)
			r.URL.RawQuery = tc.query
			if p, wait := mfahttp.ProblemOf(r); p != tc.want || wait != tc.wait {
				t.Errorf("ProblemOf is %q, %v, want %q, %v", p, wait, tc.want, tc.wait)
			}
		})
	}
}

// What ended says so once, to those who had it.
func TestOver(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	b := h.enrolled(t)
	visitor := h.browser(t)
	visitor.leads(visitor.get("/verify"), "/sign-in")
	visitor.leads(visitor.post("/verify", "code", "123456"), "/sign-in")
	b.leads(b.get("/save-codes"), "/home") // the back button

	h.stale()
	b.leads(b.post("/step-up", "action", "x", "to", "/settings"), "/verify")
	cookies := map[string]string{sessionCookie: b.cookies[sessionCookie], pendingCookie: b.cookies[pendingCookie]}
	b.leads(b.post("/verify", "code", b.code()), "/settings")
	second := *b // a second click whose cookies were not replaced yet, but for the session's
	second.cookies = map[string]string{sessionCookie: b.cookies[sessionCookie], pendingCookie: cookies[pendingCookie]}
	second.leads(second.post("/verify", "code", "123456"), "/home")
	second.cookies = cookies // or not at all: what it presents is void
	second.leads(second.post("/verify", "code", "123456"), "/sign-in?error=over")

	h.stale()
	b.leads(b.post("/step-up", "action", "x"), "/verify")
	h.Clock.Advance(11 * time.Minute)
	b.leads(b.get("/verify"), "/home?error=over") // signed in still
	h.Clock.Advance(24 * time.Hour)
	b.leads(b.get("/home?x=1"), "/sign-in?error=over&to=%2Fhome%3Fx%3D1")
	b.leads(b.post("/codes", "to", "/settings"), "/sign-in?error=over&to=%2Fsettings")
}

// What cannot be shown on a page is answered with a status, and the error itself
// goes to the host alone.
func TestStatuses(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	b := h.enrolled(t)
	check := func(name string, resp *http.Response, status int) {
		t.Helper()
		if resp.StatusCode != status {
			t.Errorf("%s: %s, want %d", name, resp.Status, status)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || h.failed == nil || strings.Contains(string(body), h.failed.Error()) {
			t.Errorf("%s shows its error: %s", name, body)
		}
		if len(resp.Header.Values("Set-Cookie")) > 0 {
			t.Errorf("%s sets a cookie", name)
		}
	}
	h.fault = errors.New("a fault of the host")
	check("fault of the host", b.post("/fails"), http.StatusInternalServerError)
	check("malformed action", b.post("/step-up", "action", "a\nb"), http.StatusBadRequest)
	check("malformed organization", b.get("/org/%00"), http.StatusBadRequest)
	h.stale()
	b.leads(b.post("/step-up", "action", "x"), "/verify")
	h.FailStore(errors.New("the disk is full"))
	check("store down", b.get("/home"), http.StatusServiceUnavailable)
	check("store down, a step", b.get("/verify"), http.StatusServiceUnavailable)
	if !errors.Is(h.failed, mfa.ErrUnavailable) || !strings.Contains(h.failed.Error(), "the disk is full") {
		t.Errorf("Config.Error was given %v", h.failed)
	}
}

// A page that cannot be shown is not sent to itself again and again.
func TestNoRedirectLoop(t *testing.T) {
	for _, tc := range []struct {
		fault  error
		path   string
		status int
		retry  string
	}{
		{mfa.ErrForbidden, "/home/fails", http.StatusForbidden, ""},
		{&mfa.WeakPasswordError{}, "/home/fails", http.StatusBadRequest, ""},
		{mfa.ErrRefused, "/home/fails", http.StatusForbidden, ""},
		{&mfa.ThrottledError{RetryAfter: 1500 * time.Millisecond}, "/home/fails", http.StatusTooManyRequests, "2"},
		{mfa.ErrNoSession, "/fails", http.StatusUnauthorized, ""},
		{&mfa.StepUpError{Purpose: mfa.ToConfirm("x")}, "/home/fails", http.StatusForbidden, ""},
	} {
		t.Run(tc.fault.Error(), func(t *testing.T) {
			h := newHost(t, mfa.Rules{}, func(c *mfahttp.Config) {
				c.Pages.SignIn, c.Pages.Home, c.Pages.StepUp = "/fails", "/home/fails", "/home/fails"
			})
			h.fault = tc.fault
			b := h.browser(t)
			b.leads(b.signIn("alice"), "/home/fails")
			resp := b.get(tc.path)
			if got := resp.Header.Get("Retry-After"); resp.StatusCode != tc.status || got != tc.retry {
				t.Errorf("%s, Retry-After %q, want %d, %q", resp.Status, got, tc.status, tc.retry)
			}
		})
	}
}

// A password that is too weak leads to its page, and what it misses is not in the URL.
func TestWeakPassword(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	b := h.browser(t)
	b.leads(b.signIn("alice"), "/home")
	h.fault = &mfa.WeakPasswordError{Unmet: []mfa.Requirement{{Reason: mfa.ReasonPasswordNoDigit, Sentence: "A digit"}}}
	b.leads(b.post("/home/fails", "to", "/settings"), "/settings?error=weak")
}

// Without Config.Error a failure is one line that says nothing of its cause.
func TestDefaultError(t *testing.T) {
	web, err := mfahttp.New(config(t))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	web.Next(w, request("/x"), mfa.Outcome{}, errors.New("secret"))
	if w.Code != http.StatusInternalServerError || w.Body.String() != "Internal Server Error\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// A suspect password leads to the page for a new one.
func TestNewPasswordPage(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	b := h.enrolled(t)
	visitor := h.browser(t)
	visitor.app = b.app
	for range 20 {
		visitor.leads(visitor.signIn("alice"), "/verify")
		visitor.leads(visitor.post("/verify", "code", b.app.Wrong(h.Clock.Now())), "/verify?error=refused")
		h.Clock.Advance(2 * time.Hour) // longer than any wait
	}
	visitor.leads(visitor.signIn("alice"), "/verify")
	visitor.leads(visitor.post("/verify", "code", visitor.code()), "/new-password")
	visitor.leads(visitor.get("/verify"), "/new-password")
}
