package mfahttp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa"
)

// R13: signing out ends the flow that the client presents too, whoever it is of.
func TestR13_APISignOutEndsFlow(t *testing.T) {
	both(t, func(t *testing.T, tokens bool) {
		h := newAPI(t, tokens, withRules(mfa.Rules{Require: mfa.RequireAtSignIn}))
		c, _ := h.enrolled(t, "alice")
		out, err := h.Guard.SignIn(t.Context(), mfa.SignIn{User: "bob", First: mfa.PasswordFirst()})
		if err != nil {
			t.Fatal(err)
		}
		flow := out.Pending.Token()
		h.bare(t, c.sessionToken(), flow).post("/session/sign-out")
		late := h.bare(t, "", flow)
		late.problem(http.StatusUnauthorized, "no_pending", "/pending", late.do(http.MethodGet, "/pending", nil))
	})
}

// A time that JSON cannot hold is refused: the rules could not be read again.
func TestAPIRulesTimes(t *testing.T) {
	h := newAPI(t, false)
	c, _ := h.enrolled(t, "olivia")
	for when, reason := range map[string]string{
		"9999-12-31T23:59:59-01:00": "invalid", "0000-01-01T00:00:00+01:00": "invalid", "9999-12-31T23:59:60Z": "malformed",
	} {
		for _, name := range []string{"from", "proofs_not_before"} {
			rules := c.get("/admin/rules?org=acme")["rules"].(map[string]any)
			rules[name] = when
			a := c.send(c.request(http.MethodPost, "/api/mfa/admin/rules?org=acme", raw(object("rules", rules, "version", ""))))
			c.problem(http.StatusBadRequest, reason, name+" "+when, a)
		}
	}
}

// R28: whoever has no more than a password cannot try out what the owner is called: new
// passwords are compared with that only once a new one is asked for.
func TestR28_APINamesNotTold(t *testing.T) {
	both(t, func(t *testing.T, tokens bool) {
		h := newAPI(t, tokens)
		c, _ := h.enrolled(t, "alice")
		c.step(c.signIn("alice"), "verify")
		for _, guess := range []string{"alice@example.com", "carol@example.com"} {
			c.refused(http.StatusForbidden, "refused", "/pending/password/check", "password", guess)
		}
	})
}

// R28: who has a session of her own learns no more of a sign-in of somebody else.
func TestR28_APIForbiddenBesideSession(t *testing.T) {
	h := newAPI(t, true, withRules(mfa.Rules{Require: mfa.RequireAtSignIn}))
	c, _ := h.enrolled(t, "alice")
	out, err := h.Guard.SignIn(t.Context(), mfa.SignIn{User: "bob", First: mfa.PasswordFirst()})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/pending/skip", strings.NewReader("{}"))
	for name, value := range map[string]string{
		"Content-Type": "application/json", "Authorization": "Bearer " + c.session, "Mfa-Pending": out.Pending.Token(),
	} {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.api.RequireSession(h.api).ServeHTTP(w, r)
	if !strings.Contains(w.Body.String(), `"reason":"forbidden"`) || mfa.ReasonOf(h.failure()) != mfa.ReasonCannotSkip {
		t.Errorf("%d %s (%v)", w.Code, w.Body, mfa.ReasonOf(h.failure()))
	}
}

// An answer that the host has the API write is as well kept as one of its own.
func TestAPIAnswerHeaders(t *testing.T) {
	both(t, func(t *testing.T, tokens bool) {
		h := newAPI(t, tokens)
		c := h.client(t)
		own, hosts := c.do(http.MethodPost, "/sign-in", object("login", "bob", "password", password)), c.send(c.request(http.MethodPost, "/sso", nil))
		for _, name := range []string{"Cache-Control", "Content-Security-Policy", "Cross-Origin-Resource-Policy", "X-Content-Type-Options"} {
			if got, want := hosts.header.Get(name), own.header.Get(name); hosts.status != http.StatusOK || got != want || want == "" {
				t.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	})
}

func raw(v any) []byte { b, _ := json.Marshal(v); return b }
