package mfatest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
)

// A Host is how TestWiring reaches a host's own code: the very functions that its
// pages and its jobs call. Guard and NewUser are required; a nil function is for
// what the host cannot do, and its cases are skipped.
type Host struct {
	// Guard is the one that the host uses.
	Guard *mfa.Guard
	// Now is the guard's clock. Nil: time.Now.
	Now func() time.Time
	// NewUser adds a user to the host's directory and returns the id.
	NewUser func(ctx context.Context) (string, error)
	// Disable keeps a user out, Enable lets her in again.
	Disable, Enable func(ctx context.Context, user string) error
	// Delete removes a user.
	Delete func(ctx context.Context, user string) error
	// ChangePassword stores a new password for a user, as a page for a forgotten
	// password or an administrator does.
	ChangePassword func(ctx context.Context, user string) error
	// ChangeAddress stores another mail address for a user, as a profile page does,
	// before anybody has shown that it is hers.
	ChangeAddress func(ctx context.Context, user, address string) error
}

// A wiringCase is one thing that a host must tell the guard.
type wiringCase struct {
	name        string
	explanation string
	act         func(Host) []func(ctx context.Context, user string) error // nil among them: skipped
	// ended: sessions and flows from before are over. refused, welcome: a sign-in
	// afterwards.
	ended, refused, welcome bool
	// unproven: codes go to no address that was just typed.
	unproven bool
}

func wiringCases() []wiringCase {
	type acts = []func(ctx context.Context, user string) error
	return []wiringCase{
		{
			name:        "disable ends sessions and flows",
			explanation: "an ordinary request does not ask the directory: call Guard.Disable when a user is disabled",
			act:         func(h Host) acts { return acts{h.Disable} },
			ended:       true,
		}, {
			name:        "disable refuses sign-in",
			explanation: "a disabled user must not sign in: Users.User must say Disabled, or Guard.Disable be called",
			act:         func(h Host) acts { return acts{h.Disable} },
			refused:     true,
		}, {
			name:        "enable lets sign in again",
			explanation: "what Guard.Disable refuses Guard.Enable allows, and the directory must agree",
			act:         func(h Host) acts { return acts{h.Disable, h.Enable} },
			welcome:     true,
		}, {
			name:        "delete ends sessions and flows",
			explanation: "a session outlives its user in the directory: call Guard.Forget when a user is deleted",
			act:         func(h Host) acts { return acts{h.Delete} },
			ended:       true,
		}, {
			name:        "delete refuses sign-in",
			explanation: "a deleted user must not sign in: Users.User must return ErrNoUser, or Guard.Forget be called",
			act:         func(h Host) acts { return acts{h.Delete} },
			refused:     true,
		}, {
			name:        "password change ends sessions and flows",
			explanation: "whoever knew the old password may be signed in with it: call Guard.CredentialsChanged after every change",
			act:         func(h Host) acts { return acts{h.ChangePassword} },
			ended:       true,
		}, {
			name:        "password change lets sign in again",
			explanation: "a new password is no reason to keep the user out",
			act:         func(h Host) acts { return acts{h.ChangePassword} },
			welcome:     true,
		}, {
			name:        "address change proves nothing",
			explanation: "codes and links go to a verified address: Users.User must not say EmailVerified of one that was just typed",
			act:         func(h Host) acts { return acts{h.changeAddress()} },
			unproven:    true,
		},
	}
}

// changeAddress is ChangeAddress to an address of nobody.
func (h Host) changeAddress() func(ctx context.Context, user string) error {
	if h.ChangeAddress == nil {
		return nil
	}
	return func(ctx context.Context, user string) error { return h.ChangeAddress(ctx, user, unprovenAddress) }
}

const unprovenAddress = "somebody-else@example.net"

// TestWiring checks that a host tells the guard what the guard cannot see: that a
// user was disabled, enabled or deleted, got a new password, or typed an address that
// nobody has proven. It drives the
// host's own functions on users of its own, and fails when a session or a flow
// survives that must not. Each case is a subtest and states its rule.
func TestWiring(t *testing.T, h Host) {
	for _, c := range wiringCases() {
		t.Run(c.name, func(t *testing.T) {
			for _, act := range c.act(h) {
				if act == nil {
					t.Skip("the host has no such function")
				}
			}
			c.run(t, h)
		})
	}
}

func (c wiringCase) run(t tester, h Host) {
	t.Helper()
	ctx := t.Context()
	if h.Now == nil {
		h.Now = time.Now
	}
	user, err := h.NewUser(ctx)
	if err != nil {
		t.Fatalf("NewUser: %v", err)
	}
	session, flow, err := h.underWay(ctx, user)
	if err != nil {
		t.Fatalf("before anything was done: %v", err)
	}
	for _, act := range c.act(h) {
		if err := act(ctx, user); err != nil {
			t.Fatalf("the host's own function: %v", err)
		}
	}
	if c.ended {
		if _, err := h.Guard.Session(ctx, session, Laptop()); !errors.Is(err, mfa.ErrNoSession) {
			t.Fatalf("a session survived (Guard.Session returned %v)\nthe rule: %s", err, c.explanation)
		}
		if _, err := h.Guard.Pending(ctx, flow, session, Laptop()); err == nil {
			t.Fatalf("a flow survived\nthe rule: %s", c.explanation)
		}
	}
	if c.unproven && h.reaches(ctx, user, session) {
		t.Fatalf("a code would go to an address that nobody has proven\nthe rule: %s", c.explanation)
	}
	_, err = h.Guard.SignIn(ctx, mfa.SignIn{User: user, First: mfa.PasswordFirst(), Client: Laptop()})
	if c.refused && err == nil {
		t.Fatalf("the user could sign in\nthe rule: %s", c.explanation)
	}
	if c.welcome && err != nil {
		t.Fatalf("the user could not sign in: %v (%s)\nthe rule: %s", err, mfa.ReasonOf(err), c.explanation)
	}
}

// reaches reports whether a code by mail could be sent to a user.
func (h Host) reaches(ctx context.Context, user, session string) bool {
	s, err := h.Guard.Session(ctx, session, Laptop())
	if err != nil {
		return false
	}
	o, err := s.Overview(ctx)
	return err == nil && slices.ContainsFunc(o.Switches, func(w mfa.Switch) bool { return w.Method == mfa.EmailCode && w.Why == "" })
}

// underWay signs a user in, going through enrollment where the rules want it, and
// begins another flow. It returns the tokens of both.
func (h Host) underWay(ctx context.Context, user string) (session, flow string, err error) {
	out, err := h.Guard.SignIn(ctx, mfa.SignIn{User: user, First: mfa.PasswordFirst(), Client: Laptop()})
	if err != nil {
		return "", "", fmt.Errorf("SignIn: %w", err)
	}
	if out.Session == nil {
		if _, out, _, err = bind(ctx, out, h.Now); err != nil {
			return "", "", err
		}
	}
	s := out.Session
	if out, err = s.StepUp(ctx, mfa.ToEnroll(mfa.TOTP), ""); err != nil {
		return "", "", fmt.Errorf("StepUp: %w", err)
	}
	return s.Token(), out.Pending.Token(), nil
}

// bind takes a flow at StepEnroll to its end.
func bind(ctx context.Context, out mfa.Outcome, now func() time.Time) (*Authenticator, mfa.Outcome, []string, error) {
	if out.Pending == nil || out.Pending.Need().Step != mfa.StepEnroll {
		return nil, out, nil, errors.New("mfatest: the user is not asked to enroll: is she new?")
	}
	setup, err := out.Pending.StartTOTP(ctx, "")
	if err != nil {
		return nil, out, nil, fmt.Errorf("StartTOTP: %w", err)
	}
	app, err := NewAuthenticator(setup.URI())
	if err != nil {
		return nil, out, nil, err
	}
	if out, err = out.Pending.ConfirmTOTP(ctx, app.Code(now())); err != nil {
		return nil, out, nil, fmt.Errorf("ConfirmTOTP: %w", err)
	}
	var codes []string
	if out.Pending != nil {
		codes = out.Pending.BackupCodes().Reveal()
		if out, err = out.Pending.SaveCodes(ctx); err != nil {
			return nil, out, nil, fmt.Errorf("SaveCodes: %w", err)
		}
	}
	if out.Session == nil {
		return nil, out, nil, errors.New("mfatest: enrolled, and still no session")
	}
	return app, out, codes, nil
}
