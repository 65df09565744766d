package mfa

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Policy is the installation's rules and figures. The zero Policy is safe: it
// asks nobody for a second factor who did not turn one on, and limits guessing.
type Policy struct {
	Rules    Rules          // for every user; zero: MFA is the user's choice
	TOTP     TOTPPolicy     // of authenticators bound from now on; zero: what every app understands
	Limits   Limits         // against guessing and growth; zero: the figures named there
	Password PasswordPolicy // of new passwords; zero: 15 characters, no common ones
	// AddressCheck says when a user without a factor shows that she can read mail or
	// texts at a proven address before she binds the first. Zero: after a reset.
	AddressCheck AddressCheck
}

// PolicyClassic returns the zero Policy with the composition of passwords that many
// sites ask for: 8 characters, an upper-case and a lower-case letter, a digit. SP
// 800-63B-4 section 3.1.1.2 forbids such rules.
func PolicyClassic() Policy { return Policy{Password: classicPasswords()} }

// PolicyNIST returns a Policy that holds to SP 800-63B-4 at AAL2: a second factor at
// every sign-in and none that is mailed, no remembered browser, sessions of 24 hours
// that end when unused for one (section 2.2.3), passwords of 15 characters.
func PolicyNIST() Policy {
	return Policy{
		Rules:    Rules{Require: RequireAtSignIn, SessionFor: 24 * time.Hour, IdleFor: time.Hour},
		Password: nistPasswords(),
	}
}

// AddressCheck says when binding the first factor takes a code sent to a proven
// address besides. A user without such an address is not asked.
type AddressCheck int

const (
	AddressAfterReset    AddressCheck = iota // when an administrator has reset the factors
	AddressAlways                            // at every first enrollment too
	InsecureAddressNever                     // never: after a reset the password alone binds a factor, whoever has it
)

// Rules is what is asked of users: of everybody in Policy.Rules, of its members
// in those of an organization. An organization can only add to what the
// installation asks, and where its rules hold is its own door (Guard.Enter). At
// sign-in its Require counts for users whom it manages and for nobody else. The
// zero Rules asks for nothing.
type Rules struct {
	// Require says where a second factor must be proven. Zero: nowhere.
	Require Require
	// From is when Require begins to bind. Until then RequireAtSignIn invites users
	// who hold no factor to enroll, and they may skip; a door lets everybody pass.
	// Zero: at once. Not after the year 9999.
	From time.Time
	// Methods are the second factors that users may turn on and that satisfy
	// Require: TOTP, SMSCode, EmailCode. Nil: TOTP. A user who holds only others
	// verifies with one of them once more and then enrolls an allowed one. Text
	// messages are a restricted authenticator (SP 800-63B-4 section 3.1.3.3), and
	// mail is no authenticator at all by its section 3.1.3.1: allow TOTP besides.
	Methods []Method
	// Remember is for how long a user may have her browser remembered, so that
	// sign-in asks for no second factor there. Zero: not at all. 1 hour to 7 days.
	Remember time.Duration
	// SessionFor is how long a session lasts at most, whatever happens. Zero: 24
	// hours, the most that SP 800-63B-4 section 2.2.3 recommends for AAL2 and the
	// most allowed here. At least 5 minutes.
	SessionFor time.Duration
	// IdleFor ends a session that was not used for so long, give or take the
	// minute to which use is recorded. Zero: no such limit. SP 800-63B-4 section
	// 2.2.3 recommends 1 hour for AAL2. 2 minutes to 24 hours.
	IdleFor time.Duration
	// FreshFor is how old a proof may be for a sensitive action. Zero: 5 minutes.
	// 1 minute to 1 hour.
	FreshFor time.Duration
	// SSO says what a sign-in at an identity provider is worth, for each connection.
	// One that is not listed: SSOStillRequired. Nil: none is worth anything. At
	// most 32.
	SSO []Connection
	// Exempt are users whom Require does not bind: service accounts, which cannot
	// enroll. Nil: it binds everybody. At most 100.
	Exempt []string
	// ProofsNotBefore makes the door ask again whoever proved her second factor
	// earlier: one write after an incident. It may not lie ahead of Config.Now: New and
	// SetRules refuse that. Zero: a proof counts as long as its session.
	ProofsNotBefore time.Time
}

// Require says where rules ask for a second factor.
type Require int

const (
	RequireOff      Require = iota // nowhere
	RequireAtDoor                  // at Guard.Enter; a sign-in alone needs none
	RequireAtSignIn                // at sign-in of users whom the organization manages, and at the door
)

// TOTPPolicy is the profile of new authenticators. Each keeps the profile it was
// bound with. Apps on some platforms ignore anything but the zero profile: SHA-1,
// 6 digits, 30 seconds.
type TOTPPolicy struct {
	Algorithm Algorithm     // zero: SHA1
	Digits    int           // 6 or 8; zero: 6 (RFC 4226 section 5.3 asks at least 6)
	Period    time.Duration // 30 or 60 s; zero: 30 s (RFC 6238 section 5.2; SP 800-63B-4 section 3.1.4.1 allows at most 2 min)
	Window    Window        // zero: WindowOneStep
}

// Algorithm is the hash of an authenticator. HMAC-SHA-1 is not weakened by
// collisions of SHA-1 (RFC 4226 appendix B).
type Algorithm int

const (
	SHA1 Algorithm = iota
	SHA256
	SHA512
)

// Window is how far an authenticator's clock may be off. A wider window makes a
// guess likelier to hit and a stolen code useful for longer: RFC 6238 section 5.2
// recommends at most one step for delay.
type Window int

const (
	WindowOneStep  Window = iota // the current time step and one either way
	WindowNone                   // the current time step only
	WindowTwoSteps               // two either way; a code lives for up to 5 steps
)

// steps returns how many steps either way w allows, the fewest for a value that
// is none of the constants.
func (w Window) steps() int {
	switch w {
	case WindowOneStep:
		return 1
	case WindowTwoSteps:
		return 2
	default:
		return 0
	}
}

// Limits bounds guessing and growth. A zero field means its default; every field
// has a floor and a ceiling that New enforces.
type Limits struct {
	// TriesPerPending wrong proofs end a flow. Default 5; 1 to 10.
	TriesPerPending int
	// TriesBeforeWait wrong proofs of one method in a row, in however many flows,
	// make the method wait. Default 5; 1 to 10.
	TriesBeforeWait int
	// WaitMin is the first wait; each further wrong proof doubles it. Default 30 s
	// (SP 800-63B-4 section 3.2.2 names 30 s to 1 h); 10 s to 10 min.
	WaitMin time.Duration
	// WaitMax bounds the wait. Default 1 h; 1 min to 24 h and at least WaitMin.
	// Backup codes wait 60 s at most whatever it says: the way back stays open.
	WaitMax time.Duration
	// TriesBeforeDisable wrong proofs in a row disable the method until it is
	// bound anew or reset. Default and ceiling 100 (SP 800-63B-4 section 3.2.2);
	// floor 10. Backup codes, of 70 bits, are never disabled.
	TriesBeforeDisable int
	// FailuresBeforeSuspect failed second factors after a right password, within
	// 30 days and whatever succeeded between, mean that somebody else knows the
	// password: it must be changed at the next full sign-in. Default 20; 10 to 50.
	FailuresBeforeSuspect int
	// SessionsPerUser, PendingsPerUser, BrowsersPerUser: one more ends the oldest.
	// Default 20, 16 and 10; 1 to 20, 2 to 16 and 1 to 10.
	SessionsPerUser, PendingsPerUser, BrowsersPerUser int
	// SMSPerNetwork, SMSPerPrefix and SMSPerInstallation bound the text messages of
	// an hour that one network asks for (an IPv4 address, or an IPv6 /56), that go
	// to numbers with the same first 7 digits, and that are sent in all: whoever
	// earns from calls to numbers of his own must not send thousands. Default 20, 60
	// and 1000; 1 to 1,000, 10,000 and 1,000,000.
	SMSPerNetwork, SMSPerPrefix, SMSPerInstallation int
	// PasswordsPerNetwork bounds the passwords that one network tries in an hour, right
	// ones too: an office behind one address signs in once a morning. PasswordsPerLogin
	// bounds those for one login, from browsers that are not known there.
	// RecoversPerNetwork bounds the links to a new password that a network asks for.
	// Default 600, 30 and 30; 10 to 100,000, 10 to 1,000 and 1 to 10,000.
	PasswordsPerNetwork, PasswordsPerLogin, RecoversPerNetwork int
}

const (
	pendingFor        = 10 * time.Minute    // SP 800-63B-4 section 3.1.3.2 caps short codes at this
	suspectWindow     = 30 * 24 * time.Hour // see Limits.FailuresBeforeSuspect
	backupWaitMax     = 60 * time.Second    // see Limits.WaitMax
	touchEvery        = time.Minute         // how exactly last activity is recorded
	minIdle           = 2 * time.Minute     // the shortest Rules.IdleFor
	maxAuthenticators = 3
)

// resolved returns p with every default filled in, and an error that names every
// field that is out of bounds.
func (p Policy) resolved() (Policy, error) { return p.checked("Policy.") }

// checked is resolved with names of fields that begin with path.
func (p Policy) checked(path string) (Policy, error) {
	var errs []error
	bad := func(field string, value any, want string) {
		errs = append(errs, fmt.Errorf("%s%s is %v, want %s", path, field, value, want))
	}
	p.Rules.check(bad)
	if r := p.Rules.Require; r < RequireOff || r > RequireAtSignIn {
		bad("Rules.Require", int(r), "a constant")
	}
	if c := p.AddressCheck; c < AddressAfterReset || c > InsecureAddressNever {
		bad("AddressCheck", int(c), "a constant")
	}
	var ok bool
	if p.Rules.Methods, ok = ranked(p.Rules.Methods); !ok {
		bad("Rules.Methods", p.Rules.Methods, "TOTP, SMSCode and EmailCode, each once, or nil")
	}
	if d := p.Rules.Remember; d != 0 && (d < time.Hour || d > 7*24*time.Hour) {
		bad("Rules.Remember", d, "1h0m0s to 168h0m0s, or 0 for never")
	}
	p.Password = p.Password.resolved(bad)
	if a := p.TOTP.Algorithm; a < SHA1 || a > SHA512 {
		bad("TOTP.Algorithm", int(a), "a constant")
	}
	if w := p.TOTP.Window; w < WindowOneStep || w > WindowTwoSteps {
		bad("TOTP.Window", int(w), "a constant")
	}
	p.counts(bad)
	p.durations(bad)
	if p.TOTP.Digits == 7 {
		bad("TOTP.Digits", 7, "6 or 8: apps know no other")
	}
	if d := p.TOTP.Period; d > 30*time.Second && d < 60*time.Second {
		bad("TOTP.Period", d, "30s or 1m0s: apps know no other")
	}
	if d := p.Rules.IdleFor; d != 0 && (d < minIdle || d > 24*time.Hour) {
		bad("Rules.IdleFor", d, "2m0s to 24h0m0s, or 0 for none")
	}
	if p.Limits.WaitMax < p.Limits.WaitMin {
		bad("Limits.WaitMax", p.Limits.WaitMax, "at least Limits.WaitMin")
	}
	return p, errors.Join(errs...)
}

// ranked returns methods with the best first, TOTP for nil, and whether each is
// one that a user can hold, named once.
func ranked(methods []Method) ([]Method, bool) {
	if methods == nil {
		return []Method{TOTP}, true
	}
	var best []Method
	for _, m := range []Method{TOTP, SMSCode, EmailCode} {
		if slices.Contains(methods, m) {
			best = append(best, m)
		}
	}
	if len(best) == 0 || len(best) != len(methods) {
		return methods, false
	}
	return best, true
}

// counts fills in and checks the figures that are numbers.
func (p *Policy) counts(bad func(field string, value any, want string)) {
	l := &p.Limits
	for _, f := range []struct {
		name                 string
		field                *int
		zero, floor, ceiling int
	}{
		{"TOTP.Digits", &p.TOTP.Digits, 6, 6, 8},
		{"Limits.TriesPerPending", &l.TriesPerPending, 5, 1, 10},
		{"Limits.TriesBeforeWait", &l.TriesBeforeWait, 5, 1, 10},
		{"Limits.TriesBeforeDisable", &l.TriesBeforeDisable, 100, 10, 100},
		{"Limits.FailuresBeforeSuspect", &l.FailuresBeforeSuspect, 20, 10, 50},
		{"Limits.SessionsPerUser", &l.SessionsPerUser, 20, 1, 20},
		{"Limits.PendingsPerUser", &l.PendingsPerUser, 16, 2, 16},
		{"Limits.BrowsersPerUser", &l.BrowsersPerUser, 10, 1, 10},
		{"Limits.SMSPerNetwork", &l.SMSPerNetwork, 20, 1, 1_000},
		{"Limits.SMSPerPrefix", &l.SMSPerPrefix, 60, 1, 10_000},
		{"Limits.SMSPerInstallation", &l.SMSPerInstallation, 1_000, 1, 1_000_000},
		{"Limits.PasswordsPerNetwork", &l.PasswordsPerNetwork, 600, 10, 100_000},
		{"Limits.PasswordsPerLogin", &l.PasswordsPerLogin, 30, 10, 1_000},
		{"Limits.RecoversPerNetwork", &l.RecoversPerNetwork, 30, 1, 10_000},
	} {
		if *f.field == 0 {
			*f.field = f.zero
		}
		if *f.field < f.floor || *f.field > f.ceiling {
			bad(f.name, *f.field, fmt.Sprintf("%d to %d", f.floor, f.ceiling))
		}
	}
}

// durations fills in and checks the figures that are times.
func (p *Policy) durations(bad func(field string, value any, want string)) {
	l := &p.Limits
	for _, f := range []struct {
		name                 string
		field                *time.Duration
		zero, floor, ceiling time.Duration
	}{
		{"TOTP.Period", &p.TOTP.Period, 30 * time.Second, 30 * time.Second, 60 * time.Second},
		{"Rules.SessionFor", &p.Rules.SessionFor, 24 * time.Hour, 5 * time.Minute, 24 * time.Hour},
		{"Rules.FreshFor", &p.Rules.FreshFor, 5 * time.Minute, time.Minute, time.Hour},
		{"Limits.WaitMin", &l.WaitMin, 30 * time.Second, 10 * time.Second, 10 * time.Minute},
		{"Limits.WaitMax", &l.WaitMax, time.Hour, time.Minute, 24 * time.Hour},
	} {
		if *f.field == 0 {
			*f.field = f.zero
		}
		if *f.field < f.floor || *f.field > f.ceiling {
			bad(f.name, *f.field, fmt.Sprintf("%v to %v", f.floor, f.ceiling))
		}
	}
}
