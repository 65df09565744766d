package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// onStore returns a guard like the lab's that works on another store.
func (l *lab) onStore(t testing.TB, store mfa.Store) *mfa.Guard {
	t.Helper()
	c := l.Config
	c.Store = store
	g, err := mfa.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// faults are those after which a process goes on.
func faults() []mfatest.Fault {
	return []mfatest.Fault{mfatest.FaultBefore, mfatest.FaultAfter, mfatest.FaultLate, mfatest.FaultConflict}
}

// TestR25_RecoverUnderFaults: whatever call of the store fails, and however, a link is
// mailed or the job says that none was; one that was mailed works. No link is mailed
// that is not stored.
func TestR25_RecoverUnderFaults(t *testing.T) {
	for _, fault := range faults() {
		t.Run(fault.String(), func(t *testing.T) {
			for n := 1; ; n++ {
				l := withPassword(t)
				faulty := mfatest.FailCall(l.Config.Store, n, fault)
				job, err := l.onStore(t, faulty).Recover(t.Context(), "ann", mfatest.Phone())
				if err == nil {
					err = job(t.Context())
				}
				mailed := l.Inbox.Take()
				if (err == nil) != (len(mailed) == 1) || err != nil && !errors.Is(err, mfa.ErrUnavailable) {
					t.Errorf("call %d: %v, %d mailed", n, err, len(mailed))
				}
				for _, m := range mailed {
					if err := l.Guard.ResetPassword(t.Context(), m.Token(), newPassword, mfa.Client{}); err != nil {
						t.Errorf("call %d: the link: %v (%s)", n, err, mfa.ReasonOf(err))
					}
				}
				if !faulty.Fired() {
					if n < 5 {
						t.Errorf("%d calls", n-1)
					}
					break
				}
			}
		})
	}
}

// TestR25_ResetUnderFaults: whatever call of the store fails, the new password holds
// and everything has ended, or nothing has happened and the link is still good. An
// answer without an error is true.
func TestR25_ResetUnderFaults(t *testing.T) {
	for _, fault := range faults() {
		t.Run(fault.String(), func(t *testing.T) {
			for n := 1; ; n++ {
				l := withPassword(t)
				token := l.link(t)
				faulty := mfatest.FailCall(l.Config.Store, n, fault)
				err := l.onStore(t, faulty).ResetPassword(t.Context(), token, newPassword, mfatest.Phone())
				if err != nil && !errors.Is(err, mfa.ErrUnavailable) {
					t.Errorf("call %d: %v (%s)", n, err, mfa.ReasonOf(err))
				}
				changed := l.account(t, "ann").Changes == 2
				if !changed && err == nil {
					t.Errorf("call %d: answered without an error, and nothing happened", n)
				}
				_, old := l.typed(t, "ann", oldPassword, false)
				_, next := l.typed(t, "ann", newPassword, false)
				_, session := l.Guard.Session(t.Context(), l.session.Token(), mfatest.Laptop())
				if (old != nil) != changed || (next == nil) != changed || errors.Is(session, mfa.ErrNoSession) != changed {
					t.Errorf("call %d: changed %t, old %v, new %v, session %v", n, changed, old, next, session)
				}
				told := slices.ContainsFunc(l.Inbox.Take(), func(m mfa.Message) bool { return m.Kind == mfa.MessageKind(mfa.EventCredentialsChanged) })
				if err == nil && !told {
					t.Errorf("call %d: she is not told", n)
				}
				if again := l.Guard.ResetPassword(t.Context(), token, "another-Moss-2024", mfatest.Phone()); (again == nil) == changed {
					t.Errorf("call %d: changed %t, and the link again: %v", n, changed, again)
				}
				if !faulty.Fired() {
					break
				}
			}
		})
	}
}

// TestR25_Undelivered: when the mail cannot be delivered the job says so, for the log.
// Before it nothing depended on the account, and the link that was counted may arrive
// late.
func TestR25_Undelivered(t *testing.T) {
	l := withPassword(t)
	down := errors.New("connection refused")
	l.Inbox.Fail(down)
	l.Events.Take()
	for _, login := range []string{"ann", "nobody"} {
		job, err := l.Guard.Recover(t.Context(), login, mfatest.Phone())
		if err != nil {
			t.Fatalf("the answer depends on the account: %v", err)
		}
		if err = job(t.Context()); login == "nobody" && err != nil {
			t.Errorf("nobody: %v", err)
		} else if login == "ann" {
			wants(t, err, mfa.ErrUndelivered, mfa.ReasonUndelivered)
			if !errors.Is(err, down) {
				t.Errorf("%v hides its cause", err)
			}
		}
	}
	l.told(t, mfa.EventResetSent, mfa.EventUndelivered)
	l.Inbox.Fail(nil)
	if n := l.kinds(t, "link"); n != 1 {
		t.Errorf("%d links", n)
	}
	if err := l.Guard.ResetPassword(t.Context(), l.link(t), newPassword, mfa.Client{}); err != nil {
		t.Errorf("the next one: %v", err)
	}
	l.Inbox.Fail(down)
	if err := l.Guard.SetPassword(t.Context(), "ann", oldPassword); err != nil {
		t.Errorf("a notice that cannot be delivered stopped the change: %v", err)
	}
}

// TestR25_JobEnds: the job ends with its context, and does not write after.
func TestR25_JobEnds(t *testing.T) {
	l := withPassword(t)
	job, err := l.Guard.Recover(t.Context(), "ann", mfa.Client{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wants(t, job(ctx), mfa.ErrUnavailable, mfa.ReasonBusy)
	if n := l.kinds(t, "link"); n != 0 || len(l.Inbox.Take()) != 0 {
		t.Errorf("%d links", n)
	}
}

// TestR25_RecoverBudget: a network has its requests of an hour; one past them is told
// so before anything depends on the account, and an hour later it is not.
func TestR25_RecoverBudget(t *testing.T) {
	l := withPassword(t, func(c *mfa.Config) { c.Policy.Limits.RecoversPerNetwork = 3 })
	for n := range 5 {
		for _, login := range []string{"ann", "nobody"}[n%2 : n%2+1] {
			_, err := l.Guard.Recover(t.Context(), login, mfatest.Phone())
			if throttled := mfa.ReasonOf(err) == mfa.ReasonNetworkBudget; throttled != (n >= 3) {
				t.Errorf("request %d: %v", n+1, err)
			}
		}
	}
	if _, err := l.Guard.Recover(t.Context(), "ann", mfatest.Laptop()); err != nil {
		t.Errorf("another network: %v", err)
	}
	l.Clock.Advance(61 * time.Minute)
	if _, err := l.Guard.Recover(t.Context(), "ann", mfatest.Phone()); err != nil {
		t.Errorf("an hour later: %v", err)
	}
}

// TestR27_LinkShowsNothing: a message that carries a link prints without it, and the
// store holds neither the token nor the address in clear.
func TestR27_LinkShowsNothing(t *testing.T) {
	l := withPassword(t)
	job, err := l.Guard.Recover(t.Context(), "ann", mfa.Client{})
	if err != nil || job(t.Context()) != nil {
		t.Fatal(err)
	}
	m := l.Inbox.Take()[0]
	all := fmt.Sprintf("%v %+v %#v", m, m, m)
	for _, r := range recordsOf(t, l.Config.Store, "ann") {
		all += string(r.Data)
		if r.Kind == mfa.LinkKind && strings.Contains(string(r.Data), "ann@example.org") {
			t.Error("the address is in clear")
		}
	}
	if token := m.Token(); len(token) < 40 || strings.Contains(all, token[6:30]) {
		t.Error("the token shows")
	}
}
