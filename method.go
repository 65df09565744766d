package mfa

import "time"

// A Method is a way to prove something. The zero Method is invalid. The numbers
// are stored and never change.
type Method int

const (
	TOTP       Method = iota + 1 // a code from an authenticator app (RFC 6238)
	BackupCode                   // a look-up secret (SP 800-63B-4 section 3.1.2)
	EmailCode                    // a code sent by email
	SMSCode                      // a code sent by text message (SP 800-63B-4 section 3.1.3)
	Password                     // the first factor again: a password, or a sign-in at the provider
)

// String returns a stable word, "" for an invalid Method.
func (m Method) String() string {
	switch m {
	case TOTP:
		return "totp"
	case BackupCode:
		return "backup_code"
	case EmailCode:
		return "email_code"
	case SMSCode:
		return "sms_code"
	case Password:
		return "password"
	}
	return ""
}

// MarshalText implements encoding.TextMarshaler: a Method is its word in JSON, ""
// when it is zero.
func (m Method) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Method) UnmarshalText(text []byte) error {
	*m = methodOf(string(text))
	if *m == 0 && len(text) > 0 {
		return invalid("no method has this name")
	}
	return nil
}

// methodOf returns the Method whose word is s, 0 when none is.
func methodOf(s string) Method {
	for m := TOTP; m <= Password; m++ {
		if m.String() == s {
			return m
		}
	}
	return 0
}

// second reports whether m proves a second factor.
func (m Method) second() bool { return m >= TOTP && m <= SMSCode }

// sent reports whether m is a code that the Notifier delivers.
func (m Method) sent() bool { return m == EmailCode || m == SMSCode }

// Need is the next step of a flow and the methods that satisfy it. A zero Step says
// that nothing is missing any more: Pending.Skip goes on.
type Need struct {
	Step      Step
	Methods   []Method  // best first
	SkipUntil time.Time // Pending.Skip passes StepEnroll, and the code that comes before it, until then; zero: never
	Why       Reason
}

// A Step is one screen of a flow. The zero Step is invalid: nothing is missing.
type Step int

const (
	StepVerify      Step = iota + 1 // prove one of Methods
	StepEnroll                      // bind one of Methods
	StepSaveCodes                   // record the backup codes, then SaveCodes
	StepNewPassword                 // the host's own form, then Guard.CredentialsChanged
)

// String returns a stable word, "" for an invalid Step.
func (s Step) String() string {
	switch s {
	case StepVerify:
		return "verify"
	case StepEnroll:
		return "enroll"
	case StepSaveCodes:
		return "save_codes"
	case StepNewPassword:
		return "new_password"
	}
	return ""
}
