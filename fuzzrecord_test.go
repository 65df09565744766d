package mfa_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/internal/phc"
	"github.com/seed-1320b244/mfa/mfatest"
)

// isTyped reports whether err is one that a host can branch on.
func isTyped(err error) bool {
	for _, sentinel := range []error{
		mfa.ErrInvalid, mfa.ErrNoSession, mfa.ErrNoPending, mfa.ErrNoUser, mfa.ErrRefused, mfa.ErrThrottled, mfa.ErrStepUp,
		mfa.ErrForbidden, mfa.ErrUnavailable,
	} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return err == nil
}

// stage is a user in the middle of things, made of the golden records, so that
// every process and every run of the fuzzer has the same.
type stage struct {
	records       []mfa.Record // account, history, pending, session, browser
	session, flow string       // tokens; the session opened the flow
	browser       string
	app           *mfatest.Authenticator
}

func newStage(t testing.TB) *stage {
	t.Helper()
	s := &stage{}
	for _, kind := range []string{"account", "history", "pending", "session", "browser"} {
		r, g := readGolden(t, kind)
		switch kind {
		case "account":
			r.Expires = time.Time{}
			hash := phc.Insecure().Hash([]byte("QW3ERT5YAHJKZX"))
			alter(t, &r, func(d *mfa.AccountData) {
				d.Disabled, d.Forgotten, d.Compromised, d.Tries = false, false, false, nil
				d.Codes[0].Hash, d.Codes[1].Hash = hash, hash
			})
		case "pending":
			s.flow = g.Token
			alter(t, &r, func(d *mfa.PendingData) { d.To, d.Over = 4, "" })
		case "session":
			s.session = g.Token
		case "browser":
			s.browser = g.Token
		}
		s.records = append(s.records, r)
	}
	var err error
	if s.app, err = mfatest.NewAuthenticator("otpauth://totp/x:ann?issuer=x&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"); err != nil {
		t.Fatal(err)
	}
	return s
}

// alter changes what r holds.
func alter[T any](t testing.TB, r *mfa.Record, change func(*T)) {
	t.Helper()
	var d T
	err := json.Unmarshal(r.Data, &d)
	if err == nil {
		change(&d)
		r.Data, err = json.Marshal(d)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// raise returns a kit with the stage in its store, and data in place of what the
// record with number which held.
func (s *stage) raise(t *testing.T, which int, data []byte) *mfatest.Kit {
	t.Helper()
	k := newKeyKit(t, goldenKey, postal)
	k.Clock.Advance(time.Unix(1772355700, 0).Sub(k.Clock.Now()))
	for i, r := range s.records {
		if i == which {
			r.Data = data
		}
		overwrite(t, k.Config.Store, mfa.SignRecord(k.Guard, r))
	}
	return k
}

// answers collects what calls answered: which were refused, by name.
type answers map[string]bool

// check reports an error that is no typed answer.
func (a answers) check(t *testing.T, call string, err error) {
	t.Helper()
	a[call] = err != nil
	if !isTyped(err) {
		t.Errorf("%s: %v is none of the sentinels", call, err)
	}
}

// playFlow does everything that a flow allows, then signs in.
func (s *stage) playFlow(t *testing.T, k *mfatest.Kit, a answers) {
	ctx, laptop := t.Context(), mfatest.Laptop()
	totp := mfa.Proof{Method: mfa.TOTP, Code: s.app.Code(k.Clock.Now())}
	for _, step := range []struct {
		name string
		do   func(*mfa.Pending) error
	}{
		{"Reauthenticated", func(p *mfa.Pending) error { _, err := p.Reauthenticated(ctx, mfa.PasswordFirst()); return err }},
		{"StartTOTP", func(p *mfa.Pending) error { _, err := p.StartTOTP(ctx, "x"); return err }},
		{"ConfirmTOTP", func(p *mfa.Pending) error { _, err := p.ConfirmTOTP(ctx, "000000"); return err }},
		{"Skip", func(p *mfa.Pending) error { _, err := p.Skip(ctx); return err }},
		{"Verify", func(p *mfa.Pending) error { _, err := p.Verify(ctx, totp); return err }},
		{"SaveCodes", func(p *mfa.Pending) error { _, err := p.SaveCodes(ctx); return err }},
		{"Cancel", func(p *mfa.Pending) error { return p.Cancel(ctx) }},
	} {
		p, err := k.Guard.Pending(ctx, s.flow, s.session, laptop)
		a.check(t, "Pending for "+step.name, err)
		if err == nil {
			_ = fmt.Sprint(p.Need(), p.BackupCodes().Len(), p.Purpose(), p.Expires(), p.Return())
			a.check(t, step.name, step.do(p))
		}
	}
	out, err := k.Guard.SignIn(ctx, mfa.SignIn{User: "ann", First: mfa.PasswordFirst(), Client: laptop, Presented: []string{s.session, s.flow}})
	a.check(t, "SignIn", err)
	in := mfa.SignIn{User: "ann", First: mfa.PasswordFirst(), Client: laptop, Browsers: []string{s.browser}}
	spared, err := k.Guard.SignIn(ctx, in)
	a.check(t, "SignIn in a browser", err)
	if err == nil && spared.Session != nil {
		a.check(t, "ForgetBrowsers", spared.Session.ForgetBrowsers(ctx, s.records[len(s.records)-1].ID))
	}
	if out.Pending != nil {
		_, err = out.Pending.Verify(ctx, mfa.Proof{Method: mfa.BackupCode, Code: "7KQW-3ERT-5YAH-JKZX"})
		a.check(t, "Verify a backup code", err)
	}
}

// playSession does everything that a session allows, then what the host and its
// support desk can do.
func (s *stage) playSession(t *testing.T, k *mfatest.Kit, a answers) {
	ctx := t.Context()
	_, err := k.Guard.Export(ctx, "ann")
	a.check(t, "Export", err)
	_, err = k.Guard.Enter(ctx, s.session, "acme", mfatest.Laptop())
	a.check(t, "Enter", err)
	h, err := k.Guard.Session(ctx, s.session, mfatest.Phone())
	a.check(t, "Session", err)
	if err == nil {
		_ = fmt.Sprint(h.Assurance(), h.Expires())
		_, err = h.Overview(ctx)
		a.check(t, "Overview", err)
		_, err = h.StepUp(ctx, mfa.ToConfirm("x"), "")
		a.check(t, "StepUp", err)
		_, err = h.NewBackupCodes(ctx, "")
		a.check(t, "NewBackupCodes", err)
		a.check(t, "SetAskAtSignIn", h.SetAskAtSignIn(ctx, false))
		a.check(t, "RenameTOTP", h.RenameTOTP(ctx, "2YTJw0EGTCm0oHH6AFyYmg", "x"))
		a.check(t, "RemoveTOTP", h.RemoveTOTP(ctx, "2YTJw0EGTCm0oHH6AFyYmg"))
		a.check(t, "RevokeOthers", h.RevokeOthers(ctx))
	}
	desk := k.Guard.Operator("desk", "")
	a.check(t, "Unlock", desk.Unlock(ctx, "ann"))
	a.check(t, "Reseal", k.Guard.Reseal(ctx, "ann"))
	a.check(t, "EndSessions", desk.EndSessions(ctx, "ann"))
	a.check(t, "Reset", desk.Reset(ctx, "ann"))
	a.check(t, "CredentialsChanged", k.Guard.CredentialsChanged(ctx, "ann"))
	a.check(t, "Disable", k.Guard.Disable(ctx, "ann"))
	a.check(t, "Enable", k.Guard.Enable(ctx, "ann"))
	a.check(t, "Forget", k.Guard.Forget(ctx, "ann"))
}

// FuzzRecord checks that data which only the holder of the keys can have written,
// such as a later version of this library or a tool gone wrong, never makes an
// operation panic: each works, or refuses with an error that a host can branch on.
func FuzzRecord(f *testing.F) {
	s := newStage(f)
	for i, r := range s.records {
		text := string(r.Data)
		f.Add(i, text)
		f.Add(i, strings.ReplaceAll(text, ":17723", ":99999917723")) // in the year 3 million
		f.Add(i, strings.ReplaceAll(text, ":1,", ":-9223372036854775808,"))
		f.Add(i, strings.ReplaceAll(text, `"I9FN`, `"AAAA`)) // sealed under another key
		f.Add(i, strings.ReplaceAll(text, `=`, ``))
		for _, more := range []string{
			`null`, `{"v":1}`, `{"v":1,"totp":[{}]}`,
			`{"v":1,"totp":[{"id":"x","sealed":"","alg":"SHA1","digits":6,"period":0}],"codes":[{"s":"","h":""}]}`,
			`{"v":1,"codes":[{"s":"000","h":"$argon2id$"},{"s":"7K","h":"x"}],"totp":[{}],"tries":{"totp":{"n":-1,"t":-1},"":{"n":2147483647}},"ask":true}`,
			`{"v":1,"failures":[9223372036854775807,-9223372036854775808,0],"ask":true}`,
			`{"v":1,"s":"","c":-9223372036854775808,"l":9223372036854775807,"a":"nowhere","m":{"m":-1,"t":9223372036854775807},"u":9223372036854775807}`,
			`{"v":1,"e":[{},{"n":"signed_in","t":9223372036854775807,"m":"totp","i":"nowhere"}]}`,
		} {
			f.Add(i, more)
		}
	}
	const pending = 2
	for to := range 6 {
		f.Add(pending, strings.Replace(string(s.records[pending].Data), `"p":4`, fmt.Sprint(`"p":`, to), 1))
		f.Add(pending, strings.NewReplacer(`"p":4`, fmt.Sprint(`"p":`, to), `"o":`, `"later":`, `"d":`, `"later":`, `"b":true`, `"b":false`).
			Replace(string(s.records[pending].Data)))
	}
	f.Fuzz(func(t *testing.T, which int, data string) {
		if len(data) == 0 || len(data) > 64<<10 {
			return // no store keeps it
		}
		at := int(uint(which) % uint(len(s.records)))
		s.playFlow(t, s.raise(t, at, []byte(data)), answers{})
		s.playSession(t, s.raise(t, at, []byte(data)), answers{})
	})
}

// TestFuzzRecord_Reaches checks that the fuzzer's stage is one on which things
// work: else it would only ever see the first refusal.
func TestFuzzRecord_Reaches(t *testing.T) {
	s, a := newStage(t), answers{}
	s.playFlow(t, s.raise(t, -1, nil), a)
	s.playSession(t, s.raise(t, -1, nil), a)
	for _, call := range []string{
		"Pending for Verify", "SaveCodes", "SignIn", "SignIn in a browser", "ForgetBrowsers", "Verify a backup code", "Export", "Enter", "Overview", "StepUp", "NewBackupCodes",
		"SetAskAtSignIn", "RenameTOTP", "RemoveTOTP", "RevokeOthers", "Unlock", "Reseal", "Forget",
	} {
		if refused, called := a[call]; refused || !called {
			t.Errorf("%s: called %t, refused %t", call, called, refused)
		}
	}
}
