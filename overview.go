package mfa

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"
	"time"
)

// Overview is a security page as data.
type Overview struct {
	Authenticators []Authenticator
	CodesLeft      int
	CodesSaved     bool // false: issued, and never confirmed as recorded; true when there are none
	AskAtSignIn    bool
	Password       bool           // the library or Config.Passwords has one of hers, so that ChangePassword can be offered
	Methods        []MethodStatus // what could be used as a second factor, best first
	Switches       []Switch       // codes by mail and text message, where the rules allow them
	Sessions       []SessionInfo  // newest first
	Browsers       []BrowserInfo  // newest first
	Activity       []Event        // newest first, at most 50; without ID and user agent
	Advice         []Reason       // most urgent first
}

// Authenticator is one app that the user bound.
type Authenticator struct {
	ID, Label       string
	Added, LastUsed time.Time
	Usable          bool // false: sealed under a key that Config.Keys lacks
}

// MethodStatus says whether a method can be used.
type MethodStatus struct {
	Method   Method
	Usable   bool
	Disabled bool      // too many wrong: bind it anew
	Until    time.Time // when a wait ends; zero: it does not wait
}

// SessionInfo is one session that is alive.
type SessionInfo struct {
	ID                string
	Device            string // such as "Firefox on Windows"; "" when unknown
	Addr              string // at sign-in; "" when unknown
	Place             string // of Addr, as Config.Locator says; or ""
	Created, LastSeen time.Time
	Expires           time.Time
	Current           bool
}

// codesLow is how many backup codes left are few enough to say so.
const codesLow = 3

// Overview reads everything that a security page shows, in one round trip and one
// question to the directory. It returns ErrNoSession or ErrUnavailable.
func (s *Session) Overview(ctx context.Context) (Overview, error) {
	f, err := s.s().flow(ctx, s.s().g.now(), Purpose{})
	if err != nil {
		return Overview{}, err
	}
	o, err := f.overview()
	if err != nil {
		return Overview{}, err
	}
	for i := range o.Sessions {
		o.Sessions[i].Current = o.Sessions[i].ID == s.ID()
	}
	return o, nil
}

// overview shows a user without her secrets.
func (s *state) overview() (Overview, error) {
	past, err := s.past()
	if err != nil {
		return Overview{}, err
	}
	a, limits := &s.account.data, s.g.policy.Limits
	o := Overview{CodesLeft: len(a.Codes), CodesSaved: !a.Unsaved, AskAtSignIn: a.Ask, Password: s.checks()}
	for _, t := range a.TOTP {
		o.Authenticators = append(o.Authenticators, Authenticator{
			ID: t.ID, Label: t.Label, Added: unix(t.Added), LastUsed: unix(t.Used), Usable: s.g.ring.Knows(t.Sealed),
		})
	}
	for _, h := range s.held() {
		t := a.Tries[h.method.String()]
		m := MethodStatus{Method: h.method, Usable: h.state == usable, Disabled: a.disabled(limits, h.method)}
		if left := t.left(limits, h.method, s.now); left > 0 && !m.Disabled {
			m.Until = s.now.Add(left).UTC()
		}
		o.Methods = append(o.Methods, m)
	}
	for i := len(s.sessions) - 1; i >= 0; i-- {
		d := s.sessions[i]
		o.Sessions = append(o.Sessions, SessionInfo{
			ID: d.rec.ID, Device: d.data.Device, Addr: d.data.Addr, Place: s.g.locate(parseAddr(d.data.Addr)),
			Created: unix(d.data.Created), LastSeen: unix(d.data.Seen), Expires: d.rec.Expires,
		})
	}
	for _, e := range slices.Backward(past) {
		o.Activity = append(o.Activity, e.event(s.user.ID))
	}
	o.Switches, o.Browsers, o.Advice = s.switches(), s.browserList(), s.advice()
	return o, nil
}

func (s *state) advice() []Reason {
	a := &s.account.data
	var advice []Reason
	if a.Compromised {
		advice = append(advice, ReasonCompromised)
	}
	switch {
	case !a.holds():
		advice = append(advice, ReasonAdviseFactor)
	case !a.has(TOTP):
		advice = append(advice, ReasonAdviseApp)
	}
	if a.has(TOTP) && (a.Unsaved || len(a.Codes) <= codesLow) {
		advice = append(advice, ReasonAdviseCodes)
	}
	if len(s.sessions) > 1 {
		advice = append(advice, ReasonAdviseSessions)
	}
	if s.checks() || a.SSO == nil { // of who signs in at a provider it is known that she has none
		advice = append(advice, ReasonAdviseUnique)
	}
	if _, why := s.reach(EmailCode); why == "" {
		advice = append(advice, ReasonAdviseMail)
	}
	return advice
}

// event shows an entry as the event it came from.
func (e entry) event(user string) Event {
	actor := e.Actor
	if actor == "" {
		actor = user
	}
	return Event{
		Name: e.Name, At: unix(e.At), Actor: actor, User: user, Method: methodOf(e.Method),
		Reason: e.Reason, Session: e.Session, Device: e.Device, Client: Client{Addr: parseAddr(e.Addr)}, Org: e.Org, Note: e.Note,
	}
}

// parseAddr reads an address that this library wrote, the zero Addr for "".
func parseAddr(s string) netip.Addr {
	addr, _ := netip.ParseAddr(s)
	return addr
}

// unix returns the time of Unix seconds, zero for 0.
func unix(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// Export returns what is stored about a user, without secrets, as JSON: for a
// person who asks what is known about her. It returns ErrInvalid or
// ErrUnavailable; of an unknown user it tells that nothing is stored.
func (g *Guard) Export(ctx context.Context, user string) ([]byte, error) {
	if !validUser(user) {
		return nil, invalid("not a user id")
	}
	s := g.newState(g.now(), Client{}, user)
	if err := s.list(ctx); err != nil {
		return nil, err
	}
	a := &s.account.data
	failures := make([]time.Time, len(a.Failures))
	for i, at := range a.Failures {
		failures[i] = unix(at)
	}
	o, err := s.overview()
	if err != nil {
		return nil, err
	}
	out, err := json.MarshalIndent(struct {
		User string
		Overview
		MustEnroll, PasswordCompromised, Disabled, Forgotten bool
		WrongProofs                                          map[string]tries
		FailedSecondFactors                                  []time.Time
	}{user, o, a.MustEnroll, a.Compromised, a.Disabled, a.Forgotten, a.Tries, failures}, "", "\t")
	if err != nil {
		return nil, &unavailable{"export", ReasonMalformedRecord, err}
	}
	return out, nil
}
