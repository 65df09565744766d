package mfa_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// What R6 leaves to somebody who knows the password and guesses codes of the app.
//
// In one day, beginning with no wrong code counted: 5 at once, then one at the end
// of each wait. Waits are 30 s, 1, 2, 4, 8, 16 and 32 min, which makes the 6th
// guess at 30 s and the 12th at 3810 s, and an hour each from then on. Of those,
// floor((86400 - 3810) / 3600) = 22 more end within the day: 12 + 22 = 34.
//
// Without a success of the app in between: 100, then it is disabled.
//
// Under the eyes of R6's other count: 19 in any 30 days. The 20th marks the
// password, and the next full sign-in of the owner ends at a new one. Whoever
// begins at the first second of a year gets to days 0, 30, ... 360 of it, 13
// times 19 = 247 guesses, each of which hits 3 of a million codes (a window of
// three time steps): a chance of 1 in 1350 a year.
const (
	guessesADay    = 34
	guessesInAll   = 100
	guessesUnseen  = 19
	patientGuesses = 13 * guessesUnseen
)

// An attacker knows ann's password and begins as many sign-ins as he likes.
type attacker struct {
	*lab
	proof    func() mfa.Proof
	answered int // guesses that were compared with her codes
	shut     bool
}

// until guesses at every moment that a guess would be answered, but limit times at
// most, and returns at the end.
func (a *attacker) until(t *testing.T, end time.Time, limit int) {
	t.Helper()
	for before := a.answered; a.Clock.Now().Before(end); {
		if a.shut || a.answered-before == limit {
			a.Clock.Advance(end.Sub(a.Clock.Now()))
			return
		}
		_, err := a.guess(t, a.proof())
		throttled, wait := errors.AsType[*mfa.ThrottledError](err)
		switch why := mfa.ReasonOf(err); {
		case why == mfa.ReasonWrongCode:
			if a.answered++; a.answered-before > 10_000 {
				t.Fatal("guesses are answered without end")
			}
		case wait:
			a.Clock.Advance(min(throttled.RetryAfter, end.Sub(a.Clock.Now())))
		case why == mfa.ReasonMethodNotAsked, why == mfa.ReasonNoUsableFactor:
			a.shut = true
		default:
			t.Fatalf("a guess: %v (%s)", err, why)
		}
	}
}

func newAttacker(t *testing.T) *attacker {
	l := newLab(t)
	return &attacker{lab: l, proof: l.wrong}
}

// owner lets ann sign in with her app as soon as it does not wait, and returns
// what that leads to.
func (a *attacker) owner(t *testing.T) mfa.Outcome {
	t.Helper()
	for {
		out, err := a.guess(t, a.right())
		if e, ok := errors.AsType[*mfa.ThrottledError](err); ok {
			a.Clock.Advance(e.RetryAfter)
			continue
		}
		if err != nil {
			t.Fatalf("the owner: %v (%s)", err, mfa.ReasonOf(err))
		}
		return out
	}
}

// TestR6_ADay: R6 answers 34 guesses on the first day and one an hour on the next.
func TestR6_ADay(t *testing.T) {
	a := newAttacker(t)
	start := a.Clock.Now()
	a.until(t, start.Add(oneDay), 1<<30)
	if a.answered != guessesADay {
		t.Errorf("%d guesses answered in a day, want %d", a.answered, guessesADay)
	}
	a.until(t, start.Add(2*oneDay), 1<<30)
	if a.answered != guessesADay+24 {
		t.Errorf("%d guesses answered in two days, want 24 more than in one", a.answered)
	}
}

// TestR6_AYearWithoutTheOwner: R6 answers 100 guesses when the owner never comes,
// in a year and for ever; her backup code still works then.
func TestR6_AYearWithoutTheOwner(t *testing.T) {
	a := newAttacker(t)
	a.until(t, a.Clock.Now().Add(365*oneDay), 1<<30)
	if a.answered != guessesInAll || !a.shut {
		t.Errorf("%d guesses answered, shut %t, want %d and no more", a.answered, a.shut, guessesInAll)
	}
	out, err := a.guess(t, a.backup(0))
	if err != nil || out.Pending == nil || out.Pending.Need().Step != mfa.StepNewPassword {
		t.Errorf("the owner's backup code: %v (%s), want it accepted, and a new password", err, mfa.ReasonOf(err))
	}
}

// TestR6_OwnerComesDaily: R6 takes the password for compromised long before the
// first day is over. The owner's next full sign-in stays at a new password, day
// by day, until there is one; nobody signs in meanwhile, and the attacker gets no
// more than his 34 guesses between two of her sign-ins.
func TestR6_OwnerComesDaily(t *testing.T) {
	a := newAttacker(t)
	suspected := 0
	for day := range 10 {
		before := a.answered
		a.until(t, a.Clock.Now().Add(oneDay), 1<<30)
		if got := a.answered - before; got != guessesADay {
			t.Fatalf("day %d: %d guesses answered, want %d", day, got, guessesADay)
		}
		out := a.owner(t)
		if out.Pending == nil || out.Pending.Need().Step != mfa.StepNewPassword {
			t.Fatalf("day %d: the owner's sign-in led to a session: %t, want a new password", day, out.Session != nil)
		}
		for _, e := range a.Events.Take() {
			if e.Name == mfa.EventPasswordSuspect {
				suspected++
			}
		}
	}
	if suspected != 1 {
		t.Errorf("suspected %d times, want once", suspected)
	}
	if err := a.Guard.CredentialsChanged(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	a.Clock.Advance(a.app.Period())
	if out := a.owner(t); out.Session == nil {
		t.Error("after the new password: no session")
	}
}

// TestR6_SuspectedAtTwenty: R6 suspects the password at the 20th failure within 30
// days and not at the 19th, through successes of the owner in between.
func TestR6_SuspectedAtTwenty(t *testing.T) {
	a := newAttacker(t)
	for n := 1; n <= 20; n++ {
		a.until(t, a.Clock.Now().Add(oneDay), 1)
		if a.answered != n {
			t.Fatalf("%d guesses answered, want %d", a.answered, n)
		}
		out := a.owner(t)
		if suspected := out.Session == nil; suspected != (n == 20) {
			t.Fatalf("after %d failures, one a day: suspected %t", n, suspected)
		}
	}
	failures := len(a.account(t, "ann").Failures)
	if failures != 20 {
		t.Errorf("%d failures kept, want 20", failures)
	}
}

// TestR6_PatientYear: R6 leaves 247 guesses in a year to an attacker who counts
// along and stays below the 20 in 30 days.
func TestR6_PatientYear(t *testing.T) {
	a := newAttacker(t)
	start := a.Clock.Now()
	for day := range 365 {
		today := start.Add(time.Duration(day) * oneDay)
		a.until(t, today, 0)
		if day%30 == 0 {
			a.until(t, today.Add(12*time.Hour), guessesUnseen) // takes eight hours
		}
		if out := a.owner(t); out.Session == nil {
			t.Fatalf("day %d: suspected", day)
		}
	}
	if a.answered != patientGuesses {
		t.Errorf("%d guesses answered, want %d", a.answered, patientGuesses)
	}
	// Once more than he can afford.
	a.until(t, a.Clock.Now().Add(30*oneDay), 20)
	if out := a.owner(t); out.Session != nil {
		t.Error("20 in 30 days, and the password is not suspected")
	}
}

// TestR6_BackupCodesInADay: R6 answers one guess of a backup code a minute: 5 at
// once, the 6th at 30 s, and floor((86400 - 30) / 60) = 1439 after it. Each hits
// one of 2^70.
func TestR6_BackupCodesInADay(t *testing.T) {
	a := newAttacker(t)
	a.proof = a.wrongBackup
	a.until(t, a.Clock.Now().Add(oneDay), 1<<30)
	if a.answered != 5+1+1439 {
		t.Errorf("%d guesses answered in a day, want 1445", a.answered)
	}
}

// TestR6_Races: R6 counts the same when 32 guesses come at once, on any number of
// flows: what is compared is counted first.
func TestR6_Races(t *testing.T) {
	for _, c := range []struct {
		name                  string
		before, answered, now int
		event                 mfa.EventName // told once
	}{
		{"none to five", 0, 5, 5, mfa.EventMethodLocked},
		{"four to five", 4, 1, 5, mfa.EventMethodLocked},
		{"after the longest wait", 50, 1, 51, ""},
		{"ninety-nine to a hundred", 99, 1, 100, mfa.EventMethodDisabled},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAttacker(t)
			for range mfatest.Rounds(100) {
				a.race(t, c.before, c.answered, c.now, c.event)
			}
		})
	}
}

// race makes 32 guesses at once on as many flows as there can be.
func (a *attacker) race(t *testing.T, before, answered, now int, event mfa.EventName) {
	t.Helper()
	a.change(t, "ann", func(d *mfa.AccountData) {
		d.Tries = map[string]mfa.Tries{"totp": {Wrong: before}}
	})
	a.Clock.Advance(time.Second) // so that the flows of the last race are the oldest
	flows := make([]string, 16)
	for i := range flows {
		flows[i] = a.flow(t)
	}
	a.Events.Take()
	var wg sync.WaitGroup
	errs := make([]error, 32)
	for i := range errs {
		wg.Go(func() { _, errs[i] = a.verify(t.Context(), flows[i%len(flows)], a.wrong()) })
	}
	wg.Wait()
	got, told := 0, 0
	for _, err := range errs {
		switch mfa.ReasonOf(err) {
		case mfa.ReasonWrongCode:
			got++
		case mfa.ReasonMethodLocked, mfa.ReasonMethodNotAsked:
		default:
			t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
		}
	}
	for _, e := range a.Events.Take() {
		if e.Name == event {
			told++
		}
	}
	if n := a.account(t, "ann").Tries["totp"].Wrong; got != answered || n != now || event != "" && told != 1 {
		t.Fatalf("%d of 32 answered and %d counted, want %d and %d; %d times %q, want once", got, n, answered, now, told, event)
	}
}
