package sqlstore_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/sqlstore"
)

// absent ends a test whose server or program is missing: that skips, or fails
// where MFA_REQUIRE_SERVICES says that all are there.
func absent(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("MFA_REQUIRE_SERVICES") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// A service is a database to test on, and a prefix that nobody else uses there.
type service struct {
	driver, dsn string
	dialect     sqlstore.Dialect
	prefix      string
}

func environment(name, otherwise string) string {
	if s := os.Getenv(name); s != "" {
		return s
	}
	return otherwise
}

// postgres returns the PostgreSQL server, with these settings of the session.
func postgres(params ...string) service {
	dsn := environment("MFA_TEST_POSTGRES", "postgres://root@127.0.0.1:5432/test?sslmode=disable")
	return service{"pgx", dsn, sqlstore.PostgreSQL, newPrefix()}.with(params...)
}

// mariadb returns the MySQL or MariaDB server.
func mariadb(params ...string) service {
	dsn := environment("MFA_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/test")
	return service{"mysql", dsn, sqlstore.MySQL, newPrefix()}.with(params...)
}

// with returns the same database with more parameters of the driver, escaped as
// in a URL.
func (s service) with(params ...string) service {
	for _, p := range params {
		if strings.Contains(s.dsn, "?") {
			s.dsn += "&" + p
		} else {
			s.dsn += "?" + p
		}
	}
	return s
}

// sqliteFile returns a database in a file of its own, as the README opens it when
// no pragmas are given.
func sqliteFile(t testing.TB, pragmas ...string) service {
	t.Helper()
	if pragmas == nil {
		pragmas = []string{"busy_timeout(10000)", "journal_mode(WAL)"}
	}
	s := service{"sqlite", "file:" + filepath.Join(t.TempDir(), "test.db"), sqlstore.SQLite, newPrefix()}
	for _, p := range pragmas {
		s = s.with("_pragma=" + p)
	}
	return s
}

func sqliteMemory() service {
	return service{"sqlite", ":memory:?_pragma=busy_timeout(10000)", sqlstore.SQLite, newPrefix()}
}

func newPrefix() string { return "test_" + strings.ToLower(rand.Text()[:12]) + "_" }

// open returns a pool, closed when the test ends. A database in memory lives in
// one connection.
func (s service) open(t testing.TB) *sql.DB {
	t.Helper()
	db := s.openUnchecked(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		if _, ok := errors.AsType[*net.OpError](err); !ok {
			t.Fatal(err)
		}
		absent(t, "no %v answers: %v", s.dialect, err)
	}
	return db
}

// openUnchecked is open without asking whether the server answers.
func (s service) openUnchecked(t testing.TB) *sql.DB {
	t.Helper()
	db, err := openService(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(12)
	db.SetMaxIdleConns(12)
	if strings.HasPrefix(s.dsn, ":memory:") {
		db.SetMaxOpenConns(1)
	}
	return db
}

// store returns a store with its table made, which is dropped when the test ends.
func (s service) store(t testing.TB) (*sqlstore.Store, *sql.DB) {
	t.Helper()
	db := s.open(t)
	if err := sqlstore.Migrate(t.Context(), db, s.dialect, s.prefix); err != nil {
		t.Fatal(err)
	}
	s.dropAfter(t)
	return s.on(t, db), db
}

// on returns a store on db.
func (s service) on(t testing.TB, db *sql.DB) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.New(db, s.dialect, sqlstore.Options{Prefix: s.prefix})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func (s service) table() string { return s.prefix + "records" }

// dropAfter drops the table when the test ends, over a connection of its own: the
// test may have broken its pool.
func (s service) dropAfter(t testing.TB) {
	t.Cleanup(func() {
		db, err := openService(s)
		if err != nil {
			t.Error(err)
			return
		}
		defer db.Close()
		if _, err := db.Exec("DROP TABLE IF EXISTS " + s.table()); err != nil && s.dialect != sqlstore.SQLite {
			t.Error(err)
		}
	})
}

// rows returns what a query finds, a line for each row, columns with a bar between.
func rows(t testing.TB, db *sql.DB, query string, args ...any) string {
	t.Helper()
	found, err := db.Query(query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer found.Close()
	names, err := found.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for found.Next() {
		values, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := found.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for i, v := range values {
			if i > 0 {
				text.WriteString("|")
			}
			text.WriteString(v.String)
		}
		text.WriteString("\n")
	}
	if err := found.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return text.String()
}

func openService(s service) (*sql.DB, error) { return sql.Open(s.driver, s.dsn) }

func isConflict(err error) bool { return errors.Is(err, mfa.ErrConflict) }
