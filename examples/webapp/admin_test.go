package main

import "testing"

// C1, C7: two-step verification is mandatory for every account, without any company, and
// who administers the installation sees that it is, finds a user and resets him after a
// warning. He meets the setup at the next sign-in.
func TestPage_C1_C7_Installation(t *testing.T) {
	s := newSite(t, false)
	dave := s.browser()
	dave.enroll("dave")
	dave.seesNot("Users")
	b := s.browser()
	b.enroll("erin")
	b.click("Users")
	b.at("/admin/members")
	b.sees("3 of 5 have yet to set up what is required")
	b.click("Security settings for everybody")
	b.sees("Asked of everybody at every sign-in")
	b.accessible("settings of the installation")
	b.click("See who is ready")
	b.fill("Find somebody by name", "dav")
	b.click("Find")
	b.seesNot("Alice")
	b.accessible("users of the installation")
	b.click("Reset Dave")
	b.sees("Reset two-step verification of Dave?", "Be sure that it is Dave who asks")
	b.click("Reset")
	b.at("/admin/members")
	b.sees("Two-step verification is reset")
	dave.visit("/security")
	dave.at("/sign-in")
	dave.signIn("dave")
	dave.at("/setup")
}
