package mfatest_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// host is a small application, wired as it should be.
func host(t *testing.T, require mfa.Require) (mfatest.Host, *mfatest.Kit) {
	k := mfatest.New(t, func(c *mfa.Config) {
		c.Policy.Rules.Require, c.Policy.Rules.Methods = require, []mfa.Method{mfa.TOTP, mfa.EmailCode}
	})
	n := 0
	set := func(disabled bool, tell func(context.Context, string) error) func(context.Context, string) error {
		return func(ctx context.Context, user string) error {
			k.Users.Add(mfa.User{ID: user, Disabled: disabled})
			return tell(ctx, user)
		}
	}
	return mfatest.Host{
		Guard: k.Guard,
		Now:   k.Clock.Now,
		NewUser: func(context.Context) (string, error) {
			n++
			id := fmt.Sprint("user", n)
			k.Users.Add(mfa.User{ID: id})
			return id, nil
		},
		Disable: set(true, k.Guard.Disable),
		Enable:  set(false, k.Guard.Enable),
		Delete: func(ctx context.Context, user string) error {
			k.Users.Remove(user)
			return k.Guard.Forget(ctx, user)
		},
		ChangePassword: k.Guard.CredentialsChanged,
		ChangeAddress:  address(k, false),
	}, k
}

// address stores what a user typed on her profile page.
func address(k *mfatest.Kit, verified bool) func(context.Context, string, string) error {
	return func(_ context.Context, user, to string) error {
		k.Users.Add(mfa.User{ID: user, Email: to, EmailVerified: verified})
		return nil
	}
}

func TestWiring(t *testing.T) {
	for name, require := range map[string]mfa.Require{"optional": mfa.RequireOff, "mandatory": mfa.RequireAtSignIn} {
		t.Run(name, func(t *testing.T) {
			h, _ := host(t, require)
			mfatest.TestWiring(t, h)
		})
	}
}

// Every case is proven by a host that is wired wrongly in this one point and
// fails this one case.
func TestWiringCatches(t *testing.T) {
	ignore := func(context.Context, string) error { return nil }
	wrong := map[string]func(*mfatest.Host, *mfatest.Kit){
		"disable ends sessions and flows": func(h *mfatest.Host, k *mfatest.Kit) {
			h.Disable = func(_ context.Context, user string) error {
				k.Users.Add(mfa.User{ID: user, Disabled: true})
				return nil
			}
		},
		"disable refuses sign-in":   func(h *mfatest.Host, k *mfatest.Kit) { h.Disable = k.Guard.CredentialsChanged },
		"enable lets sign in again": func(h *mfatest.Host, k *mfatest.Kit) { h.Enable = ignore },
		"delete ends sessions and flows": func(h *mfatest.Host, k *mfatest.Kit) {
			h.Delete = func(_ context.Context, user string) error {
				k.Users.Remove(user)
				return nil
			}
		},
		"delete refuses sign-in":                  func(h *mfatest.Host, k *mfatest.Kit) { h.Delete = k.Guard.CredentialsChanged },
		"password change ends sessions and flows": func(h *mfatest.Host, k *mfatest.Kit) { h.ChangePassword = ignore },
		"address change proves nothing":           func(h *mfatest.Host, k *mfatest.Kit) { h.ChangeAddress = address(k, true) },
		"password change lets sign in again":      func(h *mfatest.Host, k *mfatest.Kit) { h.ChangePassword = k.Guard.Disable },
	}
	if got, want := slices.Sorted(maps.Keys(wrong)), mfatest.WiringCases(); !slices.Equal(got, want) {
		t.Errorf("wrong hosts for %q, want one for each of %q", got, want)
	}
	for name, miswire := range wrong {
		t.Run(name, func(t *testing.T) {
			h, k := host(t, mfa.RequireOff)
			miswire(&h, k)
			if got := mfatest.RunWiringCases(t.Context(), h); len(got) != 1 || got[name] == "" {
				t.Errorf("failed: %q, want this case alone", got)
			}
		})
	}
}
