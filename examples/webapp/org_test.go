package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// tick ticks a box or chooses one of several, or takes the tick away again.
func (t *tab) tick(name, value string) {
	t.t.Helper()
	t.do("ticking "+name, chromedp.Click(chromedp.CSS(fmt.Sprintf("input[name=%s][value=%q]", name, value))))
}

// owner signs an owner in, who sets an app up and opens the settings of the company.
func (s *site) owner(name, org string) *tab {
	s.t.Helper()
	b := s.browser()
	b.signIn(name)
	b.turnOn()
	b.visit("/org/" + org + "/settings")
	return b
}

// save saves the settings as they are ticked, after the preview.
func (t *tab) save() {
	t.t.Helper()
	t.click("Preview changes")
	t.click("Save")
	t.sees("The settings are saved")
}

// states returns what the settings say of two-step verification and of SMS.
func (t *tab) states() []string {
	t.t.Helper()
	return evaluate[[]string](t, `Array.from(document.querySelectorAll("[aria-labelledby=state] .badge"), (b) => b.innerText)`)
}

// B1, B2, B9: only an owner or administrator switches two-step verification on, and
// codes by SMS. Both are off at first, she sees how they stand, and they bind every
// user of the company.
func TestPage_B1_B2_B9_CompanySwitches(t *testing.T) {
	s := newSite(t, true)
	b := s.owner("alice", "acme")
	if got := b.states(); !slices.Equal(got, []string{"Off", "Off"}) {
		t.Fatalf("at first: %q", got)
	}
	bob := s.browser()
	bob.signIn("bob")
	bob.at("/")
	bob.click("Acme")
	bob.seesNot("Security settings")
	s.expected = s.url + "/org/acme/settings"
	bob.visit("/org/acme/settings")
	bob.sees("Not allowed")
	s.expected = ""
	bob.visit("/security")

	b.tick("signin", "yes")
	b.save()
	if got := b.states(); !slices.Equal(got, []string{"On", "Off"}) {
		t.Fatalf("required: %q", got)
	}
	bob.signOut()
	bob.signIn("bob")
	bob.at("/setup")
	carol := s.browser()
	carol.signIn("carol")
	carol.at("/setup")
	dave := s.browser()
	dave.signIn("dave") // of another company
	dave.at("/")

	other := b.profile()
	other.signIn("alice")
	other.seesNot("Send code by SMS")
	b.tick("sms", "yes")
	b.save()
	if got := b.states(); !slices.Equal(got, []string{"On", "On"}) {
		t.Fatalf("with SMS: %q", got)
	}
	other.visit("/sign-in")
	other.signIn("alice")
	other.click("Send code by SMS")
	other.typeSent("+447700900104")
	other.at("/")
}

// B5: the link to a code by SMS is there when the company allows it, the user has a
// confirmed number, and her own switch is on.
func TestPage_B5_CompanySMS(t *testing.T) {
	s := newSite(t, true)
	b := s.owner("alice", "acme")
	b.tick("signin", "yes")
	b.save()
	alice := b.profile()
	alice.signIn("alice")
	alice.seesNot("Send code by SMS")

	b.tick("sms", "yes")
	b.save()
	alice.visit("/verify")
	alice.sees("Send code by SMS")
	carol := s.browser() // whose number is not confirmed
	carol.enroll("carol")
	carol.signOut()
	carol.signIn("carol")
	carol.seesNot("Send code by SMS")

	b.visit("/security")
	b.click("Turn off codes by SMS")
	b.click("Turn off")
	alice.visit("/verify")
	alice.seesNot("Send code by SMS")
}

// C2, E5: what a sign-in through the company's identity provider is worth is up to the
// company: nothing, a second factor when the provider asked for one, or everything.
func TestPage_C2_E5_SingleSignOn(t *testing.T) {
	s := newSite(t, true)
	b := s.owner("alice", "acme")
	b.tick("signin", "yes")
	b.save()
	for _, tc := range []struct {
		rule    string
		mfa     bool
		without bool // a code
	}{
		{"", true, false}, {"trust", false, false}, {"trust", true, true}, {"waive", false, true},
	} {
		b.visit("/org/acme/settings")
		b.tick("sso", tc.rule)
		b.save()
		bob := s.browser()
		bob.visit("/sign-in")
		bob.click("Sign in with Company SSO")
		if tc.mfa {
			bob.tick("mfa", "yes")
		}
		bob.click("Be bob")
		if !tc.without {
			bob.at("/setup")
			continue
		}
		bob.at("/")
		bob.click("Acme")
		bob.at("/org/acme")
	}
	bob := s.browser() // a password is asked for more all the same
	bob.signIn("bob")
	bob.at("/setup")
}

// C7: an administrator finds a user and resets her two-step verification after a
// warning. The user meets the setup at the next sign-in.
func TestPage_C7_Reset(t *testing.T) {
	s := newSite(t, true)
	b := s.owner("alice", "acme")
	bob := s.browser()
	bob.signIn("bob")
	bob.turnOn()
	b.visit("/org/acme")
	b.click("Members")
	b.click("Reset Bob")
	b.sees("Reset two-step verification of Bob?", "Be sure that it is Bob who asks")
	b.click("Keep things as they are")
	bob.visit("/security")
	bob.at("/security") // nothing has happened yet

	s.later(6 * time.Minute)
	b.click("Reset Bob")
	b.at("/step-up")
	b.click("Continue")
	b.typeCode()
	b.at("/org/acme/members/reset")
	b.click("Reset")
	b.at("/org/acme/members")
	b.sees("Two-step verification is reset")
	bob.visit("/security")
	bob.at("/sign-in")
	bob.signIn("bob")
	bob.at("/verify") // whoever knows the password alone gets no further
	bob.typeSent("bob@example.com")
	bob.at("/setup")
	b.seesNot("Reset Alice") // nobody resets herself
}

// An administrator helps whoever typed too many wrong codes, and signs somebody out
// everywhere. She sees no button for those above her, and no other company.
func TestPage_CompanyHelp(t *testing.T) {
	s := newSite(t, true)
	b := s.owner("carol", "acme")
	bob := s.browser()
	bob.signIn("bob")
	bob.turnOn()
	other := bob.profile()
	other.signIn("bob")
	for range 5 {
		other.fill("Six-digit code", "000000")
		other.click("Continue")
	}
	b.click("See who is ready")
	b.sees("Paused", "Unlock")
	if evaluate[bool](b, `Boolean(document.querySelector("[aria-label='Reset Alice']"))`) {
		t.Error("an administrator may reset the owner")
	}
	b.click("Unlock Bob")
	b.sees("End the pause of Bob?")
	b.click("Unlock")
	b.sees("The pause is over")
	b.seesNot("Paused")
	b.click("New password for Bob")
	b.click("Ask for a new password")
	b.sees("The next sign-in asks for a new password")
	b.click("Sign out Bob")
	b.click("Sign out everywhere")
	b.sees("Signed out everywhere")
	bob.visit("/security")
	bob.at("/sign-in")
	bob.signIn("bob")
	bob.typeCode()
	bob.at("/new-password")

	s.expected = s.url + "/org/birch"
	b.visit("/org/birch")
	b.sees("Page not found")
}

// D1, D3: the owner sets two-step verification up for herself before she can force
// it on the company, and is led back to where she was.
func TestPage_D1_D3_OwnerFirst(t *testing.T) {
	s := newSite(t, true)
	b := s.browser()
	b.signIn("dave")
	b.click("Birch")
	b.click("Security settings")
	b.at("/step-up")
	b.sees("First set up your own app")
	b.click("Continue")
	b.at("/setup")
	b.scanQR()
	b.typeCode()
	b.saveCodes()
	b.at("/org/birch/settings")
	b.tick("door", "yes")
	b.save()
	if got := b.states(); got[0] != "On" {
		t.Fatalf("it is %q", got[0])
	}
	b.sees("Settings changed", "Dave")
	b.visit("/org/birch")
	b.at("/org/birch")
}

// D4, D6: ordinary credentials sign in, and personal pages open. At the company
// account that forces it comes a step; the other company account has none.
func TestPage_D4_D6_Door(t *testing.T) {
	s := newSite(t, true)
	owner := s.owner("dave", "birch")
	owner.tick("door", "yes")
	owner.save()
	b := s.browser()
	b.signIn("bob")
	b.turnOn()
	b.click("Turn off asking at sign-in")
	b.click("Turn off")
	b.signOut()

	b.signIn("bob")
	b.at("/")
	b.visit("/security")
	b.at("/security")
	b.visit("/org/acme")
	b.at("/org/acme")
	b.visit("/org/birch")
	b.at("/step-up")
	b.sees("Verify identity")
	b.click("Continue")
	b.at("/verify")
	b.sees("Verify identity")
	b.typeCode()
	b.at("/org/birch")
	b.visit("/org/birch")
	b.at("/org/birch") // and not twice

	stranger := s.browser() // no member
	stranger.signIn("carol")
	stranger.visit("/org/birch")
	stranger.at("/step-up")
	stranger.click("Continue")
	stranger.sees("Your account has no access there")
}

// D5: whoever has nothing yet sets it up at the door, and goes on to where she was
// heading.
func TestPage_D5_SetUpAtDoor(t *testing.T) {
	s := newSite(t, true)
	owner := s.owner("dave", "birch")
	b := s.browser()
	b.signIn("bob")
	b.click("Birch")
	b.at("/org/birch")
	owner.tick("door", "yes")
	owner.save()
	b.visit("/org/birch?tab=2") // from the next request on
	b.sees("Verify identity", "you set it up now")
	b.click("Continue")
	b.at("/setup")
	b.scanQR()
	b.typeCode()
	b.saveCodes()
	b.at("/org/birch")
	if got := evaluate[string](b, "location.search"); got != "?tab=2" {
		t.Errorf("the query is %q", got)
	}
}

// from fills the date, as the picker of a browser does.
func (t *tab) from(day time.Time) {
	t.t.Helper()
	evaluate[string](t, fmt.Sprintf(`document.querySelector("#from").value = %q`, day.UTC().Format(time.DateOnly)))
}

// E2: until the date members see how long it is, and may go on without. From then on
// the door asks.
func TestPage_E2_FromADate(t *testing.T) {
	s := newSite(t, true)
	owner := s.owner("dave", "birch")
	day := s.app.clock.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 4)
	owner.tick("door", "yes")
	owner.from(day)
	owner.click("Preview changes")
	owner.sees("from " + day.Format("2 Jan 2006"))
	owner.click("Save")
	owner.sees("from " + day.Format("2 Jan 2006"))

	b := s.browser()
	b.signIn("bob")
	b.click("Birch")
	b.sees("Required from "+day.Format("2 Jan 2006"), "in 4 days")
	b.click("Set up now")
	b.at("/setup")
	b.click("Not now")
	b.at("/org/birch")
	s.later(day.Add(-90 * time.Minute).Sub(s.app.clock.Now()))
	b.visit("/sign-in")
	b.signIn("bob")
	b.visit("/org/birch")
	b.sees("in 2 hours")
	s.later(90 * time.Minute)
	b.visit("/org/birch")
	b.at("/step-up")
	b.sees("Verify identity")
}

// E3: before saving, the owner sees how many members are concerned, and nothing is
// saved yet.
func TestPage_E3_Preview(t *testing.T) {
	s := newSite(t, true)
	b := s.owner("alice", "acme")
	carol := s.browser()
	carol.signIn("carol")
	carol.turnOn()
	b.tick("door", "yes")
	b.click("Preview changes")
	figures := evaluate[[]string](b, `Array.from(document.querySelectorAll(".figures strong"), (e) => e.innerText)`)
	if want := []string{"3", "3", "1", "0"}; !slices.Equal(figures, want) { // bob has nothing
		t.Errorf("figures %q, want %q", figures, want)
	}
	b.click("Keep things as they are")
	if got := b.states(); got[0] != "Off" {
		t.Errorf("the preview saved something: %q", got)
	}
	other := b.newTab()
	b.tick("door", "yes")
	b.click("Preview changes")
	other.visit("/org/acme/settings")
	other.tick("sms", "yes")
	other.save()
	b.click("Save")
	b.sees("Somebody else has changed these settings meanwhile")
}

// E4: the owner sees who is ready, and with what. Of accounts that the company does
// not manage she sees no more than that.
func TestPage_E4_Compliance(t *testing.T) {
	s := newSite(t, true)
	rows := `Array.from(document.querySelectorAll("main .rows > li"), (li) => li.innerText.replace(/\s+/g, " "))`
	b := s.owner("alice", "acme")
	b.tick("door", "yes")
	b.save()
	b.click("See who is ready")
	b.sees("2 of 3 cannot enter under the rules yet")
	got := evaluate[[]string](b, rows)
	for i, want := range []string{
		"Alice (you) Ready Owner · Authenticator app · 10 backup codes · verified just now",
		"Bob Not ready Member · no second factor Reset New password Sign out",
		"Carol Not ready Administrator · no second factor Reset New password Sign out",
	} {
		if i >= len(got) || got[i] != want {
			t.Errorf("row %d of %q, want %q", i, got, want)
		}
	}

	dave := s.owner("dave", "birch")
	dave.tick("door", "yes")
	dave.save()
	dave.click("See who is ready")
	got = evaluate[[]string](dave, rows)
	for i, want := range []string{"Bob Not ready Member", "Dave (you) Ready Owner"} {
		if i >= len(got) || got[i] != want {
			t.Errorf("row %d of %q, want %q", i, got, want)
		}
	}
}
