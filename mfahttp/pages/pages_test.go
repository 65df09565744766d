package pages_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp/pages"
	"github.com/seed-1320b244/mfa/mfatest"
)

// files returns Files from names and texts.
func files(pairs ...string) func(*pages.Config) {
	return func(c *pages.Config) {
		all := make(fstest.MapFS)
		for i := 0; i < len(pairs); i += 2 {
			all[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
		}
		c.Files = all
	}
}

// New names everything that is missing, and finds what is broken in Files: no request
// does.
func TestNew(t *testing.T) {
	_, err := pages.New(pages.Config{Prefix: "account/"})
	if !errors.Is(err, mfa.ErrInvalid) {
		t.Fatalf("an empty configuration: %v", err)
	}
	for _, want := range []string{"Config.Guard", "Config.Users", "Config.Jobs", "Config.Product", "Config.Prefix", "Config.Pages.Home", "NoProxies"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v, does not name %s", err, want)
		}
	}
	h := newHost(t)
	for name, c := range map[string]struct{ file, text, want string }{
		"a template that does not parse":     {"templates/sign-in.html", `{{define "content"}}{{if}}`, "sign-in.html"},
		"one without content":                {"templates/reports.html", `{{define "title"}}Reports{{end}}`, "reports.html"},
		"one that ends in a tag":             {"templates/reports.html", `{{define "title"}}{{end}}{{define "content"}}<a href="{{end}}`, "reports.html"},
		"one that calls what there is not":   {"templates/reports.html", `{{define "title"}}{{nothing}}{{end}}`, "nothing"},
		"one with a sentence there is not":   {"templates/reports.html", `{{define "title"}}{{msg "sign-in.tilte"}}{{end}}{{define "content"}}{{end}}`, "sign-in.tilte"},
		"one with a form there is not":       {"templates/reports.html", `{{define "title"}}{{end}}{{define "content"}}{{if .Data}}{{msgn "members.reset" 2}}{{end}}{{end}}`, "members.reset.one"},
		"blocks that do not parse":           {"templates/blocks.html", `{{define "foot"}}`, "blocks.html"},
		"a catalogue that is no JSON":        {"messages/en.json", `{`, "en.json"},
		"a catalogue that is a list":         {"messages/pt.json", `[]`, "pt.json"},
		"an unknown key":                     {"messages/en.json", `{"sign-in.tilte": "Welcome"}`, "sign-in.tilte"},
		"an unknown key of another language": {"messages/pt.json", `{"sign-in.tilte": "Entrar"}`, "sign-in.tilte"},
		"an unknown placeholder":             {"messages/en.json", `{"verify.totp": "Type the code for {prodcut}."}`, "{prodcut}"},
		"an empty sentence":                  {"messages/en.json", `{"sign-in.title": ""}`, "sign-in.title"},
		"a language without a name":          {"messages/english words.json", `{}`, "english words"},
	} {
		conf := h.config()
		files(c.file, c.text)(&conf)
		if _, err := pages.New(conf); !errors.Is(err, mfa.ErrInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want ErrInvalid and %s", name, err, c.want)
		}
	}
}

// A host replaces a page, parts of the frame, sentences and the looks, and adds pages.
func TestFiles(t *testing.T) {
	h := newHost(t, files(
		"templates/recover.html", `{{define "title"}}Call us{{end}}{{define "content"}}<h1>Call 0123</h1>{{end}}`,
		"templates/blocks.html", `{{define "foot"}}<footer>{{msg "host.foot" "year" .Data}}</footer>{{end}}`,
		"templates/reports.html", `{{define "title"}}Reports{{end}}{{define "content"}}<h1>{{.Data}}</h1>{{end}}`,
		"messages/en.json", `{"sign-in.title": "Welcome to the forest", "host.foot": "Since {year}."}`,
		"static/host.css", `:root { --accent: #06c; }`,
		"static/icon.svg", `<svg xmlns="http://www.w3.org/2000/svg"/>`,
	))
	b := h.browser()
	b.get("/account/recover").sees("Call 0123")
	b.get("/account/sign-in").sees("Welcome to the forest", "User name")
	if got := b.title(); got != "Welcome to the forest · Cedar" {
		t.Errorf("the title is %q", got)
	}
	if i, j := strings.Index(b.body, "/account/static/style.css"), strings.Index(b.body, "/account/static/host.css"); i < 0 || j < i {
		t.Error("host.css is not loaded after style.css")
	}
	if b.get("/account/static/host.css"); b.status != http.StatusOK || !strings.Contains(b.body, "#06c") || !strings.Contains(b.header.Get("Content-Type"), "text/css") {
		t.Errorf("host.css: %d %s", b.status, b.body)
	}
	if b.get("/account/static/icon.svg"); strings.Contains(b.body, "rect") {
		t.Error("the icon is the embedded one")
	}
	if b.get("/account/static/style.css"); b.status != http.StatusOK || !strings.Contains(b.body, "--accent") {
		t.Errorf("style.css: %d", b.status)
	}
	// Without host.css there is no link to it.
	if plain := newHost(t).browser().get("/account/sign-in"); strings.Contains(plain.body, "host.css") {
		t.Error("a link to a style sheet that there is not")
	}
	for _, none := range []string{"/account/static/", "/account/static/nothing.css", "/account/static/../pages.go", "/account/static/..%2fmessages/en.json"} {
		if b.get(none); b.status == http.StatusOK {
			t.Errorf("%s is served", none)
		}
	}

	h.handler = h.site.Web().RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.site.Render(w, r, http.StatusOK, r.URL.Path[1:], 1998)
	}))
	_, s, _ := h.kit.Enroll(t, "u-1")
	b.cookies["__Host-mfa_session"] = s.Token()
	b.get("/reports").sees("1998", "Since 1998.", "Security", "Sign out")
	if b.get("/nothing"); b.status != http.StatusInternalServerError {
		t.Errorf("a page that there is not: %d", b.status)
	}
}

// A replaced sentence is text: whatever is in it, no element and no attribute comes of
// it, and neither of a value that looks like a placeholder.
func TestSentencesAreText(t *testing.T) {
	const attack = `<script>alert(1)</script>" onfocus="alert(1)' {{.}}`
	words := strings.NewReplacer(`"`, `\"`).Replace(attack)
	h := newHost(t, files("messages/en.json", `{"sign-in.title": "`+words+`", "field.name": "`+words+`", "frame.brand": "`+words+`{product}", "frame.skip": "a <b>"}`),
		func(c *pages.Config) { c.Product = `{product}<i>&amp;` })
	b := h.browser().get("/account/sign-in")
	for _, bad := range []string{"<script>alert", `onfocus="alert`, "<b>", "<i>", "{{"} {
		if strings.Contains(strings.ReplaceAll(b.body, "{{.}}", ""), bad) {
			t.Errorf("the page has %s:\n%s", bad, b.body)
		}
	}
	b.sees(attack, "{product}<i>&amp;", "a <b>")
	if got := b.title(); got != attack+" · {product}<i>&amp;" {
		t.Errorf("the title is %s", got)
	}
}

// The language is the one that the browser prefers among those there are, or the one
// that the host chooses; what a language has no sentence for is said in English.
func TestLanguages(t *testing.T) {
	words := files("messages/pt.json", `{"sign-in.title": "Entrar", "format.date": "02/01/2006 15:04"}`,
		"messages/pt-BR.json", `{"sign-in.title": "Acessar"}`, "messages/en.json", `{"field.name": "Your name"}`)
	h := newHost(t, words)
	for header, want := range map[string]string{
		"": "en Sign in", "pt": "pt Entrar", "pt-PT,pt;q=0.9": "pt Entrar", "PT-br": "pt-BR Acessar", "fi, pt;q=0.5": "pt Entrar",
		"pt;q=0.1, en;q=0.2": "en Sign in", "pt;q=0": "en Sign in", "*": "en Sign in", "xx;;;q=,,": "en Sign in",
		strings.Repeat("x,", 1000) + "pt": "en Sign in",
	} {
		b := h.browser()
		b.lang = header
		b.get("/account/sign-in")
		tag, title, _ := strings.Cut(want, " ")
		if !strings.Contains(b.body, `<html lang="`+tag+`">`) || b.header.Get("Content-Language") != tag || b.title() != title+" · Cedar" {
			t.Errorf("for %q: %q, want %s", header, b.title(), want)
		}
		b.sees("Your name") // in English, as the host has it
	}
	chosen := newHost(t, words, func(c *pages.Config) { c.Language = func(r *http.Request) string { return r.FormValue("lang") } })
	for lang, want := range map[string]string{"pt-PT": "Entrar", "": "Sign in", "../x": "Sign in"} {
		b := chosen.browser()
		b.lang = "pt"
		if b.get("/account/sign-in?lang=" + url.QueryEscape(lang)); b.title() != want+" · Cedar" {
			t.Errorf("chosen %q: %q", lang, b.title())
		}
	}
}

// What there is not is said in the frame, to whoever is signed in or not; so is what an
// administrator's page refuses.
func TestFailures(t *testing.T) {
	h := newHost(t)
	b := h.browser().get("/account/nothing")
	if b.status != http.StatusNotFound {
		t.Errorf("nothing: %d", b.status)
	}
	b.sees("Page not found", "Go to the start page", "Cedar")
	b.signIn("bob").at("/home")
	for path, want := range map[string]int{
		"/account/org/acme/settings": http.StatusForbidden, // a member
		"/account/org/acme/members":  http.StatusForbidden,
		"/account/org/none/settings": http.StatusNotFound,
	} {
		if b.get(path); b.status != want || b.title() == "" {
			t.Errorf("%s: %d, want %d", path, b.status, want)
		}
	}
	if b.get("/account/org/acme/members/report"); b.status != http.StatusForbidden || b.header.Get("Content-Disposition") != "" || strings.Contains(b.body, "user,role") {
		t.Errorf("the report for a member: %d, %s", b.status, b.body)
	}
	if b.get("/account/sign-out"); b.status != http.StatusNotFound {
		t.Errorf("signing out by a link: %d", b.status)
	}
	h.kit.FailStore(errors.New("down"))
	if b.get("/account/security"); b.status != http.StatusServiceUnavailable {
		t.Errorf("without a store: %d", b.status)
	}
	b.sees("Back in a moment")
	h.kit.FailStore(nil)
	h.kit.Events.Take()

	// Nobody reads a form that is longer than any.
	if b.post("/account/sign-in", "name", "alice", "password", "wrong", "more", strings.Repeat("x", 70_000)); len(h.kit.Events.Take()) > 0 {
		t.Error("a form of 70000 bytes was read")
	}
	none := newHost(t, func(c *pages.Config) { c.Org = nil }).browser().signIn("alice")
	if none.get("/account/org/acme/settings"); none.status != http.StatusNotFound {
		t.Errorf("administrators' pages without Config.Org: %d", none.status)
	}
}

// The headers of Protect are there although the host wrapped nothing, and a form from
// another site is refused.
func TestProtected(t *testing.T) {
	h := newHost(t)
	b := h.browser().get("/account/sign-in")
	if got := b.header.Get("Content-Security-Policy"); !strings.HasPrefix(got, "default-src 'none'") || b.header.Get("Cache-Control") != "no-store" {
		t.Errorf("the policy is %q", got)
	}
	if b.get("/account/reset?token=x"); b.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("a page with a token has the Referrer-Policy %q", b.header.Get("Referrer-Policy"))
	}
	r := httptest.NewRequest("POST", "https://cedar.example/account/sign-in", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	if h.site.ServeHTTP(w, r); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "This request was not accepted.") {
		t.Errorf("a form of another site: %d %s", w.Code, w.Body)
	}
	inline := []string{"style=", "onclick", "<style", "javascript:"}
	for _, bad := range inline {
		if strings.Contains(b.body, bad) {
			t.Errorf("the page has %s", bad)
		}
	}
}

// D4: the step at a door, and the code page that it leads to, say what they are for.
func TestDoorTitles(t *testing.T) {
	h := newHost(t)
	b := h.browser().signIn("alice").at("/home").turnOn()
	admin, err := h.admin(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := admin.SetRules(t.Context(), mfa.Rules{Require: mfa.RequireAtDoor}, ""); err != nil {
		t.Fatal(err)
	}
	other := h.browser().signIn("alice")
	other.app = b.app
	if got := other.title(); got != "Enter your code · Cedar" {
		t.Errorf("the code page of the sign-in is titled %q", got)
	}
	other.code().at("/home")

	// One who signs in without a code is asked at the door.
	h.kit.Clock.Advance(6 * time.Minute)
	b.get("/account/security")
	b.post("/account/step-up", "action", "ask_at_sign_in", "to", "/account/security")
	if got := b.title(); got != "Confirm it is you · Cedar" {
		t.Errorf("the code page before a sensitive action is titled %q", got)
	}
	b.code()
	b.post("/account/security/ask", "on", "no").at("/account/security").sees("Your choice is saved")
	third := h.browser().signIn("alice").at("/home")
	third.app = b.app
	third.get("/door").at("/account/step-up").sees("Verify identity")
	third.post("/account/step-up", "org", "acme", "to", "/door").at("/account/verify")
	if got := third.title(); got != "Verify identity · Cedar" {
		t.Errorf("the code page at the door is titled %q", got)
	}
	if third.code().at("/door"); third.body != "behind the door" {
		t.Errorf("behind the door: %s", third.body)
	}
}

func (h *host) admin(b *browser) (*mfa.Admin, error) {
	s, err := h.kit.Guard.Session(h.t.Context(), b.cookies["__Host-mfa_session"], mfatest.Laptop())
	if err != nil {
		return nil, err
	}
	return s.Admin(h.t.Context(), "acme")
}

// The form of the settings changes what it shows, and nothing else of the rules.
func TestRulesKeepTheRest(t *testing.T) {
	h := newHost(t)
	b := h.browser().signIn("alice").at("/home").turnOn()
	admin, err := h.admin(b)
	if err != nil {
		t.Fatal(err)
	}
	before := mfa.Rules{
		Require: mfa.RequireAtDoor, Methods: []mfa.Method{mfa.TOTP, mfa.EmailCode}, FreshFor: 2 * time.Minute, Exempt: []string{"robot"},
		SSO: []mfa.Connection{{Name: "other-sso", Rule: mfa.SSOWaive}},
	}
	if err := admin.SetRules(t.Context(), before, ""); err != nil {
		t.Fatal(err)
	}
	_, version, err := admin.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.post("/account/org/acme/settings", "version", version, "signin", "yes", "sms", "yes", "sso", "trust").sees("The settings are saved")
	after, _, err := admin.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before.Require = mfa.RequireAtSignIn
	before.Methods = append(before.Methods, mfa.SMSCode)
	before.SSO = append(before.SSO, mfa.Connection{Name: "acme-sso", Rule: mfa.SSOTrustAsserted, AMR: []string{"mfa"}})
	want, _ := json.Marshal(before)
	if got, _ := json.Marshal(after); string(got) != string(want) {
		t.Errorf("the rules are\n%s\nwant\n%s", got, want)
	}
}

// What a link leads to is no script, and no way out of its attribute.
func TestLinks(t *testing.T) {
	h := newHost(t, files("templates/links.html", `{{define "title"}}Links{{end}}{{define "content"}}<h1>Links</h1>{{range .Data}}<p>{{link . "here"}}</p>{{end}}{{end}}`))
	w := httptest.NewRecorder()
	h.site.Render(w, httptest.NewRequest("GET", "/", nil), http.StatusOK, "links", []string{
		"/reports?year=2026&to=x", "https://example.com/", "javascript:alert(1)", " JavaScript:alert(1)", "java\tscript:alert(1)", `/"onclick="alert(1)`, "data:text/html,x",
	})
	for _, bad := range []string{"cript:", `"onclick`, "data:text"} {
		if strings.Contains(w.Body.String(), bad) {
			t.Errorf("the page has %s:\n%s", bad, w.Body)
		}
	}
	for _, good := range []string{`href="/reports?year=2026&amp;to=x"`, `href="https://example.com/"`} {
		if !strings.Contains(w.Body.String(), good) {
			t.Errorf("the page has no %s:\n%s", good, w.Body)
		}
	}
}

// R24, R25: whoever asks for a link to a new password is told that it was taken or, when
// the queue is full, that it was not: the same bytes for every name, before anybody has
// looked at the account. Here nobody can: the directory is down.
func TestR25_JobsFull(t *testing.T) {
	var log strings.Builder
	room := false
	h := newHost(t, func(c *pages.Config) {
		c.Jobs = func(func(context.Context) error) bool { return room }
		c.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	w := listen(t, h)
	dated := regexp.MustCompile(`(?m)^Date: .*$`)
	for _, room = range []bool{true, false} {
		answers := make(map[string]string)
		for what, name := range map[string]string{"known": "alice", "known, when nobody can ask": "alice", "unknown": "nobody", "no name": "", "longer than any": strings.Repeat("x", 1000)} {
			if what != "known" {
				h.kit.Users.Fail(errors.New("down"))
			}
			a := w.send(request("POST", "/account/recover", url.Values{"name": {name}}.Encode(), sameOrigin))
			h.kit.Users.Fail(nil)
			answers[what] = dated.ReplaceAllString(a.raw, "")
			switch {
			case room && (a.status != http.StatusSeeOther || a.header.Get("Location") != "/account/recover/sent"):
				t.Errorf("%s: %s", what, a.raw)
			case !room && (a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") != "60" || !strings.Contains(a.body, "no link was sent. Try again in a minute")):
				t.Errorf("%s, without room: %s", what, a.raw)
			}
		}
		for what, got := range answers {
			if got != answers["unknown"] {
				t.Errorf("room: %v; %s:\n%s\nunknown:\n%s", room, what, got, answers["unknown"])
			}
		}
	}
	if !strings.Contains(log.String(), "too many jobs") || strings.Contains(log.String(), "alice") {
		t.Errorf("the log says %q", log.String())
	}
}
