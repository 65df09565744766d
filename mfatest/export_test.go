package mfatest

import (
	"context"
	"fmt"
	"runtime"

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
		r := &recorder{ctx: ctx}
		done := make(chan struct{})
		go func() { // Fatalf ends the goroutine
			defer close(done)
			c.run(newStoreTest(r, store, c))
		}()
		<-done
		if r.failure != "" {
			failed[c.name] = r.failure
		}
	}
	return failed
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
