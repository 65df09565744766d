package mfa_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A bound code was sent in one flow.
type boundCode struct {
	name      string
	token, by string
	pr        mfa.Proof
}

// boundCodes opens flows that differ in one thing or more to which R7 binds a code,
// and has one sent in each: user, purpose, flow, session, method, destination.
func (l *lab) boundCodes(t *testing.T) []boundCode {
	t.Helper()
	var all []boundCode
	add := func(name string, p *mfa.Pending, by string, pr mfa.Proof) {
		all = append(all, boundCode{name, p.Token(), by, pr})
		l.unsent(t)
	}
	ask := func(on bool) { l.change(t, "ann", func(d *mfa.AccountData) { d.Ask = on }) }
	l.Users.Add(annWith(annMail, "")) // so that no text message is offered
	ask(false)
	one, two := l.in(t, "ann"), l.in(t, "ann")
	l.unsent(t)
	out, err := two.StepUp(t.Context(), mfa.ToEnroll(mfa.EmailCode), "")
	p := atStep(t, out, err, mfa.StepVerify, mfa.EmailCode)
	out, err = p.Verify(t.Context(), l.send(t, p, mfa.EmailCode))
	p = atStep(t, out, err, mfa.StepEnroll, mfa.EmailCode)
	add("another address", p, two.Token(), l.start(t, p, mfa.EmailCode, newMail))
	for _, f := range []struct {
		name string
		s    *mfa.Session
		to   mfa.Purpose
	}{
		{"confirm a", one, mfa.ToConfirm("a")},
		{"confirm a in another session", two, mfa.ToConfirm("a")},
		{"confirm b", one, mfa.ToConfirm("b")},
		{"door", one, mfa.ToEnter("acme")},
		{"another door", one, mfa.ToEnter("evil")},
		{"enroll", one, mfa.ToEnroll(mfa.TOTP)},
	} {
		out, err := f.s.StepUp(t.Context(), f.to, "")
		p := atStep(t, out, err, mfa.StepVerify, mfa.EmailCode)
		add(f.name, p, f.s.Token(), l.send(t, p, mfa.EmailCode))
	}
	ask(true)
	for _, name := range []string{"sign-in", "another flow"} {
		p := l.open(t)
		add(name, p, "", l.send(t, p, mfa.EmailCode))
	}
	out, err = l.signIn(t, "bob") // whose mail goes to the same mailbox
	p = atStep(t, out, err, mfa.StepVerify, mfa.EmailCode)
	add("another user", p, "", l.send(t, p, mfa.EmailCode))
	return all
}

// TestR7_CodeIsBound: a code opens the flow that it was sent for and no other: none
// of another purpose, user, destination, flow or session, in any pair of these.
func TestR7_CodeIsBound(t *testing.T) {
	_, option := profiled()
	l := mailed(t, option, rules(mfa.Rules{Require: mfa.RequireAtDoor}), postal, func(c *mfa.Config) {
		c.Policy.Limits.TriesPerPending, c.Policy.Limits.TriesBeforeWait = 10, 10
	})
	l.Users.Add(mfa.User{ID: "bob", Email: annMail, EmailVerified: true, Orgs: []mfa.Membership{{Org: "acme"}, {Org: "evil"}}})
	if err := l.in(t, "bob").SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
		t.Fatal(err)
	}
	l.Clock.Advance(time.Minute)
	all := l.boundCodes(t)
	verify := func(c boundCode, pr mfa.Proof) (mfa.Outcome, error) {
		p, err := l.Guard.Pending(t.Context(), c.token, c.by, mfatest.Laptop())
		if err != nil {
			return mfa.Outcome{}, err
		}
		return p.Verify(t.Context(), pr)
	}
	tried := 0
	for _, c := range all {
		for _, other := range all {
			if other.pr.Code == c.pr.Code {
				continue // itself, or one time in a million
			}
			_, err := verify(c, other.pr)
			if !errors.Is(err, mfa.ErrRefused) || mfa.ReasonOf(err) != mfa.ReasonWrongCode {
				t.Errorf("the code of %q in %q: %v (%s)", other.name, c.name, err, mfa.ReasonOf(err))
			}
			tried++
			for _, user := range []string{"ann", "bob"} {
				l.change(t, user, func(d *mfa.AccountData) { d.Tries = nil })
			}
		}
	}
	t.Logf("%d pairs of %d codes", tried, len(all))
	by := make(map[string]string) // sessions get new tokens
	for _, c := range slices.Backward(all) {
		if token, ok := by[c.by]; ok {
			c.by = token
		}
		out, err := verify(c, c.pr)
		if err != nil {
			t.Errorf("%q in its own flow: %v (%s)", c.name, err, mfa.ReasonOf(err))
		}
		if out.Session != nil && c.by != "" {
			for old, token := range by {
				if token == c.by {
					by[old] = out.Session.Token()
				}
			}
			by[c.by] = out.Session.Token()
		}
	}
}

// TestR7_CodeIsBoundAtRest: what is stored of a code says for which flow and purpose
// it is: put into another, by whoever can write records, it opens nothing.
func TestR7_CodeIsBoundAtRest(t *testing.T) {
	_, option := profiled()
	l := mailed(t, option, rules(mfa.Rules{Require: mfa.RequireAtDoor}), postal)
	l.Users.Add(mfa.User{ID: "bob", Email: annMail, EmailVerified: true})
	if err := l.in(t, "bob").SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
		t.Fatal(err)
	}
	l.Clock.Advance(time.Minute)
	all := l.boundCodes(t)
	for _, c := range []boundCode{all[1], all[7]} {
		for _, other := range []boundCode{all[3], all[4], all[8]} {
			key := mfa.Key{Owner: "u/ann", Kind: mfa.PendingKind, ID: l.pendingBy(t, c).ID()}
			from := mfa.Key{Owner: "u/ann", Kind: mfa.PendingKind, ID: l.pendingBy(t, other).ID()}
			records, err := l.Config.Store.Get(t.Context(), key, from)
			if err != nil {
				t.Fatal(err)
			}
			var was, sent mfa.PendingData
			if err := errors.Join(mfa.OpenRecord(l.Guard, records[0], &was), mfa.OpenRecord(l.Guard, records[1], &sent)); err != nil {
				t.Fatal(err)
			}
			was.Sent = sent.Sent
			w := mfa.Write{Record: records[0], IfVersion: records[0].Version}
			if w.Data, err = json.Marshal(was); err != nil {
				t.Fatal(err)
			}
			w.Record = mfa.SignRecord(l.Guard, w.Record)
			if err := l.Config.Store.Commit(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			_, err = l.pendingBy(t, c).Verify(t.Context(), other.pr)
			wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
			l.change(t, "ann", func(d *mfa.AccountData) { d.Tries = nil })
		}
	}
}

// TestR7_ProvingIsNoFactor: a code that was sent to prove another address is no
// second factor once one is held: whoever knew the password had it sent to himself.
func TestR7_ProvingIsNoFactor(t *testing.T) {
	_, option := profiled()
	l := emptyLab(t, postal, option)
	l.Users.Add(annWith(annMail, ""))
	s := l.in(t, "ann")
	out, err := s.StepUp(t.Context(), mfa.ToEnroll(mfa.EmailCode), "")
	p := atStep(t, out, err, mfa.StepEnroll, mfa.EmailCode)
	pr := l.start(t, p, mfa.EmailCode, "eve@example.net")
	if err := s.SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
		t.Fatal(err)
	}
	p = l.pendingBy(t, boundCode{token: p.Token(), by: s.Token()})
	_, err = p.Verify(t.Context(), pr)
	wants(t, err, mfa.ErrRefused, mfa.ReasonAddressChanged)
}

// TestR7_CodeIsOfItsMethod: a code by mail is none by text message, though both were
// asked for in one flow, and the later voids the earlier.
func TestR7_CodeIsOfItsMethod(t *testing.T) {
	l := mailed(t)
	p := l.open(t)
	mail := l.send(t, p, mfa.EmailCode)
	_, err := p.Verify(t.Context(), mfa.Proof{Method: mfa.SMSCode, Code: mail.Code})
	wants(t, err, mfa.ErrRefused, mfa.ReasonNoCodeSent)
	text := l.send(t, p, mfa.SMSCode)
	_, err = p.Verify(t.Context(), mfa.Proof{Method: mfa.EmailCode, Code: text.Code})
	wants(t, err, mfa.ErrRefused, mfa.ReasonNoCodeSent)
	_, err = p.Verify(t.Context(), mail)
	wants(t, err, mfa.ErrRefused, mfa.ReasonNoCodeSent)
	out, err := p.Verify(t.Context(), text)
	must(t, out, err)
}

// TestR4_SentGate: the gate stops a mailed code on every path, at sending and at
// verifying, and what is refused writes nothing.
func TestR4_SentGate(t *testing.T) {
	for i, name := range []string{"another address", "confirm", "door", "enroll", "sign-in"} {
		for _, o := range []struct {
			name string
			put  func(l *lab, c *boundCode)
			why  mfa.Reason
		}{
			{"expired", func(l *lab, _ *boundCode) { l.Clock.Advance(10 * time.Minute) }, mfa.ReasonExpired},
			{"disabled in the directory", func(l *lab, _ *boundCode) {
				u := annWith(annMail, annPhone)
				u.Disabled = true
				l.Users.Add(u)
			}, mfa.ReasonUserDisabled},
			{"removed", func(l *lab, _ *boundCode) { l.Users.Remove("ann") }, mfa.ReasonUserUnknown},
			{"disabled by the host", func(l *lab, _ *boundCode) { _ = l.Guard.Disable(t.Context(), "ann") }, mfa.ReasonNotFound},
			{"password changed", func(l *lab, _ *boundCode) { _ = l.Guard.CredentialsChanged(t.Context(), "ann") }, mfa.ReasonNotFound},
			{"without its session", func(_ *lab, c *boundCode) { c.by = "" }, mfa.ReasonOtherSession},
			{"with another session of hers", func(l *lab, c *boundCode) { c.by = l.session.Token() }, mfa.ReasonOtherSession},
			{"locked", func(l *lab, _ *boundCode) { l.wrongSoFar(t, mfa.EmailCode, 5) }, mfa.ReasonMethodLocked},
		} {
			if name == "sign-in" && o.why == mfa.ReasonOtherSession {
				continue
			}
			t.Run(name+"/"+o.name, func(t *testing.T) {
				_, option := profiled()
				l := mailed(t, option, rules(mfa.Rules{Require: mfa.RequireAtDoor}), postal)
				l.Users.Add(mfa.User{ID: "bob", Email: annMail, EmailVerified: true, Orgs: []mfa.Membership{{Org: "acme"}, {Org: "evil"}}})
				if err := l.in(t, "bob").SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
					t.Fatal(err)
				}
				l.Clock.Advance(time.Minute)
				c := l.boundCodes(t)[[]int{0, 1, 4, 6, 7}[i]]
				if by := c.by; by != "" {
					l.Clock.Advance(time.Minute)
				}
				o.put(l, &c)
				l.tally.take()
				messages := len(l.Inbox.Messages(""))
				p, err := l.Guard.Pending(t.Context(), c.token, c.by, mfatest.Laptop())
				if err == nil {
					if _, err = p.Send(t.Context(), mfa.EmailCode); o.why == mfa.ReasonMethodLocked && name == "another address" {
						err = nil // it goes nowhere that could be guessed
					}
				}
				if err == nil {
					l.tally.take()
					messages = len(l.Inbox.Messages(""))
					_, err = l.pendingBy(t, c).Verify(t.Context(), c.pr)
				}
				if mfa.ReasonOf(err) != o.why {
					t.Errorf("%v (%s), want %s", err, mfa.ReasonOf(err), o.why)
				}
				if n := len(l.tally.take()); n > 0 || len(l.Inbox.Messages("")) > messages {
					t.Errorf("%d commits", n)
				}
			})
		}
	}
}

// pendingBy is the flow of a code in the browser that has its session.
func (l *lab) pendingBy(t *testing.T, c boundCode) *mfa.Pending {
	t.Helper()
	p, err := l.Guard.Pending(t.Context(), c.token, c.by, mfatest.Laptop())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// How many guesses of a sent code R6 answers. A guess takes a code that is under
// way, or hits nothing. The first five go to one code, at 0 s. The wait of 30 s is
// over before the 60 s to the next code, so that the 6th is at 60 s; waits of 1, 2,
// 4, 8, 16 and 32 min make the 7th at 120 s and the 12th at 3900 s: each waits for
// the one before, and the code is at hand or sent at once. From then on it is one an
// hour: floor((86400 - 3900) / 3600) = 22 more, 34 on the first day, as of an app.
// Resends, new flows and new sign-ins add none. Each hits one code in a million.
//
// Two users with one telephone have a count each, and their codes differ: 68.
const sentGuessesADay = 34

// TestR5_R6_SentGuesses counts the guesses that are answered to somebody who knows
// the passwords of users who share a number, and has codes sent as often as it goes.
func TestR5_R6_SentGuesses(t *testing.T) {
	for _, users := range [][]string{{"ann"}, {"ann", "bob"}} {
		l := emptyLab(t, postal)
		for _, u := range users {
			l.Users.Add(mfa.User{ID: u, Phone: annPhone, PhoneVerified: true})
			if err := l.in(t, u).SetMethod(t.Context(), mfa.SMSCode, true); err != nil {
				t.Fatal(err)
			}
		}
		flows, next := make(map[string]*mfa.Pending), make(map[string]time.Time)
		answered, end := 0, l.Clock.Now().Add(oneDay)
		for l.Clock.Now().Before(end) {
			soonest := end
			for _, u := range users {
				if !l.Clock.Now().Before(next[u]) {
					wait, hit := l.guessSent(t, u, flows)
					next[u], answered = l.Clock.Now().Add(wait), answered+hit
				}
				if next[u].Before(soonest) {
					soonest = next[u]
				}
			}
			l.Clock.Advance(max(soonest.Sub(l.Clock.Now()), 0))
		}
		if want := sentGuessesADay * len(users); answered != want {
			t.Errorf("%d users: %d guesses answered in a day, want %d", len(users), answered, want)
		}
	}
}

// guessSent makes one guess as user, or gets nearer to one, and returns when to go
// on and how many guesses were answered.
func (l *lab) guessSent(t *testing.T, user string, flows map[string]*mfa.Pending) (wait time.Duration, hit int) {
	t.Helper()
	again := func(err error) time.Duration {
		e, ok := errors.AsType[*mfa.ThrottledError](err)
		if !ok {
			t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
		}
		return e.RetryAfter
	}
	p := flows[user]
	if p == nil || !l.Clock.Now().Before(p.Expires()) {
		out, err := l.signIn(t, user)
		if err != nil {
			return again(err), 0
		}
		p = out.Pending
		flows[user] = p
	}
	if s := p.Sent(); s == (mfa.Sent{}) || !l.Clock.Now().Before(s.Expires) {
		if _, err := p.Send(t.Context(), mfa.SMSCode); err != nil {
			return again(err), 0
		}
	}
	code := mfa.Proof{Method: mfa.SMSCode, Code: l.Inbox.Code(t, annPhone)}
	_, err := p.Verify(t.Context(), off(code))
	switch mfa.ReasonOf(err) {
	case mfa.ReasonWrongCode:
		return 0, 1
	case mfa.ReasonTooManyTries:
		delete(flows, user)
		return 0, 0
	}
	return again(err), 0
}
