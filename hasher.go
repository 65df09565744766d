package mfa

import (
	"context"
	"fmt"
	"runtime"

	"github.com/seed-1320b244/mfa/internal/gate"
	"github.com/seed-1320b244/mfa/internal/phc"
)

// hashWaiters is how many requests wait for a place to hash: a queue of a thousand is
// half a minute on one core, about what a browser waits.
const hashWaiters = 1000

// newHashing bounds what hashing takes: 19 MiB for each thread that Go runs.
func newHashing(c phc.Cost) func(context.Context, int) (func(), error) {
	return gate.New(runtime.GOMAXPROCS(0)*int(c.Memory), hashWaiters).Enter
}

// hasher computes and compares password hashes for one operation. What it computed
// stays known when the operation has to run again: a conflict costs no second hash.
type hasher struct {
	g    *Guard
	seen map[string]phc.Result
	made string
}

// compare says what hash is to secret. The empty hash never matches and costs the
// same.
func (h *hasher) compare(ctx context.Context, hash, secret string) (phc.Result, error) {
	if found, known := h.seen[hash]; known {
		return found, nil
	}
	leave, err := h.enter(ctx, h.g.hashCost.KiB(hash))
	if err != nil {
		return phc.Mismatch, err
	}
	defer leave()
	found, err := h.g.hashCost.Verify(hash, []byte(secret))
	if err != nil {
		return phc.Mismatch, &unavailable{"compare a hash", ReasonMalformedRecord, fmt.Errorf("stored hash: %w", err)}
	}
	h.remember(hash, found)
	return found, nil
}

// matches reports whether hash is that of secret.
func (h *hasher) matches(ctx context.Context, hash, secret string) (bool, error) {
	found, err := h.compare(ctx, hash, secret)
	return found != phc.Mismatch, err
}

// hash returns a hash of secret with a salt of its own, the same one when it is
// called again.
func (h *hasher) hash(ctx context.Context, secret string) (string, error) {
	if h.made != "" {
		return h.made, nil
	}
	leave, err := h.enter(ctx, int(h.g.hashCost.Memory))
	if err != nil {
		return "", err
	}
	defer leave()
	h.made = h.g.hashCost.Hash([]byte(secret))
	return h.made, nil
}

func (h *hasher) enter(ctx context.Context, kib int) (func(), error) {
	leave, err := h.g.hashing(ctx, kib)
	if err != nil {
		return nil, &unavailable{"wait to hash", ReasonHashing, err}
	}
	return leave, nil
}

func (h *hasher) remember(key string, found phc.Result) {
	if h.seen == nil {
		h.seen = make(map[string]phc.Result)
	}
	h.seen[key] = found
}
