package keyring_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa/internal/keyring"
)

// TestGolden checks that what version 1 made opens for ever.
func TestGolden(t *testing.T) {
	r := parse(t, goldenKey)
	for kind, text := range map[string]string{"session": goldenSession, "pending": goldenPending} {
		got, err := r.OpenToken(kind, text)
		if err != nil || got.Owner != goldenOwner || got.ID != goldenID || got.Secret[0] != 0 || got.Secret[31] != 31 {
			t.Errorf("%s token: %+v, %v", kind, got, err)
		}
	}
	sealed, err := hex.DecodeString(goldenSealed)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := r.Open(sealed, goldenOwner, "totp", goldenID); err != nil || string(plain) != "12345678901234567890" {
		t.Errorf("sealed secret: %q, %v", plain, err)
	}
	if err := r.CheckVersion(goldenVersion, 1772355600, []byte(`{"v":1}`), goldenOwner, "account", ""); err != nil {
		t.Errorf("version: %v", err)
	}
}

// TestToken checks that a token comes back as it was sealed, for every owner that
// can be, and hides whose it is.
func TestToken(t *testing.T) {
	r := parse(t, keyring.New())
	for _, owner := range []string{"u/a", "u/ann@example.com", "u/\u00e9", "u/" + strings.Repeat("x", 254)} {
		want := keyring.NewToken(owner, "")
		text, err := r.SealToken("session", want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.OpenToken("session", text); err != nil || got != want {
			t.Errorf("owner of %d bytes: got %+v, %v", len(owner), got, err)
		}
		if raw, _ := base64.RawURLEncoding.DecodeString(text); bytes.Contains(raw, []byte(owner)) {
			t.Errorf("the token shows its owner %q", owner)
		}
		const fits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
		if text, err := r.SealToken("session", want); err != nil || strings.Trim(text, fits) != "" {
			t.Errorf("%q does not fit a cookie: %v", text, err)
		}
	}
	kept := keyring.NewToken("u/ann", goldenID)
	if kept.ID != goldenID || keyring.NewToken("u/ann", goldenID).Secret == kept.Secret {
		t.Error("a token with a given id has another id, or the secret of the last one")
	}
	for _, id := range []string{"short", goldenID + "AAAA", goldenID[:21] + "x", goldenID[:21] + "=", strings.Repeat("/", 22)} {
		if text, err := r.SealToken("session", keyring.Token{Owner: "u/ann", ID: id}); err == nil {
			t.Errorf("a token with the id %q: %s", id, text)
		}
	}
}

// forgedTokens is text made from a token that must not open as one.
func forgedTokens(t testing.TB, r *keyring.Ring, text string) map[string]string {
	t.Helper()
	other, err := r.SealToken("session", keyring.NewToken("u/bob", ""))
	if err != nil {
		t.Fatal(err)
	}
	raw, err1 := base64.RawURLEncoding.DecodeString(text)
	stranger, err2 := base64.RawURLEncoding.DecodeString(other)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	encode := base64.RawURLEncoding.EncodeToString
	forged := map[string]string{
		"empty":                  "",
		"no base64":              "not a token",
		"cut by a character":     text[:len(text)-1],
		"cut by a byte":          encode(raw[:len(raw)-1]),
		"cut to the key id":      encode(raw[:4]),
		"cut to the nonce":       encode(raw[:16]),
		"a character more":       text + "A",
		"a byte more":            encode(append(bytes.Clone(raw), 0)),
		"a byte before":          encode(append([]byte{0}, raw...)),
		"twice":                  text + text,
		"padded":                 text + "=",
		"space before":           " " + text,
		"space after":            text + " ",
		"line after":             text + "\n",
		"line inside":            text[:40] + "\n" + text[40:],
		"return inside":          text[:40] + "\r\n" + text[40:],
		"lines before":           "\r\n" + text,
		"zero byte after":        text + "\x00",
		"quoted":                 `"` + text + `"`,
		"percent-encoded":        strings.ReplaceAll(text, text[:1], fmt.Sprintf("%%%X", text[0])),
		"zeros":                  strings.Repeat("A", len(text)),
		"key id of none":         encode(append([]byte{0, 0, 0, 0}, raw[4:]...)),
		"nonce of another":       encode(append(append(bytes.Clone(raw[:4]), stranger[4:16]...), raw[16:]...)),
		"id of another's":        encode(append(append(bytes.Clone(raw[:16]), stranger[16:32]...), raw[32:]...)),
		"another's with this id": encode(append(append(bytes.Clone(stranger[:16]), raw[16:32]...), stranger[32:]...)),
		"tag of another's":       encode(append(bytes.Clone(raw[:len(raw)-16]), stranger[len(stranger)-16:]...)),
		"owner cut":              encode(append(bytes.Clone(raw[:len(raw)-17]), raw[len(raw)-16:]...)),
		"1 MiB":                  strings.Repeat("A", 1<<20),
		"513 characters":         text + strings.Repeat("A", 513-len(text)),
	}
	if std := base64.RawStdEncoding.EncodeToString(raw); std != text {
		forged["standard alphabet"] = std
	}
	for i := range 8 * len(text) {
		changed := []byte(text)
		changed[i/8] ^= 1 << (i % 8)
		forged[fmt.Sprintf("bit %d of the text flipped", i)] = string(changed)
	}
	for i := range 8 * len(raw) {
		changed := bytes.Clone(raw)
		changed[i/8] ^= 1 << (i % 8)
		forged[fmt.Sprintf("bit %d flipped", i)] = encode(changed)
	}
	return forged
}

// TestTokenForged checks that nothing but the very text that was sealed opens: a
// second spelling of a token would slip past whatever a host keys by its text.
func TestTokenForged(t *testing.T) {
	r := parse(t, keyring.New())
	// Owners of three lengths: base64 ends with no, two or four bits to spare.
	for _, owner := range []string{"u/ann", "u/anna", "u/annab"} {
		text, err := r.SealToken("session", keyring.NewToken(owner, ""))
		if err != nil {
			t.Fatal(err)
		}
		for name, forged := range forgedTokens(t, r, text) {
			if got, err := r.OpenToken("session", forged); err == nil || got != (keyring.Token{}) {
				t.Errorf("%s, %s: opens as %+v, %v", owner, name, got, err)
			}
		}
		for _, kind := range []string{"pending", "", "Session", "session ", "sessio"} {
			if _, err := r.OpenToken(kind, text); !errors.Is(err, keyring.ErrForged) {
				t.Errorf("a session's token opens as %q: %v", kind, err)
			}
		}
		if _, err := parse(t, keyring.New()).OpenToken("session", text); !errors.Is(err, keyring.ErrUnknownKey) {
			t.Errorf("another key's: got %v, want ErrUnknownKey", err)
		}
	}
	empty, err := r.SealToken("session", keyring.NewToken("", ""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.OpenToken("session", empty); err == nil {
		t.Error("a token without an owner opens")
	}
}

// FuzzToken checks that OpenToken accepts the text that was sealed, as its own
// kind, and no other text in the world.
func FuzzToken(f *testing.F) {
	r := parse(f, goldenKey)
	sealed := map[string]string{goldenSession: "session", goldenPending: "pending"}
	kinds := []string{"session", "pending", ""}
	for _, text := range []string{goldenSession, goldenPending} {
		for i := range kinds {
			f.Add(i, text)
			f.Add(i, text[:60]+"\n"+text[60:])
			f.Add(i, text[:len(text)-1])
			f.Add(i, text+"AAAA")
		}
	}
	f.Add(0, "")
	f.Fuzz(func(t *testing.T, kind int, text string) {
		want := kinds[uint(kind)%uint(len(kinds))]
		got, err := r.OpenToken(want, text)
		switch real := want != "" && sealed[text] == want; {
		case real && (err != nil || got.Owner != goldenOwner || got.ID != goldenID):
			t.Errorf("the sealed token opens as %+v, %v", got, err)
		case !real && (err == nil || got != (keyring.Token{})):
			t.Errorf("%q opens as a token of kind %q: %+v", text, want, got)
		}
	})
}
