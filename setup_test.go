package mfa_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// enrollment returns a new flow in which bob may bind an authenticator.
func (a *aliceKit) enrollment() *mfa.Pending {
	a.t.Helper()
	return a.pending(a.session(a.signIn("bob")).StepUp(a.t.Context(), mfa.ToEnroll(mfa.TOTP), ""))
}

func (a *aliceKit) setup(p *mfa.Pending, label string) mfa.Setup {
	a.t.Helper()
	setup, err := p.StartTOTP(a.t.Context(), label)
	if err != nil {
		a.t.Fatalf("StartTOTP: %v (%s)", err, mfa.ReasonOf(err))
	}
	return setup
}

// TestSetup_URI: whatever issuer and account are called, an app that reads the
// URI shows just that. There is one colon in the label, a space is %20, and both
// the label and the parameter name the issuer.
func TestSetup_URI(t *testing.T) {
	names := []string{
		"Example", "Example Co", "R&D", "a+b", "100%", "%41", "Caf\u00e9", "Cafe\u0301", "a/b", "what?", "#1", "a=b;c,d", `"quoted"`,
		"<b>", "\u4f8b\u3048", "\U0001f511", strings.Repeat("\u00e9", 32), "a  b", "secret=x&issuer=y",
	}
	for _, s := range names {
		for _, tc := range [][2]string{{s, "bob@example.com"}, {"Example", s}, {s, s}} {
			t.Run(tc[0]+" and "+tc[1], func(t *testing.T) {
				a := newAlice(t, func(c *mfa.Config) { c.Issuer = tc[0] })
				a.Users.Add(mfa.User{ID: "bob", Name: tc[1]})
				a.checkURI(a.setup(a.enrollment(), "").URI(), tc[0], tc[1])
			})
		}
	}
}

func (a *aliceKit) checkURI(uri, issuer, name string) {
	a.t.Helper()
	key, err := otp.NewKeyFromURL(uri)
	if err != nil || key.Type() != "totp" || key.Issuer() != issuer || key.AccountName() != name {
		a.t.Errorf("%q reads back as %q of %q: %v", uri, key.AccountName(), key.Issuer(), err)
	}
	u, err := url.Parse(uri)
	if err != nil {
		a.t.Fatal(err)
	}
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Fragment != "" || u.Path != "/"+issuer+":"+name {
		a.t.Errorf("%q has the label %q", uri, u.Path)
	}
	if label, _, _ := strings.Cut(strings.TrimPrefix(uri, "otpauth://totp/"), "?"); strings.Count(label, ":") != 1 || strings.Contains(label, "/") {
		a.t.Errorf("the label is %q", label)
	}
	if strings.ContainsAny(uri, "+ \"<>") {
		a.t.Errorf("%q has what is not escaped", uri)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil || len(query) != 5 || query.Get("issuer") != issuer || query.Get("algorithm") != "SHA1" ||
		query.Get("digits") != "6" || query.Get("period") != "30" || len(query.Get("secret")) != 32 {
		a.t.Errorf("the parameters are %v: %v", query, err)
	}
}

// TestSetup_AccountName: a name that does not fit into the label is replaced by
// the id, and that by a word.
func TestSetup_AccountName(t *testing.T) {
	for _, tc := range []struct{ name, id, user, want string }{
		{"name", "u1", "bob@example.com", "bob@example.com"},
		{"no name", "u1", "", "u1"},
		{"colon", "u1", "acme:bob", "u1"},
		{"128 bytes", "u1", strings.Repeat("\u00e9", 64), strings.Repeat("\u00e9", 64)},
		{"129 bytes", "u1", strings.Repeat("\u00e9", 64) + "e", "u1"},
		{"line", "u1", "bob\nadmin", "u1"},
		{"right to left", "u1", "bob\u202egpj", "u1"},
		{"space at the end", "u1", "bob ", "u1"},
		{"not UTF-8", "u1", "bob\xff", "u1"},
		{"neither fits", "tenant:u1", "", "account"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAlice(t)
			a.Users.Add(mfa.User{ID: tc.id, Name: tc.user})
			p := a.pending(a.session(a.signIn(tc.id)).StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), ""))
			a.checkURI(a.setup(p, "").URI(), "Example", tc.want)
		})
	}
}

// TestSetup_Secret: the secret to type is the one in the URI, in groups of four.
func TestSetup_Secret(t *testing.T) {
	for _, alg := range []mfa.Algorithm{mfa.SHA1, mfa.SHA256, mfa.SHA512} {
		a := newAlice(t, withTOTP(mfa.TOTPPolicy{Algorithm: alg}))
		setup := a.setup(a.enrollment(), "")
		key, err := otp.NewKeyFromURL(setup.URI())
		if err != nil {
			t.Fatal(err)
		}
		groups := strings.Split(setup.Secret(), " ")
		if strings.Join(groups, "") != key.Secret() {
			t.Errorf("the secret to type is %q, the URI has %q", setup.Secret(), key.Secret())
		}
		for i, g := range groups {
			if len(g) != 4 && i < len(groups)-1 || g == "" || len(g) > 4 {
				t.Errorf("group %d of %q has %d characters", i+1, setup.Secret(), len(g))
			}
		}
	}
}

// TestSetup_Scan: a scanner that shares no code with this library reads the URI
// from the image, at every size.
func TestSetup_Scan(t *testing.T) {
	zbarimg, err := exec.LookPath("zbarimg")
	if err != nil {
		if os.Getenv("MFA_REQUIRE_SERVICES") == "1" {
			t.Fatal(err)
		}
		t.Skip("zbarimg is not installed: ", err)
	}
	for _, tc := range []struct {
		name         string
		algorithm    mfa.Algorithm
		issuer, user string
	}{
		{"usual", mfa.SHA1, "Caf\u00e9 & Co", "bob@example.com"},
		{"longest", mfa.SHA512, strings.Repeat("\u00e9", 32), strings.Repeat("\u00e9", 64)},
	} {
		a := newAlice(t, withTOTP(mfa.TOTPPolicy{Algorithm: tc.algorithm}), func(c *mfa.Config) { c.Issuer = tc.issuer })
		a.Users.Add(mfa.User{ID: "bob", Name: tc.user})
		setup := a.setup(a.enrollment(), "")
		for _, scale := range []int{2, 4, 8} {
			t.Run(fmt.Sprintf("%s/scale %d", tc.name, scale), func(t *testing.T) {
				png, err := setup.PNG(scale)
				if err != nil {
					t.Fatal(err)
				}
				file := filepath.Join(t.TempDir(), "qr.png")
				if err := os.WriteFile(file, png, 0o600); err != nil {
					t.Fatal(err)
				}
				out, err := exec.CommandContext(t.Context(), zbarimg, "--raw", "--quiet", file).Output()
				if got := strings.TrimSuffix(string(out), "\n"); err != nil || got != setup.URI() {
					t.Errorf("the scanner reads %q, %v, want %q", got, err, setup.URI())
				}
			})
		}
		if svg, err := setup.SVG(); err != nil || xml.Unmarshal([]byte(svg), new(struct{})) != nil || strings.Contains(svg, "style") {
			t.Errorf("SVG: %v, %.80q", err, svg)
		}
		for _, scale := range []int{-1, 0, 33} {
			if _, err := setup.PNG(scale); err == nil {
				t.Errorf("PNG(%d) succeeded", scale)
			}
		}
	}
}

// TestSetup_SameUntilBound: while an authenticator is staged a reload shows the
// same one, in every process. Another flow has another. None counts before its
// first code.
func TestSetup_SameUntilBound(t *testing.T) {
	a := newAlice(t)
	s := a.session(a.signIn("bob"))
	p := a.pending(s.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), ""))
	first := a.setup(p, "phone")
	again, err := a.guard().Pending(t.Context(), p.Token(), s.Token(), mfatest.Phone())
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.ConfirmTOTP(t.Context(), "000 00")
	refused(t, err, mfa.ErrRefused, mfa.ReasonMalformedCode)
	for name, handle := range map[string]*mfa.Pending{"the same handle": p, "a second handle": again} {
		if got := a.setup(handle, "tablet").URI(); got != first.URI() {
			t.Errorf("%s shows %q, want %q", name, got, first.URI())
		}
	}
	if other := a.setup(a.enrollment(), ""); other.URI() == first.URI() {
		t.Error("another flow shows the same secret")
	}
	a.session(a.signIn("bob")) // nothing is bound, so nothing is asked
	a.stage(again)
	a.pending(a.bind(again))
	if apps := a.account("bob").TOTP; len(apps) != 1 || apps[0].Label != "phone" {
		t.Errorf("bound: %+v, want one phone", apps)
	}
	_, err = p.StartTOTP(t.Context(), "")
	refused(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
}

// TestSetup_FiveWrong: five wrong codes end the flow. They are slips with a secret
// of the user's own and count against nothing else.
func TestSetup_FiveWrong(t *testing.T) {
	a := newAlice(t)
	p := a.enrollment()
	a.stage(p)
	for range 7 { // what cannot be a code is no try
		_, err := p.ConfirmTOTP(t.Context(), "")
		refused(t, err, mfa.ErrRefused, mfa.ReasonMalformedCode)
	}
	for range 5 {
		_, err := p.ConfirmTOTP(t.Context(), a.staged["bob"].Wrong(a.Clock.Now()))
		refused(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	}
	_, err := a.bind(p)
	refused(t, err, mfa.ErrNoPending, mfa.ReasonTooManyTries)
	if d := a.account("bob"); len(d.Tries) > 0 || len(d.Failures) > 0 || len(d.TOTP) > 0 {
		t.Errorf("the account has %+v", d)
	}
}

// authenticators returns what the security page shows.
func (a *aliceKit) authenticators(s *mfa.Session) []mfa.Authenticator {
	a.t.Helper()
	o, err := s.Overview(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	return o.Authenticators
}

// add binds one more authenticator of alice.
func (a *aliceKit) add(s *mfa.Session, label string) *mfa.Session {
	a.t.Helper()
	p := a.pending(s.StepUp(a.t.Context(), mfa.ToEnroll(mfa.TOTP), ""))
	a.setup(p, label)
	s = a.finish(mfa.Outcome{Pending: p}, nil)
	a.Clock.Advance(step)
	return s
}

// TestSetup_Several: a user has up to three authenticators with labels, and sees
// when each was bound and used.
func TestSetup_Several(t *testing.T) {
	a := newAlice(t)
	first, began := a.apps["alice"], a.Clock.Now()
	s := a.add(a.alice, " tablet ") // space at the ends is dropped
	s = a.add(s, strings.Repeat("\u00e9", 64))
	_, err := s.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), "")
	refused(t, err, mfa.ErrForbidden, mfa.ReasonTooManyFactors)

	a.Clock.Advance(time.Hour)
	a.session(a.pending(a.signIn("alice")).Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: first.Code(a.Clock.Now())}))
	apps := a.authenticators(s)
	var labels []string
	for i, app := range apps {
		labels = append(labels, app.Label)
		bound := began.Add(time.Duration(i-1) * step)
		used := bound
		if i == 0 {
			used = a.Clock.Now()
		}
		if !app.Added.Equal(bound) || !app.LastUsed.Equal(used) || !app.Usable || app.ID == "" {
			t.Errorf("authenticator %d: %+v, want bound %v and used %v", i+1, app, bound, used)
		}
	}
	if want := []string{"", "tablet", strings.Repeat("\u00e9", 64)}; !slices.Equal(labels, want) {
		t.Errorf("labels %q, want %q", labels, want)
	}
	for _, label := range []string{strings.Repeat("x", 65), "a\nb", "a\u00a0b", "\u202eb", "\xff"} {
		if err := s.RenameTOTP(t.Context(), apps[0].ID, label); !errors.Is(err, mfa.ErrInvalid) {
			t.Errorf("the label %q: %v, want ErrInvalid", label, err)
		}
	}
}

// TestSetup_TwoFlowsThirdApp: the bound of three holds when the flows begin while
// there is room for each of them.
func TestSetup_TwoFlowsThirdApp(t *testing.T) {
	a := newAlice(t)
	s := a.add(a.alice, "")
	p := a.pending(s.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), ""))
	q := a.pending(s.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), ""))
	a.stage(p)
	other := a.staged["alice"]
	a.stage(q)
	s = a.session(a.bind(q))
	p, err := a.Guard.Pending(t.Context(), p.Token(), s.Token(), mfatest.Laptop())
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.ConfirmTOTP(t.Context(), other.Code(a.Clock.Now()))
	refused(t, err, mfa.ErrForbidden, mfa.ReasonTooManyFactors)
}

// TestSetup_RenameRemove: renaming and removing need a fresh proof and an
// authenticator of one's own. A removed one proves nothing any more. With the
// last one go the backup codes and the switch.
func TestSetup_RenameRemove(t *testing.T) {
	a := newAlice(t)
	gone := a.apps["alice"]
	s := a.add(a.alice, "")
	apps := a.authenticators(s)
	for _, id := range []string{"", "unknown", apps[0].ID + " "} {
		refused(t, s.RenameTOTP(t.Context(), id, "x"), mfa.ErrForbidden, mfa.ReasonUnknownFactor)
		refused(t, s.RemoveTOTP(t.Context(), id), mfa.ErrForbidden, mfa.ReasonUnknownFactor)
	}
	bob := a.session(a.signIn("bob"))
	refused(t, bob.RemoveTOTP(t.Context(), apps[0].ID), mfa.ErrForbidden, mfa.ReasonUnknownFactor)

	a.Clock.Advance(6 * time.Minute)
	for action, do := range map[string]func() error{
		"rename_totp": func() error { return s.RenameTOTP(t.Context(), apps[1].ID, "phone") },
		"remove_totp": func() error { return s.RemoveTOTP(t.Context(), apps[0].ID) },
	} {
		err := do()
		refused(t, err, mfa.ErrStepUp, mfa.ReasonStale)
		up, _ := errors.AsType[*mfa.StepUpError](err)
		if up.Purpose.Action() != action {
			t.Errorf("the step-up is for %q, want %q", up.Purpose.Action(), action)
		}
		s = a.finish(s.StepUp(t.Context(), up.Purpose, ""))
		if err := do(); err != nil {
			t.Errorf("%s with a fresh proof: %v (%s)", action, err, mfa.ReasonOf(err))
		}
		a.Clock.Advance(6 * time.Minute)
	}
	if left := a.authenticators(s); len(left) != 1 || left[0].ID != apps[1].ID || left[0].Label != "phone" {
		t.Fatalf("left: %+v", left)
	}
	_, err := a.pending(a.signIn("alice")).Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: gone.Code(a.Clock.Now())})
	refused(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	if n := len(a.account("alice").Codes); n != 10 {
		t.Errorf("%d backup codes are left with one app, want 10", n)
	}
}

// TestSetup_RemoveLast: the last authenticator goes with the backup codes and the
// switch, unless a rule requires a factor by now.
func TestSetup_RemoveLast(t *testing.T) {
	past, soon := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name  string
		rules mfa.Rules
		stays bool
	}{
		{"no rule", mfa.Rules{}, false},
		{"at the door", mfa.Rules{Require: mfa.RequireAtDoor}, true},
		{"at sign-in", mfa.Rules{Require: mfa.RequireAtSignIn, From: past}, true},
		{"later", mfa.Rules{Require: mfa.RequireAtSignIn, From: soon}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAlice(t, withRules(tc.rules))
			err := a.alice.RemoveTOTP(t.Context(), a.authenticators(a.alice)[0].ID)
			d := a.account("alice")
			if tc.stays {
				refused(t, err, mfa.ErrForbidden, mfa.ReasonFactorRequired)
				if len(d.TOTP) != 1 || len(d.Codes) != 10 || !d.Ask {
					t.Errorf("left: %+v", d)
				}
				return
			}
			if err != nil || len(d.TOTP)+len(d.Codes) > 0 || d.Ask || d.Unsaved {
				t.Errorf("%v (%s), left: %+v", err, mfa.ReasonOf(err), d)
			}
			if out, err := a.signIn("alice"); err != nil || out.Pending != nil && out.Pending.Need().Step != mfa.StepEnroll {
				t.Errorf("then a sign-in: %v, %+v", err, out)
			}
		})
	}
}
