package mfa

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/seed-1320b244/mfa/internal/keyring"
)

// flow is a Pending at work: the user as loaded, the flow, and the session that
// opened it. Its methods decide and stage; nothing is written before run commits.
type flow struct {
	*state
	codes    *codeMaker
	rec      Record // as stored; Version "" before the first commit
	data     pendingData
	token    string
	by       string               // token of the session that opened it, "" at sign-in
	session  *stored[sessionData] // nil at sign-in
	managing Record               // the rules of the organization that an administrator acts in, if they were read along
	proven   Method               // what was proven in this operation, 0 for nothing
	familiar bool                 // the browser was known until this operation ended everything
}

// situation collects what the decision looks at.
func (f *flow) situation() situation {
	a := &f.account.data
	s := situation{
		now:         f.now,
		place:       f.data.To,
		offered:     f.g.offered(f.data.purpose()),
		since:       f.opened().Add(-f.g.freshFor(&f.ruling)),
		held:        f.held(),
		ask:         a.Ask,
		mustEnroll:  a.MustEnroll,
		unsaved:     a.Unsaved,
		compromised: a.Compromised,
		byPassword:  f.data.First.Password,
		mailed:      f.data.First.mailed(f.data.Proofs),
		modest:      f.data.purpose().modest(),
		firstAt:     unix(f.data.First.At),
		skipped:     f.data.Skipped,
		enrolled:    f.data.Bound,
		staged:      f.staged(),
		strong:      f.data.purpose().strong(),
		reachable:   f.reachable(),
		confirmed:   f.data.Confirmed,
	}
	switch f.g.policy.AddressCheck {
	case AddressAfterReset:
		s.confirm = a.MustEnroll
	case AddressAlways:
		s.confirm = true
	}
	if f.data.To == toSignIn {
		if b := f.browser(f.data.Browser); b != nil {
			s.remembered = b.data.remembers(f.now, f.g.policy.Rules.Remember).proven()
		}
	}
	for _, p := range f.data.Proofs {
		s.proofs = append(s.proofs, p.proven())
	}
	s.rules, s.excused = f.g.rulesAt(f.data.purpose(), f.who(), &f.ruling, f.data.First)
	if f.data.To == toEnter {
		s.remembered, s.entered = f.data.Remembered.proven(), unix(f.session.data.Created)
		s.lapsed = f.ruling.lapsed(&f.session.data, f.data.First.At, f.data.Proofs, f.opened(), f.now)
	}
	return s
}

// opened returns when the flow was first stored, or now.
func (f *flow) opened() time.Time {
	if f.data.Created == 0 {
		return f.now
	}
	return unix(f.data.Created)
}

// staged reports whether the flow shows the account's current backup codes.
func (f *flow) staged() bool {
	return f.data.Codes != nil && f.data.CodeSet == f.account.data.CodeSet
}

// refusal is the error for a verdict that lets nobody on.
func (f *flow) refusal(v verdict) error {
	if v.refused {
		return refuse(ErrRefused, v.why)
	}
	var soonest time.Duration
	for _, m := range v.methods {
		left := f.account.data.Tries[m.String()].left(f.g.policy.Limits, m, f.now)
		if soonest == 0 || left < soonest {
			soonest = left
		}
	}
	return &ThrottledError{RetryAfter: soonest, reason: ReasonNoUsableFactor}
}

// accept records a right proof: its method's count begins anew.
func (f *flow) accept(m Method) {
	delete(f.account.data.Tries, m.String())
	if m != EmailCode {
		f.account.data.Password.Mailed = false
	}
	f.data.Proofs = proved(f.data.Proofs, m, f.now.Unix())
	f.account.data.Verified = f.now.Unix()
	f.touched, f.proven = true, m
}

// reject records a wrong proof, on the flow and on the account, and returns its
// one face. What cannot be a code at all is no guess.
func (f *flow) reject(m Method, why Reason) error {
	f.tell(Event{Name: EventProofRefused, Method: m, Reason: why})
	if why == ReasonMalformedCode || why == ReasonNoUsableFactor {
		return refuse(ErrRefused, why)
	}
	a, limits := &f.account.data, f.g.policy.Limits
	t := a.Tries[m.String()].add(f.now)
	a.setTries(m, t)
	f.touched = true
	switch {
	case t.Wrong == limits.TriesBeforeWait:
		f.tell(Event{Name: EventMethodLocked, Method: m})
	case t.Wrong == limits.TriesBeforeDisable && a.disabled(limits, m):
		f.tell(Event{Name: EventMethodDisabled, Method: m})
	case t.Wrong >= failuresBeforeNotice && f.againstPassword() && !f.warned():
		a.Warned = f.now.Unix()
		f.tell(Event{Name: EventSecondFactorFailed, Method: m})
	}
	if f.againstPassword() {
		var suspect bool
		if a.Failures, suspect = limits.suspect(a.Failures, f.now); suspect && !a.Compromised {
			a.Compromised = true
			f.tell(Event{Name: EventPasswordSuspect, Method: Password, Reason: ReasonCompromised})
		}
	}
	f.miss()
	return refuse(ErrRefused, why)
}

// againstPassword reports whether somebody who knew the password is asked for a
// factor that the user holds.
func (f *flow) againstPassword() bool { return f.data.First.Password && f.account.data.holds() }

// warned reports whether the user was told of failed second factors lately. A notice
// from further ahead than clocks differ is from before the clock was set back.
func (f *flow) warned() bool {
	since := f.now.Sub(unix(f.account.data.Warned))
	return -clockSkew <= since && since < noticeEvery
}

const (
	failuresBeforeNotice = 2              // a single slip is no news
	noticeEvery          = 24 * time.Hour // so that guessing floods no mailbox
)

// miss counts a wrong proof on the flow, and ends it after too many.
func (f *flow) miss() {
	f.data.Tries++
	if f.data.Tries >= f.g.policy.Limits.TriesPerPending {
		f.consume(ReasonTooManyTries)
	} else {
		f.put(f.rec, f.rec.Expires, f.data)
	}
}

// countMiss counts a wrong password on the flow.
func (f *flow) countMiss(err error) error {
	if ReasonOf(err) == ReasonWrongPassword {
		f.miss()
	}
	return err
}

// consume voids the token. What stays until the flow would have ended is a
// tombstone that says why.
func (f *flow) consume(why Reason) {
	f.touched = true
	if f.rec.Version != "" {
		f.put(f.rec, f.rec.Expires, pendingData{
			V: recordVersion, Secret: f.data.Secret, Created: f.data.Created, To: f.data.To, Arg: f.data.Arg, Over: why,
		})
	}
}

// advance asks the decision where the flow stands and stages what follows: a
// session, or the flow at its next step.
func (f *flow) advance(ctx context.Context) (Outcome, error) {
	v := decide(f.situation())
	if v.step == StepSaveCodes && !f.staged() {
		if err := f.issueCodes(ctx); err != nil {
			return Outcome{}, err
		}
	}
	if v.allowed() && f.session == nil {
		return f.begin()
	}
	if v.allowed() {
		return f.elevate()
	}
	if err := f.keep(); err != nil {
		return Outcome{}, err
	}
	if v.refused {
		return Outcome{}, refuse(ErrRefused, v.why)
	}
	return Outcome{Pending: f.handle()}, nil
}

// keep stages the flow as it stands. The first time it makes room for it.
func (f *flow) keep() error {
	if f.rec.Version != "" {
		// A flow planted in somebody's browser must not be worth more to whoever
		// planted it once she has proven her factor there.
		if f.proven.second() && f.data.To == toSignIn {
			if err := f.newToken(); err != nil {
				return err
			}
		}
		f.put(f.rec, f.rec.Expires, f.data)
		return nil
	}
	f.room(f.g.policy.Limits.PendingsPerUser)
	f.data.V, f.data.Created = recordVersion, f.now.Unix()
	f.rec = Record{Key: Key{Owner: f.owner, Kind: kindPending}, Expires: seconds(f.now.Add(pendingFor))}
	if err := f.newToken(); err != nil {
		return err
	}
	f.put(f.rec, f.rec.Expires, f.data)
	f.touched = true
	if f.data.To == toSignIn {
		f.tell(Event{Name: EventSignInStarted})
	}
	return nil
}

// newToken gives the flow a new token, and its first time an id.
func (f *flow) newToken() error {
	t := keyring.NewToken(f.owner, f.rec.ID)
	text, err := f.g.ring.SealToken(kindPending, t)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	sum := sha256.Sum256(t.Secret[:])
	f.token, f.rec.ID, f.data.Secret = text, t.ID, sum[:]
	return nil
}

// room ends the oldest flows until there is room for one more, those that are
// over before those that are not.
func (s *state) room(limit int) {
	for len(s.pendings) >= limit {
		oldest := max(0, slices.IndexFunc(s.pendings, func(d stored[pendingData]) bool { return d.data.Over != "" }))
		s.end(s.pendings[oldest].rec)
		s.pendings = slices.Delete(s.pendings, oldest, oldest+1)
	}
}

// begin stages the session that a sign-in leads to.
func (f *flow) begin() (Outcome, error) {
	for len(f.sessions) >= f.g.policy.Limits.SessionsPerUser {
		oldest := f.sessions[0].rec.ID
		f.endSession(oldest)
		f.tell(Event{Name: EventSessionsEnded, Reason: ReasonTooManySessions, Session: oldest})
	}
	var remembered proofData
	if b := f.browser(f.data.Browser); b != nil && len(f.data.Proofs) == 0 {
		remembered = b.data.remembers(f.now, f.g.policy.Rules.Remember)
	}
	f.consume(ReasonAlreadyCompleted)
	browser, err := f.enter()
	if err != nil {
		return Outcome{}, err
	}
	rec := Record{Key: Key{Owner: f.owner, Kind: kindSession}, Expires: seconds(f.now.Add(f.g.policy.Rules.SessionFor))}
	d := sessionData{
		Created: f.now.Unix(), First: f.data.First, Proofs: f.data.Proofs,
		Device: f.device, Addr: f.client.addr(), Remembered: remembered,
	}
	f.account.data.SSO = nil
	if first := f.data.First; first.Connection != "" {
		d.Org, f.account.data.SSO = f.user.ManagedBy, &first
	}
	_, excused := f.g.rulesAt(f.data.purpose(), f.who(), &f.ruling, f.data.First)
	out, err := f.issue(rec, d)
	if err == nil {
		f.tell(Event{Name: EventSignedIn, Method: f.last(), Reason: excused, Session: out.Session.ID()})
		out.browser = &browser
	}
	return out, err
}

// elevate stages the session that opened the flow with what was proven since: it
// keeps its id and its end, and gets a new token. The old one is void.
func (f *flow) elevate() (Outcome, error) {
	d := f.session.data
	for _, p := range f.data.Proofs {
		if i := slices.IndexFunc(d.Proofs, func(q proofData) bool { return q.Method == p.Method }); i < 0 || d.Proofs[i].At < p.At || f.ahead(d.Proofs[i].At) {
			d.Proofs = proved(d.Proofs, Method(p.Method), p.At)
		}
	}
	if f.data.First.At > d.First.At || f.ahead(d.First.At) {
		d.First = f.data.First
	}
	d.Gap = int64(d.idle(f.now) / time.Second)
	if at := append(times(f.data.Proofs), f.data.First.At); slices.Max(at) >= f.opened().Unix() {
		d.Gap = 0 // proven anew
	}
	if f.rec.Version != "" {
		f.consume(ReasonAlreadyCompleted)
	}
	f.touched = true
	out, err := f.issue(f.session.rec, d)
	if err == nil {
		f.tell(Event{Name: EventSteppedUp, Method: f.last(), Session: out.Session.ID()})
	}
	return out, err
}

// ahead reports whether a proof was made before the clock was set back: the next
// one takes its place although it seems older.
func (f *flow) ahead(at int64) bool { return unix(at).After(f.now.Add(clockSkew)) }

// issue stages a session in place of old, with a new token.
func (f *flow) issue(old Record, d sessionData) (Outcome, error) {
	t := keyring.NewToken(f.owner, old.ID)
	text, err := f.g.ring.SealToken(kindSession, t)
	if err != nil {
		return Outcome{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	sum := sha256.Sum256(t.Secret[:])
	old.ID = t.ID
	d.V, d.Secret, d.Seen = recordVersion, sum[:], f.now.Unix()
	f.put(old, old.Expires, d)
	rec := old
	rec.Version = f.writes[len(f.writes)-1].Version
	return Outcome{Session: newSession(&session{g: f.g, token: text, rec: rec, data: d, client: f.client})}, nil
}

// last returns the method that was proven last, in this operation or before it, 0
// for none.
func (f *flow) last() Method {
	if n := len(f.data.Proofs); f.proven == 0 && n > 0 {
		return Method(f.data.Proofs[n-1].Method)
	}
	return f.proven
}

// handle returns the flow for the next request.
func (f *flow) handle() *Pending {
	v := decide(f.situation())
	h := &pending{
		g: f.g, token: f.token, session: f.by, client: f.client,
		need: v.need(),
		data: f.data, id: f.rec.ID, user: f.user.ID, expires: f.rec.Expires, sent: f.sent(),
	}
	if v.step == StepSaveCodes && f.staged() {
		h.codes = f.openCodes()
	}
	return &Pending{func() *pending { return h }}
}
