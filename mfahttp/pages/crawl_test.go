package pages_test

import (
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp/pages"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A journey goes through every page.
type journey struct {
	*host
	lang    string
	watch   func(path, location, body string) // is told of every answer
	visited map[string]bool                   // paths
}

// journey goes through the sign-in, the settings, recovery and the pages of
// administrators. It returns the paths that it saw.
func (h *host) journey(watch func(path, location, body string), lang string) map[string]bool {
	h.t.Helper()
	h.kit.Users.Add(
		mfa.User{ID: "u-3", Name: "carol", ManagedBy: "acme", Orgs: []mfa.Membership{{Org: "acme", Role: mfa.RoleMember}}},
		mfa.User{ID: "u-9", Name: "eve"},
	)
	if err := h.kit.Guard.SetPassword(h.t.Context(), "u-3", password); err != nil {
		h.t.Fatal(err)
	}
	j := &journey{h, lang, watch, make(map[string]bool)}
	j.strangers()
	b := j.settings()
	j.administration(b)
	j.newPassword()
	j.comeBack(b.app)
	return j.visited
}

func (j *journey) browser() *browser {
	b := j.host.browser()
	b.lang = j.lang
	b.seen = func(path, location, body string) {
		path, _, _ = strings.Cut(path, "?")
		j.visited[path] = true
		j.watch(path, location, body)
	}
	return b
}

// crawl follows the links of the page, and theirs.
func (j *journey) crawl(b *browser, depth int) {
	for _, to := range links(b.body) {
		path, _, _ := strings.Cut(to, "?")
		if depth > 0 && strings.HasPrefix(path, "/account/") && !j.visited[path] && path != "/account/sign-out" {
			b.get(to)
			j.crawl(b, depth-1)
		}
	}
}

// strangers see the sign-in, and what links in mails lead to.
func (j *journey) strangers() {
	stranger := j.browser()
	j.crawl(stranger.get("/account/sign-in?to=/account/security"), 3)
	stranger.post("/account/recover", "name", "alice").at("/account/recover/sent")
	j.work()
	var token string
	for _, m := range j.kit.Inbox.Take() {
		if m.Kind == mfa.MessageReset {
			token = url.QueryEscape(m.Token())
		}
	}
	stranger.get("/account/reset?token=" + token)
	stranger.post("/account/reset", "token", token, "new", "short").sees("At least 15 characters", "Missing:")
	stranger.post("/account/reset", "token", token, "new", password+" 1").at("/account/sign-in").sees("Sign in with the new one")
	if err := j.kit.Guard.SetPassword(j.t.Context(), "u-1", password); err != nil {
		j.t.Fatal(err)
	}
	stranger.post("/account/reset", "token", "x", "new", password+" 1").at("/account/reset/over")
	stranger.post("/account/undo", "token", "x").at("/account/undo/over")
	stranger.get("/account/undo?token=x")
	stranger.post("/account/sign-in", "name", "alice", "password", "wrong").at("/account/sign-in").sees("do not match")
	stranger.get("/account/security").at("/account/sign-in")
}

// settings are the pages of one's own account.
func (j *journey) settings() *browser {
	b := j.browser().signIn("alice").at("/home")
	b.get("/account/").at("/account/security").sees("Nothing but your password")
	b.post("/account/security/add", "to", "/account/security")
	j.crawl(b.at("/account/setup"), 2)
	b.bind().at("/account/security").sees("10 left")
	for _, do := range []string{"rename", "remove", "codes", "ask&on=yes", "ask&on=no", "revoke-others", "method&on=yes&method=email_code", "method&on=no&method=sms_code"} {
		b.get("/account/security/confirm?do=" + do)
	}
	b.post("/account/security/codes", "password", password).at("/account/codes")
	b.post("/account/codes").at("/account/codes").sees("Tick the box")
	b.post("/account/codes", "saved", "yes", "to", "/account/security?done=codes").at("/account/security")
	b.post("/account/security/address", "method", "sms_code").at("/account/setup")
	b.post("/account/setup?method=sms_code", "address", "12").at("/account/setup").sees("Type the whole number")
	b.post("/account/setup?method=sms_code", "address", "+44 7700 900123").at("/account/setup").sees("We sent a code")
	b.post("/account/setup?method=sms_code", "code", j.kit.Inbox.Code(j.t, "+447700900123")).at("/account/security").sees("Confirmed")
	b.get("/account/security/password")
	b.post("/account/security/password", "password", password, "new", "short").sees("Missing: At least 15 characters")
	return b
}

// administration is the rules of an organization and its members.
func (j *journey) administration(b *browser) {
	b.get("/account/org/acme/settings").at("/account/org/acme/settings")
	j.crawl(b, 3)
	b.get("/account/org/acme/preview?door=yes&sms=yes&sso=trust&from=2026-04-01").sees("Whom it concerns")
	fields := make(url.Values)
	for _, name := range []string{"door", "sms", "sso", "from", "version"} {
		if _, rest, ok := strings.Cut(b.body, `name="`+name+`" value="`); ok {
			fields.Set(name, rest[:strings.IndexByte(rest, '"')])
		}
	}
	b.do("POST", "/account/org/acme/settings", fields).at("/account/org/acme/settings").sees("The settings are saved", "Settings changed alice")
	b.do("POST", "/account/org/acme/settings", fields).sees("Somebody else has changed these settings")
	b.get("/account/org/acme/members/report").sees("user,role,meets_rules", "u-2,member,")
	if got := b.header.Get("Content-Disposition"); b.status != 200 || got != `attachment; filename="compliance.csv"` {
		j.t.Errorf("the report: %d, %q", b.status, got)
	}
	for _, do := range []string{"reset", "unlock", "password", "end"} {
		b.get("/account/org/acme/members/" + do + "?user=u-2").at("/account/org/acme/members/" + do)
		b.post("/account/org/acme/members/"+do, "user", "u-2", "to", "/account/org/acme/members").at("/account/org/acme/members")
	}
	if b.get("/account/org/acme/members/reset?user=u-9"); b.status != 404 || strings.Contains(b.body, "eve") {
		j.t.Errorf("the page about somebody who is no member: %d", b.status)
	}
	b.get("/account/admin/members").sees("Users", "eve user", "Nothing is required").get("/account/admin/settings").sees("for everybody", "Left to each user", "changes them there")
	b.get("/account/admin/members/report").sees("u-9,member,true,true")
	b.get("/account/admin/members?find=" + "nobody").sees("Nobody of that name")
	b.get("/account/admin/members/reset?user=u-9").at("/account/admin/members/reset").sees("of eve?")
	b.post("/account/org/acme/members/password", "user", "u-3", "to", "/account/org/acme/members").at("/account/org/acme/members")
	b.post("/account/sign-out").at("/account/sign-in")
}

// newPassword is the step of a sign-in whose password somebody wants replaced.
func (j *journey) newPassword() {
	carol := j.browser().signIn("carol").at("/account/new-password") // as an administrator asked
	carol.post("/account/new-password", "new", "short").at("/account/new-password").sees("Missing:")
	carol.post("/account/new-password", "new", password+" 2").at("/home")
}

// comeBack is a sign-in with a code, and a fresh proof.
func (j *journey) comeBack(app *mfatest.Authenticator) {
	again := j.browser().signIn("alice").at("/account/verify")
	again.app = app
	j.crawl(again, 2)
	again.get("/account/verify?method=backup_code").post("/account/verify?method=backup_code", "code", "AAAA-AAAA-AAAA-AAAA").sees("That backup code was not accepted")
	again.post("/account/verify?method=sms_code", "send", "yes").at("/account/verify").sees("We sent a code to")
	again.post("/account/cancel").at("/account/sign-in")
	again.signIn("alice").code().at("/home")
	j.kit.Clock.Advance(6 * time.Minute)
	again.get("/account/org/acme/settings").at("/account/step-up").sees("needs a fresh proof")
}

// Every link, form, image and redirect leads to the prefix or to a page of the host.
func TestPrefix(t *testing.T) {
	h := newHost(t)
	checked := make(map[string]bool)
	check := func(from, to string) {
		checked[to] = true
		path, _, _ := strings.Cut(to, "?")
		switch {
		case to == "", strings.HasPrefix(to, "#"), strings.HasPrefix(to, "data:"), strings.HasPrefix(to, "otpauth:"):
		case path == "/home", path == "/door", strings.HasPrefix(path, "/account/"):
		default:
			t.Errorf("%s leads to %q", from, to)
		}
	}
	visited := h.journey(func(path, location, body string) {
		check(path, location)
		for _, to := range links(body) {
			check(path, to)
		}
	}, "")
	for _, must := range []string{"sign-in", "verify", "new-password", "setup", "setup/qr", "codes", "step-up", "security", "security/confirm", "security/password", "recover", "recover/sent",
		"reset", "reset/over", "undo", "undo/over", "org/acme/settings", "org/acme/preview", "org/acme/members", "org/acme/members/report", "org/acme/members/reset", "admin/settings", "admin/members", "admin/members/report", "admin/members/reset", "static/script.js"} {
		if !visited["/account/"+must] {
			t.Errorf("/account/%s was not looked at", must)
		}
	}
	if len(checked) < 60 {
		t.Errorf("only %d addresses were looked at", len(checked))
	}
}

// Every word on every page is from the catalogue, or the user's own: in a language whose
// sentences all stand in brackets nothing else is outside of them.
func TestNoWordBesides(t *testing.T) {
	bracketed := make(map[string]string)
	for key, sentence := range words(t, "messages/en.json") {
		bracketed[key] = "‹" + sentence + "›"
		if strings.HasPrefix(key, "format.") {
			bracketed[key] = sentence
		}
	}
	catalogue, err := json.Marshal(bracketed)
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, files("messages/xx.json", string(catalogue)))
	ours := []string{"Cedar", "Acme", "alice", "bob", "carol", "eve", "example", "com", "UTC", "Mar", "Firefox", "on", "Linux", "Windows", "Chrome"}
	inner, word := regexp.MustCompile(`‹[^‹›]*›`), regexp.MustCompile(`\pL{2,}`)
	secret := regexp.MustCompile(`(?s)<code.*?</code>`) // the key of an app, and backup codes
	seen := 0
	h.journey(func(path, _, body string) {
		if !strings.HasPrefix(body, "<!doctype") {
			return
		}
		text := tag.ReplaceAllString(secret.ReplaceAllString(body, ""), " ")
		for _, m := range heard.FindAllStringSubmatch(body, -1) {
			text += " " + m[1]
		}
		text = html.UnescapeString(text)
		for rest := ""; rest != text; {
			rest, text = text, inner.ReplaceAllString(text, " ")
		}
		for _, w := range word.FindAllString(text, -1) {
			if !slices.Contains(ours, w) && !strings.Contains("width device initial scale light dark XXXX", w) {
				t.Errorf("%s says %q: %s", path, w, strings.Join(strings.Fields(text), " "))
			}
		}
		seen++
	}, "xx")
	if seen < 60 {
		t.Errorf("only %d pages were looked at", seen)
	}
}

// Without a prefix the pages are at the root.
func TestNoPrefix(t *testing.T) {
	h := newHost(t, func(c *pages.Config) { c.Prefix = "" })
	if b := h.browser().get("/sign-in"); b.status != 200 || !strings.Contains(b.body, `action="/sign-in"`) {
		t.Errorf("the sign-in: %d\n%s", b.status, b.body)
	}
}
