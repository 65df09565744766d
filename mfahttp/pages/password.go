package pages

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
func (s *Site) passwordForm(r *http.Request, user, password string, err error) (passwordForm, error) {
	weak, refused := errors.AsType[*mfa.WeakPasswordError](err)
	if err != nil && !refused {
		return passwordForm{}, err
	}
	all, err := s.config.Guard.CheckPassword(r.Context(), user, strings.ToValidUTF8(password[:min(len(password), maxChecked)], ""))
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
func (s *Site) showForm(w http.ResponseWriter, r *http.Request, name string, f passwordForm, err error) {
	if err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	if f.Check != "" { // its script asks there
		w.Header().Set("Content-Security-Policy", w.Header().Get("Content-Security-Policy")+"; connect-src 'self'")
	}
	s.Render(w, r, http.StatusOK, name, f)
}

// whose returns the user of a request behind a session or a flow.
func whose(r *http.Request) string {
	if in := mfahttp.SessionFrom(r.Context()); in != nil {
		return in.User()
	}
	return mfahttp.PendingFrom(r.Context()).User()
}

// checkPassword tells the script which requirements are met by what is being typed.
func (s *Site) checkPassword(w http.ResponseWriter, r *http.Request) {
	all, err := s.config.Guard.CheckPassword(r.Context(), whose(r), r.PostFormValue("password"))
	if err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
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
func (s *Site) passwordPage(w http.ResponseWriter, r *http.Request) {
	s.showPassword(w, r, "", nil)
}

func (s *Site) showPassword(w http.ResponseWriter, r *http.Request, password string, refused error) {
	f, err := s.passwordForm(r, whose(r), password, refused)
	f.Check = s.path("/security/password/check")
	s.showForm(w, r, "password", f, err)
}

func (s *Site) changePassword(w http.ResponseWriter, r *http.Request) {
	next := r.PostFormValue("new")
	out, err := mfahttp.SessionFrom(r.Context()).ChangePassword(r.Context(), r.PostFormValue("password"), next)
	if errors.Is(err, mfa.ErrWeak) {
		s.showPassword(w, r, next, err)
		return
	}
	if err == nil {
		r.Form.Set("to", s.path("/security?done=changed")) // what fails leads back to the form
	}
	s.web.Next(w, r, out, err)
}

// newPasswordPage is the step of a sign-in whose password must be replaced.
func (s *Site) newPasswordPage(w http.ResponseWriter, r *http.Request) {
	s.showNewPassword(w, r, "", nil)
}

func (s *Site) showNewPassword(w http.ResponseWriter, r *http.Request, password string, refused error) {
	f, err := s.passwordForm(r, whose(r), password, refused)
	f.Check = s.path("/new-password/check")
	s.showForm(w, r, "new-password", f, err)
}

func (s *Site) newPassword(w http.ResponseWriter, r *http.Request) {
	next := r.PostFormValue("new")
	out, err := mfahttp.PendingFrom(r.Context()).SetPassword(r.Context(), next)
	if errors.Is(err, mfa.ErrWeak) {
		s.showNewPassword(w, r, next, err)
		return
	}
	s.web.Next(w, r, out, err)
}
