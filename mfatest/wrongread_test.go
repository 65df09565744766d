package mfatest_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/seed-1320b244/mfa"
)

var (
	errEmpty    = errors.New("syntax error near ')'")
	errNoOwner  = errors.New("no such owner")
	errTooLarge = errors.New("request too large")
	errRaw      = errors.New("duplicate key value violates unique constraint")
	errDeadlock = errors.New("deadlock detected")
)

func wrongGets() []wrongStore {
	return []wrongStore{
		{"get-order", "records come by id", onGet(getSorted), nil},
		{"get-absent", "absent records have no key", onGet(getKeyless), nil},
		{"get-absent", "absent records come last", onGet(getFoundFirst), nil},
		{"get-many", "keys after the 64th are forgotten", getSome(func(i int, _ []mfa.Key) bool { return i < 64 }), nil},
		{"get-duplicates", "a key is answered once", onGet(getOnce), nil},
		{"get-duplicates", "only the first of equal keys is found", getSome(func(i int, keys []mfa.Key) bool { return !slices.Contains(keys[:i], keys[i]) }), nil},
		{"get-owners", "only the first owner is asked", getSome(func(i int, keys []mfa.Key) bool { return keys[i].Owner == keys[0].Owner }), nil},
		{"get-none", "no keys are a syntax error", onGet(getNone), nil},
		{"canceled", "Get ignores its context", onGet(func(ctx context.Context, a *altered, keys []mfa.Key) ([]mfa.Record, error) {
			return a.MemoryStore.Get(context.WithoutCancel(ctx), keys...)
		}), nil},
		{"canceled", "List ignores its context", onList(func(ctx context.Context, a *altered, owner string, kinds []string) ([]mfa.Record, error) {
			return a.MemoryStore.List(context.WithoutCancel(ctx), owner, kinds...)
		}), nil},
		{"canceled", "Commit ignores its context", onCommit(func(ctx context.Context, a *altered, writes []mfa.Write) error {
			return a.MemoryStore.Commit(context.WithoutCancel(ctx), writes...)
		}), nil},
		{"canceled", "a canceled Commit is a conflict", onCommit(func(ctx context.Context, a *altered, writes []mfa.Write) error {
			if ctx.Err() != nil {
				return mfa.ErrConflict
			}
			return a.MemoryStore.Commit(ctx, writes...)
		}), nil},
	}
}

func getSorted(ctx context.Context, a *altered, keys []mfa.Key) ([]mfa.Record, error) {
	records, err := a.MemoryStore.Get(ctx, keys...)
	slices.SortStableFunc(records, func(x, y mfa.Record) int { return cmp.Compare(x.ID, y.ID) })
	return records, err
}

func getFoundFirst(ctx context.Context, a *altered, keys []mfa.Key) ([]mfa.Record, error) {
	records, err := a.MemoryStore.Get(ctx, keys...)
	absent := func(r mfa.Record) int {
		if r.Version == "" {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(records, func(x, y mfa.Record) int { return absent(x) - absent(y) })
	return records, err
}

func getKeyless(ctx context.Context, a *altered, keys []mfa.Key) ([]mfa.Record, error) {
	records, err := a.MemoryStore.Get(ctx, keys...)
	for i, r := range records {
		if r.Version == "" {
			records[i].Key = mfa.Key{}
		}
	}
	return records, err
}

// getSome forgets the keys that keep says no to.
func getSome(keep func(i int, keys []mfa.Key) bool) func(*mfa.MemoryStore) mfa.Store {
	return onGet(func(ctx context.Context, a *altered, keys []mfa.Key) ([]mfa.Record, error) {
		records, err := a.MemoryStore.Get(ctx, keys...)
		for i := range records {
			if !keep(i, keys) {
				records[i] = mfa.Record{Key: keys[i]}
			}
		}
		return records, err
	})
}

func getOnce(ctx context.Context, a *altered, keys []mfa.Key) ([]mfa.Record, error) {
	var once []mfa.Key
	for _, k := range keys {
		if !slices.Contains(once, k) {
			once = append(once, k)
		}
	}
	return a.MemoryStore.Get(ctx, once...)
}

func getNone(ctx context.Context, a *altered, keys []mfa.Key) ([]mfa.Record, error) {
	if len(keys) == 0 {
		return nil, errEmpty
	}
	return a.MemoryStore.Get(ctx, keys...)
}

func wrongLists() []wrongStore {
	// filtered lists the owner's records of every kind and keeps some.
	type filter = func(r mfa.Record, kinds []string) bool
	filtered := func(keep filter) func(*mfa.MemoryStore) mfa.Store {
		return onList(func(ctx context.Context, a *altered, owner string, kinds []string) ([]mfa.Record, error) {
			records, err := a.MemoryStore.List(ctx, owner)
			return slices.DeleteFunc(records, func(r mfa.Record) bool { return !keep(r, kinds) }), err
		})
	}
	return []wrongStore{
		{"list-kinds", "kinds are prefixes", filtered(func(r mfa.Record, kinds []string) bool {
			return len(kinds) == 0 || slices.ContainsFunc(kinds, func(k string) bool { return strings.HasPrefix(r.Kind, k) })
		}), nil},
		{"list-kinds", "only the first kind counts", filtered(func(r mfa.Record, kinds []string) bool {
			return len(kinds) == 0 || r.Kind == kinds[0]
		}), []string{"key-encoding", "key-lengths", "list-duplicates", "torn-list"}},
		{"list-all", "only one kind comes", onList(listOneKind), nil},
		{"list-all", "no kinds are no records", filtered(func(r mfa.Record, kinds []string) bool { return slices.Contains(kinds, r.Kind) }), []string{"list-owner"}},
		{"list-duplicates", "each kind is listed", onList(listEach), nil},
		{"list-unknown", "an unknown owner is an error", onList(listKnown), nil},
		{"list-owner", "without kinds every owner is listed", onList(listEverybody), nil},
		{"list-owner", "owners are prefixes", onList(listPrefix), []string{"key-space", "key-lengths", "key-encoding", "key-wildcards"}},
		{"list-many", "one page comes", onList(func(ctx context.Context, a *altered, owner string, kinds []string) ([]mfa.Record, error) {
			records, err := a.MemoryStore.List(ctx, owner, kinds...)
			return records[:min(len(records), 100)], err
		}), nil},
	}
}

func listOneKind(ctx context.Context, a *altered, owner string, kinds []string) ([]mfa.Record, error) {
	records, err := a.MemoryStore.List(ctx, owner, kinds...)
	if len(kinds) == 0 && len(records) > 0 {
		kind := records[0].Kind
		records = slices.DeleteFunc(records, func(r mfa.Record) bool { return r.Kind != kind })
	}
	return records, err
}

func listEach(ctx context.Context, a *altered, owner string, kinds []string) ([]mfa.Record, error) {
	records, err := a.MemoryStore.List(ctx, owner, kinds...)
	for i, k := range kinds {
		if slices.Contains(kinds[:i], k) {
			again, _ := a.MemoryStore.List(ctx, owner, k)
			records = append(records, again...)
		}
	}
	return records, err
}

func listKnown(ctx context.Context, a *altered, owner string, kinds []string) ([]mfa.Record, error) {
	if !slices.ContainsFunc(a.known(), func(k mfa.Key) bool { return k.Owner == owner }) {
		return nil, errNoOwner
	}
	return a.MemoryStore.List(ctx, owner, kinds...)
}

func listEverybody(ctx context.Context, a *altered, owner string, kinds []string) ([]mfa.Record, error) {
	if len(kinds) > 0 {
		return a.MemoryStore.List(ctx, owner, kinds...)
	}
	records, err := a.MemoryStore.Get(ctx, a.known()...)
	return slices.DeleteFunc(records, func(r mfa.Record) bool { return r.Version == "" }), err
}

func listPrefix(ctx context.Context, a *altered, owner string, kinds []string) ([]mfa.Record, error) {
	records, err := a.MemoryStore.List(ctx, owner, kinds...)
	for _, k := range a.known() {
		if k.Owner != owner && strings.HasPrefix(k.Owner, owner) && (len(kinds) == 0 || slices.Contains(kinds, k.Kind)) {
			if r := a.current(k); r.Version != "" {
				records = append(records, r)
			}
		}
	}
	return records, err
}
