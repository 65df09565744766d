package mfa

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/seed-1320b244/mfa/internal/keyring"
)

// knownFor is how long a browser is known from when its token was given: what it is
// known for is that its user was there before, which skips nothing.
const knownFor = 180 * 24 * time.Hour

// usedEvery is how often a sign-in says that a browser was used: who looks for one
// that is not hers counts in days, and a record less is to be written.
const usedEvery = 24 * time.Hour

// browserData is a browser in which the user signed in, as stored. Several users
// may have records of the same browser, each with a token of its own.
type browserData struct {
	V       int    `json:"v"`
	Secret  []byte `json:"s"` // SHA-256 of the token's
	Created int64  `json:"c"`
	Used    int64  `json:"l"`
	Device  string `json:"d,omitempty"`
	Addr    string `json:"a,omitempty"`
	// What was proven when the user had the browser remembered, and until when that
	// counts. Zero: the browser is known and not remembered.
	Proof proofData `json:"m,omitzero"`
	Until int64     `json:"u,omitempty"`
	Wrong tries     `json:"w,omitzero"` // passwords, in a row
}

func (d *browserData) version() int        { return d.V }
func (d *browserData) proves(t token) bool { return proves(d.Secret, t) }

// remembers returns what the browser is remembered for, the zero proof when it is
// not or not any more.
func (d *browserData) remembers(now time.Time, longest time.Duration) proofData {
	age := now.Sub(unix(d.Proof.At))
	if d.Proof.At == 0 || longest == 0 || age >= longest || age < -clockSkew || !now.Before(unix(d.Until)) {
		return proofData{}
	}
	return d.Proof
}

// BrowserInfo is a browser in which the user signed in.
type BrowserInfo struct {
	ID              string
	Device          string    // such as "Firefox on Windows"; "" when unknown
	Addr            string    // at the last sign-in; "" when unknown
	Place           string    // of Addr, as Config.Locator says; or ""
	Added, LastUsed time.Time // LastUsed within 24 hours while Device and Addr stay the same
	// Remembered is until when sign-in asks for no second factor there; zero: it
	// asks.
	Remembered time.Time
}

// presented returns the id of the browser that one of the tokens names and proves,
// "" for none.
func (s *state) presented(tokens []string) string {
	for _, text := range tokens {
		t, err := s.g.ring.OpenToken(kindBrowser, text)
		if err != nil || t.Owner != s.owner {
			continue
		}
		if b := s.browser(t.ID); b != nil && b.data.proves(t) {
			return t.ID
		}
	}
	return ""
}

// browser returns the browser with this id, nil when it is not known any more.
func (s *state) browser(id string) *stored[browserData] {
	if i := slices.IndexFunc(s.browsers, func(b stored[browserData]) bool { return b.rec.ID == id }); i >= 0 {
		return &s.browsers[i]
	}
	return nil
}

// enter records the sign-in in the browser that the flow began in, and returns a
// token for one that was not known, or that is to be remembered from now on.
func (f *flow) enter() (token string, err error) {
	known := f.browser(f.data.Browser)
	first := !f.account.data.Entered // hers is no news
	f.account.data.Entered = true
	if known != nil && f.device != "" && known.data.Device != f.device {
		// The token of one browser in another: stolen, or moved to a new machine.
		f.tell(Event{Name: EventNewDevice, Reason: ReasonUnknownBrowser})
	}
	if known != nil && f.data.Remember == 0 {
		d := known.data
		d.Used, d.Device, d.Addr = f.now.Unix(), f.device, f.client.addr()
		age := f.now.Sub(unix(known.data.Used))
		if d.Device != known.data.Device || d.Addr != known.data.Addr || age < 0 || age >= usedEvery {
			f.put(known.rec, known.rec.Expires, d)
		}
		return "", nil
	}
	if known == nil && !f.familiar && !first {
		f.tell(Event{Name: EventNewDevice, Reason: ReasonUnknownBrowser})
	}
	if known != nil {
		f.endBrowsers(func(id string) bool { return id == f.data.Browser })
	}
	return f.know()
}

// know stages that the browser at work is known from now on, and returns its token.
func (f *flow) know() (token string, err error) {
	for len(f.browsers) >= f.g.policy.Limits.BrowsersPerUser {
		oldest := f.browsers[0].rec.ID
		f.endBrowsers(func(id string) bool { return id == oldest })
	}
	t := keyring.NewToken(f.owner, "")
	text, err := f.g.ring.SealToken(kindBrowser, t)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	sum := sha256.Sum256(t.Secret[:])
	d := browserData{
		V: recordVersion, Secret: sum[:], Created: f.now.Unix(), Used: f.now.Unix(), Device: f.device, Addr: f.client.addr(),
	}
	if f.data.Remember != 0 {
		d.Proof = proofData{f.data.Remember, f.now.Unix()}
		d.Until = f.now.Add(f.g.policy.Rules.Remember).Unix()
		f.tell(Event{Name: EventBrowserRemembered, Method: Method(f.data.Remember)})
	}
	f.put(Record{Key: Key{Owner: f.owner, Kind: kindBrowser, ID: t.ID}}, seconds(f.now.Add(knownFor)), d)
	return text, nil
}

// endBrowsers stages the end of the browsers that match: they are not known any
// more.
func (s *state) endBrowsers(match func(id string) bool) {
	s.browsers = slices.DeleteFunc(s.browsers, func(b stored[browserData]) bool {
		if match(b.rec.ID) {
			s.end(b.rec)
		}
		return match(b.rec.ID)
	})
	s.touched = true
}

// unremember stages that no browser is remembered any more, as after every change
// of what the user holds. They stay known, but for those that cannot be read: with a
// key that comes back they would be remembered still.
func (s *state) unremember() {
	forgotten := false
	for i := range s.browsers {
		b := &s.browsers[i]
		if b.data.Proof.At == 0 {
			continue
		}
		b.data.Proof, b.data.Until = proofData{}, 0
		s.put(b.rec, b.rec.Expires, b.data)
		forgotten = true
	}
	for _, r := range s.unreadable {
		if r.Kind == kindBrowser {
			s.end(r)
			forgotten = true
		}
	}
	if forgotten {
		s.touched = true
		s.tell(Event{Name: EventBrowsersForgotten})
	}
}

// ForgetBrowsers ends what the user's browsers with these ids are remembered and
// known for: the next sign-in there asks for the second factor. It needs no fresh
// proof, because it takes away and never gives. An id that names none is ignored.
func (s *Session) ForgetBrowsers(ctx context.Context, ids ...string) error {
	return s.s().change(ctx, untilEnded, "", func(f *flow) error {
		n := len(f.browsers)
		f.endBrowsers(func(id string) bool { return slices.Contains(ids, id) })
		if len(f.browsers) < n {
			f.tell(Event{Name: EventBrowsersForgotten})
		}
		return nil
	})
}

// browserList shows the browsers, newest first.
func (s *state) browserList() []BrowserInfo {
	var all []BrowserInfo
	for _, b := range slices.Backward(s.browsers) {
		info := BrowserInfo{
			ID: b.rec.ID, Device: b.data.Device, Addr: b.data.Addr, Place: s.g.locate(parseAddr(b.data.Addr)),
			Added: unix(b.data.Created), LastUsed: unix(b.data.Used),
		}
		if b.data.remembers(s.now, s.g.policy.Rules.Remember).At != 0 {
			info.Remembered = unix(min(b.data.Until, b.data.Proof.At+int64(s.g.policy.Rules.Remember/time.Second)))
		}
		all = append(all, info)
	}
	return all
}
