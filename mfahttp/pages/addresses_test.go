package pages_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// here reports whether a browser at a page of the site stays there when it follows to: it
// reads a backslash as a slash and drops tabs and line breaks (WHATWG URL section 4.4).
func here(to string) bool {
	to = strings.NewReplacer("\t", "", "\r", "", "\n", "", `\`, "/").Replace(strings.Trim(to, " \x00\t\r\n\f"))
	base, err := url.Parse("https://cedar.example/account/sign-in")
	if err != nil {
		return false
	}
	u, err := base.Parse(to)
	return err == nil && u.Scheme == "https" && u.Host == "cedar.example" && u.User == nil
}

// elsewhere are paths that some program takes for another host, or for lines of a header.
var elsewhere = []string{
	"//evil.example", "///evil.example", `/\evil.example`, `\/evil.example`, `\\evil.example`, "/\t/evil.example", "\t//evil.example", "/\r\n/evil.example", "\x00//evil.example",
	"https://evil.example", "https:evil.example", "HTTPS://evil.example/home", "//evil.example@cedar.example", "https://cedar.example@evil.example", "javascript:alert(1)",
	"data:text/html,x", "//cedar.example.evil.example", ".evil.example", "@evil.example", "/.//evil.example", "/..//evil.example", "/home/..//evil.example", "/./\\evil.example",
	"/%2f%2fevil.example", "/%5cevil.example", "/%09/evil.example", "//%65vil.example", "/home\r\nSet-Cookie: planted=1", "/home\nX-Planted: 1", "/home\r\n\r\n<script>planted</script>",
	"/home%0d%0aSet-Cookie: planted=1", "/home\u2028Set-Cookie: planted=1", "/home\x00", "/\u00a0/evil.example", "/" + strings.Repeat("a", 3000), "?//evil.example", "#//evil.example", " //evil.example",
	"/;//evil.example", "/home?to=//evil.example", "//[::1]", "//evil.example:443/%2e%2e", "/\u3002//evil.example", "／／evil.example",
}

// clean fails the test when an answer leads elsewhere or has a header that was planted.
func (a answer) clean(t *testing.T, what, value string) {
	t.Helper()
	if a.status == 0 || a.status >= 500 {
		t.Errorf("%s with %q: status %d", what, value, a.status)
	}
	if to := a.header.Get("Location"); to != "" && !strings.HasPrefix(to, "otpauth://totp/") && !here(to) {
		t.Errorf("%s with %q leads to %q", what, value, to)
	}
	head, _, _ := strings.Cut(a.raw, "\r\n\r\n")
	for line := range strings.SplitSeq(strings.ToLower(head), "\n") {
		if strings.HasPrefix(line, "x-planted") || strings.HasPrefix(line, "set-cookie: planted") {
			t.Errorf("%s with %q has the header %q", what, value, line)
		}
	}
	for _, to := range links(a.body) {
		if to != "" && !strings.HasPrefix(to, "#") && !strings.HasPrefix(to, "data:") && !strings.HasPrefix(to, "otpauth:") && !here(to) && !slices.Contains(hidden(a.body), to) {
			t.Errorf("%s with %q has a link to %q", what, value, to)
		}
	}
}

// hidden returns the fields "to" of forms: what they say is looked at when they are sent.
func hidden(body string) (all []string) {
	for part := range strings.SplitSeq(body, `name="to" value="`) {
		to, _, _ := strings.Cut(part, `"`)
		all = append(all, links(`name="to" value="`+to+`"`)...)
	}
	return all
}

// No page and no form leads to another origin, and nothing that is sent becomes a line of
// a header: in any field of any route.
func TestElsewhere(t *testing.T) {
	w, b := deep(t)
	for _, value := range elsewhere {
		sent := make(url.Values)
		for _, name := range []string{"to", "method", "name", "org", "action", "admin", "enroll", "do", "id", "error", "done", "wait", "token", "user"} {
			sent.Set(name, value)
		}
		for _, path := range routes(t, "GET") {
			w.send(request("GET", strings.TrimSuffix(path, "{$}")+"?"+sent.Encode(), "", b.cookie())).clean(t, "GET "+path, value)
		}
		for _, path := range []string{"/sign-in", "/verify", "/setup", "/codes", "/cancel", "/step-up", "/sign-out", "/new-password", "/recover", "/reset", "/undo"} {
			w.send(request("POST", "/account"+path+"?"+sent.Encode(), sent.Encode(), sameOrigin)).clean(t, "POST "+path, value)
		}
		// What the host sees as a path with the value in it.
		a := w.send(request("GET", "/account/org/"+url.PathEscape(value)+"/settings", "", b.cookie()))
		a.clean(t, "an organization", value)
		if a.status == http.StatusOK {
			t.Errorf("the organization %q: %d", value, a.status)
		}
	}
	w.alive()
	for _, path := range routes(t, "POST") { // with all that the form needs, so that the first gets to the end
		w, b := deep(t)
		form := b.everything()
		for _, value := range elsewhere {
			form.Set("to", value)
			w.send(request("POST", path, form.Encode(), sameOrigin, b.cookie())).clean(t, "POST "+path, value)
		}
	}
}

// Where a sign-in ends is where its user was heading, on this site.
func TestSignInEndsHere(t *testing.T) {
	w := listen(t, newHost(t))
	b := w.host.browser().signIn("alice").turnOn()
	app := b.app
	for _, to := range append(elsewhere, "/account/security") {
		w.kit.Clock.Advance(time.Hour) // the tries of a network are counted
		a := w.send(request("POST", "/account/sign-in", url.Values{"name": {"alice"}, "password": {password}, "to": {to}}.Encode(), sameOrigin))
		a.clean(t, "the sign-in", to)
		if len(a.cookies) == 0 {
			t.Fatalf("the sign-in with %q: %s", to, a.raw)
		}
		flow := "Cookie: " + a.cookies[0].Name + "=" + a.cookies[0].Value
		a = w.send(request("POST", "/account/verify", url.Values{"code": {app.Code(w.kit.Clock.Now())}, "to": {to}}.Encode(), sameOrigin, flow))
		a.clean(t, "the code", to)
		if got := a.header.Get("Location"); to == "/account/security" && got != to || a.status != http.StatusSeeOther {
			t.Errorf("the code with %q: %d to %q", to, a.status, got)
		}
	}
}

// However the address of a page is written, it is shown to nobody who may not see it, and
// an address that is not the page's own is none.
func TestPathTricks(t *testing.T) {
	w, owner := deep(t)
	member := w.host.browser().signIn("bob").at("/home")
	owner.get("/account/org/acme/members").at("/account/org/acme/members")
	before := w.records()
	for _, trick := range []string{
		"//account/security", "/account//security", "/account/./security", "/account/x/../security", "/account/../account/security", "/account/%2e%2e/account/security", "/account/%2e/security",
		"/account/static/../security", "/account/static/..%2fsecurity", "/account/static/%2e%2e/%2e%2e/templates/layout.html", "/account/static/..%5c..%5ctemplates", "/account%2fsecurity",
		"/account/security/", "/account/security.", "/account/security..", "/account/security%20", "/account/security%00", "/account/security%00.css", "/account/security;x=1", "/account/security;.css",
		"/account;/security", "/account/security%3fx", "/account/security%23", "/Account/security", "/account/SECURITY", "/account/%73ecurity", "/account/%2573ecurity", "/account/securit%c1%b9",
		"/account/security.css", "/account/security/style.css", "/account/static/security", "/account/static/", "/account/static", "/account/static/%00", "/account/static/style.css%00",
		"/account/static/style.css/", "/account/static/style.css/../../../pages.go", "/account/templates/layout.html", "/account/messages/en.json", "/account/.git/config", "/account/\\security",
		"/account/org//settings", "/account/org/acme//settings", "/account/org/acme/../acme/settings", "/account/org/%61cme/settings", "/account/org/acme%2f..%2facme/settings", "/account/org/acme%00/settings",
		"/account/org/acme;x/settings", "/account/org/ACME/settings", "/account/org/acme%20/settings", "/account/org/acme/members/", "/account/org/acme/members/reset/", "/account/org/acme/members/%2e%2e/settings",
		"/account/org/other/settings", "/account/org/%2e/settings", "/account/org/%2e%2e/settings", "https://cedar.example/account/security", "http://evil.example/account/security", "http://evil.example//account/security", "*",
	} {
		for who, b := range map[string]*browser{"stranger": w.host.browser(), "member": member, "owner": owner} {
			a := w.send(request("GET", trick, "", b.cookie()))
			a.clean(t, who, trick)
			switch seen := a.status == http.StatusOK; {
			case seen && strings.Contains(trick, ".css") && strings.HasPrefix(a.header.Get("Content-Type"), "text/css"):
			case seen && who == "stranger", seen && who == "member" && strings.Contains(trick, "/org/"):
				t.Errorf("%s sees %q: %s", who, trick, a.body)
			case seen && a.header.Get("Cache-Control") != "no-store":
				t.Errorf("%q may be kept by a cache: %q", trick, a.header)
			}
			if strings.Contains(a.body, "{{define") || who != "owner" && strings.Contains(a.body, "Settings changed") {
				t.Errorf("%q shows %s", trick, a.body)
			}
		}
	}
	w.unchanged(before, "addresses")
	w.alive()
}

// What is no request is refused by its first line.
func TestBrokenRequests(t *testing.T) {
	w, b := deep(t)
	before := w.records()
	form := b.everything().Encode()
	post := request("POST", "/account/sign-out", form, sameOrigin, b.cookie())
	for what, text := range map[string]string{
		"a line break in the path": "GET /account/\r\nX-Planted: 1 HTTP/1.1\r\nHost: cedar.example\r\nConnection: close\r\n\r\n",
		"a NUL in a header":        request("GET", "/account/security", "", "X: a\x00b", b.cookie()),
		"no host":                  strings.Replace(post, "Host: cedar.example\r\n", "", 1),
		"two hosts":                strings.Replace(post, "Host:", "Host: evil.example\r\nHost:", 1),
		"two lengths":              strings.Replace(post, "Content-Length:", "Content-Length: 0\r\nContent-Length:", 1),
		"a length below zero":      strings.Replace(post, "Content-Length: ", "Content-Length: -", 1),
		"a space in a name":        strings.Replace(post, "Content-Length:", "Content-Length :", 1),
		"two codings":              strings.Replace(post, "Content-Length:", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length:", 1),
		"HTTP/9.9":                 strings.Replace(post, "HTTP/1.1", "HTTP/9.9", 1),
		"no line at all":           "\r\n\r\n\r\n",
		"TLS":                      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
	} {
		if a := w.send(text); a.status != 0 && (a.status < 400 || a.status == 404) || len(a.cookies) > 0 {
			t.Errorf("%s: %s", what, a.raw)
		}
		w.unchanged(before, "%s", what)
	}
	w.alive()
}
