package mfa

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-1320b244/mfa/internal/device"
)

// SignIn tells the library that the host, or an identity provider, has just
// proven a user's first factor.
type SignIn struct {
	// User is the host's user id.
	User string
	// First says how the first factor was proven. The zero First is refused.
	First First
	// Client is the peer.
	Client Client
	// Presented is the session and pending tokens in the browser's cookies,
	// whoever's they are, at most 4. They are ended: a token planted in a browser
	// before the sign-in is worth nothing after it.
	Presented []string `json:"-"`
	// Browsers is the tokens that Outcome.Browser gave this browser, whichever users
	// they belong to, at most 4: by one of them it is known, or remembered.
	Browsers []string `json:"-"`
	// Return is opaque to the library, such as the page the user was heading for;
	// Pending.Return gives it back. At most 2 KiB of UTF-8.
	Return string
}

// Format implements fmt.Formatter: tokens are not printed.
func (s SignIn) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, "{User:%q First:%v Client:%v Presented:%d Browsers:%d}", s.User, s.First, s.Client, len(s.Presented), len(s.Browsers))
}

const (
	maxPresented = 4
	maxBrowsers  = 4
	maxReturn    = 2 << 10
	maxUserAgent = 512
)

// First says how a first factor was proven. The zero First is invalid.
type First struct{ d firstData }

// firstData is First as stored.
type firstData struct {
	At         int64    `json:"t"` // Unix seconds; 0: unknown, and then never recent
	Password   bool     `json:"p,omitempty"`
	Connection string   `json:"c,omitempty"`
	AMR        []string `json:"m,omitempty"`
	ACR        string   `json:"r,omitempty"`
	Mailed     bool     `json:"e,omitempty"` // the password was set through a mailed link
}

// mailed reports whether the first factor and the proofs after it come from nothing
// but mail. What was passed elsewhere says nothing about who is here.
func (d *firstData) mailed(proofs []proofData) bool {
	return d.Mailed && !slices.ContainsFunc(proofs, func(p proofData) bool { return Method(p.Method) != EmailCode })
}

// PasswordFirst means that the host has just compared a password.
func PasswordFirst() First { return First{firstData{Password: true}} }

// SSOFirst means that an identity provider signed the user in over the named
// connection and asserted amr and acr (RFC 8176, OpenID Connect Core section 2).
// authTime is the provider's auth_time, the zero time when it gave none. At most
// 64 bytes of connection, 8 amr of 32 bytes, 128 bytes of acr.
func SSOFirst(connection string, amr []string, acr string, authTime time.Time) First {
	d := firstData{Connection: connection, AMR: slices.Clone(amr), ACR: acr}
	if !authTime.IsZero() {
		d.At = authTime.Unix()
	}
	return First{d}
}

// SSO returns what an identity provider asserted, and false when a password was
// the first factor.
func (f First) SSO() (connection string, amr []string, acr string, ok bool) {
	return f.d.Connection, slices.Clone(f.d.AMR), f.d.ACR, f.d.Connection != ""
}

// String returns "password", "sso" and the connection, or "".
func (f First) String() string {
	switch {
	case f.d.Password:
		return "password"
	case f.d.Connection != "":
		return "sso " + f.d.Connection
	}
	return ""
}

// stamped returns f as proven at now, or an error. A provider's time ahead of
// ours counts as now: its clock must not lengthen what a proof is good for.
func (f First) stamped(now time.Time) (firstData, error) {
	d := f.d
	if d.Password == (d.Connection != "") || !validText(d.Connection, 64) || len(d.Connection) > 64 ||
		len(d.AMR) > 8 || len(d.ACR) > 128 || !validText(d.ACR, 128) ||
		slices.ContainsFunc(d.AMR, func(s string) bool { return len(s) > 32 || !validText(s, 32) }) {
		return d, invalid("First is zero or has too long a part")
	}
	if d.Password {
		d.At = now.Unix()
	}
	d.At = min(d.At, now.Unix())
	return d, nil
}

// Client describes the peer of one request. The zero Client is unknown. It is
// information for the user and the log, and never a proof.
type Client struct {
	Addr      netip.Addr
	UserAgent string // cut at 512 bytes
}

// cut returns c bounded, and cleaned of what is no text.
func (c Client) cut() Client {
	c.Addr = c.Addr.Unmap().WithZone("") // a zone is free text
	if len(c.UserAgent) > maxUserAgent {
		c.UserAgent = c.UserAgent[:maxUserAgent]
	}
	if !utf8.ValidString(c.UserAgent) || hasControl(c.UserAgent) {
		c.UserAgent = strings.Map(func(r rune) rune {
			if r == utf8.RuneError || hasControl(string(r)) {
				return -1
			}
			return r
		}, c.UserAgent)
	}
	return c
}

func (c Client) device() string {
	if c.UserAgent == "" {
		return ""
	}
	return device.Label(c.UserAgent)
}

func (c Client) addr() string {
	if !c.Addr.IsValid() {
		return ""
	}
	return c.Addr.String()
}

// Outcome is what a sign-in or a step of a flow led to. When the error beside it
// is nil, exactly one of Session and Pending is set.
type Outcome struct {
	Session *Session // nothing is missing: set its Token as the session cookie, drop the pending cookie
	Pending *Pending // something is missing: set its Token as the pending cookie

	browser *string // fmt prints its address
}

// Browser returns a token to keep in the browser for 180 days, besides those of
// other users, and to present as SignIn.Browsers; "" when there is nothing new to
// keep. A sign-in without it is told to the user as one from a new device, and a
// browser without it is not remembered.
func (o Outcome) Browser() string {
	if o.browser == nil {
		return ""
	}
	return *o.browser
}

// SignIn decides what a user whose first factor is proven still needs: nothing,
// and the Outcome is a Session, or more, and it is a Pending. Either ends what
// the browser presented.
//
// It returns ErrNoUser, ErrRefused (a disabled or forgotten user, or no factor
// that could be used), *ThrottledError (every factor waits), ErrInvalid or
// ErrUnavailable.
func (g *Guard) SignIn(ctx context.Context, in SignIn) (Outcome, error) {
	if !validUser(in.User) {
		return Outcome{}, invalid("SignIn.User is not a user id")
	}
	if err := in.valid(g.now()); err != nil {
		return Outcome{}, err
	}
	in.Client = in.Client.cut()
	return g.signIn(ctx, in, func(*state) error { return nil })
}

// valid checks everything but User.
func (in *SignIn) valid(now time.Time) error {
	switch {
	case len(in.Presented) > maxPresented:
		return invalid("SignIn.Presented has more than 4 tokens")
	case len(in.Browsers) > maxBrowsers:
		return invalid("SignIn.Browsers has more than 4 tokens")
	case !validReturn(in.Return):
		return invalid("SignIn.Return is longer than 2 KiB, or no UTF-8")
	}
	_, err := in.First.stamped(now)
	return err
}

// signIn is SignIn for what was checked. accepted runs in each attempt, on the user
// as loaded.
func (g *Guard) signIn(ctx context.Context, in SignIn, accepted func(*state) error) (Outcome, error) {
	if err := g.endForeign(ctx, in); err != nil {
		return Outcome{}, err
	}
	codes := &codeMaker{g: g}
	changes := -1
	return run(ctx, g, bounded, func(now time.Time) (*state, Outcome, error) {
		s, err := g.load(ctx, now, in.Client, in.User)
		if err != nil {
			return nil, Outcome{}, err
		}
		if changes >= 0 && changes != s.account.data.Changes {
			// The password that was proven is not the password any more.
			return nil, Outcome{}, refuse(ErrRefused, ReasonCredentialsChanged)
		}
		changes = s.account.data.Changes
		if why := s.account.data.reason(s.user); why != "" {
			s.tell(Event{Name: EventSignInRefused, Reason: why})
			return s, Outcome{}, refuse(ErrRefused, why)
		}
		first, err := in.First.stamped(now)
		if err != nil {
			return nil, Outcome{}, err
		}
		if err := accepted(s); err != nil {
			return nil, Outcome{}, err
		}
		first.Mailed = first.Password && s.account.data.Password.Mailed
		f := &flow{state: s, codes: codes, data: pendingData{
			To: toSignIn, First: first, Return: in.Return, Browser: s.presented(in.Browsers),
		}}
		if err := f.ruled(ctx); err != nil {
			return nil, Outcome{}, err
		}
		s.noteChanged()
		v := decide(f.situation())
		if v.refused || v.waits {
			s.tell(Event{Name: EventSignInRefused, Reason: ReasonNoUsableFactor})
			return s, Outcome{}, f.refusal(v)
		}
		s.endPresented(in.Presented)
		out, err := f.advance(ctx)
		return s, out, err
	})
}

func validReturn(s string) bool { return len(s) <= maxReturn && utf8.ValidString(s) }

// endPresented stages the end of the sessions and flows of this user that tokens
// name and prove.
func (s *state) endPresented(tokens []string) {
	for _, text := range tokens {
		if t, err := s.g.ring.OpenToken(kindSession, text); err == nil && t.Owner == s.owner {
			for _, d := range s.sessions {
				if d.rec.ID == t.ID && d.data.proves(t) {
					s.endSession(t.ID)
					s.tell(Event{Name: EventSignedOut, Session: t.ID})
					break
				}
			}
		}
		if t, err := s.g.ring.OpenToken(kindPending, text); err == nil && t.Owner == s.owner {
			for _, d := range s.pendings {
				if d.rec.ID == t.ID && d.data.Over == "" && d.data.proves(t) {
					s.endPendings(func(p pendingData) bool { return slices.Equal(p.Secret, d.data.Secret) })
					s.tell(Event{Name: EventFlowCanceled})
					break
				}
			}
		}
	}
}

// endForeign ends what the browser presents of other users. Each is a commit of
// its own, before the sign-in's: should the sign-in then fail, the browser has
// lost a session that was not the one asked for, and gained nothing.
func (g *Guard) endForeign(ctx context.Context, in SignIn) error {
	for _, text := range in.Presented {
		for _, kind := range []string{kindSession, kindPending} {
			t, err := g.ring.OpenToken(kind, text)
			if err != nil || t.Owner == ownerOf(in.User) {
				continue
			}
			err = g.endToken(ctx, t, in.Client, text)
			switch ReasonOf(err) {
			case ReasonTampered, ReasonUnknownKey, ReasonNewerRecord, ReasonMalformedRecord, ReasonRecordMissing:
				// Nobody can use it as long as its account is like that, and it is no
				// reason to keep another user out of this browser.
			default:
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// endToken ends the session or flow that a token names.
func (g *Guard) endToken(ctx context.Context, t token, c Client, text string) error {
	return g.endOne(ctx, t, c, func(s *state) { s.endPresented([]string{text}) })
}

// endOne ends one session or flow of a user, of which end stages the end if it is
// alive. What is over by the clock goes as well: the clock may step back.
func (g *Guard) endOne(ctx context.Context, t token, c Client, end func(*state)) error {
	_, err := run(ctx, g, untilEnded, func(now time.Time) (*state, struct{}, error) {
		s := g.newState(now, c, userOf(t.Owner))
		if err := s.list(ctx); err != nil {
			return nil, struct{}{}, err
		}
		end(s)
		if slices.ContainsFunc(s.debris, func(r Record) bool { return r.ID == t.ID }) {
			s.touched = true
		}
		return s, struct{}{}, nil
	})
	return err
}
