package mfa

import (
	"context"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/seed-1320b244/mfa/internal/phc"
)

// Passwords is for hosts that keep their own password hashes. Nil: the library
// keeps them. Implementations are safe for concurrent use.
type Passwords interface {
	// CheckPassword reports whether password is the user's. For the user "", who is
	// nobody, it takes as long as for any other and returns false.
	CheckPassword(ctx context.Context, user, password string) (bool, error)
	// SetPassword stores a password that met the policy. Doing it again changes
	// nothing. It is called before the library's own commit: when the operation then
	// fails, the new password is already in use and the user's sessions are not yet
	// ended, and the operation has to be repeated. The library ends them itself.
	SetPassword(ctx context.Context, user, password string) error
}

// passwordData is what the account knows of the password. The hashes are sealed:
// whoever has the store without the keys cannot even try a guess (the keyed step of
// SP 800-63B-4 section 3.1.1.2), and unlike a pepper, which would go into the hash, the
// key can be replaced.
type passwordData struct {
	Sealed []byte   `json:"h,omitempty"` // nil when the host keeps it, and when there is none
	Past   [][]byte `json:"p,omitempty"` // of the ones before, newest first
	// Mailed: it was set through a link that was mailed, and nothing but mail was
	// passed since. Whoever reads the mailbox has it too.
	Mailed bool `json:"m,omitempty"`
}

const (
	maxLogin   = 320              // bytes; the longest mail address is shorter
	triesAgain = "password_again" // counts wrong passwords of somebody who is signed in
)

// resealed seals the hashes under the first key. What does not open stays as it is.
func (s *state) resealed(p passwordData) passwordData {
	again := func(sealed []byte) []byte {
		hash, err := s.openHash(sealed)
		if err != nil || hash == "" {
			return sealed
		}
		return s.sealHash(hash)
	}
	p.Sealed, p.Past = again(p.Sealed), slices.Clone(p.Past)
	for i := range p.Past {
		p.Past[i] = again(p.Past[i])
	}
	return p
}

// typed reports whether a password is one that anything is done with.
func typed(password string) bool { return password != "" && len(password) <= maxPasswordBytes }

// foldLogin makes spellings of a login alike, for counting.
func foldLogin(login string) string {
	return strings.ToLower(norm.NFC.String(strings.TrimSpace(login)))
}

// checks reports whether the library can compare the user's password.
func (s *state) checks() bool { return s.g.passwords != nil || s.account.data.Password.Sealed != nil }

func (s *state) sealHash(hash string) []byte { return s.g.ring.Seal([]byte(hash), s.owner, "password") }

// openHash returns a sealed hash, "" for none.
func (s *state) openHash(sealed []byte) (string, error) {
	if sealed == nil {
		return "", nil
	}
	hash, err := s.g.ring.Open(sealed, s.owner, "password")
	if err != nil {
		return "", &unavailable{"open a password hash", ReasonUnknownKey, err}
	}
	return string(hash), nil
}

// comparePassword says what password is to the user, of a state without a user to
// nobody.
func (s *state) comparePassword(ctx context.Context, h *hasher, password string) (phc.Result, error) {
	if s.g.passwords == nil {
		hash, err := s.openHash(s.account.data.Password.Sealed)
		if err != nil {
			return phc.Mismatch, err
		}
		return h.compare(ctx, hash, password)
	}
	const asked = "the host"
	if found, known := h.seen[asked]; known {
		return found, nil
	}
	ok, err := s.g.passwords.CheckPassword(ctx, s.user.ID, password)
	if err != nil {
		return phc.Mismatch, &unavailable{"check a password", ReasonDirectoryFailed, err}
	}
	found := phc.Mismatch
	if ok && s.user.ID != "" {
		found = phc.Match
	}
	h.remember(asked, found)
	return found, nil
}

// passwordAgain compares the password of somebody who is signed in or on the way,
// and counts a wrong one. The count is not that of sign-ins: a stranger's guesses
// do not keep the user from proving hers.
func (s *state) passwordAgain(ctx context.Context, h *hasher, password string) error {
	a, limits := &s.account.data, s.g.policy.Limits
	t := a.Tries[triesAgain]
	if left := t.left(limits, Password, s.now); left > 0 {
		return &ThrottledError{RetryAfter: left, reason: ReasonMethodLocked}
	}
	if !typed(password) {
		return refuse(ErrRefused, ReasonWrongPassword)
	}
	found, err := s.comparePassword(ctx, h, password)
	if err != nil {
		return err
	}
	s.touched = true
	if found != phc.Mismatch {
		a.Tries = without(a.Tries, triesAgain)
		return nil
	}
	if a.Tries == nil {
		a.Tries = make(map[string]tries)
	}
	a.Tries[triesAgain] = t.add(s.now)
	s.tell(Event{Name: EventProofRefused, Method: Password, Reason: ReasonWrongPassword})
	if a.Tries[triesAgain].Wrong == limits.TriesBeforeWait { // somebody guesses in a session that is open
		s.tell(Event{Name: EventMethodLocked, Method: Password})
	}
	return refuse(ErrRefused, ReasonWrongPassword)
}

// A candidate is a new password. What it costs to judge and to hash it is paid
// once, however often the operation runs again.
type candidate struct {
	text       string
	hash, past *hasher
	asked      bool // whether it has leaked
	breach     Reason
	failed     error // of the one who was asked
}

func (g *Guard) candidate(text string) *candidate {
	return &candidate{text: text, hash: &hasher{g: g}, past: &hasher{g: g}}
}

// newPassword stages a password that meets the policy, or returns
// *WeakPasswordError. Whatever the old one was suspected of goes with it.
func (s *state) newPassword(ctx context.Context, c *candidate, mailed bool) error {
	if err := s.acceptable(ctx, c); err != nil {
		return err
	}
	a := &s.account.data
	p := passwordData{Mailed: mailed}
	if s.g.passwords != nil {
		if err := s.g.passwords.SetPassword(ctx, s.user.ID, c.text); err != nil {
			return &unavailable{"set a password", ReasonDirectoryFailed, err}
		}
	} else {
		hash, err := c.hash.hash(ctx, c.text)
		if err != nil {
			return err
		}
		p.Sealed = s.sealHash(hash)
		if a.Password.Sealed != nil {
			p.Past = append([][]byte{a.Password.Sealed}, a.Password.Past...)
		}
		p.Past = p.Past[:min(len(p.Past), max(s.g.policy.Password.History-1, 0))] // one is the present one
	}
	a.Password, a.Failures, a.Compromised = p, nil, false
	a.Tries = without(a.Tries, Password.String(), triesAgain)
	a.Changes++
	s.touched = true
	s.tell(Event{Name: EventCredentialsChanged, Method: Password})
	return nil
}

// without returns tries but for some of them, and only some of them.
func without(all map[string]tries, names ...string) map[string]tries {
	left := maps.Clone(all)
	maps.DeleteFunc(left, func(n string, _ tries) bool { return slices.Contains(names, n) })
	return left
}

func only(all map[string]tries, names ...string) map[string]tries {
	left := maps.Clone(all)
	maps.DeleteFunc(left, func(n string, _ tries) bool { return !slices.Contains(names, n) })
	return left
}

// acceptable returns *WeakPasswordError unless a new password meets every
// requirement, those included that take a hash or a question to somebody else.
func (s *state) acceptable(ctx context.Context, c *candidate) error {
	p, facts := s.g.policy.Password, s.passwordFacts()
	if err := weak(p.check(c.text, facts)); err != nil {
		return err
	}
	if p.History > 0 || s.account.data.Compromised {
		var err error
		if facts.reused, err = s.usedBefore(ctx, c); err != nil {
			return err
		}
	}
	if !c.asked {
		c.breach, c.failed = p.breached(ctx, c.text)
		c.asked = true
	}
	if facts.breach = c.breach; c.failed != nil {
		s.tell(Event{Name: EventBreachUnchecked, Method: Password, Reason: facts.breach})
	}
	return weak(p.check(c.text, facts))
}

// usedBefore reports whether a new password is the present one or one of those before
// it. Of a host's own it is asked about the present one alone, and only when somebody
// else knows that.
func (s *state) usedBefore(ctx context.Context, c *candidate) (bool, error) {
	if s.g.passwords != nil {
		if !s.account.data.Compromised {
			return false, nil
		}
		found, err := s.comparePassword(ctx, c.past, c.text)
		return found != phc.Mismatch, err
	}
	used, last := false, append([][]byte{s.account.data.Password.Sealed}, s.account.data.Password.Past...)
	for _, sealed := range last[:min(len(last), max(s.g.policy.Password.History, 1))] {
		hash, err := s.openHash(sealed)
		if err != nil {
			return false, err
		}
		if hash == "" {
			continue
		}
		again, err := c.past.matches(ctx, hash, c.text)
		if err != nil {
			return false, err
		}
		used = used || again
	}
	return used, nil
}

func weak(all []Requirement) error {
	unmet := slices.DeleteFunc(all, func(r Requirement) bool { return r.Met })
	if len(unmet) == 0 {
		return nil
	}
	return &WeakPasswordError{Unmet: unmet}
}

// passwordFacts is what the policy has to know of the user.
func (s *state) passwordFacts() passwordFacts {
	r := s.g.policy.Rules
	return passwordFacts{
		besides: r.Require == RequireAtSignIn && !s.now.Before(r.From),
		names:   []string{s.g.issuer, s.user.Name, s.user.Email},
	}
}

// CheckPassword returns every requirement of Policy.Password, met or not, for a
// page that ticks them off while the user types. What takes a hash or a question
// to somebody else, the history and the breach check, is shown as met, and asked when
// the password is set. user is "" before it is known who she is: on a registration
// form, or behind a link that was mailed; then her names are not looked for. It
// returns ErrNoUser, ErrInvalid or ErrUnavailable.
func (g *Guard) CheckPassword(ctx context.Context, user, password string) ([]Requirement, error) {
	if user != "" && !validUser(user) || len(password) > maxPasswordBytes {
		return nil, invalid("not a user id, or a password of more than 4 KiB")
	}
	s := g.newState(g.now(), Client{}, user)
	if user != "" {
		if err := s.directory(ctx); err != nil {
			return nil, err
		}
	}
	return g.policy.Password.check(password, s.passwordFacts()), nil
}

// SetPassword stores a password for a user whom the host has just registered, or
// recognized by other means, and ends everything that the old one began. It returns
// *WeakPasswordError, ErrNoUser, ErrInvalid or ErrUnavailable, and tries until ctx
// ends.
func (g *Guard) SetPassword(ctx context.Context, user, password string) error {
	c := g.candidate(password)
	return g.change(ctx, user, asItIs, func(s *state) error {
		if err := s.directory(ctx); err != nil {
			return err
		}
		if err := s.newPassword(ctx, c, false); err != nil {
			return err
		}
		s.endAll()
		return nil
	})
}

// ChangePassword replaces the user's password. It needs a fresh proof
// (*StepUpError) and the current password (ErrRefused, *ThrottledError). Everything
// else of the user ends: other sessions, flows, known browsers, links. The Outcome
// is this session with a new token, and this browser is known (Outcome.Browser). It
// returns *WeakPasswordError,
// ErrForbidden when neither the library nor Config.Passwords has a password of hers,
// ErrNoSession or ErrUnavailable, and tries until ctx ends.
func (s *Session) ChangePassword(ctx context.Context, current, next string) (Outcome, error) {
	const action = "change_password"
	old, c := &hasher{g: s.s().g}, s.s().g.candidate(next)
	return s.s().open(ctx, untilEnded, ToConfirm(action), func(f *flow) (Outcome, error) {
		if err := f.fresh(action); err != nil {
			return Outcome{}, err
		}
		if !f.checks() {
			return Outcome{}, refuse(ErrForbidden, ReasonNoPassword)
		}
		if err := f.passwordAgain(ctx, old, current); err != nil {
			return Outcome{}, err
		}
		if err := f.newPassword(ctx, c, f.account.data.Password.Mailed); err != nil {
			return Outcome{}, err
		}
		f.endOthers()
		f.again()
		// A stranger's guesses must not lock her out here because she changed it.
		browser, err := f.know()
		if err != nil {
			return Outcome{}, err
		}
		out, err := f.elevate()
		out.browser = &browser
		return out, err
	})
}

// again records that the password was typed again.
func (f *flow) again() {
	f.data.First = firstData{Password: true, At: f.now.Unix(), Mailed: f.account.data.Password.Mailed}
	f.proven = Password
}

// endOthers stages the end of everything but the session or the flow at work.
func (f *flow) endOthers() {
	if own := f.session; own != nil {
		f.sessions = slices.DeleteFunc(f.sessions, func(d stored[sessionData]) bool { return d.rec.ID == own.rec.ID })
	}
	f.endAll()
	f.ending = false
}

// SetPassword answers a Need for a new password (StepNewPassword), and ends
// everything else of the user. It returns *WeakPasswordError, and ErrForbidden when
// neither the library nor Config.Passwords keeps passwords: the host then has a form
// of its own, and calls Guard.CredentialsChanged.
func (p *Pending) SetPassword(ctx context.Context, password string) (Outcome, error) {
	c := p.p().g.candidate(password)
	return p.p().run(ctx, func(f *flow) (Outcome, error) {
		if v := decide(f.situation()); v.step != StepNewPassword {
			return Outcome{}, refuse(ErrRefused, ReasonStepNotAsked)
		}
		if !f.checks() {
			return Outcome{}, refuse(ErrForbidden, ReasonNoPassword)
		}
		if err := f.newPassword(ctx, c, f.account.data.Password.Mailed); err != nil {
			return Outcome{}, err
		}
		f.familiar = f.browser(f.data.Browser) != nil
		f.endOthers()
		return f.advance(ctx)
	})
}

// WeakPasswordError says which requirements a new password misses. It wraps
// ErrWeak.
type WeakPasswordError struct {
	Unmet []Requirement
}

func (e *WeakPasswordError) Error() string { return ErrWeak.Error() }
func (e *WeakPasswordError) Unwrap() error { return ErrWeak }
