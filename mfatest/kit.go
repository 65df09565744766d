package mfatest

import (
	"context"
	"errors"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
)

// A Kit is a guard with everything it needs, in memory: a store, a directory, a
// clock that stands still until told otherwise, and a record of the events.
type Kit struct {
	Guard  *mfa.Guard
	Users  *Users
	Clock  *Clock
	Events *Events
	Inbox  *Inbox     // every mail and text message
	Config mfa.Config // what Guard was made from

	failing  *failing
	browsers *sync.Map // of user to []string
}

// New returns a kit. Backup codes are hashed at next to no cost, so that enrolling
// takes no time. Its clock stands in March 2026: for a store that deletes by its
// own clock, set Clock to the present first. Each option may change the configuration before the guard is
// made from it.
func New(t testing.TB, options ...func(*mfa.Config)) *Kit {
	t.Helper()
	k := &Kit{
		Users:  &Users{},
		Clock:  NewClock(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)),
		Events: &Events{},
		Inbox:  &Inbox{},

		browsers: &sync.Map{},
	}
	keys, err := mfa.ParseKeys(mfa.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	k.Config = mfa.Config{
		Issuer: "Example", Store: new(mfa.MemoryStore), Users: k.Users, Keys: keys, Notifier: k.Inbox,
		OnEvent: k.Events.Record, Now: k.Clock.Now, InsecureFastHashing: true,
	}
	for _, o := range options {
		o(&k.Config)
	}
	k.failing = &failing{Store: k.Config.Store}
	k.Config.Store = k.failing
	if k.Guard, err = mfa.New(k.Config); err != nil {
		t.Fatal(err)
	}
	return k
}

// FailStore makes every call of the store fail with err, until called with nil.
func (k *Kit) FailStore(err error) { k.failing.err.Store(&err) }

// failing is a store that can be made to fail.
type failing struct {
	mfa.Store
	err atomic.Pointer[error]
}

func (f *failing) failure() error {
	if err := f.err.Load(); err != nil {
		return *err
	}
	return nil
}

func (f *failing) Get(ctx context.Context, keys ...mfa.Key) ([]mfa.Record, error) {
	if err := f.failure(); err != nil {
		return nil, err
	}
	return f.Store.Get(ctx, keys...)
}

func (f *failing) List(ctx context.Context, owner string, kinds ...string) ([]mfa.Record, error) {
	if err := f.failure(); err != nil {
		return nil, err
	}
	return f.Store.List(ctx, owner, kinds...)
}

func (f *failing) Commit(ctx context.Context, writes ...mfa.Write) error {
	if err := f.failure(); err != nil {
		return err
	}
	return f.Store.Commit(ctx, writes...)
}

func (f *failing) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	if err := f.failure(); err != nil {
		return 0, err
	}
	sweeper, ok := f.Store.(mfa.Sweeper)
	if !ok {
		return 0, errors.New("mfatest: the store is no mfa.Sweeper")
	}
	return sweeper.Sweep(ctx, before, limit)
}

// Laptop returns a client for tests, on an address set aside for documentation
// (RFC 5737).
func Laptop() mfa.Client {
	return mfa.Client{
		Addr:      netip.MustParseAddr("192.0.2.1"),
		UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	}
}

// Phone returns another.
func Phone() mfa.Client {
	return mfa.Client{
		Addr:      netip.MustParseAddr("198.51.100.7"),
		UserAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
	}
}

// Browsers returns what user's laptop keeps of the sign-ins that SignIn and Enroll
// have made there, for mfa.SignIn.Browsers: it is a known browser of hers.
func (k *Kit) Browsers(user string) []string {
	tokens, _ := k.browsers.Load(user)
	list, _ := tokens.([]string)
	return list
}

// Keep puts what a sign-in in user's laptop led to where the next one finds it, as a
// browser keeps a cookie. SignIn and Enroll do.
func (k *Kit) Keep(user string, out mfa.Outcome) {
	if out.Browser() != "" {
		k.browsers.Store(user, []string{out.Browser()})
	}
}

func (k *Kit) signIn(ctx context.Context, user string) (mfa.Outcome, error) {
	out, err := k.Guard.SignIn(ctx, mfa.SignIn{User: user, First: mfa.PasswordFirst(), Client: Laptop(), Browsers: k.Browsers(user)})
	k.Keep(user, out)
	return out, err
}

// SignIn signs user in with a password from a laptop and returns what it led to.
func (k *Kit) SignIn(t testing.TB, user string) mfa.Outcome {
	t.Helper()
	out, err := k.signIn(t.Context(), user)
	if err != nil {
		t.Fatalf("SignIn(%q): %v (%s)", user, err, mfa.ReasonOf(err))
	}
	return out
}

// Enroll signs user in with a password, binds an authenticator, saves the backup
// codes and returns the app, the session and the codes. It goes on where the rules or the user's settings
// lead, so it works whether or not they require a factor. The clock moves by one
// time step, so that the next code is a new one.
func (k *Kit) Enroll(t testing.TB, user string) (*Authenticator, *mfa.Session, []string) {
	t.Helper()
	app, session, codes, err := k.enroll(t.Context(), user)
	if err != nil {
		t.Fatalf("enrolling %q: %v (%s)", user, err, mfa.ReasonOf(err))
	}
	return app, session, codes
}

func (k *Kit) enroll(ctx context.Context, user string) (*Authenticator, *mfa.Session, []string, error) {
	out, err := k.signIn(ctx, user)
	if err == nil && out.Session != nil {
		out, err = out.Session.StepUp(ctx, mfa.ToEnroll(mfa.TOTP), "")
	}
	if err != nil {
		return nil, nil, nil, err
	}
	app, out, codes, err := bind(ctx, out, k.Clock.Now)
	if err != nil {
		return nil, nil, nil, err
	}
	k.Keep(user, out)
	k.Clock.Advance(app.Period())
	return app, out.Session, codes, nil
}

// Users is a directory in memory. The zero value is empty and ready.
type Users struct {
	mu    sync.Mutex
	users map[string]mfa.User
	err   error
}

// Add adds users, or replaces those with the same ids.
func (u *Users) Add(users ...mfa.User) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.users == nil {
		u.users = make(map[string]mfa.User)
	}
	for _, user := range users {
		u.users[user.ID] = user
	}
}

// Remove deletes a user from the directory, and from there only.
func (u *Users) Remove(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.users, id)
}

// Fail makes the directory fail with err, until called with nil.
func (u *Users) Fail(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.err = err
}

// User implements mfa.Users.
func (u *Users) User(ctx context.Context, id string) (mfa.User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err != nil {
		return mfa.User{}, u.err
	}
	user, ok := u.users[id]
	if !ok {
		return mfa.User{}, mfa.ErrNoUser
	}
	return user, nil
}

// FindUser implements mfa.Finder: a login is a user's ID, name or mail address.
func (u *Users) FindUser(ctx context.Context, login string) (mfa.User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err != nil {
		return mfa.User{}, u.err
	}
	for _, user := range u.users {
		if login != "" && (login == user.ID || login == user.Name || login == user.Email) {
			return user, nil
		}
	}
	return mfa.User{}, mfa.ErrNoUser
}

// Members implements mfa.Directory, in the order of ids.
func (u *Users) Members(ctx context.Context, org string) iter.Seq2[mfa.User, error] {
	return func(yield func(mfa.User, error) bool) {
		u.mu.Lock()
		err := u.err
		ids := slices.Sorted(maps.Keys(u.users))
		u.mu.Unlock()
		for _, id := range ids {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				break
			}
			user, gone := u.User(ctx, id)
			member := org == "" || slices.ContainsFunc(user.Orgs, func(m mfa.Membership) bool { return m.Org == org })
			if gone == nil && member && !yield(user, nil) {
				return
			}
		}
		if err != nil {
			yield(mfa.User{}, err)
		}
	}
}

// A Clock stands still until it is moved. It is safe for concurrent use.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows now.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now is for mfa.Config.Now.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock, backwards when d is negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Events records events. The zero value is ready.
type Events struct {
	mu     sync.Mutex
	events []mfa.Event
}

// Record is for mfa.Config.OnEvent.
func (e *Events) Record(_ context.Context, event mfa.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.events = append(e.events, event)
}

// Take returns the events since the last call, oldest first.
func (e *Events) Take() []mfa.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	events := e.events
	e.events = nil
	return events
}
