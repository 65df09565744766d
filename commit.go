package mfa

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"github.com/seed-1320b244/mfa/internal/keyring"
)

const (
	// maxAttempts bounds how often an operation runs again when others came
	// between. An operation that ends something, or takes from a budget that many
	// share, runs until its context ends.
	maxAttempts = 8
	// commitTimeout bounds a commit and the reading after an unclear one. Neither
	// ends with the request: a client that hangs up after a wrong guess was
	// compared is counted all the same.
	commitTimeout = 5 * time.Second
)

// An attempt loads and decides. It returns the state with what to commit and
// tell, and what to answer once that stands. The refusal of a proof that was
// counted is such an answer; any other error discards what was staged.
type attempt[T any] func(now time.Time) (*state, T, error)

// persistence says how long an operation runs again after conflicts.
type persistence bool

const (
	bounded    persistence = false // maxAttempts times
	untilEnded persistence = true  // as long as the context allows
)

// run carries out one operation: it lets attempt load and decide, commits, and
// tells. When another operation came between, everything runs again from the
// load; that one conditional write is the only synchronization there is.
func run[T any](ctx context.Context, g *Guard, p persistence, try attempt[T]) (T, error) {
	var zero T
	var issued []issue[T]
	var begun *issue[T] // it stands, and there is more to end
	for n := 0; p == untilEnded || n < maxAttempts; n++ {
		if err := pause(ctx, n); err != nil {
			return zero, &unavailable{"wait for other operations", ReasonBusy, err}
		}
		s, answer, refusal := try(g.now())
		if errors.Is(refusal, errChanged) {
			continue
		}
		var writes []Write
		if s != nil && answers(refusal) {
			if begun != nil {
				s.entries, s.events, s.notices = nil, begun.events, begun.notices
			}
			var err error
			if writes, err = s.commit(); err != nil {
				return zero, err
			}
		}
		now := issue[T]{writes: writes, answer: answer, refusal: refusal}
		if s != nil && answers(refusal) {
			now.events, now.notices, now.more = s.events, s.notices, s.more
		}
		if len(writes) == 0 {
			// An earlier attempt may have been applied after all, and be the reason
			// why there is nothing left to do.
			if applied, err := settle(ctx, g, issued); err == nil && applied != nil {
				return applied.told(ctx, g)
			}
			return now.told(ctx, g)
		}
		issued = append(issued[max(0, len(issued)-maxAttempts+1):], now)
		applied, err := &now, g.commit(ctx, writes)
		if err != nil {
			var err2 error
			if applied, err2 = settle(ctx, g, issued); err2 != nil {
				return zero, &unavailable{"read after an unclear commit", ReasonStoreFailed, errors.Join(err, err2)}
			}
		}
		switch {
		case applied != nil && applied.more:
			issued, n, begun = nil, 0, applied // another 64 records to end
		case applied != nil:
			return applied.told(ctx, g)
		case !errors.Is(err, ErrConflict):
			return zero, &unavailable{"commit", ReasonStoreFailed, err}
		}
	}
	return zero, &unavailable{"commit", ReasonBusy, ErrConflict}
}

// pause waits before the n-th attempt, a little and by chance, so that operations
// that keep getting in each other's way come apart: not before the first three,
// then up to 2 ms, doubling to 64 ms.
func pause(ctx context.Context, n int) error {
	if n < 3 || ctx.Err() != nil {
		return ctx.Err()
	}
	var b [8]byte
	rand.Read(b[:])
	longest := uint64(time.Millisecond) << min(n-2, 6)
	t := time.NewTimer(time.Duration(binary.NativeEndian.Uint64(b[:]) % longest))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errChanged makes run load again: somebody else wrote what the attempt had read.
var errChanged = errors.New("mfa: changed while reading")

// issue is one attempt that went to the store.
type issue[T any] struct {
	writes  []Write
	events  []Event
	notices []Message
	answer  T
	refusal error
	more    bool // see state
}

// told reports the events, sends the notices and gives the answer.
func (i *issue[T]) told(ctx context.Context, g *Guard) (T, error) {
	g.report(ctx, i.events...)
	g.notify(ctx, i.notices)
	return i.answer, i.refusal
}

// report gives the events of one operation to the host.
func (g *Guard) report(ctx context.Context, events ...Event) {
	if g.onEvent == nil || len(events) == 0 {
		return
	}
	id := keyring.NewToken("", "").ID
	for _, e := range events {
		e.ID = id
		g.onEvent(context.WithoutCancel(ctx), e)
	}
}

func (g *Guard) commit(ctx context.Context, writes []Write) error {
	if err := CheckWrites(writes); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	return g.store.Commit(ctx, writes...)
}

// settle finds out which of the attempts issued was applied, nil for none. An
// error of a commit does not say that nothing was written, not even ErrConflict:
// a client library that tries again by itself meets its own first write. Versions
// are random, so one that is found was written by exactly that attempt; any
// record of it will do, because others may have been replaced since.
func settle[T any](ctx context.Context, g *Guard, issued []issue[T]) (*issue[T], error) {
	if len(issued) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	var keys []Key
	for _, was := range issued {
		for _, w := range was.writes {
			keys = append(keys, w.Key)
		}
	}
	records, err := g.store.Get(ctx, keys...)
	if err == nil && len(records) != len(keys) {
		err = errors.New("Get returned another number of records than keys")
	}
	if err != nil {
		return nil, err
	}
	for i := range issued {
		for _, w := range issued[i].writes {
			if w.Version != "" && records[0].Version == w.Version {
				return &issued[i], nil
			}
			records = records[1:]
		}
	}
	return nil, nil
}

// seal makes a record: the value as JSON, and a version that authenticates it.
func (g *Guard) seal(k Key, expires time.Time, value any) Record {
	r := Record{Key: k, Data: encode(value)}
	var unix int64
	if !expires.IsZero() {
		r.Expires = seconds(expires)
		unix = r.Expires.Unix()
	}
	r.Version = g.ring.Version(unix, r.Data, k.Owner, k.Kind, k.ID)
	return r
}

// encode returns the JSON of value.
func encode(value any) []byte {
	if own, ok := value.(interface{ encode() []byte }); ok {
		return own.encode()
	}
	data, err := json.Marshal(value)
	if err != nil {
		panic("mfa: " + err.Error()) // only for types that JSON cannot hold
	}
	return data
}

// seconds is t as a store keeps it: whole Unix seconds, UTC.
func seconds(t time.Time) time.Time { return time.Unix(t.Unix(), 0).UTC() }

// open checks that this library wrote r, and as exactly this record, and decodes
// it. A record that fails is refused, never taken for an absent one.
func (g *Guard) open(r Record, into any) error {
	var unix int64
	if !r.Expires.IsZero() {
		unix = r.Expires.Unix()
	}
	bad := func(why Reason, err error) error { return &unavailable{"read a " + r.Kind, why, err} }
	switch err := g.ring.CheckVersion(r.Version, unix, r.Data, r.Owner, r.Kind, r.ID); {
	case errors.Is(err, keyring.ErrUnknownKey):
		return bad(ReasonUnknownKey, err)
	case err != nil:
		return bad(ReasonTampered, err)
	}
	var err error
	if own, ok := into.(interface{ decode([]byte) error }); ok {
		err = own.decode(r.Data)
	} else {
		err = json.Unmarshal(r.Data, into)
	}
	if err != nil {
		return bad(ReasonMalformedRecord, errors.New("not JSON of this library"))
	}
	if v, ok := into.(interface{ version() int }); !ok || v.version() != recordVersion {
		return bad(ReasonNewerRecord, errors.New("written by another version of this library"))
	}
	return nil
}

// get reads records of one owner in one snapshot.
func (g *Guard) get(ctx context.Context, keys ...Key) ([]Record, error) {
	records, err := g.store.Get(ctx, keys...)
	if err != nil {
		return nil, &unavailable{"get records", ReasonStoreFailed, err}
	}
	if len(records) != len(keys) {
		return nil, &unavailable{"get records", ReasonStoreContract, errors.New("another number of records than keys")}
	}
	for i, r := range records {
		if r.Key != keys[i] {
			return nil, &unavailable{"get records", ReasonStoreContract, errors.New("another record than the one asked for")}
		}
		if r.Version == "" && (len(r.Data) > 0 || !r.Expires.IsZero()) {
			// Somebody emptied the version: that does not make the record absent.
			return nil, &unavailable{"get records", ReasonTampered, keyring.ErrForged}
		}
	}
	return records, nil
}
