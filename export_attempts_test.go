package mfa

import (
	"context"
	"sync/atomic"
	"time"
)

// Tries is the count of one method, as accounts store it.
type Tries = tries

// Wait and the others below are the arithmetic of guessing, for attempts_test.go.
func Wait(l Limits, m Method, wrong int) time.Duration { return l.wait(m, wrong) }

func WaitLeft(t Tries, l Limits, m Method, now time.Time) time.Duration { return t.left(l, m, now) }

func Disabled(t Tries, l Limits, m Method) bool { return t.disabled(l, m) }

func CountWrong(t Tries, now time.Time) Tries { return t.add(now) }

func Suspect(l Limits, failures []int64, now time.Time) ([]int64, bool) {
	return l.suspect(failures, now)
}

// LimitsOf returns the limits that hold under p.
func LimitsOf(p Policy) (Limits, error) {
	p, err := p.resolved()
	return p.Limits, err
}

// CountHashes returns a function that returns how many password hashes g computed
// since.
func CountHashes(g *Guard) (count func() int) {
	var n atomic.Int64
	enter := g.hashing
	g.hashing = func(ctx context.Context, kib int) (func(), error) {
		n.Add(1)
		return enter(ctx, kib)
	}
	return func() int { return int(n.Load()) }
}
