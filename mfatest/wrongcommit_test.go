package mfatest_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/seed-1320b244/mfa"
)

// commit replaces MemoryStore.Commit.
type commit = func(ctx context.Context, a *altered, writes []mfa.Write) error

// edited commits writes after edit changed them, or not at all when none is left.
func edited(edit func(a *altered, writes []mfa.Write) []mfa.Write) commit {
	return func(ctx context.Context, a *altered, writes []mfa.Write) error {
		given := len(writes)
		if writes = edit(a, writes); len(writes) == 0 && given > 0 {
			return ctx.Err()
		}
		return a.MemoryStore.Commit(ctx, writes...)
	}
}

func wrongRefusals() []wrongStore {
	conflict := func(when func(writes []mfa.Write) bool) func(*mfa.MemoryStore) mfa.Store {
		return onRefused(func(ctx context.Context, a *altered, writes []mfa.Write) error {
			if when(writes) {
				return mfa.ErrConflict
			}
			return mfa.CheckWrites(writes)
		})
	}
	return []wrongStore{
		{"writes-most", "63 writes at most", onCommit(func(ctx context.Context, a *altered, writes []mfa.Write) error {
			if len(writes) > 63 {
				return errTooLarge
			}
			return a.MemoryStore.Commit(ctx, writes...)
		}), nil},
		{"writes-most", "writes after the 50th are forgotten", onCommit(edited(func(_ *altered, writes []mfa.Write) []mfa.Write {
			return writes[:min(len(writes), 50)]
		})), nil},
		{"refuse-many", "two commits are made of one", onRefused(func(ctx context.Context, a *altered, writes []mfa.Write) error {
			if len(writes) <= 64 {
				return mfa.CheckWrites(writes)
			}
			return errors.Join(a.MemoryStore.Commit(ctx, writes[:64]...), a.MemoryStore.Commit(ctx, writes[64:]...))
		}), nil},
		{"refuse-many", "64 writes are applied before it fails", onRefused(func(ctx context.Context, a *altered, writes []mfa.Write) error {
			if len(writes) > 64 {
				_ = a.MemoryStore.Commit(ctx, writes[:64]...)
			}
			return mfa.CheckWrites(writes)
		}), nil},
		{"refuse-many", "it is a conflict", conflict(func(writes []mfa.Write) bool { return len(writes) > 64 }), nil},
		{"refuse-none", "no writes are fine", onRefused(func(ctx context.Context, a *altered, writes []mfa.Write) error {
			if len(writes) == 0 {
				return nil
			}
			return mfa.CheckWrites(writes)
		}), nil},
		{"refuse-owners", "each owner has a commit", onRefused(splitOwners), nil},
		{"refuse-twice", "the last write of a key counts", onRefused(lastWrites), nil},
		{"refuse-delete", "it is ignored", onRefused(edited(func(_ *altered, writes []mfa.Write) []mfa.Write {
			return slices.DeleteFunc(writes, func(w mfa.Write) bool { return len(w.Data) == 0 && w.IfVersion == "" })
		})), nil},
		{"refuse-delete", "it is a conflict", conflict(func(writes []mfa.Write) bool {
			return slices.ContainsFunc(writes, func(w mfa.Write) bool { return len(w.Data) == 0 && w.IfVersion == "" })
		}), nil},
		{"refuse-malformed", "data is cut", onRefused(repaired(func(w *mfa.Write) { w.Data = w.Data[:min(len(w.Data), 64<<10)] })), nil},
		{"refuse-malformed", "ids are cut", onRefused(repaired(func(w *mfa.Write) { w.ID = w.ID[:min(len(w.ID), 64)] })), nil},
		{"refuse-malformed", "a version is made up", onRefused(repaired(func(w *mfa.Write) {
			if w.Version == "" && len(w.Data) > 0 {
				w.Version = "made-up"
			}
		})), nil},
		{"refuse-malformed", "owners are made valid", onRefused(repaired(func(w *mfa.Write) {
			w.Owner = string(bytes.ToValidUTF8([]byte(w.Owner), []byte("?")))
		})), nil},
	}
}

func splitOwners(ctx context.Context, a *altered, writes []mfa.Write) error {
	byOwner := make(map[string][]mfa.Write)
	for _, w := range writes {
		byOwner[w.Owner] = append(byOwner[w.Owner], w)
	}
	if len(byOwner) < 2 {
		return mfa.CheckWrites(writes)
	}
	var errs []error
	for _, w := range byOwner {
		errs = append(errs, a.MemoryStore.Commit(ctx, w...))
	}
	return errors.Join(errs...)
}

func lastWrites(ctx context.Context, a *altered, writes []mfa.Write) error {
	var last []mfa.Write
	for i, w := range writes {
		if !slices.ContainsFunc(writes[i+1:], func(later mfa.Write) bool { return later.Key == w.Key }) {
			last = append(last, w)
		}
	}
	return a.MemoryStore.Commit(ctx, last...)
}

// repaired changes single writes before it looks at them.
func repaired(edit func(w *mfa.Write)) commit {
	return edited(func(_ *altered, writes []mfa.Write) []mfa.Write {
		for i := range writes {
			edit(&writes[i])
		}
		return writes
	})
}

func wrongConditions() []wrongStore {
	return []wrongStore{
		{"create-existing", "the same create twice is fine", onCommit(edited(func(a *altered, writes []mfa.Write) []mfa.Write {
			return slices.DeleteFunc(writes, func(w mfa.Write) bool { return w.IfVersion == "" && w.Version == a.current(w.Key).Version })
		})), nil},
		{"create-existing", "the error of the database comes out", onCommit(func(ctx context.Context, a *altered, writes []mfa.Write) error {
			err := a.MemoryStore.Commit(ctx, writes...)
			for _, w := range writes {
				if errors.Is(err, mfa.ErrConflict) && w.IfVersion == "" && a.current(w.Key).Version != "" {
					return errRaw
				}
			}
			return err
		}), []string{"expired-kept", "all-or-nothing", "race-create"}},
		{"replace", "Expires only grows", onCommit(edited(func(a *altered, writes []mfa.Write) []mfa.Write {
			for i, w := range writes {
				if r := a.current(w.Key); r.Version != "" && w.Expires.Before(r.Expires) {
					writes[i].Expires = r.Expires
				}
			}
			return writes
		})), nil},
		{"replace", "data is written over the old", onCommit(edited(func(a *altered, writes []mfa.Write) []mfa.Write {
			for i, w := range writes {
				if r := a.current(w.Key); len(w.Data) > 0 && len(w.Data) < len(r.Data) {
					writes[i].Data = append(bytes.Clone(w.Data), r.Data[len(w.Data):]...)
				}
			}
			return writes
		})), []string{"data-bytes", "data-size"}},
		{"replace-version", "the same replace twice is fine", onCommit(edited(func(a *altered, writes []mfa.Write) []mfa.Write {
			return slices.DeleteFunc(writes, func(w mfa.Write) bool {
				r := a.current(w.Key)
				return r.Version != "" && w.IfVersion != "" && w.IfVersion != r.Version && w.Version == r.Version
			})
		})), nil},
		{"replace-absent", "what never was is created", onCommit(edited(func(a *altered, writes []mfa.Write) []mfa.Write {
			if w := &writes[0]; len(writes) == 1 && len(w.Data) > 0 && !a.knows(w.Key) {
				w.IfVersion = ""
			}
			return writes
		})), nil},
		{"all-or-nothing", "writes are applied up to the bad one", inTurn(), nil},
		{"mixed", "creates are forgotten", onCommit(forgetCreates), nil},
	}
}

// inTurn applies one write after the other, under a lock, and stops at the first
// that fails.
func inTurn() func(*mfa.MemoryStore) mfa.Store {
	return func(m *mfa.MemoryStore) mfa.Store {
		a := alter(m)
		var mu sync.RWMutex
		a.get = func(ctx context.Context, keys []mfa.Key) ([]mfa.Record, error) {
			mu.RLock()
			defer mu.RUnlock()
			return m.Get(ctx, keys...)
		}
		a.list = func(ctx context.Context, owner string, kinds []string) ([]mfa.Record, error) {
			mu.RLock()
			defer mu.RUnlock()
			return m.List(ctx, owner, kinds...)
		}
		a.commit = func(ctx context.Context, writes []mfa.Write) error {
			err := mfa.CheckWrites(writes)
			mu.Lock()
			defer mu.Unlock()
			for i := 0; i < len(writes) && err == nil; i++ {
				err = m.Commit(ctx, writes[i])
			}
			return err
		}
		return a
	}
}

// forgetCreates forgets what a Commit that also replaces and deletes creates.
func forgetCreates(ctx context.Context, a *altered, writes []mfa.Write) error {
	if err := a.MemoryStore.Commit(ctx, writes...); err != nil {
		return err
	}
	var created []mfa.Write
	var replaces, deletes bool
	for _, w := range writes {
		switch {
		case w.IfVersion == "":
			created = append(created, mfa.Write{Record: mfa.Record{Key: w.Key}, IfVersion: w.Version})
		case len(w.Data) == 0:
			deletes = true
		default:
			replaces = true
		}
	}
	if len(created) > 0 && replaces && deletes {
		return a.MemoryStore.Commit(ctx, created...)
	}
	return nil
}

func wrongDeletes() []wrongStore {
	ignored := func(ignore func(w mfa.Write) bool) func(*mfa.MemoryStore) mfa.Store {
		return onCommit(edited(func(_ *altered, writes []mfa.Write) []mfa.Write { return slices.DeleteFunc(writes, ignore) }))
	}
	return []wrongStore{
		{"delete", "nil deletes but no empty slice does", ignored(func(w mfa.Write) bool { return w.Data != nil && len(w.Data) == 0 }), nil},
		{"delete", "a delete with a version does nothing", ignored(func(w mfa.Write) bool { return len(w.Data) == 0 && w.Version != "" }), nil},
		{"delete-version", "what never was is deleted", onCommit(edited(func(a *altered, writes []mfa.Write) []mfa.Write {
			if w := writes[0]; len(writes) == 1 && len(w.Data) == 0 && !a.knows(w.Key) {
				return nil
			}
			return writes
		})), nil},
		{"delete-version", "deletes have no condition", onCommit(func(ctx context.Context, a *altered, writes []mfa.Write) error {
			for i, w := range writes {
				if v := a.current(w.Key).Version; len(w.Data) == 0 && v != "" {
					writes[i].IfVersion = v
				}
			}
			return a.MemoryStore.Commit(ctx, writes...)
		}), []string{"version-compare", "all-or-nothing", "incarnation"}},
		{"no-resurrection", "the mark of a delete is not looked at", remembering(func(stored string, w mfa.Write, deleted []string) string {
			if stored == "" && len(w.Data) > 0 && slices.Contains(deleted, w.IfVersion) {
				return ""
			}
			return w.IfVersion
		}), nil},
		{"incarnation", "old versions still count", remembering(func(stored string, w mfa.Write, deleted []string) string {
			if stored != "" && slices.Contains(deleted, w.IfVersion) {
				return stored
			}
			return w.IfVersion
		}), nil},
		{"incarnation", "what was deleted stays so", onCommit(func(ctx context.Context, a *altered, writes []mfa.Write) error {
			for _, w := range writes {
				if w.IfVersion == "" && a.knows(w.Key) && a.current(w.Key).Version == "" {
					return mfa.ErrConflict
				}
			}
			return a.MemoryStore.Commit(ctx, writes...)
		}), []string{"race-delete", "torn-get", "torn-list"}},
	}
}

// remembering keeps the versions that were deleted. condition returns the
// condition of w, given the version that is stored.
func remembering(condition func(stored string, w mfa.Write, deleted []string) string) func(*mfa.MemoryStore) mfa.Store {
	return func(m *mfa.MemoryStore) mfa.Store {
		a := alter(m)
		var mu sync.Mutex
		deleted := make(map[mfa.Key][]string)
		a.commit = func(ctx context.Context, writes []mfa.Write) error {
			if err := mfa.CheckWrites(writes); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			for i, w := range writes {
				writes[i].IfVersion = condition(a.current(w.Key).Version, w, deleted[w.Key])
			}
			if err := m.Commit(ctx, writes...); err != nil {
				return err
			}
			for _, w := range writes {
				if len(w.Data) == 0 {
					deleted[w.Key] = append(deleted[w.Key], w.IfVersion)
				}
			}
			return nil
		}
		return a
	}
}
