package mfahttp

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The third cookie holds what the guard knows a browser by, and may remember it by:
// tokens of several users, newest first, because several people share a computer.
// Its value is their entries with dots between, each a mark that says whose it is
// and the token. It stays when a session ends: that is what it is for.
const (
	browsersCookie = "mfa_browsers"
	browsersFor    = 180 * 24 * time.Hour // as long as the guard knows them
	maxBrowsers    = 4                    // as many as SignIn.Browsers takes
	markLen        = 8                    // 48 bits
	maxEntry       = markLen + 512        // no token is longer
)

// browsers returns the entries that the request presents. What is none is dropped:
// anybody can write a cookie, and it must not keep anybody from signing in.
func (a *Adapter) browsers(r *http.Request) []string {
	var cookies [][]string
	for _, value := range a.cookies(r, browsersCookie) {
		if len(value) <= maxBrowsers*(maxEntry+1) {
			cookies = append(cookies, strings.Split(value, "."))
		}
	}
	var entries []string
	for i := range maxBrowsers { // of each in turn: a second cookie, which somebody planted, does not hide the first
		for _, all := range cookies {
			if i < len(all) && len(entries) < maxBrowsers && isEntry(all[i]) && !slices.Contains(entries, all[i]) {
				entries = append(entries, all[i])
			}
		}
	}
	return entries
}

// isEntry reports whether s can be an entry, as far as its form goes.
func isEntry(s string) bool {
	return len(s) > markLen && len(s) <= maxEntry && !strings.ContainsFunc(s, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}

// keepBrowser adds a user's token, in place of the ones she had, before those of
// others. The oldest of a fifth user goes.
func (a *Adapter) keepBrowser(w http.ResponseWriter, r *http.Request, user, token string) {
	if token == "" {
		return
	}
	entries := []string{mark(user, token) + token}
	for _, e := range a.browsers(r) {
		if len(entries) < maxBrowsers && e[:markLen] != mark(user, e[markLen:]) {
			entries = append(entries, e)
		}
	}
	a.write(w, browsersCookie, strings.Join(entries, "."), int(browsersFor/time.Second))
}

// mark tells a user's tokens from those of others, to whoever knows the user and
// the token. A token itself does not say whose it is, and neither does a mark: each
// is salted with the secret beside it.
func mark(user, token string) string {
	sum := sha256.Sum256([]byte(token + " " + user))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:markLen]
}
