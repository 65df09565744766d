package mfa

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/seed-1320b244/mfa/internal/phc"
)

// Finder is an optional ability of Users: it finds a user by what she signs in
// with. SignInPassword and Recover need it; New probes for it.
type Finder interface {
	// FindUser returns the user whose login this is, or an error wrapping ErrNoUser.
	FindUser(ctx context.Context, login string) (User, error)
}

var errNoID = errors.New("Users.FindUser returned a user without an id")

// knownTries wrong passwords in a row in a known browser make it a stranger: the
// way in that a lock by strangers leaves open is no way around it.
const knownTries = 20

// SignInPassword finds the user by login, compares the password, and goes on as
// SignIn does; in.User and in.First are ignored. It needs a Finder, and the
// passwords to be the library's (SetPassword, Import) or Config.Passwords.
//
// A login that is unknown, one with a wrong password and one that is locked get
// ErrRefused after the same amount of work: one hash, the same calls of the store.
// A hash that was imported takes the time of its own scheme until its first
// success. Wrong passwords are counted by login, and by account where there is
// one: after Limits.TriesBeforeWait the account takes no password for a while, and
// shows nothing of that. In a browser that is known (in.Browsers) the user has a
// count of her own, so that a stranger's guesses never lock her out there.
//
// Besides what SignIn returns, it returns *ThrottledError when the network has used
// up Limits.PasswordsPerNetwork: then nothing was compared.
func (g *Guard) SignInPassword(ctx context.Context, login, password string, in SignIn) (Outcome, error) {
	if g.finder == nil {
		return Outcome{}, invalid("Config.Users is no Finder")
	}
	in.User, in.First = "", PasswordFirst()
	if err := in.valid(g.now()); err != nil {
		return Outcome{}, err
	}
	in.Client = in.Client.cut()
	if login == "" || len(login) > maxLogin || !utf8.ValidString(login) || hasControl(login) || !typed(password) {
		return Outcome{}, refuse(ErrRefused, ReasonWrongPassword)
	}
	limits := g.policy.Limits
	if in.Client.Addr.IsValid() {
		if err := g.take(ctx, budgetOf(limits.PasswordsPerNetwork, "password network", network(in.Client.Addr)), ReasonNetworkBudget); err != nil {
			return Outcome{}, err
		}
	}
	u, err := g.finder.FindUser(ctx, login)
	switch {
	case errors.Is(err, ErrNoUser):
		u = User{}
	case err != nil:
		return Outcome{}, &unavailable{"ask the directory", ReasonDirectoryFailed, err}
	case !validUser(u.ID):
		return Outcome{}, &unavailable{"ask the directory", ReasonDirectoryFailed, errNoID}
	}
	a := &passwordAttempt{g: g, login: foldLogin(login), password: password, user: u, in: in, hash: &hasher{g: g}, fresh: &hasher{g: g}}
	return a.signIn(ctx)
}

// passwordAttempt is one sign-in with a login and a password.
type passwordAttempt struct {
	g               *Guard
	login, password string
	user            User // ID "" when the login is nobody's
	in              SignIn
	hash, fresh     *hasher
	known           string // id of the browser, when it is one that the user is known in
	locked          bool   // the login is
	changes         int    // of the account, before the password was compared
}

func (a *passwordAttempt) signIn(ctx context.Context) (Outcome, error) {
	s, err := a.load(ctx, a.g.now())
	if err != nil {
		return Outcome{}, err
	}
	a.changes = s.account.data.Changes
	if a.known = s.presented(a.in.Browsers); a.known == "" {
		err := a.g.take(ctx, budgetOf(a.g.policy.Limits.PasswordsPerLogin, "password login", a.login), ReasonMethodLocked)
		if a.locked = errors.Is(err, ErrThrottled); err != nil && !a.locked {
			return Outcome{}, err
		}
	}
	found, err := s.comparePassword(ctx, a.hash, a.password)
	if err != nil {
		return Outcome{}, err
	}
	if found == phc.Mismatch || a.user.ID == "" || a.locked || s.passwordLocked(a.known) {
		// It was compared: a client that hangs up now is counted all the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
		defer cancel()
		if a.user.ID == "" || a.locked || s.passwordLocked(a.known) {
			return a.miss(ctx, s)
		}
		return a.count(ctx)
	}
	if found == phc.MatchStale && a.g.passwords == nil {
		if _, err := a.fresh.hash(ctx, a.password); err != nil {
			return Outcome{}, err
		}
	}
	a.in.User = a.user.ID
	out, err := a.g.signIn(ctx, a.in, func(s *state) error { return a.accept(ctx, s) })
	if errors.Is(err, ErrNoUser) { // gone since FindUser
		err = refuse(ErrRefused, ReasonUserUnknown)
	}
	return out, err
}

// load reads what is stored about the user, or as much of nobody. The directory is
// not asked again: where it is slow, another question would show that there is
// somebody to ask about.
func (a *passwordAttempt) load(ctx context.Context, now time.Time) (*state, error) {
	if a.user.ID == "" {
		s := &state{g: a.g, now: now, client: a.in.Client, owner: budgetOf(0, "nobody", a.login).owner}
		return s, s.list(ctx)
	}
	s := a.g.newState(now, a.in.Client, a.user.ID)
	s.user, s.asked = a.user, true
	return s, s.list(ctx)
}

// miss answers for nobody and for somebody whose password is locked. It writes as
// much as a wrong password does, to a record that nobody reads.
func (a *passwordAttempt) miss(ctx context.Context, s *state) (Outcome, error) {
	why := ReasonMethodLocked
	if a.user.ID == "" {
		why = ReasonUserUnknown
	}
	if err := a.g.take(ctx, budgetOf(1<<30, "nobody", a.login), why); err != nil {
		return Outcome{}, err
	}
	a.g.report(ctx, Event{
		Name: EventProofRefused, Actor: a.user.ID, User: a.user.ID, Method: Password, Reason: why,
		Client: a.in.Client, Device: a.in.Client.device(), At: s.now.UTC(),
	})
	return Outcome{}, refuse(ErrRefused, why)
}

// count commits one more wrong password, whatever else happens to the account
// meanwhile: a flood of guesses must not make room for guesses that do not count.
func (a *passwordAttempt) count(ctx context.Context) (Outcome, error) {
	return run(ctx, a.g, untilEnded, func(now time.Time) (*state, Outcome, error) {
		s, err := a.load(ctx, now)
		if err != nil {
			return nil, Outcome{}, err
		}
		s.wrongPassword(s.presented(a.in.Browsers))
		return s, Outcome{}, refuse(ErrRefused, ReasonWrongPassword)
	})
}

// accept runs in the attempt that signs in: the account may have changed since the
// password was compared. What the host said then it is not asked again.
func (a *passwordAttempt) accept(ctx context.Context, s *state) error {
	if s.account.data.Changes != a.changes {
		return refuse(ErrRefused, ReasonCredentialsChanged)
	}
	found, err := s.comparePassword(ctx, a.hash, a.password)
	switch {
	case err != nil:
		return err
	case found == phc.Mismatch:
		return refuse(ErrRefused, ReasonCredentialsChanged)
	case s.passwordLocked(a.known):
		return refuse(ErrRefused, ReasonMethodLocked)
	}
	d := &s.account.data
	if b := s.browser(a.known); b != nil && b.data.Wrong.Wrong > 0 {
		b.data.Wrong = tries{}
		s.put(b.rec, b.rec.Expires, b.data)
		s.touched = true
	} else if _, counted := d.Tries[Password.String()]; counted && b == nil {
		d.Tries = without(d.Tries, Password.String())
		s.touched = true
	}
	switch {
	case a.g.passwords != nil:
	case found == phc.MatchStale && a.fresh.made != "":
		d.Password.Sealed, s.touched = s.sealHash(a.fresh.made), true
	case found == phc.MatchTruncated:
		d.Compromised, s.touched = true, true // 72 bytes of it were compared: it must be replaced
	}
	return nil
}

// passwordLocked reports whether wrong passwords keep a right one from being taken.
func (s *state) passwordLocked(known string) bool {
	t := s.account.data.Tries[Password.String()]
	if b := s.browser(known); b != nil {
		t = b.data.Wrong
	}
	return t.left(s.g.policy.Limits, Password, s.now) > 0 || t.disabled(s.g.policy.Limits, Password)
}

// wrongPassword stages one more wrong password, for the browser that the user is
// known in, or for everybody else.
func (s *state) wrongPassword(known string) {
	s.tell(Event{Name: EventProofRefused, Method: Password, Reason: ReasonWrongPassword})
	a, limits := &s.account.data, s.g.policy.Limits
	s.touched = true
	if b := s.browser(known); b != nil {
		if b.data.Wrong = b.data.Wrong.add(s.now); b.data.Wrong.Wrong < min(knownTries, limits.TriesBeforeDisable) {
			s.put(b.rec, b.rec.Expires, b.data)
			return
		}
		s.endBrowsers(func(id string) bool { return id == known })
		s.tell(Event{Name: EventBrowsersForgotten, Reason: ReasonTooManyTries})
		return
	}
	t := a.Tries[Password.String()].add(s.now)
	a.setTries(Password, t)
	if t.Wrong == limits.TriesBeforeWait {
		s.tell(Event{Name: EventMethodLocked, Method: Password})
	}
	if t.Wrong == limits.TriesBeforeDisable {
		s.tell(Event{Name: EventMethodDisabled, Method: Password})
	}
}
