package sqlstore_test

import (
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/seed-1320b244/mfa/sqlstore"
)

var dialects = []sqlstore.Dialect{sqlstore.PostgreSQL, sqlstore.MySQL, sqlstore.SQLite}

// Ten processes start at once, each with a pool of its own, and all of them find
// or make the table. Later ones find nothing to do.
func TestMigrateTogether(t *testing.T) {
	everywhere(t, func(t *testing.T, s service) {
		impatient := s
		if s.dialect == sqlstore.SQLite {
			impatient.dsn = strings.Replace(s.dsn, "busy_timeout(10000)", "busy_timeout(0)", 1)
		}
		var group sync.WaitGroup
		for range 10 {
			db := impatient.open(t)
			db.SetMaxOpenConns(2)
			group.Go(func() {
				if err := sqlstore.Migrate(t.Context(), db, s.dialect, s.prefix); err != nil {
					t.Errorf("Migrate: %v", err)
				}
			})
		}
		group.Wait()
		s.dropAfter(t)
		if err := s.on(t, s.open(t)).Check(t.Context()); err != nil {
			t.Errorf("Check afterwards: %v", err)
		}
	})
}

// Migrate with nothing to do needs no right but to read, and keeps what is there.
func TestMigrateAgain(t *testing.T) {
	s := postgres()
	_, db := s.store(t)
	before := rows(t, db, "SELECT ctid FROM "+s.table())
	reader := s.with("default_transaction_read_only=on")
	if err := sqlstore.Migrate(t.Context(), reader.open(t), s.dialect, s.prefix); err != nil {
		t.Errorf("Migrate on a server that takes no writes: %v", err)
	}
	if after := rows(t, db, "SELECT ctid FROM "+s.table()); after != before {
		t.Errorf("the table was written: %s before, %s after", before, after)
	}
}

// A table of a later version is not touched.
func TestMigrateLater(t *testing.T) {
	everywhere(t, func(t *testing.T, s service) {
		_, db := s.store(t)
		execute(t, db, "UPDATE "+s.table()+" SET version = '99' WHERE kind = ''")
		err := sqlstore.Migrate(t.Context(), db, s.dialect, s.prefix)
		if err == nil || !strings.Contains(err.Error(), "version is 99, later than") {
			t.Errorf("Migrate: %v", err)
		}
		if got := rows(t, db, "SELECT version FROM "+s.table()); got != "99\n" {
			t.Errorf("the version is %q", got)
		}
	})
}

// The schema as text makes the table that Migrate makes.
func TestSchema(t *testing.T) {
	everywhere(t, func(t *testing.T, s service) {
		db := s.open(t)
		s.dropAfter(t)
		for text := range strings.SplitSeq(sqlstore.Schema(s.dialect, s.prefix), ";\n") {
			if strings.TrimSpace(text) != "" {
				execute(t, db, text)
			}
		}
		if err := s.on(t, db).Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
	})
}

// The migrations are files as goose reads them, and their Down undoes their Up.
func TestMigrations(t *testing.T) {
	everywhere(t, func(t *testing.T, s service) {
		files := sqlstore.Migrations(s.dialect, s.prefix)
		if err := fstest.TestFS(files, "00001_records.sql"); err != nil {
			t.Error(err)
		}
		names, err := fs.Glob(files, "*.sql") // as goose does
		if err != nil || len(names) == 0 {
			t.Fatalf("%v, %v", names, err)
		}
		db := s.open(t)
		s.dropAfter(t)
		var downs []string
		for _, name := range names {
			text, err := fs.ReadFile(files, name)
			if err != nil {
				t.Fatal(err)
			}
			up, down, ok := strings.Cut(string(text), "-- +goose Down\n")
			if !ok || !strings.HasPrefix(up, "-- +goose Up\n") || strings.Contains(up, "{records}") {
				t.Fatalf("%s is no migration:\n%s", name, text)
			}
			downs = append([]string{down}, downs...)
			for statement := range strings.SplitSeq(up, ";\n") {
				if strings.TrimSpace(statement) != "" {
					execute(t, db, statement)
				}
			}
		}
		if err := s.on(t, db).Check(t.Context()); err != nil {
			t.Errorf("Check: %v", err)
		}
		for _, down := range downs {
			execute(t, db, down)
		}
		wrong(t, s.on(t, db), "has Migrate run?")
	})
}

func TestPrefix(t *testing.T) {
	for _, tc := range []struct {
		name, prefix string
		ok           bool
	}{
		{"default", "", true},
		{"letters", "app", true},
		{"digits and underscores", "app2_mfa_", true},
		{"longest", strings.Repeat("a", 40), true},
		{"too long", strings.Repeat("a", 41), false},
		{"upper case", "App_", false},
		{"a digit first", "2fa_", false},
		{"an underscore first", "_mfa", false},
		{"quotes", `mfa"; DROP TABLE users; --`, false},
		{"schema", "auth.mfa_", false},
		{"space", "mfa ", false},
		{"not ASCII", "mf\u00e4_", false},
		{"zero byte", "mfa\x00", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db := sqliteMemory().open(t)
			if _, err := sqlstore.New(db, sqlstore.SQLite, sqlstore.Options{Prefix: tc.prefix}); (err == nil) != tc.ok {
				t.Errorf("New: %v", err)
			}
			if err := sqlstore.Migrate(t.Context(), db, sqlstore.SQLite, tc.prefix); (err == nil) != tc.ok {
				t.Errorf("Migrate: %v", err)
			}
			for _, d := range dialects {
				if panics(func() { sqlstore.Schema(d, tc.prefix) }) == tc.ok {
					t.Errorf("Schema(%v): panicked %v", d, !tc.ok)
				}
				if panics(func() { sqlstore.Migrations(d, tc.prefix) }) == tc.ok {
					t.Errorf("Migrations(%v): panicked %v", d, !tc.ok)
				}
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	db := sqliteMemory().open(t)
	for _, d := range []sqlstore.Dialect{0, -1, 4} {
		if _, err := sqlstore.New(db, d, sqlstore.Options{}); err == nil {
			t.Errorf("New with %v returned nil", d)
		}
	}
	if _, err := sqlstore.New(nil, sqlstore.SQLite, sqlstore.Options{}); err == nil {
		t.Error("New without a database returned nil")
	}
}

func panics(f func()) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	f()
	return false
}
