// Package gate bounds how much memory work takes at once, and how much work
// waits for its turn.
package gate

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// ErrFull means that as many wait already as may. Answering at once is kinder than
// a queue that only grows: every request in it would time out.
var ErrFull = errors.New("gate: too many waiting")

// A Gate admits work by how much memory it takes. It is safe for concurrent use.
// It starts no goroutine: who leaves admits the next.
type Gate struct {
	kib     int // all there is
	waiters int

	mu    sync.Mutex
	free  int
	queue []*waiter // first come, first served: small work does not starve large
}

type waiter struct {
	kib      int
	admitted chan struct{} // closed under mu
}

// New returns a Gate that admits work of kib KiB in all, and lets up to waiters
// wait for that. Both are at least 1 and 0.
func New(kib, waiters int) *Gate {
	kib = max(kib, 1)
	return &Gate{kib: kib, free: kib, waiters: max(waiters, 0)}
}

// Enter waits until there is room for work of kib KiB and returns a function that
// makes the room free again, to be called once or more. Work that takes more than
// there is runs alone. It fails with ErrFull at once, or with the error of ctx when
// that ends first, and then nothing is taken.
func (g *Gate) Enter(ctx context.Context, kib int) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	kib = min(max(kib, 1), g.kib)
	g.mu.Lock()
	if len(g.queue) == 0 && kib <= g.free {
		g.free -= kib
		g.mu.Unlock()
		return g.leave(kib), nil
	}
	if len(g.queue) >= g.waiters {
		g.mu.Unlock()
		return nil, ErrFull
	}
	w := &waiter{kib, make(chan struct{})}
	g.queue = append(g.queue, w)
	g.mu.Unlock()
	select {
	case <-w.admitted:
		return g.leave(kib), nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.queue, w); i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
	} else {
		g.free += kib // admitted in the same moment
	}
	g.admit() // those behind it may fit now
	return nil, ctx.Err()
}

func (g *Gate) leave(kib int) func() {
	return sync.OnceFunc(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.free += kib
		g.admit()
	})
}

// admit lets in from the front of the queue what there is room for.
func (g *Gate) admit() {
	for len(g.queue) > 0 && g.queue[0].kib <= g.free {
		g.free -= g.queue[0].kib
		close(g.queue[0].admitted)
		g.queue = slices.Delete(g.queue, 0, 1)
	}
}
