package keyring_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa/internal/keyring"
)

// What version 1 made, with the key of bytes 0 to 31. It opens for ever.
const (
	goldenKey     = "mfakey1_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
	goldenOwner   = "u/ann"
	goldenID      = "AAECAwQFBgcICQoLDA0ODw"
	goldenSession = "I9FNivH5c_5rgfrf3v-_s6C-NLljBfXhswNLQAFxgN0yQLfl4TkRsBzey4A4QLawduC8WKqqi4Y7YnOxduZK1sBuOaUasvG_ho7a_JqUDthcrMBMxw"
	goldenPending = "I9FNihuvToO9niiXTkUA1PKQHoC94rvp0G7MgcZ1UULrgV2myE1z2du1QZGINfIh4IwfNQ_v-rWuvlvBN844VmuitWfkve5zaP9EnMY5riFk2wTTCQ"
	goldenSealed  = "23d14d8aaf4b3e6b818894658fe3bdd92e1de1b1d34506b6becfa7b649f97c60e5b6324dd5c8e43f8561813c274d5dc83e5383fd"
	goldenVersion = "I9FNitTXH9trk91Wkm1WbCMjU0Xj7g0zlK_GR9jXnE_HXnBJd9x7a4CJcnMMAa5x"
)

func parse(t testing.TB, keys ...string) *keyring.Ring {
	t.Helper()
	r, err := keyring.Parse(strings.Join(keys, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// badKeys is text that is no ring of keys.
func badKeys() map[string]string {
	good := keyring.New()
	raw, _ := base64.RawURLEncoding.DecodeString(good[len("mfakey1_"):])
	var many []string
	for range 17 {
		many = append(many, keyring.New())
	}
	return map[string]string{
		"empty":                 "",
		"separators only":       " ,\r\n\t,",
		"17 keys":               strings.Join(many, "\n"),
		"truncated":             good[:len(good)-1],
		"truncated by a byte":   "mfakey1_" + base64.RawURLEncoding.EncodeToString(raw[:31]),
		"a byte too long":       "mfakey1_" + base64.RawURLEncoding.EncodeToString(append(bytes.Clone(raw), 0)),
		"prefix only":           "mfakey1_",
		"no prefix":             good[len("mfakey1_"):],
		"prefix of another":     "mfakey2_" + good[len("mfakey1_"):],
		"prefix in upper case":  "MFAKEY1_" + good[len("mfakey1_"):],
		"twice":                 good + " " + good,
		"twice among others":    strings.Join([]string{many[0], good, many[1], good}, ","),
		"good and bad":          good + " " + good[:20],
		"padded":                good + "=",
		"standard alphabet":     "mfakey1_" + base64.RawStdEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 32)),
		"hexadecimal":           "mfakey1_" + hex.EncodeToString(raw),
		"not canonical":         "mfakey1_" + strings.Repeat("A", 42) + "B", // the last two bits belong to nothing
		"quoted":                `"` + good + `"`,
		"zero byte":             good + "\x00",
		"vertical tab":          good + "\v" + many[0],
		"no-break space":        good + "\u00a0" + many[0],
		"semicolon":             good + ";" + many[0],
		"byte order mark":       "\ufeff" + good,
		"name of a variable":    "MFA_KEYS=" + good,
		"two without separator": good + many[0],
	}
}

// TestR26_KeysAreWhole: R26 refuses missing and short keys. What is not exactly
// 1 to 16 different keys of 256 bits is refused, and the refusal says where but
// shows nothing of any key.
func TestR26_KeysAreWhole(t *testing.T) {
	closed := regexp.MustCompile(`^(no key|\d+ keys, want at most 16|key \d+ (does not begin with mfakey1_|is not 32 bytes of base64url|is in the ring already))$`)
	for name, text := range badKeys() {
		r, err := keyring.Parse(text)
		if r != nil || err == nil {
			t.Errorf("%s: accepted", name)
		} else if !closed.MatchString(err.Error()) {
			t.Errorf("%s: the error is none of those that hold no key: %v", name, err)
		}
	}
	keys := make([]string, 16)
	for i := range keys {
		keys[i] = keyring.New()
	}
	for _, sep := range []string{" ", ",", "\n", "\r\n", "\t", " ,\n "} {
		if _, err := keyring.Parse(sep + strings.Join(keys, sep) + sep); err != nil {
			t.Errorf("16 keys with %q between: %v", sep, err)
		}
	}
}

// TestR26_FirstSealsAllOpen: R26 makes everything with the first key, whose id is
// in the envelope, and opens with every key of the ring.
func TestR26_FirstSealsAllOpen(t *testing.T) {
	a, b := keyring.New(), keyring.New()
	old, both, turned, next := parse(t, a), parse(t, b, a), parse(t, a, b), parse(t, b)
	made := func(r *keyring.Ring) (sealed []byte, version, token string) {
		token, err := r.SealToken("session", keyring.NewToken("u/ann", ""))
		if err != nil {
			t.Fatal(err)
		}
		return r.Seal([]byte("secret"), "u/ann"), r.Version(7, []byte("data"), "u/ann"), token
	}
	opens := func(r *keyring.Ring, sealed []byte, version, token string) [3]error {
		_, err1 := r.Open(sealed, "u/ann")
		_, err3 := r.OpenToken("session", token)
		return [3]error{err1, r.CheckVersion(version, 7, []byte("data"), "u/ann"), err3}
	}
	unknown := [3]error{keyring.ErrUnknownKey, keyring.ErrUnknownKey, keyring.ErrUnknownKey}
	for _, c := range []struct {
		name     string
		by, open *keyring.Ring
		want     [3]error
	}{
		{"old by old", old, old, [3]error{}},
		{"old by the new ring", old, both, [3]error{}},
		{"old after the key was dropped", old, next, unknown},
		{"new ring makes with its first", both, next, [3]error{}},
		{"new ring does not make with its second", both, old, unknown},
		{"turned ring makes with its first", turned, old, [3]error{}},
		{"turned ring does not make with its second", turned, next, unknown},
	} {
		sealed, version, token := made(c.by)
		if got := opens(c.open, sealed, version, token); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
		if got, want := c.open.Knows(sealed), c.want[0] == nil; got != want {
			t.Errorf("%s: Knows says %t, want %t", c.name, got, want)
		}
	}
}

// TestR26_SealedIsBound: R26 binds a sealed secret to its place. Anywhere else, or
// changed by a bit, it stays shut.
func TestR26_SealedIsBound(t *testing.T) {
	r := parse(t, keyring.New())
	plain := []byte("12345678901234567890")
	sealed := r.Seal(plain, "u/ann", "totp", "1")
	if got, err := r.Open(sealed, "u/ann", "totp", "1"); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("got %q, %v", got, err)
	}
	if bytes.Contains(sealed, plain[:4]) || bytes.Equal(sealed, r.Seal(plain, "u/ann", "totp", "1")) {
		t.Error("sealing hides nothing, or is the same each time")
	}
	for _, place := range [][]string{
		{"u/bob", "totp", "1"}, {"u/ann", "codes", "1"}, {"u/ann", "totp", "2"}, {"u/ann", "totp"}, {"u/ann", "totp", "1", ""},
		{"u/anntotp", "", "1"}, {"u/an", "ntotp", "1"}, {"u/ann\x04totp", "1"}, {"u/anntotp1"}, {},
	} {
		if _, err := r.Open(sealed, place...); !errors.Is(err, keyring.ErrForged) {
			t.Errorf("opened at %q: %v", place, err)
		}
	}
	for i := range 8 * len(sealed) {
		changed := bytes.Clone(sealed)
		changed[i/8] ^= 1 << (i % 8)
		if _, err := r.Open(changed, "u/ann", "totp", "1"); err == nil {
			t.Fatalf("opened with bit %d flipped", i)
		}
	}
	for n := range sealed {
		if _, err := r.Open(sealed[:n], "u/ann", "totp", "1"); err == nil {
			t.Fatalf("opened when cut to %d bytes", n)
		}
	}
	if _, err := r.Open(append(bytes.Clone(sealed), 0), "u/ann", "totp", "1"); err == nil {
		t.Error("opened with a byte more")
	}
}

// TestR26_SubkeyPerPurpose: R26 gives every purpose a key of its own. The same
// bytes, with the same associated data, mean nothing for another purpose.
func TestR26_SubkeyPerPurpose(t *testing.T) {
	r := parse(t, keyring.New())
	plain := make([]byte, 16+keyring.SecretLen, 64)
	sealed := r.Seal(append(plain, "u/ann"...), "session") // associated data: "\x07session"
	text := base64.RawURLEncoding.EncodeToString(sealed)
	if _, err := r.OpenToken("\x07session", text); !errors.Is(err, keyring.ErrForged) {
		t.Errorf("a sealed secret opens as a token: %v", err)
	}
	token, err := r.SealToken("\x07session", keyring.NewToken("u/ann", ""))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(raw, "session"); !errors.Is(err, keyring.ErrForged) {
		t.Errorf("a token opens as a sealed secret: %v", err)
	}
}

// TestVersion checks that a version holds for exactly one record.
func TestVersion(t *testing.T) {
	r := parse(t, keyring.New())
	fields := []string{"u/ann", "account", "id"}
	v := r.Version(7, []byte("data"), fields...)
	if v == r.Version(7, []byte("data"), fields...) {
		t.Error("two equal records have the same version")
	}
	if len(v) > 128 || strings.Trim(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") != "" {
		t.Errorf("%q breaks the store contract", v)
	}
	if err := r.CheckVersion(v, 7, []byte("data"), fields...); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		name    string
		version string
		expires int64
		data    string
		fields  []string
	}{
		{"expires", v, 8, "data", fields},
		{"never expires", v, 0, "data", fields},
		{"data", v, 7, "Data", fields},
		{"no data", v, 7, "", fields},
		{"owner", v, 7, "data", []string{"u/bob", "account", "id"}},
		{"kind", v, 7, "data", []string{"u/ann", "history", "id"}},
		{"id", v, 7, "data", []string{"u/ann", "account", ""}},
		{"fields moved", v, 7, "data", []string{"u/anna", "ccount", "id"}},
		{"data moved into the id", v, 7, "ata", []string{"u/ann", "account", "idd"}},
		{"empty", "", 7, "data", fields},
		{"truncated", v[:63], 7, "data", fields},
		{"extended", v + "A", 7, "data", fields},
		{"line inside", v[:63] + "\n", 7, "data", fields},
		{"standard alphabet", strings.Repeat("+", 64), 7, "data", fields},
		{"of another record", r.Version(7, []byte("other"), fields...), 7, "data", fields},
	} {
		if err := r.CheckVersion(c.version, c.expires, []byte(c.data), c.fields...); !errors.Is(err, keyring.ErrForged) {
			t.Errorf("%s: got %v, want ErrForged", c.name, err)
		}
	}
	for i := range 8 * len(v) {
		changed := []byte(v)
		changed[i/8] ^= 1 << (i % 8)
		if r.CheckVersion(string(changed), 7, []byte("data"), fields...) == nil {
			t.Fatalf("accepted with bit %d flipped", i)
		}
	}
}

// TestLatest: what the first key made is of the latest key, and nothing else is.
func TestLatest(t *testing.T) {
	one, two := keyring.New(), keyring.New()
	before := parse(t, one)
	version := before.Version(0, []byte("data"), "field")
	after := parse(t, two, one)
	for name, tc := range map[string]struct {
		ring    *keyring.Ring
		version string
		want    bool
	}{
		"made by the only key":        {before, version, true},
		"made by a later key":         {after, version, false},
		"made by the first of two":    {after, after.Version(0, nil), true},
		"no version":                  {before, "", false},
		"a version of four bytes":     {before, version[:4], false},
		"not base64url":               {before, "!" + version[1:], false},
		"the id of a key and no more": {before, version[:8], true},
	} {
		if got := tc.ring.Latest(tc.version); got != tc.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
