package keyring

import (
	"crypto/rand"
	"strings"
)

const (
	rawID     = 16 // a record id in a token: 128 random bits
	SecretLen = 32 // 256 random bits; SP 800-63B-4 section 5.1 asks 64, ASVS 7.2.3 asks 128
	// maxToken bounds what OpenToken looks at. The longest real token has an owner
	// of 256 bytes.
	maxToken = 512
)

// A Token names one record and proves the right to use it.
type Token struct {
	Owner  string
	ID     string // 22 characters of base64url, random and public
	Secret [SecretLen]byte
}

// NewToken returns a token with a new secret, and a new id when id is "".
func NewToken(owner, id string) Token {
	t := Token{Owner: owner, ID: id}
	if id == "" {
		b := make([]byte, rawID)
		rand.Read(b)
		t.ID = encoding.EncodeToString(b)
	}
	rand.Read(t.Secret[:])
	return t
}

// SealToken returns t as text for a cookie or a link. Whoever holds it learns
// nothing from it, not even whose it is, and it opens as kind only.
func (r *Ring) SealToken(kind string, t Token) (string, error) {
	id, err := encoding.DecodeString(t.ID)
	if err != nil || len(id) != rawID {
		return "", ErrForged
	}
	plain := make([]byte, 0, rawID+SecretLen+len(t.Owner))
	plain = append(plain, id...)
	plain = append(plain, t.Secret[:]...)
	plain = append(plain, t.Owner...)

	k := r.keys[0]
	out := make([]byte, idSize+nonce, idSize+nonce+len(plain)+overhead)
	copy(out, k.id[:])
	rand.Read(out[idSize:])
	return encoding.EncodeToString(k.token.Seal(out, out[idSize:], plain, []byte(kind))), nil
}

// OpenToken reads what SealToken made. A forged token fails here, before it
// costs a read of the store, with ErrForged or ErrUnknownKey.
func (r *Ring) OpenToken(kind, text string) (Token, error) {
	if len(text) > maxToken || strings.IndexByte(text, '\r') >= 0 || strings.IndexByte(text, '\n') >= 0 { // which base64 skips
		return Token{}, ErrForged
	}
	b, err := encoding.DecodeString(text)
	if err != nil || len(b) <= idSize+nonce+rawID+SecretLen+overhead {
		return Token{}, ErrForged
	}
	k := r.find(b[:idSize])
	if k == nil {
		return Token{}, ErrUnknownKey
	}
	sealed := b[idSize+nonce:]
	plain, err := k.token.Open(sealed[:0], b[idSize:idSize+nonce], sealed, []byte(kind))
	if err != nil {
		return Token{}, ErrForged
	}
	t := Token{
		ID:    encoding.EncodeToString(plain[:rawID]),
		Owner: string(plain[rawID+SecretLen:]),
	}
	copy(t.Secret[:], plain[rawID:])
	return t, nil
}
