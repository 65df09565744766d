package mfa_test

import (
	"errors"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestR19_DoorIsLive: what an organization asks holds at its door from the next
// request on, for sessions that are open already, and ends as soon.
func TestR19_DoorIsLive(t *testing.T) {
	c := newCompany(t)
	s := c.plain("bob")
	for _, r := range []mfa.Rules{
		{}, {Require: mfa.RequireAtDoor}, {}, {Require: mfa.RequireAtSignIn}, {Require: mfa.RequireAtDoor, Exempt: []string{"bob"}}, {Require: mfa.RequireAtDoor},
	} {
		c.set(r)
		err := c.enter(s, "acme")
		if asks := r.Require != mfa.RequireOff && r.Exempt == nil; asks != errors.Is(err, mfa.ErrStepUp) || !asks && err != nil {
			t.Errorf("%+v: %v", r, err)
		}
		if err := c.enter(s, "evil"); err != nil {
			t.Errorf("another door: %v", err)
		}
		if _, err := c.Guard.Session(t.Context(), s.Token(), mfatest.Laptop()); err != nil {
			t.Errorf("her own pages: %v", err)
		}
	}
}

// TestR19_SignInOnlyAdds: at sign-in an organization counts for those whom it
// manages, and adds to what the installation asks; it takes nothing away.
func TestR19_SignInOnlyAdds(t *testing.T) {
	for _, tc := range []struct {
		name              string
		installation, org mfa.Require
		bob, dave         bool // are asked at sign-in
		bobDoor           bool
	}{
		{"nothing", mfa.RequireOff, mfa.RequireOff, false, false, false},
		{"organization at the door", mfa.RequireOff, mfa.RequireAtDoor, false, false, true},
		{"organization at sign-in", mfa.RequireOff, mfa.RequireAtSignIn, false, true, true},
		{"installation at sign-in, organization off", mfa.RequireAtSignIn, mfa.RequireOff, true, true, false},
		{"installation at the door, organization off", mfa.RequireAtDoor, mfa.RequireOff, false, false, true},
		{"both", mfa.RequireAtDoor, mfa.RequireAtSignIn, false, true, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCompany(t, withRules(mfa.Rules{Require: tc.installation}))
			c.set(mfa.Rules{Require: tc.org})
			for user, asked := range map[string]bool{"bob": tc.bob, "dave": tc.dave} {
				out, err := c.signIn(user)
				if err != nil || (out.Pending != nil) != asked {
					t.Errorf("%s: asked %t, %v, want %t", user, out.Pending != nil, err, asked)
				}
				if user == "bob" && out.Session != nil {
					if err := c.enter(out.Session, "acme"); errors.Is(err, mfa.ErrStepUp) != tc.bobDoor {
						t.Errorf("bob at the door: %v", err)
					}
				}
			}
		})
	}
}

// TestR19_TwoOrganizations: the rules of two organizations of one user do not meet:
// each holds at its own door.
func TestR19_TwoOrganizations(t *testing.T) {
	c := newCompany(t)
	c.enroll("mallory")
	c.set(mfa.Rules{})
	if err := c.admin("mallory", "evil").SetRules(t.Context(), mfa.Rules{Require: mfa.RequireAtSignIn, SessionFor: 5 * time.Minute}, ""); err != nil {
		t.Fatal(err)
	}
	s := c.plain("bob")
	c.Clock.Advance(time.Hour)
	if err := c.enter(s, "acme"); err != nil {
		t.Errorf("acme asks for nothing: %v", err)
	}
	if err := c.enter(s, "evil"); !errors.Is(err, mfa.ErrStepUp) {
		t.Errorf("evil asks: %v", err)
	}
}

// TestR19_ProofsNotBefore: one write makes the door ask everybody again who proved
// something before, in the same second too, and nobody twice. It may not lie ahead.
func TestR19_ProofsNotBefore(t *testing.T) {
	c := newCompany(t)
	c.set(mfa.Rules{Require: mfa.RequireAtDoor})
	c.Clock.Advance(step)
	s := c.fresh("carol")
	if err := c.enter(s, "acme"); err != nil {
		t.Fatal(err)
	}
	c.Clock.Advance(time.Second)
	a := c.admin("alice", "acme")
	_, version, err := a.Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	now := c.Clock.Now()
	for _, ahead := range []time.Duration{1, time.Second, time.Hour} {
		err := a.SetRules(t.Context(), mfa.Rules{Require: mfa.RequireAtDoor, ProofsNotBefore: now.Add(ahead)}, version)
		refused(t, err, mfa.ErrInvalid, mfa.ReasonInvalidArgument)
	}
	if err := a.SetRules(t.Context(), mfa.Rules{Require: mfa.RequireAtDoor, ProofsNotBefore: now}, version); err != nil {
		t.Fatal(err)
	}
	shut(t, c.enter(s, "acme"), mfa.StepVerify)
	if err := c.enter(s, "evil"); err != nil {
		t.Errorf("another door: %v", err)
	}
	s = c.finish(s.StepUp(t.Context(), mfa.ToEnter("acme"), ""))
	if err := c.enter(s, "acme"); err != nil {
		t.Errorf("proven again: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestR19_ProofsNotBefore_Installation: the installation's may not lie ahead of the
// guard's clock either: nothing that anybody can prove would open a door.
func TestR19_ProofsNotBefore_Installation(t *testing.T) {
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	c := newConfig(t)
	c.Now = func() time.Time { return now }
	c.Policy.Rules = mfa.Rules{Require: mfa.RequireAtDoor, ProofsNotBefore: now}
	if _, err := mfa.New(c); err != nil {
		t.Fatal(err)
	}
	c.Policy.Rules.ProofsNotBefore = now.Add(1)
	refusedConfig(t, c, "Policy.Rules.ProofsNotBefore")
	c.Now = nil
	c.Policy.Rules.ProofsNotBefore = time.Now().Add(time.Hour)
	refusedConfig(t, c, "Policy.Rules.ProofsNotBefore")
}

// TestR19_SessionLife: an organization's sessions last for its SessionFor since
// something was proven, at its door only; a proof opens it again.
func TestR19_SessionLife(t *testing.T) {
	for _, user := range []string{"bob", "carol"} {
		t.Run(user, func(t *testing.T) {
			c := newCompany(t)
			c.set(mfa.Rules{SessionFor: time.Hour})
			s := c.plain(user)
			c.Clock.Advance(time.Hour)
			if err := c.enter(s, "acme"); err != nil {
				t.Errorf("after an hour: %v", err)
			}
			c.Clock.Advance(time.Second)
			if need := shut(t, c.enter(s, "acme"), mfa.StepVerify); (need.Methods[0] == mfa.Password) != (user == "bob") {
				t.Errorf("asks for %v", need.Methods)
			}
			if err := c.enter(s, "evil"); err != nil {
				t.Errorf("another door: %v", err)
			}
			s = c.finish(s.StepUp(t.Context(), mfa.ToEnter("acme"), ""))
			if err := c.enter(s, "acme"); err != nil {
				t.Errorf("proven again: %v (%s)", err, mfa.ReasonOf(err))
			}
		})
	}
}

// TestR19_Idle: an unused session does not pass the door of an organization with an
// idle limit any more, and a request to another page opens it no more than one
// to the page that asks for the proof does.
func TestR19_Idle(t *testing.T) {
	c := newCompany(t)
	c.set(mfa.Rules{IdleFor: 10 * time.Minute})
	s := c.plain("carol")
	use := func() {
		t.Helper()
		var err error
		if s, err = c.Guard.Session(t.Context(), s.Token(), mfatest.Laptop()); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // used, if elsewhere
		c.Clock.Advance(9 * time.Minute)
		use()
		if err := c.enter(s, "acme"); err != nil {
			t.Fatalf("in use: %v", err)
		}
	}
	c.Clock.Advance(10*time.Minute - time.Second)
	if err := c.enter(s, "acme"); err != nil {
		t.Fatalf("a second before: %v", err)
	}
	c.Clock.Advance(10 * time.Minute)
	for range 3 {
		shut(t, c.enter(s, "acme"), mfa.StepVerify)
		use()
		c.Clock.Advance(time.Minute)
	}
	s = c.finish(s.StepUp(t.Context(), mfa.ToEnter("acme"), ""))
	if err := c.enter(s, "acme"); err != nil {
		t.Errorf("proven again: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestR19_NoMember: the way through a door asks the directory, at its start and at
// each step. Who is no member, or was removed meanwhile, does not get there.
func TestR19_NoMember(t *testing.T) {
	c := newCompany(t)
	ctx := t.Context()
	c.set(mfa.Rules{Require: mfa.RequireAtDoor})
	s := c.plain("carol")
	p := c.pending(s.StepUp(ctx, mfa.ToEnter("acme"), ""))
	c.Users.Add(mfa.User{ID: "carol", Orgs: []mfa.Membership{{Org: "evil", Role: mfa.RoleOwner}}})
	_, err := c.Guard.Pending(ctx, p.Token(), s.Token(), mfatest.Laptop())
	refused(t, err, mfa.ErrForbidden, mfa.ReasonNotMember)
	_, err = s.StepUp(ctx, mfa.ToEnter("acme"), "")
	refused(t, err, mfa.ErrForbidden, mfa.ReasonNotMember)
	if up, _ := errors.AsType[*mfa.StepUpError](c.enter(s, "acme")); up == nil || up.Need.Step != 0 {
		t.Errorf("the door says more than that something is missing: %+v", up)
	}
}

// TestR12_RequiredByOrganization: the last factor that the rules of one of her
// organizations ask for stays, until they do not ask any more or she is no member.
func TestR12_RequiredByOrganization(t *testing.T) {
	for _, tc := range []struct {
		name  string
		rules mfa.Rules
		stays bool
	}{
		{"nothing", mfa.Rules{}, false},
		{"at the door", mfa.Rules{Require: mfa.RequireAtDoor}, true},
		{"at sign-in", mfa.Rules{Require: mfa.RequireAtSignIn}, true},
		{"from tomorrow on", mfa.Rules{Require: mfa.RequireAtDoor, From: decidedAt().Add(oneDay)}, false},
		{"exempt", mfa.Rules{Require: mfa.RequireAtDoor, Exempt: []string{"dave", "carol"}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCompany(t)
			c.enroll("dave")
			c.Users.Add(mfa.User{ID: "dave", Orgs: []mfa.Membership{{Org: "evil"}, {Org: "acme"}}})
			c.set(tc.rules)
			remove := func() error { return c.fresh("dave").RemoveTOTP(t.Context(), c.account("dave").TOTP[0].ID) }
			err := remove()
			if !tc.stays {
				if err != nil {
					t.Errorf("%v (%s)", err, mfa.ReasonOf(err))
				}
				return
			}
			refused(t, err, mfa.ErrForbidden, mfa.ReasonFactorRequired)
			c.Users.Add(mfa.User{ID: "dave"})
			if err := remove(); err != nil {
				t.Errorf("no member any more: %v (%s)", err, mfa.ReasonOf(err))
			}
		})
	}
}

// TestR9_ForcedThenOff: who enrolled because it was forced is asked by her own
// switch when it is not any more, and may turn that off.
func TestR9_ForcedThenOff(t *testing.T) {
	c := newCompany(t)
	c.set(mfa.Rules{Require: mfa.RequireAtSignIn})
	c.finish(c.signIn("dave"))
	c.set(mfa.Rules{})
	if need := c.pending(c.signIn("dave")).Need(); need.Step != mfa.StepVerify || need.Why != mfa.ReasonSwitch {
		t.Errorf("needs %+v", need)
	}
	if err := c.fresh("dave").SetAskAtSignIn(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	c.session(c.signIn("dave"))
}

// TestR10_NotAllowed: who holds only what the organization does not allow verifies
// with it once, then enrolls what it allows.
func TestR10_NotAllowed(t *testing.T) {
	c := newCompany(t, withRules(mfa.Rules{Methods: []mfa.Method{mfa.TOTP, mfa.EmailCode}}))
	ctx := t.Context()
	const to = "bob@example.org"
	c.Users.Add(mfa.User{ID: "bob", Email: to, EmailVerified: true, Orgs: inAcme()})
	s := c.plain("bob")
	if err := s.SetMethod(ctx, mfa.EmailCode, true); err != nil {
		t.Fatal(err)
	}
	c.set(mfa.Rules{Require: mfa.RequireAtDoor})
	need := shut(t, c.enter(s, "acme"), mfa.StepVerify)
	if len(need.Methods) != 1 || need.Methods[0] != mfa.EmailCode {
		t.Fatalf("needs %+v", need)
	}
	p := c.pending(s.StepUp(ctx, mfa.ToEnter("acme"), ""))
	if _, err := p.Send(ctx, mfa.EmailCode); err != nil {
		t.Fatal(err)
	}
	p = c.pending(p.Verify(ctx, mfa.Proof{Method: mfa.EmailCode, Code: c.Inbox.Code(t, to)}))
	if need := p.Need(); need.Step != mfa.StepEnroll || need.Why != mfa.ReasonNotAllowed || need.Methods[0] != mfa.TOTP || len(need.Methods) != 1 {
		t.Fatalf("then needs %+v", need)
	}
	s = c.finish(mfa.Outcome{Pending: p}, nil)
	if err := c.enter(s, "acme"); err != nil {
		t.Errorf("%v (%s)", err, mfa.ReasonOf(err))
	}
	c.set(mfa.Rules{Require: mfa.RequireAtDoor, Methods: []mfa.Method{mfa.TOTP, mfa.EmailCode}})
	if err := c.enter(s, "acme"); err != nil {
		t.Errorf("both allowed: %v", err)
	}
}

// TestR16_AtTheDoor: a remembered browser counts at the sign-in and at the door of
// an organization that lets it, for as long as that says; at no door that asks by
// itself, and not after ProofsNotBefore.
func TestR16_AtTheDoor(t *testing.T) {
	for _, tc := range []struct {
		name         string
		rules        mfa.Rules
		age          time.Duration
		signIn, door bool // asks
	}{
		{"lets it", mfa.Rules{Require: mfa.RequireAtSignIn, Remember: 24 * time.Hour}, time.Hour, false, false},
		{"lets it for a day, two ago", mfa.Rules{Require: mfa.RequireAtSignIn, Remember: 24 * time.Hour}, 48 * time.Hour, true, false},
		{"forbids it", mfa.Rules{Require: mfa.RequireAtSignIn}, time.Hour, true, false},
		{"asks at the door", mfa.Rules{Require: mfa.RequireAtDoor, Remember: 24 * time.Hour}, time.Hour, false, true},
		{"not before", mfa.Rules{Require: mfa.RequireAtSignIn, Remember: 24 * time.Hour, ProofsNotBefore: decidedAt().Add(30 * time.Minute)}, time.Hour, false, true},
		{"nothing", mfa.Rules{}, time.Hour, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := newCompany(t, withRules(mfa.Rules{Remember: 7 * 24 * time.Hour}))
			ctx := t.Context()
			c.enroll("dave")
			pr := c.totp("dave")
			pr.Remember = true
			out, err := c.pending(c.signIn("dave")).Verify(ctx, pr)
			if err != nil || out.Browser() == "" {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			browser := out.Browser()
			c.Clock.Advance(tc.age)
			c.set(tc.rules)
			out, err = c.Guard.SignIn(ctx, mfa.SignIn{User: "dave", First: mfa.PasswordFirst(), Browsers: []string{browser}})
			if err != nil || (out.Pending != nil) != tc.signIn {
				t.Fatalf("sign-in asks: %t, %v", out.Pending != nil, err)
			}
			if out.Session == nil {
				out.Session = c.finish(out, nil)
			}
			if err := c.enter(out.Session, "acme"); errors.Is(err, mfa.ErrStepUp) != tc.door || err != nil && !tc.door {
				t.Errorf("the door: %v", err)
			}
		})
	}
}
