package mfa

import (
	"math"
	"slices"
	"time"
)

// tries counts wrong proofs of one method on one account. Only a success of the
// method sets it back: no new sign-in, no new code, no password and no unlock
// does, so that guessing never gets cheaper by starting again.
type tries struct {
	Wrong int   `json:"n"`           // in a row
	Last  int64 `json:"t,omitempty"` // Unix seconds of the last one; 0: the wait was ended early
}

// clockSkew is how far the clocks of two processes may differ. A last failure
// further ahead than this comes from a clock that was set back since.
const clockSkew = time.Minute

// wait returns how long m stays closed after so many wrong proofs in a row:
// WaitMin from TriesBeforeWait on, doubled by each further one, to WaitMax.
func (l Limits) wait(m Method, wrong int) time.Duration {
	if wrong < l.TriesBeforeWait {
		return 0
	}
	longest := l.WaitMax
	if m == BackupCode {
		longest = min(longest, backupWaitMax)
	}
	wait := l.WaitMin
	for i := l.TriesBeforeWait; i < wrong && wait < longest; i++ {
		wait *= 2
	}
	return min(wait, longest)
}

// left returns how long m still waits, zero when it may be tried.
func (t tries) left(l Limits, m Method, now time.Time) time.Duration {
	wait := l.wait(m, t.Wrong)
	if wait == 0 || t.Last == 0 {
		return 0
	}
	since := now.Sub(time.Unix(t.Last, 0))
	if since < -clockSkew || since >= wait {
		// Past, or the clock was set back: a wait never outlives its length by
		// more than the skew. The count stands either way.
		return 0
	}
	return min(wait-since, wait)
}

// disabled reports whether m must be bound anew. Backup codes never are: at 70
// bits and a guess a minute nobody finds one, and they are the way back.
func (t tries) disabled(l Limits, m Method) bool {
	return m != BackupCode && t.Wrong >= l.TriesBeforeDisable
}

// add counts one more wrong proof. The count stops short of overflowing.
func (t tries) add(now time.Time) tries {
	if t.Wrong < math.MaxInt32 {
		t.Wrong++
	}
	t.Last = now.Unix()
	return t
}

// suspect adds now to the failures of the last 30 days and reports whether they
// are too many. It keeps no more of them than that takes.
func (l Limits) suspect(failures []int64, now time.Time) ([]int64, bool) {
	since := now.Add(-suspectWindow).Unix()
	failures = slices.DeleteFunc(failures, func(at int64) bool { return at <= since })
	failures = append(failures, now.Unix())
	if n := len(failures) - l.FailuresBeforeSuspect; n > 0 {
		failures = failures[n:]
	}
	return failures, len(failures) >= l.FailuresBeforeSuspect
}
