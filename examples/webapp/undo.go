package main

import "net/http"

// Whoever has taken an account over puts her own address in it. The old one is told,
// with a link that restores it for three days.

func (a *app) undoPage(w http.ResponseWriter, r *http.Request) {
	a.render(w, r, "undo", map[string]string{"Token": r.FormValue("token")})
}

func (a *app) undo(w http.ResponseWriter, r *http.Request) {
	err := a.guard.UndoAddress(r.Context(), r.PostFormValue("token"), a.web.Client(r))
	a.followed(w, r, "/sign-in?done=undone", err)
}
