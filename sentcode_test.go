package mfa_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

const bobPhone = "+447700900123"

// mailed returns a lab in which ann's mail address and number are verified, and
// codes by mail are her only factor. Text messages are on, as they are by default.
func mailed(t testing.TB, options ...func(*mfa.Config)) *lab {
	t.Helper()
	l := emptyLab(t, append([]func(*mfa.Config){postal}, options...)...)
	l.Users.Add(annWith(annMail, annPhone))
	l.session = l.in(t, "ann")
	if err := l.session.SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
		t.Fatalf("turning mail on: %v (%s)", err, mfa.ReasonOf(err))
	}
	l.Events.Take()
	l.Inbox.Take()
	return l
}

// annWith is ann with verified addresses, "" for none, a member of two organizations.
func annWith(mail, phone string) mfa.User {
	return mfa.User{
		ID: "ann", Name: "ann", Email: mail, EmailVerified: mail != "", Phone: phone, PhoneVerified: phone != "",
		Orgs: []mfa.Membership{{Org: "acme"}, {Org: "evil"}},
	}
}

// in is a session for the password alone.
func (l *lab) in(t testing.TB, user string) *mfa.Session {
	t.Helper()
	out, err := l.signIn(t, user)
	if err != nil || out.Session == nil {
		t.Fatalf("SignIn(%q): %v (%s), want a session", user, err, mfa.ReasonOf(err))
	}
	return out.Session
}

// addressOf is where ann's codes go.
func addressOf(m mfa.Method) string {
	return map[mfa.Method]string{mfa.EmailCode: annMail, mfa.SMSCode: annPhone}[m]
}

// send has a code sent in p and returns it.
func (l *lab) send(t testing.TB, p *mfa.Pending, m mfa.Method) mfa.Proof {
	t.Helper()
	if _, err := p.Send(t.Context(), m); err != nil {
		t.Fatalf("Send %v: %v (%s)", m, err, mfa.ReasonOf(err))
	}
	messages := l.Inbox.Messages("")
	return mfa.Proof{Method: m, Code: messages[len(messages)-1].Code()}
}

// start has a code sent to an address that was typed, and returns it.
func (l *lab) start(t testing.TB, p *mfa.Pending, m mfa.Method, to string) mfa.Proof {
	t.Helper()
	if _, err := p.StartAddress(t.Context(), m, to); err != nil {
		t.Fatalf("StartAddress %s: %v (%s)", to, err, mfa.ReasonOf(err))
	}
	return mfa.Proof{Method: m, Code: l.Inbox.Code(t, to)}
}

// off is a code that is not pr's.
func off(pr mfa.Proof) mfa.Proof {
	last := pr.Code[5]
	pr.Code = pr.Code[:5] + string('0'+(last-'0'+1)%10)
	return pr
}

// open is a flow of ann's sign-in.
func (l *lab) open(t testing.TB) *mfa.Pending {
	t.Helper()
	return l.pending(t, l.flow(t))
}

// must returns the session of an operation that must lead to one.
func must(t testing.TB, out mfa.Outcome, err error) *mfa.Session {
	t.Helper()
	if err != nil || out.Session == nil {
		t.Fatalf("%v (%s), flow %t, want a session", err, mfa.ReasonOf(err), out.Pending != nil)
	}
	return out.Session
}

// atStep fails unless an operation led to a flow at this step.
func atStep(t testing.TB, out mfa.Outcome, err error, want mfa.Step, methods ...mfa.Method) *mfa.Pending {
	t.Helper()
	if err != nil || out.Pending == nil {
		t.Fatalf("%v (%s), session %t, want a flow", err, mfa.ReasonOf(err), out.Session != nil)
	}
	if n := out.Pending.Need(); n.Step != want || !slices.Equal(n.Methods, methods) {
		t.Fatalf("needs %v of %v because of %s, want %v of %v", n.Step, n.Methods, n.Why, want, methods)
	}
	return out.Pending
}

// by takes s through a flow to p with a code that is sent.
func (l *lab) by(t testing.TB, s *mfa.Session, p mfa.Purpose, m mfa.Method) *mfa.Session {
	t.Helper()
	l.unsent(t)
	out, err := s.StepUp(t.Context(), p, "")
	if err == nil && out.Pending != nil {
		out, err = out.Pending.Verify(t.Context(), l.send(t, out.Pending, m))
	}
	return must(t, out, err)
}

// unsent forgets that codes were sent to ann, so that the next needs no wait.
func (l *lab) unsent(t testing.TB) {
	t.Helper()
	l.change(t, "ann", func(d *mfa.AccountData) {
		for name, a := range d.Addresses {
			a.Sent = nil
			d.Addresses[name] = a
		}
	})
}

// TestR2_SentCodeRace32: a code that was mailed is accepted once, though 32
// requests race with it, for one flow.
func TestR2_SentCodeRace32(t *testing.T) {
	l := mailed(t)
	for round := range mfatest.Rounds(200) {
		l.unsent(t)
		p := l.open(t)
		pr, token := l.send(t, p, mfa.EmailCode), p.Token()
		l.Events.Take()
		var wg sync.WaitGroup
		results := make([]error, 32)
		for i := range results {
			wg.Go(func() { _, results[i] = l.verify(context.WithoutCancel(t.Context()), token, pr) })
		}
		wg.Wait()
		won := 0
		for _, err := range results {
			switch mfa.ReasonOf(err) {
			case "":
				won++
			case mfa.ReasonAlreadyCompleted, mfa.ReasonReplaced, mfa.ReasonBusy:
			default:
				t.Fatalf("a loser got %v (%s)", err, mfa.ReasonOf(err))
			}
		}
		sessions := len(slices.DeleteFunc(names(l.Events.Take()), func(n mfa.EventName) bool { return n != mfa.EventSignedIn }))
		if won != 1 || sessions != 1 || l.account(t, "ann").Tries["email_code"].Wrong != 0 {
			t.Fatalf("round %d: %d winners, %d sessions", round, won, sessions)
		}
	}
}

// TestR2_SentCodeUsedUp: a code opens one flow, once, and a resend voids it.
func TestR2_SentCodeUsedUp(t *testing.T) {
	l := mailed(t)
	p := l.open(t)
	first := l.send(t, p, mfa.EmailCode)
	l.Clock.Advance(time.Minute)
	second := l.send(t, p, mfa.EmailCode)
	if first.Code != second.Code {
		_, err := p.Verify(t.Context(), first)
		wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	}
	out, err := p.Verify(t.Context(), second)
	must(t, out, err)
	_, err = p.Verify(t.Context(), second)
	wants(t, err, mfa.ErrNoPending, mfa.ReasonAlreadyCompleted)
	other := l.open(t)
	_, err = other.Verify(t.Context(), second)
	wants(t, err, mfa.ErrRefused, mfa.ReasonNoCodeSent)
}

// TestR2_SentCodeLastTry: the fifth try of a flow may be the right one, and after
// the fifth wrong one the right code is worth nothing.
func TestR2_SentCodeLastTry(t *testing.T) {
	for _, wrong := range []int{4, 5} {
		t.Run(fmt.Sprint(wrong, " wrong"), func(t *testing.T) {
			l := mailed(t)
			p := l.open(t)
			pr := l.send(t, p, mfa.EmailCode)
			for range wrong {
				_, err := p.Verify(t.Context(), off(pr))
				wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
			}
			out, err := p.Verify(t.Context(), pr)
			if wrong == 4 {
				must(t, out, err)
				return
			}
			wants(t, err, mfa.ErrNoPending, mfa.ReasonTooManyTries)
			if _, err = p.Send(t.Context(), mfa.EmailCode); mfa.ReasonOf(err) != mfa.ReasonTooManyTries {
				t.Errorf("another code in a flow that is over: %v (%s)", err, mfa.ReasonOf(err))
			}
		})
	}
}

// TestR6_ResendIsNoNewStart: R6 ends a flow at five wrong proofs, in however many
// codes it had sent.
func TestR6_ResendIsNoNewStart(t *testing.T) {
	l := mailed(t)
	p := l.open(t)
	for range 2 {
		_, err := p.Verify(t.Context(), off(l.send(t, p, mfa.EmailCode)))
		wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
		_, err = p.Verify(t.Context(), off(l.send(t, p, mfa.SMSCode)))
		wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
		l.Clock.Advance(time.Minute)
	}
	pr := l.send(t, p, mfa.EmailCode)
	_, err := p.Verify(t.Context(), off(pr))
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	_, err = p.Verify(t.Context(), pr)
	wants(t, err, mfa.ErrNoPending, mfa.ReasonTooManyTries)
}

// TestR3_SentCodeInput: R3 reads a code as people type it, and refuses what cannot
// be one without counting it.
func TestR3_SentCodeInput(t *testing.T) {
	for _, m := range []mfa.Method{mfa.EmailCode, mfa.SMSCode} {
		t.Run(m.String(), func(t *testing.T) {
			l := mailed(t)
			p := l.open(t)
			pr := l.send(t, p, m)
			bad := badCodes()
			bad["64 KiB"] = strings.Repeat("1", 64<<10)
			bad["the code in full width"] = strings.Map(func(r rune) rune { return r - '0' + '\uff10' }, pr.Code)
			bad["five of it"], bad["and one more"] = pr.Code[:5], pr.Code+"0"
			for name, code := range bad {
				_, err := p.Verify(t.Context(), mfa.Proof{Method: m, Code: code})
				if mfa.ReasonOf(err) != mfa.ReasonMalformedCode {
					t.Errorf("%s: %v (%s)", name, err, mfa.ReasonOf(err))
				}
			}
			if n := l.account(t, "ann").Tries[m.String()].Wrong; n != 0 {
				t.Errorf("%d are counted", n)
			}
			pr.Code = spaced(pr.Code, " - ")
			out, err := p.Verify(t.Context(), pr)
			must(t, out, err)
		})
	}
}

// TestR2_SentCodeSchedules: in every order of their store calls, two operations
// around a mailed code leave one winner and no code that works afterwards.
func TestR2_SentCodeSchedules(t *testing.T) {
	type deed = func(ctx context.Context, g *mfa.Guard, token string) error
	flow := func(do func(context.Context, *mfa.Pending) error) deed {
		return func(ctx context.Context, g *mfa.Guard, token string) error {
			p, err := g.Pending(ctx, token, "", mfatest.Laptop())
			if err != nil {
				return err
			}
			return do(ctx, p)
		}
	}
	send := flow(func(ctx context.Context, p *mfa.Pending) error { _, err := p.Send(ctx, mfa.EmailCode); return err })
	for _, tc := range []struct {
		name  string
		other func(l *lab) deed
		check func(t *testing.T, l *lab, token string, code mfa.Proof, verified, other error)
	}{
		{"send", func(*lab) deed { return send }, func(t *testing.T, l *lab, token string, code mfa.Proof, verified, other error) {
			if verified == nil && other == nil {
				t.Error("a code was sent in a flow that is over, or the one before it accepted")
			}
			if verified != nil && l.Inbox.Code(t, annMail) != code.Code {
				_, err := l.verify(t.Context(), token, code)
				wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
			}
		}},
		{"method off", func(l *lab) deed {
			s := l.session.Token()
			return func(ctx context.Context, g *mfa.Guard, _ string) error {
				s, err := g.Session(ctx, s, mfatest.Laptop())
				if err != nil {
					return err
				}
				return s.SetMethod(ctx, mfa.EmailCode, false)
			}
		}, func(t *testing.T, l *lab, token string, code mfa.Proof, verified, other error) {
			if other != nil {
				t.Errorf("turning mail off: %v (%s)", other, mfa.ReasonOf(other))
			}
			if verified != nil && mfa.ReasonOf(verified) != mfa.ReasonMethodNotAsked && mfa.ReasonOf(verified) != mfa.ReasonStepNotAsked {
				t.Errorf("verify: %v (%s)", verified, mfa.ReasonOf(verified))
			}
			if a := l.account(t, "ann"); a.Addresses["email_code"].Held {
				t.Error("mail is on again")
			}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := mfatest.Schedules(t, func(wrap func(mfa.Store) mfa.Store) mfatest.Race {
				l := mailed(t, func(c *mfa.Config) { c.Store = wrap(new(mfa.MemoryStore)) })
				l.session = l.by(t, l.session, mfa.ToConfirm("email_code_off"), mfa.EmailCode)
				l.unsent(t)
				token := l.flow(t)
				code := l.send(t, l.pending(t, token), mfa.EmailCode)
				l.Clock.Advance(time.Minute)
				other := tc.other(l)
				var verified, err error
				return mfatest.Race{
					A:     func(ctx context.Context) { _, verified = l.verify(ctx, token, code) },
					B:     func(ctx context.Context) { err = other(ctx, l.Guard, token) },
					Check: func(string) { tc.check(t, l, token, code, verified, err) },
				}
			})
			t.Logf("%d schedules", n)
		})
	}
}

// TestR7_TwoSendsSchedules: of two requests for a code at once, in one flow or in
// two, one is served, in every order of their store calls.
func TestR7_TwoSendsSchedules(t *testing.T) {
	for _, flows := range []int{1, 2} {
		t.Run(fmt.Sprint(flows, " flows"), func(t *testing.T) {
			mfatest.Schedules(t, func(wrap func(mfa.Store) mfa.Store) mfatest.Race {
				l := mailed(t, func(c *mfa.Config) { c.Store = wrap(new(mfa.MemoryStore)) })
				tokens := []string{l.flow(t), l.flow(t)}
				errs := make([]error, 2)
				send := func(i int) func(context.Context) {
					return func(ctx context.Context) {
						p, err := l.Guard.Pending(ctx, tokens[i%flows], "", mfatest.Laptop())
						if err == nil {
							_, err = p.Send(ctx, mfa.EmailCode)
						}
						errs[i] = err
					}
				}
				return mfatest.Race{A: send(0), B: send(1), Check: func(string) {
					sent := 0
					for _, err := range errs {
						if err == nil {
							sent++
						} else {
							wants(t, err, mfa.ErrThrottled, mfa.ReasonSentTooOften)
						}
					}
					if got := len(l.Inbox.Messages(annMail)); sent != 1 || got != 1 {
						t.Errorf("%d served, %d delivered, want 1", sent, got)
					}
				}}
			})
		})
	}
}
