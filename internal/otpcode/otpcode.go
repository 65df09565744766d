// Package otpcode computes and matches one-time codes: HOTP (RFC 4226) at the
// time steps of TOTP (RFC 6238).
//
// It holds no state and reads no clock. Which steps were accepted before, and
// how many wrong codes an account may still send, is for the caller to keep: a
// code of six digits is guessed in a million tries.
package otpcode

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"strconv"
)

// Limits of the parameters.
const (
	// MinDigits is the shortest code, RFC 4226 R4 and SP 800-63B-4 section
	// 3.1.4.1.
	MinDigits = 6
	// MaxDigits is the longest code that RFC 4226 section 5.3 names. A truncated
	// value has 31 bits, so that a ninth digit would add little.
	MaxDigits = 8
	// MaxPeriod is the longest time step in seconds, SP 800-63B-4 section
	// 3.1.4.1. RFC 6238 section 5.2 recommends 30.
	MaxPeriod = 120
)

// An Algorithm is the hash function under the HMAC, spelled as in an otpauth
// URI. The zero value is none and makes no code.
type Algorithm string

// The algorithms of RFC 6238 section 1.2. SHA-1 is the one that every
// authenticator app knows; its broken collision resistance does not weaken an
// HMAC (RFC 4226 appendix B.2).
const (
	SHA1   Algorithm = "SHA1"
	SHA256 Algorithm = "SHA256"
	SHA512 Algorithm = "SHA512"
)

// Params says how the codes of one authenticator are made. The zero value makes
// none.
type Params struct {
	Algorithm Algorithm
	// Digits is the length of a code, MinDigits to MaxDigits.
	Digits int
	// Period is the length of a time step in seconds, 1 to MaxPeriod.
	Period int64
}

// Check returns an error when a parameter is outside its limits.
func (p Params) Check() error {
	switch p.Algorithm {
	case SHA1, SHA256, SHA512:
	default:
		return errors.New("otpcode: algorithm is not SHA1, SHA256 or SHA512")
	}
	if p.Digits < MinDigits || p.Digits > MaxDigits {
		return errors.New("otpcode: digits are not 6 to 8")
	}
	if p.Period < 1 || p.Period > MaxPeriod {
		return errors.New("otpcode: period is not 1 to 120 seconds")
	}
	return nil
}

// Step returns the time step that holds the second unix, counted from the Unix
// epoch: T of RFC 6238 section 4.2 with T0 = 0. It is rounded down, also before
// 1970, where it is negative. Without a period it is -1.
func (p Params) Step(unix int64) int64 {
	if p.Period < 1 {
		return -1
	}
	step := unix / p.Period
	if unix%p.Period < 0 {
		step--
	}
	return step
}

// Code returns the code of one step with its leading zeros. It returns "" when
// Params.Check fails, the secret is empty or the step is negative.
func Code(secret []byte, p Params, step int64) string {
	if p.Check() != nil || len(secret) == 0 || step < 0 {
		return ""
	}
	k := newKey(secret, p.Algorithm)
	// A leading one in front of the code keeps its zeros.
	one := uint64(1_000_000)
	for range p.Digits - MinDigits {
		one *= 10
	}
	return strconv.FormatUint(one+uint64(k.code(step, p.Digits)), 10)[1:]
}

// A key is an HMAC key (RFC 2104) made ready for many messages of eight bytes.
// It lives on the stack: crypto/hmac asks nine allocations and nearly twice the
// time for three codes, and leaves the secret behind on the heap. The tests
// compare it with crypto/hmac for every length of key.
type key struct {
	algorithm Algorithm
	block     int // block size of the hash in bytes
	// inner is the padded key followed by the message, outer the padded key
	// followed by the inner hash.
	inner [sha512.BlockSize + 8]byte
	outer [sha512.BlockSize + sha512.Size]byte
}

// newKey pads secret for algorithm, which is one of the three.
func newKey(secret []byte, algorithm Algorithm) key {
	k := key{algorithm: algorithm, block: sha1.BlockSize}
	switch algorithm {
	case SHA256:
		k.block = sha256.BlockSize
	case SHA512:
		k.block = sha512.BlockSize
	}
	if len(secret) > k.block { // RFC 2104 section 2: a longer key is hashed first
		k.sum(k.inner[:], secret)
	} else {
		copy(k.inner[:], secret)
	}
	for i := range k.block {
		k.outer[i] = k.inner[i] ^ 0x5c
		k.inner[i] ^= 0x36
	}
	return k
}

// sum writes the hash of data to dst and returns its length in bytes.
func (k *key) sum(dst, data []byte) int {
	switch k.algorithm {
	case SHA1:
		h := sha1.Sum(data)
		return copy(dst, h[:])
	case SHA256:
		h := sha256.Sum256(data)
		return copy(dst, h[:])
	default:
		h := sha512.Sum512(data)
		return copy(dst, h[:])
	}
}

// code returns the code of one step as a number, RFC 4226 section 5.3.
func (k *key) code(step int64, digits int) uint32 {
	binary.BigEndian.PutUint64(k.inner[k.block:], uint64(step))
	n := k.sum(k.outer[k.block:], k.inner[:k.block+8])
	var mac [sha512.Size]byte
	n = k.sum(mac[:], k.outer[:k.block+n])

	// Dynamic truncation, RFC 4226 section 5.4: the last four bits of the hash
	// say where the 31 bits begin. For the longer hashes it is the last byte too
	// (RFC 6238 appendix A), not byte 19.
	offset := mac[n-1] & 0xf
	truncated := binary.BigEndian.Uint32(mac[offset:]) &^ (1 << 31)

	// Constant divisors compile to multiplications. The time of a division
	// would depend on the code.
	switch digits {
	case 6:
		return truncated % 1_000_000
	case 7:
		return truncated % 10_000_000
	default:
		return truncated % 100_000_000
	}
}
