package mfa_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// fullHouse returns a lab in which ann has as many sessions and flows as there can
// be, one of them with codes on show and one with an app staged.
func fullHouse(t testing.TB) *lab {
	t.Helper()
	l := newLab(t)
	for range 19 {
		l.session = l.enter(t, l.right())
	}
	for range 14 {
		l.flow(t)
	}
	if _, err := l.session.NewBackupCodes(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	out, err := l.session.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), "")
	if err == nil {
		_, err = out.Pending.StartTOTP(t.Context(), "")
	}
	if err != nil {
		t.Fatal(err)
	}
	if s, p := l.kinds(t, "session"), l.kinds(t, "pending"); s != 20 || p != 16 {
		t.Fatalf("%d sessions and %d flows, want 20 and 16", s, p)
	}
	l.tally.take()
	l.Events.Take()
	return l
}

// kinds counts ann's records of one kind.
func (l *lab) kinds(t testing.TB, kind string) int {
	t.Helper()
	records, err := l.Config.Store.List(t.Context(), "u/ann", kind)
	if err != nil {
		t.Fatal(err)
	}
	return len(records)
}

// listed names records and when they are over.
func listed(records []mfa.Record) string {
	var b strings.Builder
	for _, r := range records {
		fmt.Fprintf(&b, "%s until %v ", r.Kind, r.Expires)
	}
	return b.String()
}

// A closing is an operation that ends everything that a user has going.
type closing struct {
	name string
	do   func(*testing.T, *lab) error
	tell mfa.EventName
	desk bool
}

func closings() []closing {
	return []closing{
		{"reset", func(t *testing.T, l *lab) error {
			return l.Guard.Operator("desk", "lost").Reset(t.Context(), "ann")
		}, mfa.EventFactorsReset, true},
		{"end sessions", func(t *testing.T, l *lab) error {
			return l.Guard.Operator("desk", "lost").EndSessions(t.Context(), "ann")
		}, mfa.EventSessionsEnded, true},
		{"disable", func(t *testing.T, l *lab) error { return l.Guard.Disable(t.Context(), "ann") }, mfa.EventUserDisabled, false},
		{"forget", func(t *testing.T, l *lab) error { return l.Guard.Forget(t.Context(), "ann") }, mfa.EventUserForgotten, false},
		{"new password", func(t *testing.T, l *lab) error {
			return l.Guard.CredentialsChanged(t.Context(), "ann")
		}, mfa.EventCredentialsChanged, false},
	}
}

// TestR20_EndsEverythingInOneCommit: R20 and what the host tells end every session
// and flow of a user in one commit, however many there are, so that none that was
// born meanwhile is missed; they try again until that stands.
func TestR20_EndsEverythingInOneCommit(t *testing.T) {
	for _, e := range closings() {
		t.Run(e.name, func(t *testing.T) {
			l := fullHouse(t)
			flow := l.flow(t)
			l.tally.take()
			l.Events.Take()
			l.tally.conflicts.Store(30) // far more than an ordinary operation bears
			if err := e.do(t, l); err != nil {
				t.Fatal(err)
			}
			if n := len(l.tally.take()); n != 1 {
				t.Errorf("%d commits, want 1", n)
			}
			if s, p := l.kinds(t, "session"), l.kinds(t, "pending"); s+p != 0 {
				t.Errorf("%d sessions and %d flows are left", s, p)
			}
			_, err := l.Guard.Session(t.Context(), l.session.Token(), mfatest.Laptop())
			wants(t, err, mfa.ErrNoSession, mfa.ReasonNotFound)
			_, err = l.Guard.Pending(t.Context(), flow, "", mfatest.Laptop())
			wants(t, err, mfa.ErrNoPending, mfa.ReasonNotFound)
			told := l.told(t, e.tell)
			want := mfa.Event{Name: e.tell, Actor: "host", User: "ann", At: l.Clock.Now().UTC(), ID: told[0].ID}
			if e.desk {
				want.Actor, want.Note = "desk", "lost"
			}
			if told[0] != want || told[0].ID == "" {
				t.Errorf("told %+v\nwant %+v", told[0], want)
			}
		})
	}
}

// TestR20_AbsentUser: what the host tells works on a user of whom nothing is
// stored, whether the directory knows her or not; the support desk helps only whom
// the directory knows.
func TestR20_AbsentUser(t *testing.T) {
	for _, e := range closings() {
		for _, known := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/known %t", e.name, known), func(t *testing.T) {
				l := emptyLab(t)
				if !known {
					l.Users.Remove("ann")
				}
				err := e.do(t, l)
				if e.desk && !known {
					wants(t, err, mfa.ErrNoUser, mfa.ReasonUserUnknown)
					if l.kinds(t, "account") != 0 {
						t.Error("an unknown user has an account now")
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				l.Users.Add(mfa.User{ID: "ann"})
				out, err := l.signIn(t, "ann")
				switch e.name {
				case "disable":
					wants(t, err, mfa.ErrRefused, mfa.ReasonUserDisabled)
				case "forget":
					wants(t, err, mfa.ErrRefused, mfa.ReasonUserForgotten)
				case "reset":
					if err != nil || out.Pending == nil || out.Pending.Need().Step != mfa.StepEnroll {
						t.Errorf("%v, want to enroll", err)
					}
				default:
					if err != nil || out.Session == nil {
						t.Errorf("%v, want a session", err)
					}
				}
			})
		}
	}
}

// TestR20_Again: what the host tells twice changes nothing the second time: jobs
// are run again.
func TestR20_Again(t *testing.T) {
	for _, e := range closings() {
		if e.desk || e.name == "new password" { // each is an act of its own
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			l := newLab(t)
			if err := e.do(t, l); err != nil {
				t.Fatal(err)
			}
			before, err := l.Config.Store.List(t.Context(), "u/ann")
			if err != nil {
				t.Fatal(err)
			}
			l.Events.Take()
			l.Clock.Advance(oneDay)
			if err := e.do(t, l); err != nil {
				t.Fatal(err)
			}
			l.told(t)
			after, err := l.Config.Store.List(t.Context(), "u/ann")
			if err != nil {
				t.Fatal(err)
			}
			for _, records := range [][]mfa.Record{before, after} {
				slices.SortFunc(records, func(a, b mfa.Record) int { return strings.Compare(a.Kind, b.Kind) })
			}
			if !slices.EqualFunc(before, after, func(a, b mfa.Record) bool { return a.Version == b.Version }) {
				t.Errorf("records before: %s; after: %s; want the same versions", listed(before), listed(after))
			}
		})
	}
	l := newLab(t)
	l.tally.take()
	l.Events.Take()
	if err := l.Guard.Enable(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	l.told(t)
	if n := len(l.tally.take()); n != 0 {
		t.Errorf("enabling a user who is enabled: %d commits", n)
	}
}

// TestRow_C7_ResetLeadsToSetup: an administrator resets a user's factors: the user
// meets the setup screen at the next sign-in, whatever she held, and nothing of
// the old factor can be used or read again.
func TestRow_C7_ResetLeadsToSetup(t *testing.T) {
	l := newLab(t)
	l.change(t, "ann", func(d *mfa.AccountData) { d.Failures, d.Compromised = []int64{1}, true })
	old := *l
	if err := l.Guard.Operator("desk", "lost the phone").Reset(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	a := l.account(t, "ann")
	if len(a.TOTP)+len(a.Codes)+len(a.Tries) != 0 || a.Ask || a.Unsaved || !a.MustEnroll {
		t.Errorf("after the reset %+v", a)
	}
	if len(a.Failures) != 1 || !a.Compromised {
		t.Error("a reset cleared what the password is suspected of")
	}
	out, err := l.signIn(t, "ann")
	if err != nil || out.Pending == nil {
		t.Fatalf("sign-in: %v, want a flow", err)
	}
	if need := out.Pending.Need(); need.Step != mfa.StepEnroll || need.Why != mfa.ReasonReset || !need.SkipUntil.IsZero() {
		t.Errorf("asked for %+v", need)
	}
	for _, pr := range []mfa.Proof{old.right(), old.backup(0)} {
		_, err := out.Pending.Verify(t.Context(), pr)
		wants(t, err, mfa.ErrRefused, mfa.ReasonStepNotAsked)
	}
	if err := l.Guard.CredentialsChanged(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	if out, err = l.signIn(t, "ann"); err != nil {
		t.Fatal(err)
	}
	s := l.setUp(t, out.Pending, "").Session
	if o, err := s.Overview(t.Context()); err != nil || len(o.Authenticators) != 1 || !o.AskAtSignIn {
		t.Errorf("set up again: %+v, %v", o, err)
	}
	_, err = l.guess(t, old.backup(1))
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
}

// TestR20_OperatorLimits: R20's desk is named in every event: an operation without
// a name, or with one that would not be read, does nothing.
func TestR20_OperatorLimits(t *testing.T) {
	long := strings.Repeat("\u00e9", 64)
	for _, c := range []struct {
		name, actor, note, user string
		want                    error
	}{
		{"longest", long, strings.Repeat("\u00e9", 200), "ann", nil},
		{"no actor", "", "", "ann", mfa.ErrInvalid},
		{"actor of 65", long + "x", "", "ann", mfa.ErrInvalid},
		{"note of 201", "desk", strings.Repeat("\u00e9", 201), "ann", mfa.ErrInvalid},
		{"line in actor", "desk\n", "", "ann", mfa.ErrInvalid},
		{"line in note", "desk", "a\nb", "ann", mfa.ErrInvalid},
		{"writing turned in actor", "desk\u202e", "", "ann", mfa.ErrInvalid},
		{"no UTF-8 in note", "desk", "\xff", "ann", mfa.ErrInvalid},
		{"no user", "desk", "", "", mfa.ErrInvalid},
		{"user of 255 bytes", "desk", "", strings.Repeat("x", 255), mfa.ErrInvalid},
		{"control in user", "desk", "", "a\x00", mfa.ErrInvalid},
		{"unknown user", "desk", "", "nobody", mfa.ErrNoUser},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			l.wrongSoFar(t, mfa.TOTP, 5)
			l.tally.take()
			desk := l.Guard.Operator(c.actor, c.note)
			for name, do := range map[string]func() error{
				"unlock":       func() error { return desk.Unlock(t.Context(), c.user) },
				"end sessions": func() error { return desk.EndSessions(t.Context(), c.user) },
				"reset":        func() error { return desk.Reset(t.Context(), c.user) },
			} {
				if err := do(); !errors.Is(err, c.want) || c.want == nil && err != nil {
					t.Errorf("%s: %v (%s), want %v", name, err, mfa.ReasonOf(err), c.want)
				}
			}
			if n := len(l.tally.take()); c.want != nil && n != 0 {
				t.Errorf("refused, and %d commits", n)
			}
		})
	}
}

// TestR20_ForgetTombstone: a deleted user is refused for 30 days, to the second,
// so that a request under way cannot bring her back; then the id is new again, and
// nothing of before is known.
func TestR20_ForgetTombstone(t *testing.T) {
	l := newLab(t)
	if err := l.Guard.Forget(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	start := l.Clock.Now()
	for _, do := range []func() error{
		func() error { return l.Guard.CredentialsChanged(t.Context(), "ann") },
		func() error { return l.Guard.Reseal(t.Context(), "ann") },
		func() error { return l.Guard.Enable(t.Context(), "ann") },
		func() error { return l.Guard.Disable(t.Context(), "ann") },
	} {
		l.Clock.Advance(oneDay)
		if err := do(); err != nil {
			t.Fatal(err)
		}
	}
	desk := l.Guard.Operator("desk", "")
	for _, err := range []error{
		desk.Reset(t.Context(), "ann"), desk.Unlock(t.Context(), "ann"), desk.EndSessions(t.Context(), "ann"),
	} {
		wants(t, err, mfa.ErrNoUser, mfa.ReasonUserForgotten)
	}
	records, err := l.Config.Store.List(t.Context(), "u/ann")
	if err != nil || len(records) != 1 || records[0].Kind != "account" || !records[0].Expires.Equal(start.Add(30*oneDay)) {
		t.Errorf("stored about a forgotten user: %s, %v, want a tombstone until %v", listed(records), err, start.Add(30*oneDay))
	}
	l.Clock.Advance(start.Add(30*oneDay - time.Second).Sub(l.Clock.Now()))
	_, err = l.signIn(t, "ann")
	wants(t, err, mfa.ErrRefused, mfa.ReasonUserForgotten)
	l.Clock.Advance(time.Second)
	out, err := l.signIn(t, "ann")
	if err != nil || out.Session == nil {
		t.Fatalf("after 30 days: %v (%s), want a new user", err, mfa.ReasonOf(err))
	}
	o, err := out.Session.Overview(t.Context())
	if err != nil || len(o.Authenticators)+o.CodesLeft != 0 || len(o.Activity) != 1 {
		t.Errorf("known of the new user: %+v, %v", o, err)
	}
}

// TestR27_Export: R27 shows everything that is stored about a person and nothing
// that proves anything.
func TestR27_Export(t *testing.T) {
	l := fullHouse(t)
	_, err := l.guess(t, l.wrong())
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	text, err := l.Guard.Export(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		User                string
		Authenticators      []struct{ ID string }
		Sessions            []struct{ ID, Device, Addr string }
		Activity            []struct{ Name string }
		CodesLeft           int
		AskAtSignIn         bool
		WrongProofs         map[string]any
		FailedSecondFactors []time.Time
	}
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	if e.User != "ann" || len(e.Authenticators) != 1 || len(e.Sessions) != 20 || len(e.Activity) == 0 ||
		e.CodesLeft != 10 || !e.AskAtSignIn || len(e.WrongProofs) != 1 || len(e.FailedSecondFactors) != 1 {
		t.Errorf("exported %+v", e)
	}
	var secrets []string
	a := l.account(t, "ann")
	sealed, _ := json.Marshal(a.TOTP[0].Sealed)
	secrets = append(secrets, strings.Trim(string(sealed), `"`), l.session.Token())
	for _, c := range a.Codes {
		secrets = append(secrets, c.Hash, c.Hash[len(c.Hash)-20:])
	}
	records, _ := l.Config.Store.List(t.Context(), "u/ann", "session")
	for _, r := range records {
		var d mfa.SessionData
		if err := mfa.OpenRecord(l.Guard, r, &d); err != nil {
			t.Fatal(err)
		}
		hash, _ := json.Marshal(d.Secret)
		secrets = append(secrets, strings.Trim(string(hash), `"`), r.Version)
	}
	for _, s := range secrets {
		if strings.Contains(string(text), s) {
			t.Errorf("exported a secret: %q", s)
		}
	}
	if text, err := l.Guard.Export(t.Context(), "nobody"); err != nil || !strings.Contains(string(text), `"User": "nobody"`) {
		t.Errorf("of an unknown user: %s, %v", text, err)
	}
	if _, err := l.Guard.Export(t.Context(), ""); !errors.Is(err, mfa.ErrInvalid) {
		t.Errorf("of nobody: %v", err)
	}
}
