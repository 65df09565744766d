package pages_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp/pages"
)

// Every link, form, image and redirect leads to the prefix or to a page of the host:
// through the sign-in, the settings, recovery and the pages of administrators.
func TestPrefix(t *testing.T) {
	h := newHost(t, files("messages/en.json", `{}`))
	h.kit.Users.Add(mfa.User{ID: "u-3", Name: "carol", ManagedBy: "acme", Orgs: []mfa.Membership{{Org: "acme", Role: mfa.RoleMember}}})
	if err := h.kit.Guard.SetPassword(t.Context(), "u-3", password); err != nil {
		t.Fatal(err)
	}
	checked, visited := make(map[string]bool), make(map[string]bool)
	check := func(from, to string) {
		checked[to] = true
		path, _, _ := strings.Cut(to, "?")
		switch {
		case strings.HasPrefix(to, "#"), strings.HasPrefix(to, "data:"), strings.HasPrefix(to, "otpauth:"):
		case path == "/home", path == "/door", strings.HasPrefix(path, "/account/"):
		default:
			t.Errorf("%s leads to %q", from, to)
		}
	}
	watch := func(b *browser) *browser {
		b.seen = func(path, location, body string) {
			if location != "" {
				check(path, location)
			}
			for _, to := range links(body) {
				if to != "" {
					check(path, to)
				}
			}
			path, _, _ = strings.Cut(path, "?")
			visited[path] = true
		}
		return b
	}
	// crawl follows the links of the page, and theirs.
	var crawl func(b *browser, depth int)
	crawl = func(b *browser, depth int) {
		for _, to := range links(b.body) {
			path, _, _ := strings.Cut(to, "?")
			if depth > 0 && strings.HasPrefix(path, "/account/") && !visited[path] && path != "/account/sign-out" {
				b.get(to)
				crawl(b, depth-1)
			}
		}
	}

	stranger := watch(h.browser())
	crawl(stranger.get("/account/sign-in?to=/account/security"), 3)
	stranger.post("/account/recover", "name", "alice").at("/account/recover/sent")
	h.work()
	var token string
	for _, m := range h.kit.Inbox.Take() {
		if m.Kind == mfa.MessageReset {
			token = url.QueryEscape(m.Token())
		}
	}
	stranger.get("/account/reset?token=" + token)
	stranger.post("/account/reset", "token", token, "new", "short").sees("At least 15 characters", "Missing:")
	stranger.post("/account/reset", "token", token, "new", password+" 1").at("/account/sign-in").sees("Sign in with the new one")
	if err := h.kit.Guard.SetPassword(t.Context(), "u-1", password); err != nil {
		t.Fatal(err)
	}
	stranger.post("/account/reset", "token", "x", "new", password+" 1").at("/account/reset/over")
	stranger.post("/account/undo", "token", "x").at("/account/undo/over")
	stranger.get("/account/undo?token=x")
	stranger.post("/account/sign-in", "name", "alice", "password", "wrong").at("/account/sign-in").sees("do not match")
	stranger.get("/account/security").at("/account/sign-in")

	b := watch(h.browser()).signIn("alice").at("/home")
	b.get("/account/").at("/account/security").sees("Nothing but your password")
	b.post("/account/security/add", "to", "/account/security")
	crawl(b.at("/account/setup"), 2)
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
	b.post("/account/setup?method=sms_code", "code", h.kit.Inbox.Code(t, "+447700900123")).at("/account/security").sees("Confirmed")
	b.get("/account/security/password")
	b.post("/account/security/password", "password", password, "new", "short").sees("Missing: At least 15 characters")
	b.get("/account/org/acme/settings").at("/account/org/acme/settings")
	crawl(b, 3)
	b.get("/account/org/acme/preview?door=yes&sms=yes&sso=trust&from=2026-04-01").sees("Whom it concerns")
	fields := make(url.Values)
	for _, name := range []string{"door", "sms", "sso", "from", "version"} {
		if _, rest, ok := strings.Cut(b.body, `name="`+name+`" value="`); ok {
			fields.Set(name, rest[:strings.IndexByte(rest, '"')])
		}
	}
	b.do("POST", "/account/org/acme/settings", fields).at("/account/org/acme/settings").sees("The settings are saved", "Settings changed alice")
	b.do("POST", "/account/org/acme/settings", fields).sees("Somebody else has changed these settings")
	for _, do := range []string{"reset", "unlock", "password", "end"} {
		b.get("/account/org/acme/members/" + do + "?user=u-2").at("/account/org/acme/members/" + do)
		b.post("/account/org/acme/members/"+do, "user", "u-2", "to", "/account/org/acme/members").at("/account/org/acme/members")
	}
	h.kit.Users.Add(mfa.User{ID: "u-9", Name: "eve"})
	if b.get("/account/org/acme/members/reset?user=u-9"); b.status != 404 || strings.Contains(b.body, "eve") {
		t.Errorf("the page about somebody who is no member: %d", b.status)
	}
	b.post("/account/org/acme/members/password", "user", "u-3", "to", "/account/org/acme/members").at("/account/org/acme/members")
	b.post("/account/sign-out").at("/account/sign-in")

	carol := watch(h.browser()).signIn("carol").at("/account/new-password") // as alice asked
	carol.post("/account/new-password", "new", "short").at("/account/new-password").sees("Missing:")
	carol.post("/account/new-password", "new", password+" 2").at("/home")

	again := watch(h.browser()).signIn("alice").at("/account/verify")
	again.app = b.app
	crawl(again, 2)
	again.get("/account/verify?method=backup_code").post("/account/verify?method=backup_code", "code", "AAAA-AAAA-AAAA-AAAA").sees("That backup code was not accepted")
	again.post("/account/verify?method=sms_code", "send", "yes").at("/account/verify").sees("We sent a code to")
	again.post("/account/cancel").at("/account/sign-in")
	again.signIn("alice").code().at("/home")
	h.kit.Clock.Advance(6 * time.Minute)
	again.get("/account/org/acme/settings").at("/account/step-up").sees("needs a fresh proof")

	for _, must := range []string{"sign-in", "verify", "new-password", "setup", "setup/qr", "codes", "step-up", "security", "security/confirm", "security/password", "recover", "recover/sent",
		"reset", "reset/over", "undo", "undo/over", "org/acme/settings", "org/acme/preview", "org/acme/members", "org/acme/members/reset", "static/script.js"} {
		if !visited["/account/"+must] {
			t.Errorf("/account/%s was not looked at", must)
		}
	}
	if len(checked) < 60 {
		t.Errorf("only %d addresses were looked at", len(checked))
	}
}

// Without a prefix the pages are at the root.
func TestNoPrefix(t *testing.T) {
	h := newHost(t, func(c *pages.Config) { c.Prefix = "" })
	if b := h.browser().get("/sign-in"); b.status != 200 || !strings.Contains(b.body, `action="/sign-in"`) {
		t.Errorf("the sign-in: %d\n%s", b.status, b.body)
	}
}
