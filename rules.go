package mfa

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	kindRules = "rules"
	maxExempt = 100
)

// rulesData is the rules of one organization as stored. The record never expires:
// loss of rules is not their absence.
type rulesData struct {
	V         int              `json:"v"`
	Edition   string           `json:"e,omitempty"` // random, new with every change; "" before the first
	By        string           `json:"b,omitempty"` // who made it
	At        int64            `json:"t,omitempty"` // and when
	Require   int              `json:"q,omitempty"`
	From      int64            `json:"f,omitempty"`
	Methods   []int            `json:"m,omitempty"`
	Remember  int64            `json:"r,omitempty"` // this and the next three in seconds
	Life      int64            `json:"l,omitempty"`
	Idle      int64            `json:"i,omitempty"`
	Fresh     int64            `json:"h,omitempty"`
	SSO       []connectionData `json:"s,omitempty"`
	Exempt    []string         `json:"x,omitempty"`
	NotBefore int64            `json:"n,omitempty"`
}

type connectionData struct {
	Name string   `json:"n"`
	Rule int      `json:"r,omitempty"`
	AMR  []string `json:"m,omitempty"`
	ACR  []string `json:"a,omitempty"`
}

func (d *rulesData) version() int { return d.V }

// rules returns what is stored.
func (d *rulesData) rules() Rules {
	r := Rules{
		Require: Require(d.Require), From: unix(d.From), Remember: time.Duration(d.Remember) * time.Second,
		SessionFor: time.Duration(d.Life) * time.Second, IdleFor: time.Duration(d.Idle) * time.Second,
		FreshFor: time.Duration(d.Fresh) * time.Second, Exempt: d.Exempt, ProofsNotBefore: unix(d.NotBefore),
	}
	for _, m := range d.Methods {
		r.Methods = append(r.Methods, Method(m))
	}
	for _, c := range d.SSO {
		r.SSO = append(r.SSO, Connection{c.Name, SSORule(c.Rule), c.AMR, c.ACR})
	}
	return r
}

// stored returns r for the store: in whole seconds. A proof counts by the second,
// so that ProofsNotBefore is rounded up: none from before it does.
func (r Rules) stored() rulesData {
	seconds := func(d time.Duration) int64 { return int64(d / time.Second) }
	d := rulesData{
		V: recordVersion, Require: int(r.Require), Remember: seconds(r.Remember),
		Life: seconds(r.SessionFor), Idle: seconds(r.IdleFor), Fresh: seconds(r.FreshFor), Exempt: slices.Clone(r.Exempt),
	}
	if !r.From.IsZero() {
		d.From = r.From.Unix()
	}
	if !r.ProofsNotBefore.IsZero() {
		d.NotBefore = r.ProofsNotBefore.Add(time.Second - 1).Unix()
	}
	for _, m := range r.Methods {
		d.Methods = append(d.Methods, int(m))
	}
	for _, c := range r.SSO {
		d.SSO = append(d.SSO, connectionData{c.Name, int(c.Rule), slices.Clone(c.AMR), slices.Clone(c.ACR)})
	}
	return d
}

// check reports what is wrong with the part of r that has no figures.
func (r *Rules) check(bad func(field string, value any, want string)) {
	r.checkSSO(bad)
	for _, f := range []struct {
		field string
		value time.Time
	}{{"Rules.From", r.From}, {"Rules.ProofsNotBefore", r.ProofsNotBefore}} {
		// RFC 3339 has four digits, and rules that no page can show cannot be taken back.
		if year := f.value.UTC().Year(); year < 1 || year > 9999 {
			bad(f.field, f.value, "a year of 1 to 9999, in UTC")
		}
	}
	if n := len(r.Exempt); n > maxExempt {
		bad("Rules.Exempt", n, "at most 100 users")
		return
	}
	for i, user := range r.Exempt {
		if !validUser(user) || slices.Contains(r.Exempt[:i], user) {
			bad("Rules.Exempt", user, "ids of users, each once")
		}
	}
}

// ruling is the rules of one organization as one operation read them. The zero
// ruling is that of no organization.
type ruling struct {
	org   string
	rec   Record
	data  rulesData
	rules Rules
}

func orgOwner(org string) string { return "o/" + org }

func rulesKey(org string) Key { return Key{Owner: orgOwner(org), Kind: kindRules} }

// validOrg reports whether org can be an organization's id.
func validOrg(org string) bool { return org != "" && validOwner(orgOwner(org)) }

// openRules reads rules from r. A record that is absent although there was one is
// no absence of rules.
func (g *Guard) openRules(ctx context.Context, r Record) (ruling, error) {
	of := ruling{org: r.Owner[len("o/"):], rec: r, data: rulesData{V: recordVersion}}
	if r.Version != "" {
		if err := g.open(r, &of.data); err != nil {
			return ruling{}, err
		}
		of.rules = of.data.rules()
		return of, nil
	}
	if g.marker == nil {
		return of, nil
	}
	ruled, err := g.marker.Ruled(ctx, of.org)
	if err != nil {
		return ruling{}, &unavailable{"ask the marker", ReasonDirectoryFailed, err}
	}
	if ruled {
		return ruling{}, &unavailable{"read rules", ReasonRecordMissing, errors.New("the record is gone, the organization had one")}
	}
	return of, nil
}

// getRules reads the rules of an organization, the zero ruling for none.
func (g *Guard) getRules(ctx context.Context, org string) (ruling, error) {
	if !validOrg(org) {
		return ruling{}, nil
	}
	records, err := g.get(ctx, rulesKey(org))
	if err != nil {
		return ruling{}, err
	}
	return g.openRules(ctx, records[0])
}

// allowed returns the methods that satisfy r, best first: of those that users of
// this installation may turn on.
func (g *Guard) allowed(r *Rules) []Method {
	if r.Methods == nil && slices.Equal(g.policy.Rules.Methods, []Method{TOTP}) {
		return g.policy.Rules.Methods // what every request at a door asks for
	}
	best, ok := ranked(r.Methods)
	best = slices.DeleteFunc(slices.Clone(best), func(m Method) bool { return !slices.Contains(g.policy.Rules.Methods, m) })
	if !ok || len(best) == 0 {
		return g.policy.Rules.Methods // the installation dropped them since
	}
	return best
}

// who is the user as the rules see her.
type who struct {
	id        string
	managedBy string
}

func (s *state) who() who { return who{s.user.ID, s.user.ManagedBy} }

// offered returns the methods that may be enrolled on the way to p where no rule
// says which.
func (g *Guard) offered(p Purpose) []Method {
	if p.to == toEnroll {
		return []Method{methodOf(p.arg)}
	}
	return g.policy.Rules.Methods
}

// rulesAt returns the rules that ask for a second factor where p leads, now or
// from a date on, and why none is asked for whatever they say, "" when it is. of is
// the organization's at its door, and at sign-in that of the one that manages the
// user: of others no rule binds there.
func (g *Guard) rulesAt(p Purpose, u who, of *ruling, first firstData) (rules []rule, excused Reason) {
	own := &g.policy.Rules
	managed := of.org != "" && of.org == u.managedBy
	excused = own.excuse(first)
	if managed && excused == "" {
		excused = of.rules.excuse(first)
	}
	add := func(r *Rules, least Require, excuse Reason) {
		if r.Require < least {
			return
		}
		if slices.Contains(r.Exempt, u.id) {
			excuse = ReasonExempt
		}
		at := rule{from: r.From, allowed: g.allowed(r), since: r.ProofsNotBefore, excused: excuse}
		if r.Require == RequireAtSignIn {
			at.remember = r.Remember
		}
		rules = append(rules, at)
	}
	switch p.to {
	case toSignIn:
		add(own, RequireAtSignIn, "")
		if managed {
			add(&of.rules, RequireAtSignIn, "")
		}
		for i := range rules {
			rules[i].since = time.Time{} // there is no proof but in this flow
		}
	case toEnter:
		add(own, RequireAtDoor, "")
		add(&of.rules, RequireAtDoor, of.rules.excuse(first))
	case toAdminister:
		return []rule{{allowed: g.allowed(g.rulesOf(of))}}, "" // nothing excuses who administers
	}
	return rules, excused
}

// rulesOf returns the rules of an organization, the installation's for the zero
// ruling.
func (g *Guard) rulesOf(of *ruling) *Rules {
	if of.org == "" {
		return &g.policy.Rules
	}
	return &of.rules
}

// freshFor returns how old a proof may be for a sensitive action under of: what is
// stricter, its rules or the installation's.
func (g *Guard) freshFor(of *ruling) time.Duration {
	return shorter(g.policy.Rules.FreshFor, of.rules.FreshFor)
}

// shorter returns the shorter of two limits, zero being none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// lapsed returns since when somebody must have proven something at the door of
// of, zero when she has: the organization's sessions last for SessionFor since
// the last proof, and IdleFor without use. anchor is now, or when the flow was
// opened that is to prove it.
func (of *ruling) lapsed(d *sessionData, firstAt int64, proofs []proofData, anchor, now time.Time) time.Time {
	var limit time.Time
	if life := of.rules.SessionFor; life > 0 {
		limit = anchor.Add(-life)
	}
	if idle := of.rules.IdleFor; idle > 0 && d.idle(now) >= idle {
		limit = anchor.Truncate(time.Second)
	}
	if limit.IsZero() {
		return limit
	}
	// What was proven ahead of the clock was proven before it was set back.
	ahead := now.Add(clockSkew).Unix()
	last := int64(0)
	for _, at := range append([]int64{d.Created, firstAt}, times(proofs)...) {
		if at <= ahead {
			last = max(last, at)
		}
	}
	if last >= limit.Unix() {
		return time.Time{}
	}
	return limit
}

func times(proofs []proofData) []int64 {
	list := make([]int64, len(proofs))
	for i, p := range proofs {
		list[i] = p.At
	}
	return list
}

// idle returns for how long the session was not used: since its last use, or
// between two since something was proven. A request elsewhere must not open a
// door that idleness closed.
func (d *sessionData) idle(now time.Time) time.Duration {
	return max(now.Sub(time.Unix(d.Seen, 0)), time.Duration(d.Gap)*time.Second)
}

// unrequired returns ErrForbidden when a rule that binds the user is satisfied by
// m, and would be by nothing that she holds after: the installation's, that of the
// organization that manages her, and those of her organizations.
func (f *flow) unrequired(ctx context.Context, after *account, m Method) error {
	all := []Rules{f.g.policy.Rules}
	orgs := make([]string, 0, len(f.user.Orgs)+1)
	for _, of := range append(f.user.Orgs[:len(f.user.Orgs):len(f.user.Orgs)], Membership{Org: f.user.ManagedBy}) {
		if validOrg(of.Org) && !slices.Contains(orgs, of.Org) {
			orgs = append(orgs, of.Org)
		}
	}
	for some := range slices.Chunk(orgs, maxWrites) {
		keys := make([]Key, len(some))
		for i, org := range some {
			keys[i] = rulesKey(org)
		}
		records, err := f.g.get(ctx, keys...)
		if err != nil {
			return err
		}
		for _, r := range records {
			of, err := f.g.openRules(ctx, r)
			if err != nil {
				return err
			}
			all = append(all, of.rules)
		}
	}
	for i := range all {
		r := &all[i]
		allowed := f.g.allowed(r)
		switch {
		case r.Require == RequireOff, f.now.Before(r.From), slices.Contains(r.Exempt, f.user.ID), r.excuse(f.data.First) != "":
		case slices.Contains(allowed, m) && !slices.ContainsFunc(allowed, after.has):
			return refuse(ErrForbidden, ReasonFactorRequired)
		}
	}
	return nil
}
