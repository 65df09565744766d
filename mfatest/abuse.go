package mfatest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
)

// A CodePage is how TestAbuse reaches the page on which a host asks for an
// authenticator's code. It sends code with these cookies, "" for a cookie that
// the browser does not have, and returns the value of the session cookie that
// the host sets, "" when it sets none.
type CodePage func(ctx context.Context, pending, session, code string) (newSession string)

// An abuseCase sends what must never lead to a session.
type abuseCase struct {
	name        string
	explanation string
	run         func(a *abuse) (newSession string)
}

// abuse is one case at work: two enrolled users of a kit and the host's page.
type abuse struct {
	t    tester
	kit  *Kit
	page CodePage
	// Alice and Bob, each with an app and a session.
	alice, bob abused
}

type abused struct {
	app     *Authenticator
	session *mfa.Session
}

func (u abused) code(k *Kit) string { return u.app.Code(k.Clock.Now()) }

// flow signs a user in as far as the code page and returns the pending token.
func (a *abuse) flow(user string) string {
	a.t.Helper()
	out, err := a.kit.Guard.SignIn(a.t.Context(), mfa.SignIn{User: user, First: mfa.PasswordFirst(), Client: Laptop()})
	if err != nil || out.Pending == nil {
		a.t.Fatalf("SignIn: %v, want a flow that asks for a code", err)
	}
	return out.Pending.Token()
}

// confirm begins a flow of a session for a sensitive action. The session's last
// proof has to be old for that.
func (a *abuse) confirm(s *mfa.Session) string {
	a.t.Helper()
	a.kit.Clock.Advance(time.Hour)
	out, err := s.StepUp(a.t.Context(), mfa.ToConfirm("abuse"), "")
	if err != nil || out.Pending == nil {
		a.t.Fatalf("StepUp: %v, want a flow that asks for a code", err)
	}
	return out.Pending.Token()
}

func abuseCases() []abuseCase {
	return []abuseCase{
		{"wrong code", "a wrong code signs nobody in", func(a *abuse) string {
			return a.page(a.t.Context(), a.flow(aliceID), "", a.alice.app.Wrong(a.kit.Clock.Now()))
		}},
		{"no code", "an empty code signs nobody in", func(a *abuse) string {
			return a.page(a.t.Context(), a.flow(aliceID), "", "")
		}},
		{"no flow", "a code without the first factor signs nobody in", func(a *abuse) string {
			return a.page(a.t.Context(), "", "", a.alice.code(a.kit))
		}},
		{"reused code", "a code is accepted once (RFC 6238 section 5.2)", func(a *abuse) string {
			a.page(a.t.Context(), a.flow(aliceID), "", a.alice.code(a.kit))
			return a.page(a.t.Context(), a.flow(aliceID), "", a.alice.code(a.kit))
		}},
		{"completed flow", "a flow leads to one session", func(a *abuse) string {
			flow := a.flow(aliceID)
			a.page(a.t.Context(), flow, "", a.alice.code(a.kit))
			a.kit.Clock.Advance(a.alice.app.Period())
			return a.page(a.t.Context(), flow, "", a.alice.code(a.kit))
		}},
		{"other user's code", "a factor proves its own user", func(a *abuse) string {
			return a.page(a.t.Context(), a.flow(aliceID), "", a.bob.code(a.kit))
		}},
		{"other purpose", "a flow to confirm an action is no sign-in", func(a *abuse) string {
			return a.page(a.t.Context(), a.confirm(a.alice.session), "", a.alice.code(a.kit))
		}},
		{"other session's flow", "a flow that a session opened works with that session only", func(a *abuse) string {
			return a.page(a.t.Context(), a.confirm(a.alice.session), a.bob.session.Token(), a.alice.code(a.kit))
		}},
		{"session as flow", "a token of one kind never passes as another", func(a *abuse) string {
			return a.page(a.t.Context(), a.alice.session.Token(), "", a.alice.code(a.kit))
		}},
		{"expired flow", "a flow lives for 10 minutes", func(a *abuse) string {
			flow := a.flow(aliceID)
			a.kit.Clock.Advance(10 * time.Minute)
			return a.page(a.t.Context(), flow, "", a.alice.code(a.kit))
		}},
		{"over the limit", "the fifth wrong code ends the flow, and the right one comes too late", func(a *abuse) string {
			flow := a.flow(aliceID)
			for range 5 {
				a.page(a.t.Context(), flow, "", a.alice.app.Wrong(a.kit.Clock.Now()))
			}
			a.kit.Clock.Advance(time.Minute)
			return a.page(a.t.Context(), flow, "", a.alice.code(a.kit))
		}},
		{"store failing", "when the store fails nobody is signed in", func(a *abuse) string {
			flow := a.flow(aliceID)
			a.kit.FailStore(errors.New("the store is down"))
			defer a.kit.FailStore(nil)
			return a.page(a.t.Context(), flow, "", a.alice.code(a.kit))
		}},
		{"disabled user", "a user who was disabled meanwhile does not get in", func(a *abuse) string {
			flow := a.flow(aliceID)
			a.kit.Users.Add(mfa.User{ID: aliceID, Disabled: true})
			return a.page(a.t.Context(), flow, "", a.alice.code(a.kit))
		}},
	}
}

const aliceID, bobID = "mfatest-alice", "mfatest-bob"

// TestAbuse sends to a host's code page what must never sign anybody in, and
// fails when the host sets a session cookie that the guard accepts for it. newHost
// is called once in each subtest and returns a kit and a page of a host that uses
// the kit's guard, with the default limits. A right code comes first: a page that
// does not accept it is not reached.
func TestAbuse(t *testing.T, newHost func(t testing.TB) (*Kit, CodePage)) {
	for _, c := range abuseCases() {
		t.Run(c.name, func(t *testing.T) {
			kit, page := newHost(t)
			c.check(t, kit, page)
		})
	}
}

func (c abuseCase) check(t tester, k *Kit, page CodePage) {
	t.Helper()
	a := &abuse{t: t, kit: k, page: page}
	for id, u := range map[string]*abused{aliceID: &a.alice, bobID: &a.bob} {
		k.Users.Add(mfa.User{ID: id})
		var err error
		if u.app, u.session, _, err = k.enroll(t.Context(), id); err != nil {
			t.Fatalf("enrolling: %v", err)
		}
	}
	if token := page(t.Context(), a.flow(aliceID), "", a.alice.code(k)); !a.accepted(token) {
		t.Fatalf("the page did not accept a right code, so this proves nothing")
	}
	k.Clock.Advance(a.alice.app.Period())
	if token := c.run(a); a.accepted(token) {
		t.Fatalf("somebody was signed in\nthe rule: %s", c.explanation)
	}
}

// accepted reports whether token is a session's.
func (a *abuse) accepted(token string) bool {
	_, err := a.kit.Guard.Session(a.t.Context(), token, Laptop())
	return token != "" && err == nil
}
