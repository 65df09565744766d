package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// A2: a user turns on an authenticator app in her settings: she scans a QR code,
// or types the secret shown under it, and confirms with a code.
func TestPage_A2_TurnOnAuthenticator(t *testing.T) {
	s := newSite(t, true)
	b := s.browser()
	b.signIn("bob")
	b.at("/") // nothing is asked yet
	b.click("Security")
	b.sees("Turn on two-step verification", "Nothing but your password protects your account")
	b.click("Turn on")
	b.at("/setup")
	b.scanQR()
	scanned := b.key
	b.readKey()
	if b.key != scanned {
		t.Fatal("the key under the QR code is not the one in it")
	}
	s.later(30 * time.Second)
	right := b.code()
	b.fill("Six-digit code", other(right))
	b.click("Continue")
	b.at("/setup")
	b.sees("That code was not accepted")
	b.readKey()
	if b.key != scanned {
		t.Fatal("a slip changed the key")
	}
	b.fill("Six-digit code", right[:3]+" "+right[3:]) // as the app shows it
	b.click("Continue")
	b.saveCodes()
	b.at("/security")
	b.sees("Your authenticator app is set up", "10 left")
	b.seesNot("Nothing but your password")

	// Typing the secret works as well, with another app on the same account.
	b.click("Add another app")
	b.readKey()
	b.typeCode()
	b.fill("Name", "Tablet")
	b.click("Save")
	b.sees("Tablet")

	// From now on a code is asked.
	b.click("Sign out")
	b.signIn("bob")
	b.at("/verify")
	b.typeCode()
	b.at("/")
}

// other returns six digits that are not code.
func other(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+5)%10)
}

// A4: a user disables the authenticator app. Where the rules require one, the
// last stays.
func TestPage_A4_DisableAuthenticator(t *testing.T) {
	s := newSite(t, true)
	b := s.browser()
	b.signIn("carol")
	b.turnOn()
	b.click("Remove Authenticator app")
	b.at("/security/confirm") // proven a moment ago
	b.sees("It is your last one")
	b.click("Remove")
	b.at("/security")
	b.sees("The authenticator app is removed", "Nothing but your password")
	b.seesNot("Backup codes\n")
	b.click("Sign out")
	b.signIn("carol")
	b.at("/")

	required := newSite(t, false)
	b = required.browser()
	b.enroll("carol")
	b.visit("/security")
	b.click("Remove Authenticator app")
	b.click("Remove")
	b.sees("This is your last authenticator app, and two-step verification is required")
	b.click("Keep things as they are")
	b.sees("10 left")
}

// A5: a user sees where she is signed in, recognizes the browser before her, and
// ends any other session, which fails at its next request.
func TestPage_A5_Sessions(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.enroll("alice")
	phone := b.profile()
	phone.screen(360, "light")
	phone.signIn("alice")
	phone.typeCode()
	phone.at("/")
	third := b.profile()
	third.signIn("alice")
	third.typeCode()

	b.visit("/security")
	b.sees("Chrome on Linux", "127.0.0.1", "Last active just now", "This browser")
	rows := `Array.from(document.querySelectorAll("[aria-labelledby=sessions] li"), (li) => li.innerText)`
	sessions := evaluate[[]string](b, rows)
	if len(sessions) != 3 || !strings.Contains(sessions[0], "This browser") || strings.Contains(sessions[1]+sessions[2], "This browser") {
		t.Fatalf("sessions: %q", sessions)
	}
	s.later(6 * time.Minute) // the proof is no longer fresh
	third.visit("/")
	b.visit("/security")
	if rows := evaluate[[]string](b, rows); !strings.Contains(strings.Join(rows, "\n"), "Last active 6 minutes ago") {
		t.Errorf("last activity is not shown: %q", rows)
	}

	// The oldest of the others is last: the phone.
	b.leads("pressing the last Sign out", chromedp.Click(chromedp.Search(`(//button[@aria-label="Sign out Chrome on Linux"])[last()]`)))
	b.at("/verify")
	b.typeCode()
	b.at("/security/confirm")
	b.click("Sign out this browser")
	b.sees("Signed out. Those browsers have to sign in again")
	phone.visit("/security")
	phone.at("/sign-in")
	phone.sees("You were signed out")
	third.visit("/security")
	third.at("/security")

	b.click("Sign out all others")
	b.click("Sign out all others")
	third.click("Home")
	third.at("/sign-in")
	b.visit("/security")
	b.at("/security")
	if sessions := evaluate[[]string](b, rows); len(sessions) != 1 {
		t.Errorf("sessions: %q", sessions)
	}
}

// B3: the first sign-in asks for user name and password, then shows a QR code;
// scanning it and typing the six digits signs the user in.
// B4: the next sign-ins ask for user name and password, then for six digits.
func TestPage_B3_B4_FirstAndNextSignIn(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.visit("/security")
	b.at("/sign-in")
	b.signIn("dave")
	b.at("/setup")
	b.scanQR()
	b.typeCode()
	b.saveCodes()
	b.at("/security") // where he was heading

	b.click("Sign out")
	b.at("/sign-in")
	b.signIn("dave")
	b.at("/verify")
	b.visit("/") // the password alone opens nothing
	b.at("/sign-in")
	b.visit("/verify")
	s.later(30 * time.Second)
	code := b.code()
	b.fill("Six-digit code", other(code))
	b.click("Continue")
	b.at("/verify")
	b.sees("That code was not accepted")
	b.fill("Six-digit code", code)
	b.click("Continue")
	b.at("/")

	// The code is used up, in another browser too.
	stranger := b.profile()
	stranger.signIn("dave")
	stranger.fill("Six-digit code", code)
	stranger.click("Continue")
	stranger.at("/verify")
	stranger.sees("That code was not accepted")
}

// B8: closing the browser without signing out does not ask again; 24 hours after
// sign-in the session ends by itself.
func TestPage_B8_SessionLife(t *testing.T) {
	s := newSite(t, false)
	dir := t.TempDir()
	b, quit := s.open(dir)
	b.enroll("alice")
	quit()

	again, _ := s.open(dir)
	again.visit("/security")
	again.at("/security")
	again.sees("This browser")
	s.later(22 * time.Hour)
	again.visit("/security") // use does not lengthen it
	again.visit("/dev/clock")
	again.click("1 hour")
	again.visit("/security")
	again.at("/security")
	again.visit("/dev/clock")
	again.click("1 hour")
	again.visit("/security")
	again.at("/sign-in")
	again.sees("You were signed out")
	again.key = b.key
	again.signIn("alice")
	again.typeCode()
	again.at("/security")
}

// C1: two-step verification is mandatory for every account: every user meets the
// setup screen at the first sign-in and must complete it.
// C3: the setup's Continue leads to the backup codes, which can be copied or
// downloaded; completing them signs the user in.
func TestPage_C1_C3_MandatorySetup(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	for _, name := range []string{"alice", "bob"} {
		tab := b.profile()
		tab.signIn(name)
		tab.at("/setup")
		for _, path := range []string{"/", "/security", "/codes", "/verify", "/new-password"} {
			tab.visit(path)
			if at := tab.path(); at != "/setup" && at != "/sign-in" {
				t.Fatalf("%s leads to %s before the setup is done", path, at)
			}
		}
		tab.signIn(name) // it cannot be left and skipped the second time either
		tab.at("/setup")
	}

	b.signIn("carol")
	b.scanQR()
	b.typeCode()
	b.at("/codes")
	codes := b.readCodes()
	b.visit("/")
	b.at("/sign-in") // not signed in before the codes are saved
	b.visit("/codes")
	if again := b.readCodes(); fmt.Sprint(again) != fmt.Sprint(codes) {
		t.Error("a reload shows other codes")
	}

	b.do("pressing Copy", chromedp.Click(control("Copy")), chromedp.WaitReady(control("Copied")))
	text := b.download("cedar-backup-codes.txt")
	for _, code := range codes {
		if !strings.Contains(text, code+"\n") {
			t.Error("the file lacks a code")
		}
	}
	b.saveCodes()
	b.at("/")
	b.sees("Hello, Carol")
	b.visit("/codes")
	b.at("/") // never shown again
}

// C4: sign-in asks for user name and password, then the code; a backup code works
// instead, and each one once.
func TestPage_C4_BackupCode(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	codes := b.enroll("alice")
	use := func(code string) {
		b.visit("/security")
		b.click("Sign out")
		b.signIn("alice")
		b.at("/verify")
		b.click("Use a backup code instead")
		b.fill("Backup code", code)
		b.click("Continue")
	}
	use(codes[0])
	b.at("/")
	b.visit("/security")
	b.sees("9 left", "Backup code used")

	use(codes[0])
	b.at("/verify")
	b.sees("That backup code was not accepted", "Backup code") // and the page still asks for one
	b.fill("Backup code", strings.ToLower(strings.ReplaceAll(codes[1], "-", " ")))
	b.click("Continue")
	b.at("/")
	b.visit("/security")
	b.sees("8 left")
}

// C6: new backup codes ask for the password, replace the whole set, and show it to
// copy or download.
func TestPage_C6_NewBackupCodes(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	old := b.enroll("alice")
	s.later(6 * time.Minute)
	b.visit("/security")
	b.click("Get new codes")
	b.at("/verify")
	b.typeCode()
	b.at("/security/confirm")
	b.fill("Password", "wrong")
	b.click("Get new codes")
	b.at("/security/confirm")
	b.sees("That password was not accepted")
	b.fill("Password", demoPassword)
	b.click("Get new codes")
	b.at("/codes")
	text := b.download("cedar-backup-codes.txt")
	codes := b.saveCodes()
	b.at("/security")
	b.sees("10 left", "The old ones no longer work")
	for i, code := range codes {
		if old[i] == code || !strings.Contains(text, code+"\n") {
			t.Error("a code is an old one, or not in the file")
		}
	}
	b.click("Sign out")
	b.signIn("alice")
	b.click("Use a backup code instead")
	b.fill("Backup code", old[5])
	b.click("Continue")
	b.sees("That backup code was not accepted")
	b.fill("Backup code", codes[5])
	b.click("Continue")
	b.at("/")

	// Whoever sits down before an open session does not guess the password there.
	b.visit("/security")
	b.click("Get new codes")
	for range 5 {
		b.fill("Password", "wrong")
		b.click("Get new codes")
	}
	b.fill("Password", demoPassword)
	b.click("Get new codes")
	b.at("/security/confirm")
	b.sees("Too many tries. Try again in")
}

// D2: scan the QR code, type the one-time code, Continue; recovery codes are
// shown; "I have safely recorded these" must be ticked before Continue works.
func TestPage_D2_RecordedTick(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.signIn("alice")
	b.scanQR()
	b.typeCode()
	codes := b.readCodes()
	b.do("pressing Continue", chromedp.Click(control("Continue")))
	if !evaluate[bool](b, `document.querySelector("input[name=saved]").matches(":invalid")`) {
		t.Error("the browser does not ask for the tick")
	}
	b.at("/codes")

	// A browser that does not ask, or a program, is asked by the server.
	b.do("no asking", chromedp.RemoveAttribute(chromedp.CSS("input[name=saved]"), "required"))
	b.click("Continue")
	b.at("/codes")
	b.sees("Tick the box when you have copied, downloaded or printed your codes")
	if again := b.readCodes(); fmt.Sprint(again) != fmt.Sprint(codes) {
		t.Error("the codes changed")
	}
	b.saveCodes()
	b.at("/")
}
