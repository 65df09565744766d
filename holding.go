package mfa

import "slices"

// holding is one method that the user can be asked for.
type holding struct {
	method Method
	state  usability
	spare  bool // usable beside a factor, and none itself: its code was never accepted
}

type usability int

const (
	usable   usability = iota + 1
	waiting            // locked for a while
	unusable           // disabled, or sealed under a lost key
)

// held returns what the user can be asked for, best first, and what may be used
// now.
func (s *state) held() []holding {
	a := &s.account.data
	var held []holding
	add := func(m Method, lost, spare bool) { held = append(held, holding{m, s.usability(m, lost), spare}) }
	if a.has(TOTP) {
		add(TOTP, !slices.ContainsFunc(a.TOTP, func(t authenticator) bool { return s.g.ring.Knows(t.Sealed) }), false)
	}
	switches := s.switches()
	for _, held := range []bool{true, false} { // what is merely on by default comes after
		for _, w := range switches {
			if w.On && w.Held == held {
				add(w.Method, w.Why != "", !w.Held)
			}
		}
	}
	if len(a.Codes) > 0 {
		add(BackupCode, false, false)
	}
	return held
}

// usability returns what the wrong proofs so far leave of m.
func (s *state) usability(m Method, lost bool) usability {
	t := s.account.data.Tries[m.String()]
	switch {
	case lost || s.account.data.disabled(s.g.policy.Limits, m):
		return unusable
	case t.left(s.g.policy.Limits, m, s.now) > 0:
		return waiting
	}
	return usable
}

// reachable returns the methods by which a code could be sent to an address that
// is known to be the user's, whether or not she uses them as a factor.
func (s *state) reachable() []holding {
	var by []holding
	for _, m := range []Method{EmailCode, SMSCode} {
		if _, why := s.reach(m); why == "" {
			by = append(by, holding{method: m, state: s.usability(m, false)})
		}
	}
	return by
}

// factors returns the holdings that make a user hold a factor: all but backup
// codes, which only stand in for one, and what is spare.
func factors(held []holding) []holding {
	return slices.DeleteFunc(slices.Clone(held), func(h holding) bool { return h.method == BackupCode || h.spare })
}

// besidesMail returns held without codes by mail, if a factor is left then: whoever
// reads the user's mail must not get at what else she holds, nor add to it.
func besidesMail(held []holding) []holding {
	rest := slices.DeleteFunc(slices.Clone(held), func(h holding) bool { return h.method == EmailCode })
	if len(factors(rest)) == 0 {
		return held
	}
	return rest
}

// holds reports whether m is among held.
func holds(held []holding, m Method) bool {
	return slices.ContainsFunc(held, func(h holding) bool { return h.method == m })
}
