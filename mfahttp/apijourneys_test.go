package mfahttp_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
)

func withRules(r mfa.Rules) func(*mfa.Config) { return func(c *mfa.Config) { c.Policy.Rules = r } }

// A journey is what a user comes to do.
type journey struct {
	options []func(*mfa.Config)
	run     func(*testing.T, *apiHost)
}

var everyMethod = []mfa.Method{mfa.TOTP, mfa.EmailCode, mfa.SMSCode}

var journeys = map[string]journey{
	"first sign-in": {[]func(*mfa.Config){withRules(mfa.Rules{Require: mfa.RequireAtSignIn})}, firstSignIn},
	"codes":         {[]func(*mfa.Config){withRules(mfa.Rules{Require: mfa.RequireAtSignIn, Remember: 24 * time.Hour})}, signInWithCodes},
	"put off":       {nil, putOff},
	"mailed code":   {[]func(*mfa.Config){withRules(mfa.Rules{Methods: everyMethod})}, mailedCode},
	"settings":      {nil, settings},
	"password":      {nil, passwords},
	"door":          {nil, door},
	"rules":         {nil, setRules},
	"members":       {nil, helpMembers},
	"recovery":      {[]func(*mfa.Config){withRules(mfa.Rules{Methods: everyMethod})}, recovery},
	"host":          {nil, hostProves},
}

// firstSignIn enrolls, and nothing is open before that is done (R13).
func firstSignIn(t *testing.T, h *apiHost) {
	c := h.client(t)
	out := c.step(c.signIn("alice"), "enroll")
	if out["purpose"].(map[string]any)["type"] != "sign_in" || out["user"] != nil {
		t.Errorf("%v", out)
	}
	c.problem(http.StatusUnauthorized, "no_session", "/session", c.do(http.MethodGet, "/session", nil))
	c.refused(http.StatusForbidden, "refused", "/pending/totp/confirm", "code", "123456")
	c.stage()
	first := *c.app
	c.stage()
	if first.Code(h.Clock.Now()) != c.app.Code(h.Clock.Now()) {
		t.Error("another look at the page stages another authenticator")
	}
	c.refused(http.StatusForbidden, "refused", "/pending/totp/confirm", "code", c.app.Wrong(h.Clock.Now()))
	c.problem(http.StatusForbidden, "refused", "/pending/codes", c.do(http.MethodGet, "/pending/codes", nil))
	c.step(c.post("/pending/totp/confirm", "code", c.code()), "save_codes")
	if codes := c.get("/pending/codes")["codes"].([]any); len(codes) != 10 {
		t.Errorf("%d codes", len(codes))
	}
	c.step(c.get("/pending"), "save_codes")
	out = c.step(c.post("/pending/codes/saved"), "")
	if out["user"] != "alice" {
		t.Errorf("%v", out)
	}
	if out := c.step(c.get("/session"), ""); out["user"] != "alice" {
		t.Errorf("%v", out)
	}
	c.problem(http.StatusUnauthorized, "no_pending", "/pending", c.do(http.MethodGet, "/pending", nil))
	c.post("/session/sign-out")
	c.problem(http.StatusUnauthorized, "no_session", "/session", c.do(http.MethodGet, "/session", nil))
	c.keepsNothing()
}

// signInWithCodes signs in with a code of the app, has the browser remembered, and
// elsewhere takes a backup code.
func signInWithCodes(t *testing.T, h *apiHost) {
	c, codes := h.enrolled(t, "alice")
	c.post("/session/sign-out")
	out := c.step(c.signIn("alice"), "verify")
	if methods := out["need"].(map[string]any)["methods"]; !slices.Equal(methods.([]any), []any{"totp", "backup_code"}) {
		t.Errorf("methods %v", methods)
	}
	c.refused(http.StatusForbidden, "refused", "/pending/verify", "method", "totp", "code", c.app.Wrong(h.Clock.Now()))
	c.step(c.post("/pending/verify", "method", "totp", "code", c.code(), "remember", true), "")
	c.post("/session/sign-out")
	c.step(c.signIn("alice"), "") // remembered
	browsers := c.get("/session/overview")["browsers"].([]any)
	if len(browsers) != 1 || browsers[0].(map[string]any)["remembered"] == nil {
		t.Errorf("browsers %v", browsers)
	}
	c.post("/session/browsers/forget", "ids", []any{browsers[0].(map[string]any)["id"]})
	before := c.sessionToken()
	c.step(c.signIn("alice"), "verify")
	if _, err := h.Guard.Session(t.Context(), before, mfa.Client{}); err == nil {
		t.Error("R13: the session that was presented to the sign-in is alive")
	}
	c.step(c.post("/pending/verify", "method", "backup_code", "code", codes[0]), "")
	if left := c.get("/session/overview")["codes_left"]; left != 9.0 {
		t.Errorf("%v codes left", left)
	}

	other := h.client(t)
	other.app = c.app
	other.step(other.signIn("alice"), "verify")
	other.post("/pending/cancel")
	other.keepsNothing()
	other.problem(http.StatusUnauthorized, "no_pending", "/pending", other.do(http.MethodGet, "/pending", nil))
}

// putOff skips enrollment until the date, and not after it.
func putOff(t *testing.T, h *apiHost) {
	owner, _ := h.enrolled(t, "olivia")
	rules := owner.get("/admin/rules?org=acme")["rules"].(map[string]any)
	rules["require"], rules["from"] = "at_sign_in", h.Clock.Now().Add(time.Hour).Format(time.RFC3339)
	owner.post("/admin/rules?org=acme", "rules", rules, "version", "")
	c := h.client(t)
	out := c.step(c.signIn("alice"), "enroll")
	if out["need"].(map[string]any)["skip_until"] == nil {
		t.Errorf("%v", out)
	}
	c.step(c.post("/pending/skip"), "")
	h.Clock.Advance(2 * time.Hour)
	c.step(c.signIn("alice"), "enroll")
	c.refused(http.StatusForbidden, "forbidden", "/pending/skip") // why not, whoever has only a password is not told
}

// mailedCode turns codes by mail on, and signs in with one.
func mailedCode(t *testing.T, h *apiHost) {
	c := h.client(t)
	c.step(c.signIn("alice"), "")
	c.post("/session/method", "method", "email_code", "on", true)
	c.post("/session/sign-out")
	c.step(c.signIn("alice"), "verify")
	h.Inbox.Fail(http.ErrServerClosed)
	c.refused(http.StatusServiceUnavailable, "not_delivered", "/pending/send", "method", "email_code")
	h.Inbox.Fail(nil)
	h.Clock.Advance(time.Minute)
	out := c.step(c.post("/pending/send", "method", "email_code"), "verify")
	if sent := out["sent"].(map[string]any); sent["to"] != "a•••e@example.com" {
		t.Errorf("%v", sent)
	}
	if wait := c.refused(http.StatusTooManyRequests, "too_soon", "/pending/send", "method", "email_code")["retry_after"]; wait != 60.0 {
		t.Errorf("wait %v", wait)
	}
	if c.get("/pending")["sent"] == nil {
		t.Error("a reload does not say where the code went")
	}
	c.step(c.post("/pending/verify", "method", "email_code", "code", h.Inbox.Code(t, "alice@example.com")), "")
	switches := c.get("/session/overview")["switches"].([]any)
	if !slices.ContainsFunc(switches, func(s any) bool {
		return s.(map[string]any)["method"] == "email_code" && s.(map[string]any)["held"] == true
	}) {
		t.Errorf("switches %v", switches)
	}
	c.refused(http.StatusForbidden, "step_up", "/session/method", "method", "sms_code", "on", true) // no number
}

// settings needs fresh proofs, which each end with a new token (R13).
func settings(t *testing.T, h *apiHost) {
	c, _ := h.enrolled(t, "alice")
	other := h.client(t)
	other.app = c.app
	other.step(other.signIn("alice"), "verify")
	other.step(other.post("/pending/verify", "method", "totp", "code", other.code()), "")

	id := c.get("/session/overview")["authenticators"].([]any)[0].(map[string]any)["id"]
	h.stale()
	problem := c.refused(http.StatusForbidden, "step_up", "/session/totp/rename", "id", id, "label", "old phone")
	before := c.sessionToken()
	c.elevate(problem)
	if _, err := h.Guard.Session(t.Context(), before, mfa.Client{}); err == nil || c.sessionToken() == before {
		t.Error("R13: the old token is still good")
	}
	c.post("/session/totp/rename", "id", id, "label", "old phone")
	o := c.get("/session/overview")
	if got := o["authenticators"].([]any)[0].(map[string]any)["label"]; got != "old phone" {
		t.Errorf("label %v", got)
	}
	c.refused(http.StatusForbidden, "unknown_factor", "/session/totp/rename", "id", "nothing", "label", "x")
	c.post("/session/ask-at-sign-in", "on", false)
	c.refused(http.StatusForbidden, "refused", "/session/codes", "password", "wrong")
	c.step(c.post("/session/codes", "password", password), "save_codes")
	c.step(c.post("/pending/codes/saved"), "")

	for _, s := range o["sessions"].([]any) {
		if s := s.(map[string]any); s["current"] == false {
			c.post("/session/revoke", "ids", []any{s["id"]})
		}
	}
	other.problem(http.StatusUnauthorized, "no_session", "/session", other.do(http.MethodGet, "/session", nil))
	c.post("/session/revoke-others")
	c.post("/session/totp/remove", "id", id)
	if n := len(c.get("/session/overview")["authenticators"].([]any)); n != 0 {
		t.Errorf("%d authenticators", n)
	}
	c.elevate(c.refused(http.StatusForbidden, "step_up", "/session/ask-at-sign-in", "on", true)) // a password is all there is
	c.refused(http.StatusForbidden, "no_factor", "/session/ask-at-sign-in", "on", true)
}

// passwords are changed from the settings, and at a sign-in when an administrator asks.
func passwords(t *testing.T, h *apiHost) {
	c, _ := h.enrolled(t, "alice")
	met := func(path, candidate string) bool {
		lines := c.post(path, "password", candidate)["requirements"].([]any)
		return !slices.ContainsFunc(lines, func(l any) bool { return l.(map[string]any)["met"] == false })
	}
	for _, path := range []string{"/check-password", "/session/password/check"} {
		if met(path, "short") || !met(path, newPassword) {
			t.Errorf("%s does not tell a good password from a bad one", path)
		}
	}
	c.refused(http.StatusForbidden, "refused", "/session/password", "current", "wrong", "password", newPassword)
	weak := c.refused(http.StatusUnprocessableEntity, "weak", "/session/password", "current", password, "password", "short")
	if first := weak["unmet"].([]any)[0].(map[string]any); first["reason"] != "password_too_short" || first["sentence"] == "" {
		t.Errorf("%v", first)
	}
	before := c.sessionToken()
	c.step(c.post("/session/password", "current", password, "password", newPassword), "")
	if c.sessionToken() == before {
		t.Error("the token is the same")
	}

	owner, _ := h.enrolled(t, "olivia")
	owner.post("/admin/members/require-password-change?org=acme", "user", "alice")
	c.step(c.post("/sign-in", "login", "alice", "password", newPassword), "verify")
	c.step(c.post("/pending/verify", "method", "totp", "code", c.code()), "new_password")
	if met("/pending/password/check", "short") {
		t.Error("a short password meets everything")
	}
	c.refused(http.StatusUnprocessableEntity, "weak", "/pending/password", "password", "short")
	c.step(c.post("/pending/password", "password", password), "")
}

// door is that of an organization which asks for a second factor from a date on.
func door(t *testing.T, h *apiHost) {
	c := h.client(t)
	c.step(c.signIn("bob"), "")
	if out := c.step(c.post("/session/enter", "org", "acme"), ""); out["required_from"] != nil {
		t.Errorf("%v", out)
	}
	owner, _ := h.enrolled(t, "olivia")
	rules := owner.get("/admin/rules?org=acme")["rules"].(map[string]any)
	rules["require"], rules["from"] = "at_door", h.Clock.Now().Add(time.Hour).Format(time.RFC3339)
	owner.post("/admin/rules?org=acme", "rules", rules, "version", "")
	if out := c.post("/session/enter", "org", "acme"); out["required_from"] != rules["from"] {
		t.Errorf("%v", out)
	}
	h.Clock.Advance(2 * time.Hour)
	problem := c.refused(http.StatusForbidden, "step_up", "/session/enter", "org", "acme")
	c.elevate(problem) // whoever is long signed in types her password before she binds anything
	c.step(c.get("/pending"), "enroll")
	c.stage()
	c.step(c.post("/pending/totp/confirm", "code", c.code()), "save_codes")
	out := c.step(c.post("/pending/codes/saved"), "")
	if out["user"] != "bob" {
		t.Errorf("%v", out)
	}
	c.step(c.post("/session/enter", "org", "acme"), "")
	c.refused(http.StatusForbidden, "not_a_member", "/session/step-up", "purpose", object("type", "enter", "org", "elsewhere"))
}

// keepsNothing fails when a browser has a cookie of what it ended.
func (c *client) keepsNothing() {
	c.t.Helper()
	for _, name := range []string{sessionCookie, pendingCookie} {
		if c.cookie(name) != "" {
			c.t.Errorf("%s is still there", name)
		}
	}
}
