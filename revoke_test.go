package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// sessionEndings are the ways in which sessions of bob end at another's hands.
func sessionEndings() map[string]func(a *aliceKit, s *mfa.Session) error {
	return map[string]func(a *aliceKit, s *mfa.Session) error{
		"Revoke":       func(a *aliceKit, s *mfa.Session) error { return a.fresh("bob").Revoke(a.t.Context(), s.ID()) },
		"Revoke own":   func(a *aliceKit, s *mfa.Session) error { return s.Revoke(a.t.Context(), s.ID()) },
		"RevokeOthers": func(a *aliceKit, _ *mfa.Session) error { return a.fresh("bob").RevokeOthers(a.t.Context()) },
		"SignOut":      func(a *aliceKit, s *mfa.Session) error { return s.SignOut(a.t.Context()) },
		"EndSessions": func(a *aliceKit, _ *mfa.Session) error {
			return a.Guard.Operator("ops", "").EndSessions(a.t.Context(), "bob")
		},
		"Reset": func(a *aliceKit, _ *mfa.Session) error {
			return a.Guard.Operator("ops", "").Reset(a.t.Context(), "bob")
		},
		"Disable":            func(a *aliceKit, _ *mfa.Session) error { return a.Guard.Disable(a.t.Context(), "bob") },
		"CredentialsChanged": func(a *aliceKit, _ *mfa.Session) error { return a.Guard.CredentialsChanged(a.t.Context(), "bob") },
		"Forget":             func(a *aliceKit, _ *mfa.Session) error { return a.Guard.Forget(a.t.Context(), "bob") },
		"presented at a sign-in": func(a *aliceKit, s *mfa.Session) error {
			_, err := a.Guard.SignIn(a.t.Context(), mfa.SignIn{User: "alice", First: mfa.PasswordFirst(), Presented: []string{s.Token()}})
			return err
		},
		"the 21st session": func(a *aliceKit, s *mfa.Session) error {
			for range 20 {
				a.Clock.Advance(time.Second)
				a.session(a.signIn("bob"))
			}
			return nil
		},
	}
}

// TestR15_RevokedEverywhere: a session that ended fails on its next request in
// every process. There is no cache between.
func TestR15_RevokedEverywhere(t *testing.T) {
	for name, end := range sessionEndings() {
		t.Run(name, func(t *testing.T) {
			a := newAlice(t)
			s, elsewhere := a.session(a.signIn("bob")), a.guard()
			ctx := t.Context()
			if _, err := elsewhere.Session(ctx, s.Token(), mfatest.Laptop()); err != nil {
				t.Fatal(err)
			}
			if err := end(a, s); err != nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			_, err := elsewhere.Session(ctx, s.Token(), mfatest.Laptop())
			refused(t, err, mfa.ErrNoSession, mfa.ReasonNotFound)
			_, err = elsewhere.Enter(ctx, s.Token(), "acme", mfatest.Laptop())
			refused(t, err, mfa.ErrNoSession, mfa.ReasonNotFound)
			if _, err := a.request(a.alice.Token()); err != nil {
				t.Errorf("alice's session: %v", err)
			}
		})
	}
}

// TestR14_TouchRevivesNothing: a session ends while a request that read it before
// is about to record the last activity. It stays ended.
func TestR14_TouchRevivesNothing(t *testing.T) {
	for name, end := range sessionEndings() {
		t.Run(name, func(t *testing.T) {
			a := newAlice(t)
			s := a.session(a.signIn("bob"))
			a.Clock.Advance(2 * time.Minute)
			ended := false
			a.store.before = func() {
				ended = true
				if err := end(a, s); err != nil {
					t.Errorf("%v (%s)", err, mfa.ReasonOf(err))
				}
			}
			if _, err := a.request(s.Token()); err != nil {
				t.Errorf("the request that came before: %v", err)
			}
			_, err := a.request(s.Token())
			refused(t, err, mfa.ErrNoSession, mfa.ReasonNotFound)
			if !ended || slices.Contains(a.live("bob"), s.ID()) {
				t.Error("the session is in the store again, or the request touched nothing")
			}
		})
	}
}

// TestSessions_List: the user sees her sessions, newest first, with browser,
// address and times, and which one is the present. Nobody else's.
func TestSessions_List(t *testing.T) {
	a := newAlice(t)
	born := a.Clock.Now()
	first := a.session(a.signIn("bob"))
	a.Clock.Advance(time.Hour)
	phone, err := a.Guard.SignIn(t.Context(), mfa.SignIn{User: "bob", First: mfa.PasswordFirst(), Client: mfatest.Phone()})
	second := a.session(phone, err)
	a.Clock.Advance(time.Hour)
	if _, err := a.Guard.Session(t.Context(), first.Token(), mfatest.Phone()); err != nil {
		t.Fatal(err)
	}
	o, err := second.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []mfa.SessionInfo{{
		ID: second.ID(), Device: "Safari on iPhone", Addr: "198.51.100.7", Current: true,
		Created: born.Add(time.Hour), LastSeen: born.Add(time.Hour), Expires: born.Add(25 * time.Hour),
	}, {
		ID: first.ID(), Device: "Firefox on Linux", Addr: "192.0.2.1",
		Created: born, LastSeen: born.Add(2 * time.Hour), Expires: born.Add(24 * time.Hour),
	}}
	if fmt.Sprint(o.Sessions) != fmt.Sprint(want) {
		t.Errorf("the list is\n%+v, want\n%+v", o.Sessions, want)
	}
}

// TestSessions_Revoke: ending a session of one's own other than the present one
// takes a fresh proof. Ids that name nothing of the user's are ignored.
func TestSessions_Revoke(t *testing.T) {
	a := newAlice(t)
	ctx := t.Context()
	s, other, third := a.fresh("bob"), a.fresh("bob"), a.fresh("bob")
	flow := a.pending(other.StepUp(ctx, mfa.ToEnroll(mfa.TOTP), ""))
	a.Clock.Advance(6 * time.Minute)
	for name, err := range map[string]error{
		"one": s.Revoke(ctx, other.ID()), "with the own": s.Revoke(ctx, s.ID(), other.ID()),
		"unknown": s.Revoke(ctx, "unknown"), "all others": s.RevokeOthers(ctx),
	} {
		if up, ok := errors.AsType[*mfa.StepUpError](err); !ok || up.Purpose.Action() != "revoke_session" {
			t.Errorf("%s without a fresh proof: %v, want a step-up", name, err)
		}
	}
	s = a.finish(s.StepUp(ctx, mfa.ToConfirm("revoke_session"), ""))
	if err := s.Revoke(ctx, other.ID(), "unknown", a.alice.ID()); err != nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	_, err := a.request(other.Token())
	refused(t, err, mfa.ErrNoSession, mfa.ReasonNotFound)
	_, err = a.Guard.Pending(ctx, flow.Token(), other.Token(), mfa.Client{})
	refused(t, err, mfa.ErrNoPending, mfa.ReasonNotFound)
	for name, alive := range map[string]*mfa.Session{"own": s, "third": third, "alice's": a.alice} {
		if _, err := a.request(alive.Token()); err != nil {
			t.Errorf("the session %s: %v (%s)", name, err, mfa.ReasonOf(err))
		}
	}
	a.Clock.Advance(6 * time.Minute)
	if err := s.Revoke(ctx, s.ID()); err != nil {
		t.Errorf("ending the own session: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestSessions_RevokeOthers: it ends the other sessions, the flows they opened and
// the sign-ins under way, which would become sessions. Own flows go on.
func TestSessions_RevokeOthers(t *testing.T) {
	a := newAlice(t)
	ctx := t.Context()
	s, other := a.fresh("alice"), a.fresh("alice")
	own := a.pending(s.StepUp(ctx, mfa.ToEnroll(mfa.TOTP), ""))
	theirs := a.pending(other.StepUp(ctx, mfa.ToEnroll(mfa.TOTP), ""))
	signingIn := a.pending(a.signIn("alice"))
	if err := s.RevokeOthers(ctx); err != nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	if ids := a.live("alice"); !slices.Equal(ids, []string{s.ID()}) {
		t.Errorf("sessions %v are left, want %v", ids, s.ID())
	}
	_, err := a.Guard.Pending(ctx, theirs.Token(), other.Token(), mfa.Client{})
	refused(t, err, mfa.ErrNoPending, mfa.ReasonNotFound)
	_, err = signingIn.Verify(ctx, a.totp("alice"))
	refused(t, err, mfa.ErrNoPending, mfa.ReasonNotFound)
	if _, err = a.Guard.Pending(ctx, own.Token(), s.Token(), mfa.Client{}); err != nil {
		t.Errorf("a flow of the session itself: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestR13_SignOutSchedules: a request signs out while another of the same browser
// elevates the session. When signing out succeeds the session is gone, whichever
// token it has by then.
func TestR13_SignOutSchedules(t *testing.T) {
	a := newAlice(t)
	u := steppingUp("alice", mfa.ToConfirm("test"), 6*time.Minute)(a)
	code := a.totp("alice")
	a.moment().race(func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) { return verifyRequest(ctx, g, u, code) },
		func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
			s, err := g.Session(ctx, u.by, mfatest.Laptop())
			if err == nil {
				err = s.SignOut(ctx)
			}
			return mfa.Outcome{}, err
		}, func(t *testing.T, r *replay, a, b raceResult) {
			if b.won() {
				r.dead(a.out.Session, u.session.ID())
			} else if mfa.ReasonOf(b.err) != mfa.ReasonReplaced {
				t.Errorf("signing out: %v (%s)", b.err, mfa.ReasonOf(b.err))
			}
		})
}

// TestSessions_Bounds: one session or flow more than there is room for ends the
// oldest. Flows that are over make room first.
func TestSessions_Bounds(t *testing.T) {
	t.Run("sessions", func(t *testing.T) {
		a := newAlice(t)
		var all []*mfa.Session
		for range 22 {
			all = append(all, a.session(a.signIn("bob")))
			a.Clock.Advance(time.Second)
		}
		for i, s := range all {
			if _, err := a.request(s.Token()); (err == nil) != (i >= 2) {
				t.Errorf("session %d of 22: %v", i+1, err)
			}
		}
		ended := slices.DeleteFunc(a.Events.Take(), func(e mfa.Event) bool { return e.Name != mfa.EventSessionsEnded })
		if len(ended) != 2 || ended[0].Session != all[0].ID() || ended[0].Reason != mfa.ReasonTooManySessions {
			t.Errorf("events %+v, want the end of two", ended)
		}
	})
	t.Run("flows", func(t *testing.T) {
		a := newAlice(t)
		var all []*mfa.Pending
		for i := range 17 {
			all = append(all, a.pending(a.signIn("alice")))
			a.Clock.Advance(time.Second)
			if i == 4 {
				a.Clock.Advance(step)
				a.session(all[i].Verify(t.Context(), a.totp("alice")))
			}
		}
		all = append(all, a.pending(a.signIn("alice")))
		for i, p := range all {
			// The fifth was over already and went first, then the oldest.
			if _, err := a.Guard.Pending(t.Context(), p.Token(), "", mfa.Client{}); (err == nil) != (i != 4 && i != 0) {
				t.Errorf("flow %d of 18: %v (%s)", i+1, err, mfa.ReasonOf(err))
			}
		}
	})
}

// TestNotBefore: what began before Config.NotBefore is over, to the second, and
// does not come back.
func TestNotBefore(t *testing.T) {
	a := newAlice(t)
	s, p := a.session(a.signIn("bob")), a.pending(a.signIn("alice"))
	began := a.Clock.Now()
	for _, tc := range []struct {
		name string
		from time.Time
		good bool
	}{
		{"zero", time.Time{}, true}, {"a second before", began.Add(-time.Second), true}, {"the same second", began, true},
		{"a nanosecond later", began.Add(1), false}, {"a second later", began.Add(time.Second), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := a.guard(func(c *mfa.Config) { c.NotBefore = tc.from })
			_, err1 := g.Session(t.Context(), s.Token(), mfa.Client{})
			_, err2 := g.Pending(t.Context(), p.Token(), "", mfa.Client{})
			if tc.good {
				if err1 != nil || err2 != nil {
					t.Errorf("session: %v, flow: %v, want both", err1, err2)
				}
				return
			}
			refused(t, err1, mfa.ErrNoSession, mfa.ReasonIssuedBefore)
			refused(t, err2, mfa.ErrNoPending, mfa.ReasonIssuedBefore)
		})
	}
}

// TestEnter: the rules at the door hold for a live session. What is missing is
// said by an error that leads to the flow, and that to the door again.
func TestEnter(t *testing.T) {
	for _, require := range []mfa.Require{mfa.RequireAtDoor, mfa.RequireAtSignIn} {
		for _, user := range []string{"alice", "bob"} {
			t.Run(fmt.Sprintf("require %d, %s", require, user), func(t *testing.T) {
				a := newAlice(t)
				if err := a.alice.SetAskAtSignIn(t.Context(), false); err != nil {
					t.Fatal(err)
				}
				s := a.session(a.signIn(user))
				if _, err := a.Guard.Enter(t.Context(), s.Token(), "acme", mfatest.Laptop()); err != nil {
					t.Errorf("a door without rules: %v", err)
				}
				a.Guard = a.guard(withRules(mfa.Rules{Require: require}))
				in, err := a.Guard.Enter(t.Context(), s.Token(), "acme", mfatest.Laptop())
				refused(t, err, mfa.ErrStepUp, mfa.ReasonRule)
				up, ok := errors.AsType[*mfa.StepUpError](err)
				if !ok || in != nil || up.Purpose.Org() != "acme" {
					t.Fatalf("%v with a session %t, want the way to the door", err, in != nil)
				}
				s, err = a.Guard.Session(t.Context(), s.Token(), mfatest.Laptop())
				if err != nil {
					t.Fatal(err)
				}
				p := a.pending(s.StepUp(t.Context(), up.Purpose, "/acme/invoices"))
				if p.Return() != "/acme/invoices" || p.Purpose() != up.Purpose {
					t.Errorf("the flow leads to %v and back to %q", p.Purpose(), p.Return())
				}
				s = a.finish(mfa.Outcome{Pending: p}, nil)
				in, err = a.Guard.Enter(t.Context(), s.Token(), "acme", mfatest.Laptop())
				if err != nil || in.ID() != s.ID() {
					t.Errorf("with the factor: %v (%s)", err, mfa.ReasonOf(err))
				}
			})
		}
	}
	t.Run("not due yet", func(t *testing.T) {
		a := newAlice(t, withRules(mfa.Rules{Require: mfa.RequireAtDoor, From: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)}))
		s := a.session(a.signIn("bob"))
		if _, err := a.Guard.Enter(t.Context(), s.Token(), "acme", mfa.Client{}); err != nil {
			t.Errorf("before the date: %v", err)
		}
	})
	for _, org := range []string{"", "a\nb", "\u202e", string(make([]byte, 300))} {
		a := newAlice(t)
		_, err := a.Guard.Enter(t.Context(), a.alice.Token(), org, mfa.Client{})
		refused(t, err, mfa.ErrInvalid, mfa.ReasonInvalidArgument)
	}
}

// TestEnter_RefusedWritesNothing: a page that sends twenty requests to a closed
// door costs no write.
func TestEnter_RefusedWritesNothing(t *testing.T) {
	for _, wait := range []time.Duration{0, time.Hour} {
		t.Run(fmt.Sprintf("after %v", wait), func(t *testing.T) {
			a := newAlice(t, withRules(mfa.Rules{Require: mfa.RequireAtDoor}))
			s := a.session(a.signIn("bob"))
			a.Clock.Advance(wait)
			was := a.versions()
			a.store.commits.Store(0)
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					if _, err := a.Guard.Enter(t.Context(), s.Token(), "acme", mfatest.Laptop()); !errors.Is(err, mfa.ErrStepUp) {
						t.Errorf("%v (%s), want a step-up", err, mfa.ReasonOf(err))
					}
				})
			}
			wg.Wait()
			if n := a.store.commits.Load(); n > 0 || !maps.Equal(was, a.versions()) {
				t.Errorf("%d commits, want none", n)
			}
		})
	}
}
