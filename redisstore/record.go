package redisstore

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/seed-1320b244/mfa"
)

// An owner's hash is named prefix{owner}, its sorted set prefix{owner}:drop. The
// owner is base64url, so that no brace in it ends the hash tag early: both keys
// are in one slot of a Cluster, and no two owners share a name.
//
// A field of the hash is kind:id, its value "version seconds data" with the Unix
// seconds of Expires, 0 for never.

func checkPrefix(p string) error {
	if len(p) > 40 || strings.ContainsFunc(p, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(".:_-", r)
	}) {
		return errors.New("redisstore: Options.Prefix is not at most 40 of A-Z, a-z, 0-9 and . : _ -")
	}
	return nil
}

func (s *Store) hash(owner string) string {
	return s.options.Prefix + "{" + base64.RawURLEncoding.EncodeToString([]byte(owner)) + "}"
}

func field(k mfa.Key) string { return k.Kind + ":" + k.ID }

func parseField(owner, f string) (mfa.Key, bool) {
	kind, id, ok := strings.Cut(f, ":") // a kind is letters
	return mfa.Key{Owner: owner, Kind: kind, ID: id}, ok
}

func encode(r mfa.Record) string {
	var seconds int64
	if !r.Expires.IsZero() {
		seconds = r.Expires.Unix()
	}
	return r.Version + " " + strconv.FormatInt(seconds, 10) + " " + string(r.Data)
}

// decode fills in the rest of a record.
func decode(value string, r *mfa.Record) error {
	version, rest, ok1 := strings.Cut(value, " ")
	text, data, ok2 := strings.Cut(rest, " ")
	seconds, err := strconv.ParseInt(text, 10, 64)
	if !ok1 || !ok2 || err != nil || version == "" || data == "" {
		return errMalformed
	}
	r.Version, r.Data = version, []byte(data)
	if seconds != 0 {
		r.Expires = time.Unix(seconds, 0).UTC()
	}
	return nil
}

const (
	// dropAfter is how long the contract of mfa.Store keeps what is over.
	dropAfter = 24 * 60 * 60
	// maxSeconds keeps milliseconds below 2^53, where Lua and sorted sets are
	// exact. What expires later is kept for ever.
	maxSeconds = 1 << 42
)

// drop returns from when on the server may drop r, in Unix milliseconds, or "" for
// never.
func drop(r mfa.Record) string {
	if r.Expires.IsZero() || r.Expires.Unix() > maxSeconds {
		return ""
	}
	return strconv.FormatInt((max(r.Expires.Unix(), 0)+dropAfter)*1000, 10)
}
