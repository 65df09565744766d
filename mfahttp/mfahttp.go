// Package mfahttp carries the handles of package mfa through a browser: it keeps
// the tokens of sessions, of flows and of known browsers in cookies, finds out who
// the peer is, and sends the browser from step to step.
//
// A host has a page for each step and a short handler behind each form; package pages
// has all of them ready to use. Every handler ends in the same call:
//
//	func (h *host) verify(w http.ResponseWriter, r *http.Request) {
//		p := mfahttp.PendingFrom(r.Context())
//		out, err := p.Verify(r.Context(), mfa.Proof{Method: mfa.TOTP, Code: r.PostFormValue("code")})
//		h.web.Next(w, r, out, err)
//	}
//
// A code that is sent is a POST like any other. Its page shows Pending.Sent, or what
// ProblemOf says when it could not be sent:
//
//	_, err := p.Send(r.Context(), mfa.EmailCode)
//	h.web.Next(w, r, mfa.Outcome{Pending: p}, err)
//
// There are three cookies, all out of reach of scripts: mfa_session and mfa_pending
// live as long as what they name, and mfa_browsers for 180 days, so that a sign-in
// in a browser that was seen before is no news to its user and a remembered one
// asks for no code. It holds a token of each of the last four users, and signing
// out leaves it. A host that has sessions of its own keeps the first two there:
// Config.Tokens.
//
// An API does the same for a client that draws its own pages: it answers in JSON where
// an Adapter redirects. See NewAPI.
//
// No rule lives here. Who may pass is decided by the Guard, and a host that
// needs something else than cookies and redirects calls the Guard itself.
package mfahttp

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/seed-1320b244/mfa"
)

// Config wires an Adapter. Guard, Pages and one of TrustedProxies and NoProxies
// are required.
type Config struct {
	// Guard decides.
	Guard *mfa.Guard
	// Pages are where the host shows each step.
	Pages Pages
	// TrustedProxies are the networks of the reverse proxies in front of this
	// process, as they connect to it. From one of them, and only then, the address
	// of the peer is read from X-Forwarded-For, which each must append to.
	TrustedProxies []netip.Prefix
	// NoProxies says that browsers connect to this process directly, and that
	// forwarding headers are whatever their sender likes.
	NoProxies bool
	// InsecureHTTP makes cookies work over plain http, for development on one's own
	// machine: they lose Secure and the __Host- prefix. Whoever is on the network
	// path then reads the session, and a neighboring subdomain can plant one.
	InsecureHTTP bool
	// Tokens keeps the tokens of sessions and flows. Nil: two cookies.
	Tokens Tokens
	// Error answers a request that no page of Pages can: status is 400, 401, 403,
	// 429, 500 or 503. It writes the status and a page that does not show err; err
	// is for the log. Nil: one line of text, and no log.
	Error func(w http.ResponseWriter, r *http.Request, status int, err error)
	// Now is the clock that the Guard has, for Max-Age of cookies. Nil: time.Now.
	Now func() time.Time
}

// Pages are paths of this origin, such as "/sign-in": without query, and all of
// them required.
type Pages struct {
	// SignIn asks for the first factor. It needs no session.
	SignIn string
	// Verify, Enroll, SaveCodes and NewPassword show the step of the same name; the
	// host wraps each in RequirePending.
	Verify, Enroll, SaveCodes, NewPassword string
	// StepUp tells a signed-in user that a fresh proof is needed, or a new factor. Its
	// form posts the query it was shown with (action, admin, org, enroll and to) to
	// Adapter.StepUp: a proof is begun by a POST, so that no link and no image can
	// begin one.
	StepUp string
	// Home is where a user goes who was heading nowhere.
	Home string
}

// An Adapter carries a Guard's handles through a browser. It is safe for
// concurrent use and keeps nothing between requests.
type Adapter struct {
	guard   *mfa.Guard
	pages   Pages
	proxies []netip.Prefix
	secure  bool
	tokens  Tokens
	report  func(http.ResponseWriter, *http.Request, int, error)
	now     func() time.Time
}

// New checks c and returns an Adapter. Its error names every field that is
// missing or unsafe.
func New(c Config) (*Adapter, error) { return newAdapter(c, true) }

func newAdapter(c Config, pages bool) (*Adapter, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Guard == nil {
		bad("Config.Guard is missing")
	}
	for _, p := range []struct{ name, path string }{
		{"SignIn", c.Pages.SignIn}, {"Verify", c.Pages.Verify}, {"Enroll", c.Pages.Enroll}, {"SaveCodes", c.Pages.SaveCodes},
		{"NewPassword", c.Pages.NewPassword}, {"StepUp", c.Pages.StepUp}, {"Home", c.Pages.Home},
	} {
		if pages && (!local(p.path) || strings.ContainsAny(p.path, "?#")) {
			bad("Config.Pages.%s is %q, want a path such as /sign-in", p.name, p.path)
		}
	}
	if c.NoProxies == (len(c.TrustedProxies) > 0) {
		bad("Config needs either TrustedProxies or NoProxies")
	}
	for _, p := range c.TrustedProxies {
		// A prefix of no bits would trust every peer to say who it is.
		if !p.IsValid() || p.Bits() == 0 || p.Addr().Is4In6() {
			bad("Config.TrustedProxies has %v, want a network such as 10.0.0.0/8", p)
		}
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("%w: %w", mfa.ErrInvalid, errors.Join(errs...))
	}
	a := &Adapter{
		guard: c.Guard, pages: c.Pages, proxies: slices.Clone(c.TrustedProxies),
		secure: !c.InsecureHTTP, tokens: c.Tokens, report: c.Error, now: c.Now,
	}
	if a.report == nil {
		a.report = func(w http.ResponseWriter, r *http.Request, status int, err error) {
			http.Error(w, http.StatusText(status), status)
		}
	}
	if a.now == nil {
		a.now = time.Now
	}
	return a, nil
}

// maxPresented is how many tokens SignIn.Presented takes.
const maxPresented = 4

// SignIn returns what Guard.SignIn needs to know of the request in which the
// host has just proven user's first factor. Where the user was heading is the
// form value "to", which the sign-in page was shown with.
func (a *Adapter) SignIn(r *http.Request, user string, first mfa.First) mfa.SignIn {
	in := mfa.SignIn{User: user, First: first, Client: a.Client(r), Return: heading(r)}
	sessions, flows := a.cookies(r, sessionCookie), a.cookies(r, pendingCookie)
	in.Presented = slices.Concat(sessions[:min(len(sessions), maxPresented/2)], flows[:min(len(flows), maxPresented/2)])
	for _, entry := range a.browsers(r) {
		in.Browsers = append(in.Browsers, entry[markLen:])
	}
	return in
}
