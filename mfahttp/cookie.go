package mfahttp

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/seed-1320b244/mfa"
)

// The names of the cookies. The prefix makes a browser refuse them without
// Secure, with a Domain or with another path, so that no other host and no plain
// http response can set them (RFC 6265bis section 4.1.3.2).
const (
	hostPrefix    = "__Host-"
	sessionCookie = "mfa_session"
	pendingCookie = "mfa_pending"
)

// Tokens keeps what a browser holds of its session and its flow where a host has
// sessions of its own already, instead of in two cookies more. What it gives back is a
// claim that the Guard checks: it need not be trusted. Implementations are safe for
// concurrent use.
type Tokens interface {
	// Token returns what SetToken kept for this browser under name, "" for nothing.
	Token(r *http.Request, name string) string
	// SetToken keeps a token under name, mfa_session or mfa_pending, for so long; the
	// token "" drops it, and under mfa_session says that the user signed out: end the
	// host's session, or the next who signs in here finds what was hers in it. It is
	// called before anything of the answer is written. Renew
	// the id of the host's session here, or one that somebody planted in the browser
	// before is signed in with it (session fixation, ASVS 7.2.4); where that fails keep
	// nothing: the user signs in again.
	SetToken(w http.ResponseWriter, r *http.Request, name, token string, life time.Duration)
}

func (a *Adapter) cookieName(name string) string {
	if a.secure {
		return hostPrefix + name
	}
	return name
}

// maxTwins is how many cookies of one name are looked at.
const maxTwins = 4

// cookies returns what the request presents under a name: one token at most, unless
// somebody planted another. See one.
func (a *Adapter) cookies(r *http.Request, name string) (all []string) {
	if a.tokens != nil && name != browsersCookie {
		if token := a.tokens.Token(r, name); token != "" {
			all = append(all, token)
		}
		return all
	}
	for _, c := range r.CookiesNamed(a.cookieName(name)) {
		if c.Value != "" && len(all) < maxTwins && !slices.Contains(all, c.Value) {
			all = append(all, c.Value)
		}
	}
	return all
}

// one returns the token among those of a name that good takes, "" for none.
//
// The prefix keeps others from setting a cookie of the name, but a browser of before
// 2023 takes a cookie without a name from a subdomain, whose value is
// "__Host-mfa_session=x", and sends that value alone. Which of two is the real one no
// order tells: longer paths come first, and then older cookies (RFC 6265 section 5.4),
// and who plants one chooses both. So what is no good hides nothing: otherwise he signs
// the user out. And of two that are good none is taken: otherwise he signs her in as
// himself, and what she then enters is his. She is asked to sign in, which ends both.
// Where all that is presented is planted this does not help.
func one(tokens []string, good func(string) error) (string, error) {
	if len(tokens) == 1 {
		return tokens[0], nil // whoever asked finds out
	}
	found := ""
	for _, token := range tokens {
		switch err := good(token); {
		case errors.Is(err, mfa.ErrNoSession), errors.Is(err, mfa.ErrNoPending), errors.Is(err, mfa.ErrRefused):
		case err != nil: // it may be the real one
			return "", err
		case found != "":
			return "", nil
		default:
			found = token
		}
	}
	return found, nil
}

// sessionToken returns the token of the session that the request presents.
func (a *Adapter) sessionToken(r *http.Request) (string, error) {
	return one(a.cookies(r, sessionCookie), func(token string) error {
		_, err := a.guard.Session(r.Context(), token, a.Client(r))
		return err
	})
}

// pendingToken returns the token of the flow that the request presents beside session.
func (a *Adapter) pendingToken(r *http.Request, session string) (string, error) {
	return one(a.cookies(r, pendingCookie), func(token string) error {
		_, err := a.guard.Pending(r.Context(), token, session, a.Client(r))
		return err
	})
}

// setCookie gives the browser a token, unless it is one that it presented.
func (a *Adapter) setCookie(w http.ResponseWriter, r *http.Request, name, token string, expires time.Time) {
	if slices.Contains(a.cookies(r, name), token) {
		return
	}
	life := max(time.Second, expires.Sub(a.now()))
	if a.tokens != nil {
		a.tokens.SetToken(w, r, name, token, life)
		return
	}
	// Max-Age and not Expires: it does not depend on the browser's clock. It only
	// tidies up; the Guard judges.
	a.write(w, name, token, int(life/time.Second))
}

// clearCookie takes a token from the browser that presented one.
func (a *Adapter) clearCookie(w http.ResponseWriter, r *http.Request, name string) {
	switch {
	case len(a.cookies(r, name)) == 0:
	case a.tokens != nil:
		a.tokens.SetToken(w, r, name, "", 0)
	default:
		a.write(w, name, "", -1)
	}
}

func (a *Adapter) write(w http.ResponseWriter, name, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: a.cookieName(name), Value: value, Path: "/", MaxAge: maxAge,
		Secure: a.secure, HttpOnly: true,
		// Lax and not Strict: a link in a mail to a page of the host finds its
		// reader signed in. Forms from elsewhere are refused by Protect besides.
		SameSite: http.SameSiteLaxMode,
	})
}
