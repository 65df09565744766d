package mfanotify

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/seed-1320b244/mfa"
)

// A Mail is what to send to an address. Printed, it shows its subject only.
type Mail struct {
	// Subject is one line without a code: mail servers log it, and locked phones
	// show it.
	Subject string

	text, html func() string // fmt prints a func as an address
}

// Text returns the body for readers of plain text, with \n at the ends of lines.
func (m Mail) Text() string { return call(m.text) }

// HTML returns the same as a page that loads nothing from anywhere.
func (m Mail) HTML() string { return call(m.html) }

func call(f func() string) string {
	if f == nil {
		return ""
	}
	return f()
}

// Mail returns the mail for m, in the language of its user. It fails for a
// message that should have a code or a link and has none.
func (w *Words) Mail(m mfa.Message) (Mail, error) {
	l, f, err := w.of(m)
	if err != nil {
		return Mail{}, err
	}
	return w.mail(l, f)
}

// SMS returns the text message for m, in the language of its user. Device and
// place are left out of what would otherwise not fit the 160 characters of one
// message (GSM 03.38, where "ã" already makes it 70). It fails as Mail does.
func (w *Words) SMS(m mfa.Message) (string, error) {
	l, f, err := w.of(m)
	if err != nil {
		return "", err
	}
	return w.sms(l, f)
}

func (w *Words) of(m mfa.Message) (*language, facts, error) {
	l := w.pick(m.User.Locale)
	code, link, err := w.secret(m)
	if err != nil {
		return nil, facts{}, err
	}
	f, err := l.facts(m)
	if err != nil {
		return nil, facts{}, err
	}
	f.Product, f.Support, f.Code = w.product, w.support, code
	if f.kind != other {
		f.Link = link // else it would have no words
	}
	return l, f, nil
}

// facts is what templates see; the package comment lists its fields.
type facts struct {
	Product, Support   string
	Kind               string
	Code, Link         string
	Minutes, Hours     int
	Action             string
	Method             string
	Org, Device, Place string
	Addr               string
	When, WhenShort    string
	Left               int
	kind               string // whose words are used
}

func (l *language) facts(m mfa.Message) (facts, error) {
	f := facts{
		Kind: word(string(m.Kind)), Left: m.Left, Action: action(m.Action), Org: word(m.Org),
		Device: label(m.Device, maxLabel), Place: label(m.Place, maxLabel), kind: string(m.Kind),
	}
	if !l.has(f.kind+".subject") || f.Kind == "" {
		f.kind = other
		if urgent(m) {
			return facts{}, fmt.Errorf("mfanotify: no words for a code or link of the kind %q", f.Kind)
		}
	}
	if m.Addr.IsValid() {
		f.Addr = label(m.Addr.Unmap().WithZone("").String(), maxLabel)
	}
	if life := m.Expires.Sub(m.At); !m.Expires.IsZero() && !m.At.IsZero() && life > 0 {
		f.Minutes, f.Hours = max(1, int(life/time.Minute)), int(life/time.Hour)
	}
	var err error
	if f.Method, err = l.phrase("method."+m.Method.String(), nil); err != nil || m.At.IsZero() {
		return f, err
	}
	at := m.At.UTC()
	f.WhenShort = at.Format("2006-01-02 15:04 UTC")
	f.When, err = l.phrase("date", struct {
		Day, Year    int
		Month, Clock string
	}{at.Day(), at.Year(), l.months[at.Month()-time.January], at.Format("15:04")})
	return f, err
}

// A fact is a line of the table under a notice.
type fact struct{ Name, Value string }

// page is what the layouts see.
type page struct {
	Lang, Product, Support, Subject string
	What                            []string
	Code, Link                      string
	Facts                           []fact
	Advice                          []string
	Footer                          string
}

func (w *Words) mail(l *language, f facts) (Mail, error) {
	p := page{Lang: l.tag, Product: f.Product, Support: f.Support, Code: f.Code, Link: f.Link}
	var err error
	said := func(s string, e error) string { err = errors.Join(err, e); return s }
	list := func(s []string, e error) []string { err = errors.Join(err, e); return s }
	p.Subject = said(l.phrase(f.kind+".subject", f))
	p.What = list(l.paragraphs(f.kind+".what", f))
	p.Advice = list(l.paragraphs(f.kind+".advice", f))
	p.Footer = said(l.phrase("footer", f))
	for _, line := range []struct{ name, value string }{
		{"when", f.When}, {"device", f.Device}, {"place", f.Place}, {"addr", f.Addr},
		{"method", f.Method}, {"org", f.Org},
	} {
		if line.name == "method" && (f.Code != "" || f.kind == string(mfa.MessageReset)) {
			continue // the words say it
		}
		if line.value != "" {
			p.Facts = append(p.Facts, fact{said(l.phrase("fact."+line.name, f)), line.value})
		}
	}
	switch {
	case err != nil:
		return Mail{}, err
	case p.Subject == "" || len(p.What) == 0 || len(p.Advice) == 0:
		return Mail{}, errors.New("mfanotify: a subject, what happened or the advice is empty")
	}
	text, err := into(w.layout.text, p)
	if err != nil {
		return Mail{}, err
	}
	html, err := into(w.layout.html, p)
	if err != nil {
		return Mail{}, err
	}
	return Mail{p.Subject, func() string { return text }, func() string { return html }}, nil
}

func (w *Words) sms(l *language, f facts) (string, error) {
	last := ""
	if f.Code != "" && w.host != "" {
		last = "\n\n@" + w.host + " #" + f.Code
	}
	for {
		s, err := l.phrase(f.kind+".sms", f)
		if err != nil {
			return "", err
		}
		if s == "" {
			return "", errors.New("mfanotify: a text message is empty")
		}
		switch s += last; {
		case septets(s) <= maxSeptets, f.Place == "" && f.Device == "":
			return s, nil
		case f.Place != "":
			f.Place = ""
		default:
			f.Device = ""
		}
	}
}

const maxSeptets = 160 // of one text message: 140 bytes (GSM 03.40)

// The characters that take one septet and those that take two (GSM 03.38 section
// 6.2.1).
const (
	gsmOne = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmTwo = "\f^{}\\[~]|€"
)

// septets returns how long s is in the alphabet of text messages, math.MaxInt
// when it has another character: a phone then counts 70 to a message.
func septets(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case strings.ContainsRune(gsmOne, r):
			n++
		case strings.ContainsRune(gsmTwo, r):
			n += 2
		default:
			return math.MaxInt
		}
	}
	return n
}
