package mfatest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/seed-1320b244/mfa"
)

// ErrFault is what a call of a FaultStore returns when it goes wrong.
var ErrFault = errors.New("mfatest: injected fault")

// A Fault is a way in which a call of a store goes wrong. The zero Fault is none
// and is refused.
//
// What a read returns cannot be half done: a Get or a List with any fault but
// FaultStop returns ErrFault.
type Fault int

const (
	_ Fault = iota
	// FaultStop ends the process, as the others see it: nothing of this call or of
	// a later one reaches the store. The calls return only when their contexts end,
	// with the error of the context. A call with a context that cannot end panics,
	// since it would hang forever when a database does.
	FaultStop
	// FaultBefore fails with ErrFault, and the commit is not applied: the database
	// was not reached.
	FaultBefore
	// FaultAfter fails with ErrFault after the commit was applied, if its
	// conditions held: the answer was lost.
	FaultAfter
	// FaultLate fails with ErrFault and holds the commit back, to be applied by
	// Release or ReleaseAfter, if its conditions hold by then: the client gave up,
	// the request was still on its way.
	FaultLate
	// FaultConflict applies the commit and reports ErrConflict: the answer was
	// lost, and the client library tried again by itself and met its own write.
	FaultConflict
)

// String returns the name of f, for the names of subtests.
func (f Fault) String() string {
	switch f {
	case FaultStop:
		return "stop"
	case FaultBefore:
		return "before"
	case FaultAfter:
		return "after"
	case FaultLate:
		return "late"
	case FaultConflict:
		return "conflict"
	}
	return fmt.Sprintf("Fault(%d)", int(f))
}

// A FaultStore is a store of which one call goes wrong. It is safe for concurrent
// use, and stands for the way of one process to the store: what happens to the
// data meanwhile is seen through the store under it. It is no mfa.Sweeper.
//
// Two faults are two FaultStores, one over the other. Each counts the calls that
// reach it. To let every call of an operation go wrong in turn, begin with the
// first and go on until the fault is not met any more:
//
//	for n := 1; ; n++ {
//		store := newStore()
//		faulty := mfatest.FailCommit(store, n, mfatest.FaultAfter)
//		operation(faulty)
//		check(store)
//		if !faulty.Fired() {
//			break
//		}
//	}
type FaultStore struct {
	store mfa.Store
	fault Fault
	// left is how many calls there are until the one that goes wrong, that one
	// included; 0 after it.
	left    int
	commits bool // count commits alone

	mu sync.Mutex
	// late is the commit held back, wait how many calls it still waits for (0: for
	// Release).
	late []mfa.Write
	wait int
}

// FailCall returns a store like store, of which the n-th call goes wrong, counted
// from 1 over Get, List and Commit. It panics when n is less than 1 or f is none
// of the constants.
func FailCall(store mfa.Store, n int, f Fault) *FaultStore {
	if n < 1 || f < FaultStop || f > FaultConflict {
		panic(fmt.Sprintf("mfatest: fault %v at call %d", f, n))
	}
	return &FaultStore{store: store, fault: f, left: n}
}

// FailCommit is FailCall counting commits alone.
func FailCommit(store mfa.Store, n int, f Fault) *FaultStore {
	s := FailCall(store, n, f)
	s.commits = true
	return s
}

// ReleaseAfter has the commit that FaultLate holds back applied when k more calls
// have come back from the store under s, before the last of them returns. It
// returns s, and panics when k is less than 1. To be called before s is in use.
func (s *FaultStore) ReleaseAfter(k int) *FaultStore {
	if k < 1 {
		panic(fmt.Sprintf("mfatest: release after %d calls", k))
	}
	s.wait = k
	return s
}

// Release applies the commit that FaultLate holds back and returns what the store
// says: nil, or ErrConflict when another commit was faster. It is an error when
// none is held back, or no longer.
func (s *FaultStore) Release() error {
	s.mu.Lock()
	late := s.late
	s.late = nil
	s.mu.Unlock()
	if late == nil {
		return errors.New("mfatest: no commit is held back")
	}
	return s.store.Commit(context.Background(), late...)
}

// Fired reports whether the call that goes wrong was reached.
func (s *FaultStore) Fired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left == 0
}

// Get implements mfa.Store.
func (s *FaultStore) Get(ctx context.Context, keys ...mfa.Key) ([]mfa.Record, error) {
	if err := s.read(ctx); err != nil {
		return nil, err
	}
	defer s.returned()
	return s.store.Get(ctx, keys...)
}

// List implements mfa.Store.
func (s *FaultStore) List(ctx context.Context, owner string, kinds ...string) ([]mfa.Record, error) {
	if err := s.read(ctx); err != nil {
		return nil, err
	}
	defer s.returned()
	return s.store.List(ctx, owner, kinds...)
}

// Commit implements mfa.Store.
func (s *FaultStore) Commit(ctx context.Context, writes ...mfa.Write) error {
	switch f := s.next(true); f {
	case 0:
		defer s.returned()
		return s.store.Commit(ctx, writes...)
	case FaultStop:
		return stop(ctx)
	case FaultBefore:
		return ErrFault
	case FaultAfter:
		_ = s.store.Commit(ctx, writes...) // the answer is what gets lost
		return ErrFault
	case FaultLate:
		s.hold(writes)
		return ErrFault
	case FaultConflict:
		if err := s.store.Commit(ctx, writes...); err != nil {
			return err
		}
		return mfa.ErrConflict
	default:
		panic("mfatest: unknown " + f.String())
	}
}

// read returns the error of a Get or List that goes wrong.
func (s *FaultStore) read(ctx context.Context) error {
	switch s.next(false) {
	case 0:
		return nil
	case FaultStop:
		return stop(ctx)
	default:
		return ErrFault
	}
}

// next counts a call and returns how it goes wrong, 0 when it does not.
func (s *FaultStore) next(commit bool) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 {
		if s.fault == FaultStop {
			return FaultStop
		}
		return 0
	}
	if s.commits && !commit {
		return 0
	}
	if s.left--; s.left > 0 {
		return 0
	}
	return s.fault
}

// returned counts the calls that a commit held back waits for.
func (s *FaultStore) returned() {
	s.mu.Lock()
	release := false
	if s.late != nil && s.wait > 0 {
		s.wait--
		release = s.wait == 0
	}
	s.mu.Unlock()
	if release {
		_ = s.Release() // a conflict: it came too late
	}
}

func (s *FaultStore) hold(writes []mfa.Write) {
	late := slices.Clone(writes)
	for i, w := range late {
		late[i].Data = bytes.Clone(w.Data)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = late
}

// stop returns when ctx ends.
func stop(ctx context.Context) error {
	if ctx.Done() == nil {
		panic("mfatest: FaultStop met a store call with a context that cannot end")
	}
	<-ctx.Done()
	return ctx.Err()
}
