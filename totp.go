package mfa

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/pquerna/otp"

	"github.com/seed-1320b244/mfa/internal/keyring"
	"github.com/seed-1320b244/mfa/internal/otpcode"
	"github.com/seed-1320b244/mfa/internal/qrimage"
)

// authenticator is one authenticator app as stored.
type authenticator struct {
	ID     string            `json:"id"`
	Label  string            `json:"label,omitempty"`
	Sealed []byte            `json:"sealed"` // the secret
	Alg    otpcode.Algorithm `json:"alg"`
	Digits int               `json:"digits"`
	Period int64             `json:"period"`
	Step   int64             `json:"step"` // the last one accepted: codes go only forwards
	Added  int64             `json:"added"`
	Used   int64             `json:"used"`
}

func (a *authenticator) params() otpcode.Params {
	return otpcode.Params{Algorithm: a.Alg, Digits: a.Digits, Period: a.Period}
}

// secret opens the sealed secret. It is bound to the user and the authenticator,
// so that one copied into another's record stays shut.
func (a *authenticator) secret(g *Guard, owner string) ([]byte, error) {
	return g.ring.Open(a.Sealed, owner, "totp", a.ID)
}

// Setup is an authenticator that is staged and not bound yet. Printing or
// encoding it shows nothing of the secret; show it to its user only, on a page
// that no cache keeps (ASVS 14.3.2).
type Setup struct {
	uri    func() string
	secret func() string
}

// URI returns the otpauth URI: for a link on a phone that has the app itself.
func (s Setup) URI() string { return call(s.uri) }

// Secret returns the secret in base32, in groups of four, for typing.
func (s Setup) Secret() string { return call(s.secret) }

// PNG draws the URI as a QR code of scale pixels a module, 1 to 32. It returns
// ErrInvalid for another scale, and for the zero Setup.
func (s Setup) PNG(scale int) ([]byte, error) {
	m, err := qrimage.Encode(s.URI())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	png, err := m.PNG(scale)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return png, nil
}

// SVG draws the URI as a QR code that scales to any size. It needs no inline
// style, so that a strict Content-Security-Policy allows it. It returns ErrInvalid
// for the zero Setup.
func (s Setup) SVG() (string, error) {
	m, err := qrimage.Encode(s.URI())
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return m.SVG(), nil
}

func call(f func() string) string {
	if f == nil {
		return ""
	}
	return f()
}

var base32Secret = base32.StdEncoding.WithPadding(base32.NoPadding)

// setup returns what the user needs to fill her app.
//
// The URI is written here and not by otp/totp.Generate, which leaves "&" and "+"
// in the issuer as they are, so that an app reads another name. Reading it back
// with that library, as many apps would, proves that it means what it should.
func (a *authenticator) setup(g *Guard, u User) (Setup, error) {
	raw, err := a.secret(g, ownerOf(u.ID))
	if err != nil {
		return Setup{}, &unavailable{"open a staged secret", ReasonUnknownKey, err}
	}
	secret, name := base32Secret.EncodeToString(raw), accountName(u)
	uri := "otpauth://totp/" + escape(g.issuer) + ":" + escape(name) +
		"?secret=" + secret + "&issuer=" + escape(g.issuer) + "&algorithm=" + string(a.Alg) +
		"&digits=" + strconv.Itoa(a.Digits) + "&period=" + strconv.FormatInt(a.Period, 10)
	key, err := otp.NewKeyFromURL(uri)
	if err != nil || key.Secret() != secret || key.Issuer() != g.issuer || key.AccountName() != name {
		return Setup{}, &unavailable{"write the otpauth URI", ReasonMalformedRecord, errors.New("it does not read back as it was written")}
	}
	grouped := group(secret, 4, " ")
	return Setup{func() string { return uri }, func() string { return grouped }}, nil
}

// accountName returns what the app shows under the issuer: a colon would end the
// issuer's part of the label.
func accountName(u User) string {
	for _, name := range []string{u.Name, u.ID} {
		if name != "" && len(name) <= maxAccount && validText(name, maxAccount) && !strings.Contains(name, ":") && strings.TrimSpace(name) == name {
			return name
		}
	}
	return "account"
}

// escape percent-encodes everything outside RFC 3986's unreserved characters; a
// space becomes %20, because some apps show "+" as a plus.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// group returns s with sep between every n bytes.
func group(s string, n int, sep string) string {
	var b strings.Builder
	for i := 0; i < len(s); i += n {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(s[i:min(i+n, len(s))])
	}
	return b.String()
}

// newAuthenticator makes one with a new secret as long as the output of its hash
// (RFC 6238 section 5.1; at least the 160 bits that RFC 4226 R6 recommends).
func (g *Guard) newAuthenticator(owner, label string) authenticator {
	p := g.policy.TOTP
	a := authenticator{
		ID: keyring.NewToken("", "").ID, Label: label,
		Alg: otpcode.SHA1, Digits: p.Digits, Period: int64(p.Period / time.Second),
	}
	size := 20
	switch p.Algorithm {
	case SHA256:
		a.Alg, size = otpcode.SHA256, 32
	case SHA512:
		a.Alg, size = otpcode.SHA512, 64
	}
	secret := make([]byte, size)
	rand.Read(secret)
	a.Sealed = g.ring.Seal(secret, owner, "totp", a.ID)
	return a
}

// full reports whether the user has as many authenticators as allowed. When the
// method is disabled the next one replaces them all.
func (f *flow) full() bool {
	a := &f.account.data
	return len(a.TOTP) >= maxAuthenticators && !a.Tries[TOTP.String()].disabled(f.g.policy.Limits, TOTP)
}

// StartTOTP stages an authenticator, at StepEnroll. While one is staged the same
// is returned and label is ignored, so that a reload changes nothing. The label,
// for a user with several, is at most 64 code points and may be empty; space at
// its ends is dropped.
//
// It returns ErrNoPending, ErrRefused (the flow is at another step), ErrForbidden
// (3 authenticators already), ErrInvalid (the label) or ErrUnavailable.
func (p *Pending) StartTOTP(ctx context.Context, label string) (Setup, error) {
	if label = strings.TrimSpace(label); !validLabel(label) {
		return Setup{}, invalid("label")
	}
	var setup Setup
	var made *authenticator // once: an attempt that was applied late must not have another secret
	_, err := p.p().run(ctx, func(f *flow) (Outcome, error) {
		if v := decide(f.situation()); v.step != StepEnroll || !slices.Contains(v.methods, TOTP) {
			return Outcome{}, refuse(ErrRefused, ReasonStepNotAsked)
		}
		if f.full() {
			return Outcome{}, refuse(ErrForbidden, ReasonTooManyFactors)
		}
		if f.data.Staged == nil {
			if made == nil {
				made = new(f.g.newAuthenticator(f.owner, label))
			}
			f.data.Staged = made
			f.put(f.rec, f.rec.Expires, f.data)
		}
		var err error
		setup, err = f.data.Staged.setup(f.g, f.user)
		return Outcome{}, err
	})
	if err != nil {
		return Setup{}, err
	}
	return setup, nil
}

// ConfirmTOTP binds the staged authenticator with its first code, which is then
// used. A user's first authenticator brings backup codes: the Outcome is the flow
// at StepSaveCodes. When the method was disabled, the new authenticator replaces all
// old ones. A wrong code is ErrRefused; after Limits.TriesPerPending (5) in one
// flow it is over. It returns ErrForbidden when the user has 3 authenticators
// meanwhile.
func (p *Pending) ConfirmTOTP(ctx context.Context, code string) (Outcome, error) {
	return p.p().run(ctx, func(f *flow) (Outcome, error) {
		if v := decide(f.situation()); v.step != StepEnroll || !slices.Contains(v.methods, TOTP) {
			return Outcome{}, refuse(ErrRefused, ReasonStepNotAsked)
		}
		if f.data.Staged == nil {
			return Outcome{}, refuse(ErrRefused, ReasonNotStaged)
		}
		if f.full() {
			return Outcome{}, refuse(ErrForbidden, ReasonTooManyFactors)
		}
		a := *f.data.Staged
		secret, err := a.secret(f.g, f.owner)
		if err != nil {
			return Outcome{}, &unavailable{"open a staged secret", ReasonUnknownKey, err}
		}
		if why := f.match(&a, secret, code); why != "" {
			f.tell(Event{Name: EventProofRefused, Method: TOTP, Reason: why})
			if why != ReasonMalformedCode {
				// The secret is the user's own and was just shown to her: this
				// is a slip and no guess, and counts against the flow alone.
				f.miss()
			}
			return Outcome{}, refuse(ErrRefused, why)
		}
		if err := f.bind(ctx, a); err != nil {
			return Outcome{}, err
		}
		return f.advance(ctx)
	})
}

// bind stages a as the user's. From this commit on she holds a factor.
func (f *flow) bind(ctx context.Context, a authenticator) error {
	d := &f.account.data
	if err := f.mark(ctx); err != nil {
		return err
	}
	f.unremember()
	if d.Tries[TOTP.String()].disabled(f.g.policy.Limits, TOTP) {
		d.TOTP = nil // SP 800-63B-4 section 3.2.2: bound anew, not waited out
		f.tell(Event{Name: EventFactorRemoved, Method: TOTP})
	}
	a.Added = f.now.Unix()
	d.TOTP = append(slices.Clone(d.TOTP), a)
	d.MustEnroll = false
	if f.data.To != toEnter {
		d.Ask = true
	}
	f.data.Staged, f.data.Bound = nil, true
	f.accept(TOTP)
	f.tell(Event{Name: EventFactorAdded, Method: TOTP})
	if len(d.TOTP) == 1 && d.CodeSet == "" {
		return f.issueCodes(ctx)
	}
	return nil
}

// matchTOTP looks for code among the user's authenticators and moves the one it
// belongs to forwards. Each is computed whatever the others gave.
func (f *flow) matchTOTP(code string) Reason {
	// What no authenticator can be opened for is no guess: it is not counted.
	why, found := ReasonNoUsableFactor, false
	list := slices.Clone(f.account.data.TOTP)
	for i := range list {
		secret, err := list[i].secret(f.g, f.owner)
		if err != nil {
			continue // sealed under a lost key: held, and not usable
		}
		switch r := f.match(&list[i], secret, code); {
		case r == "":
			found = true // every app that shows this code has now used it
		case r == ReasonTOTPReused, why == ReasonNoUsableFactor, why == ReasonMalformedCode:
			why = r
		}
	}
	if !found {
		return why
	}
	f.account.data.TOTP, f.touched = list, true
	return ""
}

// match compares code with the codes of a around now. On a match it moves a
// forwards and returns "".
func (f *flow) match(a *authenticator, secret []byte, code string) Reason {
	normal, ok := otpcode.Normalize(code, a.Digits)
	if !ok {
		return ReasonMalformedCode
	}
	r := otpcode.Match(secret, a.params(), normal, otpcode.Window{
		Now: a.params().Step(f.now.Unix()), After: a.Step, Width: f.g.policy.TOTP.Window.steps(),
	})
	switch r.Verdict {
	case otpcode.Matched:
		a.Step, a.Used = r.Step, f.now.Unix()
		return ""
	case otpcode.Reused:
		return ReasonTOTPReused
	}
	return ReasonWrongCode
}

// RenameTOTP changes the label of an authenticator, at most 64 code points. It
// needs a fresh proof (*StepUpError), and returns ErrForbidden when the user has
// no authenticator with this id.
func (s *Session) RenameTOTP(ctx context.Context, id, label string) error {
	if label = strings.TrimSpace(label); !validLabel(label) {
		return invalid("label")
	}
	return s.s().change(ctx, bounded, "rename_totp", func(f *flow) error {
		list := slices.Clone(f.account.data.TOTP)
		i := slices.IndexFunc(list, func(a authenticator) bool { return a.ID == id })
		if i < 0 {
			return refuse(ErrForbidden, ReasonUnknownFactor)
		}
		list[i].Label = label
		f.account.data.TOTP, f.touched = list, true
		f.tell(Event{Name: EventFactorRenamed, Method: TOTP})
		return nil
	})
}

// RemoveTOTP removes an authenticator. With the last factor go the backup codes and
// the "ask at sign-in" switch. It needs a fresh proof (*StepUpError), and returns
// ErrForbidden when the user has no authenticator with this id, or when it is the
// last and a rule requires one. When the Marker fails it returns ErrUnavailable
// although the change stands.
func (s *Session) RemoveTOTP(ctx context.Context, id string) error {
	last := false
	err := s.s().change(ctx, bounded, "remove_totp", func(f *flow) error {
		after := f.account.data
		after.TOTP = slices.DeleteFunc(slices.Clone(after.TOTP), func(a authenticator) bool { return a.ID == id })
		if len(after.TOTP) == len(f.account.data.TOTP) {
			return refuse(ErrForbidden, ReasonUnknownFactor)
		}
		var err error
		last, err = f.reduce(ctx, after, TOTP)
		return err
	})
	if err != nil || !last {
		return err
	}
	return s.s().g.unmark(ctx, s.User())
}

// SetAskAtSignIn switches whether a code is asked at each sign-in. Enrolling
// from the settings or at sign-in turns it on, enrolling at an organization's
// door does not. Where a rule asks, the switch has no effect. It needs a fresh proof
// (*StepUpError), and returns ErrForbidden when the user holds no factor.
func (s *Session) SetAskAtSignIn(ctx context.Context, on bool) error {
	return s.s().change(ctx, bounded, "ask_at_sign_in", func(f *flow) error {
		if !f.account.data.holds() {
			return refuse(ErrForbidden, ReasonNoFactor)
		}
		if f.account.data.Ask != on {
			f.account.data.Ask, f.touched = on, true
			f.unremember()
			f.tell(Event{Name: EventAskChanged})
		}
		return nil
	})
}

// validLabel reports whether s can be the label of an authenticator.
func validLabel(s string) bool {
	return validText(s, maxName) && !strings.ContainsFunc(s, func(r rune) bool { return r != ' ' && unicode.IsSpace(r) })
}
