package geoip

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/oschwald/maxminddb-golang/v2"
)

// maxPlace is how long a place may be, in code points.
const maxPlace = 64

// place returns the text for a record, "" when it has neither city nor country.
func (d *DB) place(record maxminddb.Result) string {
	if !record.Found() {
		return ""
	}
	city, country := d.city(record), d.country(record)
	if city == "" {
		return country
	}
	if country == "" {
		return city
	}
	if both := city + ", " + country; utf8.RuneCountInString(both) <= maxPlace {
		return both
	}
	return country
}

func (d *DB) city(record maxminddb.Result) string {
	if name := d.name(record, "city"); name != "" {
		return name
	}
	return first(record, "city", "city_name")
}

func (d *DB) country(record maxminddb.Result) string {
	if name := d.name(record, "country"); name != "" {
		return name
	}
	if name := first(record, "country_name", "country"); name != "" {
		return name
	}
	if code := text(record, "country", "iso_code"); code != "" {
		return code
	}
	return first(record, "country_code")
}

// name returns the name of a thing that has one for each language.
func (d *DB) name(record maxminddb.Result, thing string) string {
	for _, language := range d.languages {
		if name := text(record, thing, "names", language); name != "" {
			return name
		}
	}
	return ""
}

// first returns the first of several fields that has a text.
func first(record maxminddb.Result, fields ...string) string {
	for _, field := range fields {
		if name := text(record, field); name != "" {
			return name
		}
	}
	return ""
}

// text returns what a record has at a path, cleaned, "" when that is no text.
func text(record maxminddb.Result, path ...any) string {
	var s string
	if err := record.DecodePath(&s, path...); err != nil {
		return "" // of another shape
	}
	return clean(s)
}

// clean returns s as one line of what can be seen. A file comes from somebody else,
// and a place is shown in pages and mails: controls and the characters that turn
// text around are left out, and so is all of a text that is too long or no UTF-8.
// "-" stands for nothing.
func clean(s string) string {
	if s = strings.TrimSpace(s); s == "-" || !utf8.ValidString(s) || utf8.RuneCountInString(s) > maxPlace {
		return ""
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsGraphic(r):
			return r
		}
		return -1 // Cc and Cf
	}, s))
}

// The addresses with a place are those that are routed on the Internet: all of
// IPv4 and, of IPv6, the block that the registries give out (RFC 4291, section
// 2.5.4), without what is reserved in the IANA special-purpose address registries
// (RFC 6890). A file may have something about those too.
var (
	global6  = netip.MustParsePrefix("2000::/3")
	reserved = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"), // behind the address translation of a carrier
		netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("169.254.0.0/16"),
		netip.MustParsePrefix("172.16.0.0/12"),
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("192.0.2.0/24"), // documentation
		netip.MustParsePrefix("192.88.99.0/24"),
		netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("198.18.0.0/15"),
		netip.MustParsePrefix("198.51.100.0/24"), // documentation
		netip.MustParsePrefix("203.0.113.0/24"),  // documentation
		netip.MustParsePrefix("224.0.0.0/3"),     // multicast, and what is above
		netip.MustParsePrefix("2001::/23"),       // Teredo, among others: the address is that of a relay
		netip.MustParsePrefix("2001:db8::/32"),   // documentation
		netip.MustParsePrefix("2002::/16"),       // 6to4
		netip.MustParsePrefix("3fff::/20"),       // documentation
	}
)

func public(addr netip.Addr) bool {
	if !addr.IsValid() || addr.Is6() && !global6.Contains(addr.WithZone("")) {
		return false
	}
	for _, prefix := range reserved {
		if prefix.Contains(addr.WithZone("")) {
			return false
		}
	}
	return true
}
