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

// request presents a session cookie to one more process over the same store.
func (a *aliceKit) request(token string) (*mfa.Session, error) {
	a.t.Helper()
	return a.guard().Session(a.t.Context(), token, mfatest.Laptop())
}

// live returns the ids of all sessions of a user in the store.
func (a *aliceKit) live(user string) []string {
	a.t.Helper()
	var ids []string
	for k := range a.versions() {
		if k.Owner == "u/"+user && k.Kind == "session" {
			ids = append(ids, k.ID)
		}
	}
	return ids
}

// TestR13_NoSessionBeforeTheEnd: until everything required is done nothing that
// the browser holds is a session, and the store has none.
func TestR13_NoSessionBeforeTheEnd(t *testing.T) {
	a := newAlice(t, withRules(mfa.Rules{Require: mfa.RequireAtSignIn}))
	p := a.pending(a.signIn("bob"))
	none := func() {
		t.Helper()
		if ids := a.live("bob"); len(ids) > 0 {
			t.Errorf("at %v there are sessions %v", p.Need().Step, ids)
		}
		_, err := a.request(p.Token())
		refused(t, err, mfa.ErrNoSession, mfa.ReasonForgedToken)
		_, err = a.Guard.Enter(t.Context(), p.Token(), "acme", mfa.Client{})
		refused(t, err, mfa.ErrNoSession, mfa.ReasonForgedToken)
	}
	none()
	a.stage(p)
	none()
	before := p.Token()
	p = a.pending(a.bind(p))
	none()
	// Whoever planted the flow in this browser does not share in the proof.
	_, err := a.Guard.Pending(t.Context(), before, "", mfa.Client{})
	refused(t, err, mfa.ErrNoPending, mfa.ReasonReplaced)
	s := a.session(p.SaveCodes(t.Context()))
	if ids := a.live("bob"); !slices.Equal(ids, []string{s.ID()}) {
		t.Errorf("sessions %v, want %v alone", ids, s.ID())
	}
	_, err = a.Guard.Pending(t.Context(), s.Token(), "", mfa.Client{})
	refused(t, err, mfa.ErrNoPending, mfa.ReasonForgedToken)
}

// TestR13_R14_ElevationReplacesTheToken: every elevation gives a new token and
// voids the old one. The session keeps its id and its end.
func TestR13_R14_ElevationReplacesTheToken(t *testing.T) {
	for _, op := range openings() {
		if op.name[:4] == "sign" {
			continue
		}
		t.Run(op.name, func(t *testing.T) {
			a := newAlice(t, withRules(op.rules))
			u := op.open(a)
			a.Clock.Advance(9 * time.Minute)
			up := a.finish(mfa.Outcome{Pending: a.resume(u)}, nil)
			if up.Token() == u.by || up.ID() != u.session.ID() || !up.Expires().Equal(u.session.Expires()) {
				t.Errorf("the session %s until %v became %s until %v, new token: %t",
					u.session.ID(), u.session.Expires(), up.ID(), up.Expires(), up.Token() != u.by)
			}
			_, err := a.request(u.by)
			refused(t, err, mfa.ErrNoSession, mfa.ReasonReplaced)
			s, err := a.request(up.Token())
			if err != nil || !s.Expires().Equal(u.session.Expires()) {
				t.Errorf("the new token: %v", err)
			}
		})
	}
}

// TestR13_PresentedEnds: signing in ends the sessions and flows that the browser
// had, whoever's they are: a token planted before is worth nothing after. A token
// that is no longer good ends nothing.
func TestR13_PresentedEnds(t *testing.T) {
	for _, user := range []string{"alice", "bob"} {
		t.Run("a session and a flow of "+user, func(t *testing.T) {
			a := newAlice(t)
			s := a.fresh(user)
			flow := a.pending(s.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), ""))
			other := a.fresh(user)
			otherFlow := a.pending(other.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), ""))
			_, err := a.Guard.SignIn(t.Context(), mfa.SignIn{
				User: "alice", First: mfa.PasswordFirst(), Presented: []string{"junk", s.Token(), otherFlow.Token()},
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = a.request(s.Token())
			refused(t, err, mfa.ErrNoSession, mfa.ReasonNotFound)
			for _, p := range []*mfa.Pending{flow, otherFlow} {
				_, err = a.Guard.Pending(t.Context(), p.Token(), other.Token(), mfa.Client{})
				refused(t, err, mfa.ErrNoPending, mfa.ReasonNotFound)
			}
			if _, err = a.request(other.Token()); err != nil {
				t.Errorf("a session in another browser: %v", err)
			}
		})
	}
	t.Run("a replaced token", func(t *testing.T) {
		a := newAlice(t)
		old := a.fresh("bob")
		a.Clock.Advance(6 * time.Minute)
		s := a.finish(old.StepUp(t.Context(), mfa.ToConfirm("test"), ""))
		if _, err := a.Guard.SignIn(t.Context(), mfa.SignIn{User: "alice", First: mfa.PasswordFirst(), Presented: []string{old.Token()}}); err != nil {
			t.Fatal(err)
		}
		if _, err := a.request(s.Token()); err != nil {
			t.Errorf("the session ended by its old token: %v", err)
		}
	})
	t.Run("more than four", func(t *testing.T) {
		a := newAlice(t)
		_, err := a.Guard.SignIn(t.Context(), mfa.SignIn{User: "alice", First: mfa.PasswordFirst(), Presented: make([]string, 5)})
		refused(t, err, mfa.ErrInvalid, mfa.ReasonInvalidArgument)
	})
}

// TestR13_SignOut: signing out ends the session and the flows it opened, and
// nothing else. Doing it again does nothing.
func TestR13_SignOut(t *testing.T) {
	a := newAlice(t)
	s, other := a.fresh("bob"), a.fresh("bob")
	flow := a.pending(s.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), ""))
	kept := a.pending(other.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), ""))
	if err := s.SignOut(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err := a.request(s.Token())
	refused(t, err, mfa.ErrNoSession, mfa.ReasonNotFound)
	_, err = a.Guard.Pending(t.Context(), flow.Token(), s.Token(), mfa.Client{})
	refused(t, err, mfa.ErrNoPending, mfa.ReasonNotFound)
	if _, err := a.Guard.Pending(t.Context(), kept.Token(), other.Token(), mfa.Client{}); err != nil {
		t.Errorf("the flow of another session: %v", err)
	}
	a.Events.Take()
	was := a.versions()
	if err := s.SignOut(t.Context()); err != nil || !maps.Equal(was, a.versions()) || len(a.Events.Take()) > 0 {
		t.Errorf("signing out again: %v, or it changed or told something", err)
	}
}

// TestR13_RefusedTokenChangesNothing: a token that is refused leads nowhere and
// has no effect, whatever is asked of it.
func TestR13_RefusedTokenChangesNothing(t *testing.T) {
	for _, tc := range []struct {
		name   string
		token  func(a *aliceKit) string
		reason mfa.Reason
	}{
		{"empty", func(*aliceKit) string { return "" }, mfa.ReasonForgedToken},
		{"one bit off", func(a *aliceKit) string {
			b := []byte(a.alice.Token())
			b[len(b)/2] ^= 1
			return string(b)
		}, mfa.ReasonForgedToken},
		{"of another installation", func(a *aliceKit) string {
			g := a.guard(underKeys(a.t, mfa.NewKey()), func(c *mfa.Config) { c.Store = new(mfa.MemoryStore) })
			return a.session(g.SignIn(a.t.Context(), mfa.SignIn{User: "bob", First: mfa.PasswordFirst()})).Token()
		}, mfa.ReasonUnknownKey},
		{"a flow's", func(a *aliceKit) string { return a.pending(a.signIn("alice")).Token() }, mfa.ReasonForgedToken},
		{"expired", func(a *aliceKit) string { a.Clock.Advance(24 * time.Hour); return a.alice.Token() }, mfa.ReasonExpired},
		{"signed out", func(a *aliceKit) string { _ = a.alice.SignOut(a.t.Context()); return a.alice.Token() }, mfa.ReasonNotFound},
		{"replaced", func(a *aliceKit) string { a.add(a.alice, ""); return a.alice.Token() }, mfa.ReasonReplaced},
		{"before NotBefore", func(a *aliceKit) string {
			a.Config.NotBefore = a.Clock.Now().Add(time.Second)
			return a.alice.Token()
		}, mfa.ReasonIssuedBefore},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAlice(t)
			token := tc.token(a)
			a.Guard = a.guard()
			a.Clock.Advance(2 * time.Minute) // a touch would be due
			was := a.versions()
			s, err := a.request(token)
			refused(t, err, mfa.ErrNoSession, tc.reason)
			_, err = a.Guard.Enter(t.Context(), token, "acme", mfatest.Laptop())
			refused(t, err, mfa.ErrNoSession, tc.reason)
			if s != nil || !maps.Equal(was, a.versions()) {
				t.Error("there is a session beside the error, or the store changed")
			}
		})
	}
}

// TestR13_HandleIsNoProof: a handle of a session that ended or was elevated since
// does nothing.
func TestR13_HandleIsNoProof(t *testing.T) {
	for name, tc := range map[string]struct {
		since  func(a *aliceKit)
		reason mfa.Reason
	}{
		"ended":    {func(a *aliceKit) { _ = a.guard().Operator("ops", "").EndSessions(a.t.Context(), "alice") }, mfa.ReasonNotFound},
		"elevated": {func(a *aliceKit) { a.add(a.alice, "") }, mfa.ReasonReplaced},
		"disabled": {func(a *aliceKit) { a.Users.Add(mfa.User{ID: "alice", Disabled: true}) }, mfa.ReasonUserDisabled},
		"removed":  {func(a *aliceKit) { a.Users.Remove("alice") }, mfa.ReasonUserUnknown},
	} {
		ctx := t.Context()
		for op, do := range map[string]func(s *mfa.Session) error{
			"StepUp":         func(s *mfa.Session) error { _, err := s.StepUp(ctx, mfa.ToEnroll(mfa.TOTP), ""); return err },
			"Overview":       func(s *mfa.Session) error { _, err := s.Overview(ctx); return err },
			"Revoke":         func(s *mfa.Session) error { return s.Revoke(ctx, s.ID()) },
			"RevokeOthers":   func(s *mfa.Session) error { return s.RevokeOthers(ctx) },
			"RenameTOTP":     func(s *mfa.Session) error { return s.RenameTOTP(ctx, "x", "y") },
			"RemoveTOTP":     func(s *mfa.Session) error { return s.RemoveTOTP(ctx, "x") },
			"SetAskAtSignIn": func(s *mfa.Session) error { return s.SetAskAtSignIn(ctx, false) },
			"NewBackupCodes": func(s *mfa.Session) error { _, err := s.NewBackupCodes(ctx, ""); return err },
		} {
			t.Run(name+"/"+op, func(t *testing.T) {
				a := newAlice(t)
				s := a.alice
				tc.since(a)
				was := a.versions()
				refused(t, do(s), mfa.ErrNoSession, tc.reason)
				if !maps.Equal(was, a.versions()) {
					t.Error("the store changed")
				}
			})
		}
	}
}

// TestR14_AbsoluteLife: a session ends when its time is over, to the second,
// however much it is used and elevated. Stricter rules hold for it at once.
func TestR14_AbsoluteLife(t *testing.T) {
	for _, tc := range []struct{ policy, life time.Duration }{
		{0, 24 * time.Hour}, {24 * time.Hour, 24 * time.Hour}, {8 * time.Hour, 8 * time.Hour}, {5 * time.Minute, 5 * time.Minute},
	} {
		t.Run(fmt.Sprint(tc.policy), func(t *testing.T) {
			a := newAlice(t, withRules(mfa.Rules{SessionFor: tc.policy}))
			a.Clock.Advance(700 * time.Millisecond)
			s, born := a.fresh("bob"), a.Clock.Now()
			for part := range time.Duration(4) {
				a.Clock.Advance(born.Add(part * tc.life / 4).Sub(a.Clock.Now()))
				s = a.finish(s.StepUp(t.Context(), mfa.ToConfirm("test"), ""))
			}
			a.Clock.Advance(born.Add(tc.life - time.Second).Sub(a.Clock.Now()))
			if _, err := a.request(s.Token()); err != nil {
				t.Errorf("a second before the end: %v (%s)", err, mfa.ReasonOf(err))
			}
			a.Clock.Advance(time.Second)
			_, err := a.request(s.Token())
			refused(t, err, mfa.ErrNoSession, mfa.ReasonExpired)
			if s.Expires().After(a.Clock.Now()) {
				t.Errorf("the session says it lasts until %v", s.Expires())
			}
		})
	}
	for _, tc := range []struct {
		name      string
		then, now time.Duration
	}{{"stricter since", 0, time.Hour}, {"looser since", time.Hour, 0}} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAlice(t, withRules(mfa.Rules{SessionFor: tc.then}))
			s := a.fresh("bob")
			a.Config.Policy.Rules.SessionFor = tc.now
			a.Clock.Advance(time.Hour - time.Second)
			if _, err := a.request(s.Token()); err != nil {
				t.Errorf("a second before the end: %v (%s)", err, mfa.ReasonOf(err))
			}
			a.Clock.Advance(time.Second)
			_, err := a.request(s.Token())
			refused(t, err, mfa.ErrNoSession, mfa.ReasonExpired)
		})
	}
}

// TestR14_Idle: a session that was not used for as long as the rules say is over.
// Use is recorded to the minute.
func TestR14_Idle(t *testing.T) {
	const idle = 10 * time.Minute
	for _, tc := range []struct {
		name string
		gaps []time.Duration // between requests
		over bool            // at the last
	}{
		{"unused", []time.Duration{idle}, true},
		{"a second less", []time.Duration{idle - time.Second}, false},
		{"used", []time.Duration{idle - time.Second, idle - time.Second, idle - time.Second}, false},
		{"used, then not", []time.Duration{idle - time.Second, idle}, true},
		{"used within the minute", []time.Duration{59 * time.Second, idle - 59*time.Second}, true},
		{"used after a minute", []time.Duration{time.Minute, idle - time.Second}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAlice(t, withRules(mfa.Rules{IdleFor: idle}))
			s := a.fresh("bob")
			var err error
			for i, gap := range tc.gaps {
				if err != nil {
					t.Fatalf("request %d: %v (%s)", i, err, mfa.ReasonOf(err))
				}
				a.Clock.Advance(gap)
				_, err = a.request(s.Token())
			}
			if tc.over {
				refused(t, err, mfa.ErrNoSession, mfa.ReasonIdle)
			} else if err != nil {
				t.Errorf("%v (%s), want a session", err, mfa.ReasonOf(err))
			}
		})
	}
}

// TestR14_ActivityOnceAMinute: however many requests, last activity is written
// once a minute, and a request does not fail with it.
func TestR14_ActivityOnceAMinute(t *testing.T) {
	a := newAlice(t)
	s := a.fresh("bob")
	a.store.commits.Store(0)
	for range 60 {
		a.Clock.Advance(10 * time.Second)
		for range 5 {
			if _, err := a.request(s.Token()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := a.store.commits.Load(); n != 10 {
		t.Errorf("%d commits in ten minutes, want 10", n)
	}
	o, err := s.Overview(t.Context())
	if err != nil || !o.Sessions[0].LastSeen.Equal(a.Clock.Now()) {
		t.Errorf("last seen %v, %v, want now", o.Sessions[0].LastSeen, err)
	}
	a.Clock.Advance(time.Minute)
	a.store.fail = errors.New("read only")
	if _, err := a.request(s.Token()); err != nil {
		t.Errorf("a request whose touch fails: %v", err)
	}
}
