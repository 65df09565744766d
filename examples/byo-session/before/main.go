// Command before is a web application as many are: a table of users with bcrypt
// hashes, sessions of scs, personal pages, and the pages of a company for those who
// work there. The program beside it is the same one with two-step verification that
// the company forces on everybody who enters.
//
//	go run ./examples/byo-session/before
package main

import (
	"context"
	"database/sql"
	"html/template"
	"log"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"golang.org/x/crypto/bcrypt"
	_ "modernc.org/sqlite"
)

const schema = `CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT UNIQUE NOT NULL, password BLOB NOT NULL, company TEXT NOT NULL)`

var pages = template.Must(template.New("").Parse(`
{{define "login"}}<title>Sign in</title><form method="post">{{with .}}<p role="alert">{{.}}</p>{{end}}
<label>Email <input name="email" type="email" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label><button>Sign in</button></form>{{end}}
{{define "home"}}<title>Home</title><h1>Hello, {{.Email}}</h1><a href="/company/{{.Company}}">Your company</a>
<form method="post" action="/logout"><button>Sign out</button></form>{{end}}
{{define "company"}}<title>Company</title><h1>The books of {{.}}</h1><a href="/">Home</a>{{end}}
`))

type user struct{ id, email, company string }

type app struct {
	db       *sql.DB
	sessions *scs.SessionManager
}

func newApp(db *sql.DB) (*app, error) {
	if _, err := db.Exec(schema); err != nil {
		return nil, err
	}
	a := &app{db: db, sessions: scs.New()}
	a.sessions.Lifetime = 24 * time.Hour
	return a, nil
}

func (a *app) register(ctx context.Context, u user, password string) error {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return err
	}
	_, err = a.db.ExecContext(ctx, `INSERT INTO users (id, email, password, company) VALUES (?, ?, ?, ?)`, u.id, u.email, hash, u.company)
	return err
}

func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, r *http.Request) { show(w, "login", nil) })
	mux.HandleFunc("POST /login", a.login)
	mux.HandleFunc("POST /logout", a.logout)
	mux.Handle("GET /{$}", a.signedIn(a.home))
	mux.Handle("GET /company/{company}", a.signedIn(a.company))
	return http.NewCrossOriginProtection().Handler(a.sessions.LoadAndSave(mux))
}

func (a *app) login(w http.ResponseWriter, r *http.Request) {
	var id string
	var hash []byte
	err := a.db.QueryRowContext(r.Context(), `SELECT id, password FROM users WHERE email = ?`, r.PostFormValue("email")).Scan(&id, &hash)
	if err != nil || bcrypt.CompareHashAndPassword(hash, []byte(r.PostFormValue("password"))) != nil {
		show(w, "login", "That did not match.")
		return
	}
	if err := a.sessions.RenewToken(r.Context()); err != nil {
		http.Error(w, "Please try again.", http.StatusInternalServerError)
		return
	}
	a.sessions.Put(r.Context(), "user", id)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (a *app) logout(w http.ResponseWriter, r *http.Request) {
	if err := a.sessions.Destroy(r.Context()); err != nil {
		http.Error(w, "Please try again.", http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// signedIn serves h to whoever is signed in.
func (a *app) signedIn(h func(http.ResponseWriter, *http.Request, user)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, err := a.user(r.Context(), a.sessions.GetString(r.Context(), "user"))
		if err != nil {
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		}
		h(w, r, u)
	})
}

func (a *app) home(w http.ResponseWriter, r *http.Request, u user) {
	show(w, "home", map[string]string{"Email": u.email, "Company": u.company})
}

func (a *app) company(w http.ResponseWriter, r *http.Request, u user) {
	if u.company != r.PathValue("company") {
		http.NotFound(w, r)
		return
	}
	show(w, "company", u.company)
}

func (a *app) user(ctx context.Context, id string) (user, error) {
	u := user{id: id}
	return u, a.db.QueryRowContext(ctx, `SELECT email, company FROM users WHERE id = ?`, id).Scan(&u.email, &u.company)
}

func show(w http.ResponseWriter, page string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := pages.ExecuteTemplate(w, page, data); err != nil {
		log.Print(err)
	}
}

func main() {
	db, err := sql.Open("sqlite", "file:byo?mode=memory&cache=shared")
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	a, err := newApp(db)
	if err != nil {
		log.Fatal(err)
	}
	for _, u := range []user{{"1", "ada@acme.example", "acme"}, {"2", "bob@birch.example", "birch"}} {
		if err := a.register(context.Background(), u, "correct horse"); err != nil {
			log.Fatal(err)
		}
	}
	log.Print("http://localhost:8080: ada@acme.example and bob@birch.example, correct horse")
	log.Fatal(http.ListenAndServe("localhost:8080", a.handler()))
}
