package pages

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// Codes by email and SMS: they are sent by a POST, and the page that asks for one
// shows where it went and when there can be another.

// sent reports whether m is a code that is sent.
func sent(m mfa.Method) bool { return m == mfa.EmailCode || m == mfa.SMSCode }

// methodOf returns the method with this name, 0 for none.
func methodOf(name string) (m mfa.Method) {
	if m.UnmarshalText([]byte(name)) != nil {
		return 0
	}
	return m
}

// chosen returns the method that the page of a flow shows: the one in the query, the
// one by which a code was sent, or the best. Between the two that are sent it is
// mail: she turned that on herself, and a text message costs money.
func chosen(r *http.Request, p *mfa.Pending) mfa.Method {
	methods := p.Need().Methods
	for _, m := range []mfa.Method{methodOf(r.FormValue("method")), p.Sent().Method} {
		if m != 0 && slices.Contains(methods, m) {
			return m
		}
	}
	if methods[0] == mfa.SMSCode && slices.Contains(methods, mfa.EmailCode) {
		return mfa.EmailCode
	}
	return methods[0]
}

// sendAtSignIn sends the code of a sign-in at once when nothing but such a code, and
// the backup codes, will do. That it was not sent is no reason to refuse the sign-in:
// the page says so, and offers what else there is.
func (s *Site) sendAtSignIn(r *http.Request, out mfa.Outcome) error {
	if out.Pending == nil {
		return nil
	}
	need := out.Pending.Need()
	if need.Step != mfa.StepVerify || slices.Contains(need.Methods, mfa.TOTP) {
		return nil
	}
	m := chosen(r, out.Pending)
	if !sent(m) {
		return nil
	}
	_, err := out.Pending.Send(r.Context(), m)
	return err
}

// setupSent enrolls by a code: it is sent to the address in the profile or to one
// that was typed, and then comes back.
func (s *Site) setupSent(w http.ResponseWriter, r *http.Request, p *mfa.Pending, m mfa.Method) {
	out, err := mfa.Outcome{Pending: p}, error(nil)
	switch {
	case r.PostFormValue("send") == "yes":
		_, err = p.Send(r.Context(), m)
	case r.PostForm.Has("address"):
		_, err = p.StartAddress(r.Context(), m, tidy(m, r.PostFormValue("address")))
	default:
		out, err = p.Verify(r.Context(), mfa.Proof{Method: m, Code: r.PostFormValue("code")})
	}
	if errors.Is(err, mfa.ErrInvalid) {
		http.Redirect(w, r, s.path("/setup?error=address&change=yes&method=")+m.String(), http.StatusSeeOther)
		return
	}
	s.web.Next(w, r, out, err)
}

// tidy takes out of an address what people put into it for themselves.
func tidy(m mfa.Method, address string) string {
	address = strings.TrimSpace(address)
	if m != mfa.SMSCode {
		return address
	}
	number := strings.NewReplacer(" ", "", "-", "", ".", "", "/", "", "(", "", ")", "", "\u00a0", "").Replace(address)
	if rest, ok := strings.CutPrefix(number, "00"); ok {
		number = "+" + rest
	}
	return number
}

// listed returns the address in a user's profile, and whether the host says that it is
// hers.
func listed(u mfa.User, m mfa.Method) (address string, confirmed bool) {
	if m == mfa.SMSCode {
		return u.Phone, u.PhoneVerified
	}
	return u.Email, u.EmailVerified
}

// setMethod turns codes by email or SMS on or off.
func (s *Site) setMethod(w http.ResponseWriter, r *http.Request) {
	what := "method-off"
	on, err := switched(r)
	if on {
		what = "method-on"
	}
	if err == nil {
		err = mfahttp.SessionFrom(r.Context()).SetMethod(r.Context(), methodOf(r.PostFormValue("method")), on)
	}
	s.done(w, r, what, err)
}

// addAddress leads to the page that asks for an address and sends a code to it.
func (s *Site) addAddress(w http.ResponseWriter, r *http.Request) {
	in := mfahttp.SessionFrom(r.Context())
	out, err := in.StepUp(r.Context(), mfa.ToEnroll(methodOf(r.PostFormValue("method"))), s.path("/security?done=address"))
	s.web.Next(w, r, out, err)
}

func (s *Site) forgetBrowser(w http.ResponseWriter, r *http.Request) {
	s.done(w, r, "forgotten", mfahttp.SessionFrom(r.Context()).ForgetBrowsers(r.Context(), r.PostFormValue("id")))
}
