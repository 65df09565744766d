package main

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
// who may, and asks for a fresh proof, which Next leads through and back.

// A form is the rules as the page of the settings shows them.
type form struct {
	account
	Door, SignIn bool // where a second factor is required
	SMS          bool
	From         time.Time
	SSO          mfa.SSORule
}

// shown returns r as the form has it.
func shown(c account, r mfa.Rules) form {
	f := form{
		account: c, Door: r.Require >= mfa.RequireAtDoor, SignIn: r.Require == mfa.RequireAtSignIn,
		SMS: slices.Contains(r.Methods, mfa.SMSCode), From: r.From,
	}
	for _, s := range r.SSO {
		if s.Name == connection {
			f.SSO = s.Rule
		}
	}
	return f
}

// date is how a browser writes one.
const date = "2006-01-02"

// typed returns r with what the form says. What it does not show stays.
func typed(q *http.Request, c account, r mfa.Rules) (mfa.Rules, error) {
	r.Require, r.From, r.Methods, r.SSO = mfa.RequireOff, time.Time{}, []mfa.Method{mfa.TOTP}, nil
	switch {
	case q.FormValue("signin") == "yes" && c.Manages:
		r.Require = mfa.RequireAtSignIn
	case q.FormValue("door") == "yes":
		r.Require = mfa.RequireAtDoor
	}
	if q.FormValue("sms") == "yes" {
		r.Methods = append(r.Methods, mfa.SMSCode)
	}
	switch q.FormValue("sso") {
	case "trust":
		r.SSO = []mfa.Connection{{Name: connection, Rule: mfa.SSOTrustAsserted, AMR: []string{"mfa"}}}
	case "waive":
		r.SSO = []mfa.Connection{{Name: connection, Rule: mfa.SSOWaive}}
	}
	var err error
	if from := q.FormValue("from"); from != "" && r.Require != mfa.RequireOff {
		r.From, err = time.Parse(date, from)
	}
	return r, err
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

// SSOIs helps the template, which knows no constants.
func (f form) SSOIs(word string) bool {
	return []string{"still", "trust", "waive"}[f.SSO] == word
}

// rules returns the handle of the administrator and the rules that hold.
func (a *app) rules(r *http.Request, c account) (*mfa.Admin, mfa.Rules, string, error) {
	admin, err := mfahttp.SessionFrom(r.Context()).Admin(r.Context(), c.ID)
	if err != nil {
		return nil, mfa.Rules{}, "", err
	}
	rules, version, err := admin.Rules(r.Context())
	return admin, rules, version, err
}

func (a *app) settingsPage(w http.ResponseWriter, r *http.Request, c account) {
	admin, rules, _, err := a.rules(r, c)
	if err != nil {
		a.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	log, err := admin.Activity(r.Context())
	if err != nil {
		a.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	type change struct {
		mfa.Event
		By string
	}
	var changes []change
	for _, e := range log[:min(len(log), 5)] {
		u, _ := a.users.byID(e.Actor)
		changes = append(changes, change{e, u.fullName})
	}
	a.render(w, r, "org-settings", struct {
		form
		Changes []change
	}{shown(c, rules), changes})
}

// previewPage says whom the rules of the form would concern. It is a GET, since it
// changes nothing: whoever is sent through a proof comes back to it.
func (a *app) previewPage(w http.ResponseWriter, r *http.Request, c account) {
	admin, rules, version, err := a.rules(r, c)
	if err != nil {
		a.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	rules, err = typed(r, c, rules)
	if err != nil {
		a.failed(w, r, http.StatusBadRequest, err)
		return
	}
	p, err := admin.Preview(r.Context(), rules)
	if err != nil {
		a.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	f := shown(c, rules)
	fields := f.values()
	here := "/org/" + c.ID + "/preview?" + fields.Encode()
	fields.Set("version", version)
	fields.Set("to", here) // where whoever must enroll first comes back to
	a.render(w, r, "org-preview", struct {
		form
		mfa.Preview
		Fields url.Values
	}{f, p, fields})
}

// setRules saves the form. Whoever does not hold a factor that the rules allow is
// led to enroll one, and back to the preview.
func (a *app) setRules(w http.ResponseWriter, r *http.Request, c account) {
	admin, rules, _, err := a.rules(r, c)
	if err == nil {
		if rules, err = typed(r, c, rules); err != nil {
			a.failed(w, r, http.StatusBadRequest, err)
			return
		}
		err = admin.SetRules(r.Context(), rules, r.PostFormValue("version"))
	}
	settings := "/org/" + c.ID + "/settings"
	switch {
	case errors.Is(err, mfa.ErrConflict):
		http.Redirect(w, r, settings+"?error=changed", http.StatusSeeOther)
	case err != nil:
		a.web.Next(w, r, mfa.Outcome{}, err)
	default:
		http.Redirect(w, r, settings+"?done=rules", http.StatusSeeOther)
	}
}
