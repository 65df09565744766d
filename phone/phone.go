// Package phone reads telephone numbers as people type them and writes them in the
// one form that package mfa accepts, strict E.164:
//
//	number, err := phone.Parse("0151 12345678", "DE") // +4915112345678
//
// It is for the form in which a user enters her number. What it returns is stored in
// the directory; nothing needs it again.
//
// The numbering plans of all countries come with it (libphonenumber's metadata,
// through github.com/nyaruka/phonenumbers): 5 MB of program, and about 10 ms and 2.5 MB
// of memory at its start. Plans change: update the dependency twice a year, or new
// ranges are refused.
package phone

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// maxText is how many bytes are read. The longest numbers have 15 digits.
const maxText = 64

// A Reason is a stable word that says why a text was refused.
type Reason string

const (
	TooLong   Reason = "too_long"   // more than 64 bytes
	Malformed Reason = "malformed"  // something other than one number: letters, an extension, digits of other scripts
	NoCountry Reason = "no_country" // no country code, and no region that says which
	NoNumber  Reason = "no_number"  // no country gives out such a number: a digit too many, a short code
	Landline  Reason = "landline"   // gets no text messages
	Special   Reason = "special"    // costs extra or belongs to no phone: premium, shared cost, toll-free, personal, satellite, over the Internet
)

// An Error says why a text is no number that a code can be sent to. It does not hold
// the text. Find it with errors.AsType[*phone.Error].
type Error struct{ Reason Reason }

func (e *Error) Error() string { return "phone: " + string(e.Reason) }

// Parse returns the number in text as E.164 writes it: "+" and 8 to 15 digits. A
// number without country code is read as one dialed in region, an ISO 3166-1 code
// of two letters such as "DE" in either case; with region "" such a number is
// refused. Spaces, hyphens, dots, slashes and parentheses are skipped. The error is
// an *Error.
//
// Only numbers of mobile phones, and those that may be one (North America does not
// tell), are returned. The others get no text, or are how text messages are turned
// into money: whoever makes a service send to premium-rate, personal or satellite
// numbers gets a share. A number over the Internet is no device that the user has
// (NIST SP 800-63-3B, section 5.1.3.1).
//
// That a number fits the plan says nothing about whether it is in use or whose it
// is. It does not stop pumping to ordinary mobile numbers of expensive countries:
// limit the countries you send to, and keep the limits of package mfa.
func Parse(text, region string) (string, error) {
	if len(text) > maxText {
		return "", &Error{TooLong}
	}
	text, ok := plain(text)
	if !ok {
		return "", &Error{Malformed}
	}
	region = strings.ToUpper(region)
	if text[0] != '+' && phonenumbers.GetCountryCodeForRegion(region) == 0 {
		return "", &Error{NoCountry}
	}
	number, err := phonenumbers.Parse(text, region)
	if err != nil || number.GetExtension() != "" || !phonenumbers.IsValidNumber(number) {
		return "", &Error{NoNumber}
	}
	if reason := refuse(number); reason != "" {
		return "", &Error{reason}
	}
	e164 := phonenumbers.Format(number, phonenumbers.E164)
	if len(e164) < 1+8 || len(e164) > 1+15 { // Tokelau has some of 7 digits
		return "", &Error{NoNumber}
	}
	return e164, nil
}

// refuse returns why no code goes to a valid number, "" when one may.
func refuse(number *phonenumbers.PhoneNumber) Reason {
	// The plan calls satellite phones mobile. Their country codes are of no country.
	if phonenumbers.GetRegionCodeForNumber(number) == "001" {
		return Special
	}
	switch phonenumbers.GetNumberType(number) {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
		return ""
	case phonenumbers.FIXED_LINE:
		return Landline
	}
	return Special
}

// plain returns the digits of a text, and a "+" before them, and whether there is
// nothing else that means anything. The library underneath would skip what it does
// not know, read letters as digits, and take the first of two numbers.
func plain(text string) (string, bool) {
	// Contact lists put marks of the direction around a number, which travel along when it is copied.
	text = strings.Trim(text, "\u200e\u202a\u202c\u2066\u2068\u2069 \t\r\n\u00a0")
	digits := make([]byte, 0, maxText)
	for _, r := range text {
		switch {
		case r >= '0' && r <= '9':
			digits = append(digits, byte(r))
		case r == '+' && len(digits) == 0:
			digits = append(digits, '+')
		case strings.ContainsRune(" -./()\u00a0\u2009\u202f\u2010\u2011\u2012\u2013", r):
		default:
			return "", false
		}
	}
	return string(digits), len(digits) > 1 || len(digits) == 1 && digits[0] != '+'
}
