package mfahttp_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// An administrator's page leads through the proof that it needs and back, of an
// organization and of the installation, which has no id.
func TestAdminister(t *testing.T) {
	for _, tc := range []struct{ name, path, query string }{
		{"organization", "/admin/acme", "/step-up?admin=yes&org=acme&to=%2Fadmin%2Facme"},
		{"installation", "/admin", "/step-up?admin=yes&to=%2Fadmin"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHost(t, mfa.Rules{})
			org := ""
			if tc.name == "organization" {
				org = "acme"
			}
			b := h.enrolledAs(t, "olivia")
			b.leads(b.get(tc.path), "/home") // proven just now
			h.stale()
			b.leads(b.get(tc.path), tc.query)
			b.leads(b.post("/step-up", "admin", "yes", "org", org, "to", tc.path), "/verify")
			b.leads(b.post("/verify", "code", b.code()), tc.path)
			b.leads(b.get(tc.path), "/home")
			h.stale()
			b.leads(b.post(tc.path, "to", "/settings"), "/step-up?admin=yes"+orgQuery(org)+"&to=%2Fsettings")
			b.leads(b.post("/step-up", "admin", "yes", "org", org, "to", tc.path), "/verify")
			b.leads(b.post("/cancel"), "/home") // the page would only ask again
		})
	}
}

func orgQuery(org string) string {
	if org == "" {
		return ""
	}
	return "&org=" + org
}

// Whoever holds no factor enrolls first and comes back: who administers cannot ask
// of others what she does not do herself.
func TestAdministerEnrolls(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	b := h.browser(t)
	b.leads(b.signIn("olivia"), "/home")
	b.leads(b.get("/admin/acme"), "/step-up?enroll=totp&to=%2Fadmin%2Facme")
	b.leads(b.post("/step-up", "enroll", "totp", "to", "/admin/acme"), "/enroll")
	b.stage()
	b.leads(b.post("/enroll", "code", b.code()), "/save-codes")
	b.leads(b.post("/save-codes"), "/admin/acme")
	b.leads(b.get("/admin/acme"), "/home")
}

// Who is no administrator is told so and led nowhere. The page of the proof keeps
// what it was asked for.
func TestAdministerForbidden(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	b := h.enrolled(t)
	b.leads(b.post("/admin/acme", "to", "/settings"), "/settings?error=forbidden")
	b.leads(b.post("/step-up", "admin", "yes", "org", "acme", "to", "/settings"), "/step-up?admin=yes&error=forbidden&org=acme&to=%2Fsettings")
	b.leads(b.post("/step-up", "admin", "yes"), "/step-up?admin=yes&error=forbidden")
	if resp := b.post("/step-up", "admin", "yes", "org", "a\x00b"); resp.StatusCode != http.StatusBadRequest {
		t.Errorf("no organization: %s", resp.Status)
	}
}

// Until the date a door lets everybody pass, and the session behind it says how long
// that is: to the second before it, and not at it.
func TestRequireEntryCountdown(t *testing.T) {
	var from, seen time.Time
	h := newHost(t, mfa.Rules{})
	owner := h.enrolledAs(t, "olivia")
	s, err := h.Guard.Session(t.Context(), owner.cookies[sessionCookie], mfa.Client{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Admin(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	from = h.Clock.Now().Truncate(time.Second).Add(3 * time.Hour)
	if err := a.SetRules(t.Context(), mfa.Rules{Require: mfa.RequireAtDoor, From: from}, ""); err != nil {
		t.Fatal(err)
	}
	web, err := mfahttp.New(mfahttp.Config{Guard: h.Guard, Pages: pages(), NoProxies: true, Now: h.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	show := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen = mfahttp.SessionFrom(r.Context()).RequiredFrom() })
	b := h.browser(t)
	b.leads(b.signIn("bob"), "/home")
	h.handler = web.RequireEntry(func(*http.Request) string { return "acme" }, show)
	for _, before := range []time.Duration{3 * time.Hour, time.Second} {
		h.Clock.Advance(from.Add(-before).Sub(h.Clock.Now()))
		if resp := b.get("/door"); resp.StatusCode != http.StatusOK || !seen.Equal(from) {
			t.Errorf("%v before: %s, from %v, want %v", before, resp.Status, seen, from)
		}
	}
	if resp := owner.get("/door"); resp.StatusCode != http.StatusOK || !seen.IsZero() {
		t.Errorf("whoever has proven a factor counts down: %s, %v", resp.Status, seen)
	}
	h.Clock.Advance(from.Sub(h.Clock.Now()))
	b.leads(b.get("/door"), "/step-up?org=acme&to=%2Fdoor")
}
