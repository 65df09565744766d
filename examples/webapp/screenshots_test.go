package main

import (
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// looks checks what can be measured on a page: nothing is cut off or too pale to
// read, and everything that can be filled or pressed has a name and is large enough.
// Where MFA_SCREENSHOTS names a folder it keeps pictures of every screen there.
func (t *tab) looks(name string) {
	t.t.Helper()
	screens := []struct {
		name   string
		width  int64
		scheme string
	}{
		{"phone-light", 320, "light"}, {"desktop-dark", 1280, "dark"}, // every width and every color once
		{"desktop-light", 1280, "light"}, {"phone-dark", 320, "dark"}, {"phone-390-light", 390, "light"}, {"phone-390-dark", 390, "dark"},
	}
	if os.Getenv("MFA_SCREENSHOTS") == "" {
		screens = screens[:2]
	}
	for _, screen := range screens {
		t.screen(screen.width, screen.scheme)
		for _, fault := range evaluate[[]string](t, measure) {
			t.t.Errorf("%s, %s: %s", name, screen.name, fault)
		}
		if screen.width >= 1280 {
			t.accessible(name + ", " + screen.name)
		}
		t.shot(name + "-" + screen.name)
	}
	t.screen(1280, "light")
}

// measure returns the faults of a page. Contrast is that of WCAG 2.2 section
// 1.4.3, the size of what is pressed that of section 2.5.8, and on a phone that of
// section 2.5.5, which leaves out links within a sentence.
const measure = `(() => {
	const faults = [];
	const seen = (e) => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length > 0 && !e.closest(".skip");
	const words = (e) => (e.ariaLabel || e.innerText || e.alt || "").trim();
	if (document.documentElement.scrollWidth > window.innerWidth) faults.push("wider than the screen: " + document.documentElement.scrollWidth);
	for (const card of document.querySelectorAll(".card")) for (const e of card.querySelectorAll("*"))
		if (seen(e) && e.getBoundingClientRect().right > card.getBoundingClientRect().right) faults.push("out of its card: " + e.outerHTML.slice(0, 80));
	if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
	if (!document.documentElement.lang || !document.title) faults.push("no language or no title");
	const ids = Array.from(document.querySelectorAll("[id]"), (e) => e.id);
	for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push("id twice: " + id);
	for (const e of document.querySelectorAll("[aria-describedby], [aria-labelledby]"))
		for (const id of (e.getAttribute("aria-describedby") || e.getAttribute("aria-labelledby")).split(" "))
			if (!document.getElementById(id)) faults.push("described by nothing: " + id);
	for (const e of document.querySelectorAll("input:not([type=hidden])")) if (!e.labels.length) faults.push("input without label: " + e.name);
	for (const e of document.querySelectorAll("a, button")) if (seen(e) && !words(e)) faults.push("no words: " + e.outerHTML);
	for (const e of document.querySelectorAll("button, .button, input:not([type=hidden])")) {
		const box = (e.closest("label") || e).getBoundingClientRect();
		const least = matchMedia("(pointer: coarse)").matches ? 44 : 24;
		if (seen(e) && (box.width < 24 || box.height < least)) faults.push("too small to press: " + box.height + " " + e.outerHTML);
	}
	if (matchMedia("(pointer: coarse)").matches) for (const e of document.querySelectorAll("nav a, .ways a, .other a, .brand"))
		if (seen(e) && e.getBoundingClientRect().height < 44) faults.push("too small to press: " + e.outerHTML);
	const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
	const over = (colors) => { canvas.clearRect(0, 0, 1, 1); for (const c of colors) { canvas.fillStyle = c; canvas.fillRect(0, 0, 1, 1); } return canvas.getImageData(0, 0, 1, 1).data; };
	const light = (rgb) => { const [r, g, b] = Array.from(rgb).slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	for (const e of document.querySelectorAll("body *")) {
		const own = Array.from(e.childNodes).some((n) => n.nodeType === 3 && n.data.trim());
		if (!own || !seen(e) || e.closest("svg, head, script")) continue;
		const behind = [];
		for (let p = e; p; p = p.parentElement) behind.unshift(getComputedStyle(p).backgroundColor);
		const style = getComputedStyle(e), large = parseFloat(style.fontSize) >= 24;
		const [a, b] = [light(over(behind)), light(over([...behind, style.color]))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < (large ? 3 : 4.5)) faults.push("contrast " + ratio.toFixed(2) + ": " + e.innerText.slice(0, 40));
	}
	return faults;
})()`

// Every page is fit to be read and used on a desktop and on the smallest phone,
// in the light and in the dark.
func TestPage_Screenshots(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()

	b.visit("/sign-in")
	b.looks("sign-in")
	b.fill("User name", "alice")
	b.fill("Password", "wrong")
	b.click("Continue")
	b.looks("sign-in-refused")

	b.signIn("alice")
	b.looks("setup")
	b.scanQR()
	b.fill("Six-digit code", "12345")
	b.click("Continue")
	b.looks("setup-refused")
	b.typeCode()
	b.looks("codes")
	b.paper(true)
	b.shot("codes-printed")
	b.paper(false)
	codes := b.saveCodes()
	b.looks("home")

	other := b.profile()
	other.signIn("alice")
	other.looks("verify")
	other.click("Use a backup code instead")
	other.looks("verify-backup-code")
	other.fill("Backup code", "AAAA-AAAA-AAAA-AAAA")
	other.click("Continue")
	other.looks("verify-refused")
	other.fill("Backup code", codes[0])
	other.click("Continue")

	b.click("Security")
	b.looks("security")
	s.later(6 * time.Minute)
	b.click("Add another app")
	b.looks("verify-step-up")
	b.typeCode()
	b.looks("setup-another")
	b.scanQR()
	b.typeCode()
	b.fill("Name", "Old phone")
	b.click("Save")
	b.looks("security-done")
	for _, c := range []struct{ press, name string }{
		{"Rename Authenticator app", "rename"}, {"Remove Authenticator app", "remove"}, {"Get new codes", "new-codes"},
		{"Sign out all others", "revoke-others"},
	} {
		b.visit("/security")
		b.click(c.press)
		b.looks("confirm-" + c.name)
	}
	b.visit("/step-up?action=remove_totp&to=/security")
	b.looks("step-up")
	b.visit("/dev/clock")
	b.looks("clock")

	stranger := b.profile()
	stranger.visit("/sign-in?error=throttled&wait=90")
	stranger.looks("sign-in-throttled")
	s.expected = s.url + "/nothing"
	stranger.visit("/nothing")
	stranger.looks("not-found")
}

// The same for the pages of a user who may choose, and of one in trouble.
func TestPage_ScreenshotsOptional(t *testing.T) {
	s := newSite(t, true)
	b := s.browser()
	b.signIn("bob")
	b.looks("home-off")
	b.click("Security")
	b.looks("security-off")
	s.later(6 * time.Minute)
	b.click("Turn on")
	b.looks("verify-password")
	b.fill("Password", demoPassword)
	b.click("Continue")
	b.scanQR()
	b.typeCode()
	b.saveCodes()
	b.click("Turn off asking at sign-in")
	b.looks("confirm-ask")
	b.click("Turn off")

	s.later(6 * time.Minute)
	b.click("Get new codes")
	for range 5 {
		b.fill("Six-digit code", "000000")
		b.click("Continue")
	}
	b.looks("home-over")
	b.click("Security")
	b.looks("security-paused")
	b.click("Get new codes")
	b.click("Use your authenticator app instead")
	b.fill("Six-digit code", "000000")
	b.click("Continue")
	b.sees("Too many tries")
	b.looks("verify-throttled")
}

// The same for codes by email and SMS, in all that can go well and wrong with them.
func TestPage_ScreenshotsSent(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.visit("/dev/inbox")
	b.looks("inbox-empty")
	b.signIn("alice")
	b.click("Get codes by email instead")
	b.looks("setup-email")
	b.click("Use another address")
	b.looks("setup-email-other")
	b.click("Get codes by SMS instead")
	b.click("Send code by SMS")
	b.looks("setup-sms-sent")
	b.fill("Six-digit code", "000000")
	b.click("Continue")
	b.looks("setup-sms-refused")
	b.click("Use another number")
	b.fill("Mobile number", "555")
	b.click("Send code")
	b.looks("setup-sms-number")
	b.visit("/setup?method=totp")
	b.looks("setup-choice")
	b.scanQR()
	b.typeCode()
	b.saveCodes()
	b.visit("/security")
	b.click("Turn on codes by email")
	b.looks("confirm-email-on")
	b.click("Turn on")
	b.looks("security-alice")
	b.click("Turn off codes by SMS")
	b.looks("confirm-sms-off")
	b.visit("/step-up?enroll=sms_code&to=/security")
	b.looks("step-up-enroll")

	b.signOut()
	b.signIn("alice")
	b.looks("verify-ways")
	b.click("Send code by email")
	b.looks("verify-email")
	s.later(time.Minute)
	b.click("Send code by SMS")
	s.later(time.Minute)
	b.visit("/verify")
	b.looks("verify-again")
	s.app.inbox.stop(true)
	b.click("Send code by email")
	b.looks("verify-undelivered")
	b.visit("/dev/inbox")
	b.looks("inbox-stopped")

	bob := b.profile()
	bob.enroll("bob")
	bob.visit("/security")
	bob.looks("security-bob")
	bob.click("Add number")
	bob.looks("setup-add-number")
	bob.profile().enroll("carol")
	dave := b.profile()
	dave.enroll("dave")
	dave.signOut()
	dave.signIn("dave")
	dave.do("ticking the box", chromedp.Click(chromedp.CSS("input[name=remember]")))
	dave.typeCode()
	dave.visit("/security")
	dave.looks("security-dave")
}
