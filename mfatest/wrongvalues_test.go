package mfatest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-1320b244/mfa"
)

func wrongValues() []wrongStore {
	zone := time.FixedZone("elsewhere", 3600)
	return []wrongStore{
		{"version-exact", "null is nothing", onRead(func(r *mfa.Record) { r.Version = strings.TrimSuffix(r.Version, "null") }), nil},
		{"version-exact", "digits become a number", onRead(viaFloat), nil},
		{"version-exact", "versions end at 127 bytes", onRead(func(r *mfa.Record) { r.Version = r.Version[:min(len(r.Version), 127)] }), []string{"version-compare"}},
		{"version-compare", "case is ignored", comparing(strings.EqualFold), nil},
		{"version-compare", "the first 64 bytes are compared", comparing(func(a, b string) bool { return a[:min(len(a), 64)] == b[:min(len(b), 64)] }), nil},
		{"version-compare", "digits are compared as numbers", comparing(func(a, b string) bool { return number(a) == number(b) }), nil},
		{"version-compare", "versions are patterns", comparing(func(a, b string) bool { return like(b, a) }), nil},
		{"expires-exact", "32 bits", onRead(editExpires(func(t time.Time) time.Time { return time.Unix(int64(int32(t.Unix())), 0) })), nil},
		{"expires-exact", "nanoseconds", onRead(editExpires(func(t time.Time) time.Time { return time.Unix(0, t.Unix()*1e9) })), nil},
		{"expires-exact", "unsigned 32 bits", onRead(editExpires(func(t time.Time) time.Time { return time.Unix(min(t.Unix(), math.MaxUint32), 0) })), nil},
		{"expires-zero", "zero comes back as 1970", onRead(func(r *mfa.Record) {
			if r.Expires.IsZero() {
				r.Expires = time.Unix(0, 0).UTC()
			}
		}), nil},
		{"expires-utc", "local time", onRead(func(r *mfa.Record) {
			if !r.Expires.IsZero() {
				r.Expires = r.Expires.In(zone)
			}
		}), nil},
		{"expired-kept", "a record that is over can be created again", onCommit(createOver), nil},
		{"expired-kept", "reads leave out what is over", hidesOver(), []string{"sweep-before", "sweep-limit", "sweep-count"}},
		{"data-bytes", "text is made valid", onRead(func(r *mfa.Record) { r.Data = bytes.ToValidUTF8(r.Data, []byte("\ufffd")) }), nil},
		{"data-bytes", "zero bytes at the end are dropped", onRead(func(r *mfa.Record) { r.Data = bytes.TrimRight(r.Data, "\x00") }), nil},
		{"data-bytes", "JSON is made compact", onRead(compact), nil},
		{"data-size", "data ends at 65535 bytes", onRead(func(r *mfa.Record) { r.Data = r.Data[:min(len(r.Data), 65535)] }), nil},
		{"data-size", "data over 60000 bytes is refused", onCommit(refuseLarge), nil},
		{"copies-in", "the caller's bytes are kept", aliasing(true), nil},
		{"copies-out", "the store's bytes are returned", aliasing(false), nil},
	}
}

// viaFloat is what happens to digits in JSON without quotes.
func viaFloat(r *mfa.Record) {
	f, err := strconv.ParseFloat(r.Version, 64)
	if err == nil && r.Version[0] >= '1' && r.Version[0] <= '9' && !strings.Contains(r.Version, "e") {
		r.Version = strconv.FormatFloat(f, 'f', -1, 64)
	}
}

func editExpires(edit func(time.Time) time.Time) func(r *mfa.Record) {
	return func(r *mfa.Record) {
		if !r.Expires.IsZero() {
			r.Expires = edit(r.Expires).UTC()
		}
	}
}

// comparing takes a version for the one that is there when equal says so.
func comparing(equal func(stored, given string) bool) func(*mfa.MemoryStore) mfa.Store {
	return onCommit(func(ctx context.Context, a *altered, writes []mfa.Write) error {
		for i, w := range writes {
			if v := a.current(w.Key).Version; v != "" && w.IfVersion != "" && equal(v, w.IfVersion) {
				writes[i].IfVersion = v
			}
		}
		return a.MemoryStore.Commit(ctx, writes...)
	})
}

func createOver(ctx context.Context, a *altered, writes []mfa.Write) error {
	for i, w := range writes {
		if r := a.current(w.Key); w.IfVersion == "" && !r.Expires.IsZero() && r.Expires.Before(time.Now()) {
			writes[i].IfVersion = r.Version
		}
	}
	return a.MemoryStore.Commit(ctx, writes...)
}

func hidesOver() func(*mfa.MemoryStore) mfa.Store {
	over := func(r mfa.Record) bool { return !r.Expires.IsZero() && r.Expires.Before(time.Now()) }
	return func(m *mfa.MemoryStore) mfa.Store {
		a := alter(m)
		a.get = func(ctx context.Context, keys []mfa.Key) ([]mfa.Record, error) {
			records, err := m.Get(ctx, keys...)
			for i, r := range records {
				if over(r) {
					records[i] = mfa.Record{Key: r.Key}
				}
			}
			return records, err
		}
		a.list = func(ctx context.Context, owner string, kinds []string) ([]mfa.Record, error) {
			records, err := m.List(ctx, owner, kinds...)
			return slices.DeleteFunc(records, over), err
		}
		return a
	}
}

func compact(r *mfa.Record) {
	var b bytes.Buffer
	if json.Compact(&b, r.Data) == nil {
		r.Data = b.Bytes()
	}
}

func refuseLarge(ctx context.Context, a *altered, writes []mfa.Write) error {
	for _, w := range writes {
		if len(w.Data) > 60_000 {
			return errTooLarge
		}
	}
	return a.MemoryStore.Commit(ctx, writes...)
}

// aliasing keeps the slices it is given, or returns those that it keeps.
func aliasing(in bool) func(*mfa.MemoryStore) mfa.Store {
	type incarnation struct {
		key     mfa.Key
		version string
	}
	copyIf := func(yes bool, b []byte) []byte {
		if yes {
			return bytes.Clone(b)
		}
		return b
	}
	return func(m *mfa.MemoryStore) mfa.Store {
		a := alter(m)
		kept := make(map[incarnation][]byte)
		a.commit = func(ctx context.Context, writes []mfa.Write) error {
			err := m.Commit(ctx, writes...)
			a.mu.Lock()
			defer a.mu.Unlock()
			for _, w := range writes {
				if err == nil && len(w.Data) > 0 {
					kept[incarnation{w.Key, w.Version}] = copyIf(!in, w.Data)
				}
			}
			return err
		}
		each := func(records []mfa.Record, err error) ([]mfa.Record, error) {
			a.mu.Lock()
			defer a.mu.Unlock()
			for i, r := range records {
				if data, ok := kept[incarnation{r.Key, r.Version}]; ok {
					records[i].Data = copyIf(in, data)
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
