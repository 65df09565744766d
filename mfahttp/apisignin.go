package mfahttp

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"time"

	"github.com/seed-1320b244/mfa"
)

// An outcome is the state of a session, or of a flow on the way to one.
type outcome struct {
	Status  string    `json:"status"` // signed_in or pending
	Expires time.Time `json:"expires"`
	// User is the host's id of the user, once signed in.
	User string `json:"user,omitempty"`
	// RequiredFrom is Session.RequiredFrom, at a door.
	RequiredFrom *time.Time `json:"required_from,omitempty"`

	Purpose *goal `json:"purpose,omitempty"` // of a flow, and so the next two
	Need    *need `json:"need,omitempty"`
	Sent    *sent `json:"sent,omitempty"`

	Token   string `json:"token,omitempty"`   // with APIConfig.Bearer: of the session or the flow
	Browser string `json:"browser,omitempty"` // and Outcome.Browser
}

// A need is mfa.Need.
type need struct {
	Step      string       `json:"step"` // "none": post to /pending/skip
	Methods   []mfa.Method `json:"methods"`
	SkipUntil *time.Time   `json:"skip_until,omitempty"`
	Why       mfa.Reason   `json:"why"`
}

func needOf(n mfa.Need) need {
	step := n.Step.String()
	if step == "" {
		step = "none"
	}
	return need{Step: step, Methods: list(n.Methods), SkipUntil: when(n.SkipUntil), Why: n.Why}
}

// list returns s as an array, where JSON has null for nil.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// A goal is mfa.Purpose: each type has a field of its own.
type goal struct {
	Type   string  `json:"type"`
	Org    *string `json:"org,omitempty"`    // of enter and administer; there "" is the installation
	Action *string `json:"action,omitempty"` // of confirm
	Method *string `json:"method,omitempty"` // of enroll
}

func goalOf(p mfa.Purpose) goal {
	if org, ok := p.Administers(); ok {
		return goal{Type: "administer", Org: &org}
	}
	org, action, method := p.Org(), p.Action(), factor(p)
	switch {
	case p.SignIn():
		return goal{Type: "sign_in"}
	case org != "":
		return goal{Type: "enter", Org: &org}
	case method != "":
		return goal{Type: "enroll", Method: &method}
	}
	return goal{Type: "confirm", Action: &action}
}

// field returns the name of the field that goes with the type, "" for no type.
func (p goal) field() string {
	return map[string]string{"administer": "org", "enter": "org", "confirm": "action", "enroll": "method"}[p.Type]
}

// to returns what goalOf was given. A sign-in begins elsewhere.
func (p goal) to() (mfa.Purpose, error) {
	want := p.field()
	if want == "" {
		return mfa.Purpose{}, malformed("purpose.type")
	}
	for _, f := range []struct {
		name  string
		value *string
	}{{"org", p.Org}, {"action", p.Action}, {"method", p.Method}} {
		if (f.value != nil) != (f.name == want) {
			return mfa.Purpose{}, malformed("purpose." + f.name)
		}
	}
	switch p.Type {
	case "administer":
		return mfa.ToAdminister(*p.Org), nil
	case "enter":
		return mfa.ToEnter(*p.Org), nil
	case "confirm":
		return mfa.ToConfirm(*p.Action), nil
	}
	var m mfa.Method
	if err := m.UnmarshalText([]byte(*p.Method)); err != nil {
		return mfa.Purpose{}, malformed("purpose.method")
	}
	return mfa.ToEnroll(m), nil
}

// A sent is mfa.Sent.
type sent struct {
	Method  mfa.Method `json:"method"`
	To      string     `json:"to"` // masked
	Again   time.Time  `json:"again"`
	Expires time.Time  `json:"expires"`
}

func sentOf(s mfa.Sent) *sent {
	if s.Method == 0 {
		return nil
	}
	return &sent{s.Method, s.To, s.Again.UTC(), s.Expires.UTC()}
}

// outcome returns out for the client, and gives it the tokens.
func (c *call) outcome(out mfa.Outcome) outcome {
	var o outcome
	var token string
	if s := out.Session; s != nil {
		token = s.Token()
		o = outcome{Status: "signed_in", Expires: s.Expires().UTC(), User: s.User(), RequiredFrom: when(s.RequiredFrom())}
	} else {
		p := out.Pending
		to, asks := goalOf(p.Purpose()), needOf(p.Need())
		token = p.Token()
		o = outcome{Status: "pending", Expires: p.Expires().UTC(), Purpose: &to, Need: &asks, Sent: sentOf(p.Sent())}
	}
	if c.api.bearer {
		o.Token, o.Browser = token, out.Browser()
	} else {
		c.api.web.keep(c.w, c.r, out)
	}
	return o
}

// led is outcome for what an operation returned.
func (c *call) led(out mfa.Outcome, err error) (outcome, error) {
	if err != nil {
		return outcome{}, err
	}
	return c.outcome(out), nil
}

type credentials struct {
	Login    string `json:"login"`
	Password string `json:"password"`
}

type loginOnly struct {
	Login string `json:"login"`
}

type tokenOnly struct {
	Token string `json:"token"` // of a link that was mailed
}

type tokenPassword struct {
	Token    string `json:"token"`
	Password string `json:"password"`
}

type passwordOnly struct {
	Password string `json:"password"`
}

type requirement struct {
	Reason   mfa.Reason `json:"reason"`
	Sentence string     `json:"sentence"`
	Met      bool       `json:"met"`
}

type requirements struct {
	Requirements []requirement `json:"requirements"`
}

func requirementsOf(all []mfa.Requirement) []requirement {
	lines := []requirement{}
	for _, l := range all {
		lines = append(lines, requirement{l.Reason, l.Sentence, l.Met})
	}
	return lines
}

// signInRoutes need neither a session nor a flow.
func signInRoutes() []route {
	return []route{
		op(http.MethodPost, "/sign-in", (*call).signIn),
		op(http.MethodPost, "/check-password", func(c *call, in passwordOnly) (requirements, error) { return c.check("", in) }),
		op(http.MethodPost, "/recover", (*call).recover),
		op(http.MethodPost, "/reset-password", func(c *call, in tokenPassword) (none, error) {
			return none{}, c.api.web.guard.ResetPassword(c.r.Context(), in.Token, in.Password, c.api.web.Client(c.r))
		}),
		op(http.MethodPost, "/undo-address", func(c *call, in tokenOnly) (none, error) {
			return none{}, c.api.web.guard.UndoAddress(c.r.Context(), in.Token, c.api.web.Client(c.r))
		}),
	}
}

func (c *call) signIn(in credentials) (outcome, error) {
	as := c.api.SignIn(c.r, "", mfa.PasswordFirst())
	return c.led(c.api.web.guard.SignInPassword(c.r.Context(), in.Login, in.Password, as))
}

// check tells which requirements a password meets that user, "" for nobody known, is
// about to choose.
func (c *call) check(user string, in passwordOnly) (requirements, error) {
	all, err := c.api.web.guard.CheckPassword(c.r.Context(), user, in.Password)
	return requirements{requirementsOf(all)}, about("password", err)
}

// recover answers the same for every login, before anything is done that depends on
// it: that there is room for the job or not.
func (c *call) recover(in loginOnly) (none, error) {
	if c.api.jobs == nil {
		return none{}, mfa.ErrForbidden
	}
	job, err := c.api.web.guard.Recover(c.r.Context(), in.Login, c.api.web.Client(c.r))
	if err == nil && !c.api.jobs(job) {
		err = fmt.Errorf("%w: too many jobs, a link to a new password was not sent", &badRequest{http.StatusServiceUnavailable, "busy"})
	}
	return none{}, err
}

type methodOnly struct {
	Method mfa.Method `json:"method"`
}

type proof struct {
	Method   mfa.Method `json:"method"`
	Code     string     `json:"code"` // of the method password: that
	Remember bool       `json:"remember,omitempty"`
}

type labelOnly struct {
	Label string `json:"label,omitempty"`
}

type codeOnly struct {
	Code string `json:"code"`
}

type address struct {
	Method  mfa.Method `json:"method"`
	Address string     `json:"address"`
}

// A setup is mfa.Setup.
type setup struct {
	Secret string `json:"secret"`
	URI    string `json:"uri"`
	QR     string `json:"qr"` // for the src of an img, which runs no script that an SVG could hold
}

type codes struct {
	Codes []string `json:"codes"`
}

// pendingRoutes are the steps of a flow.
func pendingRoutes() []route {
	step := func(path string, do func(*mfa.Pending, context.Context) (mfa.Outcome, error)) route {
		return withFlow(http.MethodPost, path, func(c *call, p *mfa.Pending, _ none) (outcome, error) {
			return c.led(do(p, c.r.Context()))
		})
	}
	return []route{
		withFlow(http.MethodGet, "/pending", func(c *call, p *mfa.Pending, _ none) (outcome, error) {
			return c.outcome(mfa.Outcome{Pending: p}), nil
		}),
		withFlow(http.MethodPost, "/pending/send", func(c *call, p *mfa.Pending, in methodOnly) (outcome, error) {
			return c.wentTo(p)(p.Send(c.r.Context(), in.Method))
		}),
		withFlow(http.MethodPost, "/pending/verify", func(c *call, p *mfa.Pending, in proof) (outcome, error) {
			return c.led(p.Verify(c.r.Context(), mfa.Proof{Method: in.Method, Code: in.Code, Remember: in.Remember}))
		}),
		step("/pending/skip", (*mfa.Pending).Skip),
		withFlow(http.MethodPost, "/pending/totp", (*call).startTOTP),
		withFlow(http.MethodPost, "/pending/totp/confirm", func(c *call, p *mfa.Pending, in codeOnly) (outcome, error) {
			return c.led(p.ConfirmTOTP(c.r.Context(), in.Code))
		}),
		withFlow(http.MethodPost, "/pending/address", func(c *call, p *mfa.Pending, in address) (outcome, error) {
			field := "address"
			if in.Method != mfa.EmailCode && in.Method != mfa.SMSCode {
				field = "method"
			}
			out, err := c.wentTo(p)(p.StartAddress(c.r.Context(), in.Method, in.Address))
			return out, about(field, err)
		}),
		withFlow(http.MethodGet, "/pending/codes", func(c *call, p *mfa.Pending, _ none) (codes, error) {
			if p.BackupCodes().Len() == 0 {
				return codes{}, mfa.ErrRefused
			}
			return codes{p.BackupCodes().Reveal()}, nil
		}),
		step("/pending/codes/saved", (*mfa.Pending).SaveCodes),
		withFlow(http.MethodPost, "/pending/password", func(c *call, p *mfa.Pending, in passwordOnly) (outcome, error) {
			return c.led(p.SetPassword(c.r.Context(), in.Password))
		}),
		withFlow(http.MethodPost, "/pending/password/check", func(c *call, p *mfa.Pending, in passwordOnly) (requirements, error) {
			if p.Need().Step != mfa.StepNewPassword { // whoever knows only the old one would learn her names
				return requirements{}, mfa.ErrRefused
			}
			return c.check(p.User(), in)
		}),
		withFlow(http.MethodPost, "/pending/cancel", func(c *call, p *mfa.Pending, _ none) (none, error) {
			err := p.Cancel(c.r.Context())
			if err == nil && !c.api.bearer {
				c.api.web.clearCookie(c.w, c.r, pendingCookie)
			}
			return none{}, err
		}),
	}
}

// wentTo returns a func that answers with the flow that a code was sent in.
func (c *call) wentTo(p *mfa.Pending) func(mfa.Sent, error) (outcome, error) {
	return func(s mfa.Sent, err error) (outcome, error) {
		if err != nil {
			return outcome{}, err
		}
		o := c.outcome(mfa.Outcome{Pending: p})
		o.Sent = sentOf(s)
		return o, nil
	}
}

// startTOTP stages an authenticator. It shows the same again while one is staged, so
// that a page can be drawn anew.
func (c *call) startTOTP(p *mfa.Pending, in labelOnly) (setup, error) {
	s, err := p.StartTOTP(c.r.Context(), in.Label)
	if err != nil {
		return setup{}, about("label", err)
	}
	svg, err := s.SVG()
	if err != nil {
		return setup{}, err
	}
	return setup{s.Secret(), s.URI(), "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(svg))}, nil
}
