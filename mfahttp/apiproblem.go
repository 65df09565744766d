package mfahttp

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/seed-1320b244/mfa"
)

// busyFor is how many seconds whoever has a job that was not taken waits: 4 at once of 5
// seconds each leave room for 48 in them.
const busyFor = 60

// A badRequest is one that reaches no operation.
type badRequest struct {
	status int
	reason string
}

func (e *badRequest) Error() string { return fmt.Sprintf("mfahttp: %s", e.reason) }

// A fieldError is about a field or a parameter of the request. Its name comes from the
// Go type or from the route, and never from what was sent (R27).
type fieldError struct {
	field string
	error
}

func (e *fieldError) Error() string { return e.error.Error() + " (" + e.field + ")" }

func (e *fieldError) Unwrap() error { return e.error }

// fieldOf returns what err is about, "" for what is not known.
func fieldOf(err error) string {
	if e, ok := errors.AsType[*fieldError](err); ok {
		return e.field
	}
	return ""
}

// malformed returns the error of a request that cannot be read.
func malformed(field string) error {
	err := &badRequest{http.StatusBadRequest, "malformed"}
	if field == "" {
		return err
	}
	return &fieldError{field, err}
}

// about returns err, and when it is about an argument as one about field: for an
// operation whose other arguments the client did not choose.
func about(field string, err error) error {
	if field != "" && errors.Is(err, mfa.ErrInvalid) {
		return &fieldError{field, err}
	}
	return err
}

// A problem is an answer to a request that failed (RFC 9457). Its type is always
// about:blank: what sort of problem it is its reason says.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Reason string `json:"reason"`
	// Field is what a 400 is about, where that is known.
	Field string `json:"field,omitempty"`
	// RetryAfter is in seconds.
	RetryAfter int `json:"retry_after,omitempty"`
	// Unmet is what a new password misses.
	Unmet []requirement `json:"unmet,omitempty"`
	// StepUp is for /session/step-up, and Need what that will ask for first.
	StepUp *goal `json:"step_up,omitempty"`
	Need   *need `json:"need,omitempty"`
	// Current is what the rules are now.
	Current *ruleSet `json:"current,omitempty"`
}

// fail answers with an error.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(r, err)
	a.report(r, p.Status, err)
	if p.Status == http.StatusUnauthorized && a.bearer {
		w.Header().Set("WWW-Authenticate", "Bearer") // RFC 9110 section 15.5.2; for cookies there is no scheme
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	encode(w, p)
}

// problemOf returns what the client may know of err: one face for every failed proof
// (R28). Why something is forbidden only a session, or a flow that one opened, is told:
// whoever has no more than a password must not learn what its owner holds.
func problemOf(r *http.Request, err error) problem {
	p := problem{Type: "about:blank"}
	is := func(status int, reason string) { p.Status, p.Reason = status, reason }
	if e, ok := errors.AsType[*badRequest](err); ok {
		is(e.status, e.reason)
		if e.reason == "busy" {
			p.RetryAfter = busyFor
		}
	} else if e, ok := errors.AsType[*mfa.StepUpError](err); ok {
		is(http.StatusForbidden, "step_up")
		to, asks := goalOf(e.Purpose), needOf(e.Need)
		p.StepUp, p.Need = &to, &asks
	} else if e, ok := errors.AsType[*mfa.RulesChangedError](err); ok {
		is(http.StatusConflict, "rules_changed")
		p.Current = &ruleSet{Rules: rulesFrom(e.Rules), Version: e.Version, By: e.By, At: e.At.UTC()}
	} else {
		is(statusOf(r, err))
	}
	if e, ok := errors.AsType[*mfa.ThrottledError](err); ok {
		p.RetryAfter, _ = strconv.Atoi(seconds(e))
	}
	if e, ok := errors.AsType[*mfa.WeakPasswordError](err); ok {
		p.Unmet = requirementsOf(e.Unmet)
	}
	if p.Status == http.StatusBadRequest {
		p.Field = fieldOf(err)
	}
	p.Title = http.StatusText(p.Status)
	return p
}

// statusOf returns the status and the reason of what the library refuses.
func statusOf(r *http.Request, err error) (int, string) {
	switch {
	case errors.Is(err, mfa.ErrNoSession):
		return http.StatusUnauthorized, "no_session"
	case errors.Is(err, mfa.ErrNoPending) && mfa.ReasonOf(err) == mfa.ReasonAlreadyCompleted:
		return http.StatusUnauthorized, "already_completed" // the answer to the first of two equal requests was lost
	case errors.Is(err, mfa.ErrNoPending):
		return http.StatusUnauthorized, "no_pending"
	case errors.Is(err, mfa.ErrThrottled) && mfa.ReasonOf(err) == mfa.ReasonSentTooOften:
		return http.StatusTooManyRequests, string(ProblemTooSoon)
	case errors.Is(err, mfa.ErrThrottled):
		return http.StatusTooManyRequests, string(ProblemThrottled)
	case errors.Is(err, mfa.ErrUndelivered):
		return http.StatusServiceUnavailable, string(ProblemUndelivered)
	case errors.Is(err, mfa.ErrWeak):
		return http.StatusUnprocessableEntity, string(ProblemWeak)
	case errors.Is(err, mfa.ErrForbidden):
		return http.StatusForbidden, forbidden(r, mfa.ReasonOf(err))
	case errors.Is(err, mfa.ErrRefused), errors.Is(err, mfa.ErrNoUser):
		return http.StatusForbidden, string(ProblemRefused)
	case errors.Is(err, mfa.ErrInvalid):
		return http.StatusBadRequest, "invalid"
	case errors.Is(err, mfa.ErrUnavailable):
		return http.StatusServiceUnavailable, "unavailable"
	}
	return http.StatusInternalServerError, "internal"
}

// forbidden returns why something is not allowed, as far as the client may know.
func forbidden(r *http.Request, why mfa.Reason) string {
	// A flow comes first: one that is a sign-in may be of somebody else than the session.
	if p := PendingFrom(r.Context()); p != nil && p.Purpose().SignIn() || p == nil && SessionFrom(r.Context()) == nil {
		return string(ProblemForbidden)
	}
	switch why {
	case mfa.ReasonCannotSkip, mfa.ReasonFactorRequired, mfa.ReasonTooManyFactors, mfa.ReasonUnknownFactor, mfa.ReasonNoFactor,
		mfa.ReasonNotAllowed, mfa.ReasonNoPassword, mfa.ReasonNoAddress, mfa.ReasonAddressUnproven, mfa.ReasonAddressChanged,
		mfa.ReasonNotMember, mfa.ReasonNotAdministrator, mfa.ReasonNotManaged, mfa.ReasonOneself, mfa.ReasonHigherRole,
		mfa.ReasonRulesConfigured, mfa.ReasonNoUsableMethod, mfa.ReasonNobodyPasses:
		return string(why)
	case mfa.ReasonUserUnknown: // an administrator does not learn which users there are elsewhere
		return string(mfa.ReasonNotManaged)
	}
	return string(ProblemForbidden)
}

// when returns t for an answer, nil for the zero Time.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
