package mfahttp_test

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// A cookie is one of this host alone, out of reach of scripts and of other sites'
// forms, and lives no longer than what it names.
func TestCookieAttributes(t *testing.T) {
	for _, tc := range []struct {
		name           string
		insecure       bool
		prefix, secure string
	}{
		{"https", false, "__Host-", "; Secure"},
		{"plain http", true, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHost(t, mfa.Rules{Require: mfa.RequireAtSignIn}, func(c *mfahttp.Config) { c.InsecureHTTP = tc.insecure })
			b := h.browser(t)
			check := func(resp *http.Response, want ...string) {
				t.Helper()
				got := resp.Header.Values("Set-Cookie")
				if len(got) != len(want) {
					t.Fatalf("Set-Cookie: %q, want %d", got, len(want))
				}
				for i, w := range want {
					name, rest, _ := strings.Cut(got[i], "=")
					value, attributes, _ := strings.Cut(rest, "; ")
					maxAge, cleared := strings.CutPrefix(w, "-")
					w = tc.prefix + maxAge + "; HttpOnly" + tc.secure + "; SameSite=Lax"
					if name+"; "+attributes != w || (value == "") != cleared {
						t.Errorf("cookie %q, want %q", name+"; "+attributes, w)
					}
				}
			}
			check(b.signIn("alice"), "mfa_pending; Path=/; Max-Age=600")
			check(b.get("/enroll"))
			pending, session := tc.prefix+"mfa_pending", tc.prefix+"mfa_session"
			b.cookies[pendingCookie] = b.cookies[pending] // where stage looks
			b.stage()
			planted := b.cookies[pending]
			check(b.post("/enroll", "code", b.code()), "mfa_pending; Path=/; Max-Age=570")
			if b.cookies[pending] == planted {
				t.Error("the flow has the token that it had before the proof")
			}
			check(b.post("/save-codes"), "mfa_session; Path=/; Max-Age=86400", "-mfa_pending; Path=/; Max-Age=0", "mfa_browsers; Path=/; Max-Age=15552000")
			h.Clock.Advance(time.Hour)
			old := b.cookies[session]
			check(b.post("/step-up", "action", "x", "to", "/home"), "mfa_pending; Path=/; Max-Age=600")
			check(b.post("/verify", "code", b.code()), "mfa_session; Path=/; Max-Age=82770", "-mfa_pending; Path=/; Max-Age=0")
			if b.cookies[session] == old {
				t.Error("the session has the token that it had before the proof")
			}
			check(b.post("/step-up", "action", "x", "to", "/home")) // nothing is missing
			check(b.get("/home"))
			check(b.post("/sign-out"), "-mfa_session; Path=/; Max-Age=0")
		})
	}
}

// R13: a refused token sets and clears no cookie, whatever is wrong with it.
// Otherwise whoever makes a browser present one could sign its user out, or a
// failure of the store would.
func TestR13_RefusedTokenLeavesCookies(t *testing.T) {
	requests := map[string]func(*browser) *http.Response{
		"page":     func(b *browser) *http.Response { return b.get("/home") },
		"form":     func(b *browser) *http.Response { return b.post("/codes") },
		"door":     func(b *browser) *http.Response { return b.get("/org/acme") },
		"step-up":  func(b *browser) *http.Response { return b.post("/step-up", "action", "x") },
		"sign-out": func(b *browser) *http.Response { return b.post("/sign-out") },
		"step":     func(b *browser) *http.Response { return b.get("/verify") },
		"proof":    func(b *browser) *http.Response { return b.post("/verify", "code", "123456") },
		"cancel":   func(b *browser) *http.Response { return b.post("/cancel") },
		"wrong sign-in": func(b *browser) *http.Response {
			return b.post("/sign-in", "name", "alice", "password", "wrong")
		},
	}
	spoil := map[string]func(*browser){
		"garbage": func(b *browser) {
			b.cookies[sessionCookie], b.cookies[pendingCookie], b.cookies[browsersCookie] = "garbage", "%00", "garbage"
		},
		"of the other kind": func(b *browser) {
			b.cookies[sessionCookie], b.cookies[pendingCookie] = b.cookies[pendingCookie], b.cookies[sessionCookie]
		},
		"expired": func(b *browser) { b.host.Clock.Advance(25 * time.Hour) },
		"revoked": func(b *browser) {
			if err := b.host.Guard.CredentialsChanged(b.t.Context(), "alice"); err != nil {
				b.t.Fatal(err)
			}
		},
		"disabled": func(b *browser) {
			if err := b.host.Guard.Disable(b.t.Context(), "alice"); err != nil {
				b.t.Fatal(err)
			}
		},
		"store down": func(b *browser) { b.host.FailStore(errors.New("down")) },
	}
	for wrong, spoil := range spoil {
		for name, request := range requests {
			t.Run(wrong+"/"+name, func(t *testing.T) {
				h := newHost(t, mfa.Rules{Require: mfa.RequireAtSignIn})
				b := h.enrolled(t)
				h.stale()
				b.leads(b.post("/step-up", "action", "x"), "/verify")
				spoil(b)
				resp := request(b)
				if got := resp.Header.Values("Set-Cookie"); len(got) > 0 {
					t.Errorf("%s sets %q", resp.Status, got)
				}
				if resp.StatusCode == http.StatusOK {
					t.Error("it is served")
				}
			})
		}
	}
}

// left fails unless the browser has these cookies and no others.
func (b *browser) left(names ...string) {
	b.t.Helper()
	if got := slices.Sorted(maps.Keys(b.cookies)); !slices.Equal(got, names) {
		b.t.Errorf("the browser has the cookies %v, want %v", got, names)
	}
}

// Signing in ends what the browser presented, so that a planted token is worth
// nothing afterwards, and so does signing out.
func TestPresentedEnds(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	b := h.browser(t)
	b.leads(b.signIn("alice"), "/home")
	planted := *b
	planted.cookies = map[string]string{sessionCookie: b.cookies[sessionCookie]}
	b.leads(b.signIn("bob"), "/home")
	planted.leads(planted.get("/home"), "/sign-in?error=over&to=%2Fhome")

	enrolled := h.enrolled(t)
	h.stale()
	enrolled.leads(enrolled.post("/step-up", "action", "x"), "/verify")
	stolen := *enrolled
	stolen.cookies = map[string]string{sessionCookie: enrolled.cookies[sessionCookie], pendingCookie: enrolled.cookies[pendingCookie]}
	enrolled.leads(enrolled.post("/sign-out"), "/sign-in")
	enrolled.left(browsersCookie)
	stolen.leads(stolen.get("/home"), "/sign-in?error=over&to=%2Fhome")
	stolen.leads(stolen.post("/verify", "code", enrolled.code()), "/sign-in?error=over")

	// A flow that somebody else planted beside the session ends with it.
	planter := h.browser(t)
	planter.leads(planter.signIn("alice"), "/verify")
	b.cookies[pendingCookie] = planter.cookies[pendingCookie]
	b.leads(b.post("/sign-out"), "/sign-in")
	b.left(browsersCookie)
	planter.leads(planter.get("/verify"), "/sign-in?error=over")
}

// A second tab that needs no proof leaves the flow of the first alone.
func TestFlowOfAnotherTab(t *testing.T) {
	h := newHost(t, mfa.Rules{})
	b := h.enrolled(t)
	b.leads(b.post("/add"), "/enroll")
	b.leads(b.post("/step-up", "action", "x", "to", "/settings"), "/settings")
	if resp := b.get("/enroll"); resp.StatusCode != http.StatusOK {
		t.Errorf("the first tab: %s to %q", resp.Status, resp.Header.Get("Location"))
	}
}

// ownSessions is a host's session library: it keeps values by an id in a cookie.
type ownSessions struct {
	renewed int
	values  map[string]string
	life    map[string]time.Duration
}

func (o *ownSessions) Token(r *http.Request, name string) string {
	if _, err := r.Cookie("own"); err != nil {
		return ""
	}
	return o.values[name]
}

func (o *ownSessions) SetToken(w http.ResponseWriter, _ *http.Request, name, token string, life time.Duration) {
	o.renewed++
	http.SetCookie(w, &http.Cookie{Name: "own", Value: "renewed"})
	o.values[name], o.life[name] = token, life
}

// A host with sessions of its own keeps the tokens there: no cookie of ours names a
// session or a flow, and every rule holds as before.
func TestTokensOfTheHost(t *testing.T) {
	own := &ownSessions{values: make(map[string]string), life: make(map[string]time.Duration)}
	h := newHost(t, mfa.Rules{Require: mfa.RequireAtSignIn}, func(c *mfahttp.Config) { c.Tokens = own })
	b := h.browser(t)
	b.leads(b.signIn("alice"), "/enroll")
	if own.values["mfa_pending"] == "" || own.values["mfa_session"] != "" || own.life["mfa_pending"] != 10*time.Minute {
		t.Fatalf("after the password it keeps %v for %v", own.values, own.life)
	}
	b.cookies[pendingCookie] = own.values["mfa_pending"] // where stage looks
	b.stage()
	delete(b.cookies, pendingCookie)
	b.leads(b.post("/enroll", "code", b.code()), "/save-codes")
	b.leads(b.post("/save-codes"), "/home")
	if own.values["mfa_pending"] != "" || own.values["mfa_session"] == "" || own.life["mfa_session"] != 24*time.Hour {
		t.Errorf("signed in, it keeps %v for %v", own.values, own.life)
	}
	b.left(browsersCookie, "own")
	if resp := b.get("/home"); resp.StatusCode != http.StatusOK {
		t.Errorf("the home page: %s", resp.Status)
	}
	stranger := h.browser(t)
	stranger.leads(stranger.get("/home"), "/sign-in?to=%2Fhome")
	calls := own.renewed
	if b.get("/home"); own.renewed != calls {
		t.Error("a page that changes nothing sets a token")
	}
	b.leads(b.post("/sign-out"), "/sign-in")
	if own.values["mfa_session"] != "" {
		t.Error("signed out, it keeps the session")
	}
}
