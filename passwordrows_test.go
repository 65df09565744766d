package mfa_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

const (
	oldPassword = "tramway-Moss-1912"
	newPassword = "Quartz!Lantern!88"
)

// withPassword returns a lab in which the library keeps ann's password.
func withPassword(t testing.TB, options ...func(*mfa.Config)) *lab {
	t.Helper()
	l := newLab(t, append(options, postal)...)
	l.Users.Add(mfa.User{ID: "ann", Name: "ann@example.org", Email: "ann@example.org", EmailVerified: true})
	if err := l.Guard.SetPassword(t.Context(), "ann", oldPassword); err != nil {
		t.Fatal(err)
	}
	l.session = l.enter(t, l.right())
	l.Inbox.Take()
	return l
}

// typed signs in with a login and a password, from a laptop that ann is known on if
// known.
func (l *lab) typed(t testing.TB, login, password string, known bool) (mfa.Outcome, error) {
	t.Helper()
	in := mfa.SignIn{Client: mfatest.Laptop()}
	if known {
		in.Browsers = l.Browsers("ann")
	}
	return l.Guard.SignInPassword(t.Context(), login, password, in)
}

// TestRow_A1_ChangePassword: the page ticks off what a new password meets, says
// which requirement one misses, and changes it. Everything else of hers ends.
func TestRow_A1_ChangePassword(t *testing.T) {
	l := withPassword(t, func(c *mfa.Config) { c.Policy.Password = mfa.PolicyClassic().Password })
	met := func(password string) map[mfa.Reason]bool {
		all, err := l.Guard.CheckPassword(t.Context(), "ann", password)
		if err != nil {
			t.Fatal(err)
		}
		m := make(map[mfa.Reason]bool)
		for _, r := range all {
			m[r.Reason] = r.Met
		}
		return m
	}
	for _, c := range []struct {
		password string
		misses   mfa.Reason
	}{
		{"Kx7yqpz", mfa.ReasonPasswordTooShort}, {"kx7yqpzv", mfa.ReasonPasswordNoUpper}, {"KX7YQPZV", mfa.ReasonPasswordNoLower},
		{"KxTyqpzv", mfa.ReasonPasswordNoDigit}, {"Kx7yqpzv", ""},
	} {
		for reason, ok := range met(c.password) {
			if ok == (reason == c.misses) {
				t.Errorf("%s: %s is met: %t", c.password, reason, ok)
			}
		}
	}
	other := l.enter(t, l.right())
	_, err := l.session.ChangePassword(t.Context(), newPassword, newPassword)
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongPassword)
	_, err = l.session.ChangePassword(t.Context(), oldPassword, "kx7yqpzv")
	weak, ok := errors.AsType[*mfa.WeakPasswordError](err)
	if !ok || len(weak.Unmet) != 1 || weak.Unmet[0].Reason != mfa.ReasonPasswordNoUpper || weak.Unmet[0].Sentence == "" {
		t.Fatalf("a weak password: %v", err)
	}
	out, err := l.session.ChangePassword(t.Context(), oldPassword, newPassword)
	if err != nil || out.Session == nil || out.Session.Token() == l.session.Token() {
		t.Fatalf("changing: %v, want this session with a new token", err)
	}
	for name, token := range map[string]string{"the old token": l.session.Token(), "another session": other.Token()} {
		if _, err := l.Guard.Session(t.Context(), token, mfatest.Laptop()); !errors.Is(err, mfa.ErrNoSession) {
			t.Errorf("%s lives on: %v", name, err)
		}
	}
	if _, err := l.Guard.Session(t.Context(), out.Session.Token(), mfatest.Laptop()); err != nil {
		t.Errorf("the new token: %v", err)
	}
	_, err = l.typed(t, "ann", oldPassword, false)
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongPassword)
	if out, err := l.typed(t, "ann", newPassword, false); err != nil || out.Pending == nil {
		t.Errorf("the new password: %v, want the code to be asked for", err)
	}
	told := func(m mfa.Message) bool { return m.Kind == "credentials_changed" }
	if !slices.ContainsFunc(l.Inbox.Messages("ann@example.org"), told) {
		t.Error("she is not told")
	}
}

// TestRow_A1_PasswordShown: a security page learns whether there is a password to
// change, and a form for somebody who is not known yet what it has to meet.
func TestRow_A1_PasswordShown(t *testing.T) {
	l := emptyLab(t, postal)
	l.Users.Add(mfa.User{ID: "ann", Name: "Rosalind Quimby"})
	shown := func() bool {
		data, err := l.Guard.Export(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		var o mfa.Overview
		if err := json.Unmarshal(data, &o); err != nil {
			t.Fatal(err)
		}
		return o.Password
	}
	if shown() {
		t.Error("a password is shown before there is one")
	}
	if err := l.Guard.SetPassword(t.Context(), "ann", oldPassword); err != nil {
		t.Fatal(err)
	}
	out, err := l.typed(t, "ann", oldPassword, false)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := out.Session.Overview(t.Context()); err != nil || !o.Password || !shown() {
		t.Errorf("no password is shown although there is one: %v", err)
	}

	const own = "rosalind quimby 1912"
	for user, want := range map[string]bool{"ann": false, "": true} {
		all, err := l.Guard.CheckPassword(t.Context(), user, own)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(r mfa.Requirement) bool { return r.Reason == mfa.ReasonPasswordContext })
		if all[i].Met != want {
			t.Errorf("the name of ann in a password of %q: met %t, want %t", user, all[i].Met, want)
		}
	}
	for user, password := range map[string]string{"a\nb": own, "": strings.Repeat("x", 4097)} {
		if _, err := l.Guard.CheckPassword(t.Context(), user, password); !errors.Is(err, mfa.ErrInvalid) {
			t.Errorf("user %q, %d bytes: %v, want ErrInvalid", user, len(password), err)
		}
	}
	if _, err := l.Guard.CheckPassword(t.Context(), "", strings.Repeat("x", 4096)); err != nil {
		t.Errorf("4096 bytes: %v", err)
	}
}

// TestRow_A7_Recover: a forgotten password is replaced by a link that was mailed. It
// works once, signs nobody in, and the code is asked for as before.
func TestRow_A7_Recover(t *testing.T) {
	l := withPassword(t)
	job, err := l.Guard.Recover(t.Context(), "ann@example.org", mfatest.Phone())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(l.Inbox.Messages("")); n != 0 {
		t.Fatalf("%d messages before the job", n)
	}
	if err := job(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := l.Inbox.Take()
	if len(m) != 1 || m[0].Kind != mfa.MessageReset || m[0].To != "ann@example.org" || m[0].Token() == "" || m[0].Code() != "" {
		t.Fatalf("mailed %v", m)
	}
	token := m[0].Token()
	err = l.Guard.ResetPassword(t.Context(), token, "short", mfatest.Phone())
	if !errors.Is(err, mfa.ErrWeak) {
		t.Fatalf("a weak password: %v", err)
	}
	if err := l.Guard.ResetPassword(t.Context(), token, newPassword, mfatest.Phone()); err != nil {
		t.Fatal(err)
	}
	err = l.Guard.ResetPassword(t.Context(), token, oldPassword, mfatest.Phone())
	wants(t, err, mfa.ErrRefused, mfa.ReasonNotFound)
	if _, err := l.Guard.Session(t.Context(), l.session.Token(), mfatest.Laptop()); !errors.Is(err, mfa.ErrNoSession) {
		t.Errorf("a session survived: %v", err)
	}
	_, err = l.typed(t, "ann", oldPassword, false)
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongPassword)
	out, err := l.typed(t, "ann", newPassword, false)
	if err != nil || out.Pending == nil || out.Pending.Need().Step != mfa.StepVerify {
		t.Fatalf("the new password: %v, want the code to be asked for", err)
	}
	if job, err = l.Guard.Recover(t.Context(), "nobody", mfatest.Phone()); err != nil || job(t.Context()) != nil {
		t.Errorf("an unknown login: %v", err)
	}
	l.Inbox.Take()
}

// TestR11_MailedPassword: whoever reads the mailbox gets the password by a link and
// the code by mail. That is one proof: it passes no rule and no door, and takes
// nothing away but what is hers to lose.
func TestR11_MailedPassword(t *testing.T) {
	l := emptyLab(t, postal, func(c *mfa.Config) { c.Policy.Rules.Require = mfa.RequireAtDoor })
	l.Users.Add(mfa.User{ID: "ann", Email: "ann@example.org", EmailVerified: true})
	if err := l.Guard.SetPassword(t.Context(), "ann", oldPassword); err != nil {
		t.Fatal(err)
	}
	out, err := l.typed(t, "ann", oldPassword, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Session.SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
		t.Fatal(err)
	}
	// The door is open to the password and a mailed code.
	out, err = l.typed(t, "ann", oldPassword, false)
	if err != nil {
		t.Fatal(err)
	}
	out = l.byMail(t, out.Pending)
	if _, err := l.Guard.Enter(t.Context(), out.Session.Token(), "acme", mfatest.Laptop()); err != nil {
		t.Fatalf("before: %v", err)
	}
	job, err := l.Guard.Recover(t.Context(), "ann", mfatest.Laptop())
	if err != nil || job(t.Context()) != nil {
		t.Fatal(err)
	}
	messages := l.Inbox.Take()
	if err := l.Guard.ResetPassword(t.Context(), messages[len(messages)-1].Token(), newPassword, mfatest.Laptop()); err != nil {
		t.Fatal(err)
	}
	l.Clock.Advance(time.Hour)
	out, err = l.typed(t, "ann", newPassword, false)
	if err != nil {
		t.Fatal(err)
	}
	s := l.byMail(t, out.Pending).Session
	if s == nil {
		t.Fatal("her own switch asks for a mailed code, and no more")
	}
	_, err = l.Guard.Enter(t.Context(), s.Token(), "acme", mfatest.Laptop())
	if !errors.Is(err, mfa.ErrStepUp) {
		t.Errorf("the door: %v, want a step-up", err)
	}
	if _, err := s.StepUp(t.Context(), mfa.ToConfirm("add_member"), ""); mfa.ReasonOf(err) != mfa.ReasonMailedPassword {
		t.Errorf("a sensitive action: %v (%s)", err, mfa.ReasonOf(err))
	}
	if err := s.RevokeOthers(t.Context()); err != nil {
		t.Errorf("ending sessions: %v", err)
	}
	if out, err := s.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), ""); err != nil || out.Pending.Need().Step != mfa.StepEnroll {
		t.Errorf("a better factor: %v", err)
	} else if _, out, _ := bindIn(t, l, out); out.Session == nil {
		t.Error("the app is not bound")
	} else if _, err := l.Guard.Enter(t.Context(), out.Session.Token(), "acme", mfatest.Laptop()); err != nil {
		t.Errorf("the door with the app: %v", err)
	}
}

// byMail proves p with a mailed code.
func (l *lab) byMail(t testing.TB, p *mfa.Pending) mfa.Outcome {
	t.Helper()
	if _, err := p.Send(t.Context(), mfa.EmailCode); err != nil {
		t.Fatalf("Send: %v (%s)", err, mfa.ReasonOf(err))
	}
	out, err := p.Verify(t.Context(), mfa.Proof{Method: mfa.EmailCode, Code: l.Inbox.Code(t, "ann@example.org")})
	if err != nil {
		t.Fatalf("Verify: %v (%s)", err, mfa.ReasonOf(err))
	}
	return out
}

// bindIn binds an app in the flow that out is, and saves the codes.
func bindIn(t testing.TB, l *lab, out mfa.Outcome) (*mfatest.Authenticator, mfa.Outcome, []string) {
	t.Helper()
	setup, err := out.Pending.StartTOTP(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	app, err := mfatest.NewAuthenticator(setup.URI())
	if err != nil {
		t.Fatal(err)
	}
	if out, err = out.Pending.ConfirmTOTP(t.Context(), app.Code(l.Clock.Now())); err != nil {
		t.Fatal(err)
	}
	codes := out.Pending.BackupCodes().Reveal()
	if out, err = out.Pending.SaveCodes(t.Context()); err != nil {
		t.Fatal(err)
	}
	return app, out, codes
}

// TestRow_C6_PasswordAsked: new backup codes ask for the password of the sign-in,
// besides the fresh proof.
func TestRow_C6_PasswordAsked(t *testing.T) {
	l := withPassword(t)
	_, err := l.session.NewBackupCodes(t.Context(), newPassword)
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongPassword)
	out, err := l.session.NewBackupCodes(t.Context(), oldPassword)
	if err != nil || out.Pending == nil || out.Pending.BackupCodes().Len() != 10 {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestRow_E11_Import: a user of another system goes on with her password, her app
// and her codes, and the password is hashed anew at her first sign-in.
func TestRow_E11_Import(t *testing.T) {
	l := emptyLab(t)
	in := mfa.Import{
		TOTP:         []string{"otpauth://totp/Old:ann?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Old&digits=8&period=60&algorithm=SHA256"},
		PasswordHash: "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
		BackupCodes:  []string{"old-code-0001", "old-code-0002"},
	}
	report := mfa.Imported{Written: true, Password: "bcrypt", Authenticators: 1, BackupCodes: 2, WeakCodes: true}
	if got, err := l.Guard.Import(t.Context(), "ann", in); err != nil || got != report {
		t.Fatalf("%+v, %v, want %+v", got, err, report)
	}
	before := l.account(t, "ann")
	report.Written = false
	if got, err := l.Guard.Import(t.Context(), "ann", in); err != nil || got != report {
		t.Errorf("the same again: %+v, %v, want %+v", got, err, report)
	}
	other := in
	other.BackupCodes = nil
	got, err := l.Guard.Import(t.Context(), "ann", other)
	wants(t, err, mfa.ErrForbidden, mfa.ReasonNotEmpty)
	if got != (mfa.Imported{}) {
		t.Errorf("a refused import reports %+v", got)
	}
	app, err := mfatest.NewAuthenticator(in.TOTP[0])
	if err != nil {
		t.Fatal(err)
	}
	out, err := l.signIn(t, "ann")
	if err != nil || out.Pending == nil {
		t.Fatalf("%v, want the code to be asked for", err)
	}
	if out, err = out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: app.Code(l.Clock.Now())}); err != nil || out.Session == nil {
		t.Fatalf("the old app: %v (%s)", err, mfa.ReasonOf(err))
	}
	out, err = l.signIn(t, "ann")
	if err != nil {
		t.Fatal(err)
	}
	if out, err = out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.BackupCode, Code: "old code 0002"}); err != nil || out.Session == nil {
		t.Fatalf("an old backup code: %v (%s)", err, mfa.ReasonOf(err))
	}
	if after := l.account(t, "ann"); len(after.Codes) != 1 || !bytes.Equal(after.Password.Sealed, before.Password.Sealed) {
		t.Errorf("%d codes are left, want 1", len(after.Codes))
	}
}
