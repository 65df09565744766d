package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// setting is a request to the rules page of acme: what a session sets in place of
// a version.
func setting(token string, r mfa.Rules, version string) request {
	return func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
		s, err := g.Session(ctx, token, mfatest.Laptop())
		if err != nil {
			return mfa.Outcome{}, err
		}
		a, err := s.Admin(ctx, "acme")
		if err != nil {
			return mfa.Outcome{}, err
		}
		return mfa.Outcome{}, a.SetRules(ctx, r, version)
	}
}

// stored returns the rules of acme as the store has them.
func (r *replay) stored() mfa.RulesData {
	d, _ := readRecord[mfa.RulesData](r, "o/acme", "rules", "")
	return d
}

// TestR18_SetRulesSchedules: of two administrators who save what they made from the
// same version one wins, in every order of what they do to the store, and the
// other is told so. What is stored and told is what the winner set.
func TestR18_SetRulesSchedules(t *testing.T) {
	for _, begun := range []bool{false, true} {
		t.Run(fmt.Sprintf("set before %t", begun), func(t *testing.T) {
			c := newCompany(t)
			version := ""
			if begun {
				c.set(mfa.Rules{Require: mfa.RequireAtSignIn})
				var err error
				if _, version, err = c.admin("alice", "acme").Rules(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			alice, carol := c.fresh("alice"), c.fresh("carol")
			c.moment().race(
				setting(alice.Token(), mfa.Rules{Require: mfa.RequireAtDoor}, version), setting(carol.Token(), mfa.Rules{}, version),
				func(t *testing.T, r *replay, a, b raceResult) {
					loser := errors.Join(a.err, b.err)
					if a.won() == b.won() || mfa.ReasonOf(loser) != mfa.ReasonRulesChanged {
						t.Fatalf("A: %v, B: %v, want one winner", a.err, b.err)
					}
					want, by := int(mfa.RequireAtDoor), "alice"
					if b.won() {
						want, by = int(mfa.RequireOff), "carol"
					}
					changed := 0
					for _, e := range r.events {
						if e.Name == mfa.EventRulesChanged {
							changed++
						}
					}
					if d := r.stored(); d.Require != want || d.By != by || changed != 1 {
						t.Errorf("stored %+v, told %d times, want %d of %s", d, changed, want, by)
					}
				})
		})
	}
}

// TestR19_EnterSchedules: a request at the door while the rules are set passes only
// when it read before they were stored; what is asked after is never what was
// before.
func TestR19_EnterSchedules(t *testing.T) {
	for _, tc := range []struct {
		name     string
		was, set mfa.Rules
	}{
		{"forced", mfa.Rules{}, mfa.Rules{Require: mfa.RequireAtDoor}},
		{"not forced any more", mfa.Rules{Require: mfa.RequireAtDoor}, mfa.Rules{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCompany(t)
			c.set(tc.was)
			a := c.fresh("alice")
			admin, err := a.Admin(t.Context(), "acme")
			if err != nil {
				t.Fatal(err)
			}
			_, version, err := admin.Rules(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			bob := c.plain("bob")
			c.moment().race(func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
				s, err := g.Enter(ctx, bob.Token(), "acme", mfatest.Laptop())
				return mfa.Outcome{Session: s}, err
			}, setting(a.Token(), tc.set, version), func(t *testing.T, r *replay, a, b raceResult) {
				if !b.won() || !a.won() && !errors.Is(a.err, mfa.ErrStepUp) {
					t.Fatalf("the door: %v, the rules: %v", a.err, b.err)
				}
				if _, err := r.a.Enter(t.Context(), bob.Token(), "acme", mfatest.Laptop()); errors.Is(err, mfa.ErrStepUp) != (tc.set.Require != mfa.RequireOff) {
					t.Errorf("the next request: %v", err)
				}
			})
		})
	}
}

// TestR20_ResetSchedules: a member is reset while she signs in. No session stands
// that rests on what was taken away, and she must enroll.
func TestR20_ResetSchedules(t *testing.T) {
	c := newCompany(t)
	c.enroll("dave")
	admin := c.fresh("carol")
	u := signingIn("dave")(c.aliceKit)
	code := c.totp("dave")
	c.moment().race(func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) { return verifyRequest(ctx, g, u, code) },
		func(ctx context.Context, g *mfa.Guard) (mfa.Outcome, error) {
			s, err := g.Session(ctx, admin.Token(), mfatest.Laptop())
			if err != nil {
				return mfa.Outcome{}, err
			}
			a, err := s.Admin(ctx, "acme")
			if err != nil {
				return mfa.Outcome{}, err
			}
			return mfa.Outcome{}, a.Reset(ctx, "dave")
		}, func(t *testing.T, r *replay, a, b raceResult) {
			if !b.won() {
				t.Fatalf("the reset: %v (%s)", b.err, mfa.ReasonOf(b.err))
			}
			d, _ := readRecord[mfa.AccountData](r, "u/dave", "account", "")
			if r.stands(a.out) || r.sessions("dave") > 0 || !d.MustEnroll || len(d.TOTP) > 0 {
				t.Errorf("after the reset: a session stands %t, must enroll %t", r.stands(a.out), d.MustEnroll)
			}
		})
}

// TestR20_TenOfThirtyTwo: of 32 requests of one administrator at once ten act.
func TestR20_TenOfThirtyTwo(t *testing.T) {
	c := newCompany(t)
	a := c.admin("carol", "acme")
	var wg sync.WaitGroup
	errs := make([]error, 32)
	for i := range errs {
		wg.Go(func() { errs[i] = a.Unlock(t.Context(), "dave") })
	}
	wg.Wait()
	did := 0
	for _, err := range errs {
		switch {
		case err == nil:
			did++
		case mfa.ReasonOf(err) != mfa.ReasonTooManyActions && mfa.ReasonOf(err) != mfa.ReasonBusy:
			t.Errorf("%v (%s)", err, mfa.ReasonOf(err))
		}
	}
	if did > 10 || did == 0 {
		t.Errorf("%d acted, want at most 10", did)
	}
}

// TestR18_FailingStore: rules are set wholly or not at all, and what is not known
// is not called done.
func TestR18_FailingStore(t *testing.T) {
	for _, fail := range []error{errors.New("connection reset"), mfa.ErrConflict} {
		c := newCompany(t)
		a := c.admin("alice", "acme")
		was := c.versions()
		c.Events.Take()
		c.store.fail = fail
		err := a.SetRules(t.Context(), mfa.Rules{Require: mfa.RequireAtDoor}, "")
		c.store.fail = nil
		if !errors.Is(err, mfa.ErrUnavailable) || fmt.Sprint(was) != fmt.Sprint(c.versions()) || len(c.Events.Take()) > 0 {
			t.Errorf("%v: %v", fail, err)
		}
		if strings.Contains(err.Error(), "carol") {
			t.Errorf("the error tells of others: %v", err)
		}
	}
}
