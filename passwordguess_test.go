package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// stranger signs in as ann from a phone that nobody knows.
func (l *lab) stranger(t testing.TB, login, password string) (mfa.Outcome, error) {
	t.Helper()
	return l.Guard.SignInPassword(t.Context(), login, password, mfa.SignIn{Client: mfatest.Phone()})
}

// TestR24_OneAnswer: unknown, wrong and locked get one answer after one amount of
// work: the same hashes, and as many calls of the store.
func TestR24_OneAnswer(t *testing.T) {
	l := withPassword(t)
	l.Users.Add(mfa.User{ID: "locked"}, mfa.User{ID: "off", Disabled: true}, mfa.User{ID: "none"})
	for _, user := range []string{"locked", "off"} {
		if err := l.Guard.SetPassword(t.Context(), user, oldPassword); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		l.stranger(t, "locked", newPassword)
	}
	hashes := mfa.CountHashes(l.Guard)
	for _, c := range []struct {
		name, login, password string
		why                   mfa.Reason
	}{
		{"wrong", "ann", newPassword, mfa.ReasonWrongPassword},
		{"unknown", "nobody", newPassword, mfa.ReasonUserUnknown},
		{"locked, wrong", "locked", newPassword, mfa.ReasonMethodLocked},
		{"locked, right", "locked", oldPassword, mfa.ReasonMethodLocked},
		{"no password", "none", newPassword, mfa.ReasonWrongPassword},
	} {
		t.Run(c.name, func(t *testing.T) {
			l.tally.take()
			before := hashes()
			out, err := l.stranger(t, c.login, c.password)
			wants(t, err, mfa.ErrRefused, c.why)
			if err.Error() != "mfa: not accepted" || out != (mfa.Outcome{}) {
				t.Errorf("%q is not the one face", err)
			}
			if n := hashes() - before; n != 1 {
				t.Errorf("%d hashes, want 1", n)
			}
			if n := len(l.tally.take()); n != 3 {
				t.Errorf("%d commits, want 3: of the network, of the login, of the wrong password", n)
			}
		})
	}
}

// TestR24_ShapeFirst: what cannot be a login or a password costs nothing: no hash, no
// call of the store.
func TestR24_ShapeFirst(t *testing.T) {
	l := withPassword(t)
	hashes := mfa.CountHashes(l.Guard)
	l.tally.take()
	for name, c := range map[string][2]string{
		"no login": {"", oldPassword}, "login of 321 bytes": {strings.Repeat("a", 321), oldPassword}, "login with a line": {"a\nb", oldPassword},
		"login of no UTF-8": {"\xff", oldPassword}, "no password": {"ann", ""}, "password of 4097 bytes": {"ann", strings.Repeat("a", 4097)},
		"password of 10 MiB": {"ann", strings.Repeat("a", 10<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := l.stranger(t, c[0], c[1])
			wants(t, err, mfa.ErrRefused, mfa.ReasonWrongPassword)
			if hashes() != 0 || len(l.tally.take()) != 0 {
				t.Error("it cost a hash or a commit")
			}
		})
	}
	if _, err := l.stranger(t, strings.Repeat("a", 320), strings.Repeat("a", 4096)); hashes() != 1 {
		t.Errorf("at the limits: %d hashes, %v, want 1", hashes(), err)
	}
}

// TestR24_NetworkBudget: a network has its passwords of an hour, right ones too.
// Then it is told so before anything is compared, and other networks go on.
func TestR24_NetworkBudget(t *testing.T) {
	l := withPassword(t, func(c *mfa.Config) { c.Policy.Limits.PasswordsPerNetwork = 10 })
	for i := range 10 {
		if _, err := l.stranger(t, fmt.Sprint("user", i), newPassword); !errors.Is(err, mfa.ErrRefused) {
			t.Fatal(err)
		}
	}
	hashes := mfa.CountHashes(l.Guard)
	_, err := l.stranger(t, "ann", oldPassword)
	throttled, ok := errors.AsType[*mfa.ThrottledError](err)
	if !ok || throttled.RetryAfter <= 0 || throttled.RetryAfter > 61*time.Minute || hashes() != 0 {
		t.Fatalf("the eleventh: %v, %d hashes, want a wait and none", err, hashes())
	}
	if _, err := l.typed(t, "ann", oldPassword, false); err != nil {
		t.Errorf("another network: %v", err)
	}
	l.Clock.Advance(throttled.RetryAfter)
	if _, err := l.stranger(t, "ann", oldPassword); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

// TestR24_StrangerLocksNobodyOut: somebody who knows the name guesses for a month,
// as fast as he is let. The owner's own browser always gets in.
func TestR24_StrangerLocksNobodyOut(t *testing.T) {
	l := withPassword(t)
	tried := 0
	for day := range 30 {
		for range 24 {
			for range 31 { // Limits.PasswordsPerLogin and one
				_, err := l.stranger(t, "ann", newPassword)
				if !errors.Is(err, mfa.ErrRefused) {
					t.Fatal(err)
				}
				tried++
			}
			l.Clock.Advance(time.Hour)
		}
		out, err := l.typed(t, "ann", oldPassword, true)
		if err != nil || out.Pending == nil {
			t.Fatalf("day %d: her own browser: %v (%s)", day+1, err, mfa.ReasonOf(err))
		}
		if _, err := out.Pending.Verify(t.Context(), l.right()); err != nil {
			t.Fatalf("day %d: her code: %v", day+1, err)
		}
	}
	// Each hour opens the lock once at most: 5 guesses and then one in each wait of 30
	// s, 1, 2, 4, 8, 16, 32 minutes and from then on 1 hour, to 100 in all.
	if wrong := l.account(t, "ann").Tries["password"].Wrong; wrong != 100 {
		t.Errorf("%d of %d guesses were compared with her password, want 100: then the way for strangers is closed", wrong, tried)
	}
	_, err := l.typed(t, "ann", oldPassword, false)
	wants(t, err, mfa.ErrRefused, mfa.ReasonMethodLocked)
}

// TestR24_KnownBrowserHasItsOwnCount: in a browser that is known wrong passwords are
// counted for that browser. After 20 in a row it is a stranger.
func TestR24_KnownBrowserHasItsOwnCount(t *testing.T) {
	l := withPassword(t)
	for n := range 20 {
		if _, err := l.typed(t, "ann", newPassword, true); !errors.Is(err, mfa.ErrRefused) {
			t.Fatalf("%d: %v", n, err)
		}
		l.Clock.Advance(time.Hour)
	}
	if wrong := l.account(t, "ann").Tries["password"].Wrong; wrong != 0 {
		t.Errorf("%d are counted for strangers", wrong)
	}
	s, err := l.typed(t, "ann", oldPassword, false)
	if err != nil || s.Pending == nil {
		t.Fatalf("another browser: %v", err)
	}
	l.typed(t, "ann", newPassword, true)
	if wrong := l.account(t, "ann").Tries["password"].Wrong; wrong != 1 {
		t.Errorf("%d are counted for strangers after the browser became one, want 1", wrong)
	}
}

// TestR24_SpellingsOfALogin: spellings of one login share its count.
func TestR24_SpellingsOfALogin(t *testing.T) {
	l := withPassword(t, func(c *mfa.Config) { c.Policy.Limits.PasswordsPerLogin = 10 })
	for i := range 10 {
		login := []string{"Nobody", " nobody", "NOBODY ", "nobody"}[i%4]
		_, err := l.stranger(t, login, newPassword)
		wants(t, err, mfa.ErrRefused, mfa.ReasonUserUnknown)
	}
	l.Users.Add(mfa.User{ID: "nobody"})
	if err := l.Guard.SetPassword(t.Context(), "nobody", oldPassword); err != nil {
		t.Fatal(err)
	}
	_, err := l.stranger(t, "nobody", oldPassword)
	wants(t, err, mfa.ErrRefused, mfa.ReasonMethodLocked)
}

// TestR23_SpacesAndUnicode: a password is what was typed: spaces count, and the two
// forms of an accent are one password. 64 emoji are a good one.
func TestR23_SpacesAndUnicode(t *testing.T) {
	l := withPassword(t)
	for name, c := range map[string]struct {
		set, typed string
		same       bool
	}{
		"NFC and NFD":   {"caf\u00e9 au lait noir", "cafe\u0301 au lait noir", true},
		"leading space": {" tramway moss 12", "tramway moss 12", false},
		"two spaces":    {"tramway  moss 1912", "tramway moss 1912", false},
		"case":          {"Tramway moss 1912", "tramway moss 1912", false},
		"64 emoji":      {emoji(), emoji(), true},
		"its beginning": {strings.Repeat("tram moss ", 8) + "1", strings.Repeat("tram moss ", 8), false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := l.Guard.SetPassword(t.Context(), "ann", c.set); err != nil {
				t.Fatalf("%v", err)
			}
			if _, err := l.typed(t, "ann", c.typed, false); (err == nil) != c.same {
				t.Errorf("%q after %q: %v", c.typed, c.set, err)
			}
		})
	}
}

// emoji returns 64 of them.
func emoji() string {
	var b strings.Builder
	for i := range rune(64) {
		b.WriteRune(0x1f300 + i*11)
	}
	return b.String()
}

// TestR25_LinkOnce: 32 requests race for one link, and one sets the password.
func TestR25_LinkOnce(t *testing.T) {
	l := withPassword(t)
	for range mfatest.Rounds(200) {
		token := l.link(t)
		l.Clock.Advance(time.Minute)
		var won atomic.Int32
		var group sync.WaitGroup
		for i := range 32 {
			group.Go(func() {
				err := l.Guard.ResetPassword(context.Background(), token, fmt.Sprintf("tramway-Moss-19%02d", i), mfatest.Phone())
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, mfa.ErrRefused) {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if won.Load() != 1 {
			t.Fatalf("%d of 32 set the password", won.Load())
		}
	}
}

// link has a link to a new password mailed and returns its token.
func (l *lab) link(t testing.TB) string {
	t.Helper()
	l.Inbox.Take()
	job, err := l.Guard.Recover(t.Context(), "ann", mfa.Client{})
	if err != nil {
		t.Fatal(err)
	}
	if err := job(t.Context()); err != nil {
		t.Fatal(err)
	}
	m := l.Inbox.Take()
	if len(m) != 1 {
		t.Fatalf("%d messages, want the link", len(m))
	}
	return m[0].Token()
}

// TestR25_LinkEnds: each way in which a link is over, at the limit and beyond.
func TestR25_LinkEnds(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, l *lab, token *string)
		why   mfa.Reason // "" for none
	}{
		{"at once", func(*testing.T, *lab, *string) {}, ""},
		{"a second before the hour", func(t *testing.T, l *lab, _ *string) { l.Clock.Advance(time.Hour - time.Second) }, ""},
		{"the hour", func(t *testing.T, l *lab, _ *string) { l.Clock.Advance(time.Hour) }, mfa.ReasonNotFound},
		{"another link is used", func(t *testing.T, l *lab, _ *string) {
			if err := l.Guard.ResetPassword(t.Context(), l.link(t), newPassword, mfa.Client{}); err != nil {
				t.Fatal(err)
			}
		}, mfa.ReasonNotFound},
		{"two more links", func(t *testing.T, l *lab, _ *string) { l.link(t); l.link(t) }, ""},
		{"another address", func(t *testing.T, l *lab, _ *string) {
			l.Users.Add(mfa.User{ID: "ann", Email: "mallory@example.org", EmailVerified: true})
		}, mfa.ReasonAddressChanged},
		{"disabled", func(t *testing.T, l *lab, _ *string) { l.Users.Add(mfa.User{ID: "ann", Disabled: true}) }, mfa.ReasonUserDisabled},
		{"deleted", func(t *testing.T, l *lab, _ *string) { l.Users.Remove("ann") }, mfa.ReasonUserUnknown},
		{"tampered", func(t *testing.T, l *lab, token *string) { *token = "AAAA" + (*token)[4:] }, mfa.ReasonUnknownKey},
		{"of another kind", func(t *testing.T, l *lab, token *string) { *token = l.session.Token() }, mfa.ReasonForgedToken},
		{"the password changed", func(t *testing.T, l *lab, _ *string) {
			if _, err := l.session.ChangePassword(t.Context(), oldPassword, newPassword); err != nil {
				t.Fatal(err)
			}
		}, mfa.ReasonNotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := withPassword(t)
			token := l.link(t)
			c.spoil(t, l, &token)
			err := l.Guard.ResetPassword(t.Context(), token, "another-Moss-2024", mfatest.Phone())
			if c.why == "" && err != nil {
				t.Errorf("%v (%s)", err, mfa.ReasonOf(err))
			} else if c.why != "" {
				wants(t, err, mfa.ErrRefused, c.why)
			}
		})
	}
}

// TestR25_Flood: a stranger asks for links as often as he likes. Three are alive at
// most, none is voided by a further request, and nobody is locked.
func TestR25_Flood(t *testing.T) {
	l := withPassword(t)
	first := l.link(t)
	for range 100 {
		job, err := l.Guard.Recover(t.Context(), "ann", mfa.Client{})
		if err != nil {
			t.Fatal(err)
		}
		if err := job(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(l.Inbox.Take()); n != 2 {
		t.Errorf("%d more links, want 2", n)
	}
	if err := l.Guard.ResetPassword(t.Context(), first, newPassword, mfatest.Phone()); err != nil {
		t.Errorf("the first link: %v", err)
	}
	network := mfatest.Phone()
	for n := range 31 {
		_, err := l.Guard.Recover(t.Context(), "ann", network)
		if throttled := errors.Is(err, mfa.ErrThrottled); throttled != (n == 30) {
			t.Errorf("request %d of a network: %v", n+1, err)
		}
	}
}

// TestR25_NothingToReset: no link goes to somebody without a password, without a
// known address, or disabled.
func TestR25_NothingToReset(t *testing.T) {
	l := withPassword(t)
	l.Users.Add(
		mfa.User{ID: "sso", Email: "sso@example.org", EmailVerified: true},
		mfa.User{ID: "unproven", Email: "unproven@example.org"}, mfa.User{ID: "nowhere"},
		mfa.User{ID: "off", Email: "off@example.org", EmailVerified: true, Disabled: true},
	)
	for _, user := range []string{"unproven", "nowhere", "off"} {
		if err := l.Guard.SetPassword(t.Context(), user, oldPassword); err != nil {
			t.Fatal(err)
		}
	}
	l.Inbox.Take()
	for _, login := range []string{"sso", "unproven", "nowhere", "off", "nobody", "", "\xff", strings.Repeat("a", 321)} {
		job, err := l.Guard.Recover(t.Context(), login, mfa.Client{})
		if err != nil {
			t.Fatal(err)
		}
		if err := job(t.Context()); err != nil {
			t.Errorf("%q: %v", login, err)
		}
	}
	if m := l.Inbox.Take(); len(m) != 0 {
		t.Errorf("mailed %v", m)
	}
}

// TestR22_EveryRequirement: a new password is refused with every requirement that it
// misses, everywhere that one is set.
func TestR22_EveryRequirement(t *testing.T) {
	l := withPassword(t, func(c *mfa.Config) {
		c.Policy.Password = mfa.PasswordPolicy{Min: 8, Upper: true, Digit: true, History: 2}
	})
	link := l.link(t)
	misses := func(err error, want ...mfa.Reason) {
		t.Helper()
		weak, ok := errors.AsType[*mfa.WeakPasswordError](err)
		if !ok || !errors.Is(err, mfa.ErrWeak) {
			t.Fatalf("%v, want *WeakPasswordError", err)
		}
		var got []mfa.Reason
		for _, r := range weak.Unmet {
			got = append(got, r.Reason)
		}
		if !slices.Equal(got, want) {
			t.Errorf("misses %v, want %v", got, want)
		}
	}
	short := []mfa.Reason{mfa.ReasonPasswordTooShort, mfa.ReasonPasswordNoUpper, mfa.ReasonPasswordNoDigit}
	misses(l.Guard.SetPassword(t.Context(), "ann", "vqzk"), short...)
	misses(l.Guard.ResetPassword(t.Context(), link, "vqzk", mfa.Client{}), short...)
	_, err := l.session.ChangePassword(t.Context(), oldPassword, "vqzk")
	misses(err, short...)
	_, err = l.session.ChangePassword(t.Context(), oldPassword, oldPassword)
	misses(err, mfa.ReasonPasswordReused)
	out, err := l.session.ChangePassword(t.Context(), oldPassword, newPassword)
	if err != nil {
		t.Fatal(err)
	}
	_, err = out.Session.ChangePassword(t.Context(), newPassword, oldPassword)
	misses(err, mfa.ReasonPasswordReused)
}

// TestR22_HistoryCounts: R22's history refuses as many of the last passwords as it
// says, the present one included, and the one before those is free again.
func TestR22_HistoryCounts(t *testing.T) {
	used := []string{"tramway-Moss-1", "quarry-Lamp-2", "violet-Dune-3", "harbor-Wick-4"} // the last is the present one
	for _, n := range []int{0, 1, 2, 3} {
		l := emptyLab(t, func(c *mfa.Config) { c.Policy.Password = mfa.PasswordPolicy{Min: 8, History: n} })
		for _, password := range used {
			if err := l.Guard.SetPassword(t.Context(), "ann", password); err != nil {
				t.Fatal(err)
			}
		}
		for i := range n {
			if err := l.Guard.SetPassword(t.Context(), "ann", used[len(used)-1-i]); !errors.Is(err, mfa.ErrWeak) {
				t.Errorf("History %d: the one %d before the present: %v", n, i, err)
			}
		}
		if err := l.Guard.SetPassword(t.Context(), "ann", used[len(used)-1-n]); err != nil {
			t.Errorf("History %d: the one %d before the present: %v", n, n, err)
		}
	}
}
