package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// wrongs gives n wrong passwords, with time enough between for every wait.
func (l *lab) wrongs(t testing.TB, n int, known bool) {
	t.Helper()
	for range n {
		if _, err := l.typed(t, "ann", newPassword, known); !errors.Is(err, mfa.ErrRefused) {
			t.Fatal(err)
		}
		l.Clock.Advance(time.Hour)
	}
}

// enters reports whether the right password is taken.
func (l *lab) enters(t testing.TB, known bool) bool {
	t.Helper()
	_, err := l.typed(t, "ann", oldPassword, known)
	if err != nil && !errors.Is(err, mfa.ErrRefused) {
		t.Fatal(err)
	}
	return err == nil
}

// together makes 32 sign-ins at once and returns how many got each answer.
func (l *lab) together(t *testing.T, browsers []string) map[mfa.Reason]int {
	t.Helper()
	var mu sync.Mutex
	var group sync.WaitGroup
	answers := make(map[mfa.Reason]int)
	for i := range 32 {
		group.Go(func() {
			in := mfa.SignIn{Client: mfatest.Phone(), Browsers: browsers}
			_, err := l.Guard.SignInPassword(context.Background(), "ann", fmt.Sprintf("tramway-Moss-18%02d", i), in)
			mu.Lock()
			defer mu.Unlock()
			answers[mfa.ReasonOf(err)]++
		})
	}
	group.Wait()
	return answers
}

// TestR24_Parallel: guesses at the same moment are all counted. Of 32 as many are
// compared as Limits.PasswordsPerLogin lets through, and what was not counted got no
// answer. Afterwards the right password waits.
func TestR24_Parallel(t *testing.T) {
	for range mfatest.Rounds(50) {
		l := withPassword(t, func(c *mfa.Config) { c.Policy.Limits.PasswordsPerLogin = 10 })
		answers := l.together(t, nil)
		wrong := l.account(t, "ann").Tries["password"].Wrong
		if answers[mfa.ReasonWrongPassword] != wrong || wrong < 5 || wrong > 10 {
			t.Fatalf("%v, %d counted, want as many, 5 to 10", answers, wrong)
		}
		if n := answers[mfa.ReasonWrongPassword] + answers[mfa.ReasonMethodLocked] + answers[mfa.ReasonBusy]; n != 32 {
			t.Fatalf("%v, want 32 refusals", answers)
		}
		l.Clock.Advance(time.Second)
		if _, err := l.typed(t, "ann", oldPassword, false); mfa.ReasonOf(err) != mfa.ReasonMethodLocked {
			t.Fatalf("the right one: %v (%s)", err, mfa.ReasonOf(err))
		}
	}
}

// TestR24_ParallelInKnownBrowser: nor does a stolen browser token buy more than its
// own 20. What comes after is counted for strangers.
func TestR24_ParallelInKnownBrowser(t *testing.T) {
	for range mfatest.Rounds(50) {
		l := withPassword(t)
		answers := l.together(t, l.Browsers("ann"))
		counted, d := answers[mfa.ReasonWrongPassword], l.account(t, "ann")
		if after := max(0, counted-20); d.Tries["password"].Wrong != after {
			t.Fatalf("%v: %d are counted for strangers, want %d", answers, d.Tries["password"].Wrong, after)
		}
		if left := l.kinds(t, "browser"); (left == 0) != (counted >= 20) {
			t.Fatalf("%v: %d browsers are known", answers, left)
		}
		if counted >= 25 && l.enters(t, true) {
			t.Fatal("the right one, without a wait")
		}
	}
}

// TestR5_OwnLane: a right password sets back the count of its own lane and of no
// other.
func TestR5_OwnLane(t *testing.T) {
	l := withPassword(t)
	l.wrongs(t, 3, false)
	l.wrongs(t, 3, true)
	for range 2 { // with and without wrong ones in her browser
		if !l.enters(t, true) || l.account(t, "ann").Tries["password"].Wrong != 3 {
			t.Fatal("her browser set back the count of strangers")
		}
	}
	l.wrongs(t, 4, true)
	if !l.enters(t, false) || l.account(t, "ann").Tries["password"].Wrong != 0 {
		t.Fatal("a right password elsewhere does not set back its count")
	}
	if _, err := l.typed(t, "ann", newPassword, true); !errors.Is(err, mfa.ErrRefused) {
		t.Fatal(err)
	}
	if l.enters(t, true) {
		t.Error("a right password elsewhere set back the count of her browser: the fifth wrong one must wait")
	}
}

// TestR6_UnlockPassword: Unlock ends the wait of every lane and keeps the counts.
func TestR6_UnlockPassword(t *testing.T) {
	l := withPassword(t)
	desk := l.Guard.Operator("desk", "")
	for _, known := range []bool{false, true} {
		l.wrongs(t, 4, known)
		l.typed(t, "ann", newPassword, known)
		if l.enters(t, known) {
			t.Fatalf("known %t: five wrong ones do not wait", known)
		}
		if err := desk.Unlock(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
		l.typed(t, "ann", newPassword, known)
		if l.enters(t, known) {
			t.Errorf("known %t: the count is gone", known)
		}
		if err := desk.Unlock(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
		if !l.enters(t, known) {
			t.Errorf("known %t: still waits", known)
		}
	}
	l.session = l.enter(t, l.right())
	for range 5 {
		l.session.NewBackupCodes(t.Context(), newPassword)
	}
	if err := desk.Unlock(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.session.NewBackupCodes(t.Context(), oldPassword); err != nil {
		t.Errorf("signed in: still waits: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestR6_PasswordDisabled: at 100 wrong ones in a row the password is closed to
// strangers, whatever they wait, and a new one opens it, however it is set.
func TestR6_PasswordDisabled(t *testing.T) {
	for _, c := range []struct {
		name string
		back func(t *testing.T, l *lab) error
		next string
	}{
		{"link", func(t *testing.T, l *lab) error {
			return l.Guard.ResetPassword(t.Context(), l.link(t), newPassword, mfatest.Phone())
		}, newPassword},
		{"SetPassword", func(t *testing.T, l *lab) error { return l.Guard.SetPassword(t.Context(), "ann", newPassword) }, newPassword},
		{"ChangePassword", func(t *testing.T, l *lab) error {
			_, err := l.session.ChangePassword(t.Context(), oldPassword, newPassword)
			return err
		}, newPassword},
		{"the host's own form", func(t *testing.T, l *lab) error { return l.Guard.CredentialsChanged(t.Context(), "ann") }, oldPassword},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := withPassword(t)
			l.wrongSoFar(t, mfa.Password, 99)
			l.Clock.Advance(time.Hour)
			l.session = l.enter(t, l.right())
			if !l.enters(t, false) {
				t.Fatal("99 wrong ones, after the wait")
			}
			l.wrongSoFar(t, mfa.Password, 99)
			l.Clock.Advance(time.Hour)
			l.session = l.enter(t, l.right())
			l.wrongs(t, 1, false)
			l.Clock.Advance(100 * 24 * time.Hour)
			if l.enters(t, false) {
				t.Error("100 wrong ones, 100 days later")
			}
			if !l.enters(t, true) {
				t.Error("her own browser")
			}
			if err := l.Guard.Operator("desk", "").Unlock(t.Context(), "ann"); err != nil || l.enters(t, false) {
				t.Errorf("Unlock opened it: %v", err)
			}
			l.session = l.enter(t, l.right())
			if err := c.back(t, l); err != nil {
				t.Fatal(err)
			}
			if _, err := l.typed(t, "ann", c.next, false); err != nil {
				t.Errorf("after the change: %v (%s)", err, mfa.ReasonOf(err))
			}
		})
	}
}

// TestR24_LoginBudget: a login has its passwords of an hour from browsers that are
// not known: the last one is compared, one past it is not taken, an hour later it
// is. A known browser is none of it.
func TestR24_LoginBudget(t *testing.T) {
	for over, want := range map[int]bool{9: true, 10: false} {
		l := withPassword(t, func(c *mfa.Config) { c.Policy.Limits.PasswordsPerLogin = 10 })
		for range over {
			if !l.enters(t, false) {
				t.Fatal("a right one within the budget")
			}
		}
		if l.enters(t, false) != want {
			t.Errorf("the right password after %d: taken %t, want %t", over, !want, want)
		}
		if !l.enters(t, true) {
			t.Error("her own browser has no part in it")
		}
		l.Clock.Advance(59 * time.Minute)
		if l.enters(t, false) {
			t.Error("59 minutes later")
		}
		l.Clock.Advance(2 * time.Minute)
		if !l.enters(t, false) {
			t.Error("61 minutes later")
		}
	}
}

// TestR24_WhoseBrowser: what opens the lane of a known browser is a token of this
// user's, of a browser that is still known.
func TestR24_WhoseBrowser(t *testing.T) {
	for _, c := range []struct {
		name string
		open bool
		end  func(t *testing.T, l *lab) []string
	}{
		{"hers", true, func(t *testing.T, l *lab) []string { return l.Browsers("ann") }},
		{"hers, among others", true, func(t *testing.T, l *lab) []string {
			return append([]string{"", "x", l.session.Token()}, l.Browsers("ann")...)
		}},
		{"none", false, func(t *testing.T, l *lab) []string { return nil }},
		{"another user's", false, func(t *testing.T, l *lab) []string {
			return []string{l.SignIn(t, "bob").Browser()}
		}},
		{"a session token", false, func(t *testing.T, l *lab) []string { return []string{l.session.Token()} }},
		{"forgotten", false, func(t *testing.T, l *lab) []string {
			o, err := l.session.Overview(t.Context())
			if err == nil {
				err = l.session.ForgetBrowsers(t.Context(), o.Browsers[0].ID)
			}
			if err != nil {
				t.Fatal(err)
			}
			return l.Browsers("ann")
		}},
		{"a minute before 180 days", true, func(t *testing.T, l *lab) []string {
			l.Clock.Advance(180*24*time.Hour - 10*time.Minute)
			l.wrongSoFar(t, mfa.Password, 50)
			return l.Browsers("ann")
		}},
		{"180 days", false, func(t *testing.T, l *lab) []string {
			l.Clock.Advance(180 * 24 * time.Hour)
			l.wrongSoFar(t, mfa.Password, 50)
			return l.Browsers("ann")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := withPassword(t)
			l.wrongSoFar(t, mfa.Password, 50)
			tokens := c.end(t, l)
			_, err := l.Guard.SignInPassword(t.Context(), "ann", oldPassword, mfa.SignIn{Browsers: tokens})
			if (err == nil) != c.open {
				t.Errorf("%v (%s), want the lane open: %t", err, mfa.ReasonOf(err), c.open)
			}
		})
	}
}

// TestR24_LaneUnderStrictLimits: however few wrong ones disable a method, a known
// browser never stays closed to its owner: it becomes a stranger.
func TestR24_LaneUnderStrictLimits(t *testing.T) {
	l := withPassword(t, func(c *mfa.Config) { c.Policy.Limits.TriesBeforeDisable = 10 })
	l.wrongs(t, 10, true)
	if n := l.kinds(t, "browser"); n != 0 || !l.enters(t, true) {
		t.Errorf("%d known browsers after 10 wrong ones in one, want none, and the right one taken as from any other", n)
	}
}

// TestR24_StrangersAndTheSignedIn: a stranger's guesses keep nobody from proving her
// password in a session, or in a flow of it.
func TestR24_StrangersAndTheSignedIn(t *testing.T) {
	l := emptyLab(t, postal)
	l.Users.Add(mfa.User{ID: "ann", Email: "ann@example.org", EmailVerified: true})
	if err := l.Guard.SetPassword(t.Context(), "ann", oldPassword); err != nil {
		t.Fatal(err)
	}
	out, err := l.typed(t, "ann", oldPassword, false)
	if err != nil || out.Session == nil {
		t.Fatal(err)
	}
	l.Clock.Advance(time.Hour)
	l.wrongSoFar(t, mfa.Password, 50)
	s := out.Session
	if out, err = s.StepUp(t.Context(), mfa.ToConfirm("change_password"), ""); err != nil || out.Pending == nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	out, err = out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.Password, Code: oldPassword})
	if err != nil || out.Session == nil {
		t.Fatalf("the password in a flow: %v (%s)", err, mfa.ReasonOf(err))
	}
	if _, err := out.Session.ChangePassword(t.Context(), oldPassword, newPassword); err != nil {
		t.Errorf("changing it: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestR24_ChangeKeepsTheLane: who changes her password because of a stranger's
// guesses is not locked out by him in the browser where she did so.
func TestR24_ChangeKeepsTheLane(t *testing.T) {
	l := withPassword(t)
	out, err := l.session.ChangePassword(t.Context(), oldPassword, newPassword)
	if err != nil {
		t.Fatal(err)
	}
	if out.Browser() == "" || l.kinds(t, "browser") != 1 {
		t.Fatalf("%d known browsers, want this one, with a new token", l.kinds(t, "browser"))
	}
	l.Keep("ann", out)
	for _, m := range l.Inbox.Take() {
		if m.Kind == mfa.MessageKind(mfa.EventNewDevice) {
			t.Error("told of a new device")
		}
	}
	l.wrongSoFar(t, mfa.Password, 100)
	if _, err := l.typed(t, "ann", newPassword, true); err != nil {
		t.Errorf("her own browser: %v (%s)", err, mfa.ReasonOf(err))
	}
	if _, err := l.typed(t, "ann", newPassword, false); !errors.Is(err, mfa.ErrRefused) {
		t.Errorf("another: %v", err)
	}
}

// TestR27_LoginOfAStranger: what a stranger types for a login, which may be a
// password in the wrong field, is in no event, no log and no message.
func TestR27_LoginOfAStranger(t *testing.T) {
	const typo = "MyActualPassword-99"
	var log strings.Builder
	record := func(*mfa.Config) {}
	l := withPassword(t, record)
	logged := mfa.LogEvents(slog.New(slog.NewJSONHandler(&log, nil)))
	l.Events.Take()
	for range 40 {
		_, err := l.stranger(t, typo, typo)
		if !errors.Is(err, mfa.ErrRefused) || strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, err), typo) {
			t.Fatalf("%v", err)
		}
		if job, err := l.Guard.Recover(t.Context(), typo, mfa.Client{}); err != nil || job(t.Context()) != nil {
			t.Fatal(err)
		}
	}
	events := l.Events.Take()
	for _, e := range events {
		logged(t.Context(), e)
	}
	if len(events) != 40 {
		t.Errorf("%d events, want 40", len(events))
	}
	if all := fmt.Sprintf("%+v %+v", events, l.Inbox.Take()) + log.String(); strings.Contains(all, "MyActual") {
		t.Error("it shows")
	}
	for _, owner := range l.tally.owners() {
		if strings.Contains(owner, "MyActual") {
			t.Errorf("the store shows it: %s", owner)
		}
	}
}

// owners returns whose records were written.
func (s *tally) owners() []string {
	var all []string
	for _, writes := range s.take() {
		for _, w := range writes {
			all = append(all, w.Owner+"/"+w.ID+"/"+string(w.Data))
		}
	}
	return all
}

// meter of directory calls.
type askedUsers struct {
	*mfatest.Users
	mu    sync.Mutex
	calls []string
}

func (u *askedUsers) note(call string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls = append(u.calls, call)
}

func (u *askedUsers) User(ctx context.Context, id string) (mfa.User, error) {
	u.note("User")
	return u.Users.User(ctx, id)
}

func (u *askedUsers) FindUser(ctx context.Context, login string) (mfa.User, error) {
	u.note("FindUser")
	return u.Users.FindUser(ctx, login)
}

// TestR24_DirectoryAskedAlike: the directory is asked as often about a login that is
// nobody's: where it is slow, another question would show.
func TestR24_DirectoryAskedAlike(t *testing.T) {
	asked := &askedUsers{}
	l := withPassword(t, func(c *mfa.Config) {
		asked.Users = c.Users.(*mfatest.Users)
		c.Users = asked
	})
	l.Users.Add(mfa.User{ID: "locked"})
	if err := l.Guard.SetPassword(t.Context(), "locked", oldPassword); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		l.stranger(t, "locked", newPassword)
	}
	for _, login := range []string{"ann", "locked", "nobody"} {
		asked.calls = nil
		if _, err := l.stranger(t, login, newPassword); !errors.Is(err, mfa.ErrRefused) {
			t.Fatal(err)
		}
		if got := strings.Join(asked.calls, " "); got != "FindUser" {
			t.Errorf("%s: asked %q, want FindUser", login, got)
		}
	}
}
