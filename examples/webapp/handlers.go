package main

import (
	"net/http"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// The sign-in and its steps: a page and a handler for each. Every handler calls
// the library once and leaves the rest to Next.

func (a *app) signInPage(w http.ResponseWriter, r *http.Request) {
	a.render(w, r, "sign-in", map[string]string{"To": r.FormValue("to")})
}

func (a *app) signIn(w http.ResponseWriter, r *http.Request) {
	out, err := a.guard.SignInPassword(r.Context(), r.PostFormValue("name"), r.PostFormValue("password"), a.web.SignIn(r, "", mfa.PasswordFirst()))
	if err == nil {
		err = a.sendAtSignIn(r, out)
	}
	a.web.Next(w, r, out, err)
}

// verifyPage asks for one of the methods that the flow names; the link to another one
// carries it in the query.
func (a *app) verifyPage(w http.ResponseWriter, r *http.Request) {
	p := mfahttp.PendingFrom(r.Context())
	need, m := p.Need(), chosen(r, p)
	data := map[string]any{"Method": m, "Methods": need.Methods, "Sent": p.Sent(), "Here": p.Sent().Method == m}
	if p.Purpose().SignIn() && m != mfa.BackupCode && need.Why != mfa.ReasonConfirmAddress {
		data["Remember"] = a.remember
	}
	a.render(w, r, "verify", data)
}

func (a *app) verify(w http.ResponseWriter, r *http.Request) {
	p := mfahttp.PendingFrom(r.Context())
	m := chosen(r, p)
	if r.PostFormValue("send") == "yes" {
		_, err := p.Send(r.Context(), m)
		a.web.Next(w, r, mfa.Outcome{Pending: p}, err)
		return
	}
	code := r.PostFormValue("code")
	if m == mfa.Password {
		code = r.PostFormValue("password")
	}
	out, err := p.Verify(r.Context(), mfa.Proof{Method: m, Code: code, Remember: r.PostFormValue("remember") == "yes"})
	a.web.Next(w, r, out, err)
}

// setupPage stages an authenticator and shows it. That is done by a GET, since it
// gives whoever causes one nothing: while one is staged the same is shown again.
// Where codes by email or SMS will do as well, it asks for the address of those.
func (a *app) setupPage(w http.ResponseWriter, r *http.Request) {
	p := mfahttp.PendingFrom(r.Context())
	m := chosen(r, p)
	data := map[string]any{"Method": m, "Methods": p.Need().Methods, "SkipUntil": p.Need().SkipUntil, "Sent": p.Sent()}
	if m == mfa.TOTP {
		setup, ok := a.staged(w, r)
		if !ok {
			return
		}
		data["Key"] = setup.Secret()
	} else {
		u, _ := a.users.byID(p.User())
		change := r.FormValue("change") == "yes"
		data["Here"] = p.Sent().Method == m && !change
		data["Listed"] = u.listed(m) != "" && !change && (p.Purpose().SignIn() || !u.confirmed(m))
		if !p.Purpose().SignIn() { // whoever has only typed a password is not shown it
			data["Address"] = u.listed(m)
		}
	}
	a.render(w, r, "setup", data)
}

func (a *app) setupQR(w http.ResponseWriter, r *http.Request) {
	setup, ok := a.staged(w, r)
	if !ok {
		return
	}
	svg, err := setup.SVG()
	if err != nil {
		a.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Write([]byte(svg))
}

// setupOpen hands the key to an app on the same device.
func (a *app) setupOpen(w http.ResponseWriter, r *http.Request) {
	if setup, ok := a.staged(w, r); ok {
		http.Redirect(w, r, setup.URI(), http.StatusSeeOther)
	}
}

func (a *app) staged(w http.ResponseWriter, r *http.Request) (mfa.Setup, bool) {
	setup, err := mfahttp.PendingFrom(r.Context()).StartTOTP(r.Context(), "")
	if err != nil {
		a.web.Next(w, r, mfa.Outcome{}, err)
	}
	return setup, err == nil
}

func (a *app) setup(w http.ResponseWriter, r *http.Request) {
	p := mfahttp.PendingFrom(r.Context())
	if m := chosen(r, p); sent(m) {
		a.setupSent(w, r, p, m)
		return
	}
	out, err := p.ConfirmTOTP(r.Context(), r.PostFormValue("code"))
	a.web.Next(w, r, out, err)
}

func (a *app) codesPage(w http.ResponseWriter, r *http.Request) {
	p := mfahttp.PendingFrom(r.Context())
	a.render(w, r, "codes", map[string]any{"Codes": p.BackupCodes().Reveal(), "SignIn": p.Purpose().SignIn()})
}

func (a *app) codesDownload(w http.ResponseWriter, r *http.Request) {
	p := mfahttp.PendingFrom(r.Context())
	u, _ := a.users.byID(p.User())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="cedar-backup-codes.txt"`)
	w.Write([]byte(issuer + " backup codes of " + u.name + ". Each works once.\n\n"))
	p.BackupCodes().WriteTo(w)
}

// codes goes on only with the tick: a browser asks for it, and a program that
// leaves it out is asked again.
func (a *app) codes(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("saved") != "yes" {
		http.Redirect(w, r, "/codes?error=unsaved", http.StatusSeeOther)
		return
	}
	out, err := mfahttp.PendingFrom(r.Context()).SaveCodes(r.Context())
	a.web.Next(w, r, out, err)
}
