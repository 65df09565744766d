package mfa

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"time"
)

// maxActions is on how many users an administrator may act in an hour: enough for
// a bad day, and few enough to notice somebody who resets a whole company.
const maxActions = 10

// Admin returns the handle of an administrator or owner of an organization, of the
// installation when org is "" (User.Admin). She holds a second factor that the
// rules allow, confirmed, and has proven it within Rules.FreshFor, however she
// signed in.
//
// It returns *StepUpError when she has not, with ToEnroll when she holds none,
// ErrForbidden when she is no administrator there, ErrNoSession, ErrRefused (no
// factor that is held can ever be used), ErrInvalid (org) or ErrUnavailable.
func (s *Session) Admin(ctx context.Context, org string) (*Admin, error) {
	if org != "" && !validOrg(org) {
		return nil, invalid("not an organization id")
	}
	a := &admin{g: s.s().g, org: org, by: s.s(), actor: s.User()}
	if _, err := a.authorize(ctx, a.g.now()); err != nil {
		return nil, err
	}
	return &Admin{a}, nil
}

// A grant is who acts, as one attempt of an operation found her.
type grant struct {
	flow *flow // nil: the operator
	role Role
}

// authorize returns the grant of an operation, or why there is none.
func (a *admin) authorize(ctx context.Context, now time.Time) (grant, error) {
	if a.by == nil {
		if a.actor == "" || !validText(a.actor, maxName) || !validText(a.note, maxNote) {
			return grant{}, invalid("actor is not 1 to 64 code points, or reason longer than 200")
		}
		return grant{}, nil
	}
	to := ToAdminister(a.org)
	f, err := a.by.claim(ctx, now, to)
	if err != nil {
		return grant{}, err
	}
	role, _ := f.user.in(a.org)
	switch v := decide(f.situation()); {
	case v.refused:
		return grant{}, refuse(ErrRefused, v.why)
	case v.step == StepEnroll:
		return grant{}, &StepUpError{Purpose: ToEnroll(v.methods[0]), Need: v.need(), reason: v.why}
	case !v.allowed():
		return grant{}, &StepUpError{Purpose: to, Need: v.need(), reason: v.why}
	}
	return grant{f, role}, nil
}

// over returns why the actor may not act upon u, "" when she may.
func (a *admin) over(by grant, u *User) Reason {
	if by.flow == nil {
		return ""
	}
	switch role, _ := u.in(a.org); {
	case u.ID == by.flow.user.ID:
		return ReasonOneself
	case u.ManagedBy != a.org:
		return ReasonNotManaged
	case u.Admin, role >= by.role && by.role != RoleOwner:
		return ReasonHigherRole
	}
	return ""
}

// change carries out an operation on a user whom the directory knows.
func (a *admin) change(ctx context.Context, user string, as condition, do func(*state)) error {
	if !validUser(user) {
		return invalid("not a user id")
	}
	taken := a.by == nil
	_, err := run(ctx, a.g, untilEnded, func(now time.Time) (*state, struct{}, error) {
		var none struct{}
		by, err := a.authorize(ctx, now)
		if err != nil {
			return nil, none, err
		}
		s, err := a.subject(ctx, now, user, as, by)
		if err != nil {
			return nil, none, err
		}
		if !taken {
			if err := a.take(ctx); err != nil {
				return nil, none, err
			}
			taken = true
		}
		do(s)
		return s, none, nil
	})
	return err
}

// subject reads the user whom the actor wants to act upon. Who may not learns
// nothing: neither what is stored of her nor whether there is such a user.
func (a *admin) subject(ctx context.Context, now time.Time, user string, as condition, by grant) (*state, error) {
	s := a.g.newState(now, Client{}, user)
	s.actor, s.note, s.org, s.anew = a.actor, a.note, a.org, as == anew
	if a.by != nil {
		s.by = &a.by.client
	}
	if err := s.directory(ctx); err != nil && a.by != nil && errors.Is(err, ErrNoUser) {
		return nil, refuse(ErrForbidden, ReasonUserUnknown)
	} else if err != nil {
		return nil, err
	}
	if why := a.over(by, &s.user); why != "" {
		return nil, refuse(ErrForbidden, why)
	}
	if err := s.list(ctx); err != nil {
		return nil, err
	}
	if s.account.data.Forgotten { // the tombstone keeps its end
		return nil, refuse(ErrNoUser, ReasonUserForgotten)
	}
	return s, nil
}

// take counts one action of the actor, in the partition of the organization.
func (a *admin) take(ctx context.Context) error {
	sum := sha256.Sum256([]byte(a.actor))
	id := base64.RawURLEncoding.EncodeToString(sum[:])
	return a.g.take(ctx, budget{orgOwner(a.org), id, maxActions}, ReasonTooManyActions)
}

// Rules returns the organization's rules and their version, which SetRules takes:
// "" when they were never set. Those of the installation are Config.Policy's, with
// the defaults filled in. It may return ErrNoSession, ErrForbidden, *StepUpError
// or ErrUnavailable.
func (a *Admin) Rules(ctx context.Context) (Rules, string, error) {
	by, err := a.a.authorize(ctx, a.a.g.now())
	if err != nil {
		return Rules{}, "", err
	}
	if a.a.org == "" {
		r := a.a.g.policy.Rules
		r.Methods, r.SSO, r.Exempt = slices.Clone(r.Methods), slices.Clone(r.SSO), slices.Clone(r.Exempt)
		return r, "", nil
	}
	return by.flow.ruling.rules, by.flow.ruling.data.Edition, nil
}

// Activity returns what was done to the organization's rules, newest first, at
// most 50. It may return ErrNoSession, ErrForbidden, *StepUpError or
// ErrUnavailable.
func (a *Admin) Activity(ctx context.Context) ([]Event, error) {
	now := a.a.g.now()
	if _, err := a.a.authorize(ctx, now); err != nil {
		return nil, err
	}
	s, err := a.a.g.organization(ctx, now, a.a.org)
	if err != nil {
		return nil, err
	}
	entries, err := s.past()
	if err != nil {
		return nil, err
	}
	var all []Event
	for _, e := range slices.Backward(entries) {
		event := e.event("")
		event.Org = a.a.org
		all = append(all, event)
	}
	return all, nil
}

// organization reads what is stored of an organization itself.
func (g *Guard) organization(ctx context.Context, now time.Time, org string) (*state, error) {
	s := &state{g: g, now: now, owner: orgOwner(org), org: org}
	records, err := g.get(ctx, rulesKey(org), s.historyKey())
	if err != nil {
		return nil, err
	}
	if s.ruling, err = g.openRules(ctx, records[0]); err != nil {
		return nil, err
	}
	return s, s.setHistory(records[1])
}

// ResealOrg is Reseal for what is stored of an organization. Doing it again
// changes nothing that anybody sees. It returns ErrInvalid or ErrUnavailable.
func (g *Guard) ResealOrg(ctx context.Context, org string) error {
	if !validOrg(org) {
		return invalid("not an organization id")
	}
	_, err := run(ctx, g, untilEnded, func(now time.Time) (*state, struct{}, error) {
		s, err := g.organization(ctx, now, org)
		if err != nil || s.ruling.rec.Version == "" {
			return nil, struct{}{}, err
		}
		s.put(s.ruling.rec, time.Time{}, s.ruling.data)
		if s.history.rec.Version != "" {
			s.put(s.history.rec, time.Time{}, s.history.data)
		}
		s.actor = actorHost
		s.tell(Event{Name: EventResealed})
		return s, struct{}{}, nil
	})
	return err
}
