package pages

import (
	"net/http"
	"strings"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// The sign-in and its steps: a page and a handler for each. Every handler calls
// the library once and leaves the rest to Next.

func (s *Site) signInPage(w http.ResponseWriter, r *http.Request) {
	s.Render(w, r, http.StatusOK, "sign-in", map[string]string{"To": r.FormValue("to")})
}

func (s *Site) signIn(w http.ResponseWriter, r *http.Request) {
	out, err := s.config.Guard.SignInPassword(r.Context(), r.PostFormValue("name"), r.PostFormValue("password"), s.web.SignIn(r, "", mfa.PasswordFirst()))
	if err == nil {
		err = s.sendAtSignIn(r, out)
	}
	s.web.Next(w, r, out, err)
}

// verifyPage asks for one of the methods that the flow names; the link to another one
// carries it in the query.
func (s *Site) verifyPage(w http.ResponseWriter, r *http.Request) {
	p := mfahttp.PendingFrom(r.Context())
	need, m := p.Need(), chosen(r, p)
	data := map[string]any{"Method": m, "Methods": need.Methods, "Sent": p.Sent(), "Here": p.Sent().Method == m}
	if p.Purpose().SignIn() && m != mfa.BackupCode && need.Why != mfa.ReasonConfirmAddress {
		data["Remember"] = s.preset.Remember
	}
	s.Render(w, r, http.StatusOK, "verify", data)
}

func (s *Site) verify(w http.ResponseWriter, r *http.Request) {
	p := mfahttp.PendingFrom(r.Context())
	m := chosen(r, p)
	if r.PostFormValue("send") == "yes" {
		_, err := p.Send(r.Context(), m)
		s.web.Next(w, r, mfa.Outcome{Pending: p}, err)
		return
	}
	code := r.PostFormValue("code")
	if m == mfa.Password {
		code = r.PostFormValue("password")
	}
	out, err := p.Verify(r.Context(), mfa.Proof{Method: m, Code: code, Remember: r.PostFormValue("remember") == "yes"})
	s.web.Next(w, r, out, err)
}

// setupPage stages an authenticator and shows it. That is done by a GET, since it
// gives whoever causes one nothing: while one is staged the same is shown again.
// Where codes by email or SMS will do as well, it asks for the address of those.
func (s *Site) setupPage(w http.ResponseWriter, r *http.Request) {
	p := mfahttp.PendingFrom(r.Context())
	m := chosen(r, p)
	data := map[string]any{"Method": m, "Methods": p.Need().Methods, "SkipUntil": p.Need().SkipUntil, "Sent": p.Sent()}
	if m == mfa.TOTP {
		setup, ok := s.staged(w, r)
		if !ok {
			return
		}
		data["Key"] = setup.Secret()
	} else {
		address, confirmed := listed(s.user(r, p.User()), m)
		change := r.FormValue("change") == "yes"
		data["Here"] = p.Sent().Method == m && !change
		data["Listed"] = address != "" && !change && (p.Purpose().SignIn() || !confirmed)
		if !p.Purpose().SignIn() { // whoever has only typed a password is not shown it
			data["Address"] = address
		}
	}
	s.Render(w, r, http.StatusOK, "setup", data)
}

func (s *Site) setupQR(w http.ResponseWriter, r *http.Request) {
	setup, ok := s.staged(w, r)
	if !ok {
		return
	}
	svg, err := setup.SVG()
	if err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Write([]byte(svg))
}

// setupOpen hands the key to an app on the same device.
func (s *Site) setupOpen(w http.ResponseWriter, r *http.Request) {
	if setup, ok := s.staged(w, r); ok {
		http.Redirect(w, r, setup.URI(), http.StatusSeeOther)
	}
}

func (s *Site) staged(w http.ResponseWriter, r *http.Request) (mfa.Setup, bool) {
	setup, err := mfahttp.PendingFrom(r.Context()).StartTOTP(r.Context(), "")
	if err != nil {
		s.web.Next(w, r, mfa.Outcome{}, err)
	}
	return setup, err == nil
}

func (s *Site) setup(w http.ResponseWriter, r *http.Request) {
	p := mfahttp.PendingFrom(r.Context())
	if m := chosen(r, p); sent(m) {
		s.setupSent(w, r, p, m)
		return
	}
	out, err := p.ConfirmTOTP(r.Context(), r.PostFormValue("code"))
	s.web.Next(w, r, out, err)
}

func (s *Site) codesPage(w http.ResponseWriter, r *http.Request) {
	p := mfahttp.PendingFrom(r.Context())
	s.Render(w, r, http.StatusOK, "codes", map[string]any{"Codes": p.BackupCodes().Reveal(), "SignIn": p.Purpose().SignIn()})
}

func (s *Site) codesDownload(w http.ResponseWriter, r *http.Request) {
	p := mfahttp.PendingFrom(r.Context())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+slug(s.config.Product)+`backup-codes.txt"`)
	head := s.speaks(r).say("codes.whose", "product", s.config.Product, "user", s.user(r, p.User()).Name)
	w.Write([]byte(head + "\n\n"))
	p.BackupCodes().WriteTo(w)
}

// slug returns what a file's name can begin with, for a product.
func slug(product string) string {
	words := strings.FieldsFunc(strings.ToLower(product), func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') })
	return strings.Join(append(words, ""), "-")
}

// codes goes on only with the tick: a browser asks for it, and a program that
// leaves it out is asked again.
func (s *Site) codes(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("saved") != "yes" {
		http.Redirect(w, r, s.path("/codes?error=unsaved"), http.StatusSeeOther)
		return
	}
	out, err := mfahttp.PendingFrom(r.Context()).SaveCodes(r.Context())
	s.web.Next(w, r, out, err)
}

// skip puts the setup off while the rules allow it.
func (s *Site) skip(w http.ResponseWriter, r *http.Request) {
	out, err := mfahttp.PendingFrom(r.Context()).Skip(r.Context())
	s.web.Next(w, r, out, err)
}
