package mfatest

import (
	"fmt"
	"os"
	"strconv"
)

const (
	// defaultPercent is small enough for a test run at every save.
	defaultPercent = 2
	// minRounds is where a race that loses one time in four still has a chance
	// below 1 % of going unseen.
	minRounds = 20
)

// Rounds returns how often a test repeats what depends on luck: long times the
// percentage in the environment variable MFA_ROUNDS, at least 20. Without the
// variable it is 2 % of long. MFA_ROUNDS=100 is the long form, for the nightly
// run. Rounds panics when the variable is not a whole number from 0 on: a typing
// error must not pass for a long run.
func Rounds(long int) int {
	percent := defaultPercent
	if s := os.Getenv("MFA_ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			panic(fmt.Sprintf("mfatest: MFA_ROUNDS is %q, want a percentage such as 5", s))
		}
		percent = n
	}
	return max(long*percent/100, minRounds)
}
