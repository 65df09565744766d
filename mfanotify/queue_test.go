package mfanotify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfanotify"
)

// carrier is a Notifier whose outcome a test chooses.
type carrier struct {
	mu    sync.Mutex
	tries []try
	deed  func(ctx context.Context, n int) error // n: from 1; nil: delivered
}

type try struct {
	at      time.Time
	message mfa.Message
	id      string
}

func (c *carrier) Notify(ctx context.Context, m mfa.Message) error {
	c.mu.Lock()
	c.tries = append(c.tries, try{time.Now(), m, mfanotify.Delivery(ctx)})
	n, deed := len(c.tries), c.deed
	c.mu.Unlock()
	if deed == nil {
		return nil
	}
	return deed(ctx, n)
}

func (c *carrier) seen() []try {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tries
}

func hang(ctx context.Context, _ int) error {
	<-ctx.Done()
	return ctx.Err()
}

var errDown = errors.New("the server is down")

func down(context.Context, int) error { return errDown }

func newQueue(t *testing.T, c mfanotify.QueueConfig) *mfanotify.Queue {
	t.Helper()
	q, err := mfanotify.NewQueue(c)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// run starts q.Run, and returns how to end it and learn its outcome.
func run(t *testing.T, q *mfanotify.Queue) func() error {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	return func() error { cancel(); return <-done }
}

func notice(n int) mfa.Message {
	m := message("new_device", mfa.EmailCode, "en")
	m.User.ID = fmt.Sprint("u-", n)
	return m
}

// TestR29_QueueCodes checks that a code goes at once, in the goroutine that asks,
// with its context, though nothing runs and the queue is full; and that its failure
// is the answer.
func TestR29_QueueCodes(t *testing.T) {
	to := &carrier{}
	q := newQueue(t, mfanotify.QueueConfig{Notifier: to, Size: 1})
	if err := q.Notify(t.Context(), notice(1)); err != nil || len(to.seen()) != 0 {
		t.Fatalf("a notice: %v, delivered %d", err, len(to.seen()))
	}
	for _, kind := range []mfa.MessageKind{mfa.MessageCode, mfa.MessageProof, mfa.MessageReset} {
		before := len(to.seen())
		if err := q.Notify(t.Context(), message(kind, mfa.EmailCode, "en")); err != nil || len(to.seen()) != before+1 {
			t.Errorf("%s: %v, delivered %d", kind, err, len(to.seen())-before)
		}
	}
	waits := newQueue(t, mfanotify.QueueConfig{Notifier: to})
	before := len(to.seen())
	if err := waits.Notify(t.Context(), message("address_changed", mfa.EmailCode, "en")); err != nil || len(to.seen()) != before {
		t.Errorf("a notice with a link: %v, delivered at once", err)
	}
	to.deed = down
	if err := q.Notify(t.Context(), message(mfa.MessageCode, mfa.EmailCode, "en")); !errors.Is(err, errDown) {
		t.Errorf("a code that is not delivered: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	to.deed = hang
	if err := q.Notify(ctx, message(mfa.MessageCode, mfa.EmailCode, "en")); !errors.Is(err, context.Canceled) {
		t.Errorf("a code without time: %v", err)
	}
}

// TestQueueFull fills the queue and adds one, also while the notices are being
// tried.
func TestQueueFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &carrier{deed: hang}
		q := newQueue(t, mfanotify.QueueConfig{Notifier: to, Size: 3, Timeout: time.Minute})
		stop := run(t, q)
		for n := range 3 {
			if err := q.Notify(t.Context(), notice(n)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // the first is being delivered
		}
		if err := q.Notify(t.Context(), notice(3)); !errors.Is(err, mfanotify.ErrQueueFull) {
			t.Errorf("the fourth of three: %v", err)
		}
		to.mu.Lock()
		to.deed = nil
		to.mu.Unlock()
		time.Sleep(2 * time.Minute) // of the bubble: the first times out, and is delivered the second time
		synctest.Wait()
		if err := q.Notify(t.Context(), notice(4)); err != nil {
			t.Errorf("when there is room again: %v", err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if n := len(to.seen()); n != 5 {
			t.Errorf("%d tries, not 5", n)
		}
	})
}

// TestQueueTries checks when a notice that fails is tried again, that each try has
// the same id, and that the last is the last.
func TestQueueTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		to := &carrier{deed: down}
		q := newQueue(t, mfanotify.QueueConfig{Notifier: to, Log: slog.New(slog.NewTextHandler(&log, nil))})
		stop := run(t, q)
		start := time.Now()
		if err := q.Notify(t.Context(), notice(1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		tries := to.seen()
		want := []time.Duration{0, 5 * time.Second, 15 * time.Second, 35 * time.Second, 75 * time.Second, 155 * time.Second}
		if len(tries) != len(want) {
			t.Fatalf("%d tries", len(tries))
		}
		for i, at := range want {
			if got := tries[i].at.Sub(start); got != at || tries[i].id != tries[0].id || len(tries[i].id) != 26 {
				t.Errorf("try %d after %v with id %q, want %v", i+1, got, tries[i].id, at)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		if s := log.String(); !strings.Contains(s, errDown.Error()) || !strings.Contains(s, "new_device") || !strings.Contains(s, "u-1") {
			t.Errorf("log: %s", s)
		} else if strings.Contains(s, "alice@") || strings.Contains(s, "Lisbon") || strings.Contains(s, "192.0.2.7") {
			t.Errorf("the log says too much: %s", s)
		}
	})
}

// TestQueueGivesUp checks the two other ends: an error that says it is final, and
// age.
func TestQueueGivesUp(t *testing.T) {
	refused := &mfanotify.DeliveryError{Step: "RCPT", Status: 550, Permanent: true}
	later := &mfanotify.DeliveryError{Step: "RCPT", Status: 450}
	for _, c := range []struct {
		name   string
		err    error
		maxAge time.Duration
		want   int // tries, after 0, 20, 60 and 140 seconds
	}{
		{"refused", fmt.Errorf("wrapped: %w", refused), time.Hour, 1},
		{"the fourth is within its age", later, 140 * time.Second, 4},
		{"the fourth is too old", later, 140*time.Second - 1, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				to := &carrier{deed: func(context.Context, int) error { return c.err }}
				q := newQueue(t, mfanotify.QueueConfig{Notifier: to, Tries: 4, MaxAge: c.maxAge, Backoff: 20 * time.Second})
				stop := run(t, q)
				if err := q.Notify(t.Context(), notice(1)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				synctest.Wait()
				if n := len(to.seen()); n != c.want {
					t.Errorf("%d tries", n)
				}
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestQueueOthersGoOn checks that a notice which waits holds up no other.
func TestQueueOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &carrier{deed: func(_ context.Context, n int) error {
			if n == 1 {
				return errDown
			}
			return nil
		}}
		q := newQueue(t, mfanotify.QueueConfig{Notifier: to})
		stop := run(t, q)
		for n := range 3 {
			if err := q.Notify(t.Context(), notice(n)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if n := len(to.seen()); n != 3 {
			t.Errorf("%d tries at once, not 3", n)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if tries := to.seen(); len(tries) != 4 || tries[3].message.User.ID != "u-0" {
			t.Errorf("%d tries", len(tries))
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestQueueDrain checks the end: what waits is tried once more, for no longer than
// Drain, what is given up is counted and logged, and nothing is taken any more.
func TestQueueDrain(t *testing.T) {
	for _, c := range []struct {
		name string
		deed func(context.Context, int) error
		lost int
		took time.Duration
	}{
		{"all delivered", nil, 0, 0},
		{"the server is down", down, 5, 0},
		{"the server hangs", hang, 5, 10 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				to := &carrier{deed: down}
				q := newQueue(t, mfanotify.QueueConfig{Notifier: to, Log: slog.New(slog.NewTextHandler(&log, nil))})
				stop := run(t, q)
				for n := range 5 {
					if err := q.Notify(t.Context(), notice(n)); err != nil {
						t.Fatal(err)
					}
				}
				synctest.Wait() // each has failed once, and waits
				to.mu.Lock()
				to.deed = c.deed
				to.mu.Unlock()
				start := time.Now()
				err := stop()
				if got := time.Since(start); got != c.took {
					t.Errorf("took %v, not %v", got, c.took)
				}
				if (err != nil) != (c.lost > 0) || err != nil && !strings.Contains(err.Error(), fmt.Sprint(c.lost, " notices")) {
					t.Errorf("Run returns %v", err)
				}
				if n := strings.Count(log.String(), "given up"); n != c.lost {
					t.Errorf("%d given up in the log:\n%s", n, log.String())
				}
				if err := q.Notify(t.Context(), notice(9)); !errors.Is(err, mfanotify.ErrQueueStopped) {
					t.Errorf("after the end: %v", err)
				}
				to.mu.Lock()
				to.deed = nil
				to.mu.Unlock()
				if err := q.Notify(t.Context(), message(mfa.MessageCode, mfa.EmailCode, "en")); err != nil {
					t.Errorf("a code after the end: %v", err)
				}
			})
		})
	}
}

// TestQueueDrainInFlight ends the context while a delivery hangs: it has until
// Drain, which is shorter than Timeout.
func TestQueueDrainInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, mfanotify.QueueConfig{Notifier: &carrier{deed: hang}, Timeout: 5 * time.Minute, Drain: 2 * time.Second})
		stop := run(t, q)
		if err := q.Notify(t.Context(), notice(1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		start := time.Now()
		if err := stop(); err == nil || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestQueueRace has many goroutines give notices to several Runs: each is
// delivered once.
func TestQueueRace(t *testing.T) {
	to := &carrier{}
	q := newQueue(t, mfanotify.QueueConfig{Notifier: to, Size: 32 * 50})
	ctx, cancel := context.WithCancel(t.Context())
	var runs, givers sync.WaitGroup
	for range 4 {
		runs.Go(func() {
			if err := q.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range 32 {
		givers.Go(func() {
			for j := range 50 {
				if err := q.Notify(ctx, notice(i*50+j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	givers.Wait()
	cancel()
	runs.Wait()
	users := map[string]bool{}
	for _, try := range to.seen() {
		users[try.message.User.ID] = true
	}
	if len(users) != 1600 || len(to.seen()) != 1600 {
		t.Errorf("%d users in %d deliveries", len(users), len(to.seen()))
	}
}

// TestNewQueueRefuses tests each bound, and one past it.
func TestNewQueueRefuses(t *testing.T) {
	to := &carrier{}
	for _, c := range []mfanotify.QueueConfig{
		{Notifier: to}, {Notifier: to, Size: 1, Tries: 1, MaxAge: time.Minute, Backoff: 100 * time.Millisecond, Timeout: 100 * time.Millisecond, Drain: 100 * time.Millisecond},
		{Notifier: to, Size: 100_000, Tries: 20, MaxAge: 24 * time.Hour, Backoff: 10 * time.Minute, Timeout: 5 * time.Minute, Drain: 5 * time.Minute},
	} {
		if _, err := mfanotify.NewQueue(c); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for name, c := range map[string]mfanotify.QueueConfig{
		"Notifier": {}, "Size": {Notifier: to, Size: 100_001}, "Tries": {Notifier: to, Tries: 21}, "MaxAge": {Notifier: to, MaxAge: 24*time.Hour + 1},
		"Backoff": {Notifier: to, Backoff: 10*time.Minute + 1}, "Timeout": {Notifier: to, Timeout: 5*time.Minute + 1}, "Drain": {Notifier: to, Drain: 5*time.Minute + 1},
		".Size": {Notifier: to, Size: -1}, ".Tries": {Notifier: to, Tries: -1}, ".MaxAge": {Notifier: to, MaxAge: time.Minute - 1},
		".Backoff": {Notifier: to, Backoff: 100*time.Millisecond - 1}, ".Timeout": {Notifier: to, Timeout: 100*time.Millisecond - 1}, ".Drain": {Notifier: to, Drain: 100*time.Millisecond - 1},
	} {
		if _, err := mfanotify.NewQueue(c); !errors.Is(err, mfa.ErrInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
