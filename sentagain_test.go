package mfa_test

import (
	"errors"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// R7: when the page says that another code may be sent, one may be: the wait after
// the fifth within an hour is that of the hour, and not a minute.
func TestR7_SentSaysWhenAgain(t *testing.T) {
	kit := mfatest.New(t, func(c *mfa.Config) { c.Policy.Rules.Methods = []mfa.Method{mfa.TOTP, mfa.EmailCode} })
	kit.Users.Add(mfa.User{ID: "alice", Email: "alice@example.com", EmailVerified: true})
	if err := kit.SignIn(t, "alice").Session.SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
		t.Fatal(err)
	}
	began := kit.Clock.Now()
	p := kit.SignIn(t, "alice").Pending
	for i := range 5 {
		if i == 4 { // the last in another flow, near the end of the hour
			kit.Clock.Advance(54 * time.Minute)
			p = kit.SignIn(t, "alice").Pending
		}
		sent, err := p.Send(t.Context(), mfa.EmailCode)
		if err != nil {
			t.Fatalf("code %d: %v (%s)", i+1, err, mfa.ReasonOf(err))
		}
		want := kit.Clock.Now().Add(time.Minute)
		if i == 4 {
			want = began.Add(time.Hour)
		}
		if !sent.Again.Equal(want) {
			t.Errorf("after code %d another may be sent at %v, want %v", i+1, sent.Again, want)
		}
		if i == 4 {
			kit.Clock.Advance(90 * time.Second)
		}
		reloaded, err := kit.Guard.Pending(t.Context(), p.Token(), "", mfatest.Laptop())
		if err != nil {
			t.Fatal(err)
		}
		if got := reloaded.Sent().Again; !got.Equal(want) {
			t.Errorf("after code %d and a reload another may be sent at %v, want %v", i+1, got, want)
		}
		if i < 4 {
			kit.Clock.Advance(time.Minute)
		}
	}
	_, err := p.Send(t.Context(), mfa.EmailCode)
	throttled, ok := errors.AsType[*mfa.ThrottledError](err)
	if !ok || !kit.Clock.Now().Add(throttled.RetryAfter).Equal(began.Add(time.Hour)) {
		t.Errorf("a sixth code within the hour: %v", err)
	}
}
