// Command webapp is a whole web application that uses mfa: sign-in with a password,
// its change and its recovery by mail, an authenticator app, codes by email and SMS,
// backup codes, remembered browsers, a security page, and two companies whose owners
// force a second factor on their members. Every user must have one.
//
//	go run ./examples/webapp
//
// It keeps its records in a file of SQLite, webapp.db, and the keys that open them
// in webapp.db.key. Any other store will do:
//
//	go run ./examples/webapp -store memory
//	go run ./examples/webapp -store postgres://app@127.0.0.1/app
//
// What it would mail and text is shown at /dev/inbox; the links there begin with
// what -url says. Its users are in memory, their passwords in the store: an address
// or number that was changed is the old one again after a restart, a password is not. It works over plain http and has a page that moves its clock: it is made
// to be read and tried, and to run on one's own machine only.
package main

import (
	"context"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
	"github.com/seed-1320b244/mfa/mfahttp/pages"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "the `address` to listen on; port 0 takes any that is free")
	optional := flag.Bool("optional", false, "leave it to each user whether to have a second factor")
	store := flag.String("store", "sqlite:webapp.db", storeUsage)
	base := flag.String("url", "", "the `URL` that links in mails begin with; http:// and the address that it listens on, unless given")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *addr, *base, *store, *optional); err != nil {
		fmt.Fprintln(os.Stderr, "webapp:", err)
		os.Exit(1)
	}
}

// run serves until ctx is done.
func run(ctx context.Context, out io.Writer, addr, base, location string, optional bool) (err error) {
	storage, err := openStorage(ctx, location)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, storage.close()) }()
	a, err := newApp(optional, slog.New(slog.NewTextHandler(os.Stderr, nil)), storage.configure)
	if err != nil {
		return err
	}
	if err := a.register(ctx); err != nil {
		return err
	}
	defer a.work()()
	if storage.sweeps {
		ctx, stop := context.WithCancel(ctx)
		var sweeper sync.WaitGroup
		sweeper.Go(func() { a.sweep(ctx, time.Hour) })
		defer sweeper.Wait()
		defer stop()
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	if base == "" {
		base = "http://" + ln.Addr().String()
	}
	a.inbox.from(base)
	fmt.Fprintf(out, `%[1]s is running at http://%[2]s

Users: alice, bob, carol, dave and erin; the password of each is %[3]q until it is changed.
Companies: alice owns Acme, which manages its users, carol administers it and bob is a member; dave owns Birch, and bob is in both. erin is in none: she administers %[1]s itself.
Alice, bob and carol have an email address; alice and carol have a mobile number, and carol's is not confirmed.
Have an authenticator app at hand, or this command and the key shown under the QR code:

    oathtool --totp --base32 KEY

Emails and text messages are at http://%[2]s/dev/inbox

Things to try: sign in and set up an app, sign out and in again with a code or a backup code,
as alice with a code by SMS, have the browser remembered and let a week pass at /dev/clock,
open a second browser and end its session from the security page,
as erin find dave among all users and reset his two-step verification,
forget the password of alice and choose another, and change it once more on the security page,
or stop this program and start it again: whoever was signed in still is.
With -optional nobody has to: turn on codes by email and nothing else, and off again;
or as dave force two-step verification on Birch, and as bob see which of his companies asks for it.
`, issuer, ln.Addr(), demoPassword)

	server := &http.Server{Handler: a.handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return server.Shutdown(ctx)
	}
}

// work begins to run jobs. It returns a func that runs those which wait and ends it.
func (a *app) work() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { a.jobs.Run(ctx) })
	return func() {
		cancel()
		running.Wait()
	}
}

// issuer is the product's name, in authenticator apps too.
const issuer = "Cedar"

// app is everything that a request needs.
type app struct {
	guard *mfa.Guard
	site  *pages.Site
	web   *mfahttp.Adapter
	users *directory
	clock *clock
	inbox *inbox
	jobs  *mfahttp.Jobs
	log   *slog.Logger

	language func(*http.Request) string // of a page; the host's own are in English
}

// newApp puts the application together. Options change the configuration of the
// guard, for tests.
func newApp(optional bool, log *slog.Logger, options ...func(*mfa.Config)) (*app, error) {
	a := &app{users: newDirectory("alice", "bob", "carol", "dave", "erin"), clock: &clock{}, inbox: &inbox{}, log: log}
	a.language = func(*http.Request) string { return "en" }
	a.jobs = mfahttp.NewJobs(func(err error) { log.Error("job failed", "error", err) })

	// In memory and with new keys, unless the options say otherwise.
	keys, err := mfa.ParseKeys(mfa.NewKey())
	if err != nil {
		return nil, err
	}
	rules := mfa.Rules{
		Require:  mfa.RequireAtSignIn,
		Methods:  []mfa.Method{mfa.TOTP, mfa.SMSCode, mfa.EmailCode},
		Remember: 7 * 24 * time.Hour,
	}
	if optional {
		rules.Require = mfa.RequireOff
	}
	// What many sites ask for, and not the present one again. The zero policy is
	// stronger: 15 characters, or 8 where a second factor is always asked besides.
	passwords := mfa.PolicyClassic().Password
	passwords.History = 1
	config := mfa.Config{
		Issuer:   issuer,
		Store:    new(mfa.MemoryStore),
		Users:    a.users,
		Keys:     keys,
		Notifier: a.inbox,
		Locator:  places{},
		Policy:   mfa.Policy{Rules: rules, Password: passwords},
		OnEvent:  mfa.LogEvents(log),
		Now:      a.clock.Now,
	}
	for _, o := range options {
		o(&config)
	}
	if a.guard, err = mfa.New(config); err != nil {
		return nil, err
	}
	a.site, err = pages.New(pages.Config{
		Guard: a.guard,
		HTTP: mfahttp.Config{
			NoProxies:    true,
			InsecureHTTP: true, // never where anybody but you can reach it
			Now:          a.clock.Now,
		},
		Users:    a.users,
		Jobs:     a.jobs.Add,
		Product:  issuer,
		Home:     "/",
		Org:      organization,
		Name:     a.users.called,
		Files:    files,
		Language: func(r *http.Request) string { return a.language(r) },
		Locator:  places{},
		Log:      log,
	})
	if err != nil {
		return nil, err
	}
	a.web = a.site.Web()
	return a, nil
}

// files are the pages of the host and their looks.
//
//go:embed templates static
var files embed.FS

// handler returns all routes: those of the host, and for everything else the pages of
// the library.
func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", a.web.RequireSession(http.HandlerFunc(a.homePage)))
	mux.Handle("GET /org/{org}", a.web.RequireEntry(orgOf, a.member(a.companyPage)))
	mux.HandleFunc("GET /dev/sso", a.ssoPage)
	mux.HandleFunc("POST /dev/sso", a.sso)
	mux.HandleFunc("GET /dev/clock", a.clockPage)
	mux.HandleFunc("POST /dev/clock", a.moveClock)
	mux.HandleFunc("GET /dev/inbox", a.inboxPage)
	mux.HandleFunc("POST /dev/inbox", a.stopMail)
	mux.Handle("/", a.site)
	return a.web.Protect(http.MaxBytesHandler(mux, 64<<10))
}

// homePage is a page for whoever has signed in.
func (a *app) homePage(w http.ResponseWriter, r *http.Request) {
	in := mfahttp.SessionFrom(r.Context())
	o, err := in.Overview(r.Context())
	if err != nil {
		a.web.Next(w, r, mfa.Outcome{}, err)
		return
	}
	u, _ := a.users.byID(in.User())
	a.render(w, r, "home", struct {
		mfa.Overview
		FullName  string
		Companies []account
	}{o, u.fullName, u.companies()})
}

// render shows one of the host's own pages.
func (a *app) render(w http.ResponseWriter, r *http.Request, name string, data any) {
	a.site.Render(w, r, http.StatusOK, name, data)
}
