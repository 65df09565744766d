package e164_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa/internal/e164"
)

var numbers = []struct {
	name, number string
	valid        bool
}{
	{"Germany", "+4915112345678", true},
	{"United States", "+12125550123", true},
	{"Kazakhstan", "+77011234567", true},
	{"first digit 9", "+998901234567", true},
	{"8 digits, the fewest", "+29051234", true},
	{"7 digits", "+6834002", false},
	{"15 digits, the most", "+123456789012345", true},
	{"16 digits", "+1234567890123456", false},
	{"64 KiB of digits", "+" + strings.Repeat("1", 64<<10), false},

	{"empty", "", false},
	{"plus alone", "+", false},
	{"plus and nothing but zeros", "+00000000", false},
	{"first digit 0", "+0491511234567", false},
	{"without plus", "4915112345678", false},
	{"0 in its place", "04915112345678", false},
	{"two pluses", "++4915112345678", false},
	{"plus within", "+4915112+45678", false},
	{"space within", "+49 15112345678", false},
	{"space before", " +4915112345678", false},
	{"space after", "+4915112345678 ", false},
	{"hyphens", "+49-151-12345678", false},
	{"parentheses", "+49(0)15112345678", false},
	{"letters", "+1800FLOWERS", false},
	{"extension", "+12125550123x42", false},
	{"new line after", "+4915112345678\n", false},
	{"header", "+4915112345678\r\nTo: x", false},
	{"NUL", "+49151123\x005678", false},
	{"byte before 0", "+4915112/45678", false},
	{"byte after 9", "+4915112:45678", false},
	{"full-width plus", "＋4915112345678", false},
	{"full-width digit", "+4915112３", false},
	{"Arabic-Indic digits", "+٤٩١٥١١٢٣٤", false},
	{"zero-width space", "+4915112\u200b345678", false},
	{"left-to-right mark", "\u200e+4915112345678", false},
	{"no UTF-8", "+49151\xff2345678", false},
}

func TestValid(t *testing.T) {
	for _, c := range numbers {
		if got := e164.Valid(c.number); got != c.valid {
			t.Errorf("%s: %.40q is valid: %t", c.name, c.number, got)
		}
	}
}

func TestMask(t *testing.T) {
	for _, c := range []struct{ name, number, want string }{
		{"Germany", "+4915112345612", "+49 ••• ••• 12"},
		{"country code of three digits", "+351912345678", "+35 ••• ••• 78"},
		{"country code 1", "+12125550123", "+1 ••• ••• 23"},
		{"country code 7", "+79161234567", "+7 ••• ••• 67"},
		{"8 digits", "+29051234", "+29 ••• ••• 34"},
		{"15 digits", "+493456789012345", "+49 ••• ••• 45"},
		{"7 digits", "+6834002", "•••"},
		{"empty", "", "•••"},
		{"markup", "<b>+4915112345612", "•••"},
	} {
		if got := e164.Mask(c.number); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

var (
	form   = regexp.MustCompile(`\A\+[1-9][0-9]{7,14}\z`)
	masked = regexp.MustCompile(`\A\+[1-9][0-9]? ••• ••• [0-9]{2}\z`)
)

// FuzzValid compares with the grammar written down a second time, and checks
// that a mask shows at most four digits.
func FuzzValid(f *testing.F) {
	for _, c := range numbers {
		f.Add(c.number)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, want := e164.Valid(s), form.MatchString(s); got != want {
			t.Errorf("%q is valid: %t", s, got)
		}
		if got := e164.Mask(s); masked.MatchString(got) != form.MatchString(s) || !form.MatchString(s) && got != "•••" {
			t.Errorf("%q is masked as %q", s, got)
		}
	})
}
