package mfahttp_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/seed-1320b244/mfa"
)

// follow does what the table of steps in the OpenAPI document says, and knows nothing
// else, until somebody is signed in. It returns the steps.
func (c *client) follow(out map[string]any) (steps []string) {
	c.t.Helper()
	for range 8 {
		if out["status"] == "signed_in" {
			return steps
		}
		need := out["need"].(map[string]any)
		methods := need["methods"].([]any)
		steps = append(steps, need["step"].(string))
		switch need["step"] {
		case "verify":
			out = c.post("/pending/verify", "method", methods[0], "code", c.proof(methods[0].(string)))
		case "enroll":
			if methods[0] == "totp" {
				c.stage()
				out = c.post("/pending/totp/confirm", "code", c.code())
				continue
			}
			c.post("/pending/address", "method", methods[0], "address", "new@example.com")
			out = c.post("/pending/verify", "method", methods[0], "code", c.host.Inbox.Code(c.t, "new@example.com"))
		case "save_codes":
			c.get("/pending/codes")
			out = c.post("/pending/codes/saved")
		case "new_password":
			out = c.post("/pending/password", "password", newPassword)
		case "none":
			out = c.post("/pending/skip")
		}
	}
	c.t.Fatalf("no end: %v", steps)
	return nil
}

func (c *client) proof(method string) string {
	c.t.Helper()
	switch method {
	case "email_code":
		c.post("/pending/send", "method", method)
		all := c.host.Inbox.Messages("")
		return c.host.Inbox.Code(c.t, all[len(all)-1].To)
	case "password":
		return password
	}
	return c.code()
}

// A client that knows no more than the document gets through what a sign-in can ask.
func TestAPILoop(t *testing.T) {
	both(t, func(t *testing.T, tokens bool) {
		h := newAPI(t, tokens, withRules(mfa.Rules{Methods: everyMethod}))
		owner, _ := h.enrolled(t, "olivia")
		check := func(name string, c *client, out map[string]any, want ...string) {
			t.Helper()
			if got := c.follow(out); !slices.Equal(got, want) {
				t.Fatalf("%s: steps %q, want %q", name, got, want)
			}
			c.get("/session")
		}
		c := h.client(t)
		check("nothing asked", c, c.signIn("alice"))
		check("settings", c, c.post("/session/step-up", "purpose", object("type", "enroll", "method", "totp")), "enroll", "save_codes")
		check("an address", c, c.post("/session/step-up", "purpose", object("type", "enroll", "method", "email_code")), "enroll")
		check("next sign-in", c, c.signIn("alice"), "verify")
		h.stale()
		problem := c.problem(http.StatusForbidden, "step_up", "/session/ask-at-sign-in", c.do(http.MethodPost, "/session/ask-at-sign-in", object("on", false)))
		check("a fresh proof", c, c.post("/session/step-up", "purpose", problem["step_up"]), "verify")
		c.post("/session/ask-at-sign-in", "on", false)
		owner.follow(owner.post("/session/step-up", "purpose", object("type", "administer", "org", "acme")))
		owner.post("/admin/members/require-password-change?org=acme", "user", "alice")
		check("a new password", c, c.signIn("alice"), "verify", "new_password")
		owner.post("/admin/members/reset?org=acme", "user", "alice")
		check("after a reset", c, c.post("/sign-in", "login", "alice", "password", newPassword), "verify", "enroll", "save_codes")
	})
}
