package mfa_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
)

// TestR30_BrowserClocks: a clock that is set back never makes a browser remembered for
// longer than the step, and one that was remembered by a clock ahead counts again
// only once the clock is there.
func TestR30_BrowserClocks(t *testing.T) {
	for _, c := range []struct {
		name string
		step time.Duration
		want bool
	}{
		{"as far as clocks differ", -time.Minute, true}, {"further", -time.Minute - time.Second, false}, {"a year back", -365 * 24 * time.Hour, false},
		{"forward", week - time.Second, true}, {"at the end", week, false}, {"a year forward", 365 * 24 * time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, b := browsing(t)
			since := l.Clock.Now().Add(-l.app.Period())
			l.Clock.Advance(since.Add(c.step).Sub(l.Clock.Now()))
			if got := b.skips(t); got != c.want {
				t.Errorf("skips %t, want %t", got, c.want)
			}
			l.Clock.Advance(since.Add(week - time.Second).Sub(l.Clock.Now()))
			if c.step > -24*time.Hour && c.step < 24*time.Hour {
				b.skipping(t, true)
			}
			l.Clock.Advance(time.Second)
			b.skipping(t, false)
		})
	}
	// What was ended stays ended.
	l, b := browsing(t)
	s := l.enter(t, l.right())
	if _, err := s.NewBackupCodes(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	l.Clock.Advance(-time.Hour)
	b.skipping(t, false)
}

// TestR24_KnownFor180Days: a browser is known for 180 days from when its token was
// given. Then a sign-in in it is one from a new device.
func TestR24_KnownFor180Days(t *testing.T) {
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{180*24*time.Hour - time.Second, 0}, {180 * 24 * time.Hour, 1}} {
		t.Run(c.after.String(), func(t *testing.T) {
			l := newLab(t)
			b := l.surf()
			since := l.Clock.Now()
			b.typed(t, l.right())
			l.Clock.Advance(since.Add(100 * 24 * time.Hour).Sub(l.Clock.Now()))
			b.typed(t, l.right())
			l.Clock.Advance(since.Add(c.after).Sub(l.Clock.Now()))
			l.Events.Take()
			b.typed(t, l.right())
			news := slices.DeleteFunc(names(l.Events.Take()), func(n mfa.EventName) bool { return n != mfa.EventNewDevice })
			if len(news) != c.want {
				t.Errorf("%d new devices, want %d", len(news), c.want)
			}
		})
	}
}

// TestRow_E6_LastUsed: the list says within a day when a browser was used, and at once
// where from. A sign-in in between does not write its record.
func TestRow_E6_LastUsed(t *testing.T) {
	for _, c := range []struct {
		name    string
		after   time.Duration
		addr    string
		written bool
	}{
		{"the same day", 24*time.Hour - time.Second, "192.0.2.1", false},
		{"a day later", 24 * time.Hour, "192.0.2.1", true},
		{"from another address", time.Minute, "198.51.100.9", true},
		{"the clock was set back", -time.Hour, "192.0.2.1", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			b := l.surf()
			list := browsers(t, b.typed(t, l.right()))
			was, version := list[0], l.version(t, list[0].ID)
			l.Clock.Advance(was.LastUsed.Add(c.after).Sub(l.Clock.Now()))
			b.client.Addr = netip.MustParseAddr(c.addr)
			want := was
			if c.written {
				want.LastUsed, want.Addr = l.Clock.Now(), c.addr
			}
			is := browsers(t, b.typed(t, l.backup(0)))[0]
			if !is.LastUsed.Equal(want.LastUsed) || is.Addr != want.Addr || (l.version(t, was.ID) != version) != c.written {
				t.Errorf("%+v, want %+v, written: %t", is, want, c.written)
			}
		})
	}
}

// version returns that of the record of ann's browser.
func (l *lab) version(t *testing.T, browser string) string {
	t.Helper()
	records, err := l.Config.Store.Get(t.Context(), mfa.Key{Owner: "u/ann", Kind: "browser", ID: browser})
	if err != nil {
		t.Fatal(err)
	}
	return records[0].Version
}

// TestR24_KnownSkipsNothing: a browser that is known and not remembered is asked.
func TestR24_KnownSkipsNothing(t *testing.T) {
	l := newLab(t, postal)
	b := l.surf()
	b.typed(t, l.right())
	b.skipping(t, false)
	l.Clock.Advance(time.Hour)
	l.change(t, "ann", func(d *mfa.AccountData) { d.Ask = false })
	out, err := b.arrive(t, "ann")
	if err != nil || out.Session == nil || out.Session.Assurance().Remembered != (mfa.Proven{}) {
		t.Errorf("nothing is asked: %v, %+v", err, out.Session)
	}
}

// TestR29_NewDeviceOnce: a sign-in in a browser that was not seen before is told once,
// the first ever is not, and nothing but the end of everything makes one new again.
func TestR29_NewDeviceOnce(t *testing.T) {
	l := emptyLab(t)
	var told []int
	count := func() {
		told = append(told, len(slices.DeleteFunc(names(l.Events.Take()), func(n mfa.EventName) bool { return n != mfa.EventNewDevice })))
	}
	var err error
	l.app, l.session, l.codes = l.Enroll(t, "ann") // the first ever
	count()
	b := l.surf()
	b.typed(t, l.right()) // another
	count()
	b.typed(t, l.right())
	count()
	s := b.typed(t, l.right())
	for range 60 { // no crowd in the history hides it
		if err = s.RenameTOTP(t.Context(), l.account(t, "ann").TOTP[0].ID, "x"); err != nil {
			t.Fatal(err)
		}
	}
	l.surf().typed(t, l.right())
	count()
	if err := l.Guard.Operator("desk", "").EndSessions(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	b.typed(t, l.right())
	count()
	if err := l.Guard.Operator("desk", "").Reset(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	l.app, l.session, l.codes = l.Enroll(t, "ann")
	count()
	if want := []int{0, 1, 0, 1, 1, 1}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}
