package mfatest_test

import (
	"context"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// codePage is a host's code page as it should be.
func codePage(k *mfatest.Kit) mfatest.CodePage {
	return func(ctx context.Context, pending, session, code string) string {
		p, err := k.Guard.Pending(ctx, pending, session, mfatest.Laptop())
		if err != nil {
			return ""
		}
		out, err := p.Verify(ctx, mfa.Proof{Method: mfa.TOTP, Code: code})
		if err != nil || out.Session == nil {
			return ""
		}
		return out.Session.Token()
	}
}

// TestRow_E10_HostsOwnTests: a virtual authenticator signs in to a host's own page,
// and what must not sign in does not.
func TestRow_E10_HostsOwnTests(t *testing.T) {
	mfatest.TestAbuse(t, func(t testing.TB) (*mfatest.Kit, mfatest.CodePage) {
		k := mfatest.New(t)
		return k, codePage(k)
	})
}

// A host that signs in whoever names a flow of Alice's, whatever the code, fails
// every case in which it still learns whose flow it is; one that signs in on any
// code at all fails all of them; one whose page is broken is noticed too.
func TestAbuseCatches(t *testing.T) {
	hosts := map[string]func(*testing.T, *mfatest.Kit) mfatest.CodePage{
		"signs in on anything": func(t *testing.T, k *mfatest.Kit) mfatest.CodePage {
			return func(ctx context.Context, _, _, _ string) string {
				k.FailStore(nil)
				k.Users.Add(mfa.User{ID: "mallory"})
				out, err := k.Guard.SignIn(ctx, mfa.SignIn{User: "mallory", First: mfa.PasswordFirst()})
				if err != nil {
					t.Fatal(err)
				}
				return out.Session.Token()
			}
		},
		"never signs in": func(*testing.T, *mfatest.Kit) mfatest.CodePage {
			return func(context.Context, string, string, string) string { return "" }
		},
	}
	for name, page := range hosts {
		t.Run(name, func(t *testing.T) {
			failed := mfatest.RunAbuseCases(t.Context(), func() (*mfatest.Kit, mfatest.CodePage) {
				k := mfatest.New(t)
				return k, page(t, k)
			})
			for _, c := range mfatest.AbuseCases() {
				if failed[c] == "" {
					t.Errorf("case %q did not catch this host", c)
				}
			}
		})
	}
}
