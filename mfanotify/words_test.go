package mfanotify_test

import (
	"flag"
	"fmt"
	"html"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfanotify"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestRow_E7_Words compares every kind of message, in every language and format,
// with its golden file: a translator reads there what users get.
func TestRow_E7_Words(t *testing.T) {
	words := newWords(t)
	for _, locale := range []string{"en", "de"} {
		for _, kind := range append(kinds, "a_later_event") {
			t.Run(locale+"/"+string(kind), func(t *testing.T) {
				mail, err := words.Mail(message(kind, mfa.EmailCode, locale))
				if err != nil {
					t.Fatal(err)
				}
				sms, err := words.SMS(message(kind, mfa.SMSCode, locale))
				if err != nil {
					t.Fatal(err)
				}
				got := fmt.Sprintf("=== subject ===\n%s\n=== text ===\n%s=== html ===\n%s=== sms ===\n%s\n", mail.Subject, mail.Text(), mail.HTML(), sms)
				golden(t, filepath.Join(locale, string(kind)+".golden"), got)
			})
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("not as in %s:\n%s", name, got)
	}
}

// TestRow_E7_EveryEvent checks that each event of which the library tells users has
// words of its own: event.go marks them.
func TestRow_E7_EveryEvent(t *testing.T) {
	source, err := os.ReadFile("../event.go")
	if err != nil {
		t.Fatal(err)
	}
	events := regexp.MustCompile(`= "([a-z_]+)" +// \*?!`).FindAllStringSubmatch(string(source), -1)
	if len(events) < 15 {
		t.Fatalf("event.go marks %v", events)
	}
	for _, e := range events {
		if !slices.Contains(kinds, mfa.MessageKind(e[1])) {
			t.Errorf("%s has no words of its own", e[1])
		}
	}
}

// TestRow_E7_Facts checks that each message says when, with which device and from
// where, whom to contact, and that nobody asks for codes; that a subject is one
// line without a code; and that a page loads nothing.
func TestRow_E7_Facts(t *testing.T) {
	words := newWords(t)
	loads := regexp.MustCompile(`(?i)<(img|link|script|iframe|form|base)|url\(|src=|href=|://`)
	for _, locale := range []string{"en", "de"} {
		for _, kind := range append(kinds, "a_later_event") {
			m := message(kind, mfa.EmailCode, locale)
			mail, err := words.Mail(m)
			if err != nil {
				t.Fatal(err)
			}
			never := map[string]string{"en": "We never ask for a password or a code", "de": "Wir fragen nie nach einem Passwort oder einem Code"}[locale]
			for _, body := range []string{mail.Text(), mail.HTML()} {
				for _, want := range []string{"2026, 09:04", "UTC", "Firefox on Windows", "Lisbon, Portugal", "192.0.2.7", "security@example.com", never, "Example", m.Code()} {
					if !strings.Contains(body, want) {
						t.Errorf("%s %s does not say %q:\n%s", locale, kind, want, body)
					}
				}
				if strings.Contains(body, "alice") {
					t.Errorf("%s %s says who the user is:\n%s", locale, kind, body)
				}
			}
			if strings.ContainsFunc(mail.Subject, unicode.IsControl) || strings.Contains(mail.Subject, code) || len(mail.Subject) > 90 {
				t.Errorf("%s %s: subject %q", locale, kind, mail.Subject)
			}
			page, linked := mail.HTML(), ""
			switch kind {
			case mfa.MessageReset:
				linked = resetURL + token
			case "address_changed":
				linked = undoURL + token
			}
			if linked != "" {
				if !strings.Contains(mail.Text(), "\n\n"+linked+"\n\n") {
					t.Errorf("%s %s has no link on a line of its own:\n%s", locale, kind, mail.Text())
				}
				escaped := html.EscapeString(linked)
				before, after, ok := strings.Cut(page, `<p><a href="`+escaped+`" rel="noreferrer">`+escaped+`</a></p>`)
				if page = before + after; !ok {
					t.Errorf("%s %s has no link:\n%s", locale, kind, mail.HTML())
				}
			}
			if s := loads.FindString(page); s != "" {
				t.Errorf("%s %s: the page has %q", locale, kind, s)
			}
		}
	}
}

// TestR29_SMSFits checks that every text message fits one, whole, for names of
// the usual lengths, and that a code ends in the line that binds it to the site.
func TestR29_SMSFits(t *testing.T) {
	words := newWords(t)
	for _, locale := range []string{"en", "de"} {
		for _, kind := range append(kinds, "a_later_event") {
			for _, place := range []string{"Lisbon, Portugal", "São Paulo, Brazil", "Llanfairpwllgwyngyll, United Kingdom of Great Britain"} {
				m := message(kind, mfa.SMSCode, locale)
				m.Place = place
				sms, err := words.SMS(m)
				if err != nil {
					t.Fatal(err)
				}
				if m.Token() != "" {
					if !strings.Contains(sms, "https://example.com/") || !strings.Contains(sms, token) {
						t.Errorf("%s %s has no link: %q", locale, kind, sms)
					}
					continue // a link is long
				}
				if n := mfanotify.Septets(sms); n > 160 {
					t.Errorf("%s %s takes %d septets: %q", locale, kind, n, sms)
				}
				if place != "Lisbon, Portugal" && strings.Contains(sms, "São") {
					t.Errorf("%s %s is not in the alphabet of text messages: %q", locale, kind, sms)
				}
				if m.Code() == "" {
					if !strings.Contains(sms, "2026-03-01 09:04 UTC") || !strings.Contains(sms, "security@example.com") {
						t.Errorf("%s %s does not say when or whom to contact: %q", locale, kind, sms)
					}
				} else if !strings.HasSuffix(sms, "\n\n@example.com #"+code) || strings.Count(sms, "\n") != 2 {
					t.Errorf("%s %s is not bound to the site: %q", locale, kind, sms)
				}
			}
		}
	}
	m := message("new_device", mfa.SMSCode, "en")
	if sms, err := words.SMS(m); err != nil || !strings.Contains(sms, "Firefox on Windows, Lisbon, Portugal") {
		t.Errorf("what fits was left out: %q, %v", sms, err)
	}
	m.Place = "São Paulo"
	if sms, err := words.SMS(m); err != nil || !strings.Contains(sms, "Firefox on Windows") {
		t.Errorf("the device was left out for the place: %q, %v", sms, err)
	}
}

// TestSMSWithoutHost checks that without Config.Host nothing is bound.
func TestSMSWithoutHost(t *testing.T) {
	words, err := mfanotify.New(mfanotify.Config{Product: "Example", Support: "security@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	sms, err := words.SMS(message(mfa.MessageCode, mfa.SMSCode, "en"))
	if err != nil || strings.Contains(sms, "\n") || !strings.Contains(sms, code) {
		t.Errorf("%q, %v", sms, err)
	}
}

func TestSeptets(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{
		{"", 0}, {"abc", 3}, {"@#\n", 3}, {"äöüß", 4}, {"€", 2}, {"[x]", 5}, {"ã", int(^uint(0) >> 1)}, {"…", int(^uint(0) >> 1)},
	} {
		if got := mfanotify.Septets(c.text); got != c.want {
			t.Errorf("%q: %d, want %d", c.text, got, c.want)
		}
	}
}

// TestCodeWords checks what is said of a code: what it is for, and how long it
// lives, rounded down.
func TestCodeWords(t *testing.T) {
	words := newWords(t)
	for _, c := range []struct {
		name    string
		kind    mfa.MessageKind
		action  string
		life    time.Duration
		subject string
		text    []string
	}{
		{"sign-in", mfa.MessageCode, "", 10 * time.Minute, "Your Example sign-in code", []string{"you sign in to Example", "10 minutes", "somebody else knows your password"}},
		{"action", mfa.MessageCode, "delete-project", 10 * time.Minute, "Code to confirm an action at Example", []string{`"delete-project"`, "somebody else is in your account"}},
		{"action that is none", mfa.MessageCode, "You won! Go to http://evil.example", 10 * time.Minute, "Your Example sign-in code", nil},
		{"action like a code", mfa.MessageCode, "999999", 10 * time.Minute, "Your Example sign-in code", nil},
		{"proof", mfa.MessageProof, "", 10 * time.Minute, "Confirm this address for Example", []string{"without the code this address is not used"}},
		{"119 seconds", mfa.MessageCode, "", 119 * time.Second, "Your Example sign-in code", []string{"1 minute,"}},
		{"a second", mfa.MessageCode, "", time.Second, "Your Example sign-in code", []string{"1 minute,"}},
		{"over before it began", mfa.MessageCode, "", -time.Second, "Your Example sign-in code", []string{"It works once."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := message(c.kind, mfa.EmailCode, "en")
			m.Action, m.Expires = c.action, m.At.Add(c.life)
			mail, err := words.Mail(m)
			if err != nil {
				t.Fatal(err)
			}
			if mail.Subject != c.subject {
				t.Errorf("subject %q", mail.Subject)
			}
			for _, want := range append(c.text, code) {
				if !strings.Contains(mail.Text(), want) {
					t.Errorf("does not say %q:\n%s", want, mail.Text())
				}
			}
			if strings.Contains(mail.Text(), "evil") || strings.Contains(mail.Text(), "999999") {
				t.Errorf("repeats the action:\n%s", mail.Text())
			}
		})
	}
}

// TestCodesLeft checks the warning that R8 asks for at three codes.
func TestCodesLeft(t *testing.T) {
	words := newWords(t)
	for left, want := range map[int]string{9: "9 codes are left.", 4: "4 codes are left.", 3: "3 codes are left: make new ones soon", 1: "1 code is left: make new ones soon", 0: "the last one: make new ones now"} {
		m := message("code_used", mfa.EmailCode, "en")
		m.Left = left
		mail, err := words.Mail(m)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(mail.Text(), want) {
			t.Errorf("%d left: %s", left, mail.Text())
		}
		if strings.Contains(mail.Subject, "left") != (left <= 3) {
			t.Errorf("%d left: subject %q", left, mail.Subject)
		}
	}
}

// TestNoFacts checks that a message of which nothing is known has words.
func TestNoFacts(t *testing.T) {
	words := newWords(t)
	mail, err := words.Mail(mfa.Message{Kind: "new_device", Channel: mfa.EmailCode})
	if err != nil || strings.Contains(mail.Text(), ": \n") || strings.Contains(mail.HTML(), "<table") {
		t.Errorf("%v:\n%s", err, mail.Text())
	}
	if sms, err := words.SMS(mfa.Message{Kind: "new_device"}); err != nil || strings.Contains(sms, ", .") {
		t.Errorf("%q, %v", sms, err)
	}
}

// TestNoCode checks that a code which is missing is an error, never a mail that
// announces one.
func TestNoCode(t *testing.T) {
	words := newWords(t)
	at := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for name, m := range map[string]mfa.Message{
		"a code":                     {Kind: mfa.MessageCode, At: at, Expires: at.Add(time.Minute)},
		"a proof":                    {Kind: mfa.MessageProof, At: at},
		"a link without a token":     {Kind: mfa.MessageReset, At: at, Expires: at.Add(time.Minute)},
		"a link with a space in it":  withToken(mfa.Message{Kind: mfa.MessageReset}, "a b"),
		"a link with two lines":      withToken(mfa.Message{Kind: "address_changed"}, "a\nb"),
		"a token that is too long":   withToken(mfa.Message{Kind: mfa.MessageReset}, strings.Repeat("a", 1025)),
		"a code of a later kind":     withCode(mfa.Message{Kind: "later"}, code),
		"a code with a line in it":   withCode(mfa.Message{Kind: mfa.MessageCode}, "12\n34"),
		"a code that is much longer": withCode(mfa.Message{Kind: mfa.MessageCode}, strings.Repeat("1", 1025)),
	} {
		if _, err := words.Mail(m); err == nil {
			t.Errorf("%s: a mail", name)
		}
		if _, err := words.SMS(m); err == nil {
			t.Errorf("%s: a text message", name)
		}
	}
}

// TestLinks checks that a link begins with what the host configured, and what
// there is without.
func TestLinks(t *testing.T) {
	words, err := mfanotify.New(mfanotify.Config{Product: "Example", Support: "help"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := words.Mail(message(mfa.MessageReset, mfa.EmailCode, "en")); err == nil {
		t.Error("a link to nowhere")
	}
	mail, err := words.Mail(message("address_changed", mfa.EmailCode, "en"))
	if err != nil || strings.Contains(mail.Text(), token) || !strings.Contains(mail.Text(), "put your address back, end all other sessions") {
		t.Errorf("%v\n%s", err, mail.Text())
	}
	words = newWords(t)
	if mail, err = words.Mail(withToken(message("new_device", mfa.EmailCode, "en"), token)); err != nil || strings.Contains(mail.Text(), token) {
		t.Errorf("a token without words: %v\n%s", err, mail.Text())
	}
	mail, err = words.Mail(message("address_changed", mfa.EmailCode, "en"))
	if err != nil || !strings.Contains(mail.Text(), undoURL+token) || !strings.Contains(mail.Text(), "for 72 hours") {
		t.Errorf("%v\n%s", err, mail.Text())
	}
}

// TestR27_MailPrintsNoCode prints a mail in every way.
func TestR27_MailPrintsNoCode(t *testing.T) {
	for _, kind := range []mfa.MessageKind{mfa.MessageCode, mfa.MessageReset} {
		mail, err := newWords(t).Mail(message(kind, mfa.EmailCode, "en"))
		if err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			s := fmt.Sprintf(verb, mail)
			for _, secret := range []string{code, token} {
				if strings.Contains(s, secret) || strings.Contains(s, fmt.Sprintf("%x", secret)) {
					t.Errorf("%s shows %q: %s", verb, secret, s)
				}
			}
		}
	}
}

// TestPick checks which language a user reads.
func TestPick(t *testing.T) {
	words := newWords(t)
	for locale, want := range map[string]string{
		"": "en", "en": "en", "en-GB": "en", "de": "de", "de-AT": "de", "de_CH.UTF-8": "de", "DE": "de", "de-CH-1901": "de",
		"pt-BR": "en", "-": "en", "de--": "de", "../de": "en", "layout": "en", strings.Repeat("de-", 1000): "en", "\x00": "en",
	} {
		m := message("new_device", mfa.EmailCode, locale)
		mail, err := words.Mail(m)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(mail.HTML(), `<html lang="`+want+`">`); !got {
			t.Errorf("%q is not %s", locale, want)
		}
	}
}

// TestAddr checks that an address is shown as people know it.
func TestAddr(t *testing.T) {
	words := newWords(t)
	for addr, want := range map[string]string{"::ffff:192.0.2.7": "Address: 192.0.2.7\n", "fe80::1%eth0": "Address: fe80::1\n", "2001:db8::1": "Address: 2001:db8::1\n"} {
		m := message("new_device", mfa.EmailCode, "en")
		m.Addr = netip.MustParseAddr(addr)
		mail, err := words.Mail(m)
		if err != nil || !strings.Contains(mail.Text(), want) {
			t.Errorf("%s: %v\n%s", addr, err, mail.Text())
		}
	}
}
