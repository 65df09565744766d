package mfahttp_test

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa/mfahttp"
)

// A document is the OpenAPI document, as the tests hold requests and answers to it.
type document struct{ root map[string]any }

func newDocument(t *testing.T) *document {
	t.Helper()
	var d document
	if err := json.Unmarshal(mfahttp.Document(), &d.root); err != nil {
		t.Fatal(err)
	}
	return &d
}

// follow returns what v is, or what it refers to.
func (d *document) follow(v any) map[string]any {
	m, _ := v.(map[string]any)
	ref, ok := m["$ref"].(string)
	if !ok {
		return m
	}
	var at any = d.root
	for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		m, _ := at.(map[string]any)
		at = m[step]
	}
	return d.follow(at)
}

// get follows names from v.
func (d *document) get(v any, names ...string) map[string]any {
	m := d.follow(v)
	for _, name := range names {
		m = d.follow(m[name])
	}
	return m
}

func (d *document) operation(method, path string) map[string]any {
	return d.get(d.root, "paths", path, strings.ToLower(method))
}

// body returns the schema of what an operation reads, answer that of what it answers
// with this status: nil for none.
func (d *document) body(method, path string) map[string]any {
	return d.get(d.operation(method, path), "requestBody", "content", "application/json", "schema")
}

func (d *document) answer(method, path string, status int) map[string]any {
	responses := d.get(d.operation(method, path), "responses")
	if r := d.get(responses, fmt.Sprint(status)); r != nil {
		return d.get(r, "content", "application/json", "schema")
	}
	return d.get(responses, "default", "content", "application/problem+json", "schema")
}

// check holds a value to a schema: the part of JSON Schema that the document uses, and
// an error for any other.
func (d *document) check(schema, v any, at string) error {
	s := d.follow(schema)
	if s == nil {
		return fmt.Errorf("%s: no schema", at)
	}
	for _, keyword := range slices.Sorted(maps.Keys(s)) {
		if err := d.keyword(s, keyword, v, at); err != nil {
			return err
		}
	}
	return nil
}

func (d *document) keyword(s map[string]any, keyword string, v any, at string) error {
	bad := func() error { return fmt.Errorf("%s: %v is against %s %v", at, v, keyword, s[keyword]) }
	want := s[keyword]
	text, isText := v.(string)
	number, _ := v.(float64)
	items, _ := v.([]any)
	fields, isObject := v.(map[string]any)
	limit, _ := want.(float64)
	ok := true
	switch keyword {
	case "description", "properties": // see additionalProperties
	case "type":
		types, several := want.([]any)
		if !several {
			types = []any{want}
		}
		ok = slices.ContainsFunc(types, func(t any) bool { return t == typeOf(v) })
	case "enum":
		ok = slices.Contains(want.([]any), v)
	case "const":
		ok = v == want
	case "format":
		if want != "date-time" {
			return fmt.Errorf("%s: unknown format %v", at, want)
		}
		if isText {
			when, err := time.Parse(time.RFC3339, text)
			ok = err == nil && strings.HasSuffix(text, "Z") && !when.IsZero()
		}
	case "minimum":
		ok = number >= limit
	case "maximum":
		ok = number <= limit
	case "minLength":
		ok = len([]rune(text)) >= int(limit)
	case "maxLength":
		ok = len([]rune(text)) <= int(limit)
	case "maxItems":
		ok = len(items) <= int(limit)
	case "items":
		for i, item := range items {
			if err := d.check(want, item, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
	case "required":
		for _, name := range want.([]any) {
			if _, there := fields[name.(string)]; !there && isObject {
				return fmt.Errorf("%s: no %v", at, name)
			}
		}
	case "additionalProperties":
		properties := d.get(s, "properties")
		for name, field := range fields {
			if properties[name] == nil {
				return fmt.Errorf("%s: %s is not in the document", at, name)
			}
			if err := d.check(properties[name], field, at+"."+name); err != nil {
				return err
			}
		}
	case "oneOf":
		fits := 0
		var errs []error
		for _, option := range want.([]any) {
			err := d.check(option, v, at)
			if errs = append(errs, err); err == nil {
				fits++
			}
		}
		if fits != 1 {
			return fmt.Errorf("%s: fits %d of oneOf: %w", at, fits, errors.Join(errs...))
		}
	default:
		return fmt.Errorf("%s: this test does not know the keyword %s", at, keyword)
	}
	if !ok {
		return bad()
	}
	return nil
}

// typeOf returns what JSON Schema calls v.
func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// like reports how a Go type differs from a schema: both must have the same fields, the
// same of them required, and the same types.
func (d *document) like(schema any, t reflect.Type, at string) error {
	s := d.follow(schema)
	if s == nil {
		return fmt.Errorf("%s: no schema", at)
	}
	nullable := t.Kind() == reflect.Pointer
	if nullable {
		t = t.Elem()
	}
	var kind any = map[reflect.Kind]string{
		reflect.Struct: "object", reflect.Slice: "array", reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "integer", reflect.Int64: "integer",
	}[t.Kind()]
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		kind = "string"
	}
	if options, ok := s["oneOf"].([]any); ok {
		return d.likeOne(options, t, at)
	}
	if types, ok := s["type"].([]any); ok && nullable && reflect.DeepEqual(types, []any{kind, "null"}) {
		return nil
	}
	switch {
	case s["type"] != kind:
		return fmt.Errorf("%s: %v in the document, %v in the handler", at, s["type"], kind)
	case kind == "array":
		return d.like(s["items"], t.Elem(), at+"[]")
	case kind != "object":
		return nil
	case s["additionalProperties"] != false:
		return fmt.Errorf("%s: the document takes any field", at)
	}
	var names, required []string
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
		if options == "" {
			required = append(required, name)
		}
		if err := d.like(d.get(s, "properties", name), f.Type, at+"."+name); err != nil {
			return err
		}
	}
	slices.Sort(names)
	slices.Sort(required)
	if got := slices.Sorted(maps.Keys(d.get(s, "properties"))); !slices.Equal(got, names) {
		return fmt.Errorf("%s: fields %q in the document, %q in the handler", at, got, names)
	}
	if got := texts(s["required"]); !slices.Equal(got, required) {
		return fmt.Errorf("%s: required %q in the document, %q in the handler", at, got, required)
	}
	return nil
}

// likeOne compares the fields of all options with those of t.
func (d *document) likeOne(options []any, t reflect.Type, at string) error {
	names := make(map[string]bool)
	var add func(options []any)
	add = func(options []any) {
		for _, o := range options {
			s := d.follow(o)
			if more, ok := s["oneOf"].([]any); ok {
				add(more)
				continue
			}
			for name := range d.get(s, "properties") {
				names[name] = true
			}
		}
	}
	add(options)
	var fields []string
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields = append(fields, name)
	}
	slices.Sort(fields)
	if got := slices.Sorted(maps.Keys(names)); !slices.Equal(got, fields) {
		return fmt.Errorf("%s: fields %q in the document, %q in the handler", at, got, fields)
	}
	return nil
}

func texts(list any) []string {
	var all []string
	items, _ := list.([]any)
	for _, item := range items {
		all = append(all, item.(string))
	}
	slices.Sort(all)
	return all
}

// problems returns the table that explains the reasons of problems: the status of each.
func (d *document) problems() map[string]float64 {
	all := make(map[string]float64)
	text, _ := d.get(d.root, "components", "schemas", "Problem", "properties", "reason")["description"].(string)
	for line := range strings.Lines(text) {
		cells := strings.Split(line, " | ")
		if len(cells) != 3 {
			continue
		}
		status, err := strconv.ParseFloat(strings.TrimPrefix(cells[0], "| "), 64)
		if err != nil {
			continue
		}
		for reason := range strings.SplitSeq(cells[1], ", ") {
			all[reason] = status
		}
	}
	return all
}

// Each reason of a problem is explained; that its status is the one in the table is
// looked at wherever a problem is met: see client.audit.
func TestOpenAPIReasons(t *testing.T) {
	d := newDocument(t)
	want := texts(d.get(d.root, "components", "schemas", "Problem", "properties", "reason")["enum"])
	if got := slices.Sorted(maps.Keys(d.problems())); !slices.Equal(got, want) {
		t.Errorf("explained are %q, and there are %q", got, want)
	}
}

// Every operation is in the document with all that it reads and answers, and the
// document has no other.
func TestOpenAPIDocument(t *testing.T) {
	d := newDocument(t)
	h := newAPI(t, false)
	described := make(map[string]bool)
	for path, item := range d.get(d.root, "paths") {
		for method := range item.(map[string]any) {
			described[strings.ToUpper(method)+" "+path] = true
		}
	}
	delete(described, "GET /openapi.json") // see TestOpenAPIServed
	for _, r := range h.api.Routes() {
		name := r.Method + " " + r.Path
		if !described[name] {
			t.Errorf("%s is not in the document", name)
			continue
		}
		delete(described, name)
		if r.Body != nil {
			if err := d.like(d.body(r.Method, r.Path), r.Body, name); err != nil {
				t.Errorf("request: %v", err)
			}
		} else if d.body(r.Method, r.Path) != nil {
			t.Errorf("%s: the document has a body", name)
		}
		responses := d.get(d.operation(r.Method, r.Path), "responses")
		status, other := "200", "204"
		if r.Answer.NumField() == 0 {
			status, other = other, status
		}
		if responses[status] == nil || responses[other] != nil || responses["default"] == nil || len(responses) != 2 {
			t.Errorf("%s: the document has the answers %v", name, slices.Sorted(maps.Keys(responses)))
		} else if status == "200" {
			if err := d.like(d.answer(r.Method, r.Path, 200), r.Answer, name); err != nil {
				t.Errorf("answer: %v", err)
			}
		}
		if err := d.like(d.answer(r.Method, r.Path, 400), mfahttp.ProblemType, "problem"); err != nil {
			t.Error(err)
		}
		var query []string
		parameters, _ := d.operation(r.Method, r.Path)["parameters"].([]any)
		for _, p := range parameters {
			if d.follow(p)["in"] == "header" && d.follow(p)["required"] == false && r.Path == "/sign-in" {
				continue
			}
			if d.follow(p)["in"] != "query" || d.follow(p)["required"] != true {
				t.Errorf("%s: parameter %v", name, d.follow(p))
			}
			query = append(query, d.follow(p)["name"].(string))
		}
		if !slices.Equal(query, r.Query) {
			t.Errorf("%s: parameters %q in the document, %q in the handler", name, query, r.Query)
		}
		security, _ := json.Marshal(d.operation(r.Method, r.Path)["security"])
		want := `[{}]`
		for prefix, scheme := range map[string]string{"/pending": "pending", "/session": "session", "/admin": "session"} {
			if strings.HasPrefix(r.Path, prefix) {
				want = `[{"` + scheme + `Cookie":[]},{"` + scheme + `Token":[]}]`
			}
		}
		if string(security) != want {
			t.Errorf("%s: security %s, want %s", name, security, want)
		}
	}
	for name := range described {
		t.Errorf("%s is in the document and not routed", name)
	}
}

// A validator that is not ours takes the document for OpenAPI 3.1.
func TestOpenAPIValid(t *testing.T) {
	t.Parallel()
	npm, err := exec.LookPath("npm")
	if err != nil {
		if os.Getenv("MFA_REQUIRE_SERVICES") == "1" {
			t.Fatal("npm is not installed")
		}
		t.Skip("npm is not installed")
	}
	valid := func(document []byte) ([]byte, error) {
		dir := t.TempDir()
		file := filepath.Join(dir, "openapi.json")
		if err := os.WriteFile(file, document, 0o600); err != nil {
			t.Fatal(err)
		}
		c := exec.CommandContext(t.Context(), npm, "exec", "--yes", "--package=@seriousme/openapi-schema-validator@2.11.0", "--", "validate-api", file)
		c.Dir = dir
		return c.CombinedOutput()
	}
	out, err := valid(mfahttp.Document())
	if err != nil && os.Getenv("MFA_REQUIRE_SERVICES") != "1" && (strings.Contains(string(out), "npm ERR! network") || strings.Contains(string(out), "npm error network")) {
		t.Skipf("the registry does not answer: %s", out)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := valid([]byte(strings.Replace(string(mfahttp.Document()), `"schemas"`, `"schemes"`, 1))); err == nil {
		t.Errorf("the validator takes a broken document: %s", out)
	}
}
