package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/seed-1320b244/mfa"
)

// userAgent is what a person's browser says: that of a headless one is a robot's.
const userAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36"

// program returns the path of a program that the test needs. It skips the test
// when none of the names is installed, and fails it where MFA_REQUIRE_SERVICES
// says that nothing may be missing.
func program(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("MFA_REQUIRE_SERVICES") == "1" {
		t.Fatalf("%s is not installed", names[0])
	}
	t.Skipf("%s is not installed", names[0])
	return ""
}

// A site is the application, running, and what browsers complain of.
type site struct {
	t   *testing.T
	app *app
	url string

	slow  atomic.Bool  // forms take a while
	forms atomic.Int64 // how many were sent

	mu       sync.Mutex
	problems []string
	expected string // an address that may fail
}

// newSite starts the application. With optional, it is left to each user whether
// to have a second factor. The test fails in the end if any page caused an error.
func newSite(t *testing.T, optional bool, options ...func(*mfa.Config)) *site {
	t.Helper()
	program(t, "oathtool")
	options = append(options, func(c *mfa.Config) { c.InsecureFastHashing = true })
	a, err := newApp(optional, slog.New(slog.NewTextHandler(io.Discard, nil)), options...)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.register(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := a.work()
	s := &site{t: t, app: a}
	handler := a.handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			s.forms.Add(1)
			if s.slow.Load() {
				<-time.After(500 * time.Millisecond)
			}
		}
		handler.ServeHTTP(w, r)
	}))
	s.url = server.URL
	a.inbox.from(s.url)
	t.Cleanup(func() {
		server.Close()
		stop()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, p := range s.problems {
			t.Errorf("the browser's console: %s", p)
		}
	})
	return s
}

// later lets time pass for the application.
func (s *site) later(d time.Duration) { s.app.clock.advance(d) }

// listen collects what no page may cause: errors, exceptions and whatever the
// Content-Security-Policy blocked.
func (s *site) listen(event any) {
	problem := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Source == log.EntrySourceSecurity {
			problem = e.Entry.Text + " " + e.Entry.URL
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError {
			problem = fmt.Sprint("console.error ", e.Args)
		}
	case *runtime.EventExceptionThrown:
		problem = e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			problem += " " + e.ExceptionDetails.Exception.Description
		}
	case *audits.EventIssueAdded:
		if e.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue {
			problem = "Content-Security-Policy: " + e.Issue.Details.ContentSecurityPolicyIssueDetails.ViolatedDirective
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if problem != "" && (s.expected == "" || !strings.HasSuffix(problem, " "+s.expected)) {
		s.problems = append(s.problems, problem)
	}
}

// chromium starts a browser on the user data in dir. Closed as a person would
// close it, what it keeps there is complete.
func chromium(path, dir string) (ctx context.Context, quit func() error, err error) {
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.UserAgent(userAgent),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.WindowSize(1280, 900),
	}
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	quit = sync.OnceValue(func() error {
		defer stop()
		defer cancel()
		return chromedp.Cancel(ctx)
	})
	return ctx, quit, chromedp.Do(ctx)
}

// shared is the browser of all tests. Each has profiles of its own in it.
var shared struct {
	ctx  context.Context
	quit func() error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.quit != nil {
		if err := shared.quit(); err != nil {
			fmt.Println("closing the browser:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// browser returns the tab of somebody who has not been here before.
func (s *site) browser() *tab {
	s.t.Helper()
	path := program(s.t, "chromium", "google-chrome")
	if shared.quit == nil {
		dir, err := os.MkdirTemp("", "webapp-browser-")
		if err != nil {
			s.t.Fatal(err)
		}
		ctx, quit, err := chromium(path, dir)
		if err != nil {
			s.t.Fatalf("starting the browser: %v", err)
		}
		shared.ctx, shared.quit = ctx, func() error { return errors.Join(quit(), os.RemoveAll(dir)) }
	}
	return s.tab(shared.ctx, chromedp.WithNewBrowserContext())
}

// profile returns the tab of another person, or of the same one elsewhere: it has
// her app and none of the cookies.
func (t *tab) profile() *tab {
	t.t.Helper()
	other := t.browser()
	other.key = t.key
	return other
}

// newTab returns another tab of the same browser.
func (t *tab) newTab() *tab {
	t.t.Helper()
	other := t.tab(t.ctx)
	other.key = t.key
	return other
}

// open starts a browser of its own on the user data in dir.
func (s *site) open(dir string) (b *tab, quit func()) {
	s.t.Helper()
	ctx, end, err := chromium(program(s.t, "chromium", "google-chrome"), dir)
	if err != nil {
		s.t.Fatalf("starting the browser: %v", err)
	}
	quit = func() {
		if err := end(); err != nil {
			s.t.Errorf("closing the browser: %v", err)
		}
	}
	s.t.Cleanup(quit)
	return s.tab(ctx), quit
}

// A tab is one page of a browser, and the person before it with an authenticator
// app. Its methods fail the test when a gesture is not possible.
type tab struct {
	*site
	ctx  context.Context
	key  string // in the app: base32
	mail *tab   // where she reads her mail

	scriptless bool
}

func (s *site) tab(parent context.Context, options ...chromedp.ContextOption) *tab {
	s.t.Helper()
	ctx, cancel := chromedp.NewContext(parent, append(options, chromedp.WithListener(s.listen))...)
	s.t.Cleanup(cancel)
	t := &tab{site: s, ctx: ctx}
	// The deadlines of gestures must not be those of the tab.
	if err := chromedp.Do(ctx); err != nil {
		s.t.Fatalf("a new tab: %v", err)
	}
	_, err := chromedp.Call(t.limit(), audits.Enable, cdp.Empty{})
	t.check(err, "a new tab")
	return t
}

func (t *tab) check(err error, format string, args ...any) {
	t.t.Helper()
	if err != nil {
		t.shot("failed")
		t.t.Fatalf("%s: %v, on %s:\n%s", fmt.Sprintf(format, args...), err, t.path(), t.text())
	}
}

// patience is how long a gesture may take on a busy machine.
const patience = 30 * time.Second

// limit bounds one gesture.
func (t *tab) limit() context.Context {
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	t.t.Cleanup(cancel)
	return ctx
}

func (t *tab) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	t.t.Helper()
	t.check(chromedp.Do(t.limit(), steps...), "%s", what)
}

// leads carries out steps that open a page, and waits for it.
func (t *tab) leads(what string, steps ...chromedp.Action[chromedp.Void]) {
	t.t.Helper()
	_, err := chromedp.RunResponse(t.limit(), steps...)
	t.check(err, "%s", what)
}

func evaluate[T any](t *tab, js string) T {
	t.t.Helper()
	v, err := chromedp.Run(t.limit(), chromedp.Evaluate[T](js))
	if err != nil {
		t.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// shot keeps a picture of the whole page in the folder that MFA_SCREENSHOTS
// names. Without it there are no pictures.
func (t *tab) shot(name string) {
	dir := os.Getenv("MFA_SCREENSHOTS")
	if dir == "" {
		return
	}
	image, err := chromedp.Run(t.limit(), chromedp.FullScreenshot(100))
	if err != nil {
		t.t.Logf("no picture of %s: %v", name, err)
		return
	}
	dir = filepath.Join(dir, t.t.Name())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), image, 0o600); err != nil {
		t.t.Fatal(err)
	}
}

// screen makes the tab one of a width in pixels, light or dark.
func (t *tab) screen(width int64, scheme string) {
	t.t.Helper()
	_, err := chromedp.Call(t.limit(), emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	})
	t.check(err, "a %s screen", scheme)
	options := []chromedp.EmulateViewportOption{}
	if width < 500 {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	t.do("a screen", chromedp.EmulateViewport(width, 800, options...))
}

// phone makes the tab say that it is a browser on an iPhone.
func (t *tab) phone() {
	t.t.Helper()
	_, err := chromedp.Call(t.limit(), emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
		UserAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
	})
	t.check(err, "a phone")
}

// paper makes the tab show the page as it is printed.
func (t *tab) paper(on bool) {
	t.t.Helper()
	media := ""
	if on {
		media = "print"
	}
	_, err := chromedp.Call(t.limit(), emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Media: media})
	t.check(err, "paper")
}

// withoutScript makes the tab one in which JavaScript is off.
func (t *tab) withoutScript() {
	t.t.Helper()
	_, err := chromedp.Call(t.limit(), emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	t.check(err, "JavaScript off")
	t.scriptless = true
}

// download presses Download and returns the text of the file.
func (t *tab) download(name string) string {
	t.t.Helper()
	dir := t.t.TempDir()
	_, err := chromedp.CallBrowser(t.limit(), cdpbrowser.SetDownloadBehavior, cdpbrowser.SetDownloadBehaviorParams{
		Behavior: "allow", DownloadPath: dir, BrowserContextID: chromedp.FromContext(t.ctx).BrowserContextID,
	})
	t.check(err, "downloads")
	t.do("pressing Download", chromedp.Click(control("Download")))
	var text []byte
	t.until("a download", func() bool {
		text, _ = os.ReadFile(filepath.Join(dir, name))
		return len(text) > 0
	})
	return string(text)
}
