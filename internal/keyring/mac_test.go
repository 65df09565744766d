package keyring_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/seed-1320b244/mfa/internal/keyring"
)

// The HMAC that is written out is crypto/hmac's, for messages around every block
// boundary.
func TestMAC(t *testing.T) {
	secret := bytes.Repeat([]byte{7}, 32)
	subkey, err := hkdf.Key(sha256.New, secret, nil, "mfa v1 record version", 32)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 300 {
		data := bytes.Repeat([]byte{byte(n)}, n)
		want := hmac.New(sha256.New, subkey)
		want.Write([]byte("\x01o\x04kind\x02id"))
		want.Write(binary.BigEndian.AppendUint64(nil, 42))
		want.Write(data)
		if got := keyring.MAC(secret, 42, data, "o", "kind", "id"); !hmac.Equal(got, want.Sum(nil)) {
			t.Fatalf("%d bytes of data: another sum", n)
		}
	}
}

// A pepper is HMAC-SHA-256 under a subkey of its own, found by the name of its key.
func TestPepper(t *testing.T) {
	ring := parse(t, keyring.New(), goldenKey)
	id := parse(t, goldenKey).PepperID()
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(i)
	}
	subkey, err := hkdf.Key(sha256.New, secret, nil, "mfa v1 password pepper", 32)
	if err != nil {
		t.Fatal(err)
	}
	want := hmac.New(sha256.New, subkey)
	want.Write([]byte("secret"))
	if got, known := ring.Pepper(id, []byte("secret")); !known || !hmac.Equal(got, want.Sum(nil)) {
		t.Errorf("got %x, %v", got, known)
	}
	if ring.PepperID() == id {
		t.Error("the second key makes new hashes")
	}
	if got, known := ring.Pepper("none", []byte("secret")); known || got != nil {
		t.Errorf("an unknown key: got %x, %v", got, known)
	}
}
