package mfa_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestR2_PendingConsumedOnce: a flow leads to its outcome once. The token then
// answers already_completed until it would have expired, in every process, and a
// try with it counts for nothing.
func TestR2_PendingConsumedOnce(t *testing.T) {
	for _, op := range openings() {
		t.Run(op.name, func(t *testing.T) {
			a := newAlice(t, withRules(op.rules))
			u := op.open(a)
			earlier := a.resume(u)
			s := a.finish(mfa.Outcome{Pending: a.resume(u)}, nil)
			was := a.versions()
			_, err := op.acts[0].do(a, earlier)
			refused(t, err, mfa.ErrNoPending, mfa.ReasonAlreadyCompleted)
			for name, by := range map[string]string{"old session": u.by, "new session": s.Token(), "none": ""} {
				_, err := a.guard().Pending(t.Context(), u.token, by, mfatest.Phone())
				refused(t, err, mfa.ErrNoPending, mfa.ReasonAlreadyCompleted)
				if now := a.versions(); !maps.Equal(was, now) {
					t.Errorf("%s: a consumed flow changed the store", name)
				}
			}
			a.Clock.Advance(10 * time.Minute)
			_, err = a.Guard.Pending(t.Context(), u.token, u.by, mfatest.Phone())
			refused(t, err, mfa.ErrNoPending, mfa.ReasonExpired)
		})
	}
}

// TestR5_CountedInTheAnswer: when a wrong proof is answered its count is stored.
// What cannot be a code, what is not asked for and what comes during a wait is no
// guess and writes nothing.
func TestR5_CountedInTheAnswer(t *testing.T) {
	a := newAlice(t)
	p := a.pending(a.signIn("alice"))
	for n := range 5 {
		_, err := p.Verify(t.Context(), a.wrong("alice"))
		refused(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
		if got := a.account("alice").Tries["totp"].Wrong; got != n+1 {
			t.Fatalf("after wrong code %d the count is %d", n+1, got)
		}
	}
	p = a.pending(a.signIn("alice"))
	for _, tc := range []struct {
		name   string
		proof  mfa.Proof
		face   error
		reason mfa.Reason
	}{
		{"five characters", mfa.Proof{Method: mfa.BackupCode, Code: "12345"}, mfa.ErrRefused, mfa.ReasonMalformedCode},
		{"email code", mfa.Proof{Method: mfa.EmailCode, Code: "123456"}, mfa.ErrRefused, mfa.ReasonMethodNotAsked},
		{"password", mfa.Proof{Method: mfa.Password, Code: "123456"}, mfa.ErrRefused, mfa.ReasonMethodNotAsked},
		{"no method", mfa.Proof{Code: "123456"}, mfa.ErrRefused, mfa.ReasonMethodNotAsked},
		{"wrong code in the wait", a.wrong("alice"), mfa.ErrThrottled, mfa.ReasonMethodLocked},
		{"right code in the wait", a.totp("alice"), mfa.ErrThrottled, mfa.ReasonMethodLocked},
	} {
		t.Run(tc.name, func(t *testing.T) {
			was := a.versions()
			out, err := p.Verify(t.Context(), tc.proof)
			refused(t, err, tc.face, tc.reason)
			if out != (mfa.Outcome{}) || !maps.Equal(was, a.versions()) {
				t.Error("the refusal wrote something or led somewhere")
			}
		})
	}
}

// doing is an operation on a flow.
type doing = func(*aliceKit, *mfa.Pending) (mfa.Outcome, error)

// TestR5_FailingCommitTellsNothing: the answer to a proof stands only with the
// commit that counts or consumes it. Without it a right code and a wrong one are
// refused alike, and neither is spent.
func TestR5_FailingCommitTellsNothing(t *testing.T) {
	backup := func(n int) doing {
		return proving("", func(a *aliceKit, _ string) mfa.Proof {
			return mfa.Proof{Method: mfa.BackupCode, Code: append(a.codes, wrongCode().Code)[n]}
		}).do
	}
	right, wrong := proving("", (*aliceKit).totp).do, proving("", (*aliceKit).wrong).do
	wrongBind := func(a *aliceKit, p *mfa.Pending) (mfa.Outcome, error) {
		return p.ConfirmTOTP(a.t.Context(), a.staged["bob"].Wrong(a.Clock.Now()))
	}
	for _, path := range []struct {
		name         string
		require      mfa.Require
		open         func(*aliceKit) *underway
		right, wrong doing
	}{
		{"sign-in TOTP", mfa.RequireOff, signingIn("alice"), right, wrong},
		{"sign-in backup code", mfa.RequireOff, signingIn("alice"), backup(0), backup(10)},
		{"confirm TOTP", mfa.RequireOff, steppingUp("alice", mfa.ToConfirm("test"), 6*time.Minute), right, wrong},
		{"bind TOTP", mfa.RequireAtSignIn, signingIn("bob"), (*aliceKit).bind, wrongBind},
	} {
		for _, failure := range []error{errors.New("connection reset"), mfa.ErrConflict} {
			t.Run(path.name+"/"+failure.Error(), func(t *testing.T) {
				answer := func(do doing) string {
					a := newAlice(t, withRules(mfa.Rules{Require: path.require}))
					return a.unanswered(path.open(a), do, failure)
				}
				if r, w := answer(path.right), answer(path.wrong); r != w {
					t.Errorf("a right code is answered %q, a wrong one %q", r, w)
				}
			})
		}
	}
}

// unanswered does something while every commit fails and returns what there is to
// see. The flow is then finished, as if nothing had been tried.
func (a *aliceKit) unanswered(u *underway, do doing, failure error) string {
	a.t.Helper()
	if u.user == "bob" {
		a.stage(a.resume(u))
	}
	p, was := a.resume(u), a.versions()
	a.store.commits.Store(0)
	a.store.fail = failure
	out, err := do(a, p)
	a.store.fail = nil
	seen := fmt.Sprintf("%v (%s) after %d commits", err, mfa.ReasonOf(err), a.store.commits.Load())
	if !errors.Is(err, mfa.ErrUnavailable) || errors.Is(err, mfa.ErrRefused) || out != (mfa.Outcome{}) {
		a.t.Errorf("%s with %+v, want ErrUnavailable and nothing", seen, out)
	}
	if !maps.Equal(was, a.versions()) {
		a.t.Error("something was written")
	}
	a.finish(mfa.Outcome{Pending: a.resume(u)}, nil)
	return seen
}

// TestR5_CountsSurvive: nothing but a success of the method sets its count of
// wrong proofs back, so that guessing never gets cheaper by starting again.
func TestR5_CountsSurvive(t *testing.T) {
	desk := func(a *aliceKit) *mfa.Admin { return a.Guard.Operator("ops", "called back") }
	for _, tc := range []struct {
		name    string
		between func(a *aliceKit) error
		reset   bool
	}{
		{name: "nothing", between: func(*aliceKit) error { return nil }},
		{name: "new sign-in", between: func(a *aliceKit) error { _, err := a.signIn("alice"); return err }},
		{name: "another process", between: func(a *aliceKit) error { a.Guard = a.guard(); return nil }},
		{name: "a week", between: func(a *aliceKit) error { a.Clock.Advance(7 * 24 * time.Hour); return nil }},
		{name: "session by backup code", between: func(a *aliceKit) error {
			_, err := a.pending(a.signIn("alice")).Verify(a.t.Context(), mfa.Proof{Method: mfa.BackupCode, Code: a.codes[0]})
			return err
		}},
		{name: "malformed code", between: func(a *aliceKit) error {
			_, err := a.pending(a.signIn("alice")).Verify(a.t.Context(), mfa.Proof{Method: mfa.TOTP, Code: "12345"})
			refused(a.t, err, mfa.ErrRefused, mfa.ReasonMalformedCode)
			return nil
		}},
		{name: "new codes", between: func(a *aliceKit) error { _, err := a.alice.NewBackupCodes(a.t.Context(), ""); return err }},
		{name: "signed out", between: func(a *aliceKit) error { return a.alice.SignOut(a.t.Context()) }},
		{name: "sessions ended", between: func(a *aliceKit) error { return desk(a).EndSessions(a.t.Context(), "alice") }},
		{name: "unlocked", between: func(a *aliceKit) error { return desk(a).Unlock(a.t.Context(), "alice") }},
		{name: "password changed", between: func(a *aliceKit) error { return a.Guard.CredentialsChanged(a.t.Context(), "alice") }},
		{name: "disabled and enabled", between: func(a *aliceKit) error {
			return errors.Join(a.Guard.Disable(a.t.Context(), "alice"), a.Guard.Enable(a.t.Context(), "alice"))
		}},
		{name: "resealed", between: func(a *aliceKit) error { return a.Guard.Reseal(a.t.Context(), "alice") }},
		{name: "right code", reset: true, between: func(a *aliceKit) error { a.finish(a.signIn("alice")); return nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAlice(t)
			a.guess(4, a.wrong("alice"))
			if err := tc.between(a); err != nil {
				t.Fatal(err)
			}
			a.guess(1, a.wrong("alice"))
			a.Clock.Advance(29 * time.Second)
			_, err := a.pending(a.signIn("alice")).Verify(t.Context(), a.totp("alice"))
			if throttled, ok := errors.AsType[*mfa.ThrottledError](err); ok == tc.reset || ok && throttled.RetryAfter != time.Second {
				t.Errorf("error %v (%s), want a wait of one more second: %t", err, mfa.ReasonOf(err), !tc.reset)
			}
		})
	}
}

// guess sends wrong proofs in a new sign-in.
func (a *aliceKit) guess(n int, wrong mfa.Proof) {
	a.t.Helper()
	p := a.pending(a.signIn("alice"))
	for range n {
		_, err := p.Verify(a.t.Context(), wrong)
		refused(a.t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	}
}

// TestR5_UnlockKeepsTheCount: unlocking ends the wait. The next wrong proof waits
// as long as it would have without.
func TestR5_UnlockKeepsTheCount(t *testing.T) {
	a := newAlice(t)
	a.guess(5, a.wrong("alice"))
	if err := a.Guard.Operator("ops", "called back").Unlock(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	a.guess(1, a.wrong("alice"))
	_, err := a.pending(a.signIn("alice")).Verify(t.Context(), a.totp("alice"))
	throttled, ok := errors.AsType[*mfa.ThrottledError](err)
	if !ok || throttled.RetryAfter != time.Minute {
		t.Errorf("after the sixth wrong proof: %v, want a wait of one minute", err)
	}
}

// TestR9_HeldIsNotUsable: whoever has a factor never gets a session or an
// enrollment for the password alone, however unusable the factor is. Left are
// what can still be used, a wait, or no_usable_factor.
func TestR9_HeldIsNotUsable(t *testing.T) {
	both, code, app := []mfa.Method{mfa.TOTP, mfa.BackupCode}, []mfa.Method{mfa.BackupCode}, []mfa.Method{mfa.TOTP}
	swapped := []mfa.Method{mfa.BackupCode, mfa.TOTP} // what waits comes last
	apps := map[string]func(a *aliceKit, key string){
		"healthy":  func(*aliceKit, string) {},
		"waiting":  func(a *aliceKit, _ string) { a.guess(5, a.wrong("alice")) },
		"disabled": disableTOTP, "sealed": loseKey,
	}
	for _, tc := range []struct {
		app, codes string
		methods    []mfa.Method
		face       error // with no methods
	}{
		{"healthy", "left", both, nil}, {"healthy", "waiting", both, nil}, {"healthy", "used up", app, nil},
		{"waiting", "left", swapped, nil}, {"waiting", "waiting", nil, mfa.ErrThrottled}, {"waiting", "used up", nil, mfa.ErrThrottled},
		{"disabled", "left", code, nil}, {"disabled", "waiting", nil, mfa.ErrThrottled}, {"disabled", "used up", nil, mfa.ErrRefused},
		{"sealed", "left", code, nil}, {"sealed", "waiting", nil, mfa.ErrThrottled}, {"sealed", "used up", nil, mfa.ErrRefused},
	} {
		for _, require := range []mfa.Require{mfa.RequireOff, mfa.RequireAtDoor, mfa.RequireAtSignIn} {
			t.Run(fmt.Sprintf("app %s/codes %s/require %d", tc.app, tc.codes, require), func(t *testing.T) {
				key := mfa.NewKey()
				a := newAlice(t, withRules(mfa.Rules{Require: require}), underKeys(t, key),
					func(c *mfa.Config) { c.Policy.Limits.TriesBeforeDisable = 10 })
				if tc.codes == "used up" {
					for _, code := range a.codes {
						a.session(a.pending(a.signIn("alice")).Verify(t.Context(), mfa.Proof{Method: mfa.BackupCode, Code: code}))
					}
				}
				apps[tc.app](a, key)
				if tc.codes == "waiting" {
					a.guess(5, wrongCode())
				}
				out, err := a.signIn("alice")
				if tc.methods == nil {
					refused(t, err, tc.face, mfa.ReasonNoUsableFactor)
				} else if need := a.pending(out, err).Need(); need.Step != mfa.StepVerify || !slices.Equal(need.Methods, tc.methods) {
					t.Errorf("needs %v of %v, want verify of %v", need.Step, need.Methods, tc.methods)
				}
				if out.Session != nil {
					t.Error("a session for the password alone")
				}
			})
		}
	}
}

// underKeys is an option for newAlice.
func underKeys(t *testing.T, text string) func(*mfa.Config) {
	t.Helper()
	keys, err := mfa.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return func(c *mfa.Config) { c.Keys = keys }
}

// disableTOTP sends as many wrong codes as disable the method.
func disableTOTP(a *aliceKit, _ string) {
	for range 10 {
		a.guess(1, a.wrong("alice"))
		a.Clock.Advance(time.Hour)
	}
}

// loseKey replaces the key. What is written meanwhile is written with the new
// one, and the secret of the authenticator stays under the old.
func loseKey(a *aliceKit, key string) {
	next := mfa.NewKey()
	a.Guard = a.guard(underKeys(a.t, next+" "+key))
	a.finish(a.signIn("alice"))
	a.Guard = a.guard(underKeys(a.t, next))
}

// TestR9_NeverHeld: who never had a factor, or was reset, gets a flow that can
// enroll and nothing else when a rule or the reset asks for it.
func TestR9_NeverHeld(t *testing.T) {
	for _, tc := range []struct {
		name    string
		user    string
		require mfa.Require
		why     mfa.Reason // "": a session
	}{
		{"no rule", "bob", mfa.RequireOff, ""},
		{"rule at the door", "bob", mfa.RequireAtDoor, ""},
		{"rule at sign-in", "bob", mfa.RequireAtSignIn, mfa.ReasonRule},
		{"reset without rule", "alice", mfa.RequireOff, mfa.ReasonReset},
		{"reset", "alice", mfa.RequireAtSignIn, mfa.ReasonReset},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAlice(t, withRules(mfa.Rules{Require: tc.require}))
			if tc.user == "alice" {
				if err := a.Guard.Operator("ops", "lost phone").Reset(t.Context(), "alice"); err != nil {
					t.Fatal(err)
				}
			}
			if tc.why == "" {
				a.session(a.signIn(tc.user))
				return
			}
			p := a.pending(a.signIn(tc.user))
			need := p.Need()
			if need.Step != mfa.StepEnroll || !slices.Equal(need.Methods, []mfa.Method{mfa.TOTP}) || need.Why != tc.why || !need.SkipUntil.IsZero() {
				t.Fatalf("needs %+v, want to enroll because of %s", need, tc.why)
			}
			ctx := t.Context()
			_, err := p.Verify(ctx, a.totp("alice"))
			refused(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
			_, err = p.Verify(ctx, mfa.Proof{Method: mfa.BackupCode, Code: a.codes[0]})
			refused(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
			_, err = p.Reauthenticated(ctx, mfa.PasswordFirst())
			refused(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
			_, err = p.SaveCodes(ctx)
			refused(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
			_, err = p.ConfirmTOTP(ctx, "123456")
			refused(t, err, mfa.ErrRefused, mfa.ReasonNotStaged)
			_, err = p.Skip(ctx)
			refused(t, err, mfa.ErrForbidden, mfa.ReasonCannotSkip)
			a.finish(mfa.Outcome{Pending: p}, nil)
		})
	}
}

// TestR4_BegunBeforeTheFactor: a password alone leads to a first factor. A flow
// that got as far with it asks for the factor once another flow has bound one:
// whoever knows the password could otherwise add an authenticator of his own.
func TestR4_BegunBeforeTheFactor(t *testing.T) {
	for _, tc := range []struct {
		name  string
		rules mfa.Rules
		open  func(a *aliceKit) *underway
	}{
		{"enroll", mfa.Rules{}, steppingUp("bob", mfa.ToEnroll(mfa.TOTP), 0)},
		{"door", mfa.Rules{Require: mfa.RequireAtDoor}, steppingUp("bob", mfa.ToEnter("acme"), 0)},
		{"sign-in", mfa.Rules{Require: mfa.RequireAtSignIn}, signingIn("bob")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAlice(t, withRules(tc.rules))
			u := tc.open(a)
			a.stage(a.resume(u))
			stolen := a.staged["bob"]
			a.finish(mfa.Outcome{Pending: a.resume(tc.open(a))}, nil)
			p := a.resume(u)
			if need := p.Need(); need.Step != mfa.StepVerify {
				t.Errorf("the flow needs %v, want verify", need.Step)
			}
			_, err := p.ConfirmTOTP(t.Context(), stolen.Code(a.Clock.Now()))
			refused(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
			if n := len(a.account("bob").TOTP); n != 1 {
				t.Errorf("bob has %d authenticators, want 1", n)
			}
		})
	}
}
