package mfa

import (
	"context"
	"errors"
	"slices"
	"time"
)

// A Session is a signed-in user in one browser. It ends 24 hours after the
// sign-in (Rules.SessionFor), whatever happens between.
//
// A handle serves one request and is not safe for concurrent use. It is a claim:
// each of its operations reads the session again, together with the account, and
// returns ErrNoSession when it ended or was replaced since. One that needs a fresh
// proof returns *StepUpError without it, and ErrRefused when no factor that is held
// can ever be used. All may return ErrUnavailable.
type Session struct{ s func() *session } // fmt prints a func as an address

func newSession(s *session) *Session { return &Session{func() *session { return s }} }

type session struct {
	g      *Guard
	token  string
	rec    Record
	data   sessionData
	client Client
	beside []Record  // what was read with it
	from   time.Time // see Session.RequiredFrom
}

// sessionData is a session as stored: lean, because every request decodes it.
// When it ends is the record's Expires.
type sessionData struct {
	V       int         `json:"v"`
	Secret  []byte      `json:"s"` // SHA-256 of the token's
	Created int64       `json:"c"`
	Seen    int64       `json:"l"` // to the minute
	First   firstData   `json:"f"`
	Proofs  []proofData `json:"q,omitempty"`
	Device  string      `json:"d,omitempty"`
	Addr    string      `json:"a,omitempty"`
	// What the browser proved when it was remembered, if sign-in asked for nothing
	// because of that.
	Remembered proofData `json:"b,omitzero"`
	Gap        int64     `json:"g,omitempty"` // the longest it was not used since something was proven, in seconds
	Org        string    `json:"o,omitempty"` // that manages the user, as of a sign-in at a provider
}

func (d *sessionData) version() int        { return d.V }
func (d *sessionData) proves(t token) bool { return proves(d.Secret, t) }

// Assurance is what a session proved: for a log, or an ID token's amr and
// auth_time. It is information and not a credential: whether a session may do
// something the library decides.
type Assurance struct {
	First   First
	FirstAt time.Time // zero: a provider that did not say
	Proofs  []Proven  // second factors, each method once
	// Remembered is what the browser proved when it was remembered, when sign-in
	// asked for no second factor because of that; zero otherwise.
	Remembered Proven
}

// Proven is one method and when it last succeeded.
type Proven struct {
	Method Method
	At     time.Time
}

// Token is the value for the session cookie. After an elevation it differs from
// the one presented, which is void.
func (s *Session) Token() string { return s.s().token }

// ID is public and safe to log. It stays the same through elevations.
func (s *Session) ID() string { return s.s().rec.ID }

// User is the host's id of the user.
func (s *Session) User() string { return userOf(s.s().rec.Owner) }

// Expires is when the session ends at the latest.
func (s *Session) Expires() time.Time { return s.s().rec.Expires }

// Assurance returns what the session proved so far.
func (s *Session) Assurance() Assurance {
	d := &s.s().data
	a := Assurance{First: First{d.First}, FirstAt: unix(d.First.At), Remembered: d.Remembered.proven()}
	for _, p := range s.s().data.Proofs {
		a.Proofs = append(a.Proofs, p.proven())
	}
	return a
}

// Session returns the session that a session cookie names. It reads one record,
// and once a minute records that the session is in use; should that fail, the
// request goes on. It returns ErrNoSession or ErrUnavailable.
func (g *Guard) Session(ctx context.Context, token string, c Client) (*Session, error) {
	s, err := g.session(ctx, token, c)
	if err != nil {
		return nil, err
	}
	s.s().touch(ctx)
	return s, nil
}

// session is Session without the touch. It reads further records with it.
func (g *Guard) session(ctx context.Context, token string, c Client, beside ...Key) (*Session, error) {
	t, err := g.ring.OpenToken(kindSession, token)
	if err != nil {
		return nil, refuse(ErrNoSession, tokenReason(err))
	}
	records, err := g.get(ctx, append([]Key{{t.Owner, kindSession, t.ID}}, beside...)...)
	if err != nil {
		return nil, err
	}
	s := &session{g: g, token: token, rec: records[0], client: c.cut(), beside: records[1:]}
	if err := g.openSession(s.rec, t, g.now(), &s.data); err != nil {
		return nil, err
	}
	return newSession(s), nil
}

// openSession reads the session in r into d, for the bearer of t.
func (g *Guard) openSession(r Record, t token, now time.Time, d *sessionData) error {
	if r.Version == "" {
		return refuse(ErrNoSession, ReasonNotFound)
	}
	if err := g.open(r, d); err != nil {
		return err
	}
	if !d.proves(t) {
		return refuse(ErrNoSession, ReasonReplaced)
	}
	if why := g.sessionOver(r, *d, now); why != "" {
		return refuse(ErrNoSession, why)
	}
	return nil
}

// sessionOver returns why a session is over by the clock, "" when it is not.
func (g *Guard) sessionOver(r Record, d sessionData, now time.Time) Reason {
	idle := g.policy.Rules.IdleFor
	switch {
	case r.Expires.IsZero() || !now.Before(r.Expires):
		return ReasonExpired
	case !now.Before(time.Unix(d.Created, 0).Add(g.policy.Rules.SessionFor)):
		return ReasonExpired // the rules became stricter since
	case idle > 0 && now.Sub(time.Unix(d.Seen, 0)) >= idle:
		return ReasonIdle
	case time.Unix(d.Created, 0).Before(g.notBefore):
		return ReasonIssuedBefore
	}
	return ""
}

// touch records that the session is in use, on condition that nobody wrote it
// since it was read: a session that ended stays ended.
func (s *session) touch(ctx context.Context) {
	now := s.g.now()
	if since := now.Sub(time.Unix(s.data.Seen, 0)); since < touchEvery {
		return
	}
	d := s.data
	if gap := s.data.idle(now); gap >= minIdle {
		d.Gap = int64(gap / time.Second)
	}
	d.Seen = now.Unix()
	w := Write{Record: s.g.seal(s.rec.Key, s.rec.Expires, d), IfVersion: s.rec.Version}
	if s.g.commit(ctx, []Write{w}) == nil {
		s.rec, s.data = w.Record, d
	}
}

// flow reads the user and returns a flow of this session to p that is not stored
// yet, or ErrNoSession.
func (s *session) flow(ctx context.Context, now time.Time, p Purpose) (*flow, error) {
	st, err := s.g.load(ctx, now, s.client, userOf(s.rec.Owner))
	if errors.Is(err, ErrNoUser) {
		return nil, refuse(ErrNoSession, ReasonUserUnknown)
	}
	if err != nil {
		return nil, err
	}
	t, err := s.g.ring.OpenToken(kindSession, s.token)
	if err != nil {
		return nil, refuse(ErrNoSession, tokenReason(err))
	}
	i := slices.IndexFunc(st.sessions, func(d stored[sessionData]) bool { return d.rec.ID == t.ID })
	if i < 0 {
		return nil, st.unread(Key{st.owner, kindSession, t.ID}, refuse(ErrNoSession, ReasonNotFound), new(sessionData))
	}
	own := st.sessions[i]
	if !own.data.proves(t) {
		return nil, refuse(ErrNoSession, ReasonReplaced)
	}
	if why := st.account.data.reason(st.user); why != "" {
		return nil, refuse(ErrNoSession, why)
	}
	f := s.to(p, st, &own)
	return f, f.ruled(ctx)
}

// claim is flow for one who acts upon others: it reads her session, her account and
// the rules of p, and nothing else of her.
func (s *session) claim(ctx context.Context, now time.Time, p Purpose) (*flow, error) {
	t, err := s.g.ring.OpenToken(kindSession, s.token)
	if err != nil {
		return nil, refuse(ErrNoSession, tokenReason(err))
	}
	st := s.g.newState(now, s.client, userOf(t.Owner))
	own := stored[sessionData]{rec: Record{Key: Key{t.Owner, kindSession, t.ID}}}
	keys := []Key{own.rec.Key, st.accountKey(), st.historyKey()}
	if validOrg(p.arg) {
		keys = append(keys, rulesKey(p.arg))
	}
	records, err := s.g.get(ctx, keys...)
	if err != nil {
		return nil, err
	}
	own.rec = records[0]
	for _, step := range []func() error{
		func() error { return s.g.openSession(own.rec, t, now, &own.data) },
		func() error { return st.setAccount(records[1]) },
		func() error { return st.setHistory(records[2]) },
		func() error { return st.present(ctx) },
		func() error { return st.directory(ctx) },
	} {
		if err := step(); errors.Is(err, ErrNoUser) {
			return nil, refuse(ErrNoSession, ReasonUserUnknown)
		} else if err != nil {
			return nil, err
		}
	}
	if why := st.account.data.reason(st.user); why != "" {
		return nil, refuse(ErrNoSession, why)
	}
	f := s.to(p, st, &own)
	if len(records) > 3 {
		f.managing = records[3]
	}
	return f, f.ruled(ctx)
}

// to returns a flow of this session, which own is as stored, to p.
func (s *session) to(p Purpose, st *state, own *stored[sessionData]) *flow {
	return &flow{
		state: st, by: s.token, session: own,
		data: pendingData{
			To: p.to, Arg: p.arg, Session: own.rec.ID,
			First: own.data.First, Proofs: slices.Clone(own.data.Proofs), Remembered: own.data.Remembered,
		},
	}
}

// StepUp begins what a *StepUpError asked for, a confirmation or an enrollment.
// The Outcome is a Pending, usable through this session only, or at once the
// Session when nothing is missing. back is opaque and given back by
// Pending.Return, at most 2 KiB.
//
// It returns ErrNoSession, ErrInvalid, ErrRefused or *ThrottledError (a factor is
// held and none can be used), ErrForbidden (as many authenticators as allowed, no
// member or no administrator of the organization), or ErrUnavailable.
func (s *Session) StepUp(ctx context.Context, p Purpose, back string) (Outcome, error) {
	if !p.valid() || !validReturn(back) {
		return Outcome{}, invalid("Purpose is not one to step up to, or back is longer than 2 KiB or no UTF-8")
	}
	return s.s().open(ctx, bounded, p, func(f *flow) (Outcome, error) {
		if m := methodOf(p.arg); p.to == toEnroll && !slices.Contains(f.g.policy.Rules.Methods, m) {
			return Outcome{}, refuse(ErrForbidden, ReasonNotAllowed)
		} else if p == ToEnroll(TOTP) && f.full() {
			return Outcome{}, refuse(ErrForbidden, ReasonTooManyFactors)
		}
		v := decide(f.situation())
		switch {
		case v.refused || v.waits:
			return Outcome{}, f.refusal(v)
		case v.allowed():
			return Outcome{Session: s}, nil
		}
		f.data.Return = back
		return f.advance(ctx)
	})
}

// open carries out an operation that opens a flow of this session.
func (s *session) open(ctx context.Context, long persistence, p Purpose, do func(*flow) (Outcome, error)) (Outcome, error) {
	return run(ctx, s.g, long, func(now time.Time) (*state, Outcome, error) {
		f, err := s.flow(ctx, now, p)
		if err != nil {
			return nil, Outcome{}, err
		}
		out, err := do(f)
		return f.state, out, err
	})
}

// change carries out an operation of a signed-in user on her own account. A
// sensitive one needs a fresh proof.
func (s *session) change(ctx context.Context, p persistence, sensitive string, do func(*flow) error) error {
	_, err := run(ctx, s.g, p, func(now time.Time) (*state, struct{}, error) {
		f, err := s.flow(ctx, now, ToConfirm(sensitive))
		if err != nil {
			return nil, struct{}{}, err
		}
		if err := f.fresh(sensitive); err != nil {
			return nil, struct{}{}, err
		}
		return f.state, struct{}{}, do(f)
	})
	return err
}

// RequireFresh returns *StepUpError unless a proof of this session is fresh
// (Rules.FreshFor): for what is sensitive in the host itself, such as deleting a
// project. The name of the action is for the page and the log, see ToConfirm. It
// writes nothing. It returns ErrInvalid for a name that is none.
func (s *Session) RequireFresh(ctx context.Context, action string) error {
	if !ToConfirm(action).valid() {
		return invalid("an action has 1 to 64 code points")
	}
	return s.s().change(ctx, bounded, action, func(*flow) error { return nil })
}

// fresh returns a *StepUpError unless the session has a fresh proof. An operation
// with no name is not sensitive.
func (f *flow) fresh(sensitive string) error {
	if sensitive == "" {
		return nil
	}
	v := decide(f.situation())
	switch {
	case v.refused:
		return refuse(ErrRefused, v.why)
	case !v.allowed():
		return &StepUpError{Purpose: ToConfirm(sensitive), Need: v.need(), reason: v.why}
	}
	return nil
}

// Revoke ends sessions of this user by their public ids, and the flows they
// opened. Ending the current one needs nothing, any other a fresh proof
// (*StepUpError; ASVS 7.5.2) and ends what browsers are remembered for: whoever is
// put out must not come back with the password alone. An id that names no live session
// of the user is ignored: it has ended. It tries until ctx ends.
func (s *Session) Revoke(ctx context.Context, ids ...string) error {
	sensitive := ""
	if slices.ContainsFunc(ids, func(id string) bool { return id != s.ID() }) {
		sensitive = "revoke_session"
	}
	return s.s().change(ctx, untilEnded, sensitive, func(f *flow) error {
		if slices.ContainsFunc(f.sessions, func(d stored[sessionData]) bool { return d.rec.ID != s.ID() && slices.Contains(ids, d.rec.ID) }) {
			f.unremember()
		}
		f.revoke(func(id string) bool { return slices.Contains(ids, id) })
		return nil
	})
}

// RevokeOthers ends every session of this user but this one, and what her browsers
// are remembered for. It needs a fresh
// proof (*StepUpError), and tries until ctx ends.
func (s *Session) RevokeOthers(ctx context.Context) error {
	return s.s().change(ctx, untilEnded, "revoke_session", func(f *flow) error {
		f.revoke(func(id string) bool { return id != s.ID() })
		f.unremember() // a thief who is put out must not come back with the password alone
		// Sign-ins under way in other browsers would become sessions.
		f.endPendings(func(d pendingData) bool { return d.To == toSignIn })
		f.endUnreadable()
		return nil
	})
}

// SignOut ends this session and the flows it opened. Signing out of a session
// that ended already does nothing. It tries until ctx ends.
func (s *Session) SignOut(ctx context.Context) error {
	t, err := s.s().g.ring.OpenToken(kindSession, s.s().token)
	if err != nil {
		return nil
	}
	return s.s().g.endOne(ctx, t, s.s().client, func(st *state) {
		// By its id: another request may have elevated it since this handle was made.
		if slices.ContainsFunc(st.sessions, func(d stored[sessionData]) bool { return d.rec.ID == t.ID }) {
			st.endSession(t.ID)
			st.tell(Event{Name: EventSignedOut, Session: t.ID})
		}
	})
}

// revoke stages the end of the matching sessions, each with its event.
func (s *state) revoke(match func(id string) bool) {
	for _, d := range slices.Clone(s.sessions) {
		if match(d.rec.ID) {
			s.endSession(d.rec.ID)
			s.tell(Event{Name: EventSessionsEnded, Session: d.rec.ID})
		}
	}
}
