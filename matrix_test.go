package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// An actor is somebody who tries an operation: with the handle of a session, nil
// for the operator, or with an error when there is not even that.
type actor struct {
	name string
	is   func(c *company) (*mfa.Session, error)
}

// actors are all kinds of people and what they may hold. own is whose account the
// operations on one's own account are tried on.
func actors() []actor {
	load := func(c *company, token string) (*mfa.Session, error) {
		return c.Guard.Session(c.t.Context(), token, mfatest.Laptop())
	}
	fresh := func(user string) func(*company) (*mfa.Session, error) {
		return func(c *company) (*mfa.Session, error) { return c.fresh(user), nil }
	}
	return []actor{
		{"pending", func(c *company) (*mfa.Session, error) { return load(c, c.pending(c.signIn("alice")).Token()) }},
		{"password", func(c *company) (*mfa.Session, error) { return c.plain("alice"), nil }},
		{"stale", func(c *company) (*mfa.Session, error) {
			s := c.fresh("alice")
			c.Clock.Advance(6 * time.Minute)
			return s, nil
		}},
		{"member", fresh("erin")},
		{"admin", fresh("carol")},
		{"owner", fresh("alice")},
		{"foreign", fresh("mallory")},
		{"operator", func(c *company) (*mfa.Session, error) { return nil, nil }},
		{"disabled", func(c *company) (*mfa.Session, error) {
			s := c.fresh("alice")
			if err := c.Guard.Disable(c.t.Context(), "alice"); err != nil {
				return nil, err
			}
			return load(c, s.Token())
		}},
	}
}

// newMatrix returns a company in which everybody who acts holds a factor.
func newMatrix(t *testing.T) *company {
	c := newCompany(t)
	c.Users.Add(mfa.User{ID: "erin", ManagedBy: "acme", Orgs: inAcme()})
	for _, user := range []string{"dave", "erin", "mallory"} {
		c.enroll(user)
	}
	return c
}

// cell says how an operation ended.
func cell(err error) string {
	switch {
	case err == nil:
		return "yes"
	case errors.Is(err, mfa.ErrStepUp):
		return "step-up"
	case errors.Is(err, mfa.ErrNoSession):
		return "-"
	case errors.Is(err, mfa.ErrForbidden):
		return "no"
	}
	return fmt.Sprintf("%v (%s)", err, mfa.ReasonOf(err))
}

// An adminOp is an operation of an Admin. On says whom it concerns, "" for the
// organization.
type adminOp struct {
	name, on string
	do       func(ctx context.Context, a *mfa.Admin, user string) error
}

func adminOps() []adminOp {
	ops := []adminOp{
		{"Rules", "", func(ctx context.Context, a *mfa.Admin, _ string) error { _, _, err := a.Rules(ctx); return err }},
		{"Preview", "", func(ctx context.Context, a *mfa.Admin, _ string) error {
			_, err := a.Preview(ctx, mfa.Rules{Require: mfa.RequireAtDoor})
			return err
		}},
		{"SetRules", "", func(ctx context.Context, a *mfa.Admin, _ string) error {
			return a.SetRules(ctx, mfa.Rules{Require: mfa.RequireAtDoor}, "")
		}},
		{"Compliance", "", func(ctx context.Context, a *mfa.Admin, _ string) (last error) {
			for _, err := range a.Compliance(ctx) {
				last = err
			}
			return last
		}},
		{"Activity", "", func(ctx context.Context, a *mfa.Admin, _ string) error { _, err := a.Activity(ctx); return err }},
	}
	for _, on := range []string{"self", "managed", "unmanaged", "stranger"} {
		ops = append(ops,
			adminOp{"Reset", on, func(ctx context.Context, a *mfa.Admin, user string) error { return a.Reset(ctx, user) }},
			adminOp{"Unlock", on, func(ctx context.Context, a *mfa.Admin, user string) error { return a.Unlock(ctx, user) }},
			adminOp{"EndSessions", on, func(ctx context.Context, a *mfa.Admin, user string) error { return a.EndSessions(ctx, user) }},
			adminOp{"RequirePasswordChange", on, func(ctx context.Context, a *mfa.Admin, user string) error {
				return a.RequirePasswordChange(ctx, user)
			}},
		)
	}
	return ops
}

// try lets an actor try an operation in acme, and checks that what is refused
// changes nothing.
func (op adminOp) try(c *company, who actor) string {
	ctx := c.t.Context()
	s, err := who.is(c)
	if err != nil {
		return cell(err)
	}
	user := map[string]string{"self": "alice", "managed": "dave", "unmanaged": "bob", "stranger": "mallory"}[op.on]
	if op.on == "self" && s != nil {
		user = s.User()
	}
	a := c.Guard.Operator("ops", "called back")
	was := c.versions()
	if s != nil {
		if a, err = s.Admin(ctx, "acme"); err != nil {
			if fmt.Sprint(was) != fmt.Sprint(c.versions()) {
				c.t.Errorf("%s as %s: refused, and something changed", op.name, who.name)
			}
			return cell(err)
		}
	}
	err = op.do(ctx, a, user)
	if err != nil && fmt.Sprint(was) != fmt.Sprint(c.versions()) {
		c.t.Errorf("%s on %s as %s: refused, and something changed", op.name, op.on, who.name)
	}
	return cell(err)
}

// An ownOp is an operation of a Session on the account of its user.
type ownOp struct {
	name string
	do   func(ctx context.Context, c *company, s *mfa.Session) error
}

func ownOps() []ownOp {
	totp := func(c *company, s *mfa.Session) string { return c.account(s.User()).TOTP[0].ID }
	return []ownOp{
		{"Overview", func(ctx context.Context, _ *company, s *mfa.Session) error { _, err := s.Overview(ctx); return err }},
		{"StepUp", func(ctx context.Context, _ *company, s *mfa.Session) error {
			_, err := s.StepUp(ctx, mfa.ToConfirm("x"), "")
			return err
		}},
		{"RequireFresh", func(ctx context.Context, c *company, s *mfa.Session) error { return s.RequireFresh(ctx, "x") }},
		{"RenameTOTP", func(ctx context.Context, c *company, s *mfa.Session) error { return s.RenameTOTP(ctx, totp(c, s), "x") }},
		{"RemoveTOTP", func(ctx context.Context, c *company, s *mfa.Session) error { return s.RemoveTOTP(ctx, totp(c, s)) }},
		{"SetAskAtSignIn", func(ctx context.Context, _ *company, s *mfa.Session) error { return s.SetAskAtSignIn(ctx, false) }},
		{"Revoke, own", func(ctx context.Context, _ *company, s *mfa.Session) error { return s.Revoke(ctx, s.ID()) }},
		{"Revoke, another", func(ctx context.Context, _ *company, s *mfa.Session) error { return s.Revoke(ctx, "x") }},
		{"RevokeOthers", func(ctx context.Context, _ *company, s *mfa.Session) error { return s.RevokeOthers(ctx) }},
		{"ForgetBrowsers", func(ctx context.Context, _ *company, s *mfa.Session) error { return s.ForgetBrowsers(ctx, "x") }},
		{"SignOut", func(ctx context.Context, _ *company, s *mfa.Session) error { return s.SignOut(ctx) }},
	}
}

// TestR17_R18_R20_Matrix: every operation, tried by everybody on everybody. The
// table of the package's documentation is what came out.
func TestR17_R18_R20_Matrix(t *testing.T) {
	var table strings.Builder
	row := func(name string, cells []string) {
		line := fmt.Sprintf("//\t%-37s", name)
		for _, c := range cells {
			line += fmt.Sprintf(" %-8s", c)
		}
		table.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	var names []string
	for _, who := range actors() {
		names = append(names, who.name)
	}
	row("", names)
	for _, op := range adminOps() {
		var cells []string
		for _, who := range actors() {
			cells = append(cells, op.try(newMatrix(t), who))
		}
		row(strings.TrimSuffix("Admin."+op.name+", "+op.on, ", "), cells)
	}
	for _, op := range ownOps() {
		var cells []string
		for _, who := range actors() {
			c := newMatrix(t)
			s, err := who.is(c)
			switch {
			case err != nil:
				cells = append(cells, cell(err))
			case s == nil:
				cells = append(cells, "-")
			default:
				cells = append(cells, cell(op.do(t.Context(), c, s)))
			}
		}
		row("Session."+op.name, cells)
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(doc), table.String()) {
		t.Errorf("doc.go has another table than this:\n%s", table.String())
	}
}

// TestR20_Ranks: nobody acts on herself, on an equal or on a higher role; an owner
// may help another owner. Whom the installation made its administrator no
// organization touches.
func TestR20_Ranks(t *testing.T) {
	managed := func(id string, role mfa.Role) mfa.User {
		return mfa.User{ID: id, ManagedBy: "acme", Orgs: []mfa.Membership{{Org: "acme", Role: role}}}
	}
	for _, tc := range []struct {
		by, name string
		on       mfa.User
		want     mfa.Reason
	}{
		{"carol", "a member", managed("erin", mfa.RoleMember), ""},
		{"carol", "an administrator", managed("erin", mfa.RoleAdmin), mfa.ReasonHigherRole},
		{"carol", "an owner", managed("erin", mfa.RoleOwner), mfa.ReasonHigherRole},
		{"alice", "an administrator", managed("erin", mfa.RoleAdmin), ""},
		{"alice", "another owner", managed("erin", mfa.RoleOwner), ""},
		{"alice", "an owner who is not managed", mfa.User{ID: "erin", Orgs: []mfa.Membership{{Org: "acme", Role: mfa.RoleOwner}}}, mfa.ReasonNotManaged},
		{"alice", "an administrator of the installation", mfa.User{ID: "erin", ManagedBy: "acme", Admin: true}, mfa.ReasonHigherRole},
		{"alice", "somebody managed who is no member", mfa.User{ID: "erin", ManagedBy: "acme"}, ""},
		{"alice", "somebody of whom the directory says no role", managed("erin", 17), ""},
		{"alice", "somebody managed by another", mfa.User{ID: "erin", ManagedBy: "evil", Orgs: inAcme()}, mfa.ReasonNotManaged},
	} {
		t.Run(tc.by+" on "+tc.name, func(t *testing.T) {
			c := newCompany(t)
			c.Users.Add(tc.on)
			c.enroll("erin")
			err := c.admin(tc.by, "acme").Reset(t.Context(), "erin")
			if tc.want == "" {
				if err != nil {
					t.Errorf("%v (%s)", err, mfa.ReasonOf(err))
				}
				return
			}
			refused(t, err, mfa.ErrForbidden, tc.want)
			if len(c.account("erin").TOTP) == 0 {
				t.Error("she was reset all the same")
			}
		})
	}
	c := newCompany(t)
	refused(t, c.admin("alice", "acme").Reset(t.Context(), "alice"), mfa.ErrForbidden, mfa.ReasonOneself)
	refused(t, c.admin("alice", "acme").Reset(t.Context(), "nobody"), mfa.ErrForbidden, mfa.ReasonUserUnknown)
}

// TestR20_InstallationAdministrators: they help whom no organization manages.
func TestR20_InstallationAdministrators(t *testing.T) {
	c := newCompany(t)
	c.Users.Add(mfa.User{ID: "alice", Admin: true}, mfa.User{ID: "erin", Admin: true})
	a := c.admin("alice", "")
	if err := a.Reset(t.Context(), "bob"); err != nil {
		t.Errorf("%v (%s)", err, mfa.ReasonOf(err))
	}
	refused(t, a.Reset(t.Context(), "dave"), mfa.ErrForbidden, mfa.ReasonNotManaged)
	refused(t, a.Reset(t.Context(), "erin"), mfa.ErrForbidden, mfa.ReasonHigherRole)
}

// TestR20_TenAnHour: an administrator acts on ten users in an hour, each counted by
// herself and whoever they are; what is refused is not counted. The operator may
// go on.
func TestR20_TenAnHour(t *testing.T) {
	c := newCompany(t)
	ctx := t.Context()
	a := c.admin("carol", "acme")
	refused(t, a.Unlock(ctx, "bob"), mfa.ErrForbidden, mfa.ReasonNotManaged)
	for range 10 {
		if err := a.Unlock(ctx, "dave"); err != nil {
			t.Fatal(err)
		}
	}
	err := a.EndSessions(ctx, "dave")
	throttled, ok := errors.AsType[*mfa.ThrottledError](err)
	if !ok || mfa.ReasonOf(err) != mfa.ReasonTooManyActions || throttled.RetryAfter <= 0 || throttled.RetryAfter > 61*time.Minute {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	if err := c.admin("alice", "acme").Unlock(ctx, "dave"); err != nil {
		t.Errorf("another administrator: %v", err)
	}
	if err := c.Guard.Operator("ops", "").Unlock(ctx, "dave"); err != nil {
		t.Errorf("the operator: %v", err)
	}
	c.Clock.Advance(throttled.RetryAfter)
	if err := c.admin("carol", "acme").Unlock(ctx, "dave"); err != nil {
		t.Errorf("an hour later: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestR20_AskedAgain: an administrator who lost her role, her session or her factor
// since the handle was made does nothing with it.
func TestR20_AskedAgain(t *testing.T) {
	for name, lose := range map[string]func(c *company, s *mfa.Session) error{
		"role":      func(c *company, _ *mfa.Session) error { c.Users.Add(mfa.User{ID: "carol", Orgs: inAcme()}); return nil },
		"account":   func(c *company, _ *mfa.Session) error { c.Users.Remove("carol"); return nil },
		"directory": func(c *company, _ *mfa.Session) error { c.Users.Fail(errors.New("down")); return nil },
		"session":   func(c *company, s *mfa.Session) error { return s.SignOut(c.t.Context()) },
		"disabled":  func(c *company, _ *mfa.Session) error { return c.Guard.Disable(c.t.Context(), "carol") },
		"factor": func(c *company, s *mfa.Session) error {
			return s.RemoveTOTP(c.t.Context(), c.account("carol").TOTP[0].ID)
		},
		"time": func(c *company, _ *mfa.Session) error { c.Clock.Advance(6 * time.Minute); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := newMatrix(t)
			s := c.fresh("carol")
			a, err := s.Admin(t.Context(), "acme")
			if err != nil {
				t.Fatal(err)
			}
			if err := lose(c, s); err != nil {
				t.Fatal(err)
			}
			for _, op := range adminOps() {
				if op.on != "" && op.on != "managed" {
					continue
				}
				was := c.versions()
				if err := op.do(t.Context(), a, "dave"); err == nil || fmt.Sprint(was) != fmt.Sprint(c.versions()) {
					t.Errorf("%s: %v", op.name, err)
				}
			}
		})
	}
}

// TestR20_ForcedPassword: whoever must change her password is asked for her factor
// first and for the new password then, until she has it.
func TestR20_ForcedPassword(t *testing.T) {
	c := newMatrix(t)
	ctx := t.Context()
	if err := c.admin("carol", "acme").RequirePasswordChange(ctx, "dave"); err != nil {
		t.Fatal(err)
	}
	p := c.pending(c.signIn("dave"))
	if need := p.Need(); need.Step != mfa.StepVerify {
		t.Fatalf("needs %+v", need)
	}
	c.Clock.Advance(step)
	p = c.pending(p.Verify(ctx, c.totp("dave")))
	if need := p.Need(); need.Step != mfa.StepNewPassword {
		t.Fatalf("then needs %+v", need)
	}
	if err := c.Guard.CredentialsChanged(ctx, "dave"); err != nil {
		t.Fatal(err)
	}
	c.fresh("dave")
}

// TestR20_Mallory: who founds an organization and invites a victim can touch
// nothing of hers, and learns no more than whether she meets the rules.
func TestR20_Mallory(t *testing.T) {
	c := newMatrix(t)
	ctx := t.Context()
	c.enroll("bob")
	victim := c.fresh("bob")
	a := c.admin("mallory", "evil")
	if err := a.SetRules(ctx, mfa.Rules{
		Require: mfa.RequireAtSignIn, SessionFor: 5 * time.Minute, IdleFor: 2 * time.Minute, ProofsNotBefore: c.Clock.Now(),
		SSO: []mfa.Connection{{Name: "mine", Rule: mfa.SSOWaive}},
	}, ""); err != nil {
		t.Fatal(err)
	}
	was := c.versions()
	for _, op := range adminOps() {
		if op.on == "unmanaged" {
			refused(t, op.do(ctx, a, "bob"), mfa.ErrForbidden, mfa.ReasonNotManaged)
		}
	}
	if fmt.Sprint(was) != fmt.Sprint(c.versions()) {
		t.Error("something changed")
	}
	for st, err := range a.Compliance(ctx) {
		if want := (mfa.MemberStatus{User: "bob", Meets: true}); err != nil || st.User == "bob" && fmt.Sprintf("%+v", st) != fmt.Sprintf("%+v", want) {
			t.Errorf("she learns %+v, %v", st, err)
		}
	}
	if err := c.enter(victim, "acme"); err != nil {
		t.Errorf("the victim elsewhere: %v", err)
	}
	c.pending(c.sso("bob", "mine")) // her own switch asks, whatever evil waives
	c.Users.Add(mfa.User{ID: "bob", Orgs: inAcme()})
	if err := c.fresh("bob").RemoveTOTP(ctx, c.account("bob").TOTP[0].ID); err != nil {
		t.Errorf("having left: %v", err)
	}
}
