package mfa_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestR9_NeverReplacedByEnrollment: R9 refuses whoever holds a factor and can use
// none, at sign-in, at the door and for sensitive actions: it never enrolls her
// anew, and never lets her pass. Held is held, whatever keeps it from being used.
func TestR9_NeverReplacedByEnrollment(t *testing.T) {
	newKey := mfa.NewKey()
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, l *lab)
		waits bool
	}{
		{"all codes used, app disabled", func(t *testing.T, l *lab) {
			l.change(t, "ann", func(d *mfa.AccountData) { d.Codes = nil })
			l.wrongSoFar(t, mfa.TOTP, 100)
		}, false},
		{"all codes used, app waits", func(t *testing.T, l *lab) {
			l.change(t, "ann", func(d *mfa.AccountData) { d.Codes = nil })
			l.wrongSoFar(t, mfa.TOTP, 50)
		}, true},
		{"everything waits", func(t *testing.T, l *lab) {
			l.wrongSoFar(t, mfa.TOTP, 50)
			l.wrongSoFar(t, mfa.BackupCode, 50)
		}, true},
		{"app disabled, codes wait", func(t *testing.T, l *lab) {
			l.wrongSoFar(t, mfa.TOTP, 100)
			l.wrongSoFar(t, mfa.BackupCode, 50)
		}, true},
		{"sealed under a lost key", func(t *testing.T, l *lab) { l.loseKey(t, newKey) }, false},
	} {
		for rule, require := range map[string]mfa.Require{"no rule": mfa.RequireOff, "rule": mfa.RequireAtSignIn} {
			t.Run(c.name+"/"+rule, func(t *testing.T) {
				l := newLab(t, rules(mfa.Rules{Require: require}), func(k *mfa.Config) {
					k.Keys = ring(t, newKey)
				})
				l.Clock.Advance(10 * time.Minute)
				c.spoil(t, l)
				out, err := l.signIn(t, "ann")
				l.stays(t, out, err, c.waits)
				for _, p := range []mfa.Purpose{mfa.ToConfirm("x"), mfa.ToEnroll(mfa.TOTP)} {
					out, err = l.session.StepUp(t.Context(), p, "")
					l.stays(t, out, err, c.waits)
				}
				err = l.session.SetAskAtSignIn(t.Context(), false)
				if !errors.Is(err, mfa.ErrStepUp) && !errors.Is(err, mfa.ErrRefused) {
					t.Errorf("a setting could be changed: %v", err)
				}
			})
		}
	}
}

// stays fails unless the user was kept out for want of a factor that she can use.
func (l *lab) stays(t *testing.T, out mfa.Outcome, err error, waits bool) {
	t.Helper()
	face := mfa.ErrRefused
	if waits {
		face = mfa.ErrThrottled
	}
	if out != (mfa.Outcome{}) || !errors.Is(err, face) || mfa.ReasonOf(err) != mfa.ReasonNoUsableFactor {
		t.Errorf("session %t, pending %t, %v (%s), want %v (no_usable_factor)",
			out.Session != nil, out.Pending != nil, err, mfa.ReasonOf(err), face)
	}
}

// ring returns a ring of these keys.
func ring(t testing.TB, text string) mfa.Keys {
	t.Helper()
	keys, err := mfa.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// loseKey leaves ann's app sealed under a key that is gone, and no backup codes.
func (l *lab) loseKey(t *testing.T, key string) {
	t.Helper()
	lost := mfa.NewKey()
	l.Config.Keys = ring(t, lost+" "+key)
	old, err := mfa.New(l.Config)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Reseal(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	l.Config.Keys = ring(t, key+" "+lost)
	if l.Guard, err = mfa.New(l.Config); err != nil {
		t.Fatal(err)
	}
	// Written under the key that stays; only the secret is not.
	l.change(t, "ann", func(d *mfa.AccountData) { d.Codes = nil })
	records, err := l.Config.Store.List(t.Context(), "u/ann")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		w := mfa.Write{Record: mfa.SignRecord(l.Guard, r), IfVersion: r.Version}
		if err := l.Config.Store.Commit(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	l.Config.Keys = ring(t, key)
	if l.Guard, err = mfa.New(l.Config); err != nil {
		t.Fatal(err)
	}
	if l.session, err = l.Guard.Session(t.Context(), l.session.Token(), mfatest.Laptop()); err != nil {
		t.Fatal(err)
	}
}

// TestR9_OnlyWhoNeverHadOneEnrolls: R9 gives a flow that can enroll to an account
// that never had a factor or was reset, and to nobody else.
func TestR9_OnlyWhoNeverHadOneEnrolls(t *testing.T) {
	l := emptyLab(t, rules(mfa.Rules{Require: mfa.RequireAtSignIn}))
	step := func(want mfa.Step) {
		t.Helper()
		out, err := l.signIn(t, "ann")
		if err != nil || out.Session != nil || out.Pending.Need().Step != want {
			t.Fatalf("session %t, %v, want step %v", out.Session != nil, err, want)
		}
	}
	step(mfa.StepEnroll)
	step(mfa.StepEnroll)
	l.app, l.session, l.codes = l.Enroll(t, "ann")
	step(mfa.StepVerify)
	if err := l.Guard.Disable(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	if err := l.Guard.Enable(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	step(mfa.StepVerify)
	if err := l.Guard.CredentialsChanged(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	step(mfa.StepVerify)
	if err := l.Guard.Operator("desk", "lost the phone").Reset(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	step(mfa.StepEnroll)
}

// TestR9_WhoIsAskedAtSignIn: R9 turns "ask at sign-in" on for whoever enrolls at
// sign-in or in the settings, not for whoever enrolls at a door, and a rule asks
// whatever the switch says.
func TestR9_WhoIsAskedAtSignIn(t *testing.T) {
	for _, c := range []struct {
		name    string
		require mfa.Require
		to      mfa.Purpose // zero: at sign-in
		asked   bool
	}{
		{"enrolled at sign-in", mfa.RequireAtSignIn, mfa.Purpose{}, true},
		{"enrolled in the settings", mfa.RequireOff, mfa.ToEnroll(mfa.TOTP), true},
		{"enrolled at a door", mfa.RequireAtDoor, mfa.ToEnter("acme"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := emptyLab(t, rules(mfa.Rules{Require: c.require}))
			out, err := l.signIn(t, "ann")
			if err == nil && out.Session != nil {
				out, err = out.Session.StepUp(t.Context(), c.to, "")
			}
			if err != nil {
				t.Fatal(err)
			}
			if out, err = l.bindApp(t, out.Pending).Pending.SaveCodes(t.Context()); err != nil {
				t.Fatal(err)
			}
			if o, err := out.Session.Overview(t.Context()); err != nil || o.AskAtSignIn != c.asked {
				t.Errorf("ask at sign-in: %t, %v, want %t", o.AskAtSignIn, err, c.asked)
			}
			s := out.Session
			if err := s.SetAskAtSignIn(t.Context(), !c.asked); err != nil {
				t.Fatal(err)
			}
			out, err = l.signIn(t, "ann")
			want := !c.asked || c.require == mfa.RequireAtSignIn
			if got := out.Pending != nil; err != nil || got != want {
				t.Errorf("after the switch was turned: asked %t, %v, want %t", got, err, want)
			}
		})
	}
}

// TestR10_NotAllowedDoesNotSatisfy: R10 lets whoever holds only a method that the
// rule does not allow verify with it once, and has her enroll an allowed one then,
// however often she verifies again.
func TestR10_NotAllowedDoesNotSatisfy(t *testing.T) {
	for _, place := range []scene{atSignIn(), atDoor()} {
		s := place.due(mfa.TOTP).holds(mfa.SMSCode, mfa.Usable)
		for _, want := range []string{
			"verify sms_code: required_by_rule",
			"enroll totp: method_not_allowed",
			"enroll totp: method_not_allowed",
		} {
			if got := s.decision(); got != want {
				t.Errorf("at %d with proofs %v: %s, want %s", s.Place, s.Proofs, got, want)
			}
			s = s.proved(mfa.SMSCode, 0)
		}
		bound := s.holds(mfa.TOTP, mfa.Usable)
		if got := bound.decision(); got != "verify totp: required_by_rule" {
			t.Errorf("bound in another flow: %s, want the proof of the allowed one", got)
		}
		if got := bound.proved(mfa.TOTP, 0).decision(); got != "allowed: proven" {
			t.Errorf("bound and proven: %s", got)
		}
	}
}

// TestR11_KindsCount: R11 counts kinds of proof and not proofs: the same one twice
// is one, and a backup code proves a second factor.
func TestR11_KindsCount(t *testing.T) {
	once := atSignIn().due(mfa.TOTP).holds(mfa.TOTP, mfa.Usable).holds(mfa.SMSCode, mfa.Usable).proved(mfa.SMSCode, 0)
	twice := once.proved(mfa.SMSCode, 0).proved(mfa.SMSCode, time.Minute)
	if a, b := once.decision(), twice.decision(); a != b || a != "verify totp: required_by_rule" {
		t.Errorf("once: %s, three times: %s, want the other factor asked for", a, b)
	}
	if got := once.proved(mfa.BackupCode, 0).decision(); got != "allowed: proven" {
		t.Errorf("a backup code in place of the app: %s", got)
	}

	l := newLab(t)
	s := l.enter(t, l.right())
	for range 3 {
		l.Clock.Advance(10 * time.Minute)
		s = l.elevate(t, s, mfa.ToConfirm("x"), l.right()).Session
	}
	l.Clock.Advance(10 * time.Minute)
	s = l.elevate(t, s, mfa.ToConfirm("x"), l.backup(0)).Session
	var kinds []mfa.Method
	for _, p := range s.Assurance().Proofs {
		kinds = append(kinds, p.Method)
	}
	if !slices.Equal(kinds, []mfa.Method{mfa.TOTP, mfa.BackupCode}) {
		t.Errorf("proven five times: %v, want each kind once", kinds)
	}
}

// TestR11_BackupCodeOpensTheDoor: R11 takes a backup code for the second factor
// at a door, too.
func TestR11_BackupCodeOpensTheDoor(t *testing.T) {
	l := newLab(t, rules(mfa.Rules{Require: mfa.RequireAtDoor}))
	l.change(t, "ann", func(d *mfa.AccountData) { d.Ask = false })
	out, err := l.signIn(t, "ann")
	if err != nil || out.Session == nil {
		t.Fatal(err)
	}
	_, err = l.Guard.Enter(t.Context(), out.Session.Token(), "acme", mfatest.Laptop())
	wants(t, err, mfa.ErrStepUp, mfa.ReasonRule)
	s := l.elevate(t, out.Session, mfa.ToEnter("acme"), l.backup(0)).Session
	if _, err = l.Guard.Enter(t.Context(), s.Token(), "acme", mfatest.Laptop()); err != nil {
		t.Errorf("after a backup code: %v (%s)", err, mfa.ReasonOf(err))
	}
}
