package mfa_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// sources returns the files of the library itself, by path: the root package and
// its internal ones.
func sources(t *testing.T) map[string]*ast.File {
	t.Helper()
	files := make(map[string]*ast.File)
	add := func(name string) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.ToSlash(name)] = file
	}
	root, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range root {
		add(name)
	}
	err = filepath.WalkDir("internal", func(name string, _ fs.DirEntry, err error) error {
		add(name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if files["mfa.go"] == nil || files["internal/otpcode/match.go"] == nil {
		t.Fatalf("these are not the sources: %v", slices.Sorted(maps.Keys(files)))
	}
	return files
}

// TestR30_NoMutableVariable: no package holds state. What is declared as a
// variable is set once, where it is declared, for the reason given here.
func TestR30_NoMutableVariable(t *testing.T) {
	const sentinel, encoding, conforms = "an error to compare with", "an immutable encoding", "a check by the compiler"
	allowed := map[string]string{
		".ErrConflict": sentinel, ".ErrInvalid": sentinel, ".ErrNoSession": sentinel, ".ErrNoPending": sentinel, ".ErrNoUser": sentinel,
		".ErrRefused": sentinel, ".ErrThrottled": sentinel, ".ErrStepUp": sentinel, ".ErrForbidden": sentinel, ".ErrUndelivered": sentinel, ".ErrWeak": sentinel, ".errNoID": sentinel, ".ErrUnavailable": sentinel,
		".errChanged": sentinel, ".base32Secret": encoding,
		"internal/keyring.ErrUnknownKey": sentinel, "internal/keyring.ErrForged": sentinel, "internal/keyring.encoding": encoding,
		"internal/gate.ErrFull": sentinel, "internal/blocklist.table": "embedded, and a string",
		"internal/phc.ErrMalformed": sentinel, "internal/phc.encoding": encoding,
		"internal/qrimage._": conforms,
	}
	for name, file := range sources(t) {
		dir := strings.TrimSuffix(path.Dir(name), ".")
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has a function init", name)
			}
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, spec := range g.Specs {
				for _, v := range spec.(*ast.ValueSpec).Names {
					if allowed[dir+"."+v.Name] == "" {
						t.Errorf("%s declares the variable %s", name, v.Name)
					}
					delete(allowed, dir+"."+v.Name)
				}
			}
		}
	}
	for v := range allowed {
		t.Errorf("%s is allowed and not there", v)
	}
}

// TestR30_OneClock: the time comes from Config.Now, whose default is the one use of
// the system's clock, and no operation starts a goroutine or a timer.
func TestR30_OneClock(t *testing.T) {
	uses := make(map[string]int)
	for name, file := range sources(t) {
		for _, spec := range file.Imports {
			if spec.Path.Value == `"time"` && spec.Name != nil {
				t.Errorf("%s imports time under the name %s", name, spec.Name.Name)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine", name)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok {
					uses[name+" "+x.Name+"."+n.Sel.Name]++
				}
			}
			return true
		})
	}
	for use, n := range uses {
		file, call, _ := strings.Cut(use, " ")
		switch call {
		case "time.Now":
			if file != "mfa.go" || n != 1 {
				t.Errorf("%s reads the system's clock %d times", file, n)
			}
		case "time.NewTimer":
			if file != "commit.go" || n != 1 { // pauses between attempts; it reads no clock
				t.Errorf("%s waits %d times", file, n)
			}
		case "time.Since", "time.Until", "time.After", "time.AfterFunc", "time.Tick", "time.NewTicker", "time.Sleep", "context.AfterFunc":
			t.Errorf("%s calls %s", file, call)
		}
	}
	if uses["mfa.go time.Now"] == 0 {
		t.Error("time.Now is not found where it is")
	}
}

// TestR30_Randomness: what is random comes from crypto/rand.
func TestR30_Randomness(t *testing.T) {
	found := false
	for name, file := range sources(t) {
		for _, spec := range file.Imports {
			switch p, err := strconv.Unquote(spec.Path.Value); {
			case err != nil:
				t.Error(err)
			case p == "crypto/rand":
				found = true
			case strings.HasSuffix(p, "/rand"), strings.Contains(p, "/rand/"), p == "hash/maphash", p == "unsafe":
				t.Errorf("%s imports %s", name, p)
			}
		}
	}
	if !found {
		t.Error("nothing imports crypto/rand")
	}
}

// counting notes how many goroutines there are at each call of the store and the
// directory, and at each event.
type counting struct {
	mfa.Store
	users mfa.Users
	seen  []int
}

func (c *counting) note() { c.seen = append(c.seen, runtime.NumGoroutine()) }

func (c *counting) Get(ctx context.Context, keys ...mfa.Key) ([]mfa.Record, error) {
	c.note()
	return c.Store.Get(ctx, keys...)
}

func (c *counting) List(ctx context.Context, owner string, kinds ...string) ([]mfa.Record, error) {
	c.note()
	return c.Store.List(ctx, owner, kinds...)
}

func (c *counting) Commit(ctx context.Context, writes ...mfa.Write) error {
	c.note()
	return c.Store.Commit(ctx, writes...)
}

func (c *counting) User(ctx context.Context, id string) (mfa.User, error) {
	c.note()
	return c.users.User(ctx, id)
}

// TestR30_NoGoroutine: while an operation runs and when it is over there are as
// many goroutines as before. The encoder of QR codes starts two of its own, which
// have ended when the image is done.
func TestR30_NoGoroutine(t *testing.T) {
	var c counting
	a := newAlice(t, func(config *mfa.Config) {
		c.Store, c.users = config.Store, config.Users
		config.Store, config.Users = &c, &c
		config.OnEvent = func(context.Context, mfa.Event) { c.note() }
	})
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // what earlier tests left to clean up would be a goroutine more
	c.seen = nil
	before := runtime.NumGoroutine()
	ctx := t.Context()
	s := a.fresh("alice")
	setup := a.setup(a.pending(s.StepUp(ctx, mfa.ToEnroll(mfa.TOTP), "")), "")
	p := a.pending(s.NewBackupCodes(ctx, ""))
	_, err := p.Verify(ctx, wrongCode())
	refused(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
	s = a.finish(mfa.Outcome{Pending: p}, nil)
	a.Clock.Advance(time.Hour)
	if _, err := a.Guard.Enter(ctx, s.Token(), "acme", mfatest.Laptop()); err != nil {
		t.Fatal(err)
	}
	if err := s.SignOut(ctx); err != nil {
		t.Fatal(err)
	}
	for _, do := range []func(context.Context, string) error{
		a.Guard.Operator("ops", "").Unlock, a.Guard.Operator("ops", "").EndSessions, a.Guard.Operator("ops", "").Reset,
		a.Guard.Reseal, a.Guard.CredentialsChanged, a.Guard.Disable, a.Guard.Enable, a.Guard.Forget,
	} {
		if err := do(ctx, "alice"); err != nil {
			t.Fatal(err)
		}
	}
	for i, n := range c.seen {
		if n > before { // fewer: one of an earlier test has ended
			t.Fatalf("at call %d of %d there are %d goroutines, before there were %d", i+1, len(c.seen), n, before)
		}
	}
	if _, err := setup.PNG(4); err != nil {
		t.Fatal(err)
	}
	for range 1000 { // they have nothing left to wait for
		if runtime.NumGoroutine() <= before {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("after an image there are %d goroutines, before there were %d", runtime.NumGoroutine(), before)
}

// steps are how far the clock is set back.
func steps() []time.Duration {
	return []time.Duration{time.Second, time.Minute, time.Hour, 365 * 24 * time.Hour}
}

// TestR30_BackProofs: a clock that steps back makes no used proof good again.
func TestR30_BackProofs(t *testing.T) {
	for _, back := range steps() {
		t.Run(back.String(), func(t *testing.T) {
			a := newAlice(t)
			ctx := t.Context()
			code, backup := a.totp("alice"), mfa.Proof{Method: mfa.BackupCode, Code: a.codes[0]}
			flow := a.pending(a.signIn("alice"))
			a.session(flow.Verify(ctx, code))
			a.session(a.pending(a.signIn("alice")).Verify(ctx, backup))
			a.Clock.Advance(-back)
			p := a.pending(a.signIn("alice"))
			for _, again := range []mfa.Proof{code, a.totp("alice"), a.at("alice", -step), backup} {
				out, err := p.Verify(ctx, again)
				if out != (mfa.Outcome{}) {
					t.Errorf("a used %v is accepted", again.Method)
				}
				if mfa.ReasonOf(err) != mfa.ReasonTOTPReused && mfa.ReasonOf(err) != mfa.ReasonWrongCode {
					t.Errorf("a used %v: %v (%s)", again.Method, err, mfa.ReasonOf(err))
				}
			}
			_, err := a.Guard.Pending(ctx, flow.Token(), "", mfa.Client{})
			refused(t, err, mfa.ErrNoPending, mfa.ReasonAlreadyCompleted)
		})
	}
}

// TestR30_BackCounts: it lowers no count, on the account or on a flow.
func TestR30_BackCounts(t *testing.T) {
	for _, back := range steps() {
		t.Run(back.String(), func(t *testing.T) {
			a := newAlice(t)
			p := a.pending(a.signIn("alice"))
			guess := func(proof mfa.Proof) {
				t.Helper()
				_, err := p.Verify(t.Context(), proof)
				refused(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
			}
			for range 2 {
				guess(a.wrong("alice"))
				guess(wrongCode())
			}
			was := a.account("alice")
			a.Clock.Advance(-back)
			guess(a.wrong("alice"))
			now := a.account("alice")
			if now.Tries["totp"].Wrong != 3 || now.Tries["backup_code"].Wrong != 2 || len(now.Failures) != len(was.Failures)+1 {
				t.Errorf("counts %+v, failures %d, before the step %+v and %d", now.Tries, len(now.Failures), was.Tries, len(was.Failures))
			}
			_, err := p.Verify(t.Context(), a.wrong("alice"))
			refused(t, err, mfa.ErrNoPending, mfa.ReasonTooManyTries)
		})
	}
}

// TestR30_BackWaits: a wait lasts its length, the minute by which clocks may differ
// at most longer, and never seems to last longer than the policy's longest.
func TestR30_BackWaits(t *testing.T) {
	for _, tc := range []struct {
		name    string
		wrong   int
		proof   func(a *aliceKit) mfa.Proof
		longest time.Duration
	}{
		{"first wait", 5, func(a *aliceKit) mfa.Proof { return a.wrong("alice") }, 30 * time.Second},
		{"longest wait", 13, func(a *aliceKit) mfa.Proof { return a.wrong("alice") }, time.Hour},
		{"backup codes", 9, func(*aliceKit) mfa.Proof { return wrongCode() }, time.Minute},
	} {
		for _, back := range steps() {
			t.Run(tc.name+"/"+back.String(), func(t *testing.T) {
				a := newAlice(t)
				for range tc.wrong {
					a.Clock.Advance(time.Hour)
					a.guess(1, tc.proof(a))
				}
				p := a.pending(a.signIn("alice"))
				a.Clock.Advance(-back)
				var waited time.Duration
				for {
					_, err := p.Verify(t.Context(), tc.proof(a))
					if mfa.ReasonOf(err) == mfa.ReasonWrongCode {
						return
					}
					left := retryAfter(t, err)
					if waited += left; left <= 0 || left > tc.longest || waited > tc.longest+time.Minute {
						t.Fatalf("a wait of %v more after %v, want %v in all", left, waited-left, tc.longest)
					}
					a.Clock.Advance(left)
					p = a.pending(a.signIn("alice")) // the flow may have expired meanwhile
				}
			})
		}
	}
}

func retryAfter(t *testing.T, err error) time.Duration {
	t.Helper()
	throttled, ok := errors.AsType[*mfa.ThrottledError](err)
	if !ok {
		t.Fatalf("%v (%s), want a wait", err, mfa.ReasonOf(err))
	}
	return throttled.RetryAfter
}

// TestR30_BackEnded: what was ended stays ended when the clock steps back, also
// when it had run out by then.
func TestR30_BackEnded(t *testing.T) {
	type ending = func(a *aliceKit, u *underway) error
	sessions := map[string]ending{"flow canceled": func(a *aliceKit, u *underway) error {
		p := a.resume(u)
		a.Clock.Advance(11 * time.Minute) // while it was on its way the flow ran out
		return p.Cancel(a.t.Context())
	}}
	for name, end := range sessionEndings() {
		sessions[name] = func(a *aliceKit, u *underway) error { return end(a, u.session) }
	}
	for name, end := range sessions {
		for _, over := range []time.Duration{0, 25 * time.Hour} {
			for _, back := range steps() {
				t.Run(name+"/over "+over.String()+"/"+back.String(), func(t *testing.T) {
					a := newAlice(t)
					u := steppingUp("bob", mfa.ToEnroll(mfa.TOTP), 0)(a)
					if name != "flow canceled" {
						a.Clock.Advance(over)
					}
					switch err := end(a, u); {
					case errors.Is(err, mfa.ErrNoSession):
						return // it had run out and was not ended
					case err != nil:
						t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
					}
					a.Clock.Advance(-back)
					if _, err := a.request(u.by); name != "flow canceled" && err == nil {
						t.Error("the session is alive again")
					}
					if _, err := a.Guard.Pending(t.Context(), u.token, u.by, mfa.Client{}); err == nil {
						t.Error("the flow is alive again")
					}
				})
			}
		}
	}
}

// TestR30_BackRanOut: what merely ran out may run again, for no longer than the
// clock was set back. (An idle session that is used in that time is idle no more.)
func TestR30_BackRanOut(t *testing.T) {
	for _, back := range steps() {
		t.Run(back.String(), func(t *testing.T) {
			a := newAlice(t, withRules(mfa.Rules{IdleFor: time.Hour}))
			idle, p := a.session(a.signIn("bob")), a.pending(a.signIn("alice"))
			elsewhere := a.guard(withRules(mfa.Rules{}))
			over := []struct {
				name   string
				after  time.Duration
				alive  func() error
				reason mfa.Reason
			}{
				{"flow", 10 * time.Minute, func() error {
					_, err := a.Guard.Pending(t.Context(), p.Token(), "", mfa.Client{})
					return err
				}, mfa.ReasonExpired},
				{"idle session", time.Hour, func() error { _, err := a.request(idle.Token()); return err }, mfa.ReasonIdle},
				{"session", 24 * time.Hour, func() error {
					_, err := elsewhere.Session(t.Context(), idle.Token(), mfa.Client{})
					return err
				}, mfa.ReasonExpired},
			}
			began := a.Clock.Now()
			for _, o := range over {
				a.Clock.Advance(began.Add(o.after).Sub(a.Clock.Now()))
				if got := mfa.ReasonOf(o.alive()); got != o.reason {
					t.Errorf("%s: %q before the step, want %q", o.name, got, o.reason)
				}
				a.Clock.Advance(-back)
				if o.reason == mfa.ReasonExpired {
					_ = o.alive()
				}
				a.Clock.Advance(back)
				if got := mfa.ReasonOf(o.alive()); got != o.reason {
					t.Errorf("%s: %q when the clock is where it was, want %q", o.name, got, o.reason)
				}
			}
		})
	}
}

// TestR30_BackFresh: a proof serves sensitive actions for as long as it is fresh
// and the clock was set back, no longer. One from further ahead than it may be old
// serves none: it would for a year.
func TestR30_BackFresh(t *testing.T) {
	for _, back := range steps() {
		t.Run(back.String(), func(t *testing.T) {
			a := newAlice(t)
			a.Clock.Advance(-back)
			err := a.alice.SetAskAtSignIn(t.Context(), true)
			if ahead := back > 5*time.Minute; ahead != errors.Is(err, mfa.ErrStepUp) {
				t.Errorf("the proof is %v ahead: %v", back, err)
			}
			a.Clock.Advance(back + 5*time.Minute)
			refused(t, a.alice.SetAskAtSignIn(t.Context(), true), mfa.ErrStepUp, mfa.ReasonStale)
		})
	}
}
