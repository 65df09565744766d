package mfanotify

import (
	"container/heap"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/seed-1320b244/mfa"
)

// QueueConfig wires a Queue. Notifier is required.
type QueueConfig struct {
	// Notifier delivers.
	Notifier mfa.Notifier
	// Size is how many notices may wait, those that are tried again included. Zero:
	// 1000. 1 to 100,000; a notice takes about 500 bytes.
	Size int
	// Tries is how often a notice is tried in all. Zero: 6. 1 to 20.
	Tries int
	// MaxAge is how long a notice is tried. Zero: 1 hour. 1 minute to 24 hours.
	MaxAge time.Duration
	// Backoff is the wait after the first failed try; each further one doubles it,
	// up to 10 minutes. Zero: 5 seconds. 100 ms to 10 minutes.
	Backoff time.Duration
	// Timeout bounds one try. Zero: 30 seconds. 100 ms to 5 minutes.
	Timeout time.Duration
	// Drain is how long Run goes on delivering after its context has ended. Zero: 10
	// seconds. 100 ms to 5 minutes.
	Drain time.Duration
	// Log gets a record of every notice that is given up: its kind, channel, user
	// and the error, and nothing of its words. Nil: none.
	Log *slog.Logger
}

// ErrQueueFull is returned by Queue.Notify when Size notices wait, and
// ErrQueueStopped when Run is over: the notice is not sent.
var (
	ErrQueueFull    = errors.New("mfanotify: the queue of notices is full")
	ErrQueueStopped = errors.New("mfanotify: the queue of notices has stopped")
)

const maxBackoff = 10 * time.Minute

// A Queue is a Notifier that delivers codes, and links to a new password, at once
// in the goroutine that asks, and lets notices wait for Run, so that no request
// waits for them. It is safe for concurrent use.
//
// It is in memory: notices that wait when the process dies are lost. The history
// of the account has what happened all the same.
type Queue struct {
	c QueueConfig

	mu      sync.Mutex
	waiting schedule
	held    int // waiting, and being delivered
	stopped bool
	wake    chan struct{} // holds a value when something may be due
}

type notice struct {
	message mfa.Message
	id      string // see Delivery
	since   time.Time
	due     time.Time
	tries   int // so far
}

// schedule is a heap: what is due first, comes first.
type schedule []*notice

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].due.Before(s[j].due) }
func (s schedule) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(n any)        { *s = append(*s, n.(*notice)) }
func (s *schedule) Pop() any {
	last := len(*s) - 1
	n := (*s)[last]
	(*s)[last] = nil // lets go of it
	*s = (*s)[:last]
	return n
}

// NewQueue checks c and returns a Queue. It starts nothing: nothing is delivered
// but codes until Run. Its error wraps mfa.ErrInvalid and names every field that
// is wrong.
func NewQueue(c QueueConfig) (*Queue, error) {
	var errs []error
	if c.Notifier == nil {
		errs = append(errs, errors.New("QueueConfig.Notifier is missing"))
	}
	errs = append(errs,
		resolve("QueueConfig.Size", &c.Size, 1000, 1, 100_000),
		resolve("QueueConfig.Tries", &c.Tries, 6, 1, 20),
		resolve("QueueConfig.MaxAge", &c.MaxAge, time.Hour, time.Minute, 24*time.Hour),
		resolve("QueueConfig.Backoff", &c.Backoff, 5*time.Second, 100*time.Millisecond, maxBackoff),
		resolve("QueueConfig.Timeout", &c.Timeout, 30*time.Second, 100*time.Millisecond, 5*time.Minute),
		resolve("QueueConfig.Drain", &c.Drain, 10*time.Second, 100*time.Millisecond, 5*time.Minute))
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%w: %w", mfa.ErrInvalid, err)
	}
	return &Queue{c: c, wake: make(chan struct{}, 1)}, nil
}

// resolve gives *v its default when it is zero, and refuses what is out of bounds.
func resolve[T int | time.Duration](name string, v *T, zero, low, high T) error {
	if *v == 0 {
		*v = zero
	}
	if *v < low || high < *v {
		return fmt.Errorf("%s is not %v to %v", name, low, high)
	}
	return nil
}

// Notify delivers what cannot wait and returns the outcome. Of a notice it returns at once:
// nil when it waits for Run, else ErrQueueFull or ErrQueueStopped.
func (q *Queue) Notify(ctx context.Context, m mfa.Message) error {
	if urgent(m) {
		return q.c.Notifier.Notify(ctx, m)
	}
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.stopped:
		return ErrQueueStopped
	case q.held >= q.c.Size:
		return ErrQueueFull
	}
	q.held++
	heap.Push(&q.waiting, &notice{message: m, id: rand.Text(), since: now, due: now})
	q.awaken()
	return nil
}

// Run delivers notices until ctx ends. Then the queue takes no more, each that
// still waits is tried once more, for QueueConfig.Drain in all, and Run returns an
// error that says how many were given up, nil for none. A host starts it beside
// its server; several calls with one context deliver that many at a time.
func (q *Queue) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { // is over soon after work is
		timer := time.NewTimer(q.c.Drain)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-work.Done():
		}
	})()
	for ctx.Err() == nil {
		n, wait := q.next(time.Now())
		if n != nil {
			q.try(work, n)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-q.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
	return q.drain(work)
}

// drain tries what waits once more, while work lives.
func (q *Queue) drain(work context.Context) error {
	q.mu.Lock()
	q.stopped = true
	q.mu.Unlock()
	dropped := 0
	for n := q.take(); n != nil; n = q.take() {
		n.tries = q.c.Tries // the last try
		switch {
		case work.Err() != nil:
			q.giveUp(work, n, ErrQueueStopped)
			dropped++
		case !q.try(work, n):
			dropped++
		}
	}
	if dropped > 0 {
		return fmt.Errorf("%w: %d notices were not delivered", ErrQueueStopped, dropped)
	}
	return nil
}

// try delivers n once. It reports whether n was delivered or waits again.
func (q *Queue) try(work context.Context, n *notice) bool {
	ctx, cancel := context.WithTimeout(withDelivery(work, n.id), q.c.Timeout)
	defer cancel()
	err := q.c.Notifier.Notify(ctx, n.message)
	if err == nil {
		q.release()
		return true
	}
	n.tries++
	n.due = time.Now().Add(min(maxBackoff, q.c.Backoff<<min(n.tries-1, 20)))
	if permanent(err) || n.tries >= q.c.Tries || n.due.Sub(n.since) > q.c.MaxAge {
		q.giveUp(ctx, n, err)
		return false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	heap.Push(&q.waiting, n)
	q.awaken()
	return true
}

func (q *Queue) giveUp(ctx context.Context, n *notice, err error) {
	q.release()
	if q.c.Log != nil {
		q.c.Log.ErrorContext(ctx, "mfanotify: notice given up", "kind", string(n.message.Kind),
			"channel", n.message.Channel.String(), "user", n.message.User.ID, "error", err)
	}
}

// next takes the notice that has been due longest. When none is due it returns
// how long to wait for one.
func (q *Queue) next(now time.Time) (*notice, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return nil, maxBackoff
	}
	if wait := q.waiting[0].due.Sub(now); wait > 0 {
		return nil, wait
	}
	n := heap.Pop(&q.waiting).(*notice)
	if len(q.waiting) > 0 {
		q.awaken() // another Run may take the next
	}
	return n, 0
}

// take takes the first notice, due or not.
func (q *Queue) take() *notice {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return nil
	}
	return heap.Pop(&q.waiting).(*notice)
}

func (q *Queue) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held--
}

func (q *Queue) awaken() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
