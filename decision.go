package mfa

import (
	"slices"
	"time"
)

// situation is everything the decision looks at. It holds values only: the same
// situation always leads to the same verdict.
type situation struct {
	now   time.Time
	place place
	// rules ask for a second factor here, now or from a date on. They come from the
	// installation and an organization, and add up.
	rules   []rule
	excused Reason   // why no second factor is asked for whatever asks: a provider's sign-in; "" when it is
	offered []Method // that may be enrolled where no rule says which, best first
	// lapsed is since when something must have been proven at this door, zero for
	// whenever it was.
	lapsed time.Time
	// since is the oldest that a proof may be for a sensitive action. It is counted
	// back from when the flow was opened: typing a secret into an app may take
	// longer than a proof stays fresh.
	since time.Time

	held        []holding // factors held, and backup codes left
	ask         bool      // the user's switch: ask at sign-in
	mustEnroll  bool      // reset, and nothing bound since
	unsaved     bool      // backup codes were issued and never confirmed as recorded
	compromised bool      // the password is known to somebody else

	byPassword bool // how the first factor was proven, and when
	firstAt    time.Time
	proofs     []Proven  // second factors proven in this flow or session
	remembered Proven    // what the browser proved when it was remembered; zero: it is not
	entered    time.Time // when that spared a proof: at the sign-in; zero: it would now

	mailed    bool      // the first factor was a password set through a mailed link: a mailed code adds nothing
	modest    bool      // of the few actions that it frees all the same
	strong    bool      // a code that was mailed is not enough, if anything else is held
	confirm   bool      // a first factor takes a code sent to a proven address besides
	reachable []holding // by what such a code could be sent
	confirmed bool      // it was typed in this flow

	skipped  bool // the user put enrollment off
	enrolled bool // this flow bound what it was opened to bind
	staged   bool // this flow shows backup codes that are not confirmed
}

// place is where a flow leads.
type place int

const (
	toSignIn place = iota + 1
	toEnter
	toConfirm
	toEnroll
	toAdminister
)

// rule is what one organization, or the installation, asks at one place.
type rule struct {
	from    time.Time
	allowed []Method  // that satisfy it, best first
	since   time.Time // a proof from earlier does not, zero: however old it is
	// remember is for how long the proof of a remembered browser satisfies it; zero:
	// not at all.
	remember time.Duration
	excused  Reason // why it does not ask this user, "" when it does
}

// verdict is what the decision found: refused, or a step that is missing, or
// neither: allowed.
type verdict struct {
	refused bool
	step    Step
	methods []Method
	until   time.Time // StepEnroll may be skipped until then
	waits   bool      // all methods of StepVerify are waiting
	why     Reason
}

func (v verdict) allowed() bool { return !v.refused && v.step == 0 }

func (v verdict) need() Need { return Need{v.step, v.methods, v.until, v.why} }

// decide says what is missing before s.place is reached. It is the whole policy:
// no other code asks whether somebody may pass.
func decide(s situation) verdict {
	s = s.unmailed()
	var v verdict
	switch s.place {
	case toSignIn, toEnter:
		v = s.gate()
	case toConfirm, toEnroll:
		v = s.sensitive()
	case toAdminister:
		v = s.administer()
	default:
		return verdict{refused: true, why: ReasonInvalidArgument}
	}
	if !v.allowed() {
		return v
	}
	// Codes are shown to nobody who has not just passed a second factor
	// (SP 800-63B-4 section 3.1.2.1 asks AAL2).
	if (s.staged || s.place == toSignIn && s.unsaved) && s.proven(besidesMail(s.held), time.Time{}) {
		return verdict{step: StepSaveCodes, why: ReasonCodesNotSaved}
	}
	if s.place == toSignIn && s.suspect() {
		// Whoever knows the password must not be the one who changes it.
		if s.doubted() {
			return verify(s.reachable, ReasonConfirmAddress)
		}
		return verdict{step: StepNewPassword, why: ReasonCompromised}
	}
	return v
}

// unmailed takes out what a mailed code is worth after a password that was set
// through a mailed link: whoever reads the mailbox has both (63B-4 section 3.1.3.1
// allows mail to confirm an address, and not to authenticate). A rule it never
// satisfies, and beside another factor it is not asked for.
func (s situation) unmailed() situation {
	if !s.mailed {
		return s
	}
	s.held = besidesMail(s.held)
	others := slices.DeleteFunc(slices.Clone(s.reachable), func(h holding) bool { return h.method == EmailCode })
	if slices.ContainsFunc(others, func(h holding) bool { return h.state != unusable }) {
		s.reachable = others
	}
	withoutMail := func(list []Method) []Method {
		list = slices.DeleteFunc(slices.Clone(list), func(m Method) bool { return m == EmailCode })
		if len(list) == 0 {
			return []Method{TOTP}
		}
		return list
	}
	s.offered, s.rules = withoutMail(s.offered), slices.Clone(s.rules)
	for i := range s.rules {
		s.rules[i].allowed = withoutMail(s.rules[i].allowed)
	}
	return s
}

// suspect reports whether the first factor was a password that somebody else
// seems to know.
func (s situation) suspect() bool { return s.byPassword && s.compromised }

// gate decides about sign-ins and doors. What is held is verified before anything
// is enrolled, and all that binds now comes before what will.
func (s situation) gate() verdict {
	if !s.lapsed.IsZero() {
		if v := s.freshly(s.lapsed, s.strong); !v.allowed() {
			return v
		}
	}
	why := s.excuse()
	if len(factors(s.held)) > 0 {
		by, asked := s.asked()
		switch {
		case len(by) > 0:
			return verify(by, asked)
		case asked != "" && s.proven(s.held, time.Time{}):
			why = ReasonProven
		case asked != "":
			why = ReasonRemembered
		}
	} else if s.place == toSignIn && s.mustEnroll && s.excused == "" {
		return s.enroll(verdict{step: StepEnroll, methods: s.wanting(s.due()), why: ReasonReset})
	}
	if lacking := s.lacking(s.due()); len(lacking) > 0 {
		return s.bind(lacking[0], time.Time{})
	}
	// A rule that is not due yet invites to enroll: but nobody who holds a factor
	// without having proven it, because a password alone must not add another.
	if len(factors(s.held)) == 0 || s.proven(besidesMail(s.held), time.Time{}) {
		if lacking := s.lacking(s.coming()); len(lacking) > 0 {
			if s.skipped {
				return verdict{why: ReasonSkipped}
			}
			// Before its date a rule keeps nobody out who cannot follow the invitation.
			if v := s.bind(lacking[0], lacking[0].from); !v.until.IsZero() && !v.refused && !v.waits {
				return v
			}
		}
	}
	return verdict{why: why}
}

// excuse returns why nothing is asked here, when that is no matter of proofs.
func (s situation) excuse() Reason {
	if s.excused != "" {
		return s.excused
	}
	for _, r := range s.rules {
		if r.excused != "" {
			return r.excused
		}
	}
	return ReasonNotRequired
}

// due returns the rules that bind the user now, coming those that will, soonest
// first.
func (s situation) due() []rule {
	return slices.DeleteFunc(slices.Clone(s.rules), func(r rule) bool {
		return s.excused != "" || r.excused != "" || s.now.Before(r.from)
	})
}

func (s situation) coming() []rule {
	coming := slices.DeleteFunc(slices.Clone(s.rules), func(r rule) bool {
		return s.excused != "" || r.excused != "" || !s.now.Before(r.from)
	})
	slices.SortStableFunc(coming, func(a, b rule) int { return a.from.Compare(b.from) })
	return coming
}

// lacking returns the rules among list that nothing the user holds satisfies.
func (s situation) lacking(list []rule) []rule {
	return slices.DeleteFunc(slices.Clone(list), func(r rule) bool { return len(factors(s.satisfying(r))) > 0 })
}

// wanting returns the methods of which one is to be enrolled: those that satisfy
// all of the rules, or else the first, or what is offered when there is none.
func (s situation) wanting(rules []rule) []Method {
	if len(rules) == 0 {
		return s.offered
	}
	all := slices.DeleteFunc(slices.Clone(rules[0].allowed), func(m Method) bool {
		return slices.ContainsFunc(rules[1:], func(r rule) bool { return !slices.Contains(r.allowed, m) })
	})
	if len(all) == 0 {
		return rules[0].allowed
	}
	return all
}

// bind asks for a factor that satisfies r, by until if that is not zero. A session
// may be hours old, and binding a factor is sensitive wherever it is done.
func (s situation) bind(r rule, until time.Time) verdict {
	if v := s.freshly(s.since, true); s.place != toSignIn && !v.allowed() {
		return v
	}
	v := verdict{step: StepEnroll, methods: r.allowed, until: until, why: ReasonRule}
	if until.IsZero() {
		v.methods = s.wanting(s.lacking(s.due()))
	}
	if len(factors(s.held)) > 0 {
		v.why = ReasonNotAllowed
	}
	return s.enroll(v)
}

// asked returns why a factor that is held has to be proven, "" when it has not,
// and what would do, nothing when that was proven. Each rule must see a proof of
// its own; one that satisfies several is asked for rather than one for each. A
// suspect password asks too: whoever knows it must not be the one who changes it.
func (s situation) asked() ([]holding, Reason) {
	due := s.due()
	if len(due) > 0 {
		return s.shared(slices.DeleteFunc(due, s.meets)), ReasonRule
	}
	var why Reason
	switch {
	case s.place == toSignIn && s.suspect():
		why = ReasonCompromised
	case s.place == toSignIn && s.ask && s.excused == "":
		why = ReasonSwitch
	}
	switch {
	case why == "", s.proven(s.held, time.Time{}):
		return nil, why
	case why == ReasonSwitch && holds(s.held, s.remembered.Method):
		return nil, why
	}
	return s.held, why
}

// meets reports whether a proof satisfies r, or one from when the browser was
// remembered. That one stands in for a proof at sign-in and adds nothing: nobody
// enrolls with it, or with a suspect password.
func (s situation) meets(r rule) bool {
	if s.proven(s.accepted(r), r.since) {
		return true
	}
	age := s.now.Sub(s.remembered.At)
	if !s.entered.IsZero() {
		age = s.entered.Sub(s.remembered.At) // at a door it counts as it did at sign-in
	}
	return holds(factors(s.satisfying(r)), s.remembered.Method) && age < r.remember && !s.remembered.At.Before(r.since) &&
		!(s.place == toSignIn && s.suspect())
}

// shared returns what satisfies every one of open, or the first of them when no
// one factor does. Of one that nothing can satisfy it returns what cannot be used.
func (s situation) shared(open []rule) []holding {
	if len(open) == 0 {
		return nil
	}
	for _, r := range open {
		if by := s.accepted(r); verify(by, ReasonRule).refused {
			return by
		}
	}
	first := s.accepted(open[0])
	all := slices.DeleteFunc(slices.Clone(first), func(h holding) bool {
		return slices.ContainsFunc(open[1:], func(r rule) bool { return !slices.Contains(s.accepted(r), h) })
	})
	if slices.ContainsFunc(factors(all), func(h holding) bool { return h.state != unusable }) {
		return all
	}
	return first
}

// accepted returns what a rule takes as a proof: of what is held what it allows,
// or anything when that is nothing. Who has nothing else proves it once, and then
// enrolls.
func (s situation) accepted(r rule) []holding {
	if own := s.satisfying(r); len(factors(own)) > 0 {
		return own
	}
	return besidesMail(s.held)
}

// sensitive decides about actions that need a fresh proof.
func (s situation) sensitive() verdict {
	if v := s.freshly(s.since, s.strong); !v.allowed() {
		return v
	}
	if held := factors(s.held); s.mailed && !s.modest && len(held) > 0 && !slices.ContainsFunc(held, func(h holding) bool { return h.method != EmailCode }) {
		return verdict{refused: true, why: ReasonMailedPassword}
	}
	if s.place == toEnroll && !s.enrolled {
		return s.enroll(verdict{step: StepEnroll, methods: s.offered, why: ReasonRequested})
	}
	return verdict{why: ReasonProven}
}

// enroll returns v, which asks for a factor, or what comes before the first: a code
// sent to an address that is known to be the user's. Whoever has nothing but the
// password does not get it.
func (s situation) enroll(v verdict) verdict {
	if !s.confirm || !s.doubted() {
		return v
	}
	first := verify(s.reachable, ReasonConfirmAddress)
	first.until = v.until
	return first
}

// doubted reports whether nothing but the first factor says who it is, and a code
// sent to a known address could.
func (s situation) doubted() bool {
	return !s.confirmed && len(s.reachable) > 0 && len(factors(s.held)) == 0
}

// administer asks for a fresh proof by a factor that the organization allows.
// Nothing excuses from it: who administers holds one.
func (s situation) administer() verdict {
	for _, r := range s.rules {
		held := len(factors(s.held)) > 0
		if by := s.accepted(r); held && !s.proven(by, s.since) {
			return verify(by, ReasonStale)
		}
		if len(factors(s.satisfying(r))) == 0 {
			return s.bind(r, time.Time{})
		}
	}
	return s.freshly(s.since, s.strong)
}

// freshly asks for a proof that is not from before since: of a second factor when
// one is held (a password alone is not enough then), else of the first. Where strong
// a mailed code is not enough, if anything else is held.
func (s situation) freshly(since time.Time, strong bool) verdict {
	by := s.held
	if strong {
		by = besidesMail(by)
	}
	switch held := len(factors(by)) > 0; {
	case held && !s.proven(by, since):
		return verify(by, ReasonStale)
	case !held && !s.recent(s.firstAt, since):
		return verdict{step: StepVerify, methods: []Method{Password}, why: ReasonStale}
	}
	return verdict{why: ReasonProven}
}

// verify asks for one of by. A method that is locked for a while is named last:
// trying it tells when the wait ends. None at all that could ever be used is
// refused, and never answered by enrollment: loss of a factor is not its absence.
func verify(by []holding, why Reason) verdict {
	v := verdict{step: StepVerify, waits: true, why: why}
	for _, state := range []usability{usable, waiting} {
		for _, h := range by {
			if h.state == state {
				v.methods = append(v.methods, h.method)
				v.waits = v.waits && state == waiting
			}
		}
	}
	if len(v.methods) == 0 {
		return verdict{refused: true, why: ReasonNoUsableFactor}
	}
	return v
}

// satisfying returns what is held and satisfies r: what it allows, and the
// backup codes that stand in for it.
func (s situation) satisfying(r rule) []holding {
	var own []holding
	for _, h := range s.held {
		if h.method == BackupCode || slices.Contains(r.allowed, h.method) {
			own = append(own, h)
		}
	}
	return own
}

// proven reports whether one of the methods by was proven, not before since.
func (s situation) proven(by []holding, since time.Time) bool {
	for _, p := range s.proofs {
		// A backup code proves the second factor even after it was the last one.
		ok := p.Method == BackupCode && len(factors(by)) > 0 || holds(by, p.Method)
		if ok && (since.IsZero() || s.recent(p.At, since)) {
			return true
		}
	}
	return false
}

// recent reports whether at lies between since and now. A proof from further
// ahead than it may be old comes from before the clock was set back: not recent.
func (s situation) recent(at, since time.Time) bool {
	return !at.Before(since) && at.Sub(s.now) <= s.now.Sub(since)
}
