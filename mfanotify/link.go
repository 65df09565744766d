package mfanotify

import (
	"errors"
	"net/url"
	"strings"

	"github.com/seed-1320b244/mfa"
)

// hasCode reports whether m is a code that somebody waits for.
func hasCode(m mfa.Message) bool {
	return m.Kind == mfa.MessageCode || m.Kind == mfa.MessageProof || m.Code() != ""
}

// urgent reports whether m must be delivered at once or not at all. A notice may
// carry a link, and waits all the same.
func urgent(m mfa.Message) bool { return hasCode(m) || m.Kind == mfa.MessageReset }

// A message that cannot be written.
var (
	errNoCode  = errors.New("mfanotify: the message has no code")
	errNoToken = errors.New("mfanotify: the message has no token")
	errNoURL   = errors.New("mfanotify: Config.ResetURL is missing")
	errStrange = errors.New("mfanotify: a code or token has characters of none")
)

// secret returns what of m nobody else may see: its code, and the link that its
// token makes. The link begins with what Config says and with nothing of a
// request: the Host header of one would have the user hand the token to whoever
// wrote it.
func (w *Words) secret(m mfa.Message) (code, link string, err error) {
	code = m.Code()
	base := w.undo
	if m.Kind == mfa.MessageReset {
		base = w.reset
	}
	switch {
	case hasCode(m) && code == "":
		return "", "", errNoCode
	case m.Kind == mfa.MessageReset && m.Token() == "":
		return "", "", errNoToken
	case m.Kind == mfa.MessageReset && base == "":
		return "", "", errNoURL
	case !plain(code) || !plain(m.Token()):
		return "", "", errStrange
	case base != "" && m.Token() != "" && (m.Kind == mfa.MessageReset || m.Kind == mfa.MessageKind(mfa.EventAddressChanged)):
		link = base + m.Token()
	}
	return code, link, nil
}

// maxSecret bounds a code or token, in bytes: the library's have some hundred.
const maxSecret = 1024

// plain reports whether s is of the characters that need no escaping in a URL (RFC
// 3986 section 2.3).
func plain(s string) bool {
	return len(s) <= maxSecret && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && r != '~' && (r < '0' || '9' < r) && (r < 'a' || 'z' < r) && (r < 'A' || 'Z' < r)
	})
}

// validURL reports whether s is the beginning of a link: https, or http on this
// machine, printable ASCII that needs no escaping on a page.
func validURL(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || len(s) > maxSecret || strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(`"'<>\^`+"`{|}", r)
	}) {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}
