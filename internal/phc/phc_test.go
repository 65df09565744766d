package phc_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa/internal/phc"
)

func TestVerify(t *testing.T) {
	cost := phc.Insecure()
	hash := cost.Hash([]byte("secret"))
	for _, c := range []struct {
		name, hash, secret string
		want               bool
	}{
		{"right", hash, "secret", true},
		{"wrong", hash, "Secret", false},
		{"empty secret", hash, "", false},
		{"no hash", "", "secret", false},
		{"no hash, empty secret", "", "", false},
		// From the Argon2 reference implementation: t=2, m=2^8 KiB, p=1.
		{"known", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "password", true},
		{"known, wrong", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "passworD", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := cost.Verify(c.hash, []byte(c.secret)); got != c.want || err != nil {
				t.Errorf("got %v, %v, want %v", got, err, c.want)
			}
		})
	}
	if other := cost.Hash([]byte("secret")); other == hash {
		t.Error("two hashes of one secret are equal: the salt is not random")
	}
}

func TestStandard(t *testing.T) {
	if hash := phc.Standard().Hash(nil); !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("got %s", hash)
	}
}

// What would make a comparison expensive, or make argon2 panic, is refused before
// any work.
func TestVerifyRefuses(t *testing.T) {
	const salt, tag = "c29tZXNhbHQ", "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	with := func(version, figures, salt, tag string) string {
		return "$argon2id$" + version + "$" + figures + "$" + salt + "$" + tag
	}
	for name, hash := range map[string]string{
		"no passes":          with("v=19", "m=256,t=0,p=1", salt, tag),
		"no lanes":           with("v=19", "m=256,t=2,p=0", salt, tag),
		"no memory":          with("v=19", "m=0,t=2,p=1", salt, tag),
		"too little memory":  with("v=19", "m=15,t=2,p=2", salt, tag),
		"too much memory":    with("v=19", "m=262145,t=2,p=1", salt, tag),
		"too many passes":    with("v=19", "m=256,t=17,p=1", salt, tag),
		"too many lanes":     with("v=19", "m=256,t=2,p=17", salt, tag),
		"lanes overflow":     with("v=19", "m=256,t=2,p=257", salt, tag),
		"memory overflow":    with("v=19", "m=4294967552,t=2,p=1", salt, tag),
		"negative":           with("v=19", "m=256,t=-2,p=1", salt, tag),
		"leading zero":       with("v=19", "m=256,t=02,p=1", salt, tag),
		"plus":               with("v=19", "m=256,t=+2,p=1", salt, tag),
		"order":              with("v=19", "t=2,m=256,p=1", salt, tag),
		"missing figure":     with("v=19", "m=256,t=2", salt, tag),
		"old version":        with("v=16", "m=256,t=2,p=1", salt, tag),
		"no version":         "$argon2id$m=256,t=2,p=1$" + salt + "$" + tag,
		"argon2i":            strings.Replace(with("v=19", "m=256,t=2,p=1", salt, tag), "argon2id", "argon2i", 1),
		"bcrypt":             "$2b$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
		"bad salt":           with("v=19", "m=256,t=2,p=1", "c29tZXNhbHQ=", tag),
		"non-canonical salt": with("v=19", "m=256,t=2,p=1", "c29tZXNhbHR", tag),
		"short salt":         with("v=19", "m=256,t=2,p=1", "c29t", tag),
		"bad tag":            with("v=19", "m=256,t=2,p=1", salt, "!"),
		"short tag":          with("v=19", "m=256,t=2,p=1", salt, "c29t"),
		"trailing":           with("v=19", "m=256,t=2,p=1", salt, tag) + "$",
		"long":               with("v=19", "m=256,t=2,p=1", strings.Repeat("A", 256), tag),
		"text":               "secret",
	} {
		t.Run(name, func(t *testing.T) {
			if ok, err := phc.Insecure().Verify(hash, []byte("password")); ok || !errors.Is(err, phc.ErrMalformed) {
				t.Errorf("got %v, %v, want ErrMalformed", ok, err)
			}
		})
	}
}
