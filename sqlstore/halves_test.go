package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
	"github.com/seed-1320b244/mfa/sqlstore"
)

// change replaces version old of a record by next.
func change(k mfa.Key, old, next string) mfa.Write {
	w := create(k, next)
	w.IfVersion = old
	return w
}

func end(k mfa.Key, old string) mfa.Write {
	return mfa.Write{Record: mfa.Record{Key: k}, IfVersion: old}
}

// Of a commit whose conditions hold only in part nothing stays, whichever it is
// that does not.
func TestNoHalfCommit(t *testing.T) {
	everywhere(t, func(t *testing.T, s service) {
		store, db := s.store(t)
		at := func(kind string) mfa.Key { return mfa.Key{Owner: "u/ada", Kind: kind} }
		account, a, b, none := at("account"), at("a"), at("b"), at("none")
		if err := store.Commit(t.Context(), create(account, "1"), create(a, "1"), create(b, "1")); err != nil {
			t.Fatal(err)
		}
		all := "SELECT owner, kind, id, version, expires, data FROM " + s.table() + " ORDER BY owner, kind, id"
		before := rows(t, db, all)
		first := change(account, "1", "2")
		for _, tc := range []struct {
			name   string
			writes []mfa.Write
		}{
			{"another version", []mfa.Write{first, change(a, "0", "2")}},
			{"another version, and one more", []mfa.Write{first, change(a, "0", "2"), change(b, "1", "2")}},
			{"one more, and another version", []mfa.Write{first, change(a, "1", "2"), change(b, "0", "2")}},
			{"the version that it is to have", []mfa.Write{first, change(a, "0", "1")}},
			{"is not there", []mfa.Write{first, change(none, "1", "2")}},
			{"is not there, before a new one", []mfa.Write{first, change(none, "1", "2"), create(at("new"), "1")}},
			{"is there already", []mfa.Write{first, create(a, "2")}},
			{"is there already, and the same", []mfa.Write{first, create(a, "1")}},
			{"is there already, after a new one", []mfa.Write{first, create(at("aa"), "1"), create(b, "1")}},
			{"only new ones, the first there already", []mfa.Write{create(a, "1"), create(at("new"), "1")}},
			{"only new ones, the last there already", []mfa.Write{create(at("aa"), "1"), create(b, "1")}},
			{"ends another version", []mfa.Write{first, end(a, "0")}},
			{"ends what is not there", []mfa.Write{first, end(none, "1")}},
			{"ends one, then what is not there", []mfa.Write{end(a, "1"), end(none, "1")}},
			{"ends what is not there, then one", []mfa.Write{end(at("aa"), "1"), end(b, "1")}},
			{"ends one, and makes one that is there", []mfa.Write{end(a, "1"), create(b, "2")}},
			{"the first", []mfa.Write{change(account, "0", "2"), change(a, "1", "2"), end(b, "1"), create(at("new"), "1")}},
		} {
			if err := store.Commit(t.Context(), tc.writes...); !isConflict(err) {
				t.Errorf("%s: %v, want ErrConflict", tc.name, err)
			}
			if after := rows(t, db, all); after != before {
				t.Fatalf("%s: there was\n%sand now is\n%s", tc.name, before, after)
			}
		}
		if err := store.Commit(t.Context(), first, end(a, "1"), change(b, "1", "1"), create(at("new"), "1")); err != nil {
			t.Errorf("a commit whose conditions hold: %v", err)
		}
		if err := store.Commit(t.Context(), end(account, "2"), end(b, "1"), end(at("new"), "1")); err != nil {
			t.Errorf("a commit that only ends: %v", err)
		}
	})
}

// Many write an account and another record with one commit while others write that
// record alone, so that the account's condition often holds and the other's does
// not. Nobody ever counts one of the two up without the other.
func TestNoHalfCommitRaces(t *testing.T) {
	for name, s := range map[string]service{
		"postgres":                 postgres(),
		"postgres-repeatable-read": postgres("default_transaction_isolation=repeatable%20read"),
		"postgres-serializable":    postgres("default_transaction_isolation=serializable"),
		"mariadb":                  mariadb(),
		"mariadb-read-committed":   mariadb("interpolateParams=true", "clientFoundRows=true", "tx_isolation=%27READ-COMMITTED%27"),
		"sqlite":                   sqliteFile(t),
	} {
		t.Run(name, func(t *testing.T) {
			store, _ := s.store(t)
			c := counters{store: store, account: mfa.Key{Owner: "u/ada", Kind: "account"}, other: mfa.Key{Owner: "u/ada", Kind: "k"}}
			if err := store.Commit(t.Context(), c.write(c.account, "", "0"), c.write(c.other, "", "0")); err != nil {
				t.Fatal(err)
			}
			var group sync.WaitGroup
			for worker := range 8 {
				group.Go(func() {
					for n := range mfatest.Rounds(5000) {
						if err := c.count(t.Context(), worker%2 == 0, fmt.Sprintf("%d-%d", worker, n)); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			t.Logf("%d commits of both, %d of the one, %d lost races", c.won[true], c.won[false], c.lost)
			if c.won[true] == 0 || c.won[false] == 0 || c.lost == 0 {
				t.Error("nothing raced")
			}
			r, err := store.Get(t.Context(), c.account, c.other)
			if want := fmt.Sprint(c.won[true]); err != nil || string(r[0].Data[1:]) != want || string(r[1].Data[1:]) != want {
				t.Errorf("after %s commits of both: %v, %v", want, r, err)
			}
		})
	}
}

type counters struct {
	store          *sqlstore.Store
	account, other mfa.Key

	mu   sync.Mutex
	won  map[bool]int
	lost int
}

// write has the count in the data, behind a byte, and in the version that nobody
// else writes.
func (c *counters) write(k mfa.Key, old, version string) mfa.Write {
	w := change(k, old, version)
	w.Data = []byte("=0")
	return w
}

// count reads both records, and writes both with the count one higher, or the
// other one with the count that it has.
func (c *counters) count(ctx context.Context, both bool, version string) error {
	r, err := c.store.Get(ctx, c.account, c.other)
	if err != nil {
		return err
	}
	if string(r[0].Data) != string(r[1].Data) {
		return fmt.Errorf("one half of a commit: %s and %s", r[0].Data, r[1].Data)
	}
	var n int
	if _, err := fmt.Sscanf(string(r[0].Data), "=%d", &n); err != nil {
		return err
	}
	writes := []mfa.Write{c.write(c.other, r[1].Version, version)}
	if both {
		n++
		writes = append(writes, c.write(c.account, r[0].Version, version))
	}
	for i := range writes {
		writes[i].Data = fmt.Appendf(nil, "=%d", n)
	}
	err = c.store.Commit(ctx, writes...)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		if c.won == nil {
			c.won = make(map[bool]int)
		}
		c.won[both]++
	case isConflict(err):
		c.lost++
	default:
		return err
	}
	return nil
}

// A commit locks the records that it writes and nothing else: no row of another
// user, and no place where one may come to be.
func TestLocksOwnRows(t *testing.T) {
	for _, isolation := range []string{"READ-COMMITTED", "REPEATABLE-READ"} {
		for _, users := range []int{1, 2, 10, 10_000} {
			for _, analyzed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d/%t", isolation, users, analyzed), func(t *testing.T) {
					s := mariadb("tx_isolation=%27" + isolation + "%27")
					store, db := s.store(t)
					fill(t, s, db, users)
					if analyzed {
						rows(t, db, "ANALYZE TABLE "+s.table())
					}
					locksOwnRows(t, s, store, db, users)
				})
			}
		}
	}
}

func ownerOf(i int) string { return fmt.Sprintf("u/%06d", i) }

// fill gives each of n users an account and a flow.
func fill(t *testing.T, s service, db *sql.DB, n int) {
	t.Helper()
	for from := 0; from < n; from += 1000 {
		var values []string
		for i := from; i < min(n, from+1000); i++ {
			for _, kind := range []string{"account", "pending"} {
				values = append(values, fmt.Sprintf("('%s', '%s', '', '1', %d, 'data')", ownerOf(i), kind, 1000+i))
			}
		}
		execute(t, db, "INSERT INTO "+s.table()+" VALUES "+strings.Join(values, ", "))
	}
}

// locksOwnRows has a commit of the user in the middle wait for its last record, and
// looks for what it holds meanwhile.
func locksOwnRows(t *testing.T, s service, store *sqlstore.Store, db *sql.DB, users int) {
	t.Helper()
	me := ownerOf(users / 2)
	blocker, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer blocker.Rollback()
	if _, err := blocker.ExecContext(t.Context(), "INSERT INTO "+s.table()+" VALUES (?, 'session', 's', '1', 5000, 'data')", me); err != nil {
		t.Fatal(err)
	}
	account, flow := mfa.Key{Owner: me, Kind: "account"}, mfa.Key{Owner: me, Kind: "pending"}
	done := make(chan error, 1)
	go func() {
		done <- store.Commit(t.Context(), change(account, "1", "2"), change(flow, "1", "2"), create(mfa.Key{Owner: me, Kind: "session", ID: "s"}, "1"))
	}()
	other := s.with("innodb_lock_wait_timeout=1").open(t)
	probe := "SELECT count(*) FROM (SELECT 1 FROM " + s.table() + " WHERE owner %s ? AND kind <> 'session' FOR UPDATE SKIP LOCKED) AS free"
	for rows(t, other, fmt.Sprintf(probe, "="), me) != "0\n" { // until the commit has come to the record that it waits for
		if len(done) > 0 {
			t.Fatalf("the commit did not wait: %v", <-done)
		}
	}
	if got := rows(t, other, fmt.Sprintf(probe, "<>"), me); got != fmt.Sprintf("%d\n", 2*users-1) { // one row is the schema's
		t.Errorf("%s rows of others are free, want %d", got, 2*users-1)
	}
	var places []string
	if users <= 10 { // where a page splits, which a table of one does not, InnoDB locks the place of a locked row
		places = []string{
			fmt.Sprintf("'%s', 'zzz', ''", ownerOf(users/2-1)), fmt.Sprintf("'%s', 'aaa', ''", me), fmt.Sprintf("'%s', 'browser', ''", me),
			fmt.Sprintf("'%s', 'zzz', ''", me), fmt.Sprintf("'%s', 'aaa', ''", ownerOf(users/2+1)),
		}
	}
	for _, key := range places {
		if _, err := other.Exec("INSERT INTO " + s.table() + " VALUES (" + key + ", '1', 1000, 'data')"); err != nil {
			t.Errorf("a new record %s: %v", key, err)
		}
	}
	if err := blocker.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("the commit: %v", err)
	}
}

// A commit on SQLite that waits for another one of the same Store gives up when its
// context ends, though the other still waits for a third.
func TestCommitTurn(t *testing.T) {
	s := sqliteFile(t)
	store, _ := s.store(t)
	k := mfa.Key{Owner: "u/ada", Kind: "k", ID: "held"}
	if err := store.Commit(t.Context(), create(k, "1")); err != nil {
		t.Fatal(err)
	}
	release := hold(t, s, k)
	first := make(chan error, 1)
	go func() {
		first <- store.Commit(t.Context(), change(k, "1", "2"), create(mfa.Key{Owner: "u/ada", Kind: "a"}, "1"))
	}()
	for !store.Busy() && len(first) == 0 {
		runtime.Gosched()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	second := store.Commit(ctx, create(mfa.Key{Owner: "u/eve", Kind: "a"}, "1"))
	_, sweep := store.Sweep(ctx, time.Unix(1, 0), 1)
	if !errors.Is(second, context.DeadlineExceeded) || !errors.Is(sweep, context.DeadlineExceeded) || isConflict(second) {
		t.Errorf("Commit and Sweep while another commit waits: %v and %v, want the context's error", second, sweep)
	}
	if !store.Busy() {
		t.Error("a commit that waits for the database let another have its turn")
	}
	release()
	if err := <-first; err != nil {
		t.Errorf("the commit that waited: %v", err)
	}
}
