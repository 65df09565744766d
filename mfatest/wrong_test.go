package mfatest_test

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/seed-1320b244/mfa"
)

// A wrongStore breaks one rule of the contract.
type wrongStore struct {
	name     string // the case that catches it
	fault    string
	newStore func(*mfa.MemoryStore) mfa.Store
	also     []string // other cases that cannot pass either
}

func wrongStores() []wrongStore {
	return slices.Concat(wrongKeys(), wrongValues(), wrongGets(), wrongLists(), wrongRefusals(), wrongConditions(),
		wrongDeletes(), wrongRaces(), wrongSnapshots(), wrongSweeps())
}

// altered is a MemoryStore of which some methods are replaced.
type altered struct {
	*mfa.MemoryStore
	get    func(ctx context.Context, keys []mfa.Key) ([]mfa.Record, error)
	list   func(ctx context.Context, owner string, kinds []string) ([]mfa.Record, error)
	commit func(ctx context.Context, writes []mfa.Write) error
	sweep  func(ctx context.Context, before time.Time, limit int) (int, error)

	mu   sync.Mutex
	seen map[mfa.Key]bool // keys of the commits that were applied
}

func alter(m *mfa.MemoryStore) *altered {
	return &altered{MemoryStore: m, seen: make(map[mfa.Key]bool)}
}

func (a *altered) Get(ctx context.Context, keys ...mfa.Key) ([]mfa.Record, error) {
	if a.get != nil {
		return a.get(ctx, keys)
	}
	return a.MemoryStore.Get(ctx, keys...)
}

func (a *altered) List(ctx context.Context, owner string, kinds ...string) ([]mfa.Record, error) {
	if a.list != nil {
		return a.list(ctx, owner, kinds)
	}
	return a.MemoryStore.List(ctx, owner, kinds...)
}

func (a *altered) Commit(ctx context.Context, writes ...mfa.Write) error {
	var err error
	if a.commit != nil {
		err = a.commit(ctx, slices.Clone(writes))
	} else {
		err = a.MemoryStore.Commit(ctx, writes...)
	}
	if err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, w := range writes {
			a.seen[w.Key] = true
		}
	}
	return err
}

func (a *altered) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	if a.sweep != nil {
		return a.sweep(ctx, before, limit)
	}
	return a.MemoryStore.Sweep(ctx, before, limit)
}

// current is the record under k, as the store has it.
func (a *altered) current(k mfa.Key) mfa.Record {
	records, _ := a.MemoryStore.Get(context.Background(), k)
	return records[0]
}

// known are the keys that have ever been written.
func (a *altered) known() []mfa.Key {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Keys(a.seen))
}

func (a *altered) knows(k mfa.Key) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen[k]
}

// force commits whatever the conditions say.
func (a *altered) force(ctx context.Context, writes ...mfa.Write) error {
	for {
		var apply []mfa.Write
		for _, w := range writes {
			w.IfVersion = a.current(w.Key).Version
			if w.IfVersion != "" || len(w.Data) > 0 {
				apply = append(apply, w)
			}
		}
		if len(apply) == 0 {
			return nil
		}
		if err := a.MemoryStore.Commit(ctx, apply...); !errors.Is(err, mfa.ErrConflict) {
			return err
		}
	}
}

// meanwhile lets the other goroutines do what a race needs.
func meanwhile() {
	for range 500 {
		runtime.Gosched()
	}
}

// onGet, onList and onCommit make a wrong store of one wrong method.

func onGet(get func(ctx context.Context, a *altered, keys []mfa.Key) ([]mfa.Record, error)) func(*mfa.MemoryStore) mfa.Store {
	return func(m *mfa.MemoryStore) mfa.Store {
		a := alter(m)
		a.get = func(ctx context.Context, keys []mfa.Key) ([]mfa.Record, error) { return get(ctx, a, keys) }
		return a
	}
}

func onList(list func(ctx context.Context, a *altered, owner string, kinds []string) ([]mfa.Record, error)) func(*mfa.MemoryStore) mfa.Store {
	return func(m *mfa.MemoryStore) mfa.Store {
		a := alter(m)
		a.list = func(ctx context.Context, owner string, kinds []string) ([]mfa.Record, error) {
			return list(ctx, a, owner, kinds)
		}
		return a
	}
}

func onCommit(commit func(ctx context.Context, a *altered, writes []mfa.Write) error) func(*mfa.MemoryStore) mfa.Store {
	return func(m *mfa.MemoryStore) mfa.Store {
		a := alter(m)
		a.commit = func(ctx context.Context, writes []mfa.Write) error {
			if err := mfa.CheckWrites(writes); err != nil {
				return err
			}
			return commit(ctx, a, writes)
		}
		return a
	}
}

// onRefused makes a store that does something else with writes that the contract
// forbids.
func onRefused(commit func(ctx context.Context, a *altered, writes []mfa.Write) error) func(*mfa.MemoryStore) mfa.Store {
	return func(m *mfa.MemoryStore) mfa.Store {
		a := alter(m)
		a.commit = func(ctx context.Context, writes []mfa.Write) error {
			if mfa.CheckWrites(writes) != nil {
				return commit(ctx, a, writes)
			}
			return a.MemoryStore.Commit(ctx, writes...)
		}
		return a
	}
}

// onRead makes a store that changes the records it returns.
func onRead(edit func(r *mfa.Record)) func(*mfa.MemoryStore) mfa.Store {
	return func(m *mfa.MemoryStore) mfa.Store {
		a := alter(m)
		each := func(records []mfa.Record, err error) ([]mfa.Record, error) {
			for i := range records {
				if records[i].Version != "" {
					edit(&records[i])
				}
			}
			return records, err
		}
		a.get = func(ctx context.Context, keys []mfa.Key) ([]mfa.Record, error) { return each(m.Get(ctx, keys...)) }
		a.list = func(ctx context.Context, owner string, kinds []string) ([]mfa.Record, error) {
			return each(m.List(ctx, owner, kinds...))
		}
		return a
	}
}
