package mfahttp_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-1320b244/mfa/mfahttp"
)

// As many jobs wait as there is room for, and one more is refused. What waits is done
// before Run returns, whose end ends no job.
func TestJobs(t *testing.T) {
	const room = 100
	fault := errors.New("for the log")
	var done, failed, ended atomic.Int64
	jobs := mfahttp.NewJobs(func(err error) {
		if errors.Is(err, fault) {
			failed.Add(1)
		}
	})
	job := func(ctx context.Context) error {
		done.Add(1)
		if ctx.Err() != nil {
			ended.Add(1)
		}
		return fault
	}
	for n := range room {
		if !jobs.Add(job) {
			t.Fatalf("job %d is refused", n+1)
		}
	}
	if jobs.Add(job) {
		t.Errorf("job %d is taken", room+1)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	jobs.Run(ctx)
	if done.Load() != room || failed.Load() != room || ended.Load() != 0 {
		t.Errorf("%d jobs were done, %d failed and %d had a context that was over; want %d, %d, 0", done.Load(), failed.Load(), ended.Load(), room, room)
	}

	// While it runs, jobs are done as they come.
	ctx, cancel = context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() { defer close(over); jobs.Run(ctx) }()
	came := make(chan struct{})
	if !jobs.Add(func(context.Context) error { close(came); return nil }) {
		t.Error("a job is refused although there is room")
	}
	<-came
	cancel()
	<-over
}

// Anybody can have a job made. One that panics, in the host's mailer say, ends no more
// than a handler that does.
func TestJobsPanic(t *testing.T) {
	var errs []error
	jobs := mfahttp.NewJobs(func(err error) { errs = append(errs, err) })
	jobs.Add(func(context.Context) error { panic("no template") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	jobs.Run(ctx)
	if len(errs) != 1 || !strings.Contains(errs[0].Error(), "no template") || !strings.Contains(errs[0].Error(), "TestJobsPanic") {
		t.Errorf("%v", errs)
	}
}
