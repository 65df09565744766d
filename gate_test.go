package mfa_test

import (
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// An opening is a flow at one of its steps, and what would succeed there.
type opening struct {
	name  string
	user  string
	rules mfa.Rules
	open  func(a *aliceKit) *underway
	acts  []act
}

// underway is a flow, the cookies of the browser that has it, and the session
// that opened it, nil at sign-in.
type underway struct {
	token, by string
	user      string
	session   *mfa.Session
}

// An act is one verifying path.
type act struct {
	name   string
	staged bool // an authenticator waits for its first code
	do     func(a *aliceKit, p *mfa.Pending) (mfa.Outcome, error)
}

func proving(name string, proof func(a *aliceKit, user string) mfa.Proof) act {
	return act{name: name, do: func(a *aliceKit, p *mfa.Pending) (mfa.Outcome, error) {
		return p.Verify(a.t.Context(), proof(a, p.User()))
	}}
}

func openings() []opening {
	verify := []act{
		proving("Verify TOTP", (*aliceKit).totp),
		proving("Verify BackupCode", func(a *aliceKit, _ string) mfa.Proof {
			return mfa.Proof{Method: mfa.BackupCode, Code: a.codes[0]}
		}),
	}
	password := []act{{name: "Reauthenticated", do: func(a *aliceKit, p *mfa.Pending) (mfa.Outcome, error) {
		return p.Reauthenticated(a.t.Context(), mfa.PasswordFirst())
	}}}
	enroll := []act{{name: "StartTOTP", do: func(a *aliceKit, p *mfa.Pending) (mfa.Outcome, error) {
		_, err := p.StartTOTP(a.t.Context(), "")
		return mfa.Outcome{}, err
	}}, {name: "ConfirmTOTP", staged: true, do: func(a *aliceKit, p *mfa.Pending) (mfa.Outcome, error) {
		return a.bind(p)
	}}}
	skip := []act{{name: "Skip", do: func(a *aliceKit, p *mfa.Pending) (mfa.Outcome, error) {
		return p.Skip(a.t.Context())
	}}}
	save := []act{{name: "SaveCodes", do: func(a *aliceKit, p *mfa.Pending) (mfa.Outcome, error) {
		return p.SaveCodes(a.t.Context())
	}}}

	atSignIn, atDoor := mfa.Rules{Require: mfa.RequireAtSignIn}, mfa.Rules{Require: mfa.RequireAtDoor}
	soon := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	confirm, enrolling, enter := mfa.ToConfirm("test"), mfa.ToEnroll(mfa.TOTP), mfa.ToEnter("acme")
	return []opening{
		{"sign-in verify", "alice", mfa.Rules{}, signingIn("alice"), verify},
		{"sign-in enroll", "bob", atSignIn, signingIn("bob"), enroll},
		{"sign-in skip", "bob", mfa.Rules{Require: mfa.RequireAtSignIn, From: soon}, signingIn("bob"), skip},
		{"sign-in save", "bob", atSignIn, showingCodes(signingIn("bob")), save},
		{"enter verify", "alice", atDoor, steppingUp("alice", enter, 0), verify},
		{"enter enroll", "bob", atDoor, steppingUp("bob", enter, 0), enroll},
		{"enter skip", "bob", mfa.Rules{Require: mfa.RequireAtDoor, From: soon}, steppingUp("bob", enter, 0), skip},
		{"enter save", "bob", atDoor, showingCodes(steppingUp("bob", enter, 0)), save},
		{"confirm verify", "alice", mfa.Rules{}, steppingUp("alice", confirm, 6*time.Minute), verify},
		{"confirm password", "bob", mfa.Rules{}, steppingUp("bob", confirm, 6*time.Minute), password},
		{"confirm save", "alice", mfa.Rules{}, newCodes, save},
		{"enroll verify", "alice", mfa.Rules{}, steppingUp("alice", enrolling, 6*time.Minute), verify},
		{"enroll password", "bob", mfa.Rules{}, steppingUp("bob", enrolling, 6*time.Minute), password},
		{"enroll again", "alice", mfa.Rules{}, proven(steppingUp("alice", enrolling, 6*time.Minute)), enroll},
		{"enroll first", "bob", mfa.Rules{}, steppingUp("bob", enrolling, 0), enroll},
		{"enroll save", "bob", mfa.Rules{}, showingCodes(steppingUp("bob", enrolling, 0)), save},
	}
}

func signingIn(user string) func(*aliceKit) *underway {
	return func(a *aliceKit) *underway { return &underway{token: a.pending(a.signIn(user)).Token(), user: user} }
}

// steppingUp opens a flow of a session that proved nothing but a password, so
// long ago.
func steppingUp(user string, to mfa.Purpose, ago time.Duration) func(*aliceKit) *underway {
	return func(a *aliceKit) *underway {
		if user == "alice" {
			if err := a.alice.SetAskAtSignIn(a.t.Context(), false); err != nil {
				a.t.Fatal(err)
			}
		}
		s := a.session(a.signIn(user))
		a.Clock.Advance(ago)
		p := a.pending(s.StepUp(a.t.Context(), to, ""))
		return &underway{p.Token(), s.Token(), user, s}
	}
}

// newCodes opens a flow that shows new backup codes.
func newCodes(a *aliceKit) *underway {
	p := a.pending(a.alice.NewBackupCodes(a.t.Context(), ""))
	return &underway{p.Token(), a.alice.Token(), "alice", a.alice}
}

// proven takes a flow past its code page.
func proven(open func(*aliceKit) *underway) func(*aliceKit) *underway {
	return func(a *aliceKit) *underway {
		u := open(a)
		a.pending(a.resume(u).Verify(a.t.Context(), a.totp(u.user)))
		a.Clock.Advance(a.apps[u.user].Period())
		return u
	}
}

// showingCodes takes a flow to the backup codes of a user's first authenticator.
func showingCodes(open func(*aliceKit) *underway) func(*aliceKit) *underway {
	return func(a *aliceKit) *underway {
		u := open(a)
		p := a.resume(u)
		a.stage(p)
		u.token = a.pending(a.bind(p)).Token() // the proof brings a new one
		return u
	}
}

// resume returns a new handle of a flow that is alive.
func (a *aliceKit) resume(u *underway) *mfa.Pending {
	a.t.Helper()
	p, err := a.Guard.Pending(a.t.Context(), u.token, u.by, mfatest.Laptop())
	if err != nil {
		a.t.Fatalf("Pending: %v (%s)", err, mfa.ReasonOf(err))
	}
	return p
}

// An obstacle is what the gate refuses.
type obstacle struct {
	name   string
	face   error
	reason mfa.Reason
	put    func(a *aliceKit, u *underway)
	scope  scope
}

// scope says which flows and handles an obstacle is in the way of.
type scope struct {
	bound     bool // only of flows that a session opened
	cookie    bool // only of a request that comes after it
	directory bool // not of a handle that asked the directory before
	guess     bool // only of flows at a step where a guess can be wrong
	alone     bool // not of an old handle that writes the flow alone
}

func obstacles() []obstacle { return append(flowObstacles(), sessionObstacles()...) }

func flowObstacles() []obstacle {
	over, none := mfa.ErrNoPending, scope{}
	host := func(do func(*mfa.Guard, *testing.T, string) error) func(*aliceKit, *underway) {
		return func(a *aliceKit, u *underway) {
			if err := do(a.Guard, a.t, u.user); err != nil {
				a.t.Fatal(err)
			}
		}
	}
	return []obstacle{
		{"disabled in the directory", mfa.ErrRefused, mfa.ReasonUserDisabled, func(a *aliceKit, u *underway) {
			a.Users.Add(mfa.User{ID: u.user, Disabled: true})
		}, scope{directory: true}},
		{"removed from the directory", over, mfa.ReasonUserUnknown, func(a *aliceKit, u *underway) {
			a.Users.Remove(u.user)
		}, scope{directory: true}},
		{"directory failing", mfa.ErrUnavailable, mfa.ReasonDirectoryFailed, func(a *aliceKit, u *underway) {
			a.Users.Fail(errors.New("no route to host"))
		}, scope{directory: true}},
		{"disabled by the host", over, mfa.ReasonNotFound, host(func(g *mfa.Guard, t *testing.T, user string) error {
			return g.Disable(t.Context(), user)
		}), none},
		{"disabled and enabled again", over, mfa.ReasonNotFound, host(func(g *mfa.Guard, t *testing.T, user string) error {
			return errors.Join(g.Disable(t.Context(), user), g.Enable(t.Context(), user))
		}), none},
		{"forgotten", over, mfa.ReasonNotFound, host(func(g *mfa.Guard, t *testing.T, user string) error {
			return g.Forget(t.Context(), user)
		}), none},
		{"reset", over, mfa.ReasonNotFound, host(func(g *mfa.Guard, t *testing.T, user string) error {
			return g.Operator("ops", "").Reset(t.Context(), user)
		}), none},
		{"password changed", over, mfa.ReasonNotFound, host(func(g *mfa.Guard, t *testing.T, user string) error {
			return g.CredentialsChanged(t.Context(), user)
		}), none},
		{"expired", over, mfa.ReasonExpired, func(a *aliceKit, _ *underway) { a.Clock.Advance(10 * time.Minute) }, none},
		{"begun before NotBefore", over, mfa.ReasonIssuedBefore, func(a *aliceKit, _ *underway) {
			a.Guard = a.guard(func(c *mfa.Config) { c.NotBefore = a.Clock.Now().Add(time.Second) })
		}, scope{cookie: true}},
		{"completed", over, mfa.ReasonAlreadyCompleted, func(a *aliceKit, u *underway) {
			a.finish(mfa.Outcome{Pending: a.resume(u)}, nil)
		}, none},
		{"five wrong codes", over, mfa.ReasonTooManyTries, fiveWrong, scope{guess: true}},
	}
}

func sessionObstacles() []obstacle {
	over := mfa.ErrNoPending
	return []obstacle{
		{"session of another user", over, mfa.ReasonOtherSession, func(a *aliceKit, u *underway) {
			u.by = a.fresh(map[string]string{"alice": "bob", "bob": "alice"}[u.user]).Token()
		}, scope{bound: true, cookie: true}},
		{"another session of hers", over, mfa.ReasonOtherSession, func(a *aliceKit, u *underway) {
			u.by = a.fresh(u.user).Token()
		}, scope{bound: true, cookie: true}},
		{"no session", over, mfa.ReasonOtherSession, func(_ *aliceKit, u *underway) { u.by = "" }, scope{bound: true, cookie: true}},
		{"session signed out", over, mfa.ReasonNotFound, func(a *aliceKit, u *underway) {
			if err := u.session.SignOut(a.t.Context()); err != nil {
				a.t.Fatal(err)
			}
		}, scope{bound: true}},
		{"session revoked", over, mfa.ReasonNotFound, func(a *aliceKit, u *underway) {
			if err := a.fresh(u.user).Revoke(a.t.Context(), u.session.ID()); err != nil {
				a.t.Fatal(err)
			}
		}, scope{bound: true}},
		{"session elevated", over, mfa.ReasonOtherSession, elevateFirst, scope{bound: true, alone: true}},
		{"session expired", over, mfa.ReasonOtherSession, func(a *aliceKit, _ *underway) {
			a.Guard = a.guard(func(c *mfa.Config) { c.Policy.Rules.SessionFor = 5 * time.Minute })
			a.Clock.Advance(5 * time.Minute)
		}, scope{bound: true, cookie: true}},
	}
}

// fiveWrong ends a flow by guessing.
func fiveWrong(a *aliceKit, u *underway) {
	for range 5 {
		p, err := a.resume(u), error(nil)
		if p.Need().Step == mfa.StepVerify {
			_, err = p.Verify(a.t.Context(), a.wrong(u.user))
		} else {
			a.stage(p)
			_, err = p.ConfirmTOTP(a.t.Context(), a.staged[u.user].Wrong(a.Clock.Now()))
		}
		refused(a.t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	}
}

// elevateFirst replaces the token of the session that opened a flow, by way of
// another flow.
func elevateFirst(a *aliceKit, u *underway) {
	strict := a.guard(func(c *mfa.Config) { c.Policy.Rules.FreshFor = time.Minute })
	a.Clock.Advance(2 * time.Minute)
	s, err := strict.Session(a.t.Context(), u.by, mfatest.Laptop())
	if err != nil {
		a.t.Fatal(err)
	}
	if up := a.finish(s.StepUp(a.t.Context(), mfa.ToConfirm("other"), "")); up.Token() == u.by {
		a.t.Fatal("the session was not elevated")
	}
}

// TestR4_Gate holds every verifying path against everything that must stop it.
// R4: one gate. The user is enabled, the flow is hers, unexpired and not
// consumed, and a flow that a session opened works through that session only.
// What is refused says why and changes nothing.
func TestR4_Gate(t *testing.T) {
	for _, op := range openings() {
		for _, act := range op.acts {
			for _, o := range obstacles() {
				if o.scope.bound && op.name[:4] == "sign" {
					continue
				}
				if guessing := act.name == "Verify TOTP" || act.name == "ConfirmTOTP"; o.scope.guess && !guessing {
					continue
				}
				t.Run(op.name+"/"+act.name+"/"+o.name, func(t *testing.T) { o.test(t, op, act, false) })
				alone := act.name == "StartTOTP" || act.name == "Reauthenticated"
				if !o.scope.cookie && !(o.scope.alone && alone) {
					t.Run(op.name+"/"+act.name+"/"+o.name+"/old handle", func(t *testing.T) { o.test(t, op, act, true) })
				}
			}
		}
	}
}

// test plays one row. An old handle was made before the obstacle, as when two
// requests overlap.
func (o obstacle) test(t *testing.T, op opening, act act, old bool) {
	a := newAlice(t, withRules(op.rules))
	u := op.open(a)
	if act.staged {
		a.stage(a.resume(u))
	}
	p := a.resume(u)
	if o.scope.directory {
		// A handle uses up what it read in its first operation.
		if _, err := p.Verify(t.Context(), mfa.Proof{}); !errors.Is(err, mfa.ErrRefused) {
			t.Fatalf("Verify of nothing: %v", err)
		}
	}
	o.put(a, u)
	was := a.versions()
	out, err := mfa.Outcome{}, error(nil)
	if !old {
		p, err = a.Guard.Pending(t.Context(), u.token, u.by, mfatest.Laptop())
	}
	if err == nil {
		out, err = act.do(a, p)
	}
	refused(t, err, o.face, o.reason)
	if out != (mfa.Outcome{}) {
		t.Errorf("the refusal came with %+v", out)
	}
	if now := a.versions(); !maps.Equal(was, now) {
		t.Errorf("the refusal changed the store from %v to %v", was, now)
	}
}

// TestR4_GateOpens is the other half of TestR4_Gate: without an obstacle every
// path passes, to the last second of the flow.
func TestR4_GateOpens(t *testing.T) {
	for _, op := range openings() {
		for _, act := range op.acts {
			t.Run(op.name+"/"+act.name, func(t *testing.T) {
				a := newAlice(t, withRules(op.rules))
				u := op.open(a)
				if act.staged {
					a.stage(a.resume(u))
				}
				a.Clock.Advance(a.resume(u).Expires().Sub(a.Clock.Now()) - time.Second)
				if _, err := act.do(a, a.resume(u)); err != nil {
					t.Errorf("%v (%s), want success", err, mfa.ReasonOf(err))
				}
			})
		}
	}
}

// TestCancel: canceling voids the token of a flow, whatever the directory says and
// though the flow ran out meanwhile. Of a flow that is over otherwise it changes
// nothing.
func TestCancel(t *testing.T) {
	for _, op := range openings() {
		for _, o := range append(obstacles(), obstacle{name: "nothing", put: func(*aliceKit, *underway) {}}) {
			if o.scope.cookie || o.scope.bound && op.name[:4] == "sign" || o.scope.guess && op.acts[0].name != "Verify TOTP" {
				continue
			}
			t.Run(op.name+"/"+o.name, func(t *testing.T) {
				a := newAlice(t, withRules(op.rules))
				u := op.open(a)
				p := a.resume(u)
				o.put(a, u)
				was := a.versions()
				if err := p.Cancel(t.Context()); err != nil {
					t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
				}
				over := o.reason == mfa.ReasonNotFound || o.reason == mfa.ReasonAlreadyCompleted || o.reason == mfa.ReasonTooManyTries
				if over != maps.Equal(was, a.versions()) {
					t.Errorf("the flow is over: %t, canceling changed something: %t", over, !over)
				}
				a.Clock.Advance(-10 * time.Minute)
				a.Users.Fail(nil)
				a.Users.Add(mfa.User{ID: u.user})
				_, err := a.Guard.Pending(t.Context(), u.token, u.by, mfatest.Laptop())
				want := mfa.ReasonNotFound
				if over {
					want = o.reason
				}
				refused(t, err, mfa.ErrNoPending, want)
			})
		}
	}
}
