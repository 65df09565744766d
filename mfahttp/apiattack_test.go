package mfahttp_test

import (
	"encoding/json"
	"net/http"
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

func raw(v any) []byte { b, _ := json.Marshal(v); return b }
