package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// mailed has bob sign in with codes by email and nothing else, and signs him out.
func (t *tab) mailed() {
	t.t.Helper()
	t.signIn("bob")
	t.visit("/security")
	t.click("Turn on codes by email")
	t.click("Turn on")
	t.signOut()
}

// Another code can be had after a minute: the button says so and waits. Where there
// is no script it can be pressed, and the answer says the same. After five within an
// hour the wait is longer, and other ways stay open.
func TestPage_SendAgain(t *testing.T) {
	s := newSite(t, true)
	b := s.browser()
	b.mailed()
	b.signIn("bob")
	b.at("/verify")
	const button, waiting = `document.querySelector("[data-wait]")`, `document.querySelector("[data-waiting]").textContent`
	if !evaluate[bool](b, button+".disabled") {
		t.Error("the button does not wait")
	}
	b.sees("Send another code\nin ")
	first := evaluate[string](b, waiting)
	b.until("counting down", func() bool { return evaluate[string](b, waiting) != first })
	s.later(58 * time.Second)
	b.visit("/verify")
	b.until("the end of the wait", func() bool { return evaluate[bool](b, fmt.Sprintf("!%s?.disabled", button)) })
	b.seesNot("Send another code\nin ")
	s.later(2 * time.Second)

	old := b.sentCode(bobMail)
	b.click("Send another code")
	b.at("/verify")
	b.seesNot("There is a problem")
	b.fill("Six-digit code", old)
	b.click("Continue")
	b.sees("That code was not accepted. Type the newest one that we sent")
	b.typeSent(bobMail)
	b.at("/")

	plain := b.profile()
	plain.withoutScript()
	for range 3 {
		s.later(time.Minute)
		plain.signIn("bob")
		plain.at("/verify")
		plain.seesNot("There is a problem")
	}
	plain.sees("Send another code\nin ")
	plain.click("Send another code")
	plain.at("/verify")
	plain.sees("Codes are not sent that often. You can ask for another in")
	plain.fill("Six-digit code", plain.sentCode(bobMail)) // what was sent stays good
	plain.click("Continue")
	plain.at("/")
	s.later(time.Minute)
	plain.signIn("bob")
	plain.at("/verify")
	plain.sees("You can ask for another in 5", "minutes", "Send code by email")
	s.later(time.Hour)
	plain.signIn("bob")
	plain.seesNot("There is a problem")
	plain.typeSent(bobMail)
	plain.at("/")
}

// With the mail server down the page says so, and another way works at once. Who has
// no other asks again when it is back.
func TestPage_MailServerDown(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	codes := b.enroll("alice")
	b.visit("/security")
	b.click("Turn on codes by email")
	b.click("Turn on")
	b.inbox().click("Stop the mail server")
	for _, way := range []func(){
		func() { b.click("Send code by SMS"); b.typeSent(alicePhone) },
		func() { b.click("Use your authenticator app instead"); b.typeCode() },
		func() {
			b.click("Use a backup code instead")
			b.fill("Backup code", codes[0])
			b.click("Continue")
		},
	} {
		b.signOut()
		b.signIn("alice")
		b.click("Send code by email")
		b.at("/verify")
		b.sees("We could not send the code", "Should a code reach a•••e@example.com all the same")
		way()
		b.at("/")
		s.later(time.Minute)
	}

	optional := newSite(t, true)
	b = optional.browser()
	b.mailed()
	b.inbox().click("Stop the mail server")
	b.signIn("bob")
	b.at("/verify")
	b.sees("We could not send the code")
	b.inbox().click("Start the mail server again")
	optional.later(time.Minute)
	b.visit("/verify")
	b.click("Send another code")
	b.seesNot("There is a problem")
	b.typeSent(bobMail)
	b.at("/")
}

// Codes by email and SMS work without JavaScript: the setup, a sign-in, the settings.
func TestPage_SentWithoutJavaScript(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.withoutScript()
	b.signIn("alice")
	b.click("Get codes by SMS instead")
	b.click("Send code by SMS")
	b.typeSent(alicePhone)
	b.at("/")
	b.visit("/security")
	b.click("Change number")
	b.fill("Mobile number", "0044 (7700) 900.777")
	b.click("Send code")
	b.typeSent("+447700900777")
	b.at("/security")
	b.sees("It can be sent to +44 ••• ••• 77")
	b.signOut()
	s.later(time.Minute)
	b.signIn("alice")
	b.at("/verify")
	b.do("ticking the box", chromedp.Click(chromedp.CSS("input[name=remember]")))
	b.typeSent("+447700900777")
	b.at("/")
	b.visit("/security")
	b.click("Forget Chrome on Linux")
	b.sees("Forgotten")
}

// A code that was sent for one sign-in opens no other, and none after ten minutes.
func TestPage_OtherSignIn(t *testing.T) {
	s := newSite(t, true)
	b := s.browser()
	b.mailed()
	b.signIn("bob")
	code := b.sentCode(bobMail)
	s.later(time.Minute)
	thief := b.profile()
	thief.signIn("bob")
	thief.fill("Six-digit code", code)
	thief.click("Continue")
	thief.at("/verify")
	thief.sees("That code was not accepted")
	s.later(9 * time.Minute)
	b.fill("Six-digit code", code)
	b.click("Continue")
	b.at("/sign-in")
	b.sees("took too long")
}

// A user who was reset shows first that she reads the mail of her account: then she
// sets up a new app.
func TestPage_AfterReset(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.enroll("bob")
	if err := s.app.guard.Operator("support", "lost phone").Reset(t.Context(), "u-2"); err != nil {
		t.Fatal(err)
	}
	b.signIn("bob")
	b.at("/verify")
	b.sees("We sent a code to •••@example.com")
	b.seesNot("Remember this browser", "backup code")
	b.typeSent(bobMail)
	b.at("/setup")
	b.scanQR()
	b.typeCode()
	b.saveCodes()
	b.at("/")
}

// An address that was changed by somebody else comes back by the link that the old one
// got: everybody is signed out, and the password has to be changed.
func TestPage_BringAddressBack(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.enroll("alice")
	b.visit("/security")
	b.click("Turn on codes by email")
	b.click("Turn on")
	b.click("Change address")
	b.fill("Email address", "mallory@")
	b.do("no asking", chromedp.SetAttributeValue(chromedp.CSS("#address"), "type", "text"))
	b.click("Send code")
	b.sees("Type a whole email address")
	b.fill("Email address", " mallory@example.net ")
	b.click("Send code")
	b.typeSent("mallory@example.net")
	b.at("/security")
	b.sees("Confirmed. Codes can be sent there from now on", "m•••y@example.net")

	mail := b.inbox()
	old := evaluate[string](mail, `document.querySelector("[data-to='alice@example.com']").innerText`)
	if !strings.Contains(old, "Where we send codes by email was changed") || !strings.Contains(old, "Bring the old one back") {
		t.Fatalf("the old address got %q", old)
	}
	mail.click("Bring the old one back")
	mail.at("/undo")
	link := evaluate[string](mail, "location.pathname + location.search")
	mail.visit(link)
	b.visit("/security")
	b.at("/security") // opening it did nothing
	mail.click("Bring it back")
	mail.at("/sign-in")
	mail.sees("The old one is back. Sign in, and choose a new password")
	b.visit("/security")
	b.at("/sign-in") // signed out

	b.signIn("alice")
	b.click("Send code by email")
	b.typeSent(aliceMail)
	b.at("/new-password")
	b.typePassword("", betterPassword)
	b.at("/security") // where she was heading

	mail.visit(link)
	mail.click("Bring it back")
	mail.at("/undo/over")
	mail.sees("This link no longer works")
}
