package mfa

import (
	"context"
	"fmt"

	"github.com/seed-1320b244/mfa/internal/phc"
)

// hashPassword computes a password hash with a salt of its own. It waits for a
// place: each hash takes 19 MiB, and as many run at once as Go runs threads.
func (g *Guard) hashPassword(ctx context.Context, secret string) (string, error) {
	if err := g.place(ctx); err != nil {
		return "", err
	}
	defer func() { <-g.hashing }()
	return g.hashCost.Hash([]byte(secret)), nil
}

// place waits for a place to hash, or for the end of ctx.
func (g *Guard) place(ctx context.Context) error {
	select {
	case g.hashing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &unavailable{"wait to hash", ReasonHashing, ctx.Err()}
	}
}

// hasher compares one secret with stored hashes for one operation. What it
// computed stays known when the operation has to run again: a conflict costs no
// second hash.
type hasher struct {
	g    *Guard
	seen map[string]bool
}

// matches reports whether hash is that of secret. An empty hash never matches and
// costs the same.
func (h *hasher) matches(ctx context.Context, hash, secret string) (bool, error) {
	if ok, known := h.seen[hash]; known {
		return ok, nil
	}
	if err := h.g.place(ctx); err != nil {
		return false, err
	}
	defer func() { <-h.g.hashing }()
	found, err := h.g.hashCost.Verify(hash, []byte(secret))
	if err != nil {
		return false, &unavailable{"compare a hash", ReasonMalformedRecord, fmt.Errorf("stored hash: %w", err)}
	}
	if h.seen == nil {
		h.seen = make(map[string]bool)
	}
	h.seen[hash] = found != phc.Mismatch
	return h.seen[hash], nil
}
