package mfatest_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestRow_E10_AnyStore: a custom store runs one suite; the store that ships passes
// it. TestStoreCatches proves that a wrong one does not.
func TestRow_E10_AnyStore(t *testing.T) {
	mfatest.TestStore(t, func(*testing.T) mfa.Store { return new(mfa.MemoryStore) })
}

// The cases of one run share a database, and another run's records are in it.
func TestStoreShared(t *testing.T) {
	shared := new(mfa.MemoryStore)
	for range 2 {
		mfatest.TestStore(t, func(*testing.T) mfa.Store { return shared })
	}
}

func TestStoreSkipsSweep(t *testing.T) {
	// Only the three methods, so the store is no Sweeper.
	newStore := func() mfa.Store { return struct{ mfa.Store }{new(mfa.MemoryStore)} }
	if failed := mfatest.RunStoreCases(t.Context(), newStore); len(failed) != 0 {
		t.Errorf("failed: %v", failed)
	}
}

// Every case of the suite is proven by a store that is wrong in this one point
// and fails this one case.
func TestStoreCatches(t *testing.T) {
	t.Setenv("MFA_ROUNDS", "0") // the fewest: the wrong stores lose their races on purpose
	names := mfatest.StoreCases()
	proven := make(map[string]bool)
	for _, w := range wrongStores() {
		t.Run(w.name+"/"+strings.ReplaceAll(w.fault, " ", "-"), func(t *testing.T) {
			failed := mfatest.RunStoreCases(t.Context(), func() mfa.Store { return w.newStore(new(mfa.MemoryStore)) })
			want := slices.Sorted(slices.Values(append([]string{w.name}, w.also...)))
			if got := slices.Sorted(maps.Keys(failed)); !slices.Equal(got, want) {
				t.Errorf("the cases %q failed, want %q: %v", got, want, failed)
			}
			if !strings.Contains(failed[w.name], "the rule: ") {
				t.Errorf("the failure does not state the rule: %q", failed[w.name])
			}
		})
		if !slices.Contains(names, w.name) {
			t.Errorf("wrong store for %q, which is no case", w.name)
		}
		if len(w.also) == 0 {
			proven[w.name] = true
		}
	}
	for i, name := range names {
		if !proven[name] {
			t.Errorf("case %q has no wrong store that fails it alone", name)
		}
		if slices.Contains(names[:i], name) {
			t.Errorf("two cases are called %q", name)
		}
	}
}

// A store that hangs is caught too, and only the test's clock waits for it.
func TestStoreCatchesHanging(t *testing.T) {
	t.Setenv("MFA_ROUNDS", "0")
	for _, call := range []string{"Get", "List", "Commit"} {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, end := context.WithCancel(t.Context())
				defer end()
				hang := func(of string, ctx2 context.Context) {
					if of == call && ctx2.Err() != nil {
						<-ctx.Done()
					}
				}
				failed := mfatest.RunStoreCases(t.Context(), func() mfa.Store {
					a := alter(new(mfa.MemoryStore))
					a.get = func(ctx context.Context, keys []mfa.Key) ([]mfa.Record, error) {
						hang("Get", ctx)
						return a.MemoryStore.Get(ctx, keys...)
					}
					a.list = func(ctx context.Context, owner string, kinds []string) ([]mfa.Record, error) {
						hang("List", ctx)
						return a.MemoryStore.List(ctx, owner, kinds...)
					}
					a.commit = func(ctx context.Context, writes []mfa.Write) error {
						hang("Commit", ctx)
						return a.MemoryStore.Commit(ctx, writes...)
					}
					return a
				})
				if len(failed) != 1 || !strings.Contains(failed["canceled"], call+" with a canceled context did not return") {
					t.Errorf("failed: %v", failed)
				}
			})
		})
	}
}

func TestRounds(t *testing.T) {
	for _, tc := range []struct {
		name, env  string
		long, want int
	}{
		{"default", "", 10_000, 200},
		{"at least twenty", "", 100, 20},
		{"percentage", "5", 10_000, 500},
		{"long form", "100", 1000, 1000},
		{"longer", "300", 1000, 3000},
		{"none", "0", 1000, 20},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv("MFA_ROUNDS", tc.env)
			if got := mfatest.Rounds(tc.long); got != tc.want {
				t.Errorf("Rounds(%d) = %d, want %d", tc.long, got, tc.want)
			}
		})
	}
	for _, env := range []string{"5%", "all", "-1", "1.5"} {
		t.Run(env, func(t *testing.T) {
			t.Setenv("MFA_ROUNDS", env)
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			mfatest.Rounds(1000)
		})
	}
}
