package mfa_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestR6_TwentyFailures: 20 failed second factors after the right password, and the
// password is replaced at the next full sign-in: after the second factor, before the
// session. A weak one is refused and loses nothing; everything else ends with it.
func TestR6_TwentyFailures(t *testing.T) {
	l := withPassword(t)
	other := l.enter(t, l.right())
	for n := range 20 {
		if l.account(t, "ann").Compromised {
			t.Fatalf("after %d", n)
		}
		l.Clock.Advance(time.Hour)
		if n == 10 { // a success between sets nothing back
			l.enter(t, l.right())
		}
		out, err := l.typed(t, "ann", oldPassword, true)
		if err == nil {
			_, err = out.Pending.Verify(t.Context(), l.wrong())
		}
		wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	}
	if !l.account(t, "ann").Compromised {
		t.Fatal("after 20")
	}
	l.Clock.Advance(time.Hour)
	out, err := l.typed(t, "ann", oldPassword, true)
	if err != nil || out.Pending.Need().Step != mfa.StepVerify {
		t.Fatalf("%v (%s), want the code first", err, mfa.ReasonOf(err))
	}
	_, err = out.Pending.SetPassword(t.Context(), newPassword)
	wants(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
	if out, err = out.Pending.Verify(t.Context(), l.right()); err != nil || out.Pending == nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	if n := out.Pending.Need(); n.Step != mfa.StepNewPassword || n.Why != mfa.ReasonCompromised {
		t.Fatalf("at %+v", n)
	}
	token, before := out.Pending.Token(), len(recordsOf(t, l.Config.Store, "ann"))
	for _, weak := range []string{"", "short", "tramwaytramway", "tramway-Moss-1912\xff"} {
		_, err := l.pending(t, token).SetPassword(t.Context(), weak)
		if w, ok := errors.AsType[*mfa.WeakPasswordError](err); !ok || len(w.Unmet) == 0 {
			t.Errorf("%q: %v", weak, err)
		}
	}
	if _, err := l.Guard.Session(t.Context(), other.Token(), mfatest.Laptop()); err != nil || len(recordsOf(t, l.Config.Store, "ann")) != before {
		t.Errorf("a weak one ended something: %v", err)
	}
	if out, err = l.pending(t, token).SetPassword(t.Context(), newPassword); err != nil || out.Session == nil || out.Browser() == "" {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	_, err = l.Guard.Pending(t.Context(), token, "", mfatest.Laptop())
	wants(t, err, mfa.ErrNoPending, mfa.ReasonAlreadyCompleted)
	if _, err := l.Guard.Session(t.Context(), other.Token(), mfatest.Laptop()); !errors.Is(err, mfa.ErrNoSession) {
		t.Errorf("a session of before: %v", err)
	}
	if l.kinds(t, "session") != 1 || l.kinds(t, "browser") != 1 || l.account(t, "ann").Compromised || len(l.account(t, "ann").Failures) != 0 {
		t.Errorf("%d sessions, %d browsers, %+v", l.kinds(t, "session"), l.kinds(t, "browser"), l.account(t, "ann"))
	}
	told := l.Inbox.Take()
	if slices.ContainsFunc(told, func(m mfa.Message) bool { return m.Kind == mfa.MessageKind(mfa.EventNewDevice) }) {
		t.Error("told of a new device, which it is not")
	}
	_, err = l.typed(t, "ann", oldPassword, false)
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongPassword)
}

// TestR6_WhoReachesNewPassword: who comes to the form of a new password, and who never.
func TestR6_WhoReachesNewPassword(t *testing.T) {
	sso := mfa.SSOFirst("idp", nil, "", time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
	for _, c := range []struct {
		name    string
		suspect bool
		factor  bool
		first   mfa.First
		prove   bool
		step    mfa.Step // 0: the session
	}{
		{"no suspicion", false, true, mfa.PasswordFirst(), true, 0},
		{"without the code", true, true, mfa.PasswordFirst(), false, mfa.StepVerify},
		{"with the code", true, true, mfa.PasswordFirst(), true, mfa.StepNewPassword},
		{"no factor held, before the code to her address", true, false, mfa.PasswordFirst(), false, mfa.StepVerify},
		{"no factor held, after it", true, false, mfa.PasswordFirst(), true, mfa.StepNewPassword},
		{"no factor held and no address", true, false, mfa.PasswordFirst(), false, mfa.StepNewPassword},
		{"single sign-on", true, true, sso, true, 0},
		{"single sign-on, no factor", true, false, sso, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := withPassword(t)
			l.change(t, "ann", func(d *mfa.AccountData) {
				d.Compromised = c.suspect
				if !c.factor {
					d.TOTP, d.Codes, d.CodeSet, d.Ask = nil, nil, "", false
				}
			})
			if strings.HasSuffix(c.name, "no address") {
				l.Users.Add(mfa.User{ID: "ann"})
			}
			out, err := l.Guard.SignIn(t.Context(), mfa.SignIn{User: "ann", First: c.first, Browsers: l.Browsers("ann")})
			if err != nil {
				t.Fatal(err)
			}
			if c.prove {
				proof := l.right()
				if !c.factor {
					proof = l.send(t, out.Pending, mfa.EmailCode)
				}
				if out, err = out.Pending.Verify(t.Context(), proof); err != nil {
					t.Fatal(err)
				}
			}
			var step mfa.Step
			if out.Pending != nil {
				step = out.Pending.Need().Step
			}
			if step != c.step {
				t.Fatalf("at %q, want %q", step, c.step)
			}
			if out.Pending == nil {
				return
			}
			_, err = out.Pending.SetPassword(t.Context(), newPassword)
			if (err == nil) != (step == mfa.StepNewPassword) {
				t.Errorf("setting one: %v (%s)", err, mfa.ReasonOf(err))
			}
		})
	}
	// A session never comes there.
	l := withPassword(t)
	l.change(t, "ann", func(d *mfa.AccountData) { d.Compromised = true })
	for _, p := range []mfa.Purpose{mfa.ToConfirm("x"), mfa.ToEnroll(mfa.TOTP), mfa.ToEnter("acme")} {
		l.Users.Add(mfa.User{ID: "ann", Orgs: inAcme()})
		l.Clock.Advance(10 * time.Minute)
		out, err := l.session.StepUp(t.Context(), p, "")
		if err == nil && out.Pending != nil {
			_, err := out.Pending.SetPassword(t.Context(), newPassword)
			wants(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
		} else if err != nil {
			t.Errorf("%v: %v (%s)", p, err, mfa.ReasonOf(err))
		}
	}
}

// TestR17_HostProvesPasswords: a host that compares passwords itself gives the library
// none. Nothing is stored, and what takes a password answers that there is none.
func TestR17_HostProvesPasswords(t *testing.T) {
	l := newLab(t, postal)
	if _, err := l.session.ChangePassword(t.Context(), oldPassword, newPassword); !errors.Is(err, mfa.ErrForbidden) || mfa.ReasonOf(err) != mfa.ReasonNoPassword {
		t.Errorf("ChangePassword: %v (%s)", err, mfa.ReasonOf(err))
	}
	out, err := l.session.NewBackupCodes(t.Context(), "whatever")
	if err != nil || out.Pending.BackupCodes().Len() != 10 {
		t.Fatalf("NewBackupCodes: %v (%s)", err, mfa.ReasonOf(err))
	}
	if _, err := out.Pending.SaveCodes(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = l.stranger(t, "ann", oldPassword)
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongPassword)
	if job, err := l.Guard.Recover(t.Context(), "ann", mfa.Client{}); err != nil || job(t.Context()) != nil || len(l.Inbox.Take()) != 0 {
		t.Errorf("Recover: %v", err)
	}

	l.change(t, "ann", func(d *mfa.AccountData) { d.Compromised = true })
	l.Clock.Advance(time.Minute)
	if out, err = l.guess(t, l.right()); err != nil || out.Pending.Need().Step != mfa.StepNewPassword {
		t.Fatalf("%v (%s), want a new password to be asked for", err, mfa.ReasonOf(err))
	}
	_, err = out.Pending.SetPassword(t.Context(), newPassword)
	wants(t, err, mfa.ErrForbidden, mfa.ReasonNoPassword)
	if err := l.Guard.CredentialsChanged(t.Context(), "ann"); err != nil { // after the host's own form
		t.Fatal(err)
	}
	l.Clock.Advance(time.Minute)
	if out, err = l.guess(t, l.right()); err != nil || out.Session == nil {
		t.Errorf("after the host's own form: %v (%s)", err, mfa.ReasonOf(err))
	}
	if p := l.account(t, "ann").Password; p.Sealed != nil || p.Past != nil || p.Mailed {
		t.Errorf("the account holds %+v", p)
	}

	// A Need for the password is answered by the host.
	out, err = l.signIn(t, "bob")
	if err != nil || out.Session == nil {
		t.Fatal(err)
	}
	l.Clock.Advance(6 * time.Minute)
	s := out.Session
	if out, err = s.StepUp(t.Context(), mfa.ToConfirm("x"), ""); err != nil || !slices.Equal(out.Pending.Need().Methods, []mfa.Method{mfa.Password}) {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	_, err = out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.Password, Code: oldPassword})
	wants(t, err, mfa.ErrRefused, mfa.ReasonMethodNotAsked)
	if out, err = out.Pending.Reauthenticated(t.Context(), mfa.PasswordFirst()); err != nil || out.Session == nil {
		t.Errorf("Reauthenticated: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestR13_PasswordSchedules: in whatever order the store calls of two operations come,
// no session lives that began with a password which is not the password any more.
func TestR13_PasswordSchedules(t *testing.T) {
	type deed = func(ctx context.Context, l *lab, link, other string) (mfa.Outcome, error)
	change := func(ctx context.Context, l *lab, _, _ string) (mfa.Outcome, error) {
		return l.session.ChangePassword(ctx, oldPassword, newPassword)
	}
	reset := func(ctx context.Context, l *lab, link, _ string) (mfa.Outcome, error) {
		return mfa.Outcome{}, l.Guard.ResetPassword(ctx, link, newPassword, mfatest.Phone())
	}
	set := func(ctx context.Context, l *lab, _, _ string) (mfa.Outcome, error) {
		return mfa.Outcome{}, l.Guard.SetPassword(ctx, "ann", newPassword)
	}
	typed := func(ctx context.Context, l *lab, _, _ string) (mfa.Outcome, error) {
		return l.Guard.SignInPassword(ctx, "ann", oldPassword, mfa.SignIn{})
	}
	host := func(ctx context.Context, l *lab, _, _ string) (mfa.Outcome, error) {
		return l.Guard.SignIn(ctx, mfa.SignIn{User: "ann", First: mfa.PasswordFirst()})
	}
	revoke := func(ctx context.Context, l *lab, _, other string) (mfa.Outcome, error) {
		return mfa.Outcome{}, l.session.Revoke(ctx, other)
	}
	for _, c := range []struct {
		name  string
		a, b  deed
		keeps int  // sessions afterwards
		host  bool // compares passwords itself
	}{
		{"SignInPassword, ChangePassword", typed, change, 1, false}, {"SignInPassword, ResetPassword", typed, reset, 0, false},
		{"SignInPassword, SetPassword", typed, set, 0, false}, {"ChangePassword, Revoke", revoke, change, 1, false},
		{"ResetPassword, SignIn", host, reset, 0, true}, {"ChangePassword, ResetPassword", change, reset, 0, false},
		{"ChangePassword twice", change, change, 1, false},
	} {
		for _, own := range []bool{false, true} {
			name := c.name + ", the library's hashes"
			if own {
				name = c.name + ", the host's hashes"
			}
			t.Run(name, func(t *testing.T) {
				n := mfatest.Schedules(t, func(wrap func(mfa.Store) mfa.Store) mfatest.Race {
					return passwordRace(t, c.a, c.b, c.keeps, c.host, own, wrap)
				})
				t.Logf("%d schedules", n)
			})
		}
	}
}

// passwordRace is one schedule. Ann holds no factor, so that a password leads to a
// session at once.
func passwordRace(t *testing.T, a, b func(context.Context, *lab, string, string) (mfa.Outcome, error), keeps int, host, own bool, wrap func(mfa.Store) mfa.Store) mfatest.Race {
	l := emptyLab(t, postal, func(c *mfa.Config) {
		c.Store = wrap(c.Store)
		if own {
			c.Passwords = &hostHashes{}
		}
	})
	l.Users.Add(mfa.User{ID: "ann", Email: "ann@example.org", EmailVerified: true})
	if err := l.Guard.SetPassword(t.Context(), "ann", oldPassword); err != nil {
		t.Fatal(err)
	}
	enter := func() *mfa.Session {
		out, err := l.typed(t, "ann", oldPassword, false)
		if err != nil {
			t.Fatal(err)
		}
		return out.Session
	}
	l.session = enter()
	other, link := enter().ID(), l.link(t)
	var first, second result
	return mfatest.Race{
		A: func(ctx context.Context) { first.out, first.err = a(ctx, l, link, other) },
		B: func(ctx context.Context) { second.out, second.err = b(ctx, l, link, other) },
		Check: func(string) {
			if second.err != nil && first.err != nil {
				t.Errorf("%v (%s) and %v (%s)", first.err, mfa.ReasonOf(first.err), second.err, mfa.ReasonOf(second.err))
			}
			left := l.kinds(t, "session")
			if second.err != nil {
				keeps = 1 // the change came first, and ended the link
			}
			if host && first.alive(t, l) {
				left-- // it came after, and the host compared what is now the password
			}
			if left > keeps {
				t.Errorf("%d sessions are left, want %d", left, keeps)
			}
			if _, err := l.typed(t, "ann", oldPassword, false); !errors.Is(err, mfa.ErrRefused) {
				t.Errorf("the old password: %v", err)
			}
			if _, err := l.typed(t, "ann", newPassword, false); err != nil {
				t.Errorf("the new password: %v (%s)", err, mfa.ReasonOf(err))
			}
		},
	}
}
