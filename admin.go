package mfa

import (
	"context"
	"slices"
	"time"
)

// An Admin helps users who cannot help themselves, and sets the rules of an
// organization. It can take away and never give: no operation shows a secret,
// signs anybody in or sets a factor.
//
// One from Session.Admin is a claim, as its session is: every operation asks the
// directory and the store again, and returns ErrNoSession, ErrForbidden (no
// administrator any more) or *StepUpError (the proof is too old) before it does
// anything. Of a user it returns ErrForbidden when she is not managed by the
// organization, oneself, an equal or higher role (only an owner may help another
// owner), or not known, and *ThrottledError after 10 users in an hour.
//
// One from Guard.Operator may help every user and sets no rules.
//
// An Admin is safe for concurrent use.
type Admin struct{ a *admin }

type admin struct {
	g           *Guard
	org         string   // "" is the installation
	by          *session // nil: the host vouches for the operator
	actor, note string
}

// Operator returns the Admin of the installation's support desk. The host vouches
// for it: it has authenticated the person and checked that she may do this. actor
// names her in every event and in the user's history, 1 to 64 code points, and
// reason enters the events, at most 200; an operation with others returns
// ErrInvalid.
func (g *Guard) Operator(actor, reason string) *Admin {
	return &Admin{&admin{g: g, actor: actor, note: reason}}
}

// Reset removes everything that user holds, ends her sessions and flows, and makes
// her enroll at the next sign-in: for a user who lost her factors. Until then her
// password alone leads to enrollment, so reset only whom you have recognized by
// other means. An account that is gone, or cannot be read because its key is, is begun
// anew; a Guard.Disable that it held is lost, User.Disabled is not. When the
// Marker fails it returns ErrUnavailable although the change stands. It returns
// ErrNoUser, ErrInvalid or ErrUnavailable, and tries until ctx ends, as all
// operations of an Admin on a user do.
func (a *Admin) Reset(ctx context.Context, user string) error {
	err := a.a.change(ctx, user, anew, func(s *state) {
		s.tell(Event{Name: EventFactorsReset}) // at the pinned addresses, some of which are not kept
		d := &s.account.data
		*d = account{
			MustEnroll: true, Failures: d.Failures, Compromised: d.Compromised, Changes: d.Changes, Disabled: d.Disabled,
			Addresses: s.keptAddresses(), Password: d.Password, Import: d.Import, Tries: only(d.Tries, Password.String(), triesAgain),
			Entered: d.Entered, Recent: d.Recent,
		}
		s.endAll()
	})
	if err != nil {
		return err
	}
	return a.a.g.unmark(ctx, user)
}

// Unlock ends the waits of a user's methods. The counts stay, so that the next
// wrong proof waits longer than the last; a method that is disabled stays so.
func (a *Admin) Unlock(ctx context.Context, user string) error {
	return a.a.change(ctx, user, asItIs, func(s *state) {
		for _, m := range []Method{TOTP, BackupCode, SMSCode, EmailCode, Password} {
			if s.unlock(m) {
				s.touched = true
				s.tell(Event{Name: EventMethodUnlocked, Method: m})
			}
		}
	})
}

// unlock stages the end of the waits of m and reports whether there was one. A
// password may wait for strangers, for its user when she is signed in, and in each
// browser that she is known in.
func (s *state) unlock(m Method) (waited bool) {
	a, limits := &s.account.data, s.g.policy.Limits
	if t := a.Tries[m.String()]; t.left(limits, m, s.now) > 0 && !a.disabled(limits, m) {
		a.setTries(m, tries{Wrong: t.Wrong})
		waited = true
	}
	if m != Password {
		return waited
	}
	if t := a.Tries[triesAgain]; t.left(limits, m, s.now) > 0 {
		a.Tries[triesAgain] = tries{Wrong: t.Wrong}
		waited = true
	}
	for _, b := range s.browsers {
		if b.data.Wrong.left(limits, m, s.now) > 0 {
			b.data.Wrong.Last = 0
			s.put(b.rec, b.rec.Expires, b.data)
			waited = true
		}
	}
	return waited
}

// EndSessions ends every session and flow of a user.
func (a *Admin) EndSessions(ctx context.Context, user string) error {
	return a.a.change(ctx, user, asItIs, func(s *state) {
		s.endAll()
		s.tell(Event{Name: EventSessionsEnded})
	})
}

// RequirePasswordChange makes a user choose a new password at her next sign-in
// with the old one, once her second factor is proven, or for who holds none a code sent
// to a known address: somebody else may know it.
// Guard.CredentialsChanged ends it. Her sessions live on: see EndSessions.
func (a *Admin) RequirePasswordChange(ctx context.Context, user string) error {
	return a.a.change(ctx, user, asItIs, func(s *state) {
		s.account.data.Compromised, s.touched = true, true
		s.tell(Event{Name: EventPasswordForced, Method: Password})
	})
}

const (
	maxNote   = 200
	actorHost = "host" // of what the host did by itself
	forgetFor = 30 * 24 * time.Hour
)

// condition says what becomes of an account that cannot be read.
type condition int

const (
	asItIs condition = iota // it is refused
	anew                    // it is begun anew
	erased                  // likewise, and a tombstone over what is still there is not the end
)

// change carries out an operation on everything that is stored about a user. The
// host itself acts. It ends things, so it tries until ctx ends.
func (g *Guard) change(ctx context.Context, user string, as condition, do func(*state) error) error {
	if !validUser(user) {
		return invalid("not a user id")
	}
	_, err := run(ctx, g, untilEnded, func(now time.Time) (*state, struct{}, error) {
		s := g.newState(now, Client{}, user)
		s.actor, s.anew = actorHost, as != asItIs
		if err := s.list(ctx); err != nil {
			return nil, struct{}{}, err
		}
		rest := len(s.sessions) + len(s.pendings) + len(s.browsers) + len(s.links) + len(s.unreadable)
		if s.account.data.Forgotten && (as != erased || rest == 0) { // the tombstone keeps its end
			return nil, struct{}{}, refuse(ErrNoUser, ReasonUserForgotten)
		}
		return s, struct{}{}, do(s)
	})
	return err
}

// tell is change for what a host tells of its user. Of one who is forgotten there is
// nothing left to change.
func (g *Guard) tell(ctx context.Context, user string, as condition, do func(*state) error) error {
	err := g.change(ctx, user, as, do)
	if ReasonOf(err) == ReasonUserForgotten {
		return nil
	}
	return err
}

// Disable ends everything that user has going and refuses sign-ins until Enable.
// The host calls it when it disables a user: an ordinary request does not ask the
// directory, so that without it her sessions would live on. What she holds stays.
// Like all of the following it returns ErrInvalid or ErrUnavailable, works on
// users whom the directory does not know, and tries until ctx ends. Disable, Enable
// and Forget change nothing when done again.
func (g *Guard) Disable(ctx context.Context, user string) error {
	return g.tell(ctx, user, asItIs, func(s *state) error {
		if s.account.data.Disabled && len(s.sessions)+len(s.pendings)+len(s.unreadable) == 0 {
			return nil
		}
		s.account.data.Disabled = true
		s.endAll()
		s.tell(Event{Name: EventUserDisabled})
		return nil
	})
}

// Enable lets a user sign in again after Disable.
func (g *Guard) Enable(ctx context.Context, user string) error {
	return g.tell(ctx, user, asItIs, func(s *state) error {
		if s.account.data.Disabled {
			s.account.data.Disabled, s.touched = false, true
			s.tell(Event{Name: EventUserEnabled})
		}
		return nil
	})
}

// CredentialsChanged ends every session and flow of a user. A host that keeps the
// password hashes calls it after every change of a password, whoever made it.
// What the old password was suspected of is forgotten with it.
func (g *Guard) CredentialsChanged(ctx context.Context, user string) error {
	return g.tell(ctx, user, asItIs, func(s *state) error {
		if g.notifier != nil {
			_ = s.directory(ctx) // without it the pinned address is told
		}
		s.account.data.Failures, s.account.data.Compromised = nil, false
		s.account.data.Tries = without(s.account.data.Tries, Password.String(), triesAgain)
		s.account.data.Changes++
		s.endAll()
		s.tell(Event{Name: EventCredentialsChanged})
		return nil
	})
}

// Forget erases everything stored about a user whom the host deletes. For 30 days
// a tombstone refuses sign-ins as this user, so that a request under way cannot
// bring her back. When the Marker fails it returns ErrUnavailable although the
// change stands.
func (g *Guard) Forget(ctx context.Context, user string) error {
	err := g.tell(ctx, user, erased, func(s *state) error {
		s.account.data = account{Forgotten: true}
		s.endAll()
		s.endLinks(func(linkData) bool { return true })
		if s.history.rec.Version != "" {
			s.end(s.history.rec)
		}
		s.tell(Event{Name: EventUserForgotten})
		return nil
	})
	if err != nil {
		return err
	}
	return g.unmark(ctx, user)
}

// unmark tells the marker that a user holds no factor any more. Until it is told a
// lost record is taken for a loss, which errs on the safe side.
func (g *Guard) unmark(ctx context.Context, user string) error {
	if g.marker == nil {
		return nil
	}
	if err := g.marker.MarkEnrolled(ctx, user, false); err != nil {
		return &unavailable{"tell the marker", ReasonDirectoryFailed, err}
	}
	s := g.newState(g.now(), Client{}, user)
	if err := s.list(ctx); err != nil {
		return err
	}
	if !s.account.data.holds() {
		return nil
	}
	// She bound another one meanwhile.
	if err := g.marker.MarkEnrolled(ctx, user, true); err != nil {
		return &unavailable{"tell the marker", ReasonDirectoryFailed, err}
	}
	return nil
}

// Reseal seals everything of a user under the first key, so that an older one can
// be dropped once every user is done and a day has passed: tokens in browsers
// still need the key they were made with. What is sealed under a key that is
// gone already stays as it is.
func (g *Guard) Reseal(ctx context.Context, user string) error {
	return g.tell(ctx, user, asItIs, func(s *state) error {
		if s.account.rec.Version == "" {
			return nil
		}
		list := slices.Clone(s.account.data.TOTP)
		for i := range list {
			secret, err := list[i].secret(g, s.owner)
			if err == nil {
				list[i].Sealed = g.ring.Seal(secret, s.owner, "totp", list[i].ID)
			}
		}
		s.account.data.TOTP, s.touched = list, true
		s.account.data.Password = s.resealed(s.account.data.Password)
		if s.history.rec.Version != "" {
			s.put(s.history.rec, time.Time{}, s.history.data)
		}
		for _, m := range []Method{EmailCode, SMSCode} {
			if a, ok := s.account.data.Addresses[m.String()]; ok {
				a.Sealed, a.New = s.reseal(m, a.Sealed), s.reseal(m, a.New)
				s.setAddress(m, a)
			}
		}
		for _, d := range s.sessions {
			s.put(d.rec, d.rec.Expires, d.data)
		}
		for _, d := range s.browsers {
			s.put(d.rec, d.rec.Expires, d.data)
		}
		s.tell(Event{Name: EventResealed})
		return nil
	})
}
