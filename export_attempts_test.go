package mfa

import "time"

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
// since. It counts right as long as g computes one at a time. The counting stops
// when done is closed.
func CountHashes(g *Guard, done <-chan struct{}) (count func() int) {
	places, n, ask := make(chan struct{}), 0, make(chan int)
	g.hashing = places
	go func() {
		for {
			select {
			case <-places: // taken
				n++
				places <- struct{}{} // given back
			case ask <- n:
			case <-done:
				return
			}
		}
	}()
	return func() int { return <-ask }
}
