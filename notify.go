package mfa

import (
	"context"
	"net/netip"
	"slices"
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

	code, token func() string // fmt prints a func as an address
}

// Code returns the code of a MessageCode or a MessageProof, "" of a notice.
func (m Message) Code() string { return call(m.code) }

// Token returns what makes up a link: of a MessageReset for Guard.ResetPassword, of
// a notice that an address was replaced for Guard.UndoAddress; "" of others. The
// link begins with the host's configured address, never with a request's Host.
func (m Message) Token() string { return call(m.token) }

// A MessageKind is a stable word: MessageCode, MessageProof, or for a notice the
// name of the event that it tells of. EventName lists those.
type MessageKind string

const (
	MessageCode  MessageKind = "code"           // a second factor: somebody signs in, or confirms an action
	MessageProof MessageKind = "prove_address"  // shows that the address is the user's
	MessageReset MessageKind = "reset_password" // leads to a new password
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

const notifyWithin = time.Second // for all notices of one operation

// message returns what a message about e says.
func (s *state) message(kind MessageKind, e Event) Message {
	return Message{
		Kind: kind, User: s.user, Method: e.Method, Org: e.Org, Device: s.device,
		Addr: s.client.Addr, Place: s.g.locate(s.client.Addr), At: s.now.UTC(), Left: len(s.account.data.Codes),
	}
}

// notice returns the messages that tell the user of e: one to each mail address
// that is known to be hers, or to her number when there is none.
func (s *state) notice(e Event) []Message {
	var all []Message
	for _, m := range []Method{EmailCode, SMSCode} {
		if len(all) > 0 && e.Name != EventAddressChanged {
			break
		}
		for _, to := range s.known(m) {
			msg := s.message(MessageKind(e.Name), e)
			msg.Channel, msg.To = m, to
			all = append(all, msg)
		}
	}
	return all
}

// known returns the addresses that are known to be the user's: the pinned one, and
// the one that the host has verified.
func (s *state) known(m Method) []string {
	var all []string
	if pinned := s.openAddress(m, s.address(m).Sealed); pinned != "" {
		all = append(all, pinned)
	}
	if listed, verified := s.user.listed(m); verified && m.validAddress(listed) && !slices.Contains(all, listed) {
		all = append(all, listed)
	}
	return all
}

// notify sends notices. What they tell of stands already: a failure is an event.
func (g *Guard) notify(ctx context.Context, notices []Message) {
	if len(notices) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), notifyWithin)
	defer cancel()
	for _, m := range notices {
		if err := g.post(ctx, m); err != nil {
			g.report(ctx, Event{
				Name: EventUndelivered, Actor: m.User.ID, User: m.User.ID, Method: m.Channel, Reason: Reason(m.Kind), At: m.At,
			})
		}
	}
}

// post sends one notice. A text message draws on what all of them may cost: whoever
// earns from calls to her own number must not have notices sent where codes are not.
func (g *Guard) post(ctx context.Context, m Message) error {
	if m.Channel == SMSCode {
		if err := g.afford(ctx, m, false); err != nil {
			return err
		}
	}
	return g.notifier.Notify(ctx, m)
}

// locate returns the place of an address, cleaned of what breaks a page or a mail.
func (g *Guard) locate(addr netip.Addr) string {
	if g.locator == nil || !addr.IsValid() {
		return ""
	}
	place := g.locator.Locate(addr)
	if !validText(place, maxName) {
		return ""
	}
	return place
}
