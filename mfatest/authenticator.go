package mfatest

import (
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"github.com/pquerna/otp"

	"github.com/seed-1320b244/mfa/internal/otpcode"
)

// An Authenticator is an authenticator app with one account in it.
type Authenticator struct {
	secret []byte
	params otpcode.Params
	// Issuer and Account are what an app shows.
	Issuer, Account string
}

// NewAuthenticator scans an otpauth URI, as mfa.Setup.URI returns it.
func NewAuthenticator(uri string) (*Authenticator, error) {
	key, err := otp.NewKeyFromURL(uri)
	if err != nil {
		return nil, fmt.Errorf("mfatest: %w", err)
	}
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(key.Secret()))
	if err != nil || key.Type() != "totp" {
		return nil, fmt.Errorf("mfatest: not an otpauth URI of a TOTP key")
	}
	p := otpcode.Params{
		Algorithm: otpcode.Algorithm(key.Algorithm().String()), Digits: key.Digits().Length(), Period: int64(key.Period()),
	}
	if err := p.Check(); err != nil {
		return nil, fmt.Errorf("mfatest: %w", err)
	}
	return &Authenticator{secret, p, key.Issuer(), key.AccountName()}, nil
}

// Code returns what the app shows at now.
func (a *Authenticator) Code(now time.Time) string {
	return otpcode.Code(a.secret, a.params, a.params.Step(now.Unix()))
}

// Wrong returns a code that is right at no time within two steps of now.
func (a *Authenticator) Wrong(now time.Time) string {
	right := make(map[string]bool)
	for i := time.Duration(-2); i <= 2; i++ {
		right[a.Code(now.Add(i*a.Period()))] = true
	}
	for n := 0; ; n++ {
		if code := fmt.Sprintf("%0*d", a.params.Digits, n); !right[code] {
			return code
		}
	}
}

// Period is how long a code is shown.
func (a *Authenticator) Period() time.Duration { return time.Duration(a.params.Period) * time.Second }
