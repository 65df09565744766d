package mfahttp_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
	"github.com/seed-1320b244/mfa/mfatest"
)

// raw sends a request with this Cookie header, which no cookie jar would send.
func (b *browser) raw(method, path, header string, form ...string) *http.Response {
	b.t.Helper()
	r := request(path, form...)
	if r.Method = method; method == http.MethodGet {
		r.Body = http.NoBody
	}
	r.Header.Set("Cookie", header)
	return (&browser{t: b.t, host: b.host, cookies: make(map[string]string)}).send(r)
}

// jar returns what the browser sends, without the cookie of a name, and that cookie.
func (b *browser) jar(name string) (rest, cookie string) {
	for n, v := range b.cookies {
		if n != name {
			rest += n + "=" + v + "; "
		}
	}
	return rest, name + "=" + b.cookies[name]
}

// bothOrders calls do with two cookies of one name, the planted one first and last.
func bothOrders(rest, own, planted string, do func(header string)) {
	do(rest + planted + "; " + own)
	do(own + "; " + rest + planted)
}

// R13: a cookie that somebody planted beside the real one, as a browser of before 2023
// lets a subdomain do (a cookie without a name is sent as its value alone), signs nobody
// out: what is no good hides nothing, and no cookie is set or cleared for it. net/http
// itself drops "=__Host-mfa_session=x", gives both of two cookies with one name, and of
// them Request.Cookie the first: taking that one, as this package did, the planted one
// won whenever it came first.
func TestR13_PlantedTwinHidesNothing(t *testing.T) {
	h := newHost(t, mfa.Rules{Require: mfa.RequireAtSignIn})
	mallory := h.enrolledAs(t, "bob")
	over := mallory.cookies[sessionCookie]
	mallory.leads(mallory.post("/sign-out"), "/sign-in")
	b := h.enrolled(t)
	h.stale()
	b.leads(b.post("/step-up", "action", "x", "to", "/settings"), "/verify")
	for _, planted := range []string{"evil", over, b.cookies[pendingCookie], `"evil"`, ""} {
		rest, own := b.jar(sessionCookie)
		bothOrders(rest, own, sessionCookie+"="+planted, func(header string) {
			for _, path := range []string{"/home", "/org/acme", "/verify"} {
				if resp := b.raw(http.MethodGet, path, header); resp.StatusCode != http.StatusOK || len(resp.Header.Values("Set-Cookie")) > 0 {
					t.Errorf("%s with %.60q: %s, cookies %q", path, header, resp.Status, resp.Header.Values("Set-Cookie"))
				}
			}
		})
		rest, own = b.jar(pendingCookie)
		bothOrders(rest, own, pendingCookie+"="+planted, func(header string) {
			if resp := b.raw(http.MethodGet, "/verify", header); resp.StatusCode != http.StatusOK || len(resp.Header.Values("Set-Cookie")) > 0 {
				t.Errorf("the flow with %.60q: %s, cookies %q", header, resp.Status, resp.Header.Values("Set-Cookie"))
			}
		})
	}
	rest, own := b.jar(sessionCookie)
	h.FailStore(errors.New("down")) // which of them is good nobody knows
	bothOrders(rest, own, sessionCookie+"="+over, func(header string) {
		if resp := b.raw(http.MethodGet, "/home", header); resp.StatusCode != http.StatusServiceUnavailable || len(resp.Header.Values("Set-Cookie")) > 0 {
			t.Errorf("the store down: %s", resp.Status)
		}
	})
	h.FailStore(nil)
	resp := b.raw(http.MethodPost, "/sign-out", sessionCookie+"=evil; "+rest+own)
	if resp.Header.Get("Location") != "/sign-in" || len(resp.Header.Values("Set-Cookie")) != 2 {
		t.Errorf("signing out: %s, cookies %q", resp.Status, resp.Header.Values("Set-Cookie"))
	}
	b.leads(b.get("/home"), "/sign-in?error=over&to=%2Fhome")
}

// R13: a session of his own that somebody planted signs nobody in as him: of two that are
// good none is taken, whichever comes first, and signing in ends both. It gives him no
// more than filling the browser with cookies does, and he cannot say which of them goes.
func TestR13_PlantedTwinSignsNobodyIn(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	mallory, b := h.browser(t), h.browser(t)
	mallory.leads(mallory.signIn("bob"), "/home")
	b.leads(b.signIn("alice"), "/home")
	rest, own := b.jar(sessionCookie)
	planted := sessionCookie + "=" + mallory.cookies[sessionCookie]
	bothOrders(rest, own, planted, func(header string) {
		resp := b.raw(http.MethodGet, "/home", header)
		if resp.Header.Get("Location") != "/sign-in?error=over&to=%2Fhome" || len(resp.Header.Values("Set-Cookie")) > 0 {
			t.Errorf("%s to %q, cookies %q", resp.Status, resp.Header.Get("Location"), resp.Header.Values("Set-Cookie"))
		}
	})
	resp := b.raw(http.MethodPost, "/sign-in", own+"; "+rest+planted, "name", "alice", "password", "right")
	b.leads(resp, "/home")
	for _, c := range resp.Cookies() {
		b.cookies[c.Name] = c.Value
	}
	mallory.leads(mallory.get("/home"), "/sign-in?error=over&to=%2Fhome")
	rest, own = b.jar(sessionCookie)
	bothOrders(rest, own, planted, func(header string) { // which the browser still has
		if resp := b.raw(http.MethodGet, "/home", header); resp.StatusCode != http.StatusOK {
			t.Errorf("signed in again: %s to %q", resp.Status, resp.Header.Get("Location"))
		}
	})

	// A flow of his does not take the place of hers, or she would set her app up for him.
	h = newHost(t, mfa.Rules{Require: mfa.RequireAtSignIn})
	mallory, b = h.browser(t), h.browser(t)
	mallory.leads(mallory.signIn("bob"), "/enroll")
	b.leads(b.signIn("alice"), "/enroll")
	rest, own = b.jar(pendingCookie)
	bothOrders(rest, own, pendingCookie+"="+mallory.cookies[pendingCookie], func(header string) {
		resp := b.raw(http.MethodGet, "/enroll", header)
		if resp.Header.Get("Location") != "/sign-in?error=over" || len(resp.Header.Values("Set-Cookie")) > 0 {
			t.Errorf("two flows: %s to %q, cookies %q", resp.Status, resp.Header.Get("Location"), resp.Header.Values("Set-Cookie"))
		}
	})
}

// What a browser is known by is read from every cookie of the name, of each in turn: a
// planted one makes nobody unknown.
func TestR13_PlantedTwinOfBrowsers(t *testing.T) {
	h := newHost(t, mfa.Rules{Require: mfa.RequireAtSignIn, Remember: 3600e9 * 24})
	b := h.enrolled(t)
	b.leads(b.post("/sign-out"), "/sign-in")
	b.leads(b.signIn("alice"), "/verify")
	b.leads(b.post("/verify", "code", b.code(), "remember", "yes"), "/home")
	entry := func(s string) string { return strings.Repeat(s, 60) }
	planted := browsersCookie + "=" + strings.Join([]string{entry("a"), entry("b"), entry("c"), entry("d")}, ".")
	bothOrders("", browsersCookie+"="+b.cookies[browsersCookie], planted, func(header string) {
		b.leads(b.raw(http.MethodPost, "/sign-in", header, "name", "alice", "password", "right"), "/home")
	})
}

// The cookies of an API are read as those of an Adapter.
func TestR13_APIPlantedTwin(t *testing.T) {
	kit := mfatest.New(t)
	kit.Users.Add(mfa.User{ID: "alice"}, mfa.User{ID: "bob"})
	api, err := mfahttp.NewAPI(mfahttp.Config{Guard: kit.Guard, NoProxies: true, Now: kit.Clock.Now}, mfahttp.APIConfig{})
	if err != nil {
		t.Fatal(err)
	}
	_, alice, _ := kit.Enroll(t, "alice")
	_, bob, _ := kit.Enroll(t, "bob")
	own := sessionCookie + "=" + alice.Token()
	for planted, want := range map[string]int{"evil": http.StatusOK, bob.Token(): http.StatusUnauthorized} {
		bothOrders("", own, sessionCookie+"="+planted, func(header string) {
			r := httptest.NewRequest(http.MethodGet, "/session", nil)
			r.Header.Set("Cookie", header)
			w := httptest.NewRecorder()
			if api.ServeHTTP(w, r); w.Code != want || strings.Contains(w.Body.String(), `"bob"`) || len(w.Header().Values("Set-Cookie")) > 0 {
				t.Errorf("%d %s, cookies %q", w.Code, w.Body, w.Header().Values("Set-Cookie"))
			}
		})
	}
}
