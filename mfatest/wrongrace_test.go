package mfatest_test

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-1320b244/mfa"
)

func wrongRaces() []wrongStore {
	type kind = func(a *altered, writes []mfa.Write) bool
	one := func(of func(w mfa.Write) bool) kind {
		return func(_ *altered, writes []mfa.Write) bool { return len(writes) == 1 && of(writes[0]) }
	}
	creates := one(func(w mfa.Write) bool { return w.IfVersion == "" })
	deletes := one(func(w mfa.Write) bool { return len(w.Data) == 0 })
	replaces := func(over bool) kind {
		return func(a *altered, writes []mfa.Write) bool {
			w := writes[0]
			return len(writes) == 1 && w.IfVersion != "" && len(w.Data) > 0 && a.current(w.Key).Expires.Before(time.Now()) == over
		}
	}
	return []wrongStore{
		{"race-create", "it looks, then creates", onCommit(lookFirst(creates)), nil},
		{"race-create", "everybody loses", onCommit(allLose(creates)), nil},
		{"race-create", "losers are told of a lock", onCommit(rawWhenBusy(creates)), nil},
		{"race-replace", "it looks, then replaces", onCommit(lookFirst(replaces(false))), nil},
		{"race-delete", "it looks, then deletes", onCommit(lookFirst(deletes)), nil},
		{"race-order", "it looks, then writes several", onCommit(lookFirst(several)), nil},
		{"race-order", "deadlocks come out", onCommit(rawWhenBusy(several)), nil},
		{"race-order", "everybody loses", onCommit(allLose(several)), nil},
		{"sweep-race", "it looks, then replaces what is over", onCommit(lookFirst(replaces(true))), nil},
	}
}

// several are the writes of race-order: more than one, and none like the others'.
func several(_ *altered, writes []mfa.Write) bool {
	for _, w := range writes {
		if w.IfVersion == "" || len(w.Data) == 0 {
			return false
		}
	}
	return len(writes) == 4
}

// lookFirst compares and writes in two steps.
func lookFirst(which func(*altered, []mfa.Write) bool) commit {
	return func(ctx context.Context, a *altered, writes []mfa.Write) error {
		if !which(a, writes) || ctx.Err() != nil {
			return a.MemoryStore.Commit(ctx, writes...)
		}
		for _, w := range writes {
			if a.current(w.Key).Version != w.IfVersion {
				return mfa.ErrConflict
			}
		}
		meanwhile()
		return a.force(ctx, writes...)
	}
}

// allLose has none win when several write at once, nor ever after: the last of a
// round, for which nobody waits, would win it.
func allLose(which func(*altered, []mfa.Write) bool) commit {
	var busy atomic.Int64
	var lost sync.Map // *altered
	return func(ctx context.Context, a *altered, writes []mfa.Write) error {
		if which(a, writes) {
			met := busy.Add(1) > 1
			defer busy.Add(-1)
			meanwhile()
			if _, before := lost.Load(a); met || busy.Load() > 1 || before {
				lost.Store(a, true)
				return mfa.ErrConflict
			}
		}
		return a.MemoryStore.Commit(ctx, writes...)
	}
}

// rawWhenBusy answers who comes while another writes with an error of the
// database.
func rawWhenBusy(which func(*altered, []mfa.Write) bool) commit {
	var busy atomic.Int64
	return func(ctx context.Context, a *altered, writes []mfa.Write) error {
		if which(a, writes) {
			defer busy.Add(-1)
			if busy.Add(1) > 1 {
				return errDeadlock
			}
			meanwhile()
		}
		return a.MemoryStore.Commit(ctx, writes...)
	}
}

func wrongSnapshots() []wrongStore {
	return []wrongStore{
		{"read-latest", "Get has a cache that a slow reader fills", cachedGet, nil},
		{"read-latest", "List has a cache that a slow reader fills", cachedList, nil},
		{"torn-get", "Get asks for one key after the other", onGet(func(ctx context.Context, a *altered, keys []mfa.Key) ([]mfa.Record, error) {
			var records []mfa.Record
			for i, k := range keys {
				if i > 0 {
					meanwhile()
				}
				r, err := a.MemoryStore.Get(ctx, k)
				if err != nil {
					return nil, err
				}
				records = append(records, r...)
			}
			return records, ctx.Err()
		}), nil},
		{"torn-list", "List asks for one kind after the other", onList(func(ctx context.Context, a *altered, owner string, kinds []string) ([]mfa.Record, error) {
			if len(kinds) < 3 || kinds[0] == kinds[2] {
				return a.MemoryStore.List(ctx, owner, kinds...)
			}
			var records []mfa.Record
			for _, k := range kinds {
				r, err := a.MemoryStore.List(ctx, owner, k)
				if err != nil {
					return nil, err
				}
				records = append(records, r...)
				meanwhile()
			}
			return records, nil
		}), nil},
		{"torn-get", "Commit checks all and then applies one write after the other", onCommit(oneByOne()), []string{"torn-list"}},
	}
}

// oneByOne locks out other writers, but not readers.
func oneByOne() commit {
	var mu sync.Mutex
	return func(ctx context.Context, a *altered, writes []mfa.Write) error {
		mu.Lock()
		defer mu.Unlock()
		for _, w := range writes {
			if a.current(w.Key).Version != w.IfVersion {
				return mfa.ErrConflict
			}
		}
		for i, w := range writes {
			if i > 0 {
				meanwhile()
			}
			if err := a.MemoryStore.Commit(ctx, w); err != nil {
				return err
			}
		}
		return nil
	}
}

// A cache is emptied by every Commit, and filled by readers, of whom one read
// before the Commit and fills it afterwards.
type cache struct {
	mu      sync.Mutex
	records map[any][]mfa.Record
	late    *lateReader
}

// A lateReader has read and waits for the next Commit, which waits until it has
// filled the cache: no race that may be lost.
type lateReader struct{ committed, filled chan struct{} }

func (c *cache) read(key any, read func() ([]mfa.Record, error)) ([]mfa.Record, error) {
	c.mu.Lock()
	records, ok := c.records[key]
	c.mu.Unlock()
	if ok {
		return cloned(records), nil
	}
	records, err := read()
	if err != nil {
		return nil, err
	}
	late := c.beLate(records)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.records == nil {
		c.records = make(map[any][]mfa.Record)
	}
	if c.records[key] == nil || late != nil {
		c.records[key] = cloned(records)
	}
	if late != nil {
		close(late.filled)
	}
	return records, nil
}

// beLate waits for a Commit, when this is one of the first numbers that
// read-latest counts: only there, more Commits are sure to come. It returns nil
// when it did not wait.
func (c *cache) beLate(records []mfa.Record) *lateReader {
	if len(records) != 1 {
		return nil
	}
	if n, err := strconv.Atoi(string(records[0].Data)); err != nil || n < 1 || n > 10 {
		return nil
	}
	l := &lateReader{make(chan struct{}), make(chan struct{})}
	c.mu.Lock()
	first := c.late == nil
	if first {
		c.late = l
	}
	c.mu.Unlock()
	if !first {
		return nil
	}
	given := time.NewTimer(time.Second) // another reader may have ended the case
	defer given.Stop()
	select {
	case <-l.committed:
	case <-given.C:
	}
	return l
}

func cloned(records []mfa.Record) []mfa.Record {
	records = slices.Clone(records)
	for i, r := range records {
		records[i].Data = bytes.Clone(r.Data)
	}
	return records
}

func (c *cache) empty() {
	c.mu.Lock()
	c.records = nil
	late := c.late
	c.late = nil
	c.mu.Unlock()
	if late != nil {
		close(late.committed)
		<-late.filled
	}
}

// cachedGet and cachedList cache what read-latest reads: one record.

func cachedGet(m *mfa.MemoryStore) mfa.Store {
	a, c := alter(m), new(cache)
	a.get = func(ctx context.Context, keys []mfa.Key) ([]mfa.Record, error) {
		if len(keys) != 1 || ctx.Err() != nil {
			return m.Get(ctx, keys...)
		}
		return c.read(keys[0], func() ([]mfa.Record, error) { return m.Get(ctx, keys...) })
	}
	return emptying(a, c)
}

func cachedList(m *mfa.MemoryStore) mfa.Store {
	a, c := alter(m), new(cache)
	a.list = func(ctx context.Context, owner string, kinds []string) ([]mfa.Record, error) {
		if len(kinds) != 1 || ctx.Err() != nil {
			return m.List(ctx, owner, kinds...)
		}
		return c.read([2]string{owner, kinds[0]}, func() ([]mfa.Record, error) { return m.List(ctx, owner, kinds...) })
	}
	return emptying(a, c)
}

// emptying has every Commit and Sweep empty the cache.
func emptying(a *altered, c *cache) mfa.Store {
	a.commit = func(ctx context.Context, writes []mfa.Write) error {
		defer c.empty()
		return a.MemoryStore.Commit(ctx, writes...)
	}
	a.sweep = func(ctx context.Context, before time.Time, limit int) (int, error) {
		defer c.empty()
		return a.MemoryStore.Sweep(ctx, before, limit)
	}
	return a
}

func wrongSweeps() []wrongStore {
	type sweep = func(ctx context.Context, a *altered, before time.Time, limit int) (int, error)
	on := func(f sweep) func(*mfa.MemoryStore) mfa.Store {
		return func(m *mfa.MemoryStore) mfa.Store {
			a := alter(m)
			a.sweep = func(ctx context.Context, before time.Time, limit int) (int, error) { return f(ctx, a, before, limit) }
			return a
		}
	}
	return []wrongStore{
		{"sweep-before", "the moment itself is swept", on(func(ctx context.Context, a *altered, before time.Time, limit int) (int, error) {
			return a.MemoryStore.Sweep(ctx, before.Add(time.Second), limit)
		}), nil},
		{"sweep-before", "it spares the last second", on(func(ctx context.Context, a *altered, before time.Time, limit int) (int, error) {
			return a.MemoryStore.Sweep(ctx, before.Add(-time.Second), limit)
		}), []string{"sweep-limit"}},
		{"sweep-never", "zero is early", on(sweepZero), nil},
		{"sweep-limit", "there is no limit", on(func(ctx context.Context, a *altered, before time.Time, _ int) (int, error) {
			return a.MemoryStore.Sweep(ctx, before, 1000)
		}), nil},
		{"sweep-count", "it counts one too many", on(func(ctx context.Context, a *altered, before time.Time, limit int) (int, error) {
			n, err := a.MemoryStore.Sweep(ctx, before, limit)
			if n > 0 {
				n++
			}
			return n, err
		}), nil},
		{"sweep-race", "it looks, then deletes", on(sweepSlowly), nil},
	}
}

func sweepZero(ctx context.Context, a *altered, before time.Time, limit int) (int, error) {
	n, err := a.MemoryStore.Sweep(ctx, before, limit)
	for _, k := range a.known() {
		if r := a.current(k); r.Version != "" && r.Expires.IsZero() && err == nil && n < limit {
			n++
			err = a.force(ctx, mfa.Write{Record: mfa.Record{Key: k}})
		}
	}
	return n, err
}

func sweepSlowly(ctx context.Context, a *altered, before time.Time, limit int) (int, error) {
	var over []mfa.Write
	for _, k := range a.known() {
		if r := a.current(k); r.Version != "" && !r.Expires.IsZero() && r.Expires.Before(before) && len(over) < limit {
			over = append(over, mfa.Write{Record: mfa.Record{Key: k}})
		}
	}
	meanwhile()
	for _, w := range over {
		if err := a.force(ctx, w); err != nil {
			return 0, err
		}
	}
	return len(over), nil
}
