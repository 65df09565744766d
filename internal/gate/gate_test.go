package gate_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/seed-1320b244/mfa/internal/gate"
)

// A log is who came in, in order.
type log struct {
	mu    sync.Mutex
	names []string
}

func (l *log) add(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names = append(l.names, name)
}

// enter enters in a goroutine of its own and notes in l who came in.
func enter(ctx context.Context, t *testing.T, g *gate.Gate, kib int, name string, l *log) (leave func(), result func() error) {
	t.Helper()
	var left func()
	err := errors.New("still waiting")
	go func() {
		var out func()
		if out, err = g.Enter(ctx, kib); err == nil {
			left = out
			l.add(name)
		}
	}()
	synctest.Wait()
	return func() { left(); synctest.Wait() }, func() error { return err }
}

// TestR23_GateKiB: what runs at once never takes more than there is; what does not
// fit waits, in order, and is admitted when enough has left.
func TestR23_GateKiB(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, ctx := gate.New(10, 5), t.Context()
		var l log
		six, _ := enter(ctx, t, g, 6, "six", &l)
		four, _ := enter(ctx, t, g, 4, "four", &l)
		eight, _ := enter(ctx, t, g, 8, "eight", &l)
		one, _ := enter(ctx, t, g, 1, "one", &l)
		if len(l.names) != 2 {
			t.Fatalf("in are %v, want six and four", l.names)
		}
		four()
		if len(l.names) != 2 { // one would fit, and would keep eight out
			t.Fatalf("in are %v, want six alone", l.names)
		}
		six()
		six() // counts once
		if len(l.names) != 4 {
			t.Fatalf("in are %v, want eight and one", l.names)
		}
		two, _ := enter(ctx, t, g, 2, "two", &l)
		if len(l.names) != 4 {
			t.Fatalf("in are %v: eight, one and two are more than ten", l.names)
		}
		eight()
		one()
		two()
		huge, _ := enter(ctx, t, g, 1000, "huge", &l)
		none, _ := enter(ctx, t, g, 0, "none", &l)
		if len(l.names) != 6 || l.names[5] != "huge" {
			t.Fatalf("in are %v, want huge alone", l.names)
		}
		huge()
		none()
	})
}

// TestR23_GateFull: as many wait as may, and the next is told at once.
func TestR23_GateFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, ctx := gate.New(1, 2), t.Context()
		var l log
		inside, _ := enter(ctx, t, g, 1, "inside", &l)
		first, firstIn := enter(ctx, t, g, 1, "first", &l)
		second, _ := enter(ctx, t, g, 1, "second", &l)
		if _, err := g.Enter(ctx, 1); !errors.Is(err, gate.ErrFull) {
			t.Fatalf("the third to wait: %v, want ErrFull", err)
		}
		inside()
		if firstIn() != nil {
			t.Fatal("the first was not let in")
		}
		third, thirdIn := enter(ctx, t, g, 1, "third", &l)
		first()
		second()
		third()
		if thirdIn() != nil || len(l.names) != 4 {
			t.Errorf("in were %v: %v", l.names, thirdIn())
		}
		none := gate.New(1, 0)
		leave, err := none.Enter(ctx, 1)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := none.Enter(ctx, 1); !errors.Is(err, gate.ErrFull) {
			t.Errorf("where nobody may wait: %v, want ErrFull", err)
		}
		leave()
	})
}

// TestR23_GateCanceled: whose context ends leaves the queue, and those behind move
// up.
func TestR23_GateCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(10, 2)
		var l log
		six, _ := enter(t.Context(), t, g, 6, "six", &l)
		ctx, cancel := context.WithCancel(t.Context())
		_, eightIn := enter(ctx, t, g, 8, "eight", &l)
		four, fourIn := enter(t.Context(), t, g, 4, "four", &l)
		cancel()
		synctest.Wait()
		if err := eightIn(); !errors.Is(err, context.Canceled) {
			t.Fatalf("eight: %v, want context.Canceled", err)
		}
		if fourIn() != nil {
			t.Fatal("four fits, and was not let in")
		}
		if _, err := g.Enter(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("with a context that ended before: %v", err)
		}
		six()
		four()
		all, allIn := enter(t.Context(), t, g, 10, "all", &l)
		if allIn() != nil {
			t.Error("room was lost")
		}
		all()
	})
}

// Whose context ends in the moment of being let in gives the room back.
func TestR23_GateCanceledWhenAdmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(1, 1)
		for range 500 {
			leave, err := g.Enter(t.Context(), 1)
			if err != nil {
				t.Fatalf("room was lost: %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				if leave, err := g.Enter(ctx, 1); err == nil {
					leave()
				}
			}()
			synctest.Wait()
			cancel()
			leave()
			synctest.Wait()
		}
	})
}

// Everybody races: nobody is lost, nothing is taken twice, and what is in never
// takes more than there is.
func TestR23_GateRaces(t *testing.T) {
	const room = 8
	g := gate.New(room, 1000)
	var taken, most atomic.Int64
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			for round := range 100 {
				kib := 1 + (i+round)%room
				ctx, cancel := context.WithCancel(t.Context())
				if round%3 == 0 {
					go cancel()
				}
				leave, err := g.Enter(ctx, kib)
				if err == nil {
					now := taken.Add(int64(kib))
					for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
					}
					taken.Add(int64(-kib))
					leave()
				} else if !errors.Is(err, context.Canceled) {
					t.Errorf("got %v", err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if n := most.Load(); n > room {
		t.Errorf("%d KiB at once, want at most %d", n, room)
	}
	leave, err := g.Enter(t.Context(), room)
	if err != nil {
		t.Fatalf("room was lost: %v", err)
	}
	leave()
}

func BenchmarkEnter(b *testing.B) {
	g := gate.New(1000, 1000)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			leave, err := g.Enter(b.Context(), 1)
			if err != nil {
				b.Fatal(err)
			}
			leave()
		}
	})
}
