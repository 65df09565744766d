package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/sqlstore"
)

// hold locks what holds a record, or all of SQLite, until the returned function
// is called.
func hold(t *testing.T, s service, k mfa.Key) (release func()) {
	t.Helper()
	c, err := s.open(t).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	begin := "BEGIN"
	if s.dialect == sqlstore.SQLite {
		begin = "BEGIN IMMEDIATE"
	}
	for _, text := range []string{begin, "UPDATE " + s.table() + " SET expires = expires + 1 WHERE id = '" + k.ID + "'"} {
		if _, err := c.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if _, err := c.ExecContext(t.Context(), "ROLLBACK"); err != nil {
			t.Error(err)
		}
		c.Close()
	}
}

// patient returns the database with a short wait for locks.
func patient(s service) service {
	switch s.dialect {
	case sqlstore.PostgreSQL:
		return s.with("lock_timeout=50")
	case sqlstore.MySQL:
		return s.with("innodb_lock_wait_timeout=1")
	default:
		s.dsn = strings.Replace(s.dsn, "busy_timeout(10000)", "busy_timeout(50)", 1)
		return s
	}
}

// A commit that waits for a lock in vain conflicts with whoever holds it, and a
// commit whose context ends while it waits returns the context's error. Neither
// leaves anything behind.
func TestCommitWaits(t *testing.T) {
	everywhere(t, func(t *testing.T, s service) {
		store, _ := s.store(t)
		for _, name := range []string{"one", "several"} {
			t.Run(name, func(t *testing.T) {
				k := mfa.Key{Owner: "u/ada", Kind: "k", ID: "held-" + name}
				other := mfa.Key{Owner: "u/ada", Kind: "a", ID: "other"}
				if err := store.Commit(t.Context(), create(k, "1")); err != nil {
					t.Fatal(err)
				}
				next := create(k, "2")
				next.IfVersion = "1"
				writes := []mfa.Write{next}
				if name == "several" {
					writes = append(writes, create(other, "1"))
				}
				release := hold(t, s, k)
				impatient := patient(s).open(t)
				if err := patient(s).on(t, impatient).Commit(t.Context(), writes...); !isConflict(err) {
					t.Errorf("Commit on a record that is locked: %v, want ErrConflict", err)
				}
				busy := s // SQLite does not look at the context while it waits
				busy.dsn = strings.Replace(s.dsn, "busy_timeout(10000)", "busy_timeout(500)", 1)
				db := busy.open(t)
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				if err := busy.on(t, db).Commit(ctx, writes...); !errors.Is(err, context.DeadlineExceeded) || isConflict(err) {
					t.Errorf("Commit with a context that ends: %v, want its error", err)
				}
				release()
				for _, db := range []interface{ Close() error }{impatient, db} {
					db.Close() // ends what it may have left open
				}
				// A server may go on with a statement whose client is gone: the answer
				// left open whether it would. In part it never does.
				r, err := store.Get(t.Context(), k, other)
				if err != nil {
					t.Fatal(err)
				}
				late := r[0].Version == "2"
				if r[0].Version != "1" && !late || (r[1].Version != "") != (late && name == "several") {
					t.Errorf("afterwards there are versions %q and %q", r[0].Version, r[1].Version)
				}
				if err := store.Commit(t.Context(), create(mfa.Key{Owner: "u/ada", Kind: "k", ID: "after-" + name}, "1")); err != nil {
					t.Errorf("Commit afterwards: %v", err)
				}
			})
		}
	})
}

// A record replaced by itself is replaced, though MySQL says that nothing changed.
func TestReplaceByItself(t *testing.T) {
	everywhere(t, func(t *testing.T, s service) {
		store, _ := s.store(t)
		a, b := create(mfa.Key{Owner: "u/ada", Kind: "k", ID: "a"}, "1"), create(mfa.Key{Owner: "u/ada", Kind: "k", ID: "b"}, "1")
		if err := store.Commit(t.Context(), a, b); err != nil {
			t.Fatal(err)
		}
		a.IfVersion, b.IfVersion = "1", "1"
		for _, writes := range [][]mfa.Write{{a}, {a, b}} {
			if err := store.Commit(t.Context(), writes...); err != nil {
				t.Errorf("%d records: %v", len(writes), err)
			}
		}
		a.Data = []byte("other data")
		if err := store.Commit(t.Context(), a, b); err != nil {
			t.Error(err)
		}
		a.IfVersion, a.Version = "2", "2"
		if err := store.Commit(t.Context(), a); !isConflict(err) {
			t.Errorf("another version: %v", err)
		}
	})
}

// What a database says about a key that is there twice names the key. No error
// passes it on.
func TestErrorsNameNoData(t *testing.T) {
	everywhere(t, func(t *testing.T, s service) {
		store, db := s.store(t)
		const owner, id, version, data = "u/secret-owner", "secret-id", "secret-version", "secret-data"
		w := create(mfa.Key{Owner: owner, Kind: "k", ID: id}, version)
		w.Data = []byte(data)
		other := create(mfa.Key{Owner: owner, Kind: "k", ID: "other"}, version)
		if err := store.Commit(t.Context(), w); err != nil {
			t.Fatal(err)
		}
		errs := []error{store.Commit(t.Context(), w), store.Commit(t.Context(), other, w)}
		for _, err := range errs {
			if !isConflict(err) {
				t.Errorf("creating a record twice: %v", err)
			}
		}
		execute(t, db, "DROP TABLE "+s.table())
		_, get := store.Get(t.Context(), w.Key)
		_, both := store.Get(t.Context(), w.Key, other.Key)
		_, list := store.List(t.Context(), owner)
		_, sweep := store.Sweep(t.Context(), time.Now(), 1)
		errs = append(errs, get, both, list, sweep, store.Commit(t.Context(), w), store.Commit(t.Context(), w, other))
		for _, err := range errs {
			if err == nil {
				t.Fatal("no error without a table")
			}
			for text := range strings.SplitSeq(fmt.Sprintf("%v\n%+v", err, err), "\n") {
				if strings.Contains(text, "secret") {
					t.Errorf("an error names data: %s", text)
				}
			}
		}
	})
}

// pgError, mysqlError and the two others have the shapes of drivers that are not
// linked here, or whose error of this sort a test cannot bring about.
type (
	pgError     struct{ state string }
	mysqlError  struct{ Number uint16 }
	mattnNumber int
	mattnError  struct{ Code, Extended mattnNumber }
	shapeless   struct{ Number string }
)

func (e pgError) Error() string      { return e.state }
func (e pgError) SQLState() string   { return e.state }
func (e *mysqlError) Error() string  { return "mysql" }
func (e mattnError) Error() string   { return "sqlite" }
func (e shapeless) Error() string    { return "shapeless" }
func (e shapeless) Code(string) bool { return true }

func TestConflictShapes(t *testing.T) {
	for _, tc := range []struct {
		name string
		d    sqlstore.Dialect
		err  error
		want bool
	}{
		{"serialization failure", sqlstore.PostgreSQL, pgError{"40001"}, true},
		{"deadlock", sqlstore.PostgreSQL, pgError{"40P01"}, true},
		{"unique violation", sqlstore.PostgreSQL, pgError{"23505"}, true},
		{"taken back by itself", sqlstore.PostgreSQL, pgError{"22012"}, true},
		{"wrapped", sqlstore.PostgreSQL, fmt.Errorf("driver: %w", pgError{"40001"}), true},
		{"disk full", sqlstore.PostgreSQL, pgError{"53100"}, false},
		{"undefined table", sqlstore.PostgreSQL, pgError{"42P01"}, false},
		{"another dialect's", sqlstore.PostgreSQL, &mysqlError{1213}, false},
		{"deadlock", sqlstore.MySQL, &mysqlError{1213}, true},
		{"lock wait", sqlstore.MySQL, fmt.Errorf("driver: %w", &mysqlError{1205}), true},
		{"duplicate", sqlstore.MySQL, &mysqlError{1062}, true},
		{"taken back by itself", sqlstore.MySQL, &mysqlError{1690}, true},
		{"snapshot isolation", sqlstore.MySQL, &mysqlError{1020}, true},
		{"group replication", sqlstore.MySQL, &mysqlError{3101}, true},
		{"read-only", sqlstore.MySQL, &mysqlError{1290}, false},
		{"busy", sqlstore.SQLite, mattnError{5, 5}, true},
		{"busy snapshot", sqlstore.SQLite, mattnError{517, 517}, true},
		{"locked", sqlstore.SQLite, mattnError{6, 262}, true},
		{"full", sqlstore.SQLite, mattnError{13, 13}, false},
		{"no shape", sqlstore.SQLite, shapeless{"5"}, false},
		{"no shape", sqlstore.MySQL, shapeless{"1213"}, false},
		{"nil pointer", sqlstore.MySQL, (*mysqlError)(nil), false},
		{"plain", sqlstore.SQLite, errors.New("database is locked"), false},
	} {
		t.Run(tc.d.String()+"/"+tc.name, func(t *testing.T) {
			if got := sqlstore.Conflict(tc.d, tc.err); got != tc.want {
				t.Errorf("conflict %v, want %v", got, tc.want)
			}
		})
	}
}

// When the context is over its error comes out, whatever the driver says of it:
// never ErrConflict, which would ask to try again.
func TestContextErrors(t *testing.T) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name string
		err  error
	}{
		{"a conflict", pgError{"40001"}},
		{"a condition that does not hold", mfa.ErrConflict},
		{"interrupted", pgError{"57014"}},
		{"itself", fmt.Errorf("driver: %w", context.Canceled)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := sqlstore.CommitError(over, sqlstore.PostgreSQL, tc.err); !errors.Is(err, context.Canceled) || isConflict(err) {
				t.Errorf("%v, want the error of the context", err)
			}
		})
	}
}
