package bench

import (
	"testing"
	"time"
)

// measure runs op as often as a benchmark does. Besides the time on the wall it
// reports cpu-ns/op: what all threads of the process spent on it, the garbage
// collector's included. It is the figure to compare, for it hardly changes when
// the machine has other work.
func measure(b *testing.B, op func() error) {
	b.Helper()
	b.ReportAllocs()
	var spent stopwatch
	spent.start()
	for b.Loop() {
		if err := op(); err != nil {
			b.Fatal(err)
		}
	}
	spent.stop()
	spent.report(b)
}

// A stopwatch adds up processor time.
type stopwatch struct{ since, total time.Duration }

func (s *stopwatch) start() { s.since = processor() }
func (s *stopwatch) stop()  { s.total += processor() - s.since }

func (s *stopwatch) report(b *testing.B) {
	if s.total > 0 {
		b.ReportMetric(float64(s.total)/float64(b.N), "cpu-ns/op")
	}
}
