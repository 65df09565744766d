package mfahttp_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
	"github.com/seed-1320b244/mfa/mfatest"
)

func config(t *testing.T, options ...func(*mfahttp.Config)) mfahttp.Config {
	c := mfahttp.Config{Guard: mfatest.New(t).Guard, Pages: pages(), NoProxies: true}
	for _, o := range options {
		o(&c)
	}
	return c
}

// The peer is the other end of the connection. Only a trusted proxy is believed
// when it names another one, and only what the nearest of them wrote itself.
func TestClientBehindProxies(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}
	for _, tc := range []struct {
		name    string
		proxies []netip.Prefix
		peer    string
		headers []string
		want    string // "" for none
	}{
		{"direct", nil, "192.0.2.1:4711", nil, "192.0.2.1"},
		{"direct, IPv6 with a zone", nil, "[fe80::1%eth0]:4711", nil, "fe80::1"},
		{"direct, IPv4 in IPv6", nil, "[::ffff:192.0.2.1]:4711", nil, "192.0.2.1"},
		{"direct, forged header", nil, "192.0.2.1:4711", []string{"198.51.100.9"}, "192.0.2.1"},
		{"no address, as of a Unix socket", nil, "@", []string{"198.51.100.9"}, ""},
		{"proxy", trusted, "10.1.2.3:80", []string{"198.51.100.9"}, "198.51.100.9"},
		{"proxy, IPv4 in IPv6", trusted, "[::ffff:10.1.2.3]:80", []string{"198.51.100.9"}, "198.51.100.9"},
		{"proxy, IPv6", trusted, "[2001:db8:1::5]:80", []string{"2001:db8:2::9"}, "2001:db8:2::9"},
		{"proxy without a header", trusted, "10.1.2.3:80", nil, "10.1.2.3"},
		{"proxy with an empty header", trusted, "10.1.2.3:80", []string{""}, "10.1.2.3"},
		{"peer that is no proxy", trusted, "192.0.2.1:4711", []string{"198.51.100.9"}, "192.0.2.1"},
		{"forged on the left", trusted, "10.1.2.3:80", []string{"127.0.0.1, 198.51.100.9"}, "198.51.100.9"},
		{"forged trusted hop on the left", trusted, "10.1.2.3:80", []string{"10.9.9.9, 198.51.100.9"}, "198.51.100.9"},
		{"two proxies", trusted, "10.1.2.3:80", []string{"203.0.113.5,198.51.100.9 ,\t10.4.5.6"}, "198.51.100.9"},
		{"two headers", trusted, "10.1.2.3:80", []string{"198.51.100.9, 10.7.7.7", "10.4.5.6"}, "198.51.100.9"},
		{"only proxies", trusted, "10.1.2.3:80", []string{"10.4.5.6"}, "10.4.5.6"},
		{"with a port", trusted, "10.1.2.3:80", []string{"198.51.100.9:5000"}, "198.51.100.9"},
		{"IPv6 with a port", trusted, "10.1.2.3:80", []string{"[2001:db8:2::9]:5000"}, "2001:db8:2::9"},
		{"garbage on the right", trusted, "10.1.2.3:80", []string{"198.51.100.9, unknown"}, "10.1.2.3"},
		{"garbage behind a proxy", trusted, "10.1.2.3:80", []string{"198.51.100.9, _hidden, 10.4.5.6"}, "10.4.5.6"},
		{"garbage on the left", trusted, "10.1.2.3:80", []string{"\x00\xff, 198.51.100.9"}, "198.51.100.9"},
		{"commas", trusted, "10.1.2.3:80", []string{",,,"}, "10.1.2.3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			web, err := mfahttp.New(config(t, func(c *mfahttp.Config) { c.TrustedProxies, c.NoProxies = tc.proxies, tc.proxies == nil }))
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = tc.peer
			r.Header["X-Forwarded-For"] = tc.headers
			r.Header.Set("User-Agent", "Test/1")
			c := web.Client(r)
			if got := c.Addr.String(); c.Addr.IsValid() && got != tc.want || !c.Addr.IsValid() && tc.want != "" {
				t.Errorf("Addr is %v, want %q", c.Addr, tc.want)
			}
			if c.UserAgent != "Test/1" {
				t.Errorf("UserAgent is %q", c.UserAgent)
			}
		})
	}
}

// The session list shows what the proxy saw.
func TestClientReachesSessions(t *testing.T) {
	h := newHost(t, mfa.Rules{}, func(c *mfahttp.Config) {
		c.NoProxies, c.TrustedProxies = false, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} // httptest's peer
	})
	b := h.browser(t)
	r := request("/sign-in", "name", "alice", "password", "right")
	r.Header.Set("X-Forwarded-For", "198.51.100.9")
	r.Header.Set("User-Agent", mfatest.Phone().UserAgent)
	b.leads(b.send(r), "/home")
	s, err := h.Guard.Session(t.Context(), b.cookies[sessionCookie], mfa.Client{})
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := o.Sessions[0]; got.Addr != "198.51.100.9" || got.Device != "Safari on iPhone" {
		t.Errorf("the session is of %s at %s", got.Device, got.Addr)
	}
}
