package guessable_test

import (
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa/internal/guessable"
)

// TestR22_Patterns: repetitions, sequences and keyboard walks are no passwords;
// what merely holds some is.
func TestR22_Patterns(t *testing.T) {
	for p, want := range map[string]bool{
		"":                                 false,
		"aaaaaaaa":                         true,
		"               ":                  true,
		"ääääääää":                         true,
		"aaaaaaaaaaaaaaA1":                 true,
		"aaaaaaaaaaaaaaxy":                 true,
		"aaaaaaaaaaaaaxyz1":                true, // three runs
		"aaaaaaaaaaaaazqy":                 false,
		"abcabcabcabcabc":                  true,
		"kq7mzkq7mzkq7mz":                  true,
		"kq7mzkq7mzkq7m":                   true,
		"kq7mzpw4kq7mzpw":                  false, // not yet twice
		"kq7mzpw4kq7mzpw4":                 true,
		"kq7mzpw4xh2bnv9tkq7mzpw4xh2bnv9t": false, // its half is long enough
		"kq7mzpw4xh2bnvkq7mzpw4xh2bnv":     true,  // its half is one short
		"abcdefghijklmno":                  true,
		"zyxwvutsrqponml":                  true,
		"абвгдежзийклмно":                  true,
		"123456789012345":                  true,
		"890123456789012":                  true, // digits go round
		"210987654321098":                  true,
		"098765432109876":                  true,
		"987654321987654":                  true,
		"qwertyuiopasdfgh":                 true,
		"QWERTYUIOPasdfgh":                 true,
		"qwertzuiopyxcvbnm":                true,
		"azertyuiopqsdfg":                  true,
		"йцукенгшщзфывапр":                 true,
		"1qaz2wsx3edc4rfv":                 true,
		"qazwsxedcrfvtgb":                  true,
		"zaq1xsw2cde3vfr4":                 true,
		"111222333444555":                  true,
		"abc123abc123xyz":                  true,
		"q1w2e3r4t5y6u7i8":                 true,
		"a1b2c3d4e5f6g7h8":                 true,
		"1a1b1c1d1e1f1g1h":                 true,
		"qwertyui!!":                       true,
		"qwertyui!1":                       true,
		"aaaaabbbbbcccccdddddz":            false,
		"kuqzmvbtwhxrnpl":                  false,
		"840291756320481":                  false,
		"!@#$%^&*()_+{}|":                  false,
		"()()()()":                         true,
		"abcdefg horse":                    false,
	} {
		if got := guessable.Pattern(p, 15); got != want {
			t.Errorf("%q: got %v, want %v", p, got, want)
		}
	}
}

// TestR22_Common: a listed password is no better for some digits and signs, for
// capitals, for leet spelling or for being written twice.
func TestR22_Common(t *testing.T) {
	for p, want := range map[string]bool{
		"password":                     true,
		"PassWord":                     true,
		"password1":                    true,
		"password12345678":             true,
		"Password123456!":              true,
		"!!!Sunshine!!!":               true,
		"2024sunshine":                 true,
		"sunshine19841231":             true,
		"sunshine31121984":             true,
		"sunshine31121784":             false,
		"sunshine84029":                false, // five digits of nothing
		"sunshine8402":                 true,
		"sunshine!@#":                  true,
		"sunshine!@#$":                 false, // four signs
		"sunshine ! @ # 1 ! @ #":       true,
		"p@ssw0rd2024":                 true,
		"P4$$w0rd!":                    true,
		"$un5h1ne!":                    true,
		"1l0vey0u!!":                   true,
		"passwordpassword":             true,
		"password-password":            true,
		"Passw0rd.passw0rd.passw0rd":   true,
		"password-tramway":             false,
		"dragondragon2024":             true,
		"dr4gondr4gon":                 true,
		"correct horse battery staple": false,
		"sunshine over dragons":        false,
		"xpasswordx":                   false,
		"840291756320481":              false,
		"":                             false,
		"!":                            false,
		"ï":                            false,
		"тихий вечер над рекой": false,
	} {
		if got := guessable.Common(p); got != want {
			t.Errorf("%q: got %v, want %v", p, got, want)
		}
	}
}

// TestR22_Context: nothing but names, however arranged.
func TestR22_Context(t *testing.T) {
	words := guessable.Words("Acme Rocket", "Wile E. Coyote", "wile@acme.example", "Çelik & Söhne", "")
	if got := strings.Join(words, " "); got != "acme rocket wile e coyote example çelik söhne" {
		t.Fatalf("the words are %s", got)
	}
	for p, want := range map[string]bool{
		"acmerocket":          true,
		"ACME rocket":         true,
		"acmerocket2026":      true,
		"2026-acme-rocket":    true,
		"Acme-Rocket-2026!":   true,
		"wile.e.coyote":       true,
		"coyoteewile":         true,
		"a-c-m-e-a-c-m-e":     true,
		"wile@acme.example":   true,
		"acmeacmeacmeacme":    true,
		"tekcoremca":          true,
		"r0ck3t@cme":          true,
		"w1le|wi!e":           true,
		"çeliksöhne1":         true,
		"e2026!!!":            false, // one letter
		"eee":                 true,
		"acme84029":           false,
		"acme!@#$":            false,
		"acmex":               false,
		"xacme":               false,
		"rocketfuel":          false,
		"my acme rocket trip": false,
		"84029175":            false,
		"":                    false,
		"!!!!!!!!":            false,
	} {
		if got := guessable.Context(p, words); got != want {
			t.Errorf("%q: got %v, want %v", p, got, want)
		}
	}
	if guessable.Context("acme", nil) || guessable.Context("acme", guessable.Words("!", " ")) {
		t.Error("without words everything is context")
	}
	if !guessable.Context("acm----------------e", words) || guessable.Context("acm-----------------e", words) {
		t.Error("16 signs may lie within a word")
	}
	var many []string
	for i := range 65 {
		many = append(many, strings.Repeat("x", i))
	}
	if got := guessable.Words(append(many, "y")...); len(got) != 64 || got[63] != many[64] {
		t.Errorf("%d words, want 64", len(got))
	}
	long := strings.Repeat("x", 64)
	if got := guessable.Words(long, long+"y"); len(got) != 1 {
		t.Errorf("%d words, want that of 64 characters", len(got))
	}
}

// Nothing panics, and a password is not refused for holding more than what is
// refused.
func FuzzGuessable(f *testing.F) {
	for _, p := range []string{"", "a", "1", "!", "aa", "1qaz2wsx", "p@ssw0rd!", "acme\u0301", "\xff", "İ", strings.Repeat("ab", 50)} {
		f.Add(p)
	}
	words := guessable.Words("Acme Rocket", "e")
	f.Fuzz(func(t *testing.T, p string) {
		if len(p) > 400 {
			return
		}
		guessable.Pattern(p, 15)
		guessable.Common(p)
		guessable.Context(p, words)
		with := p + "kuqzmvbtwhxrnplfjd"
		if guessable.Pattern(with, 15) || guessable.Common(with) || guessable.Context(with, words) {
			t.Errorf("%q is refused", with)
		}
	})
}

func BenchmarkGuessable(b *testing.B) {
	words := guessable.Words("Acme Rocket", "Wile E. Coyote", "wile@acme.example", "Coyote Enterprises")
	for _, c := range []struct{ name, password string }{
		{"usual", "Kuq zmvb twh!"}, {"leet", "P@ssw0rd2024!"}, {"longest", strings.Repeat("acme!", 91)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				guessable.Pattern(c.password, 15)
				guessable.Common(c.password)
				guessable.Context(c.password, words)
			}
		})
	}
}
