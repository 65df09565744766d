package mfa

import (
	"context"
	"slices"
	"sync"
	"time"
)

// A MemoryStore keeps records in memory: for tests, for development, and for a
// single process that may forget everything when it stops. The zero value is
// ready. It must not be copied after first use.
type MemoryStore struct {
	mu     sync.RWMutex
	owners map[string]map[name]Record
}

// name is a Key without its owner.
type name struct{ kind, id string }

// Get implements Store.
func (m *MemoryStore) Get(ctx context.Context, keys ...Key) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	records := make([]Record, len(keys))
	for i, k := range keys {
		if r, ok := m.owners[k.Owner][name{k.Kind, k.ID}]; ok {
			records[i] = clone(r)
		} else {
			records[i].Key = k
		}
	}
	return records, nil
}

// List implements Store.
func (m *MemoryStore) List(ctx context.Context, owner string, kinds ...string) ([]Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var records []Record
	for n, r := range m.owners[owner] {
		if len(kinds) == 0 || slices.Contains(kinds, n.kind) {
			records = append(records, clone(r))
		}
	}
	return records, nil
}

// Commit implements Store.
func (m *MemoryStore) Commit(ctx context.Context, writes ...Write) error {
	if err := CheckWrites(writes); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	records := m.owners[writes[0].Owner]
	for _, w := range writes {
		if records[name{w.Kind, w.ID}].Version != w.IfVersion {
			return ErrConflict
		}
	}
	if records == nil {
		records = make(map[name]Record)
		if m.owners == nil {
			m.owners = make(map[string]map[name]Record)
		}
		m.owners[writes[0].Owner] = records
	}
	for _, w := range writes {
		if len(w.Data) == 0 {
			delete(records, name{w.Kind, w.ID})
		} else {
			records[name{w.Kind, w.ID}] = clone(w.Record)
		}
	}
	if len(records) == 0 {
		delete(m.owners, writes[0].Owner)
	}
	return nil
}

// Sweep implements Sweeper.
func (m *MemoryStore) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	swept := 0
	for owner, records := range m.owners {
		for n, r := range records {
			if swept >= limit {
				return swept, nil
			}
			if !r.Expires.IsZero() && r.Expires.Before(before) {
				delete(records, n)
				swept++
			}
		}
		if len(records) == 0 {
			delete(m.owners, owner)
		}
	}
	return swept, nil
}

// clone gives a record bytes of its own, and an Expires as a database would
// return it.
func clone(r Record) Record {
	r.Data = slices.Clone(r.Data)
	if !r.Expires.IsZero() {
		r.Expires = time.Unix(r.Expires.Unix(), 0).UTC()
	}
	return r
}
