// Readme is the program in the project's README.
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net/http"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

type users struct{} // your table of users

func (users) User(_ context.Context, id string) (mfa.User, error) {
	return mfa.User{ID: id, Name: id + "@example.com"}, nil
}

func main() {
	keys, err := mfa.ParseKeys(mfa.NewKey()) // keep yours where you keep secrets: a new one forgets everybody
	if err != nil {
		log.Fatal(err)
	}
	guard, err := mfa.New(mfa.Config{
		Issuer: "Acme", Store: new(mfa.MemoryStore), Users: users{}, Keys: keys, OnEvent: mfa.LogEvents(slog.Default()),
	})
	if err != nil {
		log.Fatal(err)
	}
	web, err := mfahttp.New(mfahttp.Config{Guard: guard, NoProxies: true, Pages: mfahttp.Pages{
		SignIn: "/login", Verify: "/code", Enroll: "/setup", SaveCodes: "/codes", NewPassword: "/password", StepUp: "/confirm", Home: "/",
	}})
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		// Here you have just checked the password.
		out, err := guard.SignIn(r.Context(), web.SignIn(r, r.PostFormValue("user"), mfa.PasswordFirst()))
		web.Next(w, r, out, err)
	})
	http.Handle("POST /code", web.RequirePending(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proof := mfa.Proof{Method: mfa.TOTP, Code: r.PostFormValue("code")}
		out, err := mfahttp.PendingFrom(r.Context()).Verify(r.Context(), proof)
		web.Next(w, r, out, err)
	}), mfa.StepVerify))
	http.Handle("GET /", web.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "Hello,", mfahttp.SessionFrom(r.Context()).User())
	})))
	log.Fatal(http.ListenAndServe("localhost:8080", web.Protect(http.DefaultServeMux)))
}
