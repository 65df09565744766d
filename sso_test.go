package mfa_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
)

// TestRow_E5_SSO: a sign-in at a provider is worth nothing, what it asserts, or
// everything, as the rules say of its connection: at the organization's own door,
// and at sign-in for users whom it manages.
func TestRow_E5_SSO(t *testing.T) {
	trust := mfa.Connection{Name: "okta", Rule: mfa.SSOTrustAsserted, AMR: []string{"mfa", "hwk"}, ACR: []string{"urn:2fa"}}
	for _, tc := range []struct {
		name             string
		rule             mfa.Connection
		connection       string
		amr              []string
		dave, door, evil bool // asked at sign-in, at the door, at another door that forces it
	}{
		{"not listed", mfa.Connection{Name: "other", Rule: mfa.SSOWaive}, "okta", []string{"mfa"}, true, true, true},
		{"still required", mfa.Connection{Name: "okta"}, "okta", []string{"mfa"}, true, true, true},
		{"trusted and asserted", trust, "okta", []string{"pwd", "mfa"}, false, false, true},
		{"trusted, not asserted", trust, "okta", []string{"pwd"}, true, true, true},
		{"trusted, nothing asserted", trust, "okta", nil, true, true, true},
		{"waived", mfa.Connection{Name: "okta", Rule: mfa.SSOWaive}, "okta", nil, false, false, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCompany(t)
			c.set(mfa.Rules{Require: mfa.RequireAtSignIn, SSO: []mfa.Connection{tc.rule}})
			c.enroll("mallory")
			if err := c.admin("mallory", "evil").SetRules(t.Context(), mfa.Rules{Require: mfa.RequireAtDoor}, ""); err != nil {
				t.Fatal(err)
			}
			out, err := c.sso("dave", tc.connection, tc.amr...)
			if err != nil || (out.Pending != nil) != tc.dave {
				t.Errorf("dave is asked: %t, %v", out.Pending != nil, err)
			}
			s := c.session(c.sso("bob", tc.connection, tc.amr...)) // acme does not manage him
			if err := c.enter(s, "acme"); errors.Is(err, mfa.ErrStepUp) != tc.door || err != nil && !tc.door {
				t.Errorf("bob at the door: %v", err)
			}
			if err := c.enter(s, "evil"); errors.Is(err, mfa.ErrStepUp) != tc.evil {
				t.Errorf("bob at the other door: %v", err)
			}
		})
	}
}

// TestR21_WaiveOfAStranger: a connection that an organization waives does nothing
// for the installation's rules and the switch of a user whom it does not manage,
// and everything for one whom it does.
func TestR21_WaiveOfAStranger(t *testing.T) {
	c := newCompany(t, withRules(mfa.Rules{Require: mfa.RequireAtDoor}))
	c.set(mfa.Rules{SSO: []mfa.Connection{{Name: "okta", Rule: mfa.SSOWaive}}})
	c.enroll("dave")
	if err := c.enter(c.session(c.sso("bob", "okta")), "acme"); !errors.Is(err, mfa.ErrStepUp) {
		t.Errorf("bob passes the installation's rule: %v", err)
	}
	c.pending(c.sso("alice", "okta")) // her own switch
	if err := c.enter(c.session(c.sso("dave", "okta")), "acme"); err != nil {
		t.Errorf("dave, whom acme manages: %v", err)
	}
}

// TestR21_OnThenOff: when single sign-on is not waived any more, the door asks the
// sessions that are open, and an account without a password enrolls after signing
// in at the provider once more.
func TestR21_OnThenOff(t *testing.T) {
	c := newCompany(t)
	ctx := t.Context()
	c.set(mfa.Rules{Require: mfa.RequireAtSignIn, SSO: []mfa.Connection{{Name: "okta", Rule: mfa.SSOWaive}}})
	s := c.session(c.sso("dave", "okta"))
	c.Clock.Advance(time.Hour)
	if err := c.enter(s, "acme"); err != nil {
		t.Fatal(err)
	}
	c.set(mfa.Rules{Require: mfa.RequireAtSignIn})
	need := shut(t, c.enter(s, "acme"), mfa.StepVerify)
	if need.Methods[0] != mfa.Password {
		t.Fatalf("needs %+v", need)
	}
	p := c.pending(s.StepUp(ctx, mfa.ToEnter("acme"), ""))
	_, err := p.Reauthenticated(ctx, mfa.SSOFirst("okta", nil, "", c.Clock.Now().Add(-time.Hour)))
	refused(t, err, mfa.ErrRefused, mfa.ReasonStaleReassertion)
	s = c.finish(p.Reauthenticated(ctx, mfa.SSOFirst("okta", nil, "", c.Clock.Now())))
	if err := c.enter(s, "acme"); err != nil {
		t.Errorf("%v (%s)", err, mfa.ReasonOf(err))
	}
	if need := c.pending(c.sso("dave", "okta")).Need(); need.Step != mfa.StepVerify {
		t.Errorf("the next sign-in needs %+v", need)
	}
}

// TestR21_TrustAndProofsNotBefore: what a provider asserted counts no longer than a
// proof here would.
func TestR21_TrustAndProofsNotBefore(t *testing.T) {
	c := newCompany(t)
	r := mfa.Rules{Require: mfa.RequireAtDoor, SSO: []mfa.Connection{{Name: "okta", Rule: mfa.SSOTrustAsserted, AMR: []string{"mfa"}}}}
	c.set(r)
	s := c.session(c.sso("bob", "okta", "mfa"))
	if err := c.enter(s, "acme"); err != nil {
		t.Fatal(err)
	}
	c.Clock.Advance(time.Minute)
	r.ProofsNotBefore = c.Clock.Now()
	c.set(r)
	if err := c.enter(s, "acme"); !errors.Is(err, mfa.ErrStepUp) {
		t.Errorf("%v, want to be asked again", err)
	}
	c.Clock.Advance(time.Minute)
	if err := c.enter(c.session(c.sso("bob", "okta", "mfa")), "acme"); err != nil {
		t.Errorf("after a new sign-in at the provider: %v", err)
	}
}

// TestR21_Reset: a reset that falls on somebody who signs in where it is waived
// asks nothing of her there, and is not forgotten where it is not.
func TestR21_Reset(t *testing.T) {
	c := newCompany(t)
	c.set(mfa.Rules{SSO: []mfa.Connection{{Name: "okta", Rule: mfa.SSOWaive}}})
	c.enroll("dave")
	if err := c.admin("carol", "acme").Reset(t.Context(), "dave"); err != nil {
		t.Fatal(err)
	}
	c.session(c.sso("dave", "okta"))
	if need := c.pending(c.signIn("dave")).Need(); need.Step != mfa.StepEnroll || need.Why != mfa.ReasonReset {
		t.Errorf("with a password she needs %+v", need)
	}
}

// TestR21_Bounds: rules that name a connection twice, trust nothing in particular
// or are longer than allowed are refused.
func TestR21_Bounds(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	words := func(n, size int) []string {
		var list []string
		for i := range n {
			list = append(list, long(size-1)+string(rune('a'+i)))
		}
		return list
	}
	many := func(n int) (list []mfa.Connection) {
		for i := range n {
			list = append(list, mfa.Connection{Name: "c" + string(rune('A'+i))})
		}
		return list
	}
	one := func(c mfa.Connection) []mfa.Connection { return []mfa.Connection{c} }
	for _, tc := range []struct {
		name string
		sso  []mfa.Connection
		ok   bool
	}{
		{"32", many(32), true},
		{"33", many(33), false},
		{"name of 64", one(mfa.Connection{Name: long(64)}), true},
		{"name of 65", one(mfa.Connection{Name: long(65)}), false},
		{"no name", one(mfa.Connection{}), false},
		{"name with a line", one(mfa.Connection{Name: "a\nb"}), false},
		{"twice", append(many(1), many(1)...), false},
		{"no such rule", one(mfa.Connection{Name: "a", Rule: 3}), false},
		{"negative rule", one(mfa.Connection{Name: "a", Rule: -1}), false},
		{"trust without assertions", one(mfa.Connection{Name: "a", Rule: mfa.SSOTrustAsserted}), false},
		{"trust by acr", one(mfa.Connection{Name: "a", Rule: mfa.SSOTrustAsserted, ACR: words(8, 128)}), true},
		{"acr of 129", one(mfa.Connection{Name: "a", Rule: mfa.SSOTrustAsserted, ACR: words(1, 129)}), false},
		{"9 acr", one(mfa.Connection{Name: "a", Rule: mfa.SSOTrustAsserted, ACR: words(9, 9)}), false},
		{"8 amr of 32", one(mfa.Connection{Name: "a", Rule: mfa.SSOTrustAsserted, AMR: words(8, 32)}), true},
		{"amr of 33", one(mfa.Connection{Name: "a", Rule: mfa.SSOTrustAsserted, AMR: words(1, 33)}), false},
		{"9 amr", one(mfa.Connection{Name: "a", Rule: mfa.SSOTrustAsserted, AMR: words(9, 9)}), false},
		{"an empty amr", one(mfa.Connection{Name: "a", Rule: mfa.SSOTrustAsserted, AMR: []string{""}}), false},
		{"waive with assertions", one(mfa.Connection{Name: "a", Rule: mfa.SSOWaive, AMR: []string{"mfa"}}), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			config := newConfig(t)
			config.Policy.Rules.SSO = tc.sso
			if !tc.ok {
				refusedConfig(t, config, "Policy.Rules.SSO")
			} else if _, err := mfa.New(config); err != nil {
				t.Error(err)
			}
			c := newCompany(t)
			err := c.admin("alice", "acme").SetRules(t.Context(), mfa.Rules{SSO: tc.sso}, "")
			if (err == nil) != tc.ok || err != nil && (!errors.Is(err, mfa.ErrInvalid) || !strings.Contains(err.Error(), "Rules.SSO")) {
				t.Errorf("SetRules: %v", err)
			}
		})
	}
}
