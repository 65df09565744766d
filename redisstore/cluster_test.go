package redisstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/redisstore"
)

// TestResharding: while a slot moves from one master to another, no record looks
// absent, and a commit is applied as a whole or not at all.
func TestResharding(t *testing.T) {
	o, nodes := startCluster(t)
	s := newStore(t, clusterClient(t, o), redisstore.Options{})
	ctx, key := t.Context(), mfa.Key{Owner: "u/{moves}", Kind: "k"}
	hash := hashOf(redisstore.DefaultPrefix, key.Owner)
	commit := func(version, old string) error {
		return s.Commit(ctx, expiring(write(key.Owner, "k", "", version, old), time.Hour), write(key.Owner, "l", "", version, old))
	}
	holds := func(when, version string) {
		t.Helper()
		one, err1 := s.Get(ctx, key)
		two, err2 := s.Get(ctx, key, mfa.Key{Owner: key.Owner, Kind: "l"})
		all, err3 := s.List(ctx, key.Owner)
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if one[0].Version != version || two[0].Version != version || two[1].Version != version || len(all) != 2 {
			t.Fatalf("%s: versions %q, %q, %q and %d records, want %q and 2", when, one[0].Version, two[0].Version, two[1].Version, len(all), version)
		}
	}
	if err := commit("v1", ""); err != nil {
		t.Fatal(err)
	}

	// from is where the owner is, to another master.
	var from, to *redis.Client
	for _, n := range nodes {
		if c := client(t, n.addr); c.Exists(ctx, hash).Val() == 1 {
			from = c
		} else {
			to = c
		}
	}
	slot := from.ClusterKeySlot(ctx, hash).Val()
	id := func(c *redis.Client) string { return c.Do(ctx, "cluster", "myid").Val().(string) }
	do := func(c *redis.Client, args ...any) {
		t.Helper()
		if err := c.Do(ctx, args...).Err(); err != nil {
			t.Fatalf("%v: %v", args[:2], err)
		}
	}
	move := func(key string) {
		t.Helper()
		host, port, _ := strings.Cut(to.Options().Addr, ":")
		do(from, "migrate", host, port, key, 0, 5000)
	}
	do(to, "cluster", "setslot", slot, "importing", id(from))
	do(from, "cluster", "setslot", slot, "migrating", id(to))
	holds("nothing moved yet", "v1")
	if err := commit("v2", "v1"); err != nil {
		t.Fatalf("nothing moved yet: %v", err)
	}

	move(hash)
	holds("one of two keys moved", "v2")
	if err := commit("v3", "v2"); err == nil || errors.Is(err, mfa.ErrConflict) || !redis.HasErrorPrefix(err, "TRYAGAIN") {
		t.Errorf("one of two keys moved: Commit returned %v, want TRYAGAIN", err)
	}
	holds("one of two keys moved", "v2")

	move(hash + ":drop")
	holds("both keys moved", "v2")
	if err := commit("v3", "v2"); err != nil {
		t.Fatalf("both keys moved: %v", err)
	}
	if err := commit("v4", "v2"); !errors.Is(err, mfa.ErrConflict) {
		t.Errorf("both keys moved: Commit of an old version returned %v, want ErrConflict", err)
	}
	do(to, "cluster", "setslot", slot, "node", id(to))
	do(from, "cluster", "setslot", slot, "node", id(to))
	holds("the slot moved", "v3")
	if err := commit("v4", "v3"); err != nil {
		t.Fatalf("the slot moved: %v", err)
	}
}

// TestClusterDown: when a master is gone, its owners and, as configured by default,
// all others are unavailable, and none looks absent.
func TestClusterDown(t *testing.T) {
	o, nodes := startCluster(t)
	for _, n := range nodes {
		client(t, n.addr).ConfigSet(t.Context(), "cluster-node-timeout", "500")
	}
	o.DialTimeout, o.ReadTimeout = 200*time.Millisecond, 500*time.Millisecond
	s := newStore(t, clusterClient(t, o), redisstore.Options{})
	owners := []string{"u/1", "u/2", "u/3", "u/4", "u/5", "u/6", "u/7", "u/8"}
	for _, owner := range owners {
		if err := s.Commit(t.Context(), write(owner, "k", "", "v1", "")); err != nil {
			t.Fatal(err)
		}
	}
	nodes[0].kill()
	left := client(t, nodes[1].addr)
	until(t, "the cluster is down", func() bool {
		return strings.Contains(left.ClusterInfo(t.Context()).Val(), "cluster_state:fail")
	})
	for _, owner := range owners {
		if r, err := s.Get(t.Context(), mfa.Key{Owner: owner, Kind: "k"}); err == nil {
			t.Errorf("Get returned version %q and no error", r[0].Version)
		}
		if err := s.Commit(t.Context(), write(owner, "k", "", "v2", "")); err == nil || errors.Is(err, mfa.ErrConflict) {
			t.Errorf("Commit returned %v, want an error that is not ErrConflict", err)
		}
	}
	if err := s.Check(t.Context()); err == nil {
		t.Error("Check of a cluster that is down returned nil")
	}
}
