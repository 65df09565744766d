package main

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
	library "github.com/seed-1320b244/mfa/mfahttp/pages"
)

//go:embed templates
var files embed.FS

// static serves style sheet, script and icon. They are the same for everybody, so
// that a cache may keep them.
func static() http.Handler {
	server := http.FileServerFS(library.Files)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/") { // no list of files
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "max-age=300")
		server.ServeHTTP(w, r)
	})
}

// pages are the templates by name.
type pages map[string]*template.Template

func parsePages(now func() time.Time, where mfa.Locator) (pages, error) {
	layout, err := template.New("layout.html").Funcs(template.FuncMap{
		"ago":    func(t time.Time) string { return ago(now().Sub(t)) },
		"in":     func(t time.Time) string { return wait(t.Sub(now())) },
		"date":   func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") },
		"left":   func(t time.Time) int { return max(0, int(t.Sub(now()).Round(time.Second)/time.Second)) },
		"near":   func(addr netip.Addr) string { return where.Locate(addr) },
		"week":   lasting,
		"text":   text,
		"deed":   deed,
		"advice": advice,
		"jump":   func(d time.Duration) string { return wait(d) },
		"list":   func(v ...any) []any { return v },
	}).ParseFS(library.Files, "templates/layout.html")
	if err != nil {
		return nil, err
	}
	p := make(pages)
	for _, from := range []embed.FS{library.Files, files} {
		names, err := from.ReadDir("templates")
		if err != nil {
			return nil, err
		}
		for _, f := range names {
			t, err := template.Must(layout.Clone()).ParseFS(from, path.Join("templates", f.Name()))
			if err != nil {
				return nil, err
			}
			p[strings.TrimSuffix(f.Name(), ".html")] = t
		}
	}
	return p, nil
}

// page is what every template gets.
type page struct {
	Issuer string
	Name   string // of the page
	User   user   // zero on pages for everybody
	Signed bool   // a session, not a flow
	SignIn bool   // a flow that leads to a session
	Alert  string // what failed
	Done   string // what was done
	Data   any

	Unsent      bool // Alert says that no code was sent: nothing that was typed is wrong
	Undelivered bool // because it could not be
}

// FullName is how the page greets its user.
func (p page) FullName() string { return p.User.fullName }

// UserName is what the user signs in with.
func (p page) UserName() string { return p.User.name }

// Email and Phone are what the profile says.
func (u user) Email() string { return u.email }
func (u user) Phone() string { return u.phone }

// Told is where the user is told of changes, "" for nowhere.
func (p page) Told() string {
	switch {
	case p.User.emailConfirmed:
		return p.User.email
	case p.User.phoneConfirmed:
		return p.User.phone
	}
	return ""
}

func (a *app) render(w http.ResponseWriter, r *http.Request, name string, data any) {
	a.renderStatus(w, r, http.StatusOK, name, data)
}

func (a *app) renderStatus(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	p := page{Issuer: issuer, Name: name, Data: data}
	if s := mfahttp.SessionFrom(r.Context()); s != nil {
		p.User, _ = a.users.byID(s.User())
		p.Signed = true
	} else if f := mfahttp.PendingFrom(r.Context()); f != nil {
		p.User, _ = a.users.byID(f.User())
		p.SignIn = f.Purpose().SignIn()
	}
	problem, _ := mfahttp.ProblemOf(r)
	p.Undelivered = problem == mfahttp.ProblemUndelivered
	p.Unsent = p.Undelivered || problem == mfahttp.ProblemTooSoon
	p.Alert = alert(r, name)
	if f, ok := data.(passwordForm); ok && f.Refused {
		p.Alert = "That password cannot be used. What it misses is marked below."
	}
	if p.Alert == "" {
		p.Done = done[r.FormValue("done")]
	}
	var b bytes.Buffer
	if err := a.pages[name].ExecuteTemplate(&b, "layout.html", p); err != nil {
		a.log.ErrorContext(r.Context(), "template failed", "page", name, "error", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	b.WriteTo(w)
}

// alert says what failed, in words for the page that shows it.
func alert(r *http.Request, name string) string {
	problem, left := mfahttp.ProblemOf(r)
	switch problem {
	case mfahttp.ProblemThrottled:
		if left <= 0 {
			return "Too many tries. Wait a little, then try again."
		}
		return "Too many tries. Try again in " + wait(left) + "."
	case mfahttp.ProblemTooSoon:
		if left <= 0 {
			return "A code was sent just now. Wait a minute before you ask for another."
		}
		return "Codes are not sent that often. You can ask for another in " + wait(left) + "."
	case mfahttp.ProblemUndelivered:
		return "We could not send the code. Try again in a minute, or use another way."
	case mfahttp.ProblemOver:
		if name == "sign-in" {
			return "You were signed out, or the sign-in took too long or had too many wrong codes. Please sign in again."
		}
		return "That took too long, had too many wrong codes, or was finished in another tab. Please start again."
	case mfahttp.ProblemForbidden:
		return said(forbidden, r, name, "This is not allowed.")
	case mfahttp.ProblemRefused:
		return said(refused, r, name, "That was not accepted. Please try again.")
	}
	switch word := r.FormValue("error"); {
	case word == "unsaved" && name == "codes":
		return "Tick the box when you have copied, downloaded or printed your codes."
	case word == "changed" && name == "org-settings":
		return "Somebody else has changed these settings meanwhile. Look at them again."
	case word == "address" && name == "setup" && r.FormValue("method") == mfa.SMSCode.String():
		return "Type the whole number with the code of its country, such as +44\u00a07700\u00a0900123."
	case word == "address" && name == "setup":
		return "Type a whole email address, such as name@example.com."
	}
	return ""
}

// said finds the words for a page, and for what it is about.
func said(words map[string]string, r *http.Request, name, otherwise string) string {
	about := name + " " + r.FormValue("method")
	if name == "confirm" {
		about = name + " " + r.FormValue("do")
	}
	for _, key := range []string{about, name} {
		if s, ok := words[key]; ok {
			return s
		}
	}
	return otherwise
}

const sentRefused = "That code was not accepted. Type the newest one that we sent. Each works once, for 10 minutes."

var refused = map[string]string{
	"sign-in":            "The user name and password do not match. Please try again.",
	"verify":             "That code was not accepted. Wait for the next one, then type the six digits the app shows.",
	"verify backup_code": "That backup code was not accepted. Each one works only once.",
	"verify password":    "That password was not accepted.",
	"verify email_code":  sentRefused,
	"verify sms_code":    sentRefused,
	"confirm":            "That password was not accepted.",
	"setup":              "That code was not accepted. Type the six digits the app shows now. If it happens again, check the time on your phone.",
	"setup email_code":   sentRefused,
	"setup sms_code":     sentRefused,
	"password":           "That is not your present password.",
}

const threeApps = "You have three authenticator apps already. Remove one first."

var forbidden = map[string]string{
	"confirm remove": "This is your last authenticator app, and two-step verification is required. Add another one first.",
	"confirm method": "Two-step verification is required, and you have no other way. Set up an authenticator app first.",
	"security":       threeApps,
	"step-up":        "Your account has no access there.",
	"org-preview":    "Under these settings no owner could enter. Set up one of the ways that they allow first.",
	"org-members":    "You cannot do that to this member.",
	"home":           threeApps,
	"verify":         "No code can be sent there now. Please use another way.",
	"setup":          "No code can be sent there now. Please use another way.",
}

var done = map[string]string{
	"added": "Your authenticator app is set up.",
	"rules": "The settings are saved.",

	"member-reset":    "Two-step verification is reset. The next sign-in begins with the setup.",
	"member-unlock":   "The pause is over.",
	"member-password": "The next sign-in asks for a new password.",
	"member-end":      "Signed out everywhere.",

	"renamed":    "The new name is saved.",
	"removed":    "The authenticator app is removed.",
	"codes":      "Your new backup codes are ready. The old ones no longer work.",
	"asked":      "Your choice is saved.",
	"revoked":    "Signed out. Those browsers have to sign in again.",
	"changed":    "Your password is changed. Every other browser has to sign in again.",
	"reset":      "Your password is changed. Sign in with the new one.",
	"method-on":  "Turned on. From now on, sign-in asks for a code.",
	"method-off": "Turned off. No more codes are sent there.",
	"address":    "Confirmed. Codes can be sent there from now on.",
	"forgotten":  "Forgotten. The next sign-in there asks for a code.",
	"undone":     "The old one is back. Sign in, and choose a new password.",
}

// text returns what people call a stable word of the library.
func text(word any) string {
	if s, ok := texts[fmt.Sprint(word)]; ok {
		return s
	}
	return strings.ReplaceAll(fmt.Sprint(word), "_", " ")
}

// deed says what an event did.
func deed(e mfa.Event) string {
	if s, ok := texts[string(e.Name)+" "+e.Method.String()]; ok {
		return s
	}
	return text(e.Name)
}

// advice says what Overview.Advice means.
func advice(why mfa.Reason) string {
	if why == mfa.ReasonCompromised { // the event of that name tells something else
		return "Change your password. Somebody else may know it."
	}
	return text(why)
}

var texts = map[string]string{
	"totp":        "Authenticator app",
	"backup_code": "Backup codes",
	"email_code":  "Codes by email",
	"sms_code":    "Codes by SMS",

	"signed_in":            "Signed in",
	"signed_out":           "Signed out",
	"stepped_up":           "Confirmed it was you",
	"method_locked":        "Paused after wrong codes",
	"method_disabled":      "Turned off after too many wrong codes",
	"method_unlocked":      "Pause ended by support",
	"password_compromised": "Wrong codes after the right password",
	"second_factor_failed": "Wrong codes after the right password",
	"rules_changed":        "Settings changed",
	"exempt":               "exempt by name",
	"sso_waived":           "through single sign-on",
	"sso_trusted":          "through single sign-on",
	"factor_added":         "Authenticator app added",
	"factor_renamed":       "Authenticator app renamed",
	"factor_removed":       "Authenticator app removed",
	"address_proven":       "Email address confirmed",
	"address_changed":      "Email address changed",
	"address_restored":     "Old address brought back",
	"password_forced":      "New password asked for by an administrator",
	"browser_remembered":   "Browser remembered",
	"browsers_forgotten":   "Browser forgotten",

	"factor_added email_code":   "Codes by email turned on",
	"factor_removed email_code": "Codes by email turned off",
	"factor_added sms_code":     "Codes by SMS turned on",
	"factor_removed sms_code":   "Codes by SMS turned off",
	"address_proven sms_code":   "Mobile number confirmed",
	"address_changed sms_code":  "Mobile number changed",
	"codes_issued":              "New backup codes made",
	"codes_saved":               "Backup codes recorded",
	"code_used":                 "Backup code used",
	"ask_changed":               "Sign-in setting changed",
	"sessions_ended":            "Browser signed out",
	"factors_reset":             "Two-step verification reset by support",
	"credentials_changed":       "Password changed",
	"reset_sent":                "Link to a new password sent",

	"advise_factor":          "Turn on two-step verification with an authenticator app. A password alone can be guessed, reused or stolen.",
	"advise_app":             "Set up an authenticator app. Its codes are safer than those sent by email or SMS, which others can read or redirect.",
	"advise_codes":           "Get new backup codes. You have few left, or never recorded them, and they are the way back when your phone is lost.",
	"advise_review_sessions": "You are signed in on more than one browser. Check that you know each of them.",
	"advise_unique_password": "Use this password nowhere else: when another site is broken into, it is tried here.",
	"advise_secure_mail":     "Protect your mail account as well as this one: codes and links to a new password go there.",

	"add_totp":         "add an authenticator app",
	"rename_totp":      "rename an authenticator app",
	"remove_totp":      "remove an authenticator app",
	"new_backup_codes": "get new backup codes",
	"ask_at_sign_in":   "change how you sign in",
	"email_code_on":    "turn on codes by email",
	"email_code_off":   "turn off codes by email",
	"sms_code_on":      "turn on codes by SMS",
	"sms_code_off":     "turn off codes by SMS",
	"revoke_session":   "sign out another browser",
	"change_password":  "change your password",
}

// ago says how long something is past.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return count(int(d/time.Minute), "minute") + " ago"
	case d < 24*time.Hour:
		return count(int(d/time.Hour), "hour") + " ago"
	}
	return count(int(d/(24*time.Hour)), "day") + " ago"
}

// wait says how long something lasts, never less than it does.
func wait(d time.Duration) string {
	d = d.Truncate(time.Second)
	switch {
	case d < time.Minute:
		return count(max(1, int(d/time.Second)), "second")
	case d < time.Hour:
		return count(int((d+time.Minute-1)/time.Minute), "minute")
	case d <= 48*time.Hour:
		return count(int((d+time.Hour-1)/time.Hour), "hour")
	}
	return count(int((d+24*time.Hour-1)/(24*time.Hour)), "day")
}

// lasting says how long something is kept.
func lasting(d time.Duration) string {
	switch day := 24 * time.Hour; {
	case d%(7*day) == 0:
		return count(int(d/(7*day)), "week")
	case d%day == 0:
		return count(int(d/day), "day")
	}
	return wait(d)
}

func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}
