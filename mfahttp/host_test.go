package mfahttp_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
	"github.com/seed-1320b244/mfa/mfatest"
)

func pages() mfahttp.Pages {
	return mfahttp.Pages{
		SignIn: "/sign-in", Verify: "/verify", Enroll: "/enroll", SaveCodes: "/save-codes",
		NewPassword: "/new-password", StepUp: "/step-up", Home: "/home",
	}
}

// A host is a small application: its handlers do what the documentation says.
type host struct {
	*mfatest.Kit
	handler http.Handler
	fault   error // what the handlers at /fails and /home/fails run into
	failed  error // what Config.Error was given last
}

func newHost(t *testing.T, rules mfa.Rules, options ...func(*mfahttp.Config)) *host {
	t.Helper()
	h := &host{Kit: mfatest.New(t, func(c *mfa.Config) { c.Policy.Rules = rules })}
	acme := []mfa.Membership{{Org: "acme"}}
	h.Users.Add(
		mfa.User{ID: "alice", Orgs: acme}, mfa.User{ID: "bob", Orgs: acme},
		mfa.User{ID: "olivia", Orgs: []mfa.Membership{{Org: "acme", Role: mfa.RoleOwner}}, Admin: true},
	)
	c := mfahttp.Config{
		Guard: h.Guard, Pages: pages(), NoProxies: true, Now: h.Clock.Now,
		Error: func(w http.ResponseWriter, r *http.Request, status int, err error) {
			h.failed = err
			http.Error(w, http.StatusText(status), status)
		},
	}
	for _, o := range options {
		o(&c)
	}
	web, err := mfahttp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	show := func(w http.ResponseWriter, r *http.Request) {}
	pending := func(pattern string, s mfa.Step, do func(*http.Request, *mfa.Pending) (mfa.Outcome, error)) {
		mux.Handle("POST "+pattern, web.RequirePending(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			out, err := do(r, mfahttp.PendingFrom(r.Context()))
			web.Next(w, r, out, err)
		}), s))
		mux.Handle("GET "+pattern, web.RequirePending(http.HandlerFunc(show), s))
	}
	session := func(pattern string, do func(*http.Request, *mfa.Session) (mfa.Outcome, error)) {
		mux.Handle(pattern, web.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			out, err := do(r, mfahttp.SessionFrom(r.Context()))
			web.Next(w, r, out, err)
		})))
	}
	mux.HandleFunc("GET /sign-in", show)
	mux.HandleFunc("POST /sign-in", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("password") != "right" {
			web.Next(w, r, mfa.Outcome{}, mfa.ErrRefused)
			return
		}
		out, err := h.Guard.SignIn(r.Context(), web.SignIn(r, r.PostFormValue("name"), mfa.PasswordFirst()))
		if err == nil && out.Pending != nil && r.PostFormValue("send") != "" {
			_, err = out.Pending.Send(r.Context(), method(r.PostFormValue("send")))
		}
		web.Next(w, r, out, err)
	})
	pending("/verify", mfa.StepVerify, func(r *http.Request, p *mfa.Pending) (mfa.Outcome, error) {
		m := method(r.FormValue("method"))
		if r.PostFormValue("send") != "" {
			_, err := p.Send(r.Context(), m)
			return mfa.Outcome{Pending: p}, err
		}
		return p.Verify(r.Context(), mfa.Proof{Method: m, Code: r.PostFormValue("code"), Remember: r.PostFormValue("remember") != ""})
	})
	pending("/enroll", mfa.StepEnroll, func(r *http.Request, p *mfa.Pending) (mfa.Outcome, error) {
		return p.ConfirmTOTP(r.Context(), r.PostFormValue("code"))
	})
	pending("/save-codes", mfa.StepSaveCodes, func(r *http.Request, p *mfa.Pending) (mfa.Outcome, error) {
		return p.SaveCodes(r.Context())
	})
	pending("/new-password", mfa.StepNewPassword, func(*http.Request, *mfa.Pending) (mfa.Outcome, error) {
		return mfa.Outcome{}, mfa.ErrRefused
	})
	mux.Handle("GET /home", web.RequireSession(http.HandlerFunc(show)))
	mux.Handle("GET /org/{org}", web.RequireEntry(func(r *http.Request) string { return r.PathValue("org") }, http.HandlerFunc(show)))
	session("/admin/{org}", func(r *http.Request, s *mfa.Session) (mfa.Outcome, error) {
		return administer(r, s, r.PathValue("org"))
	})
	session("/admin", func(r *http.Request, s *mfa.Session) (mfa.Outcome, error) { return administer(r, s, "") })
	mux.Handle("GET /step-up", web.RequireSession(http.HandlerFunc(show)))
	mux.Handle("/step-up", web.StepUp())
	session("POST /codes", func(r *http.Request, s *mfa.Session) (mfa.Outcome, error) { return s.NewBackupCodes(r.Context(), "") })
	session("POST /add", func(r *http.Request, s *mfa.Session) (mfa.Outcome, error) {
		return s.StepUp(r.Context(), mfa.ToEnroll(mfa.TOTP), r.FormValue("to"))
	})
	mux.HandleFunc("/fails", func(w http.ResponseWriter, r *http.Request) { web.Next(w, r, mfa.Outcome{}, h.fault) })
	session("POST /mail", func(r *http.Request, s *mfa.Session) (mfa.Outcome, error) {
		if err := s.SetMethod(r.Context(), mfa.EmailCode, true); err != nil {
			return mfa.Outcome{}, err
		}
		return mfa.Outcome{Session: s}, nil
	})
	session("/home/fails", func(*http.Request, *mfa.Session) (mfa.Outcome, error) { return mfa.Outcome{}, h.fault })
	mux.Handle("/delete", web.RequireFresh("delete_project", http.HandlerFunc(show)))
	mux.Handle("/sign-out", web.SignOut())
	mux.Handle("/cancel", web.Cancel())
	h.handler = web.Protect(mux)
	return h
}

// administer does what an administrator's page does first.
func administer(r *http.Request, s *mfa.Session, org string) (mfa.Outcome, error) {
	if _, err := s.Admin(r.Context(), org); err != nil {
		return mfa.Outcome{}, err
	}
	return mfa.Outcome{Session: s}, nil
}

// method returns the method of this name, an app for none.
func method(name string) mfa.Method {
	m := mfa.TOTP
	if name != "" && m.UnmarshalText([]byte(name)) != nil {
		return 0
	}
	return m
}

// A browser keeps cookies.
type browser struct {
	t       *testing.T
	host    *host
	cookies map[string]string
	app     *mfatest.Authenticator
}

func (h *host) browser(t *testing.T) *browser {
	return &browser{t: t, host: h, cookies: make(map[string]string)}
}

const (
	sessionCookie  = "__Host-mfa_session"
	pendingCookie  = "__Host-mfa_pending"
	browsersCookie = "__Host-mfa_browsers"
)

func (b *browser) send(r *http.Request) *http.Response {
	b.t.Helper()
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.host.handler.ServeHTTP(w, r)
	resp := w.Result()
	for _, c := range resp.Cookies() {
		if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return resp
}

func (b *browser) get(path string) *http.Response {
	b.t.Helper()
	return b.send(httptest.NewRequest(http.MethodGet, path, nil))
}

// post sends a form with these names and values.
func (b *browser) post(path string, form ...string) *http.Response {
	b.t.Helper()
	return b.send(request(path, form...))
}

func request(path string, form ...string) *http.Request {
	values := make(url.Values)
	for i := 0; i < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// leads fails unless resp is a redirect to the address.
func (b *browser) leads(resp *http.Response, to string) {
	b.t.Helper()
	if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusSeeOther || got != to {
		b.t.Fatalf("%s to %q, want 303 to %q (error: %v)", resp.Status, got, to, b.host.failed)
	}
}

func (b *browser) signIn(name string, form ...string) *http.Response {
	b.t.Helper()
	return b.post("/sign-in", append([]string{"name", name, "password", "right"}, form...)...)
}

// code returns a code that was not used yet.
func (b *browser) code() string {
	b.host.Clock.Advance(b.app.Period())
	return b.app.Code(b.host.Clock.Now())
}

// stage opens the page of an enrollment: the host of these tests shows no QR code.
func (b *browser) stage() {
	b.t.Helper()
	p, err := b.host.Guard.Pending(b.t.Context(), b.cookies[pendingCookie], b.cookies[sessionCookie], mfa.Client{})
	if err != nil {
		b.t.Fatal(err)
	}
	setup, err := p.StartTOTP(b.t.Context(), "")
	if err != nil {
		b.t.Fatal(err)
	}
	if b.app, err = mfatest.NewAuthenticator(setup.URI()); err != nil {
		b.t.Fatal(err)
	}
}

// enrolled returns a browser in which alice is signed in and has an authenticator,
// enrolledAs one of somebody else.
func (h *host) enrolled(t *testing.T) *browser {
	t.Helper()
	return h.enrolledAs(t, "alice")
}

func (h *host) enrolledAs(t *testing.T, name string) *browser {
	t.Helper()
	b := h.browser(t)
	if b.signIn(name); b.cookies[sessionCookie] != "" {
		b.leads(b.post("/add"), "/enroll")
	}
	b.stage()
	b.leads(b.post("/enroll", "code", b.code()), "/save-codes")
	b.leads(b.post("/save-codes"), "/home")
	return b
}

// stale lets the last proof grow too old for something sensitive.
func (h *host) stale() { h.Clock.Advance(6 * time.Minute) }
