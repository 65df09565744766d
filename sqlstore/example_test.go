package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"log"

	_ "modernc.org/sqlite"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
	"github.com/seed-1320b244/mfa/sqlstore"
)

// A program that keeps its records in SQLite: the table is made and checked when
// it starts.
func Example() {
	ctx := context.Background()
	db, err := sql.Open("sqlite", ":memory:?_pragma=busy_timeout(4000)")
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // a database in memory is one connection
	if err := sqlstore.Migrate(ctx, db, sqlstore.SQLite, sqlstore.DefaultPrefix); err != nil {
		log.Fatal(err)
	}
	store, err := sqlstore.New(db, sqlstore.SQLite, sqlstore.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Check(ctx); err != nil {
		log.Fatal(err)
	}

	keys, err := mfa.ParseKeys(mfa.NewKey())
	if err != nil {
		log.Fatal(err)
	}
	users := new(mfatest.Users) // the host's directory
	users.Add(mfa.User{ID: "ada"})
	guard, err := mfa.New(mfa.Config{Issuer: "Example", Store: store, Users: users, Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	out, err := guard.SignIn(ctx, mfa.SignIn{User: "ada", First: mfa.PasswordFirst()})
	if err != nil {
		log.Fatal(err)
	}
	session, err := guard.Session(ctx, out.Session.Token(), mfa.Client{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("signed in as", session.User())
	// Output: signed in as ada
}
