package mfa

import (
	"context"
	"net/netip"
	"time"
)

// A Notifier delivers codes and notices. Implementations are safe for concurrent
// use and return before ctx is done: after 5 seconds for a code, whose failure
// the user is told, and after 1 second for all notices of one operation, whose
// failure is an event only. A real installation puts notices in a queue.
//
// A Notifier does not log what Message.Code returns.
type Notifier interface {
	Notify(ctx context.Context, m Message) error
}

// A Message is one mail or text message, as facts: the Notifier finds the words.
// What a stranger wrote is in none of its fields but User, which the host knows.
type Message struct {
	// Kind says what the message is about.
	Kind MessageKind
	// Channel is EmailCode for a mail and SMSCode for a text message.
	Channel Method
	// To is the destination: an address, or a number in E.164 form.
	To string
	// User is whom it concerns, as the directory sees her. Of a user who is gone it
	// holds the ID only.
	User User
	// Method is the method concerned, zero when none is.
	Method Method
	// Action is what a code confirms: what ToConfirm was given, or "".
	Action string
	// Org is the organization concerned, or "".
	Org string
	// Device is what made the request, such as "Firefox on Windows", from a closed
	// list; "" when unknown.
	Device string
	// Addr is where the request came from, the zero Addr when unknown, and Place
	// what Config.Locator says of it, or "".
	Addr  netip.Addr
	Place string
	// At is when it happened, UTC.
	At time.Time
	// Expires is when the code is over; zero in a notice.
	Expires time.Time
	// Left is how many backup codes are left, in a notice about them.
	Left int

	code func() string // fmt prints a func as an address
}

// Code returns the code of a MessageCode or a MessageProof, "" of a notice.
func (m Message) Code() string { return call(m.code) }

// A MessageKind is a stable word: MessageCode, MessageProof, or for a notice the
// name of the event that it tells of. EventName lists those.
type MessageKind string

const (
	MessageCode  MessageKind = "code"          // a second factor: somebody signs in, or confirms an action
	MessageProof MessageKind = "prove_address" // shows that the address is the user's
)

// A Locator turns an address into an approximate place, such as "Lisbon,
// Portugal", "" when it is unknown. Implementations are quick and safe for
// concurrent use. The place is information for the user and never a proof.
type Locator interface {
	Locate(addr netip.Addr) string
}

// Addresses is an optional ability of Users: it stores an address or number that a
// user has just proven to be hers. New probes for it. Without it a proven address
// lives in the library alone, and replaces an empty one of the directory.
type Addresses interface {
	// SetAddress makes address the user's, for EmailCode or SMSCode. It is asked
	// again when its outcome is not known; doing it again changes nothing.
	SetAddress(ctx context.Context, user string, m Method, address string) error
}
