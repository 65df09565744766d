package mfa_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// enrolled is a user who signed in before a key was replaced.
type enrolled struct {
	*mfatest.Kit
	app      *mfatest.Authenticator
	session  string // token
	codes    []string
	old, new string // keys
}

func newEnrolled(t testing.TB, options ...func(*mfa.Config)) *enrolled {
	t.Helper()
	e := &enrolled{old: mfa.NewKey(), new: mfa.NewKey()}
	e.Kit = newKeyKit(t, e.old, options...)
	app, s, codes := e.Enroll(t, "ann")
	e.app, e.session, e.codes = app, s.Token(), codes
	return e
}

// verify signs ann in with a code of her app and returns the session.
func (e *enrolled) verify(t testing.TB) *mfa.Session {
	t.Helper()
	out := e.SignIn(t, "ann")
	if out.Pending == nil || out.Pending.Need().Step != mfa.StepVerify {
		t.Fatal("a user with an authenticator is not asked for a code")
	}
	out, err := out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: e.app.Code(e.Clock.Now())})
	if err != nil || out.Session == nil {
		t.Fatalf("session %t, %v (%s)", out.Session != nil, err, mfa.ReasonOf(err))
	}
	e.Clock.Advance(e.app.Period())
	return out.Session
}

// TestR26_Rotation: R26 opens with every key of the ring. A new key in front
// disturbs nobody: sessions, flows and authenticators go on, and what is made is
// made with it.
func TestR26_Rotation(t *testing.T) {
	e := newEnrolled(t)
	flow := e.SignIn(t, "ann").Pending.Token()
	withKeys(t, e.Kit, e.new+"\n"+e.old)
	if _, err := e.Guard.Session(t.Context(), e.session, mfatest.Laptop()); err != nil {
		t.Errorf("the session of the old key: %v", err)
	}
	p, err := e.Guard.Pending(t.Context(), flow, "", mfatest.Laptop())
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: e.app.Code(e.Clock.Now())})
	if err != nil || out.Session == nil {
		t.Fatalf("the flow of the old key: session %t, %v", out.Session != nil, err)
	}
	withKeys(t, e.Kit, e.new)
	if _, err := e.Guard.Session(t.Context(), out.Session.Token(), mfatest.Laptop()); err != nil {
		t.Errorf("the session was not made with the first key: %v", err)
	}
}

// TestR26_KeyDroppedTooEarly: R26 takes what was made with a key that is gone for
// present and unusable. Nobody is let in, nobody is asked to enroll anew, nothing
// is written, and putting the key back heals everything.
func TestR26_KeyDroppedTooEarly(t *testing.T) {
	e := newEnrolled(t, func(c *mfa.Config) { c.Policy.Rules.Require = mfa.RequireAtSignIn })
	flow := e.SignIn(t, "ann").Pending.Token()
	before := fmt.Sprint(recordsOf(t, e.Config.Store, "ann"))
	withKeys(t, e.Kit, e.new)
	ctx := t.Context()
	_, err1 := e.Guard.Session(ctx, e.session, mfatest.Laptop())
	_, err2 := e.Guard.Enter(ctx, e.session, "acme", mfatest.Laptop())
	_, err3 := e.Guard.Pending(ctx, flow, "", mfatest.Laptop())
	out, err4 := e.Guard.SignIn(ctx, mfa.SignIn{User: "ann", First: mfa.PasswordFirst(), Presented: []string{e.session, flow}})
	_, err5 := e.Guard.Export(ctx, "ann")
	for _, c := range []struct {
		name      string
		err, want error
	}{
		{"Session", err1, mfa.ErrNoSession}, {"Enter", err2, mfa.ErrNoSession}, {"Pending", err3, mfa.ErrNoPending},
		{"SignIn", err4, mfa.ErrUnavailable}, {"Export", err5, mfa.ErrUnavailable},
		{"Disable", e.Guard.Disable(ctx, "ann"), mfa.ErrUnavailable},
		{"Unlock", e.Guard.Operator("desk", "").Unlock(ctx, "ann"), mfa.ErrUnavailable},
		{"Reseal", e.Guard.Reseal(ctx, "ann"), mfa.ErrUnavailable},
	} {
		if !errors.Is(c.err, c.want) || mfa.ReasonOf(c.err) != mfa.ReasonUnknownKey {
			t.Errorf("%s: got %v (%s), want %v (unknown_key)", c.name, c.err, mfa.ReasonOf(c.err), c.want)
		}
	}
	if out != (mfa.Outcome{}) {
		t.Errorf("SignIn leads on: %+v", out)
	}
	if after := fmt.Sprint(recordsOf(t, e.Config.Store, "ann")); after != before {
		t.Error("something was written")
	}
	withKeys(t, e.Kit, e.new+" "+e.old)
	e.verify(t)
	if _, err := e.Guard.Session(ctx, e.session, mfatest.Laptop()); err != nil {
		t.Errorf("with the key back: %v", err)
	}
}

// TestR26_LostSecretIsHeld: R26 holds a user's authenticator that is sealed under a
// lost key for held and not usable. Backup codes are the way back; without any
// the sign-in is refused, and never leads to a session or to enrollment.
func TestR26_LostSecretIsHeld(t *testing.T) {
	for _, rule := range []mfa.Require{mfa.RequireOff, mfa.RequireAtDoor, mfa.RequireAtSignIn} {
		t.Run(fmt.Sprint("require ", int(rule)), func(t *testing.T) {
			e := newEnrolled(t, func(c *mfa.Config) { c.Policy.Rules.Require = rule })
			withKeys(t, e.Kit, e.new+" "+e.old)
			// Signing in writes the account under the new key. Only Reseal
			// writes the secret, and nobody called it.
			session := e.verify(t).Token()
			withKeys(t, e.Kit, e.new)
			p := e.SignIn(t, "ann").Pending
			if n := p.Need(); n.Step != mfa.StepVerify || len(n.Methods) != 1 || n.Methods[0] != mfa.BackupCode {
				t.Fatalf("asks for %+v, want a backup code", n)
			}
			if _, err := p.Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: e.app.Code(e.Clock.Now())}); mfa.ReasonOf(err) != mfa.ReasonMethodNotAsked {
				t.Errorf("the lost authenticator: %v (%s)", err, mfa.ReasonOf(err))
			}
			out, err := p.Verify(t.Context(), mfa.Proof{Method: mfa.BackupCode, Code: e.codes[0]})
			if err != nil || out.Session == nil {
				t.Fatalf("the backup code: %v", err)
			}
			o, err := out.Session.Overview(t.Context())
			if err != nil || len(o.Authenticators) != 1 || o.Authenticators[0].Usable || o.Methods[0].Usable {
				t.Errorf("the page shows %+v, %v", o.Authenticators, err)
			}
			e.noWayRound(t, session)
		})
	}
}

// noWayRound checks that without backup codes nothing leads past an authenticator
// that cannot be used.
func (e *enrolled) noWayRound(t *testing.T, session string) {
	t.Helper()
	edit(t, e.Kit, "ann", "account", func(d *mfa.AccountData) { d.Codes = nil })
	e.Clock.Advance(time.Hour)
	before := fmt.Sprint(recordOf(t, e.Config.Store, "ann", "account"))
	out, err := e.Guard.SignIn(t.Context(), mfa.SignIn{User: "ann", First: mfa.PasswordFirst()})
	if out != (mfa.Outcome{}) || !errors.Is(err, mfa.ErrRefused) || mfa.ReasonOf(err) != mfa.ReasonNoUsableFactor {
		t.Errorf("SignIn: %+v, %v (%s)", out, err, mfa.ReasonOf(err))
	}
	s, err := e.Guard.Session(t.Context(), session, mfatest.Laptop())
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []mfa.Purpose{mfa.ToConfirm("x"), mfa.ToEnroll(mfa.TOTP)} {
		out, err := s.StepUp(t.Context(), to, "")
		if out != (mfa.Outcome{}) || !errors.Is(err, mfa.ErrRefused) || mfa.ReasonOf(err) != mfa.ReasonNoUsableFactor {
			t.Errorf("StepUp to %v: %+v, %v (%s)", to, out, err, mfa.ReasonOf(err))
		}
	}
	if after := fmt.Sprint(recordOf(t, e.Config.Store, "ann", "account")); after != before {
		t.Error("a refusal wrote the account")
	}
}

// TestR26_Reseal: R26 finishes a rotation with Reseal. After it, and once old
// tokens are over, the old key can go: the authenticator, the backup codes, the
// history and the sessions stay.
func TestR26_Reseal(t *testing.T) {
	e := newEnrolled(t)
	second := e.verify(t).ID()
	withKeys(t, e.Kit, e.new+"\n"+e.old)
	for range 2 {
		if err := e.Guard.Reseal(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Guard.Reseal(t.Context(), "nobody"); err != nil || len(recordsOf(t, e.Config.Store, "nobody")) != 0 {
		t.Errorf("a user without records: %v", err)
	}

	withKeys(t, e.Kit, e.new)
	ctx, s := t.Context(), e.verify(t)
	if _, err := e.Guard.Session(ctx, e.session, mfatest.Laptop()); !errors.Is(err, mfa.ErrNoSession) || mfa.ReasonOf(err) != mfa.ReasonUnknownKey {
		t.Errorf("a token of the dropped key: %v (%s)", err, mfa.ReasonOf(err))
	}
	o, err := s.Overview(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, i := range o.Sessions {
		ids = append(ids, i.ID)
	}
	if len(ids) != 3 || ids[1] != second {
		t.Errorf("sessions %q, want 3", ids)
	}
	if len(o.Authenticators) != 1 || !o.Authenticators[0].Usable || o.CodesLeft != 10 || len(o.Activity) < 5 {
		t.Errorf("the page shows %+v, %d codes, %d activities", o.Authenticators, o.CodesLeft, len(o.Activity))
	}
	e.verify(t)
	out, err := e.SignIn(t, "ann").Pending.Verify(ctx, mfa.Proof{Method: mfa.BackupCode, Code: e.codes[3]})
	if err != nil || out.Session == nil {
		t.Errorf("a backup code from before: %v", err)
	}
	if err := s.Revoke(ctx, second); err != nil {
		t.Errorf("revoking a session that was resealed: %v", err)
	}
}

// TestTokens_ForgedCostNoRead checks that a token which this guard did not make,
// as this kind, is refused with its reason before the store is asked.
func TestTokens_ForgedCostNoRead(t *testing.T) {
	store := &meter{Store: new(mfa.MemoryStore)}
	k := newKeyKit(t, mfa.NewKey(), func(c *mfa.Config) { c.Store = store })
	session := k.SignIn(t, "ann").Session
	out, err := session.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), "")
	if err != nil {
		t.Fatal(err)
	}
	stranger := newKeyKit(t, mfa.NewKey())
	foreign := stranger.SignIn(t, "ann").Session
	foreignFlow, err := foreign.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), "")
	if err != nil {
		t.Fatal(err)
	}
	s, p := session.Token(), out.Pending.Token()
	before := store.calls()
	for _, c := range []struct {
		name             string
		session, pending string
		why              mfa.Reason
	}{
		{"of the other kind", p, s, mfa.ReasonForgedToken},
		{"of another key", foreign.Token(), foreignFlow.Pending.Token(), mfa.ReasonUnknownKey},
		{"empty", "", "", mfa.ReasonForgedToken},
		{"truncated", s[:len(s)-2], p[:len(p)-2], mfa.ReasonForgedToken},
		{"extended", s + "AA", p + "AA", mfa.ReasonForgedToken},
		{"line inside", s[:30] + "\n" + s[30:], p[:30] + "\r\n" + p[30:], mfa.ReasonForgedToken},
		{"padded", s + "==", p + "==", mfa.ReasonForgedToken},
		{"key id, then nothing", s[:6], p[:6], mfa.ReasonForgedToken},
		{"end of another's", s[:60] + foreign.Token()[60:], p[:60] + foreignFlow.Pending.Token()[60:], mfa.ReasonForgedToken},
		{"1 MiB", strings.Repeat("A", 1<<20), strings.Repeat("A", 1<<20), mfa.ReasonForgedToken},
	} {
		_, err1 := k.Guard.Session(t.Context(), c.session, mfatest.Laptop())
		_, err2 := k.Guard.Enter(t.Context(), c.session, "acme", mfatest.Laptop())
		_, err3 := k.Guard.Pending(t.Context(), c.pending, s, mfatest.Laptop())
		for i, err := range []error{err1, err2, err3} {
			face := []error{mfa.ErrNoSession, mfa.ErrNoSession, mfa.ErrNoPending}[i]
			if !errors.Is(err, face) || mfa.ReasonOf(err) != c.why {
				t.Errorf("%s: got %v (%s), want %v (%s)", c.name, err, mfa.ReasonOf(err), face, c.why)
			}
		}
		if store.calls() != before {
			t.Fatalf("%s: the store was asked", c.name)
		}
	}
}

// TestR26_ForgetAfterRotation: R26 writes anew what it finds under an older key, and
// of a user who is forgotten only the tombstone.
func TestR26_ForgetAfterRotation(t *testing.T) {
	e := newEnrolled(t)
	withKeys(t, e.Kit, e.new+" "+e.old)
	if err := e.Guard.Forget(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	if left := recordsOf(t, e.Config.Store, "ann"); len(left) != 1 {
		t.Errorf("%d records are left, want the tombstone", len(left))
	}
}
