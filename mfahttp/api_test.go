package mfahttp_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
	"github.com/seed-1320b244/mfa/mfatest"
)

const (
	password    = "blue stapler on the moon"
	newPassword = "seven quiet herons wade"
)

// An apiHost serves an API and nothing else, over TLS.
type apiHost struct {
	*mfatest.Kit
	api    *mfahttp.API
	server *httptest.Server
	doc    *document
	tokens bool

	mu      sync.Mutex
	jobs    []func(context.Context) error
	full    bool // no further job is taken
	failed  error
	covered map[string]bool // operations that answered without a problem
}

func newAPI(t *testing.T, tokens bool, options ...func(*mfa.Config)) *apiHost {
	t.Helper()
	return newAPIOf(t, tokens, func(u *mfatest.Users) mfa.Users { return book{u} }, options...)
}

// newAPIOf is newAPI with another directory in front of the kit's.
func newAPIOf(t *testing.T, tokens bool, users func(*mfatest.Users) mfa.Users, options ...func(*mfa.Config)) *apiHost {
	t.Helper()
	options = append(options, func(c *mfa.Config) { c.Users = users(c.Users.(*mfatest.Users)) })
	h := &apiHost{Kit: mfatest.New(t, options...), doc: newDocument(t), tokens: tokens, covered: make(map[string]bool)}
	member := func(r mfa.Role) []mfa.Membership { return []mfa.Membership{{Org: "acme", Role: r}} }
	for _, u := range []mfa.User{
		{ID: "alice", Email: "alice@example.com", EmailVerified: true, Orgs: member(mfa.RoleMember), ManagedBy: "acme"},
		{ID: "bob", Email: "bob@example.com", EmailVerified: true, Orgs: member(mfa.RoleMember)},
		{ID: "olivia", Email: "olivia@example.com", EmailVerified: true, Orgs: member(mfa.RoleOwner), ManagedBy: "acme", Admin: true},
		{ID: "otto", Orgs: member(mfa.RoleOwner), ManagedBy: "acme"},
	} {
		h.Users.Add(u)
		if err := h.Guard.SetPassword(t.Context(), u.ID, password); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	h.api, err = mfahttp.NewAPI(mfahttp.Config{Guard: h.Guard, NoProxies: true, Now: h.Clock.Now}, mfahttp.APIConfig{
		Bearer: tokens,
		Jobs: func(job func(context.Context) error) bool {
			h.mu.Lock()
			defer h.mu.Unlock()
			if !h.full {
				h.jobs = append(h.jobs, job)
			}
			return !h.full
		},
		Error: func(_ *http.Request, _ int, err error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.failed = err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/mfa/", http.StripPrefix("/api/mfa", h.api))
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, mfahttp.SessionFrom(r.Context()).User())
	})
	mux.Handle("/hello", h.api.RequireSession(hello))
	mux.Handle("/hello/{org}", h.api.RequireEntry(func(r *http.Request) string { return r.PathValue("org") }, hello))
	mux.Handle("POST /pay", h.api.RequireFresh("pay", hello))
	mux.HandleFunc("POST /sso", func(w http.ResponseWriter, r *http.Request) {
		out, err := h.Guard.SignIn(r.Context(), h.api.SignIn(r, "bob", mfa.SSOFirst("work", nil, "", h.Clock.Now())))
		h.api.Answer(w, r, out, err)
	})
	mux.Handle("POST /sso/again", h.api.RequirePending(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := mfahttp.PendingFrom(r.Context()).Reauthenticated(r.Context(), mfa.SSOFirst("work", nil, "", h.Clock.Now()))
		h.api.Answer(w, r, out, err)
	})))
	h.server = httptest.NewTLSServer(mux)
	t.Cleanup(h.server.Close)
	return h
}

// failure returns what the last problem was about.
func (h *apiHost) failure() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failed
}

// work runs the jobs that wait.
func (h *apiHost) work(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	jobs := h.jobs
	h.jobs = nil
	h.mu.Unlock()
	for _, job := range jobs {
		if err := job(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// book is a directory that stores proven addresses.
type book struct{ *mfatest.Users }

// SetAddress implements mfa.Addresses.
func (b book) SetAddress(ctx context.Context, user string, m mfa.Method, address string) error {
	u, err := b.User(ctx, user)
	if err == nil {
		u.Email, u.EmailVerified = address, true
		b.Add(u)
	}
	return err
}

// both runs a test with either transport.
func both(t *testing.T, test func(t *testing.T, tokens bool)) {
	for name, tokens := range map[string]bool{"cookies": false, "tokens": true} {
		t.Run(name, func(t *testing.T) { test(t, tokens) })
	}
}

// Every operation is reached by the journeys, in either transport.
func TestAPIJourneys(t *testing.T) {
	both(t, func(t *testing.T, tokens bool) {
		covered := make(map[string]bool)
		var all []mfahttp.Route
		for name, journey := range journeys {
			t.Run(name, func(t *testing.T) {
				h := newAPI(t, tokens, journey.options...)
				journey.run(t, h)
				maps.Copy(covered, h.covered)
				all = h.api.Routes()
			})
		}
		if t.Failed() {
			return
		}
		for _, r := range all {
			if !covered[r.Method+" "+r.Path] {
				t.Errorf("no journey succeeds at %s %s: %q", r.Method, r.Path, slices.Sorted(maps.Keys(covered)))
			}
		}
	})
}

// stale lets the last proof grow too old for something sensitive.
func (h *apiHost) stale() { h.Clock.Advance(6 * time.Minute) }
