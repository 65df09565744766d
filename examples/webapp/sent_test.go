package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/seed-1320b244/mfa"
)

// Where the demo's users get their codes.
const (
	aliceMail, alicePhone = "alice@example.com", "+447700900104"
	bobMail               = "bob@example.com"
	carolPhone            = "+447700900124"
)

// A3: a user turns email verification on with a switch. While on, each sign-in
// sends a code to the registered address; then off again.
func TestPage_A3_EmailVerification(t *testing.T) {
	s := newSite(t, true)
	b := s.browser()
	b.signIn("bob")
	b.at("/")
	b.visit("/security")
	b.click("Turn on codes by email")
	b.at("/security/confirm")
	b.sees("Each sign-in then asks for a code", "@example.com")
	b.click("Turn on")
	b.at("/security")
	b.sees("Turned on. From now on, sign-in asks for a code", "Codes by email turned on")

	for range 2 {
		b.signOut()
		b.signIn("bob")
		b.at("/verify")
		b.sees("We sent a code to •••@example.com")
		code := b.sentCode(bobMail)
		b.fill("Six-digit code", other(code))
		b.click("Continue")
		b.at("/verify")
		b.sees("That code was not accepted. Type the newest one")
		b.fill("Six-digit code", code)
		b.click("Continue")
		b.at("/")
		s.later(time.Minute)
	}
	s.later(6 * time.Minute)
	b.visit("/security")
	b.click("Turn off codes by email")
	b.at("/verify")
	b.sees("We send a code to the email address in your profile")
	b.click("Send code by email")
	b.typeSent(bobMail)
	b.at("/security/confirm")
	b.sees("nothing but your password protects your account")
	b.click("Turn off")
	b.sees("Turned off", "Nothing but your password protects your account")
	b.signOut()
	b.signIn("bob")
	b.at("/")
}

// A4: a user disables email verification: sign-in offers it no more. The last
// second step stays where the rules require one.
func TestPage_A4_DisableEmail(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.enroll("bob")
	b.visit("/security")
	b.click("Turn on codes by email")
	b.click("Turn on")
	b.signOut()
	b.signIn("bob")
	b.at("/verify")
	b.sees("Open your authenticator app", "Send code by email") // nothing is sent before it is asked for
	if n := strings.Count(strings.Join(b.letters(bobMail), "\n"), "Your Cedar code"); n != 0 {
		t.Errorf("%d codes were sent", n)
	}
	b.click("Send code by email")
	b.typeSent(bobMail)
	b.at("/")
	b.visit("/security")
	b.click("Turn off codes by email")
	b.seesNot("nothing but your password")
	b.click("Turn off")
	b.sees("Turned off. No more codes are sent there")
	b.signOut()
	b.signIn("bob")
	b.at("/verify")
	b.seesNot("Send code by email")

	only := newSite(t, false)
	b = only.browser()
	b.signIn("bob")
	b.at("/setup")
	b.click("Get codes by email instead")
	b.click("Send code by email")
	b.typeSent(bobMail)
	b.at("/")
	b.visit("/security")
	b.sees("Set up an authenticator app. Its codes are safer")
	b.click("Turn off codes by email")
	b.click("Turn off")
	b.at("/security/confirm")
	b.sees("Two-step verification is required, and you have no other way")
}

// A5: with its browser and system, place and last activity each session can be told
// from the others.
func TestPage_A5_DeviceAndPlace(t *testing.T) {
	s := newSite(t, true)
	b := s.browser()
	b.signIn("alice")
	phone := b.profile()
	phone.phone()
	s.later(time.Second)
	phone.signIn("alice")
	s.later(time.Second)
	if _, err := s.app.guard.SignIn(t.Context(), mfa.SignIn{
		User: "u-1", First: mfa.PasswordFirst(), Client: mfa.Client{Addr: netip.MustParseAddr("127.0.0.2"), UserAgent: userAgent},
	}); err != nil {
		t.Fatal(err)
	}
	s.later(2 * time.Hour)
	b.visit("/security")
	rows := evaluate[[]string](b, `Array.from(document.querySelectorAll("[aria-labelledby=sessions] li"), (li) => li.innerText)`)
	for i, want := range [][]string{
		{"Chrome on Linux", "This browser", "Lisbon, Portugal (made up)", "127.0.0.1", "Last active just now"},
		{"Chrome on Linux", "Oslo, Norway (made up)", "127.0.0.2", "Last active 2 hours ago"},
		{"Safari on iPhone", "Lisbon, Portugal (made up)", "127.0.0.1", "Last active 2 hours ago"},
	} {
		for _, words := range want {
			if !strings.Contains(rows[i], words) {
				t.Errorf("session %d is %q, want %q", i, rows[i], words)
			}
		}
	}
	activity := evaluate[string](b, `document.querySelector("[aria-labelledby=activity]").innerText`)
	if !strings.Contains(activity, "Oslo, Norway (made up) · 127.0.0.2") {
		t.Errorf("the activity says no place: %q", activity)
	}
}

// B5: with SMS allowed, a mobile number in the profile and the user's own switch on,
// as it is by default, the code page offers "Send code by SMS". Without any of the
// three the link is not there.
func TestPage_B5_SMSLink(t *testing.T) {
	const link = "Send code by SMS"
	for _, tc := range []struct {
		name, user string
		methods    []mfa.Method
		off, there bool
	}{
		{"all three", "alice", []mfa.Method{mfa.TOTP, mfa.SMSCode}, false, true},
		{"SMS not allowed", "alice", []mfa.Method{mfa.TOTP}, false, false},
		{"no number", "bob", []mfa.Method{mfa.TOTP, mfa.SMSCode}, false, false},
		{"number not confirmed", "carol", []mfa.Method{mfa.TOTP, mfa.SMSCode}, false, false},
		{"switch off", "alice", []mfa.Method{mfa.TOTP, mfa.SMSCode}, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, false, func(c *mfa.Config) { c.Policy.Rules.Methods = tc.methods })
			b := s.browser()
			b.enroll(tc.user)
			if tc.off {
				b.visit("/security")
				b.click("Turn off codes by SMS")
				b.click("Turn off")
			}
			b.signOut()
			b.signIn(tc.user)
			b.at("/verify")
			if !tc.there {
				b.seesNot("SMS")
				return
			}
			b.sees(link)
			b.click(link)
			b.at("/verify")
			b.sees("We sent a code to +44 ••• ••• 04", "Send another code", "Use your authenticator app instead")
			b.typeSent(alicePhone)
			b.at("/")
		})
	}
}

// B6: a user with no mobile number sees a warning in the security section, and can
// add the number.
func TestPage_B6_AddNumber(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.enroll("bob")
	b.visit("/security")
	b.sees("There is no mobile number in your profile, so no code can be sent to your phone")
	b.click("Add number")
	b.at("/setup")
	b.fill("Mobile number", "07700 900555")
	b.click("Send code")
	b.at("/setup")
	b.sees("Type the whole number with the code of its country")
	b.fill("Mobile number", "+44 7700 900-555")
	b.click("Send code")
	b.sees("We sent a code to +44 ••• ••• 55")
	code := b.sentCode("+447700900555")
	b.fill("Six-digit code", other(code))
	b.click("Continue")
	b.sees("That code was not accepted", "We sent a code to +44 ••• ••• 55")
	b.fill("Six-digit code", code)
	b.click("Continue")
	b.at("/security")
	b.sees("Confirmed. Codes can be sent there from now on", "It can be sent to +44 ••• ••• 55", "Mobile number confirmed")
	b.seesNot("There is no mobile number")
	b.signOut()
	b.signIn("bob")
	b.click("Send code by SMS")
	b.typeSent("+447700900555")
	b.at("/")

	// One that is in the profile and not confirmed: the same, without typing it.
	c := b.profile()
	c.enroll("carol")
	c.visit("/security")
	c.sees("Your number " + carolPhone + " is not confirmed yet")
	c.click("Confirm number")
	c.at("/setup")
	c.sees(carolPhone)
	c.click("Send code by SMS")
	c.typeSent(carolPhone)
	c.at("/security")
	c.seesNot("is not confirmed yet")
}

// B7: a user switches the SMS option off for herself, and on again.
func TestPage_B7_SMSOff(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.enroll("alice")
	b.visit("/security")
	b.sees("When sign-in asks for a code, it can be sent to +44 ••• ••• 04")
	b.click("Turn off codes by SMS")
	b.sees("No more codes are sent to +44 ••• ••• 04")
	b.click("Turn off")
	b.at("/security")
	b.sees("Turned off")
	b.signOut()
	b.signIn("alice")
	b.seesNot("SMS")
	b.typeCode()
	b.visit("/security")
	b.click("Turn on codes by SMS")
	b.click("Turn on")
	b.signOut()
	b.signIn("alice")
	b.sees("Send code by SMS")
}

// C5: "Remember this browser for 1 week": no code is asked in that browser for a
// week; another browser on the same device is asked.
func TestPage_C5_RememberBrowser(t *testing.T) {
	s := newSite(t, false)
	b, _ := s.open(t.TempDir())
	b.enroll("alice")
	b.signOut()
	b.signIn("alice")
	b.sees("Remember this browser for 1 week")
	b.do("ticking the box", chromedp.Click(chromedp.CSS("input[name=remember]")))
	b.typeCode()
	b.at("/")
	b.signOut()
	b.signIn("alice")
	b.at("/") // no code

	another, _ := s.open(t.TempDir())
	another.key = b.key
	another.signIn("alice")
	another.at("/verify")
	another.typeCode() // without the tick
	another.at("/")

	s.later(7*24*time.Hour - 2*time.Minute)
	b.signIn("alice")
	b.at("/")
	another.signIn("alice")
	another.at("/verify")
	s.later(2 * time.Minute)
	b.signIn("alice")
	b.at("/verify")
	b.seesNot("There is a problem")
	b.click("Use a backup code instead")
	b.seesNot("Remember this browser") // a backup code never does
}

// E6: remembered browsers are listed, can be forgotten one by one, and are forgotten
// with any change of how the user signs in.
func TestPage_E6_ForgetBrowsers(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.enroll("alice")
	remember := func(tab *tab) {
		t.Helper()
		tab.signIn("alice")
		tab.at("/verify")
		tab.do("ticking the box", chromedp.Click(chromedp.CSS("input[name=remember]")))
		tab.typeCode()
		tab.at("/")
	}
	asked := func(tab *tab, want string) {
		t.Helper()
		tab.signIn("alice")
		tab.at(want)
	}
	phone := b.profile()
	phone.phone()
	remember(phone)
	remember(b)

	b.visit("/security")
	list := `document.querySelector("[aria-labelledby=browsers]").innerText`
	if got := evaluate[string](b, list); strings.Count(got, "Remembered for") != 2 || !strings.Contains(got, "Safari on iPhone") || !strings.Contains(got, "Lisbon, Portugal") {
		t.Fatalf("the list reads %q", got)
	}
	b.click("Forget Safari on iPhone")
	b.at("/security")
	b.sees("Forgotten. The next sign-in there asks for a code")
	if got := evaluate[string](b, list); strings.Count(got, "Remembered for") != 1 || strings.Contains(got, "Safari on iPhone") {
		t.Errorf("after one was forgotten the list reads %q", got)
	}
	asked(phone, "/verify")
	asked(b, "/")

	s.later(time.Minute)
	b.visit("/security")
	b.click("Turn off codes by SMS") // the proof is of before: the browser stood in for it since
	b.at("/verify")
	b.typeCode()
	b.click("Turn off")
	asked(b, "/verify")
}

// E7: a security notice tells of every change by email, with time, device and place.
func TestPage_E7_Notices(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.enroll("alice")
	b.visit("/security")
	b.sees("Security notices", "we write to "+aliceMail)
	b.click("Turn off codes by SMS")
	b.click("Turn off")
	phone := b.profile()
	phone.phone()
	phone.signIn("alice")
	phone.typeCode()

	all := b.letters(aliceMail)
	now := s.app.clock.Now().UTC().Format("on 2 Jan 2006 at 15:04 UTC")
	for i, want := range [][]string{
		{"New sign-in to your account", "It happened " + now, "with Safari on iPhone", "near Lisbon, Portugal"},
		{"Removed: codes by SMS", "with Chrome on Linux", "near Lisbon, Portugal", "If that was not you, change your password"},
		{"New backup codes", "The old ones no longer work"},
		{"Added: authenticator app", "with Chrome on Linux", "near Lisbon, Portugal"},
	} {
		if i >= len(all) {
			t.Fatalf("%d letters: %q", len(all), all)
		}
		for _, words := range want {
			if !strings.Contains(all[i], words) {
				t.Errorf("letter %d is %q, want %q", i, all[i], words)
			}
		}
	}
}
