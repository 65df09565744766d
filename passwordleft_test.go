package mfa_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestR6_NotTheSameAgain: a password that must be replaced because somebody else knows
// it is not replaced by itself, wherever a new one is set; without such a reason it may.
func TestR6_NotTheSameAgain(t *testing.T) {
	for name, options := range map[string][]func(*mfa.Config){
		"the library's": nil, "the host's": {func(c *mfa.Config) { c.Passwords = &hostHashes{} }},
	} {
		t.Run(name, func(t *testing.T) {
			l := withPassword(t, options...)
			if out, err := l.session.ChangePassword(t.Context(), oldPassword, oldPassword); err != nil {
				t.Errorf("without a reason: %v", err)
			} else {
				l.session = out.Session
			}
			link := l.link(t)
			l.change(t, "ann", func(d *mfa.AccountData) { d.Compromised = true })
			out, err := l.typed(t, "ann", oldPassword, false)
			if err == nil {
				out, err = out.Pending.Verify(t.Context(), l.right())
			}
			if err != nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			_, err1 := out.Pending.SetPassword(t.Context(), oldPassword)
			_, err2 := l.session.ChangePassword(t.Context(), oldPassword, oldPassword)
			for i, err := range []error{err1, err2, l.Guard.ResetPassword(t.Context(), link, oldPassword, mfa.Client{}), l.Guard.SetPassword(t.Context(), "ann", oldPassword)} {
				weak, ok := errors.AsType[*mfa.WeakPasswordError](err)
				if !ok || len(weak.Unmet) != 1 || weak.Unmet[0].Reason != mfa.ReasonPasswordReused {
					t.Errorf("way %d: %v (%s), want it refused as reused", i+1, err, mfa.ReasonOf(err))
				}
			}
			l.tally.conflicts.Store(3)
			if _, err := l.pending(t, out.Pending.Token()).SetPassword(t.Context(), newPassword); err != nil {
				t.Errorf("another: %v (%s)", err, mfa.ReasonOf(err))
			}
		})
	}
}

// TestR5_HangingUp: a client that hangs up while its password is compared is counted.
func TestR5_HangingUp(t *testing.T) {
	l, h := withHashes(t)
	for login, commits := range map[string]int{"ann": 3, "nobody": 3} {
		ctx, cancel := context.WithCancel(t.Context())
		l.tally.take()
		h.meet = cancel
		_, err := l.Guard.SignInPassword(ctx, login, newPassword, mfa.SignIn{Client: mfatest.Phone()})
		if !errors.Is(err, mfa.ErrRefused) || len(l.tally.take()) != commits {
			t.Errorf("%s: %v (%s), want it counted", login, err, mfa.ReasonOf(err))
		}
	}
	if n := l.account(t, "ann").Tries["password"].Wrong; n != 1 {
		t.Errorf("%d are counted, want 1", n)
	}
}

// TestR32_LinksBeforeNotBefore: a restored backup may hold links that were used since.
// Config.NotBefore ends them, with everything else that was issued before.
func TestR32_LinksBeforeNotBefore(t *testing.T) {
	l := withBook(t)
	undo := l.move(t, "ann@example.net")
	reset := l.link(t)
	l.Clock.Advance(time.Minute)
	c := l.Config
	c.NotBefore = l.Clock.Now()
	g, err := mfa.New(c)
	if err != nil {
		t.Fatal(err)
	}
	wants(t, g.ResetPassword(t.Context(), reset, newPassword, mfa.Client{}), mfa.ErrRefused, mfa.ReasonNotFound)
	wants(t, g.UndoAddress(t.Context(), undo, mfa.Client{}), mfa.ErrRefused, mfa.ReasonNotFound)
	l.Guard = g
	if err := g.ResetPassword(t.Context(), l.link(t), newPassword, mfa.Client{}); err != nil {
		t.Errorf("a link of after: %v (%s)", err, mfa.ReasonOf(err))
	}
}
