package mfa_test

import (
	"context"
	"errors"
	"go/ast"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestRow_A2_AuthenticatorFromSettings: a signed-in user turns on an app. She
// scans a QR code, or types the secret under it, and confirms with a code. From
// then on a sign-in asks for one.
func TestRow_A2_AuthenticatorFromSettings(t *testing.T) {
	for _, way := range []string{"scanned", "typed"} {
		t.Run(way, func(t *testing.T) {
			k := mfatest.New(t)
			k.Users.Add(mfa.User{ID: "carol", Name: "carol@example.com"})
			ctx := t.Context()
			s := k.SignIn(t, "carol").Session
			out, err := s.StepUp(ctx, mfa.ToEnroll(mfa.TOTP), "/settings")
			if err != nil || out.Pending == nil || out.Pending.Need().Step != mfa.StepEnroll {
				t.Fatalf("the settings page: %v, %+v", err, out)
			}
			setup, err := out.Pending.StartTOTP(ctx, "phone")
			if err != nil {
				t.Fatal(err)
			}
			if png, err := setup.PNG(4); err != nil || len(png) == 0 {
				t.Errorf("the QR code: %v", err)
			}
			app, err := mfatest.NewAuthenticator(setup.URI())
			if err != nil || app.Issuer != "Example" || app.Account != "carol@example.com" {
				t.Fatalf("the app shows %+v, %v", app, err)
			}
			code := func() string { return app.Code(k.Clock.Now()) }
			if way == "typed" {
				code = func() string {
					c, err := totp.GenerateCode(strings.ToLower(strings.ReplaceAll(setup.Secret(), " ", "")), k.Clock.Now())
					if err != nil {
						t.Fatal(err)
					}
					return c
				}
			}
			if out, err = out.Pending.ConfirmTOTP(ctx, code()); err != nil || out.Pending == nil {
				t.Fatalf("the code: %v (%s)", err, mfa.ReasonOf(err))
			}
			if out, err = out.Pending.SaveCodes(ctx); err != nil || out.Session == nil {
				t.Fatalf("saving the codes: %v (%s)", err, mfa.ReasonOf(err))
			}
			o, err := out.Session.Overview(ctx)
			if err != nil || len(o.Authenticators) != 1 || o.Authenticators[0].Label != "phone" || o.CodesLeft != 10 || !o.AskAtSignIn {
				t.Errorf("the security page: %v, %+v", err, o)
			}
			k.Clock.Advance(step)
			out = k.SignIn(t, "carol")
			if out.Session != nil {
				t.Fatal("the next sign-in asks for no code")
			}
			if out, err = out.Pending.Verify(ctx, mfa.Proof{Method: mfa.TOTP, Code: code()}); err != nil || out.Session == nil {
				t.Errorf("the next sign-in: %v (%s)", err, mfa.ReasonOf(err))
			}
		})
	}
}

// TestRow_B3_B4_B8_Required: where a factor is required the first sign-in leads
// through the QR code to the session, and every later one asks for the password
// and a code. A browser that was closed still has its session, until 24 hours
// after the sign-in.
func TestRow_B3_B4_B8_Required(t *testing.T) {
	a := newAlice(t, withRules(mfa.Rules{Require: mfa.RequireAtSignIn}))
	ctx := t.Context()
	p := a.pending(a.signIn("bob"))
	if need := p.Need(); need.Step != mfa.StepEnroll || need.Why != mfa.ReasonRule {
		t.Fatalf("the first sign-in needs %+v", need)
	}
	a.stage(p)
	p = a.pending(a.bind(p))
	if p.BackupCodes().Len() != 10 {
		t.Errorf("%d backup codes, want 10", p.BackupCodes().Len())
	}
	s := a.session(p.SaveCodes(ctx))
	for day := range 3 {
		for range 23 { // the browser comes back with its cookie and nothing is asked
			a.Clock.Advance(time.Hour)
			if _, err := a.request(s.Token()); err != nil {
				t.Fatalf("day %d: %v (%s)", day, err, mfa.ReasonOf(err))
			}
		}
		a.Clock.Advance(time.Hour)
		_, err := a.request(s.Token())
		refused(t, err, mfa.ErrNoSession, mfa.ReasonExpired)

		p = a.pending(a.signIn("bob"))
		if need := p.Need(); need.Step != mfa.StepVerify || need.Methods[0] != mfa.TOTP {
			t.Fatalf("the next sign-in needs %+v", need)
		}
		code := a.totp("bob")
		if len(code.Code) != 6 {
			t.Errorf("the app shows %q, want six digits", code.Code)
		}
		s = a.session(p.Verify(ctx, code))
	}
}

// TestRow_E1_AcceptedOnce: of 32 requests that race with one code, one backup code
// or one challenge, one is accepted.
func TestRow_E1_AcceptedOnce(t *testing.T) {
	for _, tc := range []struct {
		name    string
		flows   int // over which the racers are spread
		require mfa.Require
		open    func(a *aliceKit) *underway
		do      doing
	}{
		{"code, one challenge", 1, mfa.RequireOff, signingIn("alice"), proving("", (*aliceKit).totp).do},
		{"code, sixteen challenges", 16, mfa.RequireOff, signingIn("alice"), proving("", (*aliceKit).totp).do},
		{"backup code, one challenge", 1, mfa.RequireOff, signingIn("alice"), firstCode},
		{"backup code, sixteen challenges", 16, mfa.RequireOff, signingIn("alice"), firstCode},
		{"code, step-up", 1, mfa.RequireOff, steppingUp("alice", mfa.ToConfirm("test"), 6*time.Minute), proving("", (*aliceKit).totp).do},
		{"enrollment", 1, mfa.RequireAtSignIn, showingApp("bob"), (*aliceKit).bind},
		{"saved codes", 1, mfa.RequireAtSignIn, showingCodes(signingIn("bob")), func(a *aliceKit, p *mfa.Pending) (mfa.Outcome, error) {
			return p.SaveCodes(a.t.Context())
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := newAlice(t, withRules(mfa.Rules{Require: tc.require}))
			var flows []*underway
			for range tc.flows {
				flows = append(flows, tc.open(a))
			}
			before := len(a.live(flows[0].user))
			if winners := a.race32(flows, tc.do)[""]; winners != 1 {
				t.Errorf("%d of 32 were accepted, want 1", winners)
			}
			if sessions := len(a.live(flows[0].user)) - before; sessions > 1 {
				t.Errorf("%d sessions came of it", sessions)
			}
		})
	}
}

func firstCode(a *aliceKit, p *mfa.Pending) (mfa.Outcome, error) {
	return p.Verify(a.t.Context(), mfa.Proof{Method: mfa.BackupCode, Code: a.codes[0]})
}

// showingApp opens a sign-in in which an authenticator waits for its first code.
func showingApp(user string) func(*aliceKit) *underway {
	return func(a *aliceKit) *underway {
		u := signingIn(user)(a)
		a.stage(a.resume(u))
		return u
	}
}

// race32 lets 32 goroutines do the same with handles of their own and returns how
// many got each reason, "" for success.
func (a *aliceKit) race32(flows []*underway, do doing) map[mfa.Reason]int {
	a.t.Helper()
	var wg sync.WaitGroup
	start := make(chan struct{})
	errs := make([]error, 32)
	for i := range errs {
		p := a.resume(flows[i%len(flows)])
		wg.Go(func() {
			<-start
			_, errs[i] = do(a, p)
		})
	}
	close(start)
	wg.Wait()
	reasons := make(map[mfa.Reason]int)
	for _, err := range errs {
		if reasons[mfa.ReasonOf(err)]++; err != nil && mfa.ReasonOf(err) == "" {
			a.t.Errorf("a loser got %v", err)
		}
	}
	return reasons
}

// TestRow_E12_ReasonsStay: every failure has a stable machine-readable reason. The
// words are in hosts' logs and programs: one may be added here, none changed or
// removed.
func TestRow_E12_ReasonsStay(t *testing.T) {
	pinned := strings.Fields(`
		ReasonMalformedCode=malformed_code ReasonWrongCode=wrong_code ReasonTOTPReused=totp_reused
		ReasonMethodNotAsked=method_not_asked ReasonMethodLocked=method_locked ReasonTooManyTries=too_many_tries
		ReasonNoUsableFactor=no_usable_factor ReasonStepNotAsked=step_not_asked ReasonNotStaged=not_staged ReasonCannotSkip=cannot_skip
		ReasonUserDisabled=user_disabled ReasonUserForgotten=user_forgotten ReasonUserUnknown=user_unknown
		ReasonFactorRequired=factor_required ReasonTooManyFactors=too_many_factors ReasonTooManySessions=too_many_sessions
		ReasonUnknownFactor=unknown_factor ReasonNoFactor=no_factor ReasonStaleReassertion=stale_reassertion
		ReasonInvalidArgument=invalid_argument ReasonUnknownKey=unknown_key ReasonAlreadyCompleted=already_completed
		ReasonExpired=expired ReasonIdle=idle ReasonReplaced=replaced ReasonNotFound=not_found ReasonForgedToken=forged_token
		ReasonOtherSession=other_session ReasonIssuedBefore=issued_before ReasonTampered=tampered ReasonRecordMissing=record_missing
		ReasonCredentialsChanged=credentials_changed
		ReasonMalformedRecord=malformed_record ReasonNewerRecord=newer_record ReasonStoreFailed=store_failed
		ReasonStoreContract=store_contract ReasonBusy=busy ReasonDirectoryFailed=directory_failed ReasonHashing=hashing
		ReasonRule=required_by_rule ReasonSwitch=asked_by_user ReasonReset=reset ReasonStale=proof_too_old
		ReasonNotAllowed=method_not_allowed ReasonRequested=requested ReasonCodesNotSaved=codes_not_saved
		ReasonCompromised=password_compromised ReasonNotRequired=not_required ReasonProven=proven ReasonSkipped=skipped
		ReasonExempt=exempt ReasonHigherRole=higher_role ReasonNoUsableMethod=no_usable_method ReasonNobodyPasses=nobody_passes
		ReasonNotAdministrator=not_administrator ReasonNotManaged=not_managed ReasonNotMember=not_a_member ReasonOneself=oneself
		ReasonRulesChanged=rules_changed ReasonRulesConfigured=rules_configured ReasonSSOTrusted=sso_trusted
		ReasonSSOWaived=sso_waived ReasonTooManyActions=too_many_actions
		ReasonAdviseFactor=advise_factor ReasonAdviseCodes=advise_codes ReasonAdviseSessions=advise_review_sessions
		ReasonAdviseUnique=advise_unique_password ReasonAdviseMail=advise_secure_mail
		ReasonAdviseApp=advise_app ReasonNoCodeSent=no_code_sent ReasonSentTooOften=sent_too_often ReasonSMSRefused=sms_refused
		ReasonUndelivered=undelivered ReasonNoNotifier=no_notifier ReasonNoAddress=no_address ReasonAddressUnproven=address_unproven
		ReasonAddressChanged=address_changed ReasonUnknownBrowser=unknown_browser ReasonRemembered=remembered_browser
		ReasonConfirmAddress=confirm_address ReasonMailedPassword=mailed_password ReasonNetworkBudget=network_budget
		ReasonNoPassword=no_password ReasonNotEmpty=not_empty ReasonWrongPassword=wrong_password
		ReasonPasswordTooShort=password_too_short ReasonPasswordTooLong=password_too_long ReasonPasswordNoUpper=password_no_upper
		ReasonPasswordNoLower=password_no_lower ReasonPasswordNoDigit=password_no_digit ReasonPasswordNotText=password_not_text
		ReasonPasswordCommon=password_common ReasonPasswordPattern=password_pattern ReasonPasswordContext=password_context
		ReasonPasswordReused=password_reused ReasonPasswordBreached=password_breached ReasonPasswordUnchecked=password_breach_failed
`)
	var words []string
	for _, file := range sources(t) {
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, spec := range g.Specs {
				v := spec.(*ast.ValueSpec)
				if kind, ok := v.Type.(*ast.Ident); !ok || kind.Name != "Reason" {
					continue
				}
				for i, name := range v.Names {
					word, err := strconv.Unquote(v.Values[i].(*ast.BasicLit).Value)
					if err != nil {
						t.Fatal(err)
					}
					words = append(words, name.Name+"="+word)
				}
			}
		}
	}
	slices.Sort(words)
	slices.Sort(pinned)
	for _, w := range words {
		if !slices.Contains(pinned, w) {
			t.Errorf("%s is new: pin it", w)
		}
	}
	seen := make(map[string]bool)
	for _, w := range pinned {
		if !slices.Contains(words, w) {
			t.Errorf("%s is gone or was changed", w)
		}
		_, word, _ := strings.Cut(w, "=")
		if seen[word] {
			t.Errorf("two reasons are called %q", word)
		}
		seen[word] = true
	}
}

// TestRow_E12_EveryFailureHasOne: whatever fails, ReasonOf says why, and the error
// wraps one of the sentinels.
func TestRow_E12_EveryFailureHasOne(t *testing.T) {
	a := newAlice(t)
	ctx := t.Context()
	faces := []error{
		mfa.ErrInvalid, mfa.ErrNoSession, mfa.ErrNoPending, mfa.ErrNoUser, mfa.ErrRefused, mfa.ErrThrottled,
		mfa.ErrStepUp, mfa.ErrForbidden, mfa.ErrUnavailable,
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	failures := map[string]error{}
	add := func(name string, err error) { failures[name] = err }
	_, err := a.Guard.SignIn(ctx, mfa.SignIn{})
	add("no user", err)
	_, err = a.Guard.SignIn(ctx, mfa.SignIn{User: "nobody", First: mfa.PasswordFirst()})
	add("unknown user", err)
	_, err = a.Guard.SignIn(ctx, mfa.SignIn{User: "bob"})
	add("no first factor", err)
	_, err = a.Guard.SignIn(canceled, mfa.SignIn{User: "bob", First: mfa.PasswordFirst()})
	add("canceled", err)
	_, err = a.Guard.Session(ctx, "", mfa.Client{})
	add("no session", err)
	_, err = a.Guard.Pending(ctx, "", "", mfa.Client{})
	add("no flow", err)
	_, err = a.Guard.Enter(ctx, a.alice.Token(), "", mfa.Client{})
	add("no organization", err)
	_, err = a.alice.StepUp(ctx, mfa.Purpose{}, "")
	add("no purpose", err)
	_, err = a.session(a.signIn("bob")).NewBackupCodes(ctx, "")
	add("no factor", err)
	_, err = a.pending(a.signIn("alice")).Verify(ctx, mfa.Proof{})
	add("no method", err)
	add("nobody to disable", a.Guard.Disable(ctx, ""))
	add("no operator", a.Guard.Operator("", "").Reset(ctx, "bob"))
	_, err = mfa.New(mfa.Config{})
	add("no configuration", err)
	_, err = mfa.ParseKeys("")
	add("no keys", err)
	a.FailStore(errors.New("down"))
	_, err = a.Guard.Session(ctx, a.alice.Token(), mfa.Client{})
	add("store down", err)
	for _, name := range slices.Sorted(maps.Keys(failures)) {
		err := failures[name]
		if mfa.ReasonOf(err) == "" || !slices.ContainsFunc(faces, func(face error) bool { return errors.Is(err, face) }) {
			t.Errorf("%s: %v has the reason %q", name, err, mfa.ReasonOf(err))
		}
	}
}
