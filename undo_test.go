package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// book is a directory that stores proven addresses.
type book struct{ *mfatest.Users }

// SetAddress implements mfa.Addresses.
func (b book) SetAddress(ctx context.Context, user string, m mfa.Method, address string) error {
	u, err := b.User(ctx, user)
	if err != nil {
		return err
	}
	if m == mfa.SMSCode {
		u.Phone, u.PhoneVerified = address, true
	} else {
		u.Email, u.EmailVerified = address, true
	}
	b.Add(u)
	return nil
}

// withBook returns a lab whose directory stores addresses. Ann has a password, an app
// and codes by mail.
func withBook(t testing.TB, options ...func(*mfa.Config)) *lab {
	t.Helper()
	l := withPassword(t, append(options, func(c *mfa.Config) { c.Users = book{c.Users.(*mfatest.Users)} })...)
	if err := l.session.SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
		t.Fatal(err)
	}
	l.Inbox.Take()
	return l
}

// move proves another mail address in ann's session, and returns the token of the
// link that the old one got, "" for none.
func (l *lab) move(t testing.TB, to string) string {
	t.Helper()
	out, err := l.session.StepUp(t.Context(), mfa.ToEnroll(mfa.EmailCode), "")
	if err == nil && out.Pending.Need().Step == mfa.StepVerify {
		out, err = out.Pending.Verify(t.Context(), l.right())
		l.Clock.Advance(l.app.Period())
	}
	if err == nil {
		_, err = out.Pending.StartAddress(t.Context(), mfa.EmailCode, to)
	}
	if err == nil {
		out, err = out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.EmailCode, Code: l.Inbox.Code(t, to)})
	}
	if err != nil {
		t.Fatalf("moving to %s: %v (%s)", to, err, mfa.ReasonOf(err))
	}
	l.session = out.Session
	for _, m := range l.Inbox.Take() {
		if m.Kind == mfa.MessageKind(mfa.EventAddressChanged) && m.Token() != "" {
			if m.To == to {
				t.Fatal("the new address got the link")
			}
			return m.Token()
		}
	}
	return ""
}

// mails returns where the directory and the library send mail.
func (l *lab) mails(t testing.TB) string {
	t.Helper()
	u, err := l.Users.User(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	job, err := l.Guard.Recover(t.Context(), "ann", mfa.Client{})
	if err != nil || job(t.Context()) != nil {
		t.Fatal(err)
	}
	to := "nowhere"
	for _, m := range l.Inbox.Take() {
		if m.Kind == mfa.MessageReset {
			to = m.To
		}
	}
	if to != u.Email {
		t.Errorf("links go to %s, and the directory says %s", to, u.Email)
	}
	return to
}

// TestR25_Undo: the link that an old address gets restores it for 72 hours, once.
// Everything ends, and the password must be changed after the second factor.
func TestR25_Undo(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration
		why   mfa.Reason
	}{
		{"at once", 0, ""}, {"a second before 72 hours", 72*time.Hour - time.Second, ""}, {"72 hours", 72 * time.Hour, mfa.ReasonNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := withBook(t)
			moved := l.Clock.Now()
			token := l.move(t, "mallory@example.org")
			l.Clock.Advance(moved.Add(c.after).Sub(l.Clock.Now()))
			reset := l.linkTo(t, "mallory@example.org")
			err := l.Guard.UndoAddress(t.Context(), token, mfatest.Phone())
			if c.why != "" {
				wants(t, err, mfa.ErrRefused, c.why)
				return
			}
			if err != nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			wants(t, l.Guard.UndoAddress(t.Context(), token, mfatest.Phone()), mfa.ErrRefused, mfa.ReasonNotFound)
			wants(t, l.Guard.ResetPassword(t.Context(), reset, newPassword, mfatest.Phone()), mfa.ErrRefused, mfa.ReasonNotFound)
			if _, err := l.Guard.Session(t.Context(), l.session.Token(), mfatest.Laptop()); !errors.Is(err, mfa.ErrNoSession) {
				t.Errorf("a session lives on: %v", err)
			}
			if n := l.kinds(t, "session") + l.kinds(t, "pending") + l.kinds(t, "browser") + l.kinds(t, "link"); n != 0 {
				t.Errorf("%d records are left", n)
			}
			l.Inbox.Take()
			if to := l.mails(t); to != "ann@example.org" {
				t.Errorf("mail goes to %s", to)
			}
			l.Clock.Advance(time.Minute)
			out, err := l.typed(t, "ann", oldPassword, false)
			if err != nil || out.Pending == nil || out.Pending.Need().Step != mfa.StepVerify {
				t.Fatalf("%v (%s), want the second factor to be asked for", err, mfa.ReasonOf(err))
			}
			if out, err = out.Pending.Verify(t.Context(), l.right()); err != nil || out.Pending == nil || out.Pending.Need().Step != mfa.StepNewPassword {
				t.Errorf("%v (%s), want a new password to be asked for", err, mfa.ReasonOf(err))
			}
		})
	}
}

// TestR25_UndoWithoutAFactor: whoever was in knows the password. She does not reach
// the form of a new one before the owner of the restored address has.
func TestR25_UndoWithoutAFactor(t *testing.T) {
	l := withBook(t)
	none := func(d *mfa.AccountData) {
		d.TOTP, d.Codes, d.CodeSet, d.Ask = nil, nil, "", false
		mail := d.Addresses["email_code"]
		mail.Held, mail.Off = false, true
		d.Addresses["email_code"] = mail
	}
	l.change(t, "ann", none)
	token := l.move(t, "mallory@example.org")
	l.change(t, "ann", none) // whoever moved it turns the codes off again
	if err := l.Guard.UndoAddress(t.Context(), token, mfatest.Phone()); err != nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	l.Clock.Advance(time.Minute)
	out, err := l.typed(t, "ann", oldPassword, false)
	if err != nil || out.Pending == nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	_, err = out.Pending.SetPassword(t.Context(), newPassword)
	wants(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
	out, err = out.Pending.Verify(t.Context(), l.send(t, out.Pending, mfa.EmailCode)) // to ann@example.org
	if err != nil || out.Pending == nil || out.Pending.Need().Step != mfa.StepNewPassword {
		t.Fatalf("%v (%s), want a new password to be asked for", err, mfa.ReasonOf(err))
	}
	if out, err = out.Pending.SetPassword(t.Context(), newPassword); err != nil || out.Session == nil {
		t.Errorf("%v (%s)", err, mfa.ReasonOf(err))
	}
}

// linkTo has a link to a new password mailed to an address.
func (l *lab) linkTo(t testing.TB, to string) string {
	t.Helper()
	token := l.link(t)
	return token
}

// TestR25_UndoOrder: somebody who is in moves the address twice, and so gets a link
// of his own. It does not undo the undoing, in whatever order they are used.
func TestR25_UndoOrder(t *testing.T) {
	for name, first := range map[string]int{"hers first": 0, "his first": 1} {
		t.Run(name, func(t *testing.T) {
			l := withBook(t)
			links := []string{l.move(t, "mallory@example.org"), l.move(t, "mallory@example.net")}
			for n, i := range []int{first, 1 - first} {
				err := l.Guard.UndoAddress(t.Context(), links[i], mfatest.Phone())
				if i == 0 && err != nil {
					t.Errorf("her link: %v (%s)", err, mfa.ReasonOf(err))
				} else if i == 1 && n == 1 {
					wants(t, err, mfa.ErrRefused, mfa.ReasonNotFound)
				}
			}
			l.Inbox.Take()
			if to := l.mails(t); to != "ann@example.org" {
				t.Errorf("mail goes to %s", to)
			}
		})
	}
}

// TestR25_ThreeUndoLinks: at most three addresses can undo what came after them. The
// first ones keep that, and a fourth is told without a link.
func TestR25_ThreeUndoLinks(t *testing.T) {
	l := withBook(t)
	var links []string
	for i := range 5 {
		links = append(links, l.move(t, fmt.Sprintf("mallory%d@example.org", i)))
	}
	for i, token := range links {
		if (token != "") != (i < 3) {
			t.Errorf("change %d: link %t, want %t", i+1, token != "", i < 3)
		}
	}
	l.Clock.Advance(72 * time.Hour)
	l.session = l.enter(t, l.right())
	if l.move(t, "mallory9@example.org") == "" {
		t.Error("no link after the first were over")
	}
}

// TestR25_LinkKinds: a token does what it was made for, for whom it was made.
func TestR25_LinkKinds(t *testing.T) {
	l := withBook(t)
	undo := l.move(t, "ann@example.net")
	reset := l.link(t)
	before := fmt.Sprint(l.account(t, "ann"))
	wants(t, l.Guard.UndoAddress(t.Context(), reset, mfatest.Phone()), mfa.ErrRefused, mfa.ReasonNotFound)
	wants(t, l.Guard.ResetPassword(t.Context(), undo, newPassword, mfatest.Phone()), mfa.ErrRefused, mfa.ReasonNotFound)
	other := withBook(t)
	for _, token := range []string{undo, reset} {
		for _, err := range []error{
			other.Guard.UndoAddress(t.Context(), token, mfatest.Phone()),
			other.Guard.ResetPassword(t.Context(), token, newPassword, mfatest.Phone()),
		} {
			wants(t, err, mfa.ErrRefused, mfa.ReasonUnknownKey)
		}
		_, err := l.Guard.Session(t.Context(), token, mfatest.Phone())
		wants(t, err, mfa.ErrNoSession, mfa.ReasonForgedToken)
		_, err = l.Guard.Pending(t.Context(), token, "", mfatest.Phone())
		wants(t, err, mfa.ErrNoPending, mfa.ReasonForgedToken)
		if _, err := l.stranger(t, "ann", oldPassword); err != nil {
			t.Fatal(err)
		}
	}
	if after := fmt.Sprint(l.account(t, "ann")); after != before && l.account(t, "ann").Changes != 1 {
		t.Errorf("the account changed: %s, was %s", after, before)
	}
	// Both are still good.
	if err := l.Guard.ResetPassword(t.Context(), reset, newPassword, mfatest.Phone()); err != nil {
		t.Errorf("%v (%s)", err, mfa.ReasonOf(err))
	}
	if err := l.Guard.UndoAddress(t.Context(), undo, mfatest.Phone()); err != nil {
		t.Errorf("a new password ended the link that restores the address: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestR25_LinkIsItsUsers: bob's link is nothing to ann, even when his record is put
// among hers.
func TestR25_LinkIsItsUsers(t *testing.T) {
	l := withPassword(t)
	l.link(t)
	records := recordsOf(t, l.Config.Store, "ann")
	for _, r := range records {
		if r.Kind == mfa.LinkKind {
			r.Owner = "u/bob"
			overwrite(t, l.Config.Store, r)
		}
	}
	l.Users.Add(mfa.User{ID: "bob", Email: "bob@example.org", EmailVerified: true})
	if err := l.Guard.SetPassword(t.Context(), "bob", oldPassword); err != nil {
		t.Errorf("a link that cannot be read: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestR25_UndoSchedules: in whatever order their store calls come, the address is
// restored and nothing of whoever was in is left.
func TestR25_UndoSchedules(t *testing.T) {
	type deed = func(ctx context.Context, l *lab, undo, reset string) error
	undo := func(ctx context.Context, l *lab, undo, _ string) error {
		return l.Guard.UndoAddress(ctx, undo, mfatest.Phone())
	}
	for name, other := range map[string]deed{
		"undo": undo,
		"reset": func(ctx context.Context, l *lab, _, reset string) error {
			return l.Guard.ResetPassword(ctx, reset, newPassword, mfatest.Phone())
		},
		"sign-in": func(ctx context.Context, l *lab, _, _ string) error {
			_, err := l.Guard.SignInPassword(ctx, "ann", oldPassword, mfa.SignIn{})
			return err
		},
		"change": func(ctx context.Context, l *lab, _, _ string) error {
			_, err := l.session.ChangePassword(ctx, oldPassword, newPassword)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := mfatest.Schedules(t, func(wrap func(mfa.Store) mfa.Store) mfatest.Race {
				l := withBook(t, func(c *mfa.Config) { c.Store = wrap(c.Store) })
				token := l.move(t, "mallory@example.org")
				reset := l.link(t)
				var a, b error
				return mfatest.Race{
					A: func(ctx context.Context) { a = undo(ctx, l, token, reset) },
					B: func(ctx context.Context) { b = other(ctx, l, token, reset) },
					Check: func(string) {
						if a != nil && (name != "undo" || b != nil) {
							t.Errorf("%v and %v", a, b)
						}
						if name == "undo" && a == nil && b == nil {
							t.Error("the link worked twice")
						}
						if d := l.account(t, "ann"); l.kinds(t, "session") != 0 || !d.Compromised {
							t.Errorf("%d sessions, compromised %t", l.kinds(t, "session"), d.Compromised)
						}
						l.Inbox.Take()
						if to := l.mails(t); to != "ann@example.org" {
							t.Errorf("mail goes to %s", to)
						}
					},
				}
			})
			t.Logf("%d schedules", n)
		})
	}
}
