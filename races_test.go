package mfa_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A moment is a kit's store as it was, to begin from again and again.
type moment struct {
	*aliceKit
	records map[string][]mfa.Record // by owner
}

func (a *aliceKit) moment() *moment {
	a.t.Helper()
	m := &moment{aliceKit: a, records: make(map[string][]mfa.Record)}
	for _, owner := range owners() {
		records, err := a.store.List(a.t.Context(), owner)
		if err != nil {
			a.t.Fatal(err)
		}
		m.records[owner] = records
	}
	return m
}

// A replay is a copy of a moment with two processes on it.
type replay struct {
	*moment
	memory *mfa.MemoryStore
	a, b   *mfa.Guard
	log    []string // calls by name and process, commits only when they were applied
	events []mfa.Event
}

// copy returns a store with what there was.
func (m *moment) copy() *mfa.MemoryStore {
	m.t.Helper()
	memory := new(mfa.MemoryStore)
	for _, records := range m.records {
		var writes []mfa.Write
		for _, r := range records {
			writes = append(writes, mfa.Write{Record: r})
		}
		if len(writes) == 0 {
			continue
		}
		if err := memory.Commit(m.t.Context(), writes...); err != nil {
			m.t.Fatal(err)
		}
	}
	return memory
}

// play begins again at m. Calls of the store go through wrap.
func (m *moment) play(wrap func(mfa.Store) mfa.Store) *replay {
	m.t.Helper()
	r := &replay{moment: m, memory: m.copy()}
	process := func(name string) *mfa.Guard {
		return m.guard(func(c *mfa.Config) {
			c.Store = wrap(&loggedStore{r.memory, r, name})
			c.OnEvent = func(_ context.Context, e mfa.Event) { r.events = append(r.events, e) }
		})
	}
	r.a, r.b = process("A"), process("B")
	return r
}

// loggedStore notes the calls of one process. One call is under way at a time.
type loggedStore struct {
	mfa.Store
	replay *replay
	name   string
}

func (l *loggedStore) List(ctx context.Context, owner string, kinds ...string) ([]mfa.Record, error) {
	l.replay.log = append(l.replay.log, "list "+l.name)
	return l.Store.List(ctx, owner, kinds...)
}

func (l *loggedStore) Commit(ctx context.Context, writes ...mfa.Write) error {
	err := l.Store.Commit(ctx, writes...)
	if err == nil {
		l.replay.log = append(l.replay.log, "commit "+l.name)
	}
	return err
}

// beganAfter reports whether what A decided last rests on what it read after B's
// commit.
func (r *replay) beganAfter() bool {
	last := strings.LastIndex(strings.Join(r.log, ";"), "list A")
	return last > strings.Index(strings.Join(r.log, ";"), "commit B")
}

// readRecord reads a record of the replay.
func readRecord[T any](r *replay, owner, kind, id string) (d T, found bool) {
	r.t.Helper()
	records, err := r.memory.Get(r.t.Context(), mfa.Key{Owner: owner, Kind: kind, ID: id})
	if err != nil {
		r.t.Fatal(err)
	}
	if records[0].Version == "" {
		return d, false
	}
	if err := mfa.OpenRecord(r.Guard, records[0], &d); err != nil {
		r.t.Fatal(err)
	}
	return d, true
}

// sessions counts the sessions stored of a user.
func (r *replay) sessions(user string) int {
	r.t.Helper()
	records, err := r.memory.List(r.t.Context(), "u/"+user, "session")
	if err != nil {
		r.t.Fatal(err)
	}
	return len(records)
}

// signedIn counts the events that say so.
func (r *replay) signedIn() int {
	return len(slices.DeleteFunc(slices.Clone(r.events), func(e mfa.Event) bool { return e.Name != mfa.EventSignedIn }))
}

// verifyRequest is one request to a code page.
func verifyRequest(ctx context.Context, g *mfa.Guard, u *underway, proof mfa.Proof) (mfa.Outcome, error) {
	p, err := g.Pending(ctx, u.token, u.by, mfatest.Laptop())
	if err != nil {
		return mfa.Outcome{}, err
	}
	return p.Verify(ctx, proof)
}

// raceResult is what one side of a race got.
type raceResult struct {
	out mfa.Outcome
	err error
}

func (r raceResult) won() bool { return r.err == nil }

// race runs a and b in every order of their store calls, each time from m.
func (m *moment) race(a, b request, check func(t *testing.T, r *replay, a, b raceResult)) {
	m.t.Helper()
	n := mfatest.Schedules(m.t, func(wrap func(mfa.Store) mfa.Store) mfatest.Race {
		r := m.play(wrap)
		var ra, rb raceResult
		return mfatest.Race{
			A:     func(ctx context.Context) { ra.out, ra.err = a(ctx, r.a) },
			B:     func(ctx context.Context) { rb.out, rb.err = b(ctx, r.b) },
			Check: func(string) { check(m.t, r, ra, rb) },
		}
	})
	m.t.Logf("%d schedules", n)
}

// TestR1_R2_R5_Schedules: two requests with one code, one flow or one backup code
// have one winner, and two with wrong ones are both counted, in every order of
// what they do to the store.
func TestR1_R2_R5_Schedules(t *testing.T) {
	right := (*aliceKit).totp
	wrong := (*aliceKit).wrong
	backup := func(a *aliceKit, _ string) mfa.Proof { return mfa.Proof{Method: mfa.BackupCode, Code: a.codes[0]} }
	for _, tc := range []struct {
		name  string
		proof func(*aliceKit, string) mfa.Proof
		flows int
		loser mfa.Reason
		wins  int
		wrong map[string]int // counts afterwards
	}{
		{"code, two flows", right, 2, mfa.ReasonTOTPReused, 1, map[string]int{"totp": 1}},
		{"code, one flow", right, 1, mfa.ReasonAlreadyCompleted, 1, nil},
		{"backup code, two flows", backup, 2, mfa.ReasonWrongCode, 1, map[string]int{"backup_code": 1}},
		{"backup code, one flow", backup, 1, mfa.ReasonAlreadyCompleted, 1, nil},
		{"wrong code, two flows", wrong, 2, mfa.ReasonWrongCode, 0, map[string]int{"totp": 2}},
		{"wrong code, one flow", wrong, 1, mfa.ReasonWrongCode, 0, map[string]int{"totp": 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAlice(t)
			flows := []*underway{signingIn("alice")(a), signingIn("alice")(a)}
			first, second := flows[0], flows[tc.flows-1]
			m, proof := a.moment(), tc.proof(a, "alice")
			had := len(a.live("alice"))
			m.race(func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
				return verifyRequest(ctx, g, first, proof)
			},
				func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
					return verifyRequest(ctx, g, second, proof)
				},
				func(t *testing.T, r *replay, a, b raceResult) {
					wins := 0
					for _, side := range []raceResult{a, b} {
						if side.won() {
							wins++
						} else if got := mfa.ReasonOf(side.err); got != tc.loser {
							t.Errorf("the loser got %v (%s), want %s", side.err, got, tc.loser)
						}
					}
					if sessions := r.sessions("alice") - had; wins != tc.wins || sessions != wins || r.signedIn() != wins {
						t.Errorf("%d winners, %d sessions, %d told, want %d", wins, sessions, r.signedIn(), tc.wins)
					}
					d, _ := readRecord[mfa.AccountData](r, "u/alice", "account", "")
					for _, m := range []string{"totp", "backup_code"} {
						if d.Tries[m].Wrong != tc.wrong[m] {
							t.Errorf("%d wrong proofs of %s are counted, want %d", d.Tries[m].Wrong, m, tc.wrong[m])
						}
					}
				})
		})
	}
}

// TestR2_BindSchedules: two requests that confirm one staged authenticator bind it
// once, and show one set of backup codes.
func TestR2_BindSchedules(t *testing.T) {
	for _, tc := range []struct {
		name  string
		open  func(*aliceKit) *underway
		has   int
		loser mfa.Reason
	}{
		{"first", steppingUp("bob", mfa.ToEnroll(mfa.TOTP), 0), 1, mfa.ReasonStepNotAsked},
		{"second", proven(steppingUp("alice", mfa.ToEnroll(mfa.TOTP), 6*time.Minute)), 2, mfa.ReasonAlreadyCompleted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAlice(t)
			u := tc.open(a)
			a.stage(a.resume(u))
			code := a.staged[u.user].Code(a.Clock.Now())
			confirm := func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
				p, err := g.Pending(ctx, u.token, u.by, mfatest.Laptop())
				if err != nil {
					return mfa.Outcome{}, err
				}
				return p.ConfirmTOTP(ctx, code)
			}
			a.moment().race(confirm, confirm, func(t *testing.T, r *replay, a, b raceResult) {
				if a.won() == b.won() {
					t.Fatalf("A: %v, B: %v, want one winner", a.err, b.err)
				}
				if loser := errors.Join(a.err, b.err); mfa.ReasonOf(loser) != tc.loser {
					t.Errorf("the loser got %v (%s), want %s", loser, mfa.ReasonOf(loser), tc.loser)
				}
				d, _ := readRecord[mfa.AccountData](r, "u/"+u.user, "account", "")
				if len(d.TOTP) != tc.has || len(d.Codes) != 10 || len(d.Tries) != 0 {
					t.Errorf("%d authenticators, %d codes, counts %v", len(d.TOTP), len(d.Codes), d.Tries)
				}
			})
		})
	}
}

// TestR4_R14_RevokeSchedules: whatever a flow is at while its session, or every
// other session, ends: no session comes of it that lives on. The end comes before
// or after, never between.
func TestR4_R14_RevokeSchedules(t *testing.T) {
	for _, tc := range []struct {
		name string
		open func(*aliceKit) *underway
		end  func(ctx context.Context, by *mfa.Session, gone string) error
	}{
		{"Revoke", steppingUp("alice", mfa.ToConfirm("test"), 6*time.Minute), func(ctx context.Context, by *mfa.Session, gone string) error {
			return by.Revoke(ctx, gone)
		}},
		{"RevokeOthers", steppingUp("alice", mfa.ToConfirm("test"), 6*time.Minute), func(ctx context.Context, by *mfa.Session, _ string) error {
			return by.RevokeOthers(ctx)
		}},
		{"RevokeOthers and sign-in", signingIn("alice"), func(ctx context.Context, by *mfa.Session, _ string) error {
			return by.RevokeOthers(ctx)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAlice(t)
			u, gone := tc.open(a), ""
			if u.session != nil {
				gone = u.session.ID()
			}
			a.Guard = a.guard(withRules(mfa.Rules{Require: mfa.RequireAtSignIn}))
			by := a.fresh("alice")
			a.Clock.Advance(step)
			code := a.totp("alice")
			a.moment().race(func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) { return verifyRequest(ctx, g, u, code) },
				func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
					s, err := g.Session(ctx, by.Token(), mfatest.Laptop())
					if err == nil {
						err = tc.end(ctx, s, gone)
					}
					return mfa.Outcome{}, err
				}, func(t *testing.T, r *replay, a, b raceResult) {
					if !b.won() || !a.won() && !errors.Is(a.err, mfa.ErrNoPending) {
						t.Fatalf("the flow: %v, its end: %v", a.err, b.err)
					}
					if _, err := r.a.Session(t.Context(), by.Token(), mfa.Client{}); err != nil {
						t.Errorf("the session that ended the others: %v", err)
					}
					r.dead(a.out.Session, gone)
				})
		})
	}
}

// dead fails the test when a session lives, by its token or by its id.
func (r *replay) dead(s *mfa.Session, id string) {
	r.t.Helper()
	if s != nil {
		_, err := r.b.Session(r.t.Context(), s.Token(), mfa.Client{})
		refused(r.t, err, mfa.ErrNoSession, mfa.ReasonNotFound)
	}
	if _, found := readRecord[mfa.SessionData](r, "u/alice", "session", id); found {
		r.t.Error("the session lives on")
	}
}

// TestR14_EndAllSchedules: when everything of a user ends, no session is left,
// and no flow that could become one. A sign-in that overlaps stands only when all
// that it rests on was read after the end, and never on the old password.
func TestR14_EndAllSchedules(t *testing.T) {
	const none, after = "none", "read after"
	for _, end := range []struct {
		name    string
		do      func(ctx context.Context, g *mfa.Guard, user string) error
		signIns string // which may stand
	}{
		{"Disable", func(ctx context.Context, g *mfa.Guard, user string) error { return g.Disable(ctx, user) }, none},
		{"Forget", func(ctx context.Context, g *mfa.Guard, user string) error { return g.Forget(ctx, user) }, none},
		{"EndSessions", func(ctx context.Context, g *mfa.Guard, user string) error {
			return g.Operator("ops", "").EndSessions(ctx, user)
		}, after},
		{"CredentialsChanged", func(ctx context.Context, g *mfa.Guard, user string) error { return g.CredentialsChanged(ctx, user) }, "called after"},
	} {
		for _, user := range []string{"bob", "alice"} {
			t.Run(end.name+"/SignIn "+user, func(t *testing.T) {
				a := newAlice(t)
				a.moment().race(func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
					return g.SignIn(ctx, mfa.SignIn{User: user, First: mfa.PasswordFirst()})
				}, func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
					return mfa.Outcome{}, end.do(ctx, g, user)
				}, func(t *testing.T, r *replay, a, b raceResult) {
					if !b.won() {
						t.Fatalf("the end: %v (%s)", b.err, mfa.ReasonOf(b.err))
					}
					stands := r.stands(a.out)
					first := slices.Index(r.log, "list A") > slices.Index(r.log, "commit B")
					switch {
					case stands && (end.signIns == none || !r.beganAfter()):
						t.Errorf("a sign-in from before the end stands: %v", r.log)
					case stands && end.signIns == "called after" && !first:
						t.Errorf("a sign-in that was called with the old password stands: %v", r.log)
					}
				})
			})
		}
		t.Run(end.name+"/Verify", func(t *testing.T) {
			a := newAlice(t)
			u, code := signingIn("alice")(a), a.totp("alice")
			a.moment().race(func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) { return verifyRequest(ctx, g, u, code) },
				func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
					return mfa.Outcome{}, end.do(ctx, g, "alice")
				},
				func(t *testing.T, r *replay, a, b raceResult) {
					if !b.won() || r.stands(a.out) || r.sessions("alice") > 0 {
						t.Errorf("the end: %v, and of %d sessions one stands: %t", b.err, r.sessions("alice"), r.stands(a.out))
					}
				})
		})
	}
}

// stands reports whether what a sign-in led to is still good.
func (r *replay) stands(out mfa.Outcome) bool {
	r.t.Helper()
	err := error(mfa.ErrNoSession)
	if out.Session != nil {
		_, err = r.b.Session(r.t.Context(), out.Session.Token(), mfa.Client{})
	} else if out.Pending != nil {
		_, err = r.b.Pending(r.t.Context(), out.Pending.Token(), "", mfa.Client{})
	}
	return err == nil
}

// TestR13_ElevationSchedules: a request with the old cookie comes while the
// session is elevated. Its touch undoes nothing: the old token is void and the new
// one has the proof.
func TestR13_ElevationSchedules(t *testing.T) {
	a := newAlice(t)
	u := steppingUp("alice", mfa.ToConfirm("test"), 6*time.Minute)(a)
	code := a.totp("alice")
	a.moment().race(func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) { return verifyRequest(ctx, g, u, code) },
		func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
			s, err := g.Session(ctx, u.by, mfatest.Phone())
			return mfa.Outcome{Session: s}, err
		}, func(t *testing.T, r *replay, a, b raceResult) {
			if !a.won() || !b.won() && mfa.ReasonOf(b.err) != mfa.ReasonReplaced {
				t.Fatalf("the elevation: %v, the request: %v", a.err, b.err)
			}
			_, err := r.b.Session(t.Context(), u.by, mfa.Client{})
			refused(t, err, mfa.ErrNoSession, mfa.ReasonReplaced)
			s, err := r.b.Session(t.Context(), a.out.Session.Token(), mfa.Client{})
			if err != nil || len(s.Assurance().Proofs) != 1 {
				t.Errorf("the new token: %v", err)
			}
		})
}

// TestR8_RenewSchedules: a code of the old set is accepted before the set is
// replaced or not at all, and what is left is the new set.
func TestR8_RenewSchedules(t *testing.T) {
	a := newAlice(t)
	s := a.fresh("alice")
	u := signingIn("alice")(a)
	old := mfa.Proof{Method: mfa.BackupCode, Code: a.codes[0]}
	a.moment().race(func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) { return verifyRequest(ctx, g, u, old) },
		func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
			s, err := g.Session(ctx, s.Token(), mfatest.Laptop())
			if err != nil {
				return mfa.Outcome{}, err
			}
			return s.NewBackupCodes(ctx, "")
		}, func(t *testing.T, r *replay, a, b raceResult) {
			if !b.won() || !a.won() && mfa.ReasonOf(a.err) != mfa.ReasonWrongCode {
				t.Fatalf("the old code: %v, the new set: %v", a.err, b.err)
			}
			if d, _ := readRecord[mfa.AccountData](r, "u/alice", "account", ""); len(d.Codes) != 10 {
				t.Errorf("%d codes are left, want the 10 new ones", len(d.Codes))
			}
			out, err := verifyRequest(t.Context(), r.b, u, old)
			if out != (mfa.Outcome{}) || err == nil {
				t.Error("a code of the old set is accepted after the new one")
			}
		})
}
