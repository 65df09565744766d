package mfa

import "time"

// What records hold, for tests that read and forge them.
type (
	AccountData  = account
	HistoryData  = history
	HistoryEntry = entry
	SessionData  = sessionData
	FirstData    = firstData
	ProofData    = proofData
	PendingData  = pendingData
	LinkData     = linkData
	BrowserData  = browserData
)

// The kinds of records, and the bounds that tests compare with.
const (
	SessionKind       = kindSession
	PendingKind       = kindPending
	BrowserKind       = kindBrowser
	LinkKind          = kindLink
	MaxRecord         = maxRecord
	MaxAuthenticators = maxAuthenticators
)

// ResolvePolicy fills in the defaults of p as New does.
func ResolvePolicy(p Policy) (Policy, error) { return p.resolved() }

// SignRecord gives r the version that g would: whoever has the keys can write any
// data.
func SignRecord(g *Guard, r Record) Record {
	var unix int64
	if !r.Expires.IsZero() {
		r.Expires = time.Unix(r.Expires.Unix(), 0).UTC()
		unix = r.Expires.Unix()
	}
	r.Version = g.ring.Version(unix, r.Data, r.Owner, r.Kind, r.ID)
	return r
}

// OpenRecord checks and decodes r as every operation does.
func OpenRecord(g *Guard, r Record, into any) error { return g.open(r, into) }

// OpenSealed decrypts what g keeps sealed for a user: "totp" and the id of an
// authenticator, "codes" and the id of a set, "address" and a method, or "password".
func OpenSealed(g *Guard, sealed []byte, user string, what ...string) ([]byte, error) {
	return g.ring.Open(sealed, append([]string{ownerOf(user)}, what...)...)
}

// TokenSecret returns what a token of this kind proves, nil when it does not open.
func TokenSecret(g *Guard, kind, text string) []byte {
	t, err := g.ring.OpenToken(kind, text)
	if err != nil {
		return nil
	}
	return t.Secret[:]
}

// ParseSession is the decoder of sessions that does without encoding/json.
func ParseSession(text string) (SessionData, bool) { return parseSession(text) }

// ReadPast takes a history apart without encoding/json, and returns it put together
// again and its entries. It reports false when it leaves data to encoding/json.
func ReadPast(data []byte) (again []byte, entries []entry, ok bool, err error) {
	raw, ok := splitPast(data)
	p := past{recordVersion, raw}
	if ok {
		entries, err = p.read()
	}
	return p.encode(), entries, ok, err
}

// RulesData is what a record of rules holds.
type RulesData = rulesData
