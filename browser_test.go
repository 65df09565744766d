package mfa_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

const week = 7 * 24 * time.Hour

// A surfer is one browser, which keeps what it is given: by user, as a host with a
// cookie for each of them does.
type surfer struct {
	*lab
	client mfa.Client
	tokens map[string]string
}

// surf returns a browser that nobody signed in with yet.
func (l *lab) surf() *surfer {
	return &surfer{lab: l, client: mfatest.Laptop(), tokens: make(map[string]string)}
}

// browsing returns a lab in which browsers may be remembered, and one in which ann
// was: her app is proven in it.
func browsing(t testing.TB, options ...func(*mfa.Config)) (*lab, *surfer) {
	t.Helper()
	l := newLab(t, append([]func(*mfa.Config){postal}, options...)...)
	b := l.surf()
	b.remember(t)
	l.Events.Take()
	return l, b
}

func (b *surfer) keep(user string, out mfa.Outcome) {
	if token := out.Browser(); token != "" {
		b.tokens[user] = token
	}
}

// arrive is the password form.
func (b *surfer) arrive(t testing.TB, user string) (mfa.Outcome, error) {
	t.Helper()
	var all []string
	for _, token := range b.tokens {
		all = append(all, token)
	}
	out, err := b.Guard.SignIn(t.Context(), mfa.SignIn{User: user, First: mfa.PasswordFirst(), Client: b.client, Browsers: all})
	b.keep(user, out)
	return out, err
}

// typed is the code page after the password form.
func (b *surfer) typed(t testing.TB, pr mfa.Proof) *mfa.Session {
	t.Helper()
	out, err := b.prove(t, pr)
	if err != nil || out.Session == nil {
		t.Fatalf("signing in: session %t, %v (%s)", out.Session != nil, err, mfa.ReasonOf(err))
	}
	b.Clock.Advance(b.app.Period())
	return out.Session
}

func (b *surfer) prove(t testing.TB, pr mfa.Proof) (mfa.Outcome, error) {
	t.Helper()
	out, err := b.arrive(t, "ann")
	if err == nil && out.Pending != nil {
		out, err = out.Pending.Verify(t.Context(), pr)
	}
	b.keep("ann", out)
	return out, err
}

// try is typed for what may go wrong.
func (b *surfer) try(t testing.TB, pr mfa.Proof) error {
	t.Helper()
	_, err := b.prove(t, pr)
	return err
}

// remember signs ann in with her app and has the browser remembered.
func (b *surfer) remember(t testing.TB) *mfa.Session {
	t.Helper()
	pr := b.right()
	pr.Remember = true
	return b.typed(t, pr)
}

// skips reports whether ann gets a session for her password alone, and fails when
// she gets neither that nor a question for a factor.
func (b *surfer) skips(t testing.TB) bool {
	t.Helper()
	out, err := b.arrive(t, "ann")
	switch {
	case err != nil:
		t.Fatalf("SignIn: %v (%s)", err, mfa.ReasonOf(err))
	case out.Session != nil:
		if r := out.Session.Assurance().Remembered; r.Method == 0 || r.At.IsZero() {
			t.Fatal("a session for a password alone, and no word of the browser")
		}
	case out.Pending.Need().Step != mfa.StepVerify:
		t.Fatalf("asked for %+v", out.Pending.Need())
	}
	return out.Session != nil
}

// skipping is skips as a check.
func (b *surfer) skipping(t testing.TB, want bool) {
	t.Helper()
	if got := b.skips(t); got != want {
		t.Fatalf("the browser skips the factor: %t, want %t", got, want)
	}
}

// under remakes the guard with other rules, as a deployment of them does.
func (l *lab) under(t testing.TB, change func(*mfa.Config)) {
	t.Helper()
	change(&l.Config)
	g, err := mfa.New(l.Config)
	if err != nil {
		t.Fatal(err)
	}
	l.Guard = g
}

// requiring is a change for under, and an option.
func requiring(where mfa.Require) func(*mfa.Config) {
	return func(c *mfa.Config) { c.Policy.Rules.Require = where }
}

// TestRow_C5_RememberedForAWeek: a browser in which "remember" was ticked is asked
// for no code for a week, another browser on the same device is.
func TestRow_C5_RememberedForAWeek(t *testing.T) {
	l := newLab(t, postal, requiring(mfa.RequireAtSignIn))
	b, other := l.surf(), l.surf()
	b.skipping(t, false)
	b.remember(t)
	for _, e := range l.Events.Take() {
		if e.Name == mfa.EventBrowserRemembered && (e.Method != mfa.TOTP || e.User != "ann") {
			t.Errorf("the event: %+v", e)
		}
	}
	other.skipping(t, false)
	other.typed(t, l.right()) // and does not tick
	other.skipping(t, false)
	b.skipping(t, true)
	l.Clock.Advance(week - l.app.Period() - time.Minute)
	b.skipping(t, true)
	l.Clock.Advance(2 * time.Minute)
	b.skipping(t, false)
	b.remember(t)
	b.skipping(t, true)
}

// TestR16_SevenDaysAbsolute: R16 remembers for the time of the rules from the
// binding, whatever the browser is used for meanwhile, and gives no new token.
func TestR16_SevenDaysAbsolute(t *testing.T) {
	for _, d := range []time.Duration{time.Hour, 24 * time.Hour, week} {
		t.Run(d.String(), func(t *testing.T) {
			l := newLab(t, postal, func(c *mfa.Config) { c.Policy.Rules.Remember = d })
			b := l.surf()
			since := l.Clock.Now()
			b.remember(t)
			was := b.tokens["ann"]
			for range 3 {
				l.Clock.Advance(d / 4)
				out, err := b.arrive(t, "ann")
				if err != nil || out.Session == nil || out.Browser() != "" || b.tokens["ann"] != was {
					t.Fatalf("session %t, a new token %t, %v", out.Session != nil, out.Browser() != "", err)
				}
				if got := out.Session.Assurance().Remembered; got != (mfa.Proven{Method: mfa.TOTP, At: since}) {
					t.Errorf("remembered %+v, want since %v", got, since)
				}
			}
			l.Clock.Advance(since.Add(d - time.Second).Sub(l.Clock.Now()))
			b.skipping(t, true)
			l.Clock.Advance(time.Second)
			b.skipping(t, false)
		})
	}
}

// TestR16_PerUser: R16 remembers a browser for one user. Several share it, each
// with a token of her own, whatever the order; what is not such a token says
// nothing.
func TestR16_PerUser(t *testing.T) {
	l, b := browsing(t)
	bobApp, bob, _ := l.Enroll(t, "bob")
	pr := mfa.Proof{Method: mfa.TOTP, Code: bobApp.Code(l.Clock.Now()), Remember: true}
	out, err := b.arrive(t, "bob")
	if err != nil || out.Pending == nil {
		t.Fatalf("ann's browser lets bob in: %v", err)
	}
	if out, err = out.Pending.Verify(t.Context(), pr); err != nil {
		t.Fatal(err)
	}
	b.keep("bob", out)
	b.skipping(t, true)
	anns, bobs := b.tokens["ann"], b.tokens["bob"]
	stranger, foreign := browsing(t)
	flow := l.flow(t)
	for _, c := range []struct {
		name     string
		user     string
		browsers []string
		want     bool
	}{
		{"her own", "ann", []string{anns}, true}, {"last of four", "ann", []string{"", bobs, flow, anns}, true}, {"first of four", "bob", []string{bobs, anns, "x", ""}, true},
		{"the other's", "ann", []string{bobs}, false}, {"hers for him", "bob", []string{anns}, false}, {"none", "ann", nil, false},
		{"of another installation", "ann", []string{foreign.tokens["ann"]}, false}, {"a session", "ann", []string{bob.Token(), l.session.Token()}, false},
		{"a flow", "ann", []string{flow}, false}, {"cut", "ann", []string{anns[:len(anns)-1]}, false}, {"longer", "ann", []string{anns + "A"}, false},
		{"of one who is known", "ann", l.Browsers("ann"), false}, {"a space before", "ann", []string{" " + anns}, false},
	} {
		out, err := l.Guard.SignIn(t.Context(), mfa.SignIn{User: c.user, First: mfa.PasswordFirst(), Browsers: c.browsers})
		if err != nil || (out.Session != nil) != c.want {
			t.Errorf("%s: session %t, %v, want %t", c.name, out.Session != nil, err, c.want)
		}
	}
	if _, err := stranger.Guard.Session(t.Context(), anns, mfatest.Laptop()); !errors.Is(err, mfa.ErrNoSession) {
		t.Errorf("a browser's token for a session: %v", err)
	}
	_, err = l.Guard.SignIn(t.Context(), mfa.SignIn{User: "ann", First: mfa.PasswordFirst(), Browsers: []string{"", "", "", "", anns}})
	wants(t, err, mfa.ErrInvalid, mfa.ReasonInvalidArgument)
}

// TestR16_TokenIsNoSession: R16's token is no other kind, and none is it: it ends
// nothing when it is presented as a session, and opens no flow.
func TestR16_TokenIsNoSession(t *testing.T) {
	l, b := browsing(t)
	token := b.tokens["ann"]
	if _, err := l.Guard.Session(t.Context(), token, mfatest.Laptop()); mfa.ReasonOf(err) != mfa.ReasonForgedToken {
		t.Errorf("as a session: %v (%s)", err, mfa.ReasonOf(err))
	}
	if _, err := l.Guard.Pending(t.Context(), token, token, mfatest.Laptop()); mfa.ReasonOf(err) != mfa.ReasonForgedToken {
		t.Errorf("as a flow: %v (%s)", err, mfa.ReasonOf(err))
	}
	if _, err := l.Guard.SignIn(t.Context(), mfa.SignIn{User: "bob", First: mfa.PasswordFirst(), Presented: []string{token}}); err != nil {
		t.Error(err)
	}
	b.skipping(t, true)
}

// TestR16_SkipsAtSignInOnly: R16 lets a remembered browser skip the factor at
// sign-in and nowhere else: every sensitive action asks for it, and a door does that
// the rules make ask of itself. A door counts it as the sign-in did.
func TestR16_SkipsAtSignInOnly(t *testing.T) {
	for _, where := range []mfa.Require{mfa.RequireOff, mfa.RequireAtDoor, mfa.RequireAtSignIn} {
		t.Run(fmt.Sprint("require ", int(where)), func(t *testing.T) {
			l, b := browsing(t, requiring(where))
			out, err := b.arrive(t, "ann")
			if err != nil || out.Session == nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			s := out.Session
			if a := s.Assurance(); len(a.Proofs) != 0 || a.Remembered.Method != mfa.TOTP {
				t.Errorf("the session proved %+v", a)
			}
			l.sensitiveAsks(t, s)
			_, err = l.Guard.Enter(t.Context(), s.Token(), "acme", mfatest.Laptop())
			step, serr := s.StepUp(t.Context(), mfa.ToEnter("acme"), "")
			if serr != nil {
				t.Fatal(serr)
			}
			if where == mfa.RequireAtDoor {
				wants(t, err, mfa.ErrStepUp, mfa.ReasonRule)
				if step.Pending == nil || step.Pending.Need().Step != mfa.StepVerify {
					t.Error("the step-up at the door asks for nothing")
				}
			} else if err != nil || step.Session == nil {
				t.Errorf("the door: %v (%s), session %t", err, mfa.ReasonOf(err), step.Session != nil)
			}
			l.Clock.Advance(12 * time.Hour)
			if got, err := l.Guard.Session(t.Context(), s.Token(), mfatest.Laptop()); err != nil || got.Assurance().Remembered.Method != mfa.TOTP {
				t.Errorf("the next request: %v", err)
			}
		})
	}
}

// sensitiveAsks fails unless everything sensitive asks for the factor in s.
func (l *lab) sensitiveAsks(t *testing.T, s *mfa.Session) {
	t.Helper()
	ctx := t.Context()
	_, err := s.NewBackupCodes(ctx, "")
	for what, err := range map[string]error{
		"NewBackupCodes": err, "RemoveTOTP": s.RemoveTOTP(ctx, l.account(t, "ann").TOTP[0].ID), "SetAskAtSignIn": s.SetAskAtSignIn(ctx, false),
		"RenameTOTP": s.RenameTOTP(ctx, l.account(t, "ann").TOTP[0].ID, "x"), "SetMethod": s.SetMethod(ctx, mfa.EmailCode, true),
		"Revoke": s.Revoke(ctx, l.session.ID()), "RevokeOthers": s.RevokeOthers(ctx),
	} {
		if !errors.Is(err, mfa.ErrStepUp) || mfa.ReasonOf(err) != mfa.ReasonStale {
			t.Errorf("%s: %v (%s), want a step-up", what, err, mfa.ReasonOf(err))
		}
	}
	for _, p := range []mfa.Purpose{mfa.ToConfirm("pay"), mfa.ToEnroll(mfa.TOTP), mfa.ToEnroll(mfa.EmailCode)} {
		out, err := s.StepUp(ctx, p, "")
		if err != nil || out.Pending == nil || out.Pending.Need().Step != mfa.StepVerify {
			t.Errorf("StepUp to %v: %v, pending %t", p, err, out.Pending != nil)
			continue
		}
		if _, err := out.Pending.StartTOTP(ctx, "x"); !errors.Is(err, mfa.ErrRefused) {
			t.Errorf("binding without a proof: %v", err)
		}
	}
}

// TestR16_PolicyCountsAtOnce: rules that remember for a shorter time, or not at all,
// hold for browsers that are remembered already, at sign-in and at the door. Rules
// that remember longer hold for those that are remembered from then on.
func TestR16_PolicyCountsAtOnce(t *testing.T) {
	l, b := browsing(t, requiring(mfa.RequireAtSignIn))
	bound := l.Clock.Now().Add(-l.app.Period())
	l.Clock.Advance(2 * time.Hour)
	out, err := b.arrive(t, "ann")
	if err != nil || out.Session == nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	token := out.Session.Token()
	age := l.Clock.Now().Sub(bound)
	for _, c := range []struct {
		remember time.Duration
		want     bool
	}{{0, false}, {time.Hour, false}, {age, false}, {age + time.Second, true}, {week, true}, {0, false}} {
		l.under(t, func(cfg *mfa.Config) { cfg.Policy.Rules.Remember = c.remember })
		if got := b.skips(t); got != c.want {
			t.Errorf("remembering for %v: skips %t, want %t", c.remember, got, c.want)
		}
		_, err := l.Guard.Enter(t.Context(), token, "acme", mfatest.Laptop())
		if (err == nil) != c.want || err != nil && !errors.Is(err, mfa.ErrStepUp) {
			t.Errorf("remembering for %v: the door says %v, want open %t", c.remember, err, c.want)
		}
	}
	// Shown is until when it counts, and not until when it would have.
	l.under(t, func(cfg *mfa.Config) { cfg.Policy.Rules.Remember = 4 * time.Hour })
	o, err := l.enter(t, l.right()).Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(o.Browsers, func(b mfa.BrowserInfo) bool { return !b.Remembered.IsZero() })
	if i < 0 || !o.Browsers[i].Remembered.Equal(bound.Add(4*time.Hour)) {
		t.Errorf("the page shows %+v, want until %v", o.Browsers, bound.Add(4*time.Hour))
	}

	l, b = browsing(t, func(c *mfa.Config) { c.Policy.Rules.Remember = time.Hour })
	l.under(t, func(c *mfa.Config) { c.Policy.Rules.Remember = week })
	l.Clock.Advance(time.Hour - l.app.Period() - time.Second)
	b.skipping(t, true)
	l.Clock.Advance(time.Second)
	b.skipping(t, false)
}

// TestR16_DoorCountsAsSignInDid: what the browser was remembered for counts at the
// door as long as the session lives, although the browser is not remembered any
// more at sign-in.
func TestR16_DoorCountsAsSignInDid(t *testing.T) {
	l, b := browsing(t, requiring(mfa.RequireAtSignIn))
	l.Clock.Advance(week - l.app.Period() - time.Second)
	out, err := b.arrive(t, "ann")
	if err != nil || out.Session == nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	l.Clock.Advance(23 * time.Hour)
	b.skipping(t, false)
	if _, err := l.Guard.Enter(t.Context(), out.Session.Token(), "acme", mfatest.Laptop()); err != nil {
		t.Errorf("the door: %v (%s)", err, mfa.ReasonOf(err))
	}
}
