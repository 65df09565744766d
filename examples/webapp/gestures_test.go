package main

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

// visit opens a page by its address.
func (t *tab) visit(path string) {
	t.t.Helper()
	t.leads("opening "+path, chromedp.Navigate(t.url+path))
}

// until waits for something that no event tells.
func (t *tab) until(what string, ok func() bool) {
	t.t.Helper()
	for deadline := time.After(patience); !ok(); {
		select {
		case <-deadline:
			t.check(fmt.Errorf("not in %v", patience), "%s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// back and forward press the buttons of the browser, which ends up at path.
func (t *tab) back(path string)    { t.t.Helper(); t.history(-1, path) }
func (t *tab) forward(path string) { t.t.Helper(); t.history(+1, path) }

func (t *tab) history(by int, path string) {
	t.t.Helper()
	to, now := evaluate[int](t, "navigation.currentEntry.index")+by, evaluate[int](t, "Date.now()")
	evaluate[int](t, fmt.Sprintf("setTimeout(() => history.go(%d))", by)) // once the answer to this has been sent
	// A page that comes from memory is older, until it loads itself anew.
	arrived := fmt.Sprintf(`navigation.currentEntry.index === %d && location.pathname === %q && document.readyState === "complete" &&
		performance.timeOrigin >= %d`, to, path, now)
	t.until(fmt.Sprintf("going %d in the history to %s", by, path), func() bool {
		there, err := chromedp.Run(t.limit(), chromedp.Evaluate[bool](arrived))
		return err == nil && there // an error while the pages change
	})
}

// click presses the button or follows the link that reads so, and waits for the
// page that it leads to.
func (t *tab) click(name string) {
	t.t.Helper()
	t.leads("pressing "+name, chromedp.Click(control(name)))
}

func control(name string) chromedp.Search {
	return chromedp.Search(fmt.Sprintf("//*[self::button or self::a][normalize-space()=%q or @aria-label=%q or h2=%q]", name, name, name))
}

// fill types into the field with this label, in place of what is there.
func (t *tab) fill(label, text string) {
	t.t.Helper()
	field := chromedp.Search(fmt.Sprintf("//input[@id=//label[normalize-space()=%q]/@for]", label))
	t.do("going to "+label, chromedp.Focus(field))
	evaluate[bool](t, "document.activeElement.select() ?? true")
	t.do("filling "+label, chromedp.SendKeys(field, text))
}

// at fails unless the page is the one at path.
func (t *tab) at(path string) {
	t.t.Helper()
	if got := t.path(); got != path {
		t.check(fmt.Errorf("at %s", got), "want %s", path)
	}
}

func (t *tab) path() string {
	s, _ := chromedp.Run(t.limit(), chromedp.Location())
	u, err := url.Parse(s)
	if err != nil {
		return s
	}
	return u.Path
}

// text returns what the page reads.
func (t *tab) text() string {
	s, _ := chromedp.Run(t.limit(), chromedp.Evaluate[string]("document.body.innerText"))
	return s
}

// sees fails unless the page reads each of words.
func (t *tab) sees(words ...string) {
	t.t.Helper()
	text := t.text()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.check(fmt.Errorf("it is not there"), "want %q", w)
		}
	}
}

func (t *tab) seesNot(words ...string) {
	t.t.Helper()
	text := t.text()
	for _, w := range words {
		if strings.Contains(text, w) {
			t.check(fmt.Errorf("it is there"), "want no %q", w)
		}
	}
}

// signIn types name and password on the sign-in page.
func (t *tab) signIn(name string) { t.t.Helper(); t.signInWith(name, demoPassword) }

func (t *tab) signInWith(name, password string) {
	t.t.Helper()
	if t.path() != "/sign-in" {
		t.visit("/sign-in")
	}
	t.fill("User name", name)
	t.fill("Password", password)
	t.click("Continue")
}

// scanQR points the app at what is on the screen.
func (t *tab) scanQR() {
	t.t.Helper()
	image, err := chromedp.Run(t.limit(), chromedp.ScreenshotScale(chromedp.CSS("#qr"), 2))
	t.check(err, "a picture of the QR code")
	file := filepath.Join(t.t.TempDir(), "qr.png")
	if err := os.WriteFile(file, image, 0o600); err != nil {
		t.t.Fatal(err)
	}
	out, err := exec.Command(program(t.t, "zbarimg"), "--quiet", "--raw", file).Output()
	t.check(err, "zbarimg")
	u, err := url.Parse(strings.TrimSpace(string(out)))
	t.check(err, "the scanned address")
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Query().Get("issuer") != issuer {
		t.t.Fatalf("the QR code is no otpauth URI of %s", issuer)
	}
	t.key = u.Query().Get("secret")
}

// readKey types the key under the QR code into the app.
func (t *tab) readKey() {
	t.t.Helper()
	t.key = strings.ReplaceAll(evaluate[string](t, `document.querySelector("#key").innerText`), " ", "")
}

// code is what the app shows at the time it is for the application.
func (t *tab) code() string {
	t.t.Helper()
	now := fmt.Sprintf("@%d", t.app.clock.Now().Unix())
	out, err := exec.Command(program(t.t, "oathtool"), "--totp", "-b", t.key, "--now="+now).Output()
	t.check(err, "oathtool")
	return strings.TrimSpace(string(out))
}

// typeCode types the code that the app shows next: each is good once.
func (t *tab) typeCode() {
	t.t.Helper()
	t.later(30 * time.Second)
	t.fill("Six-digit code", t.code())
	t.click("Continue")
}

// readCodes returns the backup codes on the page.
func (t *tab) readCodes() []string {
	t.t.Helper()
	codes := evaluate[[]string](t, `Array.from(document.querySelectorAll("#codes li"), (li) => li.textContent.trim())`)
	if len(codes) != 10 || slices.ContainsFunc(codes, func(c string) bool { return len(c) != 19 }) {
		t.t.Fatalf("%d backup codes, want 10 of 19 characters", len(codes))
	}
	return codes
}

// saveCodes reads the backup codes, ticks the box and goes on.
func (t *tab) saveCodes() []string {
	t.t.Helper()
	codes := t.readCodes()
	t.do("ticking the box", chromedp.Click(chromedp.CSS("input[name=saved]")))
	t.click("Continue")
	return codes
}

// enroll signs in for the first time and goes through the whole setup.
func (t *tab) enroll(name string) []string {
	t.t.Helper()
	t.signIn(name)
	t.at("/setup")
	t.scanQR()
	t.typeCode()
	t.at("/codes")
	codes := t.saveCodes()
	t.at("/")
	return codes
}

// turnOn sets an app up from the security page.
func (t *tab) turnOn() []string {
	t.t.Helper()
	t.visit("/security")
	t.click("Turn on")
	t.at("/setup")
	t.scanQR()
	t.typeCode()
	return t.saveCodes()
}

// inbox opens the user's mail in another tab.
func (t *tab) inbox() *tab {
	t.t.Helper()
	if t.mail == nil {
		t.mail = t.newTab()
	}
	t.mail.visit("/dev/inbox")
	return t.mail
}

// letters returns what was sent to an address, newest first.
func (t *tab) letters(to string) []string {
	t.t.Helper()
	return evaluate[[]string](t.inbox(), fmt.Sprintf(`Array.from(document.querySelectorAll("[data-to='%s']"), (l) => l.innerText)`, to))
}

// sentCode returns the newest code that was sent to an address.
func (t *tab) sentCode(to string) string {
	t.t.Helper()
	code := evaluate[string](t.inbox(), fmt.Sprintf(`document.querySelector("[data-to='%s'] .sent-code")?.textContent ?? ""`, to))
	if len(code) != 6 {
		t.check(fmt.Errorf("it is %q", code), "a code sent to %s", to)
	}
	return code
}

// typeSent types the newest code that was sent to an address.
func (t *tab) typeSent(to string) {
	t.t.Helper()
	t.fill("Six-digit code", t.sentCode(to))
	t.click("Continue")
}

// signOut presses Sign out on the security page.
func (t *tab) signOut() {
	t.t.Helper()
	t.visit("/security")
	t.click("Sign out")
	t.at("/sign-in")
}
