package redisstore_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
	"github.com/seed-1320b244/mfa/redisstore"
)

// inFlight runs f in 8 goroutines, whatever GOMAXPROCS is.
func inFlight(b *testing.B, f func(worker, n int) error) {
	b.Helper()
	b.ReportAllocs()
	var workers, calls atomic.Int64
	done := make(chan error, 8)
	b.ResetTimer()
	for range 8 {
		go func() {
			worker := int(workers.Add(1))
			for n := 0; calls.Add(1) <= int64(b.N); n++ {
				if err := f(worker, n); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}

func benchStore(b *testing.B) (*redis.Client, *redisstore.Store) {
	addr := sharedAddr(b)
	c := client(b, addr)
	return c, newStore(b, c, redisstore.Options{Prefix: sharedPrefix(b, addr)})
}

// BenchmarkGet compares reads with one GET of as many bytes through the same
// client, which is the floor.
func BenchmarkGet(b *testing.B) {
	c, s := benchStore(b)
	data := []byte(strings.Repeat("d", 300))
	var writes []mfa.Write
	for i := range 8 {
		w := expiring(write("u/1", "session", fmt.Sprint(i), "v1", ""), time.Hour)
		w.Data = data
		writes = append(writes, w)
	}
	other := write("o/1", "rules", "", "v1", "")
	if err := s.Commit(b.Context(), writes...); err != nil {
		b.Fatal(err)
	}
	if err := s.Commit(b.Context(), other); err != nil {
		b.Fatal(err)
	}
	key := sharedPrefix(b, c.Options().Addr) + "floor"
	c.Set(b.Context(), key, data, 0)

	b.Run("floor", func(b *testing.B) {
		inFlight(b, func(int, int) error { return c.Get(b.Context(), key).Err() })
	})
	b.Run("one", func(b *testing.B) {
		inFlight(b, func(int, int) error { _, err := s.Get(b.Context(), writes[0].Key); return err })
	})
	b.Run("four", func(b *testing.B) {
		inFlight(b, func(int, int) error {
			_, err := s.Get(b.Context(), writes[0].Key, writes[1].Key, writes[2].Key, writes[3].Key)
			return err
		})
	})
	b.Run("two owners", func(b *testing.B) {
		inFlight(b, func(int, int) error { _, err := s.Get(b.Context(), writes[0].Key, other.Key); return err })
	})
	b.Run("list", func(b *testing.B) {
		inFlight(b, func(int, int) error { _, err := s.List(b.Context(), "u/1"); return err })
	})
}

// BenchmarkSession takes turns between one GET, Store.Get and Guard.Session of as
// many bytes, so that all meet the same load on the machine, and reports the ratios
// of their medians.
func BenchmarkSession(b *testing.B) {
	c, s := benchStore(b)
	k := newKit(b, s, mfa.NewKey())
	token := k.SignIn(b, "somebody").Session.Token()
	sessions, err := s.List(b.Context(), "u/somebody", "session")
	if err != nil || len(sessions) != 1 {
		b.Fatal(len(sessions), err)
	}
	key := sharedPrefix(b, c.Options().Addr) + "floor"
	c.Set(b.Context(), key, sessions[0].Data, 0)

	const turn = 400
	took := [3][]time.Duration{}
	calls := [3]func() error{
		func() error { return c.Get(b.Context(), key).Err() },
		func() error { _, err := k.Guard.Session(b.Context(), token, mfatest.Laptop()); return err },
		func() error { _, err := s.Get(b.Context(), sessions[0].Key); return err },
	}
	for b.Loop() {
		for i, call := range calls {
			began := time.Now()
			var work sync.WaitGroup
			for range 8 {
				work.Go(func() {
					for range turn / 8 {
						if err := call(); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			work.Wait()
			took[i] = append(took[i], time.Since(began)/turn)
		}
	}
	median := func(d []time.Duration) float64 { slices.Sort(d); return float64(d[len(d)/2]) }
	floor, session := median(took[0]), median(took[1])
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(floor, "ns/GET")
	b.ReportMetric(session, "ns/session")
	b.ReportMetric(median(took[2])/floor, "Get/GET")
	b.ReportMetric(session/floor, "session/GET")
}

// BenchmarkCommit compares commits with one SET of as many bytes.
func BenchmarkCommit(b *testing.B) {
	c, s := benchStore(b)
	data := []byte(strings.Repeat("d", 300))
	prefix := sharedPrefix(b, c.Options().Addr)
	b.Run("floor", func(b *testing.B) {
		inFlight(b, func(worker, n int) error {
			return c.Set(b.Context(), prefix+fmt.Sprint(worker), data, time.Hour).Err()
		})
	})
	for _, records := range []int{1, 3} {
		b.Run(fmt.Sprint(records), func(b *testing.B) {
			run := time.Now().UnixNano() // each run has owners of its own
			inFlight(b, func(worker, n int) error {
				var writes []mfa.Write
				for i := range records {
					w := write(fmt.Sprintf("u/%d-%d", run, worker), "k", fmt.Sprint(i), fmt.Sprint("v", n+1), fmt.Sprint("v", n))
					if n == 0 {
						w.IfVersion = ""
					}
					w.Data = data
					writes = append(writes, expiring(w, time.Hour))
				}
				return s.Commit(b.Context(), writes...)
			})
		})
	}
}
