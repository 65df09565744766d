package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestR18_Conflict: of two administrators who save at once the second is told what
// the first one set, and nothing of hers is stored until she read that.
func TestR18_Conflict(t *testing.T) {
	c := newCompany(t)
	ctx := t.Context()
	alice, carol := c.admin("alice", "acme"), c.admin("carol", "acme")
	_, version, err := carol.Rules(ctx)
	if err != nil {
		t.Fatal(err)
	}
	first := mfa.Rules{Require: mfa.RequireAtDoor, IdleFor: time.Hour}
	if err := alice.SetRules(ctx, first, version); err != nil {
		t.Fatal(err)
	}
	err = carol.SetRules(ctx, mfa.Rules{}, version)
	changed, ok := errors.AsType[*mfa.RulesChangedError](err)
	if !ok || !errors.Is(err, mfa.ErrConflict) || mfa.ReasonOf(err) != mfa.ReasonRulesChanged {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	if changed.By != "alice" || changed.Rules.Require != first.Require || changed.Rules.IdleFor != first.IdleFor || !changed.At.Equal(c.Clock.Now().Truncate(time.Second)) {
		t.Errorf("she is told %+v", changed)
	}
	if r, _, err := alice.Rules(ctx); err != nil || r.Require != mfa.RequireAtDoor {
		t.Errorf("stored: %+v, %v", r, err)
	}
	if err := carol.SetRules(ctx, mfa.Rules{}, changed.Version); err != nil {
		t.Errorf("with what she was told: %v", err)
	}
}

// TestR18_RoundTrip: rules are stored as they were given, to the second.
func TestR18_RoundTrip(t *testing.T) {
	c := newCompany(t, withRules(mfa.Rules{Methods: []mfa.Method{mfa.TOTP, mfa.SMSCode, mfa.EmailCode}}))
	ctx := t.Context()
	r := mfa.Rules{
		Require: mfa.RequireAtSignIn, From: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), Methods: []mfa.Method{mfa.SMSCode, mfa.TOTP},
		Remember: 24 * time.Hour, SessionFor: 8 * time.Hour, IdleFor: time.Hour, FreshFor: 2 * time.Minute,
		SSO:    []mfa.Connection{{Name: "a", Rule: mfa.SSOWaive}, {Name: "b", Rule: mfa.SSOTrustAsserted, AMR: []string{"mfa"}, ACR: []string{"x"}}},
		Exempt: []string{"robot"}, ProofsNotBefore: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
	}
	a := c.admin("alice", "acme")
	if err := a.SetRules(ctx, r, ""); err != nil {
		t.Fatal(err)
	}
	got, version, err := a.Rules(ctx)
	if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", r) {
		t.Errorf("%+v, %v\nwant %+v", got, err, r)
	}
	if err := c.Guard.ResealOrg(ctx, "acme"); err != nil {
		t.Fatal(err)
	}
	if again, v, err := a.Rules(ctx); err != nil || v != version || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", r) {
		t.Errorf("resealed: %+v, version %q of %q, %v", again, v, version, err)
	}
	r.ProofsNotBefore = r.ProofsNotBefore.Add(1)
	if err := a.SetRules(ctx, r, version); err != nil {
		t.Fatal(err)
	}
	if got, _, err = a.Rules(ctx); err != nil || !got.ProofsNotBefore.After(r.ProofsNotBefore) {
		t.Errorf("rounded down to %v, %v", got.ProofsNotBefore, err)
	}
}

// TestR18_Bounds: the figures of an organization keep the bounds of the
// installation's, and may all be zero.
func TestR18_Bounds(t *testing.T) {
	c := newCompany(t)
	a := c.admin("alice", "acme")
	var hundred []string
	for i := range 101 {
		hundred = append(hundred, fmt.Sprintf("robot%d", i))
	}
	for field, r := range map[string]mfa.Rules{
		"Require": {Require: 3}, "Methods": {Methods: []mfa.Method{}}, "Remember": {Remember: time.Second}, "SessionFor": {SessionFor: 25 * time.Hour},
		"IdleFor": {IdleFor: time.Minute}, "FreshFor": {FreshFor: 2 * time.Hour}, "Exempt": {Exempt: hundred},
		"From":            {From: time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -3600))},
		"ProofsNotBefore": {ProofsNotBefore: time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		err := a.SetRules(t.Context(), r, "")
		refused(t, err, mfa.ErrInvalid, mfa.ReasonInvalidArgument)
		if !strings.Contains(err.Error(), "Rules."+field) {
			t.Errorf("the error does not name %s: %v", field, err)
		}
		if _, err := a.Preview(t.Context(), r); !errors.Is(err, mfa.ErrInvalid) {
			t.Errorf("Preview of %s: %v", field, err)
		}
	}
	// What is compared pair by pair must not be as long as the sender likes.
	err := a.SetRules(t.Context(), mfa.Rules{Exempt: slices.Repeat([]string{"x"}, 101)}, "")
	if strings.Count(fmt.Sprint(err), "Rules.Exempt") != 1 {
		t.Errorf("too many are looked at one by one: %v", err)
	}
	for _, r := range []mfa.Rules{{Exempt: []string{""}}, {Exempt: []string{"x", "x"}}} {
		refused(t, a.SetRules(t.Context(), r, ""), mfa.ErrInvalid, mfa.ReasonInvalidArgument)
	}
	if err := a.SetRules(t.Context(), mfa.Rules{Exempt: hundred[:100]}, ""); err != nil {
		t.Error(err)
	}
}

// TestR18_LockedOut: rules under which nobody could pass are refused: no method
// that users may turn on here, none that the one who sets them holds, no owner
// who holds one.
func TestR18_LockedOut(t *testing.T) {
	both := withRules(mfa.Rules{Methods: []mfa.Method{mfa.TOTP, mfa.EmailCode}})
	t.Run("no method", func(t *testing.T) {
		c := newCompany(t)
		err := c.admin("alice", "acme").SetRules(t.Context(), mfa.Rules{Require: mfa.RequireAtDoor, Methods: []mfa.Method{mfa.SMSCode}}, "")
		refused(t, err, mfa.ErrForbidden, mfa.ReasonNoUsableMethod)
	})
	t.Run("not held", func(t *testing.T) {
		c := newCompany(t, both)
		err := c.admin("alice", "acme").SetRules(t.Context(), mfa.Rules{Require: mfa.RequireAtDoor, Methods: []mfa.Method{mfa.EmailCode}}, "")
		up, ok := errors.AsType[*mfa.StepUpError](err)
		if !ok || up.Purpose != mfa.ToEnroll(mfa.EmailCode) {
			t.Errorf("%v (%s): %+v", err, mfa.ReasonOf(err), up)
		}
	})
	owner := []mfa.Membership{{Org: "acme", Role: mfa.RoleOwner}}
	for _, tc := range []struct {
		name   string
		owner  mfa.User
		rules  mfa.Rules
		spoil  func(c *company)
		passes bool
	}{
		{"no owner", mfa.User{ID: "alice", Orgs: inAcme()}, mfa.Rules{}, nil, false},
		{"owner without a factor", mfa.User{ID: "erin", Orgs: owner}, mfa.Rules{}, nil, false},
		{"owner exempt", mfa.User{ID: "erin", Orgs: owner}, mfa.Rules{Exempt: []string{"erin"}}, nil, true},
		{"owner with a factor", mfa.User{ID: "alice", Orgs: owner}, mfa.Rules{}, nil, true},
		{"owner disabled", mfa.User{ID: "alice", Orgs: owner, Disabled: true}, mfa.Rules{}, nil, false},
		{"owner's factor disabled", mfa.User{ID: "alice", Orgs: owner}, mfa.Rules{}, func(c *company) { disableTOTP(c.aliceKit, "") }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCompany(t, func(c *mfa.Config) { c.Policy.Limits.TriesBeforeDisable = 10 })
			if c.Users.Add(mfa.User{ID: "alice"}); tc.spoil != nil {
				tc.spoil(c)
			}
			c.Users.Add(tc.owner)
			tc.rules.Require = mfa.RequireAtDoor
			a := c.admin("carol", "acme")
			err := a.SetRules(t.Context(), tc.rules, "")
			if tc.passes != (err == nil) || err != nil && mfa.ReasonOf(err) != mfa.ReasonNobodyPasses {
				t.Errorf("%v (%s)", err, mfa.ReasonOf(err))
			}
			tc.rules.Require = mfa.RequireOff
			if _, version, _ := a.Rules(t.Context()); a.SetRules(t.Context(), tc.rules, version) != nil {
				t.Error("rules that force nothing are refused")
			}
		})
	}
}

// TestR18_Weakening: every owner is told when the rules ask for less, in words that
// name the fields, and of nothing else. The change is in the organization's own
// history.
func TestR18_Weakening(t *testing.T) {
	strict := mfa.Rules{
		Require: mfa.RequireAtSignIn, SessionFor: time.Hour, IdleFor: 10 * time.Minute, FreshFor: 2 * time.Minute,
		SSO: []mfa.Connection{{Name: "a", Rule: mfa.SSOTrustAsserted, AMR: []string{"hwk"}}}, ProofsNotBefore: decidedAt(),
	}
	edit := func(do func(*mfa.Rules)) mfa.Rules {
		r := strict
		do(&r)
		return r
	}
	for _, tc := range []struct {
		name string
		to   mfa.Rules
		want string // in the note
	}{
		{"Require", edit(func(r *mfa.Rules) { r.Require = mfa.RequireAtDoor }), "Require"},
		{"From", edit(func(r *mfa.Rules) { r.From = decidedAt().Add(oneDay) }), "From"},
		{"From past", edit(func(r *mfa.Rules) { r.From = decidedAt() }), ""},
		{"Methods", edit(func(r *mfa.Rules) { r.Methods = []mfa.Method{mfa.TOTP, mfa.SMSCode} }), "Methods"},
		{"Methods that say the same", edit(func(r *mfa.Rules) { r.Methods = []mfa.Method{mfa.TOTP} }), ""},
		{"Remember", edit(func(r *mfa.Rules) { r.Remember = time.Hour }), "Remember"},
		{"SessionFor", edit(func(r *mfa.Rules) { r.SessionFor = 0 }), "SessionFor"},
		{"IdleFor", edit(func(r *mfa.Rules) { r.IdleFor = 0 }), "IdleFor"},
		{"FreshFor", edit(func(r *mfa.Rules) { r.FreshFor = 3 * time.Minute }), "FreshFor"},
		{"SSO waived", edit(func(r *mfa.Rules) { r.SSO = []mfa.Connection{{Name: "a", Rule: mfa.SSOWaive}} }), "SSO"},
		{"SSO asserts", edit(func(r *mfa.Rules) {
			r.SSO = []mfa.Connection{{Name: "a", Rule: mfa.SSOTrustAsserted, AMR: []string{"hwk", "pwd"}}}
		}), "SSO"},
		{"SSO gone", edit(func(r *mfa.Rules) { r.SSO = nil }), ""},
		{"Exempt", edit(func(r *mfa.Rules) { r.Exempt = []string{"bob"} }), "Exempt"},
		{"ProofsNotBefore", edit(func(r *mfa.Rules) { r.ProofsNotBefore = time.Time{} }), "ProofsNotBefore"},
		{"stricter", edit(func(r *mfa.Rules) { r.SessionFor, r.IdleFor = 30*time.Minute, 5*time.Minute }), ""},
		{"everything off", mfa.Rules{}, "Require, SessionFor, IdleFor, FreshFor, ProofsNotBefore"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCompany(t, withRules(mfa.Rules{Methods: []mfa.Method{mfa.TOTP, mfa.SMSCode}}))
			c.Users.Add(
				mfa.User{ID: "alice", Email: "alice@example.org", EmailVerified: true, Orgs: []mfa.Membership{{Org: "acme", Role: mfa.RoleOwner}}},
				mfa.User{ID: "erin", Email: "erin@example.org", EmailVerified: true, Orgs: []mfa.Membership{{Org: "acme", Role: mfa.RoleOwner}}},
			)
			c.set(strict)
			a := c.admin("carol", "acme")
			_, version, err := a.Rules(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			c.Events.Take()
			c.Inbox.Take()
			if err := a.SetRules(t.Context(), tc.to, version); err != nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			told := make(map[string]string)
			for _, e := range c.Events.Take() {
				if e.Actor != "carol" || e.Org != "acme" {
					t.Errorf("%+v", e)
				}
				if e.Name == mfa.EventRulesWeakened {
					told[e.User] = e.Note
				}
			}
			if tc.want == "" && len(told) > 0 || tc.want != "" && (len(told) != 2 || told["alice"] != tc.want || told["erin"] != tc.want) {
				t.Errorf("told %v, want %q", told, tc.want)
			}
			if mails := len(c.Inbox.Take()); (mails == 2) != (tc.want != "") {
				t.Errorf("%d mails", mails)
			}
			log, err := a.Activity(t.Context())
			if err != nil || len(log) != 2 || log[0].Name != mfa.EventRulesChanged || log[0].Actor != "carol" || log[0].Note == "" || log[0].Org != "acme" {
				t.Errorf("the organization's history: %+v, %v", log, err)
			}
		})
	}
}

// TestR18_Installation: the rules of the installation are configuration. Its
// administrators see them, and set none.
func TestR18_Installation(t *testing.T) {
	c := newCompany(t, withRules(mfa.Rules{Require: mfa.RequireAtDoor, IdleFor: time.Hour}))
	c.Users.Add(mfa.User{ID: "alice", Admin: true})
	a := c.admin("alice", "")
	r, version, err := a.Rules(t.Context())
	if err != nil || version != "" || r.IdleFor != time.Hour || r.Require != mfa.RequireAtDoor {
		t.Errorf("%+v, %q, %v", r, version, err)
	}
	refused(t, a.SetRules(t.Context(), r, version), mfa.ErrForbidden, mfa.ReasonRulesConfigured)
	refused(t, c.Guard.Operator("ops", "").SetRules(t.Context(), r, version), mfa.ErrForbidden, mfa.ReasonRulesConfigured)
	_, err = c.fresh("carol").Admin(t.Context(), "")
	refused(t, err, mfa.ErrForbidden, mfa.ReasonNotAdministrator)
}

// memberless is a directory that can do no more than it must.
type memberless struct{ users *mfatest.Users }

func (b memberless) User(ctx context.Context, id string) (mfa.User, error) {
	return b.users.User(ctx, id)
}

// TestR18_NoDirectory: without a list of members there is no telling whom rules
// concern.
func TestR18_NoDirectory(t *testing.T) {
	c := newCompany(t, func(c *mfa.Config) { c.Users = memberless{c.Users.(*mfatest.Users)} })
	a := c.admin("alice", "acme")
	ctx := t.Context()
	_, preview := a.Preview(ctx, mfa.Rules{})
	var compliance error
	for _, err := range a.Compliance(ctx) {
		compliance = err
	}
	for name, err := range map[string]error{"SetRules": a.SetRules(ctx, mfa.Rules{}, ""), "Preview": preview, "Compliance": compliance} {
		if !errors.Is(err, mfa.ErrInvalid) || !strings.Contains(err.Error(), "Directory") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestR18_Fresh: an administrator proves her own factor anew when that is too old
// by her organization's own measure, with a method that it allows.
func TestR18_Fresh(t *testing.T) {
	c := newCompany(t)
	ctx := t.Context()
	c.set(mfa.Rules{FreshFor: time.Minute})
	s := c.fresh("alice")
	a, err := s.Admin(ctx, "acme")
	if err != nil {
		t.Fatal(err)
	}
	c.Clock.Advance(time.Minute)
	if _, _, err := a.Rules(ctx); err != nil {
		t.Errorf("after a minute: %v", err)
	}
	c.Clock.Advance(time.Second)
	_, _, err = a.Rules(ctx)
	up, ok := errors.AsType[*mfa.StepUpError](err)
	if org, admin := up.Purpose.Administers(); !ok || !admin || org != "acme" || !slices.Contains(up.Need.Methods, mfa.TOTP) {
		t.Fatalf("%v: %+v", err, up)
	}
	if _, err := c.fresh("carol").Admin(ctx, "acme"); err != nil {
		t.Error(err)
	}
	s = c.finish(s.StepUp(ctx, up.Purpose, ""))
	if a, err = s.Admin(ctx, "acme"); err != nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	if err := s.SignOut(ctx); err != nil {
		t.Fatal(err)
	}
	_, _, err = a.Rules(ctx)
	refused(t, err, mfa.ErrNoSession, mfa.ReasonNotFound)
}

// TestR32_RulesAreMissed: when the record of an organization's rules is gone, its
// door and its members' sign-in are shut rather than open. The mark comes before
// the rules, and never without a record.
func TestR32_RulesAreMissed(t *testing.T) {
	m := &marked{enrolled: make(map[string]bool), ruled: make(map[string]bool)}
	c := newCompany(t, func(c *mfa.Config) {
		m.Users = c.Users.(*mfatest.Users)
		c.Users = m
	})
	ctx := t.Context()
	a := c.admin("alice", "acme")
	s, dave := c.plain("bob"), "dave"
	if err := c.enter(s, "acme"); err != nil {
		t.Fatal(err)
	}
	m.err = errors.New("the directory is down")
	if err := a.SetRules(ctx, mfa.Rules{Require: mfa.RequireAtDoor}, ""); !errors.Is(err, mfa.ErrUnavailable) {
		t.Errorf("set without a mark: %v", err)
	}
	if m.err = nil; c.enter(s, "acme") != nil {
		t.Error("the door is shut by rules that were not set")
	}
	if err := a.SetRules(ctx, mfa.Rules{Require: mfa.RequireAtDoor}, ""); err != nil || !m.ruled["acme"] {
		t.Fatalf("marked %t, %v", m.ruled["acme"], err)
	}
	records, err := c.store.Get(ctx, mfa.Key{Owner: "o/acme", Kind: "rules"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.store.Commit(ctx, mfa.Write{Record: mfa.Record{Key: records[0].Key}, IfVersion: records[0].Version}); err != nil {
		t.Fatal(err)
	}
	_, signIn := c.signIn(dave)
	_, _, rules := a.Rules(ctx)
	for name, err := range map[string]error{"door": c.enter(s, "acme"), "sign-in": signIn, "Rules": rules} {
		if !errors.Is(err, mfa.ErrUnavailable) || mfa.ReasonOf(err) != mfa.ReasonRecordMissing {
			t.Errorf("%s: %v (%s)", name, err, mfa.ReasonOf(err))
		}
	}
	if err := c.enter(s, "evil"); err != nil {
		t.Errorf("another door: %v", err)
	}
}

// TestRules_Tampered: rules that somebody changed in the table, or copied from
// another organization, are refused and not taken for none.
func TestRules_Tampered(t *testing.T) {
	c := newCompany(t)
	ctx := t.Context()
	c.set(mfa.Rules{Require: mfa.RequireAtDoor})
	s := c.plain("carol")
	records, err := c.store.Get(ctx, mfa.Key{Owner: "o/acme", Kind: "rules"})
	if err != nil {
		t.Fatal(err)
	}
	copied := records[0]
	copied.Owner = "o/evil"
	if err := c.store.Commit(ctx, mfa.Write{Record: copied}); err != nil {
		t.Fatal(err)
	}
	changed := mfa.Write{Record: records[0], IfVersion: records[0].Version}
	changed.Data = []byte(`{"v":1}`)
	if err := c.store.Commit(ctx, changed); err != nil {
		t.Fatal(err)
	}
	for _, org := range []string{"acme", "evil"} {
		err := c.enter(s, org)
		refused(t, err, mfa.ErrUnavailable, mfa.ReasonTampered)
	}
}
