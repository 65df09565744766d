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

func (a *Adapter) cookieName(name string) string {
	if a.secure {
		return hostPrefix + name
	}
	return name
}

// cookie returns the token that the request presents, or "".
func (a *Adapter) cookie(r *http.Request, name string) string {
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
	// Max-Age and not Expires: it does not depend on the browser's clock. It only
	// tidies up; the Guard judges.
	a.write(w, name, token, max(1, int(expires.Sub(a.now())/time.Second)))
}

// clearCookie takes a token from the browser that presented one.
func (a *Adapter) clearCookie(w http.ResponseWriter, r *http.Request, name string) {
	if a.cookie(r, name) != "" {
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
