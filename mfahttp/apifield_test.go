package mfahttp_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa"
)

// sample returns a value of a type that a request has, as JSON has it.
func sample(t reflect.Type) any {
	switch {
	case t == reflect.TypeFor[mfa.Method]():
		return "totp"
	case t.Kind() == reflect.Struct:
		fields := make(map[string]any)
		for f := range t.Fields() {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if options == "" {
				fields[name] = sample(f.Type)
			}
		}
		return fields
	case t.Kind() == reflect.Pointer:
		return nil
	}
	out, _ := json.Marshal(reflect.MakeSlice(reflect.SliceOf(t), 1, 1).Index(0).Interface())
	return again(json.RawMessage(strings.Replace(string(out), "null", "[]", 1)))
}

// what is sent as the name and as the value of fields, and never comes back.
const untold = "492039"

// R27: of every operation a request that lacks a field, or has one of another type or
// twice, is told which one it is, and nothing that it holds is repeated, to the client or
// in the log.
func TestR27_APIFieldOfEveryRequest(t *testing.T) {
	h := newAPI(t, false)
	c := h.client(t)
	seen := 0
	for _, r := range h.api.Routes() {
		if r.Body == nil {
			continue
		}
		path := r.Path
		if len(r.Query) > 0 {
			path += "?org=acme"
		}
		whole, _ := sample(r.Body).(map[string]any)
		check := func(what, field string, body []byte) {
			t.Helper()
			seen++
			a := c.send(c.request(http.MethodPost, "/api/mfa"+path, body))
			c.problem(http.StatusBadRequest, "malformed", path, a)
			if got, _ := a.json["field"].(string); got != field || bytes.Contains(a.body, []byte(untold)) || strings.Contains(fmt.Sprintf("%+v", h.failure()), untold) {
				t.Errorf("%s, %s: %s (%v), want field %q", path, what, a.body, h.failure(), field)
			}
			if err := h.doc.check(h.doc.answer(http.MethodPost, r.Path, a.status), a.json, path); err != nil {
				t.Error(err)
			}
		}
		with := func(name string, value any) map[string]any {
			body := maps.Clone(whole)
			body[name] = value
			return body
		}
		check("another field", "", raw(with(untold, untold)))
		for f := range r.Body.Fields() {
			name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			check("of another type", name, raw(with(name, object(untold, untold))))
			check("a number", name, raw(with(name, json.Number(untold)))) // no field is one
			one := fmt.Sprintf("%q:%s,", name, raw(sample(f.Type)))
			rest, _ := bytes.CutPrefix(raw(with(name, sample(f.Type))), []byte("{"))
			check("twice", name, append([]byte("{"+one), rest...))
			if options == "" {
				body := maps.Clone(whole)
				delete(body, name)
				check("missing", name, raw(body))
			}
		}
	}
	if seen < 80 {
		t.Errorf("only %d requests were sent", seen)
	}
}

// A value that is none of those that a field takes, wherever it is found out, is told as
// the field that it is in.
func TestAPIField(t *testing.T) {
	h := newAPI(t, false, withRules(mfa.Rules{Methods: []mfa.Method{mfa.TOTP, mfa.EmailCode}}))
	c, _ := h.enrolled(t, "olivia")
	same := func(what string, a response, reason, field string) {
		t.Helper()
		c.problem(http.StatusBadRequest, reason, what, a)
		if got, _ := a.json["field"].(string); got != field {
			t.Errorf("%s: %s (%v), want field %q", what, a.body, h.failure(), field)
		}
	}
	post := func(reason, field, path string, fields ...any) {
		t.Helper()
		same(path, c.send(c.request(http.MethodPost, "/api/mfa"+path, raw(object(fields...)))), reason, field)
	}
	for _, query := range []string{"", "?more=1", "?org=a&org=b", "?org=%ff"} {
		same(query, c.send(c.request(http.MethodGet, "/api/mfa/admin/rules"+query, nil)), "malformed", "org")
	}
	same("more", c.send(c.request(http.MethodGet, "/api/mfa/admin/rules?org=acme&"+untold+"=1", nil)), "malformed", "")
	same("no id", c.send(c.request(http.MethodGet, "/api/mfa/admin/rules?org=a%00b", nil)), "invalid", "org")
	same("no id", c.send(c.request(http.MethodPost, "/api/mfa/session/enter", raw(object("org", "")))), "invalid", "org")
	post("invalid", "password", "/check-password", "password", strings.Repeat("x", 4097))
	post("invalid", "label", "/session/totp/rename", "id", "x", "label", strings.Repeat("x", 100))
	post("invalid", "user", "/admin/members/unlock?org=acme", "user", "a\x00b")
	post("invalid", "method", "/session/method", "method", "totp", "on", true)
	for body, field := range map[string]string{
		`{"type":"x"}`: "type", `{"type":"enter","action":"x"}`: "org", `{"type":"enter","org":"a","action":"x"}`: "action", `{"type":"enroll","method":"smoke"}`: "method",
		`{"type":"confirm","action":5}`: "action", `{"type":"confirm","action":"x","action":"y"}`: "action", `{}`: "type",
	} {
		same(body, c.send(c.request(http.MethodPost, "/api/mfa/session/step-up", []byte(`{"purpose":`+body+`}`))), "malformed", "purpose."+field)
	}
	for body, field := range map[string]string{`{"type":"confirm","action":""}`: "action", `{"type":"enter","org":""}`: "org", `{"type":"enroll","method":"backup_code"}`: "method"} {
		same(body, c.send(c.request(http.MethodPost, "/api/mfa/session/step-up", []byte(`{"purpose":`+body+`}`))), "invalid", "purpose."+field)
	}
	c.step(c.post("/session/step-up", "purpose", object("type", "enroll", "method", "email_code")), "enroll")
	post("invalid", "address", "/pending/address", "method", "email_code", "address", "nowhere")
	post("invalid", "method", "/pending/address", "method", "totp", "address", "x@example.com")
	c.step(c.post("/session/step-up", "purpose", object("type", "enroll", "method", "totp")), "enroll")
	post("invalid", "label", "/pending/totp", "label", strings.Repeat("x", 100))
}

// What is wrong with rules is told as the field of the rules, whoever finds it out: the
// reader of the request or the Guard.
func TestAPIFieldOfRules(t *testing.T) {
	h := newAPI(t, false)
	c, _ := h.enrolled(t, "olivia")
	connections := func(field string, value any) []any {
		one := object("name", "work", "rule", "waive", "amr", []any{}, "acr", []any{})
		one[field] = value
		return []any{one}
	}
	for _, tc := range []struct {
		reason, set string
		value       any
		field       string // "": set
	}{
		{"malformed", "require", "x", ""}, {"malformed", "remember", -1, ""}, {"malformed", "session_for", 1e9, ""}, {"malformed", "idle_for", 1.5, ""},
		{"malformed", "fresh_for", "x", ""}, {"malformed", "from", "x", ""}, {"malformed", "from", 5, ""}, {"malformed", "methods", []any{"smoke"}, ""},
		{"malformed", "methods", nil, ""}, {"malformed", "methods", []any{5}, ""}, {"malformed", "sso", connections("rule", "x"), "sso.rule"},
		{"malformed", "sso", connections("name", 5), "sso.name"}, {"malformed", "sso", connections("amr", []any{5}), "sso.amr"}, {"malformed", "sso", connections(untold, 5), ""},
		{"malformed", "exempt", []any{5}, ""}, {"malformed", untold, 5, "-"},
		{"invalid", "remember", 60, ""}, {"invalid", "session_for", 1, ""}, {"invalid", "idle_for", 1, ""}, {"invalid", "fresh_for", 1, ""},
		{"invalid", "methods", []any{"backup_code"}, ""}, {"invalid", "sso", connections("name", ""), ""}, {"invalid", "exempt", []any{""}, ""},
		{"invalid", "exempt", []any{"Rules.Remember is " + untold, "\x00"}, ""}, {"invalid", "from", "9999-12-31T23:59:59-01:00", ""},
		{"invalid", "proofs_not_before", "9000-01-01T00:00:00Z", ""},
	} {
		rules := c.get("/admin/rules?org=acme")["rules"].(map[string]any)
		rules[tc.set] = tc.value
		want := "rules." + tc.set
		switch tc.field {
		case "":
		case "-":
			want = "rules"
		default:
			want = "rules." + tc.field
		}
		paths := []string{"/admin/rules", "/admin/rules/preview"}
		if tc.set == "proofs_not_before" {
			paths = paths[:1] // a preview does not look at it
		}
		for _, path := range paths {
			body := object("rules", rules)
			if path == "/admin/rules" {
				body["version"] = ""
			}
			a := c.send(c.request(http.MethodPost, "/api/mfa"+path+"?org=acme", raw(body)))
			c.problem(http.StatusBadRequest, tc.reason, path+" "+tc.set, a)
			if a.json["field"] != want || bytes.Contains(a.body, []byte(untold)) {
				t.Errorf("%s, %s %v: %s (%v), want %s", path, tc.set, tc.value, a.body, h.failure(), want)
			}
		}
	}
	known := slices.Sorted(maps.Keys(h.doc.get(h.doc.root, "components", "schemas", "Rules", "properties")))
	if len(known) != reflect.TypeFor[mfa.Rules]().NumField() {
		t.Errorf("%q", known)
	}
}
