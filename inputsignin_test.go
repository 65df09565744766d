package mfa_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestInput_SignIn checks the bounds of what a host says about a sign-in.
func TestInput_SignIn(t *testing.T) {
	in := newInputTest(t)
	now := in.Clock.Now()
	long := func(n int) string { return strings.Repeat("a", n) }
	many := func(n int, s string) []string { return strings.Split(strings.Repeat(s+",", n-1)+s, ",") }
	badFirst := map[string]mfa.First{
		"zero": {}, "no connection": mfa.SSOFirst("", nil, "", now), "connection of 65": mfa.SSOFirst(long(65), nil, "", now),
		"connection of 66 bytes": mfa.SSOFirst(strings.Repeat("\u00e9", 33), nil, "", now), "connection of 1 MiB": mfa.SSOFirst(long(1<<20), nil, "", now),
		"connection with a line": mfa.SSOFirst("a\nb", nil, "", now), "connection of no UTF-8": mfa.SSOFirst("\xff", nil, "", now),
		"9 amr": mfa.SSOFirst("x", many(9, "pwd"), "", now), "amr of 33": mfa.SSOFirst("x", []string{"pwd", long(33)}, "", now),
		"amr with a line": mfa.SSOFirst("x", []string{"a\n"}, "", now), "amr of no UTF-8": mfa.SSOFirst("x", []string{"\xff"}, "", now),
		"acr of 129": mfa.SSOFirst("x", nil, long(129), now), "acr with a zero byte": mfa.SSOFirst("x", nil, "\x00", now), "acr of no UTF-8": mfa.SSOFirst("x", nil, "\xff", now),
	}
	signIn := func(ctx context.Context, s mfa.SignIn) error {
		s.User = "ann"
		out, err := in.Guard.SignIn(ctx, s)
		return nothingBeside(out != mfa.Outcome{}, err)
	}
	password := mfa.PasswordFirst()
	tokens := []string{in.session.Token(), in.verify.Token()}
	calls := invalids("First", badFirst, func(ctx context.Context, f mfa.First) error {
		return signIn(ctx, mfa.SignIn{First: f, Presented: tokens})
	})
	calls = append(calls, invalids("Reauthenticated", badFirst, func(ctx context.Context, f mfa.First) error {
		out, err := in.verify.Reauthenticated(ctx, f)
		return nothingBeside(out != mfa.Outcome{}, err)
	})...)
	calls = append(calls, invalids("SignIn", map[string]mfa.SignIn{
		"Return of 2049": {First: password, Return: long(2049), Presented: tokens}, "Return of 1 MiB": {First: password, Return: long(1 << 20)},
		"5 presented": {First: password, Presented: append(many(4, "x"), tokens[0])}, "1000 presented": {First: password, Presented: many(1000, tokens[0])},
	}, signIn)...)
	calls = append(calls, invalids("StepUp", map[string]string{"back of 2049": long(2049), "back of 1 MiB": long(1 << 20)}, func(ctx context.Context, back string) error {
		out, err := in.session.StepUp(ctx, mfa.ToEnroll(mfa.TOTP), back)
		return nothingBeside(out != mfa.Outcome{}, err)
	})...)
	in.refuses(t, calls)
	for name, s := range map[string]mfa.SignIn{
		"Return of 2048": {First: password, Return: long(2048)}, "4 presented": {First: password, Presented: append(many(3, long(1<<20)), in.session.Token())},
		"connection of 64": {First: mfa.SSOFirst(long(64), many(8, long(32)), long(128), now)},
		"unknown time":     {First: mfa.SSOFirst("x", nil, "", time.Time{})}, "time ahead": {First: mfa.SSOFirst("x", nil, "", now.Add(100*365*24*time.Hour))},
		"time before 1970": {First: mfa.SSOFirst("x", nil, "", time.Unix(-1<<40, 0))},
	} {
		if err := signIn(t.Context(), s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestInput_Return checks that what is opaque to the library comes back byte for
// byte, on the next request too, or is refused: changed, it could lead elsewhere.
func TestInput_Return(t *testing.T) {
	in := newInputTest(t)
	for name, back := range map[string]string{
		"empty": "", "path": "/a?b=c&d=<e>#f", "lines": "a\r\nb\x00\x7f", "separators": "\u2028\u2029", "2048 of the longest in JSON": strings.Repeat("\x01", 2048),
		"no UTF-8": "a\xff\xfeb", "surrogate": "\xed\xa0\x80", "cut UTF-8": "/caf\xc3",
	} {
		for _, way := range []struct {
			name string
			open func() (mfa.Outcome, error)
		}{
			{"SignIn", func() (mfa.Outcome, error) {
				return in.Guard.SignIn(t.Context(), mfa.SignIn{User: "ann", First: mfa.PasswordFirst(), Return: back})
			}},
			{"StepUp", func() (mfa.Outcome, error) { return in.session.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), back) }},
		} {
			out, err := way.open()
			if errors.Is(err, mfa.ErrInvalid) && !utf8.ValidString(back) {
				continue
			}
			if err != nil {
				t.Fatalf("%s, %s: %v", way.name, name, err)
			}
			again, err := in.Guard.Pending(t.Context(), out.Pending.Token(), in.session.Token(), mfatest.Laptop())
			if err != nil {
				t.Fatalf("%s, %s: %v", way.name, name, err)
			}
			if out.Pending.Return() != back || again.Return() != back {
				t.Errorf("%s, %s: %.20q comes back as %.20q, then as %.20q", way.name, name, back, out.Pending.Return(), again.Return())
			}
		}
	}
}

// TestInput_Client checks that a peer may call itself anything: what reaches
// events, logs and records is bounded text without controls.
func TestInput_Client(t *testing.T) {
	for name, c := range map[string]mfa.Client{
		"64 KiB":              {UserAgent: strings.Repeat("Mozilla/5.0 ", 64<<10/12)},
		"64 KiB of no UTF-8":  {UserAgent: strings.Repeat("\xff\xfe", 32<<10)},
		"64 KiB of controls":  {UserAgent: strings.Repeat("\x1b[31m\r\n\x00", 8<<10)},
		"turned":              {UserAgent: "Mozilla\u202e/5.0\u2066 Firefox\u2028"},
		"cut in a code point": {UserAgent: strings.Repeat("a", 511) + "\u00e9"},
		"wide":                {UserAgent: strings.Repeat("\U0001f600", 16<<10)},
		"zone of the address": {Addr: netip.MustParseAddr("fe80::1%" + "eth0\x1b[31m\nforged" + strings.Repeat("z", 64<<10))},
		"mapped address":      {Addr: netip.MustParseAddr("::ffff:192.0.2.7")},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKeyKit(t, mfa.NewKey())
			out, err := k.Guard.SignIn(t.Context(), mfa.SignIn{User: "ann", First: mfa.PasswordFirst(), Client: c})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := k.Guard.Session(t.Context(), out.Session.Token(), c); err != nil {
				t.Error(err)
			}
			for _, e := range k.Events.Take() {
				checkShown(t, "the event's user agent", e.Client.UserAgent, 512)
				checkShown(t, "the event's address", e.Client.Addr.String(), 64)
				checkShown(t, "the event's device", e.Device, 64)
			}
			for _, r := range recordsOf(t, k.Config.Store, "ann") {
				checkShown(t, "the "+r.Kind, string(r.Data), 400)
			}
		})
	}
}

// checkShown reports text that is no text, or too long.
func checkShown(t *testing.T, what, s string, limit int) {
	t.Helper()
	if len(s) > limit || !utf8.ValidString(s) {
		t.Errorf("%s is of %d bytes, or no UTF-8", what, len(s))
	}
	for _, r := range s {
		if unicode.IsControl(r) || 0x2028 <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 {
			t.Errorf("%s has a control character: %.80q", what, s)
			return
		}
	}
}

// TestInput_Images checks that an image which cannot be drawn is a fault of the
// caller, by the sentinel for it.
func TestInput_Images(t *testing.T) {
	setup := startTOTP(t, newKeyKit(t, mfa.NewKey()).Guard, "ann")
	for _, scale := range []int{0, -1, 33, 1 << 40} {
		if png, err := setup.PNG(scale); png != nil || !errors.Is(err, mfa.ErrInvalid) {
			t.Errorf("scale %d: %d bytes, %v", scale, len(png), err)
		}
	}
	for _, scale := range []int{1, 32} {
		if _, err := setup.PNG(scale); err != nil {
			t.Errorf("scale %d: %v", scale, err)
		}
	}
	var none mfa.Setup
	if _, err := none.PNG(4); !errors.Is(err, mfa.ErrInvalid) {
		t.Errorf("the zero Setup as PNG: %v", err)
	}
	if _, err := none.SVG(); !errors.Is(err, mfa.ErrInvalid) {
		t.Errorf("the zero Setup as SVG: %v", err)
	}
	if none.URI() != "" || none.Secret() != "" || (mfa.BackupCodes{}).Len() != 0 {
		t.Error("the zero Setup or BackupCodes holds something")
	}
}
