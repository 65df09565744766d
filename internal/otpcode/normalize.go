package otpcode

// maxInput is the longest input in bytes that Normalize looks at: the longest
// code with room for many separators.
const maxInput = 64

// Normalize returns the code in what a person typed or pasted: ASCII spaces and
// hyphens are dropped, as apps and mails show "123 456" or "123-456", and
// exactly digits ASCII digits must be left. It reports false for anything else:
// letters, signs, other white space, digits of other scripts (the fullwidth "1"
// is not "1"), more than 64 bytes, or digits outside MinDigits to MaxDigits.
//
// A code is normalized once, before it is compared and before it is counted.
func Normalize(s string, digits int) (string, bool) {
	if len(s) > maxInput || digits < MinDigits || digits > MaxDigits {
		return "", false
	}
	var code [MaxDigits]byte
	n := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ' || c == '-':
		case c < '0' || c > '9' || n == digits:
			return "", false
		default:
			code[n] = c
			n++
		}
	}
	if n != digits {
		return "", false
	}
	return string(code[:n]), true
}
