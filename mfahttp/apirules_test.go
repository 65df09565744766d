package mfahttp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
	"github.com/seed-1320b244/mfa/mfatest"
)

// same fails unless two answers are equal byte for byte, but for the time.
func same(t *testing.T, name string, got, want response) {
	t.Helper()
	for _, a := range []response{got, want} {
		a.header.Del("Date")
	}
	if got.status != want.status || !bytes.Equal(got.body, want.body) || !reflect.DeepEqual(got.header, want.header) {
		t.Errorf("%s:\n%d %v %s, want\n%d %v %s", name, got.status, got.header, got.body, want.status, want.header, want.body)
	}
}

// R24: a login that is nobody's, one with a wrong password and one that is locked get
// one answer.
func TestR24_APISignInAlike(t *testing.T) {
	both(t, func(t *testing.T, tokens bool) {
		h := newAPI(t, tokens)
		c := h.client(t)
		try := func(login, password string) response {
			return c.do(http.MethodPost, "/sign-in", object("login", login, "password", password))
		}
		wrong := try("alice", "wrong")
		c.problem(http.StatusForbidden, "refused", "/sign-in", wrong)
		same(t, "nobody", try("nobody", "wrong"), wrong)
		same(t, "no login", try("", ""), wrong)
		for range 5 {
			try("bob", "wrong")
		}
		same(t, "locked", try("bob", password), wrong)
		if mfa.ReasonOf(h.failure()) != mfa.ReasonMethodLocked {
			t.Errorf("bob is not locked: %v", mfa.ReasonOf(h.failure()))
		}
		h.Users.Add(mfa.User{ID: "otto", Disabled: true})
		same(t, "disabled", try("otto", password), wrong)

	})
}

// R24, R25: a link to a new password is on its way, or the client is told that there was
// no room: the same bytes for every login, before anybody has looked at the account. Here
// nobody can: the directory is down.
func TestR25_APIJobsFull(t *testing.T) {
	both(t, func(t *testing.T, tokens bool) {
		h := newAPI(t, tokens)
		c := h.client(t)
		ask := func(login string) response { return c.do(http.MethodPost, "/recover", object("login", login)) }
		for _, full := range []bool{false, true} {
			h.full = full
			want := ask("nobody")
			same(t, "known", ask("alice"), want)
			same(t, "longer than any", ask(strings.Repeat("x", 1000)), want)
			h.Users.Fail(errors.New("down"))
			same(t, "known, when nobody can ask", ask("alice"), want)
			h.Users.Fail(nil)
			if !full && (want.status != http.StatusNoContent || h.failure() != nil) {
				t.Errorf("%d %s (%v)", want.status, want.body, h.failure())
			}
			if full && (c.problem(http.StatusServiceUnavailable, "busy", "/recover", want)["retry_after"] != 60.0 || want.header.Get("Retry-After") != "60" || h.failure() == nil) {
				t.Errorf("%v %s, and the log is told %v", want.header, want.body, h.failure())
			}
		}
	})
}

// R28: whatever is wrong with a proof, it has one face, and an error of the store does
// not say more.
func TestR28_APIOneFace(t *testing.T) {
	both(t, func(t *testing.T, tokens bool) {
		h := newAPI(t, tokens)
		c, codes := h.enrolled(t, "alice")
		used := c.code()
		c.step(c.signIn("alice"), "verify")
		c.step(c.post("/pending/verify", "method", "totp", "code", used), "")
		verify := func(method, code string) response {
			return c.do(http.MethodPost, "/pending/verify", object("method", method, "code", code))
		}
		c.step(c.signIn("alice"), "verify")
		wrong := verify("totp", c.app.Wrong(h.Clock.Now()))
		c.problem(http.StatusForbidden, "refused", "/pending/verify", wrong)
		same(t, "reused", verify("totp", used), wrong)
		same(t, "malformed", verify("totp", "x"), wrong)
		same(t, "another method", verify("sms_code", "123456"), wrong)
		same(t, "no backup code", verify("backup_code", "AAAA-AAAA-AAAA-AAAA"), wrong)
		same(t, "another step", c.do(http.MethodPost, "/pending/codes/saved", nil), wrong)

		h.FailStore(errors.New("the database at 10.0.0.1 is down"))
		down := verify("backup_code", codes[0].(string))
		c.problem(http.StatusServiceUnavailable, "unavailable", "/pending/verify", down)
		same(t, "wrong, store failing", verify("totp", "000000"), down)
		if bytes.Contains(down.body, []byte("10.0.0.1")) {
			t.Errorf("%s", down.body)
		}
		h.FailStore(nil)
		h.Users.Add(mfa.User{ID: "alice", Disabled: true})
		same(t, "disabled", c.do(http.MethodGet, "/pending", nil), wrong)
	})
}

// R28: waits are told, in the body and in the header.
func TestR28_APIThrottled(t *testing.T) {
	both(t, func(t *testing.T, tokens bool) {
		h := newAPI(t, tokens)
		c, _ := h.enrolled(t, "alice")
		c.step(c.signIn("alice"), "verify")
		for range 4 {
			c.refused(http.StatusForbidden, "refused", "/pending/verify", "method", "totp", "code", c.app.Wrong(h.Clock.Now()))
		}
		c.do(http.MethodPost, "/pending/verify", object("method", "totp", "code", c.app.Wrong(h.Clock.Now())))
		c.step(c.signIn("alice"), "verify")
		a := c.do(http.MethodPost, "/pending/verify", object("method", "totp", "code", c.app.Code(h.Clock.Now())))
		if p := c.problem(http.StatusTooManyRequests, "throttled", "/pending/verify", a); p["retry_after"] != 30.0 || a.header.Get("Retry-After") != "30" {
			t.Errorf("%s, Retry-After %q", a.body, a.header.Get("Retry-After"))
		}
	})
}

// A flow that was completed says so to whoever sends the same again.
func TestR2_APICompleted(t *testing.T) {
	both(t, func(t *testing.T, tokens bool) {
		h := newAPI(t, tokens)
		c, _ := h.enrolled(t, "alice")
		c.step(c.signIn("alice"), "verify")
		flow := c.pendingToken()
		c.step(c.post("/pending/verify", "method", "totp", "code", c.code()), "")
		late := h.bare(t, "", flow)
		late.refused(http.StatusUnauthorized, "already_completed", "/pending/verify", "method", "totp", "code", c.code())
	})
}

func (c *client) pendingToken() string {
	if c.host.tokens {
		return c.pending
	}
	return c.cookie(pendingCookie)
}

// bare returns a client that presents these tokens.
func (h *apiHost) bare(t *testing.T, session, pending string) *client {
	t.Helper()
	c := h.client(t)
	if h.tokens {
		c.session, c.pending = session, pending
		return c
	}
	r := c.request(http.MethodGet, "/", nil)
	for name, value := range map[string]string{sessionCookie: session, pendingCookie: pending} {
		if value != "" {
			c.http.Jar.SetCookies(r.URL, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: true}})
		}
	}
	return c
}

// R13: a refused token never sets or clears a cookie, whatever is wrong with it.
func TestR13_APIRefusedTokenLeavesCookies(t *testing.T) {
	h := newAPI(t, false)
	c, _ := h.enrolled(t, "alice")
	session := c.cookie(sessionCookie)
	out, err := h.Guard.SignIn(t.Context(), mfa.SignIn{User: "alice", First: mfa.PasswordFirst()})
	if err != nil {
		t.Fatal(err)
	}
	flow := out.Pending.Token()
	ended := h.bare(t, session, "")
	ended.post("/session/sign-out")
	for name, tokens := range map[string][2]string{
		"nothing": {}, "rubbish": {"x", "y"}, "ended": {session, ""}, "of the other kind": {flow, session},
	} {
		t.Run(name, func(t *testing.T) {
			b := h.bare(t, tokens[0], tokens[1])
			for _, r := range h.api.Routes() {
				if strings.HasPrefix(r.Path, "/pending") || strings.HasPrefix(r.Path, "/session") || strings.HasPrefix(r.Path, "/admin") {
					path := "/api/mfa" + r.Path
					if r.Query != nil {
						path += "?org=acme"
					}
					a := b.send(b.request(r.Method, path, minimal(r.Body)))
					if a.status != http.StatusUnauthorized || len(a.header.Values("Set-Cookie")) > 0 {
						t.Errorf("%s: %d %s, Set-Cookie %q", path, a.status, a.body, a.header.Values("Set-Cookie"))
					}
				}
			}
		})
	}
}

// minimal returns a body that fits t, without saying anything.
func minimal(t reflect.Type) []byte {
	if t == nil {
		return nil
	}
	var fields []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		value := `"totp"`
		switch {
		case f.Type.Kind() == reflect.Struct && name == "rules":
			value = string(minimal(f.Type))
		case f.Type.Kind() == reflect.Struct:
			value = `{"type":"confirm","action":"x"}`
		case f.Type.Kind() == reflect.Slice:
			value = "[]"
		case f.Type.Kind() == reflect.Bool:
			value = "true"
		case f.Type.Kind() == reflect.Int64:
			value = "0"
		case f.Type.Kind() == reflect.Pointer:
			value = "null"
		case name == "require":
			value = `"off"`
		}
		fields = append(fields, fmt.Sprintf("%q:%s", name, value))
	}
	return []byte("{" + strings.Join(fields, ",") + "}")
}

// What is chosen when the API is built no request changes: tokens are not taken from
// cookies, and cookies are not replaced by headers.
func TestAPITransportIsFixed(t *testing.T) {
	for name, tokens := range map[string]bool{"cookies": false, "tokens": true} {
		t.Run(name, func(t *testing.T) {
			h := newAPI(t, tokens)
			c, _ := h.enrolled(t, "alice")
			session := c.sessionToken()
			c.step(c.post("/session/step-up", "purpose", object("type", "enroll", "method", "totp")), "enroll")
			flow := c.pendingToken()
			other := h.client(t)
			for _, path := range []string{"/api/mfa/session", "/api/mfa/pending", "/hello", "/hello/acme"} {
				r := other.request(http.MethodGet, path, nil)
				if tokens {
					r.AddCookie(&http.Cookie{Name: sessionCookie, Value: session})
					r.AddCookie(&http.Cookie{Name: "mfa_session", Value: session})
					r.AddCookie(&http.Cookie{Name: pendingCookie, Value: flow})
				} else {
					r.Header.Set("Authorization", "Bearer "+session)
					r.Header.Set("Mfa-Pending", flow)
				}
				if a := other.send(r); a.status != http.StatusUnauthorized || (a.header.Get("WWW-Authenticate") == "Bearer") != tokens {
					t.Errorf("%s: %d %s, WWW-Authenticate %q", path, a.status, a.body, a.header.Get("WWW-Authenticate"))
				}
			}
			out, err := h.Guard.SignIn(t.Context(), mfa.SignIn{User: "alice", First: mfa.PasswordFirst()})
			if err != nil {
				t.Fatal(err)
			}
			r := other.request(http.MethodGet, "/api/mfa/pending", nil) // of a flow that needs no session besides
			if tokens {
				r.AddCookie(&http.Cookie{Name: pendingCookie, Value: out.Pending.Token()})
			} else {
				r.Header.Set("Mfa-Pending", out.Pending.Token())
			}
			if a := other.send(r); a.json["reason"] != "no_pending" {
				t.Errorf("a sign-in: %d %s", a.status, a.body)
			}
			right := h.bare(t, session, flow)
			right.step(right.get("/pending"), "enroll")
			alone := h.bare(t, "", flow)
			alone.problem(http.StatusUnauthorized, "no_pending", "/pending", alone.do(http.MethodGet, "/pending", nil))
		})
	}
	h := newAPI(t, true)
	c, _ := h.enrolled(t, "alice")
	for header, want := range map[string]int{
		"Bearer " + c.session: http.StatusOK, "bearer " + c.session: http.StatusOK,
		c.session: http.StatusUnauthorized, "Basic " + c.session: http.StatusUnauthorized, "Bearer": http.StatusUnauthorized, "": http.StatusUnauthorized,
	} {
		r := c.request(http.MethodGet, "/api/mfa/session", nil)
		r.Header.Set("Authorization", header)
		if a := c.send(r); a.status != want {
			t.Errorf("%.10s: %d, want %d", header, a.status, want)
		}
	}
}

// Other sites cannot make a browser act for its user; an app has nothing that a browser
// would send along.
func TestAPICrossOrigin(t *testing.T) {
	h := newAPI(t, false)
	c, _ := h.enrolled(t, "alice")
	for _, tc := range []struct {
		name, site, origin, kind string
		want                     int
		reason                   any
	}{
		{"own script", "same-origin", "", "application/json", http.StatusNoContent, nil},
		{"own script, old browser", "", h.server.URL, "application/json; charset=UTF-8", http.StatusNoContent, nil},
		{"another site", "cross-site", "https://evil.example", "application/json", http.StatusForbidden, "cross_origin"},
		{"a subdomain", "same-site", "https://evil.example.com", "application/json", http.StatusForbidden, "cross_origin"},
		{"another site, old browser", "", "https://evil.example", "application/json", http.StatusForbidden, "cross_origin"},
		{"a sandboxed frame", "cross-site", "null", "application/json", http.StatusForbidden, "cross_origin"},
		{"a form", "same-origin", "", "text/plain", http.StatusUnsupportedMediaType, "unsupported_media_type"},
		{"a form of fields", "", "", "application/x-www-form-urlencoded", http.StatusUnsupportedMediaType, "unsupported_media_type"},
		{"no type", "same-origin", "", "", http.StatusUnsupportedMediaType, "unsupported_media_type"},
		{"half a type", "same-origin", "", "application/json; charset", http.StatusUnsupportedMediaType, "unsupported_media_type"},
		{"another charset", "same-origin", "", "application/json; charset=utf-16", http.StatusUnsupportedMediaType, "unsupported_media_type"},
		{"another JSON", "same-origin", "", "application/problem+json", http.StatusUnsupportedMediaType, "unsupported_media_type"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := c.request(http.MethodPost, "/api/mfa/session/browsers/forget", []byte(`{"ids":[]}`))
			for name, value := range map[string]string{"Sec-Fetch-Site": tc.site, "Origin": tc.origin, "Content-Type": tc.kind} {
				if r.Header.Del(name); value != "" {
					r.Header.Set(name, value)
				}
			}
			a := c.send(r)
			if a.status != tc.want || a.json["reason"] != tc.reason || len(a.header.Values("Set-Cookie")) > 0 {
				t.Errorf("%d %s, want %d %v", a.status, a.body, tc.want, tc.reason)
			}
			c.audit("forget", a)
		})
	}
	r := c.request(http.MethodPost, "/hello", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if a := c.send(r); a.json["reason"] != "cross_origin" {
		t.Errorf("a handler of the host: %d %s", a.status, a.body)
	}
	for name, want := range map[string]string{
		"Cross-Origin-Resource-Policy": "same-origin", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Content-Type": "application/json",
	} {
		if got := c.do(http.MethodGet, "/session", nil).header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

// A code page in JSON signs in nobody whom another would not.
func TestAPIAbuse(t *testing.T) {
	both(t, func(t *testing.T, tokens bool) {
		mfatest.TestAbuse(t, func(tb testing.TB) (*mfatest.Kit, mfatest.CodePage) {
			h := newAPI(t, tokens)
			return h.Kit, func(ctx context.Context, pending, session, code string) string {
				c := h.bare(t, session, pending)
				c.do(http.MethodPost, "/pending/verify", object("method", "totp", "code", code))
				if got := c.sessionToken(); got != session {
					return got
				}
				return ""
			}
		})
	})
}

// crowd is a directory that fails after so many members.
type crowd struct {
	book
	breaks int
}

func (d crowd) Members(ctx context.Context, org string) iter.Seq2[mfa.User, error] {
	return func(yield func(mfa.User, error) bool) {
		for n := range 1000 {
			if n == d.breaks {
				yield(mfa.User{}, errors.New("the directory is down"))
				return
			}
			if !yield(mfa.User{ID: fmt.Sprint("user", n), Orgs: []mfa.Membership{{Org: org}}}, nil) {
				return
			}
		}
	}
}

// A list of members that cannot be read to its end is not one that is shorter, and an
// error before the first is a problem.
func TestAPIMembersBreakOff(t *testing.T) {
	for _, breaks := range []int{0, 500, 1000} {
		t.Run(fmt.Sprint(breaks), func(t *testing.T) {
			h := newAPIOf(t, false, func(u *mfatest.Users) mfa.Users { return crowd{book{u}, breaks} })
			c, _ := h.enrolled(t, "olivia")
			if breaks == 500 {
				if a, err := c.http.Do(c.request(http.MethodGet, "/api/mfa/admin/members?org=acme", nil)); err == nil {
					defer a.Body.Close()
					if _, err := new(bytes.Buffer).ReadFrom(a.Body); err == nil {
						t.Error("half of the members look like all")
					}
				}
				return
			}
			a := c.do(http.MethodGet, "/admin/members?org=acme", nil)
			if breaks == 0 {
				c.problem(http.StatusServiceUnavailable, "unavailable", "/admin/members", a)
				return
			}
			if n := len(c.ok("/admin/members", a)["members"].([]any)); n != 1000 {
				t.Errorf("%d members", n)
			}
		})
	}
}

// A figure that no time.Duration holds is no figure.
func TestAPIRulesBounds(t *testing.T) {
	h := newAPI(t, false)
	c, _ := h.enrolled(t, "olivia")
	for name, value := range map[string]any{
		"remember": 9223372036854775807, "idle_for": -1, "fresh_for": 604801, "session_for": 1.5, "require": "sometimes", "sso": nil,
		"from": "tomorrow", "methods": []any{"smoke"}, "exempt": []any{1},
	} {
		rules := c.get("/admin/rules?org=acme")["rules"].(map[string]any)
		rules[name] = value
		c.refused(http.StatusBadRequest, "malformed", "/admin/rules?org=acme", "rules", rules, "version", "")
		delete(rules, name) // rules that are left out ask for less
		c.refused(http.StatusBadRequest, "malformed", "/admin/rules?org=acme", "rules", rules, "version", "")
	}
}

// Times are the ones of the Guard's clock.
func TestAPIExpires(t *testing.T) {
	h := newAPI(t, false)
	c := h.client(t)
	out := c.step(c.signIn("bob"), "")
	if want := h.Clock.Now().Add(24 * time.Hour).Format(time.RFC3339); out["expires"] != want {
		t.Errorf("expires %v, want %s", out["expires"], want)
	}
}

// NewAPI names what is missing, and wants no pages.
func TestNewAPIConfig(t *testing.T) {
	_, err := mfahttp.NewAPI(mfahttp.Config{}, mfahttp.APIConfig{})
	if !errors.Is(err, mfa.ErrInvalid) || !strings.Contains(err.Error(), "Guard") || !strings.Contains(err.Error(), "TrustedProxies") || strings.Contains(err.Error(), "Pages") {
		t.Errorf("%v", err)
	}
	if _, err := mfahttp.New(mfahttp.Config{}); err == nil || !strings.Contains(err.Error(), "Pages") {
		t.Errorf("New: %v", err)
	}
}
