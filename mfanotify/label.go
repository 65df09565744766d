package mfanotify

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLabel bounds what a fact may be, in code points.
const maxLabel = 64

// label makes s harmless on a line of a mail: at most limit code points, without
// line breaks, control characters and characters that turn the direction of
// writing, with which one thing reads as another. Bytes that are no UTF-8 are
// left out.
func label(s string, limit int) string {
	if len(s) > limit*utf8.UTFMax {
		s = s[:limit*utf8.UTFMax] // a character that this cuts is left out below
	}
	n := 0
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			r = ' '
		case r == '\u200c', r == '\u200d': // they shape Persian and Hindi words
		case r == utf8.RuneError, unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs):
			return -1
		}
		if n++; n > limit {
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(s)
}

// word returns s when it is a program's word, such as "delete-project" or an id,
// and "" otherwise. The name of an action or an organization may have come
// through a form: no sentence and no link gets into a mail that way.
func word(s string) string {
	if len(s) > maxLabel {
		return ""
	}
	for _, r := range s {
		if r != '-' && r != '_' && (r < '0' || '9' < r) && (r < 'a' || 'z' < r) && (r < 'A' || 'Z' < r) {
			return ""
		}
	}
	return s
}

// action is word, and refuses what might be read as a code.
func action(s string) string {
	if s == "" || '0' <= s[0] && s[0] <= '9' {
		return ""
	}
	return word(s)
}
