package mfanotify

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"

	"github.com/seed-1320b244/mfa"
)

// ByChannel gives a message to the Notifier of its channel. It refuses one whose
// channel has none.
type ByChannel struct {
	Mail mfa.Notifier // for mfa.EmailCode
	SMS  mfa.Notifier // for mfa.SMSCode
}

// Notify implements mfa.Notifier.
func (b ByChannel) Notify(ctx context.Context, m mfa.Message) error {
	var to mfa.Notifier
	switch m.Channel {
	case mfa.EmailCode:
		to = b.Mail
	case mfa.SMSCode:
		to = b.SMS
	}
	if to == nil {
		return &DeliveryError{Step: fmt.Sprintf("channel %q", m.Channel), Permanent: true}
	}
	return to.Notify(ctx, m)
}

// InsecureLog returns a Notifier that writes every message to log, codes and
// tokens included, and sends nothing: for development on one's own machine. Whoever
// reads the log, or any place it is copied to, passes the second factor of every
// user while a code lives, and sets new passwords.
func InsecureLog(log *slog.Logger) mfa.Notifier { return insecureLog{log} }

type insecureLog struct{ log *slog.Logger }

func (l insecureLog) Notify(ctx context.Context, m mfa.Message) error {
	l.log.WarnContext(ctx, "mfanotify: not sent, because InsecureLog is for development",
		"kind", string(m.Kind), "channel", m.Channel.String(), "to", m.To, "code", m.Code(), "token", m.Token())
	return nil
}

type deliveryKey struct{}

// WithDelivery returns a context for one delivery of one message, in however many
// tries. Queue makes one for each notice; a queue of your own should too.
func WithDelivery(ctx context.Context) context.Context { return withDelivery(ctx, rand.Text()) }

func withDelivery(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, deliveryKey{}, id)
}

// Delivery returns the id of the delivery that ctx is for, a new one when it is
// for none: 26 characters of base32, random, equal over all tries of a message.
// FormPost gives it to the gateway and smtpnotify makes the Message-ID of it, so
// that a message whose acceptance got lost need not arrive twice.
func Delivery(ctx context.Context) string {
	if id, ok := ctx.Value(deliveryKey{}).(string); ok {
		return id
	}
	return rand.Text()
}
