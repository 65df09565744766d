package pages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// The pages of owners and administrators. Session.Admin stands before each: it says
// who may, and asks for a fresh proof, which Next leads through and back. They are
// behind no door: the library asks an administrator for more.

// An account is an organization as one of its members sees it, or with the ID "" the
// installation, of which everybody is a member.
type account struct {
	Org
	ID   string
	Role mfa.Role
}

// administration are the pages of owners and administrators: those of an organization
// where the host has any, and those of the installation, whose rules are in its
// configuration and so cannot be set here. No field of Config turns the latter on:
// mfa.User.Admin does, which is nobody's until the host says so.
func (s *Site) administration(session func(method, path string, h http.HandlerFunc)) {
	org := func(method, path string, h func(http.ResponseWriter, *http.Request, account)) {
		if s.config.Org != nil {
			session(method, "/org/{org}"+path, s.administrator(h))
		}
	}
	admin := func(method, path string, h func(http.ResponseWriter, *http.Request, account)) {
		if s.directory != nil {
			session(method, "/admin"+path, s.administrator(h))
		}
		org(method, path, h)
	}
	admin("GET", "/settings", s.settingsPage)
	org("GET", "/preview", s.previewPage)
	org("POST", "/settings", s.setRules)
	admin("GET", "/members", s.membersPage)
	admin("GET", "/members/report", s.membersReport)
	admin("GET", "/members/{do}", s.memberPage)
	admin("POST", "/members/{do}", s.changeMember)
}

// administrator serves h to owners and administrators of the organization in the path,
// of the installation when there is none: a wildcard matches no empty segment.
// Session.Admin would refuse others too: this tells them on a page of its own, and
// whoever is no member that there is nothing.
func (s *Site) administrator(h func(http.ResponseWriter, *http.Request, account)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("org")
		u, err := s.config.Users.User(r.Context(), mfahttp.SessionFrom(r.Context()).User())
		if err != nil {
			s.failed(w, r, http.StatusServiceUnavailable, err)
			return
		}
		role, ok := roleIn(u, id)
		switch {
		case !ok:
			s.notFound(w, r)
			return
		case role < mfa.RoleAdmin:
			s.failed(w, r, http.StatusForbidden, nil)
			return
		}
		o := Org{Name: s.config.Product, Managed: true}
		if id != "" {
			o, err = s.config.Org(r.Context(), id)
		}
		switch {
		case errors.Is(err, mfa.ErrForbidden):
			s.notFound(w, r)
			return
		case err != nil:
			s.failed(w, r, http.StatusServiceUnavailable, err)
			return
		}
		if o.Home == "" {
			o.Home = s.config.Home
		}
		if o.AMR == nil {
			o.AMR = []string{"mfa"} // RFC 8176 section 2
		}
		h(w, r, account{o, id, role})
	}
}

// roleIn returns what u is in an organization, the highest if the directory says two.
func roleIn(u mfa.User, org string) (role mfa.Role, ok bool) {
	switch {
	case org == "" && u.Admin:
		return mfa.RoleAdmin, true
	case org == "":
		return mfa.RoleMember, true
	}
	for _, m := range u.Orgs {
		if m.Org == org {
			role, ok = max(role, m.Role), true
		}
	}
	return role, ok
}

// A form is the rules as the page of the settings shows them.
type form struct {
	account
	Door, SignIn bool // where a second factor is required
	SMS          bool
	From         time.Time
	SSO          mfa.SSORule
	Connections  []mfa.Connection // of the installation, which may have several
}

// shown returns r as the form has it.
func shown(c account, r mfa.Rules) form {
	f := form{
		account: c, Door: r.Require >= mfa.RequireAtDoor, SignIn: r.Require == mfa.RequireAtSignIn,
		SMS: slices.Contains(r.Methods, mfa.SMSCode), From: r.From,
	}
	for _, s := range r.SSO {
		if s.Name == c.Connection {
			f.SSO = s.Rule
		}
	}
	if c.ID == "" {
		f.Connections = r.SSO
	}
	return f
}

// date is how a browser writes one.
const date = "2006-01-02"

// typed returns r with what the form says. What it does not show stays.
func typed(q *http.Request, c account, r mfa.Rules) (mfa.Rules, error) {
	r.Require, r.From = mfa.RequireOff, time.Time{}
	switch {
	case q.FormValue("signin") == "yes" && c.Managed:
		r.Require = mfa.RequireAtSignIn
	case q.FormValue("door") == "yes":
		r.Require = mfa.RequireAtDoor
	}
	r.Methods = slices.DeleteFunc(slices.Clone(r.Methods), func(m mfa.Method) bool { return m == mfa.SMSCode })
	if !slices.Contains(r.Methods, mfa.TOTP) {
		r.Methods = append(r.Methods, mfa.TOTP)
	}
	if q.FormValue("sms") == "yes" {
		r.Methods = append(r.Methods, mfa.SMSCode)
	}
	if c.Connection != "" {
		r.SSO = slices.DeleteFunc(slices.Clone(r.SSO), func(s mfa.Connection) bool { return s.Name == c.Connection })
		switch q.FormValue("sso") {
		case "trust":
			r.SSO = append(r.SSO, mfa.Connection{Name: c.Connection, Rule: mfa.SSOTrustAsserted, AMR: c.AMR})
		case "waive":
			r.SSO = append(r.SSO, mfa.Connection{Name: c.Connection, Rule: mfa.SSOWaive})
		}
	}
	var err error
	if from := q.FormValue("from"); from != "" && r.Require != mfa.RequireOff {
		r.From, err = time.Parse(date, from)
	}
	return r, err
}

// called returns what an administrator calls a user, "" for one who is gone.
func (s *Site) called(r *http.Request, id string) string {
	u, err := s.config.Users.User(r.Context(), id)
	if err != nil {
		return ""
	}
	return s.config.Name(u)
}

// values are the fields of the form, for one that repeats them.
func (f form) values() url.Values {
	v := make(url.Values)
	for name, on := range map[string]bool{"door": f.Door && !f.SignIn, "signin": f.SignIn, "sms": f.SMS} {
		if on {
			v.Set(name, "yes")
		}
	}
	if !f.From.IsZero() {
		v.Set("from", f.Date())
	}
	v.Set("sso", []string{"", "trust", "waive"}[f.SSO])
	return v
}

// Date is From as a browser writes it.
func (f form) Date() string {
	if f.From.IsZero() {
		return ""
	}
	return f.From.Format(date)
}

// On reports whether the rules require anything.
func (f form) On() bool { return f.Door || f.SignIn }

// Is helps the template, which knows no constants.
func (f form) Is(rule mfa.SSORule, word string) bool {
	return []string{"still", "trust", "waive"}[rule] == word
}

// rules returns the handle of the administrator and the rules that hold.
func (s *Site) rules(r *http.Request, c account) (*mfa.Admin, mfa.Rules, string, error) {
	admin, err := mfahttp.SessionFrom(r.Context()).Admin(r.Context(), c.ID)
	if err != nil {
		return nil, mfa.Rules{}, "", err
	}
	rules, version, err := admin.Rules(r.Context())
	return admin, rules, version, err
}

func (s *Site) settingsPage(w http.ResponseWriter, r *http.Request, c account) {
	admin, rules, _, err := s.rules(r, c)
	if err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	log, err := admin.Activity(r.Context())
	if err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	type change struct {
		mfa.Event
		By string
	}
	var changes []change
	for _, e := range log[:min(len(log), 5)] {
		changes = append(changes, change{e, s.called(r, e.Actor)})
	}
	s.Render(w, r, http.StatusOK, "org-settings", struct {
		form
		Changes []change
	}{shown(c, rules), changes})
}

// previewPage says whom the rules of the form would concern. It is a GET, since it
// changes nothing: whoever is sent through a proof comes back to it.
func (s *Site) previewPage(w http.ResponseWriter, r *http.Request, c account) {
	admin, rules, version, err := s.rules(r, c)
	if err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	rules, err = typed(r, c, rules)
	if err != nil {
		s.failed(w, r, http.StatusBadRequest, err)
		return
	}
	p, err := admin.Preview(r.Context(), rules)
	if err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	f := shown(c, rules)
	fields := f.values()
	here := s.orgPath(c.ID, "preview?"+fields.Encode())
	fields.Set("version", version)
	fields.Set("to", here) // where whoever must enroll first comes back to
	s.Render(w, r, http.StatusOK, "org-preview", struct {
		form
		mfa.Preview
		Fields url.Values
	}{f, p, fields})
}

// setRules saves the form. Whoever does not hold a factor that the rules allow is
// led to enroll one, and back to the preview.
func (s *Site) setRules(w http.ResponseWriter, r *http.Request, c account) {
	admin, rules, _, err := s.rules(r, c)
	if err == nil {
		if rules, err = typed(r, c, rules); err != nil {
			s.failed(w, r, http.StatusBadRequest, err)
			return
		}
		err = admin.SetRules(r.Context(), rules, r.PostFormValue("version"))
	}
	settings := s.orgPath(c.ID, "settings")
	switch {
	case errors.Is(err, mfa.ErrConflict):
		http.Redirect(w, r, settings+"?error=changed", http.StatusSeeOther)
	case err != nil:
		s.web.Next(w, r, mfa.Outcome{}, err)
	default:
		http.Redirect(w, r, settings+"?done=rules", http.StatusSeeOther)
	}
}
