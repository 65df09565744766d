package bench

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// inFlight is how many calls are under way at a time.
const inFlight = 8

// An operation is one of those that a contest compares. do is given the number of
// the call. begin is called before each turn, then prepare as often as do will be,
// with the same numbers; neither is timed.
type operation struct {
	name        string
	do, prepare func(ctx context.Context, i int) error
	begin       func()
}

// A contest is operations on one amount of data. The first is the floor.
type contest struct {
	name       string
	turn       int // calls in a turn
	operations []operation
}

// compare gives every operation of every contest a turn, and again, so that all
// meet the same load on the machine. It reports the median of the floor, how many
// times as long the others take, and how much longer in the last contest than in
// the first.
func compare(b *testing.B, contests ...contest) {
	b.Helper()
	took := make(map[string][]time.Duration)
	for turn := 0; b.Loop(); turn++ {
		for _, c := range contests {
			in := func(do func(context.Context, int) error) func(context.Context, int) error {
				return func(ctx context.Context, i int) error { return do(ctx, turn*c.turn+i) }
			}
			for _, o := range c.operations {
				if o.begin != nil {
					o.begin()
				}
				if o.prepare != nil {
					together(b, c.turn, in(o.prepare))
				}
				began := time.Now()
				together(b, c.turn, in(o.do))
				took[o.name+c.name] = append(took[o.name+c.name], time.Since(began)/time.Duration(c.turn))
			}
		}
	}
	median := func(o operation, c contest) float64 {
		all := took[o.name+c.name]
		slices.Sort(all)
		return float64(all[len(all)/2])
	}
	b.ReportMetric(0, "ns/op") // of all operations together says nothing
	first, last := contests[0], contests[len(contests)-1]
	for i := range first.operations {
		for _, c := range contests {
			floor, o := c.operations[0], c.operations[i]
			if i == 0 {
				b.ReportMetric(median(o, c), "ns/"+o.name+c.name)
			} else {
				b.ReportMetric(median(o, c)/median(floor, c), o.name+"/"+floor.name+c.name)
			}
		}
		if len(contests) > 1 {
			b.ReportMetric(median(last.operations[i], last)/median(first.operations[i], first), first.operations[i].name+"-growth")
		}
	}
}

// together calls do n times, inFlight at a time.
func together(b *testing.B, n int, do func(ctx context.Context, i int) error) {
	b.Helper()
	var group sync.WaitGroup
	var next atomic.Int64
	for range inFlight {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && !b.Failed(); i = int(next.Add(1)) - 1 {
				if err := do(b.Context(), i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	if b.Failed() {
		b.FailNow()
	}
}

// sizes returns how many sessions the store holds, in one contest after the other.
// MFA_BENCH_SESSIONS=1000,100000,1000000 is what the figures are from; to fill a
// million takes minutes.
func sizes(b *testing.B) []int {
	b.Helper()
	var all []int
	for text := range strings.SplitSeq(environment("MFA_BENCH_SESSIONS", "1000"), ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			b.Fatalf("MFA_BENCH_SESSIONS: %q is no number of sessions", text)
		}
		all = append(all, n)
	}
	return all
}

func environment(name, otherwise string) string {
	if s := os.Getenv(name); s != "" {
		return s
	}
	return otherwise
}

// absent ends a benchmark whose server does not answer: that skips, or fails where
// MFA_REQUIRE_SERVICES says that all are there.
func absent(b *testing.B, format string, args ...any) {
	b.Helper()
	if os.Getenv("MFA_REQUIRE_SERVICES") == "1" {
		b.Fatalf(format, args...)
	}
	b.Skipf(format, args...)
}

// A population is users who are signed in.
type population struct {
	config mfa.Config
	tokens []string
	keys   []mfa.Key // of the sessions
}

// signIn signs n users in, in memory and thousands at a time, and gives what is to
// be stored of each batch to keep, the records of one user together.
func signIn(b *testing.B, n int, keep func([][]mfa.Record)) *population {
	b.Helper()
	keys, err := mfa.ParseKeys(mfa.NewKey())
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	p := &population{config: mfa.Config{
		Issuer: "Example", Users: anyone{}, Keys: keys,
		// Never shows the next minute, in which each session would be written once.
		Now: func() time.Time { return start.Add(time.Since(start) % (30 * time.Second)) },
	}, tokens: make([]string, n), keys: make([]mfa.Key, n)}
	const batch = 5000
	for from := 0; from < n; from += batch {
		memory := new(mfa.MemoryStore)
		guard := p.guard(b, memory)
		records := make([][]mfa.Record, min(batch, n-from))
		together(b, len(records), func(ctx context.Context, i int) error {
			user := "user-" + strconv.Itoa(from+i)
			out, err := guard.SignIn(ctx, mfa.SignIn{User: user, First: mfa.PasswordFirst(), Client: mfatest.Laptop()})
			if err != nil {
				return err
			}
			p.tokens[from+i] = out.Session.Token()
			p.keys[from+i] = mfa.Key{Owner: "u/" + user, Kind: "session", ID: out.Session.ID()}
			records[i], err = memory.List(ctx, "u/"+user)
			return err
		})
		keep(records)
	}
	return p
}

// guard returns the same guard on another store.
func (p *population) guard(b *testing.B, store mfa.Store) *mfa.Guard {
	b.Helper()
	config := p.config
	config.Store = store
	guard, err := mfa.New(config)
	if err != nil {
		b.Fatal(err)
	}
	return guard
}

// reads returns the two reads of the library that every request makes one of: a
// session check, and a Get of records of two owners, as at an organization's door.
func (p *population) reads(b *testing.B, store mfa.Store) []operation {
	b.Helper()
	guard, client := p.guard(b, store), mfatest.Laptop()
	session := func(ctx context.Context, _ int) error {
		_, err := guard.Session(ctx, p.tokens[rand.IntN(len(p.tokens))], client)
		return err
	}
	twoOwners := func(ctx context.Context, _ int) error {
		_, err := store.Get(ctx, p.key(), p.key())
		return err
	}
	return []operation{{name: "session", do: session}, {name: "two-owners", do: twoOwners}}
}

// key returns that of somebody's session.
func (p *population) key() mfa.Key { return p.keys[rand.IntN(len(p.keys))] }
