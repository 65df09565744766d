package mfa

import (
	"reflect"
	"time"
)

// The decision with names that another package can use. The fields of Situation
// are those of situation, with those of the first rule and whether there is one.
// Allowed is what may be enrolled besides.
type (
	Place     = place
	Usability = usability
)

const (
	AtSignIn  = toSignIn
	AtDoor    = toEnter
	AtConfirm = toConfirm
	AtEnroll  = toEnroll

	AtAdminister = toAdminister

	Usable   = usable
	Waiting  = waiting
	Unusable = unusable
)

type Situation struct {
	Now      time.Time
	Place    Place
	Required bool
	From     time.Time
	Allowed  []Method
	After    time.Time
	Recall   time.Duration // how long the rule lets a remembered browser count
	Excuse   Reason
	Also     []Rule // the other rules
	Excused  Reason
	Lapsed   time.Time
	Since    time.Time

	Held                                  []Holding
	Ask, MustEnroll, Unsaved, Compromised bool
	ByPassword                            bool
	FirstAt                               time.Time
	Proofs                                []Proven
	Skipped, Enrolled, Staged             bool
	Remembered                            Proven
	Entered                               time.Time
	Mailed, Modest                        bool
	Strong, Confirm, Confirmed            bool
	Reachable                             []Holding
}

// Rule is rule.
type Rule struct {
	From    time.Time
	Allowed []Method
	After   time.Time
	Recall  time.Duration
	Excuse  Reason
}

// Rules returns the rules of s, the first one first.
func (s Situation) Rules() []Rule {
	if !s.Required {
		return s.Also
	}
	return append([]Rule{{s.From, s.Allowed, s.After, s.Recall, s.Excuse}}, s.Also...)
}

type Holding struct {
	Method Method
	State  Usability
	Spare  bool
}

type Verdict struct {
	Refused bool
	Step    Step
	Methods []Method
	Until   time.Time
	Waits   bool
	Why     Reason
}

// Decide is decide.
func Decide(s Situation) Verdict {
	in := situation{
		now: s.Now, place: s.Place, offered: s.Allowed, excused: s.Excused, lapsed: s.Lapsed, since: s.Since,
		ask: s.Ask, mustEnroll: s.MustEnroll, unsaved: s.Unsaved, compromised: s.Compromised,
		byPassword: s.ByPassword, firstAt: s.FirstAt, proofs: s.Proofs,
		skipped: s.Skipped, enrolled: s.Enrolled, staged: s.Staged,
		mailed: s.Mailed, modest: s.Modest, remembered: s.Remembered, entered: s.Entered, strong: s.Strong, confirm: s.Confirm, confirmed: s.Confirmed,
	}
	in.held = make([]holding, 0, len(s.Held))
	for _, h := range s.Held {
		in.held = append(in.held, holding{h.Method, h.State, h.Spare})
	}
	for _, h := range s.Reachable {
		in.reachable = append(in.reachable, holding{h.Method, h.State, h.Spare})
	}
	for _, r := range s.Rules() {
		in.rules = append(in.rules, rule{r.From, r.Allowed, r.After, r.Recall, r.Excuse})
	}
	v := decide(in)
	return Verdict{v.refused, v.step, v.methods, v.until, v.waits, v.why}
}

// DecisionFields returns how many values the decision looks at, and how many of
// them Situation has.
func DecisionFields() (decision, mirror int) {
	return reflect.TypeFor[situation]().NumField() + reflect.TypeFor[rule]().NumField(),
		reflect.TypeFor[Situation]().NumField()
}
