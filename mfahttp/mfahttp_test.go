package mfahttp_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// New fails, and says by name, when something is missing or unsafe: in particular
// when nobody said whether there are proxies.
func TestNew(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(*mfahttp.Config)
		want []string // in the error; none: it is fine
	}{
		{"complete", func(*mfahttp.Config) {}, nil},
		{"trusted proxies", func(c *mfahttp.Config) {
			c.NoProxies, c.TrustedProxies = false, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
		}, nil},
		{"nothing", func(c *mfahttp.Config) { *c = mfahttp.Config{} }, []string{
			"Config.Guard", "Pages.SignIn", "Pages.Verify", "Pages.Enroll", "Pages.SaveCodes", "Pages.NewPassword", "Pages.StepUp", "Pages.Home", "NoProxies",
		}},
		{"neither proxies nor none", func(c *mfahttp.Config) { c.NoProxies = false }, []string{"TrustedProxies or NoProxies"}},
		{"proxies and none", func(c *mfahttp.Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }, []string{"TrustedProxies or NoProxies"}},
		{"everybody is a proxy", func(c *mfahttp.Config) {
			c.NoProxies, c.TrustedProxies = false, []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
		}, []string{"0.0.0.0/0"}},
		{"zero prefix", func(c *mfahttp.Config) { c.NoProxies, c.TrustedProxies = false, make([]netip.Prefix, 1) }, []string{"TrustedProxies"}},
		{"IPv4 in IPv6", func(c *mfahttp.Config) {
			c.NoProxies, c.TrustedProxies = false, []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")}
		}, []string{"::ffff:10.0.0.0/104"}},
		{"page of another origin", func(c *mfahttp.Config) { c.Pages.Home = "//evil.example" }, []string{"Pages.Home"}},
		{"absolute page", func(c *mfahttp.Config) { c.Pages.Home = "https://example.com/" }, []string{"Pages.Home"}},
		{"page with a query", func(c *mfahttp.Config) { c.Pages.Verify = "/verify?x" }, []string{"Pages.Verify"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			web, err := mfahttp.New(config(t, tc.edit))
			if tc.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if web != nil || !errors.Is(err, mfa.ErrInvalid) {
				t.Fatalf("New returned %v, %v", web, err)
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("the error does not name %s: %v", w, err)
				}
			}
		})
	}
}
