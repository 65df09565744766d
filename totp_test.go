package mfa_test

import (
	"encoding/base32"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

const step = 30 * time.Second // of the profile that every app understands

// at is what the user's app shows so long from now.
func (a *aliceKit) at(user string, from time.Duration) mfa.Proof {
	return mfa.Proof{Method: mfa.TOTP, Code: a.apps[user].Code(a.Clock.Now().Add(from))}
}

// withTOTP is an option for newAlice.
func withTOTP(p mfa.TOTPPolicy) func(*mfa.Config) {
	return func(c *mfa.Config) { c.Policy.TOTP = p }
}

// TestR1_Window: a code is accepted in its own time step and as many either way
// as the policy says, never more.
func TestR1_Window(t *testing.T) {
	for _, tc := range []struct {
		name   string
		window mfa.Window
		steps  int
	}{
		{"zero policy", 0, 1},
		{"none", mfa.WindowNone, 0},
		{"one", mfa.WindowOneStep, 1},
		{"two", mfa.WindowTwoSteps, 2},
	} {
		for off := -4; off <= 4; off++ {
			t.Run(fmt.Sprintf("%s/%+d", tc.name, off), func(t *testing.T) {
				a := newAlice(t, withTOTP(mfa.TOTPPolicy{Window: tc.window}))
				a.Clock.Advance(time.Hour + 29*time.Second) // to the end of a step
				out, err := a.pending(a.signIn("alice")).Verify(t.Context(), a.at("alice", time.Duration(off)*step))
				if -tc.steps <= off && off <= tc.steps {
					a.session(out, err)
				} else {
					refused(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
				}
			})
		}
	}
}

// codePaths are the ways to a code page. Each opens a new flow of a session of
// its own.
func codePaths() map[string]func(a *aliceKit) *mfa.Pending {
	session := func(to mfa.Purpose) func(*aliceKit) *mfa.Pending {
		return func(a *aliceKit) *mfa.Pending { return a.resume(steppingUp("alice", to, 0)(a)) }
	}
	return map[string]func(*aliceKit) *mfa.Pending{
		"sign-in": func(a *aliceKit) *mfa.Pending { return a.pending(a.signInAsking("alice")) },
		"confirm": session(mfa.ToConfirm("test")),
		"enroll":  session(mfa.ToEnroll(mfa.TOTP)),
		"enter":   session(mfa.ToEnter("acme")),
	}
}

// TestR1_OnceAcrossFlows: wherever a code was accepted, it and everything before
// it is spent everywhere. What comes after is not.
func TestR1_OnceAcrossFlows(t *testing.T) {
	for first, openFirst := range codePaths() {
		for second, openSecond := range codePaths() {
			t.Run(first+" then "+second, func(t *testing.T) {
				a := newAlice(t, withRules(mfa.Rules{Require: mfa.RequireAtDoor}))
				before, after := openFirst(a), openSecond(a)
				if _, err := before.Verify(t.Context(), a.totp("alice")); err != nil {
					t.Fatalf("a right code: %v (%s)", err, mfa.ReasonOf(err))
				}
				for i, from := range []time.Duration{0, -step} {
					_, err := after.Verify(t.Context(), a.at("alice", from))
					refused(t, err, mfa.ErrRefused, mfa.ReasonTOTPReused)
					if got := a.account("alice").Tries["totp"].Wrong; got != i+1 {
						t.Errorf("%d reused codes are counted, want %d", got, i+1)
					}
				}
				if _, err := after.Verify(t.Context(), a.at("alice", step)); err != nil {
					t.Errorf("the next code: %v (%s)", err, mfa.ReasonOf(err))
				}
				a.Clock.Advance(step)
				_, err := a.pending(a.signInAsking("alice")).Verify(t.Context(), a.totp("alice"))
				refused(t, err, mfa.ErrRefused, mfa.ReasonTOTPReused)
			})
		}
	}
}

// signInAsking begins a sign-in that asks for a code whatever the user's switch
// says.
func (a *aliceKit) signInAsking(user string) (mfa.Outcome, error) {
	g := a.guard(func(c *mfa.Config) { c.Policy.Rules.Require = mfa.RequireAtSignIn })
	return g.SignIn(a.t.Context(), mfa.SignIn{User: user, First: mfa.PasswordFirst()})
}

// TestR1_EnrollmentCodeCounts: the code that bound an authenticator was used by
// that, and signs nobody in.
func TestR1_EnrollmentCodeCounts(t *testing.T) {
	for _, from := range []time.Duration{-step, 0, step} {
		t.Run("bound with the code of "+from.String(), func(t *testing.T) {
			a := newAlice(t)
			p := a.pending(a.session(a.signIn("bob")).StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), ""))
			a.stage(p)
			a.apps["bob"] = a.staged["bob"]
			out, err := p.ConfirmTOTP(t.Context(), a.at("bob", from).Code)
			a.pending(out, err)
			p = a.pending(a.signIn("bob"))
			for f := -step; f <= from; f += step {
				_, err = p.Verify(t.Context(), a.at("bob", f))
				refused(t, err, mfa.ErrRefused, mfa.ReasonTOTPReused)
			}
			a.Clock.Advance(from)
			if _, err = p.Verify(t.Context(), a.at("bob", step)); err != nil {
				t.Errorf("the next code: %v (%s)", err, mfa.ReasonOf(err))
			}
		})
	}
}

// TestR1_PerAuthenticator: each app has steps of its own. A code of one spends
// nothing of the other.
func TestR1_PerAuthenticator(t *testing.T) {
	a := newAlice(t)
	first := a.apps["alice"]
	a.finish(a.alice.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), ""))
	a.Clock.Advance(step)
	for _, app := range []*mfatest.Authenticator{first, a.apps["alice"]} {
		code := mfa.Proof{Method: mfa.TOTP, Code: app.Code(a.Clock.Now())}
		a.session(a.pending(a.signIn("alice")).Verify(t.Context(), code))
		_, err := a.pending(a.signIn("alice")).Verify(t.Context(), code)
		refused(t, err, mfa.ErrRefused, mfa.ReasonTOTPReused)
	}
}

// TestR1_ProfileKept: an authenticator keeps the profile it was bound with when
// the policy changes, beside one of the new profile.
func TestR1_ProfileKept(t *testing.T) {
	a := newAlice(t)
	old := a.apps["alice"]
	a.Guard = a.guard(withTOTP(mfa.TOTPPolicy{Algorithm: mfa.SHA512, Digits: 8, Period: time.Minute}))
	a.finish(a.signIn("alice"))
	s, err := a.Guard.Session(t.Context(), a.alice.Token(), mfatest.Laptop())
	if err != nil {
		t.Fatal(err)
	}
	a.finish(s.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), ""))
	for _, app := range []*mfatest.Authenticator{old, a.apps["alice"], old} {
		a.Clock.Advance(time.Minute)
		proof := mfa.Proof{Method: mfa.TOTP, Code: app.Code(a.Clock.Now())}
		a.session(a.pending(a.signIn("alice")).Verify(t.Context(), proof))
	}
	if old.Period() != step || a.apps["alice"].Period() != time.Minute {
		t.Errorf("periods %v and %v, want 30 s and 1 min", old.Period(), a.apps["alice"].Period())
	}
}

// TestR1_Profiles: every profile that the policy allows works from the URI to the
// sign-in, with the codes of an app that shares no code with this library.
func TestR1_Profiles(t *testing.T) {
	oathtool, err := exec.LookPath("oathtool")
	if err != nil {
		if os.Getenv("MFA_REQUIRE_SERVICES") == "1" {
			t.Fatal(err)
		}
		t.Skip("oathtool is not installed: ", err)
	}
	for _, alg := range []struct {
		name  string
		value mfa.Algorithm
		otp   otp.Algorithm
		bytes int // RFC 6238 section 5.1: as long as the hash
	}{
		{"sha1", mfa.SHA1, otp.AlgorithmSHA1, 20}, {"sha256", mfa.SHA256, otp.AlgorithmSHA256, 32}, {"sha512", mfa.SHA512, otp.AlgorithmSHA512, 64},
	} {
		for _, digits := range []int{6, 8} {
			for _, period := range []time.Duration{30 * time.Second, time.Minute} {
				t.Run(fmt.Sprintf("%s/%d digits/%v", alg.name, digits, period), func(t *testing.T) {
					a := newAlice(t, withTOTP(mfa.TOTPPolicy{Algorithm: alg.value, Digits: digits, Period: period}))
					p := a.pending(a.session(a.signIn("bob")).StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), ""))
					setup, err := p.StartTOTP(t.Context(), "")
					if err != nil {
						t.Fatal(err)
					}
					key, err := otp.NewKeyFromURL(setup.URI())
					if err != nil || key.Algorithm() != alg.otp || key.Digits().Length() != digits || key.Period() != uint64(period/time.Second) {
						t.Fatalf("the URI %q says otherwise: %v", setup.URI(), err)
					}
					if raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(key.Secret()); err != nil || len(raw) != alg.bytes {
						t.Errorf("a secret of %d bytes, %v, want %d", len(raw), err, alg.bytes)
					}
					shown := func() string {
						out, err := exec.CommandContext(t.Context(), oathtool, "--totp="+alg.name, fmt.Sprintf("--digits=%d", digits),
							fmt.Sprintf("--time-step-size=%ds", period/time.Second), "--base32", key.Secret(),
							a.Clock.Now().UTC().Format("--now=2006-01-02 15:04:05 UTC")).Output()
						if err != nil {
							t.Fatal("oathtool: ", err)
						}
						return strings.TrimSpace(string(out))
					}
					a.finish(a.pending(p.ConfirmTOTP(t.Context(), shown())).SaveCodes(t.Context()))
					a.Clock.Advance(period)
					a.session(a.pending(a.signIn("bob")).Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: shown()}))
				})
			}
		}
	}
}

// TestR3_DigitCodes: a code is read once. Spaces and hyphens are dropped, then
// there are exactly as many ASCII digits as the app shows. Anything else cannot
// be a code: it is refused, counts for nothing and spends nothing.
func TestR3_DigitCodes(t *testing.T) {
	mapped := func(zero rune) func(string) string {
		return func(code string) string {
			return strings.Map(func(r rune) rune { return r - '0' + zero }, code)
		}
	}
	around := func(before, after string) func(string) string {
		return func(code string) string { return before + code + after }
	}
	split := func(sep string) func(string) string {
		return func(code string) string { return code[:3] + sep + code[3:] }
	}
	for _, tc := range []struct {
		name  string
		typed func(code string) string
		code  bool
	}{
		{"as shown", around("", ""), true},
		{"space", split(" "), true},
		{"hyphen", split("-"), true},
		{"around", around("  ", "  "), true},
		{"everywhere", func(code string) string { return strings.Join(strings.Split(code, ""), " - ") }, true},
		{"64 bytes", around(strings.Repeat(" ", 58), ""), true},
		{"65 bytes", around(strings.Repeat(" ", 59), ""), false},
		{"nothing", func(string) string { return "" }, false},
		{"five digits", func(code string) string { return code[:5] }, false},
		{"seven digits", around("0", ""), false},
		{"twice", func(code string) string { return code + code }, false},
		{"tab", around("\t", ""), false},
		{"line", around("", "\n"), false},
		{"zero byte", around("", "\x00"), false},
		{"plus", around("+", ""), false},
		{"dot", split("."), false},
		{"underscore", split("_"), false},
		{"no-break space", split("\u00a0"), false},
		{"en dash", split("\u2013"), false},
		{"minus sign", split("\u2212"), false},
		{"zero-width space", split("\u200b"), false},
		{"fullwidth digits", mapped('\uff10'), false},
		{"arabic-indic digits", mapped('\u0660'), false},
		{"mathematical digits", mapped('\U0001d7ce'), false},
		{"superscripts", mapped('\u2070'), false},
		{"not UTF-8", around("\xff", ""), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAlice(t)
			code := a.totp("alice").Code
			p := a.pending(a.signIn("alice"))
			out, err := p.Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: tc.typed(code)})
			a.read(tc.code, out.Session != nil, err, func() (mfa.Outcome, error) { return p.Verify(t.Context(), a.totp("alice")) })

			p = a.pending(a.session(a.signIn("bob")).StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), ""))
			a.stage(p)
			out, err = p.ConfirmTOTP(t.Context(), tc.typed(a.staged["bob"].Code(a.Clock.Now())))
			a.read(tc.code, out.Pending != nil, err, func() (mfa.Outcome, error) { return a.bind(p) })
		})
	}
}

// read checks the answer to what was typed. After what cannot be a code the code
// itself is still good.
func (a *aliceKit) read(code, passed bool, err error, again func() (mfa.Outcome, error)) {
	a.t.Helper()
	if code {
		if err != nil || !passed {
			a.t.Errorf("%v (%s), want success", err, mfa.ReasonOf(err))
		}
		return
	}
	refused(a.t, err, mfa.ErrRefused, mfa.ReasonMalformedCode)
	for _, user := range []string{"alice", "bob"} {
		if n := len(a.account(user).Tries); n > 0 {
			a.t.Errorf("it was counted against %s", user)
		}
	}
	if _, err := again(); err != nil {
		a.t.Errorf("then the code itself: %v (%s)", err, mfa.ReasonOf(err))
	}
}
