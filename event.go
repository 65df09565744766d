package mfa

import (
	"context"
	"log/slog"
	"time"
)

// An Event is one thing that happened to a user, or was refused. It never holds
// a secret, a code or a token.
type Event struct {
	// ID is the same in all events of one operation, however often the operation
	// had to be run again. Each event is reported once.
	ID   string
	Name EventName
	// Actor is who did it: the user's id, what Guard.Operator was given, or "host"
	// when the host itself acted, as in Guard.Disable.
	Actor string
	// User is whom it concerns, "" when that is an organization as a whole.
	User string
	// Method is the method concerned, zero when none is.
	Method Method
	// Reason says why, "" when the name says it all.
	Reason Reason
	// Org is the organization concerned, or "".
	Org string
	// Session is the public id of the session concerned, or "".
	Session string
	// Note is what Guard.Operator was given as its reason: free text, at most 200
	// code points, without control characters. Of EventRulesChanged and
	// EventRulesWeakened it is the fields of Rules that changed, or that ask for less.
	Note string
	// Client is the peer, zero when the host or an operator acted. In
	// Overview.Activity it has no user agent, and Device says what it was.
	Client Client
	Device string
	At     time.Time // UTC
}

// An EventName is a stable word. Names are added, never changed.
type EventName string

// The events. Those marked * also enter the user's history, and of those marked !
// she is told through the Notifier; of all, when an administrator of an
// organization acts.
const (
	EventSignInStarted      EventName = "sign_in_started"      // first factor right, more is asked
	EventSignInRefused      EventName = "sign_in_refused"      // first factor right, and refused all the same
	EventSignedIn           EventName = "signed_in"            // * a session began
	EventSignedOut          EventName = "signed_out"           // * its user ended it, or a new sign-in in its browser did
	EventFlowCanceled       EventName = "flow_canceled"        // a flow was given up, or ended by a sign-in in its browser
	EventSteppedUp          EventName = "stepped_up"           // * a session was elevated
	EventProofRefused       EventName = "proof_refused"        // a wrong, reused, malformed or throttled proof
	EventMethodLocked       EventName = "method_locked"        // *! too many wrong in a row: it waits
	EventMethodDisabled     EventName = "method_disabled"      // *! far too many: it must be bound again
	EventMethodUnlocked     EventName = "method_unlocked"      // * the waits ended early
	EventPasswordSuspect    EventName = "password_compromised" // *! failed second factors after the right password add up
	EventFactorAdded        EventName = "factor_added"         // *! an authenticator was bound
	EventFactorRenamed      EventName = "factor_renamed"       // *
	EventFactorRemoved      EventName = "factor_removed"       // *!
	EventCodesIssued        EventName = "codes_issued"         // *! the old ones are void
	EventCodesSaved         EventName = "codes_saved"          // *
	EventCodeUsed           EventName = "code_used"            // *! a backup code
	EventAskChanged         EventName = "ask_changed"          // *! the "ask at sign-in" switch
	EventSessionsEnded      EventName = "sessions_ended"       // * by revocation, by support, or to make room
	EventFactorsReset       EventName = "factors_reset"        // *! by an administrator
	EventUserDisabled       EventName = "user_disabled"        // *
	EventUserEnabled        EventName = "user_enabled"         // *
	EventUserForgotten      EventName = "user_forgotten"       // its history is erased
	EventCredentialsChanged EventName = "credentials_changed"  // *!
	EventCodeSent           EventName = "code_sent"            // by mail or text message
	EventUndelivered        EventName = "undelivered"          // the Notifier failed: a code, or notices
	EventAddressProven      EventName = "address_proven"       // * a mail address or a number is the user's
	EventAddressChanged     EventName = "address_changed"      // *! another address is proven, or the directory names one
	EventNewDevice          EventName = "new_device"           // ! a session began in a browser that was not seen before
	EventSecondFactorFailed EventName = "second_factor_failed" // *! wrong codes after the right password; at most once a day
	EventBrowserRemembered  EventName = "browser_remembered"   // *! sign-in asks for no code there
	EventBrowsersForgotten  EventName = "browsers_forgotten"   // * by the user, or by a change of what she holds
	EventResetSent          EventName = "reset_sent"           // * a link to a new password
	EventAddressRestored    EventName = "address_restored"     // *! by the link that the old address got
	EventBreachUnchecked    EventName = "breach_unchecked"     // PasswordPolicy.Breach failed
	EventImported           EventName = "imported"             // * from another system
	EventResealed           EventName = "resealed"             // under the first key
	EventPasswordForced     EventName = "password_forced"      // *! an administrator asks for a new password
	EventRulesChanged       EventName = "rules_changed"        // * of an organization
	EventRulesWeakened      EventName = "rules_weakened"       // ! the rules of an organization ask for less: once for each of its owners
)

// LogEvents returns a Config.OnEvent that writes each event to log as one
// record. Refusals, locks, disabled methods and suspect passwords are warnings,
// everything else is information.
func LogEvents(log *slog.Logger) func(context.Context, Event) {
	return func(ctx context.Context, e Event) {
		level := slog.LevelInfo
		switch e.Name {
		case EventProofRefused, EventSignInRefused, EventMethodLocked, EventMethodDisabled, EventPasswordSuspect, EventSecondFactorFailed, EventUndelivered,
			EventRulesWeakened:
			level = slog.LevelWarn
		}
		log.LogAttrs(ctx, level, "mfa: "+string(e.Name), slog.Any("event", e))
	}
}

// LogValue implements slog.LogValuer. Empty fields are left out.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("id", e.ID), slog.String("name", string(e.Name)), slog.Time("at", e.At)}
	for _, a := range []struct{ key, value string }{
		{"actor", e.Actor}, {"user", e.User}, {"method", e.Method.String()}, {"reason", string(e.Reason)},
		{"org", e.Org}, {"session", e.Session}, {"note", e.Note}, {"device", e.Device}, {"user_agent", e.Client.UserAgent},
	} {
		if a.value != "" {
			attrs = append(attrs, slog.String(a.key, a.value))
		}
	}
	if e.Client.Addr.IsValid() {
		attrs = append(attrs, slog.String("addr", e.Client.Addr.String()))
	}
	return slog.GroupValue(attrs...)
}

// history is the user's own view of what happened: a record of its own, so that
// it never crowds the account. The newest entries wait in the account until they are
// worth a write of it.
type history struct {
	V       int     `json:"v"`
	Entries []entry `json:"e"` // oldest first
}

func (h *history) version() int { return h.V }

// maxHistory bounds the entries; the oldest goes.
const maxHistory = 50

type entry struct {
	Name    EventName `json:"n"`
	At      int64     `json:"t"`
	Method  string    `json:"m,omitempty"` // Method.String
	Reason  Reason    `json:"r,omitempty"`
	Actor   string    `json:"a,omitempty"` // when not the user
	Org     string    `json:"o,omitempty"`
	Note    string    `json:"w,omitempty"` // of an organization's
	Session string    `json:"s,omitempty"`
	Device  string    `json:"d,omitempty"`
	Addr    string    `json:"i,omitempty"`
}

// kept reports whether events of this name enter the history. A
// flood of what an attacker can cause must not push everything else out; what only
// an operator needs stays out too.
func (n EventName) kept() bool {
	switch n {
	case EventSignInStarted, EventSignInRefused, EventFlowCanceled, EventProofRefused, EventUserForgotten, EventResealed,
		EventCodeSent, EventUndelivered, EventNewDevice, EventBreachUnchecked, EventRulesWeakened:
		return false
	}
	return true
}

// noticed reports whether the user is told of events of this name.
func (n EventName) noticed() bool {
	switch n {
	case EventMethodLocked, EventMethodDisabled, EventPasswordSuspect, EventFactorAdded, EventFactorRemoved, EventCodesIssued,
		EventCodeUsed, EventAskChanged, EventFactorsReset, EventCredentialsChanged, EventAddressChanged, EventNewDevice,
		EventSecondFactorFailed, EventBrowserRemembered, EventAddressRestored, EventPasswordForced, EventRulesWeakened:
		return true
	}
	return false
}
