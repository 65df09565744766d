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
		{"administer", slices.Concat([]dimension{at(mfa.AtAdminister), always()}, opened(), proofs()), slices.Concat(enrolled, account)},
		{"sign-in under several rules", slices.Concat([]dimension{at(mfa.AtSignIn)}, account[:2], ruled(), several(), fewProofs()),
			slices.Concat(enrolled, opened())},
		{"door under several rules", slices.Concat([]dimension{at(mfa.AtDoor), lapsed(), firstAt()}, ruled(), several(), fewProofs()),
			slices.Concat(enrolled, account)},
	}
}

// always is a rule that binds whatever the date.
func always() dimension {
	return dimension{1, func(s *mfa.Situation, _ int) { s.Required = true }}
}

// several is what comes to the first rule: another one, of methods that it shares
// some or none of, and what excuses from one or from all.
func several() []dimension {
	now := decidedAt()
	app, text := []mfa.Method{mfa.TOTP}, []mfa.Method{mfa.SMSCode}
	also := [][]mfa.Rule{
		nil, {{Allowed: text}}, {{Allowed: app, From: now.Add(2 * oneDay)}}, {{Allowed: text, From: now, After: now.Add(-2 * time.Minute)}},
		{{Allowed: []mfa.Method{mfa.TOTP, mfa.SMSCode}}, {Allowed: text}}, {{Allowed: text, Excuse: mfa.ReasonSSOTrusted}},
	}
	return []dimension{
		{len(also), func(s *mfa.Situation, v int) { s.Also = also[v] }},
		{3, func(s *mfa.Situation, v int) {
			s.Excused, s.Excuse = [...]mfa.Reason{"", mfa.ReasonSSOWaived, ""}[v], [...]mfa.Reason{"", "", mfa.ReasonExempt}[v]
		}},
		{2, func(s *mfa.Situation, v int) {
			if v == 1 {
				s.After = now.Add(-2 * time.Minute)
			}
		}},
		{2, func(s *mfa.Situation, v int) {
			if v == 1 {
				s.Remembered, s.Recall = mfa.Proven{Method: mfa.TOTP, At: now.Add(-time.Hour)}, oneDay
			}
		}},
	}
}

// lapsed is when a door last saw a proof.
func lapsed() dimension {
	since := []time.Time{{}, decidedAt().Add(-2 * time.Minute)}
	return dimension{len(since), func(s *mfa.Situation, v int) { s.Lapsed = since[v] }}
}

// firstAt is when the first factor was proven, just now or long ago.
func firstAt() dimension {
	return dimension{2, func(s *mfa.Situation, v int) { s.FirstAt = decidedAt().Add(-time.Duration(v) * time.Hour) }}
}

// fewProofs is what is held and allowed, and up to two proofs.
func fewProofs() []dimension {
	now := decidedAt()
	allowed := [][]mfa.Method{{mfa.TOTP}, {mfa.SMSCode}, {mfa.TOTP, mfa.SMSCode}}
	made := [][]mfa.Proven{
		nil, {{Method: mfa.TOTP, At: now}}, {{Method: mfa.SMSCode, At: now}}, {{Method: mfa.BackupCode, At: now}},
		{{Method: mfa.TOTP, At: now}, {Method: mfa.SMSCode, At: now}}, {{Method: mfa.TOTP, At: now.Add(-3 * time.Minute)}},
		{{Method: mfa.TOTP, At: now.Add(-3 * time.Minute)}, {Method: mfa.SMSCode, At: now}},
	}
	list := []dimension{
		{len(allowed), func(s *mfa.Situation, v int) { s.Allowed = allowed[v] }},
		{len(made), func(s *mfa.Situation, v int) { s.Proofs = made[v] }},
	}
	for _, m := range []mfa.Method{mfa.TOTP, mfa.SMSCode, mfa.BackupCode} {
		list = append(list, dimension{4, func(s *mfa.Situation, v int) {
			if v > 0 {
				s.Held = append(s.Held, mfa.Holding{Method: m, State: mfa.Usability(v)})
			}
		}})
	}
	return list
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
// policy, over the product of everything that the decision looks at: all 14
// million situations with MFA_ROUNDS=100, else an even part of them.
func TestDecisionProduct(t *testing.T) {
	for _, p := range products() {
		t.Run(p.name, func(t *testing.T) {
			n := size(p.matter)
			rounds := min(mfatest.Rounds(n), n)
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
	could   bool // something held, codes included, is usable or waits
	once    bool // something held was proven in this flow; the last backup code counts
	fresh   bool // and not long ago
	// recently: what a sensitive action asks for, the first factor when none is held.
	recently bool
	rules    []mfa.Rule // that bind now
	coming   bool       // one will
	due      bool
	asked    bool // a second factor is asked for here, if one is held
}

func judge(s mfa.Situation) judgment {
	j := judgment{Situation: s, Verdict: mfa.Decide(s)}
	j.allowed = !j.Refused && j.Step == 0
	for _, h := range s.Held {
		j.factor = j.factor || h.Method != mfa.BackupCode
		j.could = j.could || h.State != mfa.Unusable
	}
	for _, p := range s.Proofs {
		if j.factor && p.Method == mfa.BackupCode || j.state(p.Method) != 0 {
			j.once = true
			j.fresh = j.fresh || s.Now.Sub(p.At).Abs() <= s.Now.Sub(s.Since)
		}
	}
	j.recently = j.fresh || !j.factor && !s.FirstAt.IsZero() && s.Now.Sub(s.FirstAt).Abs() <= s.Now.Sub(s.Since)
	for _, r := range s.Rules() {
		switch free := s.Excused != "" || r.Excuse != ""; {
		case !free && s.Now.Before(r.From):
			j.coming = true
		case !free:
			j.rules = append(j.rules, r)
		}
	}
	j.due = len(j.rules) > 0
	j.asked = s.Place != mfa.AtSignIn && s.Place != mfa.AtDoor || j.due ||
		s.Place == mfa.AtSignIn && (s.Ask && s.Excused == "" || s.Compromised && s.ByPassword)
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

// satisfied reports whether a method that r allows was proven and is held, or a
// backup code, which stands in for any, and not before after.
func (j judgment) satisfied(r mfa.Rule, after time.Time) bool {
	own := slices.ContainsFunc(j.Held, func(h mfa.Holding) bool { return slices.Contains(r.Allowed, h.Method) })
	return own && slices.ContainsFunc(j.Proofs, func(p mfa.Proven) bool {
		return !p.At.Before(after) && (p.Method == mfa.BackupCode || slices.Contains(r.Allowed, p.Method) && j.state(p.Method) != 0)
	})
}

// satisfiedAll reports whether every rule that binds here saw a proof that it
// allows.
func (j judgment) satisfiedAll() bool {
	for _, r := range j.rules {
		after := r.After
		if j.Place == mfa.AtAdminister {
			after = j.Situation.Since
		}
		held := slices.Contains(r.Allowed, j.Remembered.Method) && j.state(j.Remembered.Method) != 0
		recalled := held && r.Recall > 0 && !j.Remembered.At.Before(after) && !(j.Place == mfa.AtSignIn && j.Compromised && j.ByPassword)
		if !recalled && !j.satisfied(r, after) {
			return false
		}
	}
	return true
}

// stuck reports whether there is a rule for which, or no rule and, nothing that
// is held can be used.
func (j judgment) stuck() bool {
	usable := func(counts func(mfa.Method) bool) bool {
		return slices.ContainsFunc(j.Held, func(h mfa.Holding) bool {
			return h.State != mfa.Unusable && (h.Method == mfa.BackupCode || counts(h.Method))
		})
	}
	for _, r := range j.Rules() {
		allowed := func(m mfa.Method) bool { return slices.Contains(r.Allowed, m) }
		held := func(counts func(mfa.Method) bool) bool {
			return slices.ContainsFunc(j.Held, func(h mfa.Holding) bool { return !h.Spare && counts(h.Method) })
		}
		if held(allowed) && !usable(allowed) {
			return true
		}
		// What leads to another factor is proven by something else than a mailed code,
		// if anything else is held.
		other := func(m mfa.Method) bool { return m != mfa.EmailCode && m != mfa.BackupCode }
		if !held(allowed) && held(other) && !usable(other) {
			return true
		}
	}
	return !usable(func(mfa.Method) bool { return true })
}

// offered reports whether the methods to enroll are what the rules allow: exactly
// that when there is one rule.
func (j judgment) offered() bool {
	if len(j.Also) == 0 {
		return slices.Equal(j.Methods, j.Situation.Allowed)
	}
	return len(j.Methods) > 0 && !slices.ContainsFunc(j.Methods, func(m mfa.Method) bool {
		return !slices.Contains(j.Situation.Allowed, m) && !slices.ContainsFunc(j.Also, func(r mfa.Rule) bool { return slices.Contains(r.Allowed, m) })
	})
}

// until reports whether the date until which enrollment may be put off is that of
// a rule that will bind.
func (j judgment) until() bool {
	return j.coming && slices.ContainsFunc(j.Rules(), func(r mfa.Rule) bool { return r.From.Equal(j.Until) })
}

// expired reports whether a door that asks for a proof since some moment saw none.
func (j judgment) expired() bool {
	if j.Lapsed.IsZero() {
		return false
	}
	if !j.factor {
		return j.FirstAt.Before(j.Lapsed)
	}
	return !slices.ContainsFunc(j.Proofs, func(p mfa.Proven) bool {
		return !p.At.Before(j.Lapsed) && (p.Method == mfa.BackupCode || j.state(p.Method) != 0)
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
	ruled := gate || s.Place == mfa.AtAdminister
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
			ruled && j.due && j.allowed && !j.satisfiedAll()},
		{"to enroll before the factor that is held was verified", j.Step == mfa.StepEnroll && j.factor && !j.once},
		{"to enroll in a session that proved nothing lately", j.Step == mfa.StepEnroll && s.Place != mfa.AtSignIn && !j.recently},
		{"a password alone confirms although a factor is held",
			!gate && j.factor && !j.fresh && j.Step != mfa.StepVerify && !j.Refused},
		{"a first factor that is not recent confirms", !gate && !j.factor && !j.recently && j.Step != mfa.StepVerify},
		{"the password is asked of somebody who holds a factor", j.factor && slices.Contains(j.Methods, mfa.Password)},
		{"no factor held can be used, and it is not refused",
			j.asked && j.factor && !j.could && !j.once && !(j.allowed && s.Remembered.Method != 0) && (!j.Refused || j.Why != mfa.ReasonNoUsableFactor)},
		{"refused although something could be used", j.Refused && (ruled && !j.stuck() || !ruled && j.could)},
		{"codes are shown to somebody who passed no second factor", j.Step == mfa.StepSaveCodes && !j.once},
		{"a new password for somebody who passed no second factor", j.Step == mfa.StepNewPassword && j.factor && !j.once},
		{"a new password without need", j.Step == mfa.StepNewPassword && !(s.Compromised && s.ByPassword && s.Place == mfa.AtSignIn)},
		{"signed in with a compromised password", j.allowed && s.Compromised && s.ByPassword && s.Place == mfa.AtSignIn},
		{"signed in after a reset without enrolling", j.allowed && s.MustEnroll && !j.factor && s.Place == mfa.AtSignIn && s.Excused == ""},
		{"asked to skip what is due, or what is no matter of a date", !j.Until.IsZero() &&
			(j.Step != mfa.StepEnroll || !gate || !j.until())},
		{"skipping matters although no rule is to come", s.Skipped && !j.coming && !j.same(hurried)},
		{"one proof given twice counts for more", len(s.Proofs) > 0 && !j.same(twice)},
		{"enrollment of something else than the rule allows", j.Step == mfa.StepEnroll && !j.offered()},
		{"malformed list of methods to verify", j.Step == mfa.StepVerify && !j.listed()},
		{"waits although it is no matter of waiting", j.Waits && j.Step != mfa.StepVerify},
		{"asked although nothing asks", !j.allowed && s.Place == mfa.AtDoor && !j.due && !j.coming && s.Lapsed.IsZero() && !s.Staged},
		{"asked although a provider stands in", !j.allowed && gate && s.Excused != "" && s.Lapsed.IsZero() && !s.Staged && !s.Unsaved && !s.Compromised},
		{"through a door that was shut by time", j.allowed && s.Place == mfa.AtDoor && j.expired()},
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
