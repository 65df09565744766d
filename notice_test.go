package mfa_test

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
)

const (
	annMail  = "ann@example.org"
	annPhone = "+351912345678"
)

// written returns a lab in which ann has a mail address and a number, both verified.
func written(t testing.TB, options ...func(*mfa.Config)) *lab {
	t.Helper()
	l := newLab(t, append([]func(*mfa.Config){postal, func(c *mfa.Config) { c.Locator = everywhere{} }}, options...)...)
	l.Users.Add(mfa.User{ID: "ann", Name: "Ann", Locale: "pt", Email: annMail, EmailVerified: true, Phone: annPhone, PhoneVerified: true})
	l.Inbox.Take()
	return l
}

// posted returns the kinds of what was delivered since the last look, by address, without
// codes.
func (l *lab) posted() map[string][]mfa.MessageKind {
	all := make(map[string][]mfa.MessageKind)
	for _, m := range l.Inbox.Take() {
		if m.Code() == "" {
			all[m.To] = append(all[m.To], m.Kind)
		}
	}
	return all
}

// posts fails unless exactly these notices were sent, all to one address.
func (l *lab) posts(t testing.TB, to string, want ...mfa.EventName) {
	t.Helper()
	got := l.posted()
	kinds := got[to]
	delete(got, to)
	slices.Sort(kinds)
	slices.Sort(want)
	if len(got) != 0 || !slices.EqualFunc(kinds, want, func(k mfa.MessageKind, n mfa.EventName) bool { return string(k) == string(n) }) {
		t.Errorf("%v to %s and %v to others, want %v", kinds, to, got, want)
	}
}

// A tiding is something that ann is told of, or is not.
type tiding struct {
	name  string
	do    func(t *testing.T, l *lab) error
	event []mfa.EventName // of which she is told
}

// fresh is a session of ann's that has just proven her factor, in her own browser.
func (l *lab) fresh(t testing.TB) *mfa.Session {
	t.Helper()
	s := l.enter(t, l.right())
	l.Inbox.Take()
	l.Events.Take()
	return s
}

func tidings() []tiding {
	operator := func(l *lab) *mfa.Admin { return l.Guard.Operator("desk", "<b>a stranger's words</b>") }
	wrong := func(n int) func(t *testing.T, l *lab) error {
		return func(t *testing.T, l *lab) error {
			l.change(t, "ann", func(d *mfa.AccountData) { d.Tries = map[string]mfa.Tries{"totp": {Wrong: n - 1}} })
			_, err := l.guess(t, l.wrong())
			if errors.Is(err, mfa.ErrRefused) {
				return nil
			}
			return fmt.Errorf("a wrong code: %w", err)
		}
	}
	return []tiding{
		{"sign-in", func(t *testing.T, l *lab) error { _, err := l.guess(t, l.right()); return err }, nil},
		{"sign-in elsewhere", func(t *testing.T, l *lab) error { return l.surf().try(t, l.right()) }, []mfa.EventName{mfa.EventNewDevice}},
		{"remembered", func(t *testing.T, l *lab) error {
			pr := l.right()
			pr.Remember = true
			return l.surf().try(t, pr)
		}, []mfa.EventName{mfa.EventNewDevice, mfa.EventBrowserRemembered}},
		{"remembered where she was before", func(t *testing.T, l *lab) error {
			pr := l.right()
			pr.Remember = true
			_, err := l.guess(t, pr)
			return err
		}, []mfa.EventName{mfa.EventBrowserRemembered}},
		{"one wrong code", wrong(1), nil},
		{"two wrong codes", wrong(2), []mfa.EventName{mfa.EventSecondFactorFailed}},
		{"five wrong codes", wrong(5), []mfa.EventName{mfa.EventMethodLocked}},
		{"a hundred wrong codes", wrong(100), []mfa.EventName{mfa.EventMethodDisabled}},
		{"a suspect password", func(t *testing.T, l *lab) error {
			l.change(t, "ann", func(d *mfa.AccountData) {
				d.Failures, d.Warned = slices.Repeat([]int64{l.Clock.Now().Unix()}, 19), l.Clock.Now().Unix()
			})
			return wrong(2)(t, l)
		}, []mfa.EventName{mfa.EventPasswordSuspect}},
		{"backup code", func(t *testing.T, l *lab) error { _, err := l.guess(t, l.backup(0)); return err }, []mfa.EventName{mfa.EventCodeUsed}},
		{"new codes", func(t *testing.T, l *lab) error { _, err := l.fresh(t).NewBackupCodes(t.Context(), ""); return err }, []mfa.EventName{mfa.EventCodesIssued}},
		{"switch", func(t *testing.T, l *lab) error { return l.fresh(t).SetAskAtSignIn(t.Context(), false) }, []mfa.EventName{mfa.EventAskChanged}},
		{"same switch", func(t *testing.T, l *lab) error { return l.fresh(t).SetAskAtSignIn(t.Context(), true) }, nil},
		{"mail on", func(t *testing.T, l *lab) error { return l.fresh(t).SetMethod(t.Context(), mfa.EmailCode, true) }, []mfa.EventName{mfa.EventFactorAdded}},
		{"text messages off", func(t *testing.T, l *lab) error { return l.fresh(t).SetMethod(t.Context(), mfa.SMSCode, false) }, []mfa.EventName{mfa.EventFactorRemoved}},
		{"app removed", func(t *testing.T, l *lab) error {
			return l.fresh(t).RemoveTOTP(t.Context(), l.account(t, "ann").TOTP[0].ID)
		}, []mfa.EventName{mfa.EventFactorRemoved}},
		{"renamed", func(t *testing.T, l *lab) error {
			return l.fresh(t).RenameTOTP(t.Context(), l.account(t, "ann").TOTP[0].ID, "<b>x</b>")
		}, nil},
		{"signed out", func(t *testing.T, l *lab) error { return l.fresh(t).SignOut(t.Context()) }, nil},
		{"reset", func(t *testing.T, l *lab) error { return operator(l).Reset(t.Context(), "ann") }, []mfa.EventName{mfa.EventFactorsReset}},
		{"unlock", func(t *testing.T, l *lab) error { return operator(l).Unlock(t.Context(), "ann") }, nil},
		{"sessions ended", func(t *testing.T, l *lab) error { return operator(l).EndSessions(t.Context(), "ann") }, nil},
		{"password", func(t *testing.T, l *lab) error { return l.Guard.CredentialsChanged(t.Context(), "ann") }, []mfa.EventName{mfa.EventCredentialsChanged}},
		{"disabled", func(t *testing.T, l *lab) error { return l.Guard.Disable(t.Context(), "ann") }, nil},
		{"deleted", func(t *testing.T, l *lab) error { return l.Guard.Forget(t.Context(), "ann") }, nil},
	}
}

// TestRow_E7_Notices: for each change a mail, once, with time, device and place; for
// what changes nothing none.
func TestRow_E7_Notices(t *testing.T) {
	for _, d := range tidings() {
		t.Run(d.name, func(t *testing.T) {
			l := written(t)
			if err := d.do(t, l); err != nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			for _, m := range l.Inbox.Messages("") {
				l.facts(t, m)
			}
			l.posts(t, annMail, slices.Clone(d.event)...)
		})
	}
}

// facts checks what a notice says.
func (l *lab) facts(t *testing.T, m mfa.Message) {
	t.Helper()
	byHost := m.Kind == mfa.MessageKind(mfa.EventFactorsReset) || m.Kind == mfa.MessageKind(mfa.EventCredentialsChanged)
	device, place, addr := "Firefox on Linux", "Lisbon, Portugal", netip.MustParseAddr("192.0.2.1")
	if byHost {
		device, place, addr = "", "", netip.Addr{}
	}
	since := l.Clock.Now().Sub(m.At)
	if m.Channel != mfa.EmailCode || m.User.ID != "ann" || m.User.Locale != "pt" || m.Device != device || m.Place != place || m.Addr != addr ||
		since < 0 || since > l.app.Period() || m.At.Location() != time.UTC || m.Code() != "" || !m.Expires.IsZero() || m.Action != "" {
		t.Errorf("%+v", m)
	}
	want := map[mfa.MessageKind]mfa.Method{
		"new_device": 0, "ask_changed": 0, "factors_reset": 0, "credentials_changed": 0, "browser_remembered": mfa.TOTP, "second_factor_failed": mfa.TOTP,
		"method_locked": mfa.TOTP, "method_disabled": mfa.TOTP, "password_compromised": mfa.Password, "code_used": mfa.BackupCode, "codes_issued": mfa.BackupCode,
	}
	if method, ok := want[m.Kind]; ok && m.Method != method {
		t.Errorf("%s names %v, want %v", m.Kind, m.Method, method)
	}
	if m.Kind == "code_used" && m.Left != 9 || m.Kind == "codes_issued" && m.Left != 10 {
		t.Errorf("%s: %d codes are left", m.Kind, m.Left)
	}
}

// pinned makes ann's an address that she proved once.
func pinned(address string, m mfa.Method) func(*testing.T, *lab) {
	return func(t *testing.T, l *lab) {
		was, err := l.Users.User(t.Context(), "ann")
		ok(t, err)
		l.Users.Add(mfa.User{ID: "ann", Email: address, EmailVerified: true, Phone: address, PhoneVerified: true})
		ok(t, l.fresh(t).SetMethod(t.Context(), m, true))
		l.Users.Add(was)
	}
}

// TestR29_WhereNoticesGo: R29 tells each address that is known to be the user's once:
// those of her mail, or without one her numbers. What nobody has verified or proven is
// told nothing.
func TestR29_WhereNoticesGo(t *testing.T) {
	const old, oldPhone = "old@example.net", "+351911111111"
	for _, c := range []struct {
		name    string
		user    mfa.User
		prepare func(*testing.T, *lab)
		want    []string
	}{
		{"mail and number", mfa.User{Email: annMail, EmailVerified: true, Phone: annPhone, PhoneVerified: true}, nil, []string{annMail}},
		{"mail not verified", mfa.User{Email: annMail, Phone: annPhone, PhoneVerified: true}, nil, []string{annPhone}},
		{"nothing verified", mfa.User{Email: annMail, Phone: annPhone}, nil, nil},
		{"no mail address", mfa.User{Email: "ann\r\nBcc: x@example.org", EmailVerified: true, Phone: "00351912345678", PhoneVerified: true}, nil, nil},
		{"pinned the same", mfa.User{Email: old, EmailVerified: true}, pinned(old, mfa.EmailCode), []string{old}},
		{"pinned, now another", mfa.User{Email: annMail, EmailVerified: true}, pinned(old, mfa.EmailCode), []string{annMail, old}},
		{"pinned, now another not verified", mfa.User{Email: annMail}, pinned(old, mfa.EmailCode), []string{old}},
		{"pinned, now none", mfa.User{}, pinned(old, mfa.EmailCode), []string{old}},
		{"pinned number", mfa.User{}, pinned(oldPhone, mfa.SMSCode), []string{oldPhone}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, postal)
			c.user.ID = "ann"
			l.Users.Add(c.user)
			if c.prepare != nil {
				c.prepare(t, l)
			}
			for name, d := range map[string]func() error{
				"password": func() error { return l.Guard.CredentialsChanged(t.Context(), "ann") },
				"reset":    func() error { return l.Guard.Operator("desk", "").Reset(t.Context(), "ann") },
			} {
				l.Inbox.Take()
				was, _ := l.Config.Store.List(t.Context(), "u/ann")
				if err := d(); err != nil {
					t.Fatal(err)
				}
				got := l.posted()
				if to := slices.Sorted(maps.Keys(got)); !slices.Equal(to, c.want) {
					t.Errorf("%s: told %q, want %q", name, to, c.want)
				}
				for to, kinds := range got {
					if len(kinds) != 1 {
						t.Errorf("%s: %d notices to %s", name, len(kinds), to)
					}
				}
				for _, r := range was { // the other one finds her as she was
					if r.Kind == "account" {
						overwrite(t, l.Config.Store, r)
					}
				}
			}
		})
	}
}

// TestR29_AddressChanged: R29 tells the old address, by whatever way it goes, when
// another is proven or the directory names another: once.
func TestR29_AddressChanged(t *testing.T) {
	l := written(t)
	s := l.fresh(t)
	if err := s.SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
		t.Fatal(err)
	}
	l.Inbox.Take()
	l.Users.Add(mfa.User{ID: "ann", Email: "thief@example.net", EmailVerified: true, Phone: annPhone, PhoneVerified: true})
	for range 3 {
		l.flow(t)
	}
	got := l.posted()
	for _, to := range []string{annMail, annPhone} {
		if !slices.Equal(got[to], []mfa.MessageKind{"address_changed"}) {
			t.Errorf("%s is told %v", to, got[to])
		}
	}
	// Proven by the one who holds the factor: the old one is told before it is gone.
	out, err := s.StepUp(t.Context(), mfa.ToEnroll(mfa.EmailCode), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Pending.StartAddress(t.Context(), mfa.EmailCode, "thief@example.net"); err != nil {
		t.Fatal(err)
	}
	code := l.Inbox.Code(t, "thief@example.net")
	l.Inbox.Take()
	if _, err := out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.EmailCode, Code: code}); err != nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	if got := l.posted(); !slices.Contains(got[annMail], "address_changed") || slices.Contains(got[annMail], "factor_added") {
		t.Errorf("told %v", got)
	}
}

// TestR29_UnknownToTheDirectory: R29 tells the pinned address of a change of password
// although the directory does not know the user any more, or fails.
func TestR29_UnknownToTheDirectory(t *testing.T) {
	for _, failing := range []bool{false, true} {
		l := written(t)
		if err := l.fresh(t).SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
			t.Fatal(err)
		}
		l.Inbox.Take()
		if l.Users.Remove("ann"); failing {
			l.Users.Fail(errors.New("down"))
		}
		if err := l.Guard.CredentialsChanged(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
		m := l.Inbox.Take()
		if len(m) != 1 || m[0].To != annMail || m[0].Kind != "credentials_changed" || !reflect.DeepEqual(m[0].User, mfa.User{ID: "ann"}) {
			t.Errorf("failing %t: %+v", failing, m)
		}
	}
}

// TestR29_NoFreeText: R29 lets nothing that a stranger wrote into a notice: no header,
// label, note, zone of an address or place that breaks a line.
func TestR29_NoFreeText(t *testing.T) {
	const evil = "Click https://evil.example\r\nBcc: all@example.org \u202e"
	for _, c := range []struct{ place, want string }{
		{evil, ""}, {strings.Repeat("x", 65), ""}, {strings.Repeat("x", 64), strings.Repeat("x", 64)}, {"\x00", ""},
	} {
		l := written(t, func(cfg *mfa.Config) { cfg.Locator = says(c.place) })
		b := l.surf()
		b.client = mfa.Client{Addr: netip.MustParseAddr("fe80::1%evil.example"), UserAgent: evil}
		s := b.remember(t)
		if err := s.RenameTOTP(t.Context(), l.account(t, "ann").TOTP[0].ID, "Click evil.example"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.NewBackupCodes(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		if err := l.Guard.Operator("evil.example", "evil.example").Reset(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
		messages := l.Inbox.Take()
		if len(messages) != 4 {
			t.Errorf("%d notices", len(messages))
		}
		for _, m := range messages {
			if text := fmt.Sprintf("%+v", m); strings.Contains(text, "evil") || strings.ContainsAny(text, "\r\n\x00\u202e") {
				t.Errorf("%q", text)
			}
			if m.Kind != "factors_reset" && (m.Device != "Bot" || m.Place != c.want || m.Addr.Zone() != "") {
				t.Errorf("%+v, want the place %q", m, c.want)
			}
		}
	}
}
