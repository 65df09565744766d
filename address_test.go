package mfa_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A profile is a directory that stores addresses which users have proven.
type profile struct {
	*mfatest.Users
	fail   error
	before func()
	stored []string
}

func (p *profile) SetAddress(ctx context.Context, id string, m mfa.Method, to string) error {
	if p.before != nil {
		p.before()
	}
	if p.fail != nil {
		return p.fail
	}
	u, err := p.User(ctx, id)
	if err != nil {
		return err
	}
	if m == mfa.SMSCode {
		u.Phone, u.PhoneVerified = to, true
	} else {
		u.Email, u.EmailVerified = to, true
	}
	p.stored = append(p.stored, to)
	p.Add(u)
	return nil
}

// profiled returns an option that makes the directory of a kit a profile.
func profiled() (*profile, func(*mfa.Config)) {
	p := &profile{}
	return p, func(c *mfa.Config) { p.Users, c.Users = c.Users.(*mfatest.Users), p }
}

const newMail = "ann@new.example"

// changing takes ann of a mailed lab to where she has typed another mail address,
// and returns the flow and the code that she was sent there.
func (l *lab) changing(t *testing.T, to string) (*mfa.Pending, mfa.Proof) {
	t.Helper()
	l.session = l.by(t, l.session, mfa.ToConfirm("change"), mfa.EmailCode)
	l.unsent(t)
	out, err := l.session.StepUp(t.Context(), mfa.ToEnroll(mfa.EmailCode), "")
	p := atStep(t, out, err, mfa.StepEnroll, mfa.EmailCode)
	return p, l.start(t, p, mfa.EmailCode, to)
}

// goesTo fails unless codes of ann's sign-in by mail go to an address.
func (l *lab) goesTo(t *testing.T, want string) {
	t.Helper()
	l.unsent(t)
	l.Inbox.Take()
	p := l.open(t)
	pr := l.send(t, p, mfa.EmailCode)
	if got := l.Inbox.Code(t, want); got != pr.Code {
		t.Fatalf("the code went elsewhere than to %s", want)
	}
	out, err := p.Verify(t.Context(), pr)
	must(t, out, err)
}

// notices counts the notices of a kind to a destination, and empties the inbox.
func (l *lab) notices(kind mfa.EventName, to string) int {
	return len(slices.DeleteFunc(l.Inbox.Take(), func(m mfa.Message) bool { return m.To != to || m.Kind != mfa.MessageKind(kind) }))
}

// TestR7_AddressPinned: R7 sends codes to the address that is pinned and to no
// other. When the directory names another the method is unusable and still held,
// the pinned address is told once, and nobody gets in or enrolls by the password
// alone. Changed back, all is as before.
func TestR7_AddressPinned(t *testing.T) {
	l := mailed(t)
	l.change(t, "ann", func(d *mfa.AccountData) {
		a := d.Addresses["sms_code"]
		a.Off = true
		d.Addresses["sms_code"] = a
	})
	for range 2 {
		l.Users.Add(annWith("eve@example.net", annPhone))
		l.Inbox.Take()
		for try := range 3 {
			_, err := l.signIn(t, "ann")
			wants(t, err, mfa.ErrRefused, mfa.ReasonNoUsableFactor)
			if got, want := l.notices(mfa.EventAddressChanged, annMail), map[int]int{0: 1}[try]; got != want {
				t.Errorf("sign-in %d: %d notices to the pinned address, want %d", try, got, want)
			}
		}
		l.Users.Add(annWith("Ann@example.org", annPhone)) // bytes, not mailboxes
		_, err := l.signIn(t, "ann")
		wants(t, err, mfa.ErrRefused, mfa.ReasonNoUsableFactor)
		l.Users.Add(annWith(annMail, annPhone))
		l.goesTo(t, annMail)
	}
}

// TestR7_CodeOfTheOldAddress: a code that is under way when the directory changes
// opens nothing.
func TestR7_CodeOfTheOldAddress(t *testing.T) {
	l := mailed(t)
	p := l.open(t)
	pr := l.send(t, p, mfa.EmailCode)
	l.Users.Add(annWith("eve@example.net", annPhone))
	_, err := l.verify(t.Context(), p.Token(), pr)
	wants(t, err, mfa.ErrRefused, mfa.ReasonMethodNotAsked)
	_, err = l.pending(t, p.Token()).Send(t.Context(), mfa.EmailCode)
	wants(t, err, mfa.ErrRefused, mfa.ReasonMethodNotAsked)
	l.Users.Add(annWith(annMail, annPhone))
	out, err := l.verify(t.Context(), p.Token(), pr)
	must(t, out, err)
}

// TestR7_NewAddress: a new address is pinned as new, stored by the host, and then
// pinned. Until then the old one is where codes go, and it is told.
func TestR7_NewAddress(t *testing.T) {
	book, option := profiled()
	l := mailed(t, option)
	p, pr := l.changing(t, newMail)
	asked := 0
	book.before = func() {
		asked++
		a := l.account(t, "ann").Addresses["email_code"]
		was, err := mfa.OpenSealed(l.Guard, a.Sealed, "ann", "address", "email_code")
		next, err2 := mfa.OpenSealed(l.Guard, a.New, "ann", "address", "email_code")
		if string(was) != annMail || string(next) != newMail || errors.Join(err, err2) != nil {
			t.Errorf("while the host stores it: pinned %q, new %q", was, next)
		}
		l.goesTo(t, annMail)
	}
	l.Inbox.Take()
	out, err := p.Verify(t.Context(), pr)
	l.session = must(t, out, err)
	if asked != 1 || !slices.Equal(book.stored, []string{newMail}) {
		t.Errorf("the host was asked %d times and stored %q", asked, book.stored)
	}
	if n := l.notices(mfa.EventAddressChanged, annMail); n != 1 {
		t.Errorf("the old address was told %d times", n)
	}
	l.goesTo(t, newMail)
}

// TestR7_NewAddressCrash: when the host cannot store a new address, or the process
// ends before or after it did, the directory says where codes go. The one that was
// pinned before stays good, and is told when it is not any more.
func TestR7_NewAddressCrash(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(b *profile, l *lab)
		to    string
	}{
		{"host fails", func(b *profile, _ *lab) { b.fail = errors.New("taken") }, annMail},
		{"first commit fails", func(_ *profile, l *lab) { l.FailStore(errors.New("down")) }, annMail},
		{"second commit fails", func(b *profile, l *lab) { b.before = func() { l.FailStore(errors.New("down")) } }, newMail},
		{"flow ends meanwhile", func(b *profile, l *lab) {
			b.before = func() {
				if err := l.session.SignOut(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}, newMail},
	} {
		t.Run(tc.name, func(t *testing.T) {
			book, option := profiled()
			l := mailed(t, option)
			p, pr := l.changing(t, newMail)
			tc.spoil(book, l)
			out, err := p.Verify(t.Context(), pr)
			if err == nil || out != (mfa.Outcome{}) {
				t.Fatalf("%v, want a failure", out)
			}
			l.FailStore(nil)
			book.fail, book.before = nil, nil
			l.Inbox.Take()
			l.goesTo(t, tc.to)
			if n := l.notices(mfa.EventAddressChanged, annMail); tc.to == newMail && n != 1 {
				t.Errorf("the old address was told %d times that it is none any more", n)
			}
			if tc.name == "first commit fails" && len(book.stored) > 0 {
				t.Error("the host stored what is not pinned as new")
			}
		})
	}
}

// TestR7_NewAddressUnpinned: of a user for whom nothing is pinned, the number that
// the host has verified stays good when it fails to store another.
func TestR7_NewAddressUnpinned(t *testing.T) {
	book, option := profiled()
	l := mailed(t, option)
	l.session = l.by(t, l.session, mfa.ToConfirm("change"), mfa.EmailCode)
	out, err := l.session.StepUp(t.Context(), mfa.ToEnroll(mfa.SMSCode), "")
	p := atStep(t, out, err, mfa.StepEnroll, mfa.SMSCode)
	book.fail = errors.New("taken")
	_, err = p.Verify(t.Context(), l.start(t, p, mfa.SMSCode, bobPhone))
	wants(t, err, mfa.ErrUnavailable, mfa.ReasonDirectoryFailed)
	p = l.open(t)
	l.send(t, p, mfa.SMSCode)
	if p.Sent().To != "+35 ••• ••• 78" {
		t.Errorf("codes go to %s", p.Sent().To)
	}
}

// TestR7_NoAddressBook: without a host that stores addresses the account keeps one
// that the directory lacks. Where the directory names one, another is refused: it
// would be a factor and out of use at once, and its user locked out.
func TestR7_NoAddressBook(t *testing.T) {
	l := mailed(t)
	l.session = l.by(t, l.session, mfa.ToConfirm("change"), mfa.EmailCode)
	out, err := l.session.StepUp(t.Context(), mfa.ToEnroll(mfa.EmailCode), "")
	p := atStep(t, out, err, mfa.StepEnroll, mfa.EmailCode)
	_, err = p.StartAddress(t.Context(), mfa.EmailCode, newMail)
	wants(t, err, mfa.ErrForbidden, mfa.ReasonAddressChanged)

	l.Users.Add(mfa.User{ID: "bob"})
	s := l.in(t, "bob")
	out, err = s.StepUp(t.Context(), mfa.ToEnroll(mfa.SMSCode), "")
	p = atStep(t, out, err, mfa.StepEnroll, mfa.SMSCode)
	out, err = p.Verify(t.Context(), l.start(t, p, mfa.SMSCode, bobPhone))
	must(t, out, err)
	out, err = l.signIn(t, "bob")
	p = atStep(t, out, err, mfa.StepVerify, mfa.SMSCode)
	l.Clock.Advance(time.Minute)
	out, err = p.Verify(t.Context(), l.send(t, p, mfa.SMSCode))
	must(t, out, err)
	l.Users.Add(mfa.User{ID: "bob", Phone: annPhone, PhoneVerified: true})
	_, err = l.signIn(t, "bob")
	wants(t, err, mfa.ErrRefused, mfa.ReasonNoUsableFactor)
}

// TestR7_UnprovenIsNoDestination: an address that nobody has proven gets no code
// but one that proves it, and never at the code page.
func TestR7_UnprovenIsNoDestination(t *testing.T) {
	for name, u := range map[string]mfa.User{
		"unverified": {ID: "ann", Email: annMail, Phone: annPhone},
		"malformed":  {ID: "ann", Email: "ann", EmailVerified: true, Phone: "912345678", PhoneVerified: true},
		"none":       {ID: "ann"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, postal)
			l.Users.Add(u)
			for _, m := range []mfa.Method{mfa.EmailCode, mfa.SMSCode} {
				p := l.open(t)
				if n := p.Need(); !slices.Equal(n.Methods, []mfa.Method{mfa.TOTP, mfa.BackupCode}) {
					t.Errorf("offered %v", n.Methods)
				}
				_, err := p.Send(t.Context(), m)
				wants(t, err, mfa.ErrRefused, mfa.ReasonMethodNotAsked)
				_, err = p.StartAddress(t.Context(), m, map[mfa.Method]string{mfa.EmailCode: newMail, mfa.SMSCode: bobPhone}[m])
				wants(t, err, mfa.ErrRefused, mfa.ReasonMethodNotAsked)
				err = l.session.SetMethod(t.Context(), m, true)
				if e, ok := errors.AsType[*mfa.StepUpError](err); !ok || e.Purpose != mfa.ToEnroll(m) {
					t.Errorf("turning %v on: %v, want to prove an address", m, err)
				}
			}
		})
	}
}

// TestR29_ReplacedListedAddressIsTold: the address that the host has verified is told
// when another takes its place, and gets the link that undoes it, also when no code
// ever went there.
func TestR29_ReplacedListedAddressIsTold(t *testing.T) {
	_, option := profiled()
	l := newLab(t, option, postal)
	l.Users.Add(annWith(annMail, ""))
	out, err := l.session.StepUp(t.Context(), mfa.ToEnroll(mfa.EmailCode), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Pending.StartAddress(t.Context(), mfa.EmailCode, newMail); err != nil {
		t.Fatal(err)
	}
	pr := mfa.Proof{Method: mfa.EmailCode, Code: l.Inbox.Code(t, newMail)}
	if _, err := out.Pending.Verify(t.Context(), pr); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(l.Inbox.Messages(annMail), func(m mfa.Message) bool { return m.Kind == mfa.MessageKind(mfa.EventAddressChanged) })
	if i < 0 || l.Inbox.Messages(annMail)[i].Token() == "" {
		t.Errorf("the old address was told %v, want the change and a link", l.Inbox.Messages(annMail))
	}
}
