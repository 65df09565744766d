package main

import (
	"slices"
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

// An owner changes the settings of a company and helps a member without a mouse, in a
// browser in which JavaScript is off.
func TestPage_CompanyKeyboardOnly(t *testing.T) {
	s := newSite(t, true)
	s.browser().signIn("bob")
	b := s.browser()
	b.withoutScript()
	b.signIn("alice")
	b.turnOn()
	b.visit("/")
	k := keyboard{b}
	for _, to := range []string{"Acme", "Security settings"} {
		k.to(to)
		k.enter("")
	}
	b.at("/org/acme/settings")
	k.to("sms")
	k.press(" ")
	k.to("Preview changes")
	k.enter("")
	b.at("/org/acme/preview")
	k.to("Save")
	k.enter("")
	b.sees("The settings are saved")
	if got := b.states(); !slices.Equal(got, []string{"Off", "On"}) {
		t.Errorf("after the tick: %q", got)
	}
	k.to("See who is ready")
	k.enter("")
	k.to("Sign out Bob")
	k.enter("")
	b.at("/org/acme/members/end")
	k.to("Sign out everywhere")
	k.enter("")
	b.at("/org/acme/members")
	k.to("Sign out")
	k.enter("")
	b.at("/sign-in")
}
