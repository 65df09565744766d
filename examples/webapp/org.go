package main

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
	"github.com/seed-1320b244/mfa/mfahttp/pages"
)

// The company accounts: who belongs to which, and what members see there. A door
// stands before each, and personal pages are in front of it.

// A company is an organization of the demonstration.
type company struct {
	ID, Name string
	Manages  bool // the accounts of its members
}

var companies = []company{{"acme", "Acme", true}, {"birch", "Birch", false}}

// members are the members of each company by name. bob is in both, and only Acme
// manages him.
var members = map[string]map[string]mfa.Role{
	"acme":  {"alice": mfa.RoleOwner, "bob": mfa.RoleMember, "carol": mfa.RoleAdmin},
	"birch": {"bob": mfa.RoleMember, "dave": mfa.RoleOwner},
}

// orgs returns what the user is where, managedBy which company manages the account.
func (u user) orgs() (all []mfa.Membership) {
	for _, c := range companies {
		if role, ok := members[c.ID][u.name]; ok {
			all = append(all, mfa.Membership{Org: c.ID, Role: role})
		}
	}
	return all
}

func (u user) managedBy() string {
	for _, c := range companies {
		if _, ok := members[c.ID][u.name]; ok && c.Manages {
			return c.ID
		}
	}
	return ""
}

// Members implements mfa.Directory.
func (d *directory) Members(ctx context.Context, org string) iter.Seq2[mfa.User, error] {
	d.mu.Lock()
	ids := slices.Sorted(maps.Keys(d.users))
	d.mu.Unlock()
	return func(yield func(mfa.User, error) bool) {
		for _, id := range ids {
			u, err := d.User(ctx, id)
			in := org == "" || slices.ContainsFunc(u.Orgs, func(m mfa.Membership) bool { return m.Org == org })
			if (in || err != nil) && !yield(u, err) {
				return
			}
		}
	}
}

// An account is a company as one of its members sees it.
type account struct {
	company
	Role mfa.Role
}

// Administers reports whether the member has the settings and the list of members.
func (c account) Administers() bool { return c.Role >= mfa.RoleAdmin }

// companies returns those of u.
func (u user) companies() (all []account) {
	for _, c := range companies {
		if role, ok := members[c.ID][u.name]; ok {
			all = append(all, account{c, role})
		}
	}
	return all
}

// organization is what the pages of administrators know of a company.
func organization(ctx context.Context, id string) (pages.Org, error) {
	for _, c := range companies {
		if c.ID == id {
			return pages.Org{Name: c.Name, Managed: c.Manages, Connection: connection, Home: "/org/" + c.ID}, nil
		}
	}
	return pages.Org{}, mfa.ErrForbidden
}

func orgOf(r *http.Request) string { return r.PathValue("org") }

// member serves h to members of the company. The door is no check of that: an
// organization without rules lets everybody pass.
func (a *app) member(h func(http.ResponseWriter, *http.Request, account)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		u, _ := a.users.byID(mfahttp.SessionFrom(r.Context()).User())
		for _, c := range u.companies() {
			if c.ID == orgOf(r) {
				h(w, r, c)
				return
			}
		}
		a.site.ServeHTTP(w, r) // which says that there is nothing
	}
}

// companyPage shows until when a second factor can be put off, if there is a date.
func (a *app) companyPage(w http.ResponseWriter, r *http.Request, c account) {
	a.render(w, r, "org", struct {
		account
		From time.Time
	}{c, mfahttp.SessionFrom(r.Context()).RequiredFrom()})
}

// connection is the company's identity provider, a name that the rules use.
const connection = "company-sso"

// ssoPage is the identity provider of the demonstration: it lets anybody be anybody.
// A real one is elsewhere, and the host checks what it says (OpenID Connect Core
// section 3.1.3.7) before it calls SignIn.
func (a *app) ssoPage(w http.ResponseWriter, r *http.Request) {
	var names []string
	for u, err := range a.users.Members(r.Context(), "") {
		if err == nil {
			names = append(names, u.Name)
		}
	}
	a.render(w, r, "sso", map[string]any{"Names": names, "To": r.FormValue("to")})
}

func (a *app) sso(w http.ResponseWriter, r *http.Request) {
	id := ""
	for u, err := range a.users.Members(r.Context(), "") {
		if err == nil && u.Name == r.PostFormValue("name") {
			id = u.ID
		}
	}
	if id == "" {
		a.web.Next(w, r, mfa.Outcome{}, mfa.ErrRefused)
		return
	}
	amr := []string{"pwd"}
	if r.PostFormValue("mfa") == "yes" {
		amr = append(amr, "mfa") // RFC 8176 section 2
	}
	out, err := a.guard.SignIn(r.Context(), a.web.SignIn(r, id, mfa.SSOFirst(connection, amr, "", a.clock.Now())))
	a.web.Next(w, r, out, err)
}
