package mfatest_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-1320b244/mfa"
)

func wrongKeys() []wrongStore {
	return []wrongStore{
		{"key-case", "owners are folded", owners(asciiLower), nil},
		{"key-case", "ids are folded", ids(asciiLower), nil},
		{"key-space", "trailing spaces are ignored", owners(func(s string) string { return strings.TrimRight(s, " ") }), nil},
		{"key-space", "owners are trimmed", owners(strings.TrimSpace), nil},
		{"key-unicode", "owners are composed", owners(strings.NewReplacer("e\u0301", "\u00e9", "A\u030a", "\u00c5").Replace), nil},
		{"key-unicode", "accents are ignored", owners(strings.NewReplacer("\u0301", "", "\u030a", "", "\u00e9/", "e/").Replace), nil},
		{"key-unicode", "three bytes at most", owners(threeBytes), nil},
		{"key-wildcards", "backslashes are dropped", owners(func(s string) string { return strings.ReplaceAll(s, `\`, "") }), nil},
		{"key-wildcards", "quotes are doubled only once", owners(func(s string) string { return strings.ReplaceAll(s, "''", "'") }), nil},
		{"key-wildcards", "owners are cleaned as paths", owners(path.Clean), nil},
		{"key-wildcards", "List takes a pattern", onList(listLike), nil},
		{"key-wildcards", "Get takes a pattern", onGet(getLike), nil},
		{"key-digits", "ids are numbers", ids(number), nil},
		{"key-encoding", "parts are concatenated", joined(func(k mfa.Key) string { return k.Owner + k.Kind + k.ID }), nil},
		{"key-encoding", "parts are joined by a hyphen", joined(func(k mfa.Key) string { return k.Owner + "-" + k.Kind + "-" + k.ID }), nil},
		{"key-encoding", "parts are joined as a path", joined(func(k mfa.Key) string { return path.Join(k.Owner, k.Kind, k.ID) }), []string{"key-wildcards"}},
		{"key-encoding", "kind and id are concatenated", joined(func(k mfa.Key) string { return k.Owner + "\x00" + k.Kind + k.ID }), nil},
		{"key-lengths", "owners end at 255 bytes", owners(func(s string) string { return s[:min(len(s), 255)] }), nil},
		{"key-lengths", "ids end at 63 bytes", ids(func(s string) string { return s[:min(len(s), 63)] }), nil},
		{"key-lengths", "kinds end at 31 bytes", rekey(func(k mfa.Key) mfa.Key { k.Kind = k.Kind[:min(len(k.Kind), 31)]; return k }), nil},
	}
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

func threeBytes(s string) string {
	return strings.Map(func(r rune) rune {
		if r > 0xffff {
			return '?'
		}
		return r
	}, s)
}

func number(s string) string {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return s
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// like is SQL's LIKE.
func like(pattern, s string) bool {
	p := regexp.QuoteMeta(pattern)
	return regexp.MustCompile("(?s)^" + strings.NewReplacer("%", ".*", "_", ".").Replace(p) + "$").MatchString(s)
}

func listLike(ctx context.Context, a *altered, owner string, kinds []string) ([]mfa.Record, error) {
	var records []mfa.Record
	var done []string
	for _, k := range a.known() {
		if like(owner, k.Owner) && !slices.Contains(done, k.Owner) {
			done = append(done, k.Owner)
			r, err := a.MemoryStore.List(ctx, k.Owner, kinds...)
			if err != nil {
				return nil, err
			}
			records = append(records, r...)
		}
	}
	return records, ctx.Err()
}

func getLike(ctx context.Context, a *altered, keys []mfa.Key) ([]mfa.Record, error) {
	records, err := a.MemoryStore.Get(ctx, keys...)
	for i, k := range keys {
		if err != nil || records[i].Version == "" || !strings.Contains(k.ID, "_") {
			continue
		}
		all, _ := a.MemoryStore.List(ctx, k.Owner, k.Kind)
		slices.SortFunc(all, func(a, b mfa.Record) int { return cmp.Compare(b.ID, a.ID) })
		j := slices.IndexFunc(all, func(r mfa.Record) bool { return like(k.ID, r.ID) })
		records[i] = all[j]
	}
	return records, err
}

// rekeyed keeps every record under another key than it was given.
type rekeyed struct {
	inner *mfa.MemoryStore
	key   func(mfa.Key) mfa.Key
	mu    sync.RWMutex
	given map[mfa.Key]mfa.Key // by the key in inner
}

func rekey(key func(mfa.Key) mfa.Key) func(*mfa.MemoryStore) mfa.Store {
	return func(m *mfa.MemoryStore) mfa.Store {
		return &rekeyed{inner: m, key: key, given: make(map[mfa.Key]mfa.Key)}
	}
}

func owners(f func(string) string) func(*mfa.MemoryStore) mfa.Store {
	return rekey(func(k mfa.Key) mfa.Key { k.Owner = f(k.Owner); return k })
}

func ids(f func(string) string) func(*mfa.MemoryStore) mfa.Store {
	return rekey(func(k mfa.Key) mfa.Key { k.ID = f(k.ID); return k })
}

func joined(f func(mfa.Key) string) func(*mfa.MemoryStore) mfa.Store {
	return rekey(func(k mfa.Key) mfa.Key {
		sum := sha256.Sum256([]byte(f(k)))
		return mfa.Key{Owner: "all", Kind: "k", ID: hex.EncodeToString(sum[:])}
	})
}

func (s *rekeyed) Get(ctx context.Context, keys ...mfa.Key) ([]mfa.Record, error) {
	var other []mfa.Key
	for _, k := range keys {
		other = append(other, s.key(k))
	}
	records, err := s.inner.Get(ctx, other...)
	for i := range records {
		records[i].Key = keys[i]
	}
	return records, err
}

func (s *rekeyed) List(ctx context.Context, owner string, kinds ...string) ([]mfa.Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	records, err := s.inner.List(ctx, s.key(mfa.Key{Owner: owner}).Owner)
	var found []mfa.Record
	for _, r := range records {
		r.Key = s.given[r.Key]
		if r.Owner == owner && (len(kinds) == 0 || slices.Contains(kinds, r.Kind)) {
			found = append(found, r)
		}
	}
	return found, err
}

func (s *rekeyed) Commit(ctx context.Context, writes ...mfa.Write) error {
	if err := mfa.CheckWrites(writes); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	writes = slices.Clone(writes)
	for i, w := range writes {
		writes[i].Key = s.key(w.Key)
		s.given[writes[i].Key] = w.Key
	}
	return s.inner.Commit(ctx, writes...)
}

func (s *rekeyed) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	return s.inner.Sweep(ctx, before, limit)
}
