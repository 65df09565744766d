package mfa_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A lab is a kit with one enrolled user, ann, her app and her backup codes, and a
// store that keeps count of what is written.
type lab struct {
	*mfatest.Kit
	app     *mfatest.Authenticator
	codes   []string
	session *mfa.Session
	tally   *tally
}

// newLab returns a lab in which ann has enrolled and is signed in.
func newLab(t testing.TB, options ...func(*mfa.Config)) *lab {
	t.Helper()
	l := emptyLab(t, options...)
	l.app, l.session, l.codes = l.Enroll(t, "ann")
	l.Events.Take()
	return l
}

// emptyLab returns a lab in which ann and bob have nothing yet.
func emptyLab(t testing.TB, options ...func(*mfa.Config)) *lab {
	t.Helper()
	l := &lab{tally: &tally{}}
	l.Kit = mfatest.New(t, append(options, func(c *mfa.Config) {
		l.tally.Store, c.Store = c.Store, l.tally
	})...)
	l.Users.Add(mfa.User{ID: "ann", Name: "ann@example.org", Orgs: inAcme()}, mfa.User{ID: "bob", Orgs: inAcme()})
	return l
}

// rules is an option of newLab.
func rules(r mfa.Rules) func(*mfa.Config) {
	return func(c *mfa.Config) { c.Policy.Rules = r }
}

// postal is an option of newLab: codes by mail and text message are allowed, and
// browsers may be remembered.
func postal(c *mfa.Config) {
	c.Policy.Rules.Methods = []mfa.Method{mfa.TOTP, mfa.SMSCode, mfa.EmailCode}
	c.Policy.Rules.Remember = 7 * 24 * time.Hour
}

// everywhere is a Locator.
type everywhere struct{}

func (everywhere) Locate(netip.Addr) string { return "Lisbon, Portugal" }

// says is a Locator of one answer.
type says string

func (s says) Locate(netip.Addr) string { return string(s) }

// right is what ann's app shows, wrong is no code of hers.
func (l *lab) right() mfa.Proof {
	return mfa.Proof{Method: mfa.TOTP, Code: l.app.Code(l.Clock.Now())}
}

func (l *lab) wrong() mfa.Proof {
	return mfa.Proof{Method: mfa.TOTP, Code: l.app.Wrong(l.Clock.Now())}
}

// backup is a backup code, wrongBackup is none.
func (l *lab) backup(i int) mfa.Proof {
	return mfa.Proof{Method: mfa.BackupCode, Code: l.codes[i]}
}

func (l *lab) wrongBackup() mfa.Proof {
	code := []byte(l.codes[0])
	last := &code[len(code)-1]
	*last = map[bool]byte{true: '1', false: '0'}[*last == '0']
	return mfa.Proof{Method: mfa.BackupCode, Code: string(code)}
}

// signIn is a sign-in of user after the password.
func (l *lab) signIn(t testing.TB, user string) (mfa.Outcome, error) {
	t.Helper()
	return l.Guard.SignIn(t.Context(), mfa.SignIn{User: user, First: mfa.PasswordFirst(), Client: mfatest.Laptop(), Browsers: l.Browsers(user)})
}

// flow signs ann in as far as the code page and returns the pending token.
func (l *lab) flow(t testing.TB) string {
	t.Helper()
	out, err := l.signIn(t, "ann")
	if err != nil || out.Pending == nil {
		t.Fatalf("SignIn: pending %t, %v (%s), want a flow", out.Pending != nil, err, mfa.ReasonOf(err))
	}
	return out.Pending.Token()
}

// pending is the flow as the next request sees it.
func (l *lab) pending(t testing.TB, token string) *mfa.Pending {
	t.Helper()
	p, err := l.Guard.Pending(t.Context(), token, "", mfatest.Laptop())
	if err != nil {
		t.Fatalf("Pending: %v (%s)", err, mfa.ReasonOf(err))
	}
	return p
}

// verify is the request of the code page.
func (l *lab) verify(ctx context.Context, token string, pr mfa.Proof) (mfa.Outcome, error) {
	p, err := l.Guard.Pending(ctx, token, "", mfatest.Laptop())
	if err != nil {
		return mfa.Outcome{}, err
	}
	return p.Verify(ctx, pr)
}

// guess begins a new sign-in as ann and gives one proof.
func (l *lab) guess(t testing.TB, pr mfa.Proof) (mfa.Outcome, error) {
	t.Helper()
	out, err := l.signIn(t, "ann")
	if err != nil || out.Pending == nil {
		return out, err
	}
	return l.verify(t.Context(), out.Pending.Token(), pr)
}

// enter signs ann in with pr, moves to the next time step and returns the session.
func (l *lab) enter(t testing.TB, pr mfa.Proof) *mfa.Session {
	t.Helper()
	out, err := l.guess(t, pr)
	if err != nil || out.Session == nil {
		t.Fatalf("signing in with %v: session %t, %v (%s)", pr.Method, out.Session != nil, err, mfa.ReasonOf(err))
	}
	l.Keep("ann", out)
	l.Clock.Advance(l.app.Period())
	return out.Session
}

// elevate proves pr in a flow of s to p, moves to the next time step and returns
// what it led to.
func (l *lab) elevate(t testing.TB, s *mfa.Session, p mfa.Purpose, pr mfa.Proof) mfa.Outcome {
	t.Helper()
	out, err := s.StepUp(t.Context(), p, "")
	if err == nil && out.Pending != nil {
		out, err = out.Pending.Verify(t.Context(), pr)
	}
	if err != nil {
		t.Fatalf("stepping up with %v: %v (%s)", pr.Method, err, mfa.ReasonOf(err))
	}
	l.Clock.Advance(l.app.Period())
	return out
}

// change edits ann's account in the table, as nothing but the library could.
func (l *lab) change(t testing.TB, user string, edit func(*mfa.AccountData)) {
	t.Helper()
	key := mfa.Key{Owner: "u/" + user, Kind: "account"}
	records, err := l.Config.Store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	var d mfa.AccountData
	if err := mfa.OpenRecord(l.Guard, records[0], &d); err != nil {
		t.Fatal(err)
	}
	edit(&d)
	w := mfa.Write{Record: records[0], IfVersion: records[0].Version}
	if w.Data, err = json.Marshal(d); err != nil {
		t.Fatal(err)
	}
	w.Record = mfa.SignRecord(l.Guard, w.Record)
	if err := l.Config.Store.Commit(t.Context(), w); err != nil {
		t.Fatal(err)
	}
}

// wrongSoFar sets how many wrong proofs of m were given in a row, the last one now.
func (l *lab) wrongSoFar(t testing.TB, m mfa.Method, n int) {
	t.Helper()
	l.change(t, "ann", func(d *mfa.AccountData) {
		if d.Tries == nil {
			d.Tries = make(map[string]mfa.Tries)
		}
		d.Tries[m.String()] = mfa.Tries{Wrong: n, Last: l.Clock.Now().Unix()}
	})
}

// account returns what is stored about user.
func (l *lab) account(t testing.TB, user string) mfa.AccountData {
	t.Helper()
	var d mfa.AccountData
	records, err := l.Config.Store.Get(t.Context(), mfa.Key{Owner: "u/" + user, Kind: "account"})
	if err == nil && records[0].Version != "" {
		err = mfa.OpenRecord(l.Guard, records[0], &d)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// A tally is a store that counts commits, and refuses some on request as if
// somebody else had come between.
type tally struct {
	mfa.Store
	mu        sync.Mutex
	commits   [][]mfa.Write
	conflicts atomic.Int32 // how many of the next commits are refused
	before    func()       // called before each commit, unless nil
}

func (s *tally) Commit(ctx context.Context, writes ...mfa.Write) error {
	if s.before != nil {
		s.before()
	}
	if s.conflicts.Add(-1) >= 0 {
		return mfa.ErrConflict
	}
	s.conflicts.Store(0)
	err := s.Store.Commit(ctx, writes...)
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.commits = append(s.commits, writes)
	}
	return err
}

// take returns the commits since the last call.
func (s *tally) take() [][]mfa.Write {
	s.mu.Lock()
	defer s.mu.Unlock()
	commits := s.commits
	s.commits = nil
	return commits
}

// wants fails unless err is this face for the browser with this reason.
func wants(t testing.TB, err, face error, why mfa.Reason) {
	t.Helper()
	if !errors.Is(err, face) || mfa.ReasonOf(err) != why {
		t.Fatalf("%v (%s), want %v (%s)", err, mfa.ReasonOf(err), face, why)
	}
}

// waits fails unless err says to try again after exactly want.
func waits(t testing.TB, err error, want time.Duration) {
	t.Helper()
	if e, ok := errors.AsType[*mfa.ThrottledError](err); !ok || e.RetryAfter != want {
		t.Fatalf("%#v (%s), want to be told to wait %v", err, mfa.ReasonOf(err), want)
	}
}

// names returns the names of events, in order.
func names(events []mfa.Event) []mfa.EventName {
	var list []mfa.EventName
	for _, e := range events {
		list = append(list, e.Name)
	}
	return list
}

// told fails unless exactly these events were told since the last look.
func (l *lab) told(t testing.TB, want ...mfa.EventName) []mfa.Event {
	t.Helper()
	events := l.Events.Take()
	if got := names(events); !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
	return events
}
