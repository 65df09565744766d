// Package mfanotify finds the words for what package mfa tells users, and brings
// them to mail and to gateways for text messages. All of it is optional: a
// mfa.Notifier is one method, and a host may write its own.
//
//   - Words makes a mail or a text message of a mfa.Message.
//   - FormPost gives text messages to a gateway; the module smtpnotify sends mail.
//   - ByChannel joins the two, and Queue lets notices wait while codes go at once.
//   - InsecureLog writes to a log instead, for development.
//
// # Templates
//
// Each language is a file such as "de.tmpl" of text/template definitions, each
// kind of message has four: "new_device.subject", "new_device.what" and
// "new_device.advice" (paragraphs, with an empty line between them), and
// "new_device.sms". A kind without them reads as "other". The files "layout.txt"
// and "layout.html" put the parts together; layout.html is an html/template.
// Config.Templates may hold any of these files: what it defines replaces the
// definition of the same name that is built in, and a further file is a further
// language.
//
// The definitions of a language are given these facts, none of which can hold a
// line break, a control character or one that turns the direction of writing:
//
//	.Product .Support       what Config says
//	.Kind                   such as "new_device"
//	.Code .Link             a code, or a link with a token in it, or ""
//	.Minutes .Hours         how long either lives, rounded down; 0 minutes: unknown
//	.Action                 what is confirmed, such as "delete-project", or ""
//	.Method                 in words: the definition "method.totp" and so on, or ""
//	.Org .Device .Place     or ""
//	.Addr                   an IP address, or ""
//	.When .WhenShort        the definition "date", and as in 2026-03-01 09:00 UTC
//	.Left                   the backup codes that are left
//
// What a definition prints becomes text: the layout escapes it. The layouts get
// .Lang, .Product, .Support, .Subject, .What, .Code, .Link, .Facts (each .Name
// and .Value), .Advice and .Footer.
package mfanotify

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/seed-1320b244/mfa"
)

// Config says who writes. Product and Support are required.
type Config struct {
	// Product is the name that users know: 1 to 64 code points on one line. A long
	// one makes two text messages of one.
	Product string
	// Support is whom to contact when it was somebody else: an address, a number or
	// a page, such as "security@example.com". SP 800-63B-4 section 4.6 asks that
	// every notice says so. 1 to 128 code points on one line.
	Support string
	// Host is the domain that codes are typed into, such as "example.com", in
	// ASCII. Text messages with a code then end in the line "@example.com #123456":
	// browsers that know the format offer the code on that site and on no other. Empty:
	// no such line, and a phone may offer the code anywhere.
	Host string
	// ResetURL is the page for a new password without the token, which is put at its
	// end: "https://example.com/new-password?token=". Empty: a mfa.MessageReset is an
	// error. UndoURL is likewise the page that restores an address. Empty: the notice
	// that one was replaced has no link. Both https, or http on loopback.
	ResetURL, UndoURL string
	// Templates replaces and adds definitions and languages; New reads it. Nil: the
	// built-in ones, English (en) and German (de).
	Templates fs.FS
	// Locale is the language of users whose User.Locale has none. Empty: "en".
	Locale string
}

// Words makes mails and text messages. It is safe for concurrent use.
//
// It uses nothing that a stranger wrote: not even the user's name, with which
// somebody who signs up with your address could have you write to her.
type Words struct {
	product, support, host string
	reset, undo            string
	locale                 string
	languages              map[string]*language // by lower-case tag
	layout                 layout
}

//go:embed templates
var embedded embed.FS

// maxProduct and maxSupport, in code points, keep a subject and an advice within
// a line or two.
const (
	maxProduct = 64
	maxSupport = 128
	maxHost    = 253 // RFC 1035 section 2.3.4, without the last dot
)

// New checks c, reads every template and tries each with every kind of message.
// Its error wraps mfa.ErrInvalid and names what is wrong.
func New(c Config) (*Words, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Product == "" || label(c.Product, maxProduct) != c.Product {
		bad("Config.Product is not 1 to %d code points on one line", maxProduct)
	}
	if c.Support == "" || label(c.Support, maxSupport) != c.Support {
		bad("Config.Support is not 1 to %d code points on one line", maxSupport)
	}
	if c.Host != "" && !validHost(c.Host) {
		bad("Config.Host is not a domain in lower-case ASCII, without scheme and port")
	}
	for _, u := range []struct{ name, value string }{{"ResetURL", c.ResetURL}, {"UndoURL", c.UndoURL}} {
		if u.value != "" && !validURL(u.value) {
			bad("Config.%s is not the beginning of an https link", u.name)
		}
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("%w: %w", mfa.ErrInvalid, errors.Join(errs...))
	}
	w := &Words{
		product: c.Product, support: c.Support, host: c.Host, reset: c.ResetURL, undo: c.UndoURL, locale: strings.ToLower(c.Locale),
	}
	if w.locale == "" {
		w.locale = "en"
	}
	if err := w.load(c.Templates); err != nil {
		return nil, fmt.Errorf("%w: %w", mfa.ErrInvalid, err)
	}
	if w.languages[w.locale] == nil {
		return nil, fmt.Errorf("%w: Config.Locale %q has no templates", mfa.ErrInvalid, c.Locale)
	}
	return w, nil
}

// validHost reports whether s is a host name in lower case, which a browser
// compares with the origin it shows.
func validHost(s string) bool {
	if len(s) > maxHost {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || len(part) > 63 || part[0] == '-' || part[len(part)-1] == '-' {
			return false
		}
		for _, r := range part {
			if r != '-' && (r < '0' || '9' < r) && (r < 'a' || 'z' < r) {
				return false
			}
		}
	}
	return true
}
