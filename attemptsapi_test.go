package mfa_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestR6_FiveWrongEndTheFlow: R6 ends a flow at its fifth wrong proof, whatever
// the methods; what cannot be a code at all is no guess.
func TestR6_FiveWrongEndTheFlow(t *testing.T) {
	l := newLab(t)
	flow := l.flow(t)
	for _, pr := range []mfa.Proof{
		{Method: mfa.TOTP}, {Method: mfa.TOTP, Code: "12345"}, {Method: mfa.TOTP, Code: "\uff11\uff12\uff13\uff14\uff15\uff16"},
		{Method: mfa.BackupCode, Code: "ABCD"}, {Method: mfa.BackupCode, Code: strings.Repeat("A", 1000)},
	} {
		_, err := l.verify(t.Context(), flow, pr)
		wants(t, err, mfa.ErrRefused, mfa.ReasonMalformedCode)
	}
	for _, pr := range []mfa.Proof{l.wrong(), l.wrongBackup(), l.wrong(), l.wrong(), l.wrongBackup()} {
		_, err := l.verify(t.Context(), flow, pr)
		wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	}
	_, err := l.verify(t.Context(), flow, l.right())
	wants(t, err, mfa.ErrNoPending, mfa.ReasonTooManyTries)
	if tries := l.account(t, "ann").Tries; tries["totp"].Wrong != 3 || tries["backup_code"].Wrong != 2 {
		t.Errorf("counted %v, want 3 of the app and 2 backup codes", tries)
	}
}

// TestR5_CountedInTheCommitThatAnswers: R5 counts a wrong proof in the one commit
// that comes before the answer, on the account and on the flow.
func TestR5_CountedInTheCommitThatAnswers(t *testing.T) {
	l := newLab(t)
	flow := l.flow(t)
	l.tally.take()
	l.Events.Take()
	_, err := l.verify(t.Context(), flow, l.wrong())
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	commits := l.tally.take()
	if len(commits) != 1 {
		t.Fatalf("%d commits, want 1", len(commits))
	}
	var kinds []string
	for _, w := range commits[0] {
		kinds = append(kinds, w.Kind)
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []string{"account", "pending"}) {
		t.Errorf("records %q written, want the account and the flow", kinds)
	}
	e := l.told(t, mfa.EventProofRefused)[0]
	if e.Method != mfa.TOTP || e.Reason != mfa.ReasonWrongCode || e.User != "ann" {
		t.Errorf("told %+v", e)
	}
}

// TestR5_OnlySuccessOfTheMethodClears: R5 keeps a count through new sign-ins, the
// success of another method, new backup codes, a new password and an unlock.
func TestR5_OnlySuccessOfTheMethodClears(t *testing.T) {
	l := newLab(t)
	count := func(want int) {
		t.Helper()
		if got := l.account(t, "ann").Tries["totp"].Wrong; got != want {
			t.Fatalf("counted %d wrong codes, want %d", got, want)
		}
	}
	for n := range 3 {
		_, err := l.guess(t, l.wrong())
		wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
		count(n + 1)
	}
	s := l.enter(t, l.backup(0))
	count(3)
	out, err := s.NewBackupCodes(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	l.codes = out.Pending.BackupCodes().Reveal()
	if _, err := out.Pending.SaveCodes(t.Context()); err != nil {
		t.Fatal(err)
	}
	count(3)
	if err := l.Guard.CredentialsChanged(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	count(3)
	for range 2 {
		_, err := l.guess(t, l.wrong())
		wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	}
	if err := l.Guard.Operator("desk", "").Unlock(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	count(5)
	l.enter(t, l.right())
	count(0)
}

// TestR6_RetryAfterIsExact: R6 says in the error when to try again, at sign-in
// and on the code page, to the second, and the wait is over exactly then.
func TestR6_RetryAfterIsExact(t *testing.T) {
	l := newLab(t)
	flow := l.flow(t)
	for range 4 {
		_, err := l.guess(t, l.wrong())
		wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	}
	for _, wait := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute} {
		_, err := l.guess(t, l.wrong())
		wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
		_, err = l.verify(t.Context(), flow, l.right())
		waits(t, err, wait)
		wants(t, err, mfa.ErrThrottled, mfa.ReasonMethodLocked)
		l.Clock.Advance(wait - time.Second)
		_, err = l.guess(t, l.wrong())
		waits(t, err, time.Second)
		l.Clock.Advance(time.Second)
	}
	if need := l.pending(t, flow).Need(); !slices.Equal(need.Methods, []mfa.Method{mfa.TOTP, mfa.BackupCode}) {
		t.Errorf("asked for %v, want the app first: its wait is over", need.Methods)
	}
	if out, err := l.verify(t.Context(), flow, l.right()); err != nil || out.Session == nil {
		t.Errorf("after the wait the right code: %v", err)
	}
}

// TestR6_EverythingWaits: R6 refuses a sign-in when all that is held waits, and
// says when the first of it may be tried.
func TestR6_EverythingWaits(t *testing.T) {
	l := newLab(t)
	l.wrongSoFar(t, mfa.TOTP, 7)       // 2 minutes
	l.wrongSoFar(t, mfa.BackupCode, 9) // 1 minute
	l.Clock.Advance(10 * time.Second)
	_, err := l.signIn(t, "ann")
	waits(t, err, 50*time.Second)
	wants(t, err, mfa.ErrThrottled, mfa.ReasonNoUsableFactor)
	if e := l.told(t, mfa.EventSignInRefused)[0]; e.Reason != mfa.ReasonNoUsableFactor {
		t.Errorf("told %+v", e)
	}
	l.Clock.Advance(50 * time.Second)
	out, err := l.signIn(t, "ann")
	if err != nil {
		t.Fatal(err)
	}
	if need := out.Pending.Need(); !slices.Equal(need.Methods, []mfa.Method{mfa.BackupCode, mfa.TOTP}) {
		t.Errorf("asked for %v, want backup codes first, as the app still waits", need.Methods)
	}
}

// TestR6_RefusedByLockCostsNothing: R6's wait refuses before anything is compared:
// it writes nothing and computes no hash, whether the code is right or wrong, so
// that waiting cannot be made to cost.
func TestR6_RefusedByLockCostsNothing(t *testing.T) {
	l := newLab(t)
	flow := l.flow(t)
	l.wrongSoFar(t, mfa.TOTP, 5)
	l.wrongSoFar(t, mfa.BackupCode, 5)
	hashes := mfa.CountHashes(l.Guard)
	l.tally.take()
	l.Events.Take()
	for _, pr := range []mfa.Proof{l.right(), l.wrong(), l.backup(0), l.wrongBackup()} {
		_, err := l.verify(t.Context(), flow, pr)
		waits(t, err, 30*time.Second)
		if e := l.told(t, mfa.EventProofRefused)[0]; e.Method != pr.Method || e.Reason != mfa.ReasonMethodLocked {
			t.Errorf("told %+v", e)
		}
	}
	if commits := l.tally.take(); len(commits) != 0 || hashes() != 0 {
		t.Errorf("%d commits and %d hashes, want none", len(commits), hashes())
	}
	l.Clock.Advance(30 * time.Second)
	if _, err := l.verify(t.Context(), flow, l.backup(0)); err != nil || hashes() != 1 {
		t.Errorf("after the wait: %v and %d hashes, want 1", err, hashes())
	}
}

// TestR6_LockAndDisableAreShown: R6's state is on the security page and in what is
// exported.
func TestR6_LockAndDisableAreShown(t *testing.T) {
	l := newLab(t)
	l.wrongSoFar(t, mfa.TOTP, 100)
	l.wrongSoFar(t, mfa.BackupCode, 5)
	o, err := l.session.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []mfa.MethodStatus{
		{Method: mfa.TOTP, Disabled: true, Until: l.Clock.Now().Add(time.Hour)},
		{Method: mfa.BackupCode, Until: l.Clock.Now().Add(30 * time.Second)},
	}
	if !slices.EqualFunc(o.Methods, want, func(a, b mfa.MethodStatus) bool {
		return a.Method == b.Method && a.Usable == b.Usable && a.Disabled == b.Disabled && (a.Disabled || a.Until.Equal(b.Until))
	}) {
		t.Errorf("shown %+v, want %+v", o.Methods, want)
	}
	text, err := l.Guard.Export(t.Context(), "ann")
	if err != nil || !strings.Contains(string(text), `"Disabled": true`) || !strings.Contains(string(text), `"Until": "2026-03-01T09:01:00Z"`) {
		t.Errorf("exported %s, %v, want the app disabled and the codes waiting until 09:01", text, err)
	}
	l.Clock.Advance(30 * time.Second)
	if o, err = l.session.Overview(t.Context()); err != nil || !o.Methods[1].Usable || !o.Methods[1].Until.IsZero() {
		t.Errorf("after the wait %+v, %v, want usable", o.Methods, err)
	}
}

// TestR6_UnlockKeepsTheCount: R6's unlock ends the wait and keeps the count, so
// that the next wrong proof waits longer; it does not bring back what is disabled.
func TestR6_UnlockKeepsTheCount(t *testing.T) {
	l := newLab(t)
	desk := l.Guard.Operator("desk", "")
	l.wrongSoFar(t, mfa.TOTP, 6)
	_, err := l.guess(t, l.wrong())
	waits(t, err, time.Minute)
	if err := desk.Unlock(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	_, err = l.guess(t, l.wrong())
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	_, err = l.guess(t, l.wrong())
	waits(t, err, 2*time.Minute)

	l.wrongSoFar(t, mfa.TOTP, 100)
	if err := desk.Unlock(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	out, err := l.signIn(t, "ann")
	if err != nil || !slices.Equal(out.Pending.Need().Methods, []mfa.Method{mfa.BackupCode}) {
		t.Errorf("after unlocking a disabled app: %v, want backup codes to be asked for and nothing else", err)
	}
}

// TestR6_DisabledUntilBoundAnew: R6 disables the app at its hundredth wrong code
// in a row. The way back is a backup code and enrolling again; the old apps are
// gone with that.
func TestR6_DisabledUntilBoundAnew(t *testing.T) {
	l := newLab(t)
	l.wrongSoFar(t, mfa.TOTP, 99)
	l.Clock.Advance(time.Hour)
	l.Events.Take()
	_, err := l.guess(t, l.wrong())
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	l.told(t, mfa.EventSignInStarted, mfa.EventProofRefused, mfa.EventMethodDisabled)
	l.Clock.Advance(365 * oneDay)
	_, err = l.guess(t, l.right())
	wants(t, err, mfa.ErrRefused, mfa.ReasonMethodNotAsked)

	out, err := l.enter(t, l.backup(0)).StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), "")
	if err != nil {
		t.Fatal(err)
	}
	old := l.app
	setup, err := out.Pending.StartTOTP(t.Context(), "new")
	if err != nil {
		t.Fatal(err)
	}
	if l.app, err = mfatest.NewAuthenticator(setup.URI()); err != nil {
		t.Fatal(err)
	}
	out, err = out.Pending.ConfirmTOTP(t.Context(), l.right().Code)
	if err != nil || out.Session == nil {
		t.Fatalf("session %t, %v, want no new backup codes: the old ones stay", out.Session != nil, err)
	}
	l.Clock.Advance(l.app.Period())
	if o, err := out.Session.Overview(t.Context()); err != nil || len(o.Authenticators) != 1 || o.Authenticators[0].Label != "new" || !o.Methods[0].Usable {
		t.Errorf("%+v, %v, want one usable app, the new one", o.Authenticators, err)
	}
	_, err = l.guess(t, mfa.Proof{Method: mfa.TOTP, Code: old.Code(l.Clock.Now())})
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	l.enter(t, l.right())
}

// TestR6_DisabledWithoutBackupCodes: R6 with nothing left to verify refuses, R9:
// it never leads to enrollment; a reset is the way out.
func TestR6_DisabledWithoutBackupCodes(t *testing.T) {
	l := newLab(t)
	flow := l.flow(t)
	l.change(t, "ann", func(d *mfa.AccountData) {
		d.Codes, d.Tries = nil, map[string]mfa.Tries{"totp": {Wrong: 99}}
	})
	_, err := l.verify(t.Context(), flow, l.wrong())
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	_, err = l.verify(t.Context(), flow, l.right())
	wants(t, err, mfa.ErrRefused, mfa.ReasonNoUsableFactor)
	_, err = l.signIn(t, "ann")
	wants(t, err, mfa.ErrRefused, mfa.ReasonNoUsableFactor)
	if err := l.Guard.Operator("desk", "").Reset(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	out, err := l.signIn(t, "ann")
	if err != nil || out.Pending.Need().Step != mfa.StepEnroll {
		t.Errorf("after a reset: %v, want to enroll", err)
	}
}

// TestR6_BackupCodesStayOpen: R6 never disables backup codes and makes them wait
// for a minute at most: the way back stays open whatever an attacker does.
func TestR6_BackupCodesStayOpen(t *testing.T) {
	l := newLab(t)
	l.wrongSoFar(t, mfa.TOTP, 100)
	l.wrongSoFar(t, mfa.BackupCode, 100_000)
	_, err := l.guess(t, l.backup(0))
	waits(t, err, time.Minute)
	l.Clock.Advance(time.Minute)
	_, err = l.guess(t, l.wrongBackup())
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	l.Clock.Advance(time.Minute)
	l.enter(t, l.backup(0))
	if left := l.account(t, "ann").Tries["backup_code"].Wrong; left != 0 {
		t.Errorf("after the right one %d are counted, want none", left)
	}
}

// TestRow_E9_LockedFactorSaysWhen: a locked factor says when to try again, and
// starting the sign-in anew never makes guessing cheaper.
func TestRow_E9_LockedFactorSaysWhen(t *testing.T) {
	l := newLab(t)
	answered := 0
	for range 50 { // as many sign-ins as he likes, all at once
		if _, err := l.guess(t, l.wrong()); mfa.ReasonOf(err) == mfa.ReasonWrongCode {
			answered++
		} else {
			waits(t, err, 30*time.Second)
		}
	}
	if answered != 5 {
		t.Errorf("%d guesses answered at once, want 5", answered)
	}
	l.Clock.Advance(30 * time.Second)
	l.enter(t, l.right())
}
