package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestR1_R2_Race32: 32 requests race with one code for one flow, and for sixteen,
// which is as many as there can be. One wins, in every round.
func TestR1_R2_Race32(t *testing.T) {
	for _, flows := range []int{1, 16} {
		t.Run(fmt.Sprintf("%d flows", flows), func(t *testing.T) {
			a := newAlice(t)
			var all []*underway
			for range flows {
				all = append(all, signingIn("alice")(a))
			}
			m, had := a.moment(), len(a.live("alice"))
			for round := range mfatest.Rounds(1000) {
				again := m.on(m.copy())
				reasons := again.race32(all, proving("", (*aliceKit).totp).do)
				if sessions := len(again.live("alice")) - had; reasons[""] != 1 || sessions != 1 {
					t.Fatalf("round %d: %d winners and %d sessions, want one", round+1, reasons[""], sessions)
				}
				// The winner comes first and sets the count back.
				if n := again.account("alice").Tries["totp"].Wrong; n != reasons[mfa.ReasonTOTPReused] {
					t.Fatalf("round %d: %d wrong codes are counted, want %d", round+1, n, reasons[mfa.ReasonTOTPReused])
				}
			}
		})
	}
}

// on returns the kit at the moment with another store.
func (m *moment) on(store mfa.Store) *aliceKit {
	m.t.Helper()
	k, a := *m.Kit, *m.aliceKit
	k.Events = new(mfatest.Events)
	k.Guard = m.guard(func(c *mfa.Config) { c.Store, c.OnEvent = store, k.Events.Record })
	a.Kit, a.store = &k, &watched{Store: store}
	return &a
}

// A faultCase is an operation that writes, ready to be done in a process.
type faultCase struct {
	name    string
	require mfa.Require
	ready   func(a *aliceKit) request
	once    bool // it proves something that is then used up
}

// A request is one operation in one process.
type request = func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error)

// onFlow is an operation on a flow.
func onFlow(open func(*aliceKit) *underway, do func(ctx context.Context, a *aliceKit, p *mfa.Pending) (mfa.Outcome, error)) func(*aliceKit) request {
	return func(a *aliceKit) request {
		u := open(a)
		return func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
			p, err := g.Pending(ctx, u.token, u.by, mfatest.Laptop())
			if err != nil {
				return mfa.Outcome{}, err
			}
			return do(ctx, a, p)
		}
	}
}

// onSession is an operation of a session beside another.
func onSession(user string, do func(ctx context.Context, s *mfa.Session, other string) (mfa.Outcome, error)) func(*aliceKit) request {
	return func(a *aliceKit) request {
		token, other := a.fresh(user).Token(), a.fresh(user).ID()
		return func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
			s, err := g.Session(ctx, token, mfatest.Laptop())
			if err != nil {
				return mfa.Outcome{}, err
			}
			return do(ctx, s, other)
		}
	}
}

func faultCases() []faultCase {
	off, atSignIn := mfa.RequireOff, mfa.RequireAtSignIn
	proof := func(of func(*aliceKit, string) mfa.Proof) func(context.Context, *aliceKit, *mfa.Pending) (mfa.Outcome, error) {
		return func(ctx context.Context, a *aliceKit, p *mfa.Pending) (mfa.Outcome, error) {
			return p.Verify(ctx, of(a, "alice"))
		}
	}
	backup := func(a *aliceKit, _ string) mfa.Proof { return mfa.Proof{Method: mfa.BackupCode, Code: a.codes[0]} }
	signIn := func(user string) func(*aliceKit) request {
		return func(*aliceKit) request {
			return func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
				return g.SignIn(ctx, mfa.SignIn{User: user, First: mfa.PasswordFirst()})
			}
		}
	}
	confirm := steppingUp("alice", mfa.ToConfirm("test"), 6*time.Minute)
	return []faultCase{
		{"SignIn to a session", off, signIn("bob"), false},
		{"SignIn to a flow", off, signIn("alice"), false},
		{"Verify TOTP", off, onFlow(signingIn("alice"), proof((*aliceKit).totp)), true},
		{"Verify BackupCode", off, onFlow(signingIn("alice"), proof(backup)), true},
		{"Verify and elevate", off, onFlow(confirm, proof((*aliceKit).totp)), true},
		{"Verify a wrong code", off, onFlow(signingIn("alice"), proof((*aliceKit).wrong)), false},
		{"ConfirmTOTP", atSignIn, onFlow(showingApp("bob"), func(ctx context.Context, a *aliceKit, p *mfa.Pending) (mfa.Outcome, error) {
			return p.ConfirmTOTP(ctx, a.staged["bob"].Code(a.Clock.Now()))
		}), true},
		{"SaveCodes", atSignIn, onFlow(showingCodes(signingIn("bob")), func(ctx context.Context, _ *aliceKit, p *mfa.Pending) (mfa.Outcome, error) {
			return p.SaveCodes(ctx)
		}), true},
		{"NewBackupCodes", off, onSession("alice", func(ctx context.Context, s *mfa.Session, _ string) (mfa.Outcome, error) {
			return s.NewBackupCodes(ctx, "")
		}), false},
		{"Revoke", off, onSession("bob", func(ctx context.Context, s *mfa.Session, other string) (mfa.Outcome, error) {
			return mfa.Outcome{}, s.Revoke(ctx, other)
		}), false},
		{"SignOut", off, onSession("bob", func(ctx context.Context, s *mfa.Session, _ string) (mfa.Outcome, error) {
			return mfa.Outcome{}, s.SignOut(ctx)
		}), false},
		{"Disable", off, func(*aliceKit) request {
			return func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
				return mfa.Outcome{}, g.Disable(ctx, "alice")
			}
		}, false},
	}
}

// changedKinds names what was created, replaced and deleted, by kind.
func changedKinds(was, now map[mfa.Key]string) []string {
	var found []string
	for k, v := range now {
		if old, ok := was[k]; !ok {
			found = append(found, "new "+k.Kind)
		} else if old != v {
			found = append(found, "changed "+k.Kind)
		}
	}
	for k := range was {
		if _, ok := now[k]; !ok {
			found = append(found, "deleted "+k.Kind)
		}
	}
	slices.Sort(found)
	return found
}

// seen is what an operation led to: the answer, the changes, what is counted and
// the events.
func (m *moment) seen(a *aliceKit, out mfa.Outcome, err error) string {
	var told []mfa.EventName
	for _, e := range a.Events.Take() {
		told = append(told, e.Name)
	}
	wrong := a.account("alice").Tries["totp"].Wrong
	return fmt.Sprintf("session %t, flow %t, error %v (%s), %v, %d wrong, told %v",
		out.Session != nil, out.Pending != nil, err, mfa.ReasonOf(err), changedKinds(m.versions(), a.versions()), wrong, told)
}

// TestFaults: a commit goes wrong in each way in which it can. What was applied is
// reported as done when the store can say so. Otherwise the answer is that it is
// not known, which is no success and grants nothing. In every case all of it is
// stored or none, it is told once, and no proof is accepted twice.
func TestFaults(t *testing.T) {
	for _, d := range faultCases() {
		a := newAlice(t, withRules(mfa.Rules{Require: d.require}))
		do := d.ready(a)
		m := a.moment()
		clean := m.on(m.copy())
		out, err := do(t.Context(), clean.Guard)
		done := m.seen(clean, out, err)
		unknown := "session false, flow false, error " + mfa.ErrUnavailable.Error() + ": commit: " + mfatest.ErrFault.Error() + " (store_failed), [], 0 wrong, told []"
		for _, f := range []mfatest.Fault{mfatest.FaultBefore, mfatest.FaultAfter, mfatest.FaultLate, mfatest.FaultConflict} {
			t.Run(d.name+"/"+f.String(), func(t *testing.T) {
				memory := m.copy()
				faulty := mfatest.FailCommit(memory, 1, f)
				again := m.on(faulty)
				out, err := do(t.Context(), again.Guard)
				want := done
				if f == mfatest.FaultBefore || f == mfatest.FaultLate {
					want = unknown
				}
				if got := m.seen(again, out, err); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				if f == mfatest.FaultLate {
					m.late(t, do, again, faulty, done)
				}
				if f == mfatest.FaultBefore { // nothing came of it, so it can be done
					out, err = do(t.Context(), again.Guard)
					if got := m.seen(again, out, err); got != done {
						t.Errorf("done again: got  %s\nwant %s", got, done)
					}
				}
				sessions := len(again.live("alice"))
				if out, err = do(t.Context(), again.Guard); d.once && (err == nil || out != (mfa.Outcome{}) || len(again.live("alice")) > sessions) {
					t.Errorf("what was used up is accepted again: %v", out)
				}
			})
		}
		t.Run(d.name+"/one commit", func(t *testing.T) {
			second := mfatest.FailCommit(m.copy(), 2, mfatest.FaultBefore)
			if _, _ = do(t.Context(), m.on(second).Guard); second.Fired() {
				t.Error("the operation takes two commits: between them it is half written")
			}
		})
	}
}

// late applies what was on its way, in two stores: at once, and after the same was
// done once more.
func (m *moment) late(t *testing.T, do request, now *aliceKit, faulty *mfatest.FaultStore, done string) {
	t.Helper()
	if err := faulty.Release(); err != nil {
		t.Errorf("the late commit: %v", err)
	}
	if got := changedKinds(m.versions(), now.versions()); !slices.Equal(got, m.changesIn(do)) {
		t.Errorf("the late commit did %v, want %v", got, m.changesIn(do))
	}
	later := mfatest.FailCommit(m.copy(), 1, mfatest.FaultLate)
	again := m.on(later)
	_, _ = do(t.Context(), again.Guard)
	out, err := do(t.Context(), again.Guard)
	if got := m.seen(again, out, err); got != done {
		t.Errorf("done again: got  %s\nwant %s", got, done)
	}
	if err := later.Release(); !errors.Is(err, mfa.ErrConflict) {
		t.Errorf("the late commit came on top: %v", err)
	}
}

func (m *moment) changesIn(do request) []string {
	clean := m.on(m.copy())
	_, _ = do(m.t.Context(), clean.Guard)
	return changedKinds(m.versions(), clean.versions())
}

// TestFaults_EveryCall: each call of the store fails in turn. The answer is that
// the store failed, and nothing is stored, granted or told.
func TestFaults_EveryCall(t *testing.T) {
	for _, d := range faultCases() {
		t.Run(d.name, func(t *testing.T) {
			a := newAlice(t, withRules(mfa.Rules{Require: d.require}))
			do := d.ready(a)
			m := a.moment()
			for n := 1; ; n++ {
				faulty := mfatest.FailCall(m.copy(), n, mfatest.FaultBefore)
				again := m.on(faulty)
				out, err := do(t.Context(), again.Guard)
				if !faulty.Fired() {
					if n < 3 {
						t.Errorf("only %d calls", n-1)
					}
					return
				}
				if !errors.Is(err, mfa.ErrUnavailable) || mfa.ReasonOf(err) != mfa.ReasonStoreFailed || out != (mfa.Outcome{}) ||
					!maps.Equal(m.versions(), again.versions()) || len(again.Events.Take()) > 0 {
					t.Errorf("call %d failed: %s", n, m.seen(again, out, err))
				}
			}
		})
	}
}

// TestR5_FailingStoreTellsNothing: a right code takes the same calls of the store
// as a wrong one up to the commit, and whichever of them fails is answered alike.
func TestR5_FailingStoreTellsNothing(t *testing.T) {
	code := func(p mfa.Proof) doing {
		return func(a *aliceKit, flow *mfa.Pending) (mfa.Outcome, error) { return flow.Verify(a.t.Context(), p) }
	}
	for _, tc := range []struct {
		name string
		open func(*aliceKit) *underway
		with func(a *aliceKit) (right, wrong doing)
	}{
		{"sign-in TOTP", signingIn("alice"), func(a *aliceKit) (doing, doing) { return code(a.totp("alice")), code(a.wrong("alice")) }},
		{"sign-in backup code", signingIn("alice"), func(a *aliceKit) (doing, doing) {
			return code(mfa.Proof{Method: mfa.BackupCode, Code: a.codes[0]}), code(wrongCode())
		}},
		{"confirm TOTP", steppingUp("alice", mfa.ToConfirm("test"), 6*time.Minute), func(a *aliceKit) (doing, doing) {
			return code(a.totp("alice")), code(a.wrong("alice"))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAlice(t)
			u := tc.open(a)
			right, wrong := tc.with(a)
			m := a.moment()
			for n := 1; ; n++ {
				answer := func(do doing) (string, bool) {
					faulty := mfatest.FailCall(m.copy(), n, mfatest.FaultBefore)
					again := m.on(faulty)
					p, err := again.Guard.Pending(t.Context(), u.token, u.by, mfatest.Laptop())
					if err == nil {
						_, err = do(again, p)
					}
					return fmt.Sprintf("%v (%s)", err, mfa.ReasonOf(err)), faulty.Fired()
				}
				r, met := answer(right)
				w, metToo := answer(wrong)
				if !met && !metToo {
					return
				}
				if r != w {
					t.Errorf("call %d fails: a right code is answered %q, a wrong one %q", n, r, w)
				}
			}
		})
	}
}

// TestFaults_CannotAsk: the answer of a commit is lost, and so is the answer to
// what became of it. It is not known, and what was used up stays so.
func TestFaults_CannotAsk(t *testing.T) {
	for _, d := range faultCases() {
		for _, f := range []mfatest.Fault{mfatest.FaultAfter, mfatest.FaultConflict} {
			t.Run(d.name+"/"+f.String(), func(t *testing.T) {
				a := newAlice(t, withRules(mfa.Rules{Require: d.require}))
				do := d.ready(a)
				m := a.moment()
				for n := 1; ; n++ {
					memory := m.copy()
					lost := mfatest.FailCommit(memory, 1, f)
					mute := mfatest.FailCall(lost, n, mfatest.FaultBefore)
					out, err := do(t.Context(), m.on(mute).Guard)
					if !mute.Fired() {
						return
					}
					if !lost.Fired() {
						continue
					}
					if !errors.Is(err, mfa.ErrUnavailable) || out != (mfa.Outcome{}) {
						t.Errorf("call %d: %v with %+v, want that it is not known", n, err, out)
					}
					again := m.on(memory)
					if out, err = do(t.Context(), again.Guard); d.once && (err == nil || out != (mfa.Outcome{})) {
						t.Error("what was used up is accepted again")
					}
				}
			})
		}
	}
}

// TestFaults_Stop: the process ends at each call of the store in turn. What is
// stored then is all or nothing, and no proof is accepted twice.
func TestFaults_Stop(t *testing.T) {
	for _, d := range faultCases() {
		t.Run(d.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // the calls wait for their deadlines
				a := newAlice(t, withRules(mfa.Rules{Require: d.require}))
				do := d.ready(a)
				m := a.moment()
				for n := 1; ; n++ {
					memory := m.copy()
					stopped := mfatest.FailCall(memory, n, mfatest.FaultStop)
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					out, err := do(ctx, m.on(stopped).Guard)
					cancel()
					if !stopped.Fired() {
						return
					}
					if err == nil || out != (mfa.Outcome{}) {
						t.Errorf("call %d: success without a store", n)
					}
					if again := m.on(memory); !maps.Equal(m.versions(), again.versions()) {
						t.Errorf("call %d never came back, and something is stored", n)
					}
				}
			})
		})
	}
}
