package mfa

import (
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/seed-1320b244/mfa/internal/keyring"
)

// Keys is a ring of 256-bit keys. The first seals, authenticates and makes
// tokens; all of them open. To replace a key: append the new one, and when every
// process has it, put it in front; call Guard.Reseal for every user; drop the old
// key a day later, when the last token made with it is over.
//
// Whoever has both the keys and the store can read the authenticator secrets.
// Printing or encoding Keys shows nothing of them.
type Keys struct {
	ring func() *keyring.Ring // fmt prints a func as an address
}

// ParseKeys reads keys as NewKey makes them, separated by white space or commas,
// at most 16. Its errors never show a key.
func ParseKeys(text string) (Keys, error) {
	ring, err := keyring.Parse(text)
	if err != nil {
		return Keys{}, fmt.Errorf("%w: keys: %w", ErrInvalid, err)
	}
	return Keys{func() *keyring.Ring { return ring }}, nil
}

// NewKey returns a new random key as text, to be kept where the host keeps its
// secrets and never beside the store.
func NewKey() string { return keyring.New() }

// Format implements fmt.Formatter: every verb prints the same.
func (k Keys) Format(f fmt.State, verb rune) { io.WriteString(f, "mfa.Keys(hidden)") }

// LogValue implements slog.LogValuer.
func (k Keys) LogValue() slog.Value { return slog.StringValue("mfa.Keys(hidden)") }

// MarshalText fails: keys are not written by accident.
func (k Keys) MarshalText() ([]byte, error) {
	return nil, errors.New("mfa: keys cannot be encoded")
}

// tokenReason tells apart why a token does not open.
func tokenReason(err error) Reason {
	if errors.Is(err, keyring.ErrUnknownKey) {
		return ReasonUnknownKey
	}
	return ReasonForgedToken
}
