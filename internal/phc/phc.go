// Package phc hashes low-entropy secrets with Argon2id and writes hashes as PHC
// strings, which carry their parameters so that these can be raised.
package phc

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// A Cost is how expensive new hashes are. Use Standard.
type Cost struct {
	Memory uint32 // KiB
	Passes uint32
}

// Standard is 19 MiB and 2 passes (OWASP ASVS 5.0 appendix C), 30 ms on a core of
// 2026.
func Standard() Cost { return Cost{Memory: 19456, Passes: 2} }

// Insecure is the least that Argon2 allows: for tests, where nothing is worth
// stealing.
func Insecure() Cost { return Cost{Memory: 8, Passes: 1} }

// All hashes have one lane, a salt of 128 and a tag of 256 bits (RFC 9106 section
// 4).
const (
	lanes   = 1
	saltLen = 16
	tagLen  = 32
)

// What Verify accepts. Whoever can write a hash could otherwise make comparing it
// cost any amount of memory or time; argon2 panics on zero passes or lanes.
const (
	maxMemory = 256 << 10 // KiB
	maxPasses = 16
	maxLanes  = 16
	maxSalt   = 64
	minTag    = 16
	maxTag    = 64
	maxHash   = 256
)

// ErrMalformed means that a string is no hash that Verify accepts.
var ErrMalformed = errors.New("phc: malformed hash, or parameters out of bounds")

var encoding = base64.RawStdEncoding.Strict()

// Hash returns the hash of secret with a new random salt.
func (c Cost) Hash(secret []byte) string {
	salt := make([]byte, saltLen)
	rand.Read(salt)
	tag := argon2.IDKey(secret, salt, c.Passes, c.Memory, lanes, tagLen)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Passes, lanes,
		encoding.EncodeToString(salt), encoding.EncodeToString(tag))
}

// Verify reports whether hash is that of secret, whatever it cost. It does no work
// for a malformed hash, but that of c for the empty one, which matches nothing:
// not having a hash must not show in the time.
func (c Cost) Verify(hash string, secret []byte) (bool, error) {
	if hash == "" {
		argon2.IDKey(secret, make([]byte, saltLen), c.Passes, c.Memory, lanes, tagLen)
		return false, nil
	}
	p, err := parse(hash)
	if err != nil {
		return false, err
	}
	tag := argon2.IDKey(secret, p.salt, p.passes, p.memory, p.lanes, uint32(len(p.tag)))
	return subtle.ConstantTimeCompare(tag, p.tag) == 1, nil
}

type params struct {
	memory, passes uint32
	lanes          uint8
	salt, tag      []byte
}

func parse(hash string) (params, error) {
	var p params
	if len(hash) > maxHash {
		return p, ErrMalformed
	}
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v=19" {
		return p, ErrMalformed
	}
	figures := strings.Split(parts[3], ",")
	if len(figures) != 3 {
		return p, ErrMalformed
	}
	var n [3]uint64
	for i, f := range []struct {
		name string
		max  uint64
	}{{"m=", maxMemory}, {"t=", maxPasses}, {"p=", maxLanes}} {
		text, ok := strings.CutPrefix(figures[i], f.name)
		v, err := strconv.ParseUint(text, 10, 32)
		// One spelling a number: no sign, no leading zero.
		if !ok || err != nil || v < 1 || v > f.max || strconv.FormatUint(v, 10) != text {
			return p, ErrMalformed
		}
		n[i] = v
	}
	if n[0] < 8*n[2] { // RFC 9106 section 3.1
		return p, ErrMalformed
	}
	p.memory, p.passes, p.lanes = uint32(n[0]), uint32(n[1]), uint8(n[2])
	var err1, err2 error
	p.salt, err1 = encoding.DecodeString(parts[4])
	p.tag, err2 = encoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(p.salt) < 8 || len(p.salt) > maxSalt || len(p.tag) < minTag || len(p.tag) > maxTag {
		return p, ErrMalformed
	}
	return p, nil
}
