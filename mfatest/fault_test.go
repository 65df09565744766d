package mfatest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// note is the record the tests of faults and schedules are about.
func note() mfa.Key { return mfa.Key{Owner: "u/1", Kind: "note", ID: "a"} }

func write(version, old string) mfa.Write {
	return mfa.Write{Record: mfa.Record{Key: note(), Version: version, Data: []byte(version)}, IfVersion: old}
}

// version is what the store under a FaultStore holds.
func version(t *testing.T, store mfa.Store) string {
	t.Helper()
	records, err := store.Get(t.Context(), note())
	if err != nil {
		t.Fatal(err)
	}
	return records[0].Version
}

func TestFaultStore(t *testing.T) {
	for _, tc := range []struct {
		fault   mfatest.Fault
		err     error
		applied bool
	}{
		{mfatest.FaultBefore, mfatest.ErrFault, false},
		{mfatest.FaultAfter, mfatest.ErrFault, true},
		{mfatest.FaultLate, mfatest.ErrFault, false},
		{mfatest.FaultConflict, mfa.ErrConflict, true},
	} {
		t.Run(tc.fault.String(), func(t *testing.T) {
			ctx, inner := t.Context(), new(mfa.MemoryStore)
			s := mfatest.FailCommit(inner, 2, tc.fault)
			if err := s.Commit(ctx, write("1", "")); err != nil || s.Fired() {
				t.Fatalf("first Commit returned %v, fired %v", err, s.Fired())
			}
			if _, err := s.Get(ctx, note()); err != nil || s.Fired() {
				t.Fatalf("Get returned %v, fired %v", err, s.Fired())
			}
			if err := s.Commit(ctx, write("2", "1")); !errors.Is(err, tc.err) || !s.Fired() {
				t.Fatalf("second Commit returned %v, want %v; fired %v", err, tc.err, s.Fired())
			}
			if got := version(t, inner); got == "2" != tc.applied {
				t.Errorf("the store has version %s after it, want applied %v", got, tc.applied)
			}
			if _, err := s.List(ctx, "u/1"); err != nil {
				t.Errorf("List afterwards returned %v", err)
			}
			if err := s.Commit(ctx, write("3", version(t, inner))); err != nil {
				t.Errorf("Commit afterwards returned %v", err)
			}
		})
	}
}

// A commit that does not hold its conditions is not applied by any fault, and a
// lost answer stays lost.
func TestFaultStoreConflict(t *testing.T) {
	for fault, want := range map[mfatest.Fault]error{
		mfatest.FaultBefore: mfatest.ErrFault, mfatest.FaultAfter: mfatest.ErrFault,
		mfatest.FaultLate: mfatest.ErrFault, mfatest.FaultConflict: mfa.ErrConflict,
	} {
		inner := new(mfa.MemoryStore)
		s := mfatest.FailCall(inner, 1, fault)
		if err := s.Commit(t.Context(), write("2", "1")); !errors.Is(err, want) {
			t.Errorf("%v: Commit returned %v, want %v", fault, err, want)
		}
		if got := version(t, inner); got != "" {
			t.Errorf("%v: the store has version %s", fault, got)
		}
	}
}

func TestFaultStoreReads(t *testing.T) {
	for _, fault := range []mfatest.Fault{mfatest.FaultBefore, mfatest.FaultAfter, mfatest.FaultLate, mfatest.FaultConflict} {
		s := mfatest.FailCall(mfatest.FailCall(new(mfa.MemoryStore), 1, fault), 2, fault)
		if _, err := s.Get(t.Context(), note()); !errors.Is(err, mfatest.ErrFault) {
			t.Errorf("%v: Get returned %v, want ErrFault", fault, err)
		}
		if _, err := s.List(t.Context(), "u/1"); !errors.Is(err, mfatest.ErrFault) {
			t.Errorf("%v: List returned %v, want ErrFault", fault, err)
		}
		if _, err := s.List(t.Context(), "u/1"); err != nil {
			t.Errorf("%v: the third call returned %v", fault, err)
		}
	}
}

func TestFaultStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := new(mfa.MemoryStore)
		s := mfatest.FailCommit(inner, 1, mfatest.FaultStop)
		if _, err := s.Get(t.Context(), note()); err != nil {
			t.Fatalf("Get before it returned %v", err)
		}
		ended := func(what string, call func(ctx context.Context) error) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			start := time.Now()
			if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 5*time.Second {
				t.Errorf("%s returned %v after %v, want the error of its context after 5 s", what, err, time.Since(start))
			}
		}
		ended("Commit", func(ctx context.Context) error { return s.Commit(ctx, write("1", "")) })
		ended("Commit", func(ctx context.Context) error { return s.Commit(ctx, write("1", "")) })
		ended("Get", func(ctx context.Context) error { _, err := s.Get(ctx, note()); return err })
		ended("List", func(ctx context.Context) error { _, err := s.List(ctx, "u/1"); return err })
		if got := version(t, inner); got != "" {
			t.Errorf("the store has version %s", got)
		}
		defer func() {
			if recover() == nil {
				t.Error("no panic for a context that cannot end")
			}
		}()
		_, _ = s.Get(context.WithoutCancel(t.Context()), note())
	})
}

func TestRelease(t *testing.T) {
	for _, tc := range []struct {
		name    string
		between func(ctx context.Context, inner mfa.Store) error
		want    error
		version string
	}{
		{"in time", func(context.Context, mfa.Store) error { return nil }, nil, "late"},
		{"overtaken", func(ctx context.Context, inner mfa.Store) error { return inner.Commit(ctx, write("2", "1")) }, mfa.ErrConflict, "2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, inner := t.Context(), new(mfa.MemoryStore)
			s := mfatest.FailCommit(inner, 2, mfatest.FaultLate)
			if err := s.Release(); err == nil {
				t.Error("Release of nothing returned nil")
			}
			if err := s.Commit(ctx, write("1", "")); err != nil {
				t.Fatal(err)
			}
			held := write("late", "1")
			if err := s.Commit(ctx, held); !errors.Is(err, mfatest.ErrFault) {
				t.Fatal(err)
			}
			clear(held.Data)
			if err := tc.between(ctx, inner); err != nil {
				t.Fatal(err)
			}
			if err := s.Release(); !errors.Is(err, tc.want) {
				t.Errorf("Release returned %v, want %v", err, tc.want)
			}
			if got := version(t, inner); got != tc.version {
				t.Errorf("the store has version %s, want %s", got, tc.version)
			}
			if r, err := inner.Get(ctx, note()); err != nil || string(r[0].Data) != tc.version {
				t.Errorf("the store has data %q (%v), want %q", r[0].Data, err, tc.version)
			}
			if err := s.Release(); err == nil || errors.Is(err, mfa.ErrConflict) {
				t.Errorf("second Release returned %v, want an error for nothing held back", err)
			}
		})
	}
}

// The commit arrives after the library looked for it in vain.
func TestReleaseAfter(t *testing.T) {
	ctx, inner := t.Context(), new(mfa.MemoryStore)
	s := mfatest.FailCommit(inner, 1, mfatest.FaultLate).ReleaseAfter(2)
	if err := s.Commit(ctx, write("1", "")); !errors.Is(err, mfatest.ErrFault) {
		t.Fatal(err)
	}
	for call, want := range []string{"", "1", "1"} {
		r, err := s.Get(ctx, note())
		if err != nil {
			t.Fatal(err)
		}
		if got := version(t, inner); got != want {
			t.Errorf("after call %d the store has version %q, want %q", call+1, got, want)
		}
		if call == 1 && r[0].Version != "" {
			t.Error("the second call saw what was applied after it")
		}
	}
}

func TestFaultRefused(t *testing.T) {
	inner := new(mfa.MemoryStore)
	for name, wrong := range map[string]func(){
		"zero fault":    func() { mfatest.FailCall(inner, 1, 0) },
		"unknown fault": func() { mfatest.FailCommit(inner, 1, mfatest.FaultConflict+1) },
		"call 0":        func() { mfatest.FailCall(inner, 0, mfatest.FaultAfter) },
		"after 0 calls": func() { mfatest.FailCall(inner, 1, mfatest.FaultLate).ReleaseAfter(0) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			wrong()
		})
	}
}

func TestFaultString(t *testing.T) {
	seen := make(map[string]bool)
	for f := mfatest.FaultStop; f <= mfatest.FaultConflict; f++ {
		if seen[f.String()] || f.String() == fmt.Sprintf("Fault(%d)", int(f)) {
			t.Errorf("fault %d is called %q", int(f), f)
		}
		seen[f.String()] = true
	}
}
