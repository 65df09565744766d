package mfa_test

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-1320b244/mfa"
)

// A hoard collects what a program shows and stores, and the secrets that none of
// it may hold in any spelling.
type hoard struct {
	mu      sync.Mutex
	shown   map[string]string // text to what it came from
	stored  map[string]string
	secrets map[string]string // pieces of secrets to names
	short   map[string]string // codes too short to look for inside of other words
	types   map[reflect.Type]bool
}

func newHoard() *hoard {
	return &hoard{
		shown: make(map[string]string), stored: make(map[string]string), secrets: make(map[string]string),
		short: make(map[string]string), types: make(map[reflect.Type]bool),
	}
}

// window is how long a piece of a secret gives it away.
const window = 12

// text makes s a secret, and every piece of it.
func (h *hoard) text(name, s string) {
	if s == "" {
		return
	}
	if s = squeeze(s); len(s) < window {
		h.short[s] = name
		return
	}
	for i := 0; i+window <= len(s); i += 4 {
		h.secrets[s[i:i+window]] = name
	}
	h.secrets[s[len(s)-window:]] = name
}

// bytes makes b a secret, in every spelling that fmt or an encoding gives it.
func (h *hoard) bytes(name string, b []byte) {
	for _, s := range []string{
		hex.EncodeToString(b), base32.StdEncoding.EncodeToString(b), base32.HexEncoding.EncodeToString(b),
		base64.StdEncoding.EncodeToString(b), base64.URLEncoding.EncodeToString(b),
		strings.Trim(fmt.Sprintf("%v", b), "[]"), strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", b), "[]byte{"), "}"),
		strings.Trim(fmt.Sprintf("%q", b), `"`), string(b),
	} {
		h.text(name, s)
	}
}

// squeeze makes spellings alike: without case, and without what stands between
// groups. It works on bytes: unicode.ToLower would make all that is no UTF-8 alike.
func squeeze(s string) string {
	b := []byte(strings.NewReplacer(" ", "", "-", "", "%20", "", "=", "", "\t", "", "\n", "").Replace(s))
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

var word = regexp.MustCompile(`[0-9A-Za-z_]+`)

// leaks returns the names of the secrets in text.
func (h *hoard) leaks(text string) []string {
	var found []string
	squeezed := squeeze(text)
	for i := range len(squeezed) - window + 1 {
		if name, ok := h.secrets[squeezed[i:i+window]]; ok && !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
	for _, w := range word.FindAllString(text, -1) {
		if name, ok := h.short[strings.ToLower(w)]; ok {
			found = append(found, name)
		}
	}
	return found
}

// show prints v in every way that a program might, by accident or to find a fault.
func (h *hoard) show(what string, v any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.see(reflect.TypeOf(v))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		h.shown[fmt.Sprintf(verb, v)] = what + " with " + verb
		h.shown[fmt.Sprintf(verb, []any{v})] = what + " in a slice with " + verb
		h.shown[fmt.Sprintf(verb, struct{ V any }{v})] = what + " in a struct with " + verb
	}
	text, err := json.Marshal(v)
	h.shown[string(text)+fmt.Sprint(err)] = what + " as JSON"
	text, err = json.Marshal(map[string]any{"v": v})
	h.shown[string(text)+fmt.Sprint(err)] = what + " in a map as JSON"
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("", "v", v)
	slog.New(slog.NewTextHandler(&b, nil)).Info("", "v", v)
	h.shown[b.String()] = what + " in a log"
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && !p.IsNil() && p.Elem().Kind() == reflect.Struct {
		h.shown[fmt.Sprintf("%+v %#v", p.Elem(), p.Elem())] = what + ", what it points to"
	}
}

// see remembers the types that were shown, with those of their fields.
func (h *hoard) see(t reflect.Type) {
	if t == nil || h.types[t] {
		return
	}
	h.types[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
		h.see(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			h.see(t.Field(i).Type)
		}
	}
}

// seen returns the names of the shown types of package mfa.
func (h *hoard) seen() map[string]bool {
	names := make(map[string]bool)
	for t := range h.types {
		if t.PkgPath() == reflect.TypeFor[mfa.Guard]().PkgPath() {
			names[t.Name()] = true
		}
	}
	return names
}

// store collects the bytes of a write: as they are, and with everything in base64
// decoded.
func (h *hoard) store(w mfa.Write) {
	h.mu.Lock()
	defer h.mu.Unlock()
	what := "a record of kind " + w.Kind
	h.stored[fmt.Sprintf("%s %s %s %s %v %s", w.Owner, w.Kind, w.ID, w.Version, w.Expires, w.Data)] = what
	var d any
	if json.Unmarshal(w.Data, &d) != nil {
		return
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		case string:
			if b, err := base64.StdEncoding.DecodeString(v); err == nil && len(b) > 0 {
				h.stored[fmt.Sprintf("%x %s", b, b)] = what + ", decoded"
			}
		}
	}
	walk(d)
}

// verify reports every secret in what was shown or stored, and what was shown of
// the hashes that only the store may hold.
func (h *hoard) verify(t *testing.T, hashes *hoard) {
	t.Helper()
	reported := make(map[string]bool)
	for _, c := range []struct {
		texts   map[string]string
		secrets *hoard
	}{{h.shown, h}, {h.stored, h}, {h.shown, hashes}} {
		for text, what := range c.texts {
			for _, name := range c.secrets.leaks(text) {
				if line := what + " holds " + name; !reported[line] {
					reported[line] = true
					t.Errorf("%s: %.300s", line, text)
				}
			}
		}
	}
}

// A spy hands the hoard everything that is ever written.
type spy struct {
	mfa.Store
	hoard *hoard
}

func (s *spy) Commit(ctx context.Context, writes ...mfa.Write) error {
	for _, w := range writes {
		s.hoard.store(w)
	}
	return s.Store.Commit(ctx, writes...)
}

// TestHoard checks that the search of the tests of R27 finds what it looks for, in
// every spelling and in the middle of a text.
func TestHoard(t *testing.T) {
	raw := []byte("\x00\xfe~12345678901234567890")
	for name, text := range map[string]string{
		"hexadecimal": fmt.Sprintf("%x", raw), "upper case": fmt.Sprintf("%X", raw), "list": fmt.Sprint(raw), "Go syntax": fmt.Sprintf("%#v", raw),
		"quoted": fmt.Sprintf("%q", raw), "itself": string(raw), "base32": base32.StdEncoding.EncodeToString(raw),
		"base32 in groups": "AD7H4 MJSG-M2DK NRXH-A4TA-MJSG M2DK NRXHA4TA", "base64": base64.StdEncoding.EncodeToString(raw),
		"base64 for URLs": base64.RawURLEncoding.EncodeToString(raw), "a piece": "78901234567890",
	} {
		h := newHoard()
		h.bytes("it", raw)
		if len(h.leaks("before "+text+" after")) == 0 {
			t.Errorf("%s is not found: %q", name, text)
		}
		if found := h.leaks("nothing of it, 1234567"); len(found) != 0 {
			t.Errorf("%q is found where it is not", found)
		}
	}
	h := newHoard()
	h.text("code", "012 345")
	h.text("backup code", "ABCD-EFGH-JKMN-PQRS")
	for text, want := range map[string]int{
		"code=012345!": 1, `{"012345":1}`: 1, "0xc012345": 0, "abcdefghjkmnpqrs": 1, "ABCD EFGH JKMN PQRS": 1, "CDEFGHJKMNPQRS": 1, "ABCD-EFGH": 0,
	} {
		if got := len(h.leaks(text)); got != want {
			t.Errorf("%q: %d found, want %d", text, got, want)
		}
	}
}
