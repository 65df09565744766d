package pages_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp/pages"
)

// noOrgs is a host that has no organizations.
func noOrgs(c *pages.Config) { c.Org = nil }

// required makes a second factor mandatory for every account (C1).
func required(c *mfa.Config) {
	policy(c)
	c.Policy.Rules.Require = mfa.RequireAtSignIn
	c.Policy.Rules.SSO = []mfa.Connection{{Name: "work", Rule: mfa.SSOWaive}}
}

// add gives the host users with the password of all, whom the installation manages.
func (h *host) add(users ...mfa.User) {
	h.t.Helper()
	h.kit.Users.Add(users...)
	for _, u := range users {
		if err := h.kit.Guard.SetPassword(h.t.Context(), u.ID, password); err != nil {
			h.t.Fatal(err)
		}
	}
}

// installationPages are those of who administers the installation.
func installationPages(t *testing.T) (paths []string) {
	for _, path := range routes(t, "GET") {
		if strings.HasPrefix(path, "/account/admin/") {
			paths = append(paths, path)
		}
	}
	if len(paths) != 4 {
		t.Fatalf("the pages are %q", paths)
	}
	return paths
}

// The pages of the installation are for who administers it, and for nobody else: a
// member, an owner of an organization, a stranger, or somebody who did until just now.
func TestInstallationWhoMay(t *testing.T) {
	h := newHost(t, noOrgs)
	h.add(mfa.User{ID: "u-4", Name: "dave", Orgs: []mfa.Membership{{Org: "", Role: mfa.RoleOwner}, {Org: "acme", Role: mfa.RoleOwner}}})
	alice := h.browser().signIn("alice")
	alice.get("/account/admin/members?find=x").at("/account/step-up").sees("First set up your own app") // Session.Admin asks
	alice.turnOn().get("/account/admin/members").at("/account/admin/members")
	dave := h.browser().signIn("dave").turnOn()
	if dave.get("/account/security"); strings.Contains(dave.body, "/admin/") {
		t.Error("a user finds the pages")
	}
	before := h.records()
	for _, path := range installationPages(t) {
		h.browser().get(path + "?user=u-2").at("/account/sign-in")
		for _, org := range []string{"", "?org=acme", "?org="} {
			if dave.get(path + org); dave.status != http.StatusForbidden || strings.Contains(dave.body, "alice") || dave.header.Get("Content-Disposition") != "" {
				t.Errorf("%s for a user: %d\n%s", path, dave.status, dave.text())
			}
		}
	}
	for _, path := range routes(t, "POST") {
		if strings.HasPrefix(path, "/account/admin/") {
			if dave.post(path, "user", "u-2", "org", "acme"); dave.status != http.StatusForbidden {
				t.Errorf("POST %s by a user: %d", path, dave.status)
			}
		}
	}
	h.kit.Users.Add(mfa.User{ID: "u-1", Name: "alice"})
	for _, path := range installationPages(t) {
		if alice.get(path); alice.status != http.StatusForbidden {
			t.Errorf("%s for who was one: %d", path, alice.status)
		}
	}
	h.unchanged(before, "who may not")
}

// C1, C7: who administers the installation sees what holds for everybody, finds a user,
// reads a warning and resets her, without any organization. What holds is not hers to
// set, and accounts of an organization, those of equals and her own are not hers to help.
func TestInstallationC1C7(t *testing.T) {
	h := newHostOf(t, required, noOrgs)
	h.add(mfa.User{ID: "u-4", Name: "dave"}, mfa.User{ID: "u-5", Name: "erin", Admin: true})
	dave := h.browser().signIn("dave").at("/account/setup").bind()
	b := h.browser().signIn("alice").at("/account/setup").bind()
	b.get("/account/security").sees("Users").get("/account/admin/members").sees("2 of 4 have yet to set up", "dave Ready user · Authenticator app", "looked after by its own administrators")
	b.get("/account/admin/settings").sees("Asked of everybody at every sign-in", "Single sign-on (work) Whoever comes through it is asked for no code", "part of how Cedar is set up")
	if strings.Contains(b.body, "<form class=\"rules\"") {
		t.Error("a form for rules that cannot be set")
	}
	for _, path := range []string{"preview?signin=yes", "nothing"} {
		if b.get("/account/admin/" + path); b.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, b.status)
		}
	}
	if b.post("/account/admin/settings", "version", ""); b.status != http.StatusNotFound {
		t.Errorf("setting rules: %d", b.status)
	}

	b.get("/account/admin/members?find=DAV")
	if strings.Count(b.body, "<li>") != 1 || strings.Contains(b.text(), "bob") {
		t.Errorf("found:\n%s", b.text())
	}
	b.get("/account/admin/members")
	if n := strings.Count(b.body, "/account/admin/members/reset?"); n != 1 {
		t.Errorf("%d may be reset, want dave and nobody else", n)
	}
	b.get("/account/admin/members/reset?user=u-4").sees("Reset two-step verification of dave?", "Be sure that it is dave who asks")
	for _, user := range []string{"u-2", "u-1", "u-5", "nobody"} {
		before := h.records()
		b.post("/account/admin/members/reset", "user", user, "to", "/account/admin/members").at("/account/admin/members").sees("not possible for this account")
		h.unchanged(before, "a reset of %s", user)
	}
	w := listen(t, h)
	if a := w.send(request("POST", "/account/admin/members/reset", "user=u-4", "Sec-Fetch-Site: cross-site", b.cookie())); a.status != http.StatusForbidden {
		t.Errorf("a form of another site: %d", a.status)
	}
	dave.get("/account/security").at("/account/security")
	h.kit.Clock.Advance(6 * time.Minute)
	b.get("/account/admin/members/reset?user=u-4").at("/account/step-up").sees("accounts of others needs a fresh proof")
	b.post("/account/step-up", "admin", "yes", "org", "", "to", "/account/admin/members/reset?user=u-4").at("/account/verify")
	b.code().at("/account/admin/members/reset")
	b.post("/account/admin/members/reset", "user", "u-4").at("/account/admin/members").sees("Two-step verification is reset", "3 of 4")
	dave.get("/account/security").at("/account/sign-in")
	dave.signIn("dave").at("/account/setup")
}

// Without a list of users there are no pages about them, and no link to them.
func TestInstallationNeedsDirectory(t *testing.T) {
	h := newHost(t, func(c *pages.Config) { c.Users = struct{ mfa.Users }{c.Users} })
	b := h.browser().signIn("alice").turnOn()
	if strings.Contains(b.body, "/admin/") {
		t.Error("a link to nothing")
	}
	for _, path := range installationPages(t) {
		if b.get(path); b.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, b.status)
		}
	}
}

// A page of members has a bounded length however many there are, and says so. What
// somebody looks for finds names; of accounts that are managed elsewhere it finds
// nothing that the page does not show.
func TestFindMembers(t *testing.T) {
	h := newHost(t)
	for n := range 201 {
		h.kit.Users.Add(mfa.User{ID: fmt.Sprintf("x-%03d", n), Name: fmt.Sprintf("Ärztin %d", n)})
	}
	h.kit.Users.Add(mfa.User{ID: "z", Name: "zoe", Email: "zoe@example.com"})
	b := h.browser().signIn("alice").turnOn()
	for find, want := range map[string]int{"": 200, "ärztin": 200, "ÄRZTIN+20": 2, "x-20": 1, "%20zoe%20": 1, "zoe@": 1, "bob": 1, "bob@": 0, "u-2": 0, "%ff": 0} {
		b.get("/account/admin/members?find=" + find)
		if got := strings.Count(b.body, "<li>"); got != want || b.status != http.StatusOK {
			t.Errorf("%q finds %d, want %d (%d)", find, got, want, b.status)
		}
		if more := strings.Contains(b.text(), "Only the first 200"); more != (want == 200) {
			t.Errorf("%q says that there are more: %v", find, more)
		}
	}
	if b.get("/account/admin/members?find=" + strings.Repeat("a", 255)); b.status != http.StatusBadRequest {
		t.Errorf("what is longer than any name: %d", b.status)
	}
}
