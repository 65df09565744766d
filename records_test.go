package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A doctored store hands out records that somebody changed in the table.
type doctored struct {
	mfa.Store
	kind   string // of the records that are changed
	change func(mfa.Record) mfa.Record
}

func (d *doctored) Get(ctx context.Context, keys ...mfa.Key) ([]mfa.Record, error) {
	records, err := d.Store.Get(ctx, keys...)
	return d.changed(records), err
}

func (d *doctored) List(ctx context.Context, owner string, kinds ...string) ([]mfa.Record, error) {
	records, err := d.Store.List(ctx, owner, kinds...)
	return d.changed(records), err
}

func (d *doctored) changed(records []mfa.Record) []mfa.Record {
	for i, r := range records {
		if d.change != nil && r.Kind == d.kind && r.Version != "" && r.Owner == "u/ann" {
			records[i] = d.change(r)
		}
	}
	return records
}

// A damage is what somebody with access to the table can do to a record.
type damage struct {
	name   string
	change func(mfa.Record) mfa.Record
	want   mfa.Reason
}

// damages returns every way to damage a record of v.
func damages(t testing.TB, v *victim) []damage {
	t.Helper()
	return slices.Concat(tamperings(t, v), oddData(t, v))
}

// tamperings are what whoever can write the table can do.
func tamperings(t testing.TB, v *victim) []damage {
	other := newKeyKit(t, mfa.NewKey())
	moved := func(from func(*mfa.Record)) func(mfa.Record) mfa.Record {
		return func(r mfa.Record) mfa.Record {
			key := r.Key
			from(&r)
			r = mfa.SignRecord(v.Guard, r)
			r.Key = key
			return r
		}
	}
	return []damage{
		{"data changed", func(r mfa.Record) mfa.Record {
			r.Data = []byte(strings.Replace(string(r.Data), `"v":1`, `"v": 1`, 1))
			return r
		}, mfa.ReasonTampered},
		{"data empty", func(r mfa.Record) mfa.Record { r.Data = nil; return r }, mfa.ReasonTampered},
		{"expires later", func(r mfa.Record) mfa.Record { r.Expires = r.Expires.Add(time.Second); return r }, mfa.ReasonTampered},
		{"expires never, or soon", func(r mfa.Record) mfa.Record {
			if r.Expires = (time.Time{}); r.Kind == "account" || r.Kind == "history" {
				r.Expires = v.Clock.Now().Add(time.Minute)
			}
			return r
		}, mfa.ReasonTampered},
		{"version of nothing", func(r mfa.Record) mfa.Record { r.Version = strings.Repeat("A", 64); return r }, mfa.ReasonUnknownKey},
		{"version cut", func(r mfa.Record) mfa.Record { r.Version = r.Version[:63]; return r }, mfa.ReasonTampered},
		{"version changed", func(r mfa.Record) mfa.Record {
			r.Version = r.Version[:20] + strings.Map(func(c rune) rune { return 'A' + (c+1)%26 }, r.Version[20:40]) + r.Version[40:]
			return r
		}, mfa.ReasonTampered},
		// Store.Get says "absent" with Version "": but here is a record.
		{"version emptied", func(r mfa.Record) mfa.Record { r.Version = ""; return r }, mfa.ReasonTampered},
		{"moved from another user", func(r mfa.Record) mfa.Record {
			bob := recordsOf(t, v.table, "bob")
			bob = bob[slices.IndexFunc(bob, func(b mfa.Record) bool { return b.Kind == r.Kind }):]
			return mfa.Record{Key: r.Key, Version: bob[0].Version, Expires: bob[0].Expires, Data: bob[0].Data}
		}, mfa.ReasonTampered},
		{"moved from another id", moved(func(r *mfa.Record) { r.ID += "x" }), mfa.ReasonTampered},
		{"moved from another kind", moved(func(r *mfa.Record) { r.Kind = "other" }), mfa.ReasonTampered},
		{"unknown key", func(r mfa.Record) mfa.Record { return mfa.SignRecord(other.Guard, r) }, mfa.ReasonUnknownKey},
	}
}

// oddData is what only v's keys could have written: faults of a later version, and
// no attack.
func oddData(t testing.TB, v *victim) []damage {
	data := func(s string) func(mfa.Record) mfa.Record {
		return func(r mfa.Record) mfa.Record {
			r.Data = []byte(s)
			return mfa.SignRecord(v.Guard, r)
		}
	}
	field := func(f func(map[string]any)) func(mfa.Record) mfa.Record {
		return func(r mfa.Record) mfa.Record {
			alter(t, &r, func(d *map[string]any) { f(*d) })
			return mfa.SignRecord(v.Guard, r)
		}
	}
	return []damage{
		{"no JSON", data("{"), mfa.ReasonMalformedRecord},
		{"JSON of another shape", data(`[1]`), mfa.ReasonMalformedRecord},
		{"more than JSON", data(`{"v":1}{"v":1}`), mfa.ReasonMalformedRecord},
		{"null", data(`null`), mfa.ReasonNewerRecord},
		{"no version of the data", field(func(d map[string]any) { delete(d, "v") }), mfa.ReasonNewerRecord},
		{"later version of the data", field(func(d map[string]any) { d["v"] = 2 }), mfa.ReasonNewerRecord},
	}
}

// victim is ann with a record of every kind, and handles from before the damage.
type victim struct {
	*mfatest.Kit
	table   *doctored
	store   *meter // over the table
	app     *mfatest.Authenticator
	session *mfa.Session
	flow    *mfa.Pending // her sign-in in another browser
	ownFlow string       // token of a flow that session opened
}

func newVictim(t testing.TB) *victim {
	t.Helper()
	v := &victim{table: &doctored{Store: new(mfa.MemoryStore)}}
	v.store = &meter{Store: v.table}
	v.Kit = newKeyKit(t, mfa.NewKey(), func(c *mfa.Config) { c.Store = v.store })
	v.Users.Add(mfa.User{ID: "bob"})
	for _, user := range []string{"bob", "ann"} {
		v.app, v.session, _ = v.Enroll(t, user)
		v.flow = v.SignIn(t, user).Pending
	}
	out, err := v.session.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), "")
	if err != nil {
		t.Fatal(err)
	}
	v.ownFlow = out.Pending.Token()
	return v
}

// An access is one way to a user's records. In reads are the kinds that it must
// trust, and so refuse when they are broken.
type access struct {
	name  string
	reads []string
	call  func(ctx context.Context, v *victim) error
}

func accesses() []access {
	const account, history, session, pending = "account", "history", "session", "pending"
	return []access{
		{"Session", []string{session}, func(ctx context.Context, v *victim) error {
			s, err := v.Guard.Session(ctx, v.session.Token(), mfatest.Laptop())
			return nothingBeside(s != nil, err)
		}},
		{"Enter", []string{session}, func(ctx context.Context, v *victim) error {
			s, err := v.Guard.Enter(ctx, v.session.Token(), "acme", mfatest.Laptop())
			return nothingBeside(s != nil, err)
		}},
		{"Pending", []string{account, history, pending}, func(ctx context.Context, v *victim) error {
			p, err := v.Guard.Pending(ctx, v.flow.Token(), "", mfatest.Laptop())
			return nothingBeside(p != nil, err)
		}},
		{"Pending of a session", []string{account, history, session, pending}, func(ctx context.Context, v *victim) error {
			p, err := v.Guard.Pending(ctx, v.ownFlow, v.session.Token(), mfatest.Laptop())
			return nothingBeside(p != nil, err)
		}},
		{"Overview", []string{account, history, session}, func(ctx context.Context, v *victim) error {
			o, err := v.session.Overview(ctx)
			return nothingBeside(len(o.Sessions) > 0, err)
		}},
		{"StepUp", []string{account, history, session}, func(ctx context.Context, v *victim) error {
			out, err := v.session.StepUp(ctx, mfa.ToEnroll(mfa.TOTP), "")
			return nothingBeside(out != mfa.Outcome{}, err)
		}},
		{"Export", []string{account, history}, func(ctx context.Context, v *victim) error {
			text, err := v.Guard.Export(ctx, "ann")
			return nothingBeside(text != nil, err)
		}},
		{"SignIn", []string{account, history}, func(ctx context.Context, v *victim) error {
			out, err := v.Guard.SignIn(ctx, mfa.SignIn{User: "ann", First: mfa.PasswordFirst()})
			return nothingBeside(out != mfa.Outcome{}, err)
		}},
		{"Unlock", []string{account, history}, func(ctx context.Context, v *victim) error { return v.Guard.Operator("desk", "").Unlock(ctx, "ann") }},
		{"EndSessions", []string{account, history}, func(ctx context.Context, v *victim) error {
			return v.Guard.Operator("desk", "").EndSessions(ctx, "ann")
		}},
		{"Reseal", []string{account, history}, func(ctx context.Context, v *victim) error { return v.Guard.Reseal(ctx, "ann") }},
		{"Disable", []string{account, history}, func(ctx context.Context, v *victim) error { return v.Guard.Disable(ctx, "ann") }},
		{"Enable", []string{account, history}, func(ctx context.Context, v *victim) error { return v.Guard.Enable(ctx, "ann") }},
		{"CredentialsChanged", []string{account, history}, func(ctx context.Context, v *victim) error { return v.Guard.CredentialsChanged(ctx, "ann") }},
	}
}

var errBeside = errors.New("something is returned beside the error")

func nothingBeside(something bool, err error) error {
	if something && err != nil {
		return errors.Join(errBeside, err)
	}
	return err
}

// TestRecords_Broken checks that a record which is not exactly what this library
// wrote is refused with its reason, by everything that has to trust it. It is
// never taken for a record that does not exist, which would mean "no factor", and
// nothing is written over it.
func TestRecords_Broken(t *testing.T) {
	v, failed := newVictim(t), 0
	for _, kind := range []string{"account", "history", "session", "pending"} {
		for _, d := range damages(t, v) {
			for _, a := range accesses() {
				if !slices.Contains(a.reads, kind) {
					continue
				}
				ok := t.Run(kind+"/"+d.name+"/"+a.name, func(t *testing.T) {
					v.table.kind, v.table.change = kind, d.change
					defer func() { v.table.change = nil }()
					before := v.store.calls()
					// Should a broken record be taken for none, ending things
					// would be tried again until the context ends.
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					err := a.call(ctx, v)
					if !errors.Is(err, mfa.ErrUnavailable) || mfa.ReasonOf(err) != d.want || errors.Is(err, errBeside) {
						t.Errorf("got %v (%s), want ErrUnavailable (%s)", err, mfa.ReasonOf(err), d.want)
					}
					if now := v.store.calls(); now[1] != before[1] {
						t.Errorf("%d commits", now[1]-before[1])
						*v = *newVictim(t)
					}
				})
				if !ok {
					failed++
				}
				if failed == 20 {
					t.Fatal("and so on")
				}
			}
		}
	}
	for _, a := range accesses() { // the same calls find nothing to refuse in sound records
		t.Run("sound/"+a.name, func(t *testing.T) {
			if err := a.call(t.Context(), v); err != nil {
				t.Errorf("%v (%s)", err, mfa.ReasonOf(err))
			}
			if slices.Contains(a.reads, "account") {
				*v = *newVictim(t)
			}
		})
	}
}

// breakAll damages every record of ann of these kinds, in the table itself, but
// for the one with the id spared.
func (v *victim) breakAll(t *testing.T, change func(mfa.Record) mfa.Record, spared string, kinds ...string) (broken []mfa.Key) {
	t.Helper()
	for _, r := range recordsOf(t, v.table, "ann") {
		if slices.Contains(kinds, r.Kind) && (spared == "" || r.ID != spared) {
			overwrite(t, v.table, change(r))
			broken = append(broken, r.Key)
		}
	}
	if len(broken) == 0 {
		t.Fatal("nothing to break")
	}
	return broken
}

// still returns how many of the keys have a record.
func (v *victim) still(t *testing.T, keys []mfa.Key) int {
	t.Helper()
	records, err := v.table.Get(t.Context(), keys...)
	if err != nil {
		t.Fatal(err)
	}
	return len(slices.DeleteFunc(records, func(r mfa.Record) bool { return r.Version == "" }))
}

// storable are the damages of a record that a store would keep.
func storable(t *testing.T, v *victim) []damage {
	return slices.DeleteFunc(damages(t, v), func(d damage) bool { return d.name == "version emptied" || d.name == "data empty" })
}

// TestRecords_BrokenSessions checks that sessions and flows which cannot be trusted
// keep nobody out, and end with whatever ends the sessions that can be read:
// another process may have the key to them.
func TestRecords_BrokenSessions(t *testing.T) {
	v := newVictim(t)
	desk := func() *mfa.Admin { return v.Guard.Operator("desk", "") }
	for _, d := range storable(t, v) {
		for _, c := range []struct {
			name string
			end  func(context.Context) error
		}{
			{"Disable", func(ctx context.Context) error { return v.Guard.Disable(ctx, "ann") }},
			{"CredentialsChanged", func(ctx context.Context) error { return v.Guard.CredentialsChanged(ctx, "ann") }},
			{"EndSessions", func(ctx context.Context) error { return desk().EndSessions(ctx, "ann") }},
			{"Reset", func(ctx context.Context) error { return desk().Reset(ctx, "ann") }},
			{"Forget", func(ctx context.Context) error { return v.Guard.Forget(ctx, "ann") }},
			{"RevokeOthers", func(ctx context.Context) error { return v.session.RevokeOthers(ctx) }},
		} {
			t.Run(d.name+"/"+c.name, func(t *testing.T) {
				*v = *newVictim(t)
				v.SignIn(t, "ann")
				spared := ""
				if c.name == "RevokeOthers" {
					spared = v.session.ID()
					v.extraSession(t)
				}
				broken := v.breakAll(t, d.change, spared, "session", "pending")
				out, err := v.Guard.SignIn(t.Context(), mfa.SignIn{User: "ann", First: mfa.PasswordFirst(), Presented: []string{v.flow.Token(), v.ownFlow}})
				if err != nil || out.Pending == nil {
					t.Fatalf("SignIn: %v (%s)", err, mfa.ReasonOf(err))
				}
				if err := c.end(t.Context()); err != nil {
					t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
				}
				if n := v.still(t, broken); n != 0 {
					t.Errorf("%d of %d broken records are still there", n, len(broken))
				}
			})
		}
	}
}

// extraSession signs ann in once more, with a code.
func (v *victim) extraSession(t *testing.T) {
	t.Helper()
	out, err := v.SignIn(t, "ann").Pending.Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: v.app.Code(v.Clock.Now())})
	if err != nil || out.Session == nil {
		t.Fatal(err)
	}
}

// TestRecords_ManyBroken checks that more broken records than one commit has room
// for keep nobody out, and end as few do.
func TestRecords_ManyBroken(t *testing.T) {
	v := newVictim(t)
	var keys []mfa.Key
	for i := range 150 {
		r := recordOf(t, v.table, "bob", "session")
		r.Key = mfa.Key{Owner: "u/ann", Kind: []string{"session", "pending"}[i%2], ID: fmt.Sprint("broken", i)}
		overwrite(t, v.table, r)
		keys = append(keys, r.Key)
	}
	for range 3 {
		v.extraSession(t)
		v.Clock.Advance(v.app.Period())
	}
	if err := v.Guard.Disable(t.Context(), "ann"); err != nil {
		t.Error(err)
	}
	if n := v.still(t, keys); n != 0 {
		t.Errorf("%d broken records are left", n)
	}
	if _, err := v.Guard.SignIn(t.Context(), mfa.SignIn{User: "ann", First: mfa.PasswordFirst()}); mfa.ReasonOf(err) != mfa.ReasonUserDisabled {
		t.Errorf("after Disable: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestRecords_BegunAnew checks the way out of an account that cannot be read: a
// reset by the support desk, which leads to enrollment as every reset does, and
// forgetting the user.
func TestRecords_BegunAnew(t *testing.T) {
	v := newVictim(t)
	for _, d := range storable(t, v) {
		t.Run(d.name, func(t *testing.T) {
			*v = *newVictim(t)
			token := v.session.Token()
			v.breakAll(t, d.change, "", "account", "history")
			if err := v.Guard.Operator("desk", "").Reset(t.Context(), "ann"); err != nil {
				t.Fatalf("Reset: %v (%s)", err, mfa.ReasonOf(err))
			}
			if _, err := v.Guard.Session(t.Context(), token, mfatest.Laptop()); !errors.Is(err, mfa.ErrNoSession) {
				t.Errorf("a session from before: %v", err)
			}
			if n := v.SignIn(t, "ann").Pending.Need(); n.Step != mfa.StepEnroll || n.Why != mfa.ReasonReset {
				t.Errorf("after a reset the flow needs %+v", n)
			}
			v.breakAll(t, d.change, "", "account")
			if err := v.Guard.Forget(t.Context(), "ann"); err != nil {
				t.Fatalf("Forget: %v (%s)", err, mfa.ReasonOf(err))
			}
			_, err := v.Guard.SignIn(t.Context(), mfa.SignIn{User: "ann", First: mfa.PasswordFirst()})
			if mfa.ReasonOf(err) != mfa.ReasonUserForgotten || len(recordsOf(t, v.table, "ann")) != 1 {
				t.Errorf("forgotten: %v (%s), %d records", err, mfa.ReasonOf(err), len(recordsOf(t, v.table, "ann")))
			}
		})
	}
}
