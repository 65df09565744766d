package mfa

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/seed-1320b244/mfa/internal/e164"
	"github.com/seed-1320b244/mfa/internal/email"
)

// address is what the account knows of the mail address or the number to which
// codes of one method go. Codes go to what is pinned here and to nothing else, so
// that whoever changes the directory does not get them.
type address struct {
	Sealed  []byte  `json:"sealed,omitempty"`  // the pinned destination
	New     []byte  `json:"new,omitempty"`     // proven, while the host is asked to store it
	Proven  int64   `json:"proven,omitempty"`  // since when it is pinned
	Held    bool    `json:"held,omitempty"`    // a factor: turned on, or a code of it was accepted
	Off     bool    `json:"off,omitempty"`     // the user does not want it
	Changed bool    `json:"changed,omitempty"` // the directory names another, and the pinned one was told
	Sent    []int64 `json:"sent,omitempty"`    // when codes were sent, in the last hour
}

// validAddress reports whether codes of m can go to it.
func (m Method) validAddress(to string) bool {
	switch m {
	case EmailCode:
		return email.Valid(to)
	case SMSCode:
		return e164.Valid(to)
	}
	return false
}

// masked shows as much of an address as a user needs to recognize it.
func (m Method) masked(to string) string {
	switch {
	case to == "":
		return ""
	case m == SMSCode:
		return e164.Mask(to)
	}
	return email.Mask(to)
}

// listed returns what the directory says: the address, and whether the host has
// verified it.
func (u User) listed(m Method) (to string, verified bool) {
	if m == SMSCode {
		return u.Phone, u.PhoneVerified
	}
	return u.Email, u.EmailVerified
}

func (s *state) address(m Method) address { return s.account.data.Addresses[m.String()] }

// setAddress replaces what the account knows.
func (s *state) setAddress(m Method, a address) {
	s.account.data.setAddress(m, a)
	s.touched = true
}

func (a *account) setAddress(m Method, to address) {
	if a.Addresses == nil {
		a.Addresses = make(map[string]address)
	}
	a.Addresses[m.String()] = to
}

func (s *state) sealAddress(m Method, to string) []byte {
	return s.g.ring.Seal([]byte(to), s.owner, "address", m.String())
}

// openAddress returns what is sealed, "" when it is nothing that opens.
func (s *state) openAddress(m Method, sealed []byte) string {
	to, err := s.g.ring.Open(sealed, s.owner, "address", m.String())
	if err != nil {
		return ""
	}
	return string(to)
}

// reseal seals an address under the first key. What does not open stays as it is.
func (s *state) reseal(m Method, sealed []byte) []byte {
	if to := s.openAddress(m, sealed); to != "" {
		return s.sealAddress(m, to)
	}
	return sealed
}

// keptAddresses returns what a reset leaves: addresses that the directory still
// names, and that the user does not want text messages. They are no factor any
// more, and serve to recognize the user.
func (s *state) keptAddresses() map[string]address {
	var kept map[string]address
	for _, m := range []Method{EmailCode, SMSCode} {
		a := s.address(m)
		keep := address{Off: a.Off && !a.Held}
		if to, why := s.reach(m); why == "" && s.openAddress(m, a.Sealed) == to {
			keep.Sealed, keep.Proven, keep.Sent = a.Sealed, a.Proven, a.Sent
		}
		if keep.Sealed != nil || keep.Off {
			if kept == nil {
				kept = make(map[string]address)
			}
			kept[m.String()] = keep
		}
	}
	return kept
}

// reach returns where codes of m go, or why nowhere. The pinned address is it as
// long as the directory agrees; without a pinned one it is the directory's, if the
// host has verified that.
func (s *state) reach(m Method) (to string, why Reason) {
	if s.g.notifier == nil {
		return "", ReasonNoNotifier
	}
	a := s.address(m)
	listed, verified := s.user.listed(m)
	pinned, proven := s.openAddress(m, a.Sealed), s.openAddress(m, a.New)
	if a.Sealed == nil {
		switch {
		case proven != "" && listed == proven:
			return proven, "" // see below
		case listed == "":
			return "", ReasonNoAddress
		case !verified || !m.validAddress(listed):
			return "", ReasonAddressUnproven
		}
		return listed, ""
	}
	if a.Sealed != nil && !s.g.ring.Knows(a.Sealed) {
		return "", ReasonUnknownKey
	}
	switch {
	case pinned != "" && (listed == pinned || !s.asked):
		return pinned, ""
	case proven != "" && listed == proven:
		return proven, "" // the host has stored it, and nobody came to tell the account
	case pinned != "" && listed == "" && s.g.addresses == nil:
		return pinned, "" // a host that keeps none: the account does
	}
	return "", ReasonAddressChanged
}

// hold makes m a factor of the user from this commit on, with codes to this
// address.
func (s *state) hold(ctx context.Context, m Method, to string) error {
	if err := s.mark(ctx); err != nil {
		return err
	}
	a := s.address(m)
	if pinned := s.openAddress(m, a.Sealed); pinned != to {
		if pinned != "" {
			if err := s.tellReplaced(m, pinned); err != nil {
				return err
			}
		}
		a = s.address(m)
		a.Sealed, a.Proven = s.sealAddress(m, to), s.now.Unix()
	}
	a.New, a.Held, a.Off, a.Changed = nil, true, false, false
	s.setAddress(m, a)
	s.tell(Event{Name: EventFactorAdded, Method: m})
	s.unremember()
	return nil
}

// tellReplaced tells an address, before it is gone, that another takes its place, and
// gives it a link that restores it.
func (s *state) tellReplaced(m Method, old string) error {
	from := len(s.notices)
	s.tell(Event{Name: EventAddressChanged, Method: m})
	for i := range s.notices[from:] {
		n := &s.notices[from+i]
		if n.Channel != m || n.To != old || s.alive(undoAddress) >= maxUndos {
			continue
		}
		link, err := s.link(undoAddress, m, old, undoFor)
		if err != nil {
			return err
		}
		n.token, n.Expires = link.token, link.Expires
	}
	return nil
}

// mark tells the marker that the user holds a factor, before the first is true. An
// account is made before that: a mark without one would shut her out for good.
func (s *state) mark(ctx context.Context) error {
	if s.account.data.holds() || s.g.marker == nil {
		return nil
	}
	if s.account.rec.Version == "" {
		w := Write{Record: s.g.seal(s.accountKey(), time.Time{}, account{V: recordVersion})}
		if err := s.g.commit(ctx, []Write{w}); errors.Is(err, ErrConflict) {
			return errChanged
		} else if err != nil {
			return &unavailable{"commit", ReasonStoreFailed, err}
		}
		s.account.rec = w.Record
	}
	if err := s.g.marker.MarkEnrolled(ctx, s.user.ID, true); err != nil {
		return &unavailable{"tell the marker", ReasonDirectoryFailed, err}
	}
	return nil
}

// notePinned pins the directory's verified address where codes of m go to it for
// the first time.
func (s *state) notePinned(m Method, to string) {
	a := s.address(m)
	pinned := s.openAddress(m, a.Sealed)
	if pinned == to {
		return
	}
	if pinned != "" {
		s.tell(Event{Name: EventAddressChanged, Method: m}) // the old one too, before it is gone
	}
	a.Sealed, a.New, a.Proven, a.Changed = s.sealAddress(m, to), nil, s.now.Unix(), false
	s.setAddress(m, a)
}

// noteChanged tells the pinned address once when the directory names another.
func (s *state) noteChanged() {
	for _, m := range []Method{EmailCode, SMSCode} {
		a := s.address(m)
		if a.Sealed == nil || s.g.notifier == nil {
			continue
		}
		_, why := s.reach(m)
		if changed := why == ReasonAddressChanged; changed != a.Changed {
			a.Changed = changed
			s.setAddress(m, a)
			if changed {
				s.tell(Event{Name: EventAddressChanged, Method: m, Reason: ReasonAddressChanged})
			}
		}
	}
}

// Switch is a method that a user turns on and off: codes by mail or text message.
type Switch struct {
	Method Method
	// On: it is asked for at sign-in, or offered there. Text messages are on by
	// default where the rules allow them.
	On bool
	// Held: it counts as a factor of its own.
	Held bool
	// Address is where codes go, masked: "a•••e@example.com"; "" for nowhere.
	Address string
	// Why says why no code can be sent: no address, not proven, changed; "" when
	// one can. ToEnroll leads to proving an address.
	Why Reason
}

// switches returns the methods that the rules let a user turn on, or that she
// holds.
func (s *state) switches() []Switch {
	var all []Switch
	for _, m := range []Method{SMSCode, EmailCode} {
		a := s.address(m)
		allowed := slices.Contains(s.g.policy.Rules.Methods, m)
		if !allowed && !a.Held {
			continue
		}
		to, why := s.reach(m)
		all = append(all, Switch{
			Method: m, On: a.Held || m == SMSCode && !a.Off && why == "", Held: a.Held,
			Address: m.masked(to), Why: why,
		})
	}
	return all
}

// SetMethod turns codes by mail or text message on or off (EmailCode, SMSCode).
// Turning on makes the method a factor, and sign-in asks for one from then on. It
// needs an address that is proven or that the host has verified: without one it
// returns *StepUpError with the purpose of proving one. Turning off the last
// factor takes backup codes and remembered browsers with it.
//
// It needs a fresh proof (*StepUpError), and one that was not mailed to turn text
// messages off. It returns ErrForbidden when the rules do not allow the method or
// require the factor, and ErrInvalid for another method. When the Marker fails
// after turning off it returns ErrUnavailable although the change stands.
func (s *Session) SetMethod(ctx context.Context, m Method, on bool) error {
	if !m.sent() {
		return invalid("SetMethod is for EmailCode and SMSCode")
	}
	if on {
		return s.s().change(ctx, bounded, m.String()+"_on", func(f *flow) error { return f.turnOn(ctx, m) })
	}
	last := false
	err := s.s().change(ctx, bounded, m.String()+"_off", func(f *flow) error {
		a := f.address(m)
		if !a.Held && (a.Off || m == EmailCode) {
			return nil
		}
		after := f.account.data
		after.Addresses = maps.Clone(after.Addresses)
		a.Held, a.Off = false, true
		after.setAddress(m, a)
		var err error
		last, err = f.reduce(ctx, after, m)
		return err
	})
	if err != nil || !last {
		return err
	}
	return s.s().g.unmark(ctx, s.User())
}

func (f *flow) turnOn(ctx context.Context, m Method) error {
	if !slices.Contains(f.g.policy.Rules.Methods, m) {
		return refuse(ErrForbidden, ReasonNotAllowed)
	}
	to, why := f.reach(m)
	if why != "" {
		return &StepUpError{Purpose: ToEnroll(m), reason: why}
	}
	if f.address(m).Held {
		return nil
	}
	f.account.data.Ask, f.account.data.MustEnroll = true, false
	return f.hold(ctx, m, to)
}

// reduce stages an account that holds a method less, and reports whether the last
// factor is gone. It is refused while a rule requires one of those that are.
func (f *flow) reduce(ctx context.Context, after account, m Method) (last bool, err error) {
	if f.account.data.has(m) {
		if err := f.unrequired(ctx, &after, m); err != nil {
			return false, err
		}
	}
	last = f.account.data.holds() && !after.holds()
	f.account.data, f.touched = after, true
	f.tell(Event{Name: EventFactorRemoved, Method: m})
	f.unremember()
	if last {
		a := &f.account.data
		a.Codes, a.CodeSet, a.Unsaved, a.Ask = nil, "", false, false
	}
	return last, nil
}

// first makes m, with codes to this address, a factor when a code of it is accepted
// for the first time: text messages are on before that, and none.
func (f *flow) first(ctx context.Context, m Method, to string) error {
	if !m.sent() || f.address(m).Held || !slices.Contains(f.g.policy.Rules.Methods, m) {
		return nil
	}
	return f.hold(ctx, m, to)
}

// sentTo returns where the last code of this flow went.
func (f *flow) sentTo() string {
	if f.data.Sent == nil {
		return ""
	}
	return f.openAddress(Method(f.data.Sent.Method), f.data.Sent.To)
}

// owes returns the address that the host must store before it counts, and stages
// it as proven; "" when the host knows it, or stores none.
func (f *flow) owes(m Method, to string) string {
	if listed, _ := f.user.listed(m); listed == to || f.g.addresses == nil {
		return ""
	}
	if was, why := f.reach(m); why == "" {
		f.notePinned(m, was) // before the directory names another: it is told, and can undo this
	}
	a := f.address(m)
	a.New = f.sealAddress(m, to)
	f.setAddress(m, a)
	f.data.Stored = a.New
	f.put(f.rec, f.rec.Expires, f.data)
	f.tell(Event{Name: EventAddressProven, Method: m})
	return to
}

// storeAddress has the host store an address that was proven, and then makes it the
// one to which codes go. Should this end between, the old one stays what it was.
func (h *pending) storeAddress(ctx context.Context, m Method, to string) (Outcome, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTimeout)
	defer cancel()
	if err := h.g.addresses.SetAddress(ctx, h.user, m, to); err != nil {
		return Outcome{}, &unavailable{"store an address", ReasonDirectoryFailed, err}
	}
	return h.run(ctx, func(f *flow) (Outcome, error) {
		if v := decide(f.situation()); v.step != StepEnroll || !slices.Contains(v.methods, m) || f.openAddress(m, f.data.Stored) != to {
			return Outcome{}, refuse(ErrRefused, ReasonStepNotAsked)
		}
		return f.bindAddress(ctx, m, to)
	})
}

// bindAddress makes m a factor with codes to an address that was proven in this flow.
func (f *flow) bindAddress(ctx context.Context, m Method, to string) (Outcome, error) {
	if err := f.hold(ctx, m, to); err != nil {
		return Outcome{}, err
	}
	f.account.data.MustEnroll = false
	if f.data.To != toEnter {
		f.account.data.Ask = true
	}
	f.data.Sent, f.data.Stored, f.data.Bound = nil, nil, true
	f.accept(m)
	return f.advance(ctx)
}
