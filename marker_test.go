package mfa_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// marked is a directory that is a Marker.
type marked struct {
	*mfatest.Users
	mu       sync.Mutex
	enrolled map[string]bool
	ruled    map[string]bool
	err      error
}

func (m *marked) Enrolled(_ context.Context, user string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.enrolled[user], m.err
}

func (m *marked) MarkEnrolled(_ context.Context, user string, enrolled bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.enrolled[user] = enrolled
	}
	return m.err
}

func (m *marked) Ruled(_ context.Context, org string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ruled[org], m.err
}

func (m *marked) MarkRuled(_ context.Context, org string, ruled bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.ruled[org] = ruled
	}
	return m.err
}

func newMarked(t *testing.T) (*mfatest.Kit, *marked, *mfa.MemoryStore) {
	m, store := &marked{enrolled: make(map[string]bool), ruled: make(map[string]bool)}, new(mfa.MemoryStore)
	k := mfatest.New(t, func(c *mfa.Config) {
		m.Users = c.Users.(*mfatest.Users)
		c.Users, c.Store = m, store
		c.Policy.Rules.Require = mfa.RequireAtSignIn
	})
	k.Users.Add(mfa.User{ID: "alice"})
	return k, m, store
}

// TestR32_LossIsNotInnocence: when the account record of a user who held a factor
// is gone, a password leads neither to enrollment nor to a session. Without the
// mark the same user looks new.
func TestR32_LossIsNotInnocence(t *testing.T) {
	k, m, store := newMarked(t)
	k.Enroll(t, "alice")
	if !m.enrolled["alice"] {
		t.Fatal("not marked when the factor was bound")
	}
	records, err := store.List(t.Context(), "u/alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if err := store.Commit(t.Context(), mfa.Write{Record: mfa.Record{Key: r.Key}, IfVersion: r.Version}); err != nil {
			t.Fatal(err)
		}
	}
	in := mfa.SignIn{User: "alice", First: mfa.PasswordFirst()}
	if out, err := k.Guard.SignIn(t.Context(), in); mfa.ReasonOf(err) != mfa.ReasonRecordMissing || !errors.Is(err, mfa.ErrUnavailable) {
		t.Errorf("%+v, %v (%s), want record_missing", out, err, mfa.ReasonOf(err))
	}
	m.enrolled["alice"] = false
	if out, err := k.Guard.SignIn(t.Context(), in); err != nil || out.Pending.Need().Step != mfa.StepEnroll {
		t.Errorf("never marked: %v, want enrollment", err)
	}
}

// TestR32_HistoryAlone: no user has a history without an account, Marker or not.
func TestR32_HistoryAlone(t *testing.T) {
	store := new(mfa.MemoryStore)
	k := mfatest.New(t, func(c *mfa.Config) { c.Store = store })
	k.Users.Add(mfa.User{ID: "alice"})
	k.Enroll(t, "alice")
	records, err := store.Get(t.Context(), mfa.Key{Owner: "u/alice", Kind: "account"})
	if err != nil {
		t.Fatal(err)
	}
	gone := mfa.Write{Record: mfa.Record{Key: records[0].Key}, IfVersion: records[0].Version}
	if err := store.Commit(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	_, err = k.Guard.SignIn(t.Context(), mfa.SignIn{User: "alice", First: mfa.PasswordFirst()})
	if mfa.ReasonOf(err) != mfa.ReasonRecordMissing {
		t.Errorf("%v (%s), want record_missing", err, mfa.ReasonOf(err))
	}
}

// TestR32_NothingBeginsAgain: what ends something, or is told of a user, does not
// begin an account in place of one that is gone. Reset does, and asks to enroll.
func TestR32_NothingBeginsAgain(t *testing.T) {
	ctx := t.Context()
	first := mfa.PasswordFirst()
	desk := func(l *lab) *mfa.Admin { return l.Guard.Operator("desk", "") }
	for name, do := range map[string]func(*lab, *mfa.Pending) error{
		"sign out": func(l *lab, _ *mfa.Pending) error { return l.session.SignOut(ctx) },
		"cancel":   func(_ *lab, p *mfa.Pending) error { return p.Cancel(ctx) },
		"another's sign-in": func(l *lab, p *mfa.Pending) error {
			out, err := l.Guard.SignIn(ctx, mfa.SignIn{User: "bob", First: first, Presented: []string{p.Token()}})
			if err != nil || out.Session == nil {
				t.Errorf("bob is kept out: %v", err)
			}
			_, err = l.Guard.Export(ctx, "ann")
			return err
		},
		"disable":             func(l *lab, _ *mfa.Pending) error { return l.Guard.Disable(ctx, "ann") },
		"credentials changed": func(l *lab, _ *mfa.Pending) error { return l.Guard.CredentialsChanged(ctx, "ann") },
		"import":              func(l *lab, _ *mfa.Pending) error { _, err := l.Guard.Import(ctx, "ann", mfa.Import{}); return err },
		"end sessions":        func(l *lab, _ *mfa.Pending) error { return desk(l).EndSessions(ctx, "ann") },
		"new password":        func(l *lab, _ *mfa.Pending) error { return desk(l).RequirePasswordChange(ctx, "ann") },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			p := l.pending(t, l.flow(t))
			account := recordOf(t, l.Config.Store, "ann", "account")
			gone := mfa.Write{Record: mfa.Record{Key: account.Key}, IfVersion: account.Version}
			if err := l.Config.Store.Commit(ctx, gone); err != nil {
				t.Fatal(err)
			}
			wants(t, do(l, p), mfa.ErrUnavailable, mfa.ReasonRecordMissing)
			_, err := l.signIn(t, "ann")
			wants(t, err, mfa.ErrUnavailable, mfa.ReasonRecordMissing)
			if err := desk(l).Reset(ctx, "ann"); err != nil {
				t.Fatal(err)
			}
			out, err := l.signIn(t, "ann")
			atStep(t, out, err, mfa.StepEnroll, mfa.TOTP)
		})
	}
}

// TestR32_ImportInterrupted: an import that ends between the mark and its commit can
// be run again.
func TestR32_ImportInterrupted(t *testing.T) {
	k, m, store := newMarked(t)
	in := mfa.Import{TOTP: []string{"otpauth://totp/x:alice?issuer=x&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"}}
	for n := 1; n < 9; n++ {
		k.Config.Store = mfatest.FailCall(store, n, mfatest.FaultBefore)
		g, err := mfa.New(k.Config)
		if err != nil {
			t.Fatal(err)
		}
		done, err := g.Import(t.Context(), "alice", in)
		if err == nil {
			if !done.Written || !m.enrolled["alice"] || n < 3 {
				t.Errorf("at call %d: %+v, marked %t", n, done, m.enrolled["alice"])
			}
			return
		}
	}
	t.Error("never written")
}

// TestR32_MarkFollows: the mark is set before a factor counts and taken back after
// the last is gone; a marker that fails binds nothing.
func TestR32_MarkFollows(t *testing.T) {
	for name, end := range map[string]func(k *mfatest.Kit) error{
		"reset":  func(k *mfatest.Kit) error { return k.Guard.Operator("desk", "").Reset(context.Background(), "alice") },
		"forget": func(k *mfatest.Kit) error { return k.Guard.Forget(context.Background(), "alice") },
	} {
		t.Run(name, func(t *testing.T) {
			k, m, _ := newMarked(t)
			k.Enroll(t, "alice")
			if err := end(k); err != nil || m.enrolled["alice"] {
				t.Errorf("marked %t, %v", m.enrolled["alice"], err)
			}
		})
	}
	t.Run("marker fails", func(t *testing.T) {
		k, m, _ := newMarked(t)
		p := k.SignIn(t, "alice").Pending
		setup, err := p.StartTOTP(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		app, err := mfatest.NewAuthenticator(setup.URI())
		if err != nil {
			t.Fatal(err)
		}
		m.err = errors.New("the directory is down")
		if _, err := p.ConfirmTOTP(t.Context(), app.Code(k.Clock.Now())); !errors.Is(err, mfa.ErrUnavailable) {
			t.Errorf("bound without a mark: %v", err)
		}
		m.err = nil
		if out, err := p.ConfirmTOTP(t.Context(), app.Code(k.Clock.Now())); err != nil || !m.enrolled["alice"] {
			t.Errorf("%+v, marked %t, %v", out, m.enrolled["alice"], err)
		}
	})
}
