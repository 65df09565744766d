package mfa_test

import (
	"errors"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestRow_A5_SessionsListedAndRevoked: a user sees her sessions with browser and
// system, address and last activity, recognizes the present one, and revokes any
// other.
func TestRow_A5_SessionsListedAndRevoked(t *testing.T) {
	k := mfatest.New(t)
	k.Users.Add(mfa.User{ID: "alice"})
	app, laptop, _ := k.Enroll(t, "alice")
	phone := signInOn(t, k, app, mfatest.Phone())
	k.Clock.Advance(3 * time.Minute)
	if _, err := k.Guard.Session(t.Context(), phone.Token(), mfatest.Phone()); err != nil {
		t.Fatal(err)
	}

	o, err := laptop.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Sessions) != 2 {
		t.Fatalf("%d sessions, want 2", len(o.Sessions))
	}
	for i, want := range []mfa.SessionInfo{
		{ID: phone.ID(), Device: "Safari on iPhone", Addr: "198.51.100.7", LastSeen: k.Clock.Now()},
		{ID: laptop.ID(), Device: "Firefox on Linux", Addr: "192.0.2.1", Current: true},
	} {
		got := o.Sessions[i]
		if got.ID != want.ID || got.Device != want.Device || got.Addr != want.Addr || got.Current != want.Current {
			t.Errorf("session %d: %+v, want %+v", i, got, want)
		}
		if !want.LastSeen.IsZero() && !got.LastSeen.Equal(want.LastSeen) {
			t.Errorf("session %d was last seen at %v, want %v", i, got.LastSeen, want.LastSeen)
		}
	}

	if err := laptop.Revoke(t.Context(), phone.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Guard.Session(t.Context(), phone.Token(), mfatest.Phone()); !errors.Is(err, mfa.ErrNoSession) {
		t.Errorf("the revoked session: %v, want ErrNoSession", err)
	}
	if _, err := k.Guard.Session(t.Context(), laptop.Token(), mfatest.Laptop()); err != nil {
		t.Errorf("the own session: %v", err)
	}
}

// signInOn signs alice in on another client.
func signInOn(t *testing.T, k *mfatest.Kit, app *mfatest.Authenticator, c mfa.Client) *mfa.Session {
	t.Helper()
	out, err := k.Guard.SignIn(t.Context(), mfa.SignIn{User: "alice", First: mfa.PasswordFirst(), Client: c})
	if err == nil {
		out, err = out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: app.Code(k.Clock.Now())})
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Session
}
