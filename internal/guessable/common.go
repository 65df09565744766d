package guessable

import (
	"slices"
	"strings"
	"unicode"

	"github.com/seed-1320b244/mfa/internal/blocklist"
)

// Common reports whether password is on the list of passwords that are tried
// first, or is one of them with a decoration in front or behind, written twice or
// oftener, or in leet spelling.
func Common(password string) bool {
	if blocklist.Contains(password) {
		return true
	}
	text := fold(password)
	// Where letters begin and end. Beyond may lie one more character that stands
	// for a letter.
	start, end := 0, len(text)
	for start < end && !unicode.IsLetter(text[start]) {
		start++
	}
	for end > start && !unicode.IsLetter(text[end-1]) {
		end--
	}
	if start == end {
		return false // no letter: a pattern, or none
	}
	for _, from := range []int{start, max(start-1, 0)} {
		for _, to := range []int{end, min(end+1, len(text))} {
			if plain(string(text[:from])+string(text[to:])) && listed(text[from:to]) {
				return true
			}
		}
	}
	return false
}

// listed reports whether core, or what it repeats, with signs between or without, is
// on the list in any spelling.
func listed(core []rune) bool {
	parts := strings.FieldsFunc(string(core), func(r rune) bool { return !alnum(r) })
	if len(parts) > 1 && len(slices.Compact(parts)) == 1 {
		core = []rune(parts[0])
	}
	if n := period(core); len(core)%n == 0 {
		core = core[:n]
	}
	if len(core) > blocklist.MaxLen {
		return false
	}
	var b strings.Builder
	for _, one := range "il" {
		b.Reset()
		for _, r := range core {
			if !unicode.IsLetter(r) {
				if r = leet(r); r == 'i' {
					r = one
				}
			}
			b.WriteRune(r)
		}
		if blocklist.Contains(b.String()) {
			return true
		}
	}
	return blocklist.Contains(string(core))
}

// leet returns the letter for which r is written, or r. The letter l is i too:
// "1" stands for both.
func leet(r rune) rune {
	switch r {
	case '0':
		return 'o'
	case '1', '!', '|', 'l':
		return 'i'
	case '3':
		return 'e'
	case '4', '@':
		return 'a'
	case '5', '$':
		return 's'
	case '7', '+':
		return 't'
	case '8':
		return 'b'
	case '9':
		return 'g'
	}
	return r
}

// plain reports whether a decoration is one that programs try: up to four digits,
// as of a year, or a date, or a pattern of them, and no more than three different
// signs, however often.
func plain(decoration string) bool {
	var digits []rune
	signs := ""
	for _, r := range decoration {
		switch {
		case unicode.IsDigit(r):
			digits = append(digits, r)
		case r != ' ' && !strings.ContainsRune(signs, r):
			signs += string(r)
		}
	}
	return len([]rune(signs)) <= 3 && plainDigits(digits)
}

func plainDigits(digits []rune) bool {
	if len(digits) <= 4 || period(digits) <= len(digits)/2 || covered(runs(digits)) {
		return true
	}
	year := func(part []rune) bool { return string(part[:2]) == "19" || string(part[:2]) == "20" }
	return len(digits) == 8 && (year(digits) || year(digits[4:]))
}
