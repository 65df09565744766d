package main

import (
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

// The back button, a reload of every page and a second tab lead nobody astray.
func TestPage_BackReloadTabs(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	reload := func(path string) {
		t.Helper()
		b.at(path)
		b.do("reload", chromedp.Reload())
		b.at(path)
	}
	b.visit("/sign-in")
	reload("/sign-in")
	b.signIn("alice")
	reload("/setup")
	key := func() string { b.readKey(); return b.key }
	before := key()
	b.back("/sign-in")
	b.forward("/setup")
	if key() != before {
		t.Error("back and forward changed the key")
	}
	second := b.newTab() // the same flow in two tabs
	second.visit("/setup")
	second.readKey()
	if second.key != before {
		t.Error("a second tab shows another key")
	}
	b.typeCode()
	reload("/codes")
	b.back("/codes") // the step that is done is not shown again
	second.typeCode()
	second.at("/codes") // it was done in the first tab
	b.saveCodes()
	reload("/")
	b.back("/")
	b.seesNot("There is a problem")
	second.saveCodes() // of the flow that is over
	second.at("/")
	for _, path := range []string{"/security", "/security/confirm?do=codes", "/step-up?action=x&to=/security"} {
		b.visit(path)
		reload(strings.Split(path, "?")[0])
	}
	// Refused once, said once.
	stranger := b.profile()
	stranger.signIn("alice")
	stranger.fill("Six-digit code", "000000")
	stranger.click("Continue")
	stranger.sees("There is a problem")
	stranger.do("reload", chromedp.Reload())
	stranger.at("/verify")
	stranger.seesNot("There is a problem")

	// Signed out in one tab is signed out in all.
	second.visit("/security")
	b.click("Sign out")
	second.click("Get new codes")
	second.at("/sign-in")
	second.back("/sign-in") // no cache keeps the page
	b.back("/sign-in")
}

// A second click on a button does nothing that the first did not.
func TestPage_DoubleClick(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	s.slow.Store(true)
	double := func(to string) {
		t.Helper()
		before := s.forms.Load()
		// While a form is under way only the page itself can press once more.
		evaluate[int](b, `document.querySelector("button.primary").addEventListener("click", (e) => setTimeout(() => e.target.click(), 100), { once: true }), 0`)
		b.do("double click", chromedp.DoubleClick(control("Continue")))
		b.do("waiting", chromedp.WaitReady(chromedp.CSS(to)))
		if n := s.forms.Load() - before; n != 1 {
			t.Errorf("the form was sent %d times", n)
		}
		b.seesNot("There is a problem")
	}
	b.visit("/sign-in")
	b.fill("User name", "alice")
	b.fill("Password", demoPassword)
	double("#qr")
	b.scanQR()
	s.later(30 * time.Second)
	b.fill("Six-digit code", b.code())
	double("#codes")
	b.do("ticking the box", chromedp.Click(chromedp.CSS("input[name=saved]")))
	double("nav")
	b.at("/")
}

// A sign-in that takes longer than ten minutes starts again; the same for a proof
// asked of somebody who is signed in, who stays so.
func TestPage_Expired(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.signIn("alice")
	b.scanQR()
	s.later(11 * time.Minute)
	b.typeCode()
	b.at("/sign-in")
	b.sees("Please sign in again")
	b.enroll("alice")
	s.later(6 * time.Minute)
	b.visit("/security")
	b.click("Get new codes")
	b.at("/verify")
	s.later(11 * time.Minute)
	b.typeCode()
	b.at("/")
	b.sees("That took too long")

	// Signed out in another tab, the proof goes with the session.
	b.visit("/security")
	b.click("Get new codes")
	b.at("/verify")
	tab := b.newTab()
	tab.visit("/")
	tab.click("Sign out")
	b.typeCode()
	b.at("/sign-in")

	// Five wrong codes end the sign-in and lock the app for a while.
	b.signIn("alice")
	for range 5 {
		b.at("/verify")
		b.fill("Six-digit code", "000000")
		b.click("Continue")
	}
	b.at("/sign-in")
	b.signIn("alice")
	b.at("/verify")
	b.sees("Send code by SMS", "Use a backup code instead") // the app waits, so other ways are offered first
	b.click("Use your authenticator app instead")
	b.fill("Six-digit code", b.code())
	b.click("Continue")
	b.sees("Too many tries. Try again in")
	b.click("Cancel")
	b.at("/sign-in")
}

// Everything works without JavaScript: setup, codes, a code, a backup code, and
// the settings.
func TestPage_WithoutJavaScript(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.withoutScript()
	useful := func() {
		t.Helper()
		if evaluate[bool](b, `Array.from(document.querySelectorAll("[data-copy], [data-print]")).some((e) => e.checkVisibility())`) {
			t.Errorf("a button that does nothing is shown on %s", b.path())
		}
	}
	b.signIn("bob")
	useful()
	b.scanQR()
	b.typeCode()
	useful()
	codes := b.saveCodes()
	b.click("Security")
	s.later(6 * time.Minute)
	b.visit("/security")
	b.click("Get new codes")
	b.at("/verify")
	b.click("Use a backup code instead")
	b.fill("Backup code", codes[3])
	b.click("Continue")
	b.at("/security/confirm")
	b.fill("Password", demoPassword)
	b.click("Get new codes")
	b.at("/codes")
	b.saveCodes()
	b.at("/security")
	b.sees("10 left", "Your new backup codes are ready")
	b.click("Sign out")
	b.signIn("bob")
	b.typeCode()
	b.at("/")
}

// keyboard is a person who has no mouse.
type keyboard struct{ *tab }

func (k keyboard) press(keys string) {
	k.t.Helper()
	k.do("typing", chromedp.KeyEvent(keys))
	if !evaluate[bool](k.tab, `document.activeElement === document.body || getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
		k.t.Errorf("the focus is not seen, on %s: %s", k.path(), evaluate[string](k.tab, "document.activeElement.outerHTML.slice(0, 200)"))
	}
}

// enter types into what has the focus, and sends it.
func (k keyboard) enter(keys string) {
	k.t.Helper()
	k.leads("typing", chromedp.KeyEvent(keys+kb.Enter))
}

// ready waits until a field has the focus by itself: what is typed before is lost.
func (k keyboard) ready() {
	k.t.Helper()
	k.do("waiting for the field", chromedp.Poll[chromedp.Void](`document.activeElement.tagName === "INPUT"`))
}

// to presses the tab key until what has the focus reads so.
func (k keyboard) to(words string) {
	k.t.Helper()
	for range 40 {
		if evaluate[bool](k.tab, fmt.Sprintf(`[document.activeElement.ariaLabel, document.activeElement.innerText, document.activeElement.name,
			document.activeElement.querySelector(":scope > h2")?.innerText].includes(%q)`, words)) {
			return
		}
		k.press(kb.Tab)
	}
	k.check(fmt.Errorf("no focus"), "the tab key to %q", words)
}

// Everything can be done with the keyboard alone, and the focus is always seen.
func TestPage_KeyboardOnly(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	k := keyboard{b}
	b.visit("/sign-in")
	k.ready()
	k.press("alice" + kb.Tab + demoPassword)
	k.enter("")
	b.at("/setup")
	b.scanQR()
	s.later(30 * time.Second)
	k.to("code")
	k.enter(b.code())
	b.at("/codes")
	k.to("saved")
	k.press(" ")
	k.enter("")
	b.at("/")
	k.to("Skip to content")
	k.to("Security")
	k.enter("")
	s.later(6 * time.Minute)
	k.to("Rename Authenticator app")
	k.enter("")
	b.at("/verify")
	k.ready()
	k.enter(b.code())
	k.ready()
	k.enter("Phone")
	b.at("/security")
	b.sees("Phone")
	k.to("Sign out")
	k.enter("")
	b.at("/sign-in")
}

// Other sites can neither frame the pages nor send their forms, links lead nowhere
// else, and no page with a secret is kept by a cache.
func TestPage_OtherSites(t *testing.T) {
	s := newSite(t, false)
	b := s.browser()
	b.visit("/sign-in?to=//evil.example/")
	b.enroll("alice") // ends at "/"

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	form := func(path string, headers map[string]string, values url.Values) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader(values.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for k, v := range headers {
			r.Header.Set(k, v)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	credentials := url.Values{"name": {"bob"}, "password": {demoPassword}}
	if resp := form("/sign-in", map[string]string{"Sec-Fetch-Site": "cross-site"}, credentials); resp.StatusCode != http.StatusForbidden || len(resp.Cookies()) > 0 {
		t.Errorf("a sign-in sent by another site: %s", resp.Status)
	}
	resp := form("/sign-in", map[string]string{"Sec-Fetch-Site": "same-origin"}, credentials)
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/setup" {
		t.Errorf("a sign-in: %s to %s", resp.Status, resp.Header.Get("Location"))
	}
	for _, path := range []string{"/sign-in", "/setup", "/setup/qr", "/setup/open"} {
		resp, err := client.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control %q", path, got)
		}
		if policy := resp.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: Content-Security-Policy %q", path, policy)
		}
	}
}
