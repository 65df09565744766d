package mfa

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/seed-1320b244/mfa/internal/keyring"
)

// A Pending is a flow that is not done: a first factor without the rest, or a
// session on its way to a door, a sensitive action or a new authenticator. It can
// prove, enroll and save codes, and nothing else. It lives for 10 minutes.
//
// A handle serves one request and is not safe for concurrent use. Every method
// that returns an Outcome may return ErrNoPending when the flow is over
// (ReasonOf: expired, already_completed, too_many_tries, other_session),
// ErrRefused when it is at another step, and ErrUnavailable.
type Pending struct{ p func() *pending } // fmt prints a func as an address

type pending struct {
	g       *Guard
	token   string // of the flow
	session string // token of the session that opened it, "" at sign-in
	client  Client
	loaded  *flow // what was read when the handle was made; used up by the first operation
	need    Need
	data    pendingData
	id      string
	user    string
	expires time.Time
	codes   []string
	sent    Sent
}

// pendingData is a flow as stored.
type pendingData struct {
	V          int            `json:"v"`
	Secret     []byte         `json:"s"` // SHA-256 of the token's
	Created    int64          `json:"c"`
	To         place          `json:"p"` // with Arg: its purpose
	Arg        string         `json:"g,omitempty"`
	Session    string         `json:"o,omitempty"` // id of the session that opened it
	First      firstData      `json:"f"`
	Proofs     []proofData    `json:"q,omitempty"`
	Tries      int            `json:"n,omitempty"`
	Skipped    bool           `json:"k,omitempty"`
	Staged     *authenticator `json:"a,omitempty"` // waits for its first code
	Bound      bool           `json:"b,omitempty"` // an authenticator was confirmed in this flow
	Codes      []byte         `json:"d,omitempty"` // sealed backup codes, until they are saved
	CodeSet    string         `json:"e,omitempty"` // which set they are
	Return     string         `json:"r,omitempty"`
	Sent       *sentCode      `json:"h,omitempty"` // the last code that was sent
	Confirmed  bool           `json:"i,omitempty"` // a code to a proven address was typed, before the first factor
	Stored     []byte         `json:"j,omitempty"` // the address that was proven here and that the host is asked to store, sealed
	Browser    string         `json:"w,omitempty"` // id of the known browser that the sign-in began in
	Remember   int            `json:"m,omitempty"` // the Method by which that browser is to be remembered
	Remembered proofData      `json:"y,omitzero"`  // of the session that opened the flow
	Over       Reason         `json:"x,omitempty"` // why the token is void: a tombstone
}

func (d *pendingData) version() int { return d.V }

func (d *pendingData) purpose() Purpose { return Purpose{d.To, d.Arg} }

// proofData is one method and when it last succeeded.
type proofData struct {
	Method int   `json:"m"` // a Method as a number: every request decodes it
	At     int64 `json:"t"`
}

func (p proofData) proven() Proven { return Proven{Method(p.Method), unix(p.At)} }

// proved returns proofs with m proven at, each method once.
func proved(proofs []proofData, m Method, at int64) []proofData {
	proofs = slices.DeleteFunc(slices.Clone(proofs), func(p proofData) bool { return p.Method == int(m) })
	return append(proofs, proofData{int(m), at})
}

type token = keyring.Token

// proves reports whether t holds the secret of a record, in constant time.
func proves(secret []byte, t token) bool {
	sum := sha256.Sum256(t.Secret[:])
	return subtle.ConstantTimeCompare(sum[:], secret) == 1
}

func (d *pendingData) proves(t token) bool { return proves(d.Secret, t) }

func userOf(owner string) string { return owner[len("u/"):] }

// Token is the value for the pending cookie.
func (p *Pending) Token() string { return p.p().token }

// ID is public and safe to log.
func (p *Pending) ID() string { return p.p().id }

// User is the host's id of the user. She is not signed in.
func (p *Pending) User() string { return p.p().user }

// Purpose says where the flow leads.
func (p *Pending) Purpose() Purpose { return p.p().data.purpose() }

// Return is what SignIn.Return or Session.StepUp was given.
func (p *Pending) Return() string { return p.p().data.Return }

// Expires is when the flow ends, whatever happens.
func (p *Pending) Expires() time.Time { return p.p().expires }

// Need says what is asked next. It does no I/O.
func (p *Pending) Need() Need {
	n := p.p().need
	n.Methods = slices.Clone(n.Methods)
	return n
}

// BackupCodes returns the new codes while the flow is at StepSaveCodes, again
// after a reload, and an empty set otherwise. It does no I/O.
func (p *Pending) BackupCodes() BackupCodes {
	codes := p.p().codes
	return BackupCodes{func() []string { return codes }}
}

// Proof is what a user typed.
type Proof struct {
	Method Method
	Code   string `json:"-"`
	// Remember asks for the browser to be remembered when the sign-in is done. It is
	// ignored where the rules do not allow it, at other flows than a sign-in, and
	// with a backup code.
	Remember bool
}

// Format implements fmt.Formatter: the code is not printed.
func (pr Proof) Format(f fmt.State, verb rune) { io.WriteString(f, "{"+pr.Method.String()+" hidden}") }

// Pending returns the flow that a pending cookie names. session is the session
// cookie, "" when there is none: a flow that a session opened can be used with
// that session only. It asks the directory once, and lists what is stored of the
// user; a second read is for the rules of an organization that have a say.
//
// It returns ErrNoPending, ErrRefused (the user was disabled, or no factor is
// left that could be used) or ErrUnavailable.
func (g *Guard) Pending(ctx context.Context, token, session string, c Client) (*Pending, error) {
	h := &pending{g: g, token: token, session: session, client: c.cut()}
	f, err := h.load(ctx, g.now())
	if err != nil {
		return nil, err
	}
	p := f.handle()
	p.p().loaded = f
	return p, nil
}

// load reads the user and everything of hers in one snapshot, and goes through the
// first half of the gate: the user enabled, the flow this user's, alive and in the
// hands of the session that opened it.
func (h *pending) load(ctx context.Context, now time.Time) (*flow, error) {
	t, err := h.g.ring.OpenToken(kindPending, h.token)
	if err != nil {
		return nil, refuse(ErrNoPending, tokenReason(err))
	}
	s, err := h.g.load(ctx, now, h.client, userOf(t.Owner))
	if errors.Is(err, ErrNoUser) {
		return nil, refuse(ErrNoPending, ReasonUserUnknown)
	} else if err != nil {
		return nil, err
	}
	f := &flow{state: s, token: h.token, by: h.session}
	if err := f.find(t); err != nil {
		return nil, err
	}
	if err := f.opener(); err != nil {
		return nil, err
	}
	if why := s.account.data.reason(s.user); why != "" {
		return nil, refuse(ErrRefused, why)
	}
	if err := f.ruled(ctx); err != nil {
		return nil, err
	}
	if v := decide(f.situation()); v.refused {
		return nil, refuse(ErrRefused, v.why)
	}
	return f, nil
}

// find takes the flow that t names out of those of the user.
func (f *flow) find(t token) error {
	key := Key{f.owner, kindPending, t.ID}
	i := slices.IndexFunc(f.pendings, func(d stored[pendingData]) bool { return d.rec.Key == key })
	switch {
	case i >= 0:
	case slices.ContainsFunc(f.debris, func(r Record) bool { return r.Key == key }):
		return refuse(ErrNoPending, ReasonExpired)
	default:
		return f.unread(key, refuse(ErrNoPending, ReasonNotFound), new(pendingData))
	}
	f.rec, f.data = f.pendings[i].rec, f.pendings[i].data
	f.pendings = slices.Delete(f.pendings, i, i+1)
	if err := f.alive(); err != nil {
		return err
	}
	if !f.data.proves(t) {
		return refuse(ErrNoPending, ReasonReplaced)
	}
	return nil
}

// opener takes the session that opened the flow from those of the user, and checks
// that it was presented with it: a flow of a session is usable with that session only.
func (f *flow) opener() error {
	if f.data.Session == "" {
		return nil
	}
	other := refuse(ErrNoPending, ReasonOtherSession)
	by, err := f.g.ring.OpenToken(kindSession, f.by)
	if err != nil || by.Owner != f.owner || by.ID != f.data.Session {
		return other
	}
	i := slices.IndexFunc(f.sessions, func(d stored[sessionData]) bool { return d.rec.ID == by.ID })
	if i < 0 {
		return f.unread(Key{f.owner, kindSession, by.ID}, other, new(sessionData))
	}
	own := f.sessions[i]
	if !own.data.proves(by) {
		return other
	}
	f.session = &own
	return nil
}

// alive checks the flow against the clock.
func (f *flow) alive() error {
	switch {
	case f.over(f.rec):
		return refuse(ErrNoPending, ReasonExpired)
	case f.data.Over != "":
		return refuse(ErrNoPending, f.data.Over)
	case time.Unix(f.data.Created, 0).Before(f.g.notBefore):
		return refuse(ErrNoPending, ReasonIssuedBefore)
	}
	return nil
}

// run carries out one operation of the flow. The first attempt works on what the
// handle read when it was made; should anything have changed since, its commit
// fails and the next attempt reads again.
func (h *pending) run(ctx context.Context, do func(*flow) (Outcome, error)) (Outcome, error) {
	codes := &codeMaker{g: h.g}
	return run(ctx, h.g, bounded, func(now time.Time) (*state, Outcome, error) {
		f := h.loaded
		h.loaded = nil
		if f == nil {
			var err error
			if f, err = h.load(ctx, now); err != nil {
				return nil, Outcome{}, err
			}
		}
		f.now, f.codes = now, codes
		if err := f.alive(); err != nil {
			return nil, Outcome{}, err
		}
		out, err := do(f)
		return f.state, out, err
	})
}

// Verify checks one proof: a code from an authenticator, a backup code, or one that
// Send or StartAddress sent; at StepEnroll the latter only. A wrong one
// is counted before the answer. After Limits.TriesPerPending (5) in one flow the
// flow is over; a method waits after Limits.TriesBeforeWait (5) in a row in however
// many flows (*ThrottledError, uncounted).
// ErrRefused is the face of every wrong proof.
func (p *Pending) Verify(ctx context.Context, pr Proof) (Outcome, error) {
	h := p.p()
	hashes, passwords := &hasher{g: h.g}, &hasher{g: h.g}
	owed := ""
	out, err := h.run(ctx, func(f *flow) (Outcome, error) {
		v := decide(f.situation())
		if err := f.checkable(v, pr.Method); err != nil {
			return Outcome{}, err
		}
		if pr.Method == Password {
			if err := f.passwordAgain(ctx, passwords, pr.Code); err != nil {
				return Outcome{}, f.countMiss(err)
			}
			f.again()
			return f.advance(ctx)
		}
		to := f.sentTo()
		why, err := f.check(ctx, pr, hashes)
		if err != nil {
			return Outcome{}, err
		}
		switch {
		case why != "":
			return Outcome{}, f.reject(pr.Method, why)
		case v.step == StepEnroll:
			if owes := f.owes(pr.Method, to); owes != "" {
				owed = owes
				return Outcome{}, nil
			}
			return f.bindAddress(ctx, pr.Method, to)
		case v.why == ReasonConfirmAddress:
			delete(f.account.data.Tries, pr.Method.String())
			f.data.Confirmed, f.touched = true, true
			f.tell(Event{Name: EventAddressProven, Method: pr.Method})
		default:
			f.accept(pr.Method)
			if err := f.first(ctx, pr.Method, to); err != nil {
				return Outcome{}, err
			}
			if pr.Remember && pr.Method != BackupCode && f.data.To == toSignIn && f.g.policy.Rules.Remember > 0 {
				f.data.Remember = int(pr.Method)
			}
		}
		return f.advance(ctx)
	})
	if err != nil || out.Session != nil || out.Pending != nil {
		return out, err
	}
	return h.storeAddress(ctx, pr.Method, owed)
}

// checkable returns an error when no proof of m is asked for, or none may be tried
// now.
func (f *flow) checkable(v verdict, m Method) error {
	if v.step != StepVerify && (v.step != StepEnroll || !m.sent()) {
		return refuse(ErrRefused, ReasonStepNotAsked)
	}
	if !slices.Contains(v.methods, m) || !m.second() && !(m == Password && f.checks()) {
		return refuse(ErrRefused, ReasonMethodNotAsked)
	}
	// A password has a count of its own here: see passwordAgain.
	if left := f.account.data.Tries[m.String()].left(f.g.policy.Limits, m, f.now); left > 0 && m != Password {
		f.tell(Event{Name: EventProofRefused, Method: m, Reason: ReasonMethodLocked})
		return &ThrottledError{RetryAfter: left, reason: ReasonMethodLocked}
	}
	return nil
}

// check compares a proof, and returns why it is not accepted.
func (f *flow) check(ctx context.Context, pr Proof, hashes *hasher) (Reason, error) {
	switch pr.Method {
	case TOTP:
		return f.matchTOTP(pr.Code), nil
	case BackupCode:
		return f.useBackupCode(ctx, pr.Code, hashes)
	case EmailCode, SMSCode:
		return f.matchSent(pr.Method, pr.Code), nil
	}
	return ReasonMethodNotAsked, nil
}

// Reauthenticated answers a Need for Password: the host, or a provider, has just
// proven the first factor again. It returns ErrInvalid for the zero First, and
// ErrRefused when a provider's auth_time is missing or older than Rules.FreshFor.
func (p *Pending) Reauthenticated(ctx context.Context, first First) (Outcome, error) {
	return p.p().run(ctx, func(f *flow) (Outcome, error) {
		d, err := first.stamped(f.now)
		if err != nil {
			return Outcome{}, err
		}
		if v := decide(f.situation()); v.step != StepVerify || !slices.Contains(v.methods, Password) {
			return Outcome{}, refuse(ErrRefused, ReasonStepNotAsked)
		}
		if f.now.Sub(time.Unix(d.At, 0)) > f.g.freshFor(&f.ruling) {
			return Outcome{}, refuse(ErrRefused, ReasonStaleReassertion)
		}
		d.Mailed = d.Password && f.account.data.Password.Mailed
		f.data.First, f.proven = d, Password
		return f.advance(ctx)
	})
}

// SaveCodes records that the user has the backup codes.
func (p *Pending) SaveCodes(ctx context.Context) (Outcome, error) {
	return p.p().run(ctx, func(f *flow) (Outcome, error) {
		if v := decide(f.situation()); v.step != StepSaveCodes && !v.allowed() {
			return Outcome{}, refuse(ErrRefused, ReasonStepNotAsked)
		}
		if f.staged() {
			f.data.Codes, f.data.CodeSet = nil, ""
			f.account.data.Unsaved = false
			f.touched = true
			f.tell(Event{Name: EventCodesSaved, Method: BackupCode})
		}
		// Codes that were replaced meanwhile are not the ones to save: then the
		// flow goes on with a new set.
		return f.advance(ctx)
	})
}

// Skip goes on without enrolling while Need.SkipUntil lies ahead. It also goes on
// when Need asks for nothing any more, because something else changed meanwhile. It
// returns ErrForbidden when enrollment is due.
func (p *Pending) Skip(ctx context.Context) (Outcome, error) {
	return p.p().run(ctx, func(f *flow) (Outcome, error) {
		v := decide(f.situation())
		if v.step != StepEnroll && v.until.IsZero() && !v.allowed() {
			return Outcome{}, refuse(ErrRefused, ReasonStepNotAsked)
		}
		if v.step == StepEnroll && v.until.IsZero() {
			return Outcome{}, refuse(ErrForbidden, ReasonCannotSkip)
		}
		f.data.Skipped = true
		return f.advance(ctx)
	})
}

// Cancel voids the token. Canceling a flow that is over does nothing. It tries
// until ctx ends.
func (p *Pending) Cancel(ctx context.Context) error {
	t, err := p.p().g.ring.OpenToken(kindPending, p.p().token)
	if err != nil {
		return nil
	}
	return p.p().g.endToken(ctx, t, p.p().client, p.p().token)
}
