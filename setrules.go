package mfa

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/seed-1320b244/mfa/internal/keyring"
)

// SetRules replaces the organization's rules. version is what Rules returned with
// the rules that these were made from; figures count in whole seconds.
//
// Who forces a second factor on others holds one that these rules allow:
// *StepUpError with ToEnroll when she does not, then again. Each owner of the
// organization is told when the rules ask for less than before
// (EventRulesWeakened).
//
// It returns *RulesChangedError when somebody else was faster; ErrForbidden when
// the rules ask for what no method can satisfy, or what no owner could pass
// (ReasonOf: no_usable_method, nobody_passes), and always for the installation,
// whose rules are in Config.Policy; ErrInvalid when a figure is out of bounds, when
// ProofsNotBefore lies ahead, or when Users is no Directory; ErrNoSession,
// ErrRefused or ErrUnavailable.
func (a *Admin) SetRules(ctx context.Context, r Rules, version string) error {
	directory, err := a.a.directory()
	if err != nil {
		return err
	}
	if _, err := (Policy{Rules: r}).checked(""); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	d := r.stored()
	d.Edition, d.By = keyring.NewToken("", "").ID, a.a.actor
	r = d.rules()
	_, err = run(ctx, a.a.g, bounded, func(now time.Time) (*state, struct{}, error) {
		s, err := a.a.setRules(ctx, now, directory, r, d, version)
		return s, struct{}{}, err
	})
	return err
}

func (a *admin) setRules(ctx context.Context, now time.Time, dir Directory, r Rules, d rulesData, version string) (*state, error) {
	by, err := a.authorize(ctx, now)
	if err != nil {
		return nil, err
	}
	if a.org == "" {
		return nil, refuse(ErrForbidden, ReasonRulesConfigured)
	}
	s, err := a.g.organization(ctx, now, a.org)
	if err != nil {
		return nil, err
	}
	was := &s.ruling
	switch {
	case was.data.Edition != version:
		return nil, &RulesChangedError{was.rules, was.data.Edition, was.data.By, unix(was.data.At)}
	case r.ProofsNotBefore.After(now.Add(time.Second - 1).Truncate(time.Second)): // rounded up, as r is
		return nil, invalid("Rules.ProofsNotBefore lies ahead")
	}
	if err := a.fits(&r, by); err != nil {
		return nil, err
	}
	weaker := a.g.weaker(&was.rules, &r, now)
	owners, passes, err := a.owners(ctx, now, dir, &r)
	switch {
	case err != nil:
		return nil, err
	case r.Require != RequireOff && !passes:
		return nil, refuse(ErrForbidden, ReasonNobodyPasses)
	}
	if err := a.begin(ctx, s); err != nil {
		return nil, err
	}
	s.actor, s.by = a.actor, &a.by.client
	d.At = now.Unix()
	s.put(s.ruling.rec, time.Time{}, d)
	s.tell(Event{Name: EventRulesChanged, Note: strings.Join(changed(&was.rules, &r), ", ")})
	if len(weaker) == 0 {
		return s, nil
	}
	for _, owner := range owners {
		owner.actor, owner.by, owner.org = a.actor, s.by, a.org
		owner.tell(Event{Name: EventRulesWeakened, Note: strings.Join(weaker, ", ")})
		s.events, s.notices = append(s.events, owner.events...), append(s.notices, owner.notices...)
	}
	return s, nil
}

// fits returns why the actor may not set r, nil when she may. A rule that she could
// not pass herself is one that she would not want.
func (a *admin) fits(r *Rules, by grant) error {
	if r.Require == RequireOff {
		return nil
	}
	allowed, _ := ranked(r.Methods)
	allowed = slices.DeleteFunc(slices.Clone(allowed), func(m Method) bool { return !slices.Contains(a.g.policy.Rules.Methods, m) })
	if len(allowed) == 0 {
		return refuse(ErrForbidden, ReasonNoUsableMethod)
	}
	if !slices.ContainsFunc(allowed, by.flow.account.data.has) {
		return &StepUpError{
			Purpose: ToEnroll(allowed[0]), Need: Need{Step: StepEnroll, Methods: allowed, Why: ReasonNotAllowed}, reason: ReasonNotAllowed,
		}
	}
	return nil
}

// begin makes the record of an organization that never had rules, and then tells
// the Marker: a mark without a record would shut the door for good.
func (a *admin) begin(ctx context.Context, s *state) error {
	if s.ruling.rec.Version != "" || a.g.marker == nil {
		return nil
	}
	w := Write{Record: a.g.seal(rulesKey(a.org), time.Time{}, rulesData{V: recordVersion})}
	if err := a.g.commit(ctx, []Write{w}); err != nil {
		return errChanged // read again: somebody else was faster, or it was applied after all
	}
	s.ruling.rec = w.Record
	if err := a.g.marker.MarkRuled(ctx, a.org, true); err != nil {
		return &unavailable{"tell the marker", ReasonDirectoryFailed, err}
	}
	return nil
}

// maxOwners bounds how many owners are told.
const maxOwners = 256

// owners returns the owners of the organization, and whether one of them could
// pass under r: she is not disabled and holds a factor that r allows and that can
// be used, or r does not bind her.
func (a *admin) owners(ctx context.Context, now time.Time, dir Directory, r *Rules) (owners []*state, passes bool, err error) {
	for some, err := range a.members(ctx, now, dir) {
		if err != nil {
			return nil, false, err
		}
		for _, m := range some {
			if role, _ := m.user.in(a.org); role != RoleOwner || len(owners) == maxOwners {
				continue
			}
			owners = append(owners, m.state)
			if m.problem == "" && m.account.data.reason(m.user) == "" {
				_, exempt := m.meets(r)
				passes = passes || exempt != "" || slices.ContainsFunc(m.held(), func(h holding) bool {
					return h.state != unusable && !h.spare && slices.Contains(a.g.allowed(r), h.method)
				})
			}
		}
	}
	return owners, passes, nil
}

// changed returns the fields of Rules in which two differ.
func changed(was, is *Rules) []string {
	var fields []string
	a, b := reflect.ValueOf(*was), reflect.ValueOf(*is)
	for i := range a.NumField() {
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			fields = append(fields, a.Type().Field(i).Name)
		}
	}
	return fields
}

// weaker returns the fields of Rules in which is asks for less than was.
func (g *Guard) weaker(was, is *Rules, now time.Time) []string {
	own := &g.policy.Rules
	longer := func(installation, was, is time.Duration) bool {
		was, is = shorter(installation, was), shorter(installation, is)
		return was != 0 && (is == 0 || is > was)
	}
	more := func(was, is []string) bool {
		return slices.ContainsFunc(is, func(s string) bool { return !slices.Contains(was, s) })
	}
	allowed := g.allowed(was)
	var fields []string
	for _, c := range []struct {
		field string
		less  bool
	}{
		{"Require", is.Require < was.Require},
		{"From", was.Require != RequireOff && is.From.After(was.From) && is.From.After(now)},
		{"Methods", slices.ContainsFunc(g.allowed(is), func(m Method) bool { return !slices.Contains(allowed, m) })},
		{"Remember", is.Remember > was.Remember},
		{"SessionFor", longer(own.SessionFor, was.SessionFor, is.SessionFor)},
		{"IdleFor", longer(own.IdleFor, was.IdleFor, is.IdleFor)},
		{"FreshFor", longer(own.FreshFor, was.FreshFor, is.FreshFor)},
		{"SSO", weakerSSO(was.SSO, is.SSO)},
		{"Exempt", more(was.Exempt, is.Exempt)},
		{"ProofsNotBefore", is.ProofsNotBefore.Before(was.ProofsNotBefore)},
	} {
		if c.less {
			fields = append(fields, c.field)
		}
	}
	return fields
}

// weakerSSO reports whether a connection is worth more than it was.
func weakerSSO(was, is []Connection) bool {
	return slices.ContainsFunc(is, func(c Connection) bool {
		var old Connection
		if i := slices.IndexFunc(was, func(o Connection) bool { return o.Name == c.Name }); i >= 0 {
			old = was[i]
		}
		unlisted := func(was []string) func(string) bool {
			return func(s string) bool { return !slices.Contains(was, s) }
		}
		return c.Rule > old.Rule || c.Rule == SSOTrustAsserted && old.Rule == c.Rule &&
			(slices.ContainsFunc(c.AMR, unlisted(old.AMR)) || slices.ContainsFunc(c.ACR, unlisted(old.ACR)))
	})
}
