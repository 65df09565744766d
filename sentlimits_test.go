package mfa_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestR7_OnceAMinute: R7 sends one code in 60 seconds to a user, whatever flow asks.
func TestR7_OnceAMinute(t *testing.T) {
	for _, flows := range []int{1, 2} {
		l := mailed(t)
		p := l.open(t)
		l.send(t, p, mfa.EmailCode)
		if flows == 2 {
			p = l.open(t)
		}
		l.Clock.Advance(59 * time.Second)
		_, err := p.Send(t.Context(), mfa.EmailCode)
		waits(t, err, time.Second)
		wants(t, err, mfa.ErrThrottled, mfa.ReasonSentTooOften)
		l.Clock.Advance(time.Second)
		l.send(t, p, mfa.EmailCode)
		l.send(t, p, mfa.SMSCode) // has its own minute
	}
}

// TestR7_FiveAnHour: R7 sends five codes in an hour to a user by a method, and
// neither a new flow, a success nor a new session makes it more.
func TestR7_FiveAnHour(t *testing.T) {
	l := mailed(t)
	for i := range 5 {
		p := l.open(t)
		pr := l.send(t, p, mfa.EmailCode)
		if i == 2 {
			out, err := p.Verify(t.Context(), pr)
			must(t, out, err)
		}
		l.Clock.Advance(time.Minute)
	}
	_, err := l.open(t).Send(t.Context(), mfa.EmailCode)
	waits(t, err, 55*time.Minute)
	l.Clock.Advance(55*time.Minute - time.Second)
	_, err = l.open(t).Send(t.Context(), mfa.EmailCode)
	waits(t, err, time.Second)
	l.Clock.Advance(time.Second)
	l.send(t, l.open(t), mfa.EmailCode)
	_, err = l.open(t).Send(t.Context(), mfa.EmailCode)
	waits(t, err, time.Minute)
}

// TestR7_TenMinutes: a code is good for ten minutes less a second, and its page
// says no more than that.
func TestR7_TenMinutes(t *testing.T) {
	for _, tc := range []struct {
		age time.Duration
		why mfa.Reason
	}{{10*time.Minute - time.Second, ""}, {10 * time.Minute, mfa.ReasonExpired}} {
		l := mailed(t)
		p := l.open(t)
		pr := l.send(t, p, mfa.EmailCode)
		if want := l.Clock.Now().Add(10 * time.Minute); !p.Sent().Expires.Equal(want) {
			t.Errorf("expires at %v, want %v", p.Sent().Expires, want)
		}
		l.Clock.Advance(tc.age)
		if _, err := l.verify(t.Context(), p.Token(), pr); mfa.ReasonOf(err) != tc.why {
			t.Errorf("after %v: %v (%s), want %q", tc.age, err, mfa.ReasonOf(err), tc.why)
		}
	}
	l := mailed(t)
	p := l.open(t)
	l.Clock.Advance(9 * time.Minute)
	l.send(t, p, mfa.EmailCode)
	if !p.Sent().Expires.Equal(p.Expires()) || !l.Inbox.Messages(annMail)[0].Expires.Equal(p.Expires()) {
		t.Errorf("a code that expires at %v outlives its flow of %v", p.Sent().Expires, p.Expires())
	}
}

// texter is a lab in which any number of users have a number and text messages on
// by default, and an app.
func texter(t *testing.T, limits mfa.Limits, options ...func(*mfa.Config)) *lab {
	t.Helper()
	return emptyLab(t, append(options, postal, func(c *mfa.Config) {
		c.Policy.Limits = limits
		c.Policy.AddressCheck = mfa.AddressAlways
		c.Policy.Rules.Require = mfa.RequireAtSignIn
	})...)
}

// texts has user sent a text message, to confirm the number before she enrolls.
func (l *lab) texts(t *testing.T, user, to, from string) error {
	t.Helper()
	l.Users.Add(mfa.User{ID: user, Phone: to, PhoneVerified: true})
	c := mfatest.Laptop()
	c.Addr = netip.MustParseAddr(from)
	out, err := l.Guard.SignIn(t.Context(), mfa.SignIn{User: user, First: mfa.PasswordFirst(), Client: c})
	p := atStep(t, out, err, mfa.StepVerify, mfa.SMSCode)
	_, err = p.Send(t.Context(), mfa.SMSCode)
	return err
}

// TestR7_SMSBudgets: R7 bounds text messages by network, by prefix and in all, at
// the figure and not one past it, for an hour.
func TestR7_SMSBudgets(t *testing.T) {
	number := func(i int) string { return fmt.Sprintf("+4477009%05d", i) }
	apart := func(i int) string { return fmt.Sprintf("+44770%02d00000", i) }
	v4 := func(i int) string { return fmt.Sprintf("192.0.2.%d", i+1) }
	for _, tc := range []struct {
		name     string
		limits   mfa.Limits
		to, from func(int) string
		other    [2]string // to and from of one that is not concerned
	}{
		{"network", mfa.Limits{SMSPerNetwork: 3}, apart, func(int) string { return "192.0.2.1" }, [2]string{apart(50), "192.0.2.2"}},
		{"network, mapped", mfa.Limits{SMSPerNetwork: 3}, apart, func(i int) string { return []string{"192.0.2.1", "::ffff:192.0.2.1"}[i%2] },
			[2]string{apart(50), "192.0.2.2"}},
		{"network of IPv6", mfa.Limits{SMSPerNetwork: 3}, apart, func(i int) string { return fmt.Sprintf("2001:db8:1:10%02x::%x", i, i+1) },
			[2]string{apart(50), "2001:db8:1:1100::1"}},
		{"prefix", mfa.Limits{SMSPerPrefix: 3}, number, v4, [2]string{"+447700800000", v4(9)}},
		{"installation", mfa.Limits{SMSPerInstallation: 3}, apart, v4, [2]string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := texter(t, tc.limits)
			for i := range 3 {
				if err := l.texts(t, fmt.Sprint("u", i), tc.to(i), tc.from(i)); err != nil {
					t.Fatalf("message %d: %v (%s)", i+1, err, mfa.ReasonOf(err))
				}
			}
			err := l.texts(t, "u3", tc.to(3), tc.from(3))
			wants(t, err, mfa.ErrThrottled, mfa.ReasonSentTooOften)
			e, _ := errors.AsType[*mfa.ThrottledError](err)
			if e.RetryAfter > time.Hour+time.Minute || e.RetryAfter <= 0 {
				t.Errorf("a wait of %v", e.RetryAfter)
			}
			if tc.other[0] != "" {
				if err := l.texts(t, "other", tc.other[0], tc.other[1]); err != nil {
					t.Errorf("somebody else: %v (%s)", err, mfa.ReasonOf(err))
				}
			}
			l.Clock.Advance(e.RetryAfter - time.Second)
			if err := l.texts(t, "u3", tc.to(3), tc.from(3)); !errors.Is(err, mfa.ErrThrottled) {
				t.Errorf("a second before the wait is over: %v", err)
			}
			l.Clock.Advance(time.Second)
			if err := l.texts(t, "u3", tc.to(3), tc.from(3)); err != nil {
				t.Errorf("after the wait: %v (%s)", err, mfa.ReasonOf(err))
			}
		})
	}
}

// leaveNoFile keeps rapid from leaving a file where a test failed: it names the seed.
func leaveNoFile(t *testing.T) {
	t.Helper()
	if err := flag.Set("rapid.nofailfile", "true"); err != nil {
		t.Fatal(err)
	}
}

// TestR7_QuotaSlides: no hour ever sees more than the limit, whenever it begins; a
// wait ends when it says, and is never longer than an hour and a minute, also when
// the clock is set back (R30).
func TestR7_QuotaSlides(t *testing.T) {
	leaveNoFile(t)
	rapid.Check(t, func(rt *rapid.T) {
		limit, now := rapid.IntRange(1, 6).Draw(rt, "limit"), decidedAt()
		var q mfa.Quota
		var taken []time.Time
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 1500).Draw(rt, "seconds")) * time.Second)
			wait := mfa.TakeQuota(&q, now, limit)
			if wait < 0 || wait > time.Hour+time.Minute {
				rt.Fatalf("a wait of %v", wait)
			}
			if wait > 0 {
				now = now.Add(wait)
				if again := mfa.TakeQuota(&q, now, limit); again > 0 {
					rt.Fatalf("after the wait another of %v", again)
				}
			}
			taken = append(taken, now)
			if n := len(taken) - limit - 1; n >= 0 && now.Sub(taken[n]) < time.Hour {
				rt.Fatalf("%d in %v", limit+1, now.Sub(taken[n]))
			}
		}
		now = now.Add(-time.Duration(rapid.IntRange(0, 100_000).Draw(rt, "back")) * time.Second)
		if wait := mfa.TakeQuota(&q, now, limit); wait > time.Hour+time.Minute {
			rt.Fatalf("clock set back: a wait of %v", wait)
		}
	})
}

// TestR7_SendsSlide: no hour sees more than five codes to a user by a method and no
// minute more than one, in any schedule; a wait ends when it says.
func TestR7_SendsSlide(t *testing.T) {
	leaveNoFile(t)
	rapid.Check(t, func(rt *rapid.T) {
		l := mailed(t)
		var sent []time.Time
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			l.Clock.Advance(time.Duration(rapid.SampledFrom([]int{0, 1, 59, 60, 61, 300, 900}).Draw(rt, "seconds")) * time.Second)
			_, err := l.open(t).Send(t.Context(), mfa.EmailCode)
			if e, ok := errors.AsType[*mfa.ThrottledError](err); ok {
				l.Clock.Advance(e.RetryAfter)
				_, err = l.open(t).Send(t.Context(), mfa.EmailCode)
			}
			if err != nil {
				rt.Fatalf("after the wait: %v (%s)", err, mfa.ReasonOf(err))
			}
			now := l.Clock.Now()
			if n := len(sent); n > 0 && now.Sub(sent[n-1]) < time.Minute || n > 4 && now.Sub(sent[n-5]) < time.Hour {
				rt.Fatalf("sent at %v and now at %v", sent, now)
			}
			sent = append(sent, now)
		}
	})
}

// proves has user sent a code that would prove an address.
func (l *lab) proves(t *testing.T, user string, m mfa.Method, to string) error {
	t.Helper()
	l.Users.Add(mfa.User{ID: user})
	out, err := l.in(t, user).StepUp(t.Context(), mfa.ToEnroll(m), "")
	_, err = atStep(t, out, err, mfa.StepEnroll, m).StartAddress(t.Context(), m, to)
	return err
}

// TestR7_ProvingBudget: an address that is not proven gets three codes an hour,
// whoever asks and however it is written, and one user has five sent. Neither is
// taken from what its owner signs in with.
func TestR7_ProvingBudget(t *testing.T) {
	for _, m := range []mfa.Method{mfa.EmailCode, mfa.SMSCode} {
		t.Run(m.String(), func(t *testing.T) {
			l := mailed(t, func(c *mfa.Config) { c.Policy.Limits.SMSPerNetwork = 1000 })
			to := addressOf(m)
			for i, to := range []string{to, strings.ToUpper(to[:1]) + to[1:], strings.ToUpper(to)} {
				if err := l.proves(t, fmt.Sprint("stranger", i), m, to); err != nil {
					t.Fatalf("code %d: %v (%s)", i+1, err, mfa.ReasonOf(err))
				}
			}
			wants(t, l.proves(t, "stranger3", m, to), mfa.ErrThrottled, mfa.ReasonSentTooOften)
			for range 5 {
				l.send(t, l.open(t), m)
				l.Clock.Advance(time.Minute)
			}
			l.Clock.Advance(55 * time.Minute)
			wants(t, l.proves(t, "stranger3", m, to), mfa.ErrThrottled, mfa.ReasonSentTooOften)
			l.Clock.Advance(time.Minute)
			if err := l.proves(t, "stranger3", m, to); err != nil {
				t.Errorf("an hour later: %v (%s)", err, mfa.ReasonOf(err))
			}
			for i := range 6 {
				addr := map[mfa.Method]string{mfa.EmailCode: fmt.Sprintf("u%d@example.net", i), mfa.SMSCode: fmt.Sprintf("+1202555%04d", i)}[m]
				if err := l.proves(t, "spammer", m, addr); (err == nil) != (i < 5) {
					t.Errorf("address %d of one user: %v (%s)", i+1, err, mfa.ReasonOf(err))
				}
			}
		})
	}
}

// TestR7_ProvingOncePerMinute: one flow proves an address once in 60 seconds.
func TestR7_ProvingOncePerMinute(t *testing.T) {
	l := emptyLab(t, postal)
	out, err := l.in(t, "ann").StepUp(t.Context(), mfa.ToEnroll(mfa.EmailCode), "")
	p := atStep(t, out, err, mfa.StepEnroll, mfa.EmailCode)
	l.start(t, p, mfa.EmailCode, annMail)
	l.Clock.Advance(59 * time.Second)
	_, err = p.StartAddress(t.Context(), mfa.EmailCode, newMail)
	waits(t, err, time.Second)
	l.Clock.Advance(time.Second)
	l.start(t, p, mfa.EmailCode, newMail)
}

// TestR7_BudgetsBeforeTheWork: what is counted is counted before the work it is for
// and not given back, whichever part of that fails.
func TestR7_BudgetsBeforeTheWork(t *testing.T) {
	one := mfa.Limits{SMSPerNetwork: 1}
	for _, tc := range []struct {
		name  string
		spoil func(*lab, *mfa.Config)
		face  error
		sent  int // what the second user gets told comes after so many calls of the Notifier
	}{
		{"the host refuses", func(_ *lab, c *mfa.Config) {
			c.BeforeSMS = func(context.Context, mfa.Message) error { return errors.New("SIM swapped") }
		}, mfa.ErrForbidden, 0},
		{"the notifier fails", func(l *lab, _ *mfa.Config) { l.Inbox.Fail(errors.New("no route")) }, mfa.ErrUndelivered, 0},
		{"the commit fails", func(_ *lab, c *mfa.Config) {
			// The sign-in, the three budgets, the code.
			c.Store = mfatest.FailCommit(c.Store, 5, mfatest.FaultBefore)
		}, mfa.ErrUnavailable, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := texter(t, one)
			c := l.Config
			tc.spoil(l, &c)
			var err error
			if l.Guard, err = mfa.New(c); err != nil {
				t.Fatal(err)
			}
			if err := l.texts(t, "u0", annPhone, "192.0.2.1"); !errors.Is(err, tc.face) {
				t.Fatalf("%v (%s), want %v", err, mfa.ReasonOf(err), tc.face)
			}
			l.Inbox.Fail(nil)
			wants(t, l.texts(t, "u1", bobPhone, "192.0.2.1"), mfa.ErrThrottled, mfa.ReasonSentTooOften)
			if n := len(l.Inbox.Take()); n != tc.sent {
				t.Errorf("%d messages, want %d", n, tc.sent)
			}
		})
	}
}

// TestR7_BeforeSMS: the host is asked about the message that would be sent, without
// its code, and refuses it before anything is stored.
func TestR7_BeforeSMS(t *testing.T) {
	var asked []mfa.Message
	refusal := errors.New("SIM swapped yesterday")
	l := mailed(t, func(c *mfa.Config) {
		c.BeforeSMS = func(_ context.Context, m mfa.Message) error { asked = append(asked, m); return refusal }
	})
	p := l.open(t)
	before := l.account(t, "ann").Addresses["sms_code"].Sent
	_, err := p.Send(t.Context(), mfa.SMSCode)
	wants(t, err, mfa.ErrForbidden, mfa.ReasonSMSRefused)
	if !errors.Is(err, refusal) {
		t.Error("the host's error is lost")
	}
	if len(asked) != 1 || asked[0].To != annPhone || asked[0].Code() != "" || asked[0].Channel != mfa.SMSCode {
		t.Errorf("asked about %+v", asked)
	}
	if len(before) != len(l.account(t, "ann").Addresses["sms_code"].Sent) || p.Sent() != (mfa.Sent{}) || len(l.Inbox.Take()) > 0 {
		t.Error("something was sent or stored")
	}
	out, err := p.Verify(t.Context(), l.send(t, p, mfa.EmailCode)) // the host is not asked about mail
	must(t, out, err)
	if len(asked) != 1 {
		t.Errorf("asked %d times", len(asked))
	}
}

// TestR7_QuotaOutlivesItsKey: a budget that ran out long ago and was sealed under a
// key that is gone since is begun anew: it keeps nobody from a code.
func TestR7_QuotaOutlivesItsKey(t *testing.T) {
	l := texter(t, mfa.Limits{})
	if err := l.texts(t, "u0", annPhone, "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	l.Config.Keys = ring(t, mfa.NewKey())
	var err error
	if l.Guard, err = mfa.New(l.Config); err != nil {
		t.Fatal(err)
	}
	wants(t, l.texts(t, "u1", bobPhone, "192.0.2.1"), mfa.ErrUnavailable, mfa.ReasonUnknownKey)
	l.Clock.Advance(2 * time.Hour)
	if err := l.texts(t, "u1", bobPhone, "192.0.2.1"); err != nil {
		t.Errorf("two hours later: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestR30_SentClockBack: when the clock is set back nobody waits longer than a
// minute or an hour, no code that was used or voided is accepted, and a later code
// that nobody sent yet by that clock is none.
func TestR30_SentClockBack(t *testing.T) {
	for _, back := range []time.Duration{time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, time.Hour, 48 * time.Hour} {
		t.Run(back.String(), func(t *testing.T) {
			l := mailed(t)
			for range 4 {
				l.send(t, l.open(t), mfa.EmailCode)
				l.Clock.Advance(time.Minute)
			}
			p := l.open(t)
			voided := l.send(t, p, mfa.EmailCode)
			l.Clock.Advance(time.Hour)
			p = l.open(t)
			used := l.send(t, p, mfa.EmailCode)
			out, err := p.Verify(t.Context(), used)
			must(t, out, err)
			l.Clock.Advance(-back)
			_, err = l.verify(t.Context(), p.Token(), used)
			if mfa.ReasonOf(err) != mfa.ReasonAlreadyCompleted {
				t.Errorf("used: %v (%s)", err, mfa.ReasonOf(err))
			}
			p = l.open(t)
			_, err = p.Send(t.Context(), mfa.EmailCode)
			if e, ok := errors.AsType[*mfa.ThrottledError](err); ok && e.RetryAfter > time.Minute {
				t.Errorf("a wait of %v", e.RetryAfter)
			} else if !ok && err != nil {
				t.Errorf("Send: %v (%s)", err, mfa.ReasonOf(err))
			}
			for _, pr := range []mfa.Proof{used, voided} {
				if code := p.Sent(); code == (mfa.Sent{}) || pr.Code != l.Inbox.Code(t, annMail) {
					if _, err := p.Verify(t.Context(), pr); !errors.Is(err, mfa.ErrRefused) {
						t.Errorf("an old code: %v (%s)", err, mfa.ReasonOf(err))
					}
				}
			}
		})
	}
}
