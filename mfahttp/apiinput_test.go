package mfahttp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// A request is read strictly: what is not exactly one object of the fields that are
// named reaches no operation.
func TestAPIInput(t *testing.T) {
	h := newAPI(t, false)
	c := h.client(t)
	right := `{"login":"bob","password":"` + password + `"}`
	for _, tc := range []struct {
		name, body string
		want       int
	}{
		{"right", right, http.StatusOK},
		{"space around", " \r\n" + right + "\t\n", http.StatusOK},
		{"escapes", strings.Replace(right, "bob", `b\u006fb`, 1), http.StatusOK},
		{"surrogate pair", `{"login":"\ud83d\ude00","password":"x"}`, http.StatusForbidden},
		{"nothing", "", http.StatusBadRequest},
		{"null", "null", http.StatusBadRequest},
		{"array", "[" + right + "]", http.StatusBadRequest},
		{"string", `"x"`, http.StatusBadRequest},
		{"cut off", right[:len(right)-1], http.StatusBadRequest},
		{"two values", right + right, http.StatusBadRequest},
		{"rubbish after", right + "x", http.StatusBadRequest},
		{"brace after", right + "}", http.StatusBadRequest},
		{"another field", `{"admin":true,` + right[1:], http.StatusBadRequest},
		{"field missing", `{"login":"bob"}`, http.StatusBadRequest},
		{"field twice", `{"login":"alice",` + right[1:], http.StatusBadRequest},
		{"field in another case", strings.Replace(right, "login", "Login", 1), http.StatusBadRequest},
		{"field without a name", `{"":1,` + right[1:], http.StatusBadRequest},
		{"null field", `{"login":null,"password":"x"}`, http.StatusBadRequest},
		{"number for text", `{"login":1,"password":"x"}`, http.StatusBadRequest},
		{"object for text", `{"login":{},"password":"x"}`, http.StatusBadRequest},
		{"array for text", `{"login":["bob"],"password":"x"}`, http.StatusBadRequest},
		{"comment", `/**/` + right, http.StatusBadRequest},
		{"byte order mark", "\ufeff" + right, http.StatusBadRequest},
		{"not UTF-8", "{\"login\":\"\xff\",\"password\":\"x\"}", http.StatusBadRequest},
		{"half a surrogate pair", `{"login":"\ud83d","password":"x"}`, http.StatusBadRequest},
		{"replacement character", `{"login":"` + "\ufffd" + `","password":"x"}`, http.StatusBadRequest},
		{"deep", strings.Repeat(`{"login":`, 7000), http.StatusBadRequest},
		{"deep array", strings.Repeat(`[`, 60_000), http.StatusBadRequest},
		{"at the limit", right + strings.Repeat(" ", mfahttp.MaxBody-len(right)), http.StatusOK},
		{"one past it", right + strings.Repeat(" ", mfahttp.MaxBody-len(right)+1), http.StatusRequestEntityTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := c.send(c.request(http.MethodPost, "/api/mfa/sign-in", []byte(tc.body)))
			want := map[int]any{http.StatusForbidden: "refused", http.StatusBadRequest: "malformed", http.StatusRequestEntityTooLarge: "too_large"}[tc.want]
			if a.status != tc.want || a.json["reason"] != want {
				t.Errorf("%d %s (%v)", a.status, a.body, h.failure())
			}
			c.audit("/sign-in", a)
		})
	}
}

// R27: the log is not told what a malformed request holds.
func TestR27_APIMalformed(t *testing.T) {
	h := newAPI(t, false)
	c, _ := h.enrolled(t, "alice")
	c.step(c.signIn("alice"), "verify")
	c.refused(http.StatusBadRequest, "malformed", "/pending/verify", "method", "totp", "code", 492039)
	if err := h.failure(); err == nil || strings.Contains(fmt.Sprintf("%+v", err), "492039") {
		t.Errorf("%v", err)
	}
}

// Whatever a body is, it is taken only if it is one object with the one field, in UTF-8.
func FuzzAPIBody(f *testing.F) {
	for _, body := range []string{
		`{"password":"x"}`, `{"password":"x"}{}`, `{"Password":"x"}`, `{"password":"x","password":"y"}`, `{"password":"\ud800"}`, "{\"password\":\"\xff\"}",
		`{"password":null}`, `[]`, ``, ` {"password" : "\u0000"} `, `{"password":{}}`, `{"password":["x"]}`,
	} {
		f.Add([]byte(body))
	}
	guard, err := newGuard()
	if err != nil {
		f.Fatal(err)
	}
	api, err := mfahttp.NewAPI(mfahttp.Config{Guard: guard, NoProxies: true}, mfahttp.APIConfig{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest(http.MethodPost, "/check-password", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		var fields map[string]string
		err := json.Unmarshal(body, &fields)
		password, there := fields["password"]
		plain := err == nil && there && len(fields) == 1 && utf8.Valid(body) && !strings.ContainsRune(password, utf8.RuneError)
		switch w.Code {
		case http.StatusOK:
			if !plain || bytes.Count(body, []byte("password")) == 2 && password != "password" {
				t.Errorf("%q is taken", body)
			}
		case http.StatusBadRequest:
			if plain && bytes.Count(body, []byte(":")) == 1 && len(password) <= 4096 && bytes.Count(body, []byte("null")) == 0 {
				t.Errorf("%q is refused: %s", body, w.Body)
			}
		case http.StatusRequestEntityTooLarge:
			if len(body) <= mfahttp.MaxBody {
				t.Errorf("%d bytes are too many", len(body))
			}
		default:
			t.Errorf("%q: %d %s", body, w.Code, w.Body)
		}
	})
}

// A host that runs no jobs mails no links.
func TestAPIWithoutJobs(t *testing.T) {
	guard, err := newGuard()
	if err != nil {
		t.Fatal(err)
	}
	api, err := mfahttp.NewAPI(mfahttp.Config{Guard: guard, NoProxies: true}, mfahttp.APIConfig{})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPost, "/recover", strings.NewReader(`{"login":"alice"}`))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	if api.ServeHTTP(w, r); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), `"reason":"forbidden"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A method that is none is no method.
func TestAPIMethod(t *testing.T) {
	h := newAPI(t, false, withRules(mfa.Rules{Require: mfa.RequireAtSignIn}))
	c := h.client(t)
	c.step(c.signIn("alice"), "enroll")
	for _, method := range []any{"", "TOTP", "smoke", 1, nil} {
		c.refused(http.StatusBadRequest, "malformed", "/pending/verify", "method", method, "code", "123456")
	}
}

// A purpose has the one field of its type.
func TestAPIPurpose(t *testing.T) {
	h := newAPI(t, false)
	c, _ := h.enrolled(t, "olivia")
	for _, tc := range []struct {
		body   string
		status int
	}{
		{`{"type":"confirm","action":"x"}`, http.StatusOK},
		{`{"type":"administer","org":""}`, http.StatusOK},
		{`{"type":"enter","org":"acme"}`, http.StatusOK},
		{`{"type":"confirm","action":"x","org":null}`, http.StatusOK},
		{`{"type":"confirm","action":""}`, http.StatusBadRequest},
		{`{"type":"confirm"}`, http.StatusBadRequest},
		{`{"type":"confirm","action":"x","org":"acme"}`, http.StatusBadRequest},
		{`{"type":"enter","action":"x"}`, http.StatusBadRequest},
		{`{"type":"enter","org":""}`, http.StatusBadRequest},
		{`{"type":"administer"}`, http.StatusBadRequest},
		{`{"type":"enroll","method":"smoke"}`, http.StatusBadRequest},
		{`{"type":"enroll","method":"backup_code"}`, http.StatusBadRequest},
		{`{"type":"sign_in"}`, http.StatusBadRequest},
		{`{"type":""}`, http.StatusBadRequest},
		{`{}`, http.StatusBadRequest},
		{`"confirm"`, http.StatusBadRequest},
	} {
		a := c.send(c.request(http.MethodPost, "/api/mfa/session/step-up", []byte(`{"purpose":`+tc.body+`}`)))
		if a.status != tc.status {
			t.Errorf("%s: %d %s", tc.body, a.status, a.body)
		}
	}
}

// Whatever is not served answers with a problem too.
func TestAPIRouting(t *testing.T) {
	h := newAPI(t, false)
	c, _ := h.enrolled(t, "olivia")
	for _, tc := range []struct {
		method, path, allow string
		want                int
	}{
		{http.MethodGet, "/nothing", "", http.StatusNotFound},
		{http.MethodGet, "/", "", http.StatusNotFound},
		{http.MethodGet, "/session/", "", http.StatusNotFound},
		{http.MethodPost, "/session/overview", "GET", http.StatusMethodNotAllowed},
		{http.MethodGet, "/sign-in", "POST", http.StatusMethodNotAllowed},
		{http.MethodOptions, "/sign-in", "POST", http.StatusMethodNotAllowed},
		{http.MethodPut, "/admin/rules", "GET, POST", http.StatusMethodNotAllowed},
		{http.MethodDelete, "/session", "GET", http.StatusMethodNotAllowed},
		{http.MethodGet, "/session", "", http.StatusOK},
		{http.MethodHead, "/session", "", http.StatusOK},
		{http.MethodGet, "/session?org=acme", "", http.StatusBadRequest},
		{http.MethodGet, "/admin/rules", "", http.StatusBadRequest},
		{http.MethodGet, "/admin/rules?org=acme", "", http.StatusOK},
		{http.MethodGet, "/admin/rules?org=acme&org=", "", http.StatusBadRequest},
		{http.MethodGet, "/admin/rules?org=acme&more=1", "", http.StatusBadRequest},
		{http.MethodGet, "/admin/rules?org=%ff", "", http.StatusBadRequest},
		{http.MethodGet, "/admin/rules?org=acme&%zz", "", http.StatusBadRequest},
		{http.MethodGet, "/admin/rules?org=acme;x", "", http.StatusBadRequest},
		{http.MethodGet, "/admin/rules?org=a%00b", "", http.StatusBadRequest},
	} {
		a := c.send(c.request(tc.method, "/api/mfa"+tc.path, nil))
		if a.status != tc.want || a.header.Get("Allow") != tc.allow {
			t.Errorf("%s %s: %d %s, Allow %q", tc.method, tc.path, a.status, a.body, a.header.Get("Allow"))
		}
		if tc.method != http.MethodHead {
			c.audit(tc.path, a)
		} else if len(a.body) > 0 {
			t.Errorf("HEAD: %s", a.body)
		}
		if a.status >= 400 {
			if err := h.doc.check(h.doc.answer(http.MethodGet, "/session", a.status), a.json, tc.path); err != nil {
				t.Error(err)
			}
		}
	}
}

// The document is where the API is, for everybody.
func TestOpenAPIServed(t *testing.T) {
	both(t, func(t *testing.T, tokens bool) {
		h := newAPI(t, tokens)
		c := h.client(t)
		a := c.do(http.MethodGet, "/openapi.json", nil)
		if a.status != http.StatusOK || !bytes.Equal(a.body, mfahttp.Document()) || !json.Valid(a.body) || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%d %d bytes of %s", a.status, len(a.body), a.header.Get("Content-Type"))
		}
		if a := c.send(c.request(http.MethodPost, "/api/mfa/openapi.json", nil)); a.status != http.StatusMethodNotAllowed {
			t.Errorf("POST: %d", a.status)
		}
	})
}
