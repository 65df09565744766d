package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-1320b244/mfa"
)

// inbox stands in for a mail server and an SMS gateway: it keeps what is sent and
// shows it at /dev/inbox. A real host puts notices in a queue, and shows nobody the
// codes of others.
type inbox struct {
	mu      sync.Mutex
	letters []letter // newest first
	stopped bool     // the mail server is down; text messages go on
	base    string   // what links begin with
}

// letter is one mail or text message.
type letter struct {
	By        mfa.Method
	To        string
	Subject   string // of a mail
	Text      []string
	Code      string // "" in a notice
	Link      string // "" for none
	LinkText  string
	At        time.Time
	Recipient string // what the user signs in with
}

const maxLetters = 100

var errStopped = errors.New("the mail server is stopped at /dev/inbox")

// Notify implements mfa.Notifier.
func (in *inbox) Notify(ctx context.Context, m mfa.Message) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.stopped && m.Channel == mfa.EmailCode {
		return errStopped
	}
	in.letters = slices.Insert(in.letters, 0, write(m, in.base))
	in.letters = in.letters[:min(len(in.letters), maxLetters)]
	return nil
}

// from says what links begin with.
func (in *inbox) from(base string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.base = strings.TrimSuffix(base, "/")
}

func (in *inbox) empty() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.letters = nil
}

// stop stops the mail server, or starts it again.
func (in *inbox) stop(stopped bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.stopped = stopped
}

func (a *app) inboxPage(w http.ResponseWriter, r *http.Request) {
	a.inbox.mu.Lock()
	data := map[string]any{"Letters": slices.Clone(a.inbox.letters), "Stopped": a.inbox.stopped}
	a.inbox.mu.Unlock()
	a.render(w, r, "inbox", data)
}

func (a *app) stopMail(w http.ResponseWriter, r *http.Request) {
	a.inbox.stop(r.PostFormValue("stop") == "yes")
	http.Redirect(w, r, "/dev/inbox", http.StatusSeeOther)
}

// write finds the words for a message. What it says of the request is what the
// library says: nothing that a stranger wrote.
func write(m mfa.Message, base string) letter {
	l := letter{By: m.Channel, To: m.To, Code: m.Code(), At: m.At, Recipient: m.User.Name}
	switch m.Kind {
	case mfa.MessageCode, mfa.MessageProof:
		l.Subject, l.Text = writeCode(m)
	case mfa.MessageReset:
		l.Subject, l.Text = writeReset(m)
		l.Link, l.LinkText = link(base, "/reset", m.Token()), "Choose a new password"
	default:
		l.Subject, l.Text = writeNotice(m)
		l.Link, l.LinkText = link(base, "/undo", m.Token()), "Bring the old one back"
	}
	if m.Channel == mfa.SMSCode { // one short text
		l.Subject, l.Text = "", []string{issuer + ": " + strings.Join(l.Text, " ")}
	}
	return l
}

func writeCode(m mfa.Message) (subject string, lines []string) {
	until := fmt.Sprintf("It works once, until %s.", m.Expires.Format("15:04 UTC"))
	if m.Kind == mfa.MessageProof {
		what := "address"
		if m.Channel == mfa.SMSCode {
			what = "number"
		}
		return "Confirm your address", []string{
			fmt.Sprintf("%s is the code that confirms this %s. %s", m.Code(), what, until),
			"If you did not ask for it, ignore this message.",
		}
	}
	what := "sign in"
	if m.Action != "" {
		what = deeds[m.Action]
		if what == "" {
			what = strings.ReplaceAll(m.Action, "_", " ")
		}
	}
	subject, lines = "Your "+issuer+" code", []string{fmt.Sprintf("%s is your code to %s. %s", m.Code(), what, until)}
	if m.Channel == mfa.SMSCode {
		return subject, append(lines, "Never tell it to anybody.")
	}
	return subject, append(lines, "It was asked for "+whence(m)+".",
		"If that was not you, somebody knows your password: change it. Never tell this code to anybody, not even to us.")
}

func writeReset(m mfa.Message) (subject string, lines []string) {
	return "Choose a new password", []string{
		"Somebody, you we hope, has forgotten the password of your account. With the link below you choose a new one. " +
			fmt.Sprintf("It works once, until %s.", m.Expires.Format("15:04 UTC")),
		"It was asked for " + whence(m) + ".",
		"If that was not you, ignore this message: nothing has changed.",
	}
}

func writeNotice(m mfa.Message) (subject string, lines []string) {
	n, ok := notices[string(m.Kind)]
	if !ok {
		n = notice{strings.ReplaceAll(string(m.Kind), "_", " "), "Something about your account has changed."}
	}
	otherwise := "If that was not you, change your password and sign out the other browsers on your security page."
	switch {
	case m.Token() != "":
		otherwise = fmt.Sprintf("If that was not you, the link below undoes it until %s.", m.Expires.Format("2 Jan 2006, 15:04 UTC"))
	case m.Kind == "credentials_changed": // she does not know the one that it is now
		otherwise = `If that was not you, choose a new one: "Forgot your password?" on the sign-in page.`
	}
	words := strings.NewReplacer("{method}", methodNames[m.Method], "{left}", left(m.Left))
	return words.Replace(n.subject), []string{
		words.Replace(n.text), "It happened " + whence(m) + ".", otherwise,
	}
}

// whence says when something was done, with what, and where.
func whence(m mfa.Message) string {
	parts := []string{"on " + m.At.Format("2 Jan 2006 at 15:04 UTC")}
	if m.Device != "" {
		parts = append(parts, "with "+m.Device)
	}
	switch {
	case m.Place != "":
		parts = append(parts, "near "+m.Place)
	case m.Addr.IsValid():
		parts = append(parts, "from "+m.Addr.String())
	}
	return strings.Join(parts, ", ")
}

type notice struct{ subject, text string }

// notices are the words for what the user is told, by the name of the event.
var notices = map[string]notice{
	"new_device":           {"New sign-in to your account", "Somebody signed in to your account in a browser that we have not seen before."},
	"second_factor_failed": {"Wrong codes for your account", "Somebody who knows your password typed wrong codes."},
	"method_locked":        {"Too many wrong codes", "There were several wrong codes in a row ({method}). That way to sign in is paused for a while."},
	"method_disabled":      {"Turned off after wrong codes", "There were far too many wrong codes ({method}). That way to sign in is turned off until you set it up again."},
	"password_compromised": {"Change your password", "Somebody who knows your password has been guessing your codes. You will be asked for a new password at the next sign-in."},
	"factor_added":         {"Added: {method}", "You can now sign in with: {method}."},
	"factor_removed":       {"Removed: {method}", "You can no longer sign in with: {method}."},
	"codes_issued":         {"New backup codes", "New backup codes were made. The old ones no longer work."},
	"code_used":            {"A backup code was used", "A backup code was used. You have {left} left."},
	"ask_changed":          {"Your sign-in setting changed", "Whether sign-in asks for a code was changed."},
	"factors_reset":        {"Two-step verification was reset", "Support has reset your two-step verification. Set it up again at the next sign-in."},
	"credentials_changed":  {"Your password was changed", "The password of your account was changed. Every other browser has to sign in again."},
	"address_changed":      {"Your address changed", "Where we send {method} was changed."},
	"address_restored":     {"Your old address is back", "Where we send {method} is as it was before. Everybody was signed out, and the next sign-in asks for a new password."},
	"password_forced":      {"Choose a new password", "An administrator asks you to choose a new password at the next sign-in."},
	"browser_remembered":   {"A browser is remembered", "Sign-in asks for no code in one more browser, for as long as you chose."},
}

// methodNames are the methods as a user knows them.
var methodNames = map[mfa.Method]string{
	mfa.TOTP: "authenticator app", mfa.BackupCode: "backup codes", mfa.EmailCode: "codes by email", mfa.SMSCode: "codes by SMS",
}

// deeds are what a code is asked for, by the name of the action.
var deeds = map[string]string{
	"rename_totp": "rename an authenticator app", "remove_totp": "remove an authenticator app", "new_backup_codes": "get new backup codes",
	"ask_at_sign_in": "change how you sign in", "revoke_session": "sign out another browser", "change_password": "change your password",
	"email_code_on": "turn on codes by email", "email_code_off": "turn off codes by email",
	"sms_code_on": "turn on codes by SMS", "sms_code_off": "turn off codes by SMS",
}

// left says how many codes are.
func left(n int) string {
	if n == 1 {
		return "1 code"
	}
	return fmt.Sprintf("%d codes", n)
}

// link returns an address for a mail. It begins with what is configured, never with
// what a request says of its host: that is the choice of whoever sends the request.
func link(base, path, token string) string {
	if token == "" {
		return ""
	}
	return base + path + "?token=" + url.QueryEscape(token)
}
