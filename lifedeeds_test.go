package mfa_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A deed is one operation and what must be told of it.
type deed struct {
	name string
	// prepare brings ann, who is enrolled and signed in, to where act does it.
	prepare func(t *testing.T, l *lab) (act func() error)
	refused bool // with an error, and told all the same
	tell    []told
	actor   string // "": ann herself
}

// told is what an event must say besides who, when and where.
type told struct {
	name   mfa.EventName
	method mfa.Method
	reason mfa.Reason
	ends   bool // names a session
}

// last drops the outcome of an operation.
func last(_ mfa.Outcome, err error) error { return err }

// verifying is a deed of the code page.
func verifying(pr func(l *lab) mfa.Proof, before func(t *testing.T, l *lab)) func(*testing.T, *lab) func() error {
	return func(t *testing.T, l *lab) func() error {
		flow := l.flow(t)
		if before != nil {
			before(t, l)
		}
		return func() error { return last(l.verify(t.Context(), flow, pr(l))) }
	}
}

// enrolling brings a flow for another app to its first code.
func enrolling(t *testing.T, l *lab) *mfa.Pending {
	t.Helper()
	out, err := l.session.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), "")
	if err != nil {
		t.Fatal(err)
	}
	setup, err := out.Pending.StartTOTP(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if l.app, err = mfatest.NewAuthenticator(setup.URI()); err != nil {
		t.Fatal(err)
	}
	return out.Pending
}

// bare takes ann's factor away, as if she had never had one.
func bare(t *testing.T, l *lab) {
	t.Helper()
	l.change(t, "ann", func(d *mfa.AccountData) { *d = mfa.AccountData{V: d.V} })
}

// signInDeeds are what the first factor leads to.
func signInDeeds() []deed {
	const in = mfa.EventSignedIn
	return []deed{
		{"sign in, nothing asked", func(t *testing.T, l *lab) func() error {
			bare(t, l)
			return func() error { return last(l.signIn(t, "ann")) }
		}, false, []told{{name: in, ends: true}}, ""},
		{"sign in, more asked", func(t *testing.T, l *lab) func() error {
			return func() error { return last(l.signIn(t, "ann")) }
		}, false, []told{{name: mfa.EventSignInStarted}}, ""},
		{"sign in, disabled", func(t *testing.T, l *lab) func() error {
			l.Users.Add(mfa.User{ID: "ann", Disabled: true})
			return func() error { return last(l.signIn(t, "ann")) }
		}, true, []told{{name: mfa.EventSignInRefused, reason: mfa.ReasonUserDisabled}}, ""},
		{"sign in, one session too many", func(t *testing.T, l *lab) func() error {
			for range 19 {
				l.enter(t, l.right())
			}
			return verifying((*lab).right, nil)(t, l)
		}, false, []told{{mfa.EventSessionsEnded, 0, mfa.ReasonTooManySessions, true}, {in, mfa.TOTP, "", true}}, ""},
		{"sign in, presenting a session of her own", func(t *testing.T, l *lab) func() error {
			bare(t, l)
			return func() error {
				return last(l.Guard.SignIn(t.Context(), mfa.SignIn{
					User: "ann", First: mfa.PasswordFirst(), Client: mfatest.Laptop(), Presented: []string{l.session.Token()}, Browsers: l.Browsers("ann"),
				}))
			}
		}, false, []told{{name: mfa.EventSignedOut, ends: true}, {name: in, ends: true}}, ""},
	}
}

// codeDeeds are those of the code page.
func codeDeeds() []deed {
	const (
		refused, in  = mfa.EventProofRefused, mfa.EventSignedIn
		totp, backup = mfa.TOTP, mfa.BackupCode
	)
	return []deed{
		{"right code", verifying((*lab).right, nil), false, []told{{in, totp, "", true}}, ""},
		{"backup code", verifying(func(l *lab) mfa.Proof { return l.backup(0) }, nil), false,
			[]told{{mfa.EventCodeUsed, backup, "", false}, {in, backup, "", true}}, ""},
		{"wrong code", verifying((*lab).wrong, nil), true, []told{{refused, totp, mfa.ReasonWrongCode, false}}, ""},
		{"wrong backup code", verifying((*lab).wrongBackup, nil), true, []told{{refused, backup, mfa.ReasonWrongCode, false}}, ""},
		{"malformed", verifying(func(*lab) mfa.Proof { return mfa.Proof{Method: totp, Code: "x"} }, nil), true,
			[]told{{refused, totp, mfa.ReasonMalformedCode, false}}, ""},
		{"used code", func(t *testing.T, l *lab) func() error {
			code := l.right()
			l.enter(t, code)
			flow := l.flow(t)
			return func() error { return last(l.verify(t.Context(), flow, code)) }
		}, true, []told{{refused, totp, mfa.ReasonTOTPReused, false}}, ""},
		{"fifth wrong code", verifying((*lab).wrong, func(t *testing.T, l *lab) { l.wrongSoFar(t, totp, 4) }), true,
			[]told{{refused, totp, mfa.ReasonWrongCode, false}, {mfa.EventMethodLocked, totp, "", false}}, ""},
		{"sixth at once", verifying((*lab).right, func(t *testing.T, l *lab) { l.wrongSoFar(t, totp, 5) }), true,
			[]told{{refused, totp, mfa.ReasonMethodLocked, false}}, ""},
		{"hundredth wrong code", verifying((*lab).wrong, func(t *testing.T, l *lab) {
			l.change(t, "ann", func(d *mfa.AccountData) { d.Tries = map[string]mfa.Tries{"totp": {Wrong: 99}} })
		}), true, []told{{refused, totp, mfa.ReasonWrongCode, false}, {mfa.EventMethodDisabled, totp, "", false}}, ""},
		{"twentieth failure", verifying((*lab).wrong, func(t *testing.T, l *lab) {
			l.change(t, "ann", func(d *mfa.AccountData) { d.Failures = slices.Repeat([]int64{l.Clock.Now().Unix()}, 19) })
		}), true, []told{{refused, totp, mfa.ReasonWrongCode, false},
			{mfa.EventPasswordSuspect, mfa.Password, mfa.ReasonCompromised, false}}, ""},
		{"step up", func(t *testing.T, l *lab) func() error {
			l.Clock.Advance(time.Hour)
			out, err := l.session.StepUp(t.Context(), mfa.ToConfirm("x"), "")
			if err != nil {
				t.Fatal(err)
			}
			return func() error { return last(out.Pending.Verify(t.Context(), l.right())) }
		}, false, []told{{mfa.EventSteppedUp, totp, "", true}}, ""},
		{"step up by password, the app removed since", func(t *testing.T, l *lab) func() error {
			bare(t, l)
			l.Clock.Advance(time.Hour)
			out, err := l.session.StepUp(t.Context(), mfa.ToConfirm("x"), "")
			if err != nil {
				t.Fatal(err)
			}
			return func() error { return last(out.Pending.Reauthenticated(t.Context(), mfa.PasswordFirst())) }
		}, false, []told{{mfa.EventSteppedUp, mfa.Password, "", true}}, ""},
	}
}

// setupDeeds are those of the setup page.
func setupDeeds() []deed {
	const totp, backup = mfa.TOTP, mfa.BackupCode
	return []deed{
		{"first app", func(t *testing.T, l *lab) func() error {
			bare(t, l)
			p := enrolling(t, l)
			return func() error { return last(p.ConfirmTOTP(t.Context(), l.right().Code)) }
		}, false, []told{{mfa.EventFactorAdded, totp, "", false}, {mfa.EventCodesIssued, backup, "", false}}, ""},
		{"second app", func(t *testing.T, l *lab) func() error {
			p := enrolling(t, l)
			return func() error { return last(p.ConfirmTOTP(t.Context(), l.right().Code)) }
		}, false, []told{{mfa.EventFactorAdded, totp, "", false}, {mfa.EventSteppedUp, totp, "", true}}, ""},
		{"app in place of a disabled one", func(t *testing.T, l *lab) func() error {
			p := enrolling(t, l)
			l.wrongSoFar(t, totp, 100)
			return func() error { return last(p.ConfirmTOTP(t.Context(), l.right().Code)) }
		}, false, []told{{mfa.EventFactorRemoved, totp, "", false}, {mfa.EventFactorAdded, totp, "", false}, {mfa.EventSteppedUp, totp, "", true}}, ""},
		{"wrong code of a new app", func(t *testing.T, l *lab) func() error {
			p := enrolling(t, l)
			return func() error { return last(p.ConfirmTOTP(t.Context(), l.wrong().Code)) }
		}, true, []told{{mfa.EventProofRefused, totp, mfa.ReasonWrongCode, false}}, ""},
		{"codes saved", func(t *testing.T, l *lab) func() error {
			out, err := l.session.NewBackupCodes(t.Context(), "")
			if err != nil {
				t.Fatal(err)
			}
			return func() error { return last(out.Pending.SaveCodes(t.Context())) }
		}, false, []told{{mfa.EventCodesSaved, backup, "", false}, {mfa.EventSteppedUp, totp, "", true}}, ""},
	}
}

// accountDeeds are those of a signed-in user.
func accountDeeds() []deed {
	id := func(t *testing.T, l *lab) string { return l.account(t, "ann").TOTP[0].ID }
	return []deed{
		{"rename", func(t *testing.T, l *lab) func() error {
			return func() error { return l.session.RenameTOTP(t.Context(), id(t, l), "phone") }
		}, false, []told{{mfa.EventFactorRenamed, mfa.TOTP, "", false}}, ""},
		{"remove", func(t *testing.T, l *lab) func() error {
			return func() error { return l.session.RemoveTOTP(t.Context(), id(t, l)) }
		}, false, []told{{mfa.EventFactorRemoved, mfa.TOTP, "", false}}, ""},
		{"switch off", func(t *testing.T, l *lab) func() error {
			return func() error { return l.session.SetAskAtSignIn(t.Context(), false) }
		}, false, []told{{name: mfa.EventAskChanged}}, ""},
		{"switch on again", func(t *testing.T, l *lab) func() error {
			return func() error { return l.session.SetAskAtSignIn(t.Context(), true) }
		}, false, nil, ""},
		{"new backup codes", func(t *testing.T, l *lab) func() error {
			return func() error { return last(l.session.NewBackupCodes(t.Context(), "")) }
		}, false, []told{{mfa.EventCodesIssued, mfa.BackupCode, "", false}}, ""},
		{"too old a proof", func(t *testing.T, l *lab) func() error {
			l.Clock.Advance(time.Hour)
			return func() error { return l.session.RemoveTOTP(t.Context(), id(t, l)) }
		}, true, nil, ""},
		{"revoke", func(t *testing.T, l *lab) func() error {
			s := l.enter(t, l.right())
			return func() error { return l.session.Revoke(t.Context(), s.ID(), s.ID(), "no such") }
		}, false, []told{{name: mfa.EventSessionsEnded, ends: true}}, ""},
		{"revoke others", func(t *testing.T, l *lab) func() error {
			l.enter(t, l.right())
			l.enter(t, l.right())
			return func() error { return l.session.RevokeOthers(t.Context()) }
		}, false, []told{{name: mfa.EventSessionsEnded, ends: true}, {name: mfa.EventSessionsEnded, ends: true}}, ""},
		{"sign out", func(t *testing.T, l *lab) func() error {
			return func() error { return l.session.SignOut(t.Context()) }
		}, false, []told{{name: mfa.EventSignedOut, ends: true}}, ""},
		{"sign out again", func(t *testing.T, l *lab) func() error {
			if err := l.session.SignOut(t.Context()); err != nil {
				t.Fatal(err)
			}
			return func() error { return l.session.SignOut(t.Context()) }
		}, false, nil, ""},
	}
}

// adminDeeds are those of the support desk and of the host.
func adminDeeds() []deed {
	desk := func(do func(*mfa.Admin, context.Context, string) error) func(*testing.T, *lab) func() error {
		return func(t *testing.T, l *lab) func() error {
			l.wrongSoFar(t, mfa.TOTP, 5)
			return func() error { return do(l.Guard.Operator("desk", "ticket"), t.Context(), "ann") }
		}
	}
	host := func(do func(*mfa.Guard, context.Context, string) error) func(*testing.T, *lab) func() error {
		return func(t *testing.T, l *lab) func() error {
			return func() error { return do(l.Guard, t.Context(), "ann") }
		}
	}
	return []deed{
		{"reset", desk((*mfa.Admin).Reset), false, []told{{name: mfa.EventFactorsReset}}, "desk"},
		{"unlock", desk((*mfa.Admin).Unlock), false, []told{{mfa.EventMethodUnlocked, mfa.TOTP, "", false}}, "desk"},
		{"end sessions", desk((*mfa.Admin).EndSessions), false, []told{{name: mfa.EventSessionsEnded}}, "desk"},
		{"disable", host((*mfa.Guard).Disable), false, []told{{name: mfa.EventUserDisabled}}, "host"},
		{"enable", func(t *testing.T, l *lab) func() error {
			if err := l.Guard.Disable(t.Context(), "ann"); err != nil {
				t.Fatal(err)
			}
			return func() error { return l.Guard.Enable(t.Context(), "ann") }
		}, false, []told{{name: mfa.EventUserEnabled}}, "host"},
		{"new password", host((*mfa.Guard).CredentialsChanged), false, []told{{name: mfa.EventCredentialsChanged}}, "host"},
		{"reseal", host((*mfa.Guard).Reseal), false, []told{{name: mfa.EventResealed}}, "host"},
	}
}
