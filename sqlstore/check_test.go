package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa/sqlstore"
)

// everywhere runs a test on each kind of database.
func everywhere(t *testing.T, test func(t *testing.T, s service)) {
	t.Run("postgres", func(t *testing.T) { test(t, postgres()) })
	t.Run("mariadb", func(t *testing.T) { test(t, mariadb()) })
	t.Run("sqlite", func(t *testing.T) { test(t, sqliteFile(t)) })
}

func TestCheckFit(t *testing.T) {
	everywhere(t, func(t *testing.T, s service) {
		store, _ := s.store(t)
		if err := store.Check(t.Context()); err != nil {
			t.Errorf("Check of a database that is fit: %v", err)
		}
	})
}

// wrong checks that Check says each of these, and nothing else that is wrong.
func wrong(t *testing.T, store *sqlstore.Store, want ...string) {
	t.Helper()
	err := store.Check(t.Context())
	if err == nil {
		t.Fatalf("Check returned nil, want an error about %q", want)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("Check does not say %q: %v", w, err)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != len(want) {
		t.Errorf("Check names %d problems, want %d: %v", n, len(want), err)
	}
}

func execute(t testing.TB, db *sql.DB, text string) {
	t.Helper()
	if _, err := db.Exec(text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// A table that the host dropped, or that is of another version, or that a tool
// built in its own way.
func TestCheckTable(t *testing.T) {
	for _, tc := range []struct {
		name string
		// break is what happens to a table in each dialect; @ is its name.
		postgres, mysql, sqlite string
		want                    string
	}{
		{"dropped", "DROP TABLE @", "DROP TABLE @", "DROP TABLE @", "has Migrate run?"},
		{"later version", "UPDATE @ SET version = '99' WHERE kind = ''", "UPDATE @ SET version = '99' WHERE kind = ''",
			"UPDATE @ SET version = '99' WHERE kind = ''", "version is 99, this package needs 1"},
		{"no version", "DELETE FROM @", "DELETE FROM @", "DELETE FROM @", "no record of the schema's version"},
		{"collation", `ALTER TABLE @ ALTER COLUMN id TYPE text COLLATE "en-x-icu"`, "ALTER TABLE @ MODIFY id varchar(64) COLLATE utf8mb4_general_ci NOT NULL",
			"", "column id of"},
		{"cut short", "", "ALTER TABLE @ MODIFY owner varbinary(64) NOT NULL", "", "is varbinary 64, not varbinary 256"},
		{"no primary key", "ALTER TABLE @ DROP CONSTRAINT @_pkey", "ALTER TABLE @ DROP PRIMARY KEY", "", "could be created twice"},
		{"column missing", "ALTER TABLE @ DROP COLUMN data", "ALTER TABLE @ DROP COLUMN data", "", "data"},
		{"not transactional", "", "ALTER TABLE @ ENGINE=Aria", "", "could be created twice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			everywhere(t, func(t *testing.T, s service) {
				text := map[sqlstore.Dialect]string{
					sqlstore.PostgreSQL: tc.postgres, sqlstore.MySQL: tc.mysql, sqlstore.SQLite: tc.sqlite,
				}[s.dialect]
				if text == "" {
					return
				}
				store, db := s.store(t)
				execute(t, db, strings.ReplaceAll(text, "@", s.table()))
				wrong(t, store, tc.want)
			})
		})
	}
	t.Run("collation/sqlite", func(t *testing.T) {
		s := sqliteFile(t)
		db := s.open(t)
		execute(t, db, strings.ReplaceAll(sqlstore.Schema(s.dialect, s.prefix), "COLLATE BINARY", "COLLATE NOCASE"))
		wrong(t, s.on(t, db), "owner BINARY, kind NOCASE, id NOCASE")
	})
}

// Settings of a server or of a session that break the contract.
func TestCheckSettings(t *testing.T) {
	for _, tc := range []struct {
		name    string
		fit     service
		setting string
		want    []string
	}{
		{"postgres read-only", postgres(), "default_transaction_read_only=on", []string{"takes no writes"}},
		{"postgres not durable", postgres(), "synchronous_commit=off", []string{"synchronous_commit is off"}},
		{"mariadb read-only", mariadb(), "tx_read_only=1", []string{"takes no writes", "read-only"}},
		{"mariadb not strict", mariadb(), "sql_mode=%27%27", []string{"sql_mode is not strict"}},
		{"mariadb without autocommit", mariadb(), "autocommit=0", []string{"autocommit is off"}},
		{"mariadb dirty reads", mariadb(), "tx_isolation=%27READ-UNCOMMITTED%27", []string{"READ UNCOMMITTED"}},
		{"sqlite impatient", sqliteFile(t, "synchronous(full)"), "_pragma=busy_timeout(0)", []string{"busy_timeout is 0"}},
		{"sqlite not durable", sqliteFile(t), "_pragma=synchronous(normal)", []string{"synchronous"}},
		{"sqlite read-only", sqliteFile(t), "_pragma=query_only(1)", []string{"takes no writes"}},
		{"sqlite dirty reads", sqliteFile(t), "_pragma=read_uncommitted(1)", []string{"read_uncommitted"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.fit.store(t)
			spoiled := tc.fit.with(tc.setting)
			wrong(t, spoiled.on(t, spoiled.open(t)), tc.want...)
		})
	}
}

func TestCheckClock(t *testing.T) {
	t.Run("postgres", func(t *testing.T) { testClock(t, postgres()) })
	t.Run("mariadb", func(t *testing.T) { testClock(t, mariadb()) })
}

func testClock(t *testing.T, s service) {
	_, db := s.store(t)
	for _, off := range []time.Duration{-time.Hour, -90 * time.Second, -30 * time.Second, 30 * time.Second, 90 * time.Second, time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			store, err := sqlstore.New(db, s.dialect, sqlstore.Options{
				Prefix: s.prefix, Now: func() time.Time { return time.Now().Add(off) },
			})
			if err != nil {
				t.Fatal(err)
			}
			if off.Abs() > time.Minute {
				wrong(t, store, " apart")
			} else if err := store.Check(t.Context()); err != nil {
				t.Errorf("Check: %v", err)
			}
		})
	}
}

// A server that cannot be reached is one problem, and a canceled context is no
// other error.
func TestCheckUnreachable(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	everywhere(t, func(t *testing.T, s service) {
		store, db := s.store(t)
		if err := store.Check(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Check with a canceled context: %v", err)
		}
		_ = db.Close()
		wrong(t, store, "database is closed")
	})
}
