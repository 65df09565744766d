package mfa_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
)

// TestR16_MethodNotAllowed: R10 and R16: a browser that was remembered for a method
// which the rules allow no more opens neither the sign-in nor a door, and leads to no
// enrollment without a proof.
func TestR16_MethodNotAllowed(t *testing.T) {
	l := newLab(t, postal, requiring(mfa.RequireAtSignIn))
	b := l.surf()
	l.Users.Add(mfa.User{ID: "ann", Email: "ann@example.org", EmailVerified: true})
	if err := l.enter(t, l.right()).SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
		t.Fatal(err)
	}
	b.mailed(t)
	b.skipping(t, true)
	l.under(t, func(c *mfa.Config) { c.Policy.Rules.Methods = []mfa.Method{mfa.TOTP} })
	b.skipping(t, false)
	l.change(t, "ann", func(d *mfa.AccountData) { d.TOTP, d.Codes = nil, nil })
	b.skipping(t, false)
	l.under(t, func(c *mfa.Config) { c.Policy.Rules.Require = mfa.RequireOff })
	b.skipping(t, true) // no rule asks, and her own switch is satisfied
}

// mailed signs ann in with a code by mail and has the browser remembered.
func (b *surfer) mailed(t testing.TB) {
	t.Helper()
	b.Clock.Advance(time.Minute)
	out, err := b.arrive(t, "ann")
	if err == nil {
		_, err = out.Pending.Send(t.Context(), mfa.EmailCode)
	}
	if err == nil {
		out, err = out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.EmailCode, Code: b.Inbox.Code(t, "ann@example.org"), Remember: true})
	}
	if err != nil || out.Session == nil {
		t.Fatalf("a code by mail: %v (%s)", err, mfa.ReasonOf(err))
	}
	b.keep("ann", out)
}

// TestR11_BackupCodesNeverRemember: nor does a wrong code, a code typed anywhere but
// at a sign-in, or one where the rules remember nothing.
func TestR11_BackupCodesNeverRemember(t *testing.T) {
	l := newLab(t, postal)
	b := l.surf()
	pr := l.backup(0)
	pr.Remember = true
	b.typed(t, pr)
	b.skipping(t, false)

	out, err := b.arrive(t, "ann")
	if err != nil {
		t.Fatal(err)
	}
	wrong := l.wrong()
	wrong.Remember = true
	if _, err := out.Pending.Verify(t.Context(), wrong); !errors.Is(err, mfa.ErrRefused) {
		t.Fatal(err)
	}
	if out, err = out.Pending.Verify(t.Context(), l.right()); err != nil {
		t.Fatal(err)
	}
	b.keep("ann", out)
	b.skipping(t, false)

	l.Clock.Advance(6 * time.Minute)
	pr = l.right()
	pr.Remember = true
	if out := l.elevate(t, out.Session, mfa.ToConfirm("pay"), pr); out.Browser() != "" {
		t.Error("a step-up gives a browser's token")
	}
	b.skipping(t, false)

	l.under(t, func(c *mfa.Config) { c.Policy.Rules.Remember = 0 })
	b.remember(t)
	l.under(t, func(c *mfa.Config) { c.Policy.Rules.Remember = week })
	b.skipping(t, false)
	for _, e := range l.Events.Take() {
		if e.Name == mfa.EventBrowserRemembered {
			t.Errorf("the event %+v", e)
		}
	}
}

// TestR16_SuspectPasswordIsAsked: whoever knows a password that somebody else seems
// to know must not change it from a stolen browser: the factor is asked all the
// same.
func TestR16_SuspectPasswordIsAsked(t *testing.T) {
	for _, where := range []mfa.Require{mfa.RequireOff, mfa.RequireAtDoor, mfa.RequireAtSignIn} {
		t.Run(fmt.Sprint("require ", int(where)), func(t *testing.T) {
			l, b := browsing(t, requiring(where))
			b.skipping(t, true)
			l.change(t, "ann", func(d *mfa.AccountData) { d.Compromised = true })
			b.skipping(t, false)
			out, err := b.prove(t, l.right())
			if err != nil || out.Pending == nil || out.Pending.Need().Step != mfa.StepNewPassword {
				t.Fatalf("after the code: %v (%s)", err, mfa.ReasonOf(err))
			}
			// Should the suspicion end meanwhile, the session is one of a code.
			l.change(t, "ann", func(d *mfa.AccountData) { d.Compromised = false })
			out, err = l.pending(t, out.Pending.Token()).Skip(t.Context())
			if err != nil || out.Session == nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			if a := out.Session.Assurance(); a.Remembered != (mfa.Proven{}) || len(a.Proofs) != 1 {
				t.Errorf("the session proved %+v", a)
			}
		})
	}
}

// TestR16_MustEnrollIsUnaffected: a user who has to enroll does so in a remembered
// browser too, and one who holds nothing has nothing to skip.
func TestR16_MustEnrollIsUnaffected(t *testing.T) {
	for _, where := range []mfa.Require{mfa.RequireOff, mfa.RequireAtSignIn} {
		l, b := browsing(t, requiring(where))
		l.change(t, "ann", func(d *mfa.AccountData) { d.TOTP, d.Codes, d.MustEnroll = nil, nil, true })
		out, err := b.arrive(t, "ann")
		if err != nil || out.Pending == nil || out.Pending.Need().Step != mfa.StepEnroll {
			t.Errorf("require %d: %v, pending %t", where, err, out.Pending != nil)
		}
	}
}
