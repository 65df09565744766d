package main

import (
	"testing"
	"time"
)

// The pages of companies are fit to be read and used on a desktop and on the smallest
// phone, in the light and in the dark.
func TestPage_ScreenshotsCompany(t *testing.T) {
	s := newSite(t, true)
	b := s.browser()
	b.visit("/dev/sso")
	b.looks("sso")
	b.signIn("alice")
	b.looks("home")
	b.click("Acme")
	b.looks("company")
	b.click("Security settings")
	b.looks("step-up-first")
	b.turnOn()
	b.visit("/org/acme/settings")
	b.looks("settings-off")
	b.tick("signin", "yes")
	b.from(s.app.clock.Now().AddDate(0, 0, 5))
	b.click("Preview changes")
	b.looks("preview")
	b.click("Save")
	b.looks("settings-on")
	b.click("See who is ready")
	b.looks("members")
	b.click("Reset Bob")
	b.looks("reset")

	bob := s.browser()
	bob.signIn("bob")
	bob.at("/setup")
	bob.looks("setup-skip")
	bob.click("Not now")
	bob.click("Acme")
	bob.looks("company-countdown")
	s.later(6 * 24 * time.Hour)
	b.visit("/sign-in")
	b.signIn("alice")
	b.typeCode()
	carol := s.browser()
	carol.signIn("carol")
	carol.at("/setup") // and no more "Not now"
	carol.seesNot("Not now")
	s.later(6 * time.Minute)
	b.visit("/org/acme/settings")
	b.looks("step-up-admin")
	dave := s.owner("dave", "birch")
	dave.tick("door", "yes")
	dave.save()
	bob.visit("/sign-in")
	bob.signIn("bob")
	bob.scanQR()
	bob.typeCode()
	bob.saveCodes()
	bob.visit("/org/birch")
	bob.at("/org/birch")
}
