package customstore_test

import (
	"cmp"
	"crypto/rand"
	"database/sql"
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/examples/customstore"
	"github.com/seed-1320b244/mfa/mfatest"
)

// The store passes the suite on a real server, in a schema of its own.
func TestStore(t *testing.T) {
	dsn := cmp.Or(os.Getenv("MFA_TEST_POSTGRES"), "postgres://root@127.0.0.1:5432/test?sslmode=disable")
	schema := "custom_" + strings.ToLower(rand.Text()[:12])
	db, err := sql.Open("pgx", dsn+"&search_path="+schema)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.PingContext(t.Context()); err != nil {
		if _, ok := errors.AsType[*net.OpError](err); !ok || os.Getenv("MFA_REQUIRE_SERVICES") == "1" {
			t.Fatal(err)
		}
		t.Skip("no PostgreSQL answers:", err)
	}
	db.SetMaxOpenConns(12)
	if _, err := db.Exec("CREATE SCHEMA " + schema + "; " + customstore.Schema); err != nil {
		t.Fatal(err)
	}
	defer db.Exec("DROP SCHEMA " + schema + " CASCADE")
	mfatest.TestStore(t, func(*testing.T) mfa.Store { return customstore.Store{DB: db} })
}

// docs/custom-store.md prints the adapter as it is here.
func TestDocument(t *testing.T) {
	document, err1 := os.ReadFile("../../docs/custom-store.md")
	code, err2 := os.ReadFile("store.go")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(document), "```go\n"+string(code)+"```\n") {
		t.Error("the document does not hold store.go as it is")
	}
	if n := strings.Count(string(code), "\n"); n >= 100 {
		t.Errorf("the adapter has %d lines", n)
	}
}
