package mfa

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// A Key names one record. Keys are bytes: a store compares them exactly and
// encodes them injectively, so that "a", "A", "a " and the two Unicode forms of
// "é" are five different keys (in MySQL: VARBINARY, never VARCHAR).
type Key struct {
	// Owner is whom the record belongs to: the unit of atomicity, of snapshots
	// and of sharding. 1 to 256 bytes of UTF-8 without control characters.
	Owner string
	// Kind is the sort of record, one or more of a-z, at most 32 bytes.
	Kind string
	// ID tells records of one kind apart, at most 64 of A-Z a-z 0-9 _ -, and may
	// be empty.
	ID string
}

// A Record is one versioned value. The library encrypts or hashes every secret
// in Data and authenticates the whole record through Version before a store
// sees it.
type Record struct {
	Key
	// Version is made by the library at every write and opaque to the store: 1
	// to 128 bytes of A-Z a-z 0-9 _ -, compared as bytes. It is "" in a record
	// that Get did not find.
	Version string
	// Expires is when the record is over, in whole seconds, UTC; zero is never
	// and is stored as 0. A store may return records that are over, the library
	// judges by its own clock.
	Expires time.Time
	// Data is opaque to the store, at most 64 KiB.
	Data []byte
}

// A Write replaces, creates or deletes one record.
type Write struct {
	// Record is the new value. Empty Data deletes the record.
	Record
	// IfVersion is the version that the write replaces, "" when the record must
	// not exist. A write whose condition does not hold fails the whole Commit.
	IfVersion string
}

// A Store keeps records. Implementations are safe for concurrent use, start
// nothing, open nothing and migrate nothing by themselves. mfatest.TestStore
// checks an implementation against every line of this contract.
//
// Reads are linearizable: they go to the primary, past every cache and replica,
// and see each Commit that returned before they began, on whichever process. A
// revoked session would otherwise live on.
//
// All of one owner's keys in a Get, and every List, are one snapshot: they never
// show a part of a Commit.
//
// A store drops no record before its Expires plus 24 hours by the store's own
// clock, and never one without Expires: what is lost must not look like what
// never was.
//
// Bytes are copied in and out: the store keeps no slice it was given and returns
// none that it keeps.
//
// A call whose context is done returns an error that is not ErrConflict.
type Store interface {
	// Get returns the records with these keys, in the same order; a key that is
	// named twice is answered twice. An absent record has its Key and nothing
	// else. It is one round trip (in a sharded store one per owner, in parallel).
	Get(ctx context.Context, keys ...Key) ([]Record, error)

	// List returns all records of owner of the given kinds, of every kind when
	// none is given, each once and in any order. An owner without records has none
	// and is no error. It is one round trip.
	List(ctx context.Context, owner string, kinds ...string) ([]Record, error)

	// Commit applies all writes or none. They belong to one owner, there are 1
	// to 64 of them, no two have the same key, and a delete has an IfVersion;
	// anything else is an error that is not ErrConflict.
	//
	// It returns an error wrapping ErrConflict when a condition does not hold,
	// and also when the database gave up on a deadlock or a serialization
	// failure. When it returns nil the writes are durable and visible to every
	// process. Any other error leaves open whether they were applied.
	Commit(ctx context.Context, writes ...Write) error
}

// A Sweeper is a Store that can delete what is over. New probes for it.
type Sweeper interface {
	// Sweep deletes at most limit records whose Expires is set and earlier than
	// before, and returns how many it deleted. A record that a Commit prolongs at
	// the same moment stays, or else that Commit fails.
	Sweep(ctx context.Context, before time.Time, limit int) (int, error)
}

// The bounds of the store contract. CheckWrites enforces them.
const (
	maxOwner   = 256
	maxKind    = 32
	maxID      = 64
	maxData    = 64 << 10
	maxWrites  = 64
	maxVersion = 128
	// sweepAfter is how long a record outlives its Expires. It covers a store
	// whose clock is up to a day off.
	sweepAfter = 24 * time.Hour
)

// CheckWrites returns an error when writes break the contract of Store.Commit: no
// or too many of them, several owners, a malformed key, too much data, the same
// key twice, or a delete of a record that must not exist. The library calls it
// before every Commit; stores call it because they cannot know who calls them.
func CheckWrites(writes []Write) error {
	if len(writes) == 0 || len(writes) > maxWrites {
		return fmt.Errorf("mfa: %d writes in a commit, want 1 to %d", len(writes), maxWrites)
	}
	for i, w := range writes {
		if err := checkKey(w.Key); err != nil {
			return err
		}
		switch {
		case w.Owner != writes[0].Owner:
			return errors.New("mfa: writes of several owners in a commit")
		case len(w.Data) > maxData:
			return fmt.Errorf("mfa: %d bytes in a record, want at most %d", len(w.Data), maxData)
		case len(w.Data) == 0 && w.IfVersion == "":
			return errors.New("mfa: delete of a record that must not exist")
		case len(w.Data) > 0 && !validVersion(w.Version):
			return errors.New("mfa: write without a version, or with a malformed one")
		}
		for _, earlier := range writes[:i] {
			if earlier.Key == w.Key {
				return errors.New("mfa: the same key twice in a commit")
			}
		}
	}
	return nil
}

func checkKey(k Key) error {
	if !validOwner(k.Owner) || k.Kind == "" || len(k.Kind) > maxKind || len(k.ID) > maxID {
		return fmt.Errorf("mfa: malformed key of kind %.40q", k.Kind)
	}
	for i := range len(k.Kind) {
		if c := k.Kind[i]; c < 'a' || c > 'z' {
			return fmt.Errorf("mfa: malformed kind %.40q", k.Kind)
		}
	}
	for i := range len(k.ID) {
		if !base64url(k.ID[i]) {
			return fmt.Errorf("mfa: malformed id in a key of kind %.40q", k.Kind)
		}
	}
	return nil
}

// validOwner reports whether s may own records. Control characters are refused
// because owners end up in logs and in operators' terminals.
func validOwner(s string) bool {
	if s == "" || len(s) > maxOwner || !utf8.ValidString(s) {
		return false
	}
	return !hasControl(s)
}

func validVersion(s string) bool {
	for i := range len(s) {
		if !base64url(s[i]) {
			return false
		}
	}
	return s != "" && len(s) <= maxVersion
}

func base64url(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}
