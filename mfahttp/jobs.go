package mfahttp

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// Jobs runs what an answer does not wait for, such as the job that Guard.Recover
// returns: a mail that takes its time must not tell whether there was one. A few run
// at once and some wait; what does not fit is refused, so that no flood of requests
// fills the memory. It is in memory: what waits when the process is killed is lost,
// and whoever asked for a link asks again.
//
// Whether there is room tells nothing of the account that somebody asks about. How fast
// the queue empties does, since a mail takes longer than none: whoever keeps it full,
// from many networks, can measure that.
//
// NewJobs starts nothing: the host calls Run, and Add after that or before.
type Jobs struct {
	queue  chan func(context.Context) error
	failed func(error)
}

const (
	jobsAtOnce  = 4   // a mail server that takes 5 seconds gets 48 in a minute
	jobsWaiting = 100 // each holds a name and little else
)

// NewJobs returns a queue that nothing is run from yet. failed is told of the errors and
// the panics of jobs, from several goroutines at once; nil: nobody is.
func NewJobs(failed func(error)) *Jobs {
	if failed == nil {
		failed = func(error) {}
	}
	return &Jobs{make(chan func(context.Context) error, jobsWaiting), failed}
}

// Add puts a job in the queue, and does not wait. It reports false when 100 jobs are
// waiting: this one will not be run, and whoever asked for it is told, with 503 and
// Retry-After, since that depends on no account. It is safe for concurrent use.
func (j *Jobs) Add(job func(context.Context) error) bool {
	select {
	case j.queue <- job:
		return true
	default:
		return false
	}
}

// Run runs jobs, 4 at a time, until ctx is done; then it runs those that wait and
// returns. End ctx after the server: what is added when Run has returned is not run. A
// job is given a context that has the values of ctx and not its end: it bounds itself,
// as that of Guard.Recover does at 30 seconds.
func (j *Jobs) Run(ctx context.Context) {
	var running sync.WaitGroup
	for range jobsAtOnce {
		running.Go(func() { j.work(ctx) })
	}
	running.Wait()
}

func (j *Jobs) work(ctx context.Context) {
	for {
		select {
		case job := <-j.queue:
			j.run(ctx, job)
			continue
		default:
		}
		select {
		case job := <-j.queue:
			j.run(ctx, job)
		case <-ctx.Done():
			if len(j.queue) == 0 {
				return
			}
		}
	}
}

func (j *Jobs) run(ctx context.Context, job func(context.Context) error) {
	defer func() { // as net/http does: anybody can have a job made, and nobody is to end the process with it
		if v := recover(); v != nil {
			j.failed(fmt.Errorf("mfahttp: a job panicked: %v\n%s", v, debug.Stack()))
		}
	}()
	if err := job(context.WithoutCancel(ctx)); err != nil {
		j.failed(err)
	}
}
