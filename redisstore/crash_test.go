package redisstore_test

import (
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
	"github.com/seed-1320b244/mfa/redisstore"
)

// A visitor signs in again and again, ending the session before, until the server
// crashes. It keeps what was acknowledged.
type visitor struct {
	kit   *mfatest.Kit
	user  string
	app   *mfatest.Authenticator
	code  string   // accepted last
	alive string   // session begun last
	ended []string // sessions whose end was acknowledged
}

// visit signs in once. It returns an error when the store fails.
func (v *visitor) visit(t *testing.T) error {
	out, err := v.kit.Guard.SignIn(t.Context(), mfa.SignIn{User: v.user, First: mfa.PasswordFirst(), Client: mfatest.Laptop()})
	if err != nil {
		return err
	}
	v.kit.Clock.Advance(v.app.Period())
	code := v.app.Code(v.kit.Clock.Now())
	if out, err = out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: code}); err != nil {
		return err
	}
	before := v.alive
	v.code, v.alive = code, out.Session.Token()
	if before == "" {
		return nil
	}
	s, err := v.kit.Guard.Session(t.Context(), before, mfatest.Laptop())
	if err != nil {
		return err
	}
	if err := s.SignOut(t.Context()); err != nil {
		return err
	}
	v.ended = append(v.ended, before)
	return nil
}

// remembers checks that the server still knows everything acknowledged.
func (v *visitor) remembers(t *testing.T) {
	t.Helper()
	if _, err := v.kit.Guard.Session(t.Context(), v.alive, mfatest.Laptop()); err != nil {
		t.Errorf("%s: the session begun last: %v", v.user, err)
	}
	for _, token := range v.ended {
		if _, err := v.kit.Guard.Session(t.Context(), token, mfatest.Laptop()); !errors.Is(err, mfa.ErrNoSession) {
			t.Errorf("%s: a session that was ended: %v, want ErrNoSession", v.user, err)
		}
	}
	out := v.kit.SignIn(t, v.user)
	if out.Pending == nil {
		t.Fatalf("%s: the second factor was forgotten", v.user)
	}
	if _, err := out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: v.code}); !errors.Is(err, mfa.ErrRefused) {
		t.Errorf("%s: a code that was accepted, once more: %v, want ErrRefused", v.user, err)
	}
}

// TestR1_R2_Crash: a server that appends every commit to its file, killed in the
// middle and started again, has everything it acknowledged: no code is accepted
// twice, no session is lost and none comes back.
func TestR1_R2_Crash(t *testing.T) {
	const visitors = 6
	s := startServer(t, "--appendonly", "yes", "--appendfsync", "always")
	c := client(t, s.addr)
	store := newStore(t, c, redisstore.Options{})
	if err := store.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	var all []*visitor
	for i := range visitors {
		v := &visitor{kit: newKit(t, store, mfa.NewKey()), user: "visitor" + strconv.Itoa(i)}
		v.app, _, _ = v.kit.Enroll(t, v.user)
		all = append(all, v)
	}
	for crash := range 3 {
		var visits atomic.Int64
		var work sync.WaitGroup
		for _, v := range all {
			work.Go(func() {
				for {
					if err := v.visit(t); err != nil {
						if !errors.Is(err, mfa.ErrUnavailable) {
							t.Errorf("%s: %v (%s)", v.user, err, mfa.ReasonOf(err))
						}
						return
					}
					visits.Add(1)
				}
			})
		}
		enough := int64(mfatest.Rounds(500))
		until(t, "visits", func() bool { return visits.Load() >= enough })
		s.kill()
		work.Wait()
		s.start(t)
		// A pool that failed to connect as often as it is large repeats the last error until it has tried by itself.
		until(t, "an answer", func() bool { return c.Ping(t.Context()).Err() == nil })
		for _, v := range all {
			v.remembers(t)
		}
		t.Logf("crash %d after %d visits", crash+1, visits.Load())
	}
	idle(t, c)
}
