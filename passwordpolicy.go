package mfa

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/seed-1320b244/mfa/internal/guessable"
)

// A PasswordPolicy says which new passwords are accepted. Whatever it says,
// common passwords, patterns and names of the user's surroundings are refused (SP
// 800-63B-4 section 3.1.1.2), nothing is trimmed, cut or folded, and no password
// expires. Characters are Unicode code points in normalization form C.
//
// It does not stop a user from choosing a password that is in use elsewhere;
// Breach finds those that are known to have leaked.
type PasswordPolicy struct {
	// Min is the fewest characters. Zero: 15, or 8 where a second factor is always
	// asked besides (SP 800-63B-4 section 3.1.1.2). 8 to 64; one below 15 where a
	// password may stand alone is weaker than the standard asks.
	Min int
	// Max is the most characters. Zero: 256. 64, the least that the standard
	// recommends to accept, to 455: so many fit into the 4096 bytes beyond which
	// nothing is looked at, however they are composed.
	Max int
	// History is how many of the last passwords may not come back, the present one
	// included: 1 refuses that alone. Each costs a hash at a change. Zero: none; the
	// standard asks for none. 0 to 24. One that must be replaced because somebody else
	// may know it never comes back at once.
	History int
	// Upper, Lower and Digit ask for a character of Unicode category Lu, Ll or Nd.
	// Zero: not asked. The standard forbids such rules (section 3.1.1.2): people
	// meet them in the ways that guessers try first.
	Upper, Lower, Digit bool
	// Context is what else is refused when a password consists of nothing but such
	// words and a decoration: of names of products and places. The issuer's name and
	// those of the user and the user's organizations are known. Zero: nothing else.
	// At most 32 entries of 64 code points.
	Context []string
	// Breach knows passwords that have leaked. Nil: nobody is asked. See the
	// module breach.
	Breach BreachChecker
	// BreachFailOpen accepts a password that could not be checked because Breach
	// failed; the other rules still hold. Default false: such a password is refused,
	// and nobody can change a password while Breach is down.
	BreachFailOpen bool
}

// A BreachChecker knows passwords that have leaked. It is safe for concurrent use.
type BreachChecker interface {
	// Breached reports whether password, valid UTF-8 in normalization form C, has
	// leaked. It honors ctx. Its errors do not show the password.
	Breached(ctx context.Context, password string) (bool, error)
}

// A Requirement is one line of a PasswordPolicy, for a page that ticks it off.
type Requirement struct {
	Reason   Reason // why a password that does not meet it is refused
	Sentence string // in English, without a full stop; translate by Reason and Number
	Met      bool
	Number   int // that Sentence names, of characters or of passwords; 0: none
}

const (
	// maxPasswordBytes bounds what is normalized, compared and hashed. A code point
	// in form C takes at most 9 bytes in any other form (Hangul in three parts, ᾯ in
	// four), so that Max characters of any kind fit.
	maxPasswordBytes = 4096
	maxPasswordLen   = maxPasswordBytes / 9
	minAlone         = 15 // SP 800-63B-4 section 3.1.1.2
	minBesides       = 8  // the same, with a second factor always
)

// classicPasswords is the composition that many sites ask for. It is weaker than
// the zero policy.
func classicPasswords() PasswordPolicy {
	return PasswordPolicy{Min: 8, Upper: true, Lower: true, Digit: true}
}

// nistPasswords holds to SP 800-63B-4 whether or not a second factor is asked.
func nistPasswords() PasswordPolicy { return PasswordPolicy{Min: 15} }

// resolved returns p with its defaults, and calls bad for every field that is out
// of bounds. Min stays zero: its default depends on the user.
func (p PasswordPolicy) resolved(bad func(field string, value any, want string)) PasswordPolicy {
	if p.Max == 0 {
		p.Max = 256
	}
	if p.Min != 0 && (p.Min < 8 || p.Min > 64) {
		bad("Password.Min", p.Min, "8 to 64")
	}
	if p.Max < 64 || p.Max > maxPasswordLen {
		bad("Password.Max", p.Max, fmt.Sprintf("64 to %d", maxPasswordLen))
	}
	if p.History < 0 || p.History > 24 {
		bad("Password.History", p.History, "0 to 24")
	}
	if len(p.Context) > 32 {
		bad("Password.Context", fmt.Sprintf("%d entries", len(p.Context)), "at most 32")
	}
	for _, w := range p.Context {
		if len(guessable.Words(w)) == 0 || !validText(w, maxName) {
			bad("Password.Context", fmt.Sprintf("%q", w), fmt.Sprintf("words of at most %d code points", maxName))
		}
	}
	return p
}

// passwordFacts is what a policy has to know besides the password.
type passwordFacts struct {
	besides bool     // a second factor is always asked besides the password
	names   []string // the issuer's, the user's, the user's addresses and organizations
	reused  bool     // one of the last History passwords
	breach  Reason   // what breached said
}

// check returns every requirement of p, which is resolved, and whether password
// meets it. It takes some ten microseconds, and less than a millisecond at worst.
func (p PasswordPolicy) check(password string, facts passwordFacts) []Requirement {
	// What is too long is refused in any case: the rest is said about its beginning.
	fits := len(password) <= maxPasswordBytes
	if !fits {
		password = strings.ToValidUTF8(password[:maxPasswordBytes], "")
	}
	valid := utf8.ValidString(password)
	password = norm.NFC.String(password)
	length := utf8.RuneCountInString(password)
	if length > maxPasswordLen {
		password = string([]rune(password)[:maxPasswordLen])
	}
	least := p.least(facts.besides)
	list := []Requirement{
		{ReasonPasswordTooShort, fmt.Sprintf("At least %d characters", least), length >= least, least},
		{ReasonPasswordTooLong, fmt.Sprintf("At most %d characters", p.Max), fits && length <= p.Max, p.Max},
	}
	add := func(why Reason, sentence string, met bool) {
		list = append(list, Requirement{why, sentence, met && length > 0, 0})
	}
	if p.Upper {
		add(ReasonPasswordNoUpper, "An upper-case letter", strings.ContainsFunc(password, unicode.IsUpper))
	}
	if p.Lower {
		add(ReasonPasswordNoLower, "A lower-case letter", strings.ContainsFunc(password, unicode.IsLower))
	}
	if p.Digit {
		add(ReasonPasswordNoDigit, "A digit", strings.ContainsFunc(password, unicode.IsDigit))
	}
	if !valid { // no browser sends it: nothing to tick off
		add(ReasonPasswordNotText, "Text that is not damaged", false)
	}
	add(ReasonPasswordCommon, "Not a common password, alone or with some digits or signs", !guessable.Common(password))
	add(ReasonPasswordPattern, "Not a repetition, a sequence or a row of keys", !guessable.Pattern(password, least))
	words := guessable.Words(norm.NFC.String(strings.Join(slices.Concat(facts.names, p.Context), "\n")))
	add(ReasonPasswordContext, "Not just a name or an address of yours or ours", !guessable.Context(password, words))
	if p.History > 0 || facts.reused {
		sentence := "Not your present password"
		if p.History > 1 {
			sentence = fmt.Sprintf("Not one of your last %d passwords", p.History)
		}
		add(ReasonPasswordReused, sentence, !facts.reused)
		list[len(list)-1].Number = p.History
	}
	if facts.breach == ReasonPasswordUnchecked {
		add(facts.breach, "Not known to have leaked, which cannot be found out at the moment", false)
	} else if p.Breach != nil {
		add(ReasonPasswordBreached, "Not known to have leaked", facts.breach == "")
	}
	return list
}

// least returns the fewest characters.
func (p PasswordPolicy) least(besides bool) int {
	switch {
	case p.Min != 0:
		return p.Min
	case besides:
		return minBesides
	}
	return minAlone
}

// breached asks p.Breach about password, if there is one. It returns "" when the
// password may be taken, and the error of p.Breach, which is recorded even where
// the password may be taken in spite of it.
func (p PasswordPolicy) breached(ctx context.Context, password string) (Reason, error) {
	if p.Breach == nil || len(password) > maxPasswordBytes {
		return "", nil
	}
	found, err := p.Breach.Breached(ctx, norm.NFC.String(password))
	switch {
	case found:
		return ReasonPasswordBreached, err
	case err != nil && !p.BreachFailOpen:
		return ReasonPasswordUnchecked, err
	}
	return "", err
}
