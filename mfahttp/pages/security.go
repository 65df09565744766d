package pages

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// The pages of signed-in users. A button for something sensitive posts to
// /step-up, which asks for a fresh proof unless there is one and then leads to
// /security/confirm, where the user sees what is about to happen. The handler
// behind that page is guarded by the library all the same.

// stepUpPage tells what a proof is needed for; its form begins it.
func (s *Site) stepUpPage(w http.ResponseWriter, r *http.Request) {
	s.Render(w, r, http.StatusOK, "step-up", map[string]string{
		"Action": r.FormValue("action"), "Admin": r.FormValue("admin"), "Org": r.FormValue("org"), "Enroll": r.FormValue("enroll"), "To": r.FormValue("to"),
	})
}

func (s *Site) securityPage(w http.ResponseWriter, r *http.Request) {
	o, err := mfahttp.SessionFrom(r.Context()).Overview(r.Context())
	if err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	slices.SortStableFunc(o.Sessions, func(x, y mfa.SessionInfo) int {
		switch { // this browser first
		case x.Current == y.Current:
			return 0
		case x.Current:
			return -1
		}
		return 1
	})
	s.Render(w, r, http.StatusOK, "security", struct {
		mfa.Overview
		Optional             bool
		Held                 bool // some factor is
		Remember, SessionFor time.Duration
	}{o, s.preset.Require == mfa.RequireOff, len(o.Authenticators) > 0 || slices.ContainsFunc(o.Switches, func(s mfa.Switch) bool { return s.Held }), s.preset.Remember, s.preset.SessionFor})
}

// only reports whether nothing but a password is left without s.
func only(o mfa.Overview, s mfa.Switch) bool {
	return s.Held && len(o.Authenticators) == 0 &&
		!slices.ContainsFunc(o.Switches, func(other mfa.Switch) bool { return other.Held && other.Method != s.Method })
}

// confirmPage shows what the form on it will do: to the authenticator, session or
// method that the query names, or to none.
func (s *Site) confirmPage(w http.ResponseWriter, r *http.Request) {
	o, err := mfahttp.SessionFrom(r.Context()).Overview(r.Context())
	if err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	data := map[string]any{"Do": r.FormValue("do"), "ID": r.FormValue("id"), "On": r.FormValue("on"), "Here": r.URL.RequestURI()}
	found := true
	switch r.FormValue("do") {
	case "rename", "remove":
		i := slices.IndexFunc(o.Authenticators, func(t mfa.Authenticator) bool { return t.ID == r.FormValue("id") })
		if r.FormValue("id") == "" {
			i = len(o.Authenticators) - 1 // the one just added
		}
		if found = i >= 0; found {
			data["Authenticator"], data["ID"] = o.Authenticators[i], o.Authenticators[i].ID
			data["Last"] = len(o.Authenticators) == 1 && !slices.ContainsFunc(o.Switches, func(s mfa.Switch) bool { return s.Held })
		}
	case "revoke":
		i := slices.IndexFunc(o.Sessions, func(s mfa.SessionInfo) bool { return s.ID == r.FormValue("id") })
		if found = i >= 0; found {
			data["Session"] = o.Sessions[i]
		}
	case "method":
		i := slices.IndexFunc(o.Switches, func(s mfa.Switch) bool { return s.Method.String() == r.FormValue("method") })
		if found = i >= 0; found {
			data["Switch"], data["Last"] = o.Switches[i], only(o, o.Switches[i])
		}
	case "codes", "ask", "revoke-others":
	default:
		found = false
	}
	if do := r.FormValue("do"); (do == "ask" || do == "method") && data["On"] != "yes" && data["On"] != "no" {
		found = false
	}
	if !found { // removed meanwhile, by another tab
		http.Redirect(w, r, s.path("/security"), http.StatusSeeOther)
		return
	}
	s.Render(w, r, http.StatusOK, "confirm", data)
}

// addAuthenticator leads to the setup, and whoever has several on to a name.
func (s *Site) addAuthenticator(w http.ResponseWriter, r *http.Request) {
	back := s.path("/security?done=added")
	if r.PostFormValue("another") == "yes" {
		back = s.path("/security/confirm?do=rename")
	}
	out, err := mfahttp.SessionFrom(r.Context()).StepUp(r.Context(), mfa.ToEnroll(mfa.TOTP), back)
	s.web.Next(w, r, out, err)
}

func (s *Site) renameAuthenticator(w http.ResponseWriter, r *http.Request) {
	in := mfahttp.SessionFrom(r.Context())
	s.done(w, r, "renamed", in.RenameTOTP(r.Context(), r.PostFormValue("id"), r.PostFormValue("label")))
}

func (s *Site) removeAuthenticator(w http.ResponseWriter, r *http.Request) {
	in := mfahttp.SessionFrom(r.Context())
	s.done(w, r, "removed", in.RemoveTOTP(r.Context(), r.PostFormValue("id")))
}

func (s *Site) askAtSignIn(w http.ResponseWriter, r *http.Request) {
	on, err := switched(r)
	if err == nil {
		err = mfahttp.SessionFrom(r.Context()).SetAskAtSignIn(r.Context(), on)
	}
	s.done(w, r, "asked", err)
}

// switched returns which way a form turns a switch. One that does not say turns
// nothing off.
func switched(r *http.Request) (bool, error) {
	switch r.PostFormValue("on") {
	case "yes":
		return true, nil
	case "no":
		return false, nil
	}
	return false, fmt.Errorf("%w: a switch is turned neither on nor off", mfa.ErrInvalid)
}

func (s *Site) revoke(w http.ResponseWriter, r *http.Request) {
	in := mfahttp.SessionFrom(r.Context())
	s.done(w, r, "revoked", in.Revoke(r.Context(), r.PostFormValue("id")))
}

func (s *Site) revokeOthers(w http.ResponseWriter, r *http.Request) {
	s.done(w, r, "revoked", mfahttp.SessionFrom(r.Context()).RevokeOthers(r.Context()))
}

// newCodes asks for the password besides, and leads to the page that shows the
// codes. The library asks for the fresh proof first: without it a stolen session could
// be used to guess the password here.
func (s *Site) newCodes(w http.ResponseWriter, r *http.Request) {
	out, err := mfahttp.SessionFrom(r.Context()).NewBackupCodes(r.Context(), r.PostFormValue("password"))
	s.web.Next(w, r, out, err)
}

// done ends a change of the settings.
func (s *Site) done(w http.ResponseWriter, r *http.Request, what string, err error) {
	if err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	http.Redirect(w, r, s.path("/security?done=")+what, http.StatusSeeOther)
}
