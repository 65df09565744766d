package redisstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/redisstore"
)

// wants checks that err says what is wrong, and nothing else; "" wants nil.
func wants(t *testing.T, err error, what string) {
	t.Helper()
	switch {
	case what == "" && err != nil:
		t.Errorf("Check returned %v, want nil", err)
	case what != "" && (err == nil || !strings.Contains(err.Error(), what)):
		t.Errorf("Check returned %v, want an error with %q", err, what)
	case what != "" && strings.Count(err.Error(), "\n") > 0:
		t.Errorf("Check returned more than is wrong: %v", err)
	}
}

// TestR32_CheckServer: a server that may lose records by design, because it evicts
// or keeps nothing on disk, is refused unless the host says so in so many words.
func TestR32_CheckServer(t *testing.T) {
	s := startServer(t)
	c := client(t, s.addr)
	for _, row := range []struct {
		name                     string
		append, save, policy     string
		insecureEviction, volatl bool
		want                     string
	}{
		{"append-only file", "yes", "", "noeviction", false, false, ""},
		{"snapshots", "no", "900 1", "noeviction", false, false, ""},
		{"both", "yes", "900 1", "noeviction", false, false, ""},
		{"nothing on disk", "no", "", "noeviction", false, false, "keeps nothing on disk"},
		{"nothing on disk, accepted", "no", "", "noeviction", false, true, ""},
		{"nothing on disk, eviction accepted", "no", "", "noeviction", true, false, "keeps nothing on disk"},
		{"allkeys-lru", "yes", "", "allkeys-lru", false, false, "maxmemory-policy is allkeys-lru"},
		{"allkeys-random", "yes", "", "allkeys-random", false, false, "maxmemory-policy is allkeys-random"},
		{"volatile-ttl", "yes", "", "volatile-ttl", false, false, "maxmemory-policy is volatile-ttl"},
		{"volatile-lfu", "yes", "", "volatile-lfu", false, false, "maxmemory-policy is volatile-lfu"},
		{"allkeys-lru, accepted", "yes", "", "allkeys-lru", true, false, ""},
		{"allkeys-lru, no disk accepted", "yes", "", "allkeys-lru", false, true, "maxmemory-policy is allkeys-lru"},
	} {
		t.Run(row.name, func(t *testing.T) {
			for name, value := range map[string]string{"appendonly": row.append, "save": row.save, "maxmemory-policy": row.policy} {
				if err := c.ConfigSet(t.Context(), name, value).Err(); err != nil {
					t.Fatal(err)
				}
			}
			// That the host vouches changes nothing where the server tells.
			store := newStore(t, c, redisstore.Options{
				AssumePersistence: true, InsecureEviction: row.insecureEviction, InsecureNoPersistence: row.volatl,
			})
			wants(t, store.Check(t.Context()), row.want)
			if n := c.DBSize(t.Context()).Val(); n != 0 {
				t.Errorf("Check left %d keys", n)
			}
		})
	}
}

func TestCheckManaged(t *testing.T) {
	c := client(t, startServer(t, "--rename-command", "CONFIG", "").addr)
	wants(t, newStore(t, c, redisstore.Options{}).Check(t.Context()), "Options.AssumePersistence")
	wants(t, newStore(t, c, redisstore.Options{AssumePersistence: true}).Check(t.Context()), "")
	wants(t, newStore(t, c, redisstore.Options{InsecureNoPersistence: true}).Check(t.Context()), "")

	evicts := client(t, startServer(t, "--rename-command", "CONFIG", "", "--maxmemory-policy", "allkeys-lru").addr)
	wants(t, newStore(t, evicts, redisstore.Options{AssumePersistence: true}).Check(t.Context()), "maxmemory-policy is allkeys-lru")

	appends := client(t, startServer(t, "--rename-command", "CONFIG", "", "--appendonly", "yes").addr)
	wants(t, newStore(t, appends, redisstore.Options{}).Check(t.Context()), "")
}

// TestCheckReplica: a replica is refused, and does not take a commit for a
// conflict.
func TestCheckReplica(t *testing.T) {
	primary := startServer(t, "--appendonly", "yes", "--repl-diskless-sync-delay", "0")
	host, port, _ := strings.Cut(primary.addr, ":")
	replica := startServer(t, "--appendonly", "yes", "--replicaof", host+" "+port)
	c := client(t, replica.addr)
	until(t, "the replica is linked", func() bool {
		return strings.Contains(c.Info(t.Context(), "replication").Val(), "master_link_status:up")
	})
	s := newStore(t, c, redisstore.Options{})
	wants(t, s.Check(t.Context()), "the server is a slave")
	err := s.Commit(t.Context(), write("u/1", "k", "", "v1", ""))
	if err == nil || errors.Is(err, mfa.ErrConflict) || !redis.HasErrorPrefix(err, "READONLY") {
		t.Errorf("Commit on a replica returned %v, want READONLY", err)
	}
}

// TestCheckRights: what a user of the server may not do is found at boot.
func TestCheckRights(t *testing.T) {
	s := startServer(t, "--appendonly", "yes")
	admin := client(t, s.addr)
	for _, row := range []struct{ name, rights, want string }{
		{"what the documentation says", "~mfa:* +@connection +info +hget +hmget +hgetall +hset +hdel +hlen +zadd +zrem +zcard +zrangebyscore +zrevrange +persist +pexpireat +time +evalsha +eval", ""},
		{"no CONFIG, which is not needed here", "~mfa:* +@all -config", ""},
		{"no INFO", "~mfa:* +@all -info", "INFO cannot be read"},
		{"no TIME", "~mfa:* +@all -time", "the server's clock cannot be read"},
		{"no EVAL", "~mfa:* +@all -eval -evalsha", "a record cannot be written"},
		{"no ZADD", "~mfa:* +@all -zadd", "a record cannot be written"},
		{"no PEXPIREAT", "~mfa:* +@all -pexpireat", "a record cannot be written"},
		{"no PERSIST", "~mfa:* +@all -persist", "a record cannot be written"},
		{"no HMGET", "~mfa:* +@all -hmget", "a record cannot be written"},
		{"no HGET", "~mfa:* +@all -hget", "hget"},
		{"no HGETALL", "~mfa:* +@all -hgetall", "hgetall"},
		{"no HDEL", "~mfa:* +@all -hdel", "a record cannot be written"},
		{"other keys", "~other:* +@all", "a record cannot be written"},
	} {
		t.Run(row.name, func(t *testing.T) {
			args := []any{"acl", "setuser", "app", "reset", "on", ">secret"}
			for f := range strings.FieldsSeq(row.rights) {
				args = append(args, f)
			}
			if err := admin.Do(t.Context(), args...).Err(); err != nil {
				t.Fatal(err)
			}
			o := options(s.addr)
			o.Username, o.Password = "app", "secret"
			err := newStore(t, clientOf(t, o), redisstore.Options{}).Check(t.Context())
			wants(t, err, row.want)
			if err != nil && strings.Contains(err.Error(), "mfa:{") {
				t.Errorf("the error names a key: %v", err)
			}
			admin.FlushAll(t.Context()) // what a refused probe left, on this server of our own
		})
	}
}

// TestCheckClock: a server whose clock is more than a minute off is refused.
func TestCheckClock(t *testing.T) {
	s := startServer(t, "--appendonly", "yes")
	for _, off := range []time.Duration{-time.Hour, -90 * time.Second, -30 * time.Second, 30 * time.Second, 90 * time.Second, time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			store := newStore(t, client(t, s.addr), redisstore.Options{Now: func() time.Time { return time.Now().Add(off) }})
			want := ""
			if off.Abs() > time.Minute {
				want = "the clocks of this process and of the server are"
			}
			wants(t, store.Check(t.Context()), want)
		})
	}
}

func TestCheckCluster(t *testing.T) {
	o, nodes := startCluster(t)
	s := newStore(t, clusterClient(t, o), redisstore.Options{})
	wants(t, s.Check(t.Context()), "")
	wants(t, newStore(t, client(t, nodes[0].addr), redisstore.Options{}).Check(t.Context()), "use a *redis.ClusterClient")
	for _, n := range nodes {
		c := client(t, n.addr)
		c.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru")
		wants(t, s.Check(t.Context()), n.addr+": maxmemory-policy is allkeys-lru")
		c.ConfigSet(t.Context(), "maxmemory-policy", "noeviction")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Check(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Check with a canceled context returned %v", err)
	}
}

func TestNew(t *testing.T) {
	set := func(edit func(o *redis.Options)) redis.UniversalClient {
		o := options("127.0.0.1:1")
		edit(o)
		return clientOf(t, o)
	}
	spread := func(edit func(o *redis.ClusterOptions)) redis.UniversalClient {
		o := &redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}, ContextTimeoutEnabled: true}
		edit(o)
		return clusterClient(t, o)
	}
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}, ContextTimeoutEnabled: true})
	t.Cleanup(func() { ring.Close() })
	fine := set(func(*redis.Options) {})
	for _, row := range []struct {
		name   string
		client redis.UniversalClient
		prefix string
		want   string
	}{
		{"fine", fine, "", ""},
		{"cluster", spread(func(*redis.ClusterOptions) {}), "", ""},
		{"no client", nil, "", "neither"},
		{"nil client", (*redis.Client)(nil), "", "no client"},
		{"nil cluster", (*redis.ClusterClient)(nil), "", "no client"},
		{"retries by default", set(func(o *redis.Options) { o.MaxRetries = 0 }), "", "MaxRetries"},
		{"one retry", set(func(o *redis.Options) { o.MaxRetries = 1 }), "", "MaxRetries"},
		{"one retry on a cluster", spread(func(o *redis.ClusterOptions) { o.MaxRetries = 1 }), "", "MaxRetries"},
		{"no timeouts", set(func(o *redis.Options) { o.ContextTimeoutEnabled = false }), "", "ContextTimeoutEnabled"},
		{"no timeouts on a cluster", spread(func(o *redis.ClusterOptions) { o.ContextTimeoutEnabled = false }), "", "ContextTimeoutEnabled"},
		{"cache", set(func(o *redis.Options) { o.ClientSideCacheConfig = &redis.ClientSideCacheConfig{} }), "", "caches"},
		{"replicas", spread(func(o *redis.ClusterOptions) { o.ReadOnly = true }), "", "replicas"},
		{"nearest", spread(func(o *redis.ClusterOptions) { o.RouteByLatency = true }), "", "replicas"},
		{"any", spread(func(o *redis.ClusterOptions) { o.RouteRandomly = true }), "", "replicas"},
		{"ring", ring, "", "Ring"},
		{"brace in the prefix", fine, "{mfa}", "Prefix"},
		{"long prefix", fine, strings.Repeat("p", 41), "Prefix"},
		{"longest prefix", fine, strings.Repeat("p", 40), ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := redisstore.New(row.client, redisstore.Options{Prefix: row.prefix})
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("New returned %v, want %q", err, row.want)
			}
		})
	}
	_, err := redisstore.New(set(func(o *redis.Options) { o.MaxRetries, o.ContextTimeoutEnabled = 3, false }), redisstore.Options{Prefix: "{"})
	for _, want := range []string{"MaxRetries", "ContextTimeoutEnabled", "Prefix"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New returned %v, want all that is wrong, %s too", err, want)
		}
	}
}
