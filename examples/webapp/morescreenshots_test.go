package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// The pages of passwords, and what links in mails lead to, are fit to be read and used.
func TestPage_ScreenshotsPassword(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.enroll("alice")
	b.visit("/security/password")
	b.fill("New password", "kx7")
	b.until("three marks", func() bool { return strings.Count(b.marks(), "Missing: ") == 3 })
	b.looks("password-typing")
	b.fill("New password", betterPassword)
	b.until("all marks", func() bool {
		return strings.Contains(b.marks(), "Met: A digit") && !strings.Contains(b.marks(), "Missing")
	})
	b.looks("password-met")
	b.typePassword(demoPassword, "Kx7yqpz")
	b.looks("password-refused")
	b.typePassword("wrong", betterPassword)
	b.looks("password-wrong")

	elsewhere := b.profile()
	elsewhere.visit("/recover")
	elsewhere.looks("recover")
	elsewhere.forget("alice")
	elsewhere.looks("recover-sent")
	elsewhere.follow(aliceMail, "Choose a new password")
	elsewhere.mail.looks("inbox-link")
	elsewhere.looks("reset")
	elsewhere.typePassword("", "Kx7yqpz")
	elsewhere.looks("reset-refused")
	elsewhere.visit("/reset/over")
	elsewhere.looks("reset-over")
	elsewhere.visit("/undo?token=AAAA")
	elsewhere.looks("undo")
	elsewhere.visit("/undo/over")
	elsewhere.looks("undo-over")

	if err := s.app.guard.Operator("support", "a phishing mail").RequirePasswordChange(t.Context(), "u-1"); err != nil {
		t.Fatal(err)
	}
	b.visit("/security")
	b.looks("security-compromised")
	b.signOut()
	b.signIn("alice")
	b.typeCode()
	b.at("/new-password")
	b.looks("new-password")
	b.typePassword("", "Kx7yqpz")
	b.looks("new-password-refused")
}

// German words, which are longer, fit as well.
func TestPage_ScreenshotsGerman(t *testing.T) {
	s := newSite(t, true)
	s.app.language = func(r *http.Request) string { return r.URL.Query().Get("lang") }
	b := s.browser()
	german := func(path string) {
		t.Helper()
		name := strings.NewReplacer("/", "-", "?", "-", "&", "-", "=", "-").Replace(path[1:])
		if strings.Contains(path, "?") {
			path += "&lang=de"
		} else {
			path += "?lang=de"
		}
		b.visit(path)
		if evaluate[string](b, "document.documentElement.lang") != "de" {
			t.Errorf("%s is not in German", path)
		}
		b.looks(name)
	}
	for _, path := range []string{
		"/sign-in?error=throttled&wait=90", "/recover", "/recover/sent", "/reset?token=AAAA", "/reset/over", "/undo?token=AAAA", "/undo/over",
	} {
		german(path)
	}
	b.signIn("alice")
	german("/security")
	b.visit("/security")
	b.click("Turn on")
	german("/setup")
	b.visit("/setup")
	b.scanQR()
	b.typeCode()
	german("/codes")
	b.visit("/codes")
	b.saveCodes()
	for _, path := range []string{
		"/security", "/security/password", "/security/confirm?do=codes", "/security/confirm?do=ask&on=no", "/security/confirm?do=revoke-others",
		"/org/acme/settings", "/org/acme/preview?signin=yes&sms=yes", "/org/acme/members", "/org/acme/members/reset?user=u-2",
		"/org/acme/members/password?user=u-2", "/step-up?action=remove_totp&to=/security", "/step-up?admin=acme&org=acme&to=/org/acme/settings",
	} {
		german(path)
	}
	b.signOut()
	b.signIn("alice")
	german("/verify")
	german("/verify?method=backup_code")
}

// picture keeps what a window of moderate size shows, as small as a document can
// use it. Without MFA_SCREENSHOTS there is none.
func (t *tab) picture(name string, height int64) {
	t.t.Helper()
	dir := os.Getenv("MFA_SCREENSHOTS")
	if dir == "" {
		return
	}
	t.do("a window", chromedp.EmulateViewport(860, height))
	evaluate[bool](t, `(document.activeElement.blur(), true)`)
	image, err := chromedp.Run(t.limit(), chromedp.CaptureScreenshot())
	t.check(err, "a picture of %s", name)
	dir = filepath.Join(dir, t.t.Name())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), image, 0o600); err != nil {
		t.t.Fatal(err)
	}
}

// The pictures in the project's README.
func TestPage_ScreenshotsReadme(t *testing.T) {
	s := newSite(t, true)
	b := s.browser()
	b.signIn("alice")
	b.visit("/security")
	b.click("Turn on")
	b.picture("setup", 1060)
	b.scanQR()
	b.typeCode()
	b.saveCodes()
	b.visit("/security")
	b.picture("security", 1060)
	b.visit("/org/acme/settings")
	b.tick("signin", "yes")
	b.from(s.app.clock.Now().AddDate(0, 0, 14))
	b.click("Preview changes")
	b.picture("preview", 760)
	b.click("Save")
	s.later(time.Minute)
	b.signOut()
	b.signIn("alice")
	b.at("/verify")
	b.picture("code", 760)
}
