package mfa_test

import (
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
)

// also adds a rule that binds since yesterday, comes one that binds from so long
// after now.
func (s scene) also(allowed ...mfa.Method) scene {
	return s.rule(mfa.Rule{From: s.Now.Add(-oneDay), Allowed: allowed})
}

func (s scene) comes(in time.Duration, allowed ...mfa.Method) scene {
	return s.rule(mfa.Rule{From: s.Now.Add(in), Allowed: allowed})
}

func (s scene) rule(r mfa.Rule) scene {
	s.Also = append(s.Also[:len(s.Also):len(s.Also)], r)
	return s
}

// after makes the first rule take no proof that is older, recall lets it take a
// remembered browser for so long.
func (s scene) after(ago time.Duration) scene      { s.After = s.Now.Add(-ago); return s }
func (s scene) recall(longest time.Duration) scene { s.Recall = longest; return s }

// excuse excuses from the first rule, excused from everything.
func (s scene) excuse(why mfa.Reason) scene  { s.Excuse = why; return s }
func (s scene) excused(why mfa.Reason) scene { s.Excused = why; return s }

// lapsed makes the door ask for something proven since.
func (s scene) lapsed(ago time.Duration) scene { s.Lapsed = s.Now.Add(-ago); return s }

// remembered is a browser that was remembered so long ago.
func (s scene) remembered(m mfa.Method, ago time.Duration) scene {
	s.Remembered = mfa.Proven{Method: m, At: s.Now.Add(-ago)}
	return s
}

func atAdminister() scene {
	s := sceneAt(mfa.AtAdminister)
	s.Required = true
	return s
}

// severalRows are sign-ins and doors under the rules of the installation and of an
// organization.
func severalRows() []decisionRow {
	const (
		totp, sms, email, backup = mfa.TOTP, mfa.SMSCode, mfa.EmailCode, mfa.BackupCode
		usable, waits, unusable  = mfa.Usable, mfa.Waiting, mfa.Unusable
		now                      = time.Duration(0)
	)
	return []decisionRow{
		{"two rules alike, nothing held", atSignIn().due(totp).also(totp), "enroll totp: required_by_rule"},
		{"two rules alike, proven", atSignIn().due(totp).also(totp).holds(totp, usable).proved(totp, now), "allowed: proven"},
		{"app or text, and app: one proof is asked that does for both", atSignIn().due(totp, sms).also(totp).holds(totp, usable).holds(sms, usable), "verify totp: required_by_rule"},
		{"app or text, and app: the text alone does for one", atSignIn().due(totp, sms).also(totp).holds(totp, usable).holds(sms, usable).proved(sms, now), "verify totp: required_by_rule"},
		{"app or text, and app: the app does for both", atSignIn().due(totp, sms).also(totp).holds(totp, usable).holds(sms, usable).proved(totp, now), "allowed: proven"},
		{"app, and text: two are asked for, the first", atSignIn().due(totp).also(sms).holds(totp, usable).holds(sms, usable), "verify totp: required_by_rule"},
		{"app, and text: then the second", atSignIn().due(totp).also(sms).holds(totp, usable).holds(sms, usable).proved(totp, now), "verify sms_code: required_by_rule"},
		{"app, and text: both proven", atSignIn().due(totp).also(sms).holds(totp, usable).holds(sms, usable).proved(totp, now).proved(sms, now), "allowed: proven"},
		{"app, and text: a backup code does for both", atSignIn().due(totp).also(sms).holds(totp, usable).holds(sms, usable).proved(backup, now), "allowed: proven"},
		{"app, and text: the app held", atSignIn().due(totp).also(sms).holds(totp, usable), "verify totp: required_by_rule"},
		{"app, and text: the app held and proven", atSignIn().due(totp).also(sms).holds(totp, usable).proved(totp, now), "enroll sms_code: method_not_allowed"},
		{"app, and text: nothing held", atSignIn().due(totp).also(sms), "enroll totp: required_by_rule"},
		{"app or text, and text: nothing held, one that does for both", atSignIn().due(totp, sms).also(sms), "enroll sms_code: required_by_rule"},
		{"app or text, and text: the app disabled", atSignIn().due(totp, sms).also(sms).holds(totp, unusable).holds(sms, usable), "verify sms_code: required_by_rule"},
		{"app or text, and app: the app waits", atSignIn().due(totp, sms).also(totp).holds(totp, waits).holds(sms, usable), "verify totp, all wait: required_by_rule"},
		{"app or text, and app: the app disabled", atSignIn().due(totp, sms).also(totp).holds(totp, unusable).holds(sms, usable), "refused: no_usable_factor"},
		{"app or text, and app: the app disabled, text proven", atSignIn().due(totp, sms).also(totp).holds(totp, unusable).holds(sms, usable).proved(sms, now), "refused: no_usable_factor"},
		{"text only where text is not allowed", atSignIn().due(totp).holds(sms, usable), "verify sms_code: required_by_rule"},
		{"text and mail where neither is allowed, text proven", atSignIn().due(totp).holds(sms, usable).holds(email, usable).proved(sms, now), "enroll totp: method_not_allowed"},
		{"text and mail where neither is allowed, mail proven", atSignIn().due(totp).holds(sms, usable).holds(email, usable).proved(email, now), "verify sms_code: required_by_rule"},
		{"due, and one that comes: the due one first", atSignIn().due(totp).comes(oneDay, sms), "enroll totp: required_by_rule"},
		{"due and met, and one that comes", atSignIn().due(totp).comes(oneDay, sms).holds(totp, usable).proved(totp, now), "enroll sms_code, may skip for 24h0m0s: method_not_allowed"},
		{"due and met, and one that comes, skipped", atSignIn().due(totp).comes(oneDay, sms).holds(totp, usable).proved(totp, now).skipped(), "allowed: skipped"},
		{"due and met, and one that the same meets", atSignIn().due(totp).comes(oneDay, totp).holds(totp, usable).proved(totp, now), "allowed: proven"},
		{"two come: the sooner", atSignIn().soon(totp).comes(time.Hour, sms), "enroll sms_code, may skip for 1h0m0s: required_by_rule"},
		{"two come, skipped", atSignIn().soon(totp).comes(time.Hour, sms).skipped(), "allowed: skipped"},
		{"reset under two rules", atSignIn().due(totp, sms).also(sms).mustEnroll(), "enroll sms_code: reset"},
		{"switch on, a rule that comes and is met", atSignIn().soon(totp).holds(totp, usable).ask(), "verify totp: asked_by_user"},
		{"another rule than the first alone", atDoor().also(totp).holds(totp, usable), "verify totp: required_by_rule"},
		{"door, installation and organization", atDoor().due(totp, sms).also(totp).holds(totp, usable).proved(totp, time.Hour), "allowed: proven"},
		{"door, text proven where one rule wants the app", atDoor().due(totp, sms).also(totp).holds(totp, usable).holds(sms, usable).proved(sms, time.Hour), "verify totp: required_by_rule"},
		{"door, app held and text wanted besides, long ago", atDoor().due(totp).also(sms).holds(totp, usable).proved(totp, time.Hour), "verify totp: proof_too_old"},
		{"door, app held and text wanted besides, just now", atDoor().due(totp).also(sms).holds(totp, usable).proved(totp, now), "enroll sms_code: method_not_allowed"},
	}
}

// afterRows are doors that take no proof older than some moment, and doors at which
// a session has lasted too long.
func afterRows() []decisionRow {
	const (
		totp, sms, backup = mfa.TOTP, mfa.SMSCode, mfa.BackupCode
		usable, unusable  = mfa.Usable, mfa.Unusable
		now               = time.Duration(0)
		hour              = time.Hour
	)
	return []decisionRow{
		{"proven before", atDoor().due(totp).after(hour).holds(totp, usable).proved(totp, hour+time.Second), "verify totp: required_by_rule"},
		{"proven that very second", atDoor().due(totp).after(hour).holds(totp, usable).proved(totp, hour), "allowed: proven"},
		{"proven since", atDoor().due(totp).after(hour).holds(totp, usable).proved(totp, now), "allowed: proven"},
		{"a backup code before", atDoor().due(totp).after(hour).holds(totp, usable).holds(backup, usable).proved(backup, 2*hour), "verify totp backup_code: required_by_rule"},
		{"a backup code since", atDoor().due(totp).after(hour).holds(totp, usable).proved(backup, now), "allowed: proven"},
		{"proven before, and disabled since", atDoor().due(totp).after(hour).holds(totp, unusable).proved(totp, 2*hour), "refused: no_usable_factor"},
		{"the moment lies ahead: nothing is from after it", atDoor().due(totp).after(-hour).holds(totp, usable).proved(totp, now), "verify totp: required_by_rule"},
		{"not due yet: the moment does not matter", atDoor().soon(totp).after(hour).holds(totp, usable).proved(totp, 2*hour), "allowed: not_required"},
		{"another rule's moment", atDoor().due(totp).rule(mfa.Rule{Allowed: []mfa.Method{sms}, After: decidedAt().Add(-hour)}).
			holds(totp, usable).holds(sms, usable).proved(totp, 2*hour).proved(sms, 2*hour), "verify sms_code: required_by_rule"},
		{"lapsed, held", atDoor().lapsed(hour).holds(totp, usable).proved(totp, 2*hour), "verify totp: proof_too_old"},
		{"lapsed, held and proven since", atDoor().lapsed(hour).holds(totp, usable).proved(totp, now), "allowed: not_required"},
		{"lapsed, nothing held", atDoor().lapsed(hour).firstAgo(2 * hour), "verify password: proof_too_old"},
		{"lapsed, nothing held, signed in since", atDoor().lapsed(hour).firstAgo(time.Minute), "allowed: not_required"},
		{"lapsed, and a provider that did not say when", atDoor().lapsed(hour).bySSO().firstUnknown(), "verify password: proof_too_old"},
		{"lapsed, waived", atDoor().lapsed(hour).bySSO().firstAgo(2 * hour).excused(mfa.ReasonSSOWaived), "verify password: proof_too_old"},
		{"lapsed, then the rule", atDoor().lapsed(hour).due(totp).holds(totp, usable).holds(sms, usable).proved(sms, now), "verify totp: required_by_rule"},
	}
}

// excuseRows are rules that do not ask somebody, and browsers that are remembered.
func excuseRows() []decisionRow {
	const (
		totp, sms = mfa.TOTP, mfa.SMSCode
		usable    = mfa.Usable
		now       = time.Duration(0)
		hour      = time.Hour
		waived    = mfa.ReasonSSOWaived
		trusted   = mfa.ReasonSSOTrusted
	)
	return []decisionRow{
		{"waived", atSignIn().due(totp).bySSO().excused(waived), "allowed: sso_waived"},
		{"waived, held and the switch on", atSignIn().due(totp).holds(totp, usable).ask().bySSO().excused(waived), "allowed: sso_waived"},
		{"waived after a reset", atSignIn().mustEnroll().bySSO().excused(waived), "allowed: sso_waived"},
		{"waived, before the date", atSignIn().soon(totp).bySSO().excused(waived), "allowed: sso_waived"},
		{"waived, and a password that somebody knows", atSignIn().due(totp).holds(totp, usable).compromised().bySSO().excused(waived), "allowed: sso_waived"},
		{"trusted", atSignIn().due(totp).also(sms).bySSO().excused(trusted), "allowed: sso_trusted"},
		{"exempt", atSignIn().due(totp).excuse(mfa.ReasonExempt), "allowed: exempt"},
		{"exempt, the switch on", atSignIn().due(totp).holds(totp, usable).ask().excuse(mfa.ReasonExempt), "verify totp: asked_by_user"},
		{"exempt after a reset", atSignIn().due(totp).mustEnroll().excuse(mfa.ReasonExempt), "enroll totp: reset"},
		{"exempt from one of two", atSignIn().due(totp).excuse(mfa.ReasonExempt).also(sms).holds(totp, usable), "verify totp: required_by_rule"},
		{"trusted at the door for one of two", atDoor().due(totp).excuse(trusted).also(totp).holds(totp, usable), "verify totp: required_by_rule"},
		{"trusted at the door", atDoor().due(totp).excuse(trusted).holds(totp, usable), "allowed: sso_trusted"},
		{"remembered, the switch on", atSignIn().holds(totp, usable).ask().remembered(totp, hour), "allowed: remembered_browser"},
		{"remembered, and the rule lets it", atSignIn().due(totp).recall(oneDay).holds(totp, usable).remembered(totp, hour), "allowed: remembered_browser"},
		{"remembered, and the rule forbids it", atSignIn().due(totp).holds(totp, usable).remembered(totp, hour), "verify totp: required_by_rule"},
		{"remembered for as long as the rule lets it", atSignIn().due(totp).recall(oneDay).holds(totp, usable).remembered(totp, oneDay-time.Second), "allowed: remembered_browser"},
		{"remembered a second too long ago", atSignIn().due(totp).recall(oneDay).holds(totp, usable).remembered(totp, oneDay), "verify totp: required_by_rule"},
		{"remembered, and one of two rules forbids it", atSignIn().due(totp).recall(oneDay).also(totp).holds(totp, usable).remembered(totp, hour), "verify totp: required_by_rule"},
		{"remembered, and the password is suspect", atSignIn().due(totp).recall(oneDay).holds(totp, usable).remembered(totp, hour).compromised(), "verify totp: required_by_rule"},
		{"remembered with a method that is not allowed: no enrollment without a proof", atSignIn().due(totp).recall(oneDay).holds(sms, usable).remembered(sms, hour), "verify sms_code: required_by_rule"},
		{"remembered at the door, before its moment", atDoor().due(totp).recall(oneDay).after(hour).holds(totp, usable).remembered(totp, 2*hour), "verify totp: required_by_rule"},
		{"remembered at the door", atDoor().due(totp).recall(oneDay).holds(totp, usable).remembered(totp, 2*hour), "allowed: remembered_browser"},
		{"remembered is no fresh proof", atConfirm().holds(totp, usable).remembered(totp, now), "verify totp: proof_too_old"},
	}
}

// administerRows are administrators.
func administerRows() []decisionRow {
	const (
		totp, sms, backup = mfa.TOTP, mfa.SMSCode, mfa.BackupCode
		usable, unusable  = mfa.Usable, mfa.Unusable
		now               = time.Duration(0)
	)
	return []decisionRow{
		{"administer, proven", atAdminister().holds(totp, usable).proved(totp, freshFor), "allowed: proven"},
		{"administer, proven a second too long ago", atAdminister().holds(totp, usable).proved(totp, freshFor+time.Second), "verify totp: proof_too_old"},
		{"administer, nothing held", atAdminister(), "enroll totp: required_by_rule"},
		{"administer, nothing held, signed in long ago", atAdminister().firstAgo(time.Hour), "verify password: proof_too_old"},
		{"administer, held is not allowed", atAdminister().holds(sms, usable), "verify sms_code: proof_too_old"},
		{"administer, held is not allowed, proven", atAdminister().holds(sms, usable).proved(sms, now), "enroll totp: method_not_allowed"},
		{"administer, proven with what is not allowed", atAdminister().holds(totp, usable).holds(sms, usable).proved(sms, now), "verify totp: proof_too_old"},
		{"administer, by a backup code", atAdminister().holds(totp, usable).proved(backup, now), "allowed: proven"},
		{"administer, disabled", atAdminister().holds(totp, unusable), "refused: no_usable_factor"},
		{"administer, remembered", atAdminister().recall(oneDay).holds(totp, usable).remembered(totp, now), "verify totp: proof_too_old"},
	}
}

// TestOrgDecisionRows is what several rules, and an administrator's, come to.
func TestOrgDecisionRows(t *testing.T) {
	names := make(map[string]bool)
	for _, rows := range [][]decisionRow{severalRows(), afterRows(), excuseRows(), administerRows()} {
		for _, r := range rows {
			if names[r.name] {
				t.Errorf("%q twice", r.name)
			}
			names[r.name] = true
			t.Run(r.name, func(t *testing.T) {
				if got := r.s.decision(); got != r.want {
					t.Errorf("%s\nwant %s", got, r.want)
				}
			})
		}
	}
	t.Logf("%d rows", len(names))
}
