package mfa

import (
	"errors"
	"fmt"
	"time"
)

// What a caller branches on. Every error of a Guard, a Pending, a Session or an Admin wraps one of them or
// the error of a store or a directory. Show a browser no more than the sentinel:
// it is the same for everything that an attacker must not tell apart. ReasonOf
// says more, for logs and for the host.
var (
	// ErrConflict is returned by Store.Commit when a condition does not hold, and
	// wrapped by *RulesChangedError.
	ErrConflict = errors.New("mfa: record changed")
	// ErrInvalid is a malformed argument: a fault of the calling program, such as
	// an empty user id.
	ErrInvalid = errors.New("mfa: invalid argument")
	// ErrNoSession means that the token names no session that is still alive.
	ErrNoSession = errors.New("mfa: no session")
	// ErrNoPending means that the token names no flow that can still go on.
	ErrNoPending = errors.New("mfa: no pending sign-in")
	// ErrNoUser is returned by Users when there is no such user, and then by
	// Guard.SignIn and by an Admin.
	ErrNoUser = errors.New("mfa: no such user")
	// ErrRefused is the one face of every failed proof.
	ErrRefused = errors.New("mfa: not accepted")
	// ErrThrottled is wrapped by *ThrottledError.
	ErrThrottled = errors.New("mfa: too many tries")
	// ErrStepUp is wrapped by *StepUpError.
	ErrStepUp = errors.New("mfa: a fresh proof is needed")
	// ErrWeak is wrapped by *WeakPasswordError.
	ErrWeak = errors.New("mfa: password does not meet the policy")
	// ErrForbidden means that a rule or a limit does not allow the operation.
	ErrForbidden = errors.New("mfa: not allowed")
	// ErrUndelivered means that the Notifier did not take a code. It may arrive all
	// the same; the user may wait, or use another method at once.
	ErrUndelivered = errors.New("mfa: code not delivered")
	// ErrUnavailable means that the store or the directory failed, or that a
	// record cannot be trusted. Nothing was granted. Whether an answer was right
	// it does not say.
	ErrUnavailable = errors.New("mfa: temporarily unavailable")
)

// A ThrottledError says when to try again. It wraps ErrThrottled.
type ThrottledError struct {
	// RetryAfter is the wait that is left, never more than Limits.WaitMax, or an hour
	// and a minute when too many codes were sent.
	RetryAfter time.Duration

	reason Reason
}

func (e *ThrottledError) Error() string { return ErrThrottled.Error() }
func (e *ThrottledError) Unwrap() error { return ErrThrottled }

// A StepUpError says that an operation needs a fresher or stronger proof than
// the session has. Give its Purpose to Session.StepUp, then try again with the
// session that the flow leads to. It wraps ErrStepUp.
type StepUpError struct {
	Purpose Purpose
	// Need is what the flow will ask for first: StepEnroll tells a page that a factor
	// has to be set up and not only proven.
	Need Need

	reason Reason
}

func (e *StepUpError) Error() string { return ErrStepUp.Error() }
func (e *StepUpError) Unwrap() error { return ErrStepUp }

// A RulesChangedError says that somebody changed an organization's rules since they
// were read: nothing was stored. Show what they are now, and let the
// administrator decide again. It wraps ErrConflict.
type RulesChangedError struct {
	Rules   Rules  // as they are now
	Version string // to give to SetRules
	By      string // who changed them
	At      time.Time
}

func (e *RulesChangedError) Error() string { return "mfa: the rules changed meanwhile" }
func (e *RulesChangedError) Unwrap() error { return ErrConflict }

// refusal is a sentinel with its reason, and with its cause when the host's own
// code is that.
type refusal struct {
	face   error
	reason Reason
	cause  error
}

func (e *refusal) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("%v: %v", e.face, e.cause)
	}
	return e.face.Error()
}

func (e *refusal) Unwrap() []error { return []error{e.face, e.cause} }

// answers reports whether err is the answer of an operation that ran to its end,
// so that what it counted is committed. Any other error discards it.
func answers(err error) bool {
	switch err.(type) {
	case nil, *refusal, *ThrottledError, *StepUpError:
		return true
	}
	return false
}

func invalid(what string) error { return fmt.Errorf("%w: %s", ErrInvalid, what) }

func refuse(face error, why Reason) error { return &refusal{face: face, reason: why} }

// unavailable is a failure of something the library depends on. It wraps both
// ErrUnavailable and the cause, which a host logs and a browser never sees.
type unavailable struct {
	doing  string
	reason Reason
	cause  error
}

func (e *unavailable) Error() string {
	return fmt.Sprintf("%v: %s: %v", ErrUnavailable, e.doing, e.cause)
}
func (e *unavailable) Unwrap() []error { return []error{ErrUnavailable, e.cause} }

// ReasonOf returns why err happened, "" when err is nil or has no reason.
// Never show it to an unauthenticated browser.
func ReasonOf(err error) Reason {
	if e, ok := errors.AsType[*refusal](err); ok {
		return e.reason
	}
	if e, ok := errors.AsType[*ThrottledError](err); ok {
		return e.reason
	}
	if e, ok := errors.AsType[*StepUpError](err); ok {
		return e.reason
	}
	if e, ok := errors.AsType[*unavailable](err); ok {
		return e.reason
	}
	if _, ok := errors.AsType[*RulesChangedError](err); ok {
		return ReasonRulesChanged
	}
	if errors.Is(err, ErrInvalid) {
		return ReasonInvalidArgument
	}
	return ""
}

// A Reason is a stable machine-readable word that says why something was
// refused, asked for or allowed. Words are added, never changed.
type Reason string

// Why a proof or a flow was refused.
const (
	ReasonMalformedCode      Reason = "malformed_code"      // cannot be a code at all; not counted
	ReasonWrongCode          Reason = "wrong_code"          // counted
	ReasonTOTPReused         Reason = "totp_reused"         // right, but of a time step used before; counted
	ReasonMethodNotAsked     Reason = "method_not_asked"    // the flow asks for something else
	ReasonMethodLocked       Reason = "method_locked"       // too many wrong in a row: wait
	ReasonTooManyTries       Reason = "too_many_tries"      // the flow is over: sign in again
	ReasonNoUsableFactor     Reason = "no_usable_factor"    // every factor held is locked, disabled or sealed under a lost key
	ReasonStepNotAsked       Reason = "step_not_asked"      // the flow is at another step
	ReasonNotStaged          Reason = "not_staged"          // confirm without start
	ReasonCannotSkip         Reason = "cannot_skip"         // enrollment is due
	ReasonUserDisabled       Reason = "user_disabled"       // by the directory or by Guard.Disable
	ReasonCredentialsChanged Reason = "credentials_changed" // Guard.CredentialsChanged came between
	ReasonUserForgotten      Reason = "user_forgotten"      // by Guard.Forget, in the last 30 days
	ReasonUserUnknown        Reason = "user_unknown"        // the directory has no such user
	ReasonFactorRequired     Reason = "factor_required"     // a rule requires the factor that would be removed
	ReasonTooManyFactors     Reason = "too_many_factors"    // at most 3 authenticators
	ReasonTooManySessions    Reason = "too_many_sessions"   // the oldest ended to make room
	ReasonUnknownFactor      Reason = "unknown_factor"      // no authenticator with this id
	ReasonNoFactor           Reason = "no_factor"           // the user holds no factor
	ReasonStaleReassertion   Reason = "stale_reassertion"   // the provider's auth_time is too old
	ReasonInvalidArgument    Reason = "invalid_argument"    // see ErrInvalid
	ReasonUnknownKey         Reason = "unknown_key"         // made with a key that is not in Keys
	ReasonAlreadyCompleted   Reason = "already_completed"   // the flow reached its outcome before
	ReasonExpired            Reason = "expired"             // over by its own clock
	ReasonIdle               Reason = "idle"                // unused for longer than Rules.IdleFor
	ReasonReplaced           Reason = "replaced"            // the token was replaced by a newer one
	ReasonNotFound           Reason = "not_found"           // ended, or never was
	ReasonForgedToken        Reason = "forged_token"        // no token of this guard, or of another kind
	ReasonOtherSession       Reason = "other_session"       // the flow belongs to another session, or to one that ended
	ReasonIssuedBefore       Reason = "issued_before"       // earlier than Config.NotBefore
	ReasonRecordMissing      Reason = "record_missing"      // an account is gone, or the rules of an organization
	ReasonTampered           Reason = "tampered"            // a record was changed behind the library's back
	ReasonMalformedRecord    Reason = "malformed_record"    // a record is no JSON of ours
	ReasonNewerRecord        Reason = "newer_record"        // a record of a later version of the library
	ReasonStoreFailed        Reason = "store_failed"        // the store returned an error; nothing was applied or it is not known
	ReasonStoreContract      Reason = "store_contract"      // the store broke its contract, or a user's records grew beyond their bounds
	ReasonBusy               Reason = "busy"                // other operations on the same user came between 8 times, or until the context ended
	ReasonDirectoryFailed    Reason = "directory_failed"    // Users failed or returned another user, or Marker failed
	ReasonNotMember          Reason = "not_a_member"        // of the organization, says the directory
	ReasonNotAdministrator   Reason = "not_administrator"   // of the organization, or the installation
	ReasonNotManaged         Reason = "not_managed"         // the organization does not manage this user
	ReasonOneself            Reason = "oneself"             // nobody administers herself
	ReasonHigherRole         Reason = "higher_role"         // the user's role is equal or higher
	ReasonTooManyActions     Reason = "too_many_actions"    // 10 an hour for each administrator
	ReasonRulesChanged       Reason = "rules_changed"       // another administrator changed them since they were read
	ReasonRulesConfigured    Reason = "rules_configured"    // the installation's rules are in Config.Policy
	ReasonNoUsableMethod     Reason = "no_usable_method"    // no method that the rules allow can be turned on here
	ReasonNobodyPasses       Reason = "nobody_passes"       // no owner of the organization could pass under the rules
	ReasonHashing            Reason = "hashing"             // the context ended while waiting for a password hash
	ReasonNoCodeSent         Reason = "no_code_sent"        // no code of this method was sent in this flow; counted
	ReasonSentTooOften       Reason = "sent_too_often"      // a code was sent just now, or as many as an hour allows
	ReasonSMSRefused         Reason = "sms_refused"         // by Config.BeforeSMS
	ReasonUndelivered        Reason = "undelivered"         // the Notifier failed
	ReasonNoNotifier         Reason = "no_notifier"         // Config.Notifier is nil
	ReasonNoAddress          Reason = "no_address"          // the user has no address to send to
	ReasonAddressUnproven    Reason = "address_unproven"    // nobody has shown yet that the address is hers
	ReasonAddressChanged     Reason = "address_changed"     // the directory names another address than the one proven
	ReasonWrongPassword      Reason = "wrong_password"      // counted
	ReasonNoPassword         Reason = "no_password"         // neither the library nor Config.Passwords has one
	ReasonNetworkBudget      Reason = "network_budget"      // the network asked too often in the last hour
	ReasonMailedPassword     Reason = "mailed_password"     // the password was set through a mailed link, and nothing but mail was passed since
	ReasonNotEmpty           Reason = "not_empty"           // an import into an account that has something already
	ReasonUnknownBrowser     Reason = "unknown_browser"     // a sign-in from a browser that was not seen before
)

// Why a flow asks for something, and why it asks for nothing.
const (
	ReasonRule           Reason = "required_by_rule"     // the rules ask
	ReasonSwitch         Reason = "asked_by_user"        // the user's own switch asks
	ReasonReset          Reason = "reset"                // an administrator reset the factors
	ReasonStale          Reason = "proof_too_old"        // a sensitive action needs a fresh proof
	ReasonNotAllowed     Reason = "method_not_allowed"   // what the user holds does not satisfy the rule
	ReasonRequested      Reason = "requested"            // the user wants to enroll
	ReasonCodesNotSaved  Reason = "codes_not_saved"      // new backup codes were not confirmed as recorded
	ReasonCompromised    Reason = "password_compromised" // too many failed second factors after the right password
	ReasonNotRequired    Reason = "not_required"         // nothing asks
	ReasonProven         Reason = "proven"               // everything asked for was proven
	ReasonSkipped        Reason = "skipped"              // enrollment was put off until its date
	ReasonRemembered     Reason = "remembered_browser"   // the browser is remembered
	ReasonConfirmAddress Reason = "confirm_address"      // a code to a proven address comes before a first factor
	ReasonSSOWaived      Reason = "sso_waived"           // the rules ask nothing of who signs in over this connection
	ReasonSSOTrusted     Reason = "sso_trusted"          // the provider asserted a second factor, and the rules trust it
	ReasonExempt         Reason = "exempt"               // the rules name the user as exempt
)

// What Overview.Advice says.
const (
	ReasonAdviseFactor   Reason = "advise_factor"          // turn on an authenticator app
	ReasonAdviseApp      Reason = "advise_app"             // an app is safer than codes by mail or text message
	ReasonAdviseCodes    Reason = "advise_codes"           // few backup codes are left, or none, or they were not saved
	ReasonAdviseSessions Reason = "advise_review_sessions" // several sessions: are they all yours?
	ReasonAdviseUnique   Reason = "advise_unique_password" // use the password nowhere else: that cannot be found out
	ReasonAdviseMail     Reason = "advise_secure_mail"     // codes and links go to a mail account: protect it as well as this one
)

// Why a new password is refused. Each is the Reason of a Requirement.
const (
	ReasonPasswordTooShort  Reason = "password_too_short"     // fewer characters than PasswordPolicy.Min
	ReasonPasswordTooLong   Reason = "password_too_long"      // more than PasswordPolicy.Max
	ReasonPasswordNoUpper   Reason = "password_no_upper"      // no upper-case letter
	ReasonPasswordNoLower   Reason = "password_no_lower"      // no lower-case letter
	ReasonPasswordNoDigit   Reason = "password_no_digit"      // no digit
	ReasonPasswordNotText   Reason = "password_not_text"      // not UTF-8
	ReasonPasswordCommon    Reason = "password_common"        // on the list of those tried first, alone or with a decoration
	ReasonPasswordPattern   Reason = "password_pattern"       // repetition, sequence, row of keys
	ReasonPasswordContext   Reason = "password_context"       // names of the service, the user, the organizations
	ReasonPasswordReused    Reason = "password_reused"        // one of the last PasswordPolicy.History
	ReasonPasswordBreached  Reason = "password_breached"      // known to have leaked
	ReasonPasswordUnchecked Reason = "password_breach_failed" // PasswordPolicy.Breach failed
)
