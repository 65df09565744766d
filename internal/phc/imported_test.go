package phc_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa/internal/phc"
)

// TestRow_E11_ImportedHashes: strings as other systems store them, from RFC 7914
// section 12 (scrypt, as passlib writes it) and the test suites of passlib and
// Django; the last two were computed with Python's hashlib.
func TestRow_E11_ImportedHashes(t *testing.T) {
	cost := phc.Insecure()
	for _, c := range []struct{ name, hash, secret string }{
		{"scrypt, p=16", "$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA", "password"},
		{"scrypt, p=1", "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw", "pleaseletmein"},
		{"passlib SHA-256", "$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ", "password"},
		{"passlib SHA-256, other rounds", "$pbkdf2-sha256$6400$.6UI/S.nXIk8jcbdHx3Fhg$98jZicV16ODfEsEZeYPGHU3kbrUrvUEXOPimVSQDD44", "password"},
		{"passlib SHA-512", "$pbkdf2-sha512$1212$RHY0Fr3IDMSVO/RSZyb5ow$eNLfBK.eVozomMr.1gYa17k9B7KIK25NOEshvhrSX.esqY3s.FvWZViXz4KoLlQI.BzY/YTNJOiKc5gBYFYGww", "password"},
		{"passlib SHA-1", "$pbkdf2$1212$OB.dtnSEXZK8U5cgxU/GYQ$y5LKPOplRmok7CZp/aqVDVg8zGI", "password"},
		{"Django SHA-256", "pbkdf2_sha256$10000$seasalt$CWWFdHOWwPnki7HvkcqN9iA2T3KLW1cf2uZ5kvArtVY=", "lètmein"},
		{"Django SHA-1", "pbkdf2_sha1$10000$wz5B6WkasRoF$atJmJ1o+XfJxKq1+Nu1f1i57Z5I=", "not a password"},
		{"SHA-512", "$pbkdf2-sha512$i=1000,l=64$c2FsdC1vZi0xNi1ieXRlcw$A7rJtVK4JzpOyfsVvMNzcJd8bNBupjFWqKlHgmN7XwM+D9RqNZUU+CE0wvZ9Lv+XYy1036D2iOhrsl7zzBBmXg", "password"},
		{"SHA-1", "$pbkdf2-sha1$i=1000,l=20$c2FsdC1vZi0xNi1ieXRlcw$TfPCf8JuY5pw+QJIvLrXzcSu1qI", "password"},
	} {
		t.Run(c.name, func(t *testing.T) {
			hash := imported(t, c.hash)
			if got, err := cost.Verify(hash, []byte(c.secret)); got != phc.MatchStale || err != nil {
				t.Errorf("got %v, %v, want MatchStale", got, err)
			}
			if got, err := cost.Verify(hash, []byte(c.secret+"x")); got != phc.Mismatch || err != nil {
				t.Errorf("another secret: got %v, %v", got, err)
			}
			refused(t, c.hash) // what is not marked was made here
			if !cost.Stale(hash) {
				t.Error("not stale")
			}
		})
	}
}

// TestR26_ImportedAsTyped: an imported hash is compared with the bytes as typed,
// and is stale whatever it cost; what Hash then makes goes by NFC.
func TestR26_ImportedAsTyped(t *testing.T) {
	const composed, decomposed = "caf\u00e9", "cafe\u0301"
	// Argon2id without normalization: that of composed text is what Hash makes.
	cost := phc.Insecure()
	hash := imported(t, cost.Hash([]byte(composed)))
	for secret, want := range map[string]phc.Result{composed: phc.MatchStale, decomposed: phc.Mismatch} {
		if got, err := cost.Verify(hash, []byte(secret)); got != want || err != nil {
			t.Errorf("%+q: got %v, %v, want %v", secret, got, err, want)
		}
	}
	// From Python's hashlib, of the decomposed text.
	hash = imported(t, "pbkdf2_sha256$1000$seasalt$U9vql0UGovZ4kxk176T3aUkhnmD005c5nqbwcJZtXpc=")
	for secret, want := range map[string]phc.Result{composed: phc.Mismatch, decomposed: phc.MatchStale} {
		if got, err := cost.Verify(hash, []byte(secret)); got != want || err != nil {
			t.Errorf("%+q: got %v, %v, want %v", secret, got, err, want)
		}
	}
}

// A zero byte would make bcrypt repeat what stands before it.
func TestBcryptZero(t *testing.T) {
	hash := imported(t, "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe")
	for secret, want := range map[string]phc.Result{"a": phc.MatchStale, "a\x00a": phc.Mismatch, "a\x00": phc.Mismatch, "a\x00b": phc.Mismatch} {
		if got, err := phc.Insecure().Verify(hash, []byte(secret)); got != want || err != nil {
			t.Errorf("%q: got %v, %v, want %v", secret, got, err, want)
		}
	}
}

const (
	salt16 = "c2FsdC1vZi0xNi1ieXRlcw"
	tag32  = "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	body   = "XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga"
)

// TestR23_ImportBounds: each figure at its bound and one past it. What is refused
// would take minutes, or gigabytes, if any of its work was done.
func TestR23_ImportBounds(t *testing.T) {
	scrypt := func(ln, r, p int) string {
		return fmt.Sprintf("$scrypt$ln=%d,r=%d,p=%d$%s$%s", ln, r, p, salt16, tag32)
	}
	pbkdf2 := func(scheme string, n, tag int) string {
		return fmt.Sprintf("$%s$i=%d$%s$%s", scheme, n, salt16, strings.Repeat("AAAA", tag/3)+[]string{"", "AA", "AAA"}[tag%3])
	}
	for _, c := range []struct{ name, good, bad string }{
		{"bcrypt least cost", "$2b$04$" + body, "$2b$03$" + body},
		{"bcrypt most cost", "$2b$14$" + body, "$2b$15$" + body},
		{"bcrypt length", "$2b$10$" + body, "$2b$10$" + body + "a"},
		{"scrypt memory", scrypt(18, 8, 1), scrypt(18, 9, 1)},
		{"scrypt N", scrypt(18, 1, 1), scrypt(19, 1, 1)},
		{"scrypt least N", scrypt(1, 8, 1), scrypt(0, 8, 1)},
		{"scrypt time", scrypt(17, 8, 2), scrypt(17, 8, 3)},
		{"scrypt r", scrypt(4, 64, 1), scrypt(4, 65, 1)},
		{"scrypt p", scrypt(4, 1, 64), scrypt(4, 1, 65)},
		{"scrypt no r", scrypt(4, 1, 1), scrypt(4, 0, 1)},
		{"scrypt no p", scrypt(4, 1, 1), scrypt(4, 1, 0)},
		{"SHA-1 iterations", pbkdf2("pbkdf2-sha1", 3_000_000, 20), pbkdf2("pbkdf2-sha1", 3_000_001, 20)},
		{"SHA-256 iterations", pbkdf2("pbkdf2-sha256", 3_000_000, 32), pbkdf2("pbkdf2-sha256", 3_000_001, 32)},
		{"SHA-512 iterations", pbkdf2("pbkdf2-sha512", 1_000_000, 64), pbkdf2("pbkdf2-sha512", 1_000_001, 64)},
		{"two blocks", pbkdf2("pbkdf2-sha256", 1_500_000, 33), pbkdf2("pbkdf2-sha256", 1_500_001, 33)},
		{"no iterations", pbkdf2("pbkdf2-sha256", 1, 32), pbkdf2("pbkdf2-sha256", 0, 32)},
		{"most tag", pbkdf2("pbkdf2-sha512", 1, 64), pbkdf2("pbkdf2-sha512", 1, 65)},
		{"least tag", pbkdf2("pbkdf2-sha1", 1, 16), pbkdf2("pbkdf2-sha1", 1, 15)},
		{"Django iterations", "pbkdf2_sha256$3000000$salt$" + tag32 + "=", "pbkdf2_sha256$3000001$salt$" + tag32 + "="},
		{"Django least salt", "pbkdf2_sha256$1$salt$" + tag32 + "=", "pbkdf2_sha256$1$sal$" + tag32 + "="},
		{"Django most salt", "pbkdf2_sha256$1$" + strings.Repeat("s", 64) + "$" + tag32 + "=", "pbkdf2_sha256$1$" + strings.Repeat("s", 65) + "$" + tag32 + "="},
	} {
		t.Run(c.name, func(t *testing.T) {
			imported(t, c.good)
			refused(t, "import:"+c.bad)
			if _, err := phc.Import(c.bad); !errors.Is(err, phc.ErrMalformed) {
				t.Errorf("imported %s: %v", c.bad, err)
			}
		})
	}
}

// What is not exactly one of the notations is refused.
func TestImportRefuses(t *testing.T) {
	for name, hash := range map[string]string{
		"nothing":                 "",
		"marked already":          "import:$2b$10$" + body,
		"with a pepper":           "$argon2id$v=19$m=256,t=2,p=1,keyid=QUJDRA$" + salt16 + "$" + tag32,
		"argon2i":                 "$argon2i$v=19$m=256,t=2,p=1$" + salt16 + "$" + tag32,
		"bcrypt 2x":               "$2x$10$" + body,
		"bcrypt 2":                "$2$10$" + body + "a",
		"bcrypt cost as a letter": "$2b$1a$" + body,
		"bcrypt signed cost":      "$2b$+9$" + body,
		"bcrypt cost 31":          "$2b$31$" + body,
		"bcrypt alphabet":         "$2b$10$" + body[:52] + "=",
		"bcrypt short":            "$2b$10$" + body[:52],
		"bcrypt line break":       "$2b$10$" + body[:52] + "\n",
		"scrypt trailing":         "$scrypt$ln=4,r=8,p=1$" + salt16 + "$" + tag32 + "$",
		"scrypt order":            "$scrypt$r=8,ln=4,p=1$" + salt16 + "$" + tag32,
		"scrypt N by itself":      "$scrypt$n=16,r=8,p=1$" + salt16 + "$" + tag32,
		"scrypt no salt":          "$scrypt$ln=4,r=8,p=1$$" + tag32,
		"scrypt short salt":       "$scrypt$ln=4,r=8,p=1$c2Fs$" + tag32,
		"scrypt no tag":           "$scrypt$ln=4,r=8,p=1$" + salt16 + "$",
		"scrypt padded":           "$scrypt$ln=4,r=8,p=1$" + salt16 + "==$" + tag32,
		"PBKDF2 of MD5":           "$pbkdf2-md5$i=1000$" + salt16 + "$" + tag32,
		"PBKDF2 wrong length":     "$pbkdf2-sha256$i=1000,l=31$" + salt16 + "$" + tag32,
		"PBKDF2 leading zero":     "$pbkdf2-sha256$01000$" + salt16 + "$" + tag32,
		"PBKDF2 plus in passlib":  "$pbkdf2-sha256$1000$" + salt16 + "$" + strings.Replace(tag32, "/", "+", 1),
		"PBKDF2 dot in PHC":       "$pbkdf2-sha256$i=1000$" + salt16 + "$" + strings.Replace(tag32, "/", ".", 1),
		"PBKDF2 overflow":         "$pbkdf2-sha256$i=4294967297$" + salt16 + "$" + tag32,
		"PBKDF2 trailing":         "$pbkdf2-sha256$i=1000$" + salt16 + "$" + tag32 + "$",
		"Django without padding":  "pbkdf2_sha256$1000$seasalt$" + tag32,
		"Django SHA-512":          "pbkdf2_sha512$1000$seasalt$" + tag32 + "=",
		"Django line break":       "pbkdf2_sha256$1000$seasalt$" + tag32 + "=\n",
		"long":                    "pbkdf2_sha256$1000$" + strings.Repeat("s", 256) + "$" + tag32 + "=",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := phc.Import(hash); !errors.Is(err, phc.ErrMalformed) {
				t.Errorf("imported: %v", err)
			}
			refused(t, "import:"+hash)
		})
	}
}

// KiB is what Verify allocates, which a limit on all of them together goes by.
func TestR23_KiB(t *testing.T) {
	cost := phc.Cost{Memory: 64, Passes: 1}
	for _, c := range []struct {
		name, hash string
		want       int
	}{
		{"argon2id", "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$" + tag32, 256},
		{"no hash", "", 64},
		{"bcrypt", imported(t, "$2b$04$"+body), 5},
		{"scrypt", imported(t, "$scrypt$ln=10,r=8,p=4$"+salt16+"$"+tag32), 1024 + 4},
		{"PBKDF2", imported(t, "$pbkdf2-sha256$i=1$"+salt16+"$"+tag32), 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := cost.KiB(c.hash); got != c.want {
				t.Errorf("got %d KiB, want %d", got, c.want)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := cost.Verify(c.hash, []byte("password")); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			if n := int(after.TotalAlloc-before.TotalAlloc) >> 10; n > c.want+8 || n < c.want-1 && c.want > 8 {
				t.Errorf("allocates %d KiB, said %d", n, c.want)
			}
		})
	}
}

// Whatever is stored and typed, nothing panics or takes more memory than it may.
func FuzzVerify(f *testing.F) {
	for _, hash := range []string{
		"", "$argon2id$v=19$m=8,t=1,p=1,keyid=b2xk$c29tZXNhbHQ$" + tag32, "import:$2b$04$" + body,
		"import:$scrypt$ln=1,r=1,p=1$" + salt16 + "$" + tag32, "import:$pbkdf2-sha256$i=1,l=32$" + salt16 + "$" + tag32,
		"import:pbkdf2_sha1$1$seasalt$" + tag32 + "=",
	} {
		f.Add(hash, "password")
	}
	cost := phc.Insecure()
	f.Fuzz(func(t *testing.T, hash, secret string) {
		if marked, err := phc.Import(hash); err == nil && (!cost.Stale(marked) || cost.KiB(marked) > 256<<10+1) {
			t.Errorf("imported, stale %v, takes %d KiB", cost.Stale(marked), cost.KiB(marked))
		}
		if cost.KiB(hash) > 64 || strings.HasPrefix(hash, "import:") {
			return // slow, not wrong
		}
		found, err := cost.Verify(hash, []byte(secret))
		if err != nil && (found != phc.Mismatch || !errors.Is(err, phc.ErrMalformed)) {
			t.Errorf("got %v, %v", found, err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, c := range []struct{ name, hash string }{
		{"argon2id m=19456,t=2", phc.Standard().Hash([]byte("secret"))},
		{"no hash", ""},
		{"bcrypt 10", imported(b, "$2b$10$"+body)},
		{"bcrypt 12", imported(b, "$2b$12$"+body)},
		{"scrypt ln=17,r=8,p=1", imported(b, "$scrypt$ln=17,r=8,p=1$"+salt16+"$"+tag32)},
		{"PBKDF2-SHA-256 600000", imported(b, "$pbkdf2-sha256$i=600000$"+salt16+"$"+tag32)},
		{"PBKDF2-SHA-512 210000", imported(b, "$pbkdf2-sha512$i=210000$"+salt16+"$"+tag32)},
		{"malformed", "$argon2id$v=19$m=4294967295,t=2,p=1$" + salt16 + "$" + tag32},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				phc.Standard().Verify(c.hash, []byte("another"))
			}
		})
	}
}
