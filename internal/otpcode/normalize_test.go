package otpcode_test

import (
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa/internal/otpcode"
)

// inputs are what people type and paste. Those without a code are refused.
var inputs = []struct {
	name, input string
	digits      int
	code        string
}{
	{"plain", "005924", 6, "005924"},
	{"space", "005 924", 6, "005924"},
	{"hyphen", "005-924", 6, "005924"},
	{"around", "  005924 ", 6, "005924"},
	{"every way", "- 0-0 5--9 24 -", 6, "005924"},
	{"seven", "123 4567", 7, "1234567"},
	{"eight", "1234-5678", 8, "12345678"},
	{"at the limit", strings.Repeat(" ", 58) + "005924", 6, "005924"},
	{"over the limit", strings.Repeat(" ", 59) + "005924", 6, ""},
	{"64 KiB", strings.Repeat("0", 64<<10), 6, ""},
	{"empty", "", 6, ""},
	{"separators only", " - ", 6, ""},
	{"short", "00592", 6, ""},
	{"long", "0059240", 6, ""},
	{"seven of eight", "1234567", 8, ""},
	{"minus and five", "-05924", 6, ""},
	{"plus", "+005924", 6, ""},
	{"letters", "abcdef", 6, ""},
	{"letter O", "OO5924", 6, ""},
	{"exponent", "1e5000", 6, ""},
	{"hexadecimal", "0x1234", 6, ""},
	{"underscore", "005_924", 6, ""},
	{"tab", "005\t924", 6, ""},
	{"new line", "005924\r\n", 6, ""},
	{"zero byte", "005924\x00", 6, ""},
	{"no-break space", "005\u00a0924", 6, ""},
	{"en dash", "005\u2013924", 6, ""},
	{"fullwidth", "\uff10\uff10\uff15\uff19\uff12\uff14", 6, ""},
	{"Arabic-Indic", "\u0660\u0660\u0665\u0669\u0662\u0664", 6, ""},
	{"not UTF-8", "\xff005924", 6, ""},
	{"five digits", "00592", 5, ""},
	{"nine digits", "123456789", 9, ""},
	{"no digits", "", 0, ""},
	{"negative digits", "", -1, ""},
}

func TestR3Normalize(t *testing.T) {
	for _, c := range inputs {
		got, ok := otpcode.Normalize(c.input, c.digits)
		if got != c.code || ok != (c.code != "") {
			t.Errorf("%s: got %q, %t, want %q", c.name, got, ok, c.code)
		}
	}
}

// FuzzNormalize checks that what is accepted has exactly the digits that were
// typed, in their order, and stays as it is when normalized again.
func FuzzNormalize(f *testing.F) {
	for _, c := range inputs {
		f.Add(c.input, c.digits)
	}
	drop := strings.NewReplacer(" ", "", "-", "")
	f.Fuzz(func(t *testing.T, s string, digits int) {
		code, ok := otpcode.Normalize(s, digits)
		bare := drop.Replace(s)
		want := 6 <= digits && digits <= 8 && len(s) <= 64 && len(bare) == digits && strings.Trim(bare, "0123456789") == ""
		if ok != want {
			t.Fatalf("%q, %d digits: accepted %t, want %t", s, digits, ok, want)
		}
		if !ok {
			if code != "" {
				t.Fatalf("%q is refused and gives %q", s, code)
			}
			return
		}
		if code != bare {
			t.Fatalf("%q gives %q, want %q", s, code, bare)
		}
		if again, ok := otpcode.Normalize(code, digits); !ok || again != code {
			t.Fatalf("%q becomes %q, %t when normalized again", code, again, ok)
		}
	})
}
