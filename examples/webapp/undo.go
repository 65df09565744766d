package main

import (
	"errors"
	"net/http"

	"github.com/seed-1320b244/mfa"
)

// Whoever has taken an account over puts her own address in it. The old one is told,
// with a link that restores it for three days. Opening the link changes nothing:
// programs that look into mail open links too.

func (a *app) undoPage(w http.ResponseWriter, r *http.Request) {
	a.render(w, r, "undo", map[string]string{"Token": r.FormValue("token")})
}

func (a *app) undo(w http.ResponseWriter, r *http.Request) {
	switch err := a.guard.UndoAddress(r.Context(), r.PostFormValue("token"), a.web.Client(r)); {
	case err == nil:
		http.Redirect(w, r, "/sign-in?done=undone", http.StatusSeeOther)
	case errors.Is(err, mfa.ErrRefused):
		a.renderStatus(w, r, http.StatusForbidden, "problem", map[string]string{
			"Heading": "This link works no more",
			"Text":    "It was used already, or is older than three days. If you cannot get into your account, ask support.",
		})
	default:
		a.web.Next(w, r, mfa.Outcome{}, err)
	}
}
