package mfahttp

import (
	"bytes"
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/seed-1320b244/mfa"
)

// maxBody is as much of a body as is read. The rules of an organization, which are the
// largest, are stored in as much.
const maxBody = 64 << 10

// A call is one request to an API.
type call struct {
	api  *API
	w    http.ResponseWriter
	r    *http.Request
	body []byte
}

// none is the body of a request that says nothing, and an answer without one.
type none struct{}

// op returns a route that reads an In and answers with an Out.
func op[In, Out any](method, path string, do func(*call, In) (Out, error), query ...string) route {
	r := route{method: method, path: path, query: query, answer: reflect.TypeFor[Out]()}
	if method == http.MethodPost {
		r.body = reflect.TypeFor[In]()
	}
	r.serve = func(c *call) error {
		var in In
		if method == http.MethodPost {
			// Why not is for nobody: errors of encoding/json quote numbers, and a code can be
			// sent as one (R27). Which field it is has its name from the Go type.
			if err := decode(c.body, &in); err != nil {
				return malformed(fieldOf(err))
			}
		}
		out, err := do(c, in)
		if err != nil {
			return err
		}
		c.write(out)
		return nil
	}
	return r
}

// with gives do the handle that load takes from the request.
func with[H, In, Out any](load func(*call) (H, error), do func(*call, H, In) (Out, error)) func(*call, In) (Out, error) {
	return func(c *call, in In) (Out, error) {
		h, err := load(c)
		if err != nil {
			var zero Out
			return zero, err
		}
		return do(c, h, in)
	}
}

// withSession is op for a session.
func withSession[In, Out any](method, path string, do func(*call, *mfa.Session, In) (Out, error)) route {
	return op(method, path, with((*call).session, do))
}

// withFlow is op for a flow.
func withFlow[In, Out any](method, path string, do func(*call, *mfa.Pending, In) (Out, error)) route {
	return op(method, path, with((*call).pending, do))
}

// session loads the session that the request presents, for SessionFrom too.
func (c *call) session() (*mfa.Session, error) {
	token, err := c.api.sessionToken(c.r)
	if err != nil {
		return nil, err
	}
	return c.hold(c.api.web.guard.Session(c.r.Context(), token, c.api.web.Client(c.r)))
}

// enter is session at a door.
func (c *call) enter(org string) (*mfa.Session, error) {
	token, err := c.api.sessionToken(c.r)
	if err != nil {
		return nil, err
	}
	return c.hold(c.api.web.guard.Enter(c.r.Context(), token, org, c.api.web.Client(c.r)))
}

func (c *call) hold(s *mfa.Session, err error) (*mfa.Session, error) {
	if err != nil {
		return nil, err
	}
	c.r = c.r.WithContext(context.WithValue(c.r.Context(), sessionKey{}, s))
	return s, nil
}

// pending loads the flow that the request presents, for PendingFrom too.
func (c *call) pending() (*mfa.Pending, error) {
	a := c.api
	session, err := a.sessionToken(c.r)
	if err != nil {
		return nil, err
	}
	token, err := a.pendingToken(c.r, session)
	if err != nil {
		return nil, err
	}
	p, err := a.web.guard.Pending(c.r.Context(), token, session, a.web.Client(c.r))
	if err != nil {
		return nil, err
	}
	c.r = withPending(c.r, p)
	return p, nil
}

// write answers with out, or with no content when it is none.
func (c *call) write(out any) {
	if _, empty := out.(none); empty {
		c.w.WriteHeader(http.StatusNoContent)
		return
	}
	c.w.Header().Set("Content-Type", "application/json")
	encode(c.w, out)
}

// encode writes v. What it fails on is a connection that is gone.
func encode(w io.Writer, v any) { json.NewEncoder(w).Encode(v) }

// read reads the query and the body of a request for r.
func (c *call) read(r route) error {
	q, err := url.ParseQuery(c.r.URL.RawQuery) // URL.Query drops what it cannot read
	if err != nil {
		return malformed("")
	}
	for _, name := range r.query {
		if len(q[name]) != 1 || !utf8.ValidString(q[name][0]) {
			return malformed(name)
		}
	}
	if len(q) != len(r.query) {
		return malformed("")
	}
	if r.body == nil {
		return nil
	}
	kind, params, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	charset, other := params["charset"]
	if err != nil || kind != "application/json" || other && !strings.EqualFold(charset, "utf-8") {
		return &badRequest{http.StatusUnsupportedMediaType, "unsupported_media_type"}
	}
	c.body, err = io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return &badRequest{http.StatusRequestEntityTooLarge, "too_large"}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", malformed(""), err)
	}
	return nil
}

// decode reads body into v, a pointer to a struct: one JSON object with exactly the
// fields that v has, in exactly their spelling. encoding/json takes a name in another
// case, and of two of the same name the last, where what filters requests before it
// may have taken the first.
func decode(body []byte, v any) error {
	if err := exact(json.NewDecoder(bytes.NewReader(body)), reflect.TypeOf(v).Elem()); err != nil {
		return err
	}
	err := json.Unmarshal(body, v) // which refuses what comes after the object
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return within(e.Field, errShape)
	}
	return err
}

var errShape = errors.New("not what is asked for here")

// exact reads one value and reports whether it has the fields of t, and what is written
// as text a value that t takes. Whether it is of the kind of t it leaves to
// encoding/json. A pointer may be null, a field with omitempty be left out.
func exact(d *json.Decoder, t reflect.Type) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	nullable := t.Kind() == reflect.Pointer
	if nullable {
		t = t.Elem()
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) && token != nil {
		text, ok := token.(string)
		if !ok || text == "" || reflect.New(t).Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)) != nil {
			return errShape
		}
		return nil
	}
	switch token := token.(type) {
	case nil:
		if !nullable {
			return errShape
		}
	case string:
		// The decoder puts the replacement character for what is not UTF-8 and for half of
		// a surrogate pair: two passwords must not become one.
		if strings.ContainsRune(token, utf8.RuneError) {
			return errShape
		}
	case json.Delim:
		switch {
		case token == '{' && t.Kind() == reflect.Struct:
			return exactFields(d, t)
		case token == '[' && t.Kind() == reflect.Slice:
			for d.More() {
				if err := exact(d, t.Elem()); err != nil {
					return err
				}
			}
			_, err = d.Token()
			return err
		default:
			return errShape
		}
	}
	return nil
}

// exactFields is exact after the brace that opens an object.
func exactFields(d *json.Decoder, t reflect.Type) error {
	fields, seen := make(map[string]reflect.StructField), make(map[string]bool)
	for f := range t.Fields() {
		fields[nameOf(f)] = f
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		f, ok := fields[name]
		if !ok {
			return errShape // of the object: the name could be a secret
		}
		if seen[name] {
			return within(name, errShape)
		}
		seen[name] = true
		if err := exact(d, f.Type); err != nil {
			return within(name, err)
		}
	}
	for f := range t.Fields() {
		if !seen[nameOf(f)] && !strings.Contains(f.Tag.Get("json"), ",omitempty") {
			return within(nameOf(f), errShape)
		}
	}
	_, err := d.Token()
	return err
}

// nameOf returns what JSON calls a field.
func nameOf(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// within returns err, which is about a value or about a field in it, as one about the
// field that has the value.
func within(name string, err error) error {
	if !errors.Is(err, errShape) {
		return err
	}
	if inner := fieldOf(err); inner != "" {
		name += "." + inner
	}
	return &fieldError{name, errShape}
}
