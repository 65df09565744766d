package mfa_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// both is a lab in which ann holds an app and codes by mail; text messages are off.
func both(t testing.TB, options ...func(*mfa.Config)) *lab {
	t.Helper()
	l := newLab(t, append([]func(*mfa.Config){postal}, options...)...)
	l.Users.Add(annWith(annMail, annPhone))
	for m, on := range map[mfa.Method]bool{mfa.EmailCode: true, mfa.SMSCode: false} {
		if err := l.session.SetMethod(t.Context(), m, on); err != nil {
			t.Fatal(err)
		}
	}
	l.Events.Take()
	return l
}

// mailbox is a session of somebody who knows ann's password and reads her mail.
func (l *lab) mailbox(t testing.TB) *mfa.Session {
	t.Helper()
	l.unsent(t)
	p := l.open(t)
	out, err := p.Verify(t.Context(), l.send(t, p, mfa.EmailCode))
	return must(t, out, err)
}

// TestR11_MailFreesNothing: R11: a mailed code, however fresh, never frees what
// would take another factor away, or add one beside it.
func TestR11_MailFreesNothing(t *testing.T) {
	l := both(t)
	l.by(t, l.mailbox(t), mfa.ToConfirm("x"), mfa.EmailCode)
	s := l.mailbox(t)
	id := l.account(t, "ann").TOTP[0].ID
	for name, do := range map[string]func(*mfa.Session) error{
		"RemoveTOTP":     func(s *mfa.Session) error { return s.RemoveTOTP(t.Context(), id) },
		"NewBackupCodes": func(s *mfa.Session) error { _, err := s.NewBackupCodes(t.Context(), ""); return err },
	} {
		e, ok := errors.AsType[*mfa.StepUpError](do(s))
		if !ok {
			t.Fatalf("%s by mail", name)
		}
		l.onlyStrong(t, s, e.Purpose)
	}
	for _, m := range []mfa.Method{mfa.TOTP, mfa.SMSCode} {
		l.onlyStrong(t, s, mfa.ToEnroll(m))
	}
	l.Clock.Advance(l.app.Period())
	s = l.elevate(t, s, mfa.ToConfirm("remove_totp"), l.right()).Session
	if err := s.RemoveTOTP(t.Context(), id); err != nil {
		t.Errorf("by the app: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// onlyStrong fails unless a flow to p asks for the app or a backup code, and takes
// no mailed one.
func (l *lab) onlyStrong(t *testing.T, s *mfa.Session, p mfa.Purpose) {
	t.Helper()
	out, err := s.StepUp(t.Context(), p, "")
	flow := atStep(t, out, err, mfa.StepVerify, mfa.TOTP, mfa.BackupCode)
	_, err = flow.Send(t.Context(), mfa.EmailCode)
	wants(t, err, mfa.ErrRefused, mfa.ReasonMethodNotAsked)
}

// TestR11_SMSOffByMail: a mailed code does not turn text messages off once they are
// a factor.
func TestR11_SMSOffByMail(t *testing.T) {
	l := mailed(t)
	s := l.by(t, l.session, mfa.ToConfirm("x"), mfa.EmailCode)
	if err := s.SetMethod(t.Context(), mfa.SMSCode, true); err != nil {
		t.Fatal(err)
	}
	err := s.SetMethod(t.Context(), mfa.SMSCode, false)
	e, ok := errors.AsType[*mfa.StepUpError](err)
	if !ok {
		t.Fatalf("off by mail: %v", err)
	}
	out, err := s.StepUp(t.Context(), e.Purpose, "")
	p := atStep(t, out, err, mfa.StepVerify, mfa.SMSCode)
	out, err = p.Verify(t.Context(), l.send(t, p, mfa.SMSCode))
	if err := must(t, out, err).SetMethod(t.Context(), mfa.SMSCode, false); err != nil {
		t.Errorf("off by a text message: %v", err)
	}
}

// TestR11_MailShowsNoCodes: backup codes that were never saved are shown at the next
// sign-in, but not to somebody who has nothing but the password and the mailbox:
// with one of them he would take the app away.
func TestR11_MailShowsNoCodes(t *testing.T) {
	l := both(t)
	if _, err := l.session.NewBackupCodes(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	set := l.account(t, "ann").CodeSet
	l.mailbox(t)
	if got := l.account(t, "ann"); got.CodeSet != set || !got.Unsaved {
		t.Error("a new set was made")
	}
	out, err := l.guess(t, l.right())
	atStep(t, out, err, mfa.StepSaveCodes)
}

// TestR10_MailEnrollsNothing: R10 lets whoever has nothing that the rules allow
// verify once and enroll. Whoever holds more than mail verifies with that.
func TestR10_MailEnrollsNothing(t *testing.T) {
	l := mailed(t)
	s := l.by(t, l.session, mfa.ToConfirm("x"), mfa.EmailCode)
	if err := s.SetMethod(t.Context(), mfa.SMSCode, true); err != nil {
		t.Fatal(err)
	}
	l.strict(t, mfa.Rules{Require: mfa.RequireAtSignIn})
	out, err := l.signIn(t, "ann")
	p := atStep(t, out, err, mfa.StepVerify, mfa.SMSCode)
	out, err = p.Verify(t.Context(), l.send(t, p, mfa.SMSCode))
	p = atStep(t, out, err, mfa.StepEnroll, mfa.TOTP)
	out = l.bindApp(t, p)
	out, err = out.Pending.SaveCodes(t.Context())
	must(t, out, err)

	// Before the date she is invited only after a proof that is none by mail.
	l = mailed(t)
	s = l.by(t, l.session, mfa.ToConfirm("x"), mfa.EmailCode)
	if err := s.SetMethod(t.Context(), mfa.SMSCode, true); err != nil {
		t.Fatal(err)
	}
	l.strict(t, mfa.Rules{Require: mfa.RequireAtSignIn, From: l.Clock.Now().Add(oneDay)})
	l.mailbox(t)
}

// strict makes the rules stricter, as a new configuration does.
func (l *lab) strict(t testing.TB, r mfa.Rules) {
	t.Helper()
	var err error
	c := l.Config
	c.Policy.Rules = r
	if l.Guard, err = mfa.New(c); err != nil {
		t.Fatal(err)
	}
}

// TestR10_OnlyMailOrSMS: whoever holds nothing but codes that the rules do not allow
// any more verifies with one once and then enrolls, at each sign-in anew until done.
func TestR10_OnlyMailOrSMS(t *testing.T) {
	for _, m := range []mfa.Method{mfa.EmailCode, mfa.SMSCode} {
		t.Run(m.String(), func(t *testing.T) {
			l := emptyLab(t, postal)
			l.Users.Add(annWith(annMail, annPhone))
			l.session = l.in(t, "ann")
			if err := l.session.SetMethod(t.Context(), m, true); err != nil {
				t.Fatal(err)
			}
			l.strict(t, mfa.Rules{Require: mfa.RequireAtSignIn})
			for range 2 {
				l.Clock.Advance(time.Minute)
				out, err := l.signIn(t, "ann")
				p := atStep(t, out, err, mfa.StepVerify, m)
				out, err = p.Verify(t.Context(), l.send(t, p, m))
				p = atStep(t, out, err, mfa.StepEnroll, mfa.TOTP)
				_, err = p.Skip(t.Context())
				wants(t, err, mfa.ErrForbidden, mfa.ReasonCannotSkip)
				_, err = p.Send(t.Context(), m)
				wants(t, err, mfa.ErrRefused, mfa.ReasonMethodNotAsked)
			}
		})
	}
}

// TestR10_RememberedEnrollsNothing: a browser that is remembered skips the second
// factor of a sign-in. It is no proof with which to bind another.
func TestR10_RememberedEnrollsNothing(t *testing.T) {
	l := mailed(t)
	p := l.open(t)
	pr := l.send(t, p, mfa.EmailCode)
	pr.Remember = true
	out, err := p.Verify(t.Context(), pr)
	must(t, out, err)
	browser := []string{out.Browser()}
	in := mfa.SignIn{User: "ann", First: mfa.PasswordFirst(), Client: mfatest.Laptop(), Browsers: browser}
	out, err = l.Guard.SignIn(t.Context(), in)
	must(t, out, err)
	l.strict(t, mfa.Rules{Require: mfa.RequireAtSignIn, Remember: 7 * oneDay})
	out, err = l.Guard.SignIn(t.Context(), in)
	atStep(t, out, err, mfa.StepVerify, mfa.EmailCode)
}

// TestR11_TwoMailedCodesAreOne: R11 counts kinds: a second mailed code in a session
// adds nothing to the first.
func TestR11_TwoMailedCodesAreOne(t *testing.T) {
	l := mailed(t)
	s := l.by(t, l.session, mfa.ToConfirm("x"), mfa.EmailCode)
	l.Clock.Advance(6 * time.Minute)
	s = l.by(t, s, mfa.ToConfirm("y"), mfa.EmailCode)
	if got := s.Assurance().Proofs; len(got) != 1 || got[0].Method != mfa.EmailCode || !got[0].At.Equal(l.Clock.Now()) {
		t.Errorf("proofs %v, want one, of now", got)
	}
	l.strict(t, mfa.Rules{Require: mfa.RequireAtDoor})
	_, err := l.Guard.Enter(t.Context(), s.Token(), "acme", mfatest.Laptop())
	wants(t, err, mfa.ErrStepUp, mfa.ReasonNotAllowed)
}

// TestR9_DefaultSMSIsNoFactor: text messages that are on by default are no factor
// before a code was accepted: they are asked of nobody, and an account that has
// nothing else enrolls.
func TestR9_DefaultSMSIsNoFactor(t *testing.T) {
	l := emptyLab(t, postal)
	l.Users.Add(annWith("", annPhone))
	s := l.in(t, "ann") // not asked
	if err := s.SetAskAtSignIn(t.Context(), true); !errors.Is(err, mfa.ErrForbidden) {
		t.Errorf("ask for a factor that is none: %v", err)
	}
	if _, err := s.NewBackupCodes(t.Context(), ""); !errors.Is(err, mfa.ErrForbidden) {
		t.Errorf("backup codes for none: %v", err)
	}
	l.Clock.Advance(6 * time.Minute)
	out, err := s.StepUp(t.Context(), mfa.ToConfirm("x"), "")
	atStep(t, out, err, mfa.StepVerify, mfa.Password)

	l.strict(t, mfa.Rules{Require: mfa.RequireAtSignIn, Methods: []mfa.Method{mfa.TOTP, mfa.SMSCode}})
	out, err = l.signIn(t, "ann")
	p := atStep(t, out, err, mfa.StepEnroll, mfa.TOTP, mfa.SMSCode)
	out, err = p.Verify(t.Context(), l.send(t, p, mfa.SMSCode))
	must(t, out, err)
	out, err = l.signIn(t, "ann")
	atStep(t, out, err, mfa.StepVerify, mfa.SMSCode)
}

// TestR16_FirstTextMessageForgetsBrowsers: a code that makes text messages a factor
// ends what browsers are remembered for, as every change of factors does, wherever
// it was typed.
func TestR16_FirstTextMessageForgetsBrowsers(t *testing.T) {
	l := newLab(t, postal)
	l.Users.Add(annWith("", annPhone))
	pr := l.right()
	pr.Remember = true
	s := l.enter(t, pr)
	remembered := func() (n int) {
		o, err := s.Overview(t.Context())
		for _, b := range o.Browsers {
			if err != nil || !b.Remembered.IsZero() {
				n++
			}
		}
		return n
	}
	if remembered() != 1 {
		t.Fatal("no browser is remembered")
	}
	l.Clock.Advance(6 * time.Minute)
	s = l.by(t, s, mfa.ToConfirm("x"), mfa.SMSCode)
	if w, _ := switchOf(t, s, mfa.SMSCode); !w.Held || remembered() != 0 {
		t.Errorf("held %t, %d browsers remembered", w.Held, remembered())
	}
}

// TestR12_LastSentFactor: R12 keeps backup codes while a factor is left, of
// whichever kind, and takes them with the last. A rule keeps the last one it allows.
func TestR12_LastSentFactor(t *testing.T) {
	l := both(t)
	s := l.enter(t, l.right())
	if err := s.RemoveTOTP(t.Context(), l.account(t, "ann").TOTP[0].ID); err != nil {
		t.Fatal(err)
	}
	if a := l.account(t, "ann"); len(a.Codes) == 0 || !a.Ask {
		t.Errorf("mail is left: %d codes, ask %t", len(a.Codes), a.Ask)
	}
	out, err := l.signIn(t, "ann")
	atStep(t, out, err, mfa.StepVerify, mfa.EmailCode, mfa.BackupCode)
	s = l.mailbox(t)
	l.strict(t, mfa.Rules{Require: mfa.RequireAtSignIn, Methods: []mfa.Method{mfa.EmailCode}})
	s, err = l.Guard.Session(t.Context(), s.Token(), mfatest.Laptop())
	if err != nil {
		t.Fatal(err)
	}
	wants(t, s.SetMethod(t.Context(), mfa.EmailCode, false), mfa.ErrForbidden, mfa.ReasonFactorRequired)
	l.strict(t, mfa.Rules{Require: mfa.RequireAtSignIn, From: l.Clock.Now().Add(time.Second), Methods: []mfa.Method{mfa.EmailCode}})
	if s, err = l.Guard.Session(t.Context(), s.Token(), mfatest.Laptop()); err != nil {
		t.Fatal(err)
	}
	if err := s.SetMethod(t.Context(), mfa.EmailCode, false); err != nil {
		t.Fatal(err)
	}
	if a := l.account(t, "ann"); len(a.Codes) > 0 || a.Ask || a.CodeSet != "" {
		t.Errorf("nothing is left: %d codes, ask %t", len(a.Codes), a.Ask)
	}
}

// TestR31_AddressCheck: after a reset the first factor takes a code to a proven
// address, and by policy at every first enrollment, or never. Nobody is asked who
// has no such address.
func TestR31_AddressCheck(t *testing.T) {
	for _, tc := range []struct {
		name  string
		check mfa.AddressCheck
		reset bool
		user  mfa.User
		want  []mfa.Method // nil: enroll at once
	}{
		{"after a reset", mfa.AddressAfterReset, true, annWith(annMail, annPhone), []mfa.Method{mfa.EmailCode, mfa.SMSCode}},
		{"after a reset, a number only", mfa.AddressAfterReset, true, annWith("", annPhone), []mfa.Method{mfa.SMSCode}},
		{"after a reset, nothing proven", mfa.AddressAfterReset, true, mfa.User{ID: "ann", Email: annMail}, nil},
		{"first", mfa.AddressAfterReset, false, annWith(annMail, annPhone), nil},
		{"always, first", mfa.AddressAlways, false, annWith(annMail, ""), []mfa.Method{mfa.EmailCode}},
		{"always, after a reset", mfa.AddressAlways, true, annWith(annMail, ""), []mfa.Method{mfa.EmailCode}},
		{"never, after a reset", mfa.InsecureAddressNever, true, annWith(annMail, ""), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := emptyLab(t, rules(mfa.Rules{Require: mfa.RequireAtSignIn}), func(c *mfa.Config) { c.Policy.AddressCheck = tc.check })
			l.Users.Add(tc.user)
			if tc.reset {
				if err := l.Guard.Operator("desk", "lost").Reset(t.Context(), "ann"); err != nil {
					t.Fatal(err)
				}
			}
			out, err := l.signIn(t, "ann")
			if tc.want == nil {
				atStep(t, out, err, mfa.StepEnroll, mfa.TOTP)
				return
			}
			p := atStep(t, out, err, mfa.StepVerify, tc.want...)
			if p.Need().Why != mfa.ReasonConfirmAddress {
				t.Errorf("because of %s", p.Need().Why)
			}
			_, err = p.StartTOTP(t.Context(), "")
			wants(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
			_, err = p.StartAddress(t.Context(), tc.want[0], newMail)
			if err == nil {
				t.Error("the code may go anywhere")
			}
			_, err = p.Skip(t.Context())
			wants(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
			pr := l.send(t, p, tc.want[0])
			_, err = p.Verify(t.Context(), off(pr))
			wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
			out, err = p.Verify(t.Context(), pr)
			p = atStep(t, out, err, mfa.StepEnroll, mfa.TOTP)
			// Another flow begins without it.
			out, err = l.signIn(t, "ann")
			atStep(t, out, err, mfa.StepVerify, tc.want...)
			out, err = l.bindApp(t, l.pending(t, p.Token())).Pending.SaveCodes(t.Context())
			s := must(t, out, err)
			if got := s.Assurance().Proofs; len(got) != 1 || got[0].Method != mfa.TOTP {
				t.Errorf("the code to the address counts as a factor: %v", got)
			}
		})
	}
}

// TestR31_AlwaysCoversAddresses: under AddressAlways the password alone does not add
// a mail address of whoever knows it.
func TestR31_AlwaysCoversAddresses(t *testing.T) {
	_, option := profiled()
	for _, m := range []mfa.Method{mfa.EmailCode, mfa.SMSCode, mfa.TOTP} {
		l := emptyLab(t, postal, option, func(c *mfa.Config) { c.Policy.AddressCheck = mfa.AddressAlways })
		l.Users.Add(annWith(annMail, ""))
		out, err := l.in(t, "ann").StepUp(t.Context(), mfa.ToEnroll(m), "")
		p := atStep(t, out, err, mfa.StepVerify, mfa.EmailCode)
		_, err = p.StartAddress(t.Context(), mfa.EmailCode, "eve@example.net")
		wants(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
		out, err = p.Verify(t.Context(), l.send(t, p, mfa.EmailCode))
		atStep(t, out, err, mfa.StepEnroll, m)
	}
}

// TestR31_SkipUntil: before the date of a rule the check may be skipped with the
// enrollment that it belongs to.
func TestR31_SkipUntil(t *testing.T) {
	l := emptyLab(t, func(c *mfa.Config) { c.Policy.AddressCheck = mfa.AddressAlways })
	l.Users.Add(annWith(annMail, ""))
	from := l.Clock.Now().Add(time.Minute)
	l.strict(t, mfa.Rules{Require: mfa.RequireAtSignIn, From: from})
	out, err := l.signIn(t, "ann")
	p := atStep(t, out, err, mfa.StepVerify, mfa.EmailCode)
	if !p.Need().SkipUntil.Equal(from) {
		t.Errorf("may be skipped until %v", p.Need().SkipUntil)
	}
	out, err = p.Skip(t.Context())
	must(t, out, err)
	out, err = l.signIn(t, "ann")
	token := atStep(t, out, err, mfa.StepVerify, mfa.EmailCode).Token()
	l.Clock.Advance(time.Minute)
	_, err = l.pending(t, token).Skip(t.Context())
	wants(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
}

// TestR31_ResetKeepsWhatTheDirectoryNames: a reset keeps the pinned address to
// recognize the user by, unless the directory names another by then, and leaves no
// factor.
func TestR31_ResetKeepsWhatTheDirectoryNames(t *testing.T) {
	for name, mail := range map[string]string{"the same": annMail, "another": "eve@example.net", "none": ""} {
		t.Run(name, func(t *testing.T) {
			_, option := profiled()
			l := mailed(t, option)
			l.Users.Add(annWith(mail, ""))
			if err := l.Guard.Operator("desk", "lost").Reset(t.Context(), "ann"); err != nil {
				t.Fatal(err)
			}
			a := l.account(t, "ann").Addresses["email_code"]
			if a.Held || (a.Sealed != nil) != (mail == annMail) {
				t.Errorf("held %t, pinned %t", a.Held, a.Sealed != nil)
			}
			out, err := l.signIn(t, "ann")
			if mail == "" {
				atStep(t, out, err, mfa.StepEnroll, mfa.TOTP, mfa.SMSCode, mfa.EmailCode)
				return
			}
			p := atStep(t, out, err, mfa.StepVerify, mfa.EmailCode)
			l.send(t, p, mfa.EmailCode)
			if l.Inbox.Code(t, mail) == "" || !slices.Contains(names(l.Events.Take()), mfa.EventFactorsReset) {
				t.Error("the code went elsewhere")
			}
		})
	}
}
