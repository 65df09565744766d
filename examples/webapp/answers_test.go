package main

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// expiry is the part of a cookie that says when it was set.
var expiry = regexp.MustCompile(`(?i)expires=[^;\r\n]*`)

// answers returns what a browser that has been nowhere is sent for a form, and for the
// page that the answer leads to: status, headers and body, without the time.
func (s *site) answers(path string, form url.Values) string {
	s.t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var all strings.Builder
	note := func(resp *http.Response, err error) *http.Response {
		if err != nil {
			s.t.Fatal(err)
		}
		defer resp.Body.Close()
		resp.Header.Del("Date")
		text, err := httputil.DumpResponse(resp, true)
		if err != nil {
			s.t.Fatal(err)
		}
		all.Write(expiry.ReplaceAll(text, []byte("Expires=")))
		return resp
	}
	resp := note(client.PostForm(s.url+path, form))
	if to := resp.Header.Get("Location"); to != "" {
		note(client.Get(s.url + to))
	}
	return all.String()
}

// TestR24_AnswersAlike: a login that is nobody's, one with a wrong password and one that
// takes none for a while get one answer, byte for byte. The events say that each was
// refused for its own reason.
func TestR24_AnswersAlike(t *testing.T) {
	var events mfatest.Events
	s := newSite(t, false, func(c *mfa.Config) { c.OnEvent = events.Record })
	signIn := func(name, password string) (string, mfa.Reason) {
		t.Helper()
		events.Take()
		text := s.answers("/sign-in", url.Values{"name": {name}, "password": {password}})
		for _, e := range events.Take() {
			if e.Reason != "" {
				return text, e.Reason
			}
		}
		return text, ""
	}
	want, why := signIn("nobody", demoPassword)
	if why != mfa.ReasonUserUnknown || !strings.Contains(want, "The user name and password do not match") {
		t.Fatalf("for nobody (%s):\n%s", why, want)
	}
	if in, why := signIn("alice", demoPassword); why != "" || in == want {
		t.Fatalf("the right password is refused (%s):\n%s", why, in)
	}
	for range 5 { // Limits.TriesBeforeWait
		signIn("bob", "wrong")
	}
	if err := s.app.guard.Disable(t.Context(), "u-3"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, name, password string
		why                  mfa.Reason
	}{
		{"a wrong password", "alice", "wrong", mfa.ReasonWrongPassword},
		{"another wrong one", "alice", strings.Repeat("wrong", 50), mfa.ReasonWrongPassword},
		{"locked, a wrong password", "bob", "wrong", mfa.ReasonMethodLocked},
		{"locked, the right one", "bob", demoPassword, mfa.ReasonMethodLocked},
		{"kept out, a wrong password", "carol", "wrong", mfa.ReasonWrongPassword},
		{"kept out, the right one", "carol", demoPassword, mfa.ReasonUserDisabled},
		{"another who is nobody", "'; --", "wrong", mfa.ReasonUserUnknown},
		{"no name", "", "wrong", ""},
		{"a name longer than any", strings.Repeat("x", 1000), "wrong", ""},
		{"no password", "alice", "", ""},
	} {
		if got, why := signIn(c.name, c.password); got != want || why != c.why {
			t.Errorf("%s (%q, want %q): the answer is\n%s\nand for nobody\n%s", c.what, why, c.why, got, want)
		}
	}
}

// TestR24_RecoverAnswersAlike: whoever asks for a link to a new password is told the
// same for every login, byte for byte, whether one is sent or not.
func TestR24_RecoverAnswersAlike(t *testing.T) {
	s := newSite(t, false)
	forget := func(name string) string { return s.answers("/recover", url.Values{"name": {name}}) }
	want := forget("nobody")
	if !strings.Contains(want, "Location: /recover/sent") {
		t.Fatalf("for nobody:\n%s", want)
	}
	if err := s.app.guard.Disable(t.Context(), "u-3"); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		s.answers("/sign-in", url.Values{"name": {"bob"}, "password": {"wrong"}})
	}
	for what, name := range map[string]string{
		"known": "alice", "locked": "bob", "kept out": "carol", "without an address": "dave",
		"another who is nobody": "'; --", "no name": "", "a name longer than any": strings.Repeat("x", 1000),
	} {
		for n := range 4 { // three links are alive at once, at most; a network has 30 requests
			if got := forget(name); got != want {
				t.Fatalf("%s, request %d: the answer is\n%s\nand for nobody\n%s", what, n+1, got, want)
			}
		}
	}
}
