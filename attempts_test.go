package mfa_test

import (
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
)

// defaultLimits returns the limits of the zero policy.
func defaultLimits(t testing.TB) mfa.Limits {
	t.Helper()
	l, err := mfa.LimitsOf(mfa.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestR6_Wait: R6 makes a method wait from the fifth wrong proof in a row: half a
// minute, doubled by each further one, an hour at most; a backup code a minute at
// most, because it is the way back.
func TestR6_Wait(t *testing.T) {
	figures := defaultLimits(t)
	least := mfa.Limits{TriesBeforeWait: 1, WaitMin: 10 * time.Second, WaitMax: time.Minute}
	most := mfa.Limits{TriesBeforeWait: 10, WaitMin: 10 * time.Minute, WaitMax: oneDay}
	for _, c := range []struct {
		name   string
		limits mfa.Limits
		method mfa.Method
		wrong  int
		want   time.Duration
	}{
		{"none", figures, mfa.TOTP, 0, 0},
		{"one below", figures, mfa.TOTP, 4, 0},
		{"at the limit", figures, mfa.TOTP, 5, 30 * time.Second},
		{"one past", figures, mfa.TOTP, 6, time.Minute},
		{"two past", figures, mfa.TOTP, 7, 2 * time.Minute},
		{"three past", figures, mfa.TOTP, 8, 4 * time.Minute},
		{"four past", figures, mfa.TOTP, 9, 8 * time.Minute},
		{"five past", figures, mfa.TOTP, 10, 16 * time.Minute},
		{"last before the longest", figures, mfa.TOTP, 11, 32 * time.Minute},
		{"longest, and not 64 minutes", figures, mfa.TOTP, 12, time.Hour},
		{"one past the longest", figures, mfa.TOTP, 13, time.Hour},
		{"when disabled", figures, mfa.TOTP, 100, time.Hour},
		{"without end", figures, mfa.TOTP, math.MaxInt32, time.Hour},
		{"mail like an app", figures, mfa.EmailCode, 12, time.Hour},
		{"backup, one below", figures, mfa.BackupCode, 4, 0},
		{"backup, at the limit", figures, mfa.BackupCode, 5, 30 * time.Second},
		{"backup, longest", figures, mfa.BackupCode, 6, time.Minute},
		{"backup, one past", figures, mfa.BackupCode, 7, time.Minute},
		{"backup, without end", figures, mfa.BackupCode, math.MaxInt32, time.Minute},
		{"least, none", least, mfa.TOTP, 0, 0},
		{"least, at the limit", least, mfa.TOTP, 1, 10 * time.Second},
		{"least, one past", least, mfa.TOTP, 2, 20 * time.Second},
		{"least, longest", least, mfa.TOTP, 4, time.Minute},
		{"most, one below", most, mfa.TOTP, 9, 0},
		{"most, at the limit", most, mfa.TOTP, 10, 10 * time.Minute},
		{"most, last before the longest", most, mfa.TOTP, 17, 1280 * time.Minute},
		{"most, longest", most, mfa.TOTP, 18, oneDay},
		{"most, backup", most, mfa.BackupCode, 10, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := mfa.Wait(c.limits, c.method, c.wrong); got != c.want {
				t.Errorf("after %d wrong %v: %v, want %v", c.wrong, c.method, got, c.want)
			}
		})
	}
}

// TestR6_WaitLeft: R6 ends a wait at its last second and not before, R30 never
// makes it longer than it is, wherever the clock goes.
func TestR6_WaitLeft(t *testing.T) {
	now := decidedAt()
	const second = time.Second
	for _, c := range []struct {
		name  string
		wrong int
		ago   time.Duration // of the last wrong proof
		want  time.Duration
	}{
		{"just now", 5, 0, 30 * second},
		{"a second later", 5, second, 29 * second},
		{"one second left", 5, 29 * second, second},
		{"a moment left", 5, 30*second - 1, 1},
		{"over at its end", 5, 30 * second, 0},
		{"over a second past", 5, 31 * second, 0},
		{"no wait below the limit", 4, 0, 0},
		{"longest", 100, 0, time.Hour},
		{"longest, one second left", 100, time.Hour - second, second},
		{"longest, over", 100, time.Hour, 0},
		{"clock of another process ahead", 5, -second, 30 * second},
		{"clock ahead by as much as clocks differ", 5, -time.Minute, 30 * second},
		{"clock set back", 5, -time.Minute - second, 0},
		{"clock set back by years", 100, -1e9 * second, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			tries := mfa.Tries{Wrong: c.wrong, Last: now.Add(-c.ago).Unix()}
			at := time.Unix(tries.Last, 0).Add(c.ago)
			if got := mfa.WaitLeft(tries, defaultLimits(t), mfa.TOTP, at); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
	if left := mfa.WaitLeft(mfa.Tries{Wrong: 50}, defaultLimits(t), mfa.TOTP, now); left != 0 {
		t.Errorf("after the wait was ended early: %v, want none", left)
	}
}

// TestR6_Disabled: R6 disables a method at 100 wrong proofs in a row, however
// long that takes (SP 800-63B-4 section 3.2.2), and backup codes never.
func TestR6_Disabled(t *testing.T) {
	least := defaultLimits(t)
	least.TriesBeforeDisable = 10
	for _, c := range []struct {
		name   string
		limits mfa.Limits
		method mfa.Method
		wrong  int
		want   bool
	}{
		{"none", defaultLimits(t), mfa.TOTP, 0, false},
		{"one below", defaultLimits(t), mfa.TOTP, 99, false},
		{"at the limit", defaultLimits(t), mfa.TOTP, 100, true},
		{"one past", defaultLimits(t), mfa.TOTP, 101, true},
		{"least, one below", least, mfa.TOTP, 9, false},
		{"least, at the limit", least, mfa.TOTP, 10, true},
		{"mail", defaultLimits(t), mfa.EmailCode, 100, true},
		{"text message", defaultLimits(t), mfa.SMSCode, 100, true},
		{"backup codes", defaultLimits(t), mfa.BackupCode, 100, false},
		{"backup codes, without end", least, mfa.BackupCode, math.MaxInt32, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := mfa.Disabled(mfa.Tries{Wrong: c.wrong}, c.limits, c.method); got != c.want {
				t.Errorf("after %d wrong %v: disabled %t, want %t", c.wrong, c.method, got, c.want)
			}
		})
	}
}

// TestR5_CountOnlyGrows: R5 counts each wrong proof, and no number of them makes
// the count start again.
func TestR5_CountOnlyGrows(t *testing.T) {
	now := decidedAt()
	for _, c := range []struct {
		name          string
		before, after int
	}{
		{"first", 0, 1},
		{"hundredth", 99, 100},
		{"as many as are counted", math.MaxInt32 - 1, math.MaxInt32},
		{"more than are counted", math.MaxInt32, math.MaxInt32},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := mfa.CountWrong(mfa.Tries{Wrong: c.before, Last: 1}, now)
			if want := (mfa.Tries{Wrong: c.after, Last: now.Unix()}); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

// TestR6_Suspect: R6 takes 20 failed second factors after the right password
// within 30 days as a sign that somebody else knows it.
func TestR6_Suspect(t *testing.T) {
	now := decidedAt()
	const days30 = 30 * oneDay
	ago := func(n int, ago time.Duration) []int64 {
		return slices.Repeat([]int64{now.Add(-ago).Unix()}, n)
	}
	for _, c := range []struct {
		name    string
		earlier []int64
		want    bool
		kept    int
	}{
		{"first", nil, false, 1},
		{"one below", ago(18, time.Hour), false, 19},
		{"at the limit", ago(19, time.Hour), true, 20},
		{"one past: no more are kept", ago(20, time.Hour), true, 20},
		{"a second before they are over", ago(19, days30-time.Second), true, 20},
		{"over after 30 days", ago(19, days30), false, 1},
		{"over a second later", ago(19, days30+time.Second), false, 1},
		{"one of them over", slices.Concat(ago(1, days30), ago(18, 0)), false, 19},
		{"from before the clock was set back", ago(19, -oneDay), true, 20},
		{"the clock set back, and below", ago(18, -oneDay), false, 19},
	} {
		t.Run(c.name, func(t *testing.T) {
			kept, suspect := mfa.Suspect(defaultLimits(t), c.earlier, now)
			if suspect != c.want || len(kept) != c.kept || kept[len(kept)-1] != now.Unix() {
				t.Errorf("suspect %t of %d kept, want %t of %d, this one last", suspect, len(kept), c.want, c.kept)
			}
		})
	}
}

// TestR6_FiguresHaveBounds: R6's figures are policy, between hard floors and
// ceilings: no configuration takes the limit on guessing away.
func TestR6_FiguresHaveBounds(t *testing.T) {
	for _, c := range []struct {
		field            string
		zero, floor, top int64
		unit             time.Duration
	}{
		{"TriesPerPending", 5, 1, 10, 1},
		{"TriesBeforeWait", 5, 1, 10, 1},
		{"TriesBeforeDisable", 100, 10, 100, 1},
		{"FailuresBeforeSuspect", 20, 10, 50, 1},
		{"WaitMin", 30, 10, 600, time.Second},
		{"WaitMax", 3600, 60, 86400, time.Second},
	} {
		t.Run(c.field, func(t *testing.T) {
			with := func(n int64) (int64, error) {
				var p mfa.Policy
				reflect.ValueOf(&p.Limits).Elem().FieldByName(c.field).SetInt(n * int64(c.unit))
				l, err := mfa.LimitsOf(p)
				return reflect.ValueOf(l).FieldByName(c.field).Int() / int64(c.unit), err
			}
			for _, n := range []int64{c.floor, c.top} {
				if got, err := with(n); err != nil || got != n {
					t.Errorf("%d: %d, %v, want it kept", n, got, err)
				}
			}
			if got, err := with(0); err != nil || got != c.zero {
				t.Errorf("zero: %d, %v, want %d", got, err, c.zero)
			}
			for _, n := range []int64{-1, c.floor - 1, c.top + 1, math.MaxInt32} {
				if _, err := with(n); n != 0 && err == nil {
					t.Errorf("%d is accepted, want %d to %d", n, c.floor, c.top)
				}
			}
		})
	}
}
