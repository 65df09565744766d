package mfa

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-1320b244/mfa/internal/keyring"
	"github.com/seed-1320b244/mfa/internal/phc"
)

// Config wires a Guard. Issuer, Store, Users and Keys are required.
type Config struct {
	// Issuer is the product's name in authenticator apps: 1 to 64 bytes of UTF-8
	// without a colon, control characters, or space at its ends.
	Issuer string
	// Store is where records live.
	Store Store
	// Users is the host's user directory.
	Users Users
	// Keys seals secrets and makes tokens. See ParseKeys and NewKey.
	Keys Keys
	// Notifier delivers codes and notices. Nil: no codes by mail or text message,
	// and nobody is told of changes to her account.
	Notifier Notifier
	// Locator says where an address is, for session lists and notices. Nil: places
	// are unknown.
	Locator Locator
	// BeforeSMS is asked before each text message, for the host's own assessment of
	// the risk, such as a recent change of the SIM (SP 800-63B-4 section 3.1.3.3). An
	// error of its refuses the message, as ErrForbidden. It must be quick and safe
	// for concurrent use. Nil: none is refused.
	BeforeSMS func(context.Context, Message) error
	// Passwords keeps the password hashes. Nil: the library keeps those that it is
	// given (SetPassword, Import); a host that compares passwords by itself gives it
	// none.
	Passwords Passwords
	// Policy is the installation's rules and figures. Zero: safe defaults.
	Policy Policy
	// OnEvent is called once for every event, after the commit if there is one, in
	// the calling goroutine. It must be quick and safe for concurrent use: several
	// requests call it at once. Nil: events go nowhere but into the history.
	OnEvent func(context.Context, Event)
	// NotBefore refuses every session and flow that began earlier, and every browser
	// that was remembered or known: set it to now after restoring the store from a
	// backup, after a failover that may have lost writes, or when tokens leaked. Zero:
	// no such limit.
	NotBefore time.Time
	// Now is the clock, safe for concurrent use. Nil: time.Now.
	Now func() time.Time
	// InsecureFastHashing makes new backup codes cost next to nothing to hash: for
	// tests that enroll many users. Whoever reads such a store tries codes a
	// thousand times faster. Default false: Argon2id with 19 MiB, 30 ms a code.
	InsecureFastHashing bool
}

// A Guard decides who is signed in. It is safe for concurrent use, keeps nothing
// in memory between calls, and starts no goroutine.
type Guard struct {
	issuer    string
	store     Store
	users     Users
	ring      *keyring.Ring
	policy    Policy // resolved
	onEvent   func(context.Context, Event)
	notBefore time.Time
	now       func() time.Time
	notifier  Notifier
	locator   Locator
	beforeSMS func(context.Context, Message) error
	marker    Marker    // nil when Users is none
	addresses Addresses // likewise
	finder    Finder    // likewise
	passwords Passwords
	hashCost  phc.Cost
	hashing   func(ctx context.Context, kib int) (leave func(), err error)
}

// New checks c and returns a Guard. Its error wraps ErrInvalid and names every
// field that is missing or unsafe.
func New(c Config) (*Guard, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	switch {
	case c.Issuer == "":
		bad("Config.Issuer is missing")
	case len(c.Issuer) > maxIssuer, !validText(c.Issuer, maxIssuer), strings.Contains(c.Issuer, ":"), strings.TrimSpace(c.Issuer) != c.Issuer:
		bad("Config.Issuer is not 1 to %d bytes without colon, control characters or space at its ends", maxIssuer)
	}
	if c.Store == nil {
		bad("Config.Store is missing")
	}
	if c.Users == nil {
		bad("Config.Users is missing")
	}
	if c.Keys.ring == nil {
		bad("Config.Keys is missing: see NewKey and ParseKeys")
	}
	policy, err := c.Policy.resolved()
	if err != nil {
		errs = append(errs, err)
	}
	if c.Notifier == nil && slices.ContainsFunc(policy.Rules.Methods, Method.sent) {
		bad("Config.Notifier is missing: Policy.Rules.Methods names a code that is sent")
	}
	now := c.Now
	if now == nil {
		now = time.Now
	}
	if policy.Rules.ProofsNotBefore.After(now()) {
		bad("Policy.Rules.ProofsNotBefore lies ahead of Config.Now: no proof would count")
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, errors.Join(errs...))
	}
	g := &Guard{
		issuer: c.Issuer, store: c.Store, users: c.Users, ring: c.Keys.ring(), policy: policy,
		onEvent: c.OnEvent, notBefore: c.NotBefore, now: now, hashCost: phc.Standard(),
		hashing: newHashing(phc.Standard()), passwords: c.Passwords,
	}
	g.notifier, g.locator, g.beforeSMS = c.Notifier, c.Locator, c.BeforeSMS
	g.marker, _ = c.Users.(Marker)
	g.addresses, _ = c.Users.(Addresses)
	g.finder, _ = c.Users.(Finder)
	if c.InsecureFastHashing {
		g.hashCost = phc.Insecure()
	}
	return g, nil
}

const (
	// maxIssuer and maxAccount, in bytes, keep the otpauth URI short enough for a QR
	// code that a phone reads from a screen, percent-encoded and with the longest
	// secret: 1024 bytes.
	maxIssuer  = 64
	maxAccount = 128
	// maxName bounds labels and names in code points: more does not fit a line.
	maxName = 64
)

// Sweep deletes up to limit records that have been over for a day or longer, and
// returns how many. The host calls it now and then; nothing else needs it. It
// returns ErrInvalid when the store is no Sweeper, or ErrUnavailable.
func (g *Guard) Sweep(ctx context.Context, limit int) (int, error) {
	sweeper, ok := g.store.(Sweeper)
	if !ok {
		return 0, fmt.Errorf("%w: the store is no Sweeper", ErrInvalid)
	}
	n, err := sweeper.Sweep(ctx, g.now().Add(-sweepAfter), limit)
	if err != nil {
		return n, &unavailable{"sweep", ReasonStoreFailed, err}
	}
	return n, nil
}
