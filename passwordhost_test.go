package mfa_test

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// hostHashes is a host's own table of password hashes. Its Argon2id costs next to
// nothing.
type hostHashes struct {
	mu     sync.Mutex
	table  map[string]hostHash
	asked  []string // whose passwords were checked
	stored int
	fail   error  // of SetPassword
	after  bool   // it fails after it has stored
	meet   func() // in the middle of CheckPassword, once
}

type hostHash struct{ salt, tag []byte }

func hashAtHost(salt []byte, password string) []byte {
	return argon2.IDKey([]byte(password), salt, 1, 8, 1, 32)
}

// CheckPassword implements mfa.Passwords.
func (h *hostHashes) CheckPassword(_ context.Context, user, password string) (bool, error) {
	h.mu.Lock()
	h.asked = append(h.asked, user)
	own, ok := h.table[user]
	meet := h.meet
	h.meet = nil
	h.mu.Unlock()
	if !ok {
		own = hostHash{make([]byte, 16), make([]byte, 32)}
	}
	equal := subtle.ConstantTimeCompare(hashAtHost(own.salt, password), own.tag) == 1
	if meet != nil {
		meet()
	}
	return ok && equal, nil
}

// SetPassword implements mfa.Passwords.
func (h *hostHashes) SetPassword(_ context.Context, user, password string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail != nil && !h.after {
		return h.fail
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	if h.table == nil {
		h.table = make(map[string]hostHash)
	}
	h.table[user] = hostHash{salt, hashAtHost(salt, password)}
	h.stored++
	return h.fail
}

// takeAsked returns whose passwords were checked since the last call.
func (h *hostHashes) takeAsked() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	asked := h.asked
	h.asked = nil
	return asked
}

// withHashes returns a lab whose host keeps the hashes. Ann has a password and an
// app.
func withHashes(t testing.TB, options ...func(*mfa.Config)) (*lab, *hostHashes) {
	t.Helper()
	h := &hostHashes{}
	l := withPassword(t, append(options, func(c *mfa.Config) { c.Passwords = h })...)
	h.takeAsked()
	return l, h
}

// TestR23_HostKeepsHashes: with Config.Passwords every operation goes through the
// host, and the account holds no hash.
func TestR23_HostKeepsHashes(t *testing.T) {
	l, h := withHashes(t)
	_, err := l.typed(t, "ann", newPassword, false)
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongPassword)
	if out, err := l.typed(t, "ann", oldPassword, false); err != nil || out.Pending == nil {
		t.Fatalf("the right one: %v (%s)", err, mfa.ReasonOf(err))
	}
	_, err = l.session.NewBackupCodes(t.Context(), newPassword)
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongPassword)
	if _, err := l.session.NewBackupCodes(t.Context(), oldPassword); err != nil {
		t.Fatalf("C6: %v (%s)", err, mfa.ReasonOf(err))
	}
	out, err := l.session.ChangePassword(t.Context(), oldPassword, newPassword)
	if err != nil {
		t.Fatalf("changing: %v (%s)", err, mfa.ReasonOf(err))
	}
	l.session = out.Session
	if err := l.Guard.ResetPassword(t.Context(), l.link(t), "another-Moss-2024", mfatest.Phone()); err != nil {
		t.Fatalf("the link: %v (%s)", err, mfa.ReasonOf(err))
	}
	for password, want := range map[string]bool{oldPassword: false, newPassword: false, "another-Moss-2024": true} {
		if _, err := l.typed(t, "ann", password, false); (err == nil) != want {
			t.Errorf("%s: %v", password, err)
		}
	}
	if p := l.account(t, "ann").Password; p.Sealed != nil || p.Past != nil || !p.Mailed {
		t.Errorf("the account holds %+v, want the mark of the mailed link alone", p)
	}
	if asked := h.takeAsked(); slices.ContainsFunc(asked, func(user string) bool { return user != "ann" }) || h.stored != 3 {
		t.Errorf("asked about %q, %d stored", asked, h.stored)
	}
	_, err = l.Guard.Import(t.Context(), "bob", mfa.Import{PasswordHash: "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"})
	wants(t, err, mfa.ErrInvalid, mfa.ReasonInvalidArgument)
}

// TestR24_HostOneAnswer: the host is asked once for each sign-in, for the user ""
// when the login is nobody's, and what is written is as much.
func TestR24_HostOneAnswer(t *testing.T) {
	l, h := withHashes(t)
	l.Users.Add(mfa.User{ID: "locked"}, mfa.User{ID: "none"})
	if err := l.Guard.SetPassword(t.Context(), "locked", oldPassword); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		l.stranger(t, "locked", newPassword)
	}
	h.takeAsked()
	for _, c := range []struct {
		name, login, password, asked string
		why                          mfa.Reason
	}{
		{"wrong", "ann", newPassword, "ann", mfa.ReasonWrongPassword},
		{"unknown", "nobody", newPassword, "", mfa.ReasonUserUnknown},
		{"locked, right", "locked", oldPassword, "locked", mfa.ReasonMethodLocked},
		{"locked, wrong", "locked", newPassword, "locked", mfa.ReasonMethodLocked},
		{"no password", "none", newPassword, "none", mfa.ReasonWrongPassword},
	} {
		t.Run(c.name, func(t *testing.T) {
			l.tally.take()
			out, err := l.stranger(t, c.login, c.password)
			wants(t, err, mfa.ErrRefused, c.why)
			if err.Error() != "mfa: not accepted" || out != (mfa.Outcome{}) {
				t.Errorf("%q is not the one face", err)
			}
			if asked := h.takeAsked(); !slices.Equal(asked, []string{c.asked}) {
				t.Errorf("asked about %q, want once about %q", asked, c.asked)
			}
			if n := len(l.tally.take()); n != 3 {
				t.Errorf("%d commits, want 3", n)
			}
		})
	}
}

// yes says that every password is everybody's, nobody's too.
type yes struct{ hostHashes }

func (*yes) CheckPassword(context.Context, string, string) (bool, error) { return true, nil }

// TestR24_HostSaysYesToNobody: a host that errs about the user "" signs nobody in.
func TestR24_HostSaysYesToNobody(t *testing.T) {
	l := emptyLab(t, func(c *mfa.Config) { c.Passwords = &yes{} })
	out, err := l.stranger(t, "nobody", oldPassword)
	wants(t, err, mfa.ErrRefused, mfa.ReasonUserUnknown)
	if out != (mfa.Outcome{}) {
		t.Error("somebody is in")
	}
}

// TestR5_HostAskedOnce: a conflict costs no second question to the host, and a wrong
// password is counted once.
func TestR5_HostAskedOnce(t *testing.T) {
	l, h := withHashes(t, func(c *mfa.Config) { c.Policy.Password.History = 3 })
	for n := range int32(8) {
		l.tally.conflicts.Store(n)
		if _, err := l.typed(t, "ann", oldPassword, false); err != nil {
			t.Fatalf("%d conflicts: %v (%s)", n, err, mfa.ReasonOf(err))
		}
		if asked := h.takeAsked(); len(asked) != 1 {
			t.Errorf("%d conflicts: asked about %q, want once", n, asked)
		}
		l.tally.conflicts.Store(n)
		if _, err := l.session.NewBackupCodes(t.Context(), newPassword); !errors.Is(err, mfa.ErrRefused) {
			t.Fatalf("%d conflicts: %v (%s)", n, err, mfa.ReasonOf(err))
		}
		if asked, wrong := h.takeAsked(), l.account(t, "ann").Tries["password_again"].Wrong; len(asked) != 1 || wrong != 1 {
			t.Errorf("%d conflicts: asked about %q, %d counted, want once", n, asked, wrong)
		}
		l.change(t, "ann", func(d *mfa.AccountData) { d.Tries = nil })
	}
	l.tally.conflicts.Store(20) // a change goes on until its context ends
	if _, err := l.session.ChangePassword(t.Context(), oldPassword, newPassword); err != nil {
		t.Fatal(err)
	}
	if asked := h.takeAsked(); len(asked) != 1 {
		t.Errorf("asked about %q, want once", asked)
	}
	if _, err := l.typed(t, "ann", newPassword, false); err != nil {
		t.Errorf("the new password after 20 conflicts: %v", err)
	}
}

// TestR17_HostSetFails: the host could not store the new password. Nothing ends and
// nothing is used up; when it had stored it all the same, doing it again ends
// everything.
func TestR17_HostSetFails(t *testing.T) {
	for name, after := range map[string]bool{"before storing": false, "after storing": true} {
		t.Run(name, func(t *testing.T) {
			l, h := withHashes(t)
			token, other := l.link(t), l.enter(t, l.right())
			h.fail, h.after = errors.New("the table is full"), after
			err := l.Guard.ResetPassword(t.Context(), token, newPassword, mfatest.Phone())
			wants(t, err, mfa.ErrUnavailable, mfa.ReasonDirectoryFailed)
			wants(t, l.Guard.SetPassword(t.Context(), "ann", newPassword), mfa.ErrUnavailable, mfa.ReasonDirectoryFailed)
			_, err = l.session.ChangePassword(t.Context(), oldPassword, newPassword)
			if after { // it is not the old one any more
				wants(t, err, mfa.ErrRefused, mfa.ReasonWrongPassword)
			} else {
				wants(t, err, mfa.ErrUnavailable, mfa.ReasonDirectoryFailed)
			}
			if d := l.account(t, "ann"); d.Changes != 1 || d.Password.Mailed {
				t.Errorf("%d changes, mailed %t, after what failed", d.Changes, d.Password.Mailed)
			}
			if _, err := l.Guard.Session(t.Context(), other.Token(), mfatest.Laptop()); err != nil {
				t.Errorf("a session ended: %v", err)
			}
			h.fail = nil
			if err := l.Guard.ResetPassword(t.Context(), token, newPassword, mfatest.Phone()); err != nil {
				t.Fatalf("again: %v (%s)", err, mfa.ReasonOf(err))
			}
			if _, err := l.Guard.Session(t.Context(), other.Token(), mfatest.Laptop()); !errors.Is(err, mfa.ErrNoSession) {
				t.Errorf("a session lives on: %v", err)
			}
		})
	}
}

// TestR24_HostSchedule: the password was right when the host was asked, and is
// replaced before the sign-in is committed. No session begins with it.
func TestR24_HostSchedule(t *testing.T) {
	for name, replace := range map[string]func(t *testing.T, l *lab){
		"ChangePassword": func(t *testing.T, l *lab) {
			if _, err := l.session.ChangePassword(t.Context(), oldPassword, newPassword); err != nil {
				t.Fatal(err)
			}
		},
		"SetPassword": func(t *testing.T, l *lab) {
			if err := l.Guard.SetPassword(t.Context(), "ann", newPassword); err != nil {
				t.Fatal(err)
			}
		},
		"CredentialsChanged": func(t *testing.T, l *lab) {
			if err := l.Guard.CredentialsChanged(t.Context(), "ann"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, h := withHashes(t)
			h.meet = func() { replace(t, l) }
			out, err := l.typed(t, "ann", oldPassword, false)
			wants(t, err, mfa.ErrRefused, mfa.ReasonCredentialsChanged)
			if out != (mfa.Outcome{}) || l.kinds(t, "pending") != 0 {
				t.Error("the replaced password leads on")
			}
		})
	}
}

// TestR6_HostNewPassword: a password that counts as known to others is replaced at
// the host, at the next full sign-in.
func TestR6_HostNewPassword(t *testing.T) {
	l, h := withHashes(t)
	l.change(t, "ann", func(d *mfa.AccountData) { d.Compromised = true })
	out, err := l.typed(t, "ann", oldPassword, false)
	if err != nil {
		t.Fatal(err)
	}
	if out, err = out.Pending.Verify(t.Context(), l.right()); err != nil || out.Pending == nil || out.Pending.Need().Step != mfa.StepNewPassword {
		t.Fatalf("%v (%s), want a new password to be asked for", err, mfa.ReasonOf(err))
	}
	h.fail = errors.New("the table is full")
	_, err = out.Pending.SetPassword(t.Context(), newPassword)
	wants(t, err, mfa.ErrUnavailable, mfa.ReasonDirectoryFailed)
	h.fail = nil
	p := l.pending(t, out.Pending.Token())
	if out, err = p.SetPassword(t.Context(), newPassword); err != nil || out.Session == nil {
		t.Fatalf("%v (%s), want the session", err, mfa.ReasonOf(err))
	}
	l.Clock.Advance(time.Minute)
	if _, err := l.typed(t, "ann", newPassword, false); err != nil || l.account(t, "ann").Compromised {
		t.Errorf("the new one: %v", err)
	}
}
