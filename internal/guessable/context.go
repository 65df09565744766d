package guessable

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// minContext is how many characters of context make a password of context: what
// has fewer beside a decoration is short, not known.
const minContext = 3

// The words that are looked for are bounded: how many, how long in characters, and
// how many signs may lie within one, in bytes.
const (
	maxWords   = 64
	maxWord    = 64
	maxBetween = 16
)

// Words returns the words of which names consist: of a service, a user, an
// address, an organization. At most 64, of at most 64 characters.
func Words(names ...string) []string {
	var words []string
	for _, name := range names {
		for _, w := range strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return !alnum(r) }) {
			if len(words) < maxWords && utf8.RuneCountInString(w) <= maxWord && !slices.Contains(words, w) {
				words = append(words, w)
			}
		}
	}
	return words
}

func alnum(r rune) bool { return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) }

// Context reports whether password consists of nothing but words, in any order and
// number, forwards or backwards, in any case or leet spelling, and a decoration.
func Context(password string, words []string) bool {
	text := fold(password)
	var spelled [][]rune
	for _, w := range words {
		runes := []rune(w)
		for i, r := range runes {
			runes[i] = leet(r)
		}
		back := slices.Clone(runes)
		slices.Reverse(back)
		spelled = append(spelled, runes, back)
	}
	// rest[i] is the shortest decoration with which words reach as far as i.
	type rest struct {
		reached    bool
		decoration string
	}
	best := make([]rest, len(text)+1)
	best[0].reached = true
	better := func(i int, decoration string) {
		if !best[i].reached || len(decoration) < len(best[i].decoration) {
			best[i] = rest{true, decoration}
		}
	}
	for i, r := range text {
		if !best[i].reached {
			continue
		}
		if !unicode.IsLetter(r) && !unicode.IsMark(r) {
			better(i+1, best[i].decoration+string(r))
		}
		for _, w := range spelled {
			if n, between, ok := begins(text[i:], w); ok {
				better(i+n, best[i].decoration+between)
			}
		}
	}
	decoration := best[len(text)].decoration
	return best[len(text)].reached && len(text)-utf8.RuneCountInString(decoration) >= minContext && plain(decoration)
}

// begins reports whether text begins with word, how far it reaches, and which
// signs lie between its characters.
func begins(text, word []rune) (n int, between string, ok bool) {
	for _, w := range word {
		for n < len(text) && leet(text[n]) != w {
			if n == 0 || alnum(text[n]) || len(between) >= maxBetween {
				return 0, "", false
			}
			between += string(text[n])
			n++
		}
		if n == len(text) {
			return 0, "", false
		}
		n++
	}
	return n, between, true
}
