package email_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/seed-1320b244/mfa/internal/email"
)

// x returns n letters.
func x(n int) string { return strings.Repeat("x", n) }

var (
	domain189 = x(63) + "." + x(63) + "." + x(61) // 189 bytes: with a local part of 64 and the "@", 254
	addresses = []struct {
		name, address string
		valid         bool
	}{
		{"plain", "alice@example.com", true},
		{"dots", "a.b.c@example.com", true},
		{"tag", "alice+mfa@example.com", true},
		{"capitals", "Alice@Example.COM", true},
		{"every sign of an atom", "!#$%&'*+-/=?^_`{|}~@example.com", true},
		{"digits", "1@2.example", true},
		{"subdomain", "a@b.c.d.example.co.uk", true},
		{"one label", "root@localhost", true},
		{"hyphens in a label", "a@b--c.example", true},
		{"A-label", "a@xn--bcher-kva.example", true},
		{"U-label", "a@bücher.example", true},
		{"U-label of marks", "a@उदाहरण.example", true},
		{"U-labels of Chinese", "用户@例子.测试", true},
		{"Arabic", "مستخدم@مثال.إختبار", true},
		{"decomposed", "e\u0301lodie@example.com", true},
		{"apostrophe", "o'neil@example.com", true},

		{"local part of 64 bytes", x(64) + "@example.com", true},
		{"local part of 65 bytes", x(65) + "@example.com", false},
		{"local part of 64 bytes of UTF-8", strings.Repeat("é", 32) + "@example.com", true},
		{"local part of 65 bytes of UTF-8", strings.Repeat("é", 32) + "x@example.com", false},
		{"label of 63 bytes", "a@" + x(63) + ".example", true},
		{"label of 64 bytes", "a@" + x(64) + ".example", false},
		{"254 bytes", x(64) + "@" + domain189, true},
		{"255 bytes", x(64) + "@" + domain189 + "x", false},
		{"254 bytes, short local part", "a@" + x(60) + "." + x(63) + "." + x(63) + "." + x(63), true},
		{"255 bytes, short local part", "a@" + x(61) + "." + x(63) + "." + x(63) + "." + x(63), false},
		{"64 KiB", x(32<<10) + "@" + x(32<<10), false},

		{"empty", "", false},
		{"no @", "alice", false},
		{"only @", "@", false},
		{"no local part", "@example.com", false},
		{"no domain", "alice@", false},
		{"two @", "alice@bob@example.com", false},
		{"two @ side by side", "alice@@example.com", false},
		{"dot first", ".a@example.com", false},
		{"dot last", "a.@example.com", false},
		{"two dots", "a..b@example.com", false},
		{"only a dot", ".@example.com", false},
		{"domain with dot first", "a@.example.com", false},
		{"domain with dot last", "a@example.com.", false},
		{"domain with two dots", "a@example..com", false},
		{"label with hyphen first", "a@-b.example", false},
		{"label with hyphen last", "a@b-.example", false},
		{"label with underscore", "a@b_c.example", false},
		{"port", "a@example.com:25", false},
		{"IPv4 address", "a@192.0.2.1", false},
		{"number", "a@1", false},
		{"address literal", "a@[192.0.2.1]", false},
		{"quoted", `"a b"@example.com`, false},
		{"quote within", `a"b@example.com`, false},
		{"backslash", `a\@example.com`, false},
		{"comment", "a(b)@example.com", false},
		{"name and address", "Alice <a@example.com>", false},
		{"angle brackets", "<a@example.com>", false},
		{"markup", "a<b>@example.com", false},
		{"list", "a@example.com,b", false},
		{"second recipient", "a@example.com;b", false},
		{"group", "a:b@example.com", false},
		{"space before", " a@example.com", false},
		{"space within", "a b@example.com", false},
		{"space after", "a@example.com ", false},
		{"tab", "a\tb@example.com", false},
		{"line feed after", "a@example.com\n", false},
		{"header in the local part", "a\r\nBcc: b@example.com", false},
		{"header after the domain", "a@example.com\r\nBcc: b", false},
		{"NUL", "a\x00b@example.com", false},
		{"DEL", "a\x7fb@example.com", false},
		{"C1 control", "a\u0085b@example.com", false},
		{"line separator", "a\u2028b@example.com", false},
		{"no-break space", "a\u00a0b@example.com", false},
		{"zero-width space", "a\u200bb@example.com", false},
		{"zero-width joiner", "a\u200db@example.com", false},
		{"right-to-left override", "a\u202eb@example.com", false},
		{"right-to-left override in the domain", "a@b\u202e.example", false},
		{"soft hyphen in the domain", "a@b\u00adc.example", false},
		{"byte order mark", "\ufeffa@example.com", false},
		{"full-width @", "a＠example.com", false},
		{"full-width @ besides", "a＠b@example.com", false},
		{"full-width dot in the domain", "a@b．example", false},
		{"ideographic full stop in the domain", "a@b。example", false},
		{"emoji", "😀@example.com", false},
		{"mark first in a label", "a@\u0301b.example", false},
		{"no UTF-8", "a\xff@example.com", false},
		{"no UTF-8 in the domain", "a@b\xc3.example", false},
		{"replacement character", "a\ufffd@example.com", false},
	}
)

func TestValid(t *testing.T) {
	for _, c := range addresses {
		if got := email.Valid(c.address); got != c.valid {
			t.Errorf("%s: %.80q is valid: %t", c.name, c.address, got)
		}
	}
}

func TestMask(t *testing.T) {
	for _, c := range []struct{ name, address, want string }{
		{"long", "alice.smith@example.com", "a•••h@example.com"},
		{"four characters", "anna@example.com", "a•••a@example.com"},
		{"three characters", "bob@example.com", "•••@example.com"},
		{"one character", "a@example.com", "•••@example.com"},
		{"four characters of UTF-8", "élïé@bücher.example", "é•••é@bücher.example"},
		{"three characters of UTF-8", "用户名@例子.测试", "•••@例子.测试"},
		{"mark last", "alice\u0301@example.com", "•••@example.com"},
		{"mark first", "\u0301alice@example.com", "•••@example.com"},
		{"none", "", "•••"},
		{"markup", "<b>alice@example.com", "•••"},
	} {
		if got := email.Mask(c.address); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// FuzzValid checks what whoever writes an address into a header, a page or a log
// relies on, and that a mask shows at most two characters of a local part.
func FuzzValid(f *testing.F) {
	for _, c := range addresses {
		f.Add(c.address)
	}
	f.Fuzz(func(t *testing.T, s string) {
		masked := email.Mask(s)
		if !email.Valid(s) {
			if masked != "•••" {
				t.Errorf("%q is masked as %q", s, masked)
			}
			return
		}
		local, domain, _ := strings.Cut(s, "@")
		if len(s) > 254 || len(local) > 64 || !utf8.ValidString(s) || strings.Count(s, "@") != 1 ||
			strings.ContainsAny(s, "\"<>()[]\\,;: ") || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) }) {
			t.Errorf("%q is valid", s)
		}
		shown, found := strings.CutSuffix(masked, "@"+domain)
		if !found || !strings.Contains(shown, "•••") || utf8.RuneCountInString(shown) > 5 {
			t.Errorf("%q is masked as %q", s, masked)
		}
	})
}
