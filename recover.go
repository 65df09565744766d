package mfa

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/seed-1320b244/mfa/internal/keyring"
)

const (
	kindLink = "link"

	resetFor  = time.Hour      // SP 800-63B-4 section 4.2.1.2 allows a mailed code 24 h
	undoFor   = 72 * time.Hour // over a weekend
	maxResets = 3              // links to a new password alive at once
	maxUndos  = 3

	recoverWithin = 30 * time.Second // for the job of Recover
)

// linkData is a link that was mailed, as stored: what its token does once.
type linkData struct {
	V       int      `json:"v"`
	Secret  []byte   `json:"s"` // SHA-256 of the token's
	Created int64    `json:"c"`
	Does    linkDeed `json:"p"`
	Method  int      `json:"m"`
	To      []byte   `json:"d"`           // sealed: where it was sent, and for undoAddress what is to be restored
	Order   int      `json:"o,omitempty"` // among the user's of this deed and method that were alive
}

func (d *linkData) version() int        { return d.V }
func (d *linkData) proves(t token) bool { return proves(d.Secret, t) }

type linkDeed int

const (
	resetPassword linkDeed = iota + 1
	undoAddress
)

// Recover returns a job that mails a link to a new password to the user whose
// login this is. Answer first, with the same page for every login, and run the job
// after: nothing before it depends on the account. The job does nothing for a
// login that is nobody's, for an account that has no password, no known mail
// address or is disabled, and while three links are alive already.
//
// The link is good for one hour and once, and opening it uses nothing up: what
// makes it up is Message.Token, and the host's own base URL, never the Host header
// of a request. It signs nobody in and skips no second factor.
//
// Recover returns *ThrottledError when the network has used up
// Limits.RecoversPerNetwork, and ErrInvalid without a Finder or a Notifier. The job
// returns ErrUndelivered or ErrUnavailable, for the log.
func (g *Guard) Recover(ctx context.Context, login string, c Client) (job func(context.Context) error, err error) {
	if g.finder == nil || g.notifier == nil {
		return nil, invalid("Recover needs Config.Users to be a Finder, and a Notifier")
	}
	c = c.cut()
	if c.Addr.IsValid() {
		if err := g.take(ctx, budgetOf(g.policy.Limits.RecoversPerNetwork, "recover network", network(c.Addr)), ReasonNetworkBudget); err != nil {
			return nil, err
		}
	}
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, recoverWithin)
		defer cancel()
		return g.mailReset(ctx, login, c)
	}, nil
}

func (g *Guard) mailReset(ctx context.Context, login string, c Client) error {
	if login == "" || len(login) > maxLogin || !utf8.ValidString(login) || hasControl(login) {
		return nil
	}
	u, err := g.finder.FindUser(ctx, login)
	switch {
	case errors.Is(err, ErrNoUser):
		return nil
	case err != nil:
		return &unavailable{"ask the directory", ReasonDirectoryFailed, err}
	case !validUser(u.ID):
		return &unavailable{"ask the directory", ReasonDirectoryFailed, errNoID}
	}
	msg, err := run(ctx, g, bounded, func(now time.Time) (*state, *Message, error) {
		s, err := g.load(ctx, now, c, u.ID)
		if err != nil {
			return nil, nil, err
		}
		to, why := s.reach(EmailCode)
		if s.account.data.reason(s.user) != "" || !s.checks() || why != "" || s.alive(resetPassword) >= maxResets {
			return nil, nil, nil
		}
		s.notePinned(EmailCode, to)
		msg, err := s.link(resetPassword, EmailCode, to, resetFor)
		s.tell(Event{Name: EventResetSent, Method: EmailCode})
		return s, msg, err
	})
	if err != nil || msg == nil {
		return err
	}
	return g.deliver(ctx, *msg)
}

// alive counts the links that are good.
func (s *state) alive(does linkDeed) int {
	n := 0
	for _, l := range s.links {
		if l.data.Does == does {
			n++
		}
	}
	return n
}

// link stages a link and returns the message that carries its token.
func (s *state) link(does linkDeed, m Method, to string, life time.Duration) (*Message, error) {
	t := keyring.NewToken(s.owner, "")
	text, err := s.g.ring.SealToken(kindLink, t)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	order := 0
	for _, l := range s.links {
		if l.data.Does == does && Method(l.data.Method) == m {
			order = max(order, l.data.Order+1)
		}
	}
	sum := sha256.Sum256(t.Secret[:])
	s.put(Record{Key: Key{Owner: s.owner, Kind: kindLink, ID: t.ID}}, seconds(s.now.Add(life)), linkData{
		V: recordVersion, Secret: sum[:], Created: s.now.Unix(), Does: does, Method: int(m), To: s.sealAddress(m, to), Order: order,
	})
	s.touched = true
	msg := s.message(MessageReset, Event{Method: Password})
	msg.Channel, msg.To, msg.Expires = m, to, s.now.Add(life).UTC()
	msg.token = func() string { return text }
	return &msg, nil
}

// followed returns the link that a token names and proves.
func (s *state) followed(t token, does linkDeed) (stored[linkData], error) {
	i := slices.IndexFunc(s.links, func(l stored[linkData]) bool { return l.rec.ID == t.ID })
	if i < 0 || !s.links[i].data.proves(t) || s.links[i].data.Does != does {
		return stored[linkData]{}, refuse(ErrRefused, ReasonNotFound)
	}
	return s.links[i], nil
}

// endLinks stages the end of the links that match.
func (s *state) endLinks(match func(linkData) bool) {
	s.links = slices.DeleteFunc(s.links, func(l stored[linkData]) bool {
		if match(l.data) {
			s.end(l.rec)
		}
		return match(l.data)
	})
	s.touched = true
}

// ResetPassword sets a password with the token of a link that Recover mailed, and
// uses the link up. Every session, flow, remembered browser and other link to a new
// password ends, nobody is signed in, and the second factor is asked at the next
// sign-in as always. Until something else than mail was passed there, a mailed code
// adds nothing to this password: whoever reads the mailbox has both.
//
// It returns ErrRefused for a token that is used, over, forged, or was sent to an
// address that is not the user's any more; *WeakPasswordError, which uses nothing
// up; or ErrUnavailable.
func (g *Guard) ResetPassword(ctx context.Context, token, password string, c Client) error {
	set := g.candidate(password)
	return g.follow(ctx, token, resetPassword, c, func(s *state, l stored[linkData]) error {
		if now, _ := s.reach(EmailCode); now == "" || now != s.openAddress(EmailCode, l.data.To) {
			return refuse(ErrRefused, ReasonAddressChanged)
		}
		if err := s.newPassword(ctx, set, true); err != nil {
			return err
		}
		s.endAll()
		return nil
	})
}

// UndoAddress restores the address that a mail or number replaced, with the token
// of the notice that the old one got, for 72 hours. Everything of the user ends and
// the password must be changed at the next sign-in: somebody else was in. Who holds
// no factor types a code sent to a known address first. It returns what ResetPassword
// returns.
func (g *Guard) UndoAddress(ctx context.Context, token string, c Client) error {
	return g.follow(ctx, token, undoAddress, c, func(s *state, l stored[linkData]) error {
		m := Method(l.data.Method)
		to := s.openAddress(m, l.data.To)
		if to == "" {
			return refuse(ErrRefused, ReasonUnknownKey)
		}
		if g.addresses != nil {
			if err := g.addresses.SetAddress(ctx, s.user.ID, m, to); err != nil {
				return &unavailable{"store an address", ReasonDirectoryFailed, err}
			}
		}
		a := s.address(m)
		a.Sealed, a.New, a.Proven, a.Changed = s.sealAddress(m, to), nil, s.now.Unix(), false
		s.setAddress(m, a)
		s.account.data.Compromised = true
		// Whoever moved the address twice has a link of his own, to the first of his.
		s.endLinks(func(d linkData) bool {
			return d.Does == undoAddress && d.Method == l.data.Method && d.Order >= l.data.Order
		})
		s.tell(Event{Name: EventAddressRestored, Method: m})
		s.endAll()
		return nil
	})
}

// follow carries out what a link is for.
func (g *Guard) follow(ctx context.Context, text string, does linkDeed, c Client, do func(*state, stored[linkData]) error) error {
	t, err := g.ring.OpenToken(kindLink, text)
	if err != nil {
		return refuse(ErrRefused, tokenReason(err))
	}
	_, err = run(ctx, g, untilEnded, func(now time.Time) (*state, struct{}, error) {
		s, err := g.load(ctx, now, c.cut(), userOf(t.Owner))
		if errors.Is(err, ErrNoUser) {
			return nil, struct{}{}, refuse(ErrRefused, ReasonUserUnknown)
		}
		if err != nil {
			return nil, struct{}{}, err
		}
		if why := s.account.data.reason(s.user); why != "" {
			return nil, struct{}{}, refuse(ErrRefused, why)
		}
		l, err := s.followed(t, does)
		if err != nil {
			return nil, struct{}{}, err
		}
		if err := do(s, l); err != nil {
			return nil, struct{}{}, err
		}
		return s, struct{}{}, nil
	})
	return err
}
