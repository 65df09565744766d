package mfatest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/seed-1320b244/mfa"
)

// An Inbox is a Notifier that keeps what it is given: every mail and every text
// message, to whomever. The zero value is empty and ready.
type Inbox struct {
	mu       sync.Mutex
	messages []mfa.Message
	err      error
}

// Notify implements mfa.Notifier.
func (in *Inbox) Notify(ctx context.Context, m mfa.Message) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.err != nil {
		return in.err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	in.messages = append(in.messages, m)
	return nil
}

// Fail makes every delivery fail with err, until called with nil.
func (in *Inbox) Fail(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.err = err
}

// Messages returns what was delivered to a destination, oldest first, or
// everything when to is "".
func (in *Inbox) Messages(to string) []mfa.Message {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(in.messages), func(m mfa.Message) bool { return to != "" && m.To != to })
}

// Take returns what was delivered since the last call, oldest first.
func (in *Inbox) Take() []mfa.Message {
	in.mu.Lock()
	defer in.mu.Unlock()
	messages := in.messages
	in.messages = nil
	return messages
}

// Code returns the latest code that was sent to a destination. It ends the test
// when there is none.
func (in *Inbox) Code(t testing.TB, to string) string {
	t.Helper()
	messages := in.Messages(to)
	for _, m := range slices.Backward(messages) {
		if code := m.Code(); code != "" {
			return code
		}
	}
	t.Fatalf("no code among %d messages to %q", len(messages), to)
	return ""
}
