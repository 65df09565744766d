package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
)

// forget asks for a link to a new password.
func (t *tab) forget(name string) {
	t.t.Helper()
	t.visit("/sign-in")
	t.click("Forgot your password?")
	t.at("/recover")
	t.fill("User name", name)
	t.click("Send link")
	t.at("/recover/sent")
}

// mailedLink returns the newest link that reads so in a mail or text message to an
// address. It waits: links are sent after the answer.
func (t *tab) mailedLink(to, words string) string {
	t.t.Helper()
	link := ""
	t.until("a link that reads "+words, func() bool {
		link = evaluate[string](t.inbox(), fmt.Sprintf(
			`Array.from(document.querySelectorAll("[data-to='%s'] a")).find((a) => a.textContent === %q)?.href ?? ""`, to, words))
		return link != ""
	})
	path, ok := strings.CutPrefix(link, t.url)
	if !ok {
		t.t.Fatalf("the link %q does not begin with %s", link, t.url)
	}
	return path
}

// follow opens the newest link that reads so.
func (t *tab) follow(to, words string) {
	t.t.Helper()
	t.visit(t.mailedLink(to, words))
}

// A7: a user recovers a forgotten password by email.
func TestPage_A7_Recover(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.enroll("alice")
	elsewhere := b.profile()
	elsewhere.visit("/recover")
	elsewhere.forget("alice")
	said := elsewhere.text()
	path := elsewhere.mailedLink(aliceMail, "Choose a new password")
	if strings.Contains(strings.Join(elsewhere.letters(aliceMail), "\n"), "token=") {
		t.Error("the letter shows the token")
	}

	// The same for a name that nobody has, and for one without an address.
	for _, name := range []string{"nobody", "dave", "'; --", strings.Repeat("x", 64)} {
		elsewhere.forget(name)
		if got := elsewhere.text(); got != said {
			t.Errorf("for %q the page reads %q, want %q", name, got, said)
		}
	}

	// Opening it, as programs that read mail do, uses nothing up.
	for range 3 {
		elsewhere.visit(path)
		elsewhere.at("/reset")
	}
	elsewhere.typePassword("", "Alice@Example.com 4")
	elsewhere.at("/reset")
	elsewhere.misses("Not just a name or an address of yours or ours")
	b.visit("/security")
	b.at("/security") // nothing has changed yet
	elsewhere.typePassword("", betterPassword)
	elsewhere.at("/sign-in")
	elsewhere.sees("Your password is changed. Sign in with the new one")
	b.visit("/security")
	b.at("/sign-in") // signed out everywhere

	elsewhere.signIn("alice")
	elsewhere.sees("The user name and password do not match")
	elsewhere.signInWith("alice", betterPassword)
	elsewhere.at("/verify") // the code is asked as before
	elsewhere.typeCode()
	elsewhere.at("/")
	elsewhere.visit("/security")
	elsewhere.sees("Link to a new password sent")

	// Used, and none at all.
	for _, path := range []string{path, "/reset?token=AAAA", "/reset"} {
		b.visit(path)
		b.typePassword("", "Another 1 altogether")
		b.at("/reset/over")
		b.sees("This link no longer works")
	}
	b.click("Ask for another link")
	b.at("/recover")

	// Too old.
	b.forget("alice")
	b.until("another link", func() bool { return b.mailedLink(aliceMail, "Choose a new password") != path })
	path = b.mailedLink(aliceMail, "Choose a new password")
	s.later(time.Hour)
	b.visit(path)
	b.typePassword("", "Another 1 altogether")
	b.at("/reset/over")
}

// Whoever asks for too many links is told to wait, for whatever name.
func TestPage_RecoverThrottled(t *testing.T) {
	s := newSite(t, true, func(c *mfa.Config) { c.Policy.Limits.RecoversPerNetwork = 2 })
	b := s.browser()
	b.forget("bob")
	b.forget("nobody")
	b.visit("/recover")
	b.fill("User name", "nobody")
	b.click("Send link")
	b.at("/sign-in")
	b.sees("Too many tries. Try again in")
}

// The pages that a link opens tell no other page its token.
func TestLinkPages(t *testing.T) {
	s := newSite(t, true)
	for _, path := range []string{"/reset?token=AAAA", "/undo?token=AAAA"} {
		resp, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || len(resp.Cookies()) > 0 {
			t.Errorf("%s: %s, %v", path, resp.Status, err)
		}
		if got := resp.Header.Get("Referrer-Policy"); got != "no-referrer" {
			t.Errorf("%s: Referrer-Policy %q", path, got)
		}
		if got := resp.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
		if strings.Count(string(body), "AAAA") != 1 {
			t.Errorf("%s: the token is not in the form alone", path)
		}
	}
}

// A link begins with what was configured, whatever a request says of its host.
func TestLinkBase(t *testing.T) {
	s := newSite(t, true)
	s.app.inbox.from("https://cedar.example/")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/recover", strings.NewReader("name=bob"))
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.example"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Forwarded-Host", "evil.example")
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	tick, deadline := time.NewTicker(20*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for {
		s.app.inbox.mu.Lock()
		letters := s.app.inbox.letters
		s.app.inbox.mu.Unlock()
		if len(letters) > 0 {
			if !strings.HasPrefix(letters[0].Link, "https://cedar.example/reset?token=") {
				t.Errorf("the link is %q", letters[0].Link)
			}
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("no letter")
		}
	}
}

// A password that was changed is that after the next start: the first one is given to
// users who have none.
func TestRegister(t *testing.T) {
	s := newSite(t, true)
	if err := s.app.guard.SetPassword(t.Context(), "u-1", betterPassword); err != nil {
		t.Fatal(err)
	}
	if err := s.app.register(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, password string
		right          bool
	}{{"alice", demoPassword, false}, {"alice", betterPassword, true}, {"bob", demoPassword, true}, {"nobody", demoPassword, false}} {
		_, err := s.app.guard.SignInPassword(t.Context(), tc.name, tc.password, mfa.SignIn{})
		if tc.right != (err == nil) || err != nil && !errors.Is(err, mfa.ErrRefused) {
			t.Errorf("%s with %q: %v", tc.name, tc.password, err)
		}
	}
}
