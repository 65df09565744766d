// Package breach finds passwords that have leaked, for mfa.PasswordPolicy.Breach:
// a Client asks a range service, as Have I Been Pwned runs one; a File searches
// that service's published list on a local disk. Both compare the SHA-1 of the
// password, which is what is published.
//
// Neither says anything about a password that leaked and is on no list.
package breach

import (
	"crypto/sha1"
	"encoding/hex"
	"strconv"
	"strings"
)

// hash returns the SHA-1 of password in upper-case hexadecimal.
func hash(password string) string {
	sum := sha1.Sum([]byte(password))
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// maxDigits is what a count may have: Have I Been Pwned has eight.
const maxDigits = 18

// parse reads a line: a number of hexadecimal digits, which it returns in upper
// case, a colon, and how often the password was seen.
func parse(line string, digits int) (hash string, seen int64, ok bool) {
	hash, count, _ := strings.Cut(line, ":")
	if len(hash) != digits || len(count) > maxDigits || strings.Trim(hash, "0123456789abcdefABCDEF") != "" || strings.Trim(count, "0123456789") != "" {
		return "", 0, false
	}
	seen, err := strconv.ParseInt(count, 10, 64)
	return strings.ToUpper(hash), seen, err == nil
}
