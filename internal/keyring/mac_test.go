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
