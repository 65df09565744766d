package mfa

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-1320b244/mfa/internal/otpcode"
)

const (
	sentDigits  = 6                // SP 800-63B-4 section 3.1.3.2 asks at least 6
	sentFor     = 10 * time.Minute // section 3.1.3.2 allows no more
	sendEvery   = time.Minute      // between two codes of one method to one user
	sendsAnHour = 5                // to one user by one method
	provesAn    = 3                // codes an hour to an address that is not proven, whoever asks
	provesBy    = 5                // codes an hour that one user has sent by one method to addresses that are not proven
	sendWithin  = 5 * time.Second  // for the Notifier
	prefixLen   = 1 + 7            // "+" and the digits that share a budget
)

// sentCode is a code that was sent, as stored in the flow it was sent for.
type sentCode struct {
	Method int    `json:"m"`
	Sum    []byte `json:"h"` // a MAC: see sum
	At     int64  `json:"t"`
	To     []byte `json:"d"` // sealed
}

// Sent says where a code went, for the page that asks for it. The zero Sent means
// that none was sent in this flow.
type Sent struct {
	Method  Method
	To      string    // masked
	Again   time.Time // when another may be sent
	Expires time.Time // when this one is over
}

// Send sends a new code by EmailCode or SMSCode, which Need must name, and voids the
// one before. A user gets at most one in 60 seconds and 5 in an hour by each
// method, and text messages are bounded by Limits.SMSPerNetwork besides. The code is
// good for 10 minutes, in this flow, while its destination stays the same.
//
// It returns *ThrottledError (too many or too soon, or the method waits),
// ErrUndelivered (the Notifier failed: another method may be tried at once),
// ErrForbidden (there is no address to send to, or Config.BeforeSMS refused), and
// what every method of a Pending returns.
func (p *Pending) Send(ctx context.Context, m Method) (Sent, error) { return p.p().send(ctx, m, "") }

// StartAddress sends a code to a mail address, or to a number in E.164 form, that
// the user has just typed, at StepEnroll. Verify with that code makes it hers: the
// host is asked to store it (Addresses), and m becomes a factor. Nobody but the
// directory can say that it is not somebody else's, so an address gets at most 3 such
// codes an hour, whoever asks, and one user has at most 5 sent by each method. A
// host that stores no addresses can be given one only where the directory names
// none. It returns ErrInvalid for a malformed address, and what Send returns.
func (p *Pending) StartAddress(ctx context.Context, m Method, address string) (Sent, error) {
	if !m.sent() || !m.validAddress(address) {
		return Sent{}, invalid("not a mail address, or not a number in E.164 form")
	}
	return p.p().send(ctx, m, address)
}

// Sent returns where the last code of this flow went. It does no I/O.
func (p *Pending) Sent() Sent { return p.p().sent }

// send loads and decides, takes from the budgets that others share, decides again
// and commits, and then delivers.
func (h *pending) send(ctx context.Context, m Method, typed string) (Sent, error) {
	f := h.loaded
	if f == nil {
		var err error
		if f, err = h.load(ctx, h.g.now()); err != nil {
			return Sent{}, err
		}
	}
	f.now = h.g.now()
	to, proving, err := f.destination(m, typed)
	if err != nil {
		return Sent{}, err
	}
	msg := f.message(MessageCode, Event{Method: m})
	msg.Channel, msg.To, msg.Action = m, to, f.data.purpose().Action()
	if proving {
		msg.Kind = MessageProof
	}
	if err := h.g.afford(ctx, msg, proving); err != nil {
		return Sent{}, err
	}
	code := newCode()
	if _, err := h.run(ctx, func(f *flow) (Outcome, error) {
		again, now, err := f.destination(m, typed)
		if err != nil {
			return Outcome{}, err
		}
		if again != to || now != proving {
			return Outcome{}, refuse(ErrRefused, ReasonAddressChanged)
		}
		f.stageCode(m, to, code, proving)
		h.sent = f.sent()
		return Outcome{}, nil
	}); err != nil {
		return Sent{}, err
	}
	msg.code = func() string { return code }
	msg.Expires = h.sent.Expires
	return h.sent, h.g.deliver(ctx, msg)
}

// destination returns where a code of m may be sent now, and whether that is an
// address which the code shall prove.
func (f *flow) destination(m Method, typed string) (to string, proving bool, err error) {
	v := decide(f.situation())
	if !m.sent() || !slices.Contains(v.methods, m) || v.step != StepVerify && v.step != StepEnroll {
		return "", false, refuse(ErrRefused, ReasonMethodNotAsked)
	}
	if f.g.notifier == nil {
		return "", false, refuse(ErrForbidden, ReasonNoNotifier)
	}
	to, why := f.reach(m)
	switch {
	case v.step == StepVerify && typed != "":
		return "", false, refuse(ErrRefused, ReasonStepNotAsked)
	case v.step == StepVerify && why != "":
		return "", false, refuse(ErrForbidden, why)
	case typed != "" && typed != to:
		to, proving = typed, true
	case why != "":
		to, _ = f.user.listed(m)
		proving = true
	}
	if !m.validAddress(to) {
		return "", false, refuse(ErrForbidden, ReasonNoAddress)
	}
	if listed, _ := f.user.listed(m); proving && f.g.addresses == nil && listed != "" && listed != to {
		// The directory would go on naming the other one: a factor out of use at once.
		return "", false, refuse(ErrForbidden, ReasonAddressChanged)
	}
	if left := f.account.data.Tries[m.String()].left(f.g.policy.Limits, m, f.now); left > 0 && v.step == StepVerify {
		return "", false, &ThrottledError{RetryAfter: left, reason: ReasonMethodLocked}
	}
	if wait := f.tooSoon(m, proving); wait > 0 {
		return "", false, &ThrottledError{RetryAfter: wait, reason: ReasonSentTooOften}
	}
	return to, proving, nil
}

// tooSoon returns how long to wait before the next code. A code that proves an
// address is none of the user's five: those of another address must not use up
// what she signs in with.
func (f *flow) tooSoon(m Method, proving bool) time.Duration {
	sent := seen(f.address(m).Sent, f.now)
	if proving {
		sent = nil
		if c := f.data.Sent; c != nil && Method(c.Method) == m {
			sent = seen([]int64{c.At}, f.now)
		}
	}
	var wait time.Duration
	if n := len(sent); n > 0 {
		wait = min(sendEvery-f.now.Sub(unix(sent[n-1])), sendEvery) // the clock may be set back
	}
	if n := len(sent) - sendsAnHour; n >= 0 {
		wait = max(wait, time.Hour-f.now.Sub(unix(sent[n])))
	}
	return min(wait, time.Hour)
}

// seen drops what was not sent in the hour before now. What lies further ahead than
// clocks differ is from before the clock was set back.
func seen(sent []int64, now time.Time) []int64 {
	return slices.DeleteFunc(slices.Clone(sent), func(at int64) bool {
		age := now.Sub(unix(at))
		return age >= time.Hour || age < -clockSkew
	})
}

// stageCode stages a code for to in place of the one before.
func (f *flow) stageCode(m Method, to, code string, proving bool) {
	f.data.Sent = &sentCode{Method: int(m), Sum: f.sum(m, to, code), At: f.now.Unix(), To: f.sealAddress(m, to)}
	f.put(f.rec, f.rec.Expires, f.data)
	if !proving {
		f.notePinned(m, to)
		a := f.address(m)
		a.Sent = append(seen(a.Sent, f.now), f.now.Unix())
		f.setAddress(m, a)
	}
	f.touched = true
	f.tell(Event{Name: EventCodeSent, Method: m})
}

// sum binds a code to the user, the flow, where it leads, the method and the
// destination: it opens nothing else.
func (f *flow) sum(m Method, to, code string) []byte {
	return f.g.ring.MAC(f.sumFields(m, to, code)...)
}

func (f *flow) sumFields(m Method, to, code string) []string {
	return []string{f.owner, f.rec.ID, strconv.Itoa(int(f.data.To)), f.data.Arg, m.String(), to, code}
}

// matchSent compares code with the one that was sent in this flow.
func (f *flow) matchSent(m Method, code string) Reason {
	normal, ok := otpcode.Normalize(code, sentDigits)
	if !ok {
		return ReasonMalformedCode
	}
	c := f.data.Sent
	if c == nil || Method(c.Method) != m {
		return ReasonNoCodeSent
	}
	if age := f.now.Sub(unix(c.At)); age >= sentFor || age < -clockSkew {
		return ReasonExpired
	}
	to := f.openAddress(m, c.To)
	if v := decide(f.situation()); v.step == StepVerify {
		if now, _ := f.reach(m); now != to {
			return ReasonAddressChanged
		}
	}
	if to == "" || !f.g.ring.CheckMAC(c.Sum, f.sumFields(m, to, normal)...) {
		return ReasonWrongCode
	}
	f.data.Sent = nil
	return ""
}

// sent shows the code that was sent in this flow.
func (f *flow) sent() Sent {
	c := f.data.Sent
	if c == nil {
		return Sent{}
	}
	m, at := Method(c.Method), unix(c.At)
	to := f.openAddress(m, c.To)
	reached, _ := f.reach(m)
	again, over := at.Add(sendEvery), at.Add(sentFor)
	if wait := f.tooSoon(m, to != reached); wait > 0 { // longer after the fifth of an hour
		again = f.now.Add(wait).UTC()
	}
	if f.rec.Expires.Before(over) {
		over = f.rec.Expires // with its flow
	}
	return Sent{Method: m, To: m.masked(to), Again: again, Expires: over}
}

// afford takes from the budgets that users share and then asks the host, whose
// assessment may cost money too, before anything is sent. Each budget is taken in
// its own commit, and none is given back.
func (g *Guard) afford(ctx context.Context, m Message, proving bool) error {
	var from []budget
	if proving {
		// Without the first, one account is enough to write to any number of strangers.
		// The second reads "Ann@" and "ann@" alike, as most mail systems do.
		from = append(from,
			budgetOf(provesBy, "proves "+m.Channel.String(), m.User.ID),
			budgetOf(provesAn, "prove "+m.Channel.String(), strings.ToLower(m.To)))
	}
	if m.Channel == SMSCode {
		l := g.policy.Limits
		if m.Addr.IsValid() {
			from = append(from, budgetOf(l.SMSPerNetwork, "sms network", network(m.Addr)))
		}
		from = append(from,
			budgetOf(l.SMSPerPrefix, "sms prefix", m.To[:min(prefixLen, len(m.To))]),
			budgetOf(l.SMSPerInstallation, "sms", ""))
	}
	for _, b := range from {
		if err := g.take(ctx, b, ReasonSentTooOften); err != nil {
			return err
		}
	}
	if m.Channel == SMSCode && g.beforeSMS != nil {
		if err := g.beforeSMS(ctx, m); err != nil {
			return &refusal{ErrForbidden, ReasonSMSRefused, err}
		}
	}
	return nil
}

// deliver gives a code to the Notifier. Its failure is the answer: the code stays
// good, because it may arrive all the same. A client that hangs up does not stop a
// message that was counted.
func (g *Guard) deliver(ctx context.Context, m Message) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sendWithin)
	defer cancel()
	if err := g.notifier.Notify(ctx, m); err != nil {
		g.report(ctx, Event{
			Name: EventUndelivered, Actor: m.User.ID, User: m.User.ID, Method: m.Channel, Reason: ReasonUndelivered, At: g.now().UTC(),
		})
		return &refusal{ErrUndelivered, ReasonUndelivered, err}
	}
	return nil
}

// newCode returns six random digits.
func newCode() string {
	const codes = 1_000_000
	for {
		var b [4]byte
		rand.Read(b[:])
		if n := binary.NativeEndian.Uint32(b[:]); n < 1<<32/codes*codes { // so that all are as likely
			return fmt.Sprintf("%0*d", sentDigits, n%codes)
		}
	}
}
