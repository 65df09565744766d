package mfahttp

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/seed-1320b244/mfa"
)

// Client returns the peer of a request: the other end of the connection or, when
// that is a trusted proxy, the nearest hop in X-Forwarded-For that is not. What
// stands further left was written by that hop and could be anything. An entry
// that is no address ends the search at the proxy that wrote it.
func (a *Adapter) Client(r *http.Request) mfa.Client {
	c := mfa.Client{Addr: hop(r.RemoteAddr), UserAgent: r.UserAgent()}
	list := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	for a.trusts(c.Addr) {
		i := strings.LastIndexByte(list, ',')
		next := hop(strings.Trim(list[i+1:], " \t"))
		if !next.IsValid() {
			break
		}
		c.Addr, list = next, list[:max(i, 0)]
	}
	return c
}

// hop reads an address, with or without a port. The zero Addr is no address.
func hop(s string) netip.Addr {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Unmap().WithZone("")
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

func (a *Adapter) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(a.proxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}
