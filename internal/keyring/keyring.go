// Package keyring turns a ring of 256-bit keys into what the library needs from
// them: sealed secrets, authenticated record versions and opaque tokens.
//
// The first key of a ring makes everything, all of them open. Each purpose has a
// subkey of its own, so that nothing made for one is ever accepted for another.
package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

const (
	prefix   = "mfakey1_" // tells what it is to a person and to a secret scanner
	keySize  = 32
	idSize   = 4
	nonce    = 12 // of AES-GCM
	overhead = 16 // of AES-GCM
	maxKeys  = 16
)

var (
	// ErrUnknownKey means that the key which made something is not in the ring.
	ErrUnknownKey = errors.New("keyring: made with a key that is not in the ring")
	// ErrForged means that something was made with no key of the ring, or was
	// made for another place, or was changed since.
	ErrForged = errors.New("keyring: forged or damaged")
)

var encoding = base64.RawURLEncoding.Strict()

// A Ring is one or more keys. It is immutable and safe for concurrent use.
type Ring struct {
	keys []*key // the first makes
}

type key struct {
	id    [idSize]byte
	inner [sha256.BlockSize]byte // HMAC key of record versions, padded for
	outer [sha256.BlockSize]byte // the two hashes (RFC 2104)
	token cipher.AEAD            // of tokens
	seal  cipher.AEAD            // of secrets at rest
	code  []byte                 // HMAC key of short codes
}

// New returns a new random key as text.
func New() string {
	b := make([]byte, keySize)
	rand.Read(b)
	return prefix + encoding.EncodeToString(b)
}

// Parse reads keys as New makes them, separated by white space or commas.
func Parse(text string) (*Ring, error) {
	fields := strings.FieldsFunc(text, func(r rune) bool {
		return r == ' ' || r == ',' || r == '\n' || r == '\t' || r == '\r'
	})
	if len(fields) == 0 {
		return nil, errors.New("no key")
	}
	if len(fields) > maxKeys {
		return nil, fmt.Errorf("%d keys, want at most %d", len(fields), maxKeys)
	}
	ring := &Ring{}
	for i, f := range fields {
		// The errors name the position only: a malformed key is still a secret.
		encoded, ok := strings.CutPrefix(f, prefix)
		if !ok {
			return nil, fmt.Errorf("key %d does not begin with %s", i+1, prefix)
		}
		secret, err := encoding.DecodeString(encoded)
		if err != nil || len(secret) != keySize {
			return nil, fmt.Errorf("key %d is not %d bytes of base64url", i+1, keySize)
		}
		k := derive(secret)
		if ring.find(k.id[:]) != nil {
			return nil, fmt.Errorf("key %d is in the ring already", i+1)
		}
		ring.keys = append(ring.keys, k)
	}
	return ring, nil
}

// derive makes the subkeys. The id is derived like them: it tells keys apart and
// says nothing about them.
func derive(secret []byte) *key {
	subkey := func(purpose string, n int) []byte {
		b, err := hkdf.Key(sha256.New, secret, nil, "mfa v1 "+purpose, n)
		if err != nil {
			panic("keyring: " + err.Error()) // only for absurd lengths
		}
		return b
	}
	gcm := func(purpose string) cipher.AEAD {
		block, err := aes.NewCipher(subkey(purpose, 32))
		if err != nil {
			panic("keyring: " + err.Error())
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			panic("keyring: " + err.Error())
		}
		return aead
	}
	k := &key{
		id:    [idSize]byte(subkey("key id", idSize)),
		token: gcm("token"),
		seal:  gcm("secret at rest"),
		code:  subkey("short code", 32),
	}
	copy(k.inner[:], subkey("record version", 32))
	k.outer = k.inner
	for i := range k.inner {
		k.inner[i] ^= 0x36
		k.outer[i] ^= 0x5c
	}
	return k
}

func (r *Ring) find(id []byte) *key {
	for _, k := range r.keys {
		if string(k.id[:]) == string(id) {
			return k
		}
	}
	return nil
}

// Seal encrypts plain for one place. Only Open with the same place opens it: a
// secret copied into another user's record stays shut.
func (r *Ring) Seal(plain []byte, place ...string) []byte {
	k := r.keys[0]
	out := make([]byte, idSize+nonce, idSize+nonce+len(plain)+overhead)
	copy(out, k.id[:])
	rand.Read(out[idSize:])
	return k.seal.Seal(out, out[idSize:], plain, join(make([]byte, 0, 128), place...))
}

// Open decrypts what Seal made. It fails with ErrUnknownKey or ErrForged.
func (r *Ring) Open(sealed []byte, place ...string) ([]byte, error) {
	if len(sealed) < idSize+nonce+overhead {
		return nil, ErrForged
	}
	k := r.find(sealed[:idSize])
	if k == nil {
		return nil, ErrUnknownKey
	}
	plain, err := k.seal.Open(nil, sealed[idSize:idSize+nonce], sealed[idSize+nonce:], join(make([]byte, 0, 128), place...))
	if err != nil {
		return nil, ErrForged
	}
	return plain, nil
}

// Knows reports whether the key that sealed is in the ring. It decrypts nothing.
func (r *Ring) Knows(sealed []byte) bool {
	return len(sealed) >= idSize && r.find(sealed[:idSize]) != nil
}

// versionRandom makes the versions of two equal records differ: a conditional
// write tells an incarnation from its copy.
const versionRandom = 12

// Version returns a version for a record: key id, random bytes and an
// HMAC-SHA-256 over both and the fields, 64 characters of base64url.
func (r *Ring) Version(expires int64, data []byte, fields ...string) string {
	k := r.keys[0]
	b := make([]byte, idSize+versionRandom, idSize+versionRandom+sha256.Size)
	copy(b, k.id[:])
	rand.Read(b[idSize:])
	return encoding.EncodeToString(k.mac(b, expires, data, fields))
}

// Latest reports whether version names the key that versions are made with now.
func (r *Ring) Latest(version string) bool {
	head, err := encoding.DecodeString(version[:min(8, len(version))])
	return err == nil && len(head) >= idSize && r.keys[0].id == [idSize]byte(head)
}

// CheckVersion fails with ErrUnknownKey or ErrForged when version was not made
// for exactly this record.
func (r *Ring) CheckVersion(version string, expires int64, data []byte, fields ...string) error {
	var b [idSize + versionRandom + sha256.Size]byte
	var text [len(b) / 3 * 4]byte
	if len(version) != len(text) {
		return ErrForged
	}
	copy(text[:], version)
	if n, err := encoding.Decode(b[:], text[:]); err != nil || n != len(b) {
		return ErrForged
	}
	k := r.find(b[:idSize])
	if k == nil {
		return ErrUnknownKey
	}
	head := b[: idSize+versionRandom : idSize+versionRandom]
	if subtle.ConstantTimeCompare(k.mac(head, expires, data, fields), b[:]) != 1 {
		return ErrForged
	}
	return nil
}

// mac appends to head the HMAC-SHA-256 of head and everything else. It is written
// out because crypto/hmac takes nine allocations for each message, and every
// request checks one.
func (k *key) mac(head []byte, expires int64, data []byte, fields []string) []byte {
	var small [768]byte // enough for a session, which every request checks
	in := small[:0]
	if n := 512 + len(data); n > len(small) {
		in = make([]byte, 0, n)
	}
	in = append(in, k.inner[:]...)
	in = append(in, head...)
	in = join(in, fields...)
	in = binary.BigEndian.AppendUint64(in, uint64(expires))
	in = append(in, data...)
	var out [sha256.BlockSize + sha256.Size]byte
	copy(out[:], k.outer[:])
	sum := sha256.Sum256(in)
	copy(out[sha256.BlockSize:], sum[:])
	sum = sha256.Sum256(out[:])
	return append(head, sum[:]...)
}

// join appends fields so that no two lists of as many fields join alike.
func join(b []byte, fields ...string) []byte {
	for _, f := range fields {
		b = binary.AppendUvarint(b, uint64(len(f)))
		b = append(b, f...)
	}
	return b
}

// MAC returns the key id and an HMAC-SHA-256 over fields: what is kept of a code
// that is too short to be hashed. Whoever has the records and not the keys cannot
// try all codes.
func (r *Ring) MAC(fields ...string) []byte {
	return r.keys[0].short(fields)
}

// CheckMAC reports whether mac is that of fields, in constant time.
func (r *Ring) CheckMAC(mac []byte, fields ...string) bool {
	if len(mac) != idSize+sha256.Size {
		return false
	}
	k := r.find(mac[:idSize])
	return k != nil && subtle.ConstantTimeCompare(k.short(fields), mac) == 1
}

func (k *key) short(fields []string) []byte {
	h := hmac.New(sha256.New, k.code)
	h.Write(join(make([]byte, 0, 256), fields...))
	return h.Sum(append(make([]byte, 0, idSize+sha256.Size), k.id[:]...))
}
