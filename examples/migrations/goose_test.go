// Package migrations shows that the migrations of sqlstore run under a tool that a
// host may have already.
package migrations

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite"

	"github.com/seed-1320b244/mfa/sqlstore"
)

// goose brings the table to where Migrate would, finds nothing left to do, and takes
// it away again.
func TestGoose(t *testing.T) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "goose.db")+"?_pragma=busy_timeout(4000)&_pragma=journal_mode(WAL)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, sqlstore.Migrations(sqlstore.SQLite, sqlstore.DefaultPrefix))
	if err != nil {
		t.Fatal(err)
	}
	check := func() error {
		store, err := sqlstore.New(db, sqlstore.SQLite, sqlstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return store.Check(t.Context())
	}
	if check() == nil {
		t.Error("Check is content before there is a table")
	}
	done, err := provider.Up(t.Context())
	if err != nil || len(done) == 0 {
		t.Fatalf("%d migrations, %v", len(done), err)
	}
	if err := check(); err != nil {
		t.Errorf("after goose: %v", err)
	}
	if again, err := provider.Up(t.Context()); err != nil || len(again) != 0 {
		t.Errorf("again: %d migrations, %v", len(again), err)
	}
	if _, err := provider.DownTo(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if check() == nil {
		t.Error("Check is content without the table")
	}
}
