package sqlstore_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
	"github.com/seed-1320b244/mfa/sqlstore"
)

func onEach(b *testing.B, bench func(b *testing.B, s service)) {
	b.Run("postgres", func(b *testing.B) { bench(b, postgres()) })
	b.Run("mariadb", func(b *testing.B) { bench(b, mariadb("interpolateParams=true")) })
	b.Run("sqlite", func(b *testing.B) { bench(b, sqliteFile(b)) })
}

// inFlight runs f with 8 calls under way at a time.
func inFlight(b *testing.B, f func(ctx context.Context, i int) error) {
	b.Helper()
	b.SetParallelism(4) // times GOMAXPROCS, 2 where this was tuned
	b.ReportAllocs()
	b.ResetTimer()
	var next atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := f(b.Context(), int(next.Add(1))); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkGet compares a Get, of one key and of two owners', and a session check
// with a lone SELECT of a row of the same size by the same key: the floor.
func BenchmarkGet(b *testing.B) {
	onEach(b, func(b *testing.B, service service) {
		store, db := service.store(b)
		check, floor := sessions(b, service, store, db)
		b.Run("floor", func(b *testing.B) { inFlight(b, floor) })
		var keys []mfa.Key
		for range 1000 {
			k := mfa.Key{Owner: "u/" + rand.Text(), Kind: "session", ID: rand.Text()}
			if err := store.Commit(b.Context(), write(k, "", "1")); err != nil {
				b.Fatal(err)
			}
			keys = append(keys, k)
		}
		key := func(i int) mfa.Key { return keys[i%len(keys)] }
		b.Run("one", func(b *testing.B) {
			inFlight(b, func(ctx context.Context, i int) error { _, err := store.Get(ctx, key(i)); return err })
		})
		b.Run("two-owners", func(b *testing.B) {
			inFlight(b, func(ctx context.Context, i int) error { _, err := store.Get(ctx, key(i), key(i*7+1)); return err })
		})
		b.Run("session", func(b *testing.B) { inFlight(b, check) })
	})
}

// BenchmarkCommit creates and then replaces one record, and three of one owner.
func BenchmarkCommit(b *testing.B) {
	onEach(b, func(b *testing.B, service service) {
		store, _ := service.store(b)
		for _, n := range []int{1, 3} {
			b.Run(strconv.Itoa(n), func(b *testing.B) {
				inFlight(b, func(ctx context.Context, _ int) error {
					owner := "u/" + rand.Text()
					var writes []mfa.Write
					for i := range n {
						writes = append(writes, write(mfa.Key{Owner: owner, Kind: "k", ID: strconv.Itoa(i)}, "", "1"))
					}
					if err := store.Commit(ctx, writes...); err != nil {
						return err
					}
					for i, w := range writes {
						writes[i] = write(w.Key, "1", "2")
					}
					return store.Commit(ctx, writes...)
				})
			})
		}
	})
}

func write(k mfa.Key, old, next string) mfa.Write {
	return mfa.Write{IfVersion: old, Record: mfa.Record{
		Key: k, Version: next, Expires: time.Unix(time.Now().Add(time.Hour).Unix(), 0), Data: make([]byte, 300),
	}}
}

// sessions signs a thousand users in and returns the check of their sessions, and
// the SELECT that it cannot do without.
func sessions(b *testing.B, service service, store *sqlstore.Store, db *sql.DB) (check, floor func(context.Context, int) error) {
	kit := mfatest.New(b, func(c *mfa.Config) { c.Store = store })
	var tokens []string
	var owners [][]byte
	var ids []string
	for range 1000 {
		user := rand.Text()
		kit.Users.Add(mfa.User{ID: user})
		s := kit.SignIn(b, user).Session
		tokens, owners, ids = append(tokens, s.Token()), append(owners, []byte("u/"+user)), append(ids, s.ID())
	}
	check = func(ctx context.Context, i int) error {
		_, err := kit.Guard.Session(ctx, tokens[i%len(tokens)], mfa.Client{})
		return err
	}
	query := "SELECT version, expires, data FROM " + service.table() + " WHERE owner = ? AND kind = ? AND id = ?"
	if service.dialect == sqlstore.PostgreSQL {
		query = "SELECT version, expires, data FROM " + service.table() + " WHERE owner = $1 AND kind = $2 AND id = $3"
	}
	floor = func(ctx context.Context, i int) error {
		var version string
		var expires int64
		var data []byte
		i %= len(ids)
		return db.QueryRowContext(ctx, query, owners[i], "session", ids[i]).Scan(&version, &expires, &data)
	}
	return check, floor
}
