// Package mfatest helps to test what is built on package mfa: a guard in memory
// with a virtual authenticator and a clock (New), checks of a host (TestWiring,
// TestAbuse), a conformance suite for stores (TestStore), and stores that fail or
// interleave on purpose.
package mfatest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
)

// A storeCase checks one line of the contract of mfa.Store.
type storeCase struct {
	name string
	// explanation states the rule. It is printed when the store breaks it.
	explanation string
	// sweeper marks the cases that need a mfa.Sweeper.
	sweeper bool
	run     func(s *storeTest)
}

func storeCases() []storeCase {
	return slices.Concat(keyCases(), valueCases(), getCases(), listCases(),
		refusalCases(), conditionCases(), deleteCases(), raceCases(), sweepCases())
}

// TestStore checks a store against every line of the contract of mfa.Store that
// can be seen from inside one process. Each line is a subtest with a name of its
// own, and a failure states the rule that was broken. Stores that are a
// mfa.Sweeper are checked as such too; for others those subtests are skipped.
//
// newStore is called once in each subtest, and t is that subtest's, for t.Cleanup
// and t.Skip. It may return views on one shared database that already holds
// records: every subtest works under owners with random names. It leaves its
// records behind; most of them expire within the hour. Only one run at a time may
// use a database, because the subtests of Sweep count what they delete (they
// delete what expired before 9 April 1971).
//
// The subtests that depend on luck, because they race, repeat as Rounds says.
// They find errors only under the race's own conditions, so run them once with
// MFA_ROUNDS=100, with the race detector and against the real database, not a
// mock of it.
//
// TestStore does not check what one process cannot see: that a Commit survives a
// crash or a failover, that other processes see it at once, that Get and List are
// one round trip, and that the store starts, opens and migrates nothing.
//
// Typical usage:
//
//	func TestStore(t *testing.T) {
//		mfatest.TestStore(t, func(t *testing.T) mfa.Store {
//			return mystore.New(openDatabase(t))
//		})
//	}
func TestStore(t *testing.T, newStore func(t *testing.T) mfa.Store) {
	for _, c := range storeCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Helper()
			store := newStore(t)
			if store == nil {
				t.Fatal("newStore returned nil")
			}
			if _, ok := store.(mfa.Sweeper); c.sweeper && !ok {
				t.Skip("the store is not a mfa.Sweeper")
			}
			c.run(newStoreTest(t, store, c))
		})
	}
}

// A tester is the part of *testing.T that the cases use. It is an interface
// because the suite's own test runs them against wrong stores, where a failure
// is the wanted result.
type tester interface {
	Helper()
	Context() context.Context
	Fatalf(format string, args ...any)
}

// A storeTest is one case at work on one store.
type storeTest struct {
	t     tester
	store mfa.Store
	rule  string
	// owner is a user that no other case uses.
	owner string
}

func newStoreTest(t tester, store mfa.Store, c storeCase) *storeTest {
	return &storeTest{t: t, store: store, rule: c.explanation, owner: newOwner()}
}

// fatalf fails the case and ends it. Only the goroutine of the case calls it.
func (s *storeTest) fatalf(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s\nthe rule: %s", fmt.Sprintf(format, args...), s.rule)
}

func newOwner() string { return "u/" + rand.Text() }

// key returns a key of the case's own user.
func (s *storeTest) key(kind, id string) mfa.Key {
	return mfa.Key{Owner: s.owner, Kind: kind, ID: id}
}

// newRecord returns a record with a version and data that no other has. It
// expires in an hour, so that what the suite leaves behind is swept some day.
func newRecord(k mfa.Key) mfa.Record {
	return mfa.Record{Key: k, Version: rand.Text(), Expires: inSeconds(time.Now().Add(time.Hour)), Data: []byte(rand.Text())}
}

func inSeconds(t time.Time) time.Time { return time.Unix(t.Unix(), 0).UTC() }

// The three sorts of write. The record that is created or replaced gets bytes of
// its own, so that a store that keeps or alters them is not seen in cases about
// something else.

func create(r mfa.Record) mfa.Write { return replace(r, "") }

func replace(r mfa.Record, old string) mfa.Write {
	r.Data = bytes.Clone(r.Data)
	return mfa.Write{Record: r, IfVersion: old}
}

func remove(r mfa.Record) mfa.Write {
	return mfa.Write{Record: mfa.Record{Key: r.Key}, IfVersion: r.Version}
}

// commit applies writes that the contract accepts.
func (s *storeTest) commit(writes ...mfa.Write) {
	s.t.Helper()
	if err := s.store.Commit(s.t.Context(), writes...); err != nil {
		s.fatalf("Commit of %d writes to %s returned %v, want nil", len(writes), describe(writes[0].Key), err)
	}
}

// create commits new records under keys, each in a Commit of its own, and
// returns them.
func (s *storeTest) create(keys ...mfa.Key) []mfa.Record {
	s.t.Helper()
	var records []mfa.Record
	for _, k := range keys {
		r := newRecord(k)
		s.commit(create(r))
		records = append(records, r)
	}
	return records
}

// conflicts commits writes of which a condition does not hold.
func (s *storeTest) conflicts(what string, writes ...mfa.Write) {
	s.t.Helper()
	if err := s.store.Commit(s.t.Context(), writes...); !errors.Is(err, mfa.ErrConflict) {
		s.fatalf("Commit, %s: returned %v, want ErrConflict", what, err)
	}
}

// refuses commits writes that the contract forbids.
func (s *storeTest) refuses(what string, writes ...mfa.Write) {
	s.t.Helper()
	switch err := s.store.Commit(s.t.Context(), writes...); {
	case err == nil:
		s.fatalf("Commit, %s: returned nil, want an error", what)
	case errors.Is(err, mfa.ErrConflict):
		s.fatalf("Commit, %s: returned ErrConflict, want another error: nobody else is in the way", what)
	}
}

func (s *storeTest) get(keys ...mfa.Key) []mfa.Record {
	s.t.Helper()
	records, err := s.store.Get(s.t.Context(), keys...)
	if err != nil {
		s.fatalf("Get of %d keys returned %v, want nil", len(keys), err)
	}
	if len(records) != len(keys) {
		s.fatalf("Get of %d keys returned %d records", len(keys), len(records))
	}
	return records
}

// list returns what List returns, sorted.
func (s *storeTest) list(owner string, kinds ...string) []mfa.Record {
	s.t.Helper()
	records, err := s.store.List(s.t.Context(), owner, kinds...)
	if err != nil {
		s.fatalf("List of %.80q and kinds %q returned %v, want nil", owner, kinds, err)
	}
	slices.SortFunc(records, byKey)
	return records
}

func byKey(a, b mfa.Record) int {
	return cmp.Or(cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
}

// holds checks that Get, asked for each key alone, returns these records.
func (s *storeTest) holds(want ...mfa.Record) {
	s.t.Helper()
	for _, w := range want {
		s.same("Get", s.get(w.Key), []mfa.Record{w})
	}
}

// absent checks that Get finds none of these keys.
func (s *storeTest) absent(keys ...mfa.Key) {
	s.t.Helper()
	for _, k := range keys {
		if r := s.get(k)[0]; r.Version != "" {
			s.fatalf("Get of %s found version %q, want an absent record", describe(k), r.Version)
		}
	}
}

// lists checks that List of an owner returns these records, in any order.
func (s *storeTest) lists(want []mfa.Record, owner string, kinds ...string) {
	s.t.Helper()
	want = slices.SortedFunc(slices.Values(want), byKey)
	s.same(fmt.Sprintf("List of %.80q and kinds %q", owner, kinds), s.list(owner, kinds...), want)
}

func (s *storeTest) same(what string, got, want []mfa.Record) {
	s.t.Helper()
	if len(got) != len(want) {
		s.fatalf("%s returned %d records, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		g := got[i]
		if g.Key != w.Key {
			s.fatalf("%s: record %d is %s, want %s", what, i, describe(g.Key), describe(w.Key))
		}
		switch in := describe(w.Key); {
		case g.Version != w.Version:
			s.fatalf("%s: version %q in %s, want %q", what, g.Version, in, w.Version)
		case !g.Expires.Equal(w.Expires):
			s.fatalf("%s: expiry %v in %s, want %v", what, g.Expires, in, w.Expires)
		case !bytes.Equal(g.Data, w.Data):
			s.fatalf("%s: data of %d bytes, %.40q, in %s, want %d bytes, %.40q",
				what, len(g.Data), g.Data, in, len(w.Data), w.Data)
		}
	}
}

func describe(k mfa.Key) string {
	return fmt.Sprintf("%.80q %s %q", k.Owner, k.Kind, k.ID)
}
