package sqlstore_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/seed-1320b244/mfa"
)

// A counter is told of every statement that pgx sends.
type counter struct{ atomic.Int64 }

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	c.Add(1)
	return ctx
}

func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// On PostgreSQL each operation is one statement: one round trip, and one snapshot.
func TestOneStatement(t *testing.T) {
	s := postgres()
	s.store(t)
	config, err := pgx.ParseConfig(s.dsn)
	if err != nil {
		t.Fatal(err)
	}
	var sent counter
	config.Tracer = &sent
	db := stdlib.OpenDB(*config)
	defer db.Close()
	store := s.on(t, db)
	a, b, c := mfa.Key{Owner: "u/ann", Kind: "a"}, mfa.Key{Owner: "u/ann", Kind: "b"}, mfa.Key{Owner: "o/acme", Kind: "rules"}
	replaced := create(a, "v2")
	replaced.IfVersion = "v1"
	for _, op := range []struct {
		name string
		do   func(ctx context.Context) error
	}{
		{"Commit of two new records", func(ctx context.Context) error { return store.Commit(ctx, create(a, "v1"), create(b, "v1")) }},
		{"Commit of one", func(ctx context.Context) error { return store.Commit(ctx, create(c, "v1")) }},
		{"Commit of a change and an end", func(ctx context.Context) error {
			return store.Commit(ctx, replaced, mfa.Write{Record: mfa.Record{Key: b}, IfVersion: "v1"})
		}},
		{"Get of one", func(ctx context.Context) error { _, err := store.Get(ctx, a); return err }},
		{"Get of two owners", func(ctx context.Context) error { _, err := store.Get(ctx, a, b, c, a); return err }},
		{"List", func(ctx context.Context) error { _, err := store.List(ctx, "u/ann", "a", "b"); return err }},
	} {
		sent.Store(0)
		if err := op.do(t.Context()); err != nil || sent.Load() != 1 {
			t.Errorf("%s: %d statements, %v, want 1", op.name, sent.Load(), err)
		}
	}
}
