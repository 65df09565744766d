package bench

import (
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/seed-1320b244/mfa/internal/keyring"
	"github.com/seed-1320b244/mfa/internal/otpcode"
)

// authenticator is one app as it is stored, and the codes that a user might type
// at now.
type authenticator struct {
	ring   *keyring.Ring
	sealed []byte
	secret []byte
	params otpcode.Params
	now    time.Time
	step   int64
	codes  []typed
}

type typed struct {
	name, text string
	right      bool
}

func newAuthenticator(tb testing.TB) *authenticator {
	tb.Helper()
	ring, err := keyring.Parse(keyring.New())
	if err != nil {
		tb.Fatal(err)
	}
	a := &authenticator{
		ring: ring, secret: make([]byte, 20), now: time.Date(2026, 3, 1, 9, 0, 10, 0, time.UTC),
		params: otpcode.Params{Algorithm: otpcode.SHA1, Digits: 6, Period: 30},
	}
	rand.Read(a.secret)
	a.sealed = ring.Seal(a.secret, "u/ada", "totp", "hN2mYt0rQ3yWqk5nJx8b1g")
	a.step = a.params.Step(a.now.Unix())
	right := map[string]bool{}
	for i, name := range []string{"previous", "current", "next"} {
		code := otpcode.Code(a.secret, a.params, a.step-1+int64(i))
		right[code] = true
		a.codes = append(a.codes, typed{name, code, true})
	}
	wrong := "000000"
	for n := 0; right[wrong]; n++ {
		wrong = fmt.Sprintf("%06d", n)
	}
	a.codes = append(a.codes, typed{"wrong", wrong, false})
	return a
}

// check is what a verification does with one authenticator: unseal, normalize,
// match.
func (a *authenticator) check(code string) bool {
	secret, err := a.ring.Open(a.sealed, "u/ada", "totp", "hN2mYt0rQ3yWqk5nJx8b1g")
	if err != nil {
		return false
	}
	normal, ok := otpcode.Normalize(code, a.params.Digits)
	r := otpcode.Match(secret, a.params, normal, otpcode.Window{Now: a.step, After: a.step - 2, Width: 1})
	return ok && r.Verdict == otpcode.Matched
}

// BenchmarkTOTP compares a code with the secret of one authenticator, from the
// sealed bytes in the record and the text that the user typed. Time must not
// depend on where in the window the code is, or whether it is.
//
// The peer is github.com/pquerna/otp, which does the comparison only: the secret
// lies open, as base32. It stops at the first match and does not say which step
// it was, so that a code can be used again.
func BenchmarkTOTP(b *testing.B) {
	a := newAuthenticator(b)
	text := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(a.secret)
	for _, code := range a.codes {
		verdict := func(right bool, err error) error {
			if right != code.right {
				return fmt.Errorf("verdict %v, error %v", right, err)
			}
			return nil
		}
		b.Run("code="+code.name+"/lib=mfa", func(b *testing.B) {
			measure(b, func() error { return verdict(a.check(code.text), nil) })
		})
		b.Run("code="+code.name+"/lib=pquerna", func(b *testing.B) {
			measure(b, func() error {
				return verdict(totp.ValidateCustom(code.text, text, a.now, totp.ValidateOpts{
					Period: 30, Skew: 1, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1,
				}))
			})
		})
	}
	b.Run("code=current/lib=floor", func(b *testing.B) { // one code of an open secret
		measure(b, func() error {
			otpcode.Code(a.secret, a.params, a.step)
			return nil
		})
	})
}

// One authenticator takes three allocations (what its secret is bound to, the
// secret, the normalized code), and as many whatever the code is.
func TestTOTP_Allocations(t *testing.T) {
	a := newAuthenticator(t)
	miss := testing.AllocsPerRun(100, func() { a.check("000000") })
	for _, code := range a.codes {
		t.Run(code.name, func(t *testing.T) {
			if got := testing.AllocsPerRun(100, func() { a.check(code.text) }); got > 3 || got != miss {
				t.Errorf("%v allocations, want at most 3 and %v as for any other code", got, miss)
			}
		})
	}
}
