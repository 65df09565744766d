package mfa_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestGolden_RulesWork: the golden rules are more than legible. They mean what the
// fields of Rules say, and an administrator who goes on from them is told so.
func TestGolden_RulesWork(t *testing.T) {
	k := newKeyKit(t, goldenKey, func(c *mfa.Config) { c.Policy.Rules.Methods = []mfa.Method{mfa.TOTP, mfa.SMSCode} })
	k.Users.Add(mfa.User{ID: "ann", Orgs: []mfa.Membership{{Org: "acme", Role: mfa.RoleOwner}}}, mfa.User{ID: "bob", Orgs: inAcme()})
	r, _ := readGolden(t, "rules")
	overwrite(t, k.Config.Store, r)
	_, s, _ := k.Enroll(t, "ann")
	a, err := s.Admin(t.Context(), "acme")
	if err != nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	rules, version, err := a.Rules(t.Context())
	want := mfa.Rules{
		Require: mfa.RequireAtSignIn, From: time.Unix(1775001600, 0).UTC(), Methods: []mfa.Method{mfa.SMSCode, mfa.TOTP}, Remember: 24 * time.Hour,
		SessionFor: 8 * time.Hour, IdleFor: time.Hour, FreshFor: 2 * time.Minute,
		SSO: []mfa.Connection{
			{Name: "google", Rule: mfa.SSOWaive}, {Name: "okta", Rule: mfa.SSOTrustAsserted, AMR: []string{"mfa", "hwk"}, ACR: []string{"urn:example:loa2"}},
		},
		Exempt: []string{"robot"}, ProofsNotBefore: time.Unix(1772352000, 0).UTC(),
	}
	if err != nil || version != "xefJTcHSVmklZZAllUSbqQ" || fmt.Sprintf("%+v", rules) != fmt.Sprintf("%+v", want) {
		t.Errorf("%+v, %q, %v\nwant %+v", rules, version, err, want)
	}
	bob := k.SignIn(t, "bob").Session
	in, err := k.Guard.Enter(t.Context(), bob.Token(), "acme", mfatest.Laptop())
	if err != nil || !in.RequiredFrom().Equal(want.From) {
		t.Errorf("the door before the date: %v", err)
	}
	want.From = time.Time{}
	if err := a.SetRules(t.Context(), want, version); err != nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	if _, err := k.Guard.Enter(t.Context(), bob.Token(), "acme", mfatest.Laptop()); !errors.Is(err, mfa.ErrStepUp) {
		t.Errorf("the door: %v", err)
	}
	before := r
	if err := k.Guard.ResealOrg(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	records, err := k.Config.Store.Get(t.Context(), r.Key)
	if err != nil || records[0].Version == before.Version || !records[0].Expires.IsZero() {
		t.Errorf("resealed: %+v, %v", records, err)
	}
}
