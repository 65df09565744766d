package mfa_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// leakTest plays what happens to a user, and hoards what it shows.
type leakTest struct {
	*mfatest.Kit
	t      *testing.T
	hoard  *hoard
	hashes *hoard // what only the store may hold
	logs   *bytes.Buffer
	events map[mfa.EventName]bool

	browser string // the token of the last one, which the next sign-in presents
	errs    map[mfa.Reason]bool
}

func newLeakTest(t *testing.T) *leakTest {
	l := &leakTest{
		t: t, hoard: newHoard(), hashes: newHoard(), logs: new(bytes.Buffer),
		events: make(map[mfa.EventName]bool), errs: make(map[mfa.Reason]bool),
	}
	keys := []string{mfa.NewKey(), mfa.NewKey()}
	for _, k := range keys {
		l.hoard.text("a key", k[len("mfakey1_"):])
		l.hoard.bytes("a key", decodeKey(t, k))
	}
	text := mfa.LogEvents(slog.New(slog.NewTextHandler(l.logs, nil)))
	json := mfa.LogEvents(slog.New(slog.NewJSONHandler(l.logs, nil)))
	l.Kit = newKeyKit(t, strings.Join(keys, ","), func(c *mfa.Config) {
		postal(c)
		c.Store = &spy{c.Store, l.hoard}
		c.OnEvent = func(ctx context.Context, e mfa.Event) {
			text(ctx, e)
			json(ctx, e)
			l.events[e.Name] = true
			l.hoard.show("event "+string(e.Name), e)
		}
	})
	l.Users.Add(mfa.User{ID: "bob"})
	l.hoard.show("Keys", l.Config.Keys)
	l.hoard.show("Config", l.Config)
	l.hoard.show("Guard", l.Guard)
	return l
}

func decodeKey(t testing.TB, key string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(key[len("mfakey1_"):])
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// err hoards an error, and returns whether there is one.
func (l *leakTest) err(err error) bool {
	if err != nil {
		l.errs[mfa.ReasonOf(err)] = true
		l.hoard.show("error "+string(mfa.ReasonOf(err)), err)
		l.hoard.shown[err.Error()] = "error " + string(mfa.ReasonOf(err))
	}
	return err != nil
}

// out hoards what a step led to, and returns its handles.
func (l *leakTest) out(out mfa.Outcome, err error) (*mfa.Session, *mfa.Pending) {
	l.t.Helper()
	l.err(err)
	if b := out.Browser(); b != "" {
		l.token(mfa.BrowserKind, b)
		l.browser = b
	}
	l.hoard.show("Outcome", out)
	l.hoard.show("Outcome", &out)
	if s := out.Session; s != nil {
		l.token("session", s.Token())
		l.hoard.show("Session", s)
		l.hoard.show("Assurance", s.Assurance())
	}
	if p := out.Pending; p != nil {
		l.token("pending", p.Token())
		l.hoard.show("Pending", p)
		l.hoard.show("Need", p.Need())
		l.hoard.show("Purpose", p.Purpose())
		l.codes(p.BackupCodes())
	}
	return out.Session, out.Pending
}

// token makes a token a secret, with what it proves.
func (l *leakTest) token(kind, text string) {
	l.hoard.text("a token", text)
	l.hoard.bytes("a token", []byte(text))
	secret := mfa.TokenSecret(l.Guard, kind, text)
	l.hoard.bytes("the secret in a token", secret)
	sum := sha256.Sum256(secret)
	l.hashes.bytes("the hash of a token", sum[:])
}

func (l *leakTest) codes(b mfa.BackupCodes) {
	l.hoard.show("BackupCodes", b)
	l.hoard.show("BackupCodes", &b)
	for _, c := range b.Reveal() {
		l.hoard.text("a backup code", c)
		l.hoard.bytes("a backup code", []byte(c))
		bare := strings.ReplaceAll(c, "-", "")
		l.hoard.text("the secret of a backup code", bare[2:])
		l.hoard.bytes("the secret of a backup code", []byte(bare[2:]))
	}
}

// prove makes a typed code a secret and tries it. New backup codes that follow are
// saved.
func (l *leakTest) prove(p *mfa.Pending, m mfa.Method, code string) *mfa.Session {
	l.t.Helper()
	proof := mfa.Proof{Method: m, Code: code}
	l.hoard.text("a typed code", code)
	l.hoard.show("Proof", proof)
	l.hoard.show("Proof", &proof)
	s, next := l.out(p.Verify(l.t.Context(), proof))
	if next != nil && next.Need().Step == mfa.StepSaveCodes {
		s, _ = l.out(next.SaveCodes(l.t.Context()))
	}
	return s
}

func (l *leakTest) signIn(in mfa.SignIn) (*mfa.Session, *mfa.Pending) {
	l.t.Helper()
	in.User, in.Client = "ann", mfatest.Laptop()
	if l.browser != "" {
		in.Browsers = []string{l.browser}
	}
	l.hoard.show("SignIn", in)
	l.hoard.show("SignIn", &in)
	return l.out(l.Guard.SignIn(l.t.Context(), in))
}

// enroll binds an authenticator in p, with a slip, and saves the codes.
func (l *leakTest) enroll(p *mfa.Pending) (*mfatest.Authenticator, *mfa.Session, []string) {
	l.t.Helper()
	ctx := l.t.Context()
	setup, err := p.StartTOTP(ctx, "Phone")
	if l.err(err) {
		l.t.Fatal(err)
	}
	app, err := mfatest.NewAuthenticator(setup.URI())
	if err != nil {
		l.t.Fatal(err)
	}
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(setup.Secret(), " ", ""))
	if err != nil {
		l.t.Fatal(err)
	}
	l.hoard.text("the authenticator's secret", setup.Secret())
	l.hoard.bytes("the authenticator's secret", raw)
	l.hoard.show("Setup", setup)
	l.hoard.show("Setup", &setup)
	_, err = setup.PNG(99)
	l.err(err)
	_, err = p.ConfirmTOTP(ctx, app.Wrong(l.Clock.Now()))
	l.err(err)
	s, next := l.out(p.ConfirmTOTP(ctx, app.Code(l.Clock.Now())))
	if s != nil {
		return app, s, nil
	}
	again, err := l.Guard.Pending(ctx, next.Token(), p.Token(), mfatest.Laptop())
	l.err(err)
	if again != nil {
		l.out(mfa.Outcome{Pending: again}, nil)
	}
	codes := next.BackupCodes().Reveal()
	s, _ = l.out(next.SaveCodes(ctx))
	return app, s, codes
}

// TestR27_NothingShown: R27 lets no secret, code, token or hash into an error, an
// event, a log, or what fmt and JSON make of any exported type, and none in clear
// into the store. It plays a user's life, right and wrong, and searches everything
// that came out.
func TestR27_NothingShown(t *testing.T) {
	l := newLeakTest(t)
	s, _ := l.signIn(mfa.SignIn{First: mfa.PasswordFirst()})
	_, p := l.out(s.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), "/account"))
	app, s, codes := l.enroll(p)
	l.Clock.Advance(app.Period())
	l.guesses(app, codes, s)
	l.settings(app, s)
	l.mail(app)
	l.passwords(app)
	l.faults(app, codes)
	l.desk()

	l.hoard.shown[l.logs.String()] = "the log"
	l.hashes.text("a password hash", "$argon2id$v=19")
	for _, e := range []mfa.EventName{
		mfa.EventSignInStarted, mfa.EventSignedIn, mfa.EventSignedOut, mfa.EventProofRefused, mfa.EventMethodLocked, mfa.EventFactorAdded,
		mfa.EventCodesIssued, mfa.EventCodesSaved, mfa.EventCodeUsed, mfa.EventFactorsReset, mfa.EventSteppedUp, mfa.EventUserDisabled,
	} {
		if !l.events[e] {
			t.Errorf("the scenario lacks the event %s", e)
		}
	}
	for _, r := range []mfa.Reason{
		mfa.ReasonMalformedCode, mfa.ReasonWrongCode, mfa.ReasonTOTPReused, mfa.ReasonMethodLocked, mfa.ReasonTooManyTries, mfa.ReasonStoreFailed,
		mfa.ReasonDirectoryFailed, mfa.ReasonForgedToken, mfa.ReasonUnknownKey, mfa.ReasonTampered, mfa.ReasonInvalidArgument, mfa.ReasonStale,
		mfa.ReasonUndelivered, mfa.ReasonSentTooOften, mfa.ReasonAddressUnproven,
	} {
		if !l.errs[r] {
			t.Errorf("the scenario lacks an error because of %s", r)
		}
	}
	seen := l.hoard.seen()
	for _, name := range exportedTypes(t) {
		if !seen[name] {
			t.Errorf("%s was never shown", name)
		}
	}
	l.hoard.verify(t, l.hashes)
}

// guesses signs in with all kinds of wrong and right codes.
func (l *leakTest) guesses(app *mfatest.Authenticator, codes []string, old *mfa.Session) {
	now := l.Clock.Now
	_, p := l.signIn(mfa.SignIn{First: mfa.PasswordFirst(), Presented: []string{old.Token(), "nonsense"}, Return: "/home"})
	for _, code := range []string{"12345", codes[0] + "x", app.Wrong(now()), app.Code(now().Add(-app.Period())), strings.Repeat("9", 99)} {
		l.prove(p, mfa.TOTP, code)
	}
	l.prove(p, mfa.BackupCode, strings.Repeat("Z", 16))
	l.prove(p, mfa.BackupCode, strings.Replace(codes[1], "-", "!", 1))
	l.prove(p, mfa.BackupCode, codes[0][:2]+codes[1][2:])
	l.prove(p, mfa.EmailCode, "123456")
	s := l.prove(p, mfa.TOTP, app.Code(now()))
	if s == nil {
		l.t.Fatal("the right code is refused")
	}
	l.prove(p, mfa.TOTP, app.Code(now()))
	l.err(s.SignOut(l.t.Context()))
	_, p = l.signIn(mfa.SignIn{First: mfa.PasswordFirst(), Presented: []string{s.Token(), p.Token()}})
	if l.prove(p, mfa.BackupCode, strings.ToLower(codes[2])) == nil {
		l.t.Fatal("the backup code is refused")
	}
	first := mfa.SSOFirst("google", []string{"pwd"}, "urn:x", now())
	l.hoard.show("First", first)
	_, p = l.signIn(mfa.SignIn{First: first})
	for range 6 {
		l.prove(p, mfa.TOTP, app.Wrong(now()))
	}
	_, p = l.signIn(mfa.SignIn{First: mfa.PasswordFirst()})
	l.prove(p, mfa.TOTP, app.Wrong(now())) // locked
	l.Clock.Advance(2 * time.Hour)
}

// settings does what a security page does, with a session too old and with a fresh
// one.
func (l *leakTest) settings(app *mfatest.Authenticator, ended *mfa.Session) {
	ctx := l.t.Context()
	_, err := ended.Overview(ctx)
	l.err(err)
	_, p := l.signIn(mfa.SignIn{First: mfa.PasswordFirst()})
	s := l.prove(p, mfa.TOTP, app.Code(l.Clock.Now()))
	if s == nil {
		l.t.Fatal("no session")
	}
	l.Clock.Advance(time.Hour)
	_, err = s.NewBackupCodes(ctx, "")
	l.err(err)
	l.err(s.RenameTOTP(ctx, "x", "y"))
	l.err(s.RenameTOTP(ctx, "x", "\x00"))
	_, p = l.out(s.StepUp(ctx, mfa.ToConfirm("rename"), "/x"))
	if s = l.prove(p, mfa.TOTP, app.Code(l.Clock.Now())); s == nil {
		l.t.Fatal("no session")
	}
	_, p = l.out(s.NewBackupCodes(ctx, ""))
	l.codes(p.BackupCodes())
	_, p = l.out(s.StepUp(ctx, mfa.ToEnroll(mfa.TOTP), ""))
	_, s, _ = l.enroll(p)
	o, err := s.Overview(ctx)
	l.err(err)
	l.hoard.show("Overview", o)
	_, err = l.Guard.Enter(ctx, s.Token(), "\x00", mfatest.Laptop())
	l.err(err)
	l.company(s)
	l.Clock.Advance(app.Period())
}

// company sets the rules of an organization, twice at once, and reads who keeps
// them.
func (l *leakTest) company(s *mfa.Session) {
	ctx := l.t.Context()
	l.Users.Add(mfa.User{ID: "ann", ManagedBy: "acme", Orgs: []mfa.Membership{{Org: "acme", Role: mfa.RoleOwner}}})
	admin, err := s.Admin(ctx, "acme")
	if l.err(err) {
		l.t.Fatal(err)
	}
	l.hoard.show("Admin", admin)
	l.err(admin.SetRules(ctx, mfa.Rules{IdleFor: time.Hour, SSO: []mfa.Connection{{Name: "x", Rule: mfa.SSOWaive}}}, ""))
	l.err(admin.SetRules(ctx, mfa.Rules{}, ""))
	r, version, err := admin.Rules(ctx)
	l.err(err)
	l.hoard.show("Rules", r)
	l.hoard.show("Connection", r.SSO)
	l.err(admin.SetRules(ctx, mfa.Rules{}, version))
	p, err := admin.Preview(ctx, mfa.Rules{Require: mfa.RequireAtDoor})
	l.err(err)
	l.hoard.show("Preview", p)
	for st, err := range admin.Compliance(ctx) {
		l.err(err)
		l.hoard.show("MemberStatus", st)
	}
}

// mail turns codes by mail on and signs in with one, right and wrong, in a browser
// that is remembered.
func (l *leakTest) mail(app *mfatest.Authenticator) {
	ctx := l.t.Context()
	const to = "ann@example.org"
	l.Users.Add(mfa.User{ID: "ann", Email: to})
	_, p := l.signIn(mfa.SignIn{First: mfa.PasswordFirst()})
	s := l.prove(p, mfa.TOTP, app.Code(l.Clock.Now()))
	l.err(s.SetMethod(ctx, mfa.EmailCode, true)) // not proven
	_, p = l.out(s.StepUp(ctx, mfa.ToEnroll(mfa.EmailCode), ""))
	l.send(p, to)
	if s = l.prove(p, mfa.EmailCode, l.Inbox.Code(l.t, to)); s == nil {
		l.t.Fatal("the code is refused")
	}
	l.Clock.Advance(time.Minute)
	out, err := l.Guard.SignIn(ctx, mfa.SignIn{User: "ann", First: mfa.PasswordFirst(), Client: mfatest.Phone()})
	l.err(err)
	p = out.Pending
	l.Inbox.Fail(errors.New("no mail today"))
	_, err = p.Send(ctx, mfa.EmailCode)
	l.err(err)
	l.Inbox.Fail(nil)
	_, err = p.Send(ctx, mfa.EmailCode) // too soon
	l.err(err)
	l.Clock.Advance(time.Minute)
	l.send(p, to)
	l.prove(p, mfa.EmailCode, "000000")
	out, err = p.Verify(ctx, mfa.Proof{Method: mfa.EmailCode, Code: l.Inbox.Code(l.t, to), Remember: true})
	if s, _ = l.out(out, err); s == nil || out.Browser() == "" {
		l.t.Fatal("no session, or the browser is not remembered")
	}
	o, err := s.Overview(ctx)
	l.err(err)
	l.hoard.show("Overview", o)
	l.err(s.ForgetBrowsers(ctx, o.Browsers[0].ID))
	l.Clock.Advance(app.Period())
}

// passwords sets, types and resets a password, right and wrong.
func (l *leakTest) passwords(app *mfatest.Authenticator) {
	ctx := l.t.Context()
	in := mfa.Import{TOTP: []string{"otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ"}, PasswordHash: "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"}
	l.hoard.text("an imported secret", "GEZDGNBVGY3TQOJQ")
	l.hoard.text("an imported hash", in.PasswordHash)
	l.hoard.show("Import", in)
	report, err := l.Guard.Import(ctx, "ann", in)
	l.err(err)
	l.hoard.show("Imported", report)
	const old, next = "tramway-Moss-1912", "Quartz!Lantern!88"
	l.hoard.text("a password", old)
	l.hoard.text("a password", next)
	l.err(l.Guard.SetPassword(ctx, "ann", "password1234567"))
	l.err(l.Guard.SetPassword(ctx, "ann", old))
	all, err := l.Guard.CheckPassword(ctx, "ann", "short")
	l.err(err)
	l.hoard.show("Requirement", all)
	l.hoard.show("WeakPasswordError", mfa.WeakPasswordError{Unmet: all})
	l.out(l.Guard.SignInPassword(ctx, "ann", next, mfa.SignIn{}))
	out, err := l.Guard.SignInPassword(ctx, "ann", old, mfa.SignIn{})
	l.out(out, err)
	s := l.prove(out.Pending, mfa.TOTP, app.Code(l.Clock.Now()))
	l.out(s.ChangePassword(ctx, next, next))
	l.out(s.ChangePassword(ctx, old, next))
	job, err := l.Guard.Recover(ctx, "ann", mfatest.Laptop())
	l.err(err)
	l.err(job(ctx))
	m := l.Inbox.Messages("ann@example.org")
	last := m[len(m)-1]
	l.hoard.show("Message", last)
	l.hoard.text("the token of a link", last.Token())
	l.hoard.bytes("the secret of a link", mfa.TokenSecret(l.Guard, mfa.LinkKind, last.Token()))
	l.err(l.Guard.ResetPassword(ctx, last.Token(), "short", mfatest.Laptop()))
	l.err(l.Guard.ResetPassword(ctx, last.Token(), old, mfatest.Laptop()))
	l.err(l.Guard.ResetPassword(ctx, last.Token(), old, mfatest.Laptop()))
	l.Clock.Advance(app.Period())
}

func (l *leakTest) send(p *mfa.Pending, to string) {
	l.t.Helper()
	sent, err := p.Send(l.t.Context(), mfa.EmailCode)
	if l.err(err) {
		l.t.Fatal(err)
	}
	l.hoard.show("Sent", sent)
	m := l.Inbox.Messages(to)
	last := m[len(m)-1]
	l.hoard.show("Message", last)
	l.hoard.show("Message", &last)
	l.hoard.text("a sent code", last.Code())
}

// faults lets the store, the directory, the keys and the records fail.
func (l *leakTest) faults(app *mfatest.Authenticator, codes []string) {
	ctx := l.t.Context()
	_, p := l.signIn(mfa.SignIn{First: mfa.PasswordFirst()})
	l.FailStore(errors.New("disk on fire"))
	l.prove(p, mfa.TOTP, app.Code(l.Clock.Now()))
	l.prove(p, mfa.BackupCode, codes[4])
	_, err := l.Guard.Pending(ctx, p.Token(), "", mfatest.Laptop())
	l.err(err)
	l.signIn(mfa.SignIn{First: mfa.PasswordFirst()})
	l.FailStore(nil)
	l.Users.Fail(errors.New("directory on fire"))
	l.prove(p, mfa.TOTP, app.Code(l.Clock.Now()))
	_, err = l.Guard.Pending(ctx, p.Token(), "", mfatest.Laptop())
	l.err(err)
	l.Users.Fail(nil)
	s := l.prove(p, mfa.TOTP, app.Code(l.Clock.Now()))
	if s == nil {
		l.t.Fatal("no session")
	}
	for _, token := range []string{s.Token()[1:], s.Token() + "A", p.Token(), strings.ToLower(s.Token()), "\n" + s.Token()[:50]} {
		_, err := l.Guard.Session(ctx, token, mfatest.Laptop())
		l.err(err)
		_, err = l.Guard.Pending(ctx, token, s.Token(), mfatest.Laptop())
		l.err(err)
	}
	c := l.Config
	c.Keys = parseKeys(l.t, mfa.NewKey())
	other, err := mfa.New(c)
	if err != nil {
		l.t.Fatal(err)
	}
	_, err = other.Session(ctx, s.Token(), mfatest.Laptop())
	l.err(err)
	key := mfa.NewKey()
	l.hoard.text("a key", key[len("mfakey1_"):])
	for _, bad := range []string{key[:40], key + key, key + " " + key, "x" + key, key[8:], key + "="} {
		_, err := mfa.ParseKeys(bad)
		l.err(err)
	}
	account := recordOf(l.t, l.Config.Store, "ann", "account")
	forged := account
	forged.Data = []byte(strings.Replace(string(account.Data), `"v":1`, `"v":2`, 1))
	overwrite(l.t, l.Config.Store, forged)
	_, err = s.Overview(ctx)
	l.err(err)
	overwrite(l.t, l.Config.Store, mfa.SignRecord(l.Guard, forged))
	_, err = s.Overview(ctx)
	l.err(err)
	account.Data = []byte(strings.ReplaceAll(string(account.Data), "$argon2id$", "$argon2x$"))
	overwrite(l.t, l.Config.Store, mfa.SignRecord(l.Guard, account))
	_, p = l.signIn(mfa.SignIn{First: mfa.PasswordFirst()})
	l.prove(p, mfa.BackupCode, codes[5])
	account.Data = []byte(strings.ReplaceAll(string(account.Data), "$argon2x$", "$argon2id$"))
	overwrite(l.t, l.Config.Store, mfa.SignRecord(l.Guard, account))
	l.Clock.Advance(app.Period())
}

// desk does what the host and its support desk do.
func (l *leakTest) desk() {
	ctx := l.t.Context()
	export, err := l.Guard.Export(ctx, "ann")
	l.err(err)
	l.hoard.show("Export", string(export))
	l.hoard.show("Key", mfa.Key{Owner: "u/ann", Kind: "account"})
	for _, r := range recordsOf(l.t, l.Config.Store, "ann") {
		l.hoard.store(mfa.Write{Record: r})
		l.hoard.see(reflect.TypeFor[mfa.Write]())
	}
	admin := l.Guard.Operator("desk", "ticket 7")
	l.hoard.show("Admin", admin)
	l.err(admin.Unlock(ctx, "ann"))
	l.err(admin.Reset(ctx, "ann"))
	l.err(admin.Reset(ctx, "nobody"))
	l.err(l.Guard.Reseal(ctx, "ann"))
	l.err(l.Guard.Disable(ctx, "ann"))
	l.err(l.Guard.Enable(ctx, "ann"))
	l.Clock.Advance(time.Hour)
	_, p := l.signIn(mfa.SignIn{First: mfa.PasswordFirst()})
	l.send(p, "ann@example.org") // after a reset
	_, p = l.out(p.Verify(ctx, mfa.Proof{Method: mfa.EmailCode, Code: l.Inbox.Code(l.t, "ann@example.org")}))
	l.enroll(p)
	l.err(l.Guard.CredentialsChanged(ctx, "ann"))
	l.err(l.Guard.Forget(ctx, "ann"))
	l.signIn(mfa.SignIn{First: mfa.PasswordFirst()})
	u, err := l.Users.User(ctx, "ann")
	l.err(err)
	l.hoard.show("User", u)
	l.hoard.show("MemoryStore", l.Config.Store)
	l.hoard.show("MemoryStore", new(mfa.MemoryStore))
}

// exportedTypes returns the names of the package's exported types that are no
// interfaces.
func exportedTypes(t *testing.T) []string {
	t.Helper()
	files, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") }) {
		file, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.IsExported() {
				if _, ok := spec.Type.(*ast.InterfaceType); !ok {
					names = append(names, spec.Name.Name)
				}
			}
			return true
		})
	}
	if len(names) < 20 {
		t.Fatalf("only %v", names)
	}
	return names
}
