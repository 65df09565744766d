// Readme is the program in the project's README.
package main

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
	"github.com/seed-1320b244/mfa/mfahttp/pages"
)

type users struct{} // your table of users: by ID, and by what is typed at sign-in

func (users) User(_ context.Context, id string) (mfa.User, error) {
	if id != "u-1" {
		return mfa.User{}, mfa.ErrNoUser
	}
	return mfa.User{ID: "u-1", Name: "alice"}, nil
}

func (u users) FindUser(ctx context.Context, login string) (mfa.User, error) {
	if login != "alice" {
		return mfa.User{}, mfa.ErrNoUser
	}
	return u.User(ctx, "u-1")
}

func main() {
	log.Fatal(http.ListenAndServe("localhost:8080", handler(context.Background())))
}

func handler(ctx context.Context) http.Handler {
	guard := must(mfa.New(mfa.Config{
		Issuer: "Acme", Users: users{}, Store: new(mfa.MemoryStore),
		Keys:   must(mfa.ParseKeys(mfa.NewKey())), // keep yours where you keep secrets: a new one forgets everybody
		Policy: mfa.Policy{Rules: mfa.Rules{Require: mfa.RequireAtSignIn}},
	}))
	must(0, guard.SetPassword(ctx, "u-1", "violet tractor 7")) // when she registers
	jobs := mfahttp.NewJobs(nil)
	go jobs.Run(ctx)
	site := must(pages.New(pages.Config{
		Guard: guard, Users: users{}, Jobs: jobs.Add, Product: "Acme", Prefix: "/account", Home: "/",
		HTTP: mfahttp.Config{NoProxies: true, InsecureHTTP: true}, // in development: it is for plain http
	}))
	mux := http.NewServeMux()
	mux.Handle("/account/", site)
	mux.Handle("/", site.Web().RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "Hello,", mfahttp.SessionFrom(r.Context()).User()) // your application
	})))
	return site.Web().Protect(mux)
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}
