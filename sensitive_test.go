package mfa_test

import (
	"errors"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A sensitiveAction is one that needs a fresh proof. What it does to ann's account
// is undone by nothing: each try has a lab of its own.
type sensitiveAction struct {
	name    string
	purpose string // in the *StepUpError
	do      func(t *testing.T, l *lab, s *mfa.Session) error
}

func sensitiveActions() []sensitiveAction {
	id := func(t *testing.T, l *lab) string { return l.account(t, "ann").TOTP[0].ID }
	return []sensitiveAction{
		{"rename an app", "rename_totp", func(t *testing.T, l *lab, s *mfa.Session) error {
			return s.RenameTOTP(t.Context(), id(t, l), "phone")
		}},
		{"remove an app", "remove_totp", func(t *testing.T, l *lab, s *mfa.Session) error {
			return s.RemoveTOTP(t.Context(), id(t, l))
		}},
		{"switch asking off", "ask_at_sign_in", func(t *testing.T, l *lab, s *mfa.Session) error {
			return s.SetAskAtSignIn(t.Context(), false)
		}},
		{"switch asking on", "ask_at_sign_in", func(t *testing.T, l *lab, s *mfa.Session) error {
			return s.SetAskAtSignIn(t.Context(), true)
		}},
		{"new backup codes", "new_backup_codes", func(t *testing.T, l *lab, s *mfa.Session) error {
			_, err := s.NewBackupCodes(t.Context(), "")
			return err
		}},
		{"revoke another session", "revoke_session", func(t *testing.T, l *lab, s *mfa.Session) error {
			return s.Revoke(t.Context(), l.session.ID())
		}},
		{"revoke several sessions", "revoke_session", func(t *testing.T, l *lab, s *mfa.Session) error {
			return s.Revoke(t.Context(), s.ID(), l.session.ID())
		}},
		{"revoke all others", "revoke_session", func(t *testing.T, l *lab, s *mfa.Session) error {
			return s.RevokeOthers(t.Context())
		}},
		{"the host's own action", "transfer money", func(t *testing.T, l *lab, s *mfa.Session) error {
			return steppedUp(s.StepUp(t.Context(), mfa.ToConfirm("transfer money"), ""))
		}},
		{"enroll another app", "", func(t *testing.T, l *lab, s *mfa.Session) error {
			out, err := s.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), "")
			if err == nil && out.Pending.Need().Step == mfa.StepEnroll {
				return nil
			}
			return steppedUp(out, err)
		}},
	}
}

// steppedUp turns a flow that asks for more into the error that other operations
// return for it.
func steppedUp(out mfa.Outcome, err error) error {
	if err == nil && out.Pending != nil && out.Pending.Need().Step == mfa.StepVerify {
		return &mfa.StepUpError{Purpose: out.Pending.Purpose()}
	}
	return err
}

// TestR17_SensitiveActions: R17 lets a sensitive action pass on a second factor
// of at most five minutes ago; a password alone is not enough when a factor is
// held, however fresh.
func TestR17_SensitiveActions(t *testing.T) {
	const second = time.Second
	for _, c := range []struct {
		name   string
		ask    bool          // else the sign-in proves the password alone
		age    time.Duration // of its proof when the action comes
		passes bool
	}{
		{"at once", true, 0, true},
		{"exactly five minutes old", true, 5 * time.Minute, true},
		{"a second too old", true, 5*time.Minute + second, false},
		{"an hour old", true, time.Hour, false},
		{"password alone, at once", false, 0, false},
		{"password alone, a second later", false, second, false},
	} {
		for _, a := range sensitiveActions() {
			t.Run(c.name+"/"+a.name, func(t *testing.T) {
				l := newLab(t)
				l.change(t, "ann", func(d *mfa.AccountData) { d.Ask = c.ask })
				out, err := l.signIn(t, "ann")
				if err == nil && c.ask {
					out, err = out.Pending.Verify(t.Context(), l.right())
				}
				if err != nil || out.Session == nil {
					t.Fatalf("signing in: %v (%s)", err, mfa.ReasonOf(err))
				}
				l.Clock.Advance(c.age)
				a.check(t, l, out.Session, c.passes)
			})
		}
	}
}

// check does the action, and when it must not pass yet, checks that it changed
// nothing and passes after the step-up that it asks for.
func (a sensitiveAction) check(t *testing.T, l *lab, s *mfa.Session, passes bool) {
	t.Helper()
	before := l.account(t, "ann")
	l.tally.take()
	err := a.do(t, l, s)
	if passes {
		if err != nil {
			t.Fatalf("%v (%s), want it to pass", err, mfa.ReasonOf(err))
		}
		return
	}
	e, ok := errors.AsType[*mfa.StepUpError](err)
	if !ok || e.Purpose.Action() != a.purpose {
		t.Fatalf("%v (%s), want to be asked for a fresh proof of %q", err, mfa.ReasonOf(err), a.purpose)
	}
	for _, writes := range l.tally.take() {
		for _, w := range writes { // a flow may have begun, no more
			if w.Kind != "account" && w.Kind != "pending" {
				t.Errorf("refused, and a %s was written", w.Kind)
			}
		}
	}
	if after := l.account(t, "ann"); len(after.TOTP) != len(before.TOTP) || after.TOTP[0].Label != before.TOTP[0].Label ||
		after.Ask != before.Ask || after.CodeSet != before.CodeSet {
		t.Error("refused, and the account changed")
	}
	if _, err := l.Guard.Session(t.Context(), l.session.Token(), mfatest.Laptop()); err != nil {
		t.Error("refused, and the other session ended")
	}
	l.Clock.Advance(l.app.Period())
	if e.Purpose.Action() == "" {
		e.Purpose = mfa.ToConfirm("anything")
	}
	if err := a.do(t, l, l.elevate(t, s, e.Purpose, l.right()).Session); err != nil {
		t.Errorf("after stepping up: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestR17_FreeActions: R17 asks nothing for looking, signing out and ending one's
// own session.
func TestR17_FreeActions(t *testing.T) {
	for _, a := range []struct {
		name string
		do   func(*mfa.Session) error
	}{
		{"overview", func(s *mfa.Session) error { _, err := s.Overview(t.Context()); return err }},
		{"sign out", func(s *mfa.Session) error { return s.SignOut(t.Context()) }},
		{"revoke this session", func(s *mfa.Session) error { return s.Revoke(t.Context(), s.ID()) }},
		{"revoke nothing", func(s *mfa.Session) error { return s.Revoke(t.Context()) }},
	} {
		t.Run(a.name, func(t *testing.T) {
			l := newLab(t)
			l.Clock.Advance(time.Hour)
			if err := a.do(l.session); err != nil {
				t.Errorf("%v (%s)", err, mfa.ReasonOf(err))
			}
		})
	}
}

// TestR17_WithoutFactor: R17 takes the first factor, five minutes old at most, of
// somebody who holds no second one: typed again at the host, or with the provider
// whose auth_time is recent.
func TestR17_WithoutFactor(t *testing.T) {
	ctx := t.Context()
	sso := func(l *lab, ago time.Duration) mfa.First {
		return mfa.SSOFirst("idp", nil, "", l.Clock.Now().Add(-ago))
	}
	for _, c := range []struct {
		name  string
		first func(*lab) mfa.First
		want  mfa.Reason
	}{
		{"password again", func(*lab) mfa.First { return mfa.PasswordFirst() }, ""},
		{"provider, just now", func(l *lab) mfa.First { return sso(l, 0) }, ""},
		{"provider, exactly five minutes ago", func(l *lab) mfa.First { return sso(l, 5*time.Minute) }, ""},
		{"provider, a second longer ago", func(l *lab) mfa.First { return sso(l, 5*time.Minute+time.Second) }, mfa.ReasonStaleReassertion},
		{"provider, did not say when", func(*lab) mfa.First { return mfa.SSOFirst("idp", nil, "", time.Time{}) }, mfa.ReasonStaleReassertion},
		{"provider, ahead of this clock", func(l *lab) mfa.First { return sso(l, -oneDay) }, ""},
		{"nothing", func(*lab) mfa.First { return mfa.First{} }, mfa.ReasonInvalidArgument},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := emptyLab(t)
			out, err := l.signIn(t, "ann")
			if err != nil {
				t.Fatal(err)
			}
			s := out.Session
			l.Clock.Advance(5 * time.Minute)
			if err := s.RevokeOthers(ctx); err != nil {
				t.Fatalf("with a password of five minutes ago: %v", err)
			}
			l.Clock.Advance(time.Second)
			wants(t, s.RevokeOthers(ctx), mfa.ErrStepUp, mfa.ReasonStale)
			if out, err = s.StepUp(ctx, mfa.ToConfirm("revoke_session"), ""); err != nil || len(out.Pending.Need().Methods) != 1 {
				t.Fatal(err)
			}
			_, err = out.Pending.Verify(ctx, mfa.Proof{Method: mfa.Password, Code: "secret"})
			wants(t, err, mfa.ErrRefused, mfa.ReasonMethodNotAsked)
			out, err = out.Pending.Reauthenticated(ctx, c.first(l))
			if mfa.ReasonOf(err) != c.want {
				t.Fatalf("%v (%s), want %q", err, mfa.ReasonOf(err), c.want)
			}
			if err == nil {
				if err := out.Session.RevokeOthers(ctx); err != nil {
					t.Errorf("afterwards: %v (%s)", err, mfa.ReasonOf(err))
				}
			}
		})
	}
}

// TestR17_PasswordDoesNotReplaceFactor: R17 accepts no password where a factor is
// held.
func TestR17_PasswordDoesNotReplaceFactor(t *testing.T) {
	l := newLab(t)
	l.Clock.Advance(time.Hour)
	out, err := l.session.StepUp(t.Context(), mfa.ToConfirm("x"), "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = out.Pending.Reauthenticated(t.Context(), mfa.PasswordFirst())
	wants(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
	_, err = out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.Password})
	wants(t, err, mfa.ErrRefused, mfa.ReasonMethodNotAsked)
}

// TestR17_FactorBoundMeanwhile: R17 holds for a flow that began when no factor was
// held: whoever stole a session just after its sign-in cannot keep a flow open and
// bind an app of his own once the owner has bound hers.
func TestR17_FactorBoundMeanwhile(t *testing.T) {
	l := emptyLab(t)
	stolen, err := l.signIn(t, "ann")
	if err != nil {
		t.Fatal(err)
	}
	kept, err := stolen.Session.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), "")
	if err != nil || kept.Pending.Need().Step != mfa.StepEnroll {
		t.Fatal(err)
	}
	l.app, _, l.codes = l.Enroll(t, "ann")
	p, err := l.Guard.Pending(t.Context(), kept.Pending.Token(), stolen.Session.Token(), mfatest.Laptop())
	if err != nil {
		return // over is as good
	}
	if need := p.Need(); need.Step != mfa.StepVerify {
		t.Errorf("the old flow asks for %v, want it to ask for the factor that is held now", need.Step)
	}
	if _, err = p.StartTOTP(t.Context(), "thief"); err == nil {
		t.Error("an app can be bound without proving the one that is held")
	}
}

// TestRow_E8_StepUp: a sensitive action asks for a fresh factor, says what for,
// and passes with the session that the flow leads to; the old token is void.
func TestRow_E8_StepUp(t *testing.T) {
	l := newLab(t)
	l.Clock.Advance(time.Hour)
	_, err := l.session.NewBackupCodes(t.Context(), "")
	e, ok := errors.AsType[*mfa.StepUpError](err)
	if !ok {
		t.Fatalf("%v, want *StepUpError", err)
	}
	out, err := l.session.StepUp(t.Context(), e.Purpose, "/settings")
	if err != nil || out.Pending.Return() != "/settings" || out.Pending.Purpose().Action() != "new_backup_codes" {
		t.Fatalf("StepUp: %v", err)
	}
	_, err = out.Pending.Verify(t.Context(), l.wrong())
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	if out, err = out.Pending.Verify(t.Context(), l.right()); err != nil || out.Session == nil {
		t.Fatalf("Verify: %v (%s)", err, mfa.ReasonOf(err))
	}
	if _, err = out.Session.NewBackupCodes(t.Context(), ""); err != nil {
		t.Errorf("afterwards: %v (%s)", err, mfa.ReasonOf(err))
	}
	_, err = l.Guard.Session(t.Context(), l.session.Token(), mfatest.Laptop())
	wants(t, err, mfa.ErrNoSession, mfa.ReasonReplaced)
}
