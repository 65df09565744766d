package mfatest

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
)

const (
	// maxSchedules bounds the schedules of two operations: 20,000 are two of eight
	// calls each, with room for what they repeat.
	maxSchedules = 20_000
	// maxCalls bounds the calls in one schedule. Operations that wait for each other
	// by trying again would never end.
	maxCalls = 1000
	// stuckAfter is how long an operation may take between two calls.
	stuckAfter = time.Minute
)

// A Race is two operations on one store, A and B, and what must hold when both
// are over.
//
// A and B call the store with contexts made from the one they are given, from one
// goroutine at a time, and return when their last call has. They must not wait for
// each other in any other way than through the store, and always make the same
// calls when the store gives the same answers.
type Race struct {
	A, B func(ctx context.Context)
	// Check tests the outcome of one schedule, which is named by who made each
	// call: "AABAB". It runs when A and B have returned, on the test's goroutine.
	Check func(schedule string)
}

// Schedules runs two operations once in each order in which their store calls can
// follow each other, and returns how many there are. It finds every error that
// comes from the order of two operations, as far as a store call is one step; it
// does not find data races within a process, nor what takes three operations.
//
// Each time, build makes a new store with what it needs, wraps it, builds what is
// to be tested on the wrapped store, and returns the race. A wrapped store lets
// every call of A and B wait for its turn, and one call is under way at a time; a
// call is recognized by its context. All other calls, such as those of build and
// of Check, pass. A wrapped store is no mfa.Sweeper. A FaultStore fits over it or
// under it, but not with FaultStop, which only the clock ends.
//
// Schedules stops at the first schedule in which t fails and logs its name. It
// fails t when there are more than 20,000 schedules, when one has more than 1000
// calls or none, when an operation neither calls the store nor returns for a
// minute, and when one panics. Typical usage:
//
//	n := mfatest.Schedules(t, func(wrap func(mfa.Store) mfa.Store) mfatest.Race {
//		guard := newGuard(t, wrap(new(mfa.MemoryStore)))
//		var first, second error
//		return mfatest.Race{
//			A: func(ctx context.Context) { first = guard.Verify(ctx, code) },
//			B: func(ctx context.Context) { second = guard.Verify(ctx, code) },
//			Check: func(string) {
//				if (first == nil) == (second == nil) {
//					t.Errorf("first: %v, second: %v, want one winner", first, second)
//				}
//			},
//		}
//	})
//	t.Logf("%d schedules", n)
func Schedules(t testing.TB, build func(wrap func(mfa.Store) mfa.Store) Race) int {
	t.Helper()
	return schedules(t, build, maxSchedules)
}

func schedules(t testing.TB, build func(wrap func(mfa.Store) mfa.Store) Race, limit int) int {
	t.Helper()
	failed := t.Failed()
	var prefix []byte
	for n := 1; n <= limit; n++ {
		s := &schedule{prefix: prefix, over: make(chan struct{})}
		race := build(wrap)
		if err := s.run(t.Context(), race); err != nil {
			t.Fatalf("mfatest: schedule %d, %s: %v", n, s.calls, err)
		}
		if len(s.calls) == 0 {
			t.Fatalf("mfatest: neither operation called the wrapped store: is it what they were built on?")
		}
		checked(t, n, s, race, failed)
		if t.Failed() && !failed {
			t.FailNow()
		}
		if prefix = s.next(); prefix == nil {
			return n
		}
	}
	t.Fatalf("mfatest: more than %d schedules", limit)
	return 0
}

// checked runs the check, and names the schedule also when that ends the test.
func checked(t testing.TB, n int, s *schedule, race Race, failed bool) {
	t.Helper()
	defer func() {
		t.Helper()
		if t.Failed() && !failed {
			t.Logf("mfatest: failed in schedule %d, %s", n, s.calls)
		}
	}()
	if race.Check != nil {
		race.Check(string(s.calls))
	}
}

// A schedule is one order of the calls. It follows prefix and then gives A the
// turn as long as A has calls to make. The search is depth first: the next
// schedule repeats this one up to its last free choice of A, and gives that call
// to B.
type schedule struct {
	prefix []byte
	calls  []byte
	free   []bool        // at this call the other had one to make too
	actors [2]*actor     // A and B
	over   chan struct{} // closed when nobody waits for a turn any more
}

// next returns the prefix of the next schedule, nil after the last.
func (s *schedule) next() []byte {
	for i := len(s.calls) - 1; i >= 0; i-- {
		if s.free[i] && s.calls[i] == 'A' {
			return append(s.calls[:i:i], 'B')
		}
	}
	return nil
}

// run runs both operations to their ends.
func (s *schedule) run(ctx context.Context, race Race) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.end(cancel)
	for i, op := range []func(context.Context){race.A, race.B} {
		s.actors[i] = &actor{
			schedule: s, name: byte('A' + i),
			ready: make(chan struct{}), turn: make(chan struct{}), done: make(chan struct{}),
		}
		go s.actors[i].run(ctx, op)
		if err := s.actors[i].wait(); err != nil {
			return err
		}
	}
	for {
		next, err := s.choose()
		if next == nil || err != nil {
			return err
		}
		next.turn <- struct{}{}
		if err := next.wait(); err != nil {
			return err
		}
	}
}

// end waits for both goroutines, which are still there when the schedule failed.
func (s *schedule) end(cancel context.CancelFunc) {
	close(s.over)
	cancel()
	for _, a := range s.actors {
		if a != nil && !a.returned {
			_ = a.wait() // one that is stuck stays behind, nothing can end it
		}
	}
}

// choose returns who makes the next call, nil when both are done.
func (s *schedule) choose() (*actor, error) {
	a, b := s.actors[0], s.actors[1]
	next := a
	if a.returned {
		next = b
	}
	if i := len(s.calls); i < len(s.prefix) {
		next = s.actors[s.prefix[i]-'A']
		if next.returned {
			return nil, fmt.Errorf("%c returned before its call %d of the same schedule: the operations do not repeat themselves", next.name, i+1)
		}
	}
	switch {
	case next.returned:
		return nil, nil
	case len(s.calls) == maxCalls:
		return nil, fmt.Errorf("more than %d calls", maxCalls)
	}
	s.calls = append(s.calls, next.name)
	s.free = append(s.free, !a.returned && !b.returned)
	return next, nil
}

// An actor runs one of the operations. Its goroutine and the scheduler's take
// turns.
type actor struct {
	schedule *schedule
	name     byte
	ready    chan struct{} // it is about to call the store
	turn     chan struct{} // it may
	done     chan struct{} // closed when it has returned
	panicked string        // set before done is closed
	returned bool          // the scheduler's
}

// actorKey is the context key of the actor.
type actorKey struct{}

func (a *actor) run(ctx context.Context, op func(context.Context)) {
	defer close(a.done)
	defer func() {
		if p := recover(); p != nil {
			a.panicked = fmt.Sprintf("%v\n%s", p, debug.Stack())
		}
	}()
	op(context.WithValue(ctx, actorKey{}, a))
}

// wait returns when the operation is about to make its next call or is over.
func (a *actor) wait() error {
	stuck := time.NewTimer(stuckAfter)
	defer stuck.Stop()
	select {
	case <-a.ready:
		return nil
	case <-a.done:
		a.returned = true
		if a.panicked != "" {
			return fmt.Errorf("%c panicked: %s", a.name, a.panicked)
		}
		return nil
	case <-stuck.C:
		return fmt.Errorf("%c made no call and did not return for %v: does it wait for the other?", a.name, stuckAfter)
	}
}

// await waits for the actor's turn. When the schedule is over without it, because
// the test failed, it ends the goroutine.
func (a *actor) await() {
	select {
	case <-a.done: // somebody kept its context
		return
	default:
	}
	select {
	case a.ready <- struct{}{}:
	case <-a.schedule.over:
		runtime.Goexit()
	}
	select {
	case <-a.turn:
	case <-a.schedule.over:
		runtime.Goexit()
	}
}

// wrap returns store with calls that wait for their turns.
func wrap(store mfa.Store) mfa.Store { return scheduled{store} }

type scheduled struct{ store mfa.Store }

func await(ctx context.Context) {
	if a, ok := ctx.Value(actorKey{}).(*actor); ok {
		a.await()
	}
}

func (s scheduled) Get(ctx context.Context, keys ...mfa.Key) ([]mfa.Record, error) {
	await(ctx)
	return s.store.Get(ctx, keys...)
}

func (s scheduled) List(ctx context.Context, owner string, kinds ...string) ([]mfa.Record, error) {
	await(ctx)
	return s.store.List(ctx, owner, kinds...)
}

func (s scheduled) Commit(ctx context.Context, writes ...mfa.Write) error {
	await(ctx)
	return s.store.Commit(ctx, writes...)
}
