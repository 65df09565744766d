package pages

import (
	"net/http"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// alert says what failed, in words for the page that shows it, "" for nothing.
func (l *language) alert(r *http.Request, name string) string {
	problem, left := mfahttp.ProblemOf(r)
	switch problem {
	case mfahttp.ProblemThrottled:
		if left <= 0 {
			return l.say("problem.throttled")
		}
		return l.say("problem.throttled-wait", "wait", l.wait(left))
	case mfahttp.ProblemTooSoon:
		if left <= 0 {
			return l.say("problem.too-soon")
		}
		return l.say("problem.too-soon-wait", "wait", l.wait(left))
	case mfahttp.ProblemUndelivered:
		return l.say("problem.undelivered")
	case mfahttp.ProblemOver:
		if name == "sign-in" {
			return l.say("problem.over-sign-in")
		}
		return l.say("problem.over")
	case mfahttp.ProblemForbidden:
		return l.about(forbidden, r, name, "forbidden.otherwise")
	case mfahttp.ProblemRefused:
		return l.about(refused, r, name, "refused.otherwise")
	}
	switch word := r.FormValue("error"); {
	case word == "unsaved" && name == "codes":
		return l.say("problem.unsaved")
	case word == "changed" && name == "org-settings":
		return l.say("problem.rules-changed")
	case word == "address" && name == "setup" && r.FormValue("method") == mfa.SMSCode.String():
		return l.say("problem.number")
	case word == "address" && name == "setup":
		return l.say("problem.address")
	}
	return ""
}

// about finds the words for a page, and for what it is about.
func (l *language) about(keys map[string]string, r *http.Request, name, otherwise string) string {
	about := name + " " + r.FormValue("method")
	if name == "confirm" {
		about = name + " " + r.FormValue("do")
	}
	for _, page := range []string{about, name} {
		if key, ok := keys[page]; ok {
			return l.say(key)
		}
	}
	return l.say(otherwise)
}

// refused and forbidden are the words for a page, or for a page and what it is about.
var refused = map[string]string{
	"sign-in":            "refused.sign-in",
	"verify":             "refused.totp",
	"verify backup_code": "refused.backup-code",
	"verify password":    "refused.password",
	"verify email_code":  "refused.sent",
	"verify sms_code":    "refused.sent",
	"confirm":            "refused.password",
	"setup":              "refused.setup",
	"setup email_code":   "refused.sent",
	"setup sms_code":     "refused.sent",
	"password":           "refused.present-password",
}

var forbidden = map[string]string{
	"confirm remove": "forbidden.last-app",
	"confirm method": "forbidden.last-method",
	"security":       "forbidden.three-apps",
	"step-up":        "forbidden.no-access",
	"org-preview":    "forbidden.nobody-passes",
	"org-members":    "forbidden.member",
	"verify":         "forbidden.no-code",
	"setup":          "forbidden.no-code",
}

// done are the words for what was done, by the name that a redirect gives it.
var done = map[string]string{
	"added":      "done.added",
	"rules":      "done.rules",
	"renamed":    "done.renamed",
	"removed":    "done.removed",
	"codes":      "done.codes",
	"asked":      "done.asked",
	"revoked":    "done.revoked",
	"changed":    "done.changed",
	"reset":      "done.reset",
	"method-on":  "done.method-on",
	"method-off": "done.method-off",
	"address":    "done.address",
	"forgotten":  "done.forgotten",
	"undone":     "done.undone",

	"member-reset":    "done.member-reset",
	"member-unlock":   "done.member-unlock",
	"member-password": "done.member-password",
	"member-end":      "done.member-end",
}

// failures are the words for what failed, by its status.
var failures = map[int]string{
	http.StatusBadRequest:          "bad-request",
	http.StatusUnauthorized:        "unauthorized",
	http.StatusForbidden:           "forbidden",
	http.StatusNotFound:            "not-found",
	http.StatusTooManyRequests:     "throttled",
	http.StatusInternalServerError: "internal",
	http.StatusServiceUnavailable:  "unavailable",
}
