package blocklist_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa/internal/blocklist"
)

// entries decodes the whole table.
func entries(t testing.TB) []string {
	t.Helper()
	table := blocklist.Table()
	blocks := int(table[0])<<8 | int(table[1])
	var all []string
	before, entry := "", []byte(nil)
	for i := 2 + 3*blocks; i < len(table); {
		entry = append(entry[:0], before[:table[i]]...)
		for i++; ; i++ {
			entry = append(entry, table[i]&^0x80)
			if table[i] >= 0x80 {
				break
			}
		}
		i++
		before = string(entry)
		all = append(all, before)
	}
	if !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Fatal("the table is out of order")
	}
	return all
}

// TestR22_Blocklist: the list has 3,000 passwords that satisfy the length rule
// and more (OWASP ASVS 5.0 section 6.2.4), and the figures that the
// documentation gives.
func TestR22_Blocklist(t *testing.T) {
	all := entries(t)
	long := 0
	for _, e := range all {
		if len(e) < blocklist.MinLen || len(e) > blocklist.MaxLen || strings.ToLower(e) != e {
			t.Errorf("holds %q", e)
		}
		if len(e) >= 8 {
			long++
		}
		if !blocklist.Contains(e) {
			t.Errorf("does not find %q", e)
		}
		if !blocklist.Contains(strings.ToUpper(e)) {
			t.Errorf("does not find %q in upper case", e)
		}
	}
	if len(all) != 49_193 || long != 17_950 {
		t.Errorf("%d entries, %d of 8 or more", len(all), long)
	}
	if n := len(blocklist.Table()); n != 189_495 {
		t.Errorf("%d bytes", n)
	}
	for _, e := range []string{"password", "12345678", "qwertyuiop", "iloveyou", "sunshine", "P@ssw0rd", "1qaz2wsx3edc4rfv", "Passwordpassword"} {
		if !blocklist.Contains(e) {
			t.Errorf("does not find %q", e)
		}
	}
}

// TestR22_BlocklistExact: what is not on the list is not taken for something that
// is, however much alike.
func TestR22_BlocklistExact(t *testing.T) {
	listed := make(map[string]bool)
	all := entries(t)
	for _, e := range all {
		listed[e] = true
	}
	check := func(p string) {
		if got := blocklist.Contains(p); got != listed[p] {
			t.Errorf("%q: got %v", p, got)
		}
	}
	for _, e := range all {
		check(e + "x")
		check("x" + e)
		check(e[1:])
		check(e[:len(e)-1])
		check(e[:len(e)-1] + "~")
		check(e[:len(e)-1] + "\x7f")
		check(e[:len(e)-1] + "!")
		check(e + "\x00")
		check(e + e)
	}
	for _, p := range []string{
		"", " ", "!", "~~~~~~~~", "zzzzzzzzzzzzzzzzzzzz", "\x00\x00\x00\x00", "\xff\xff\xff\xff", "пароль", "😀😀😀😀",
		"correct horse battery staple", "my password is long", "password ", " password", strings.Repeat("a", 4096),
	} {
		check(p)
	}
}

// Looking up costs nothing but time, so that a page can do it at each key.
func TestContainsAllocates(t *testing.T) {
	for _, p := range []string{"sunshine", "correcthorse", "\xff\xff\xff\xff", "Sunshine"} {
		if n := testing.AllocsPerRun(100, func() { blocklist.Contains(p) }); n > 0 {
			t.Errorf("%q: %v allocations", p, n)
		}
	}
}

func FuzzContains(f *testing.F) {
	listed := make(map[string]bool)
	for _, e := range entries(f) {
		listed[e] = true
	}
	f.Add("password")
	f.Add("~")
	f.Fuzz(func(t *testing.T, p string) {
		ascii := !strings.ContainsFunc(p, func(r rune) bool { return r > '~' })
		if got := blocklist.Contains(p); got != (ascii && listed[strings.ToLower(p)]) {
			t.Errorf("%q: got %v", p, got)
		}
	})
}

func BenchmarkContains(b *testing.B) {
	for _, c := range []struct{ name, password string }{
		{"listed", "sunshine"}, {"not listed", "kuqzmvbtwhxrnpl"}, {"upper case", "Sunshine"}, {"long", "correct horse battery staple"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				blocklist.Contains(c.password)
			}
		})
	}
}
