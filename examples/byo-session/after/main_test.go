package main

import (
	"database/sql"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A person is a browser and what its user sees.
type person struct {
	t    *testing.T
	url  string
	http *http.Client
	path string // of the page
	text string // on it
}

type site struct {
	t     *testing.T
	url   string
	clock *mfatest.Clock
}

func start(t *testing.T) *site {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "byo.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	keys, err := mfa.ParseKeys(mfa.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	clock := mfatest.NewClock(time.Now())
	a, err := newApp(db, keys, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []user{{"1", "ada@acme.example", "acme"}, {"2", "bob@birch.example", "birch"}} {
		if err := a.register(t.Context(), u, "correct horse"); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(a.handler())
	t.Cleanup(server.Close)
	return &site{t, server.URL, clock}
}

func (s *site) person() *person {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &person{t: s.t, url: s.url, http: &http.Client{Jar: jar}}
}

func (p *person) read(resp *http.Response, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	p.path, p.text = resp.Request.URL.RequestURI(), string(body)
}

func (p *person) open(path string) {
	p.t.Helper()
	p.read(p.http.Get(p.url + path))
}

// send sends the form of the page she is on, with these fields.
func (p *person) send(fields ...string) {
	p.t.Helper()
	form := make(url.Values)
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	path, _, _ := strings.Cut(p.path, "?")
	if query, ok := strings.CutPrefix(p.path, "/account/step-up?"); ok {
		var err error
		if form, err = url.ParseQuery(query); err != nil {
			p.t.Fatal(err)
		}
	}
	p.read(p.http.PostForm(p.url+path, form))
}

func (p *person) signIn(email string) {
	p.t.Helper()
	p.open("/account/sign-in")
	p.send("name", email, "password", "correct horse")
}

// at fails unless she is on a page that begins like this and says this.
func (p *person) at(path, text string) {
	p.t.Helper()
	if !strings.HasPrefix(p.path, path) || !strings.Contains(p.text, text) {
		p.t.Fatalf("on %s, want %s with %q:\n%s", p.path, path, text, p.text)
	}
}

func (p *person) cookies() map[string]string {
	u, err := url.Parse(p.url)
	if err != nil {
		p.t.Fatal(err)
	}
	all := make(map[string]string)
	for _, c := range p.http.Jar.Cookies(u) {
		all[c.Name] = c.Value
	}
	return all
}

var key = regexp.MustCompile(`[A-Z2-7]{4}( [A-Z2-7]{4}){7,}`)

// A member sets two-step verification up at the door of her company, and whoever has
// her password alone does not come in. The session is the host's all the while.
func TestDoor(t *testing.T) {
	s := start(t)
	ada := s.person()
	ada.open("/")
	ada.at("/account/sign-in", "Password")
	ada.send("name", "ada@acme.example", "password", "wrong")
	ada.at("/account/sign-in?error=refused", "")
	ada.signIn("ada@acme.example")
	ada.at("/", "Hello, ada@acme.example")
	ada.open("/company/acme")
	ada.at("/account/step-up?org=acme", "Verify identity")
	ada.send()
	ada.at("/account/setup", "")
	secret := strings.ReplaceAll(key.FindString(ada.text), " ", "")
	app, err := mfatest.NewAuthenticator("otpauth://totp/Ledger:ada?issuer=Ledger&secret=" + secret)
	if err != nil {
		t.Fatalf("%v: %q", err, secret)
	}
	ada.send("code", app.Code(s.clock.Now()))
	ada.at("/account/codes", "backup codes")
	ada.send("saved", "yes")
	ada.at("/company/acme", "The books of acme")
	if c := ada.cookies(); len(c) != 2 || c["session"] == "" || c["mfa_browsers"] == "" {
		t.Errorf("her browser has the cookies %v", c)
	}

	thief := s.person()
	thief.open("/")
	planted := thief.cookies()["session"]
	thief.signIn("ada@acme.example")
	thief.at("/", "Hello, ada@acme.example")
	if got := thief.cookies()["session"]; got == planted {
		t.Error("the session has the id that it had before the sign-in")
	}
	thief.open("/company/acme")
	thief.send()
	thief.at("/account/verify", "")
	thief.open("/company/acme")
	thief.at("/account/step-up", "")

	s.clock.Advance(app.Period())
	bob := s.person()
	bob.signIn("bob@birch.example")
	bob.open("/company/acme")
	bob.send()
	if strings.Contains(bob.text, "The books") {
		t.Error("somebody else reads the books")
	}

	ada.path = "/account/sign-out"
	ada.send()
	if c := ada.cookies(); len(c) != 1 || c["mfa_browsers"] == "" { // what the host's session held is not for who comes next
		t.Errorf("signed out, her browser has the cookies %v", c)
	}
	ada.open("/")
	ada.at("/account/sign-in", "")
}

// Sessions from before the change belong to nobody: their users sign in once.
func TestSessionsFromBefore(t *testing.T) {
	s := start(t)
	p := s.person()
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	p.http.Jar.SetCookies(u, []*http.Cookie{{Name: "session", Value: "of-the-program-before"}})
	p.open("/")
	p.at("/account/sign-in", "")
}

// What the change takes, counted as git diff --numstat does.
func TestFewLines(t *testing.T) {
	lines := func(file string) []string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	}
	before, after := lines("../before/main.go"), lines("main.go")
	// The longest common subsequence, by dynamic programming over its length.
	row := make([]int, len(after)+1)
	for _, line := range before {
		diagonal := 0
		for j, other := range after {
			above := row[j+1]
			if line == other {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			diagonal = above
		}
	}
	added, removed := len(after)-row[len(after)], len(before)-row[len(after)]
	t.Logf("%d lines added, %d removed", added, removed)
	if added >= 100 {
		t.Errorf("%d lines added, want fewer than 100", added)
	}
}
