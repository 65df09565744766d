package mfahttp_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// Other sites cannot make a browser send a form, and no page is framed, cached or
// runs a script that the host did not serve.
func TestProtect(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	for _, tc := range []struct {
		name, method, site, origin string
		want                       int
	}{
		{"own form", http.MethodPost, "same-origin", "https://example.com", http.StatusSeeOther},
		{"own form, old browser", http.MethodPost, "", "https://example.com", http.StatusSeeOther},
		{"another site", http.MethodPost, "cross-site", "https://evil.example", http.StatusForbidden},
		{"another site, old browser", http.MethodPost, "", "https://evil.example", http.StatusForbidden},
		{"a subdomain", http.MethodPost, "same-site", "https://evil.example.com", http.StatusForbidden},
		{"a sandboxed frame", http.MethodPost, "cross-site", "null", http.StatusForbidden},
		{"a link", http.MethodGet, "cross-site", "", http.StatusOK},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := request("/sign-in", "name", "alice", "password", "right")
			if tc.method == http.MethodGet {
				r = httptest.NewRequest(http.MethodGet, "/sign-in", nil)
			}
			for name, value := range map[string]string{"Sec-Fetch-Site": tc.site, "Origin": tc.origin} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			resp := h.browser(t).send(r)
			if resp.StatusCode != tc.want {
				t.Fatalf("%s, want %d", resp.Status, tc.want)
			}
			if tc.want == http.StatusForbidden && len(resp.Header.Values("Set-Cookie")) > 0 {
				t.Error("a refused form sets a cookie")
			}
			for name, want := range map[string]string{
				"Cache-Control": "no-store",
				"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; " +
					"form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
				"X-Content-Type-Options": "nosniff",
				"Referrer-Policy":        "same-origin",
			} {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

// An answer that carries a token is kept by no cache, even when the host forgot
// Protect.
func TestNextIsNotCached(t *testing.T) {
	web, err := mfahttp.New(config(t))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	web.Next(w, request("/sign-in"), mfa.Outcome{}, mfa.ErrRefused)
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
}

// A GET begins, ends and cancels nothing.
func TestGetChangesNothing(t *testing.T) {
	h := newHost(t, mfa.Rules{Require: mfa.RequireAtDoor})
	b := h.browser(t)
	b.leads(b.signIn("alice"), "/home")
	b.leads(b.get("/org/acme"), "/step-up?org=acme&to=%2Forg%2Facme")
	if b.cookies[pendingCookie] != "" {
		t.Error("the door began a proof")
	}
	b.leads(b.post("/step-up", "org", "acme"), "/enroll")
	for _, path := range []string{"/sign-out", "/cancel", "/step-up?action=x"} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut} {
			r := httptest.NewRequest(method, path, nil)
			if resp := b.send(r); len(resp.Header.Values("Set-Cookie")) > 0 || resp.StatusCode == http.StatusSeeOther {
				t.Errorf("%s %s: %s", method, path, resp.Status)
			}
		}
	}
	for _, path := range []string{"/home", "/enroll"} {
		if resp := b.get(path); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

// Canceling leads out of the flow, and the token is void.
func TestCancel(t *testing.T) {
	h := newHost(t, mfa.Rules{Require: mfa.RequireAtDoor})
	visitor := h.browser(t)
	b := h.enrolled(t)
	h.stale()
	for _, tc := range []struct {
		name string
		form []string
		want string
	}{
		{"back to the page", []string{"action", "x", "to", "/settings"}, "/settings"},
		{"nowhere", []string{"action", "x"}, "/home"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b.leads(b.post("/step-up", tc.form...), "/verify")
			old := b.cookies[pendingCookie]
			b.leads(b.post("/cancel"), tc.want)
			if b.cookies[pendingCookie] != "" {
				t.Error("the cookie is still there")
			}
			b.cookies[pendingCookie] = old
			b.leads(b.post("/verify", "code", b.code()), "/home?error=over")
			delete(b.cookies, pendingCookie)
		})
	}
	visitor.leads(visitor.signIn("alice"), "/verify") // her own switch asks
	visitor.leads(visitor.post("/cancel"), "/sign-in")

	visitor.leads(visitor.signIn("bob"), "/home")
	visitor.leads(visitor.post("/step-up", "org", "acme", "to", "/org/acme"), "/enroll")
	visitor.leads(visitor.post("/cancel"), "/home") // the door would only ask again
}

// A flow that a session opened is worth nothing in another browser, also when it
// is that of a signed-in user.
func TestFlowOfAnotherSession(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	b := h.enrolled(t)
	h.stale()
	b.leads(b.post("/step-up", "action", "x"), "/verify")
	thief := h.browser(t)
	thief.app = b.app
	thief.leads(thief.signIn("bob"), "/home")
	thief.cookies[pendingCookie] = b.cookies[pendingCookie]
	thief.leads(thief.post("/verify", "code", b.code()), "/home?error=over")
	b.leads(b.post("/verify", "code", b.code()), "/home") // unharmed
}

// An error that the page of the proof causes is shown there, not at the door that
// would lead to the same page again.
func TestStepUpProblem(t *testing.T) {
	h := newHost(t, mfa.Rules{Require: mfa.RequireAtDoor})
	b := h.enrolled(t)
	h.stale()
	for _, method := range []string{"totp", "backup_code"} { // lock both
		for range 5 {
			b.leads(b.post("/step-up", "action", "x"), "/verify")
			b.post("/verify?method="+method, "code", map[string]string{"totp": b.app.Wrong(h.Clock.Now()), "backup_code": "0000-0000-0000-0000"}[method])
		}
	}
	resp := b.post("/step-up", "action", "x", "to", "/settings")
	if got := resp.Header.Get("Location"); got != "/step-up?action=x&error=throttled&to=%2Fsettings&wait=30" {
		t.Errorf("all methods locked: %s to %q", resp.Status, got)
	}
}

// Outside of the middleware there is no handle to act on.
func TestHandlesOutside(t *testing.T) {
	ctx := t.Context()
	if mfahttp.SessionFrom(ctx) != nil || mfahttp.PendingFrom(ctx) != nil {
		t.Error("a handle from nowhere")
	}
}

// A flow of which nothing is missing any more, because another browser removed the
// factor that it asked for, goes on instead of being sent from page to page.
func TestRequirePendingNothingMissing(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	other := h.enrolled(t)
	waiting := h.browser(t)
	waiting.leads(waiting.signIn("alice"), "/verify")
	s, err := h.Guard.Session(t.Context(), other.cookies[sessionCookie], mfa.Client{})
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveTOTP(t.Context(), o.Authenticators[0].ID); err != nil {
		t.Fatal(err)
	}
	waiting.leads(waiting.get("/verify"), "/home")
	if code := waiting.get("/home").StatusCode; code != http.StatusOK {
		t.Errorf("status %d behind it", code)
	}
}

// R17: what is sensitive in the host itself is served after a fresh proof alone,
// and the page of the proof leads back to it.
func TestR17_RequireFresh(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	stranger := h.browser(t)
	stranger.leads(stranger.get("/delete"), "/sign-in?to=%2Fdelete")
	b := h.enrolled(t)
	for _, page := range []*http.Response{b.get("/delete"), b.post("/delete")} {
		if page.StatusCode != http.StatusOK {
			t.Errorf("right after a proof: %s", page.Status)
		}
	}
	h.stale()
	b.leads(b.post("/delete", "to", "/projects"), "/step-up?action=delete_project&to=%2Fprojects")
	b.leads(b.get("/delete?id=7"), "/step-up?action=delete_project&to=%2Fdelete%3Fid%3D7")
	b.leads(b.post("/step-up", "action", "delete_project", "to", "/delete?id=7"), "/verify")
	b.leads(b.post("/verify", "code", b.code()), "/delete?id=7")
	if resp := b.get("/delete?id=7"); resp.StatusCode != http.StatusOK {
		t.Errorf("after the proof: %s", resp.Status)
	}
	password := h.browser(t) // nothing but the password: it counts while it is fresh
	password.leads(password.signIn("bob"), "/home")
	if resp := password.get("/delete"); resp.StatusCode != http.StatusOK {
		t.Errorf("right after the password: %s", resp.Status)
	}
	h.stale()
	password.leads(password.get("/delete"), "/step-up?action=delete_project&to=%2Fdelete")
}

// What stands before a handler takes nothing away from it: it flushes, and takes the
// connection over, as without.
func TestWritersStayWhole(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	web, err := mfahttp.New(mfahttp.Config{Guard: h.Guard, Pages: pages(), NoProxies: true, InsecureHTTP: true, Now: h.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	org := func(*http.Request) string { return "acme" }
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if err := c.Flush(); err != nil {
			t.Errorf("%s: flush: %v", r.URL.Path, err)
		}
		conn, _, err := c.Hijack()
		if err != nil {
			t.Errorf("%s: hijack: %v", r.URL.Path, err)
			return
		}
		conn.Close()
	})
	mux := http.NewServeMux()
	mux.Handle("/session", web.RequireSession(next))
	mux.Handle("/entry", web.RequireEntry(org, next))
	mux.Handle("/fresh", web.RequireFresh("x", next))
	reached := 0
	server := httptest.NewServer(web.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached++
		mux.ServeHTTP(w, r)
	})))
	defer server.Close()
	_, s, _ := h.Enroll(t, "alice")
	for _, path := range []string{"/session", "/entry", "/fresh"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(&http.Cookie{Name: "mfa_session", Value: s.Token()})
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK { // flushed before it was taken over
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
	if reached != 3 {
		t.Errorf("%d requests arrived", reached)
	}
}
