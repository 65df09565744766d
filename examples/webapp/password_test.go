package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const betterPassword = "Quartz Lantern 88"

// marks returns what the list of requirements says of each, one a line.
func (t *tab) marks() string {
	t.t.Helper()
	return evaluate[string](t, `Array.from(document.querySelectorAll("#requirements > li")).filter((l) => l.checkVisibility()).map((l) => l.textContent).join("\n")`)
}

// misses fails unless the form was refused for these requirements and no others.
func (t *tab) misses(words ...string) {
	t.t.Helper()
	t.sees("That password cannot be used")
	m := t.marks()
	for _, w := range words {
		if !strings.Contains(m, "Missing: "+w) {
			t.t.Errorf("refused with\n%s\nwant %q", m, w)
		}
	}
	if n := strings.Count(m, "Missing: "); n != len(words) {
		t.t.Errorf("refused for %d requirements, want %d:\n%s", n, len(words), m)
	}
}

// typePassword sends a form with a new password.
func (t *tab) typePassword(present, next string) {
	t.t.Helper()
	if present != "" {
		t.fill("Current password", present)
	}
	t.fill("New password", next)
	t.click("Change password")
}

// A1: a user changes her password. The page lists the requirements and says which
// one a new password misses: at least 8 characters, an upper-case letter, a
// lower-case letter, a digit.
func TestPage_A1_ChangePassword(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.enroll("alice")
	other := b.profile()
	other.signIn("alice")
	other.typeCode()
	other.at("/")

	s.later(6 * time.Minute)
	b.visit("/security")
	b.click("Change password")
	b.at("/verify") // the proof is no longer fresh
	b.sees("Confirm it is you")
	b.typeCode()
	b.at("/security/password")
	b.sees("At least 8 characters", "An upper-case letter", "A lower-case letter", "A digit")
	b.seesNot("At most")
	if m := b.marks(); strings.Contains(m, "Met:") || strings.Contains(m, "Missing:") {
		t.Errorf("marked before anything was typed: %q", m)
	}

	// While she types.
	for typed, missing := range map[string]string{
		"Kx7yqpz": "At least 8 characters", "kx7yqpzv": "An upper-case letter", "KX7YQPZV": "A lower-case letter", "KxTyqpzv": "A digit",
		"Sunshine1": "Not a common password", strings.Repeat("Kx7yqpzv!", 30): "At most 256 characters",
	} {
		b.fill("New password", typed)
		b.until("the marks of "+typed[:7], func() bool {
			m := b.marks()
			return strings.Count(m, "Missing: ") == 1 && strings.Contains(m, "Missing: "+missing)
		})
	}
	b.fill("New password", "Kx7yqpzv")
	b.until("all marks", func() bool {
		m := b.marks()
		return strings.Contains(m, "Met: A digit") && !strings.Contains(m, "Missing")
	})
	b.seesNot("At most")
	b.fill("New password", "kx7")
	b.until("three marks", func() bool { return strings.Count(b.marks(), "Missing: ") == 3 })
	b.do("showing it", chromedp.Click(control("Show new password")))
	if evaluate[string](b, `document.querySelector("#new").type`) != "text" {
		t.Error("the password is not shown")
	}

	// When the form is sent.
	for typed, missing := range map[string]string{
		"Kx7yqpz": "At least 8 characters", "kx7yqpzv": "An upper-case letter", demoPassword: "Not your current password",
	} {
		b.typePassword(demoPassword, typed)
		b.at("/security/password")
		b.misses(missing)
	}
	b.typePassword("wrong", betterPassword)
	b.at("/security/password")
	b.sees("That is not your current password")

	b.typePassword(demoPassword, betterPassword)
	b.at("/security")
	b.sees("Your password is changed", "Password changed")
	other.visit("/security")
	other.at("/sign-in")
	other.signIn("alice")
	other.sees("The user name and password do not match")
	other.signInWith("alice", betterPassword)
	other.typeCode()
	other.at("/security")
	if all := b.letters(aliceMail); !strings.Contains(strings.Join(all, "\n"), "Your password was changed") {
		t.Errorf("she is not told: %q", all)
	}
}

// A6: a user is advised: a unique password, two-step verification and an app rather
// than mail, a look at the sessions, a safe mail account.
func TestPage_A6_Advice(t *testing.T) {
	s := newSite(t, true)
	b := s.browser()
	b.signIn("bob")
	b.sees("Turn on two-step verification with an authenticator app") // on the first page
	b.visit("/security")
	b.sees("Turn on two-step verification with an authenticator app", "that you use nowhere else",
		"Best with an authenticator app", "Look now and then where you are signed in", "A safe email account")
	b.click("Turn on codes by email")
	b.click("Turn on")
	b.sees("Set up an authenticator app. Its codes are safer", "Without an app")
	other := b.profile()
	other.signIn("bob")
	other.typeSent(bobMail)
	b.visit("/security")
	b.sees("You are signed in on more than one browser. Check that you know each of them")
	s.later(time.Minute)
	b.click("Turn on") // bob holds a factor: it comes first
	b.click("Send code by email")
	b.typeSent(bobMail)
	b.at("/setup")
	b.scanQR()
	b.typeCode()
	b.visit("/security")
	b.seesNot("Set up an authenticator app. Its codes are safer")
	b.sees("With an app")
	if err := s.app.guard.Operator("support", "a phishing mail").RequirePasswordChange(t.Context(), "u-2"); err != nil {
		t.Fatal(err)
	}
	b.visit("/security")
	b.sees("Change your password. Somebody else may know it")
}

// A new password has to be chosen when somebody else may know the old one: after the
// second factor, and before anything else.
func TestPage_ForcedChange(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.enroll("alice")
	if err := s.app.guard.Operator("support", "a phishing mail").RequirePasswordChange(t.Context(), "u-1"); err != nil {
		t.Fatal(err)
	}
	b.signOut()
	b.signIn("alice")
	b.typeCode()
	b.at("/new-password")
	b.visit("/")
	b.at("/sign-in") // it is not signed in
	b.visit("/new-password")
	b.fill("New password", "Kx7yqpz")
	b.until("the marks", func() bool { return strings.Contains(b.marks(), "Missing: At least 8 characters") })
	b.click("Change password")
	b.at("/new-password")
	b.misses("At least 8 characters")
	b.typePassword("", demoPassword)
	b.misses("Not your current password")
	b.typePassword("", betterPassword)
	b.at("/")
	b.signOut()
	b.signInWith("alice", betterPassword)
	b.typeCode()
	b.at("/")
}

// Passwords work without JavaScript: the change, the step of a sign-in, the link.
func TestPage_PasswordWithoutJavaScript(t *testing.T) {
	s := newSite(t, true)
	b := s.browser()
	b.withoutScript()
	b.signIn("bob")
	b.visit("/security")
	b.click("Change password")
	b.at("/security/password")
	b.seesNot("Show new password")
	b.typePassword(demoPassword, "vqzkd")
	b.misses("At least 8 characters", "An upper-case letter", "A digit")
	b.typePassword(demoPassword, betterPassword)
	b.at("/security")
	b.sees("Your password is changed")

	if err := s.app.guard.Operator("support", "a phishing mail").RequirePasswordChange(t.Context(), "u-2"); err != nil {
		t.Fatal(err)
	}
	b.click("Sign out")
	b.signInWith("bob", betterPassword)
	b.at("/verify") // whoever only knows the password must not be the one who changes it
	b.typeSent("bob@example.com")
	b.at("/new-password")
	b.typePassword("", "short")
	b.sees("That password cannot be used")
	b.typePassword("", "Another 1 altogether")
	b.at("/")

	b.signOut()
	b.forget("bob")
	b.follow(bobMail, "Choose a new password")
	b.at("/reset")
	b.typePassword("", "vqzkd")
	b.at("/reset")
	b.sees("That password cannot be used")
	b.typePassword("", betterPassword)
	b.at("/sign-in")
	b.signInWith("bob", betterPassword)
	b.at("/")
}

// A password is changed and recovered with the keyboard alone.
func TestPage_PasswordKeyboardOnly(t *testing.T) {
	s := newSite(t, true)
	b := s.browser()
	k := keyboard{b}
	b.visit("/sign-in")
	k.to("Forgot your password?")
	k.enter("")
	b.at("/recover")
	k.ready()
	k.enter("bob")
	b.at("/recover/sent")
	b.follow(bobMail, "Choose a new password")
	k.ready()
	k.press("short")
	k.to("Show new password")
	k.press(" ")
	k.to("Change password")
	k.enter("")
	b.sees("That password cannot be used")
	k.ready()
	k.enter(betterPassword)
	b.at("/sign-in")
	k.ready()
	k.press("bob" + kb.Tab + betterPassword)
	k.enter("")
	b.at("/")
	b.visit("/security")
	k.to("Change password")
	k.enter("")
	b.at("/security/password")
	k.ready()
	k.press(betterPassword)
	k.to("new")
	k.enter("Another 1 altogether")
	b.at("/security")
	b.sees("Your password is changed")
}

// Which requirements a password meets is told to whoever is signed in, and never
// where she is not.
func TestCheckPassword(t *testing.T) {
	s := newSite(t, true)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	post := func(path string, form url.Values) *http.Response {
		t.Helper()
		resp, err := client.PostForm(s.url+path, form)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	const path = "/security/password/check"
	for _, path := range []string{path, "/new-password/check"} {
		if resp := post(path, url.Values{"password": {betterPassword}}); resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/sign-in" {
			t.Errorf("%s without a session: %s", path, resp.Status)
		}
	}
	post("/sign-in", url.Values{"name": {"alice"}, "password": {demoPassword}})
	for _, tc := range []struct {
		password string
		status   int
		missing  string
	}{
		{betterPassword, 200, ""},
		{"", 200, "password_too_short"},
		{"Alice 1234", 200, "password_context"},
		{strings.Repeat("é", 2048), 200, "password_too_long"},
		{strings.Repeat("x", 4097), 400, ""},
	} {
		resp := post(path, url.Values{"password": {tc.password}})
		if resp.StatusCode != tc.status || tc.status == 200 && resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%d bytes: %s, %v", len(tc.password), resp.Status, resp.Header)
		}
		if tc.status != 200 {
			continue
		}
		var met map[string]bool
		if err := json.NewDecoder(resp.Body).Decode(&met); err != nil {
			t.Fatal(err)
		}
		if tc.missing == "" && strings.Contains(fmt.Sprint(met), "false") || tc.missing != "" && met[tc.missing] {
			t.Errorf("%d bytes: %v, want %q missing", len(tc.password), met, tc.missing)
		}
	}
	// The page may ask there, and no other page anywhere.
	for path, want := range map[string]bool{"/security/password": true, "/security": false, "/sign-in": false, "/reset": false} {
		resp, err := client.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if policy := resp.Header.Get("Content-Security-Policy"); strings.Contains(policy, "connect-src 'self'") != want || !strings.Contains(policy, "default-src 'none'") {
			t.Errorf("%s: %s", path, policy)
		}
	}
}
