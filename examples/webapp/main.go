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
	defer a.jobs.start(a.log)()
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

Users: alice, bob, carol and dave; the password of each is %[3]q until it is changed.
Companies: alice owns Acme, which manages its users, carol administers it and bob is a member; dave owns Birch, and bob is in both.
All but dave have an email address; alice and carol have a mobile number, and carol's is not confirmed.
Have an authenticator app at hand, or this command and the key shown under the QR code:

    oathtool --totp --base32 KEY

Emails and text messages are at http://%[2]s/dev/inbox

Things to try: sign in and set up an app, sign out and in again with a code or a backup code,
as alice with a code by SMS, have the browser remembered and let a week pass at /dev/clock,
open a second browser and end its session from the security page,
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

// issuer is the product's name, in authenticator apps too.
const issuer = "Cedar"

// app is everything that a request needs.
type app struct {
	guard    *mfa.Guard
	web      *mfahttp.Adapter
	users    *directory
	pages    pages
	clock    *clock
	inbox    *inbox
	jobs     jobs
	log      *slog.Logger
	optional bool
	remember time.Duration // for how long a browser may be
}

// newApp puts the application together. Options change the configuration of the
// guard, for tests.
func newApp(optional bool, log *slog.Logger, options ...func(*mfa.Config)) (*app, error) {
	a := &app{users: newDirectory("alice", "bob", "carol", "dave"), clock: &clock{}, inbox: &inbox{}, jobs: newJobs(), log: log, optional: optional}

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
	a.remember = config.Policy.Rules.Remember
	if a.guard, err = mfa.New(config); err != nil {
		return nil, err
	}
	a.web, err = mfahttp.New(mfahttp.Config{
		Guard: a.guard,
		Pages: mfahttp.Pages{
			SignIn: "/sign-in", Verify: "/verify", Enroll: "/setup", SaveCodes: "/codes",
			NewPassword: "/new-password", StepUp: "/step-up", Home: "/",
		},
		NoProxies:    true,
		InsecureHTTP: true, // never where anybody but you can reach it
		Error:        a.failed,
		Now:          a.clock.Now,
	})
	if err != nil {
		return nil, err
	}
	a.pages, err = parsePages(a.clock.Now, places{})
	return a, err
}

// handler returns all routes. What a handler may do shows in what wraps it: a
// session, or a flow at one step.
func (a *app) handler() http.Handler {
	mux := http.NewServeMux()
	session := func(pattern string, h http.HandlerFunc) { mux.Handle(pattern, a.web.RequireSession(h)) }
	step := func(pattern string, s mfa.Step, h http.HandlerFunc) { mux.Handle(pattern, a.web.RequirePending(h, s)) }

	mux.HandleFunc("GET /sign-in", a.signInPage)
	mux.HandleFunc("POST /sign-in", a.signIn)
	mux.Handle("POST /sign-out", a.web.SignOut())

	step("GET /verify", mfa.StepVerify, a.verifyPage)
	step("POST /verify", mfa.StepVerify, a.verify)
	step("GET /setup", mfa.StepEnroll, a.setupPage)
	step("GET /setup/qr", mfa.StepEnroll, a.setupQR)
	step("GET /setup/open", mfa.StepEnroll, a.setupOpen)
	step("POST /setup", mfa.StepEnroll, a.setup)
	step("GET /codes", mfa.StepSaveCodes, a.codesPage)
	step("GET /codes/download", mfa.StepSaveCodes, a.codesDownload)
	step("POST /codes", mfa.StepSaveCodes, a.codes)
	mux.Handle("POST /cancel", a.web.Cancel())

	session("GET /{$}", a.homePage)
	session("GET /step-up", a.stepUpPage)
	mux.Handle("POST /step-up", a.web.StepUp())
	session("GET /security", a.securityPage)
	session("GET /security/confirm", a.confirmPage)
	session("POST /security/add", a.addAuthenticator)
	session("POST /security/rename", a.renameAuthenticator)
	session("POST /security/remove", a.removeAuthenticator)
	session("POST /security/codes", a.newCodes)
	session("POST /security/ask", a.askAtSignIn)
	session("POST /security/method", a.setMethod)
	session("POST /security/address", a.addAddress)
	session("POST /security/forget", a.forgetBrowser)
	session("POST /security/revoke", a.revoke)
	session("POST /security/revoke-others", a.revokeOthers)

	a.passwordRoutes(mux)
	a.orgRoutes(mux)

	mux.HandleFunc("GET /dev/clock", a.clockPage)
	mux.HandleFunc("POST /dev/clock", a.moveClock)
	mux.HandleFunc("GET /dev/inbox", a.inboxPage)
	mux.HandleFunc("POST /dev/inbox", a.stopMail)
	mux.Handle("GET /static/", static())
	mux.HandleFunc("/", a.notFound)
	return a.web.Protect(http.MaxBytesHandler(mux, 64<<10))
}

// passwordRoutes are the pages around passwords.
func (a *app) passwordRoutes(mux *http.ServeMux) {
	session := func(pattern string, h http.HandlerFunc) { mux.Handle(pattern, a.web.RequireSession(h)) }
	step := func(pattern string, h http.HandlerFunc) {
		mux.Handle(pattern, a.web.RequirePending(h, mfa.StepNewPassword))
	}

	session("GET /security/password", a.passwordPage)
	session("POST /security/password", a.changePassword)
	session("POST /security/password/check", a.checkPassword)
	step("GET /new-password", a.newPasswordPage)
	step("POST /new-password", a.newPassword)
	step("POST /new-password/check", a.checkPassword)

	mux.HandleFunc("GET /recover", a.recoverPage)
	mux.HandleFunc("POST /recover", a.recover)
	mux.HandleFunc("GET /recover/sent", a.recoverSentPage)
	mux.HandleFunc("GET /reset", private(a.resetPage))
	mux.HandleFunc("POST /reset", private(a.reset))
	mux.HandleFunc("GET /reset/over", a.overPage)
	mux.HandleFunc("GET /undo", private(a.undoPage))
	mux.HandleFunc("POST /undo", private(a.undo))
	mux.HandleFunc("GET /undo/over", a.overPage)
}

// failed answers what no page can. What happened is for the log alone.
func (a *app) failed(w http.ResponseWriter, r *http.Request, status int, err error) {
	if status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
		a.log.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "error", err)
	}
	a.renderStatus(w, r, status, "problem", map[string]string{
		"Heading": failures[status].heading, "Text": failures[status].text,
	})
}

var failures = map[int]struct{ heading, text string }{
	http.StatusBadRequest:          {"That did not work", "The request was not understood. Go back and try again."},
	http.StatusUnauthorized:        {"Please sign in", "This page is for people who have signed in."},
	http.StatusForbidden:           {"Not allowed", "This request was not accepted."},
	http.StatusNotFound:            {"Page not found", "There is nothing at this address."},
	http.StatusTooManyRequests:     {"Too many tries", "Wait a little, then try again."},
	http.StatusInternalServerError: {"Something went wrong", "The fault is ours. Nothing was changed."},
	http.StatusServiceUnavailable:  {"Back in a moment", "We cannot answer right now. Please try again shortly."},
}

func (a *app) notFound(w http.ResponseWriter, r *http.Request) {
	a.failed(w, r, http.StatusNotFound, nil)
}
