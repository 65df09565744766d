package mfahttp

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/seed-1320b244/mfa"
)

type sessionKey struct{}
type pendingKey struct{}

// SessionFrom returns the session of a request behind RequireSession or
// RequireEntry, nil elsewhere.
func SessionFrom(ctx context.Context) *mfa.Session {
	s, _ := ctx.Value(sessionKey{}).(*mfa.Session)
	return s
}

// PendingFrom returns the flow of a request behind RequirePending, nil elsewhere.
func PendingFrom(ctx context.Context) *mfa.Pending {
	p, _ := ctx.Value(pendingKey{}).(*mfa.Pending)
	return p
}

func withPending(r *http.Request, p *mfa.Pending) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), pendingKey{}, p))
}

// session returns the session that the request's cookie names.
func (a *Adapter) session(r *http.Request) (*mfa.Session, error) {
	token, err := a.sessionToken(r)
	if err != nil {
		return nil, err
	}
	return a.guard.Session(r.Context(), token, a.Client(r))
}

// RequireSession serves next to signed-in users, who are in SessionFrom, and
// sends everybody else to the sign-in page and back.
func (a *Adapter) RequireSession(next http.Handler) http.Handler {
	return a.require(next, a.session)
}

// RequireEntry is RequireSession at the door of the organization that org reads
// from the request. Whoever the rules ask for more is sent to Pages.StepUp, whoever
// they will ask from a date on passes until then: see Session.RequiredFrom, and
// offer her the form of Pages.StepUp with org. It says nothing about membership: next
// checks that.
func (a *Adapter) RequireEntry(org func(*http.Request) string, next http.Handler) http.Handler {
	return a.require(next, func(r *http.Request) (*mfa.Session, error) {
		token, err := a.sessionToken(r)
		if err != nil {
			return nil, err
		}
		return a.guard.Enter(r.Context(), token, org(r), a.Client(r))
	})
}

// RequireFresh is RequireSession for what is sensitive in the host itself: it serves
// next while a proof of the session is fresh, and sends everybody else through
// Pages.StepUp and back. action names it, for that page and the log; see
// mfa.ToConfirm. Wrap the page that asks "are you sure" as well as the form behind it:
// a form that is sent too late leads to its "to", and what was typed is lost.
func (a *Adapter) RequireFresh(action string, next http.Handler) http.Handler {
	return a.require(next, func(r *http.Request) (*mfa.Session, error) {
		s, err := a.session(r)
		if err == nil {
			err = s.RequireFresh(r.Context(), action)
		}
		return s, err
	})
}

func (a *Adapter) require(next http.Handler, load func(*http.Request) (*mfa.Session, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := load(r)
		if err != nil {
			a.Next(w, r, mfa.Outcome{}, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionKey{}, s)))
	})
}

// RequirePending serves next to browsers with a flow, which is in PendingFrom,
// at one of steps, or at any when none is given. A flow that is at another step
// is sent to the page of that one.
func (a *Adapter) RequirePending(next http.Handler, steps ...mfa.Step) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := a.pending(r)
		if err != nil {
			a.Next(w, r, mfa.Outcome{}, err)
			return
		}
		step := p.Need().Step
		if step == 0 { // another browser did what was missing, or undid why it was
			out, err := p.Skip(r.Context())
			a.Next(w, r, out, err)
			return
		}
		if len(steps) > 0 && !slices.Contains(steps, step) {
			a.Next(w, r, mfa.Outcome{Pending: p}, nil)
			return
		}
		next.ServeHTTP(w, withPending(r, p))
	})
}

func (a *Adapter) pending(r *http.Request) (*mfa.Pending, error) {
	session, err := a.sessionToken(r)
	if err != nil {
		return nil, err
	}
	token, err := a.pendingToken(r, session)
	if err != nil {
		return nil, err
	}
	return a.guard.Pending(r.Context(), token, session, a.Client(r))
}

// StepUp begins the proof or the enrollment that Pages.StepUp announced: a POST to
// that path with the form values action, org (its door), org with admin (to
// administer it, without org the installation) or enroll (the name of a method), and
// to. When nothing is missing it leads on to "to" at once, so that a host can put it
// before a page for something sensitive.
func (a *Adapter) StepUp() http.Handler {
	return a.RequireSession(post(func(w http.ResponseWriter, r *http.Request) {
		to, err := purpose(r)
		if err != nil {
			a.Next(w, r, mfa.Outcome{}, err)
			return
		}
		out, err := SessionFrom(r.Context()).StepUp(r.Context(), to, heading(r))
		a.Next(w, r, out, err)
	}))
}

// SignOut ends the session and the flow that the browser presents, a POST, and
// leads to the sign-in page.
func (a *Adapter) SignOut() http.Handler {
	return a.RequireSession(post(func(w http.ResponseWriter, r *http.Request) {
		if p, err := a.pending(r); err == nil {
			if err := p.Cancel(r.Context()); err != nil {
				a.Next(w, r, mfa.Outcome{}, err)
				return
			}
		}
		if err := SessionFrom(r.Context()).SignOut(r.Context()); err != nil {
			a.Next(w, r, mfa.Outcome{}, err)
			return
		}
		a.clearCookie(w, r, sessionCookie)
		a.clearCookie(w, r, pendingCookie)
		a.leave(w, r, a.pages.SignIn)
	}))
}

// Cancel ends the flow that the browser presents, a POST, and leads back to the
// sign-in page, or a signed-in user to where she was heading.
func (a *Adapter) Cancel() http.Handler {
	return a.RequirePending(post(func(w http.ResponseWriter, r *http.Request) {
		p := PendingFrom(r.Context())
		if err := p.Cancel(r.Context()); err != nil {
			a.Next(w, r, mfa.Outcome{}, err)
			return
		}
		a.clearCookie(w, r, pendingCookie)
		to := heading(r)
		_, administers := p.Purpose().Administers()
		switch {
		case p.Purpose().SignIn():
			to = a.pages.SignIn
		case to == "", p.Purpose().Org() != "", administers: // the page would ask again
			to = a.pages.Home
		}
		a.leave(w, r, to)
	}))
}

func (a *Adapter) leave(w http.ResponseWriter, r *http.Request, to string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// post refuses every method but POST: a GET changes nothing.
func post(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		next(w, r)
	})
}

// policy lets a page load styles, scripts and images of its own origin, show an
// image that is written into it, and send forms to its own origin: nothing that
// an injected tag could use, and no frame of another site around it.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// Protect refuses what other sites make a browser send, except safe methods
// (http.CrossOriginProtection), and adds the headers that pages with secrets
// need. Wrap everything that the host serves in it; a handler whose pages need
// something else, such as a cache for static files, sets the header anew.
func (a *Adapter) Protect(next http.Handler) http.Handler {
	var csrf http.CrossOriginProtection
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store") // ASVS 14.3.2
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		// Not no-referrer: with it browsers send "Origin: null" with forms, and
		// those that know no Sec-Fetch-Site would be refused.
		h.Set("Referrer-Policy", "same-origin")
		if err := csrf.Check(r); err != nil {
			a.report(w, r, http.StatusForbidden, errors.Join(mfa.ErrForbidden, err))
			return
		}
		next.ServeHTTP(w, r)
	})
}
