package mfa

import (
	"context"
	"unicode/utf8"
)

// Users is the host's user directory. It is asked at every sign-in, at every step
// of a flow and by every operation of a Session or an Admin, never by Guard.Session
// and Guard.Enter. Implementations are safe for concurrent use.
type Users interface {
	// User returns the user whose ID is id, or an error wrapping ErrNoUser.
	User(ctx context.Context, id string) (User, error)
}

// Marker is an optional ability of Users: one boolean for each user and each
// organization, kept by the host in a place of its own, so that a lost record is
// noticed. Without it an account whose record is gone looks like one that never
// had a factor, and a password alone leads to enrollment; an organization whose
// rules are gone looks like one that asks for nothing. New probes for it.
type Marker interface {
	// Enrolled returns what MarkEnrolled stored last, false when it never did. It
	// is asked only when the user's account record is absent.
	Enrolled(ctx context.Context, user string) (bool, error)
	// MarkEnrolled stores whether the user holds a factor: true before the first
	// is bound, false after the last is gone. Doing it again changes nothing.
	MarkEnrolled(ctx context.Context, user string, enrolled bool) error
	// Ruled returns what MarkRuled stored last of an organization, false when it
	// never did. It is asked only when the record of its rules is absent: at the door
	// of an organization that never had rules that is each request, so answer from
	// memory.
	Ruled(ctx context.Context, org string) (bool, error)
	// MarkRuled stores that the organization has rules: before the first bind. It is
	// never told false, the host forgets the mark with the organization.
	MarkRuled(ctx context.Context, org string, ruled bool) error
}

// User is what the library must know about one user, at this moment.
type User struct {
	// ID is the host's own, never reused for another person: 1 to 254 bytes of
	// UTF-8 without control characters.
	ID string
	// Name is shown in authenticator apps beside the issuer: what the user signs
	// in with, usually. When it does not fit there (64 code points, no colon), ID
	// is shown.
	Name string
	// Locale is for the Notifier, such as "pt-BR"; the library does not read it.
	Locale string
	// Email is the user's mail address, and Phone her mobile number in E.164 form
	// ("+351912345678"); "" for none. One of another form is taken for unproven.
	Email, Phone string
	// EmailVerified, PhoneVerified: the host has made sure that it is hers. Codes go
	// to such an address, or to one that the library itself has seen proven, and
	// nowhere else.
	EmailVerified, PhoneVerified bool
	// Admin: she administers the installation.
	Admin bool
	// ManagedBy is the organization that owns the account, "" for none. It may reset
	// her factors, and its rules hold at sign-in.
	ManagedBy string
	// Orgs are the organizations that she is a member of. Guard.Enter does not ask;
	// but who is none gets no step-up at the door. Nil: none.
	Orgs []Membership
	// Disabled users pass nowhere. Sessions they have live on until the host calls
	// Guard.Disable.
	Disabled bool
}

const (
	kindAccount = "account"
	kindHistory = "history"
	kindSession = "session"
	kindPending = "pending"
	kindBrowser = "browser"

	recordVersion = 1        // of the JSON; additive, so that version 1 is readable for ever
	maxRecord     = 16 << 10 // of an account
)

// account is everything that a user holds and everything that was counted
// against her. It is the owner's lock: every commit that begins or ends a
// session or a flow writes it too, on condition that nobody else did since it
// was read.
type account struct {
	V           int                `json:"v"`
	TOTP        []authenticator    `json:"totp,omitempty"`
	Codes       keptCodes          `json:"codes,omitempty"`
	CodeSet     string             `json:"codeset,omitempty"`   // which set Codes belong to
	Unsaved     bool               `json:"unsaved,omitempty"`   // the set was never confirmed as recorded
	Addresses   map[string]address `json:"addresses,omitempty"` // by Method.String
	Ask         bool               `json:"ask,omitempty"`       // ask at sign-in
	MustEnroll  bool               `json:"mustenroll,omitempty"`
	Tries       map[string]tries   `json:"tries,omitempty"`     // by Method.String
	WeakCodes   bool               `json:"weakcodes,omitempty"` // imported, and of less than 64 bits
	Import      []byte             `json:"import,omitempty"`    // MAC of what was imported
	Password    passwordData       `json:"password,omitzero"`
	Failures    []int64            `json:"failures,omitempty"` // failed second factors after a right password, 30 days
	Compromised bool               `json:"compromised,omitempty"`
	Entered     bool               `json:"entered,omitempty"`  // a session began once: another browser is news
	Warned      int64              `json:"warned,omitempty"`   // when the user was last told of failed second factors
	Changes     int                `json:"changes,omitempty"`  // how often the credentials changed
	Verified    int64              `json:"verified,omitempty"` // when a second factor was last proven
	SSO         *firstData         `json:"sso,omitempty"`      // of the last sign-in, when it was at a provider
	Recent      past               `json:"recent,omitzero"`    // entries that are not in the history yet
	Disabled    bool               `json:"disabled,omitempty"`
	Forgotten   bool               `json:"forgotten,omitempty"` // a tombstone: the record expires
}

func (a *account) version() int { return a.V }

// reason returns why nobody may pass as this user, "" when it is only a matter of
// proofs.
func (a *account) reason(u User) Reason {
	switch {
	case a.Forgotten:
		return ReasonUserForgotten
	case a.Disabled, u.Disabled:
		return ReasonUserDisabled
	}
	return ""
}

// holds reports whether the user holds a factor that backup codes stand in for.
func (a *account) holds() bool { return a.has(TOTP) || a.has(SMSCode) || a.has(EmailCode) }

// has reports whether m is a factor of the user.
func (a *account) has(m Method) bool {
	return m == TOTP && len(a.TOTP) > 0 || a.Addresses[m.String()].Held
}

// disabled reports whether m must be bound anew. Imported backup codes that could be
// guessed are treated like codes of an app.
func (a *account) disabled(l Limits, m Method) bool {
	t := a.Tries[m.String()]
	return t.disabled(l, m) || m == BackupCode && a.WeakCodes && t.Wrong >= l.TriesBeforeDisable
}

// setTries replaces the count of m.
func (a *account) setTries(m Method, t tries) {
	if a.Tries == nil {
		a.Tries = make(map[string]tries)
	}
	a.Tries[m.String()] = t
}

// validUser reports whether id can be a user's.
func validUser(id string) bool { return id != "" && validOwner(ownerOf(id)) }

// validText reports whether s is at most limit code points of valid UTF-8 that
// change neither lines nor the direction of writing where they are shown.
func validText(s string, limit int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= limit && !hasControl(s)
}

// hasControl reports whether s holds a control character, C0 or C1, or one that
// turns the direction of writing.
func hasControl(s string) bool {
	for _, r := range s {
		switch {
		case r < 0x20, 0x7f <= r && r <= 0x9f, 0x2028 <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069:
			return true
		}
	}
	return false
}
