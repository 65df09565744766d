package mfa_test

import (
	"context"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A meeting is two operations on ann's account and what must hold after them, in
// whatever order their store calls came.
type meeting struct {
	name    string
	prepare func(t *testing.T, l *lab) // before the clock moves on
	a, b    func(ctx context.Context, l *lab, flow string) (mfa.Outcome, error)
	check   func(t *testing.T, l *lab, a, b result)
}

// A result is what one of the operations returned.
type result struct {
	out mfa.Outcome
	err error
}

// alive reports whether the session that r led to still works.
func (r result) alive(t *testing.T, l *lab) bool {
	t.Helper()
	if r.out.Session == nil {
		return false
	}
	_, err := l.Guard.Session(t.Context(), r.out.Session.Token(), mfatest.Laptop())
	return err == nil
}

// typing gives a proof in a flow.
func typing(pr func(*lab) mfa.Proof) func(context.Context, *lab, string) (mfa.Outcome, error) {
	return func(ctx context.Context, l *lab, flow string) (mfa.Outcome, error) {
		return l.verify(ctx, flow, pr(l))
	}
}

// desk is the support desk at work.
func desk(do func(*mfa.Admin, context.Context, string) error) func(context.Context, *lab, string) (mfa.Outcome, error) {
	return func(ctx context.Context, l *lab, _ string) (mfa.Outcome, error) {
		return mfa.Outcome{}, do(l.Guard.Operator("desk", ""), ctx, "ann")
	}
}

// inSession does something in a session that is signed in.
func inSession(do func(ctx context.Context, l *lab, s *mfa.Session) (mfa.Outcome, error)) func(context.Context, *lab, string) (mfa.Outcome, error) {
	return func(ctx context.Context, l *lab, _ string) (mfa.Outcome, error) {
		s, err := l.Guard.Session(ctx, l.session.Token(), mfatest.Laptop())
		if err != nil {
			return mfa.Outcome{}, err
		}
		return do(ctx, l, s)
	}
}

// counted starts with so many wrong codes of the app and no wait.
func counted(n int) func(*testing.T, *lab) {
	return func(t *testing.T, l *lab) {
		l.change(t, "ann", func(d *mfa.AccountData) { d.Tries = map[string]mfa.Tries{"totp": {Wrong: n}} })
	}
}

// TestR2_Schedules, as all the tests here, goes through every order of the store
// calls of two operations. R2 accepts a backup code once.
func TestR2_Schedules(t *testing.T) {
	code := typing(func(l *lab) mfa.Proof { return l.backup(0) })
	meeting{a: code, b: code, check: func(t *testing.T, l *lab, a, b result) {
		if a.alive(t, l) == b.alive(t, l) || len(l.account(t, "ann").Codes) != 9 {
			t.Errorf("%v and %v (%s and %s), %d codes left: want one winner", a.err, b.err, mfa.ReasonOf(a.err), mfa.ReasonOf(b.err),
				len(l.account(t, "ann").Codes))
		}
		for _, r := range []result{a, b} {
			if why := mfa.ReasonOf(r.err); r.err != nil && why != mfa.ReasonWrongCode {
				t.Errorf("the loser: %v (%s)", r.err, why)
			}
		}
	}}.run(t)
}

// TestR20_Schedules: R20's reset leaves no session behind that began meanwhile,
// and nothing of what a code moved.
func TestR20_Schedules(t *testing.T) {
	reset := desk((*mfa.Admin).Reset)
	for name, pr := range map[string]func(*lab) mfa.Proof{
		"right code": (*lab).right, "backup code": func(l *lab) mfa.Proof { return l.backup(0) }, "wrong code": (*lab).wrong,
	} {
		t.Run(name, func(t *testing.T) {
			meeting{a: typing(pr), b: reset, check: func(t *testing.T, l *lab, a, b result) {
				d := l.account(t, "ann")
				if b.err != nil || a.alive(t, l) || l.kinds(t, "session")+l.kinds(t, "pending") != 0 {
					t.Errorf("reset: %v; %d sessions and %d flows are left", b.err, l.kinds(t, "session"), l.kinds(t, "pending"))
				}
				if !d.MustEnroll || len(d.TOTP)+len(d.Codes)+len(d.Tries) != 0 {
					t.Errorf("after the reset %+v", d)
				}
			}}.run(t)
		})
	}
}

// TestR8_Schedules: R8's new set is the only one, whoever uses an old code
// meanwhile.
func TestR8_Schedules(t *testing.T) {
	regenerate := inSession(func(ctx context.Context, _ *lab, s *mfa.Session) (mfa.Outcome, error) {
		return s.NewBackupCodes(ctx, "")
	})
	use := typing(func(l *lab) mfa.Proof { return l.backup(0) })
	check := func(t *testing.T, l *lab, a, b result) {
		if a.err != nil || a.out.Pending == nil {
			t.Fatalf("new codes: %v (%s)", a.err, mfa.ReasonOf(a.err))
		}
		d := l.account(t, "ann")
		fresh := a.out.Pending.BackupCodes().Reveal()
		if len(d.Codes) != 10 || len(fresh) != 10 || !d.Unsaved {
			t.Fatalf("%d codes, %d shown, unsaved %t", len(d.Codes), len(fresh), d.Unsaved)
		}
		l.refuses(t, l.codes[:2])
		l.codes = fresh
		if _, err := l.guess(t, l.backup(0)); err != nil {
			t.Errorf("a code of the new set: %v (%s)", err, mfa.ReasonOf(err))
		}
	}
	meeting{a: regenerate, b: use, check: check}.run(t)
}

// TestR12_Schedules: R12's removal of the last app stands, whatever a code of it
// did meanwhile, and takes the backup codes along.
func TestR12_Schedules(t *testing.T) {
	remove := inSession(func(ctx context.Context, l *lab, s *mfa.Session) (mfa.Outcome, error) {
		return mfa.Outcome{}, s.RemoveTOTP(ctx, l.account(t, "ann").TOTP[0].ID)
	})
	meeting{a: remove, b: typing((*lab).right), check: func(t *testing.T, l *lab, a, b result) {
		d := l.account(t, "ann")
		if a.err != nil || len(d.TOTP)+len(d.Codes) != 0 || d.Ask {
			t.Errorf("removal: %v (%s); after it %d apps, %d codes", a.err, mfa.ReasonOf(a.err), len(d.TOTP), len(d.Codes))
		}
		if b.err != nil && mfa.ReasonOf(b.err) != mfa.ReasonStepNotAsked {
			t.Errorf("the code: %v (%s)", b.err, mfa.ReasonOf(b.err))
		}
		if b.out.Session != nil && len(b.out.Session.Assurance().Proofs) != 1 {
			t.Error("a session without the proof that it was given for")
		}
	}}.run(t)
}

// TestR6_Schedules: R6 counts every answered guess exactly once: unlocking ends
// waits and no counts, a success clears what came before it and nothing after.
func TestR6_Schedules(t *testing.T) {
	unlock, fail, succeed := desk((*mfa.Admin).Unlock), typing((*lab).wrong), typing((*lab).right)
	answered := func(rs ...result) int {
		n := 0
		for _, r := range rs {
			if mfa.ReasonOf(r.err) == mfa.ReasonWrongCode {
				n++
			}
		}
		return n
	}
	for _, m := range []meeting{
		{"unlock and the fifth", counted(4), unlock, fail, func(t *testing.T, l *lab, _, b result) {
			if n := l.account(t, "ann").Tries["totp"].Wrong; n != 5 || answered(b) != 1 {
				t.Errorf("%d counted, %v", n, b.err)
			}
		}},
		{"unlock and the sixth", func(t *testing.T, l *lab) { l.wrongSoFar(t, mfa.TOTP, 5) }, unlock, fail, func(t *testing.T, l *lab, _, b result) {
			if n := l.account(t, "ann").Tries["totp"].Wrong; n != 5+answered(b) {
				t.Errorf("%d counted, %v", n, b.err)
			}
		}},
		{"two wrong", counted(0), fail, fail, func(t *testing.T, l *lab, a, b result) {
			d := l.account(t, "ann")
			if n := answered(a, b); n != 2 || d.Tries["totp"].Wrong != n || len(d.Failures) != n {
				t.Errorf("%d answered, %d and %d counted", n, d.Tries["totp"].Wrong, len(d.Failures))
			}
		}},
		{"two wrong, one to the limit", counted(4), fail, fail, func(t *testing.T, l *lab, a, b result) {
			if n := l.account(t, "ann").Tries["totp"].Wrong; n != 5 || answered(a, b) != 1 {
				t.Errorf("%d answered, %d counted, want one and 5", answered(a, b), n)
			}
		}},
		{"right and wrong", counted(3), succeed, fail, func(t *testing.T, l *lab, a, b result) {
			n := l.account(t, "ann").Tries["totp"].Wrong
			if !a.alive(t, l) || answered(b) != 1 || n > 1 {
				t.Errorf("right: %v, wrong: %v, %d counted, want 0 or 1", a.err, b.err, n)
			}
		}},
		{"right and wrong, one to the limit", counted(4), succeed, fail, func(t *testing.T, l *lab, a, b result) {
			n := l.account(t, "ann").Tries["totp"].Wrong
			if a.alive(t, l) != (n <= 1) || !a.alive(t, l) && n != 5 || answered(b) != 1 {
				t.Errorf("right: %v, wrong: %v, %d counted", a.err, b.err, n)
			}
		}},
	} {
		t.Run(m.name, m.run)
	}
}

// run goes through all schedules of the meeting, each in a lab of its own. Each of
// the two operations has a flow of its own.
func (m meeting) run(t *testing.T) {
	n := mfatest.Schedules(t, func(wrap func(mfa.Store) mfa.Store) mfatest.Race {
		l := newLab(t, func(c *mfa.Config) { c.Store = wrap(c.Store) })
		if m.prepare != nil {
			m.prepare(t, l)
		}
		first, second := l.flow(t), l.flow(t)
		var a, b result
		return mfatest.Race{
			A:     func(ctx context.Context) { a.out, a.err = m.a(ctx, l, first) },
			B:     func(ctx context.Context) { b.out, b.err = m.b(ctx, l, second) },
			Check: func(string) { m.check(t, l, a, b) },
		}
	})
	t.Logf("%d schedules", n)
	if n < 2 {
		t.Error("no two orders were tried")
	}
}

// TestR2_ScheduleOneFlow: R2 consumes a flow at most once: two right proofs in the
// same flow lead to one session.
func TestR2_ScheduleOneFlow(t *testing.T) {
	mfatest.Schedules(t, func(wrap func(mfa.Store) mfa.Store) mfatest.Race {
		l := newLab(t, func(c *mfa.Config) { c.Store = wrap(c.Store) })
		l.Clock.Advance(time.Minute)
		flow := l.flow(t)
		var a, b result
		return mfatest.Race{
			A: func(ctx context.Context) { a.out, a.err = l.verify(ctx, flow, l.backup(0)) },
			B: func(ctx context.Context) { b.out, b.err = l.verify(ctx, flow, l.right()) },
			Check: func(string) {
				if a.alive(t, l) == b.alive(t, l) || l.kinds(t, "session") != 2 {
					t.Errorf("%v and %v, %d sessions, want one winner", a.err, b.err, l.kinds(t, "session"))
				}
				for _, r := range []result{a, b} {
					if r.err != nil {
						wants(t, r.err, mfa.ErrNoPending, mfa.ReasonAlreadyCompleted)
					}
				}
				if d := l.account(t, "ann"); a.err != nil && len(d.Codes) != 10 {
					t.Error("the loser's backup code is gone")
				}
			},
		}
	})
}
