package geoip_test

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/maxmind/mmdbwriter/mmdbtype"

	"github.com/seed-1320b244/mfa/geoip"
)

func open(tb testing.TB, records networks, o geoip.Options) *geoip.DB {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "places.mmdb")
	write(tb, path, records)
	db, err := geoip.Open(path, o)
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

func TestShapes(t *testing.T) {
	long := func(n int) str { return str(strings.Repeat("é", n)) }
	for _, c := range []struct {
		name, language string
		record         mmdbtype.DataType
		want           string
	}{
		{"city and country", "", lisbon, "Lisbon, Portugal"},
		{"in German", "de", munich, "München, Deutschland"},
		{"one of two names in the language", "pt-BR", lisbon, "Lisboa, Portugal"},
		{"no name in the language", "ja", munich, "Munich, Germany"},
		{"English asked for", "en", munich, "Munich, Germany"},
		{"country", "", fields{"country": names("en", "Portugal")}, "Portugal"},
		{"city", "", fields{"city": names("en", "Lisbon")}, "Lisbon"},
		{"no names but a code", "", fields{"country": fields{"iso_code": str("PT")}}, "PT"},
		{"no name in any language asked for", "", fields{"country": fields{"iso_code": str("PT"), "names": fields{"ja": str("ポルトガル")}}}, "PT"},
		{"city of more than is read", "", fields{
			"city": names("en", "Lisbon"), "country": names("en", "Portugal"), "location": fields{"latitude": mmdbtype.Float64(38.7)},
			"subdivisions": mmdbtype.Slice{names("en", "Lisbon District")}, "registered_country": names("en", "Spain"),
		}, "Lisbon, Portugal"},
		{"registered elsewhere", "", fields{"city": fields{}, "registered_country": names("en", "Spain"), "country": names("en", "Portugal")}, "Portugal"},

		{"flat, city and code", "", flatCity, "Porto, PT"},
		{"flat, code", "", fields{"country_code": str("PT")}, "PT"},
		{"flat, name and code", "", fields{"country": str("Portugal"), "country_code": str("PT"), "asn": str("AS1")}, "Portugal"},
		{"flat, code called country", "", fields{"country": str("PT"), "country_name": str("Portugal")}, "Portugal"},
		{"flat, other names", "", fields{"city_name": str("Porto"), "country_name": str("Portugal")}, "Porto, Portugal"},

		{"nothing", "", fields{"city": str("-"), "country_code": str("-")}, ""},
		{"another kind of file", "", fields{"asn": mmdbtype.Uint32(1), "as_name": str("Example")}, ""},
		{"numbers for names", "", fields{"city": mmdbtype.Uint32(1), "country": mmdbtype.Slice{str("PT")}}, ""},
		{"record of another type", "", str("Portugal"), ""},
		{"nested too deep", "", fields{"country": fields{"names": fields{"en": fields{"en": str("Portugal")}}}}, ""},

		{"64 code points", "", fields{"country": long(64)}, strings.Repeat("é", 64)},
		{"65 code points", "", fields{"country": long(65), "country_code": str("PT")}, "PT"},
		{"together 64", "", fields{"city": long(54), "country": str("Portugal")}, strings.Repeat("é", 54) + ", Portugal"},
		{"together 65", "", fields{"city": long(55), "country": str("Portugal")}, "Portugal"},
		{"64 KiB", "", fields{"country": str(strings.Repeat("x", 64<<10))}, ""},

		{"controls", "", fields{"city": str("Lis\x00bon\x1b[31m"), "country": str("Port\r\nugal")}, "Lisbon[31m, Port  ugal"},
		{"direction of text", "", fields{"country": str("\u202egalutroP\u2066\u200f")}, "galutroP"},
		{"line separator, byte order mark", "", fields{"country": str("\ufeffPort\u2028ugal")}, "Port ugal"},
		{"no UTF-8", "", fields{"city": str("Lis\xffbon"), "country": str("Portugal")}, "Portugal"},
		{"spaces", "", fields{"city": str("  "), "country": str("\tPortugal\u00a0")}, "Portugal"},
		{"nothing but invisible", "", fields{"country": str("\u200b\u202e")}, ""},
		{"right-to-left script", "ar", fields{"country": names("ar", "البرتغال")}, "البرتغال"},
	} {
		db := open(t, networks{"5.5.5.0/24": c.record, "6.6.6.0/24": lisbon}, geoip.Options{Language: c.language})
		if got := db.Locate(netip.MustParseAddr("5.5.5.5")); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestAddresses asks a file that has a place for every address there is.
func TestAddresses(t *testing.T) {
	db := open(t, networks{"::/1": lisbon, "8000::/1": lisbon}, geoip.Options{})
	for _, c := range []struct {
		name, address string
		known         bool
	}{
		{"IPv4", "5.5.5.5", true},
		{"IPv4 in IPv6", "::ffff:5.5.5.5", true},
		{"IPv6", "2a02::1", true},
		{"first of IPv6", "2000::", true},
		{"last of IPv6", "3ffe:ffff::", true},
		{"IPv6 with a zone", "2a02::1%eth0", true},
		{"before 10/8", "9.255.255.255", true}, {"10/8", "10.0.0.0", false}, {"end of 10/8", "10.255.255.255", false}, {"after 10/8", "11.0.0.0", true},
		{"this network", "0.0.0.0", false},
		{"loopback", "127.0.0.1", false}, {"loopback in IPv6", "::ffff:127.0.0.1", false},
		{"before a carrier's", "100.63.255.255", true}, {"a carrier's", "100.64.0.0", false},
		{"end of a carrier's", "100.127.255.255", false}, {"after a carrier's", "100.128.0.0", true},
		{"link-local", "169.254.1.1", false},
		{"before 172.16/12", "172.15.255.255", true}, {"172.16/12", "172.16.0.0", false},
		{"end of 172.16/12", "172.31.255.255", false}, {"after 172.16/12", "172.32.0.0", true},
		{"192.168/16", "192.168.1.1", false}, {"192.168/16 in IPv6", "::ffff:192.168.1.1", false},
		{"protocol assignments", "192.0.0.1", false},
		{"documentation", "192.0.2.1", false}, {"documentation 2", "198.51.100.1", false}, {"documentation 3", "203.0.113.1", false},
		{"benchmarking", "198.19.255.255", false},
		{"below multicast", "223.255.255.255", true}, {"multicast", "224.0.0.1", false}, {"reserved", "240.0.0.1", false}, {"broadcast", "255.255.255.255", false},
		{"none", "::", false}, {"IPv6 loopback", "::1", false}, {"IPv4-compatible", "::5.5.5.5", false}, {"translated", "64:ff9b::505:505", false},
		{"Teredo", "2001::1", false}, {"end of assignments", "2001:1ff::1", false}, {"after assignments", "2001:200::1", true},
		{"IPv6 documentation", "2001:db8::1", false}, {"IPv6 documentation with a zone", "2001:db8::1%eth0", false}, {"after documentation", "2001:db9::1", true},
		{"6to4", "2002:505:505::1", false}, {"new documentation", "3fff::1", false},
		{"above global", "4000::", false}, {"unique local", "fd00::1", false}, {"IPv6 link-local", "fe80::1", false},
		{"link-local with a zone", "fe80::1%eth0", false}, {"site-local", "fec0::1", false}, {"IPv6 multicast", "ff02::1", false},
	} {
		want := ""
		if c.known {
			want = "Lisbon, Portugal"
		}
		if got := db.Locate(netip.MustParseAddr(c.address)); got != want {
			t.Errorf("%s: %s is %q", c.name, c.address, got)
		}
	}
	if got := db.Locate(netip.Addr{}); got != "" {
		t.Errorf("no address is %q", got)
	}
}

func TestNotInTheFile(t *testing.T) {
	db := open(t, networks{"5.5.5.0/24": lisbon}, geoip.Options{})
	for _, address := range []string{"5.5.6.1", "2a02::1"} {
		if got := db.Locate(netip.MustParseAddr(address)); got != "" {
			t.Errorf("%s is %q", address, got)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	write(t, good, networks{"5.5.5.0/24": lisbon})
	data, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other")
	write(t, other, networks{"5.5.5.0/24": fields{"asn": mmdbtype.Uint32(1)}})
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 1<<30+1); err != nil { // takes no room
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"empty": nil, "text": []byte("no file of places"), "half": data[:len(data)/2], "no end": data[:len(data)-1]} {
		replace(t, filepath.Join(dir, name), content)
	}
	for _, name := range []string{"missing", "empty", "text", "half", "no end", "other", "large", "."} {
		if db, err := geoip.Open(filepath.Join(dir, name), geoip.Options{}); err == nil || db != nil {
			t.Errorf("%s: opened", name)
		}
	}
	if _, err := geoip.Open(filepath.Join(dir, "missing"), geoip.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

func TestClose(t *testing.T) {
	db := open(t, networks{"5.5.5.0/24": lisbon}, geoip.Options{OnError: func(err error) { t.Error(err) }})
	for range 2 {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := db.Locate(netip.MustParseAddr("5.5.5.5")); got != "" {
		t.Errorf("closed, it says %q", got)
	}
	if err := db.Check(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// FuzzFile reads damaged files: none panics, and what they say stays short and
// visible.
func FuzzFile(f *testing.F) {
	seed := filepath.Join(f.TempDir(), "seed.mmdb")
	write(f, seed, networks{"5.5.5.0/24": lisbon, "6.0.0.0/8": flatCity, "2a02::/16": munich})
	data, err := os.ReadFile(seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint16(0), byte(0), uint16(0), byte(0))
	for i := range len(data) / 7 {
		f.Add(uint16(i*7), byte(0xff), uint16(len(data)-i), byte(0x01))
	}
	path := filepath.Join(f.TempDir(), "damaged.mmdb")
	f.Fuzz(func(t *testing.T, at uint16, flip byte, at2 uint16, flip2 byte) {
		damaged := append([]byte(nil), data...)
		damaged[int(at)%len(data)] ^= flip
		damaged[int(at2)%len(data)] ^= flip2
		path := fmt.Sprintf("%s-%d", path, os.Getpid()) // one for each worker
		replace(t, path, damaged)
		db, err := geoip.Open(path, geoip.Options{})
		if err != nil {
			return
		}
		for _, address := range []string{"5.5.5.5", "6.6.6.6", "2a02::1", "99.99.99.99"} {
			place := db.Locate(netip.MustParseAddr(address))
			if utf8.RuneCountInString(place) > 64 || !utf8.ValidString(place) ||
				strings.ContainsFunc(place, func(r rune) bool { return !unicode.IsGraphic(r) }) {
				t.Errorf("%s is %q", address, place)
			}
		}
	})
}

func BenchmarkLocate(b *testing.B) {
	for _, c := range []struct {
		name   string
		record mmdbtype.DataType
	}{{"city", lisbon}, {"flat", flatCity}, {"country", fields{"country": names("en", "Portugal")}}} {
		b.Run(c.name, func(b *testing.B) {
			// A tree about as deep as that of a file of the whole world.
			records := networks{}
			for i := range 20000 {
				records[fmt.Sprintf("5.%d.%d.0/24", i>>8, i&255)] = c.record
			}
			records["5.0.0.1/32"] = munich
			db, addr := open(b, records, geoip.Options{}), netip.MustParseAddr("5.5.5.5")
			b.ReportAllocs()
			for b.Loop() {
				db.Locate(addr)
			}
		})
	}
}
