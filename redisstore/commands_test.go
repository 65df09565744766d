package redisstore_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/redisstore"
)

// A listener hears what a client sends: a command by its name, a pipeline as one.
type listener struct{ heard []string }

func (l *listener) DialHook(next redis.DialHook) redis.DialHook { return next }

func (l *listener) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "hello" { // of a connection that is new
			l.heard = append(l.heard, cmd.Name())
		}
		return next(ctx, cmd)
	}
}

func (l *listener) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() != "hello" && cmds[0].Name() != "client" { // of a connection that is new
			l.heard = append(l.heard, "pipeline")
		}
		return next(ctx, cmds)
	}
}

// Each operation is one round trip, and nothing ever scans.
func TestOneCommand(t *testing.T) {
	addr := sharedAddr(t)
	c := client(t, addr)
	s := newStore(t, c, redisstore.Options{Prefix: sharedPrefix(t, addr)})
	a, b := expiring(write("u/ann", "a", "", "v1", ""), time.Hour), write("u/ann", "b", "", "v1", "")
	rules := write("o/acme", "rules", "", "v1", "")
	if err := s.Commit(t.Context(), rules); err != nil { // the server has the script from here on
		t.Fatal(err)
	}
	var l listener
	c.AddHook(&l)
	get := func(keys ...mfa.Key) func() error {
		return func() error { _, err := s.Get(t.Context(), keys...); return err }
	}
	for _, op := range []struct {
		name string
		do   func() error
		want string
	}{
		{"Commit", func() error { return s.Commit(t.Context(), a, b) }, "evalsha"},
		{"Get of one", get(a.Key), "hget"},
		{"Get of one owner", get(a.Key, b.Key, a.Key), "hmget"},
		{"Get of two owners", get(a.Key, rules.Key), "pipeline"},
		{"List", func() error { _, err := s.List(t.Context(), "u/ann", "a"); return err }, "hgetall"},
	} {
		l.heard = nil
		if err := op.do(); err != nil || !slices.Equal(l.heard, []string{op.want}) {
			t.Errorf("%s sent %q, %v, want %s", op.name, l.heard, err, op.want)
		}
	}
}
