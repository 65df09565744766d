package phc_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa/internal/phc"
)

func TestVerify(t *testing.T) {
	cost := phc.Insecure()
	hash := cost.Hash([]byte("secret"))
	for _, c := range []struct {
		name, hash, secret string
		want               phc.Result
	}{
		{"right", hash, "secret", phc.Match},
		{"wrong", hash, "Secret", phc.Mismatch},
		{"empty secret", hash, "", phc.Mismatch},
		{"no hash", "", "secret", phc.Mismatch},
		{"no hash, empty secret", "", "", phc.Mismatch},
		// From the Argon2 reference implementation: t=2, m=2^8 KiB, p=1.
		{"known", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "password", phc.Match},
		{"known, wrong", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "passworD", phc.Mismatch},
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
		"unmarked bcrypt":    "$2b$10$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234",
		"bad salt":           with("v=19", "m=256,t=2,p=1", "c29tZXNhbHQ=", tag),
		"non-canonical salt": with("v=19", "m=256,t=2,p=1", "c29tZXNhbHR", tag),
		"short salt":         with("v=19", "m=256,t=2,p=1", "c29t", tag),
		"bad tag":            with("v=19", "m=256,t=2,p=1", salt, "!"),
		"short tag":          with("v=19", "m=256,t=2,p=1", salt, "c29t"),
		"trailing":           with("v=19", "m=256,t=2,p=1", salt, tag) + "$",
		"too much in all":    with("v=19", "m=262144,t=5,p=1", salt, tag),
		"salt over lines":    with("v=19", "m=256,t=2,p=1", "c29t\nZXNhbHQ", tag),
		"empty key id":       with("v=19", "m=256,t=2,p=1,keyid=", salt, tag),
		"long key id":        with("v=19", "m=256,t=2,p=1,keyid=MTIzNDU2Nzg5", salt, tag),
		"bad key id":         with("v=19", "m=256,t=2,p=1,keyid=A", salt, tag),
		"key id not last":    with("v=19", "m=256,t=2,keyid=QUJDRA,p=1", salt, tag),
		"unmarked scrypt":    "$scrypt$ln=4,r=1,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"two marks":          "import:import:" + with("v=19", "m=256,t=2,p=1", salt, tag),
		"long":               with("v=19", "m=256,t=2,p=1", strings.Repeat("A", 256), tag),
		"text":               "secret",
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, hash)
		})
	}
}

// refused checks that no work is done for hash: all that costs memory allocates
// it, and of the rest nobody lives to see the end.
func refused(t *testing.T, hash string) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	found, err := phc.Insecure().Verify(hash, []byte("password"))
	runtime.ReadMemStats(&after)
	if found != phc.Mismatch || !errors.Is(err, phc.ErrMalformed) {
		t.Errorf("got %v, %v, want ErrMalformed", found, err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 8<<10 {
		t.Errorf("allocated %d bytes", n)
	}
	if !phc.Insecure().Stale(hash) {
		t.Error("not stale")
	}
	if n := phc.Insecure().KiB(hash); n != 8 {
		t.Errorf("takes %d KiB, want those of the hash that hides it", n)
	}
}

// At a bound a hash is still accepted; TestVerifyRefuses has what lies one past it.
func TestVerifyAtBounds(t *testing.T) {
	const salt, tag = "c29tZXNhbHQ", "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	for _, c := range []struct{ name, figures, salt, tag string }{
		{"passes", "m=8,t=16,p=1", salt, tag},
		{"lanes", "m=128,t=1,p=16", salt, tag},
		{"memory", "m=262144,t=1,p=1", salt, tag},
		{"long salt and tag", "m=8,t=1,p=1", strings.Repeat("A", 86), strings.Repeat("A", 86)},
		{"short tag", "m=8,t=1,p=1", salt, strings.Repeat("A", 22)},
	} {
		t.Run(c.name, func(t *testing.T) {
			hash := "$argon2id$v=19$" + c.figures + "$" + c.salt + "$" + c.tag
			if found, err := phc.Insecure().Verify(hash, []byte("password")); found != phc.Mismatch || err != nil {
				t.Errorf("got %v, %v, want a mismatch", found, err)
			}
		})
	}
}

// TestR23_NFC: however a character is composed, it is the same secret, and nothing
// else is: no case, no space, no compatible character is folded.
func TestR23_NFC(t *testing.T) {
	cost := phc.Insecure()
	for _, c := range []struct {
		name, set, typed string
		want             phc.Result
	}{
		{"composed, decomposed", "caf\u00e9", "cafe\u0301", phc.Match},
		{"decomposed, composed", "cafe\u0301", "caf\u00e9", phc.Match},
		{"angstrom", "\u212b", "\u00c5", phc.Match},
		{"ligature", "\ufb01le", "file", phc.Mismatch},
		{"full width", "\uff21", "A", phc.Mismatch},
		{"no-break space", "a\u00a0b", "a b", phc.Mismatch},
		{"sharp s", "stra\u00dfe", "strasse", phc.Mismatch},
		{"case", "Secret", "secret", phc.Mismatch},
		{"trailing space", "secret ", "secret", phc.Mismatch},
		{"after a zero", "nul\x00byte", "nul", phc.Mismatch},
		{"after 80 bytes", strings.Repeat("a", 80) + "b", strings.Repeat("a", 80) + "c", phc.Mismatch},
		{"not text", "\xff\xfe", "\xff\xfe", phc.Match},
		{"not text, differs", "\xff\xfe", "\xff\xfd", phc.Mismatch},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, err := cost.Verify(cost.Hash([]byte(c.set)), []byte(c.typed)); got != c.want || err != nil {
				t.Errorf("got %v, %v, want %v", got, err, c.want)
			}
		})
	}
}
