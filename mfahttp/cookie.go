package mfahttp

import (
	"net/http"
	"time"
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

// cookie returns the token that the request presents, or "".
func (a *Adapter) cookie(r *http.Request, name string) string {
	if a.tokens != nil && name != browsersCookie {
		return a.tokens.Token(r, name)
	}
	c, err := r.Cookie(a.cookieName(name))
	if err != nil {
		return ""
	}
	return c.Value
}

// setCookie gives the browser a token, unless it is the one it presented.
func (a *Adapter) setCookie(w http.ResponseWriter, r *http.Request, name, token string, expires time.Time) {
	if a.cookie(r, name) == token {
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
	case a.cookie(r, name) == "":
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
