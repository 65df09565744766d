// Package email checks and masks addresses of electronic mail.
package email

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits in bytes.
const (
	maxAddress = 254 // RFC 5321, section 4.5.3.1.3: a path has 256, and its angle brackets are two of them
	maxLocal   = 64  // RFC 5321, section 4.5.3.1.1
	maxLabel   = 63  // RFC 1035, section 2.3.4; a label in Unicode is counted as it stands
)

// Valid reports whether s is an address that a mail system of today delivers to
// and that no header, page or log can be broken with: one "@", before it a
// dot-string (RFC 5321, section 4.1.2), after it the labels of a host name. Both
// sides may have letters, marks and digits of every script (RFC 6531, section
// 3.3). An address is never trimmed, folded or repaired.
//
// Refused although the standards allow them: quoted local parts, comments,
// address literals, and in local parts non-ASCII punctuation and symbols, among
// them the full-width "＠", which other software may take for the real one.
// Invisible characters, which make two addresses look like one, are no letters.
//
// It says nothing about whether the address exists or to whom it belongs.
func Valid(s string) bool {
	if len(s) > maxAddress || !utf8.ValidString(s) {
		return false
	}
	local, domain, found := strings.Cut(s, "@")
	return found && validLocal(local) && validDomain(domain)
}

func validLocal(s string) bool {
	if len(s) > maxLocal {
		return false
	}
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for _, r := range atom {
			// RFC 5322, section 3.2.3: the signs of an atom.
			if !alphanumeric(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r) {
				return false
			}
		}
	}
	return true
}

func validDomain(s string) bool {
	last := ""
	for label := range strings.SplitSeq(s, ".") {
		if !validLabel(label) {
			return false
		}
		last = label
	}
	// No top-level domain is a number (RFC 3696, section 2): this is an IPv4 address.
	return strings.Trim(last, "0123456789") != ""
}

func validLabel(s string) bool {
	if s == "" || len(s) > maxLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i, r := range s {
		// RFC 5891, section 4.2.3.2: a mark would combine with the dot or the "@".
		if r != '-' && !alphanumeric(r) || i == 0 && unicode.IsMark(r) {
			return false
		}
	}
	return true
}

func alphanumeric(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r)
}

// Mask returns s for a page that somebody else may see: the domain, and of a
// local part of four characters or more the first and the last, as in
// "a•••e@example.com", of a shorter one nothing. The dots do not tell the
// length. What is not Valid is "•••".
func Mask(s string) string {
	local, domain, _ := strings.Cut(s, "@")
	if !Valid(s) {
		return "•••"
	}
	first, _ := utf8.DecodeRuneInString(local)
	last, _ := utf8.DecodeLastRuneInString(local)
	// A mark by itself would be drawn over a dot.
	if utf8.RuneCountInString(local) < 4 || unicode.IsMark(first) || unicode.IsMark(last) {
		return "•••@" + domain
	}
	return string(first) + "•••" + string(last) + "@" + domain
}
