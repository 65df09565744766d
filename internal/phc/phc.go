// Package phc hashes low-entropy secrets with Argon2id and writes hashes as PHC
// strings, which carry their parameters so that these can be raised. It also
// compares with hashes that other systems made: bcrypt, scrypt and PBKDF2.
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
	"golang.org/x/text/unicode/norm"
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

// All hashes made here have one lane, a salt of 128 and a tag of 256 bits (RFC
// 9106 section 4).
const (
	lanes   = 1
	saltLen = 16
	tagLen  = 32
)

// What Verify accepts. Whoever can write a hash could otherwise make comparing it
// cost any amount of memory or time; argon2 panics on zero passes or lanes. The
// bounds of every scheme allow at most about a second on a core of 2026.
const (
	maxMemory = 256 << 10 // KiB
	maxPasses = 16
	maxFilled = 1 << 20 // KiB, memory times passes
	maxLanes  = 16
	minSalt   = 8
	maxSalt   = 64
	minTag    = 16
	maxTag    = 64
	maxHash   = 256
)

// importMark begins a stored hash that was made elsewhere.
const importMark = "import:"

// ErrMalformed means that a string is no hash that Verify accepts.
var ErrMalformed = errors.New("phc: malformed hash, or parameters out of bounds")

var encoding = base64.RawStdEncoding.Strict()

// A Result is what comparing found.
type Result int

const (
	// Mismatch: the hash is that of another secret.
	Mismatch Result = iota
	// Match: it is the hash of this secret.
	Match
	// MatchStale: it is, and the secret should be hashed anew. See Cost.Stale.
	MatchStale
	// MatchTruncated: the hash knows only the first 72 bytes, and these agree. A
	// new secret must be set. Do not hash this one: its end was never compared, and
	// what was typed there by mistake would become part of the secret.
	MatchTruncated
)

// Hash returns the hash of secret, in Unicode normalization form C (SP 800-63B-4
// section 3.1.1.2), with a new random salt.
func (c Cost) Hash(secret []byte) string {
	secret = norm.NFC.Bytes(secret)
	salt := make([]byte, saltLen)
	rand.Read(salt)
	tag := argon2.IDKey(secret, salt, c.Passes, c.Memory, lanes, tagLen)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Passes, lanes,
		encoding.EncodeToString(salt), encoding.EncodeToString(tag))
}

// Import returns hash, made by another system, as it is to be stored. What it
// marks is compared with the bytes as typed: nobody knows whether the other
// system normalized them. It takes
//
//	$argon2id$v=19$m=,t=,p=$salt$hash
//	$2a$, $2b$ or $2y$ bcrypt
//	$scrypt$ln=,r=,p=$salt$hash
//	$pbkdf2-sha256$i=,l=$salt$hash     also -sha512 and -sha1; l may be missing
//	$pbkdf2-sha256$29000$salt$hash     passlib; also -sha512, and $pbkdf2$ with SHA-1
//	pbkdf2_sha256$600000$salt$hash     Django; also pbkdf2_sha1
//
// and fails with ErrMalformed on everything else, and on what would cost too much
// to compare with. Whoever has the same figures in another notation can write
// them as one of these.
func Import(hash string) (string, error) {
	marked := importMark + hash
	_, err := parse(marked)
	return marked, err
}

// Scheme names the kind of a hash that Import or Hash returned.
func Scheme(hash string) string {
	text := strings.TrimPrefix(hash, importMark)
	for _, kind := range []struct{ prefix, name string }{
		{"$argon2id$", "argon2id"}, {"$2", "bcrypt"}, {"$scrypt$", "scrypt"}, {"$pbkdf2", "pbkdf2"}, {"pbkdf2_", "pbkdf2"},
	} {
		if strings.HasPrefix(text, kind.prefix) {
			return kind.name
		}
	}
	return ""
}

// Stale reports whether hash should be replaced when its secret is next known: it
// was imported, or made with less memory or fewer passes than c has. So is what Verify refuses.
func (c Cost) Stale(hash string) bool {
	s, err := parse(hash)
	return err != nil || s.stale(c)
}

// KiB returns how much memory Verify takes for hash, or for the empty one.
func (c Cost) KiB(hash string) int {
	if s, err := parse(hash); err == nil {
		return s.kib
	}
	return int(c.Memory)
}

// Verify reports whether hash is that of secret, whatever it cost. It does no work
// for a malformed hash, but that of c for the empty one, which matches nothing:
// not having a hash must not show in the time. An imported hash takes the time of
// its own scheme until it is replaced, and that does show. It returns ErrMalformed.
func (c Cost) Verify(hash string, secret []byte) (Result, error) {
	if hash == "" {
		argon2.IDKey(secret, make([]byte, saltLen), c.Passes, c.Memory, lanes, tagLen)
		return Mismatch, nil
	}
	s, err := parse(hash)
	if err != nil {
		return Mismatch, err
	}
	if !s.imported {
		secret = norm.NFC.Bytes(secret)
	}
	equal, err := s.compare(secret)
	switch {
	case err != nil || !equal:
		return Mismatch, err
	case s.limit > 0 && len(secret) > s.limit:
		return MatchTruncated, nil
	case s.stale(c):
		return MatchStale, nil
	}
	return Match, nil
}

// stored is a parsed hash.
type stored struct {
	imported       bool
	memory, passes uint32 // of Argon2
	kib            int    // what compare allocates
	limit          int    // how many bytes of a secret count; 0: all
	compare        func(secret []byte) (bool, error)
}

func (s stored) stale(c Cost) bool {
	return s.imported || s.memory < c.Memory || s.passes < c.Passes
}

// parse reads a hash and checks everything that it says before anything is done
// with it.
func parse(hash string) (stored, error) {
	if len(hash) > maxHash {
		return stored{}, ErrMalformed
	}
	text, imported := strings.CutPrefix(hash, importMark)
	var s stored
	var ok bool
	switch {
	case strings.HasPrefix(text, "$argon2id$"):
		s, ok = parseArgon2id(text)
	case !imported:
		// Only Argon2id is made here.
	case strings.HasPrefix(text, "$2"):
		s, ok = parseBcrypt(text)
	case strings.HasPrefix(text, "$scrypt$"):
		s, ok = parseScrypt(text)
	case strings.HasPrefix(text, "$pbkdf2"):
		s, ok = parsePBKDF2(text)
	case strings.HasPrefix(text, "pbkdf2_"):
		s, ok = parseDjango(text)
	}
	if !ok {
		return stored{}, ErrMalformed
	}
	s.imported = imported
	return s, nil
}

func parseArgon2id(hash string) (stored, bool) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[2] != "v=19" {
		return stored{}, false
	}
	n, ok := numbers(parts[3], figure{"m=", maxMemory}, figure{"t=", maxPasses}, figure{"p=", maxLanes})
	if !ok || n[0] < 8*n[2] /* RFC 9106 section 3.1 */ || n[0]*n[1] > maxFilled {
		return stored{}, false
	}
	salt, tag, ok := decode(encoding, parts[4], parts[5], minSalt)
	s := stored{memory: uint32(n[0]), passes: uint32(n[1]), kib: int(n[0])}
	s.compare = func(secret []byte) (bool, error) {
		got := argon2.IDKey(secret, salt, s.passes, s.memory, uint8(n[2]), uint32(len(tag)))
		return subtle.ConstantTimeCompare(got, tag) == 1, nil
	}
	return s, ok
}

// A figure is a number in a hash: how its name reads, and the most it may be.
type figure struct {
	name string
	max  uint64
}

// numbers reads comma-separated figures, all of them, in this order.
func numbers(text string, figures ...figure) ([]uint64, bool) {
	parts := strings.Split(text, ",")
	if len(parts) != len(figures) {
		return nil, false
	}
	n := make([]uint64, len(figures))
	for i, f := range figures {
		digits, ok := strings.CutPrefix(parts[i], f.name)
		v, err := strconv.ParseUint(digits, 10, 32)
		// One spelling a number: no sign, no leading zero.
		if !ok || err != nil || v < 1 || v > f.max || strconv.FormatUint(v, 10) != digits {
			return nil, false
		}
		n[i] = v
	}
	return n, true
}

// decode reads a salt of at least least bytes, and a tag.
func decode(enc *base64.Encoding, salt64, tag64 string, least int) (salt, tag []byte, ok bool) {
	salt, err1 := enc.DecodeString(salt64)
	tag, err2 := enc.DecodeString(tag64)
	// The decoder passes over line breaks.
	ok = err1 == nil && err2 == nil && !strings.ContainsAny(salt64+tag64, "\r\n") &&
		len(salt) >= least && len(salt) <= maxSalt && len(tag) >= minTag && len(tag) <= maxTag
	return salt, tag, ok
}
