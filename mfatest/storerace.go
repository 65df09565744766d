package mfatest

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/seed-1320b244/mfa"
)

const (
	// racers is how many calls compete in one round.
	racers = 32
	// readers is how many goroutines read while one writes.
	readers = 4
	// The long forms of the rounds, see Rounds.
	longRace  = 1000
	longWrite = 5000
	// tries is how often a race that nobody won runs again.
	tries = 8
)

func raceCases() []storeCase {
	const winner = "of 32 racers one wins and the others get ErrConflict: "
	const snapshot = " never shows a part of a Commit: the keys of one owner are one snapshot"
	return []storeCase{{
		name:        "race-create",
		explanation: winner + "creating one record",
		run: func(s *storeTest) {
			for i := range Rounds(longRace) {
				k := s.key("k", strconv.Itoa(i))
				s.race(func(int) []mfa.Write { return []mfa.Write{create(newRecord(k))} })
			}
		},
	}, {
		name:        "race-replace",
		explanation: winner + "replacing one version (a one-time code must not be accepted twice)",
		run: func(s *storeTest) {
			r := s.create(s.key("k", ""))[0]
			for range Rounds(longRace) {
				r = s.race(func(int) []mfa.Write { return []mfa.Write{replace(newRecord(r.Key), r.Version)} })[0].Record
			}
		},
	}, {
		name:        "race-delete",
		explanation: winner + "deleting one record",
		run: func(s *storeTest) {
			for range Rounds(longRace) {
				r := s.create(s.key("k", ""))[0]
				s.race(func(int) []mfa.Write { return []mfa.Write{remove(r)} })
			}
		},
	}, {
		name:        "race-order",
		explanation: winner + "writing the same records in different orders; a deadlock and a serialization failure are ErrConflict",
		run:         raceOrder,
	}, {
		name:        "read-latest",
		explanation: "a read sees every Commit that returned before it began, and what an earlier read saw: no cache, no replica",
		run:         readLatest,
	}, {
		name:        "torn-get",
		explanation: "Get" + snapshot + ", also when other owners' keys stand between them",
		run: func(s *storeTest) {
			keys := []mfa.Key{s.key("left", ""), s.key("middle", ""), ownerKey(newOwner()), s.key("right", "")}
			s.torn(func() ([]mfa.Record, error) { return s.store.Get(s.t.Context(), keys...) })
		},
	}, {
		name:        "torn-list",
		explanation: "List" + snapshot,
		run: func(s *storeTest) {
			s.torn(func() ([]mfa.Record, error) { return s.store.List(s.t.Context(), s.owner, "left", "middle", "right") })
		},
	}}
}

// together runs f(0) to f(n-1) at the same time and returns their errors.
func together(n int, f func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			ready.Done()
			<-start
			errs[i] = f(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	return errs
}

// race commits what writes returns for each racer, all at once, checks that one
// of them won and that the store holds what it wrote, and returns that. A race in
// which every racer met a deadlock has no winner and runs again.
func (s *storeTest) race(writes func(racer int) []mfa.Write) []mfa.Write {
	s.t.Helper()
	for range tries {
		all := make([][]mfa.Write, racers)
		for i := range all {
			all[i] = writes(i)
		}
		errs := together(racers, func(i int) error { return s.store.Commit(s.t.Context(), all[i]...) })
		winner := -1
		for i, err := range errs {
			switch {
			case err == nil && winner >= 0:
				s.fatalf("two racers won")
			case err == nil:
				winner = i
			case !errors.Is(err, mfa.ErrConflict):
				s.fatalf("a loser got %v, want ErrConflict", err)
			}
		}
		if winner >= 0 {
			s.applied(all[winner])
			return all[winner]
		}
	}
	s.fatalf("in %d races nobody won", tries)
	return nil
}

// applied checks that the store holds what writes wrote.
func (s *storeTest) applied(writes []mfa.Write) {
	s.t.Helper()
	for _, w := range writes {
		if len(w.Data) == 0 {
			s.absent(w.Key)
		} else {
			s.holds(w.Record)
		}
	}
}

// raceOrder has racers write four records each, in all directions, which makes
// databases that lock row by row meet deadlocks.
func raceOrder(s *storeTest) {
	r := s.create(s.key("k", "a"), s.key("k", "b"), s.key("k", "c"), s.key("k", "d"))
	for range Rounds(longRace) {
		won := s.race(func(racer int) []mfa.Write {
			var writes []mfa.Write
			for i := range r {
				old := r[(i+racer/2)%len(r)]
				writes = append(writes, replace(newRecord(old.Key), old.Version))
			}
			if racer%2 == 1 {
				slices.Reverse(writes)
			}
			return writes
		})
		r = nil
		for _, w := range won {
			r = append(r, w.Record)
		}
	}
}

// whileWriting calls write with 1, 2, 3 and so on, while readers call read without
// a pause. After each write it waits until so many reads have ended that one of
// them began after the write did.
func (s *storeTest) whileWriting(write func(n int) error, read func() error) {
	s.t.Helper()
	var stop atomic.Bool
	var reads atomic.Int64
	ended := make(chan struct{}, 1) // a read, or a reader
	notify := func() {
		select {
		case ended <- struct{}{}:
		default:
		}
	}
	errs := together(readers+1, func(i int) (err error) {
		defer func() {
			if err != nil || i == 0 {
				stop.Store(true)
			}
			notify()
		}()
		if i == 0 {
			for n := 1; !stop.Load() && n <= Rounds(longWrite); n++ {
				if err := write(n); err != nil {
					return err
				}
				for enough := reads.Load() + 2*readers; reads.Load() < enough && !stop.Load(); {
					<-ended
				}
			}
			return nil
		}
		for !stop.Load() {
			if err := read(); err != nil {
				return err
			}
			reads.Add(1)
			notify()
			runtime.Gosched() // a store in memory gives nobody else a turn
		}
		return nil
	})
	for _, err := range errs {
		if err != nil {
			s.fatalf("%v", err)
		}
	}
}

// count returns the write that replaces old by a record of the number n, and makes
// that the next to be replaced.
func count(old *mfa.Record, n int) mfa.Write {
	next := newRecord(old.Key)
	next.Data = []byte(strconv.Itoa(n))
	w := replace(next, old.Version)
	*old = next
	return w
}

// commitAlone commits writes whose conditions hold, because nobody else writes. A
// database may still refuse some as a serialization failure with the readers.
func (s *storeTest) commitAlone(writes ...mfa.Write) error {
	var err error
	for range tries {
		if err = s.store.Commit(s.t.Context(), writes...); !errors.Is(err, mfa.ErrConflict) {
			return err
		}
	}
	return err
}

// readLatest keeps the highest number that some call has returned, from Commit or
// from a read: a read that begins later must not return less.
func readLatest(s *storeTest) {
	r := mfa.Record{Key: s.key("k", "")}
	s.commit(count(&r, 0))
	key := r.Key
	var floor, turn atomic.Int64
	raise := func(n int64) {
		for {
			old := floor.Load()
			if n <= old || floor.CompareAndSwap(old, n) {
				return
			}
		}
	}
	write := func(n int) error {
		if err := s.commitAlone(count(&r, n)); err != nil {
			return err
		}
		raise(int64(n))
		return nil
	}
	read := func() error {
		least := floor.Load()
		what, records, err := "Get", []mfa.Record(nil), error(nil)
		if turn.Add(1)%2 == 0 {
			what = "List"
			records, err = s.store.List(s.t.Context(), key.Owner, key.Kind)
		} else {
			records, err = s.store.Get(s.t.Context(), key)
		}
		if err != nil || len(records) != 1 {
			return fmt.Errorf("%s returned %d records and %v", what, len(records), err)
		}
		n, err := strconv.ParseInt(string(records[0].Data), 10, 64)
		if err != nil || n < least {
			return fmt.Errorf("%s returned number %.20q after another call had returned %d", what, records[0].Data, least)
		}
		raise(n)
		return nil
	}
	s.whileWriting(write, read)
}

// torn commits the same number to two records, and deletes and creates a third as
// the number is odd or even. read must never see them differ.
func (s *storeTest) torn(read func() ([]mfa.Record, error)) {
	s.t.Helper()
	left, right, middle := mfa.Record{Key: s.key("left", "")}, mfa.Record{Key: s.key("right", "")}, mfa.Record{Key: s.key("middle", "")}
	write := func(n int) error {
		writes := []mfa.Write{count(&left, n), count(&right, n)}
		if n%2 == 1 {
			middle.Version = ""
			writes = append(writes, count(&middle, n))
		} else {
			writes = append(writes, remove(middle))
		}
		return s.commitAlone(writes...)
	}
	if err := write(1); err != nil {
		s.fatalf("Commit returned %v, want nil", err)
	}
	s.whileWriting(func(n int) error { return write(n + 1) }, func() error {
		records, err := read()
		if err != nil {
			return err
		}
		seen := make(map[string][]byte)
		for _, r := range records {
			if r.Version != "" {
				seen[r.Kind] = r.Data
			}
		}
		n, err := strconv.Atoi(string(seen["left"]))
		if middle, ok := seen["middle"]; err != nil || !bytes.Equal(seen["right"], seen["left"]) || ok != (n%2 == 1) || ok && !bytes.Equal(middle, seen["left"]) {
			return fmt.Errorf("one read saw left %q, right %q and middle %q (which is there when left is odd)", seen["left"], seen["right"], middle)
		}
		return nil
	})
}
