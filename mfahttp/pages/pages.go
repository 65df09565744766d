// Package pages is a set of finished pages for package mfa: sign-in and its steps, the
// settings of a user's own account, recovery by mail, for the administrators of
// organizations their rules and their members, and all users for those of the
// installation. They need no JavaScript, hold to the
// Content-Security-Policy of [mfahttp.Adapter.Protect], and are fit for a screen of
// 320 pixels, light or dark.
//
//	jobs := mfahttp.NewJobs(func(err error) { slog.Error("job failed", "error", err) })
//	go jobs.Run(ctx)
//	site, err := pages.New(pages.Config{
//		Guard:   guard,
//		Users:   directory,
//		HTTP:    mfahttp.Config{NoProxies: true},
//		Jobs:    jobs.Add,
//		Product: "Cedar",
//		Prefix:  "/account",
//		Home:    "/",
//	})
//	mux.Handle("/account/", site)
//	mux.Handle("/reports", site.Web().RequireSession(reports))
//
// # Paths
//
// All begin with Config.Prefix. A host links to /sign-in, /security (the user's own
// account), /security/password, /recover and, for an organization, /org/ID/settings
// and /org/ID/members; it posts to /sign-out. Whoever has mfa.User.Admin finds /admin/members
// in the frame, and from there /admin/settings: the same for all users, without rules to
// set, which are those of mfa.Config. Config.Prefix alone, with a slash, leads to
// /security. The links in its mails lead to /reset and
// /undo, each with the token of the message as "token" in the query: for mfanotify,
// ResetURL is "https://cedar.example/account/reset?token=", and UndoURL alike. The others
// lead from page to page. Beside them a host handles "/" of all methods: a ServeMux
// refuses "GET /" next to "/account/".
//
// # Words
//
// Every sentence is in a catalogue, one JSON object of keys and sentences for each
// language. English and German are embedded. messages/en.json of Config.Files, with
// nothing but the keys to replace, changes single sentences, messages/de.json those in
// German, and messages/pt.json adds a language, whose missing keys are said in English.
// A host whose own pages are in English alone chooses that in Config.Language: otherwise
// it is for the browser. A sentence is plain text: nothing in it is markup. It may have the
// placeholders of the English one, such as {product}, and no others. Keys that end in
// .one and .other are two forms of one sentence. The layouts format.date and
// format.clock are those of [time.Time.Format]. Keys that begin with "host." are the
// host's own, for its own pages, and those that begin with "action." name what it gives
// to mfa.ToConfirm: one that has none is not named. New refuses every other key that is
// not in English.
//
// # Looks
//
// static/host.css of Config.Files is loaded after the style sheet. To change colors and
// shapes it sets custom properties, again under "@media (prefers-color-scheme: dark)"
// where they differ:
//
//	--bg --surface --sunken       behind the page, of cards, of what is inset
//	--text --muted --line --field text, small text, lines, borders of fields
//	--accent --accent-strong --on-accent   links and buttons, under the pointer, text on them
//	--good --warn --bad           text of badges and notices; --good-bg … behind them
//	--on-bad --radius --shadow    text on a red button, corners and shadow of cards
//	--sans --mono                 fonts, which the policy lets come from the system only
//
// static/icon.svg is beside the name of the product.
//
// # Pages of the host
//
// A file templates/NAME.html of Config.Files is a page that [Site.Render] shows in the
// same frame. It defines "title" and "content", and its data is a [Page]. One with the
// name of a page that is embedded replaces that. templates/blocks.html is there to be
// replaced, as a whole or in parts: "head" (at the end of the head), "nav" (beside the
// links of the frame), "foot" (of every page) and "sign-in-ways" (under the form of the
// sign-in: other ways) are empty.
//
// Every template may call:
//
//	{{msg "key" "name" value …}}    a sentence; {{msgn "key" n …}} in the form for n, which is {n}
//	{{path "/security"}}            a path behind the prefix
//	{{strong v}} {{link path v}}    elements, as values for msg
//	{{date t}} {{time t}} {{ago t}} {{in t}}   the date, the same as an element, "5 minutes ago", "5 minutes"
//	{{advice r}} {{method m}} {{role r}}       what people call an advice, a method, a role
//	{{list v …}}                    a list, for templates that take several values
//
// The template "countdown" tells a member until when she can put a second factor off,
// with a button that begins the setup; it takes an organization's ID, its name,
// Session.RequiredFrom and the path to come back to:
//
//	{{template "countdown" (list "acme" "Acme" .Data.From "/acme")}}
package pages

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"mime"
	"net/http"
	"regexp"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// Config wires a Site. Guard, Users, Jobs, Product, Home and what mfahttp.Config
// requires are required.
type Config struct {
	// Guard decides. It is asked for the installation's rules once, in New.
	Guard *mfa.Guard
	// HTTP is for cookies and the peer's address. Its Guard and Pages are not read, and
	// its Error may be nil: what failed is then said on a page, and logged.
	HTTP mfahttp.Config
	// Users are names and addresses to show: what the Guard has. When it is a
	// mfa.Directory there are pages for who administers the installation (mfa.User.Admin).
	Users mfa.Users
	// Jobs is given what an answer does not wait for, mails with links to a new password,
	// and reports whether it took it: Jobs.Add of a mfahttp.Jobs that the host runs, for
	// one. It must not run it before it returns: how long the mail takes would tell who
	// has an account. Whoever is not taken is asked to try again in a minute (503), and
	// the log is told.
	Jobs func(job func(context.Context) error) bool
	// Product is the name that users know, as in mfa.Config.Issuer.
	Product string
	// Prefix is what all paths begin with, such as "/account". "": they are at the root
	// of the origin.
	Prefix string
	// Home is where the host's own pages begin, a path such as "/".
	Home string
	// Org tells of an organization. It returns an error that wraps mfa.ErrForbidden for
	// one that there is not. Nil: there are no pages for its administrators.
	Org func(ctx context.Context, id string) (Org, error)
	// Name is what a user is called by others: on the pages of administrators. Nil: by
	// mfa.User.Name.
	Name func(mfa.User) string
	// Files has templates, style sheets, words and pages of the host, which replace the
	// embedded ones of the same name. Nil: none. It is read in New, but for static/,
	// which is read at each request.
	Files fs.FS
	// Language chooses among the languages that there are, by a tag such as "pt"; of
	// another one pages are in English. Nil: what the browser prefers.
	Language func(*http.Request) string
	// Locator says where the peers of recent activity were, as for the Guard. Nil: that
	// is not shown.
	Locator mfa.Locator
	// Log is told of requests that failed. Nil: slog.Default().
	Log *slog.Logger
}

// An Org is an organization as its administrators see it.
type Org struct {
	// Name is what people call it.
	Name string
	// Managed: it manages the accounts of its members, so that its rules may hold at
	// sign-in. Of an account that it manages User.ManagedBy says so.
	Managed bool
	// Connection is its identity provider as mfa.SSOFirst names it. "": there is none,
	// and the settings ask nothing about it.
	Connection string
	// AMR are what that provider asserts after a second factor (RFC 8176). Nil: "mfa".
	AMR []string
	// Home is the path of its own page. "": Config.Home.
	Home string
}

// A Site serves the pages. It is safe for concurrent use, starts no goroutine and
// keeps nothing between requests.
type Site struct {
	config    Config
	web       *mfahttp.Adapter
	directory mfa.Directory // nil: the host's Users is none
	preset    mfa.Rules     // the rules of the installation
	sets      map[string]*language
	handler   http.Handler
}

// prefixes are paths of plain segments.
var prefixes = regexp.MustCompile(`^(/[A-Za-z0-9_~-]+)*$`)

// New checks c and returns a Site. Its error names every field that is missing, or the
// file in Files that is no template, no catalogue or has a key that there is not, and
// wraps mfa.ErrInvalid.
func New(c Config) (*Site, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Users == nil {
		bad("Config.Users is missing")
	}
	if c.Jobs == nil {
		bad("Config.Jobs is missing")
	}
	if c.Product == "" {
		bad("Config.Product is missing")
	}
	if !prefixes.MatchString(c.Prefix) {
		bad("Config.Prefix is %q, want a path such as /account, or nothing", c.Prefix)
		c.Prefix = ""
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Name == nil {
		c.Name = func(u mfa.User) string { return u.Name }
	}
	s := &Site{config: c}
	s.directory, _ = c.Users.(mfa.Directory)
	h := c.HTTP
	h.Guard, h.Pages = c.Guard, mfahttp.Pages{
		SignIn: s.path("/sign-in"), Verify: s.path("/verify"), Enroll: s.path("/setup"), SaveCodes: s.path("/codes"),
		NewPassword: s.path("/new-password"), StepUp: s.path("/step-up"), Home: c.Home,
	}
	if h.Error == nil {
		h.Error = s.failed
	}
	var err error
	if s.web, err = mfahttp.New(h); err != nil {
		errs = append(errs, err)
	}
	if s.sets, err = s.load(); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("%w: %w", mfa.ErrInvalid, errors.Join(errs...))
	}
	if s.preset, _, err = c.Guard.Operator("pages", "").Rules(context.Background()); err != nil {
		return nil, err
	}
	s.handler = s.web.Protect(http.MaxBytesHandler(s.whole(s.routes()), maxForm))
	return s, nil
}

// maxForm bytes are more than any form of these pages has.
const maxForm = 64 << 10

// whole refuses forms that cannot be read to their end, or are of a type that none of
// these pages sends: a box that is ticked is missing in them as one that is not, and
// would turn something off.
func (s *Site) whole(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			err := r.ParseForm()
			if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && r.ContentLength != 0 && kind != "application/x-www-form-urlencoded" {
				err = fmt.Errorf("a form of type %q", kind)
			}
			if err != nil {
				s.failed(w, r, http.StatusBadRequest, err)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// Web returns the Adapter that the pages are behind, for the host's own:
// RequireSession, RequireEntry, Next and, around all of them, Protect.
func (s *Site) Web() *mfahttp.Adapter { return s.web }

// ServeHTTP serves the pages. It is behind Adapter.Protect and a limit on the size of
// forms by itself, so that neither can be forgotten; a host that wraps all it serves in
// Protect does no harm. How long a request may take is for the http.Server: its
// ReadHeaderTimeout and ReadTimeout are no limit unless they are set, and whoever sends a
// byte and no more is waited for.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// path returns the path of one of the pages.
func (s *Site) path(p string) string { return s.config.Prefix + p }

// routes returns all routes. What a handler may do shows in what wraps it: a session,
// or a flow at one step.
func (s *Site) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(method, path string, h http.Handler) { mux.Handle(method+" "+s.path(path), h) }
	open := func(method, path string, h http.HandlerFunc) { handle(method, path, h) }
	session := func(method, path string, h http.HandlerFunc) { handle(method, path, s.web.RequireSession(h)) }
	step := func(method, path string, at mfa.Step, h http.HandlerFunc) {
		handle(method, path, s.web.RequirePending(h, at))
	}

	open("GET", "/sign-in", s.signInPage)
	open("POST", "/sign-in", s.signIn)
	handle("POST", "/sign-out", s.web.SignOut())

	step("GET", "/verify", mfa.StepVerify, s.verifyPage)
	step("POST", "/verify", mfa.StepVerify, s.verify)
	step("GET", "/setup", mfa.StepEnroll, s.setupPage)
	step("GET", "/setup/qr", mfa.StepEnroll, s.setupQR)
	step("GET", "/setup/open", mfa.StepEnroll, s.setupOpen)
	step("POST", "/setup", mfa.StepEnroll, s.setup)
	handle("POST", "/setup/skip", s.web.RequirePending(http.HandlerFunc(s.skip)))
	step("GET", "/codes", mfa.StepSaveCodes, s.codesPage)
	step("GET", "/codes/download", mfa.StepSaveCodes, s.codesDownload)
	step("POST", "/codes", mfa.StepSaveCodes, s.codes)
	step("GET", "/new-password", mfa.StepNewPassword, s.newPasswordPage)
	step("POST", "/new-password", mfa.StepNewPassword, s.newPassword)
	step("POST", "/new-password/check", mfa.StepNewPassword, s.checkPassword)
	handle("POST", "/cancel", s.web.Cancel())

	session("GET", "/step-up", s.stepUpPage)
	handle("POST", "/step-up", s.web.StepUp())
	s.settings(session)
	s.administration(session)

	open("GET", "/recover", s.recoverPage)
	open("POST", "/recover", s.recover)
	open("GET", "/recover/sent", s.recoverSentPage)
	open("GET", "/reset", private(s.resetPage))
	open("POST", "/reset", private(s.reset))
	open("GET", "/reset/over", s.overPage)
	open("GET", "/undo", private(s.undoPage))
	open("POST", "/undo", private(s.undo))
	open("GET", "/undo/over", s.overPage)

	open("GET", "/static/", s.static)
	if s.config.Prefix != "" {
		open("GET", "/{$}", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, s.path("/security"), http.StatusSeeOther)
		})
	}
	mux.HandleFunc(s.path("/"), s.notFound)
	return mux
}

// settings are the pages of a user's own account.
func (s *Site) settings(session func(method, path string, h http.HandlerFunc)) {
	session("GET", "/security", s.securityPage)
	session("GET", "/security/confirm", s.confirmPage)
	session("POST", "/security/add", s.addAuthenticator)
	session("POST", "/security/rename", s.renameAuthenticator)
	session("POST", "/security/remove", s.removeAuthenticator)
	session("POST", "/security/codes", s.newCodes)
	session("POST", "/security/ask", s.askAtSignIn)
	session("POST", "/security/method", s.setMethod)
	session("POST", "/security/address", s.addAddress)
	session("POST", "/security/forget", s.forgetBrowser)
	session("POST", "/security/revoke", s.revoke)
	session("POST", "/security/revoke-others", s.revokeOthers)
	session("GET", "/security/password", s.passwordPage)
	session("POST", "/security/password", s.changePassword)
	session("POST", "/security/password/check", s.checkPassword)
}

// failed answers what no page can. What happened is for the log alone.
func (s *Site) failed(w http.ResponseWriter, r *http.Request, status int, err error) {
	if status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
		s.config.Log.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "error", err)
	}
	s.Render(w, r, status, "problem", status)
}

func (s *Site) notFound(w http.ResponseWriter, r *http.Request) {
	s.failed(w, r, http.StatusNotFound, nil)
}
