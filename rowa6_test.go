package mfa_test

import (
	"slices"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestRow_A6: a user is advised: what somebody else may know first, then a second
// factor, an app before codes that are sent, backup codes, her sessions, a password
// that she uses nowhere else, and to protect her mail account. No longer than it is of
// use.
func TestRow_A6(t *testing.T) {
	const (
		suspect, factor, app, codes = mfa.ReasonCompromised, mfa.ReasonAdviseFactor, mfa.ReasonAdviseApp, mfa.ReasonAdviseCodes
		sessions, unique, mail      = mfa.ReasonAdviseSessions, mfa.ReasonAdviseUnique, mfa.ReasonAdviseMail
	)
	sso := func(l *lab) mfa.First { return mfa.SSOFirst("idp", nil, "", l.Clock.Now()) }
	for _, c := range []struct {
		name string
		edit func(t *testing.T, l *lab)
		want []mfa.Reason
	}{
		{"all is well", func(t *testing.T, l *lab) {}, []mfa.Reason{unique, mail}},
		{"suspect", func(t *testing.T, l *lab) {
			l.change(t, "ann", func(d *mfa.AccountData) { d.Compromised = true })
		}, []mfa.Reason{suspect, unique, mail}},
		{"no factor", func(t *testing.T, l *lab) {
			l.change(t, "ann", func(d *mfa.AccountData) { d.TOTP, d.Codes, d.CodeSet, d.Ask = nil, nil, "", false })
		}, []mfa.Reason{factor, unique, mail}},
		{"codes by mail alone", func(t *testing.T, l *lab) {
			if err := l.session.SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
				t.Fatal(err)
			}
			l.change(t, "ann", func(d *mfa.AccountData) { d.TOTP, d.Codes, d.CodeSet = nil, nil, "" })
		}, []mfa.Reason{app, unique, mail}},
		{"4 codes", func(t *testing.T, l *lab) {
			l.change(t, "ann", func(d *mfa.AccountData) { d.Codes = d.Codes[:4] })
		}, []mfa.Reason{unique, mail}},
		{"3 codes", func(t *testing.T, l *lab) {
			l.change(t, "ann", func(d *mfa.AccountData) { d.Codes = d.Codes[:3] })
		}, []mfa.Reason{codes, unique, mail}},
		{"two sessions", func(t *testing.T, l *lab) { l.enter(t, l.right()) }, []mfa.Reason{sessions, unique, mail}},
		{"no address", func(t *testing.T, l *lab) { l.Users.Add(mfa.User{ID: "ann"}) }, []mfa.Reason{unique}},
		{"an address that is not proven", func(t *testing.T, l *lab) {
			l.Users.Add(mfa.User{ID: "ann", Email: "ann@example.org"})
		}, []mfa.Reason{unique}},
		{"everything", func(t *testing.T, l *lab) {
			l.enter(t, l.right())
			l.change(t, "ann", func(d *mfa.AccountData) { d.Compromised, d.Codes = true, nil })
		}, []mfa.Reason{suspect, codes, sessions, unique, mail}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := withPassword(t)
			if err := l.session.RevokeOthers(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.edit(t, l)
			o, err := l.session.Overview(t.Context())
			if err != nil || !slices.Equal(o.Advice, c.want) {
				t.Errorf("%q, %v, want %q", o.Advice, err, c.want)
			}
		})
	}
	// At a host that compares passwords itself she has one, unless a provider signs her in.
	l := emptyLab(t)
	for _, first := range []mfa.First{mfa.PasswordFirst(), sso(l)} {
		out, err := l.Guard.SignIn(t.Context(), mfa.SignIn{User: "bob", First: first, Client: mfatest.Laptop()})
		if err != nil {
			t.Fatal(err)
		}
		o, err := out.Session.Overview(t.Context())
		_, _, _, provider := first.SSO()
		if err != nil || slices.Contains(o.Advice, unique) == provider {
			t.Errorf("%v: %q, %v", first, o.Advice, err)
		}
	}
}
