package pages

import (
	"errors"
	"net/http"

	"github.com/seed-1320b244/mfa"
)

// What is reached from a link in a mail: a new password, and an earlier address. A
// GET shows what the link does and does nothing: programs that read mail open links.

func (s *Site) recoverPage(w http.ResponseWriter, r *http.Request) {
	s.Render(w, r, http.StatusOK, "recover", nil)
}

// recoverSentPage is the same for every name.
func (s *Site) recoverSentPage(w http.ResponseWriter, r *http.Request) {
	s.Render(w, r, http.StatusOK, "recover-sent", nil)
}

// busy is what the page is shown with whose form was not taken.
type busy struct{}

// busyFor is how many seconds whoever was not taken waits: 4 jobs at once of 5 seconds
// each leave room for 48 in them.
const busyFor = "60"

// recover answers the same for every name: with a page that says that nothing is on its
// way when there was no room for the job, which is found out before anything that depends
// on the account.
func (s *Site) recover(w http.ResponseWriter, r *http.Request) {
	job, err := s.config.Guard.Recover(r.Context(), r.PostFormValue("name"), s.web.Client(r))
	if err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	if !s.config.Jobs(job) {
		s.config.Log.ErrorContext(r.Context(), "too many jobs: a link to a new password was not sent")
		w.Header().Set("Retry-After", busyFor)
		s.Render(w, r, http.StatusServiceUnavailable, "recover", busy{})
		return
	}
	http.Redirect(w, r, s.path("/recover/sent"), http.StatusSeeOther)
}

// private keeps the token in a page's address from the Referer of whatever the page
// leads to. Its form then says "Origin: null", and a browser that knows no
// Sec-Fetch-Site either (before 2023) is refused: such a one has no business here.
func private(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Referrer-Policy", "no-referrer")
		next(w, r)
	}
}

func (s *Site) resetPage(w http.ResponseWriter, r *http.Request) {
	s.showReset(w, r, r.FormValue("token"), "", nil)
}

// showReset asks nobody to sign in, and so does not know whose password it is.
func (s *Site) showReset(w http.ResponseWriter, r *http.Request, token, password string, refused error) {
	f, err := s.passwordForm(r, "", password, refused)
	f.Token = token
	s.showForm(w, r, "reset", f, err)
}

func (s *Site) reset(w http.ResponseWriter, r *http.Request) {
	token, password := r.PostFormValue("token"), r.PostFormValue("new")
	err := s.config.Guard.ResetPassword(r.Context(), token, password, s.web.Client(r))
	if errors.Is(err, mfa.ErrWeak) {
		s.showReset(w, r, token, password, err)
		return
	}
	s.followed(w, r, s.path("/sign-in?done=reset"), err)
}

// followed ends what a link was for.
func (s *Site) followed(w http.ResponseWriter, r *http.Request, to string, err error) {
	switch {
	case err == nil:
		http.Redirect(w, r, to, http.StatusSeeOther)
	case errors.Is(err, mfa.ErrRefused):
		http.Redirect(w, r, r.URL.Path+"/over", http.StatusSeeOther)
	default:
		s.web.Next(w, r, mfa.Outcome{}, err)
	}
}

// overPage says that a link is used, over or not a whole one.
func (s *Site) overPage(w http.ResponseWriter, r *http.Request) {
	s.Render(w, r, http.StatusOK, "link-over", map[string]bool{"Reset": r.URL.Path == s.path("/reset/over")})
}

// Whoever has taken an account over puts her own address in it. The old one is told,
// with a link that restores it for three days.

func (s *Site) undoPage(w http.ResponseWriter, r *http.Request) {
	s.Render(w, r, http.StatusOK, "undo", map[string]string{"Token": r.FormValue("token")})
}

func (s *Site) undo(w http.ResponseWriter, r *http.Request) {
	err := s.config.Guard.UndoAddress(r.Context(), r.PostFormValue("token"), s.web.Client(r))
	s.followed(w, r, s.path("/sign-in?done=undone"), err)
}
