package mfa

import (
	"reflect"
	"time"
)

// The decision with names that another package can use. The fields of Situation
// are those of situation, and of its rule, in the same order.
type (
	Place     = place
	Usability = usability
)

const (
	AtSignIn  = toSignIn
	AtDoor    = toEnter
	AtConfirm = toConfirm
	AtEnroll  = toEnroll

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
	Since    time.Time

	Held                                  []Holding
	Ask, MustEnroll, Unsaved, Compromised bool
	ByPassword                            bool
	FirstAt                               time.Time
	Proofs                                []Proven
	Skipped, Enrolled, Staged             bool
	Remembered                            Proven
	Mailed, Modest                        bool
	Strong, Confirm, Confirmed            bool
	Reachable                             []Holding
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
		now: s.Now, place: s.Place, rule: rule{s.Required, s.From, s.Allowed}, since: s.Since,
		ask: s.Ask, mustEnroll: s.MustEnroll, unsaved: s.Unsaved, compromised: s.Compromised,
		byPassword: s.ByPassword, firstAt: s.FirstAt, proofs: s.Proofs,
		skipped: s.Skipped, enrolled: s.Enrolled, staged: s.Staged,
		mailed: s.Mailed, modest: s.Modest, remembered: s.Remembered, strong: s.Strong, confirm: s.Confirm, confirmed: s.Confirmed,
	}
	in.held = make([]holding, 0, len(s.Held))
	for _, h := range s.Held {
		in.held = append(in.held, holding{h.Method, h.State, h.Spare})
	}
	for _, h := range s.Reachable {
		in.reachable = append(in.reachable, holding{h.Method, h.State, h.Spare})
	}
	v := decide(in)
	return Verdict{v.refused, v.step, v.methods, v.until, v.waits, v.why}
}

// DecisionFields returns how many values the decision looks at, and how many of
// them Situation has.
func DecisionFields() (decision, mirror int) {
	return reflect.TypeFor[situation]().NumField() - 1 + reflect.TypeFor[rule]().NumField(),
		reflect.TypeFor[Situation]().NumField()
}
