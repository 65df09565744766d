package geoip_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

type (
	fields = mmdbtype.Map
	str    = mmdbtype.String
)

// networks are the records of a file by network.
type networks map[string]mmdbtype.DataType

// names is what a MaxMind-shaped file has for a city or a country: pairs of a
// language and a name.
func names(pairs ...str) fields {
	all := fields{}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	return fields{"names": all}
}

// lisbon and friends are records in the shapes that files have.
var (
	lisbon   = fields{"city": names("en", "Lisbon", "pt-BR", "Lisboa"), "country": names("en", "Portugal", "de", "Portugal")}
	munich   = fields{"city": names("en", "Munich", "de", "München"), "country": names("en", "Germany", "de", "Deutschland")}
	flatCity = fields{"city": str("Porto"), "country_code": str("PT"), "state1": str("Porto")}
)

// write puts a file at path by renaming it there, as updaters do.
func write(tb testing.TB, path string, records networks) {
	tb.Helper()
	// Special networks too: a place for those must not come from a file.
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "Test-City", IncludeReservedNetworks: true, DisableIPv4Aliasing: true})
	if err != nil {
		tb.Fatal(err)
	}
	for cidr, record := range records {
		_, network, err := net.ParseCIDR(cidr)
		if err != nil {
			tb.Fatal(err)
		}
		if err := tree.Insert(network, record); err != nil {
			tb.Fatal(err)
		}
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), "*.tmp")
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := tree.WriteTo(temporary); err != nil {
		tb.Fatal(err)
	}
	if err := temporary.Close(); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		tb.Fatal(err)
	}
}

// replace renames a file of the given bytes to path.
func replace(tb testing.TB, path string, data []byte) {
	tb.Helper()
	if err := os.WriteFile(path+".tmp", data, 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		tb.Fatal(err)
	}
}
