package bench

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"strconv"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// big is a directory with one organization of so many members, all of them
// managed, and its owner.
type big struct{ members int }

func (b big) User(_ context.Context, id string) (mfa.User, error) {
	if id == user {
		return mfa.User{ID: id, Orgs: []mfa.Membership{{Org: "big", Role: mfa.RoleOwner}}}, nil
	}
	return mfa.User{ID: id, ManagedBy: "big", Orgs: []mfa.Membership{{Org: "big"}}}, nil
}

func (b big) Members(ctx context.Context, _ string) iter.Seq2[mfa.User, error] {
	return func(yield func(mfa.User, error) bool) {
		for i := range b.members {
			u, err := b.User(ctx, "m"+strconv.Itoa(i))
			if !yield(u, err) {
				return
			}
		}
		yield(b.User(ctx, user))
	}
}

// company returns the owner of an organization of n members, of whom every other
// has signed in, so that there is an account.
func company(b *testing.B, n int) (*mfatest.Kit, *mfa.Admin) {
	b.Helper()
	kit := mfatest.New(b, func(c *mfa.Config) { c.Users = big{n} })
	for i := 0; i < n; i += 2 {
		kit.SignIn(b, "m"+strconv.Itoa(i))
	}
	_, s, _ := kit.Enroll(b, user)
	admin, err := s.Admin(b.Context(), "big")
	if err != nil {
		b.Fatal(err)
	}
	return kit, admin
}

// BenchmarkCompliance is a report on a whole organization, and what it holds in
// memory at its end beyond what there was at its beginning: that must not grow
// with the members.
func BenchmarkCompliance(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			_, admin := company(b, n)
			report := func(at func(seen int)) error {
				seen := 0
				for _, err := range admin.Compliance(b.Context()) {
					if err != nil {
						return err
					}
					seen++
					at(seen)
				}
				if seen != n+1 {
					return fmt.Errorf("%d members", seen)
				}
				return nil
			}
			var heap [2]runtime.MemStats
			err := report(func(seen int) {
				if seen == 1 || seen == n {
					runtime.GC()
					runtime.ReadMemStats(&heap[min(1, seen/n)])
				}
			})
			if err != nil {
				b.Fatal(err)
			}
			measure(b, func() error { return report(func(int) {}) })
			b.ReportMetric(float64(max(0, int64(heap[1].HeapAlloc)-int64(heap[0].HeapAlloc))), "held-B")
		})
	}
}

// BenchmarkPreview counts a whole organization.
func BenchmarkPreview(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			_, admin := company(b, n)
			measure(b, func() error {
				p, err := admin.Preview(b.Context(), mfa.Rules{Require: mfa.RequireAtDoor})
				if err == nil && p.Members != n+1 {
					err = fmt.Errorf("%+v", p)
				}
				return err
			})
		})
	}
}

// BenchmarkEnter is what every request at a door pays: session and rules.
func BenchmarkEnter(b *testing.B) {
	for _, set := range []bool{false, true} {
		b.Run(fmt.Sprintf("rules=%t", set), func(b *testing.B) {
			kit, admin := company(b, 0)
			if set {
				if err := admin.SetRules(b.Context(), mfa.Rules{Require: mfa.RequireAtDoor}, ""); err != nil {
					b.Fatal(err)
				}
			}
			_, s, _ := kit.Enroll(b, "m0")
			token, client := s.Token(), mfatest.Laptop()
			measure(b, func() error {
				_, err := kit.Guard.Enter(b.Context(), token, "big", client)
				return err
			})
		})
	}
}
