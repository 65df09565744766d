package mfahttp

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/seed-1320b244/mfa"
)

type purposeOnly struct {
	Purpose goal `json:"purpose"`
}

type orgOnly struct {
	Org string `json:"org"`
}

type idOnly struct {
	ID string `json:"id"`
}

type idLabel struct {
	ID    string `json:"id"`
	Label string `json:"label"`
}

type ids struct {
	IDs []string `json:"ids"`
}

type onOnly struct {
	On bool `json:"on"`
}

type methodOn struct {
	Method mfa.Method `json:"method"`
	On     bool       `json:"on"`
}

type newPassword struct {
	Current  string `json:"current"`
	Password string `json:"password"`
}

// settingsRoutes are for a signed-in user.
func settingsRoutes() []route {
	return []route{
		withSession(http.MethodGet, "/session", func(c *call, s *mfa.Session, _ none) (outcome, error) {
			return c.outcome(mfa.Outcome{Session: s}), nil
		}),
		withSession(http.MethodGet, "/session/overview", func(c *call, s *mfa.Session, _ none) (overview, error) {
			o, err := s.Overview(c.r.Context())
			return overviewOf(o), err
		}),
		op(http.MethodPost, "/session/enter", func(c *call, in orgOnly) (outcome, error) {
			s, err := c.enter(in.Org)
			return c.led(mfa.Outcome{Session: s}, about("org", err))
		}),
		withSession(http.MethodPost, "/session/step-up", func(c *call, s *mfa.Session, in purposeOnly) (outcome, error) {
			to, err := in.Purpose.to()
			if err != nil {
				return outcome{}, err
			}
			out, err := c.led(s.StepUp(c.r.Context(), to, ""))
			return out, about("purpose."+in.Purpose.field(), err)
		}),
		withSession(http.MethodPost, "/session/sign-out", (*call).signOut),
		withSession(http.MethodPost, "/session/codes", func(c *call, s *mfa.Session, in passwordOnly) (outcome, error) {
			return c.led(s.NewBackupCodes(c.r.Context(), in.Password))
		}),
		withSession(http.MethodPost, "/session/password", func(c *call, s *mfa.Session, in newPassword) (outcome, error) {
			return c.led(s.ChangePassword(c.r.Context(), in.Current, in.Password))
		}),
		withSession(http.MethodPost, "/session/password/check", func(c *call, s *mfa.Session, in passwordOnly) (requirements, error) {
			return c.check(s.User(), in)
		}),
		setting("/session/totp/rename", func(ctx context.Context, s *mfa.Session, in idLabel) error {
			return about("label", s.RenameTOTP(ctx, in.ID, in.Label))
		}),
		setting("/session/totp/remove", func(ctx context.Context, s *mfa.Session, in idOnly) error { return s.RemoveTOTP(ctx, in.ID) }),
		setting("/session/method", func(ctx context.Context, s *mfa.Session, in methodOn) error {
			return about("method", s.SetMethod(ctx, in.Method, in.On))
		}),
		setting("/session/ask-at-sign-in", func(ctx context.Context, s *mfa.Session, in onOnly) error { return s.SetAskAtSignIn(ctx, in.On) }),
		setting("/session/revoke", func(ctx context.Context, s *mfa.Session, in ids) error { return s.Revoke(ctx, in.IDs...) }),
		setting("/session/revoke-others", func(ctx context.Context, s *mfa.Session, _ none) error { return s.RevokeOthers(ctx) }),
		setting("/session/browsers/forget", func(ctx context.Context, s *mfa.Session, in ids) error { return s.ForgetBrowsers(ctx, in.IDs...) }),
	}
}

// setting returns a route that changes something and says no more.
func setting[In any](path string, do func(context.Context, *mfa.Session, In) error) route {
	return withSession(http.MethodPost, path, func(c *call, s *mfa.Session, in In) (none, error) {
		return none{}, do(c.r.Context(), s, in)
	})
}

// signOut ends the session and the flow that the client presents, which may be a
// sign-in that no session opened (R13).
func (c *call) signOut(s *mfa.Session, _ none) (none, error) {
	if p, err := c.pending(); err == nil {
		if err := p.Cancel(c.r.Context()); err != nil {
			return none{}, err
		}
	}
	if err := s.SignOut(c.r.Context()); err != nil {
		return none{}, err
	}
	if !c.api.bearer {
		c.api.web.clearCookie(c.w, c.r, sessionCookie)
		c.api.web.clearCookie(c.w, c.r, pendingCookie)
	}
	return none{}, nil
}

// An overview is mfa.Overview.
type overview struct {
	Authenticators []authenticator `json:"authenticators"`
	CodesLeft      int             `json:"codes_left"`
	CodesSaved     bool            `json:"codes_saved"`
	AskAtSignIn    bool            `json:"ask_at_sign_in"`
	Password       bool            `json:"password"`
	Methods        []methodStatus  `json:"methods"`
	Switches       []methodSwitch  `json:"switches"`
	Sessions       []sessionInfo   `json:"sessions"`
	Browsers       []browserInfo   `json:"browsers"`
	Activity       []event         `json:"activity"`
	Advice         []mfa.Reason    `json:"advice"`
}

type authenticator struct {
	ID       string     `json:"id"`
	Label    string     `json:"label"`
	Added    time.Time  `json:"added"`
	LastUsed *time.Time `json:"last_used,omitempty"`
	Usable   bool       `json:"usable"`
}

type methodStatus struct {
	Method   mfa.Method `json:"method"`
	Usable   bool       `json:"usable"`
	Disabled bool       `json:"disabled"`
	Until    *time.Time `json:"until,omitempty"`
}

type methodSwitch struct {
	Method  mfa.Method `json:"method"`
	On      bool       `json:"on"`
	Held    bool       `json:"held"`
	Address string     `json:"address"` // masked
	Why     mfa.Reason `json:"why,omitempty"`
}

type sessionInfo struct {
	ID       string    `json:"id"`
	Device   string    `json:"device"`
	Addr     string    `json:"addr"`
	Place    string    `json:"place"`
	Created  time.Time `json:"created"`
	LastSeen time.Time `json:"last_seen"`
	Expires  time.Time `json:"expires"`
	Current  bool      `json:"current"`
}

type browserInfo struct {
	ID         string     `json:"id"`
	Device     string     `json:"device"`
	Addr       string     `json:"addr"`
	Place      string     `json:"place"`
	Added      time.Time  `json:"added"`
	LastUsed   time.Time  `json:"last_used"`
	Remembered *time.Time `json:"remembered,omitempty"`
}

// An event is mfa.Event as a history keeps it.
type event struct {
	Name    mfa.EventName `json:"name"`
	At      time.Time     `json:"at"`
	Actor   string        `json:"actor,omitempty"`
	User    string        `json:"user,omitempty"`
	Method  string        `json:"method,omitempty"`
	Reason  mfa.Reason    `json:"reason,omitempty"`
	Org     string        `json:"org,omitempty"`
	Session string        `json:"session,omitempty"` // its public id
	Note    string        `json:"note,omitempty"`
	Device  string        `json:"device,omitempty"`
	Addr    string        `json:"addr,omitempty"`
}

func eventsOf(all []mfa.Event) []event {
	events := []event{}
	for _, e := range all {
		view := event{
			Name: e.Name, At: e.At.UTC(), Actor: e.Actor, User: e.User, Method: e.Method.String(), Reason: e.Reason,
			Org: e.Org, Session: e.Session, Note: e.Note, Device: e.Device,
		}
		if e.Client.Addr != (netip.Addr{}) {
			view.Addr = e.Client.Addr.String()
		}
		events = append(events, view)
	}
	return events
}

func overviewOf(o mfa.Overview) overview {
	v := overview{
		Authenticators: []authenticator{}, CodesLeft: o.CodesLeft, CodesSaved: o.CodesSaved, AskAtSignIn: o.AskAtSignIn, Password: o.Password,
		Methods: []methodStatus{}, Switches: []methodSwitch{}, Sessions: []sessionInfo{}, Browsers: []browserInfo{},
		Activity: eventsOf(o.Activity), Advice: list(o.Advice),
	}
	for _, a := range o.Authenticators {
		v.Authenticators = append(v.Authenticators, authenticator{a.ID, a.Label, a.Added.UTC(), when(a.LastUsed), a.Usable})
	}
	for _, m := range o.Methods {
		v.Methods = append(v.Methods, methodStatus{m.Method, m.Usable, m.Disabled, when(m.Until)})
	}
	for _, s := range o.Switches {
		v.Switches = append(v.Switches, methodSwitch(s))
	}
	for _, s := range o.Sessions {
		v.Sessions = append(v.Sessions, sessionInfo{s.ID, s.Device, s.Addr, s.Place, s.Created.UTC(), s.LastSeen.UTC(), s.Expires.UTC(), s.Current})
	}
	for _, b := range o.Browsers {
		v.Browsers = append(v.Browsers, browserInfo{b.ID, b.Device, b.Addr, b.Place, b.Added.UTC(), b.LastUsed.UTC(), when(b.Remembered)})
	}
	return v
}
