package mfa_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
)

// switchOf returns what the security page shows of a method.
func switchOf(t testing.TB, s *mfa.Session, m mfa.Method) (mfa.Switch, bool) {
	t.Helper()
	o, err := s.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(o.Switches, func(w mfa.Switch) bool { return w.Method == m })
	if i < 0 {
		return mfa.Switch{}, false
	}
	return o.Switches[i], true
}

// TestRow_A3_EmailVerification: a user turns codes by mail on and off. While they
// are on each sign-in sends one to the registered address.
func TestRow_A3_EmailVerification(t *testing.T) {
	l := emptyLab(t, postal)
	l.Users.Add(annWith(annMail, ""))
	s := l.in(t, "ann")
	if w, ok := switchOf(t, s, mfa.EmailCode); !ok || w.On || w.Held || w.Address != "•••@example.org" || w.Why != "" {
		t.Errorf("before: %+v, %t", w, ok)
	}
	if err := s.SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
		t.Fatal(err)
	}
	if w, _ := switchOf(t, s, mfa.EmailCode); !w.On || !w.Held {
		t.Errorf("turned on: %+v", w)
	}
	if n := l.notices(mfa.EventFactorAdded, annMail); n != 1 {
		t.Errorf("told %d times", n)
	}
	for range 3 {
		out, err := l.signIn(t, "ann")
		p := atStep(t, out, err, mfa.StepVerify, mfa.EmailCode)
		pr := l.send(t, p, mfa.EmailCode)
		if got := l.Inbox.Messages(annMail); len(got) != 1 || got[0].Kind != mfa.MessageCode || got[0].Expires.IsZero() || got[0].Device == "" {
			t.Errorf("sent %+v", got)
		}
		if p.Sent().To != "•••@example.org" {
			t.Errorf("the page says %+v", p.Sent())
		}
		_, err = p.Verify(t.Context(), off(pr))
		wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
		out, err = l.verify(t.Context(), p.Token(), pr)
		s = must(t, out, err)
		l.Inbox.Take()
		l.Clock.Advance(time.Minute)
	}
	if err := s.SetMethod(t.Context(), mfa.EmailCode, false); err != nil {
		t.Fatal(err)
	}
	l.in(t, "ann")
}

// TestRow_A4_DisableEmail: turning codes by mail off needs a fresh proof, and a
// session that was only taken over has none.
func TestRow_A4_DisableEmail(t *testing.T) {
	l := mailed(t)
	s := l.by(t, l.session, mfa.ToConfirm("x"), mfa.EmailCode)
	l.Clock.Advance(5*time.Minute + time.Second)
	err := s.SetMethod(t.Context(), mfa.EmailCode, false)
	e, ok := errors.AsType[*mfa.StepUpError](err)
	if !ok || e.Purpose != mfa.ToConfirm("email_code_off") {
		t.Fatalf("%v, want a fresh proof", err)
	}
	s = l.by(t, s, e.Purpose, mfa.EmailCode)
	l.Inbox.Take()
	if err := s.SetMethod(t.Context(), mfa.EmailCode, false); err != nil {
		t.Fatal(err)
	}
	if n := l.notices(mfa.EventFactorRemoved, annMail); n != 1 {
		t.Errorf("told %d times", n)
	}
	l.in(t, "ann")
}

// TestRow_B5_OfferSMS: the code page offers text messages when the rules allow
// them, the profile has a number and the user's switch is on, which it is by
// default; otherwise it does not.
func TestRow_B5_OfferSMS(t *testing.T) {
	apps := func(c *mfa.Config) { c.Policy.Rules.Methods = []mfa.Method{mfa.TOTP} }
	for _, tc := range []struct {
		name   string
		option func(*mfa.Config)
		user   mfa.User
		off    bool
		want   bool
	}{
		{"all three", postal, annWith("", annPhone), false, true},
		{"not allowed", apps, annWith("", annPhone), false, false},
		{"no number", postal, annWith(annMail, ""), false, false},
		{"number not verified", postal, mfa.User{ID: "ann", Phone: annPhone}, false, false},
		{"switched off", postal, annWith("", annPhone), true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := newLab(t, tc.option)
			l.Users.Add(tc.user)
			if tc.off {
				if err := l.session.SetMethod(t.Context(), mfa.SMSCode, false); err != nil {
					t.Fatal(err)
				}
			}
			p := l.open(t)
			want := []mfa.Method{mfa.TOTP, mfa.BackupCode}
			if tc.want {
				want = []mfa.Method{mfa.TOTP, mfa.SMSCode, mfa.BackupCode}
			}
			if got := p.Need().Methods; !slices.Equal(got, want) {
				t.Fatalf("offered %v, want %v", got, want)
			}
			if !tc.want {
				_, err := p.Send(t.Context(), mfa.SMSCode)
				wants(t, err, mfa.ErrRefused, mfa.ReasonMethodNotAsked)
				return
			}
			out, err := p.Verify(t.Context(), l.send(t, p, mfa.SMSCode))
			s := must(t, out, err)
			if w, _ := switchOf(t, s, mfa.SMSCode); !w.Held || l.Inbox.Messages(annPhone)[0].Channel != mfa.SMSCode {
				t.Errorf("after the first accepted code: %+v", w)
			}
		})
	}
}

// TestRow_B6_NoNumber: a user without a number is told so, and adds one.
func TestRow_B6_NoNumber(t *testing.T) {
	book, option := profiled()
	l := newLab(t, postal, option)
	if w, ok := switchOf(t, l.session, mfa.SMSCode); !ok || w.On || w.Address != "" || w.Why != mfa.ReasonNoAddress {
		t.Errorf("%+v, %t, want that there is no number", w, ok)
	}
	l.session = l.enter(t, l.right())
	err := l.session.SetMethod(t.Context(), mfa.SMSCode, true)
	e, ok := errors.AsType[*mfa.StepUpError](err)
	if !ok || e.Purpose != mfa.ToEnroll(mfa.SMSCode) {
		t.Fatalf("%v, want to add a number", err)
	}
	out, err := l.session.StepUp(t.Context(), e.Purpose, "")
	p := atStep(t, out, err, mfa.StepEnroll, mfa.SMSCode)
	for _, bad := range []string{"", "912345678", "+0351912345678", annPhone + " ", annMail} {
		_, err := p.StartAddress(t.Context(), mfa.SMSCode, bad)
		wants(t, err, mfa.ErrInvalid, mfa.ReasonInvalidArgument)
	}
	_, err = p.Send(t.Context(), mfa.SMSCode)
	wants(t, err, mfa.ErrForbidden, mfa.ReasonNoAddress)
	pr := l.start(t, p, mfa.SMSCode, annPhone)
	if m := l.Inbox.Messages(annPhone)[0]; m.Kind != mfa.MessageProof {
		t.Errorf("a message of kind %s", m.Kind)
	}
	out, err = p.Verify(t.Context(), pr)
	s := must(t, out, err)
	if w, _ := switchOf(t, s, mfa.SMSCode); !w.On || !w.Held || w.Address != "+35 ••• ••• 78" || w.Why != "" {
		t.Errorf("added: %+v", w)
	}
	if u, _ := book.User(t.Context(), "ann"); u.Phone != annPhone || !u.PhoneVerified {
		t.Errorf("the profile has %q", u.Phone)
	}
}

// TestRow_B7_SMSOff: a user switches text messages off for herself, and on again.
func TestRow_B7_SMSOff(t *testing.T) {
	l := newLab(t, postal)
	l.Users.Add(annWith("", annPhone))
	if w, _ := switchOf(t, l.session, mfa.SMSCode); !w.On || w.Held {
		t.Errorf("by default %+v, want on and no factor", w)
	}
	if err := l.session.SetMethod(t.Context(), mfa.SMSCode, false); err != nil {
		t.Fatal(err)
	}
	if w, _ := switchOf(t, l.session, mfa.SMSCode); w.On || w.Why != "" {
		t.Errorf("switched off: %+v", w)
	}
	if got := l.open(t).Need().Methods; slices.Contains(got, mfa.SMSCode) {
		t.Errorf("offered %v", got)
	}
	if err := l.session.SetMethod(t.Context(), mfa.SMSCode, true); err != nil {
		t.Fatal(err)
	}
	if w, _ := switchOf(t, l.session, mfa.SMSCode); !w.On || !w.Held {
		t.Errorf("switched on: %+v", w)
	}
	if err := l.session.SetMethod(t.Context(), mfa.TOTP, false); !errors.Is(err, mfa.ErrInvalid) {
		t.Errorf("SetMethod of an app: %v", err)
	}
}

// TestRow_B7_OffOutlivesReset: whoever does not trust text messages does not get
// them back by a reset.
func TestRow_B7_OffOutlivesReset(t *testing.T) {
	l := newLab(t, postal)
	l.Users.Add(annWith("", annPhone))
	if err := l.session.SetMethod(t.Context(), mfa.SMSCode, false); err != nil {
		t.Fatal(err)
	}
	if err := l.Guard.Operator("desk", "lost").Reset(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	if a := l.account(t, "ann"); !a.Addresses["sms_code"].Off || a.Addresses["sms_code"].Held {
		t.Errorf("after the reset: %+v", a.Addresses["sms_code"])
	}
}

// TestRow_E9_SentLocked: a locked method says when to try again, another may be used
// at once, and starting the sign-in again makes guessing no cheaper.
func TestRow_E9_SentLocked(t *testing.T) {
	l := mailed(t)
	p := l.open(t)
	pr := l.send(t, p, mfa.EmailCode)
	for range 5 {
		_, err := p.Verify(t.Context(), off(pr))
		wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	}
	l.Clock.Advance(29 * time.Second)
	p = l.open(t)
	if got := p.Need().Methods; !slices.Equal(got, []mfa.Method{mfa.SMSCode, mfa.EmailCode}) {
		t.Errorf("offered %v, want the locked one last", got)
	}
	_, err := p.Send(t.Context(), mfa.EmailCode)
	waits(t, err, time.Second)
	wants(t, err, mfa.ErrThrottled, mfa.ReasonMethodLocked)
	_, err = p.Verify(t.Context(), pr)
	waits(t, err, time.Second)
	o, err := l.session.Overview(t.Context())
	if i := slices.IndexFunc(o.Methods, func(m mfa.MethodStatus) bool { return m.Method == mfa.EmailCode }); err != nil || i < 0 ||
		!o.Methods[i].Until.Equal(l.Clock.Now().Add(time.Second)) {
		t.Errorf("the page says %+v, %v", o.Methods, err)
	}
	out, err := p.Verify(t.Context(), l.send(t, p, mfa.SMSCode))
	must(t, out, err)
	l.Clock.Advance(31 * time.Second)
	p = l.open(t)
	_, err = p.Verify(t.Context(), off(l.send(t, p, mfa.EmailCode)))
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	_, err = l.open(t).Send(t.Context(), mfa.EmailCode)
	waits(t, err, time.Minute)
	wants(t, err, mfa.ErrThrottled, mfa.ReasonMethodLocked)
}
