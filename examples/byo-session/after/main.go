// Command after is the program beside it with two-step verification for everybody who
// enters the pages of a company. Its users and their passwords stay where they are, and
// so do its sessions, which keep a token of the library.
//
//	go run ./examples/byo-session/after
package main

import (
	"context"
	"database/sql"
	"errors"
	"html/template"
	"log"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
	"golang.org/x/crypto/bcrypt"
	_ "modernc.org/sqlite"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
	"github.com/seed-1320b244/mfa/mfahttp/pages"
	"github.com/seed-1320b244/mfa/sqlstore"
)

const schema = `CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT UNIQUE NOT NULL, password BLOB NOT NULL, company TEXT NOT NULL)`

var own = template.Must(template.New("").Parse(`
{{define "home"}}<title>Home</title><h1>Hello, {{.Email}}</h1><a href="/company/{{.Company}}">Your company</a> <a href="/account/security">Security</a>
<form method="post" action="/account/sign-out"><button>Sign out</button></form>{{end}}
{{define "company"}}<title>Company</title><h1>The books of {{.}}</h1><a href="/">Home</a>{{end}}
`))

type user struct{ id, email, company string }

type app struct {
	db       *sql.DB
	sessions *scs.SessionManager
	site     *pages.Site
	jobs     *mfahttp.Jobs
}

func newApp(db *sql.DB, keys mfa.Keys, now func() time.Time) (*app, error) {
	if _, err := db.Exec(schema); err != nil {
		return nil, err
	}
	a := &app{db: db, sessions: scs.New(), jobs: mfahttp.NewJobs(nil)}
	a.sessions.Lifetime = 24 * time.Hour
	if err := sqlstore.Migrate(context.Background(), db, sqlstore.SQLite, ""); err != nil {
		return nil, err
	}
	store, err := sqlstore.New(db, sqlstore.SQLite, sqlstore.Options{})
	if err != nil {
		return nil, err
	}
	guard, err := mfa.New(mfa.Config{
		Issuer: "Ledger", Store: store, Users: a, Passwords: a, Keys: keys, Now: now,
		Policy: mfa.Policy{Rules: mfa.Rules{Require: mfa.RequireAtDoor}},
	})
	if err != nil {
		return nil, err
	}
	a.site, err = pages.New(pages.Config{
		Guard: guard, Users: a, Product: "Ledger", Prefix: "/account", Home: "/", Jobs: a.jobs.Add,
		HTTP: mfahttp.Config{NoProxies: true, Tokens: a, InsecureHTTP: true, Now: now}, // plain http is for localhost
	})
	return a, err
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
	mux.Handle("/account/", a.site)
	mux.Handle("GET /{$}", a.site.Web().RequireSession(a.signedIn(a.home)))
	mux.Handle("GET /company/{company}", a.site.Web().RequireEntry(func(r *http.Request) string { return r.PathValue("company") }, a.signedIn(a.company)))
	return http.NewCrossOriginProtection().Handler(a.sessions.LoadAndSave(mux))
}

// Token and SetToken keep in a session what else would be in cookies.
func (a *app) Token(r *http.Request, name string) string {
	return a.sessions.GetString(r.Context(), name)
}

func (a *app) SetToken(_ http.ResponseWriter, r *http.Request, name, token string, _ time.Duration) {
	if name == "mfa_session" && token == "" && a.sessions.Destroy(r.Context()) == nil {
		return // signed out
	}
	if a.sessions.RenewToken(r.Context()) == nil {
		a.sessions.Put(r.Context(), name, token)
	}
}

// User and FindUser are the table of users as the library asks for it.
func (a *app) User(ctx context.Context, id string) (mfa.User, error) {
	u, err := a.user(ctx, id)
	if errors.Is(err, sql.ErrNoRows) {
		err = mfa.ErrNoUser
	}
	return mfa.User{ID: u.id, Name: u.email, Orgs: []mfa.Membership{{Org: u.company}}}, err
}

func (a *app) FindUser(ctx context.Context, email string) (mfa.User, error) {
	var id string
	if err := a.db.QueryRowContext(ctx, `SELECT id FROM users WHERE email = ?`, email).Scan(&id); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return mfa.User{}, err
	}
	return a.User(ctx, id)
}

// CheckPassword of nobody compares with some hash, so that it takes as long.
func (a *app) CheckPassword(ctx context.Context, id, password string) (bool, error) {
	hash := []byte("$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy")
	err := a.db.QueryRowContext(ctx, `SELECT password FROM users WHERE id = ?`, id).Scan(&hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	return bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil && err == nil, nil
}

func (a *app) SetPassword(ctx context.Context, id, password string) error {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err == nil {
		_, err = a.db.ExecContext(ctx, `UPDATE users SET password = ? WHERE id = ?`, hash, id)
	}
	return err
}

// signedIn serves h to whoever is signed in.
func (a *app) signedIn(h func(http.ResponseWriter, *http.Request, user)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, err := a.user(r.Context(), mfahttp.SessionFrom(r.Context()).User())
		if err != nil {
			http.Error(w, "Please try again.", http.StatusInternalServerError)
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
	if err := own.ExecuteTemplate(w, page, data); err != nil {
		log.Print(err)
	}
}

func main() {
	db, err := sql.Open("sqlite", "file:byo?mode=memory&cache=shared")
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	keys, err := mfa.ParseKeys(mfa.NewKey()) // keep yours where you keep secrets
	if err != nil {
		log.Fatal(err)
	}
	a, err := newApp(db, keys, time.Now)
	if err != nil {
		log.Fatal(err)
	}
	go a.jobs.Run(context.Background())
	for _, u := range []user{{"1", "ada@acme.example", "acme"}, {"2", "bob@birch.example", "birch"}} {
		if err := a.register(context.Background(), u, "correct horse"); err != nil {
			log.Fatal(err)
		}
	}
	log.Print("http://localhost:8080: ada@acme.example and bob@birch.example, correct horse")
	log.Fatal(http.ListenAndServe("localhost:8080", a.handler()))
}
