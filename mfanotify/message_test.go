package mfanotify_test

import (
	"net/netip"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfanotify"
)

// kinds are the kinds of message that have words of their own.
var kinds = []mfa.MessageKind{
	mfa.MessageCode, mfa.MessageProof, mfa.MessageReset, "new_device", "second_factor_failed", "factor_added", "factor_removed", "codes_issued",
	"code_used", "method_locked", "method_disabled", "password_compromised", "credentials_changed", "factors_reset",
	"address_proven", "address_changed", "ask_changed", "rules_weakened", "browser_remembered",
	"address_restored", "password_forced", "sessions_ended", "method_unlocked",
}

const code, token = "024680", "v1_t0ken-of-a-link"

// withCode puts a code where the library keeps it, out of reach of a host.
func withCode(m mfa.Message, code string) mfa.Message { return with(m, "code", code) }

func withToken(m mfa.Message, token string) mfa.Message { return with(m, "token", token) }

func with(m mfa.Message, field, value string) mfa.Message {
	f := reflect.ValueOf(&m).Elem().FieldByName(field)
	reflect.NewAt(f.Type(), f.Addr().UnsafePointer()).Elem().Set(reflect.ValueOf(func() string { return value }))
	return m
}

// message returns a message of a kind with every fact that it can have.
func message(kind mfa.MessageKind, channel mfa.Method, locale string) mfa.Message {
	m := mfa.Message{
		Kind: kind, Channel: channel, To: "alice@example.org",
		User:   mfa.User{ID: "u-1", Name: "alice", Locale: locale, Email: "alice@example.org"},
		Device: "Firefox on Windows", Addr: netip.MustParseAddr("192.0.2.7"), Place: "Lisbon, Portugal",
		At: time.Date(2026, 3, 1, 9, 4, 59, 0, time.UTC),
	}
	if channel == mfa.SMSCode {
		m.To = "+351912345678"
	}
	switch kind {
	case mfa.MessageCode, mfa.MessageProof:
		m.Expires = m.At.Add(10 * time.Minute)
		m.Method = channel
		m = withCode(m, code)
	case mfa.MessageReset:
		m.Method, m.Expires = mfa.Password, m.At.Add(time.Hour)
		m = withToken(m, token)
	case "factor_added", "factor_removed", "method_locked", "method_disabled", "method_unlocked":
		m.Method = mfa.TOTP
	case "address_proven":
		m.Method = mfa.EmailCode
	case "address_changed":
		m.Method, m.Expires = mfa.EmailCode, m.At.Add(72*time.Hour)
		m = withToken(m, token)
	case "code_used":
		m.Method, m.Left = mfa.BackupCode, 3
	case "rules_weakened":
		m.Org = "acme"
	}
	return m
}

func newWords(t testing.TB) *mfanotify.Words {
	t.Helper()
	words, err := examples()
	if err != nil {
		t.Fatal(err)
	}
	return words
}

// examples is made once: a fuzz target asks for it a thousand times a second.
var examples = sync.OnceValues(func() (*mfanotify.Words, error) {
	return mfanotify.New(mfanotify.Config{Product: "Example", Support: "security@example.com", Host: "example.com", ResetURL: resetURL, UndoURL: undoURL})
})

const resetURL, undoURL = "https://example.com/new-password?step=2&token=", "https://example.com/undo#"
