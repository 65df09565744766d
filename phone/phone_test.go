package phone_test

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/nyaruka/phonenumbers"

	"github.com/seed-1320b244/mfa/phone"
)

// accepted are numbers as they are typed. The numbers are examples of the numbering
// plans.
var accepted = []struct{ name, text, region, want string }{
	{"Germany", "0151 12345678", "DE", "+4915112345678"},
	{"Germany, with a slash", "0151/12345678", "DE", "+4915112345678"},
	{"Germany, zero in parentheses", "+49 (0)151 12345678", "DE", "+4915112345678"},
	{"Germany, dialed from there", "0049 151 12345678", "DE", "+4915112345678"},
	{"Germany, typed elsewhere", "+49 151 12345678", "US", "+4915112345678"},
	{"Germany, without region", "+4915112345678", "", "+4915112345678"},
	{"Germany, dialed from the United States", "011 49 151 12345678", "US", "+4915112345678"},
	{"plus in parentheses", "(+49) 151-123-456-78", "", "+4915112345678"},
	{"region in lower case", "0151 12345678", "de", "+4915112345678"},
	{"spaces around", "\t +49 151 12345678\r\n", "", "+4915112345678"},
	{"no-break spaces", "+49\u00a0151\u202f12345678", "", "+4915112345678"},
	{"no-break hyphens, dashes", "+49\u2011151\u201312345678", "", "+4915112345678"},
	{"copied from a contact list", "\u202a+49 151 12345678\u202c", "", "+4915112345678"},
	{"64 bytes", "+4915112345678" + strings.Repeat(" ", 50), "", "+4915112345678"},

	{"United Kingdom", "07400 123456", "GB", "+447400123456"},
	{"Ireland", "085 012 3456", "IE", "+353850123456"},
	{"France", "06 12 34 56 78", "FR", "+33612345678"},
	{"France, dots", "06.12.34.56.78", "FR", "+33612345678"},
	{"Spain", "612 34 56 78", "ES", "+34612345678"},
	{"Portugal", "912 345 678", "PT", "+351912345678"},
	{"Italy", "312 345 6789", "IT", "+393123456789"},
	{"San Marino", "66 66 12 12", "SM", "+37866661212"},
	{"Switzerland", "078 123 45 67", "CH", "+41781234567"},
	{"Austria", "0664 123456", "AT", "+43664123456"},
	{"Netherlands", "06 12345678", "NL", "+31612345678"},
	{"Belgium", "0470 12 34 56", "BE", "+32470123456"},
	{"Sweden", "070-123 45 67", "SE", "+46701234567"},
	{"Norway", "406 12 345", "NO", "+4740612345"},
	{"Denmark", "32 12 34 56", "DK", "+4532123456"},
	{"Finland", "041 2345678", "FI", "+358412345678"},
	{"Estonia", "5123 4567", "EE", "+37251234567"},
	{"Poland", "512 345 678", "PL", "+48512345678"},
	{"Czechia", "601 123 456", "CZ", "+420601123456"},
	{"Hungary", "06 20 123 4567", "HU", "+36201234567"},
	{"Greece", "691 234 5678", "GR", "+306912345678"},
	{"Turkey", "0501 234 56 78", "TR", "+905012345678"},
	{"Ukraine", "050 123 4567", "UA", "+380501234567"},
	{"Russia, dialed with 8", "8 912 345-67-89", "RU", "+79123456789"},
	{"Kazakhstan, which shares a code", "8 771 000 9998", "KZ", "+77710009998"},
	{"Israel", "050-234-5678", "IL", "+972502345678"},
	{"Emirates", "050 123 4567", "AE", "+971501234567"},
	{"Saudi Arabia", "051 234 5678", "SA", "+966512345678"},
	{"Egypt", "0100 123 4567", "EG", "+201001234567"},
	{"Nigeria", "0802 123 4567", "NG", "+2348021234567"},
	{"Ivory Coast, which keeps the 0", "01 23 45 6789", "CI", "+2250123456789"},
	{"South Africa", "071 123 4567", "ZA", "+27711234567"},
	{"India", "081234 56789", "IN", "+918123456789"},
	{"China", "131 2345 6789", "CN", "+8613123456789"},
	{"Hong Kong", "5123 4567", "HK", "+85251234567"},
	{"Japan", "090-1234-5678", "JP", "+819012345678"},
	{"Korea", "010-2000-0000", "KR", "+821020000000"},
	{"Singapore", "8123 4567", "SG", "+6581234567"},
	{"Indonesia", "0812-345-678", "ID", "+62812345678"},
	{"Australia", "0412 345 678", "AU", "+61412345678"},
	{"New Zealand", "021 123 4567", "NZ", "+64211234567"},
	{"United States", "(415) 555-2671", "US", "+14155552671"},
	{"United States, with 1", "1-415-555-2671", "US", "+14155552671"},
	{"Canada", "506-234-5678", "CA", "+15062345678"},
	{"Mexico", "55 1234 5678", "MX", "+525512345678"},
	{"Brazil", "(11) 96123-4567", "BR", "+5511961234567"},
	{"Argentina, mobile marked by 15", "011 15-2345-6789", "AR", "+5491123456789"},
	{"Saint Helena, 8 digits, the fewest", "51234", "SH", "+29051234"},
}

func TestAccepted(t *testing.T) {
	for _, c := range accepted {
		if got, err := phone.Parse(c.text, c.region); err != nil || got != c.want {
			t.Errorf("%s: %q: %s, %v, want %s", c.name, c.text, got, err, c.want)
		}
	}
}

var refused = []struct {
	name, text, region string
	reason             phone.Reason
}{
	{"65 bytes", "+4915112345678" + strings.Repeat(" ", 51), "", phone.TooLong},
	{"64 KiB of digits", strings.Repeat("1", 64<<10), "US", phone.TooLong},

	{"empty", "", "US", phone.Malformed},
	{"spaces", "   ", "US", phone.Malformed},
	{"plus alone", "+", "US", phone.Malformed},
	{"signs alone", "(-) .", "US", phone.Malformed},
	{"two pluses", "++4915112345678", "", phone.Malformed},
	{"plus within", "+4915112+345678", "", phone.Malformed},
	{"two numbers", "+4915112345678, +4915112345679", "", phone.Malformed},
	{"letters of a name", "1-800-FLOWERS", "US", phone.Malformed},
	{"word before", "Tel. +49 151 12345678", "", phone.Malformed},
	{"address", "tel:+4915112345678", "", phone.Malformed},
	{"context", "15112345678;phone-context=+49", "", phone.Malformed},
	{"sender name", "ACME", "US", phone.Malformed},
	{"extension", "(415) 555-2671 ext. 5", "US", phone.Malformed},
	{"extension, short", "(415) 555-2671 x5", "US", phone.Malformed},
	{"extension, sign", "(415) 555-2671#5", "US", phone.Malformed},
	{"pause", "(415) 555-2671,,5", "US", phone.Malformed},
	{"service code", "*21*4155552671#", "US", phone.Malformed},
	{"full-width digits", "+４９１５１１２３４５６７８", "", phone.Malformed},
	{"Arabic-Indic digits", "٠١٠٠ ١٢٣ ٤٥٦٧", "EG", phone.Malformed},
	{"full-width plus", "＋4915112345678", "", phone.Malformed},
	{"direction of text within", "+4915\u202e112345678", "", phone.Malformed},
	{"zero-width space within", "+49151\u200b12345678", "", phone.Malformed},
	{"header", "+4915112345678\r\nTo: +19005551234", "", phone.Malformed},
	{"NUL", "+49151\x0012345678", "", phone.Malformed},
	{"no UTF-8", "+49151\xff12345678", "", phone.Malformed},
	{"markup", "<b>+4915112345678", "", phone.Malformed},

	{"no country", "0151 12345678", "", phone.NoCountry},
	{"no such region", "0151 12345678", "XX", phone.NoCountry},
	{"region of no country", "0151 12345678", "001", phone.NoCountry},
	{"country code for a region", "0151 12345678", "49", phone.NoCountry},

	{"one digit", "1", "US", phone.NoNumber},
	{"zeros", "+00000000000", "", phone.NoNumber},
	{"no such country code", "+999 123 456 789", "", phone.NoNumber},
	{"a digit too many", "(415) 555-26711", "US", phone.NoNumber},
	{"a digit too few", "(415) 555-267", "US", phone.NoNumber},
	{"local, without area code", "555-2671", "US", phone.NoNumber},
	{"two numbers run together", "0151 12345678 / 0151 12345679", "DE", phone.NoNumber},
	{"emergency", "112", "DE", phone.NoNumber},
	{"emergency, United States", "911", "US", phone.NoNumber},
	{"short code", "85555", "US", phone.NoNumber},
	{"short code, five digits", "+49 22373", "", phone.NoNumber},
	{"Mexico, mobile marked by 1 until 2019", "+52 1 55 1234 5678", "", phone.NoNumber},
	{"7 digits", "7290", "TK", phone.NoNumber},

	{"landline, Germany", "030 123456", "DE", phone.Landline},
	{"landline, Italy", "06 1234 5678", "IT", phone.Landline},
	{"landline, United Kingdom", "0121 234 5678", "GB", phone.Landline},
	{"landline, Niue", "4002", "NU", phone.Landline},

	{"premium, United States", "900-555-1234", "US", phone.Special},
	{"premium, Germany", "0900 1 234567", "DE", phone.Special},
	{"premium, France", "0899 123 456", "FR", phone.Special},
	{"premium, Australia", "1900 123 456", "AU", phone.Special},
	{"premium, Portugal", "760 123 456", "PT", phone.Special},
	{"premium, United Kingdom", "0909 879 0123", "GB", phone.Special},
	{"service, United Kingdom", "0845 123 4567", "GB", phone.Special},
	{"personal, United Kingdom", "070 1234 5678", "GB", phone.Special},
	{"pager, United Kingdom", "07640 123456", "GB", phone.Special},
	{"toll-free", "0800 123 456", "GB", phone.Special},
	{"toll-free, United States", "800-234-5678", "US", phone.Special},
	{"over the Internet, United Kingdom", "056 1234 5678", "GB", phone.Special},
	{"shared cost, Germany", "0180 5 012345", "DE", phone.Special},
	{"satellite, Inmarsat", "+870 773 111 632", "", phone.Special},
	{"satellite, Iridium", "+881 612 345 678", "", phone.Special},
	{"international network", "+883 5110 0123 4567", "", phone.Special},
	{"international toll-free", "+800 1234 5678", "", phone.Special},
	{"international premium", "+979 123 456 789", "", phone.Special},
}

func TestRefused(t *testing.T) {
	for _, c := range refused {
		got, err := phone.Parse(c.text, c.region)
		reason, ok := errors.AsType[*phone.Error](err)
		if !ok || reason.Reason != c.reason || got != "" {
			t.Errorf("%s: %.40q: %s, %v, want %s", c.name, c.text, got, err, c.reason)
		}
		if err != nil && err.Error() != "phone: "+string(c.reason) { // R27: the number is personal data
			t.Errorf("%s: the error says %q", c.name, err)
		}
	}
}

// TestEveryPlan takes the example that each numbering plan has for each kind of
// number: none but the mobile ones is returned, and those as they are.
func TestEveryPlan(t *testing.T) {
	kinds := []phonenumbers.PhoneNumberType{
		phonenumbers.FIXED_LINE, phonenumbers.MOBILE, phonenumbers.TOLL_FREE, phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST,
		phonenumbers.VOIP, phonenumbers.PERSONAL_NUMBER, phonenumbers.PAGER, phonenumbers.UAN, phonenumbers.VOICEMAIL,
	}
	mobile, other := 0, 0
	for region := range phonenumbers.GetSupportedRegions() {
		for _, kind := range kinds {
			example := phonenumbers.GetExampleNumberForType(region, kind)
			if example == nil || !phonenumbers.IsValidNumber(example) {
				continue
			}
			want := phonenumbers.Format(example, phonenumbers.E164)
			switch phonenumbers.GetNumberType(example) {
			case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
				mobile++
				spellings := []string{want, phonenumbers.Format(example, phonenumbers.INTERNATIONAL), phonenumbers.Format(example, phonenumbers.NATIONAL)}
				if region == "AR" {
					spellings = spellings[:2] // the third is a mistake of the formatter: "09 15-…"
				}
				for _, text := range spellings {
					got, err := phone.Parse(text, region)
					if len(want) >= 9 && got != want || len(want) < 9 && err == nil {
						t.Errorf("%s: %s: %q, %v, want %s", region, text, got, err, want)
					}
				}
			default:
				other++
				if got, err := phone.Parse(want, region); err == nil {
					t.Errorf("%s: kind %d: %s is returned", region, kind, got)
				}
			}
		}
	}
	if mobile < 200 || other < 400 {
		t.Errorf("only %d mobile and %d other numbers tried", mobile, other)
	}
}

// TestRace lets 32 goroutines parse every number at once, the first uses included.
func TestRace(t *testing.T) {
	var running sync.WaitGroup
	for range 32 {
		running.Go(func() {
			for _, c := range accepted {
				if got, _ := phone.Parse(c.text, c.region); got != c.want {
					t.Errorf("%s: %q", c.name, got)
				}
			}
		})
	}
	running.Wait()
}

// e164 is what package mfa accepts.
var e164 = regexp.MustCompile(`\A\+[1-9][0-9]{7,14}\z`)

// FuzzParse checks that what is returned is strict E.164 and is read as itself,
// wherever that is done.
func FuzzParse(f *testing.F) {
	for _, c := range accepted {
		f.Add(c.text, c.region)
	}
	for _, c := range refused {
		f.Add(c.text, c.region)
	}
	f.Fuzz(func(t *testing.T, text, region string) {
		got, err := phone.Parse(text, region)
		if err != nil {
			if _, ok := errors.AsType[*phone.Error](err); !ok || got != "" {
				t.Errorf("%q: %q, %v", text, got, err)
			}
			return
		}
		if !e164.MatchString(got) {
			t.Errorf("%q in %q: %q", text, region, got)
		}
		for _, region := range []string{"", region, "US"} {
			if again, err := phone.Parse(got, region); again != got {
				t.Errorf("%q is read as %q in %q, %v", got, again, region, err)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"mobile", "0151 12345678"}, {"landline", "030 123456"}, {"64 KiB", strings.Repeat("1", 64<<10)}, {"64 digits", strings.Repeat("1", 64)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = phone.Parse(c.text, "DE")
			}
		})
	}
}
