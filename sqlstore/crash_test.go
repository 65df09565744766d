package sqlstore_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
	"github.com/seed-1320b244/mfa/sqlstore"
)

// A client works until the server is gone, and remembers what it was told.
type client struct {
	kit   *mfatest.Kit
	app   *mfatest.Authenticator
	user  string
	keys  []mfa.Key
	acked int    // the last number that was committed to all keys
	code  string // the last one that was accepted
	token string // of the session it led to
}

func newClient(t *testing.T, store *sqlstore.Store, user string) *client {
	c := &client{kit: mfatest.New(t, func(c *mfa.Config) { c.Store = store }), user: user}
	c.kit.Users.Add(mfa.User{ID: user})
	c.app, _, _ = c.kit.Enroll(t, user)
	for _, id := range []string{"1", "2", "3"} {
		c.keys = append(c.keys, mfa.Key{Owner: "u/chain-" + user, Kind: "k", ID: id})
	}
	return c
}

// work returns when an operation fails.
func (c *client) work(ctx context.Context, store *sqlstore.Store, done *atomic.Int64) {
	for {
		var writes []mfa.Write
		for _, k := range c.keys {
			w := create(k, strconv.Itoa(c.acked+1))
			if c.acked > 0 {
				w.IfVersion = strconv.Itoa(c.acked)
			}
			writes = append(writes, w)
		}
		if store.Commit(ctx, writes...) != nil {
			return
		}
		c.acked++
		out, err := c.kit.Guard.SignIn(ctx, mfa.SignIn{User: c.user, First: mfa.PasswordFirst(), Client: mfatest.Laptop()})
		if err != nil {
			return
		}
		code := c.app.Code(c.kit.Clock.Now())
		if out, err = out.Pending.Verify(ctx, mfa.Proof{Method: mfa.TOTP, Code: code}); err != nil {
			return
		}
		c.code, c.token = code, out.Session.Token()
		c.kit.Clock.Advance(c.app.Period())
		done.Add(1)
	}
}

// check compares what is there with what the client was told.
func (c *client) check(t *testing.T, store *sqlstore.Store) {
	t.Helper()
	records, err := store.Get(t.Context(), c.keys...)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Version != records[0].Version {
			t.Errorf("one commit is there in part: versions %s and %s", records[0].Version, r.Version)
		}
	}
	n, _ := strconv.Atoi(records[0].Version)
	if n != c.acked && n != c.acked+1 {
		t.Errorf("commit %d was acknowledged, %d is there", c.acked, n)
	}
	c.acked = n
	if c.token == "" {
		t.Fatal("no code was accepted before the crash")
	}
	if _, err := c.kit.Guard.Session(t.Context(), c.token, mfatest.Laptop()); err != nil {
		t.Errorf("a session that was handed out is not there: %v (%s)", err, mfa.ReasonOf(err))
	}
	// The code's own time step, so that only its use speaks against it.
	c.kit.Clock.Advance(-c.app.Period())
	defer c.kit.Clock.Advance(2 * c.app.Period())
	p := c.kit.SignIn(t, c.user).Pending
	if _, err := p.Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: c.code}); mfa.ReasonOf(err) != mfa.ReasonTOTPReused {
		t.Errorf("a code that was accepted before the crash, once more: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// The server is killed while clients work, and started again: what was
// acknowledged is there, whole, and what was used is used.
func TestFaultsCrash(t *testing.T) {
	server := newPostgres(t)
	s := server.postgres()
	db := s.open(t)
	if err := sqlstore.Migrate(t.Context(), db, s.dialect, s.prefix); err != nil {
		t.Fatal(err)
	}
	store := s.on(t, db)
	if err := store.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	var clients []*client
	for i := range 4 {
		clients = append(clients, newClient(t, store, "user-"+strconv.Itoa(i)))
	}
	for range 3 {
		var group sync.WaitGroup
		var done atomic.Int64
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		for _, c := range clients {
			group.Go(func() { c.work(ctx, store, &done) })
		}
		for tick := time.NewTicker(time.Millisecond); done.Load() < 60 && ctx.Err() == nil; <-tick.C {
		}
		if err := server.cmd.Process.Kill(); err != nil { // SIGKILL
			t.Fatal(err)
		}
		group.Wait()
		cancel()
		server.start(t)
		for _, c := range clients {
			c.check(t, store)
		}
		if n := db.Stats().InUse; n != 0 {
			t.Errorf("%d connections are still in use", n)
		}
	}
}

// A full disk refuses, keeps what is there, takes nothing in part, and is over
// when there is room again.
func TestFaultsDiskFull(t *testing.T) {
	s := sqliteFile(t)
	roomy, _ := s.store(t)
	full := s.with("_pragma=max_page_count(300)")
	store := s.on(t, full.open(t))
	data := []byte(strings.Repeat("x", 40<<10))
	var kept []mfa.Write
	var err error
	var writes []mfa.Write
	for i := 0; err == nil && i < 100; i++ {
		kept = append(kept, writes...)
		writes = nil
		for _, id := range []string{"1", "2", "3"} {
			w := create(mfa.Key{Owner: "u/" + strconv.Itoa(i), Kind: "k", ID: id}, "v")
			w.Data = data
			writes = append(writes, w)
		}
		err = store.Commit(t.Context(), writes...)
	}
	if err == nil || isConflict(err) || !strings.Contains(err.Error(), "full") {
		t.Fatalf("Commit on a full disk: %v", err)
	}
	for _, store := range []*sqlstore.Store{store, roomy} {
		for _, w := range kept {
			if r, err := store.Get(t.Context(), w.Key); err != nil || len(r[0].Data) != len(data) {
				t.Errorf("what was there before: %v", err)
			}
		}
		if r, err := store.List(t.Context(), writes[0].Owner); err != nil || len(r) != 0 {
			t.Errorf("of the commit that failed %d records are there, %v", len(r), err)
		}
	}
	if err := roomy.Commit(t.Context(), writes...); err != nil {
		t.Errorf("the same commit where there is room: %v", err)
	}
	if err := store.Commit(t.Context(), mfa.Write{Record: mfa.Record{Key: kept[0].Key}, IfVersion: "v"}); err != nil {
		t.Errorf("making room: %v", err)
	}
}
