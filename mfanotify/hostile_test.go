package mfanotify_test

import (
	"html"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/seed-1320b244/mfa"
)

// hostile are what somebody would like a mail of ours to say.
var hostile = []string{
	"Firefox\r\nBcc: victim@example.net\r\n\r\nHello", "a\nb", "a\rb", "a\x00b", "a\u2028b", "a\u0085b", "\u202egro.live",
	"\u2066x\u2069", "<script>alert(1)</script>", `"><img src=//evil.example>`, "{{.Product}}{{template \"evil\"}}", "\xff\xfe", "\ufeff",
	"=?utf-8?q?x?=", ".\r\n.\r\n", strings.Repeat("A", 10000), strings.Repeat("é", 1000), "</td></tr></table><h1>Call +1 555</h1>",
}

// TestR29_Hostile checks that what a stranger may have chosen changes nothing but
// a line's own words, whichever field it came through.
func TestR29_Hostile(t *testing.T) {
	for _, text := range hostile {
		checkHostile(t, "new_device", text, "Lisbon", "", "", "en")
		checkHostile(t, "new_device", "Firefox", text, "", "", "de")
		checkHostile(t, "code", "Firefox", "Lisbon", text, text, text)
		checkHostile(t, text, "Firefox", "Lisbon", "", text, "en")
	}
}

func FuzzWords(f *testing.F) {
	for _, text := range hostile {
		f.Add("new_device", text, text, text, text, "en")
		f.Add("code", text, text, text, text, text)
		f.Add(text, "Firefox", "Lisbon", "delete", "acme", "de-AT")
	}
	f.Fuzz(func(t *testing.T, kind, device, place, action, org, locale string) {
		checkHostile(t, kind, device, place, action, org, locale)
	})
}

func checkHostile(t *testing.T, kind, device, place, action, org, locale string) {
	t.Helper()
	words := newWords(t)
	plain := message(mfa.MessageKind(kind), mfa.EmailCode, locale)
	plain.Device, plain.Place, plain.Action, plain.Org = "D", "P", "A", "O"
	m := plain
	m.Device, m.Place, m.Action, m.Org = device, place, action, org
	m.User.Name, m.User.ID = device+action, "u"+place
	want, err := words.Mail(plain)
	if err != nil {
		t.Fatal(err)
	}
	got, err := words.Mail(m)
	if err != nil {
		t.Fatal(err)
	}
	sms, err := words.SMS(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{got.Subject, got.Text(), got.HTML(), sms} {
		if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool {
			return r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control))
		}) {
			t.Errorf("a control character or no UTF-8: %q", s)
		}
		if len(s) > 8000 {
			t.Errorf("%d bytes", len(s))
		}
	}
	if strings.Contains(got.Subject, "\n") {
		t.Errorf("subject %q", got.Subject)
	}
	// At most four facts are missing, and nothing else is on a line of its own.
	if n, most := strings.Count(got.Text(), "\n"), strings.Count(want.Text(), "\n"); n > most || n < most-4 {
		t.Errorf("%d lines, not %d:\n%s", n, most, got.Text())
	}
	if n, most := strings.Count(got.HTML(), "<"), strings.Count(want.HTML(), "<"); n > most {
		t.Errorf("%d tags, not %d:\n%s", n, most, got.HTML())
	}
	if n := strings.Count(sms, "\n"); n != 2*strings.Count(sms, "\n\n@example.com #"+code) {
		t.Errorf("lines in %q", sms)
	}
	// The page says what the text says.
	for line := range strings.Lines(got.Text()) {
		if _, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !strings.Contains(html.UnescapeString(got.HTML()), value) {
			t.Errorf("the page lacks %q", value)
		}
	}
}
