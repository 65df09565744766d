package bench

import (
	"context"
	crand "crypto/rand"
	"errors"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/alexedwards/scs/goredisstore"
	"github.com/alexedwards/scs/v2"
	"github.com/redis/go-redis/v9"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/redisstore"
)

// BenchmarkRedisSession compares the reads of a request with one GET of as many
// bytes, and with what scs does in its place.
func BenchmarkRedisSession(b *testing.B) {
	addr := environment("MFA_TEST_REDIS", "127.0.0.1:6379")
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true})
	b.Cleanup(func() { _ = client.Close() })
	if err := client.Ping(b.Context()).Err(); err != nil {
		absent(b, "no Redis at %s (MFA_TEST_REDIS): %v", addr, err)
	}
	var contests []contest
	for _, n := range sizes(b) {
		contests = append(contests, redisContest(b, client, n))
	}
	compare(b, contests...)
}

func redisContest(b *testing.B, client *redis.Client, n int) contest {
	prefix := "mfa-bench-" + crand.Text() + ":"
	b.Cleanup(func() { forget(b, client, prefix) })
	store, err := redisstore.New(client, redisstore.Options{Prefix: prefix})
	if err != nil {
		b.Fatal(err)
	}
	var size int // of a session
	p := signIn(b, n, func(users [][]mfa.Record) {
		together(b, len(users), func(ctx context.Context, i int) error {
			var writes []mfa.Write
			for _, r := range users[i] {
				writes = append(writes, mfa.Write{Record: r})
			}
			return store.Commit(ctx, writes...)
		})
	})
	first, err := store.Get(b.Context(), p.keys[0])
	if err != nil {
		b.Fatal(err)
	}
	size = len(first[0].Data)

	manager := scs.New()
	manager.Store = goredisstore.NewWithPrefix(client, prefix+"scs:")
	data, deadline := encodedSession(b)
	tokens := make([]string, n)
	floor := func(i int) string { return prefix + "floor:" + strconv.Itoa(i) }
	together(b, n, func(ctx context.Context, i int) error {
		tokens[i] = crand.Text()
		_, err := client.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.Set(ctx, prefix+"scs:"+tokens[i], data, time.Until(deadline))
			p.Set(ctx, floor(i), make([]byte, size), 24*time.Hour)
			return nil
		})
		return err
	})
	operations := append([]operation{{name: "GET", do: func(ctx context.Context, _ int) error {
		return client.Get(ctx, floor(rand.IntN(n))).Err()
	}}}, p.reads(b, store)...)
	operations = append(operations, operation{name: "scs", do: loadSCS(manager, tokens)})
	return contest{name: "@" + strconv.Itoa(n), turn: 50 * inFlight, operations: operations}
}

// forget deletes what begins with prefix.
func forget(b *testing.B, client *redis.Client, prefix string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(b.Context()), 5*time.Minute)
	defer cancel()
	for from := uint64(0); ; {
		keys, next, err := client.Scan(ctx, from, prefix+"*", 10_000).Result()
		if err == nil && len(keys) > 0 {
			err = client.Unlink(ctx, keys...).Err()
		}
		if err != nil {
			b.Error(err)
			return
		}
		if from = next; from == 0 {
			return
		}
	}
}

// encodedSession is what scs stores of a session, and until when.
func encodedSession(b *testing.B) ([]byte, time.Time) {
	b.Helper()
	manager := newSCS(scs.GobCodec{})
	ctx, err := manager.Load(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	fillSCS(ctx, manager, "user-1")
	token, deadline, err := manager.Commit(ctx)
	if err != nil {
		b.Fatal(err)
	}
	data, ok, err := manager.Store.Find(token)
	if err != nil || !ok {
		b.Fatal("scs lost a session", err)
	}
	return data, deadline
}

// loadSCS is what the middleware of scs does for every request.
func loadSCS(manager *scs.SessionManager, tokens []string) func(context.Context, int) error {
	return func(ctx context.Context, _ int) error {
		ctx, err := manager.Load(ctx, tokens[rand.IntN(len(tokens))])
		if err == nil && manager.GetString(ctx, "user") == "" {
			err = errors.New("no session")
		}
		return err
	}
}
