package mfatest

import (
	"errors"
	"strconv"
	"time"

	"github.com/seed-1320b244/mfa"
)

// sweepBefore is the moment, in 1971, before which the cases of Sweep delete, so
// that on a shared database they touch nobody's records but their own.
func sweepBefore() time.Time { return time.Unix(40_000_000, 0).UTC() }

func sweepCases() []storeCase {
	cases := []storeCase{{
		name:        "sweep-before",
		explanation: "Sweep deletes the records whose Expires is earlier than before, and no others",
		run: func(s *storeTest) {
			over := []mfa.Record{s.expiring("a", -1), s.expiring("b", -2), s.expiring("c", -39_999_999)}
			stay := []mfa.Record{s.expiring("d", 0), s.expiring("e", 1), s.create(s.key("k", "f"))[0]}
			s.sweepAll()
			for _, r := range over {
				s.absent(r.Key)
			}
			s.holds(stay...)
			s.lists(stay, s.owner, "k")
		},
	}, {
		name:        "sweep-never",
		explanation: "Sweep never deletes a record whose Expires is zero",
		run: func(s *storeTest) {
			r := newRecord(s.key("k", "never"))
			r.Expires = time.Time{}
			s.commit(create(r))
			s.expiring("over", -1)
			s.sweepAll()
			if got := s.get(r.Key)[0]; got.Version != r.Version {
				s.fatalf("the record that never expires has version %q, want %q", got.Version, r.Version)
			}
		},
	}, {
		name:        "sweep-limit",
		explanation: "Sweep deletes at most limit records, and the next call goes on",
		run:         sweepLimit,
	}, {
		name:        "sweep-count",
		explanation: "Sweep returns how many records it deleted",
		run:         sweepCount,
	}, {
		name:        "sweep-race",
		explanation: "Sweep does not delete a record that a Commit has just prolonged, and a Commit does not prolong one that is gone",
		run:         sweepRace,
	}}
	for i := range cases {
		cases[i].sweeper = true
		run := cases[i].run
		cases[i].run = func(s *storeTest) {
			s.sweepAll() // what an earlier run left
			run(s)
		}
	}
	return cases
}

// expiring creates a record that expires so many seconds after sweepBefore.
func (s *storeTest) expiring(id string, seconds int) mfa.Record {
	s.t.Helper()
	r := newRecord(s.key("k", id))
	r.Expires = sweepBefore().Add(time.Duration(seconds) * time.Second)
	s.commit(create(r))
	return r
}

func (s *storeTest) sweep(limit int) int {
	s.t.Helper()
	n, err := s.store.(mfa.Sweeper).Sweep(s.t.Context(), sweepBefore(), limit)
	if err != nil {
		s.fatalf("Sweep returned %v, want nil", err)
	}
	return n
}

// sweepAll sweeps until nothing is left to sweep.
func (s *storeTest) sweepAll() {
	s.t.Helper()
	for range 1000 {
		if s.sweep(1000) == 0 {
			return
		}
	}
	s.fatalf("Sweep with limit 1000 had something to delete 1000 times in a row")
}

// sweepRace has a record swept and prolonged at once. Whoever is first wins: what
// a Commit prolonged must not be deleted, and what was deleted must not come back.
func sweepRace(s *storeTest) {
	swept := 0
	for i := range Rounds(longRace) {
		old := s.expiring(strconv.Itoa(i), -1)
		next := newRecord(old.Key)
		errs := together(2, func(racer int) error {
			if racer == i%2 { // each is the first to be started in every second round
				return s.store.Commit(s.t.Context(), replace(next, old.Version))
			}
			var err error
			swept, err = s.store.(mfa.Sweeper).Sweep(s.t.Context(), sweepBefore(), 10)
			return err
		})
		committed, sweeping := errs[i%2], errs[1-i%2]
		switch {
		case sweeping != nil:
			s.fatalf("Sweep returned %v, want nil", sweeping)
		case committed == nil && swept > 0:
			s.fatalf("Commit replaced a record that Sweep says it deleted")
		case committed == nil:
			s.holds(next)
		case !errors.Is(committed, mfa.ErrConflict):
			s.fatalf("Commit while Sweep runs returned %v, want nil or ErrConflict", committed)
		case s.get(next.Key)[0].Version == next.Version:
			s.fatalf("Commit returned ErrConflict and was applied")
		}
	}
}

func sweepLimit(s *storeTest) {
	for i := range 5 {
		s.expiring(strconv.Itoa(i), -1)
	}
	for _, least := range []int{3, 1} {
		s.sweep(2)
		if left := len(s.list(s.owner, "k")); left < least {
			s.fatalf("Sweep with limit 2 left %d records, want at least %d", left, least)
		}
	}
	s.sweepAll()
	s.lists(nil, s.owner, "k")
}

func sweepCount(s *storeTest) {
	for i := range 5 {
		s.expiring(strconv.Itoa(i), -1)
	}
	left := 5
	for range 4 {
		n := s.sweep(2)
		now := len(s.list(s.owner, "k"))
		if n != left-now {
			s.fatalf("Sweep returned %d and deleted %d", n, left-now)
		}
		left = now
	}
}
