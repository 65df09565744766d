// Package e164 checks and masks telephone numbers in the international form.
package e164

// A number has at most 15 digits, country code included (ITU-T E.164, section
// 6.2.1). The recommendation names no minimum. 8 keeps short codes, which cost
// money, away from a gateway, and numbers of 7 digits, which Niue and Tokelau have.
const (
	minDigits = 8
	maxDigits = 15
)

// Valid reports whether s is a telephone number as E.164 writes it: "+", then 8
// to 15 ASCII digits of which the first is not 0. Nothing else is accepted: no
// space, no hyphen, no digit of another script, so that two spellings of one
// number are never two destinations, and no byte of it means anything to a
// gateway or a log.
//
// It says nothing about whether the number exists, is mobile or is cheap.
func Valid(s string) bool {
	if len(s) < 1+minDigits || len(s) > 1+maxDigits || s[0] != '+' || s[1] == '0' {
		return false
	}
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Mask returns s for a page that somebody else may see: the first two digits,
// about the country code, and the last two, as in "+49 ••• ••• 12". Of the
// countries with a code of one digit (1 and 7) only that digit is shown. The
// dots do not tell the length. What is not Valid is "•••".
func Mask(s string) string {
	if !Valid(s) {
		return "•••"
	}
	front := s[:3]
	if s[1] == '1' || s[1] == '7' {
		front = s[:2]
	}
	return front + " ••• ••• " + s[len(s)-2:]
}
