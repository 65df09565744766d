package otpcode

import (
	"crypto/subtle"
	"math/bits"
)

// MaxWidth is the widest window in steps on either side. RFC 6238 section 5.2
// recommends at most one step for the delay of the network, section 6 asks for
// an explicit limit in both directions. Each step is one more code that a
// guesser may hit.
const MaxWidth = 2

// A Window says which steps a code may belong to.
type Window struct {
	// Now is the present step, Params.Step of the server's clock.
	Now int64
	// After is the last step that was accepted for this authenticator. Steps up
	// to it are spent. Before the first code it is zero: step zero ended within
	// two minutes of the Unix epoch.
	After int64
	// Width is the number of steps accepted before and after Now, 0 to MaxWidth.
	Width int
}

// A Verdict says what became of a code. The zero value refuses it.
type Verdict uint8

const (
	// None is the verdict on a code that belongs to no step of the window, and
	// on everything malformed.
	None Verdict = iota
	// Reused is the verdict on a code that belongs to a spent step only. It is
	// as wrong as any other, but the step being Window.After itself says that
	// this very code was accepted before: perhaps by somebody who saw it.
	Reused
	// Matched is the verdict on a code that belongs to a step which is not
	// spent. The caller accepts it by storing the step as the next
	// Window.After, if no one else did so meanwhile.
	Matched
)

// A Result is a verdict and the step that it is about.
type Result struct {
	Verdict Verdict
	// Step is zero when the verdict is None.
	Step int64
}

// Match looks for code, as Normalize returns it, among the steps from Now-Width
// to Now+Width. It refuses with None what cannot match: parameters that
// Params.Check refuses, an empty secret, a code that is not exactly Digits ASCII
// digits, a width outside 0 to MaxWidth, and every negative step.
//
// A step is accepted at most once and only forwards (RFC 6238 section 5.2), so
// only a step after Window.After is Matched. In the rare case that two steps of
// a window share the code the result is the lowest that is not spent, which
// leaves the later ones to their own codes, or else the latest spent one.
//
// Every step of the window is computed and compared whatever the others gave:
// time tells neither whether the code is right nor to which step it belongs.
// Match does not allocate, so no copy of the secret reaches the heap.
func Match(secret []byte, p Params, code string, w Window) Result {
	want, ok := parse(code, p.Digits)
	if !ok || p.Check() != nil || len(secret) == 0 {
		return Result{}
	}
	if w.Width < 0 || w.Width > MaxWidth || w.Now < 0 {
		return Result{}
	}
	k := newKey(secret, p.Algorithm)
	first := w.Now - int64(w.Width)
	var spent, fresh uint // bit i is set when the code belongs to step first+i
	for i := range 2*w.Width + 1 {
		hit := uint(subtle.ConstantTimeEq(int32(k.code(first+int64(i), p.Digits)), want)) << i
		switch step := first + int64(i); {
		case step < 0: // the window begins before the epoch
		case step <= w.After:
			spent |= hit
		default:
			fresh |= hit
		}
	}
	if fresh != 0 {
		return Result{Matched, first + int64(bits.TrailingZeros(fresh))}
	}
	if spent != 0 {
		return Result{Reused, first + int64(bits.Len(spent)) - 1}
	}
	return Result{}
}

// parse reads a code of exactly digits ASCII digits, at most MaxDigits. Two
// codes of one length are equal when their numbers are.
func parse(code string, digits int) (int32, bool) {
	if len(code) != digits || digits > MaxDigits {
		return 0, false
	}
	var n int32
	for i := range len(code) {
		c := code[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int32(c)
	}
	return n, true
}
