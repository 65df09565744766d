package mfahttp_test

import (
	"net/http"
	"reflect"
	"testing"
)

// setRules sets the rules of an organization, and is told when somebody was faster.
func setRules(t *testing.T, h *apiHost) {
	c, _ := h.enrolled(t, "olivia")
	other, _ := h.enrolled(t, "otto")
	set := c.get("/admin/rules?org=acme")
	if set["version"] != "" {
		t.Errorf("%v", set)
	}
	rules := set["rules"].(map[string]any)
	rules["require"], rules["remember"], rules["idle_for"], rules["exempt"] = "at_door", 3600.0, 600.0, []any{"robot"}
	rules["sso"] = []any{object("name", "work", "rule", "trust_asserted", "amr", []any{"mfa"}, "acr", []any{})}
	if p := c.post("/admin/rules/preview?org=acme", "rules", rules); p["members"] != 4.0 || p["affected"] != 4.0 || p["not_enrolled"] != 2.0 {
		t.Errorf("%v", p)
	}
	c.post("/admin/rules?org=acme", "rules", rules, "version", "")
	set = c.get("/admin/rules?org=acme")
	rules["methods"] = []any{}
	if !reflect.DeepEqual(set["rules"], again(rules)) {
		t.Errorf("rules %v, want %v", set["rules"], rules)
	}

	problem := other.refused(http.StatusConflict, "rules_changed", "/admin/rules?org=acme", "rules", rules, "version", "")
	current := problem["current"].(map[string]any)
	if current["by"] != "olivia" || !reflect.DeepEqual(current["rules"], set["rules"]) || current["version"] != set["version"] {
		t.Errorf("%v", problem)
	}
	rules["require"] = "off"
	other.post("/admin/rules?org=acme", "rules", rules, "version", current["version"])
	if log := c.get("/admin/activity?org=acme")["activity"].([]any); len(log) < 2 || log[len(log)-1].(map[string]any)["actor"] != "olivia" {
		t.Errorf("%v", log)
	}

	rules["remember"] = 60.0
	c.refused(http.StatusBadRequest, "invalid", "/admin/rules?org=acme", "rules", rules, "version", set["version"])
	rules["remember"] = 0.0
	c.refused(http.StatusForbidden, "rules_configured", "/admin/rules?org=", "rules", rules, "version", "")
	if set := c.get("/admin/rules?org="); set["rules"].(map[string]any)["session_for"] != 86400.0 {
		t.Errorf("the installation: %v", set)
	}
	h.stale()
	c.elevate(c.problem(http.StatusForbidden, "step_up", "/admin/rules", c.do(http.MethodGet, "/admin/rules?org=acme", nil)))
	c.get("/admin/rules?org=acme")
}

// helpMembers lists the members, and takes from one of them what she holds.
func helpMembers(t *testing.T, h *apiHost) {
	c, _ := h.enrolled(t, "olivia")
	alice, _ := h.enrolled(t, "alice")
	all := c.get("/admin/members?org=acme")["members"].([]any)
	want := map[string]any{"alice": true, "bob": false, "olivia": true, "otto": true}
	for _, m := range all {
		m := m.(map[string]any)
		if id := m["user"].(string); m["managed"] != want[id] || (id == "alice") != (m["role"] == "member" && m["codes_left"] == 10.0) {
			t.Errorf("%v", m)
		}
		delete(want, m["user"].(string))
	}
	if len(want) > 0 {
		t.Errorf("without %v", want)
	}
	c.post("/admin/members/unlock?org=acme", "user", "alice")
	c.post("/admin/members/end-sessions?org=acme", "user", "alice")
	alice.problem(http.StatusUnauthorized, "no_session", "/session", alice.do(http.MethodGet, "/session", nil))
	c.post("/admin/members/reset?org=acme", "user", "alice")
	alice.step(alice.signIn("alice"), "verify") // a code by mail comes before the new factor (R31)

	c.refused(http.StatusForbidden, "oneself", "/admin/members/reset?org=acme", "user", "olivia")
	stranger := c.refused(http.StatusForbidden, "not_managed", "/admin/members/reset?org=acme", "user", "nobody")
	bob := c.refused(http.StatusForbidden, "not_managed", "/admin/members/reset?org=acme", "user", "bob")
	if !reflect.DeepEqual(stranger, bob) {
		t.Errorf("%v tells who is a user: %v", stranger, bob)
	}
	member := h.client(t)
	member.step(member.signIn("bob"), "")
	for _, org := range []string{"acme", "elsewhere"} {
		member.problem(http.StatusForbidden, "not_administrator", "/admin/members", member.do(http.MethodGet, "/admin/members?org="+org, nil))
	}
}
