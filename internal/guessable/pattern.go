// Package guessable tells passwords that programs generate before they begin to
// search: common ones with a decoration, patterns, and words of the user's own
// surroundings. It looks at entire passwords (SP 800-63B-4 section 3.1.1.2): what
// only contains such a thing has a rest that must be guessed too.
//
// Callers pass text in Unicode normalization form C, of bounded length.
package guessable

import (
	"strings"
	"unicode"
)

// minRun is how many characters make a run: two neighbors are chance.
const minRun = 3

// Pattern reports whether password is nothing but a repetition or runs.
//
// A repetition is a part of fewer than enough characters, written over and over:
// what repeats counts once. A run is three or more times one character, or as many
// of an alphabet, of the digits or of keys side by side, forwards or backwards. It
// counts as one character: what consists of runs (whole, or in every second
// character) is refused, and so is what has no more than three pieces.
func Pattern(password string, enough int) bool {
	folded := fold(password)
	if len(folded) == 0 {
		return false
	}
	if n := period(folded); n < enough && n <= len(folded)/2 {
		return true
	}
	var even, odd []rune
	for i, r := range folded {
		if i%2 == 0 {
			even = append(even, r)
		} else {
			odd = append(odd, r)
		}
	}
	all := runs(folded)
	return covered(all) || pieces(all) <= 3 || len(odd) >= minRun && covered(runs(even)) && covered(runs(odd))
}

// fold makes text comparable: lower case, as characters.
func fold(text string) []rune { return []rune(strings.ToLower(text)) }

// period returns the length of the shortest part of which text is made, the last
// time perhaps cut off.
func period(text []rune) int {
	// The prefix function of Knuth, Morris and Pratt, in time linear in the text.
	border := make([]int, len(text))
	for i := 1; i < len(text); i++ {
		n := border[i-1]
		for n > 0 && text[i] != text[n] {
			n = border[n-1]
		}
		if text[i] == text[n] {
			n++
		}
		border[i] = n
	}
	return len(text) - border[len(text)-1]
}

// lines are keys side by side, in rows and columns, on keyboards for Latin and
// Cyrillic. Rows of signs are left out: "!@#$%" is no sequence that people know.
const lines = "qwertyuiop asdfghjkl zxcvbnm 1qaz 2wsx 3edc 4rfv 5tgb 6yhn 7ujm 8ik 9ol " +
	"qwertzuiop yxcvbnm azertyuiop qsdfghjklm wxcvbn йцукенгшщзхъ фывапролджэ ячсмитьбю"

// steps returns, as bits, all the ways in which b follows a: as the same
// character, as its neighbor in code, or along one of the lines.
func steps(a, b rune) uint64 {
	var ways uint64
	alnum := (unicode.IsLetter(a) || unicode.IsDigit(a)) && (unicode.IsLetter(b) || unicode.IsDigit(b))
	if a == b {
		ways |= 1
	}
	if alnum && b == a+1 || a == '9' && b == '0' {
		ways |= 2
	}
	if alnum && b == a-1 || a == '0' && b == '9' {
		ways |= 4
	}
	way, before := uint64(8), ' '
	for _, key := range lines {
		if key == ' ' {
			way <<= 2
		} else if before == a && key == b {
			ways |= way
		} else if before == b && key == a {
			ways |= way << 1
		}
		before = key
	}
	return ways
}

// runs returns, for each character, the length of the longest run that begins with
// it.
func runs(text []rune) []int {
	ways := make([]uint64, len(text))
	for i := 1; i < len(text); i++ {
		ways[i] = steps(text[i-1], text[i])
	}
	lengths := make([]int, len(text))
	for i := range text {
		n := 1
		for same := ^uint64(0); i+n < len(text); n++ {
			if same &= ways[i+n]; same == 0 {
				break
			}
		}
		lengths[i] = n
	}
	return lengths
}

// covered reports whether text can be cut into runs without a rest.
func covered(runs []int) bool {
	reach := make([]bool, len(runs)+1)
	reach[0] = true
	for i, longest := range runs {
		for n := minRun; reach[i] && n <= longest; n++ {
			reach[i+n] = true // the beginning of a run is one
		}
	}
	return reach[len(runs)]
}

// pieces counts runs, each as long as can be, and what lies between them.
func pieces(runs []int) int {
	n := 0
	for i := 0; i < len(runs); n++ {
		if runs[i] >= minRun {
			i += runs[i]
		} else {
			i++
		}
	}
	return n
}
