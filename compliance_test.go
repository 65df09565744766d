package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// report returns the compliance report by user.
func report(t *testing.T, a *mfa.Admin) map[string]mfa.MemberStatus {
	t.Helper()
	found := make(map[string]mfa.MemberStatus)
	for st, err := range a.Compliance(t.Context()) {
		if err != nil {
			t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
		}
		found[st.User] = st
	}
	return found
}

// TestRow_E4_Compliance: an administrator sees of every member whether she meets the
// rules, and of those whom the organization manages what they hold, when they last
// proved it and why nothing is asked of them.
func TestRow_E4_Compliance(t *testing.T) {
	c := newCompany(t, withRules(mfa.Rules{Methods: []mfa.Method{mfa.TOTP, mfa.EmailCode}}))
	in := inAcme()
	c.Users.Add(
		mfa.User{ID: "dave", ManagedBy: "acme", Orgs: in}, mfa.User{ID: "erin", ManagedBy: "acme", Orgs: in},
		mfa.User{ID: "robot", ManagedBy: "acme", Orgs: in}, mfa.User{ID: "sso", ManagedBy: "acme", Orgs: in},
		mfa.User{ID: "gone", ManagedBy: "acme", Orgs: in, Disabled: true},
		mfa.User{ID: "mail", ManagedBy: "acme", Orgs: in, Email: "mail@example.org", EmailVerified: true},
	)
	c.enroll("dave")
	c.enroll("erin")
	if err := c.plain("mail").SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
		t.Fatal(err)
	}
	c.session(c.sso("sso", "okta"))
	c.set(mfa.Rules{Require: mfa.RequireAtDoor, Exempt: []string{"robot"}, SSO: []mfa.Connection{{Name: "okta", Rule: mfa.SSOWaive}}})
	verified := c.fresh("dave").Assurance().Proofs[0].At
	a, p := c.admin("alice", "acme"), c.pending(c.signIn("erin"))
	for range 5 {
		_, err := p.Verify(t.Context(), c.wrong("erin"))
		refused(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	}
	got := report(t, a)
	for user, want := range map[string]mfa.MemberStatus{
		"alice": {Role: mfa.RoleOwner, Meets: true},
		"bob":   {},
		"dave":  {Meets: true, Managed: true, Methods: []mfa.Method{mfa.TOTP}, CodesLeft: 10, LastVerified: verified},
		"erin":  {Meets: true, Managed: true, Methods: []mfa.Method{mfa.TOTP}, CodesLeft: 10, Locked: true},
		"robot": {Meets: true, Managed: true, Exempt: mfa.ReasonExempt},
		"sso":   {Meets: true, Managed: true, Exempt: mfa.ReasonSSOWaived},
		"gone":  {Managed: true, Disabled: true},
		"mail":  {Managed: true, Methods: []mfa.Method{mfa.EmailCode}, CodesLeft: 0},
	} {
		want.User = user
		st := got[user]
		if user == "erin" || user == "mail" {
			if want.LastVerified = st.LastVerified; st.LastVerified.After(verified) {
				t.Errorf("%s was last verified %v", user, st.LastVerified)
			}
		}
		if fmt.Sprintf("%+v", st) != fmt.Sprintf("%+v", want) {
			t.Errorf("%+v\nwant %+v", st, want)
		}
	}
	if len(got) != 9 {
		t.Errorf("%d members, want 9", len(got))
	}
}

// TestRow_E3_Preview: before saving, rules tell whom they would concern, now and
// from their date on, who would have to enroll, and who would lose the only
// method.
func TestRow_E3_Preview(t *testing.T) {
	c := newCompany(t, withRules(mfa.Rules{Methods: []mfa.Method{mfa.TOTP, mfa.EmailCode}}))
	in := inAcme()
	c.Users.Add(
		mfa.User{ID: "robot", ManagedBy: "acme", Orgs: in}, mfa.User{ID: "sso", ManagedBy: "acme", Orgs: in},
		mfa.User{ID: "mail", ManagedBy: "acme", Orgs: in, Email: "mail@example.org", EmailVerified: true},
		mfa.User{ID: "erin", Orgs: in, Email: "erin@example.org", EmailVerified: true},
	)
	for _, user := range []string{"mail", "erin"} {
		if err := c.plain(user).SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
			t.Fatal(err)
		}
	}
	c.session(c.sso("sso", "okta"))
	a := c.admin("alice", "acme")
	was := c.versions()
	for _, tc := range []struct {
		name  string
		rules mfa.Rules
		want  mfa.Preview
	}{
		{"nothing", mfa.Rules{}, mfa.Preview{Members: 8, Unmanaged: 3}},
		// alice and carol hold the app; bob, dave, robot and sso nothing; mail and erin mail.
		// What alice, bob and erin hold is none of acme's business.
		{"the app", mfa.Rules{Require: mfa.RequireAtDoor}, mfa.Preview{Members: 8, Unmanaged: 3, Affected: 8, AffectedFrom: 8, NotEnrolled: 5, LoseOnlyMethod: 1}},
		{"tomorrow", mfa.Rules{Require: mfa.RequireAtSignIn, From: c.Clock.Now().Add(oneDay)}, mfa.Preview{Members: 8, Unmanaged: 3, AffectedFrom: 8, NotEnrolled: 5, LoseOnlyMethod: 1}},
		{"app or mail", mfa.Rules{Require: mfa.RequireAtDoor, Methods: []mfa.Method{mfa.TOTP, mfa.EmailCode}}, mfa.Preview{Members: 8, Unmanaged: 3, Affected: 8, AffectedFrom: 8, NotEnrolled: 5}},
		{"mail", mfa.Rules{Require: mfa.RequireAtDoor, Methods: []mfa.Method{mfa.EmailCode}}, mfa.Preview{Members: 8, Unmanaged: 3, Affected: 8, AffectedFrom: 8, NotEnrolled: 5, LoseOnlyMethod: 1}},
		{"exempt and waived", mfa.Rules{Require: mfa.RequireAtDoor, Exempt: []string{"robot"}, SSO: []mfa.Connection{{Name: "okta", Rule: mfa.SSOWaive}}},
			mfa.Preview{Members: 8, Unmanaged: 3, Affected: 6, AffectedFrom: 6, NotEnrolled: 3, LoseOnlyMethod: 1, ExemptBySSO: 1, Exempt: 1}},
		{"trusted, and not asserted", mfa.Rules{Require: mfa.RequireAtDoor, SSO: []mfa.Connection{{Name: "okta", Rule: mfa.SSOTrustAsserted, AMR: []string{"mfa"}}}},
			mfa.Preview{Members: 8, Unmanaged: 3, Affected: 8, AffectedFrom: 8, NotEnrolled: 5, LoseOnlyMethod: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, err := a.Preview(t.Context(), tc.rules); err != nil || got != tc.want {
				t.Errorf("%+v, %v\nwant %+v", got, err, tc.want)
			}
		})
	}
	if fmt.Sprint(was) != fmt.Sprint(c.versions()) {
		t.Error("a preview changed something")
	}
}

// TestR20_PreviewIsNoOracle: whatever rules are tried, a preview tells of a user whom
// the organization does not manage what Compliance tells once the saved rules ask,
// and neither which method she holds nor how she signed in.
func TestR20_PreviewIsNoOracle(t *testing.T) {
	methods := []mfa.Method{mfa.TOTP, mfa.EmailCode}
	tried := map[string]mfa.Rules{
		"as saved": {Require: mfa.RequireAtDoor}, "app": {Require: mfa.RequireAtDoor, Methods: methods[:1]},
		"mail": {Require: mfa.RequireAtSignIn, Methods: methods[1:]}, "both": {Require: mfa.RequireAtDoor, Methods: methods},
		"single sign-on": {Require: mfa.RequireAtDoor, SSO: []mfa.Connection{{Name: "okta", Rule: mfa.SSOWaive}}},
	}
	for name, saved := range map[string]mfa.Rules{
		"no rules": {}, "app": {Require: mfa.RequireAtDoor}, "app or mail": {Require: mfa.RequireAtSignIn, Methods: methods},
		"single sign-on": {Require: mfa.RequireAtDoor, SSO: tried["single sign-on"].SSO},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCompany(t, withRules(mfa.Rules{Methods: methods}))
			c.Users.Add(mfa.User{ID: "erin", Orgs: inAcme(), Email: "erin@example.org", EmailVerified: true}, mfa.User{ID: "sso", Orgs: inAcme()})
			if err := c.plain("erin").SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
				t.Fatal(err)
			}
			c.session(c.sso("sso", "okta"))
			c.set(saved)
			a := c.admin("alice", "acme")
			// without says what naming her as exempt changes: all that a preview tells of her.
			without := func(r mfa.Rules, user string) (notEnrolled, other int) {
				all, err := a.Preview(t.Context(), r)
				r.Exempt = []string{user}
				rest, err2 := a.Preview(t.Context(), r)
				if err != nil || err2 != nil {
					t.Fatal(err, err2)
				}
				return all.NotEnrolled - rest.NotEnrolled, all.LoseOnlyMethod - rest.LoseOnlyMethod + all.ExemptBySSO - rest.ExemptBySSO
			}
			status := report(t, a)
			for _, user := range []string{"erin", "sso", "bob"} {
				first, _ := without(tried["as saved"], user)
				for what, r := range tried {
					lacks, other := without(r, user)
					if lacks != first || other != 0 {
						t.Errorf("%s: %s lacks %d and shows %d, want %d as for other rules, and 0", what, user, lacks, other, first)
					}
					if asked := saved.Require != mfa.RequireOff; asked && (lacks == 0) != status[user].Meets {
						t.Errorf("%s: %s lacks %d, the report says she meets the rules: %t", what, user, lacks, status[user].Meets)
					}
				}
			}
		})
	}
}

// TestR32_ComplianceProblems: an account that was changed in the table, or that is
// gone although there was one, is a problem of its own and hides nobody else's.
func TestR32_ComplianceProblems(t *testing.T) {
	m := &marked{enrolled: make(map[string]bool), ruled: make(map[string]bool)}
	c := newCompany(t, func(c *mfa.Config) {
		m.Users = c.Users.(*mfatest.Users)
		c.Users = &directory{marked: m}
	})
	c.Users.Add(mfa.User{ID: "erin", ManagedBy: "acme", Orgs: inAcme()}, mfa.User{ID: strings.Repeat("x", 300), ManagedBy: "acme", Orgs: inAcme()})
	c.enroll("dave")
	c.enroll("erin")
	for _, user := range []string{"dave", "erin"} {
		key := mfa.Key{Owner: "u/" + user, Kind: "account"}
		records, err := c.store.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		w := mfa.Write{Record: records[0], IfVersion: records[0].Version}
		if w.Data = []byte(`{"v":1}`); user == "erin" {
			w.Data = nil
		}
		if err := c.store.Commit(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	a := c.admin("alice", "acme")
	got := report(t, a)
	for user, why := range map[string]mfa.Reason{
		"dave": mfa.ReasonTampered, "erin": mfa.ReasonRecordMissing, strings.Repeat("x", 300): mfa.ReasonInvalidArgument,
	} {
		if st := got[user]; st.Problem != why || st.Meets || !st.Locked {
			t.Errorf("%.10s: %+v, want %s", user, st, why)
		}
	}
	if len(got) != 6 {
		t.Errorf("%d members, want 6", len(got))
	}
	if p, err := a.Preview(t.Context(), mfa.Rules{Require: mfa.RequireAtDoor}); err != nil || p.Unreadable != 3 || p.Members != 6 {
		t.Errorf("%+v, %v", p, err)
	}
}

// directory is a marked directory that lists members.
type directory struct {
	*marked
	err error // after the first member
}

func (d *directory) Members(ctx context.Context, org string) iter.Seq2[mfa.User, error] {
	return func(yield func(mfa.User, error) bool) {
		for u, err := range d.Users.Members(ctx, org) {
			if !yield(u, err) {
				return
			}
			if d.err != nil {
				yield(mfa.User{}, d.err)
				return
			}
		}
	}
}

// TestCompliance_Ends: an error of the directory or the store is the last that is
// yielded; who breaks off is asked no more.
func TestCompliance_Ends(t *testing.T) {
	d := &directory{marked: &marked{enrolled: make(map[string]bool), ruled: make(map[string]bool)}}
	c := newCompany(t, func(c *mfa.Config) {
		d.Users = c.Users.(*mfatest.Users)
		c.Users = d
	})
	a := c.admin("alice", "acme")
	d.err = errors.New("the directory is down")
	var errs []error
	for _, err := range a.Compliance(t.Context()) {
		errs = append(errs, err)
	}
	if len(errs) != 1 || !errors.Is(errs[0], mfa.ErrUnavailable) || mfa.ReasonOf(errs[0]) != mfa.ReasonDirectoryFailed {
		t.Errorf("the directory: %v", errs)
	}
	if _, err := a.Preview(t.Context(), mfa.Rules{}); !errors.Is(err, mfa.ErrUnavailable) {
		t.Errorf("Preview: %v", err)
	}
	if err := a.SetRules(t.Context(), mfa.Rules{Require: mfa.RequireAtDoor}, ""); !errors.Is(err, mfa.ErrUnavailable) {
		t.Errorf("SetRules: %v", err)
	}
	d.err = nil
	for range a.Compliance(t.Context()) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs = nil
	for _, err := range a.Compliance(ctx) {
		cancel()
		errs = append(errs, err)
	}
	if n := len(errs); n != 4 {
		t.Errorf("one batch was read before the context ended, and yields %d: %v", n, errs)
	}
	for _, err := range a.Compliance(ctx) {
		if err == nil {
			t.Error("a report in a context that is over")
		}
	}
}

// batched is a store that counts what is read at once.
type batched struct {
	mfa.Store
	gets, keys, most atomic.Int64
}

func (c *batched) Get(ctx context.Context, keys ...mfa.Key) ([]mfa.Record, error) {
	c.gets.Add(1)
	c.keys.Add(int64(len(keys)))
	c.most.Store(max(c.most.Load(), int64(len(keys))))
	return c.Store.Get(ctx, keys...)
}

// TestCompliance_Batches: a report on many members reads 64 accounts at a time,
// each once, and lists nobody's records.
func TestCompliance_Batches(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, 1000} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			count := new(batched)
			c := newCompany(t, func(c *mfa.Config) { count.Store, c.Store = c.Store, count })
			for i := range n {
				c.Users.Add(mfa.User{ID: fmt.Sprintf("m%04d", i), ManagedBy: "big", Orgs: []mfa.Membership{{Org: "big"}}})
			}
			c.Users.Add(mfa.User{ID: "alice", Orgs: []mfa.Membership{{Org: "big", Role: mfa.RoleOwner}}})
			a := c.admin("alice", "big")
			for _, count := range []*atomic.Int64{&count.gets, &count.keys, &count.most} {
				count.Store(0)
			}
			var seen []string
			for st, err := range a.Compliance(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				seen = append(seen, st.User)
			}
			if !slices.IsSorted(seen) || len(seen) != n+1 || len(slices.Compact(seen)) != n+1 {
				t.Errorf("%d members, want %d, each once and in order", len(seen), n+1)
			}
			if gets, want := count.gets.Load(), int64(1+(n+1+63)/64); gets != want || count.most.Load() > 64 || count.keys.Load() != int64(n+1+4) {
				t.Errorf("%d reads of %d keys, at most %d at once, want %d reads", gets, count.keys.Load(), count.most.Load(), want)
			}
		})
	}
}
