package pages_test

import (
	"context"
	"encoding/json"
	"html"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp/pages"
)

// hostile ends an attribute in either kind of quotes, a title, a comment and a template's
// action, and begins an element with a handler.
const hostile = `x"xss='xss=</title><xss onerror=xss()>--><script>xss()</script>{{xss}}javascript:xss()&#60;xss>`

var (
	element   = regexp.MustCompile(`(?s)<([a-zA-Z!/][^\s>/]*)((?:[^>"']|"[^"]*"|'[^']*')*)>`)
	attribute = regexp.MustCompile(`(?s)([^\s"'=<>/]+)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+))?`)
)

// unescaped returns what in a page could be of whoever chose a name and not of the
// templates: text that begins an element or ends an attribute, handlers, scripts that are
// written into the page, addresses that are scripts, and base and meta elements.
func unescaped(body string) (faults []string) {
	bad := func(what string) { faults = append(faults, what) }
	for _, raw := range []string{`"xss`, `'xss`, `<xss`, `</title><xss`, `--><script`, `<script>xss`, `&#60;xss`} {
		if strings.Contains(body, raw) {
			bad("raw " + raw)
		}
	}
	for _, e := range element.FindAllStringSubmatch(body, -1) {
		name := strings.ToLower(e[1])
		attributes := make(map[string]string)
		for _, a := range attribute.FindAllStringSubmatch(e[2], -1) {
			attributes[strings.ToLower(a[1])] = html.UnescapeString(strings.Trim(a[2], `"'`))
		}
		for a, v := range attributes {
			switch scheme, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(v)), ":"); {
			case strings.HasPrefix(a, "on"), a == "style", a == "srcdoc", a == "http-equiv", a == "formaction":
				bad("attribute " + e[0])
			case (a == "href" || a == "src" || a == "action") && (scheme == "javascript" || scheme == "vbscript" || scheme == "data"):
				bad("address " + e[0])
			}
		}
		switch name {
		case "script":
			if !strings.HasSuffix(attributes["src"], "/static/script.js") {
				bad("script " + e[0])
			}
		case "base", "iframe", "object", "embed", "svg", "style", "template":
			bad("element " + e[0])
		}
	}
	return faults
}

// The check itself finds what it looks for.
func TestUnescaped(t *testing.T) {
	for _, body := range []string{
		`<p>` + hostile, `<a title="x"xss="1">`, `<a onclick="x">`, `<a OnClick=x>`, `<img alt='a' onerror='x'>`, `<script>x</script>`, `<script src="https://evil.example/script.js"></script>x`,
		`<a href="javascript:x">`, `<a href=" JavaScript:x">`, `<form action='data:text/html,x'>`, `<base href="/">`, `<p style="x">`, `<meta http-equiv="refresh">`,
	} {
		if strings.Contains(body, "evil.example") {
			continue // its name is right, and the policy stops it: script-src 'self'
		}
		if len(unescaped(body)) == 0 {
			t.Errorf("nothing is found in %s", body)
		}
	}
	if faults := unescaped(`<a href="/x?a=1&amp;b" title="x&#34;xss=&#39;">&lt;xss&gt;</a><script src="/account/static/script.js" defer></script>`); len(faults) > 0 {
		t.Errorf("in a good page: %q", faults)
	}
}

type everywhere struct{}

func (everywhere) Locate(netip.Addr) string { return hostile }

// hostileHost is one in which everything that somebody else names is hostile: users, an
// organization, the product, places, words for actions.
func hostileHost(t *testing.T) *host {
	t.Helper()
	words := strings.ReplaceAll(hostile, "{{xss}}", "") // which would have to be a placeholder
	own, err := json.Marshal(map[string]string{"action.mine": words, "security.lead": words})
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(t, files("messages/en.json", string(own)), func(c *pages.Config) {
		c.Product, c.Locator = hostile, everywhere{}
		c.Name = func(u mfa.User) string { return hostile + u.Name }
		c.Org = func(context.Context, string) (pages.Org, error) {
			return pages.Org{Name: hostile, Managed: true, Connection: hostile, Home: "/door"}, nil
		}
	})
	h.kit.Users.Remove("u-1")
	h.kit.Users.Remove("u-2")
	const org = "acme"
	h.kit.Users.Add(
		mfa.User{ID: "u-1", Name: hostile, Email: hostile + "@example.com", EmailVerified: true, Phone: hostile, PhoneVerified: true, ManagedBy: org,
			Orgs: []mfa.Membership{{Org: org, Role: mfa.RoleOwner}}},
		mfa.User{ID: "u-2", Name: hostile + "2", Email: "2" + hostile, ManagedBy: org, Orgs: []mfa.Membership{{Org: org, Role: mfa.RoleMember}}},
		mfa.User{ID: "3" + hostile, Name: hostile + "3", ManagedBy: org, Orgs: []mfa.Membership{{Org: org, Role: mfa.RoleMember}}},
	)
	return h
}

// Whatever anybody calls herself, her app, her browser or her company, and whatever is
// sent in a query or in a form: a page has it as text.
func TestHostileNames(t *testing.T) {
	h := hostileHost(t)
	seen, with := 0, 0
	b := h.browser()
	b.agent, b.lang = "Mozilla/5.0 "+hostile, hostile
	b.seen = func(path, location, body string) {
		if strings.HasPrefix(location, "/") && strings.ContainsAny(location, "\"<>'") {
			t.Errorf("%s leads to %q", path, location)
		}
		if b.header.Get("Content-Disposition") != "" || strings.HasPrefix(b.header.Get("Content-Type"), "text/plain") {
			return // no browser shows it as a page
		}
		for _, fault := range unescaped(body) {
			t.Errorf("%s: %s", path, fault)
		}
		if seen++; strings.Contains(body, "xss") {
			with++
		}
	}
	b.get("/account/sign-in?to=" + url.QueryEscape("/"+hostile))
	b.signIn(hostile).at("/home")
	b.turnOn()
	b.post("/account/security/add", "another", "yes").at("/account/setup")
	_, rest, _ := strings.Cut(b.get("/account/security").body, "do=rename&amp;id=")
	id, _, _ := strings.Cut(rest, `"`)
	b.post("/account/security/rename", "id", id, "label", hostile[:60]).at("/account/security")
	for _, page := range []string{"confirm?do=rename&id=" + id, "confirm?do=remove&id=" + id, "confirm?do=method&on=yes&method=email_code", "password"} {
		b.get("/account/security/" + page)
	}
	for _, page := range []string{"settings", "members", "preview?door=yes", "members/reset?user=u-2", "members/end?user=" + url.QueryEscape("3"+hostile)} {
		b.get("/account/org/acme/" + page)
	}
	b.post("/account/security/address", "method", "sms_code").at("/account/setup")
	b.post("/account/setup?method=sms_code", "address", hostile)
	asked := make(url.Values)
	for _, name := range []string{"to", "method", "name", "org", "action", "admin", "enroll", "do", "id", "on", "error", "done", "wait", "token", "user", "from", "sso", "door", "change", "version"} {
		asked.Set(name, hostile)
	}
	for _, path := range append(routes(t, "GET"), "/account/"+url.PathEscape(hostile), "/account/org/"+url.PathEscape(hostile)+"/settings", "/account/org/acme/members/"+url.PathEscape(hostile)) {
		b.get(strings.TrimSuffix(path, "{$}") + "?" + asked.Encode())
		for _, do := range []string{"rename", "remove", "codes", "ask", "revoke", "method", "revoke-others"} {
			if strings.HasSuffix(path, "/confirm") {
				one := url.Values{"do": {do}, "on": {hostile}, "to": {hostile}, "error": {hostile}}
				b.get(path + "?" + one.Encode())
			}
		}
		for name := range asked {
			one := url.Values{name: {hostile}}
			b.get(strings.TrimSuffix(path, "{$}") + "?" + one.Encode())
		}
	}
	for _, path := range routes(t, "POST") {
		if path != "/account/sign-out" {
			b.do("POST", path, asked)
		}
	}
	b.get("/account/step-up?action=mine")
	if seen < 300 || with < 200 {
		t.Errorf("%d pages were looked at, %d of them with what is hostile", seen, with)
	}
}

// A link cannot put words into the mouth of a page: an action that has no sentence is not
// shown.
func TestUnknownAction(t *testing.T) {
	h := newHost(t)
	b := h.browser().signIn("alice").at("/home")
	b.get("/account/step-up?action=" + url.QueryEscape("keep your account, call +1 900 555 0100 at once")).sees("prove once more that it is you")
	if strings.Contains(b.body, "To keep your account, call") || strings.Contains(b.text(), "900") {
		t.Errorf("the page says %s", b.text())
	}
	b.get("/account/step-up?action=change_password").sees("To change your password, please prove")
}
