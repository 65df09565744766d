package mfa_test

import (
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
)

// A scene is a situation that is easy to write down.
type scene mfa.Situation

func sceneAt(p mfa.Place) scene {
	return scene{
		Now: decidedAt(), Since: decidedAt().Add(-freshFor), Place: p, Allowed: []mfa.Method{mfa.TOTP},
		ByPassword: true, FirstAt: decidedAt().Add(-time.Minute),
	}
}

func atSignIn() scene  { return sceneAt(mfa.AtSignIn) }
func atDoor() scene    { return sceneAt(mfa.AtDoor) }
func atConfirm() scene { return sceneAt(mfa.AtConfirm) }
func atEnroll() scene  { return sceneAt(mfa.AtEnroll) }

// due and soon make a rule that binds since yesterday, or from tomorrow on.
func (s scene) due(allowed ...mfa.Method) scene {
	s.Required, s.From, s.Allowed = true, s.Now.Add(-oneDay), allowed
	return s
}

func (s scene) soon(allowed ...mfa.Method) scene {
	s.Required, s.From, s.Allowed = true, s.Now.Add(oneDay), allowed
	return s
}

func (s scene) holds(m mfa.Method, state mfa.Usability) scene {
	s.Held = append(s.Held[:len(s.Held):len(s.Held)], mfa.Holding{Method: m, State: state})
	return s
}

// proved adds a proof so long before now.
func (s scene) proved(m mfa.Method, ago time.Duration) scene {
	s.Proofs = append(s.Proofs[:len(s.Proofs):len(s.Proofs)], mfa.Proven{Method: m, At: s.Now.Add(-ago)})
	return s
}

// from sets when the rule begins to bind.
func (s scene) from(t time.Time) scene { s.From = t; return s }

// firstAgo makes the first factor so old.
func (s scene) firstAgo(ago time.Duration) scene { s.FirstAt = s.Now.Add(-ago); return s }

// opened makes the flow so old: proofs were fresh enough then.
func (s scene) opened(ago time.Duration) scene { s.Since = s.Since.Add(-ago); return s }

func (s scene) ask() scene          { s.Ask = true; return s }
func (s scene) mustEnroll() scene   { s.MustEnroll = true; return s }
func (s scene) unsaved() scene      { s.Unsaved = true; return s }
func (s scene) compromised() scene  { s.Compromised = true; return s }
func (s scene) bySSO() scene        { s.ByPassword = false; return s }
func (s scene) firstUnknown() scene { s.FirstAt = time.Time{}; return s }
func (s scene) skipped() scene      { s.Skipped = true; return s }
func (s scene) enrolled() scene     { s.Enrolled = true; return s }
func (s scene) staged() scene       { s.Staged = true; return s }
func (s scene) strong() scene       { s.Strong = true; return s }

// spare is a method on by default; remembers is by what the browser is remembered.
func (s scene) spare(m mfa.Method, state mfa.Usability) scene {
	s = s.holds(m, state)
	s.Held[len(s.Held)-1].Spare = true
	return s
}

func (s scene) remembers(m mfa.Method) scene { s.Remembered.Method = m; return s }

// confirms makes a first factor take a code to an address that can be reached so.
func (s scene) confirms(done bool, reach ...mfa.Holding) scene {
	s.Confirm, s.Confirmed, s.Reachable = true, done, reach
	return s
}

// knows adds an address to which a code can be sent.
func (s scene) knows(m mfa.Method, state mfa.Usability) scene {
	s.Reachable = append(s.Reachable[:len(s.Reachable):len(s.Reachable)], mfa.Holding{Method: m, State: state})
	return s
}

// decision returns the verdict in words.
func (s scene) decision() string {
	v := mfa.Decide(mfa.Situation(s))
	text := "allowed"
	if v.Refused {
		text = "refused"
	}
	if v.Step != 0 {
		text = v.Step.String()
	}
	for _, m := range v.Methods {
		text += " " + m.String()
	}
	if v.Waits {
		text += ", all wait"
	}
	if !v.Until.IsZero() {
		text += ", may skip for " + v.Until.Sub(s.Now).String()
	}
	return text + ": " + string(v.Why)
}

// A decisionRow is an example of the policy: what is decided where.
type decisionRow struct {
	name string
	s    scene
	want string
}

// switchRows are sign-ins without a rule: the user's own switch asks.
func switchRows() []decisionRow {
	const (
		totp, sms, backup       = mfa.TOTP, mfa.SMSCode, mfa.BackupCode
		usable, waits, unusable = mfa.Usable, mfa.Waiting, mfa.Unusable
		now                     = time.Duration(0)
	)
	return []decisionRow{
		{"password only, nothing held", atSignIn(), "allowed: not_required"},
		{"held, and the switch off", atSignIn().holds(totp, usable), "allowed: not_required"},
		{"switch on, nothing held", atSignIn().ask(), "allowed: not_required"},
		{"switch on", atSignIn().holds(totp, usable).ask(), "verify totp: asked_by_user"},
		{"switch on, codes left", atSignIn().holds(totp, usable).holds(backup, usable).ask(), "verify totp backup_code: asked_by_user"},
		{"switch on, app waits, codes left", atSignIn().holds(totp, waits).holds(backup, usable).ask(), "verify backup_code totp: asked_by_user"},
		{"switch on, app waits", atSignIn().holds(totp, waits).ask(), "verify totp, all wait: asked_by_user"},
		{"switch on, both wait", atSignIn().holds(totp, waits).holds(backup, waits).ask(), "verify totp backup_code, all wait: asked_by_user"},
		{"switch on, app disabled, codes left", atSignIn().holds(totp, unusable).holds(backup, usable).ask(), "verify backup_code: asked_by_user"},
		{"switch on, app disabled, codes wait", atSignIn().holds(totp, unusable).holds(backup, waits).ask(), "verify backup_code, all wait: asked_by_user"},
		{"switch on, app disabled", atSignIn().holds(totp, unusable).ask(), "refused: no_usable_factor"},
		{"switch off, app disabled", atSignIn().holds(totp, unusable), "allowed: not_required"},
		{"switch on, app proven", atSignIn().holds(totp, usable).proved(totp, now).ask(), "allowed: proven"},
		{"switch on, last backup code proven", atSignIn().holds(totp, unusable).proved(backup, now).ask(), "allowed: proven"},
		{"switch on, a factor proven that is not held", atSignIn().holds(totp, usable).proved(sms, now).ask(), "verify totp: asked_by_user"},
		{"switch on, provider first", atSignIn().holds(totp, usable).ask().bySSO(), "verify totp: asked_by_user"},
		{"codes without a factor are none", atSignIn().holds(backup, usable).ask(), "allowed: not_required"},
	}
}

// dueRows are sign-ins under a rule that is due.
func dueRows() []decisionRow {
	const (
		totp, sms, email, backup = mfa.TOTP, mfa.SMSCode, mfa.EmailCode, mfa.BackupCode
		usable, waits, unusable  = mfa.Usable, mfa.Waiting, mfa.Unusable
		second                   = time.Second
		now                      = time.Duration(0)
	)
	return []decisionRow{
		{"rule, nothing held", atSignIn().due(totp), "enroll totp: required_by_rule"},
		{"rule, nothing held, skipped once", atSignIn().due(totp).skipped(), "enroll totp: required_by_rule"},
		{"rule, nothing held, provider first", atSignIn().due(totp).bySSO(), "enroll totp: required_by_rule"},
		{"rule, held", atSignIn().due(totp).holds(totp, usable).holds(backup, usable), "verify totp backup_code: required_by_rule"},
		{"rule, app proven", atSignIn().due(totp).holds(totp, usable).proved(totp, now), "allowed: proven"},
		{"rule, backup code proven", atSignIn().due(totp).holds(totp, usable).proved(backup, now), "allowed: proven"},
		{"rule, app disabled", atSignIn().due(totp).holds(totp, unusable), "refused: no_usable_factor"},
		{"rule, app waits", atSignIn().due(totp).holds(totp, waits), "verify totp, all wait: required_by_rule"},
		{"rule, two held and one allowed", atSignIn().due(totp).holds(sms, usable).holds(totp, usable), "verify totp: required_by_rule"},
		{"rule, two held, the other one proven", atSignIn().due(totp).holds(sms, usable).holds(totp, usable).proved(sms, now), "verify totp: required_by_rule"},
		{"rule, two held, the allowed one disabled", atSignIn().due(totp).holds(sms, usable).holds(totp, unusable), "refused: no_usable_factor"},
		{"rule, held is not allowed", atSignIn().due(totp).holds(sms, usable), "verify sms_code: required_by_rule"},
		{"rule, held is not allowed and proven", atSignIn().due(totp).holds(sms, usable).proved(sms, now), "enroll totp: method_not_allowed"},
		{"rule, held is not allowed nor usable", atSignIn().due(totp).holds(sms, unusable), "refused: no_usable_factor"},
		{"rule, two channels held, neither allowed", atSignIn().due(totp).holds(email, waits).holds(sms, usable), "verify sms_code: required_by_rule"}, // mail must not lead to another factor
		{"rule from this second on", atSignIn().due(totp).from(decidedAt()), "enroll totp: required_by_rule"},
		{"rule from the next second on", atSignIn().due(totp).from(decidedAt().Add(second)), "enroll totp, may skip for 1s: required_by_rule"},
		{"rule without a date", atSignIn().due(totp).from(time.Time{}), "enroll totp: required_by_rule"},
	}
}

// soonRows are sign-ins before the date of a rule.
func soonRows() []decisionRow {
	const (
		totp, sms = mfa.TOTP, mfa.SMSCode
		usable    = mfa.Usable
		now       = time.Duration(0)
	)
	return []decisionRow{
		{"soon, nothing held", atSignIn().soon(totp), "enroll totp, may skip for 24h0m0s: required_by_rule"},
		{"soon, skipped", atSignIn().soon(totp).skipped(), "allowed: skipped"},
		{"soon, held, switch off", atSignIn().soon(totp).holds(totp, usable), "allowed: not_required"},
		{"soon, held, switch on", atSignIn().soon(totp).holds(totp, usable).ask(), "verify totp: asked_by_user"},
		{"soon, other held, switch off: no invitation without its proof", atSignIn().soon(totp).holds(sms, usable), "allowed: not_required"},
		{"soon, other held, switch on, proven", atSignIn().soon(totp).holds(sms, usable).proved(sms, now).ask(), "enroll totp, may skip for 24h0m0s: method_not_allowed"},
	}
}

// resetRows are sign-ins after a reset.
func resetRows() []decisionRow {
	const totp = mfa.TOTP
	return []decisionRow{
		{"reset", atSignIn().mustEnroll(), "enroll totp: reset"},
		{"reset, before the date of a rule: no skipping", atSignIn().soon(totp).mustEnroll().skipped(), "enroll totp: reset"},
	}
}

// suspectRows are sign-ins with codes that were never saved, or with a password
// that somebody else knows.
func suspectRows() []decisionRow {
	const (
		totp, email      = mfa.TOTP, mfa.EmailCode
		usable, unusable = mfa.Usable, mfa.Unusable
		now              = time.Duration(0)
	)
	return []decisionRow{
		{"unsaved, proven", atSignIn().holds(totp, usable).proved(totp, now).ask().unsaved(), "save_codes: codes_not_saved"},
		{"unsaved, not asked", atSignIn().holds(totp, usable).unsaved(), "allowed: not_required"},
		{"just enrolled", atSignIn().due(totp).holds(totp, usable).proved(totp, now).unsaved().staged(), "save_codes: codes_not_saved"},
		{"compromised, before the factor", atSignIn().holds(totp, usable).ask().compromised(), "verify totp: password_compromised"},
		{"compromised, before the factor, under a rule", atSignIn().due(totp).holds(totp, usable).compromised(), "verify totp: required_by_rule"},
		{"compromised, no factor usable", atSignIn().holds(totp, unusable).compromised(), "refused: no_usable_factor"},
		{"compromised, after the factor", atSignIn().holds(totp, usable).proved(totp, now).ask().compromised(), "new_password: password_compromised"},
		{"compromised, codes first", atSignIn().holds(totp, usable).proved(totp, now).ask().compromised().unsaved(), "save_codes: codes_not_saved"},
		{"compromised, nothing held", atSignIn().compromised(), "new_password: password_compromised"},
		{"compromised, nothing held, an address known", atSignIn().compromised().knows(email, usable), "verify email_code: confirm_address"},
		{"compromised, nothing held, an address confirmed", atSignIn().compromised().confirms(true, mfa.Holding{Method: email}), "new_password: password_compromised"},
		{"compromised, nothing held, codes there disabled", atSignIn().compromised().knows(email, unusable), "refused: no_usable_factor"},
		{"compromised, provider first", atSignIn().compromised().bySSO(), "allowed: not_required"},
		{"compromised, held and not asked", atSignIn().holds(totp, usable).compromised(), "verify totp: password_compromised"},
	}
}

// doorRows are at the door of an organization.
func doorRows() []decisionRow {
	const (
		totp   = mfa.TOTP
		usable = mfa.Usable
	)
	return []decisionRow{
		{"no rule at the door", atDoor().holds(totp, usable).ask(), "allowed: not_required"},
		{"rule at the door, nothing held", atDoor().due(totp), "enroll totp: required_by_rule"},
		{"rule at the door, nothing held, hours after the sign-in", atDoor().due(totp).firstAgo(time.Hour), "verify password: proof_too_old"},
		{"rule at the door, held", atDoor().due(totp).holds(totp, usable), "verify totp: required_by_rule"},
		{"rule at the door, proven an hour ago", atDoor().due(totp).holds(totp, usable).proved(totp, time.Hour), "allowed: proven"},
		{"soon at the door, held", atDoor().soon(totp).holds(totp, usable), "allowed: not_required"},
		{"compromised at the door: asked at sign-in", atDoor().compromised(), "allowed: not_required"},
	}
}

// confirmRows are sensitive actions.
func confirmRows() []decisionRow {
	const (
		totp, backup     = mfa.TOTP, mfa.BackupCode
		usable, unusable = mfa.Usable, mfa.Unusable
		second           = time.Second
		now              = time.Duration(0)
	)
	return []decisionRow{
		{"confirm, nothing held", atConfirm(), "allowed: proven"},
		{"confirm, first factor exactly old enough", atConfirm().firstAgo(freshFor), "allowed: proven"},
		{"confirm, first factor a second too old", atConfirm().firstAgo(freshFor + second), "verify password: proof_too_old"},
		{"confirm, provider did not say when", atConfirm().bySSO().firstUnknown(), "verify password: proof_too_old"},
		{"confirm, held: a password is not enough", atConfirm().holds(totp, usable).firstAgo(now), "verify totp: proof_too_old"},
		{"confirm, proven exactly long ago enough", atConfirm().holds(totp, usable).proved(totp, freshFor), "allowed: proven"},
		{"confirm, proven a second too long ago", atConfirm().holds(totp, usable).proved(totp, freshFor+second), "verify totp: proof_too_old"},
		{"confirm, proven ahead by as much as it may be old", atConfirm().holds(totp, usable).proved(totp, -freshFor), "allowed: proven"},
		{"confirm, proven further ahead", atConfirm().holds(totp, usable).proved(totp, -freshFor-second), "verify totp: proof_too_old"},
		{"confirm, held and disabled", atConfirm().holds(totp, unusable), "refused: no_usable_factor"},
		{"confirm, by the last backup code", atConfirm().holds(totp, usable).proved(backup, now), "allowed: proven"},
		{"confirmed, and new codes", atConfirm().holds(totp, usable).proved(totp, now).unsaved().staged(), "save_codes: codes_not_saved"},
		{"confirmed, and new codes for nine minutes", atConfirm().holds(totp, usable).proved(totp, 9*time.Minute).opened(9 * time.Minute).staged(), "save_codes: codes_not_saved"},
		{"confirmed too long before the flow, and new codes", atConfirm().holds(totp, usable).proved(totp, 15*time.Minute).opened(9 * time.Minute).staged(), "verify totp: proof_too_old"},
		{"unsaved elsewhere: no codes here", atConfirm().holds(totp, usable).proved(totp, now).unsaved(), "allowed: proven"},
	}
}

// enrollRows are enrollments from the settings.
func enrollRows() []decisionRow {
	const (
		totp, backup     = mfa.TOTP, mfa.BackupCode
		usable, unusable = mfa.Usable, mfa.Unusable
		now              = time.Duration(0)
	)
	return []decisionRow{
		{"enroll, nothing held", atEnroll(), "enroll totp: requested"},
		{"enroll, nothing held, first factor too old", atEnroll().firstAgo(time.Hour), "verify password: proof_too_old"},
		{"enroll another", atEnroll().holds(totp, usable), "verify totp: proof_too_old"},
		{"enroll another, proven", atEnroll().holds(totp, usable).proved(totp, now), "enroll totp: requested"},
		{"enroll, app disabled, by backup code", atEnroll().holds(totp, unusable).holds(backup, usable), "verify backup_code: proof_too_old"},
		{"enroll, and it took nine minutes", atEnroll().firstAgo(10 * time.Minute).opened(9 * time.Minute), "enroll totp: requested"},
		{"enroll, and a factor was bound elsewhere meanwhile", atEnroll().holds(totp, usable).opened(9 * time.Minute), "verify totp: proof_too_old"},
		{"enrolled", atEnroll().holds(totp, usable).proved(totp, now).enrolled(), "allowed: proven"},
		{"enrolled, with first codes", atEnroll().holds(totp, usable).proved(totp, now).enrolled().staged(), "save_codes: codes_not_saved"},
	}
}

// sentRows are about codes that are sent, and about what is proven with them.
func sentRows() []decisionRow {
	const (
		totp, sms, mail, backup = mfa.TOTP, mfa.SMSCode, mfa.EmailCode, mfa.BackupCode
		usable, waits, unusable = mfa.Usable, mfa.Waiting, mfa.Unusable
		now                     = time.Duration(0)
	)
	return []decisionRow{
		{"spare alone is no factor", atSignIn().spare(sms, usable).ask(), "allowed: not_required"},
		{"spare alone under a rule", atSignIn().due(totp, sms).spare(sms, usable), "enroll totp sms_code: required_by_rule"},
		{"spare beside an app", atSignIn().holds(totp, usable).spare(sms, usable).ask(), "verify totp sms_code: asked_by_user"},
		{"spare beside an app that is disabled", atSignIn().holds(totp, unusable).spare(sms, usable).ask(), "verify sms_code: asked_by_user"},
		{"spare unusable", atSignIn().holds(totp, unusable).spare(sms, unusable).ask(), "refused: no_usable_factor"},
		{"mail alone, app required", atSignIn().due(totp).holds(mail, usable), "verify email_code: required_by_rule"},
		{"mail alone, app required, proven", atSignIn().due(totp).holds(mail, usable).proved(mail, now), "enroll totp: method_not_allowed"},
		{"mail beside text messages, app required, mail proven", atSignIn().due(totp).holds(mail, usable).holds(sms, usable).proved(mail, now), "verify sms_code: required_by_rule"},
		{"mail usable beside text messages that are not, app required", atSignIn().due(totp).holds(mail, usable).holds(sms, unusable), "refused: no_usable_factor"},
		{"soon, mail proven beside text messages: no invitation", atSignIn().soon(totp).holds(mail, usable).holds(sms, usable).proved(mail, now).ask(), "allowed: proven"},
		{"unsaved, mail proven beside an app", atSignIn().holds(mail, usable).holds(totp, usable).proved(mail, now).ask().unsaved(), "allowed: proven"},
		{"unsaved, mail alone", atSignIn().holds(mail, usable).proved(mail, now).ask().unsaved(), "save_codes: codes_not_saved"},
		{"strong, mail proven beside an app", atConfirm().strong().holds(mail, usable).holds(totp, usable).proved(mail, now), "verify totp: proof_too_old"},
		{"strong, mail alone", atConfirm().strong().holds(mail, usable).proved(mail, now), "allowed: proven"},
		{"strong, by backup code", atConfirm().strong().holds(mail, usable).holds(totp, usable).proved(backup, now), "allowed: proven"},
		{"strong, mail beside a spare", atConfirm().strong().holds(mail, usable).spare(sms, usable).proved(mail, now), "allowed: proven"},
		{"remembered", atSignIn().holds(totp, usable).ask().remembers(totp), "allowed: remembered_browser"},
		{"remembered by what is not held any more", atSignIn().holds(totp, usable).ask().remembers(mail), "verify totp: asked_by_user"},
		{"remembered by what the rule does not allow", atSignIn().due(totp).holds(totp, usable).holds(mail, usable).remembers(mail), "verify totp: required_by_rule"},
		{"remembered, and to enroll another", atSignIn().due(totp).holds(sms, usable).remembers(sms), "verify sms_code: required_by_rule"},
		{"remembered, and compromised", atSignIn().holds(totp, usable).ask().compromised().remembers(totp), "verify totp: password_compromised"},
		{"remembered, and compromised, under a rule", atSignIn().due(totp).holds(totp, usable).compromised().remembers(totp), "verify totp: required_by_rule"},
		{"remembered, and a sensitive action", atConfirm().holds(totp, usable).remembers(totp), "verify totp: proof_too_old"},
		{"confirm first", atSignIn().mustEnroll().confirms(false, mfa.Holding{Method: mail, State: usable}), "verify email_code: confirm_address"},
		{"confirm first, waits", atSignIn().mustEnroll().confirms(false, mfa.Holding{Method: mail, State: waits}), "verify email_code, all wait: confirm_address"},
		{"confirm first, disabled", atSignIn().mustEnroll().confirms(false, mfa.Holding{Method: mail, State: unusable}), "refused: no_usable_factor"},
		{"confirm first, nowhere", atSignIn().mustEnroll().confirms(false), "enroll totp: reset"},
		{"confirmed", atSignIn().mustEnroll().confirms(true, mfa.Holding{Method: mail, State: usable}), "enroll totp: reset"},
		{"confirm first, before the date", atSignIn().soon(totp).confirms(false, mfa.Holding{Method: mail, State: usable}), "verify email_code, may skip for 24h0m0s: confirm_address"},
		{"confirm at a door, after the password", atDoor().due(totp).firstAgo(time.Hour).confirms(false, mfa.Holding{Method: mail, State: usable}), "verify password: proof_too_old"},
		{"confirm first, before the date, waits", atSignIn().soon(totp).confirms(false, mfa.Holding{Method: mail, State: waits}), "allowed: not_required"},
		{"confirm first, before the date, disabled", atSignIn().soon(totp).confirms(false, mfa.Holding{Method: mail, State: unusable}), "allowed: not_required"},
		{"at a door before the date, hours after the sign-in", atDoor().soon(totp).firstAgo(time.Hour), "allowed: not_required"},
		{"at a door, to enroll, mail fresh and app not", atDoor().due(sms).holds(totp, usable).holds(mail, usable).proved(totp, time.Hour).proved(mail, now), "verify totp: proof_too_old"},
		{"confirm in the settings", atEnroll().confirms(false, mfa.Holding{Method: mail, State: usable}), "verify email_code: confirm_address"},
		{"no confirming beside a factor", atEnroll().holds(sms, usable).proved(sms, now).confirms(false, mfa.Holding{Method: mail, State: usable}), "enroll totp: requested"},
	}
}

// TestDecisionRows is the policy in examples.
func TestDecisionRows(t *testing.T) {
	for _, r := range slices.Concat(
		switchRows(), dueRows(), soonRows(), resetRows(), suspectRows(),
		doorRows(), confirmRows(), enrollRows(), sentRows(),
	) {
		t.Run(r.name, func(t *testing.T) {
			if got := r.s.decision(); got != r.want {
				t.Errorf("%s\nwant %s", got, r.want)
			}
		})
	}
}
