package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-1320b244/mfa"
)

// maxSkew is how far the clocks of this process and of the server may differ: as far
// as sqlstore's Check lets them.
const maxSkew = time.Minute

// Check reports everything about the server that breaks the contract of mfa.Store
// or will: one that evicts keys when memory is short, that keeps nothing on disk,
// that is a replica, whose clock is more than a minute off, or that does not let this
// client run its commands. On a
// Cluster it looks at every master. It writes a record of an owner of its own and
// deletes it. Call it once when the program starts, and do not serve when it
// returns an error.
//
// It sees what is set now, on the servers that are masters now: configure replicas
// alike.
func (s *Store) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return failed(ctx, "check", err)
	}
	var problems []error
	switch c := s.client.(type) {
	case *redis.Client:
		problems = s.checkServer(ctx, c, false)
	case *redis.ClusterClient:
		var mu sync.Mutex
		err := c.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			found := s.checkServer(ctx, node, true)
			mu.Lock()
			defer mu.Unlock()
			for _, p := range found {
				problems = append(problems, fmt.Errorf("%s: %w", node.Options().Addr, p))
			}
			return nil
		})
		if err != nil {
			problems = append(problems, plain(err))
		}
	}
	if len(problems) == 0 {
		if err := s.probe(ctx); err != nil {
			problems = append(problems, err)
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("redisstore: check: %w", errors.Join(problems...))
	}
	return nil
}

// checkServer looks at the settings of one server.
func (s *Store) checkServer(ctx context.Context, c *redis.Client, cluster bool) (problems []error) {
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	text, err := c.Info(ctx).Result()
	if err != nil {
		bad("INFO cannot be read: %w", plain(err))
		return problems
	}
	info := parseInfo(text)
	if role := info["role"]; role != "master" {
		bad("the server is a %s: connect to the primary", role)
	}
	if !cluster && info["redis_mode"] == "cluster" {
		bad("the server is a part of a Cluster: use a *redis.ClusterClient")
	}
	switch policy := info["maxmemory_policy"]; {
	case policy == "noeviction" || s.options.InsecureEviction:
	case policy == "":
		bad("INFO does not tell maxmemory_policy: nothing says that the server does not evict")
	default:
		bad("maxmemory-policy is %s: the server would drop accounts when memory is short; set noeviction", policy)
	}
	if err := s.checkPersistence(ctx, c, info); err != nil {
		problems = append(problems, err)
	}
	if err := s.checkClock(ctx, c); err != nil {
		problems = append(problems, err)
	}
	return problems
}

// checkClock compares the server's clock with this process's. The server drops by its
// own what was over for a day by the process's.
func (s *Store) checkClock(ctx context.Context, c *redis.Client) error {
	before := s.options.Now()
	server, err := c.Time(ctx).Result()
	if err != nil {
		return fmt.Errorf("the server's clock cannot be read: %w", plain(err))
	}
	trip := s.options.Now().Sub(before)
	if skew := server.Sub(before.Add(trip / 2)); skew.Abs() > maxSkew+trip/2 {
		return fmt.Errorf("the clocks of this process and of the server are %v apart: codes and expiries go by this process's", skew.Abs().Round(time.Second))
	}
	return nil
}

func (s *Store) checkPersistence(ctx context.Context, c *redis.Client, info map[string]string) error {
	if info["aof_enabled"] == "1" || s.options.InsecureNoPersistence {
		return nil
	}
	save, err := c.ConfigGet(ctx, "save").Result()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && save["save"] != "":
		return nil
	case err == nil:
		return errors.New("the server keeps nothing on disk: set appendonly yes (and appendfsync always)")
	case s.options.AssumePersistence:
		return nil
	}
	return fmt.Errorf("appendonly is off, and the server does not tell whether it saves snapshots: "+
		"look it up and set Options.AssumePersistence: %w", plain(err))
}

// parseInfo returns the lines of INFO.
func parseInfo(text string) map[string]string {
	info := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); ok {
			info[name] = value
		}
	}
	return info
}

// probe runs the commands that a Commit can run, so that one which this client may
// not run is missed here and not in the middle of a commit.
func (s *Store) probe(ctx context.Context) error {
	record := func(id string, expires time.Time) mfa.Write {
		return mfa.Write{Record: mfa.Record{
			Key:     mfa.Key{Owner: "check/" + rand.Text(), Kind: "probe", ID: id},
			Version: rand.Text(), Expires: expires, Data: []byte("probe"),
		}}
	}
	lasting := record("lasting", time.Time{})
	over := record("over", time.Unix(1, 0)) // dropped by the commit that writes it
	later := record("later", time.Now())    // expires with its owner in a day, should the rest fail
	over.Owner, later.Owner = lasting.Owner, lasting.Owner
	remove := func(w mfa.Write) mfa.Write {
		return mfa.Write{Record: mfa.Record{Key: w.Key}, IfVersion: w.Version}
	}
	for _, writes := range [][]mfa.Write{{later, over}, {lasting}, {remove(lasting)}, {remove(later)}} {
		if err := s.Commit(ctx, writes...); err != nil {
			return fmt.Errorf("a record cannot be written: %w", err)
		}
	}
	left, err := s.List(ctx, lasting.Owner)
	if err == nil && len(left) > 0 {
		err = errors.New("a record that was deleted is still there")
	}
	if err == nil {
		_, err = s.Get(ctx, lasting.Key, later.Key) // HMGET, HGET
	}
	if err == nil {
		_, err = s.Get(ctx, lasting.Key)
	}
	return err
}
