package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/chromedp/chromedp"
)

// axeVersion is of axe-core, which looks for what keeps people from using a page. It is
// not ours and so does not share our mistakes.
const axeVersion = "4.14.1"

var errNoAxe = errors.New("npm is not installed or its registry does not answer")

// axe is the program text of axe-core, fetched once.
var axe = sync.OnceValues(func() (string, error) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", errNoAxe
	}
	dir, err := os.MkdirTemp("", "webapp-axe-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	out, err := exec.Command(npm, "install", "--prefix", dir, "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "axe-core@"+axeVersion).CombinedOutput()
	if err != nil && (strings.Contains(string(out), "npm ERR! network") || strings.Contains(string(out), "npm error network")) {
		return "", errNoAxe
	}
	if err != nil {
		return "", fmt.Errorf("npm: %w\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "node_modules", "axe-core", "axe.min.js"))
	return string(text), err
})

// findings returns what axe-core finds on the page that is serious or critical: rule,
// impact and element. The debugger puts it there, which no policy of a page keeps out.
const findings = `(async () => {
	const found = await axe.run(document, { resultTypes: ["violations"] });
	return found.violations.filter((v) => v.impact === "serious" || v.impact === "critical")
		.flatMap((v) => v.nodes.map((n) => v.id + " (" + v.impact + "): " + n.html.slice(0, 120) + " " + n.failureSummary));
})()`

// accessible fails the test for each finding on the page as it is. Where JavaScript is off
// axe-core, which waits for timers, does not run either.
func (t *tab) accessible(name string) {
	t.t.Helper()
	if t.scriptless {
		return
	}
	program, err := axe()
	if errors.Is(err, errNoAxe) && os.Getenv("MFA_REQUIRE_SERVICES") != "1" {
		t.t.Logf("%s is not looked at by axe-core: %v", name, err)
		return
	}
	if err != nil {
		t.t.Fatal(err)
	}
	if !evaluate[bool](t, `typeof axe === "object"`) {
		t.do("axe-core", chromedp.Evaluate[chromedp.Void](program))
	}
	found, err := chromedp.Run(t.limit(), chromedp.Evaluate[[]string](findings, chromedp.EvalAwaitPromise))
	t.check(err, "axe-core")
	for _, f := range found {
		t.t.Errorf("%s: %s", name, f)
	}
}
