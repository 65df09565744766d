package mfahttp

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/seed-1320b244/mfa"
)

// APIConfig says how an API carries tokens, and what it leaves to the host.
type APIConfig struct {
	// Bearer makes the API one for clients that are no browsers, such as mobile apps.
	// They present the session as "Authorization: Bearer <token>" (RFC 6750 section
	// 2.1), a flow in the header Mfa-Pending and the token of a known device in
	// Mfa-Browser, and get all three in answers. Cookies are neither read nor set, so
	// that no other site can make a browser act for its user, and whoever serves such
	// an API beside pages does not open a way around them. Scripts of a browser must
	// not use it: a token that a script can read, an injected script can send away.
	//
	// Default false: for single-page applications of the same origin. Tokens are in
	// the cookies of an Adapter (or where Config.Tokens keeps them), out of reach of
	// scripts, and never in an answer.
	// What other sites make a browser send is refused (http.CrossOriginProtection),
	// and so is every POST that is no JSON: a form cannot be that.
	//
	// Which of the two it is never depends on the request. Otherwise a script that
	// was injected would ask for the tokens that the cookies keep from it.
	Bearer bool
	// Jobs is given what an answer does not wait for, the mail of /recover, and
	// reports whether it took it, as the Add of a Jobs does. It must not run it
	// before it returns: how long the mail takes would tell who has an account. Whoever
	// is not taken is answered with the problem "busy". Nil: /recover is refused.
	Jobs func(job func(context.Context) error) bool
	// Error is told of every request that is answered with a problem, for the log, and
	// of a list of members that broke off (status 200).
	// The client is not shown err. Safe for concurrent use. Nil: nobody is told.
	Error func(r *http.Request, status int, err error)
}

// An API carries a Guard's handles as JSON, for a client that draws its own pages:
// everything that a sign-in, a page of settings and an administrator's page do. What
// it serves is in its OpenAPI document, at GET /openapi.json below where it is
// mounted:
//
//	mux.Handle("/api/mfa/", http.StripPrefix("/api/mfa", api))
//
// A client needs one loop, as a host with pages does. A sign-in and every step after
// it answer with the same object: "signed_in", or "pending" with what is asked next.
// A refusal is a problem (RFC 9457), whose reason is a stable word. One of them,
// "step_up", comes with what to post to /session/step-up before trying again. A request
// that cannot be read, or has a value that is none, is told which field it is, and never
// what was in it.
//
// Requests are read strictly: fields that are not named, missing or there twice are
// refused, and so is anything but one JSON object in UTF-8 of at most 64 KiB. How long
// a client may take to send it is for http.Server.ReadTimeout.
//
// An API is safe for concurrent use and keeps nothing between requests.
type API struct {
	web    *Adapter
	bearer bool
	jobs   func(func(context.Context) error) bool
	report func(*http.Request, int, error)
	routes map[string][]route // by path
	csrf   http.CrossOriginProtection
}

// NewAPI checks c, which is what New takes, and returns an API. It has no use for
// Config.Pages and Config.Error. An Adapter of the same Config shares the cookies with
// it. Its error names every field that is missing or unsafe.
func NewAPI(c Config, api APIConfig) (*API, error) {
	web, err := newAdapter(c, false)
	if err != nil {
		return nil, err
	}
	a := &API{web: web, bearer: api.Bearer, jobs: api.Jobs, report: api.Error, routes: make(map[string][]route)}
	if a.report == nil {
		a.report = func(*http.Request, int, error) {}
	}
	document := route{method: http.MethodGet, path: "/openapi.json", serve: (*call).document}
	for _, r := range slices.Concat([]route{document}, signInRoutes(), pendingRoutes(), settingsRoutes(), adminRoutes()) {
		a.routes[r.path] = append(a.routes[r.path], r)
	}
	return a, nil
}

// openapi is the description of the API, written by hand and held to the routes by a
// test.
//
//go:embed openapi.json
var openapi []byte

func (c *call) document() error {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.Write(openapi) // what it fails on is a connection that is gone
	return nil
}

// A route is one operation.
type route struct {
	method, path string
	query        []string     // names of parameters, all of them required
	body, answer reflect.Type // nil: none; for the test that compares them with the OpenAPI document
	serve        func(*call) error
}

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{api: a, w: w, r: r}
	if err := a.serve(c); err != nil {
		a.fail(c.w, c.r, err)
	}
}

func (a *API) serve(c *call) error {
	if err := a.protect(c.w, c.r); err != nil {
		return err
	}
	routes := a.routes[c.r.URL.Path]
	if len(routes) == 0 {
		return &badRequest{http.StatusNotFound, "not_found"}
	}
	method := c.r.Method
	if method == http.MethodHead { // the server drops the body
		method = http.MethodGet
	}
	i := slices.IndexFunc(routes, func(r route) bool { return r.method == method })
	if i < 0 {
		var allow []string
		for _, r := range routes {
			allow = append(allow, r.method)
		}
		c.w.Header().Set("Allow", strings.Join(allow, ", "))
		return &badRequest{http.StatusMethodNotAllowed, "wrong_method"}
	}
	if err := c.read(routes[i]); err != nil {
		return err
	}
	return routes[i].serve(c)
}

// shield sets the headers that keep an answer from caches, from frames and from other
// sites.
func shield(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store") // ASVS 14.3.2
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
}

// protect refuses what another site makes a browser send.
func (a *API) protect(w http.ResponseWriter, r *http.Request) error {
	shield(w)
	if a.bearer { // a request does what its headers say, whoever made the browser send it
		return nil
	}
	if err := a.csrf.Check(r); err != nil {
		return fmt.Errorf("%w: %w", &badRequest{http.StatusForbidden, "cross_origin"}, err)
	}
	return nil
}

// SignIn is Adapter.SignIn for a request to a handler of the host that proves the first
// factor itself, such as the callback of an identity provider. Give what Guard.SignIn
// returns to Answer.
func (a *API) SignIn(r *http.Request, user string, first mfa.First) mfa.SignIn {
	if !a.bearer {
		return a.web.SignIn(r, user, first)
	}
	in := mfa.SignIn{User: user, First: first, Client: a.web.Client(r), Browsers: r.Header.Values(browserHeader)}
	for _, token := range []string{bearerToken(r), r.Header.Get(pendingHeader)} {
		if token != "" {
			in.Presented = append(in.Presented, token)
		}
	}
	return in
}

// Answer answers a request to a handler of the host as the API answers one to its own:
// with the state of the flow or the session that an operation led to, or with a
// problem, which brings no flow: codes are sent by /pending/send and not before. Where the request comes from it does not look at, since the callback of a
// provider comes from elsewhere: put http.CrossOriginProtection before a handler that
// takes a login of the host's own, or other sites sign its users in as somebody else.
func (a *API) Answer(w http.ResponseWriter, r *http.Request, out mfa.Outcome, err error) {
	shield(w)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	c := &call{api: a, w: w, r: r}
	c.write(c.outcome(out))
}

// RequireSession serves next to whoever presents a session, which is in SessionFrom,
// and answers everybody else with a problem. It refuses what other sites make a browser
// send and sets the headers of an answer of the API, as they are for data: a page that
// next shows needs a Content-Security-Policy of its own.
func (a *API) RequireSession(next http.Handler) http.Handler {
	return a.require(next, func(c *call) error { _, err := c.session(); return err })
}

// RequireEntry is RequireSession at the door of the organization that org reads from
// the request: see Adapter.RequireEntry. Who has to prove more is answered with the
// problem "step_up".
func (a *API) RequireEntry(org func(*http.Request) string, next http.Handler) http.Handler {
	return a.require(next, func(c *call) error { _, err := c.enter(org(c.r)); return err })
}

// RequireFresh is RequireSession for what is sensitive in the host itself: see
// Adapter.RequireFresh. Who has to prove something first is answered with the problem
// "step_up", and what the request brought is lost.
func (a *API) RequireFresh(action string, next http.Handler) http.Handler {
	return a.require(next, func(c *call) error {
		s, err := c.session()
		if err == nil {
			err = s.RequireFresh(c.r.Context(), action)
		}
		return err
	})
}

// RequirePending serves next to whoever presents a flow, which is in PendingFrom: for
// a host that proves passwords itself, and answers a Need for Password with
// Pending.Reauthenticated.
func (a *API) RequirePending(next http.Handler) http.Handler {
	return a.require(next, func(c *call) error { _, err := c.pending(); return err })
}

func (a *API) require(next http.Handler, load func(*call) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{api: a, w: w, r: r}
		err := a.protect(w, r)
		if err == nil {
			err = load(c)
		}
		if err != nil {
			a.fail(w, c.r, err)
			return
		}
		next.ServeHTTP(w, c.r)
	})
}

// The headers of APIConfig.Bearer. A flow that a session opened is usable with that
// session only, so that both are presented at once.
const (
	pendingHeader = "Mfa-Pending"
	browserHeader = "Mfa-Browser"
)

func (a *API) sessionToken(r *http.Request) (string, error) {
	if !a.bearer {
		return a.web.sessionToken(r)
	}
	return bearerToken(r), nil
}

func bearerToken(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") { // RFC 9110 section 11.1: in any case
		return ""
	}
	return token
}

func (a *API) pendingToken(r *http.Request, session string) (string, error) {
	if !a.bearer {
		return a.web.pendingToken(r, session)
	}
	return r.Header.Get(pendingHeader), nil
}
