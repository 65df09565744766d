package mfatest

import (
	"context"
	"fmt"
	"runtime"
	"slices"

	"github.com/seed-1320b244/mfa"
)

// StoreCases returns the names of the cases of TestStore.
func StoreCases() []string {
	var names []string
	for _, c := range storeCases() {
		names = append(names, c.name)
	}
	return names
}

// RunStoreCases runs the cases of TestStore, each on a store of its own, and
// returns what those that failed said, by name.
func RunStoreCases(ctx context.Context, newStore func() mfa.Store) map[string]string {
	failed := make(map[string]string)
	for _, c := range storeCases() {
		store := newStore()
		if _, ok := store.(mfa.Sweeper); c.sweeper && !ok {
			continue
		}
		if said := record(ctx, func(t tester) { c.run(newStoreTest(t, store, c)) }); said != "" {
			failed[c.name] = said
		}
	}
	return failed
}

// record runs a case and returns what it said when it failed, "" when it passed.
func record(ctx context.Context, run func(tester)) string {
	r := &recorder{ctx: ctx}
	done := make(chan struct{})
	go func() { // Fatalf ends the goroutine
		defer close(done)
		run(r)
	}()
	<-done
	return r.failure
}

// A recorder stands in for *testing.T where a failure is the wanted result.
type recorder struct {
	ctx     context.Context
	failure string
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }
func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// WiringCases returns the names of the cases of TestWiring, sorted.
func WiringCases() []string {
	var names []string
	for _, c := range wiringCases() {
		names = append(names, c.name)
	}
	slices.Sort(names)
	return names
}

// RunWiringCases runs the cases of TestWiring and returns what those that failed
// said, by name.
func RunWiringCases(ctx context.Context, h Host) map[string]string {
	failed := make(map[string]string)
	for _, c := range wiringCases() {
		if said := record(ctx, func(t tester) { c.run(t, h) }); said != "" {
			failed[c.name] = said
		}
	}
	return failed
}

// AbuseCases returns the names of the cases of TestAbuse.
func AbuseCases() []string {
	var names []string
	for _, c := range abuseCases() {
		names = append(names, c.name)
	}
	return names
}

// RunAbuseCases runs the cases of TestAbuse and returns what those that failed
// said, by name.
func RunAbuseCases(ctx context.Context, newHost func() (*Kit, CodePage)) map[string]string {
	failed := make(map[string]string)
	for _, c := range abuseCases() {
		kit, page := newHost()
		if said := record(ctx, func(t tester) { c.check(t, kit, page) }); said != "" {
			failed[c.name] = said
		}
	}
	return failed
}
