package mfa_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A clerk is a Notifier that notes how much time it was given, and is as slow as
// that when told to.
type clerk struct {
	*mfatest.Inbox
	slow  bool
	given []time.Duration
	alive []bool
}

func (c *clerk) Notify(ctx context.Context, m mfa.Message) error {
	end, _ := ctx.Deadline()
	c.given, c.alive = append(c.given, time.Until(end)), append(c.alive, ctx.Err() == nil)
	if c.slow {
		<-ctx.Done()
		return ctx.Err()
	}
	return c.Inbox.Notify(ctx, m)
}

func clerked() (*clerk, func(*mfa.Config)) {
	c := &clerk{}
	return c, func(cfg *mfa.Config) { c.Inbox, cfg.Notifier = cfg.Notifier.(*mfatest.Inbox), c }
}

// TestR29_TimeForCodes: R29 gives a code five seconds, after which the user is told
// that it was not delivered. It stays good, and another method works at once.
func TestR29_TimeForCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, option := clerked()
		l := mailed(t, option)
		p := l.open(t)
		c.given, c.slow = nil, true
		began := time.Now()
		sent, err := p.Send(t.Context(), mfa.EmailCode)
		wants(t, err, mfa.ErrUndelivered, mfa.ReasonUndelivered)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 5*time.Second || !slices.Equal(c.given, []time.Duration{5 * time.Second}) {
			t.Errorf("%v after %v, given %v, want 5 s", err, time.Since(began), c.given)
		}
		if sent.To == "" || p.Sent() != sent {
			t.Errorf("the page knows of %+v, the code may arrive all the same", sent)
		}
		l.told(t, mfa.EventSignInStarted, mfa.EventCodeSent, mfa.EventUndelivered)
		_, err = p.Send(t.Context(), mfa.EmailCode)
		wants(t, err, mfa.ErrThrottled, mfa.ReasonSentTooOften)
		c.slow = false
		out, err := p.Verify(t.Context(), l.send(t, p, mfa.SMSCode))
		must(t, out, err)
	})
}

// TestR29_TimeForNotices: R29 gives all notices of one operation a second. What they
// tell of stands, and that they failed is an event.
func TestR29_TimeForNotices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, option := clerked()
		book, profile := profiled()
		l := mailed(t, option, profile)
		l.Users.Add(annWith(annMail, ""))
		p, pr := l.changing(t, newMail)
		book.before = func() { c.slow, c.given, c.alive = true, nil, nil }
		l.Events.Take()
		began := time.Now()
		out, err := p.Verify(t.Context(), pr)
		must(t, out, err)
		if time.Since(began) != time.Second || len(c.given) < 3 || c.given[0] != time.Second || c.given[1] != 0 || !c.alive[0] {
			t.Errorf("after %v, given %v, want one second for all", time.Since(began), c.given)
		}
		failed := slices.DeleteFunc(names(l.Events.Take()), func(n mfa.EventName) bool { return n != mfa.EventUndelivered })
		if len(failed) != len(c.given) || !l.account(t, "ann").Addresses["email_code"].Held {
			t.Errorf("%d of %d failures told", len(failed), len(c.given))
		}
	})
}

// TestR29_NotifierFails: a failing Notifier is answered as ErrUndelivered with its
// cause for the host, which enters no event and no log; the code that may have
// arrived works.
func TestR29_NotifierFails(t *testing.T) {
	var log bytes.Buffer
	cause := errors.New("550 mailbox of zebra unavailable")
	l := mailed(t)
	c, record := l.Config, mfa.LogEvents(slog.New(slog.NewTextHandler(&log, nil)))
	c.OnEvent = func(ctx context.Context, e mfa.Event) { record(ctx, e); fmt.Fprintf(&log, "%+v\n", e) }
	var err error
	if l.Guard, err = mfa.New(c); err != nil {
		t.Fatal(err)
	}
	p := l.open(t)
	l.Inbox.Fail(cause)
	_, err = p.Send(t.Context(), mfa.EmailCode)
	l.Inbox.Fail(nil)
	wants(t, err, mfa.ErrUndelivered, mfa.ReasonUndelivered)
	if !errors.Is(err, cause) || errors.Is(err, mfa.ErrRefused) || errors.Is(err, mfa.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if text := log.String(); strings.Contains(text, "zebra") || strings.Contains(text, annMail) || !strings.Contains(text, "undelivered") {
		t.Errorf("logged: %s", text)
	}
	if got := p.Need().Methods; !slices.Contains(got, mfa.SMSCode) {
		t.Errorf("offered %v", got)
	}
	_, err = l.open(t).Send(t.Context(), mfa.EmailCode)
	waits(t, err, time.Minute)
}

// TestR7_HangUp: a client that hangs up after the counters were taken gets no code
// and none is stored; one that hangs up while the code is stored has it sent.
func TestR7_HangUp(t *testing.T) {
	store := &watched{Store: new(mfa.MemoryStore)}
	var cancel context.CancelFunc
	before := true
	l := mailed(t, func(c *mfa.Config) {
		c.Store = store
		c.BeforeSMS = func(context.Context, mfa.Message) error {
			if before {
				cancel()
			} else {
				store.before = cancel
			}
			return nil
		}
	})
	p := l.open(t)
	var ctx context.Context
	ctx, cancel = context.WithCancel(t.Context())
	if _, err := p.Send(ctx, mfa.SMSCode); !errors.Is(err, mfa.ErrUnavailable) || p.Sent() != (mfa.Sent{}) || len(l.Inbox.Take()) > 0 {
		t.Errorf("hung up before: %v, %+v", err, p.Sent())
	}
	before = false
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	p = l.open(t)
	if _, err := p.Send(ctx, mfa.SMSCode); err != nil || ctx.Err() == nil {
		t.Fatalf("hung up after: %v (%s)", err, mfa.ReasonOf(err))
	}
	out, err := p.Verify(t.Context(), mfa.Proof{Method: mfa.SMSCode, Code: l.Inbox.Code(t, annPhone)})
	must(t, out, err)
}

// TestR7_UnverifiedMeanwhile: a number that the host takes for unproven while a code
// for it is under way is not pinned as if it were proven.
func TestR7_UnverifiedMeanwhile(t *testing.T) {
	var l *lab // used by the hook of its own Config
	l = mailed(t, func(c *mfa.Config) {
		c.BeforeSMS = func(context.Context, mfa.Message) error {
			u := annWith(annMail, annPhone)
			u.PhoneVerified = false
			l.Users.Add(u)
			return nil
		}
	})
	l.session = l.by(t, l.session, mfa.ToConfirm("x"), mfa.EmailCode)
	out, err := l.session.StepUp(t.Context(), mfa.ToEnroll(mfa.SMSCode), "")
	p := atStep(t, out, err, mfa.StepEnroll, mfa.SMSCode)
	_, err = p.Send(t.Context(), mfa.SMSCode)
	wants(t, err, mfa.ErrRefused, mfa.ReasonAddressChanged)
	if a := l.account(t, "ann").Addresses["sms_code"]; a.Sealed != nil || len(l.Inbox.Messages(annPhone)) > 0 {
		t.Error("it is pinned")
	}
}

// lateStore applies a commit only after it has reported a conflict and was asked
// about it, and has the next one really conflict.
type lateStore struct {
	mfa.Store
	armed bool
	held  []mfa.Write
	gets  int
}

func (s *lateStore) Get(ctx context.Context, keys ...mfa.Key) ([]mfa.Record, error) {
	if s.held != nil {
		if s.gets++; s.gets == 2 {
			if err := s.Store.Commit(ctx, s.held...); err != nil {
				return nil, err
			}
		}
	}
	return s.Store.Get(ctx, keys...)
}

func (s *lateStore) Commit(ctx context.Context, writes ...mfa.Write) error {
	switch {
	case s.armed && s.held == nil:
		s.held = writes
		return mfa.ErrConflict
	case s.armed:
		s.armed = false
		return mfa.ErrConflict
	}
	return s.Store.Commit(ctx, writes...)
}

// TestR2_ProvenLate: the commit that proves a new address arrives after all, when the
// operation has begun again. It goes on with what stands: the outcome is never
// nothing without an error.
func TestR2_ProvenLate(t *testing.T) {
	book, option := profiled()
	late := &lateStore{Store: new(mfa.MemoryStore)}
	l := mailed(t, option, func(c *mfa.Config) { c.Store = late })
	p, pr := l.changing(t, newMail)
	late.armed = true
	out, err := p.Verify(t.Context(), pr)
	must(t, out, err)
	if !slices.Equal(book.stored, []string{newMail}) {
		t.Errorf("stored %q", book.stored)
	}
}

// TestR26_SentSealed: the store holds no address, number or code in clear, nor a
// hash of a code that could be tried out.
func TestR26_SentSealed(t *testing.T) {
	_, option := profiled()
	l := mailed(t, option)
	code := l.open(t)
	pr := l.send(t, code, mfa.SMSCode)
	p, proof := l.changing(t, newMail)
	out, err := p.Verify(t.Context(), proof)
	must(t, out, err)
	var dump bytes.Buffer
	for _, writes := range l.tally.take() {
		for _, w := range writes {
			fmt.Fprintln(&dump, w.Owner, w.Kind, w.ID, w.Version, string(regexp.MustCompile(`:\d+`).ReplaceAll(w.Data, nil)))
		}
	}
	for _, c := range []string{pr.Code, proof.Code} {
		sum := sha256.Sum256([]byte(c))
		for _, form := range []string{c, hex.EncodeToString(sum[:]), base64.StdEncoding.EncodeToString(sum[:]), base64.RawURLEncoding.EncodeToString(sum[:])} {
			if strings.Contains(dump.String(), form) {
				t.Errorf("a code is stored as %q", form)
			}
		}
	}
	for _, clear := range []string{annMail, "example.org", annPhone[1:], newMail, "new.example", annPhone[1:8]} {
		for _, form := range []string{clear, base64.StdEncoding.EncodeToString([]byte(clear)), hex.EncodeToString([]byte(clear))} {
			if strings.Contains(dump.String(), form) {
				t.Errorf("%q is stored in clear", clear)
			}
		}
	}
	if !strings.Contains(dump.String(), "sealed") {
		t.Error("nothing was stored")
	}
}

// TestR26_AddressUnderALostKey: an address that cannot be opened is held, unusable
// and never replaced by the directory's.
func TestR26_AddressUnderALostKey(t *testing.T) {
	key := mfa.NewKey()
	l := mailed(t, func(c *mfa.Config) { c.Keys = ring(t, key) })
	l.Users.Add(annWith(annMail, ""))
	l.loseKey(t, key)
	if w, _ := switchOf(t, l.session, mfa.EmailCode); !w.Held || !w.On || w.Address != "" || w.Why != mfa.ReasonUnknownKey {
		t.Errorf("%+v", w)
	}
	_, err := l.signIn(t, "ann")
	wants(t, err, mfa.ErrRefused, mfa.ReasonNoUsableFactor)
}

// TestR26_ResealAddresses: Reseal brings the pinned address, and one that is pinned
// as new, under the first key, so that the old one can be dropped.
func TestR26_ResealAddresses(t *testing.T) {
	old, next := mfa.NewKey(), mfa.NewKey()
	book, option := profiled()
	l := mailed(t, option, func(c *mfa.Config) { c.Keys = ring(t, old) })
	p, pr := l.changing(t, newMail)
	book.fail = errors.New("down")
	if _, err := p.Verify(t.Context(), pr); err == nil {
		t.Fatal("the host stored it")
	}
	var err error
	for _, keys := range []string{next + " " + old, next} {
		l.Config.Keys = ring(t, keys)
		if l.Guard, err = mfa.New(l.Config); err != nil {
			t.Fatal(err)
		}
		if keys != next {
			if err := l.Guard.Reseal(t.Context(), "ann"); err != nil {
				t.Fatal(err)
			}
		}
	}
	a := l.account(t, "ann").Addresses["email_code"]
	was, err := mfa.OpenSealed(l.Guard, a.Sealed, "ann", "address", "email_code")
	if err != nil || string(was) != annMail {
		t.Errorf("pinned: %q, %v", was, err)
	}
	if proven, err := mfa.OpenSealed(l.Guard, a.New, "ann", "address", "email_code"); err != nil || string(proven) != newMail {
		t.Errorf("new: %q, %v", proven, err)
	}
	l.Clock.Advance(time.Hour)
	l.goesTo(t, annMail)
}

// TestR5_FailingStoreTellsNoText: in a session's flow a right first text message
// takes the same calls of the store as a wrong one up to the commit, and whichever
// of them fails is answered alike.
func TestR5_FailingStoreTellsNoText(t *testing.T) {
	for n := 1; ; n++ {
		answer := func(wrong bool) string {
			l := newLab(t, postal)
			l.Users.Add(annWith("", annPhone))
			l.Clock.Advance(6 * time.Minute)
			out, err := l.session.StepUp(t.Context(), mfa.ToConfirm("x"), "")
			p := atStep(t, out, err, mfa.StepVerify, mfa.TOTP, mfa.SMSCode, mfa.BackupCode)
			pr := l.send(t, p, mfa.SMSCode)
			if wrong {
				pr = off(pr)
			}
			c := l.Config
			c.Store = mfatest.FailCall(c.Store, n, mfatest.FaultBefore)
			if l.Guard, err = mfa.New(c); err != nil {
				t.Fatal(err)
			}
			if p, err = l.Guard.Pending(t.Context(), p.Token(), l.session.Token(), mfatest.Laptop()); err == nil {
				_, err = p.Verify(t.Context(), pr)
			}
			return fmt.Sprintf("%v (%s)", err, mfa.ReasonOf(err))
		}
		right, wrong := answer(false), answer(true)
		if right == "<nil> ()" && n > 2 { // the answer stands: notices may fail after it
			return
		}
		if right != wrong {
			t.Errorf("call %d fails: a right code is answered %q, a wrong one %q", n, right, wrong)
		}
	}
}

// A callList is a store that lists the calls of it.
type callList struct {
	mfa.Store
	calls []string
}

func (s *callList) Get(ctx context.Context, keys ...mfa.Key) ([]mfa.Record, error) {
	s.calls = append(s.calls, fmt.Sprint("Get ", keys))
	return s.Store.Get(ctx, keys...)
}

func (s *callList) List(ctx context.Context, owner string, kinds ...string) ([]mfa.Record, error) {
	s.calls = append(s.calls, fmt.Sprint("List ", owner, kinds))
	return s.Store.List(ctx, owner, kinds...)
}

func (s *callList) Commit(ctx context.Context, writes ...mfa.Write) error {
	s.calls = append(s.calls, "Commit "+writes[0].Owner)
	return s.Store.Commit(ctx, writes...)
}

// TestR5_SameCalls: whatever a flow leads to, a right code takes the same calls of the
// store as a wrong one, up to the commit.
func TestR5_SameCalls(t *testing.T) {
	stepUp := func(l *lab, to mfa.Purpose) *mfa.Pending {
		l.Clock.Advance(6 * time.Minute)
		out, err := l.session.StepUp(t.Context(), to, "")
		if err != nil || out.Pending == nil {
			t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
		}
		return out.Pending
	}
	app := func(l *lab, _ *mfa.Pending) mfa.Proof { return l.right() }
	text := func(l *lab, p *mfa.Pending) mfa.Proof { return l.send(t, p, mfa.SMSCode) }
	for name, c := range map[string]struct {
		open  func(*lab) *mfa.Pending
		proof func(*lab, *mfa.Pending) mfa.Proof
	}{
		"sign-in":             {func(l *lab) *mfa.Pending { return l.open(t) }, app},
		"sign-in, first text": {func(l *lab) *mfa.Pending { return l.open(t) }, text},
		"confirm":             {func(l *lab) *mfa.Pending { return stepUp(l, mfa.ToConfirm("x")) }, app},
		"confirm, first text": {func(l *lab) *mfa.Pending { return stepUp(l, mfa.ToConfirm("x")) }, text},
		"before enrolling":    {func(l *lab) *mfa.Pending { return stepUp(l, mfa.ToEnroll(mfa.TOTP)) }, app},
		"administer":          {func(l *lab) *mfa.Pending { return stepUp(l, mfa.ToAdminister("acme")) }, app},
		"door": {func(l *lab) *mfa.Pending {
			rules := fmt.Sprintf(`{"v":1,"e":"x","q":%d,"n":%d}`, mfa.RequireAtDoor, l.Clock.Now().Unix()+1)
			overwrite(t, l.Config.Store, mfa.SignRecord(l.Guard, mfa.Record{Key: mfa.Key{Owner: "o/acme", Kind: "rules"}, Data: []byte(rules)}))
			return stepUp(l, mfa.ToEnter("acme"))
		}, app},
	} {
		t.Run(name, func(t *testing.T) {
			calls := func(wrong bool) []string {
				l := newLab(t, postal)
				u := annWith("", annPhone)
				u.ManagedBy, u.Orgs = "acme", []mfa.Membership{{Org: "acme", Role: mfa.RoleOwner}}
				l.Users.Add(u)
				p := c.open(l)
				pr := c.proof(l, p)
				if wrong {
					pr = off(pr)
				}
				list := &callList{Store: l.Config.Store}
				l.under(t, func(c *mfa.Config) { c.Store = list })
				p, err := l.Guard.Pending(t.Context(), p.Token(), l.session.Token(), mfatest.Laptop())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := p.Verify(t.Context(), pr); wrong == (err == nil) {
					t.Fatalf("wrong %t: %v (%s)", wrong, err, mfa.ReasonOf(err))
				}
				return list.calls[:1+slices.Index(list.calls, "Commit u/ann")] // notices may follow
			}
			if right, wrong := calls(false), calls(true); !slices.Equal(right, wrong) {
				t.Errorf("a right code takes %q, a wrong one %q", right, wrong)
			}
		})
	}
}
