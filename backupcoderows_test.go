package mfa_test

import (
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestR12_LastFactorTakesCodes: R12 removes backup codes and the switch with the
// last factor, and not before.
func TestR12_LastFactorTakesCodes(t *testing.T) {
	l := newLab(t)
	out, err := l.session.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), "")
	if err != nil {
		t.Fatal(err)
	}
	s := l.bindApp(t, out.Pending).Session
	ids := l.account(t, "ann").TOTP
	if err := s.RemoveTOTP(t.Context(), ids[0].ID); err != nil {
		t.Fatal(err)
	}
	if a := l.account(t, "ann"); len(a.TOTP) != 1 || len(a.Codes) != 10 || !a.Ask {
		t.Errorf("after one of two: %d apps, %d codes, ask %t", len(a.TOTP), len(a.Codes), a.Ask)
	}
	l.Events.Take()
	l.tally.take()
	if err := s.RemoveTOTP(t.Context(), ids[1].ID); err != nil {
		t.Fatal(err)
	}
	if a := l.account(t, "ann"); len(a.TOTP) != 0 || len(a.Codes) != 0 || a.Ask || a.Unsaved || a.CodeSet != "" {
		t.Errorf("after the last: %d apps, %d codes, ask %t", len(a.TOTP), len(a.Codes), a.Ask)
	}
	l.told(t, mfa.EventFactorRemoved)
	if n := len(l.tally.take()); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
	if out, err := l.signIn(t, "ann"); err != nil || out.Session == nil {
		t.Errorf("the next sign-in: %v, want nothing asked", err)
	}
	_, err = s.NewBackupCodes(t.Context(), "")
	wants(t, err, mfa.ErrForbidden, mfa.ReasonNoFactor)
	err = s.SetAskAtSignIn(t.Context(), true)
	wants(t, err, mfa.ErrForbidden, mfa.ReasonNoFactor)
}

// TestR12_ForbiddenWhileRequired: R12 refuses to remove the last factor while a
// rule requires one, at the door or at sign-in, from the rule's date on.
func TestR12_ForbiddenWhileRequired(t *testing.T) {
	date := decidedAt().Add(time.Hour)
	for _, c := range []struct {
		name   string
		rules  mfa.Rules
		at     time.Time
		reason mfa.Reason // "": removed
	}{
		{"no rule", mfa.Rules{}, date, ""},
		{"at sign-in", mfa.Rules{Require: mfa.RequireAtSignIn}, date, mfa.ReasonFactorRequired},
		{"at the door", mfa.Rules{Require: mfa.RequireAtDoor}, date, mfa.ReasonFactorRequired},
		{"a second before its date", mfa.Rules{Require: mfa.RequireAtDoor, From: date}, date.Add(-time.Second), ""},
		{"on its date", mfa.Rules{Require: mfa.RequireAtDoor, From: date}, date, mfa.ReasonFactorRequired},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, rules(c.rules))
			l.Clock.Advance(c.at.Add(-time.Minute).Sub(l.Clock.Now()))
			s := l.enter(t, l.right())
			l.Clock.Advance(c.at.Sub(l.Clock.Now()))
			before := l.account(t, "ann")
			l.tally.take()
			err := s.RemoveTOTP(t.Context(), before.TOTP[0].ID)
			if c.reason == "" {
				if err != nil || len(l.account(t, "ann").TOTP) != 0 {
					t.Errorf("%v (%s), want it removed", err, mfa.ReasonOf(err))
				}
				return
			}
			wants(t, err, mfa.ErrForbidden, c.reason)
			if n := len(l.tally.take()); n != 0 {
				t.Errorf("refused, and %d commits", n)
			}
		})
	}
}

// TestR12_UnknownFactor: an id of no app, or of somebody else's, removes nothing.
func TestR12_UnknownFactor(t *testing.T) {
	l := newLab(t)
	l.Enroll(t, "bob")
	s := l.enter(t, l.right())
	for _, id := range []string{"", "x", l.account(t, "bob").TOTP[0].ID} {
		wants(t, s.RemoveTOTP(t.Context(), id), mfa.ErrForbidden, mfa.ReasonUnknownFactor)
		wants(t, s.RenameTOTP(t.Context(), id, "mine"), mfa.ErrForbidden, mfa.ReasonUnknownFactor)
	}
	if n := len(l.account(t, "bob").TOTP); n != 1 || len(l.account(t, "ann").TOTP) != 1 {
		t.Error("an app is gone")
	}
}

// TestRow_A4_DisableApp: a user disables the authenticator app in the settings,
// after a fresh code, and signs in with the password alone from then on.
func TestRow_A4_DisableApp(t *testing.T) {
	l := newLab(t)
	l.Clock.Advance(time.Hour)
	id := l.account(t, "ann").TOTP[0].ID
	wants(t, l.session.RemoveTOTP(t.Context(), id), mfa.ErrStepUp, mfa.ReasonStale)
	s := l.elevate(t, l.session, mfa.ToConfirm("remove_totp"), l.right()).Session
	if err := s.RemoveTOTP(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	o, err := s.Overview(t.Context())
	if err != nil || len(o.Authenticators) != 0 || o.CodesLeft != 0 || !slices.Contains(o.Advice, mfa.ReasonAdviseFactor) {
		t.Errorf("the page shows %+v, %v", o, err)
	}
	if out, err := l.signIn(t, "ann"); err != nil || out.Session == nil {
		t.Errorf("the next sign-in: %v, want no code asked", err)
	}
}

// setUp does what the setup screens ask, as rows C3 and D2 show them, from a flow
// at StepEnroll. It returns what Done leads to.
func (l *lab) setUp(t *testing.T, p *mfa.Pending, session string) mfa.Outcome {
	t.Helper()
	if need := p.Need(); need.Step != mfa.StepEnroll || !need.SkipUntil.IsZero() {
		t.Fatalf("asked for %+v, want to enroll and no way around", need)
	}
	_, err := p.SaveCodes(t.Context())
	wants(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
	_, err = p.Skip(t.Context())
	wants(t, err, mfa.ErrForbidden, mfa.ReasonCannotSkip)
	out := l.bindApp(t, p)
	if out.Session != nil || out.Pending.Need().Step != mfa.StepSaveCodes {
		t.Fatal("Continue does not lead to the codes")
	}
	p, err = l.Guard.Pending(t.Context(), out.Pending.Token(), session, mfatest.Laptop())
	if err != nil || p.BackupCodes().Len() != 10 {
		t.Fatalf("the codes are not shown: %v", err)
	}
	l.codes = p.BackupCodes().Reveal()
	for _, c := range []func() error{
		func() error { _, err := p.Verify(t.Context(), l.right()); return err },
		func() error { _, err := p.StartTOTP(t.Context(), ""); return err },
		func() error { _, err := p.Skip(t.Context()); return err },
	} {
		wants(t, c(), mfa.ErrRefused, mfa.ReasonStepNotAsked)
	}
	if out, err = p.SaveCodes(t.Context()); err != nil || out.Session == nil {
		t.Fatalf("Done: %v (%s), want a session", err, mfa.ReasonOf(err))
	}
	return out
}

// TestRow_C1_C3_MandatorySetup: with MFA mandatory for everybody, the first
// sign-in leads to the setup screen and to no session without it: scan, type the
// code, Continue; copy or download the codes, Done.
func TestRow_C1_C3_MandatorySetup(t *testing.T) {
	l := emptyLab(t, rules(mfa.Rules{Require: mfa.RequireAtSignIn}))
	for _, user := range []string{"ann", "bob"} {
		out, err := l.signIn(t, user)
		if err != nil || out.Session != nil {
			t.Fatalf("%s: session %t, %v", user, out.Session != nil, err)
		}
		s := l.setUp(t, out.Pending, "").Session
		if got := s.Assurance().Proofs; len(got) != 1 || got[0].Method != mfa.TOTP {
			t.Errorf("%s: the session proved %v", user, got)
		}
		if out, err = l.signIn(t, user); err != nil || out.Pending == nil || out.Pending.Need().Step != mfa.StepVerify {
			t.Errorf("%s: the next sign-in: %v, want a code asked", user, err)
		}
	}
}

// TestRow_C4_BackupCodeInstead: sign-in asks for the password, then for a code of
// the app; a backup code works instead, and once.
func TestRow_C4_BackupCodeInstead(t *testing.T) {
	l := newLab(t, rules(mfa.Rules{Require: mfa.RequireAtSignIn}))
	out, err := l.signIn(t, "ann")
	if err != nil {
		t.Fatal(err)
	}
	if need := out.Pending.Need(); !slices.Equal(need.Methods, []mfa.Method{mfa.TOTP, mfa.BackupCode}) || need.Why != mfa.ReasonRule {
		t.Errorf("asked for %+v", need)
	}
	l.enter(t, l.right())
	s := l.enter(t, l.backup(0))
	if got := s.Assurance().Proofs; len(got) != 1 || got[0].Method != mfa.BackupCode {
		t.Errorf("the session proved %v", got)
	}
	_, err = l.guess(t, l.backup(0))
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	l.enter(t, l.backup(1))
}

// TestRow_C6_NewBackupCodes: a user generates new backup codes in the settings; they
// replace the whole set and are shown to copy or download.
func TestRow_C6_NewBackupCodes(t *testing.T) {
	l := newLab(t)
	l.enter(t, l.backup(0))
	s := l.enter(t, l.right())
	out, err := s.NewBackupCodes(t.Context(), "")
	if err != nil || out.Pending == nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	old := l.codes
	l.codes = out.Pending.BackupCodes().Reveal()
	if out, err = out.Pending.SaveCodes(t.Context()); err != nil || out.Session == nil {
		t.Fatalf("Done: %v (%s)", err, mfa.ReasonOf(err))
	}
	if o, err := out.Session.Overview(t.Context()); err != nil || o.CodesLeft != 10 || !o.CodesSaved {
		t.Errorf("%d codes, saved %t, %v, want 10", o.CodesLeft, o.CodesSaved, err)
	}
	l.refuses(t, old)
	l.enter(t, l.backup(9))
}

// TestRow_D2_RecoveryCodeRecorded: at the door of a company that forces MFA, the
// owner scans, types the code, and passes only after the recovery codes are
// recorded.
func TestRow_D2_RecoveryCodeRecorded(t *testing.T) {
	l := emptyLab(t, rules(mfa.Rules{Require: mfa.RequireAtDoor}))
	out, err := l.signIn(t, "ann")
	if err != nil || out.Session == nil {
		t.Fatalf("ordinary sign-in: %v, want nothing asked", err)
	}
	s := out.Session
	if out, err = s.StepUp(t.Context(), mfa.ToEnter("acme"), "/acme/home"); err != nil {
		t.Fatal(err)
	}
	done := l.setUp(t, out.Pending, s.Token())
	if _, err := l.Guard.Enter(t.Context(), done.Session.Token(), "acme", mfatest.Laptop()); err != nil {
		t.Errorf("the door afterwards: %v", err)
	}
	if out, err = l.signIn(t, "ann"); err != nil || out.Session == nil {
		t.Errorf("the next ordinary sign-in: %v, want nothing asked: enrolled at the door", err)
	}
}
