package mfa

import (
	"slices"
)

// A Connection says what a sign-in over one connection to an identity provider is
// worth. It belongs to whoever's rules list it: it counts at that organization's
// door, and at sign-in only for users whom the organization manages
// (User.ManagedBy); one of the installation's own counts everywhere.
//
// What is trusted is the provider: whoever can sign in there as a user needs no
// second factor here.
type Connection struct {
	// Name is what SSOFirst was given: 1 to 64 bytes.
	Name string
	// Rule is what the connection is worth. Zero: SSOStillRequired.
	Rule SSORule
	// AMR and ACR are assertions of a second factor, such as "mfa" (RFC 8176 section
	// 2) or a class of the provider's: with SSOTrustAsserted one that the provider
	// made suffices. Zero: none does. At most 8 of 32 and of 128 bytes.
	AMR, ACR []string
}

// SSORule is what single sign-on is worth under some rules.
type SSORule int

const (
	SSOStillRequired SSORule = iota // nothing: the second factor is asked for as after a password
	SSOTrustAsserted                // the second factor, when the provider asserts one of the listed amr or acr
	SSOWaive                        // everything: no second factor is asked for
)

const (
	maxConnections = 32
	maxConnection  = 64
	maxAssertions  = 8
	maxAMR         = 32
	maxACR         = 128
)

// excuse returns why first needs no second factor under r, "" when it does. A
// provider that did not say when it asked, or asked before ProofsNotBefore, is
// not trusted for what it asserts.
func (r *Rules) excuse(first firstData) Reason {
	if first.Connection == "" {
		return ""
	}
	for i := range r.SSO {
		c := &r.SSO[i]
		switch {
		case c.Name != first.Connection:
		case c.Rule == SSOWaive:
			return ReasonSSOWaived
		case c.Rule == SSOTrustAsserted && c.asserted(first) && (r.ProofsNotBefore.IsZero() || first.At >= r.ProofsNotBefore.Unix()):
			return ReasonSSOTrusted
		}
	}
	return ""
}

// asserted reports whether the provider asserted a second factor.
func (c *Connection) asserted(first firstData) bool {
	return first.ACR != "" && slices.Contains(c.ACR, first.ACR) ||
		slices.ContainsFunc(first.AMR, func(amr string) bool { return slices.Contains(c.AMR, amr) })
}

// checkSSO reports what is wrong with the connections of r.
func (r *Rules) checkSSO(bad func(field string, value any, want string)) {
	if n := len(r.SSO); n > maxConnections {
		bad("Rules.SSO", n, "at most 32 connections")
	}
	seen := make(map[string]bool)
	for _, c := range r.SSO {
		switch {
		case c.Name == "", len(c.Name) > maxConnection, !validText(c.Name, maxConnection), seen[c.Name]:
			bad("Rules.SSO", c.Name, "names of 1 to 64 bytes, each once")
		case c.Rule < SSOStillRequired || c.Rule > SSOWaive:
			bad("Rules.SSO", int(c.Rule), "a constant")
		case c.Rule == SSOTrustAsserted && len(c.AMR)+len(c.ACR) == 0:
			bad("Rules.SSO", c.Name, "what the provider must assert to be trusted")
		case c.Rule != SSOTrustAsserted && len(c.AMR)+len(c.ACR) > 0:
			bad("Rules.SSO", c.Name, "no assertions without SSOTrustAsserted")
		case !validWords(c.AMR, maxAMR), !validWords(c.ACR, maxACR):
			bad("Rules.SSO", c.Name, "at most 8 amr of 1 to 32 bytes and 8 acr of 1 to 128")
		}
		seen[c.Name] = true
	}
}

func validWords(words []string, limit int) bool {
	return len(words) <= maxAssertions && !slices.ContainsFunc(words, func(w string) bool {
		return w == "" || len(w) > limit || !validText(w, limit)
	})
}
