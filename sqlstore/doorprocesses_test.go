package sqlstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A stop of a tour is a session, and whose.
type stop struct{ User, Session string }

// A visit is one request at the door of acme, as the worker that made it reports it.
// Began and Ended are the machine's own clock, in nanoseconds: all processes read the
// same one, where a monotonic reading means nothing to another process. Somebody who
// sets it during the test can make it fail, or miss what it looks for.
type visit struct {
	Stop         int // which session of the tour
	Began, Ended int64
	Served       bool
	Reason       mfa.Reason // why not
	Err          string     // what is neither
}

// pause is between two requests of a worker. Without one, four workers and their
// connections leave others no processor on a small machine.
const pause = 2 * time.Millisecond

// tour visits one session after the other, and begins again, until standard input
// ends.
func (j job) tour(guard *mfa.Guard, users *mfatest.Users, in *json.Decoder, out *json.Encoder) error {
	for _, s := range j.Tour {
		users.Add(atAcme(s.User, mfa.RoleMember))
	}
	over := make(chan error, 1)
	go func() {
		over <- in.Decode(new(job))
	}()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case err := <-over:
			if err == io.EOF {
				return nil
			}
			return fmt.Errorf("a tour is the last job: %v", err)
		case <-tick.C:
		}
		v := visit{Stop: n % len(j.Tour), Began: time.Now().UnixNano()}
		_, err := guard.Enter(context.Background(), j.Tour[v.Stop].Session, "acme", mfatest.Laptop())
		v.Ended = time.Now().UnixNano()
		if up, ok := errors.AsType[*mfa.StepUpError](err); ok && up.Purpose == mfa.ToEnter("acme") {
			v.Reason = mfa.ReasonOf(err)
		} else if err != nil {
			v.Err = err.Error()
		}
		v.Served = err == nil
		if err := out.Encode(v); err != nil {
			return err
		}
	}
}

func atAcme(user string, role mfa.Role) mfa.User {
	return mfa.User{ID: user, ManagedBy: "acme", Orgs: []mfa.Membership{{Org: "acme", Role: role}}}
}

// A reign is one state of the rules, and when it may have been in force: from when
// SetRules was called to when the call that replaced it returned.
type reign struct {
	rules       mfa.Rules
	from, until int64
	plain       bool // who proved a password and nothing more is served
	proven      bool // who proved a second factor is
}

// explains reports whether v is what a request gets that meets r at some moment of it.
func (r reign) explains(v visit) bool {
	served := r.plain
	if v.Stop%perUser == 0 {
		served = r.proven
	}
	return v.Err == "" && v.Served == served && v.Began < r.until && v.Ended >= r.from
}

const (
	members = 50
	perUser = 20 // sessions: the first proved a second factor
)

// TestRow_B1_R19_FourProcessesUnderNewRules: R19 has an organization's rules hold
// from the next request for every live session. Four processes ask at the door of
// acme, all the time, for a thousand sessions of fifty users. The owner has the door
// ask for a second factor, then for one that was proven just now, then for nothing,
// and so on. No request that starts after SetRules returned gets an answer by what it
// replaced, and none gets one by what is yet to be called.
func TestRow_B1_R19_FourProcessesUnderNewRules(t *testing.T) {
	onProcesses(t, func(t *testing.T, kit *mfatest.Kit, c *crew) {
		tour, owner := fillAcme(t, kit)
		door := mfa.Rules{Require: mfa.RequireAtDoor}
		again := mfa.Rules{Require: mfa.RequireAtDoor, ProofsNotBefore: kit.Clock.Now()}
		cycle := []reign{{plain: true, proven: true}, {rules: door, proven: true}, {rules: again}}

		var diaries [processes]*diary
		for i := range diaries {
			diaries[i] = c.tour(t, i, job{Tour: tour, Now: kit.Clock.Now()})
		}
		reigns := []reign{cycle[0]}
		inForce := time.Now().UnixNano()
		for n := range mfatest.Rounds(300) {
			for i, d := range diaries {
				if !d.has(perUser, inForce) {
					t.Fatalf("worker %d ended early", i)
				}
			}
			_, version, err := owner.Rules(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			next := cycle[(n+1)%len(cycle)]
			next.from = time.Now().UnixNano()
			if err := owner.SetRules(t.Context(), next.rules, version); err != nil {
				t.Fatalf("SetRules: %v (%s)", err, mfa.ReasonOf(err))
			}
			inForce = time.Now().UnixNano()
			reigns[n].until = inForce
			reigns = append(reigns, next)
		}
		reigns[len(reigns)-1].until = math.MaxInt64
		for i, d := range diaries {
			if err := c.end[i](); err != nil {
				t.Error(err)
			}
			judge(t, i, d.whole(), reigns)
		}
	})
}

// judge checks that every visit is explained by rules that were in force during it.
func judge(t *testing.T, worker int, visits []visit, reigns []reign) {
	t.Helper()
	oldest := 0 // no visit from here on met an earlier one
	for _, v := range visits {
		for reigns[oldest].until <= v.Began {
			oldest++
		}
		if !slices.ContainsFunc(reigns[oldest:], func(r reign) bool { return r.explains(v) }) {
			met := reigns[oldest]
			t.Fatalf("worker %d: %+v began %v after rules were called for and %v before they were replaced, which ask %+v",
				worker, v, time.Duration(v.Began-met.from), time.Duration(met.until-v.Began), met.rules)
		}
	}
}

// fillAcme signs the members of acme in, and returns their sessions and the handle of
// their owner, who was the last to prove a second factor.
func fillAcme(t *testing.T, kit *mfatest.Kit) (tour []stop, owner *mfa.Admin) {
	t.Helper()
	for n := range members {
		user := "user-" + strconv.Itoa(n)
		kit.Users.Add(atAcme(user, mfa.RoleMember))
		_, proven, _ := kit.Enroll(t, user)
		if err := proven.SetAskAtSignIn(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		tour = append(tour, stop{user, proven.Token()})
		for range perUser - 1 {
			tour = append(tour, stop{user, kit.SignIn(t, user).Session.Token()})
		}
	}
	kit.Users.Add(atAcme("owner", mfa.RoleOwner))
	_, s, _ := kit.Enroll(t, "owner")
	owner, err := s.Admin(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	return tour, owner
}

// A diary is the visits of one worker so far.
type diary struct {
	mu     sync.Mutex
	more   sync.Cond
	visits []visit
	ended  bool
}

// tour sends a worker on its way and keeps its diary.
func (c *crew) tour(t *testing.T, worker int, j job) *diary {
	t.Helper()
	if err := c.in[worker].Encode(j); err != nil {
		t.Fatal(err)
	}
	d := new(diary)
	d.more.L = &d.mu
	go func() {
		for {
			var v visit
			err := c.out[worker].Decode(&v)
			d.mu.Lock()
			if d.ended = err != nil; !d.ended {
				d.visits = append(d.visits, v)
			}
			d.more.Broadcast()
			d.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return d
}

// has waits for n visits that began at a time or later, and reports whether they
// came.
func (d *diary) has(n int, began int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.ended {
		if i := len(d.visits) - n; i >= 0 && d.visits[i].Began >= began {
			return true
		}
		d.more.Wait()
	}
	return false
}

// whole waits for the end and returns all.
func (d *diary) whole() []visit {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.ended {
		d.more.Wait()
	}
	return d.visits
}
