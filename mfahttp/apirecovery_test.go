package mfahttp_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// token returns that of the last mail of a kind.
func (h *apiHost) token(t *testing.T, to string, kind mfa.MessageKind) string {
	t.Helper()
	token := ""
	for _, m := range h.Inbox.Messages(to) {
		if m.Kind == kind && m.Token() != "" {
			token = m.Token()
		}
	}
	if token == "" {
		t.Fatalf("no %s to %s among %d", kind, to, len(h.Inbox.Messages("")))
	}
	return token
}

// recovery leads to a new password and past no second factor, and undoes an address
// that somebody else put in.
func recovery(t *testing.T, h *apiHost) {
	c, _ := h.enrolled(t, "alice")
	stranger := h.client(t)
	stranger.app = c.app
	h.Inbox.Take()
	stranger.post("/recover", "login", "alice")
	stranger.post("/recover", "login", "nobody")
	if n := len(h.Inbox.Messages("")); n > 0 {
		t.Errorf("%d mails before the answer", n)
	}
	h.work(t)
	link := h.token(t, "alice@example.com", mfa.MessageReset)
	stranger.refused(http.StatusUnprocessableEntity, "weak", "/reset-password", "token", link, "password", "short")
	stranger.refused(http.StatusForbidden, "refused", "/reset-password", "token", link+"x", "password", newPassword)
	stranger.post("/reset-password", "token", link, "password", newPassword)
	stranger.refused(http.StatusForbidden, "refused", "/reset-password", "token", link, "password", newPassword)
	stranger.problem(http.StatusUnauthorized, "no_session", "/session", stranger.do(http.MethodGet, "/session", nil))
	c.problem(http.StatusUnauthorized, "no_session", "/session", c.do(http.MethodGet, "/session", nil)) // everything ended
	stranger.refused(http.StatusForbidden, "refused", "/sign-in", "login", "alice", "password", password)
	stranger.step(stranger.post("/sign-in", "login", "alice", "password", newPassword), "verify")
	stranger.step(stranger.post("/pending/verify", "method", "totp", "code", stranger.code()), "")

	stranger.post("/session/method", "method", "email_code", "on", true)
	stranger.step(stranger.post("/session/step-up", "purpose", object("type", "enroll", "method", "email_code")), "enroll")
	stranger.refused(http.StatusBadRequest, "invalid", "/pending/address", "method", "email_code", "address", "nowhere")
	h.Clock.Advance(time.Minute)
	stranger.step(stranger.post("/pending/address", "method", "email_code", "address", "mallory@example.org"), "enroll")
	stranger.post("/pending/verify", "method", "email_code", "code", h.Inbox.Code(t, "mallory@example.org"))
	undo := h.token(t, "alice@example.com", mfa.MessageKind(mfa.EventAddressChanged))
	c.post("/undo-address", "token", undo)
	c.refused(http.StatusForbidden, "refused", "/undo-address", "token", undo)
	stranger.problem(http.StatusUnauthorized, "no_session", "/session", stranger.do(http.MethodGet, "/session", nil))
}

// hostProves signs in at a provider, through the host's own handlers.
func hostProves(t *testing.T, h *apiHost) {
	c := h.client(t)
	do := func(method, path string) response {
		t.Helper()
		a := c.send(c.request(method, path, nil))
		if h.tokens && a.status == http.StatusOK {
			c.remember(a)
		}
		return a
	}
	if a := do(http.MethodGet, "/hello"); a.json["reason"] != "no_session" {
		t.Errorf("%d %s", a.status, a.body)
	}
	c.step(do(http.MethodPost, "/sso").json, "")
	for _, path := range []string{"/hello", "/hello/acme"} {
		if a := do(http.MethodGet, path); a.status != http.StatusOK || string(a.body) != "bob" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if a := do(http.MethodPost, "/pay"); a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	h.stale()
	if a := do(http.MethodPost, "/pay"); a.json["reason"] != "step_up" || a.json["step_up"].(map[string]any)["action"] != "pay" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := do(http.MethodPost, "/sso/again"); a.json["reason"] != "no_pending" {
		t.Errorf("%d %s", a.status, a.body)
	}
	out := c.step(c.post("/session/step-up", "purpose", object("type", "confirm", "action", "pay")), "verify")
	if to := out["purpose"].(map[string]any); to["action"] != "pay" {
		t.Errorf("%v", out)
	}
	c.step(do(http.MethodPost, "/sso/again").json, "")
}

// An API without Bearer keeps tokens where the host does; with it nothing is asked of
// what a browser sends along.
func TestAPITokensOfTheHost(t *testing.T) {
	both(t, func(t *testing.T, bearer bool) {
		own := &ownSessions{values: make(map[string]string), life: make(map[string]time.Duration)}
		h := newAPI(t, bearer)
		api, err := mfahttp.NewAPI(mfahttp.Config{Guard: h.Guard, NoProxies: true, Now: h.Clock.Now, Tokens: own}, mfahttp.APIConfig{Bearer: bearer})
		if err != nil {
			t.Fatal(err)
		}
		send := func(method, path, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequest(method, path, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			r.AddCookie(&http.Cookie{Name: "own", Value: "x"})
			w := httptest.NewRecorder()
			api.ServeHTTP(w, r)
			return w
		}
		w := send(http.MethodPost, "/sign-in", `{"login":"alice","password":"`+password+`"}`)
		if w.Code != http.StatusOK || (own.values["mfa_session"] == "") != bearer || strings.Contains(w.Body.String(), `"token"`) != bearer {
			t.Fatalf("%d %s, it keeps %v", w.Code, w.Body, own.values)
		}
		want := http.StatusOK
		if bearer {
			out, err := h.Guard.SignIn(t.Context(), mfa.SignIn{User: "alice", First: mfa.PasswordFirst()})
			if err != nil {
				t.Fatal(err)
			}
			own.values["mfa_session"] = out.Session.Token()
			want = http.StatusUnauthorized
		}
		if w := send(http.MethodGet, "/session", ""); w.Code != want {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
