package sqlstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
	"github.com/seed-1320b244/mfa/sqlstore"
)

// A faulty is one database seen twice: by a guard whose way to it fails at random,
// and straight, to see what became of it.
type faulty struct {
	straight, broken *sqlstore.Store
	keys             mfa.Keys
	// How many proofs were accepted, and how many operations failed.
	accepted, failed atomic.Int64
}

func newFaulty(t *testing.T, straight, broken *sqlstore.Store) *faulty {
	t.Helper()
	keys, err := mfa.ParseKeys(mfa.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	return &faulty{straight: straight, broken: broken, keys: keys}
}

// round is three operations over the broken way: two requests with one code, and
// a commit of three records. It checks right away what they left.
func (f *faulty) round(t *testing.T) {
	kit := mfatest.New(t, func(c *mfa.Config) { c.Store, c.Keys = f.straight, f.keys })
	config := kit.Config
	config.Store = f.broken
	guard, err := mfa.New(config)
	if err != nil {
		t.Error(err)
		return
	}
	user := rand.Text()
	kit.Users.Add(mfa.User{ID: user})
	app, _, _ := kit.Enroll(t, user)
	proof := mfa.Proof{Method: mfa.TOTP, Code: app.Code(kit.Clock.Now())}
	var group sync.WaitGroup
	var tokens [2]string
	for i := range tokens {
		flow := kit.SignIn(t, user).Pending.Token()
		group.Go(func() { tokens[i] = f.verify(t, guard, user, flow, proof) })
	}
	group.Wait()
	accepted := 0
	for _, token := range tokens {
		if token == "" {
			continue
		}
		accepted++
		if _, err := kit.Guard.Session(t.Context(), token, mfatest.Laptop()); err != nil {
			t.Errorf("a session that was handed out is not there: %v (%s)", err, mfa.ReasonOf(err))
		}
	}
	p, err := kit.Guard.Pending(t.Context(), kit.SignIn(t, user).Pending.Token(), "", mfatest.Laptop())
	if err != nil {
		t.Error(err)
		return
	}
	switch _, err := p.Verify(t.Context(), proof); {
	case err == nil:
		accepted++
	case mfa.ReasonOf(err) != mfa.ReasonTOTPReused:
		t.Errorf("the code, once more: %v (%s), want it to be used up, or accepted for the first time", err, mfa.ReasonOf(err))
	}
	if accepted > 1 {
		t.Errorf("one code was accepted %d times", accepted)
	}
	f.commit(t)
}

// verify returns the token of the session that a proof led to, "" when it failed.
func (f *faulty) verify(t *testing.T, guard *mfa.Guard, user, flow string, proof mfa.Proof) string {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	p, err := guard.Pending(ctx, flow, "", mfatest.Laptop())
	var out mfa.Outcome
	if err == nil {
		out, err = p.Verify(ctx, proof)
	}
	switch {
	case err == nil:
		f.accepted.Add(1)
		return out.Session.Token()
	case errors.Is(err, mfa.ErrUnavailable):
		f.failed.Add(1)
		for _, secret := range []string{user, flow, proof.Code} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("an error names what is in the store: %v", err)
			}
		}
	case mfa.ReasonOf(err) != mfa.ReasonTOTPReused:
		t.Errorf("Verify: %v (%s)", err, mfa.ReasonOf(err))
	}
	return ""
}

// commit writes three records, which are all there or none, and all when the
// answer says so.
func (f *faulty) commit(t *testing.T) {
	owner := "u/" + rand.Text()
	var keys []mfa.Key
	var writes []mfa.Write
	for _, id := range []string{"1", "2", "3"} {
		k := mfa.Key{Owner: owner, Kind: "k", ID: id}
		keys, writes = append(keys, k), append(writes, create(k, "v1"))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	err := f.broken.Commit(ctx, writes...)
	records, err2 := f.straight.Get(t.Context(), keys...)
	if err2 != nil {
		t.Error(err2)
		return
	}
	n := 0
	for _, r := range records {
		if r.Version != "" {
			n++
		}
	}
	if err == nil && n != 3 || n != 0 && n != 3 {
		t.Errorf("Commit returned %v and %d of 3 records are there", err, n)
	}
	if err != nil {
		f.failed.Add(1)
	}
}

func create(k mfa.Key, version string) mfa.Write {
	return mfa.Write{Record: mfa.Record{Key: k, Version: version, Expires: time.Unix(time.Now().Add(time.Hour).Unix(), 0), Data: []byte("data")}}
}

// rounds plays n rounds, four at a time.
func (f *faulty) rounds(t *testing.T, n int) {
	var group sync.WaitGroup
	var next atomic.Int64
	for range 4 {
		group.Go(func() {
			for next.Add(1) <= int64(n) && !t.Failed() {
				f.round(t)
			}
		})
	}
	group.Wait()
}

// The way to the server is cut, delayed and half-closed at random. Nothing is
// accepted twice, every acknowledged change is there, and nothing is left behind.
func TestFaultsNetwork(t *testing.T) {
	for name, s := range map[string]service{
		"postgres": postgres(),
		"mariadb":  mariadb("timeout=2s"),
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			straight, db := s.store(t)
			var p *proxy
			broken := s.via(t, func(target string) string {
				p = newProxy(t, target)
				return p.listener.Addr().String()
			}).openUnchecked(t)
			f := newFaulty(t, straight, s.on(t, broken))
			f.rounds(t, mfatest.Rounds(10_000)/3)
			t.Logf("%d faults: %d proofs accepted, %d operations failed", p.faults.Load(), f.accepted.Load(), f.failed.Load())
			if p.faults.Load() == 0 || f.failed.Load() == 0 || f.accepted.Load() == 0 {
				t.Error("nothing went wrong, or everything did")
			}
			if n := broken.Stats().InUse; n != 0 {
				t.Errorf("%d connections are still in use", n)
			}
			broken.Close()
			p.close()
			db.Close()
			goleak.VerifyNone(t, before)
		})
	}
}
