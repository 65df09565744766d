package mfa

import (
	"context"
	"iter"
	"time"
)

// Directory is an optional ability of Users: what an Admin does with the members
// of an organization needs it. New probes for it.
type Directory interface {
	// Members returns the members of an organization in any order, each once, as
	// User would, and of "" all users. An error ends it.
	Members(ctx context.Context, org string) iter.Seq2[User, error]
}

// A Membership is what a user is in one organization.
type Membership struct {
	Org  string
	Role Role
}

// Role is what a member may do. The zero Role is the least.
type Role int

const (
	RoleMember Role = iota // passes the door
	RoleAdmin              // administers: rules, and members who are neither RoleAdmin nor RoleOwner
	RoleOwner              // administers, other owners too
)

// String returns a stable word, "" for an invalid Role.
func (r Role) String() string {
	switch r {
	case RoleMember:
		return "member"
	case RoleAdmin:
		return "administrator"
	case RoleOwner:
		return "owner"
	}
	return ""
}

// in returns what u is in an organization, the highest if the directory says
// several, and false for no member. In the installation, "", everybody is a member.
func (u *User) in(org string) (Role, bool) {
	if org == "" {
		if u.Admin {
			return RoleAdmin, true
		}
		return RoleMember, true
	}
	highest, found := RoleMember, false
	for _, m := range u.Orgs {
		if m.Org == org {
			highest, found = max(highest, m.Role), true
		}
	}
	if highest > RoleOwner {
		highest = RoleMember // no constant
	}
	return highest, found
}

// ruled reads the rules where the flow leads, and returns ErrForbidden when its
// user does not belong there.
func (f *flow) ruled(ctx context.Context) error {
	org := f.data.Arg
	switch role, member := f.user.in(org); f.data.To {
	case toSignIn:
		org = f.user.ManagedBy
	case toEnter:
		if f.org = org; !member {
			return refuse(ErrForbidden, ReasonNotMember)
		}
	case toAdminister:
		if f.org = org; role < RoleAdmin {
			return refuse(ErrForbidden, ReasonNotAdministrator)
		}
	default:
		return nil
	}
	var err error
	if f.managing.Owner == orgOwner(org) {
		f.ruling, err = f.g.openRules(ctx, f.managing)
	} else {
		f.ruling, err = f.g.getRules(ctx, org)
	}
	return err
}

// Enter is Session and the rules at an organization's door, in one round trip.
// org is 1 to 254 bytes of UTF-8 without control characters. What holds there is
// the rules of Policy.Rules and those of the organization, as they are at this
// moment, for every session however old.
//
// When they ask for more than the session proved it returns *StepUpError and no
// session, and writes nothing: twenty parallel requests cost little. Give the
// error's Purpose to Session.StepUp. To say what is needed it reads what StepUp
// would read.
//
// It says nothing about membership: the host checks that. StepUp does, and refuses
// who is no member. Enter may also return ErrNoSession, ErrRefused (no factor that
// is held can ever be used), ErrInvalid (org is no id) or ErrUnavailable.
func (g *Guard) Enter(ctx context.Context, token, org string, c Client) (*Session, error) {
	to := ToEnter(org)
	if !to.valid() {
		return nil, invalid("not an organization id")
	}
	s, err := g.session(ctx, token, c, rulesKey(org))
	if err != nil {
		return nil, err
	}
	of, err := g.openRules(ctx, s.s().beside[0])
	if err != nil {
		return nil, err
	}
	now := g.now()
	if at := s.s().atDoor(to, &of, now); at.lapsed.IsZero() && decide(at).allowed() {
		s.s().from = at.unproven()
	} else if err := s.s().missing(ctx, now, to); err != nil {
		return nil, err
	}
	s.s().touch(ctx)
	return s, nil
}

// atDoor returns what the decision looks at on the way through a door. What the
// user holds is in another record. Whatever the session proved she held, and here
// it is enough that somebody with an allowed factor would have to prove it.
func (s *session) atDoor(to Purpose, of *ruling, now time.Time) situation {
	at := situation{now: now, place: toEnter, firstAt: unix(s.data.First.At), mailed: s.data.First.mailed(s.data.Proofs), remembered: s.data.Remembered.proven(), entered: unix(s.data.Created)}
	at.rules, at.excused = s.g.rulesAt(to, who{userOf(s.rec.Owner), s.data.Org}, of, s.data.First)
	at.lapsed = of.lapsed(&s.data, s.data.First.At, s.data.Proofs, now, now)
	for _, r := range at.rules {
		for _, m := range r.allowed {
			at.held = append(at.held, holding{method: m, state: usable})
		}
	}
	for _, p := range s.data.Proofs {
		at.proofs = append(at.proofs, p.proven())
	}
	return at
}

// unproven returns from when on a rule will ask for more than was proven, zero for
// none.
func (s situation) unproven() time.Time {
	for _, r := range s.coming() {
		if !s.proven(s.accepted(r), r.since) {
			return r.from
		}
	}
	return time.Time{}
}

// missing returns the *StepUpError for a door that did not open, or nil when it
// does after all.
func (s *session) missing(ctx context.Context, now time.Time, to Purpose) error {
	f, err := s.flow(ctx, now, to)
	if ReasonOf(err) == ReasonNotMember {
		return &StepUpError{Purpose: to, reason: ReasonRule}
	}
	if err != nil {
		return err
	}
	switch v := decide(f.situation()); {
	case v.refused:
		return refuse(ErrRefused, v.why)
	case !v.allowed():
		return &StepUpError{Purpose: to, Need: v.need(), reason: v.why}
	}
	return nil
}

// RequiredFrom returns from when on the organization whose door the session passed
// asks for a second factor that it has not proven, for a page that counts the days.
// The flow of StepUp(ToEnter) leads to it before then. It is zero for a session
// that is not from Guard.Enter, and when nothing more will be asked.
func (s *Session) RequiredFrom() time.Time { return s.s().from }
