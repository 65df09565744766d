package mfa_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// An aliceKit is a kit with two users: alice, who has an authenticator, and bob,
// who has nothing.
type aliceKit struct {
	*mfatest.Kit
	t      *testing.T
	store  *watched                          // below everything that the guard goes through
	apps   map[string]*mfatest.Authenticator // by user, the last one bound
	staged map[string]*mfatest.Authenticator // by user, scanned and not bound
	alice  *mfa.Session                      // proven when she enrolled
	codes  []string                          // alice's backup codes
}

// newAlice returns a kit whose clock shows the step after the one in which alice
// enrolled.
func newAlice(t *testing.T, options ...func(*mfa.Config)) *aliceKit {
	t.Helper()
	a := &aliceKit{
		t: t, store: &watched{Store: new(mfa.MemoryStore)},
		apps: make(map[string]*mfatest.Authenticator), staged: make(map[string]*mfatest.Authenticator),
	}
	a.Kit = mfatest.New(t, append([]func(*mfa.Config){func(c *mfa.Config) { c.Store = a.store }}, options...)...)
	a.Users.Add(mfa.User{ID: "alice", Name: "alice@example.com", Orgs: inAcme()}, mfa.User{ID: "bob", Name: "bob@example.com", Orgs: inAcme()})
	a.apps["alice"], a.alice, a.codes = a.Enroll(t, "alice")
	a.Events.Take()
	return a
}

// inAcme makes a user a member of the organization whose door the tests use.
func inAcme() []mfa.Membership { return []mfa.Membership{{Org: "acme"}} }

// withRules is an option for newAlice.
func withRules(r mfa.Rules) func(*mfa.Config) {
	return func(c *mfa.Config) { c.Policy.Rules = r }
}

// A watched store counts commits, fails them on demand, and lets something else
// happen just before the next one.
type watched struct {
	mfa.Store
	commits atomic.Int32
	fail    error
	before  func()
}

func (w *watched) Commit(ctx context.Context, writes ...mfa.Write) error {
	w.commits.Add(1)
	if do := w.before; do != nil {
		w.before = nil
		do()
	}
	if w.fail != nil {
		return w.fail
	}
	return w.Store.Commit(ctx, writes...)
}

// owners are those of all that the tests store.
func owners() []string {
	return []string{"u/alice", "u/bob", "u/carol", "u/dave", "u/erin", "u/mallory", "o/acme", "o/evil"}
}

// versions names everything stored. Versions are random: when they are the same
// nothing was written between.
func (a *aliceKit) versions() map[mfa.Key]string {
	a.t.Helper()
	found := make(map[mfa.Key]string)
	for _, owner := range owners() {
		records, err := a.store.List(a.t.Context(), owner)
		if err != nil {
			a.t.Fatal(err)
		}
		for _, r := range records {
			found[r.Key] = r.Version
		}
	}
	return found
}

// account returns what is stored about a user, the zero value for nothing.
func (a *aliceKit) account(user string) mfa.AccountData {
	a.t.Helper()
	var d mfa.AccountData
	records, err := a.store.Get(a.t.Context(), mfa.Key{Owner: "u/" + user, Kind: "account"})
	if err == nil && records[0].Version != "" {
		err = mfa.OpenRecord(a.Guard, records[0], &d)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return d
}

// guard returns one more guard over the same store, as another process has it.
func (a *aliceKit) guard(options ...func(*mfa.Config)) *mfa.Guard {
	a.t.Helper()
	c := a.Config
	for _, o := range options {
		o(&c)
	}
	g, err := mfa.New(c)
	if err != nil {
		a.t.Fatal(err)
	}
	return g
}

// totp is what the user's app shows now, wrong what it does not show.
func (a *aliceKit) totp(user string) mfa.Proof {
	return mfa.Proof{Method: mfa.TOTP, Code: a.apps[user].Code(a.Clock.Now())}
}

func (a *aliceKit) wrong(user string) mfa.Proof {
	return mfa.Proof{Method: mfa.TOTP, Code: a.apps[user].Wrong(a.Clock.Now())}
}

// wrongCode is a backup code that nobody has.
func wrongCode() mfa.Proof {
	return mfa.Proof{Method: mfa.BackupCode, Code: "0000-0000-0000-0000"}
}

// stage scans the QR code of an authenticator that is to be bound.
func (a *aliceKit) stage(p *mfa.Pending) {
	a.t.Helper()
	setup, err := p.StartTOTP(a.t.Context(), "")
	if err != nil {
		a.t.Fatalf("StartTOTP: %v (%s)", err, mfa.ReasonOf(err))
	}
	if a.staged[p.User()], err = mfatest.NewAuthenticator(setup.URI()); err != nil {
		a.t.Fatal(err)
	}
}

// bind proves the authenticator that is staged with its present code.
func (a *aliceKit) bind(p *mfa.Pending) (mfa.Outcome, error) {
	app := a.staged[p.User()]
	out, err := p.ConfirmTOTP(a.t.Context(), app.Code(a.Clock.Now()))
	if err == nil {
		a.apps[p.User()] = app
	}
	return out, err
}

// finish goes on from where a flow stands to the session that it leads to. Codes
// are of a new time step.
func (a *aliceKit) finish(out mfa.Outcome, err error) *mfa.Session {
	a.t.Helper()
	ctx := a.t.Context()
	for err == nil && out.Session == nil {
		p := out.Pending
		switch need := p.Need(); need.Step {
		case mfa.StepVerify:
			if slices.Contains(need.Methods, mfa.Password) {
				out, err = p.Reauthenticated(ctx, mfa.PasswordFirst())
				break
			}
			a.Clock.Advance(a.apps[p.User()].Period())
			out, err = p.Verify(ctx, a.totp(p.User()))
		case mfa.StepEnroll:
			a.stage(p)
			out, err = a.bind(p)
		case mfa.StepSaveCodes:
			out, err = p.SaveCodes(ctx)
		default:
			a.t.Fatalf("the flow is at %q", need.Step)
		}
	}
	if err != nil {
		a.t.Fatalf("finishing a flow: %v (%s)", err, mfa.ReasonOf(err))
	}
	return out.Session
}

// signIn begins a sign-in with a password.
func (a *aliceKit) signIn(user string) (mfa.Outcome, error) {
	return a.Guard.SignIn(a.t.Context(), mfa.SignIn{User: user, First: mfa.PasswordFirst(), Client: mfatest.Laptop()})
}

// fresh returns a new session with a fresh proof of the best that the user has.
func (a *aliceKit) fresh(user string) *mfa.Session {
	a.t.Helper()
	s := a.finish(a.signIn(user))
	return a.finish(s.StepUp(a.t.Context(), mfa.ToConfirm("test"), ""))
}

// pending returns a flow in the state at which it needs step.
func (a *aliceKit) pending(out mfa.Outcome, err error) *mfa.Pending {
	a.t.Helper()
	if err != nil || out.Pending == nil {
		a.t.Fatalf("%v (%s), session %t, want a flow", err, mfa.ReasonOf(err), out.Session != nil)
	}
	return out.Pending
}

// session returns the session of an operation that must lead to one.
func (a *aliceKit) session(out mfa.Outcome, err error) *mfa.Session {
	a.t.Helper()
	if err != nil || out.Session == nil {
		a.t.Fatalf("%v (%s), flow %t, want a session", err, mfa.ReasonOf(err), out.Pending != nil)
	}
	return out.Session
}

// refused fails t unless err is a refusal with this face and this reason.
func refused(t *testing.T, err, face error, reason mfa.Reason) {
	t.Helper()
	if !errors.Is(err, face) || mfa.ReasonOf(err) != reason {
		t.Fatalf("error %v (%s), want %v (%s)", err, mfa.ReasonOf(err), face, reason)
	}
}
