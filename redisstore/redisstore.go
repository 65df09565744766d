// Package redisstore keeps the records of package mfa in Redis or Valkey, on one
// server, behind Sentinel or on a Cluster, through go-redis.
//
// All records of an owner are the fields of one hash, whose name has the owner as
// its hash tag. So a Get of one key is one HGET, of several keys of an owner one
// HMGET, and a List one HGETALL: one command, and with that one snapshot. A Commit
// is one script. A sorted set beside the hash says when each record may be
// dropped; no other key is touched, and nothing ever scans the key space.
//
// # What expires
//
// The server drops the hash of an owner 24 hours after the last of its records
// was over, by its own clock. Where a record has no Expires (a user's account),
// the hash stays, and every Commit to the owner drops what was over for 24 hours.
// A Store is therefore no mfa.Sweeper and needs no sweeping: what is over waits
// for the next Commit, and a user has a bounded number of such records.
//
// # What a failover can undo
//
// Redis replicates asynchronously. A replica that is promoted may lack the last
// commits, however the primary persisted them: then a session that was revoked is
// alive again, a code that was used is accepted once more, wrong guesses are not
// counted. So does a server that restarts with less than it had acknowledged:
//
//   - appendonly yes, appendfsync always: loses nothing that was acknowledged.
//   - appendfsync everysec, the default: about a second when the machine goes down.
//   - snapshots alone (save): everything since the last one, often minutes.
//
// After any of these set mfa.Config.NotBefore to the time of the failover: it
// refuses all sessions and flows that began before. Two settings of the server
// narrow the gap: min-replicas-to-write and min-replicas-max-lag stop a primary
// that lost its replicas, and cluster-node-timeout bounds how long one that was cut
// off still answers reads. Waiting for replicas (WAIT) in each Commit is not
// offered. It does not keep a replica that lacks the commit from being promoted,
// and when it times out the commit stands all the same. Where no acknowledged
// commit may ever be lost, use a database with synchronous replication.
package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-1320b244/mfa"
)

// Options is what New may be told. The zero Options is fine.
type Options struct {
	// Prefix begins the name of every key. At most 40 of A-Z, a-z, 0-9 and . : _ -.
	// Zero: DefaultPrefix.
	Prefix string
	// AssumePersistence says that the server persists what it is told. Check needs
	// it where persistence is off or unseen in INFO and CONFIG is forbidden, as
	// managed servers do. Where Check can see, it looks and ignores this. Zero:
	// what Check cannot see it reports.
	AssumePersistence bool
	// InsecureEviction has Check accept a maxmemory-policy other than noeviction.
	// Whoever can make such a server fill its memory, by asking for many sign-ins,
	// makes it forget accounts: a user with two factors then looks like one who
	// never had any. Default false.
	InsecureEviction bool
	// InsecureNoPersistence has Check accept a server that writes nothing to disk:
	// for tests and development. After a restart every user looks like one who
	// never had a second factor. Default false.
	InsecureNoPersistence bool
	// Now is the clock that Check compares the server's with, the one that
	// mfa.Config.Now is. Nothing else here needs a clock. Nil: time.Now.
	Now func() time.Time
}

// DefaultPrefix begins the names of keys where no other is given.
const DefaultPrefix = "mfa:"

// A Store is a mfa.Store. It is safe for concurrent use, starts no goroutine and
// keeps nothing in memory.
type Store struct {
	client  redis.UniversalClient // a *redis.Client or a *redis.ClusterClient
	options Options
}

var _ mfa.Store = (*Store)(nil)

// New returns a store on client: a *redis.Client, also one of Sentinel, or a
// *redis.ClusterClient. It does not touch the server; Check does. The host makes
// client and closes it.
//
// New refuses a client that is not set up for it, naming every fault:
//
//   - MaxRetries must be off, which is -1 (0 is three retries, except for
//     ClusterOptions): the library finds out by itself what became of a commit.
//   - ContextTimeoutEnabled must be true: a request whose time is up would wait
//     for a server that hangs until ReadTimeout.
//   - ReadOnly, RouteByLatency and RouteRandomly, which read from replicas, and
//     client-side caching must be off: a revoked session would live on.
//
// MaxRedirects of a Cluster client stays as it is. It follows a slot that moved;
// a commit that may have been applied is not sent again.
func New(client redis.UniversalClient, o Options) (*Store, error) {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	problems := []error{checkPrefix(o.Prefix)}
	need := func(fine bool, what string) {
		if !fine {
			problems = append(problems, errors.New("redisstore: "+what))
		}
	}
	const retries = "the client's MaxRetries is not off: set it to -1"
	const timeout = "the client's ContextTimeoutEnabled is not set"
	switch c := client.(type) {
	case *redis.Client:
		if c == nil {
			return nil, errors.New("redisstore: no client")
		}
		set := c.Options()
		need(set.MaxRetries <= 0, retries) // resolved: -1 is 0 here
		need(set.ContextTimeoutEnabled, timeout)
		need(set.ClientSideCacheConfig == nil && set.ClientSideCache == nil, "the client caches: unset ClientSideCache and ClientSideCacheConfig")
	case *redis.ClusterClient:
		if c == nil {
			return nil, errors.New("redisstore: no client")
		}
		set := c.Options()
		need(set.MaxRetries <= 0, retries)
		need(set.ContextTimeoutEnabled, timeout)
		need(!set.ReadOnly && !set.RouteByLatency && !set.RouteRandomly, "the client reads from replicas: unset ReadOnly, RouteByLatency and RouteRandomly")
	default: // a Ring forgets an owner when a shard is down, an AutoPipeliner sends again
		return nil, fmt.Errorf("redisstore: a %T is neither a *redis.Client nor a *redis.ClusterClient", client)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return &Store{client, o}, nil
}

// Get implements mfa.Store. The keys of each owner are one command; the commands
// for several owners are one pipeline, on a Cluster one to each server.
func (s *Store) Get(ctx context.Context, keys ...mfa.Key) ([]mfa.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, failed(ctx, "get", err)
	}
	records := make([]mfa.Record, len(keys))
	for i, k := range keys {
		records[i].Key = k
	}
	var err error
	switch len(keys) {
	case 0:
	case 1: // every request
		err = s.getOne(ctx, &records[0])
	default:
		err = s.getAll(ctx, records)
	}
	if err != nil {
		return nil, failed(ctx, "get", err)
	}
	return records, nil
}

func (s *Store) getOne(ctx context.Context, r *mfa.Record) error {
	value, err := s.client.HGet(ctx, s.hash(r.Owner), field(r.Key)).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return err
	}
	return decode(value, r)
}

// getAll fills in the records of several keys.
func (s *Store) getAll(ctx context.Context, records []mfa.Record) error {
	var owners []string
	fields, places := make(map[string][]string), make(map[string][]int)
	for i, r := range records {
		if places[r.Owner] == nil {
			owners = append(owners, r.Owner)
		}
		fields[r.Owner] = append(fields[r.Owner], field(r.Key))
		places[r.Owner] = append(places[r.Owner], i)
	}
	answers := make([]*redis.SliceCmd, len(owners))
	ask := func(c redis.Cmdable) {
		for i, o := range owners {
			answers[i] = c.HMGet(ctx, s.hash(o), fields[o]...)
		}
	}
	if len(owners) == 1 {
		ask(s.client)
	} else if _, err := s.client.Pipelined(ctx, func(p redis.Pipeliner) error { ask(p); return nil }); err != nil {
		return err
	}
	for i, o := range owners {
		values, err := answers[i].Result()
		if err != nil {
			return err
		}
		if len(values) != len(places[o]) {
			return errMalformed
		}
		for n, v := range values {
			switch v := v.(type) {
			case nil:
			case string:
				if err := decode(v, &records[places[o][n]]); err != nil {
					return err
				}
			default:
				return errMalformed
			}
		}
	}
	return nil
}

// List implements mfa.Store. It reads all of the owner's records, of which there
// are few, and leaves out the other kinds.
func (s *Store) List(ctx context.Context, owner string, kinds ...string) ([]mfa.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, failed(ctx, "list", err)
	}
	all, err := s.client.HGetAll(ctx, s.hash(owner)).Result()
	if err != nil {
		return nil, failed(ctx, "list", err)
	}
	records := make([]mfa.Record, 0, len(all))
	for f, value := range all {
		k, ok := parseField(owner, f)
		if !ok {
			return nil, failed(ctx, "list", errMalformed)
		}
		if len(kinds) > 0 && !slices.Contains(kinds, k.Kind) {
			continue
		}
		r := mfa.Record{Key: k}
		if err := decode(value, &r); err != nil {
			return nil, failed(ctx, "list", err)
		}
		records = append(records, r)
	}
	return records, nil
}
