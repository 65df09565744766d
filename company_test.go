package mfa_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A company is a kit with an organization, acme: alice owns it, carol administers
// it and dave is a member, both managed by it, and bob is a member who manages
// himself. Alice and carol have authenticators. Mallory owns evil, which bob
// joined too.
type company struct{ *aliceKit }

func newCompany(t *testing.T, options ...func(*mfa.Config)) *company {
	t.Helper()
	c := &company{newAlice(t, options...)}
	in := func(org string, role mfa.Role) mfa.Membership { return mfa.Membership{Org: org, Role: role} }
	c.Users.Add(
		mfa.User{ID: "alice", Orgs: []mfa.Membership{in("acme", mfa.RoleOwner)}},
		mfa.User{ID: "bob", Orgs: []mfa.Membership{in("acme", mfa.RoleMember), in("evil", mfa.RoleMember)}},
		mfa.User{ID: "carol", ManagedBy: "acme", Orgs: []mfa.Membership{in("acme", mfa.RoleAdmin)}},
		mfa.User{ID: "dave", ManagedBy: "acme", Orgs: []mfa.Membership{in("acme", mfa.RoleMember)}},
		mfa.User{ID: "mallory", ManagedBy: "evil", Orgs: []mfa.Membership{in("evil", mfa.RoleOwner)}},
	)
	c.enroll("carol")
	c.Events.Take()
	c.Inbox.Take()
	return c
}

// enroll gives a user an authenticator and moves to the next time step.
func (c *company) enroll(user string) {
	c.t.Helper()
	c.apps[user], _, _ = c.Enroll(c.t, user)
}

// admin returns the handle of a user with a fresh proof.
func (c *company) admin(user, org string) *mfa.Admin {
	c.t.Helper()
	a, err := c.fresh(user).Admin(c.t.Context(), org)
	if err != nil {
		c.t.Fatalf("Admin: %v (%s)", err, mfa.ReasonOf(err))
	}
	return a
}

// set sets rules of acme, in place of whatever they are, as its owner.
func (c *company) set(r mfa.Rules) {
	c.t.Helper()
	a := c.admin("alice", "acme")
	_, version, err := a.Rules(c.t.Context())
	if err == nil {
		err = a.SetRules(c.t.Context(), r, version)
	}
	if err != nil {
		c.t.Fatalf("SetRules: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// plain returns a session of a password and nothing more.
func (c *company) plain(user string) *mfa.Session {
	c.t.Helper()
	out, err := c.signIn(user)
	if err == nil && out.Session == nil && c.apps[user] != nil {
		s := c.fresh(user)
		if err := s.SetAskAtSignIn(c.t.Context(), false); err != nil {
			c.t.Fatal(err)
		}
		out, err = c.signIn(user)
	}
	return c.session(out, err)
}

// enter asks at a door.
func (c *company) enter(s *mfa.Session, org string) error {
	_, err := c.Guard.Enter(c.t.Context(), s.Token(), org, mfatest.Laptop())
	return err
}

// shut fails unless err asks for this step at the door of acme.
func shut(t *testing.T, err error, step mfa.Step) mfa.Need {
	t.Helper()
	up, ok := errors.AsType[*mfa.StepUpError](err)
	if !ok || up.Purpose != mfa.ToEnter("acme") || up.Need.Step != step {
		t.Fatalf("%v (%s): %+v, want the door to ask for %s", err, mfa.ReasonOf(err), up, step)
	}
	return up.Need
}

// TestRow_B1_B9_OwnersDecide: an organization asks for nothing until an owner or
// administrator says so, and sees what is set. From then on it binds every member;
// who is no administrator can neither see nor set.
func TestRow_B1_B9_OwnersDecide(t *testing.T) {
	for _, actor := range []string{"alice", "carol"} {
		t.Run(actor, func(t *testing.T) {
			c := newCompany(t)
			ctx := t.Context()
			a := c.admin(actor, "acme")
			r, version, err := a.Rules(ctx)
			if err != nil || r.Require != mfa.RequireOff || r.Methods != nil || version != "" {
				t.Fatalf("at first: %+v, version %q, %v", r, version, err)
			}
			member := c.plain("bob")
			if err := c.enter(member, "acme"); err != nil {
				t.Fatalf("no rules: %v", err)
			}
			if err := a.SetRules(ctx, mfa.Rules{Require: mfa.RequireAtDoor}, version); err != nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			if r, version, err = a.Rules(ctx); err != nil || r.Require != mfa.RequireAtDoor || version == "" {
				t.Errorf("set: %+v, version %q, %v", r, version, err)
			}
			shut(t, c.enter(member, "acme"), mfa.StepEnroll)
			_, err = c.fresh("bob").Admin(ctx, "acme")
			refused(t, err, mfa.ErrForbidden, mfa.ReasonNotAdministrator)
		})
	}
}

// TestRow_B2_B5_TextAsAlternative: while the owner has not switched text messages on,
// the code page does not offer them to a user who has a number; from then on it does.
func TestRow_B2_B5_TextAsAlternative(t *testing.T) {
	c := newCompany(t, postal)
	c.Users.Add(mfa.User{
		ID: "dave", ManagedBy: "acme", Orgs: []mfa.Membership{{Org: "acme"}}, Phone: annPhone, PhoneVerified: true,
	})
	c.enroll("dave")
	app := mfa.Rules{Require: mfa.RequireAtSignIn}
	both := app
	both.Methods = []mfa.Method{mfa.TOTP, mfa.SMSCode}
	for _, step := range []struct {
		name    string
		rules   mfa.Rules
		offered bool
	}{{"off", app, false}, {"on", both, true}, {"off again", app, false}} {
		c.set(step.rules)
		p := c.pending(c.signIn("dave"))
		if got := slices.Contains(p.Need().Methods, mfa.SMSCode); got != step.offered {
			t.Errorf("%s: text messages are offered: %t, want %t", step.name, got, step.offered)
		}
		c.Clock.Advance(time.Minute)
		if _, err := p.Send(t.Context(), mfa.SMSCode); (err == nil) != step.offered {
			t.Errorf("%s: sending one: %v (%s)", step.name, err, mfa.ReasonOf(err))
		}
	}
	c.set(both)
	c.Clock.Advance(time.Minute)
	p := c.pending(c.signIn("dave"))
	if _, err := p.Send(t.Context(), mfa.SMSCode); err != nil {
		t.Fatal(err)
	}
	out, err := p.Verify(t.Context(), mfa.Proof{Method: mfa.SMSCode, Code: c.Inbox.Code(t, annPhone)})
	if err != nil || out.Session == nil {
		t.Errorf("signing in with it: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestRow_C1_C2_MandatoryAndSSO: where the installation asks everybody, a first
// sign-in leads to enrollment; a sign-in over its own connection that is waived
// asks for nothing, also of who turned a factor on.
func TestRow_C1_C2_MandatoryAndSSO(t *testing.T) {
	c := newCompany(t, withRules(mfa.Rules{
		Require: mfa.RequireAtSignIn, SSO: []mfa.Connection{{Name: "corp", Rule: mfa.SSOWaive}},
	}))
	if need := c.pending(c.signIn("bob")).Need(); need.Step != mfa.StepEnroll || need.Why != mfa.ReasonRule {
		t.Errorf("a first sign-in needs %+v", need)
	}
	for _, user := range []string{"bob", "alice"} {
		c.Events.Take()
		s := c.session(c.sso(user, "corp"))
		if err := c.enter(s, "acme"); err != nil {
			t.Errorf("%s at the door: %v", user, err)
		}
		i := slices.IndexFunc(c.Events.Take(), func(e mfa.Event) bool {
			return e.Name == mfa.EventSignedIn && e.Reason == mfa.ReasonSSOWaived
		})
		if connection, _, _, ok := s.Assurance().First.SSO(); i < 0 || !ok || connection != "corp" {
			t.Errorf("%s: the event or the session does not say why", user)
		}
	}
	c.pending(c.sso("bob", "other"))
}

// sso signs in over a connection.
func (c *company) sso(user, connection string, amr ...string) (mfa.Outcome, error) {
	return c.Guard.SignIn(c.t.Context(), mfa.SignIn{
		User: user, First: mfa.SSOFirst(connection, amr, "", c.Clock.Now()), Client: mfatest.Laptop(),
	})
}

// TestRow_C7_AdministratorResets: an administrator resets a member whom the
// organization manages. She is told, everything of hers ends, and the next sign-in
// leads to enrollment.
func TestRow_C7_AdministratorResets(t *testing.T) {
	c := newCompany(t)
	c.Users.Add(mfa.User{
		ID: "dave", ManagedBy: "acme", Orgs: []mfa.Membership{{Org: "acme"}}, Email: "dave@example.org", EmailVerified: true,
	})
	c.enroll("dave")
	s, flow := c.fresh("dave"), c.pending(c.signIn("dave"))
	a := c.admin("carol", "acme")
	c.Inbox.Take()
	c.Events.Take()
	if err := a.Reset(t.Context(), "dave"); err != nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	_, err := c.Guard.Session(t.Context(), s.Token(), mfatest.Laptop())
	refused(t, err, mfa.ErrNoSession, mfa.ReasonNotFound)
	_, err = flow.Verify(t.Context(), c.totp("dave")) // she was signing in meanwhile
	refused(t, err, mfa.ErrNoPending, mfa.ReasonNotFound)
	if told := c.Inbox.Messages("dave@example.org"); len(told) != 1 || told[0].Kind != mfa.MessageKind(mfa.EventFactorsReset) || told[0].Addr.IsValid() {
		t.Errorf("she is told %+v", told)
	}
	for _, e := range c.Events.Take() {
		if e.Name == mfa.EventFactorsReset && (e.Actor != "carol" || e.User != "dave" || e.Org != "acme" || !e.Client.Addr.IsValid()) {
			t.Errorf("the event: %+v", e)
		}
	}
	p := c.pending(c.signIn("dave"))
	if need := p.Need(); need.Why != mfa.ReasonConfirmAddress && need.Why != mfa.ReasonReset {
		t.Errorf("the next sign-in needs %+v", need)
	}
}

// TestRow_D1_D3_OwnFactorFirst: an owner without a factor who wants to administer
// is led to enroll one, and comes back to what she was about to do.
func TestRow_D1_D3_OwnFactorFirst(t *testing.T) {
	c := newCompany(t)
	ctx := t.Context()
	c.Users.Add(mfa.User{ID: "bob", Orgs: []mfa.Membership{{Org: "acme", Role: mfa.RoleOwner}}})
	s := c.plain("bob")
	_, err := s.Admin(ctx, "acme")
	up, ok := errors.AsType[*mfa.StepUpError](err)
	if !ok || up.Purpose != mfa.ToEnroll(mfa.TOTP) || up.Need.Step != mfa.StepEnroll {
		t.Fatalf("%v (%s): %+v", err, mfa.ReasonOf(err), up)
	}
	p := c.pending(s.StepUp(ctx, up.Purpose, "/acme/rules"))
	if p.Return() != "/acme/rules" {
		t.Errorf("leads back to %q", p.Return())
	}
	s = c.finish(mfa.Outcome{Pending: p}, nil)
	a, err := s.Admin(ctx, "acme")
	if err != nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	if err := a.SetRules(ctx, mfa.Rules{Require: mfa.RequireAtDoor}, ""); err != nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	if err := c.enter(s, "acme"); err != nil {
		t.Errorf("the owner at her own door: %v", err)
	}
}

// TestRow_D4_D5_D6_Door: a member signs in as ever, and her own pages ask for
// nothing. At the door of the company that forces it she is asked, or enrolls
// there, and goes on to where she was heading. A company that forces nothing is
// entered without; who is in two meets it at one.
func TestRow_D4_D5_D6_Door(t *testing.T) {
	for _, user := range []string{"bob", "dave", "carol"} {
		t.Run(user, func(t *testing.T) {
			c := newCompany(t)
			ctx := t.Context()
			c.set(mfa.Rules{Require: mfa.RequireAtDoor})
			s := c.plain(user)
			if err := c.enter(s, "evil"); err != nil {
				t.Errorf("a company that forces nothing: %v", err)
			}
			step := mfa.StepEnroll
			if user == "carol" {
				step = mfa.StepVerify
			}
			shut(t, c.enter(s, "acme"), step)
			p := c.pending(s.StepUp(ctx, mfa.ToEnter("acme"), "/acme/home"))
			if p.Return() != "/acme/home" {
				t.Errorf("leads back to %q", p.Return())
			}
			asked := c.account(user).Ask
			s = c.finish(mfa.Outcome{Pending: p}, nil)
			if err := c.enter(s, "acme"); err != nil {
				t.Errorf("proven: %v (%s)", err, mfa.ReasonOf(err))
			}
			if c.account(user).Ask != asked {
				t.Error("the door changed what sign-in asks")
			}
		})
	}
}

// TestRow_E2_CountDown: before its date a rule lets everybody pass, the door and
// the sign-in of managed users say from when on it will not, and may be skipped.
// The same second it binds, in whatever zone the date was given.
func TestRow_E2_CountDown(t *testing.T) {
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 14*3600), time.FixedZone("", -12*3600)} {
		t.Run(zone.String(), func(t *testing.T) {
			c := newCompany(t)
			ctx := t.Context()
			from := c.Clock.Now().Add(23 * time.Hour).Truncate(time.Second)
			c.set(mfa.Rules{Require: mfa.RequireAtSignIn, From: from.In(zone)})
			for user, signIn := range map[string]bool{"bob": false, "dave": true} {
				out, err := c.signIn(user)
				if signIn {
					p := c.pending(out, err)
					if need := p.Need(); need.Step != mfa.StepEnroll || !need.SkipUntil.Equal(from) {
						t.Fatalf("%s needs %+v", user, need)
					}
					out, err = p.Skip(ctx)
				}
				s := c.session(out, err)
				in, err := c.Guard.Enter(ctx, s.Token(), "acme", mfatest.Laptop())
				if err != nil || !in.RequiredFrom().Equal(from) {
					t.Fatalf("%s at the door: %v, from %v", user, err, in.RequiredFrom())
				}
				if p := c.pending(in.StepUp(ctx, mfa.ToEnter("acme"), "")); !p.Need().SkipUntil.Equal(from) {
					t.Errorf("%s is led to %+v", user, p.Need())
				}
				now := c.Clock.Now()
				c.Clock.Advance(from.Sub(now) - 1)
				if err := c.enter(s, "acme"); err != nil {
					t.Errorf("%s just before: %v", user, err)
				}
				c.Clock.Advance(1)
				up, _ := errors.AsType[*mfa.StepUpError](c.enter(s, "acme"))
				if up == nil || !up.Need.SkipUntil.IsZero() {
					t.Errorf("%s from the date on: %+v", user, up)
				}
				c.Clock.Advance(now.Sub(from)) // the clock steps back: not due again
				if err := c.enter(s, "acme"); err != nil {
					t.Errorf("%s after the clock stepped back: %v", user, err)
				}
			}
		})
	}
}
