package bench

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/alexedwards/scs/v2/memstore"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A checker answers one request: who does this token belong to?
type checker struct {
	tokens []string
	check  func(ctx context.Context, token string) error
}

// BenchmarkSession is what every request pays: from the cookie's value to a
// session that may be used. Tokens are random, so that going through them asks
// the map all over.
func BenchmarkSession(b *testing.B) {
	for _, sessions := range []int{1, 100_000} {
		for _, lib := range []struct {
			name string
			make func(sessions int) (checker, error)
		}{
			{"mfa", guardSessions},
			{"scs-gob", func(n int) (checker, error) { return scsSessions(n, scs.GobCodec{}) }},
			{"scs-json", func(n int) (checker, error) { return scsSessions(n, jsonCodec{}) }},
			{"floor", hashAndMap},
		} {
			made := sync.OnceValues(func() (checker, error) { return lib.make(sessions) })
			for _, goroutines := range []int{1, 8} {
				b.Run(fmt.Sprintf("sessions=%d/goroutines=%d/lib=%s", sessions, goroutines, lib.name), func(b *testing.B) {
					c, err := made()
					if err != nil {
						b.Fatal(err)
					}
					c.run(b, goroutines)
				})
			}
		}
	}
}

func (c checker) run(b *testing.B, goroutines int) {
	ctx := b.Context()
	if goroutines == 1 {
		i := 0
		measure(b, func() error {
			i++
			return c.check(ctx, c.tokens[i%len(c.tokens)])
		})
		return
	}
	b.ReportAllocs()
	b.SetParallelism(max(1, goroutines/runtime.GOMAXPROCS(0))) // of each thread
	var from atomic.Int64
	var spent stopwatch
	b.ResetTimer()
	spent.start()
	b.RunParallel(func(pb *testing.PB) {
		for i := int(from.Add(10_007)); pb.Next(); i++ { // each begins elsewhere
			if err := c.check(ctx, c.tokens[i%len(c.tokens)]); err != nil {
				b.Error(err)
				return
			}
		}
	})
	spent.stop()
	spent.report(b)
}

// BenchmarkTouch is the check that records the session as used, once a minute.
func BenchmarkTouch(b *testing.B) {
	kit := mfatest.New(b)
	kit.Users.Add(mfa.User{ID: user})
	token := kit.SignIn(b, user).Session.Token()
	client := mfatest.Laptop()
	n := 0
	measure(b, func() error {
		kit.Clock.Advance(time.Minute)
		if n++; n%1000 == 0 { // a session ends after 24 hours
			token = kit.SignIn(b, user).Session.Token()
		}
		_, err := kit.Guard.Session(b.Context(), token, client)
		return err
	})
}

// anyone is a directory that knows everybody.
type anyone struct{}

func (anyone) User(_ context.Context, id string) (mfa.User, error) { return mfa.User{ID: id}, nil }

// guardSessions signs in as many users and checks their sessions.
func guardSessions(n int) (checker, error) {
	start := time.Now()
	keys, err := mfa.ParseKeys(mfa.NewKey())
	if err != nil {
		return checker{}, err
	}
	guard, err := mfa.New(mfa.Config{
		Issuer: "Example", Store: new(mfa.MemoryStore), Users: anyone{}, Keys: keys,
		// Reads the clock as time.Now does and never shows the next minute, in
		// which each session would be written once. BenchmarkTouch is for that.
		Now: func() time.Time { return start.Add(time.Since(start) % (30 * time.Second)) },
	})
	if err != nil {
		return checker{}, err
	}
	client := mfatest.Laptop()
	c := checker{
		tokens: make([]string, n),
		check: func(ctx context.Context, token string) error {
			_, err := guard.Session(ctx, token, client)
			return err
		},
	}
	for i := range c.tokens {
		out, err := guard.SignIn(context.Background(), mfa.SignIn{
			User: "user-" + strconv.Itoa(i), First: mfa.PasswordFirst(), Client: client,
		})
		if err != nil {
			return checker{}, err
		}
		c.tokens[i] = out.Session.Token()
	}
	return c, nil
}

// scsSessions fills as many sessions of scs with what an application keeps in
// them, and loads them as its middleware does for every request.
func scsSessions(n int, codec scs.Codec) (checker, error) {
	manager := newSCS(codec)
	c := checker{
		tokens: make([]string, n),
		check: func(ctx context.Context, token string) error {
			ctx, err := manager.Load(ctx, token)
			if err == nil && manager.GetString(ctx, "user") == "" {
				err = errors.New("no session")
			}
			return err
		},
	}
	for i := range c.tokens {
		ctx, err := manager.Load(context.Background(), "")
		if err != nil {
			return checker{}, err
		}
		fillSCS(ctx, manager, "user-"+strconv.Itoa(i))
		if c.tokens[i], _, err = manager.Commit(ctx); err != nil {
			return checker{}, err
		}
	}
	return c, nil
}

func newSCS(codec scs.Codec) *scs.SessionManager {
	manager := scs.New()
	manager.Store = memstore.NewWithCleanupInterval(0)
	manager.Codec = codec
	return manager
}

func fillSCS(ctx context.Context, manager *scs.SessionManager, user string) {
	manager.Put(ctx, "user", user)
	manager.Put(ctx, "signed_in_at", time.Now().Unix())
	manager.Put(ctx, "first", "password")
	manager.Put(ctx, "device", "Firefox on Linux")
	manager.Put(ctx, "addr", "192.0.2.1")
	manager.Put(ctx, "csrf", rand.Text())
}

// jsonCodec is for scs what its default is, with the encoding that mfa uses.
type jsonCodec struct{}

type jsonSession struct {
	Deadline time.Time
	Values   map[string]any
}

func (jsonCodec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	return json.Marshal(jsonSession{deadline, values})
}

func (jsonCodec) Decode(data []byte) (time.Time, map[string]any, error) {
	var s jsonSession
	err := json.Unmarshal(data, &s)
	return s.Deadline, s.Values, err
}

// hashAndMap is the least that a check can be: hash the token, so that the map
// holds none, find it, compare.
func hashAndMap(n int) (checker, error) {
	type entry struct {
		sum  [sha256.Size]byte
		user string
	}
	var mu sync.RWMutex
	sessions := make(map[string]entry, n) // by the public half of the token
	c := checker{
		tokens: make([]string, n),
		check: func(_ context.Context, token string) error {
			sum := sha256.Sum256([]byte(token[26:]))
			mu.RLock()
			e, ok := sessions[token[:26]]
			mu.RUnlock()
			if !ok || subtle.ConstantTimeCompare(e.sum[:], sum[:]) != 1 {
				return mfa.ErrNoSession
			}
			return nil
		},
	}
	for i := range c.tokens {
		id, secret := rand.Text(), rand.Text()
		c.tokens[i] = id + secret
		sessions[id] = entry{sha256.Sum256([]byte(secret)), "user-" + strconv.Itoa(i)}
	}
	return c, nil
}
