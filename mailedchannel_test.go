package mfa_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A wayIn is how somebody with ann's password begins to sign in.
type wayIn struct {
	name string
	in   func(t testing.TB, l *lab) mfa.Outcome
}

// waysIn are the library's comparison and the host's.
func waysIn() []wayIn {
	return []wayIn{
		{"SignInPassword", func(t testing.TB, l *lab) mfa.Outcome {
			out, err := l.typed(t, "ann", newPassword, false)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}},
		{"SignIn", func(t testing.TB, l *lab) mfa.Outcome {
			out, err := l.signIn(t, "ann")
			if err != nil {
				t.Fatal(err)
			}
			return out
		}},
	}
}

// mailbox returns a lab in which somebody who reads ann's mail and nothing else has
// set her password by a mailed link. She holds codes by mail alone.
func mailbox(t testing.TB, options ...func(*mfa.Config)) *lab {
	t.Helper()
	l := emptyLab(t, append(options, postal)...)
	l.Users.Add(mfa.User{
		ID: "ann", Email: "ann@example.org", EmailVerified: true, Orgs: inAcme(), Admin: true,
	})
	if err := l.Guard.SetPassword(t.Context(), "ann", oldPassword); err != nil {
		t.Fatal(err)
	}
	l.change(t, "ann", func(d *mfa.AccountData) { d.Ask = true })
	l.holdMail(t)
	if err := l.Guard.ResetPassword(t.Context(), l.link(t), newPassword, mfatest.Phone()); err != nil {
		t.Fatal(err)
	}
	l.Clock.Advance(time.Hour)
	return l
}

// holdMail makes codes by mail a factor of ann's, by the first link to her address.
func (l *lab) holdMail(t testing.TB) {
	t.Helper()
	l.link(t) // pins it
	l.change(t, "ann", func(d *mfa.AccountData) {
		a := d.Addresses["email_code"]
		a.Held = true
		d.Addresses["email_code"] = a
	})
}

// intruder is the session that the password and a mailed code lead to.
func (l *lab) intruder(t testing.TB, w wayIn) *mfa.Session {
	t.Helper()
	out := l.byMail(t, w.in(t, l).Pending)
	if out.Session == nil {
		t.Fatalf("at %v, want a session", out.Pending.Need())
	}
	l.Clock.Advance(time.Minute)
	return out.Session
}

// TestR11_EveryOperation: what a session may do that mail alone led to. It takes away
// and leads to a better factor; it passes no door, confirms nothing and adds nothing.
func TestR11_EveryOperation(t *testing.T) {
	const mailed, enroll = mfa.ReasonMailedPassword, mfa.ReasonNotAllowed
	stepUp := func(p mfa.Purpose) func(*testing.T, *lab, *mfa.Session) error {
		return func(t *testing.T, _ *lab, s *mfa.Session) error {
			_, err := s.StepUp(t.Context(), p, "")
			return err
		}
	}
	rows := []struct {
		method, name string
		why          mfa.Reason // "" for allowed
		do           func(t *testing.T, l *lab, s *mfa.Session) error
	}{
		{"Overview", "", "", func(t *testing.T, _ *lab, s *mfa.Session) error { _, err := s.Overview(t.Context()); return err }},
		{"SignOut", "", "", func(t *testing.T, _ *lab, s *mfa.Session) error { return s.SignOut(t.Context()) }},
		{"Revoke", "another", "", func(t *testing.T, l *lab, s *mfa.Session) error { return s.Revoke(t.Context(), "another") }},
		{"RevokeOthers", "", "", func(t *testing.T, _ *lab, s *mfa.Session) error { return s.RevokeOthers(t.Context()) }},
		{"ForgetBrowsers", "", "", func(t *testing.T, _ *lab, s *mfa.Session) error { return s.ForgetBrowsers(t.Context(), "x") }},
		{"ChangePassword", "", "", func(t *testing.T, l *lab, s *mfa.Session) error {
			_, err := s.ChangePassword(t.Context(), newPassword, oldPassword)
			if !l.account(t, "ann").Password.Mailed {
				t.Error("a change makes the password worth more")
			}
			return err
		}},
		{"SetMethod", "mail off", "", func(t *testing.T, _ *lab, s *mfa.Session) error {
			return s.SetMethod(t.Context(), mfa.EmailCode, false)
		}},
		{"SetMethod", "mail on", mailed, func(t *testing.T, _ *lab, s *mfa.Session) error {
			return s.SetMethod(t.Context(), mfa.EmailCode, true)
		}},
		{"SetMethod", "text on", mailed, func(t *testing.T, _ *lab, s *mfa.Session) error {
			return s.SetMethod(t.Context(), mfa.SMSCode, true)
		}},
		{"SetMethod", "text off", mailed, func(t *testing.T, _ *lab, s *mfa.Session) error {
			return s.SetMethod(t.Context(), mfa.SMSCode, false)
		}},
		{"SetAskAtSignIn", "", mailed, func(t *testing.T, _ *lab, s *mfa.Session) error {
			return s.SetAskAtSignIn(t.Context(), false)
		}},
		{"NewBackupCodes", "", mailed, func(t *testing.T, _ *lab, s *mfa.Session) error {
			_, err := s.NewBackupCodes(t.Context(), newPassword)
			return err
		}},
		{"RemoveTOTP", "", mailed, func(t *testing.T, _ *lab, s *mfa.Session) error { return s.RemoveTOTP(t.Context(), "x") }},
		{"RenameTOTP", "", mailed, func(t *testing.T, _ *lab, s *mfa.Session) error { return s.RenameTOTP(t.Context(), "x", "y") }},
		{"RequireFresh", "", mailed, func(t *testing.T, _ *lab, s *mfa.Session) error { return s.RequireFresh(t.Context(), "add_member") }},
		{"StepUp", "enroll an app", "", stepUp(mfa.ToEnroll(mfa.TOTP))},
		{"StepUp", "enroll a number", "", stepUp(mfa.ToEnroll(mfa.SMSCode))},
		{"StepUp", "another mail address", mailed, stepUp(mfa.ToEnroll(mfa.EmailCode))},
		{"StepUp", "the host's action", mailed, stepUp(mfa.ToConfirm("add_member"))},
		{"StepUp", "change the password", "", stepUp(mfa.ToConfirm("change_password"))},
		{"Admin", "", enroll, func(t *testing.T, _ *lab, s *mfa.Session) error { _, err := s.Admin(t.Context(), ""); return err }},
		{"StepUp", "door: enroll first", "", func(t *testing.T, l *lab, s *mfa.Session) error {
			_, err := l.Guard.Enter(t.Context(), s.Token(), "acme", mfatest.Laptop())
			if !errors.Is(err, mfa.ErrStepUp) {
				t.Errorf("the door: %v", err)
			}
			out, err := s.StepUp(t.Context(), mfa.ToEnter("acme"), "")
			if err == nil && (out.Pending == nil || out.Pending.Need().Step != mfa.StepEnroll || slices.Contains(out.Pending.Need().Methods, mfa.EmailCode)) {
				t.Errorf("the door: %+v", out)
			}
			return err
		}},
	}
	facts := []string{"Assurance", "Expires", "ID", "RequiredFrom", "Token", "User"}
	for i := range reflect.TypeFor[*mfa.Session]().NumMethod() {
		name := reflect.TypeFor[*mfa.Session]().Method(i).Name
		found := slices.Contains(facts, name)
		for _, r := range rows {
			found = found || r.method == name
		}
		if !found {
			t.Errorf("no row for Session.%s", name)
		}
	}
	for _, w := range waysIn() {
		for _, r := range rows {
			t.Run(w.name+" "+r.method+" "+r.name, func(t *testing.T) {
				l := mailbox(t, func(c *mfa.Config) { c.Policy.Rules.Require = mfa.RequireAtDoor })
				if r.name == "mail off" { // a rule would keep it
					l = mailbox(t)
				}
				err := r.do(t, l, l.intruder(t, w))
				if mfa.ReasonOf(err) != r.why || (err == nil) != (r.why == "") {
					t.Errorf("%v (%s), want %q", err, mfa.ReasonOf(err), r.why)
				}
			})
		}
	}
}

// TestR11_Recovers: one factor that is not mail, and the password counts as one again:
// for the session that passed it, and at every later sign-in.
func TestR11_Recovers(t *testing.T) {
	bind := func(t *testing.T, l *lab, s *mfa.Session) mfa.Outcome {
		out, err := s.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), "")
		if err != nil {
			t.Fatal(err)
		}
		l.app, out, l.codes = bindIn(t, l, out)
		l.Clock.Advance(l.app.Period())
		return out
	}
	for name, prove := range map[string]func(t *testing.T, l *lab) mfa.Outcome{
		"an app": func(t *testing.T, l *lab) mfa.Outcome { return bind(t, l, l.intruder(t, waysIn()[0])) },
		"a text message": func(t *testing.T, l *lab) mfa.Outcome {
			u, _ := l.Users.User(t.Context(), "ann")
			u.Phone, u.PhoneVerified = "+351912345678", true
			l.Users.Add(u)
			p := waysIn()[0].in(t, l).Pending
			_, err := p.Send(t.Context(), mfa.SMSCode)
			if err != nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			out, err := p.Verify(t.Context(), mfa.Proof{Method: mfa.SMSCode, Code: l.Inbox.Code(t, u.Phone)})
			if err != nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			return out
		},
		"a backup code": func(t *testing.T, l *lab) mfa.Outcome {
			s := bind(t, l, l.intruder(t, waysIn()[0])).Session
			if err := s.RemoveTOTP(t.Context(), l.account(t, "ann").TOTP[0].ID); err != nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			if err := l.Guard.ResetPassword(t.Context(), l.link(t), oldPassword, mfatest.Phone()); err != nil {
				t.Fatal(err)
			}
			if !l.account(t, "ann").Password.Mailed {
				t.Fatal("not marked")
			}
			out, err := l.typed(t, "ann", oldPassword, false)
			if err == nil {
				out, err = out.Pending.Verify(t.Context(), l.backup(0))
			}
			if err != nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			return out
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := mailbox(t, func(c *mfa.Config) { c.Policy.Rules.Require = mfa.RequireAtDoor })
			out := prove(t, l)
			if l.account(t, "ann").Password.Mailed || out.Session == nil {
				t.Fatalf("still marked: %t", l.account(t, "ann").Password.Mailed)
			}
			if _, err := out.Session.StepUp(t.Context(), mfa.ToConfirm("add_member"), ""); err != nil {
				t.Errorf("confirming: %v (%s)", err, mfa.ReasonOf(err))
			}
			if _, err := l.Guard.Enter(t.Context(), out.Session.Token(), "acme", mfatest.Laptop()); err != nil {
				t.Errorf("the door: %v (%s)", err, mfa.ReasonOf(err))
			}
			// From now on a mailed code is a second factor beside this password.
			l.Clock.Advance(time.Hour)
			if out, err := l.signIn(t, "ann"); err != nil || !slices.Contains(out.Pending.Need().Methods, mfa.EmailCode) {
				t.Errorf("the next sign-in: %v", err)
			}
		})
	}
}

// TestR11_BetterFactorHeld: beside another factor a mailed code is neither offered nor
// sent nor taken after a password that was mailed.
func TestR11_BetterFactorHeld(t *testing.T) {
	l := withPassword(t)
	if err := l.session.SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
		t.Fatal(err)
	}
	out, err := l.signIn(t, "ann")
	if err != nil || !slices.Contains(out.Pending.Need().Methods, mfa.EmailCode) {
		t.Fatalf("before: %v", err)
	}
	if err := l.Guard.ResetPassword(t.Context(), l.link(t), newPassword, mfatest.Phone()); err != nil {
		t.Fatal(err)
	}
	l.Clock.Advance(time.Hour)
	for _, w := range waysIn() {
		p := w.in(t, l).Pending
		if m := p.Need().Methods; slices.Contains(m, mfa.EmailCode) || !slices.Contains(m, mfa.TOTP) {
			t.Errorf("%s: asks for %v", w.name, m)
		}
		_, err := p.Send(t.Context(), mfa.EmailCode)
		wants(t, err, mfa.ErrRefused, mfa.ReasonMethodNotAsked)
		_, err = p.Verify(t.Context(), mfa.Proof{Method: mfa.EmailCode, Code: "123456"})
		wants(t, err, mfa.ErrRefused, mfa.ReasonMethodNotAsked)
	}
}

// TestR11_ForcedEnrollment: where a rule asks at sign-in, the password and a mailed
// code lead to enrollment of something else, which cannot be skipped and is no other
// mail address. No session exists before.
func TestR11_ForcedEnrollment(t *testing.T) {
	for _, w := range waysIn() {
		t.Run(w.name, func(t *testing.T) {
			l := mailbox(t, func(c *mfa.Config) { c.Policy.Rules.Require = mfa.RequireAtSignIn })
			out := l.byMail(t, w.in(t, l).Pending)
			if out.Session != nil || out.Pending.Need().Step != mfa.StepEnroll {
				t.Fatalf("session %t, want enrollment", out.Session != nil)
			}
			if m := out.Pending.Need().Methods; !slices.Equal(m, []mfa.Method{mfa.TOTP, mfa.SMSCode}) {
				t.Errorf("offers %v", m)
			}
			_, err := out.Pending.Skip(t.Context())
			wants(t, err, mfa.ErrForbidden, mfa.ReasonCannotSkip)
			_, err = out.Pending.StartAddress(t.Context(), mfa.EmailCode, "mallory@example.org")
			wants(t, err, mfa.ErrRefused, mfa.ReasonMethodNotAsked)
			if n := l.kinds(t, "session"); n != 0 {
				t.Errorf("%d sessions", n)
			}
			l.app, out, _ = bindIn(t, l, out)
			if out.Session == nil || l.account(t, "ann").Password.Mailed {
				t.Error("the app does not lead to the session")
			}
		})
	}
}

// TestR11_ElsewhereIsNotHere: she binds an app in a session of hers. What the mailbox
// led to elsewhere is worth no more for that.
func TestR11_ElsewhereIsNotHere(t *testing.T) {
	l := mailbox(t, func(c *mfa.Config) { c.Policy.Rules.Require = mfa.RequireAtDoor })
	intruder := l.intruder(t, waysIn()[0])
	l.Clock.Advance(5 * time.Minute)
	out, err := l.Guard.SignIn(t.Context(), mfa.SignIn{User: "ann", First: mfa.SSOFirst("idp", nil, "", l.Clock.Now()), Client: mfatest.Laptop()})
	if err != nil {
		t.Fatal(err)
	}
	hers := l.byMail(t, out.Pending).Session
	if out, err = hers.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), ""); err != nil {
		t.Fatal(err)
	}
	if _, out, _ = bindIn(t, l, out); out.Session == nil || l.account(t, "ann").Password.Mailed {
		t.Fatal("the app is not bound")
	}
	if _, err := l.Guard.Enter(t.Context(), intruder.Token(), "acme", mfatest.Laptop()); !errors.Is(err, mfa.ErrStepUp) {
		t.Errorf("the door: %v, want a step-up", err)
	}
	l.Clock.Advance(time.Minute)
	if _, err := intruder.StepUp(t.Context(), mfa.ToConfirm("add_member"), ""); err != nil {
		t.Fatal(err)
	}
	out, _ = intruder.StepUp(t.Context(), mfa.ToConfirm("add_member"), "")
	if out.Session != nil || slices.Contains(out.Pending.Need().Methods, mfa.EmailCode) {
		t.Errorf("a sensitive action asks for %+v, want the app", out)
	}
}

// TestR11_R31_AddressAfterReset: after a reset by an administrator a code to an address
// comes before enrollment. After a mailed password that is a text message, where one
// can be sent.
func TestR11_R31_AddressAfterReset(t *testing.T) {
	for phone, want := range map[string]mfa.Method{"": mfa.EmailCode, "+351912345678": mfa.SMSCode} {
		l := withPassword(t)
		l.Users.Add(mfa.User{ID: "ann", Email: "ann@example.org", EmailVerified: true, Phone: phone, PhoneVerified: phone != ""})
		if err := l.Guard.Operator("desk", "").Reset(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
		if err := l.Guard.ResetPassword(t.Context(), l.link(t), newPassword, mfatest.Phone()); err != nil {
			t.Fatal(err)
		}
		out, err := l.typed(t, "ann", newPassword, false)
		if err != nil || out.Pending == nil {
			t.Fatal(err)
		}
		if n := out.Pending.Need(); n.Why != mfa.ReasonConfirmAddress || !slices.Equal(n.Methods, []mfa.Method{want}) {
			t.Errorf("with %q: asks for %+v, want %v", phone, n, want)
		}
	}
}
