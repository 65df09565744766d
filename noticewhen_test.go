package mfa_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A postman is a Notifier that is asked to look at what it gets.
type postman struct {
	look func(ctx context.Context, m mfa.Message)
	err  error
}

func (p *postman) Notify(ctx context.Context, m mfa.Message) error {
	if p.look != nil {
		p.look(ctx, m)
	}
	return p.err
}

// TestR29_OneSecondInAll: R29 gives all notices of an operation one deadline, a second
// after the commit, and the end of the request does not shorten it.
func TestR29_OneSecondInAll(t *testing.T) {
	p := &postman{}
	l := written(t, func(c *mfa.Config) { c.Notifier = p })
	ctx, cancel := context.WithCancel(t.Context())
	out, err := l.Guard.SignIn(ctx, mfa.SignIn{User: "ann", First: mfa.PasswordFirst()})
	if err != nil {
		t.Fatal(err)
	}
	pr := l.right()
	pr.Remember = true
	var deadlines []time.Time
	began := time.Now()
	p.look = func(ctx context.Context, m mfa.Message) {
		d, ok := ctx.Deadline()
		if deadlines = append(deadlines, d); !ok || ctx.Err() != nil || d.Before(began.Add(time.Second)) || d.After(time.Now().Add(time.Second)) {
			t.Errorf("%s: deadline %v, began %v, %v", m.Kind, d, began, ctx.Err())
		}
	}
	l.tally.before = cancel // the client hangs up during the commit
	if _, err := out.Pending.Verify(ctx, pr); err != nil {
		t.Fatal(err)
	}
	if len(deadlines) != 2 || !deadlines[0].Equal(deadlines[1]) {
		t.Errorf("deadlines %v, want one for two notices", deadlines)
	}
}

// TestR29_FailureIsAnEvent: R29 lets no operation fail because its notice does.
func TestR29_FailureIsAnEvent(t *testing.T) {
	for _, d := range tidings() {
		t.Run(d.name, func(t *testing.T) {
			p := &postman{err: errors.New("550 evil")}
			l := written(t, func(c *mfa.Config) { c.Notifier = p })
			l.Events.Take()
			if err := d.do(t, l); err != nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			var why []mfa.EventName
			for _, e := range l.Events.Take() {
				if e.Name == mfa.EventUndelivered {
					if why = append(why, mfa.EventName(e.Reason)); e.User != "ann" || e.Method != mfa.EmailCode || e.ID == "" || e.At.IsZero() {
						t.Errorf("%+v", e)
					}
				}
			}
			slices.Sort(why)
			slices.Sort(d.event)
			if !slices.Equal(why, d.event) {
				t.Errorf("undelivered %v, want %v", why, d.event)
			}
		})
	}
}

// TestR29_AfterTheCommit: R29 tells what stands. When a commit conflicts, the operation
// runs again and is told once; when it fails, nothing is; when its answer is lost,
// what was found to be applied is told once.
func TestR29_AfterTheCommit(t *testing.T) {
	for _, d := range tidings() {
		if len(d.event) == 0 {
			continue
		}
		dry := written(t)
		dry.tally.take()
		if err := d.do(t, dry); err != nil {
			t.Fatal(err)
		}
		last := len(dry.tally.take()) // the commit that is told
		t.Run(d.name+"/refused twice", func(t *testing.T) {
			l, n := written(t), 0
			l.tally.before = func() {
				if n++; n == last {
					l.tally.conflicts.Store(2)
				}
				if got := l.posted(); len(got) != 0 {
					t.Errorf("%v before the commit", got)
				}
			}
			if err := d.do(t, l); err != nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			l.posts(t, annMail, slices.Clone(d.event)...)
		})
		for _, f := range []mfatest.Fault{mfatest.FaultBefore, mfatest.FaultAfter, mfatest.FaultConflict, mfatest.FaultLate} {
			t.Run(d.name+"/"+f.String(), func(t *testing.T) {
				l := written(t)
				faulty := mfatest.FailCommit(l.Config.Store, last, f)
				l.under(t, func(c *mfa.Config) { c.Store = faulty })
				err := d.do(t, l)
				if !faulty.Fired() {
					t.Fatal("no commit went wrong")
				}
				if f == mfatest.FaultAfter || f == mfatest.FaultConflict {
					if err != nil {
						t.Errorf("%v (%s)", err, mfa.ReasonOf(err))
					}
					l.posts(t, annMail, slices.Clone(d.event)...)
					return
				}
				if !errors.Is(err, mfa.ErrUnavailable) {
					t.Errorf("%v (%s), want ErrUnavailable", err, mfa.ReasonOf(err))
				}
				l.posts(t, annMail)
			})
		}
	}
}

// TestR29_FloodsNoMailbox: a stranger who knows the password and guesses day and night
// makes, in the first day, one notice of failed codes, one of each method that is locked
// (the app and the backup codes) and one of the suspect password: 4. From the second day on it
// is one, of failed codes: 24 hours apart, whatever he tries. The app is disabled once, on
// day 4: 11 codes take 63 minutes, and the other 89 an hour each.
func TestR29_FloodsNoMailbox(t *testing.T) {
	l := written(t)
	l.Users.Add(mfa.User{ID: "ann", Email: annMail, EmailVerified: true})
	began := l.Clock.Now()
	days := make([]int, 6)
	kinds := make(map[mfa.MessageKind]int)
	for l.Clock.Now().Sub(began) < time.Duration(len(days))*24*time.Hour {
		for _, pr := range []mfa.Proof{l.wrong(), l.wrongBackup()} {
			_, err := l.guess(t, pr)
			if !errors.Is(err, mfa.ErrRefused) && !errors.Is(err, mfa.ErrThrottled) {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
		}
		for _, m := range l.Inbox.Take() {
			days[int(m.At.Sub(began)/(24*time.Hour))]++
			kinds[m.Kind]++
		}
		if l.Clock.Advance(time.Minute); l.Clock.Now().Sub(began) >= 100*time.Minute {
			l.Clock.Advance(14 * time.Minute) // the app waits for an hour by now
		}
	}
	if want := []int{4, 1, 1, 2, 1, 1}; !slices.Equal(days, want) {
		t.Errorf("%v notices a day, want %v: %v", days, want, kinds)
	}
}

// TestR29_FailedFactorAgain: a notice of failed codes comes at most once in 24 hours, at
// the limit and one before, and a clock that was set back does not silence it.
func TestR29_FailedFactorAgain(t *testing.T) {
	l := written(t)
	twice := func(want ...mfa.EventName) {
		t.Helper()
		for range 2 {
			if _, err := l.guess(t, l.wrong()); !errors.Is(err, mfa.ErrRefused) {
				t.Fatal(err)
			}
		}
		l.posts(t, annMail, want...)
		l.enter(t, l.right())
		l.Clock.Advance(-l.app.Period())
		l.change(t, "ann", func(d *mfa.AccountData) { d.TOTP[0].Step = 0 })
	}
	twice(mfa.EventSecondFactorFailed)
	twice()
	l.Clock.Advance(24*time.Hour - time.Second)
	twice()
	l.Clock.Advance(time.Second)
	twice(mfa.EventSecondFactorFailed)
	l.Clock.Advance(-365 * 24 * time.Hour)
	twice(mfa.EventSecondFactorFailed)
	twice()
}

// TestR29_FailedOnlyAfterPassword: whoever came from a provider, and a user who holds no
// factor, is told of no failed second factor.
func TestR29_FailedOnlyAfterPassword(t *testing.T) {
	l := written(t)
	for range 4 {
		out, err := l.Guard.SignIn(t.Context(), mfa.SignIn{User: "ann", First: mfa.SSOFirst("google", nil, "", l.Clock.Now())})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.Pending.Verify(t.Context(), l.wrong()); !errors.Is(err, mfa.ErrRefused) {
			t.Fatal(err)
		}
	}
	l.posts(t, annMail)
}

// TestR29_NoNotifier: without a Notifier everything works and nobody is told.
func TestR29_NoNotifier(t *testing.T) {
	for _, d := range tidings() {
		if strings.Contains(d.name, "mail") || strings.Contains(d.name, "text") {
			continue
		}
		l := newLab(t, func(c *mfa.Config) { c.Notifier, c.Policy.Rules.Remember = nil, week })
		l.Users.Add(mfa.User{ID: "ann", Email: annMail, EmailVerified: true})
		if err := d.do(t, l); err != nil {
			t.Errorf("%s: %v (%s)", d.name, err, mfa.ReasonOf(err))
		}
		for _, e := range l.Events.Take() {
			if e.Name == mfa.EventUndelivered {
				t.Errorf("%s: %+v", d.name, e)
			}
		}
	}
}

// TestR7_NoticesByTextMessage: notices that go to a number draw on what text messages
// may cost: a network that signs in as often as it can gets no more of them than codes.
func TestR7_NoticesByTextMessage(t *testing.T) {
	asked := 0
	l := newLab(t, postal, func(c *mfa.Config) {
		c.BeforeSMS = func(context.Context, mfa.Message) error { asked++; return nil }
	})
	l.Users.Add(mfa.User{ID: "ann", Phone: annPhone, PhoneVerified: true})
	for range 22 {
		l.surf().typed(t, l.right()) // a new device
	}
	if n := len(l.Inbox.Messages(annPhone)); n != 20 || asked != 20 {
		t.Errorf("%d text messages in 11 minutes from one network, want 20; the host was asked %d times, want 20", n, asked)
	}
	undelivered := slices.DeleteFunc(names(l.Events.Take()), func(n mfa.EventName) bool { return n != mfa.EventUndelivered })
	if len(undelivered) != 2 {
		t.Errorf("%d undelivered, want 2", len(undelivered))
	}
}

// TestR29_PasswordGuessedInASession: somebody guesses the password in a session that
// is open. Its user is told when that has to wait, once.
func TestR29_PasswordGuessedInASession(t *testing.T) {
	l := withPassword(t)
	l.Inbox.Take()
	locked := func() (n int) {
		for _, m := range l.Inbox.Take() {
			if m.Kind == mfa.MessageKind(mfa.EventMethodLocked) && m.Method == mfa.Password {
				n++
			}
		}
		return n
	}
	for i := range 6 {
		l.Clock.Advance(31 * time.Second) // the first wait is 30 s
		_, err := l.session.ChangePassword(t.Context(), "not this", newPassword)
		wants(t, err, mfa.ErrRefused, mfa.ReasonWrongPassword)
		if n := locked(); (n == 1) != (i == 4) || n > 1 {
			t.Errorf("told %d times after %d wrong", n, i+1)
		}
	}
}
