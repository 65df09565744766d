package mfa

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/seed-1320b244/mfa/internal/keyring"
)

const (
	// maxAttempts bounds how often an operation runs again when others came
	// between. An operation that ends something runs until its context ends.
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
	for n := 0; p == untilEnded || n < maxAttempts; n++ {
		if err := ctx.Err(); err != nil {
			return zero, &unavailable{"wait for other operations", ReasonBusy, err}
		}
		s, answer, refusal := try(g.now())
		if errors.Is(refusal, errChanged) {
			continue
		}
		if s == nil || !answers(refusal) {
			return zero, refusal
		}
		writes, err := s.commit()
		if err != nil {
			return zero, err
		}
		now := issue[T]{writes, s.events, answer, refusal}
		if len(writes) == 0 {
			return now.told(ctx, g)
		}
		issued = append(issued, now)
		err = g.commit(ctx, writes)
		if err == nil {
			return now.told(ctx, g)
		}
		applied, err2 := settle(ctx, g, issued)
		switch {
		case err2 != nil:
			return zero, &unavailable{"read after an unclear commit", ReasonStoreFailed, errors.Join(err, err2)}
		case applied != nil:
			return applied.told(ctx, g)
		case !errors.Is(err, ErrConflict):
			return zero, &unavailable{"commit", ReasonStoreFailed, err}
		}
	}
	return zero, &unavailable{"commit", ReasonBusy, ErrConflict}
}

// issue is one attempt that went to the store.
type issue[T any] struct {
	writes  []Write
	events  []Event
	answer  T
	refusal error
}

// told reports the events and gives the answer.
func (i *issue[T]) told(ctx context.Context, g *Guard) (T, error) {
	if g.onEvent != nil && len(i.events) > 0 {
		id := keyring.NewToken("", "").ID
		for _, e := range i.events {
			e.ID = id
			g.onEvent(context.WithoutCancel(ctx), e)
		}
	}
	return i.answer, i.refusal
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
// are random, so one that is found was written by exactly that attempt.
func settle[T any](ctx context.Context, g *Guard, issued []issue[T]) (*issue[T], error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	keys := make([]Key, len(issued))
	for i, was := range issued {
		w := was.witness()
		keys[i] = w.Key
	}
	records, err := g.store.Get(ctx, keys...)
	if err == nil && len(records) != len(keys) {
		err = errors.New("Get returned another number of records than keys")
	}
	if err != nil {
		return nil, err
	}
	for i := range issued {
		if w := issued[i].witness(); w.Version != "" && records[i].Version == w.Version {
			return &issued[i], nil
		}
	}
	return nil, nil
}

// witness returns the write whose version tells that an attempt was applied: the
// account where it is among them, for no other operation replaces it unseen.
func (i *issue[T]) witness() Write {
	w := i.writes[0]
	for _, other := range i.writes {
		if len(other.Data) > 0 && (len(w.Data) == 0 || other.Kind == kindAccount) {
			w = other
		}
	}
	return w
}

// seal makes a record: the value as JSON, and a version that authenticates it.
func (g *Guard) seal(k Key, expires time.Time, value any) Record {
	data, err := json.Marshal(value)
	if err != nil {
		panic("mfa: " + err.Error()) // only for types that JSON cannot hold
	}
	r := Record{Key: k, Data: data}
	var unix int64
	if !expires.IsZero() {
		r.Expires = time.Unix(expires.Unix(), 0).UTC()
		unix = r.Expires.Unix()
	}
	r.Version = g.ring.Version(unix, data, k.Owner, k.Kind, k.ID)
	return r
}

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
	if err := json.Unmarshal(r.Data, into); err != nil {
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
