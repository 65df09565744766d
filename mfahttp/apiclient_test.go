package mfahttp_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A client is a browser, or an app that keeps tokens.
type client struct {
	t    *testing.T
	host *apiHost
	http *http.Client

	session, pending, browser string // of an app
	app                       *mfatest.Authenticator
}

func (h *apiHost) client(t *testing.T) *client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t: t, host: h, http: &http.Client{Transport: h.server.Client().Transport, Jar: jar}}
}

// cookie returns the value of a cookie of the browser.
func (c *client) cookie(name string) string {
	u, _ := url.Parse(c.host.server.URL)
	for _, k := range c.http.Jar.Cookies(u) {
		if k.Name == name {
			return k.Value
		}
	}
	return ""
}

// sessionToken returns the token of the session, wherever the client keeps it.
func (c *client) sessionToken() string {
	if c.host.tokens {
		return c.session
	}
	return c.cookie(sessionCookie)
}

// A response is one that was read to its end.
type response struct {
	status int
	header http.Header
	body   []byte
	json   map[string]any
}

func (c *client) request(method, path string, body []byte) *http.Request {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.host.server.URL+path, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("User-Agent", mfatest.Laptop().UserAgent)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.host.tokens {
		for name, value := range map[string]string{"Authorization": "Bearer " + c.session, "Mfa-Pending": c.pending, "Mfa-Browser": c.browser} {
			if value != "" && value != "Bearer " {
				r.Header.Set(name, value)
			}
		}
	}
	return r
}

// send sends r and reads the answer.
func (c *client) send(r *http.Request) response {
	c.t.Helper()
	resp, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	a := response{status: resp.StatusCode, header: resp.Header, body: body}
	json.Unmarshal(body, &a.json)
	if c.host.tokens && len(resp.Header.Values("Set-Cookie")) > 0 {
		c.t.Errorf("%s sets a cookie", r.URL.Path)
	}
	return a
}

// do carries out an operation and holds it to the document.
func (c *client) do(method, path string, body map[string]any) response {
	c.t.Helper()
	var raw []byte
	if method == http.MethodPost {
		if body == nil {
			body = map[string]any{}
		}
		raw, _ = json.Marshal(body)
	}
	a := c.send(c.request(method, "/api/mfa"+path, raw))
	name, _, _ := strings.Cut(path, "?")
	if schema := c.host.doc.body(method, name); schema != nil && a.json["reason"] != "malformed" {
		if err := c.host.doc.check(schema, again(body), "request of "+name); err != nil {
			c.t.Errorf("the handler takes what is not in the document: %v", err)
		}
	}
	c.audit(name, a)
	if a.status == http.StatusNoContent {
		if len(a.body) > 0 || c.host.doc.answer(method, name, a.status) != nil {
			c.t.Errorf("%s: no content is %q", name, a.body)
		}
	} else if err := c.host.doc.check(c.host.doc.answer(method, name, a.status), a.json, "answer of "+name); err != nil {
		c.t.Errorf("%v\n%s", err, a.body)
	}
	if a.status < 300 {
		c.host.covered[method+" "+name] = true
	}
	if c.host.tokens && a.status == http.StatusOK {
		c.remember(a)
	}
	return a
}

// again returns v as JSON reads it.
func again(v any) any {
	raw, _ := json.Marshal(v)
	var out any
	json.Unmarshal(raw, &out)
	return out
}

// remember does what an app does with the tokens of an answer.
func (c *client) remember(a response) {
	token, _ := a.json["token"].(string)
	switch a.json["status"] {
	case "signed_in":
		c.session, c.pending = token, ""
		if b, ok := a.json["browser"].(string); ok {
			c.browser = b
		}
	case "pending":
		c.pending = token
	}
}

// audit looks for what no answer has (R27): a token where cookies carry them, a secret
// in a problem.
func (c *client) audit(name string, a response) {
	c.t.Helper()
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		c.t.Errorf("%s: Cache-Control %q", name, got)
	}
	secrets := []string{c.cookie(sessionCookie), c.cookie(pendingCookie)}
	if b := c.cookie(browsersCookie); len(b) > 8 {
		secrets = append(secrets, b[8:])
	}
	if !c.host.tokens && (a.json["token"] != nil || a.json["browser"] != nil) {
		c.t.Errorf("R27: %s has a token: %s", name, a.body)
	}
	if a.status >= 400 {
		secrets = append(secrets, c.session, c.pending, c.browser, password, newPassword)
		if a.header.Get("Content-Type") != "application/problem+json" {
			c.t.Errorf("%s: %s", name, a.header.Get("Content-Type"))
		}
		if a.json["status"] != float64(a.status) {
			c.t.Errorf("%s: %s with status %d", name, a.body, a.status)
		}
		if reason, _ := a.json["reason"].(string); c.host.doc.problems()[reason] != float64(a.status) {
			c.t.Errorf("%s: %s is not in the table of reasons", name, a.body)
		}
	}
	for _, secret := range secrets {
		if secret != "" && bytes.Contains(a.body, []byte(secret)) {
			c.t.Errorf("R27: %s shows a secret: %s", name, a.body)
		}
	}
}

// get and post want an answer without a problem.
func (c *client) get(path string) map[string]any {
	c.t.Helper()
	return c.ok(path, c.do(http.MethodGet, path, nil))
}

// post sends these names and values.
func (c *client) post(path string, fields ...any) map[string]any {
	c.t.Helper()
	return c.ok(path, c.do(http.MethodPost, path, object(fields...)))
}

func object(fields ...any) map[string]any {
	body := make(map[string]any)
	for i := 0; i < len(fields); i += 2 {
		body[fields[i].(string)] = fields[i+1]
	}
	return body
}

func (c *client) ok(path string, a response) map[string]any {
	c.t.Helper()
	if a.status >= 300 {
		c.t.Fatalf("%s: %d %s (error: %v)", path, a.status, a.body, c.host.failure())
	}
	return a.json
}

// refused wants a problem.
func (c *client) refused(status int, reason, path string, fields ...any) map[string]any {
	c.t.Helper()
	return c.problem(status, reason, path, c.do(http.MethodPost, path, object(fields...)))
}

func (c *client) problem(status int, reason, path string, a response) map[string]any {
	c.t.Helper()
	if a.status != status || a.json["reason"] != reason {
		c.t.Fatalf("%s: %d %s, want %d %s (error: %v, %s)", path, a.status, a.body, status, reason, c.host.failure(), mfa.ReasonOf(c.host.failure()))
	}
	return a.json
}

// step wants an outcome that is at this step, "" for signed in.
func (c *client) step(out map[string]any, want string) map[string]any {
	c.t.Helper()
	need, _ := out["need"].(map[string]any)
	got, _ := need["step"].(string)
	if (got == "") != (out["status"] == "signed_in") || got != want {
		c.t.Fatalf("%v, want step %q", out, want)
	}
	return out
}

func (c *client) signIn(login string) map[string]any {
	c.t.Helper()
	return c.post("/sign-in", "login", login, "password", password)
}

// code returns a code that was not used yet.
func (c *client) code() string {
	c.host.Clock.Advance(c.app.Period())
	return c.app.Code(c.host.Clock.Now())
}

// stage shows an authenticator to the client's user.
func (c *client) stage() {
	c.t.Helper()
	setup := c.post("/pending/totp", "label", "phone")
	app, err := mfatest.NewAuthenticator(setup["uri"].(string))
	if err != nil {
		c.t.Fatal(err)
	}
	c.app = app
}

// enrolled returns a client that is signed in and has an authenticator, with its
// backup codes.
func (h *apiHost) enrolled(t *testing.T, login string) (*client, []any) {
	t.Helper()
	c := h.client(t)
	if out := c.signIn(login); out["status"] == "signed_in" {
		c.step(c.post("/session/step-up", "purpose", object("type", "enroll", "method", "totp")), "enroll")
	}
	c.stage()
	c.step(c.post("/pending/totp/confirm", "code", c.code()), "save_codes")
	codes := c.get("/pending/codes")["codes"].([]any)
	c.step(c.post("/pending/codes/saved"), "")
	return c, codes
}

// elevate goes through the proof that a problem asks for.
func (c *client) elevate(problem map[string]any) {
	c.t.Helper()
	if problem["need"].(map[string]any)["step"] != "verify" {
		c.t.Fatalf("%v, want a proof", problem)
	}
	out := c.step(c.post("/session/step-up", "purpose", problem["step_up"]), "verify")
	if out["need"].(map[string]any)["methods"].([]any)[0] == "password" {
		c.post("/pending/verify", "method", "password", "code", password)
		return
	}
	c.post("/pending/verify", "method", "totp", "code", c.code())
}
