package phc

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"
)

// What of other systems is accepted. There is no floor for the cost: a weak hash
// is better replaced at the next sign-in than refused.
const (
	bcryptLen     = 60
	bcryptReads   = 72 // bytes of a secret
	minBcryptCost = 4
	maxBcryptCost = 14        // each step doubles the time; OWASP asks for 10 or more
	maxScryptLog  = 18        // ln
	maxScryptFill = 1 << 21   // N times r times p, twice what OWASP asks for; and so 256 MiB
	maxIterations = 3_000_000 // of SHA-1 and SHA-256; SHA-512 takes three times as long
	minOtherSalt  = 4         // SP 800-63B-4 section 3.1.1.2: 32 bits
)

const bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// parseBcrypt takes the three versions that mean the same. ($2$ and $2x$ are of
// programs that erred on non-ASCII secrets.)
func parseBcrypt(text string) (stored, bool) {
	if len(text) != bcryptLen || !strings.Contains("aby", text[2:3]) || text[3] != '$' || text[6] != '$' ||
		strings.Trim(text[7:], bcryptAlphabet) != "" {
		return stored{}, false
	}
	cost := int(text[4]-'0')*10 + int(text[5]-'0')
	if text[4] > '9' || text[5] > '9' || text[4] < '0' || text[5] < '0' || cost < minBcryptCost || cost > maxBcryptCost {
		return stored{}, false
	}
	return stored{kib: 5, limit: bcryptReads, compare: func(secret []byte) (bool, error) {
		err := bcrypt.CompareHashAndPassword([]byte(text), secret[:min(len(secret), bcryptReads)])
		if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			return false, nil
		}
		// The key is repeated, and a zero byte ends each turn: the hash of "a" is
		// also that of "a", zero, "a". No system hashes a secret with a zero.
		return err == nil && bytes.IndexByte(secret, 0) < 0, err
	}}, true
}

func parseScrypt(text string) (stored, bool) {
	parts := strings.Split(text, "$")
	if len(parts) != 5 {
		return stored{}, false
	}
	n, ok := numbers(parts[2], figure{"ln=", maxScryptLog}, figure{"r=", 64}, figure{"p=", 64})
	if !ok || n[1]*n[2]<<n[0] > maxScryptFill {
		return stored{}, false
	}
	salt, tag, ok := decode(encoding, parts[3], parts[4], minOtherSalt)
	r, p := int(n[1]), int(n[2])
	return stored{kib: (r<<n[0] + r*p) / 8, compare: func(secret []byte) (bool, error) {
		got, err := scrypt.Key(secret, salt, 1<<n[0], r, p, len(tag))
		return err == nil && subtle.ConstantTimeCompare(got, tag) == 1, err
	}}, ok
}

// parsePBKDF2 reads the PHC form, and that of passlib, which has the iterations
// alone and writes "." for "+".
func parsePBKDF2(text string) (stored, bool) {
	parts := strings.Split(text, "$")
	if len(parts) != 5 {
		return stored{}, false
	}
	scheme, figures, salt64, tag64 := parts[1], parts[2], parts[3], parts[4]
	if !strings.Contains(figures, "=") {
		if strings.Contains(salt64+tag64, "+") {
			return stored{}, false
		}
		figures, salt64, tag64 = "i="+figures, strings.ReplaceAll(salt64, ".", "+"), strings.ReplaceAll(tag64, ".", "+")
	}
	want := []figure{{"i=", maxIterations}}
	if strings.Contains(figures, ",") {
		want = append(want, figure{"l=", maxTag})
	}
	n, ok := numbers(figures, want...)
	if !ok {
		return stored{}, false
	}
	salt, tag, ok := decode(encoding, salt64, tag64, minOtherSalt)
	if !ok || len(n) == 2 && int(n[1]) != len(tag) {
		return stored{}, false
	}
	switch scheme {
	case "pbkdf2-sha512":
		return pbkdf2Hash(sha512.New, n[0], salt, tag)
	case "pbkdf2-sha256":
		return pbkdf2Hash(sha256.New, n[0], salt, tag)
	case "pbkdf2", "pbkdf2-sha1":
		return pbkdf2Hash(sha1.New, n[0], salt, tag)
	}
	return stored{}, false
}

// parseDjango reads what Django stores: the salt is text and is used as it is.
func parseDjango(text string) (stored, bool) {
	parts := strings.Split(text, "$")
	if len(parts) != 4 || len(parts[2]) < minOtherSalt || len(parts[2]) > maxSalt {
		return stored{}, false
	}
	n, ok := numbers(parts[1], figure{"", maxIterations})
	_, tag, ok2 := decode(base64.StdEncoding.Strict(), "", parts[3], 0)
	if !ok || !ok2 {
		return stored{}, false
	}
	switch parts[0] {
	case "pbkdf2_sha256":
		return pbkdf2Hash(sha256.New, n[0], []byte(parts[2]), tag)
	case "pbkdf2_sha1":
		return pbkdf2Hash(sha1.New, n[0], []byte(parts[2]), tag)
	}
	return stored{}, false
}

// pbkdf2Hash bounds the iterations of all blocks together: PBKDF2 computes as many
// as the tag needs.
func pbkdf2Hash(h func() hash.Hash, iterations uint64, salt, tag []byte) (stored, bool) {
	size := h().Size()
	work := iterations * uint64((len(tag)+size-1)/size)
	if size == sha512.Size {
		work *= 3
	}
	if work > maxIterations {
		return stored{}, false
	}
	return stored{kib: 1, compare: func(secret []byte) (bool, error) {
		got, err := pbkdf2.Key(h, string(secret), salt, int(iterations), len(tag))
		if err != nil {
			return false, fmt.Errorf("phc: %w", err)
		}
		return subtle.ConstantTimeCompare(got, tag) == 1, nil
	}}, true
}
