package mfa_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

const (
	freshFor = 5 * time.Minute
	oneDay   = 24 * time.Hour
)

// decidedAt is when every decision of these tests is made.
func decidedAt() time.Time { return time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC) }

// A dimension is one thing that the decision looks at and the values it takes.
type dimension struct {
	values int
	set    func(s *mfa.Situation, value int)
}

// toggle is a dimension of a switch.
func toggle(of func(*mfa.Situation) *bool) dimension {
	return dimension{2, func(s *mfa.Situation, v int) { *of(s) = v == 1 }}
}

// A product is one place or two, what matters there, and what does not.
type product struct {
	name         string
	matter, idle []dimension
}

// products returns everything that the decision looks at.
func products() []product {
	at := func(places ...mfa.Place) dimension {
		return dimension{len(places), func(s *mfa.Situation, v int) { s.Place = places[v] }}
	}
	account := []dimension{
		toggle(func(s *mfa.Situation) *bool { return &s.Ask }),
		toggle(func(s *mfa.Situation) *bool { return &s.MustEnroll }),
		toggle(func(s *mfa.Situation) *bool { return &s.Unsaved }),
		toggle(func(s *mfa.Situation) *bool { return &s.Compromised }),
		toggle(func(s *mfa.Situation) *bool { return &s.ByPassword }),
	}
	enrolled := []dimension{toggle(func(s *mfa.Situation) *bool { return &s.Enrolled })}
	return []product{
		{"sign-in", slices.Concat([]dimension{at(mfa.AtSignIn)}, account, ruled(), proofs()), slices.Concat(enrolled, opened())},
		{"door", slices.Concat([]dimension{at(mfa.AtDoor)}, ruled(), opened(), proofs()), slices.Concat(enrolled, account)},
		{"confirm and enroll", slices.Concat([]dimension{at(mfa.AtConfirm, mfa.AtEnroll)}, enrolled, opened(), proofs()),
			slices.Concat(account, ruled())},
	}
}

// ruled is the rule and whether the user has put it off.
func ruled() []dimension {
	now := decidedAt()
	from := []time.Time{{}, now.Add(-oneDay), now.Add(oneDay)}
	return []dimension{
		{3, func(s *mfa.Situation, v int) { s.Required, s.From = v > 0, from[v] }},
		toggle(func(s *mfa.Situation) *bool { return &s.Skipped }),
	}
}

// opened is when the flow was opened, now or almost ten minutes ago, and when the
// first factor was proven.
func opened() []dimension {
	now := decidedAt()
	first := []time.Time{{}, now.Add(-time.Minute), now.Add(-freshFor - time.Second), now.Add(20 * time.Minute)}
	return []dimension{
		{2, func(s *mfa.Situation, v int) { s.Since = now.Add(-freshFor - time.Duration(v)*9*time.Minute) }},
		{len(first), func(s *mfa.Situation, v int) { s.FirstAt = first[v] }},
	}
}

// proofs is what is held and allowed, and no proof or one of a method and an age.
func proofs() []dimension {
	allowed := [][]mfa.Method{{mfa.TOTP}, {mfa.SMSCode}, {mfa.TOTP, mfa.SMSCode}, {mfa.EmailCode, mfa.SMSCode}}
	age := []time.Duration{-time.Minute, -freshFor - time.Second, 30 * time.Second, 20 * time.Minute}
	list := []dimension{
		toggle(func(s *mfa.Situation) *bool { return &s.Staged }),
		{len(allowed), func(s *mfa.Situation, v int) { s.Allowed = allowed[v] }},
		{1 + 4*len(age), func(s *mfa.Situation, v int) {
			if v > 0 {
				s.Proofs = []mfa.Proven{{Method: mfa.Method(1 + (v-1)%4), At: decidedAt().Add(age[(v-1)/4])}}
			}
		}},
	}
	for _, m := range []mfa.Method{mfa.TOTP, mfa.EmailCode, mfa.SMSCode, mfa.BackupCode} {
		list = append(list, dimension{4, func(s *mfa.Situation, v int) {
			if v > 0 {
				s.Held = append(s.Held, mfa.Holding{Method: m, State: mfa.Usability(v)})
			}
		}})
	}
	return list
}

// size returns how many situations there are.
func size(all []dimension) int {
	n := 1
	for _, d := range all {
		n *= d.values
	}
	return n
}

// situation returns the situation with this number, with what does not matter as
// in another number.
func (p product) situation(number, idle int) mfa.Situation {
	s := mfa.Situation{Now: decidedAt(), Since: decidedAt().Add(-freshFor), Held: make([]mfa.Holding, 0, 4)}
	for _, d := range p.matter {
		d.set(&s, number%d.values)
		number /= d.values
	}
	for _, d := range p.idle {
		d.set(&s, idle%d.values)
		idle /= d.values
	}
	return s
}

// TestDecisionProduct checks what must hold of every decision, whatever the
// policy, over the product of everything that the decision looks at: all 9
// million situations with MFA_ROUNDS=20 or more, else an even part of them.
func TestDecisionProduct(t *testing.T) {
	for _, p := range products() {
		t.Run(p.name, func(t *testing.T) {
			n := size(p.matter)
			rounds := min(mfatest.Rounds(5*n), n)
			// Steps of this length, which has no divisor in common with n, meet every
			// situation once, and each few dimensions in all their values early on.
			const stride, other = 98_765_431, 1_000_003
			if gcd(n, stride) != 1 {
				t.Fatalf("the stride and %d have a common divisor: situations would be left out", n)
			}
			first, count := make(map[string]mfa.Situation), make(map[string]int)
			var mu sync.Mutex
			var wg sync.WaitGroup
			const workers = 4
			for w := range workers {
				wg.Go(func() {
					for i := w; i < rounds; i += workers {
						s := p.situation(i*stride%n, i*other)
						for _, fault := range faultsOf(s, p.situation(i*stride%n, i)) {
							mu.Lock()
							if count[fault]++; count[fault] == 1 {
								first[fault] = s
							}
							mu.Unlock()
						}
					}
				})
			}
			wg.Wait()
			for fault, s := range first {
				t.Errorf("%s, %d times in %d\nsituation %+v\nverdict %+v", fault, count[fault], rounds, s, mfa.Decide(s))
			}
			t.Logf("%d of %d situations", rounds, n)
		})
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// A judgment is a situation, its verdict, and what follows from the situation by
// the words of the rules rather than by the code under test.
type judgment struct {
	mfa.Situation
	mfa.Verdict
	allowed bool
	factor  bool // held: anything but backup codes
	own     bool // one that satisfies the rule
	could   bool // something held, codes included, is usable or waits
	once    bool // something held was proven in this flow; the last backup code counts
	fresh   bool // and not long ago
	// recently: what a sensitive action asks for, the first factor when none is held.
	recently bool
	due      bool
	asked    bool // a second factor is asked for here, if one is held
}

func judge(s mfa.Situation) judgment {
	j := judgment{Situation: s, Verdict: mfa.Decide(s)}
	j.allowed = !j.Refused && j.Step == 0
	for _, h := range s.Held {
		j.factor = j.factor || h.Method != mfa.BackupCode
		j.own = j.own || slices.Contains(s.Allowed, h.Method)
		j.could = j.could || h.State != mfa.Unusable
	}
	for _, p := range s.Proofs {
		if j.factor && p.Method == mfa.BackupCode || j.state(p.Method) != 0 {
			j.once = true
			j.fresh = j.fresh || s.Now.Sub(p.At).Abs() <= s.Now.Sub(s.Since)
		}
	}
	j.recently = j.fresh || !j.factor && !s.FirstAt.IsZero() && s.Now.Sub(s.FirstAt).Abs() <= s.Now.Sub(s.Since)
	j.due = s.Required && !s.Now.Before(s.From)
	j.asked = s.Place == mfa.AtConfirm || s.Place == mfa.AtEnroll || j.due ||
		s.Place == mfa.AtSignIn && (s.Ask || s.Compromised && s.ByPassword)
	return j
}

// state returns how a method is held, 0 when it is not.
func (j judgment) state(m mfa.Method) mfa.Usability {
	for _, h := range j.Held {
		if h.Method == m {
			return h.State
		}
	}
	return 0
}

// satisfied reports whether a method that the rule allows was proven, or a backup
// code, which stands in for any.
func (j judgment) satisfied() bool {
	return slices.ContainsFunc(j.Proofs, func(p mfa.Proven) bool {
		return p.Method == mfa.BackupCode || slices.Contains(j.Situation.Allowed, p.Method) && j.state(p.Method) != 0
	})
}

// same reports whether s leads to the same verdict.
func (j judgment) same(s mfa.Situation) bool {
	v, w := mfa.Decide(s), j.Verdict
	return slices.Equal(v.Methods, w.Methods) && v.Refused == w.Refused && v.Step == w.Step && v.Until.Equal(w.Until) &&
		v.Waits == w.Waits && v.Why == w.Why
}

// faultsOf returns what is wrong with the decision about s. The other situation is
// the same in all that matters.
func faultsOf(s, other mfa.Situation) []string {
	held := slices.Clone(s.Held)
	j := judge(s)
	gate := s.Place == mfa.AtSignIn || s.Place == mfa.AtDoor
	hurried, twice := s, s
	hurried.Skipped = false
	if len(s.Proofs) > 0 {
		twice.Proofs = slices.Concat(s.Proofs, s.Proofs)
	}
	var faults []string
	for _, c := range [...]struct {
		fault string
		bad   bool
	}{
		{"two answers to one question", !j.same(s) || !slices.Equal(held, s.Held)},
		{"what does not matter here matters", !j.same(other)},
		{"no reason", j.Why == ""},
		{"refused, and yet a step", j.Refused && (j.Step != 0 || len(j.Methods) > 0)},
		{"methods without a step that names them", len(j.Methods) > 0 && j.Step != mfa.StepVerify && j.Step != mfa.StepEnroll},
		{"the rule is due, and nothing that it allows was proven",
			gate && j.due && j.allowed && !(j.own && j.satisfied())},
		{"to enroll before the factor that is held was verified", j.Step == mfa.StepEnroll && j.factor && !j.once},
		{"to enroll in a session that proved nothing lately", j.Step == mfa.StepEnroll && s.Place != mfa.AtSignIn && !j.recently},
		{"a password alone confirms although a factor is held",
			!gate && j.factor && !j.fresh && j.Step != mfa.StepVerify && !j.Refused},
		{"a first factor that is not recent confirms", !gate && !j.factor && !j.recently && j.Step != mfa.StepVerify},
		{"the password is asked of somebody who holds a factor", j.factor && slices.Contains(j.Methods, mfa.Password)},
		{"no factor held can be used, and it is not refused",
			j.asked && j.factor && !j.could && !j.once && (!j.Refused || j.Why != mfa.ReasonNoUsableFactor)},
		{"refused although something could be used", j.Refused && slices.ContainsFunc(s.Held, func(h mfa.Holding) bool {
			return h.State != mfa.Unusable && (h.Method == mfa.BackupCode || !j.own || !s.Required || !gate || slices.Contains(s.Allowed, h.Method))
		})},
		{"codes are shown to somebody who passed no second factor", j.Step == mfa.StepSaveCodes && !j.once},
		{"a new password for somebody who passed no second factor", j.Step == mfa.StepNewPassword && j.factor && !j.once},
		{"a new password without need", j.Step == mfa.StepNewPassword && !(s.Compromised && s.ByPassword && s.Place == mfa.AtSignIn)},
		{"signed in with a compromised password", j.allowed && s.Compromised && s.ByPassword && s.Place == mfa.AtSignIn},
		{"signed in after a reset without enrolling", j.allowed && s.MustEnroll && !j.factor && s.Place == mfa.AtSignIn},
		{"asked to skip what is due, or what is no matter of a date", !j.Until.IsZero() &&
			(j.Step != mfa.StepEnroll || !gate || !s.Required || j.due || !j.Until.Equal(s.From))},
		{"skipping matters although the rule is due or none asks", s.Skipped && (j.due || !s.Required) && !j.same(hurried)},
		{"one proof given twice counts for more", len(s.Proofs) > 0 && !j.same(twice)},
		{"enrollment of something else than the rule allows", j.Step == mfa.StepEnroll && !slices.Equal(j.Methods, s.Allowed)},
		{"malformed list of methods to verify", j.Step == mfa.StepVerify && !j.listed()},
		{"waits although it is no matter of waiting", j.Waits && j.Step != mfa.StepVerify},
		{"asked although nothing asks", !j.allowed && s.Place == mfa.AtDoor && !s.Required && !s.Staged},
	} {
		if c.bad {
			faults = append(faults, c.fault)
		}
	}
	return faults
}

// listed reports whether the methods to verify are held and can be used now or
// after a wait, what can be used now first, each once, and whether Waits says it
// right.
func (j judgment) listed() bool {
	if slices.Equal(j.Methods, []mfa.Method{mfa.Password}) {
		return !j.factor && !j.Waits
	}
	last, seen := mfa.Usable, 0
	for _, m := range j.Methods {
		state := j.state(m)
		if state < last || state == mfa.Unusable || seen&(1<<m) != 0 {
			return false
		}
		last, seen = state, seen|1<<m
	}
	return len(j.Methods) > 0 && j.Waits == (j.state(j.Methods[0]) == mfa.Waiting)
}

// TestDecisionComplete fails when the decision looks at something that the
// situations of these tests do not have.
func TestDecisionComplete(t *testing.T) {
	if decision, mirror := mfa.DecisionFields(); decision != mirror {
		t.Errorf("the decision looks at %d values, the tests set %d", decision, mirror)
	}
	if got := fmt.Sprint(mfa.Decide(mfa.Situation{})); got != fmt.Sprint(mfa.Verdict{Refused: true, Why: mfa.ReasonInvalidArgument}) {
		t.Errorf("the zero situation: %v, want refused", got)
	}
}
