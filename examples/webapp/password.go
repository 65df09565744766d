package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// New passwords: the form on the security page, and the one for a password that has
// to be changed at sign-in. Both list what a password has to meet. A script ticks
// that off while the user types, and without it the refused form says the same.

// passwordForm is what a page with a field for a new password shows.
type passwordForm struct {
	Requirements []requirement
	Refused      bool   // the password that was sent misses one
	Check        string // where to ask which ones are met, "" for nowhere
	Token        string // of the link that led here
}

// requirement is one line of the policy.
type requirement struct {
	mfa.Requirement
	State string // "met", "missing", or "" while nobody knows
	Late  bool   // known only when the password is set
	Rare  bool   // shown only to who misses it
}

// passwordForm lists the requirements that user's password, "" for nobody's, has to
// meet, and after err which of them password does not.
func (a *app) passwordForm(r *http.Request, user, password string, err error) (passwordForm, error) {
	weak, refused := errors.AsType[*mfa.WeakPasswordError](err)
	if err != nil && !refused {
		return passwordForm{}, err
	}
	all, err := a.guard.CheckPassword(r.Context(), user, strings.ToValidUTF8(password[:min(len(password), maxChecked)], ""))
	if err != nil {
		return passwordForm{}, err
	}
	f := passwordForm{Refused: refused}
	for _, line := range all {
		l := requirement{Requirement: line, Rare: line.Reason == mfa.ReasonPasswordTooLong}
		l.Late = line.Reason == mfa.ReasonPasswordReused || line.Reason == mfa.ReasonPasswordBreached
		if refused && !l.Late {
			l.State = "met"
		}
		f.Requirements = append(f.Requirements, l)
	}
	if !refused {
		return f, nil
	}
	for _, missed := range weak.Unmet { // it knows more than CheckPassword: names behind a link, and the history
		i := slices.IndexFunc(f.Requirements, func(l requirement) bool { return l.Reason == missed.Reason })
		if i < 0 {
			i, f.Requirements = len(f.Requirements), append(f.Requirements, requirement{})
		}
		f.Requirements[i] = requirement{Requirement: missed, State: "missing"}
	}
	return f, nil
}

// maxChecked bytes are as much as CheckPassword takes.
const maxChecked = 4096

// showForm shows a page with a new password's field. A refused password is answered with
// the page itself: what it misses is in no address that a history keeps.
func (a *app) showForm(w http.ResponseWriter, r *http.Request, name string, f passwordForm, err error) {
	if err != nil {
		a.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	if f.Check != "" { // its script asks there
		w.Header().Set("Content-Security-Policy", w.Header().Get("Content-Security-Policy")+"; connect-src 'self'")
	}
	a.render(w, r, name, f)
}

// whose returns the user of a request behind a session or a flow.
func whose(r *http.Request) string {
	if s := mfahttp.SessionFrom(r.Context()); s != nil {
		return s.User()
	}
	return mfahttp.PendingFrom(r.Context()).User()
}

// checkPassword tells the script which requirements are met by what is being typed.
func (a *app) checkPassword(w http.ResponseWriter, r *http.Request) {
	all, err := a.guard.CheckPassword(r.Context(), whose(r), r.PostFormValue("password"))
	if err != nil {
		a.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	met := make(map[mfa.Reason]bool)
	for _, line := range all {
		met[line.Reason] = line.Met
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(met)
}

// passwordPage asks for the present password and a new one. Its button on the security
// page leads through a fresh proof; who comes without is asked when the form is sent.
func (a *app) passwordPage(w http.ResponseWriter, r *http.Request) {
	a.showPassword(w, r, "", nil)
}

func (a *app) showPassword(w http.ResponseWriter, r *http.Request, password string, refused error) {
	f, err := a.passwordForm(r, whose(r), password, refused)
	f.Check = "/security/password/check"
	a.showForm(w, r, "password", f, err)
}

func (a *app) changePassword(w http.ResponseWriter, r *http.Request) {
	next := r.PostFormValue("new")
	out, err := mfahttp.SessionFrom(r.Context()).ChangePassword(r.Context(), r.PostFormValue("password"), next)
	if errors.Is(err, mfa.ErrWeak) {
		a.showPassword(w, r, next, err)
		return
	}
	if err == nil {
		r.Form.Set("to", "/security?done=changed") // what fails leads back to the form
	}
	a.web.Next(w, r, out, err)
}

// newPasswordPage is the step of a sign-in whose password must be replaced.
func (a *app) newPasswordPage(w http.ResponseWriter, r *http.Request) {
	a.showNewPassword(w, r, "", nil)
}

func (a *app) showNewPassword(w http.ResponseWriter, r *http.Request, password string, refused error) {
	f, err := a.passwordForm(r, whose(r), password, refused)
	f.Check = "/new-password/check"
	a.showForm(w, r, "new-password", f, err)
}

func (a *app) newPassword(w http.ResponseWriter, r *http.Request) {
	next := r.PostFormValue("new")
	out, err := mfahttp.PendingFrom(r.Context()).SetPassword(r.Context(), next)
	if errors.Is(err, mfa.ErrWeak) {
		a.showNewPassword(w, r, next, err)
		return
	}
	a.web.Next(w, r, out, err)
}
