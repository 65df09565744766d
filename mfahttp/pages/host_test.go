package pages_test

import (
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
	"github.com/seed-1320b244/mfa/mfahttp/pages"
	"github.com/seed-1320b244/mfa/mfatest"
)

const password = "Correct horse 47 battery"

// A host has a site under /account, a page of its own at /home, and the users alice,
// who owns Acme and administers the installation, and bob, who is a member of Acme.
type host struct {
	t       *testing.T
	kit     *mfatest.Kit
	site    *pages.Site
	handler http.Handler
	jobs    *mfahttp.Jobs
}

func policy(c *mfa.Config) {
	c.Policy = mfa.Policy{Rules: mfa.Rules{
		Methods: []mfa.Method{mfa.TOTP, mfa.SMSCode, mfa.EmailCode}, Remember: 24 * time.Hour,
	}, Password: mfa.PasswordPolicy{Min: 15}}
}

func newHost(t *testing.T, options ...func(*pages.Config)) *host {
	t.Helper()
	return newHostOf(t, policy, options...)
}

// newHostOf is newHost with another policy.
func newHostOf(t *testing.T, policy func(*mfa.Config), options ...func(*pages.Config)) *host {
	t.Helper()
	h := &host{t: t, kit: mfatest.New(t, policy)}
	c := h.config()
	for _, o := range options {
		o(&c)
	}
	var err error
	if h.site, err = pages.New(c); err != nil {
		t.Fatal(err)
	}
	h.kit.Users.Add(
		mfa.User{ID: "u-1", Name: "alice", Email: "alice@example.com", EmailVerified: true, Phone: "+447700900123", ManagedBy: "acme", Admin: true,
			Orgs: []mfa.Membership{{Org: "acme", Role: mfa.RoleOwner}}},
		mfa.User{ID: "u-2", Name: "bob", Email: "bob@example.com", EmailVerified: true, ManagedBy: "acme",
			Orgs: []mfa.Membership{{Org: "acme", Role: mfa.RoleMember}}},
	)
	for _, id := range []string{"u-1", "u-2"} {
		if err := h.kit.Guard.SetPassword(t.Context(), id, password); err != nil {
			t.Fatal(err)
		}
	}
	h.kit.Inbox.Take()
	mux := http.NewServeMux()
	mux.Handle(c.Prefix+"/", h.site)
	mux.Handle("GET /home", h.site.Web().RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "the host's own page")
	})))
	mux.Handle("GET /door", h.site.Web().RequireEntry(func(*http.Request) string { return "acme" }, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "behind the door")
	})))
	h.handler = mux
	return h
}

// config is that of a host with nothing special.
func (h *host) config() pages.Config {
	h.jobs = mfahttp.NewJobs(func(err error) { h.t.Errorf("a job failed: %v", err) })
	return pages.Config{
		Guard: h.kit.Guard, HTTP: mfahttp.Config{NoProxies: true, Now: h.kit.Clock.Now}, Users: h.kit.Users, Jobs: h.jobs.Add,
		Product: "Cedar", Prefix: "/account", Home: "/home", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Org: func(ctx context.Context, id string) (pages.Org, error) {
			if id != "acme" {
				return pages.Org{}, mfa.ErrForbidden
			}
			return pages.Org{Name: "Acme", Managed: true, Connection: "acme-sso", Home: "/door"}, nil
		},
	}
}

// work runs the jobs that wait.
func (h *host) work() {
	ctx, cancel := context.WithCancel(h.t.Context())
	cancel()
	h.jobs.Run(ctx)
}

// A browser has cookies and a language, and remembers what it was sent.
type browser struct {
	*host
	cookies map[string]string
	lang    string
	agent   string

	path   string // with query, of the last page
	status int
	body   string
	header http.Header

	seen func(path, location, body string) // every answer, unless nil
	app  *mfatest.Authenticator
}

func (h *host) browser() *browser {
	return &browser{host: h, cookies: make(map[string]string), agent: mfatest.Laptop().UserAgent}
}

// do sends a request and follows redirects to the site and the host's page.
func (b *browser) do(method, to string, form url.Values) *browser {
	b.t.Helper()
	for range 10 {
		r := httptest.NewRequest(method, "https://cedar.example"+to, strings.NewReader(form.Encode()))
		if method == http.MethodPost {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		}
		r.Header.Set("User-Agent", b.agent)
		if b.lang != "" {
			r.Header.Set("Accept-Language", b.lang)
		}
		for name, value := range b.cookies {
			r.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		for _, c := range w.Result().Cookies() {
			if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
				delete(b.cookies, c.Name)
			}
		}
		b.path, b.status, b.body, b.header = to, w.Code, w.Body.String(), w.Header()
		if b.seen != nil {
			b.seen(to, w.Header().Get("Location"), b.body)
		}
		if w.Code != http.StatusSeeOther || !strings.HasPrefix(w.Header().Get("Location"), "/") {
			return b
		}
		method, to, form = http.MethodGet, w.Header().Get("Location"), nil
	}
	b.t.Fatalf("redirected for ever, last to %s", to)
	return b
}

func (b *browser) get(to string) *browser { b.t.Helper(); return b.do(http.MethodGet, to, nil) }

func (b *browser) post(to string, fields ...string) *browser {
	b.t.Helper()
	form := make(url.Values)
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.do(http.MethodPost, to, form)
}

// at fails the test unless the last page is that.
func (b *browser) at(path string) *browser {
	b.t.Helper()
	if got, _, _ := strings.Cut(b.path, "?"); got != path {
		b.t.Fatalf("the page is %s (%d), want %s:\n%s", b.path, b.status, path, b.text())
	}
	return b
}

var tag = regexp.MustCompile(`(?s)<style.*?</style>|<[^>]*>`)

// text returns what a reader sees.
func (b *browser) text() string {
	plain := strings.NewReplacer("‹", "", "›", "").Replace(tag.ReplaceAllString(b.body, " "))
	return strings.Join(strings.Fields(html.UnescapeString(plain)), " ")
}

func (b *browser) sees(words ...string) *browser {
	b.t.Helper()
	for _, w := range words {
		if !strings.Contains(b.text(), w) {
			b.t.Errorf("%s does not say %q:\n%s", b.path, w, b.text())
		}
	}
	return b
}

// title returns the title of the page.
func (b *browser) title() string {
	_, rest, _ := strings.Cut(b.body, "<title>")
	title, _, _ := strings.Cut(rest, "</title>")
	return html.UnescapeString(title)
}

func (b *browser) signIn(name string) *browser {
	b.t.Helper()
	return b.post("/account/sign-in", "name", name, "password", password)
}

// turnOn enrolls an app from the settings and saves the codes.
func (b *browser) turnOn() *browser {
	b.t.Helper()
	b.post("/account/security/add", "to", "/account/security")
	if strings.HasPrefix(b.path, "/account/verify") {
		b.post(b.path, "password", password)
	}
	return b.at("/account/setup").bind().at("/account/security")
}

// bind scans the code on the page of the setup, and saves the codes.
func (b *browser) bind() *browser {
	b.t.Helper()
	r := b.cookies
	other := &browser{host: b.host, cookies: r, agent: b.agent}
	other.get("/account/setup/open")
	var err error
	if b.app, err = mfatest.NewAuthenticator(other.header.Get("Location")); err != nil {
		b.t.Fatal(err)
	}
	b.post("/account/setup?method=totp", "code", b.app.Code(b.kit.Clock.Now()))
	return b.at("/account/codes").post("/account/codes", "saved", "yes", "to", "/account/security")
}

// code types a new code of the app.
func (b *browser) code() *browser {
	b.t.Helper()
	b.kit.Clock.Advance(time.Minute)
	return b.post(b.path, "code", b.app.Code(b.kit.Clock.Now()))
}

// links returns what a page leads to or loads: the values of href, src, action and the
// hidden "to".
func links(body string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`(?:href|src|action|data-check)="([^"]*)"|name="to" value="([^"]*)"`).FindAllStringSubmatch(body, -1) {
		if to := html.UnescapeString(m[1] + m[2]); !slices.Contains(all, to) {
			all = append(all, to)
		}
	}
	return all
}
