package mfa_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestR28_OneEventOfEachChange: R28 tells every change once per operation, with
// who did it to whom, by what, why, from where and when, and writes it into the
// user's history in the commit that makes the change.
func TestR28_OneEventOfEachChange(t *testing.T) {
	for _, d := range slices.Concat(signInDeeds(), codeDeeds(), setupDeeds(), accountDeeds(), adminDeeds()) {
		t.Run(d.name, func(t *testing.T) {
			l := newLab(t)
			act := d.prepare(t, l)
			l.tally.take()
			l.Events.Take()
			if err := act(); (err != nil) != d.refused {
				t.Fatalf("%v (%s), want an error: %t", err, mfa.ReasonOf(err), d.refused)
			}
			d.check(t, l)
		})
	}
}

func (d deed) check(t *testing.T, l *lab) {
	t.Helper()
	events := l.Events.Take()
	var got []told
	seen := make(map[[2]string]bool)
	for _, e := range events {
		got = append(got, told{e.Name, e.Method, e.Reason, e.Session != ""})
		if key := [2]string{string(e.Name), e.Session}; seen[key] {
			t.Errorf("%s of session %q told twice", e.Name, e.Session)
		} else {
			seen[key] = true
		}
		want := mfa.Event{ID: events[0].ID, Actor: "ann", User: "ann", Client: mfatest.Laptop(), Device: "Firefox on Linux", At: l.Clock.Now().UTC()}
		switch d.actor {
		case "host":
			want.Actor, want.Client, want.Device = "host", mfa.Client{}, ""
		case "desk":
			want.Actor, want.Note, want.Client, want.Device = "desk", "ticket", mfa.Client{}, ""
		}
		want.Name, want.Method, want.Reason, want.Session = e.Name, e.Method, e.Reason, e.Session
		if e != want || e.ID == "" {
			t.Errorf("told %+v\nwant %+v", e, want)
		}
	}
	if !slices.Equal(got, d.tell) {
		t.Errorf("told %+v\nwant %+v", got, d.tell)
	}
	d.checkHistory(t, l, events)
}

// entries returns those that a record holds, oldest first: a history, or an account in
// which they wait.
func (l *lab) entries(t *testing.T, r mfa.Record) []mfa.HistoryEntry {
	t.Helper()
	if len(r.Data) == 0 || r.Kind != "history" && r.Kind != "account" {
		return nil
	}
	var history mfa.HistoryData
	var account mfa.AccountData
	into := any(&history)
	if r.Kind == "account" {
		into = &account
	}
	err := mfa.OpenRecord(l.Guard, r, into)
	for _, data := range account.Recent.Entries {
		var e mfa.HistoryEntry
		err = errors.Join(err, json.Unmarshal(data, &e))
		history.Entries = append(history.Entries, e)
	}
	if err != nil {
		t.Fatal(err)
	}
	return history.Entries
}

// checkHistory compares the events that are kept with what the operation added to
// the history.
func (d deed) checkHistory(t *testing.T, l *lab, events []mfa.Event) {
	t.Helper()
	var kept []mfa.Event
	for _, e := range events {
		switch e.Name {
		case mfa.EventSignInStarted, mfa.EventSignInRefused, mfa.EventProofRefused, mfa.EventUserForgotten, mfa.EventResealed,
			mfa.EventNewDevice, mfa.EventCodeSent, mfa.EventUndelivered:
		default:
			kept = append(kept, e)
		}
	}
	commits := l.tally.take()
	if len(commits) > 1 {
		t.Errorf("%d commits, want one", len(commits))
	}
	var written []mfa.HistoryEntry
	for _, writes := range commits {
		for _, w := range writes {
			written = append(written, l.entries(t, w.Record)...)
		}
	}
	if len(written) < len(kept) {
		t.Fatalf("%d entries for %d events", len(written), len(kept))
	}
	for i, h := range written[len(written)-len(kept):] {
		e := kept[i]
		actor := e.Actor
		if actor == "ann" {
			actor = ""
		}
		addr := ""
		if e.Client.Addr.IsValid() {
			addr = e.Client.Addr.String()
		}
		if h.Name != e.Name || h.At != e.At.Unix() || h.Method != e.Method.String() || h.Reason != e.Reason ||
			h.Actor != actor || h.Session != e.Session || h.Device != e.Device || h.Addr != addr {
			t.Errorf("entry %+v\nof event %+v", h, e)
		}
	}
}

// TestR28_ForeignSession: R13 ends another user's session that the browser
// presents at sign-in; R28 tells it of that user, by that user's browser.
func TestR28_ForeignSession(t *testing.T) {
	l := newLab(t)
	bob, err := l.signIn(t, "bob")
	if err != nil {
		t.Fatal(err)
	}
	bare(t, l)
	l.Events.Take()
	if _, err = l.Guard.SignIn(t.Context(), mfa.SignIn{
		User: "ann", First: mfa.PasswordFirst(), Client: mfatest.Laptop(), Presented: []string{bob.Session.Token()}, Browsers: l.Browsers("ann"),
	}); err != nil {
		t.Fatal(err)
	}
	events := l.told(t, mfa.EventSignedOut, mfa.EventSignedIn)
	if events[0].User != "bob" || events[0].Session != bob.Session.ID() || events[1].User != "ann" || events[0].ID == events[1].ID {
		t.Errorf("told %+v", events)
	}
}

// TestR28_HistoryIsBounded: R28's history keeps the last 50 entries, newest first
// on the page.
func TestR28_HistoryIsBounded(t *testing.T) {
	l := newLab(t)
	var at []time.Time
	for n := range 60 {
		l.Clock.Advance(time.Second)
		if err := l.session.SetAskAtSignIn(t.Context(), n%2 != 0); err != nil {
			t.Fatal(err)
		}
		at = append(at, l.Clock.Now())
		o, err := l.session.Overview(t.Context())
		const before = 5 // signed in, factor added, codes issued and saved, stepped up
		if want := min(before+n+1, 50); err != nil || len(o.Activity) != want {
			t.Fatalf("after %d changes: %d entries, %v, want %d", n+1, len(o.Activity), err, want)
		}
	}
	o, err := l.session.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range o.Activity {
		if e.Name != mfa.EventAskChanged || !e.At.Equal(at[len(at)-1-i]) {
			t.Fatalf("entry %d: %+v, want the newest first", i, e)
		}
	}
}

// TestR28_EntriesWait: an entry of R28's history is written with the account, and the
// history, fifty times as long, only when 1,024 bytes of entries would wait there.
func TestR28_EntriesWait(t *testing.T) {
	l := newLab(t)
	waiting := func() (n int) {
		for _, e := range l.account(t, "ann").Recent.Entries {
			n += len(e)
		}
		return n
	}
	entry, histories, changes := 0, 0, 60
	for n := range changes {
		was := waiting()
		l.tally.take()
		if err := l.session.SetAskAtSignIn(t.Context(), n%2 != 0); err != nil {
			t.Fatal(err)
		}
		now, writes := waiting(), slices.Concat(l.tally.take()...)
		switch filed := slices.ContainsFunc(writes, func(w mfa.Write) bool { return w.Kind == "history" }); {
		case filed && now == 0 && was+entry > 1024:
			histories++
		case !filed && now > was && now <= 1024:
			entry = now - was
		default:
			t.Fatalf("%d bytes waited, %d wait: history written %t", was, now, filed)
		}
	}
	if histories == 0 || histories > changes/5 {
		t.Errorf("%d changes wrote the history %d times", changes, histories)
	}
}

// TestR28_OverviewIsComplete: the security page shows something in every field of
// Overview, so that none is forgotten when one is added.
func TestR28_OverviewIsComplete(t *testing.T) {
	l := newLab(t, postal, func(c *mfa.Config) { c.Locator, c.Policy.Rules.Require = everywhere{}, mfa.RequireAtDoor })
	l.Users.Add(mfa.User{ID: "ann", Email: "ann@example.org", EmailVerified: true, Phone: "+351912345678", Orgs: inAcme()})
	if err := l.Guard.SetPassword(t.Context(), "ann", oldPassword); err != nil {
		t.Fatal(err)
	}
	l.session = l.enter(t, l.right())
	if err := l.session.RenameTOTP(t.Context(), l.account(t, "ann").TOTP[0].ID, "phone"); err != nil {
		t.Fatal(err)
	}
	if err := l.session.SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
		t.Fatal(err)
	}
	if err := l.session.SetAskAtSignIn(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	out, err := l.signIn(t, "ann")
	if err != nil {
		t.Fatal(err)
	}
	l.session = l.elevate(t, out.Session, mfa.ToEnter("acme"), l.right()).Session
	if err := l.session.SetAskAtSignIn(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	pr := l.right()
	pr.Remember = true
	l.session = l.enter(t, pr)
	l.wrongSoFar(t, mfa.BackupCode, 5)
	o, err := l.session.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l.wrongSoFar(t, mfa.TOTP, 100)
	disabled, err := l.session.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o.Methods = append(o.Methods, disabled.Methods...)
	current := 0
	for _, s := range o.Sessions {
		if s.Current {
			current++
		}
	}
	if current != 1 || !o.Sessions[0].Current {
		t.Errorf("%d sessions are current, want the newest alone", current)
	}
	shown(t, "Overview", reflect.ValueOf([]mfa.Overview{o}))
}

// shown fails for each field that is zero in all of list.
func shown(t *testing.T, path string, list reflect.Value) {
	t.Helper()
	for i := range list.Type().Elem().NumField() {
		name := path + "." + list.Type().Elem().Field(i).Name
		zero := true
		for j := range list.Len() {
			field := list.Index(j).Field(i)
			zero = zero && field.IsZero()
			if field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct {
				shown(t, name, field)
			}
		}
		switch name {
		case "Overview.Activity.ID", "Overview.Activity.Note", "Overview.Activity.Reason", "Overview.Activity.Org": // left out, and none has one
		default:
			if zero {
				t.Errorf("%s is zero", name)
			}
		}
	}
}

// TestR28_RefusalsHaveOneFace: R28 gives a browser the same words for every proof
// that was not accepted, and the host a reason that tells them apart.
func TestR28_RefusalsHaveOneFace(t *testing.T) {
	l := newLab(t)
	used, flow := l.right(), l.flow(t)
	l.enter(t, used)
	reasons := make(map[mfa.Reason]bool)
	for _, c := range []struct {
		name string
		pr   mfa.Proof
		why  mfa.Reason
	}{
		{"wrong", l.wrong(), mfa.ReasonWrongCode},
		{"wrong backup code", l.wrongBackup(), mfa.ReasonWrongCode},
		{"used", used, mfa.ReasonTOTPReused},
		{"malformed", mfa.Proof{Method: mfa.TOTP, Code: "12345x"}, mfa.ReasonMalformedCode},
		{"method not asked", mfa.Proof{Method: mfa.EmailCode, Code: "123456"}, mfa.ReasonMethodNotAsked},
		{"no method", mfa.Proof{Code: "123456"}, mfa.ReasonMethodNotAsked},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := l.verify(t.Context(), flow, c.pr)
			wants(t, err, mfa.ErrRefused, c.why)
			if err.Error() != "mfa: not accepted" || out != (mfa.Outcome{}) {
				t.Errorf("%q, outcome %v: not the one face", err, out)
			}
			for _, other := range []error{mfa.ErrThrottled, mfa.ErrNoPending, mfa.ErrForbidden, mfa.ErrUnavailable, mfa.ErrInvalid} {
				if errors.Is(err, other) {
					t.Errorf("it is %v too", other)
				}
			}
			reasons[c.why] = true
		})
	}
	if len(reasons) != 4 {
		t.Errorf("%d reasons, want 4", len(reasons))
	}
}
