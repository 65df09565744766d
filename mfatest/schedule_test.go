package mfatest_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// reads returns an operation of n calls.
func reads(t testing.TB, store mfa.Store, n int) func(context.Context) {
	return func(ctx context.Context) {
		for range n {
			if _, err := store.Get(ctx, note()); err != nil {
				t.Error(err)
			}
		}
	}
}

// Two operations of m and n calls have (m+n)! / (m! n!) orders, each different.
func TestSchedulesCount(t *testing.T) {
	for _, tc := range []struct{ a, b, want int }{
		{0, 1, 1}, {0, 3, 1}, {5, 0, 1}, {1, 1, 2}, {2, 2, 6}, {2, 3, 10}, {3, 1, 4}, {4, 4, 70}, {6, 5, 462},
	} {
		t.Run(fmt.Sprintf("%d and %d", tc.a, tc.b), func(t *testing.T) {
			seen := make(map[string]bool)
			got := mfatest.Schedules(t, racing(func(store mfa.Store) mfatest.Race {
				return mfatest.Race{A: reads(t, store, tc.a), B: reads(t, store, tc.b), Check: func(schedule string) {
					if seen[schedule] || strings.Count(schedule, "A") != tc.a || strings.Count(schedule, "B") != tc.b {
						t.Errorf("schedule %q, want %d A and %d B, once", schedule, tc.a, tc.b)
					}
					seen[schedule] = true
				}}
			}))
			if got != tc.want || len(seen) != tc.want {
				t.Errorf("%d schedules, %d checked, want %d", got, len(seen), tc.want)
			}
		})
	}
}

// increments returns a race of two increments, and how often the sum was wrong.
func increments(t testing.TB, increment func(ctx context.Context, store mfa.Store, name string)) (schedules int, lost []string) {
	t.Helper()
	schedules = mfatest.Schedules(t, func(wrap func(mfa.Store) mfa.Store) mfatest.Race {
		store := new(mfa.MemoryStore)
		if err := wrap(store).Commit(t.Context(), counter("first", 0, "")); err != nil { // build's own calls pass
			t.Fatal(err)
		}
		wrapped := wrap(store)
		return mfatest.Race{
			A: func(ctx context.Context) { increment(ctx, wrapped, "a") },
			B: func(ctx context.Context) { increment(ctx, wrapped, "b") },
			Check: func(schedule string) {
				records, err := wrapped.Get(t.Context(), note())
				if err != nil || value(t, records[0]) != 2 {
					lost = append(lost, schedule)
				}
			},
		}
	})
	return schedules, lost
}

func counter(version string, n int, old string) mfa.Write {
	return mfa.Write{Record: mfa.Record{Key: note(), Version: version, Data: []byte(strconv.Itoa(n))}, IfVersion: old}
}

func value(t testing.TB, r mfa.Record) int {
	t.Helper()
	n, err := strconv.Atoi(string(r.Data))
	if err != nil {
		t.Error(err)
	}
	return n
}

func TestSchedulesFindLostUpdate(t *testing.T) {
	schedules, lost := increments(t, func(ctx context.Context, store mfa.Store, name string) {
		records, err := store.Get(ctx, note())
		if err != nil {
			t.Error(err)
			return
		}
		n := value(t, records[0])
		for { // write over whatever is there by now
			now, err := store.Get(ctx, note())
			if err != nil {
				t.Error(err)
				return
			}
			if err := store.Commit(ctx, counter(name, n+1, now[0].Version)); err == nil {
				return
			}
		}
	})
	// All but those where one operation begins after the other has ended.
	if len(lost) != schedules-2 {
		t.Errorf("%d of %d schedules lose an update, want all but 2: %q", len(lost), schedules, lost)
	}
}

func TestSchedulesConditionalWrite(t *testing.T) {
	schedules, lost := increments(t, func(ctx context.Context, store mfa.Store, name string) {
		for {
			records, err := store.Get(ctx, note())
			if err != nil {
				t.Error(err)
				return
			}
			commit, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			err = store.Commit(commit, counter(name, value(t, records[0])+1, records[0].Version))
			cancel()
			if !errors.Is(err, mfa.ErrConflict) {
				return
			}
		}
	})
	// Of the six orders of two calls each, two have no conflict. In the other four
	// one operation has made both its calls and the other's commit, which is still
	// to come, conflicts, so that two calls more follow.
	if schedules != 6 || len(lost) != 0 {
		t.Errorf("%d of %d schedules lose an update, want 0 of 6: %q", len(lost), schedules, lost)
	}
}

// A fault at every commit, in every order.
func TestSchedulesWithFault(t *testing.T) {
	for fault := mfatest.FaultBefore; fault <= mfatest.FaultConflict; fault++ {
		n := mfatest.Schedules(t, func(wrap func(mfa.Store) mfa.Store) mfatest.Race {
			store := new(mfa.MemoryStore)
			a, b := mfatest.FailCommit(wrap(store), 1, fault), wrap(store)
			var lost, won error
			return mfatest.Race{
				A: func(ctx context.Context) { lost = a.Commit(ctx, write("a", "")) },
				B: func(ctx context.Context) { won = b.Commit(ctx, write("b", "")) },
				Check: func(string) {
					if got := version(t, store); lost == nil || (won == nil) != (got == "b") {
						t.Errorf("%v: the commits returned %v and %v, the store has version %q", fault, lost, won, got)
					}
				},
			}
		})
		// A commit that fails before it, or is late, is no call of the store.
		want := 2
		if fault == mfatest.FaultBefore || fault == mfatest.FaultLate {
			want = 1
		}
		if n != want {
			t.Errorf("%v: %d schedules, want %d", fault, n, want)
		}
	}
}

// A fakeTB records what a test that is meant to fail says.
type fakeTB struct {
	testing.TB
	failed bool
	said   []string
}

func (f *fakeTB) Helper()                  {}
func (f *fakeTB) Context() context.Context { return f.TB.Context() }
func (f *fakeTB) Failed() bool             { return f.failed }
func (f *fakeTB) Logf(format string, args ...any) {
	f.said = append(f.said, fmt.Sprintf(format, args...))
}
func (f *fakeTB) Errorf(format string, args ...any) { f.failed = true; f.Logf(format, args...) }
func (f *fakeTB) Fatalf(format string, args ...any) { f.Errorf(format, args...); runtime.Goexit() }
func (f *fakeTB) FailNow()                          { f.failed = true; runtime.Goexit() }

// fails runs test and returns what it said. It runs in a bubble, which fails when
// a goroutine is left behind.
func fails(t *testing.T, test func(t testing.TB)) string {
	t.Helper()
	var said string
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTB{TB: t}
		var done sync.WaitGroup
		done.Go(func() { test(f) })
		done.Wait()
		if !f.failed {
			t.Error("it did not fail")
		}
		said = strings.Join(f.said, "\n")
	})
	return said
}

type build = func(wrap func(mfa.Store) mfa.Store) mfatest.Race

// racing builds a race on an empty store.
func racing(race func(store mfa.Store) mfatest.Race) build {
	return func(wrap func(mfa.Store) mfa.Store) mfatest.Race { return race(wrap(new(mfa.MemoryStore))) }
}

func TestSchedulesFail(t *testing.T) {
	for _, tc := range []struct {
		name  string
		build func(t testing.TB) build
		limit int
		want  string
	}{
		{"check", failingCheck, 100, "wrong\nmfatest: failed in schedule 3, ABBA"},
		{"check ends the test", fatalCheck, 100, "wrong\nmfatest: failed in schedule 1, AB"},
		{"operation panics", panicking, 100, "mfatest: schedule 1, AAB: B panicked: oh"},
		{"operation ends the test", fatalOperation, 100, "wrong\nmfatest: failed in schedule 1, B"},
		{"no end", endless, 100, "more than 1000 calls"},
		{"too many schedules", fourEach, 69, "mfatest: more than 69 schedules"},
		{"not wrapped", unwrapped, 100, "neither operation called the wrapped store"},
		{"not repeatable", forgetful, 100, "do not repeat themselves"},
		{"waiting for the other", exclusive, 100, "B made no call and did not return for 1m0s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			said := fails(t, func(t testing.TB) { mfatest.SchedulesLimit(t, tc.build(t), tc.limit) })
			if !strings.Contains(said, tc.want) {
				t.Errorf("it said %q, want %q", said, tc.want)
			}
			if strings.Count(said, "failed in schedule") > 1 {
				t.Errorf("it went on after it had failed: %q", said)
			}
		})
	}
}

func failingCheck(t testing.TB) build {
	return racing(func(store mfa.Store) mfatest.Race {
		return mfatest.Race{A: reads(t, store, 2), B: reads(t, store, 2), Check: func(schedule string) {
			if schedule == "ABBA" {
				t.Errorf("wrong")
			}
		}}
	})
}

func fatalCheck(t testing.TB) build {
	return racing(func(store mfa.Store) mfatest.Race {
		return mfatest.Race{A: reads(t, store, 1), B: reads(t, store, 1), Check: func(string) { t.Fatalf("wrong") }}
	})
}

func panicking(t testing.TB) build {
	return racing(func(store mfa.Store) mfatest.Race {
		return mfatest.Race{A: reads(t, store, 2), B: func(ctx context.Context) {
			reads(t, store, 1)(ctx)
			panic("oh")
		}}
	})
}

func fatalOperation(t testing.TB) build {
	return racing(func(store mfa.Store) mfatest.Race {
		return mfatest.Race{A: func(context.Context) { t.Fatalf("wrong") }, B: reads(t, store, 1)}
	})
}

func endless(t testing.TB) build {
	return racing(func(store mfa.Store) mfatest.Race {
		return mfatest.Race{A: reads(t, store, 1_000_000), B: reads(t, store, 1)}
	})
}

func fourEach(t testing.TB) build {
	return racing(func(store mfa.Store) mfatest.Race {
		return mfatest.Race{A: reads(t, store, 4), B: reads(t, store, 4)}
	})
}

func unwrapped(t testing.TB) build {
	return func(func(mfa.Store) mfa.Store) mfatest.Race {
		store := new(mfa.MemoryStore)
		return mfatest.Race{A: reads(t, store, 1), B: reads(t, store, 1)}
	}
}

// forgetful makes fewer calls each time.
func forgetful(t testing.TB) build {
	calls := 4
	return racing(func(store mfa.Store) mfatest.Race {
		calls = max(calls-1, 0)
		return mfatest.Race{A: reads(t, store, 2), B: reads(t, store, calls)}
	})
}

// exclusive has one operation wait for the other in the process.
func exclusive(t testing.TB) build {
	return racing(func(store mfa.Store) mfatest.Race {
		mine := make(chan struct{}, 1)
		op := func(ctx context.Context) {
			mine <- struct{}{}
			defer func() { <-mine }()
			reads(t, store, 1)(ctx)
		}
		return mfatest.Race{A: op, B: op}
	})
}

// Schedules leaves no goroutine behind, and goes on after an earlier failure.
func TestSchedulesEnds(t *testing.T) {
	fails(t, func(t testing.TB) {
		t.Errorf("an earlier failure")
		if n := mfatest.Schedules(t, fourEach(t)); n != 70 {
			panic(n)
		}
	})
}

// A context kept from an operation that is over gets no turn and passes.
func TestSchedulesKeptContext(t *testing.T) {
	var kept []context.Context
	n := mfatest.Schedules(t, racing(func(store mfa.Store) mfatest.Race {
		all := func(string) {
			for _, ctx := range kept {
				reads(t, store, 1)(context.WithoutCancel(ctx))
			}
		}
		op := func(ctx context.Context) {
			reads(t, store, 2)(ctx)
			kept = append(kept, ctx)
		}
		return mfatest.Race{A: op, B: op, Check: all}
	}))
	if n != 6 || len(kept) != 12 {
		t.Errorf("%d schedules, %d contexts, want 6 and 12", n, len(kept))
	}
}

func TestSchedulesDefaultLimit(t *testing.T) {
	if mfatest.MaxSchedules < 12_870 { // two of eight calls
		t.Errorf("the limit is %d", mfatest.MaxSchedules)
	}
}
