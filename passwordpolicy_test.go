package mfa_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/internal/phc"
)

// passwordVectors is testdata/password_policy.json: facts about passwords, from the
// standards that it names.
type passwordVectors struct {
	Length []struct {
		Password string
		Raw      int  `json:"code_points_raw"`
		NFC      int  `json:"code_points_nfc"`
		Bytes    int  `json:"utf8_bytes_nfc"`
		Max64    bool `json:"max64_ok"`
		Min15OK  bool `json:"min15_ok"`
		Min8OK   bool `json:"min8_ok"`
		Note     string
	}
	Pairs []struct {
		A, B string
		NFC  bool `json:"nfc_equal"`
	} `json:"normalisation_pairs"`
	NoComposition []struct{ Password, Why string } `json:"no_composition_rules"`
	Exact         []struct {
		Stored, Submitted string
		Verify            bool
	} `json:"verify_exact"`
	Context struct {
		Service, Username, Email   string
		DisplayName                string `json:"display_name"`
		Refuse, Accept, Borderline []string
	} `json:"context_words"`
	Patterns struct {
		Refuse []string `json:"refuse_examples"`
	}
}

func readPasswordVectors(t testing.TB) passwordVectors {
	t.Helper()
	text, err := os.ReadFile("testdata/password_policy.json")
	if err != nil {
		t.Fatal(err)
	}
	var v passwordVectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	for what, n := range map[string][2]int{
		"lengths": {len(v.Length), 19}, "pairs": {len(v.Pairs), 8}, "compositions": {len(v.NoComposition), 8}, "exact": {len(v.Exact), 5},
		"contexts": {len(v.Context.Refuse), 11}, "patterns": {len(v.Patterns.Refuse), 13},
	} {
		if n[0] != n[1] {
			t.Fatalf("read %d %s, want %d", n[0], what, n[1])
		}
	}
	return v
}

// unmet returns why password is refused under p.
func unmet(p mfa.PasswordPolicy, password string, facts mfa.PasswordFacts) []mfa.Reason {
	var why []mfa.Reason
	for _, r := range mfa.CheckPassword(p, password, facts) {
		if !r.Met {
			why = append(why, r.Reason)
		}
	}
	return why
}

// TestR22_Length: length is counted in code points after NFC, 15 of them, or 8
// where a second factor is always asked.
func TestR22_Length(t *testing.T) {
	for _, row := range readPasswordVectors(t).Length {
		composed := norm.NFC.String(row.Password)
		if utf8.RuneCountInString(row.Password) != row.Raw || utf8.RuneCountInString(composed) != row.NFC || len(composed) != row.Bytes {
			t.Errorf("%q is misread", row.Password)
		}
		for _, c := range []struct {
			policy  mfa.PasswordPolicy
			besides bool
			why     mfa.Reason
			ok      bool
		}{
			{mfa.PasswordPolicy{}, false, mfa.ReasonPasswordTooShort, row.Min15OK},
			{mfa.PasswordPolicy{}, true, mfa.ReasonPasswordTooShort, row.Min8OK},
			{mfa.PasswordPolicy{Min: 8}, false, mfa.ReasonPasswordTooShort, row.Min8OK},
			{mfa.PasswordPolicy{Min: 15}, true, mfa.ReasonPasswordTooShort, row.Min15OK},
			{mfa.PasswordPolicy{Max: 64}, false, mfa.ReasonPasswordTooLong, row.Max64},
			{mfa.PasswordPolicy{}, false, mfa.ReasonPasswordTooLong, true},
		} {
			why := unmet(c.policy, row.Password, mfa.PasswordFacts{Besides: c.besides})
			if slices.Contains(why, c.why) == c.ok {
				t.Errorf("%q under %+v: got %v, %s should be %v", row.Password, c.policy, why, c.why, !c.ok)
			}
		}
	}
}

// TestR22_MaxLength: at most Max code points, and no more bytes than are looked at;
// what has that many code points fits in any composition.
func TestR22_MaxLength(t *testing.T) {
	tooLong := func(p mfa.PasswordPolicy, password string) bool {
		return slices.Contains(unmet(p, password, mfa.PasswordFacts{}), mfa.ReasonPasswordTooLong)
	}
	most := mfa.PasswordPolicy{Max: mfa.MaxPasswordLen}
	for name, c := range map[string]struct {
		policy   mfa.PasswordPolicy
		password string
		want     bool
	}{
		"256 by default": {mfa.PasswordPolicy{}, strings.Repeat("ю", 256), false},
		"257 by default": {mfa.PasswordPolicy{}, strings.Repeat("ю", 257), true},
		"455 in parts":   {most, strings.Repeat("\u1112\u1161\u11ab", 455), false},
		"456 in parts":   {most, strings.Repeat("\u1112\u1161\u11ab", 456), true},
		"bytes":          {most, strings.Repeat("a", mfa.MaxPasswordBytes+1), true},
		"10 MB":          {most, strings.Repeat("\u00e9", 5_000_000), true},
	} {
		if got := tooLong(c.policy, c.password); got != c.want {
			t.Errorf("%s: too long is %v", name, got)
		}
	}
	for r := range rune(unicode.MaxRune + 1) {
		if n := len(norm.NFD.String(string(r))); norm.NFC.IsNormalString(string(r)) && n > mfa.MaxPasswordBytes/mfa.MaxPasswordLen {
			t.Errorf("%U takes %d bytes", r, n)
		}
	}
	if got := unmet(mfa.PasswordPolicy{}, strings.Repeat("é", 2048)+"é", mfa.PasswordFacts{}); slices.Contains(got, mfa.ReasonPasswordNotText) {
		t.Error("what is cut in the middle of a character is called damaged")
	}
}

// TestR22_NoComposition: the default asks for no kind of character, and takes every
// kind.
func TestR22_NoComposition(t *testing.T) {
	for _, row := range readPasswordVectors(t).NoComposition {
		for _, p := range []mfa.PasswordPolicy{{}, mfa.NISTPasswords()} {
			if why := unmet(p, row.Password, mfa.PasswordFacts{}); len(why) > 0 {
				t.Errorf("%q (%s): refused for %v", row.Password, row.Why, why)
			}
		}
	}
}

// TestR22_Vectors_Patterns: what programs generate is refused at any length.
func TestR22_Vectors_Patterns(t *testing.T) {
	for _, password := range readPasswordVectors(t).Patterns.Refuse {
		why := unmet(mfa.PasswordPolicy{}, password, mfa.PasswordFacts{})
		if !slices.Contains(why, mfa.ReasonPasswordPattern) && !slices.Contains(why, mfa.ReasonPasswordCommon) {
			t.Errorf("%q: refused for %v", password, why)
		}
	}
}

// TestR22_Vectors_Context: a password of nothing but names is refused, one that
// holds a name among other words is not.
func TestR22_Vectors_Context(t *testing.T) {
	c := readPasswordVectors(t).Context
	facts := mfa.PasswordFacts{Besides: true, Names: []string{c.Service, c.Username, c.Email, c.DisplayName}}
	for _, password := range c.Refuse {
		if why := unmet(mfa.PasswordPolicy{}, password, facts); !slices.Contains(why, mfa.ReasonPasswordContext) {
			t.Errorf("%q: refused for %v", password, why)
		}
	}
	// The borderline is on this side: its other words must be guessed as well.
	for _, password := range append(c.Accept, c.Borderline...) {
		if why := unmet(mfa.PasswordPolicy{}, password, facts); len(why) > 0 {
			t.Errorf("%q: refused for %v", password, why)
		}
	}
	p := mfa.PasswordPolicy{Context: []string{"Springfield", "cafe\u0301"}}
	for _, password := range []string{"springfield2026", "caf\u00e9 springfield"} {
		if why := unmet(p, password, mfa.PasswordFacts{}); !slices.Contains(why, mfa.ReasonPasswordContext) {
			t.Errorf("%q: refused for %v", password, why)
		}
	}
}

// TestR23_Vectors_Exact: two passwords verify as one exactly when they are the same
// in NFC: no trimming, cutting or folding.
func TestR23_Vectors_Exact(t *testing.T) {
	v := readPasswordVectors(t)
	check := func(stored, typed string, want bool) {
		found, err := phc.Insecure().Verify(phc.Insecure().Hash([]byte(stored)), []byte(typed))
		if err != nil || (found == phc.Match) != want {
			t.Errorf("%q, typed %q: got %v, %v", stored, typed, found, err)
		}
	}
	for _, row := range v.Pairs {
		check(row.A, row.B, row.NFC)
		check(row.B, row.A, row.NFC)
	}
	for _, row := range v.Exact {
		check(row.Stored, row.Submitted, row.Verify)
		check(row.Stored, row.Stored, true)
	}
}

// TestRow_A1_Requirements: every requirement is told, met or not, in the same order
// while the user types, each with a code of its own and a sentence.
func TestRow_A1_Requirements(t *testing.T) {
	all := []mfa.Reason{
		mfa.ReasonPasswordTooShort, mfa.ReasonPasswordTooLong, mfa.ReasonPasswordNoUpper, mfa.ReasonPasswordNoLower, mfa.ReasonPasswordNoDigit,
		mfa.ReasonPasswordCommon, mfa.ReasonPasswordPattern, mfa.ReasonPasswordContext,
	}
	facts := mfa.PasswordFacts{Names: []string{"Acme", "Alice"}}
	for typed, want := range map[string][]mfa.Reason{
		"":             slices.Concat(all[:1], all[2:]), // nothing is not too long
		"t":            {mfa.ReasonPasswordTooShort, mfa.ReasonPasswordNoUpper, mfa.ReasonPasswordNoDigit, mfa.ReasonPasswordPattern},
		"tR7":          {mfa.ReasonPasswordTooShort, mfa.ReasonPasswordPattern},
		"tR7vex":       {mfa.ReasonPasswordTooShort},
		"tR7vexq":      {mfa.ReasonPasswordTooShort},
		"tR7vexqu":     nil,
		"tr7vexqu":     {mfa.ReasonPasswordNoUpper},
		"TR7VEXQU":     {mfa.ReasonPasswordNoLower},
		"tRZvexqu":     {mfa.ReasonPasswordNoDigit},
		"ТихийВечер٣":  nil, // categories, not ASCII
		"Password1":    {mfa.ReasonPasswordCommon},
		"Hijklmn9":     {mfa.ReasonPasswordPattern},
		"Alice2026":    {mfa.ReasonPasswordCommon, mfa.ReasonPasswordContext},
		"AcmeAlice1":   {mfa.ReasonPasswordContext},
		"tR7vexqu\xff": {mfa.ReasonPasswordNotText},
	} {
		list := mfa.CheckPassword(mfa.ClassicPasswords(), typed, facts)
		var told, why []mfa.Reason
		for _, r := range list {
			if r.Reason != mfa.ReasonPasswordNotText {
				told = append(told, r.Reason)
			}
			if !r.Met {
				why = append(why, r.Reason)
			}
			if r.Sentence == "" || strings.HasSuffix(r.Sentence, ".") || strings.Contains(r.Sentence, "tR7") {
				t.Errorf("%s says %q", r.Reason, r.Sentence)
			}
		}
		if !slices.Equal(told, all) {
			t.Errorf("%q: told %v, want %v", typed, told, all)
		}
		if !slices.Equal(why, want) {
			t.Errorf("%q: refused for %v, want %v", typed, why, want)
		}
	}
}

// TestRow_A1_Sentences: what the page shows.
func TestRow_A1_Sentences(t *testing.T) {
	p := mfa.ClassicPasswords()
	p.History, p.Breach = 5, leaked{}
	var got []string
	for _, r := range mfa.CheckPassword(p, "x", mfa.PasswordFacts{}) {
		got = append(got, r.Sentence)
	}
	want := []string{
		"At least 8 characters", "At most 256 characters", "An upper-case letter", "A lower-case letter", "A digit",
		"Not a common password, alone or with some digits or signs", "Not a repetition, a sequence or a row of keys",
		"Not just a name or an address of yours or ours", "Not one of your last 5 passwords", "Not known to have leaked",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// leaked is a BreachChecker that knows one password, and fails when it has an error.
type leaked struct{ err error }

func (l leaked) Breached(ctx context.Context, password string) (bool, error) {
	if l.err != nil {
		return false, l.err
	}
	return password == "caf\u00e9 in the evening", ctx.Err()
}

// TestR22_Breach: what has leaked is refused; when that cannot be found out, the
// policy says whether the password is, and the failure is known in any case.
func TestR22_Breach(t *testing.T) {
	down := errors.New("down")
	const known, other = "cafe\u0301 in the evening", "another cup of coffee"
	for _, c := range []struct {
		name, password string
		policy         mfa.PasswordPolicy
		want           mfa.Reason
		err            error
	}{
		{"nobody is asked", known, mfa.PasswordPolicy{}, "", nil},
		{"known", known, mfa.PasswordPolicy{Breach: leaked{}}, mfa.ReasonPasswordBreached, nil},
		{"not known", other, mfa.PasswordPolicy{Breach: leaked{}}, "", nil},
		{"down, closed", other, mfa.PasswordPolicy{Breach: leaked{down}}, mfa.ReasonPasswordUnchecked, down},
		{"down, open", other, mfa.PasswordPolicy{Breach: leaked{down}, BreachFailOpen: true}, "", down},
		{"known, open", known, mfa.PasswordPolicy{Breach: leaked{}, BreachFailOpen: true}, mfa.ReasonPasswordBreached, nil},
		{"too long to ask", strings.Repeat("a", mfa.MaxPasswordBytes+1), mfa.PasswordPolicy{Breach: leaked{down}}, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			why, err := mfa.BreachedPassword(t.Context(), c.policy, c.password)
			if why != c.want || !errors.Is(err, c.err) {
				t.Fatalf("got %q, %v, want %q, %v", why, err, c.want, c.err)
			}
			got := unmet(c.policy, c.password, mfa.PasswordFacts{Breach: why})
			if slices.Contains(got, c.want) != (c.want != "") {
				t.Errorf("refused for %v", got)
			}
		})
	}
}

// TestR22_History: a password that was used before is refused. Whether it was is looked
// up if the policy asks, or if the present one must be replaced.
func TestR22_History(t *testing.T) {
	const password = "another cup of coffee"
	for n, want := range map[int][]mfa.Reason{0: {mfa.ReasonPasswordReused}, 1: {mfa.ReasonPasswordReused}, 24: {mfa.ReasonPasswordReused}} {
		if got := unmet(mfa.PasswordPolicy{History: n}, password, mfa.PasswordFacts{Reused: true}); !slices.Equal(got, want) {
			t.Errorf("History %d: refused for %v", n, got)
		}
		if got := unmet(mfa.PasswordPolicy{History: n}, password, mfa.PasswordFacts{}); len(got) > 0 {
			t.Errorf("History %d, not used: refused for %v", n, got)
		}
	}
}

// TestConfigPasswords: the bounds of every figure, and its default.
func TestConfigPasswords(t *testing.T) {
	words := func(n int) []string { return slices.Repeat([]string{"acme"}, n) }
	for _, c := range []struct {
		name string
		p    mfa.PasswordPolicy
		bad  []string
	}{
		{"zero", mfa.PasswordPolicy{}, nil},
		{"classic", mfa.ClassicPasswords(), nil},
		{"NIST", mfa.NISTPasswords(), nil},
		{"least", mfa.PasswordPolicy{Min: 8, Max: 64, History: 0}, nil},
		{"most", mfa.PasswordPolicy{Min: 64, Max: 455, History: 24, Context: words(32)}, nil},
		{"below", mfa.PasswordPolicy{Min: 7, Max: 63, History: -1}, []string{"Password.Min", "Password.Max", "Password.History"}},
		{"above", mfa.PasswordPolicy{Min: 65, Max: 456, History: 25, Context: words(33)},
			[]string{"Password.Min", "Password.Max", "Password.History", "Password.Context"}},
		{"no words", mfa.PasswordPolicy{Context: []string{"acme", ""}}, []string{"Password.Context"}},
		{"signs", mfa.PasswordPolicy{Context: []string{"!!!"}}, []string{"Password.Context"}},
		{"long words", mfa.PasswordPolicy{Context: []string{strings.Repeat("é", 64), strings.Repeat("e", 65)}}, []string{"Password.Context"}},
	} {
		got, bad := mfa.ResolvePasswords(c.p)
		if !slices.Equal(bad, c.bad) {
			t.Errorf("%s: %v are out of bounds, want %v", c.name, bad, c.bad)
		}
		if c.p.Max == 0 && got.Max != 256 || got.Min != c.p.Min {
			t.Errorf("%s: becomes %+v", c.name, got)
		}
	}
}

// TestConfigPasswordsDocumented: the comment on every field says what its zero means.
func TestConfigPasswordsDocumented(t *testing.T) {
	comments := fieldComments(t)
	for f := range reflect.TypeFor[mfa.PasswordPolicy]().Fields() {
		if c := comments["PasswordPolicy."+f.Name]; !regexp.MustCompile(`\b(Zero|Nil|Default)\b`).MatchString(c) {
			t.Errorf("the comment on %s: %q", f.Name, c)
		}
	}
}

// FuzzCheckPassword: whatever is typed, the same is told in any composition, and in
// sentences that do not depend on it (R27).
func FuzzCheckPassword(f *testing.F) {
	for _, row := range readPasswordVectors(f).Length {
		f.Add(row.Password)
	}
	facts := mfa.PasswordFacts{Names: []string{"Acme Rocket", "wile@acme.example"}}
	empty := mfa.CheckPassword(mfa.PasswordPolicy{}, "", facts)
	f.Fuzz(func(t *testing.T, typed string) {
		if !utf8.ValidString(typed) || len(typed) > 1000 {
			return
		}
		list := mfa.CheckPassword(mfa.PasswordPolicy{}, typed, facts)
		if got := mfa.CheckPassword(mfa.PasswordPolicy{}, norm.NFD.String(typed), facts); !slices.Equal(got, list) {
			t.Errorf("%q: got %v, decomposed %v", typed, list, got)
		}
		for i := range list {
			list[i].Met = empty[i].Met
		}
		if !slices.Equal(list, empty) {
			t.Errorf("%q: told %v", typed, list)
		}
	})
}

func BenchmarkCheckPassword(b *testing.B) {
	facts := mfa.PasswordFacts{Names: []string{"Acme Rocket", "Wile E. Coyote", "wile@acme.example", "Coyote Enterprises"}}
	for _, c := range []struct{ name, password string }{
		{"usual", "Kuq zmvb twh!"}, {"listed", "P@ssw0rd2024!"}, {"decomposed", strings.Repeat("cafe\u0301 ", 4)},
		{"longest", strings.Repeat("a!", 128)}, {"too long", strings.Repeat("a!", 2048)}, {"refused", strings.Repeat("\u1112\u1161\u11ab", 2000)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				mfa.CheckPassword(mfa.ClassicPasswords(), c.password, facts)
			}
		})
	}
}

// A page in another language needs the figures of the sentences.
func TestR22_Numbers(t *testing.T) {
	p := mfa.PasswordPolicy{Min: 9, Max: 77, History: 3}
	want := map[mfa.Reason]int{mfa.ReasonPasswordTooShort: 9, mfa.ReasonPasswordTooLong: 77, mfa.ReasonPasswordReused: 3}
	for _, r := range mfa.CheckPassword(p, "x", mfa.PasswordFacts{}) {
		if r.Number != want[r.Reason] {
			t.Errorf("%s has the number %d, want %d", r.Sentence, r.Number, want[r.Reason])
		}
		if digits := regexp.MustCompile(`\d+`).FindString(r.Sentence); digits != "" && digits != strconv.Itoa(r.Number) || digits == "" && r.Number != 0 {
			t.Errorf("%q has the number %d", r.Sentence, r.Number)
		}
	}
}
