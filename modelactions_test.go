package mfa_test

import (
	"time"

	"pgregory.net/rapid"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// person draws somebody.
func (m *machine) person(rt *rapid.T) *person { return rapid.SampledFrom(m.people).Draw(rt, "person") }

// flow draws somebody and a flow of hers, over or not.
func (m *machine) flow(rt *rapid.T) (*person, track) {
	p := m.person(rt)
	if len(p.flows) == 0 {
		m.signIn(rt, p)
	}
	if len(p.flows) == 0 {
		rt.Skip("no flow: another action is drawn")
	}
	// The latest ones are the likeliest to be alive.
	return p, p.flows[len(p.flows)-1-min(rapid.IntRange(0, 5).Draw(rt, "flow"), len(p.flows)-1)]
}

// session draws somebody and a session of hers, alive or not.
func (m *machine) session(rt *rapid.T) (*person, *mfa.Session) {
	p := m.person(rt)
	if len(p.sessions) == 0 {
		rt.Skip("no session: another action is drawn")
	}
	token := p.sessions[len(p.sessions)-1-min(rapid.IntRange(0, 3).Draw(rt, "session"), len(p.sessions)-1)]
	s, err := m.kit.Guard.Session(m.t.Context(), token, mfatest.Laptop())
	if err != nil {
		rt.Skip("over: another action is drawn")
	}
	return p, s
}

// SignIn is the first factor, and often the second.
func (m *machine) SignIn(rt *rapid.T) {
	p := m.person(rt)
	if out := m.signIn(rt, p); out.Pending == nil {
		return
	}
	guessing := rapid.SampledFrom([]bool{false, false, true}).Draw(rt, "guessing")
	for range rapid.SampledFrom([]int{0, 1, 2, 6}).Draw(rt, "tries") {
		at := p.flows[len(p.flows)-1]
		pr, step := m.proof(rt, p)
		if guessing && len(p.apps) > 0 {
			pr, step = mfa.Proof{Method: mfa.TOTP, Code: p.apps[0].Wrong(m.kit.Clock.Now())}, 0
		}
		m.step(rt, p, at, pr, step, func(pending *mfa.Pending) (mfa.Outcome, error) {
			return pending.Verify(m.t.Context(), pr)
		})
	}
}

func (m *machine) signIn(rt *rapid.T, p *person) mfa.Outcome {
	out, _ := m.do(rt, &operation{person: p, signIn: true, run: func() (mfa.Outcome, error) {
		return m.kit.Guard.SignIn(m.t.Context(), mfa.SignIn{User: p.id, First: mfa.PasswordFirst(), Client: mfatest.Laptop()})
	}})
	return out
}

// step is a request of a flow's page.
func (m *machine) step(rt *rapid.T, p *person, at track, pr mfa.Proof, step int64, do func(*mfa.Pending) (mfa.Outcome, error)) (mfa.Outcome, bool) {
	op := &operation{person: p, track: at, proof: pr, step: step}
	op.run = func() (mfa.Outcome, error) {
		pending, err := m.kit.Guard.Pending(m.t.Context(), at.token, at.session, mfatest.Phone())
		if err != nil {
			return mfa.Outcome{}, err
		}
		op.signIn = pending.Purpose().SignIn()
		p.codes = append(p.codes, pending.BackupCodes().Reveal()...)
		return do(pending)
	}
	return m.do(rt, op)
}

// proof draws something to type: a code that is right, was right or will be, one
// of somebody else, a backup code, used, void or neither, or what is no code.
func (m *machine) proof(rt *rapid.T, p *person) (mfa.Proof, int64) {
	at := m.kit.Clock.Now().Add(time.Duration(rapid.IntRange(-2, 2).Draw(rt, "off")) * 30 * time.Second)
	kind := rapid.SampledFrom([]string{"app", "app", "backup", "wrong", "wrong", "wrong", "other", "malformed"}).Draw(rt, "proof")
	switch {
	case kind == "backup" && len(p.codes) > 0:
		i := rapid.IntRange(0, len(p.codes)-1).Draw(rt, "code")
		return mfa.Proof{Method: mfa.BackupCode, Code: p.codes[i]}, 0
	case kind == "malformed" || len(p.apps) == 0:
		return mfa.Proof{Method: mfa.TOTP, Code: "12345"}, 0
	case kind == "wrong":
		return mfa.Proof{Method: mfa.TOTP, Code: p.apps[0].Wrong(m.kit.Clock.Now())}, 0
	case kind == "other":
		return mfa.Proof{Method: mfa.TOTP, Code: m.people[0].apps[0].Code(at)}, at.Unix() / 30
	}
	app := rapid.SampledFrom(p.apps).Draw(rt, "app")
	return mfa.Proof{Method: mfa.TOTP, Code: app.Code(at)}, at.Unix() / 30
}

// Verify is the code page.
func (m *machine) Verify(rt *rapid.T) {
	p, at := m.flow(rt)
	pr, step := m.proof(rt, p)
	m.step(rt, p, at, pr, step, func(pending *mfa.Pending) (mfa.Outcome, error) {
		return pending.Verify(m.t.Context(), pr)
	})
}

// Bind is the setup page: another app, and its first code.
func (m *machine) Bind(rt *rapid.T) {
	p, at := m.flow(rt)
	var uri string
	if _, ok := m.step(rt, p, at, mfa.Proof{}, 0, func(pending *mfa.Pending) (mfa.Outcome, error) {
		setup, err := pending.StartTOTP(m.t.Context(), "")
		uri = setup.URI()
		return mfa.Outcome{}, err
	}); !ok {
		return
	}
	app, err := mfatest.NewAuthenticator(uri)
	if err != nil {
		rt.Fatal(err)
	}
	now := m.kit.Clock.Now()
	pr := mfa.Proof{Method: mfa.TOTP, Code: app.Code(now)}
	p.apps = append(p.apps, app)
	m.step(rt, p, at, pr, now.Unix()/30, func(pending *mfa.Pending) (mfa.Outcome, error) {
		return pending.ConfirmTOTP(m.t.Context(), pr.Code)
	})
}

// Page is every other button of a flow's pages.
func (m *machine) Page(rt *rapid.T) {
	p, at := m.flow(rt)
	button := rapid.SampledFrom([]string{"save", "save", "skip", "password", "cancel"}).Draw(rt, "button")
	m.step(rt, p, at, mfa.Proof{}, 0, func(pending *mfa.Pending) (mfa.Outcome, error) {
		switch button {
		case "save":
			return pending.SaveCodes(m.t.Context())
		case "skip":
			return pending.Skip(m.t.Context())
		case "password":
			return pending.Reauthenticated(m.t.Context(), mfa.PasswordFirst())
		}
		return mfa.Outcome{}, pending.Cancel(m.t.Context())
	})
}

// StepUp opens a flow of a session.
func (m *machine) StepUp(rt *rapid.T) {
	p, s := m.session(rt)
	to := rapid.SampledFrom([]mfa.Purpose{mfa.ToEnroll(mfa.TOTP), mfa.ToConfirm("x"), mfa.ToEnter("acme")}).Draw(rt, "to")
	m.do(rt, &operation{person: p, track: track{session: s.Token()}, run: func() (mfa.Outcome, error) { return s.StepUp(m.t.Context(), to, "") }})
}

// NewCodes replaces the backup codes.
func (m *machine) NewCodes(rt *rapid.T) {
	p, s := m.session(rt)
	m.do(rt, &operation{person: p, track: track{session: s.Token()}, run: func() (mfa.Outcome, error) { return s.NewBackupCodes(m.t.Context(), "") }})
}

// Settings is every other button of the security page.
func (m *machine) Settings(rt *rapid.T) {
	p, s := m.session(rt)
	ctx, id := m.t.Context(), ""
	if apps := m.snapshot(p).account.TOTP; len(apps) > 0 {
		id = apps[0].ID
	}
	button := rapid.SampledFrom([]string{"rename", "remove", "ask", "not ask", "revoke others", "revoke", "sign out"}).Draw(rt, "button")
	_, ok := m.do(rt, &operation{person: p, run: func() (mfa.Outcome, error) {
		var err error
		switch button {
		case "rename":
			err = s.RenameTOTP(ctx, id, "phone")
		case "remove":
			err = s.RemoveTOTP(ctx, id)
		case "ask", "not ask":
			err = s.SetAskAtSignIn(ctx, button == "ask")
		case "revoke others":
			err = s.RevokeOthers(ctx)
		case "revoke":
			err = s.Revoke(ctx, s.ID())
		case "sign out":
			err = s.SignOut(ctx)
		}
		return mfa.Outcome{}, err
	}})
	switch {
	case ok && (button == "revoke" || button == "sign out"):
		p.ended = append(p.ended, s.Token())
	case ok && button == "revoke others":
		for _, token := range p.sessions {
			if token != s.Token() {
				p.ended = append(p.ended, token)
			}
		}
	}
}

// Desk is the support desk and what the host tells.
func (m *machine) Desk(rt *rapid.T) {
	p, ctx := m.person(rt), m.t.Context()
	desk, guard := m.kit.Guard.Operator("desk", ""), m.kit.Guard
	act := rapid.SampledFrom([]string{
		"unlock", "unlock", "unlock", "end sessions", "end sessions", "reset", "reset", "disable",
		"enable", "enable", "enable", "new password", "new password", "reseal", "reseal", "forget",
	}).Draw(rt, "act")
	_, ok := m.do(rt, &operation{
		person: p, resets: act == "reset" || act == "new password" || act == "forget",
		run: func() (mfa.Outcome, error) {
			return mfa.Outcome{}, map[string]func() error{
				"unlock":       func() error { return desk.Unlock(ctx, p.id) },
				"end sessions": func() error { return desk.EndSessions(ctx, p.id) },
				"reset":        func() error { return desk.Reset(ctx, p.id) },
				"disable":      func() error { return guard.Disable(ctx, p.id) },
				"enable":       func() error { return guard.Enable(ctx, p.id) },
				"new password": func() error { return guard.CredentialsChanged(ctx, p.id) },
				"reseal":       func() error { return guard.Reseal(ctx, p.id) },
				"forget":       func() error { return guard.Forget(ctx, p.id) },
			}[act]()
		},
	})
	if ok && act != "unlock" && act != "enable" && act != "reseal" {
		p.ended = append(p.ended, p.sessions...)
	}
}

// Enter is the door of an organization.
func (m *machine) Enter(rt *rapid.T) {
	_, s := m.session(rt)
	_, err := m.kit.Guard.Enter(m.t.Context(), s.Token(), "acme", mfatest.Laptop())
	if err == nil && m.rules.Require != mfa.RequireOff && len(s.Assurance().Proofs) == 0 {
		rt.Fatal("the door let somebody in without a factor")
	}
}

// Time moves the clock, back too.
func (m *machine) Time(rt *rapid.T) {
	m.kit.Clock.Advance(rapid.SampledFrom([]time.Duration{
		time.Second, 30 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, time.Hour, 25 * time.Hour,
		-time.Second, -30 * time.Second, -10 * time.Minute, -25 * time.Hour,
	}).Draw(rt, "time"))
}
