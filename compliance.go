package mfa

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"
)

// batchSize is of how many members the accounts are read at once.
const batchSize = 64

// A member is one of an organization, as far as it matters whether she meets its
// rules: her account and not her sessions.
type member struct {
	*state
	problem Reason // why her account cannot be read
}

// directory returns what Preview, Compliance and SetRules need.
func (a *admin) directory() (Directory, error) {
	dir, ok := a.g.users.(Directory)
	if !ok {
		return nil, invalid("Config.Users is no Directory")
	}
	return dir, nil
}

// members reads the members of the organization, as many at a time as one round
// trip takes, and keeps none.
func (a *admin) members(ctx context.Context, now time.Time, dir Directory) iter.Seq2[[]member, error] {
	return func(yield func([]member, error) bool) {
		some := make([]member, 0, batchSize)
		for u, err := range dir.Members(ctx, a.org) {
			if err != nil {
				yield(nil, &unavailable{"ask the directory for members", ReasonDirectoryFailed, err})
				return
			}
			s := a.g.newState(now, Client{}, u.ID)
			s.user = u
			m := member{state: s}
			if !validUser(u.ID) {
				m.problem = ReasonInvalidArgument
			}
			if some = append(some, m); len(some) < batchSize {
				continue
			}
			if err := a.g.accounts(ctx, some); !yield(some, err) || err != nil {
				return
			}
			some = some[:0]
		}
		if len(some) > 0 {
			yield(some, a.g.accounts(ctx, some))
		}
	}
}

// accounts reads the accounts of members. One that cannot be read is her problem
// and does not hide the others.
func (g *Guard) accounts(ctx context.Context, some []member) error {
	var keys []Key
	for _, m := range some {
		if m.problem == "" {
			keys = append(keys, m.accountKey())
		}
	}
	if len(keys) == 0 {
		return nil
	}
	records, err := g.get(ctx, keys...)
	if err != nil {
		return err
	}
	for i := range some {
		m := &some[i]
		if m.problem != "" {
			continue
		}
		err := m.setAccount(records[0])
		if err == nil {
			err = m.present(ctx)
		}
		if err != nil {
			m.problem = ReasonOf(err)
		}
		records = records[1:]
	}
	return nil
}

// meets reports whether the user passes under r once it binds, and why without a
// factor, if so.
func (s *state) meets(r *Rules) (ok bool, exempt Reason) {
	switch first := s.account.data.SSO; {
	case slices.Contains(r.Exempt, s.user.ID):
		return true, ReasonExempt
	case first != nil && r.excuse(*first) != "":
		return true, r.excuse(*first)
	case first != nil && s.g.policy.Rules.excuse(*first) != "":
		return true, s.g.policy.Rules.excuse(*first)
	}
	return r.Require == RequireOff || slices.ContainsFunc(s.g.allowed(r), s.account.data.has), ""
}

// MemberStatus is what Compliance says of one member.
type MemberStatus struct {
	User string
	Role Role
	// Meets: she holds a factor that the rules allow, or they do not bind her. A date
	// that lies ahead is taken for reached.
	Meets bool
	// Managed: the organization manages her account. Of others it learns no more
	// than the above: their factors are their own.
	Managed bool

	Methods      []Method  // the factors that she holds, best first
	CodesLeft    int       // backup codes
	LastVerified time.Time // when she last proved a second factor; zero: never
	Locked       bool      // a factor waits, is disabled, or cannot be read
	Exempt       Reason    // why nothing is asked of her: exempt, sso_waived or sso_trusted, by her last sign-in
	Disabled     bool
	Problem      Reason // why her account cannot be read; "" when it can
}

// Compliance reports on every member, in the order of the directory. Each 64 are
// read at once and none is kept, so that an organization of any size takes the
// same memory. It yields one error at most, the last: those of Rules, ErrInvalid
// when Users is no Directory. Members who join or leave meanwhile may be missed.
func (a *Admin) Compliance(ctx context.Context) iter.Seq2[MemberStatus, error] {
	return func(yield func(MemberStatus, error) bool) {
		now := a.a.g.now()
		dir, r, err := a.a.report(ctx, now)
		if err != nil {
			yield(MemberStatus{}, err)
			return
		}
		for some, err := range a.a.members(ctx, now, dir) {
			if err != nil {
				yield(MemberStatus{}, err)
				return
			}
			for _, m := range some {
				if !yield(a.a.status(m, r), nil) {
					return
				}
			}
		}
	}
}

// report returns what a report on members needs.
func (a *admin) report(ctx context.Context, now time.Time) (Directory, *Rules, error) {
	by, err := a.authorize(ctx, now)
	if err != nil {
		return nil, nil, err
	}
	dir, err := a.directory()
	if err != nil {
		return nil, nil, err
	}
	if by.flow == nil || a.org == "" {
		return dir, &a.g.policy.Rules, nil
	}
	return dir, &by.flow.ruling.rules, nil
}

// manages reports whether the actor may know what a user holds.
func (a *admin) manages(u *User) bool { return a.by == nil || u.ManagedBy == a.org }

func (a *admin) status(m member, r *Rules) MemberStatus {
	role, _ := m.user.in(a.org)
	st := MemberStatus{User: m.user.ID, Role: role, Managed: a.manages(&m.user)}
	var exempt Reason
	if m.problem == "" {
		st.Meets, exempt = m.meets(r)
	}
	if !st.Managed {
		return st
	}
	d := &m.account.data
	st.Problem, st.Exempt, st.Locked = m.problem, exempt, m.problem != ""
	st.CodesLeft, st.LastVerified, st.Disabled = len(d.Codes), unix(d.Verified), d.reason(m.user) != ""
	for _, method := range []Method{TOTP, SMSCode, EmailCode} {
		if d.has(method) {
			st.Methods = append(st.Methods, method)
		}
	}
	st.Locked = st.Locked || slices.ContainsFunc(factors(m.held()), func(h holding) bool { return h.state != usable })
	return st
}

// Preview is whom rules would concern. Of users whom the organization does not
// manage it tells who meets the rules that are saved, whichever are asked about: as
// Compliance does, and for rules that ask for nothing as it will once they ask. Who
// could try rules one by one would learn what each of them holds.
type Preview struct {
	Members int
	// Unmanaged of Members are not managed by the organization.
	Unmanaged int
	// Affected must prove a second factor at once, AffectedFrom once Rules.From is
	// reached: the same when it does not lie ahead.
	Affected, AffectedFrom int
	// NotEnrolled of AffectedFrom hold no factor; of Unmanaged: or none that the saved
	// rules allow.
	NotEnrolled int
	// LoseOnlyMethod of AffectedFrom hold factors, and none that the rules allow: they
	// prove one once more and then enroll an allowed one.
	LoseOnlyMethod int
	// ExemptBySSO would be affected, but last signed in over a connection that the
	// rules trust or waive: none of Unmanaged, who count as affected. Exempt are those
	// whom the rules name.
	ExemptBySSO, Exempt int
	// Unreadable are members whose accounts cannot be read.
	Unreadable int
}

// Preview counts the members whom r would concern. It reads as Compliance does,
// and returns the same errors.
func (a *Admin) Preview(ctx context.Context, r Rules) (Preview, error) {
	now := a.a.g.now()
	dir, saved, err := a.a.report(ctx, now)
	if err != nil {
		return Preview{}, err
	}
	if _, err := (Policy{Rules: r}).checked(""); err != nil {
		return Preview{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	// What others are measured by must not depend on what is asked.
	others := *saved
	if others.Exempt = r.Exempt; r.Require == RequireOff || others.Require == RequireOff {
		others.Require = r.Require
	}
	var p Preview
	for some, err := range a.a.members(ctx, now, dir) {
		if err != nil {
			return Preview{}, err
		}
		for _, m := range some {
			if managed := a.a.manages(&m.user); managed {
				p.add(m, &r, managed)
			} else {
				p.Unmanaged++
				p.add(m, &others, managed)
			}
		}
	}
	if !now.Before(r.From) {
		p.Affected = p.AffectedFrom
	}
	return p, nil
}

// add counts one member.
func (p *Preview) add(m member, r *Rules, managed bool) {
	p.Members++
	if m.problem != "" {
		p.Unreadable++
		return
	}
	if r.Require == RequireOff {
		return
	}
	ok, exempt := m.meets(r)
	switch {
	case exempt == ReasonExempt:
		p.Exempt++
	case exempt != "" && managed:
		p.ExemptBySSO++
	default:
		p.AffectedFrom++
	}
	switch {
	case ok:
	case managed && m.account.data.holds():
		p.LoseOnlyMethod++
	default:
		p.NotEnrolled++
	}
}
