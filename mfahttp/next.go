package mfahttp

import (
	"errors"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/seed-1320b244/mfa"
)

// Next answers a request with what an operation led to: it sets the cookies that
// an outcome brings and sends the browser on with 303 See Other, to the page of
// the step that is missing, or to where the user was heading when nothing is.
//
// Where the user was heading is what the flow of RequirePending was given at its
// start, or else the form value "to": a path of this origin, anything else is
// ignored.
//
// An error shows the page again, with one word for all that must look the same;
// see Problem. A *mfa.StepUpError leads to Pages.StepUp and, when the proof is
// done, back to the page, or from a form to its "to". No error sets or clears a
// cookie: otherwise whoever makes a browser send a bad token signs its user out.
//
// What a *mfa.WeakPasswordError misses is not for a URL, which histories and logs
// keep: it tells of the password. A handler that shows it writes the form again by
// itself; with Next the page is shown with ProblemWeak and no more.
//
// A Pending beside an error is a flow that goes on although its code could not be
// sent: it keeps its cookie, and its page shows the error.
func (a *Adapter) Next(w http.ResponseWriter, r *http.Request, out mfa.Outcome, err error) {
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case err != nil && out.Pending != nil:
		a.keep(w, r, out)
		a.fail(w, withPending(r, out.Pending), err)
	case err != nil:
		a.fail(w, r, err)
	case out.Session != nil:
		a.keep(w, r, out)
		to := heading(r)
		if to == "" {
			to = a.pages.Home
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	case out.Pending != nil:
		a.keep(w, r, out)
		http.Redirect(w, r, a.page(out.Pending.Need().Step), http.StatusSeeOther)
	default:
		panic("mfahttp: Next with neither an outcome nor an error")
	}
}

// keep gives the browser the tokens of an outcome.
func (a *Adapter) keep(w http.ResponseWriter, r *http.Request, out mfa.Outcome) {
	switch {
	case out.Session == nil:
		a.setCookie(w, r, pendingCookie, out.Pending.Token(), out.Pending.Expires())
	case !slices.Contains(a.cookies(r, sessionCookie), out.Session.Token()):
		a.setCookie(w, r, sessionCookie, out.Session.Token(), out.Session.Expires())
		a.clearCookie(w, r, pendingCookie)
		a.keepBrowser(w, r, out.Session.User(), out.Browser())
	}
}

// page returns the page of a step.
func (a *Adapter) page(s mfa.Step) string {
	switch s {
	case mfa.StepEnroll:
		return a.pages.Enroll
	case mfa.StepSaveCodes:
		return a.pages.SaveCodes
	case mfa.StepNewPassword:
		return a.pages.NewPassword
	}
	return a.pages.Verify
}

// A Problem is a stable word that says what a page may say of a request that
// failed. It never tells why a proof was wrong.
type Problem string

const (
	ProblemRefused     Problem = "refused"       // not accepted: try again
	ProblemThrottled   Problem = "throttled"     // too many tries: wait
	ProblemTooSoon     Problem = "too_soon"      // no further code is sent now: wait, or try another way
	ProblemUndelivered Problem = "not_delivered" // the code could not be sent: try another way
	ProblemOver        Problem = "over"          // the sign-in or the session has ended: begin again
	ProblemForbidden   Problem = "forbidden"     // a rule or a limit does not allow it
	ProblemWeak        Problem = "weak"          // the new password misses a requirement: see Next
)

// ProblemOf returns the problem that a page is shown with, "" for none, and how
// long to wait when it is ProblemThrottled or ProblemTooSoon. Anybody can write a
// link with a problem: it is a word to show and nothing to act upon.
func ProblemOf(r *http.Request) (Problem, time.Duration) {
	q := r.URL.Query()
	switch p := Problem(q.Get("error")); p {
	case ProblemRefused, ProblemUndelivered, ProblemOver, ProblemForbidden, ProblemWeak:
		return p, 0
	case ProblemThrottled, ProblemTooSoon:
		seconds, err := strconv.Atoi(q.Get("wait"))
		if err != nil || seconds < 0 || seconds > int(24*time.Hour/time.Second) {
			seconds = 0
		}
		return p, time.Duration(seconds) * time.Second
	}
	return "", 0
}

// fail answers with an error.
func (a *Adapter) fail(w http.ResponseWriter, r *http.Request, err error) {
	if e, ok := errors.AsType[*mfa.StepUpError](err); ok {
		a.show(w, r, a.pages.StepUp, http.StatusForbidden, err,
			append(asked(e.Purpose), "to", back(r))...)
		return
	}
	switch {
	case errors.Is(err, mfa.ErrNoSession):
		a.over(w, r, sessionCookie, back(r), err)
	case errors.Is(err, mfa.ErrNoPending):
		switch _, lost := a.session(r); {
		case errors.Is(lost, mfa.ErrNoSession):
			a.over(w, r, pendingCookie, heading(r), err)
		case lost != nil:
			a.fail(w, r, lost)
		case len(a.cookies(r, pendingCookie)) == 0, mfa.ReasonOf(err) == mfa.ReasonAlreadyCompleted:
			// The browser's back button, or a second click on a button whose first
			// one was answered.
			a.show(w, r, a.pages.Home, http.StatusForbidden, err)
		default:
			a.show(w, r, a.pages.Home, http.StatusForbidden, err, "error", string(ProblemOver))
		}
	case errors.Is(err, mfa.ErrThrottled):
		var wait string
		if e, ok := errors.AsType[*mfa.ThrottledError](err); ok {
			wait = seconds(e)
		}
		word := ProblemThrottled
		if mfa.ReasonOf(err) == mfa.ReasonSentTooOften {
			word = ProblemTooSoon
		}
		a.again(w, r, http.StatusTooManyRequests, err, "error", string(word), "wait", wait)
	case errors.Is(err, mfa.ErrUndelivered):
		a.again(w, r, http.StatusServiceUnavailable, err, "error", string(ProblemUndelivered))
	case errors.Is(err, mfa.ErrWeak):
		a.again(w, r, http.StatusBadRequest, err, "error", string(ProblemWeak))
	case errors.Is(err, mfa.ErrForbidden):
		a.again(w, r, http.StatusForbidden, err, "error", string(ProblemForbidden))
	case errors.Is(err, mfa.ErrRefused), errors.Is(err, mfa.ErrNoUser):
		a.again(w, r, http.StatusForbidden, err, "error", string(ProblemRefused))
	case errors.Is(err, mfa.ErrInvalid):
		a.report(w, r, http.StatusBadRequest, err)
	case errors.Is(err, mfa.ErrUnavailable):
		a.report(w, r, http.StatusServiceUnavailable, err)
	default:
		a.report(w, r, http.StatusInternalServerError, err)
	}
}

// asked returns p as names and values of a query, for the form of Pages.StepUp.
func asked(p mfa.Purpose) []string {
	if org, ok := p.Administers(); ok {
		return []string{"admin", "yes", "org", org}
	}
	return []string{"action", p.Action(), "org", p.Org(), "enroll", factor(p)}
}

// purpose returns what asked wrote.
func purpose(r *http.Request) (mfa.Purpose, error) {
	org, word := r.PostFormValue("org"), r.PostFormValue("enroll")
	switch {
	case r.PostFormValue("admin") != "": // org may be "", the installation
		return mfa.ToAdminister(org), nil
	case org != "":
		return mfa.ToEnter(org), nil
	case word != "":
		var m mfa.Method
		err := m.UnmarshalText([]byte(word))
		return mfa.ToEnroll(m), err
	}
	return mfa.ToConfirm(r.PostFormValue("action")), nil
}

// factor returns the name of the method that p leads to enrolling, or "".
func factor(p mfa.Purpose) string {
	for _, m := range []mfa.Method{mfa.TOTP, mfa.EmailCode, mfa.SMSCode} {
		if p == mfa.ToEnroll(m) {
			return m.String()
		}
	}
	return ""
}

// seconds returns the wait in whole seconds, rounded up: after them it is over.
func seconds(e *mfa.ThrottledError) string {
	return strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds())))
}

// over shows the sign-in page. Who presented no token under name had nothing that could
// end.
func (a *Adapter) over(w http.ResponseWriter, r *http.Request, name, to string, err error) {
	word := ProblemOver
	if len(a.cookies(r, name)) == 0 {
		word = ""
	}
	a.show(w, r, a.pages.SignIn, http.StatusUnauthorized, err, "error", string(word), "to", to)
}

// again shows the page that the request came from: that of the flow's step, that
// of Adapter.StepUp, or where a signed-in user was heading, or the sign-in page.
func (a *Adapter) again(w http.ResponseWriter, r *http.Request, status int, err error, query ...string) {
	to := heading(r)
	p, s := PendingFrom(r.Context()), SessionFrom(r.Context())
	switch {
	case p != nil:
		to = a.page(p.Need().Step)
		if to == r.URL.Path && r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery // such as which method was chosen
		}
	case s != nil && r.URL.Path == a.pages.StepUp:
		for _, name := range []string{"action", "admin", "org", "enroll"} {
			query = append(query, name, r.FormValue(name))
		}
		query = append(query, "to", to)
		to = a.pages.StepUp
	case s != nil && to == "":
		to = a.pages.Home
	case s == nil:
		query = append(query, "to", to)
		to = a.pages.SignIn
	}
	a.show(w, r, to, status, err, query...)
}

// show sends the browser to a page with names and values added to its query. A
// page that cannot be shown because of err is answered with status instead: it
// would be sent to itself for ever.
func (a *Adapter) show(w http.ResponseWriter, r *http.Request, page string, status int, err error, query ...string) {
	u, invalid := url.Parse(page)
	if invalid != nil || safe(r) && u.Path == r.URL.Path {
		if e, ok := errors.AsType[*mfa.ThrottledError](err); ok {
			w.Header().Set("Retry-After", seconds(e))
		}
		a.report(w, r, status, err)
		return
	}
	q := u.Query()
	for i := 0; i < len(query); i += 2 {
		if q.Del(query[i]); query[i+1] != "" {
			q.Set(query[i], query[i+1])
		}
	}
	u.RawQuery = q.Encode()
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
}

// safe reports whether the request is one that changes nothing.
func safe(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
}

// heading returns where the user was heading, "" when that is not known or not a
// path of this origin.
func heading(r *http.Request) string {
	if p := PendingFrom(r.Context()); p != nil && local(p.Return()) {
		return p.Return()
	}
	if to := r.FormValue("to"); local(to) {
		return to
	}
	return ""
}

// back returns where to come back to when something else must be done first: the
// page itself, or for a form where its user was heading.
func back(r *http.Request) string {
	if to := r.URL.RequestURI(); safe(r) && local(to) {
		return to
	}
	return heading(r)
}

// maxLocal is as much as SignIn.Return and Session.StepUp take.
const maxLocal = 2 << 10

// local reports whether a redirect to s stays on this origin in every browser:
// they read "//host" and "/\host" as another host, and drop tabs and line breaks
// before they look (WHATWG URL section 4.4). What is not printable ASCII is not
// in a path that a browser sent.
func local(s string) bool {
	if len(s) > maxLocal || len(s) == 0 || s[0] != '/' || len(s) > 1 && s[1] == '/' {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' || s[i] == '\\' {
			return false
		}
	}
	u, err := url.Parse(s)
	return err == nil && u.Scheme == "" && u.Host == ""
}
