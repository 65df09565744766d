package mfa_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// browsers returns what the page of a session shows, newest first.
func browsers(t testing.TB, s *mfa.Session) []mfa.BrowserInfo {
	t.Helper()
	o, err := s.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return o.Browsers
}

// remembered returns the ids of those that are remembered.
func remembered(list []mfa.BrowserInfo) []string {
	var ids []string
	for _, b := range list {
		if !b.Remembered.IsZero() {
			ids = append(ids, b.ID)
		}
	}
	return ids
}

// TestRow_E6_ListedAndRevoked: remembered browsers are listed with device, place and
// times, revoked one by one, and all die with a change of what the user holds.
func TestRow_E6_ListedAndRevoked(t *testing.T) {
	l := newLab(t, postal, func(c *mfa.Config) { c.Locator = everywhere{} })
	laptop, phone := l.surf(), l.surf()
	phone.client = mfatest.Phone()
	laptop.remember(t)
	at := l.Clock.Now()
	s := phone.remember(t)
	l.Clock.Advance(time.Hour)
	phone.skipping(t, true)
	list := browsers(t, s)
	want := mfa.BrowserInfo{
		ID: list[0].ID, Device: "Safari on iPhone", Addr: "198.51.100.7", Place: "Lisbon, Portugal", Added: at, LastUsed: at, Remembered: at.Add(week),
	}
	if len(list) != 3 || list[0] != want || list[1].Device != "Firefox on Linux" || len(remembered(list)) != 2 {
		t.Fatalf("listed %+v, want first %+v", list, want)
	}
	l.Events.Take()
	if err := s.ForgetBrowsers(t.Context(), list[1].ID, "none", ""); err != nil {
		t.Fatal(err)
	}
	l.told(t, mfa.EventBrowsersForgotten)
	laptop.skipping(t, false)
	phone.skipping(t, true)
	if left := browsers(t, s); len(left) != 2 || !slices.Equal(remembered(left), []string{list[0].ID}) {
		t.Errorf("left %+v", left)
	}
	l.Events.Take()
	if err := s.ForgetBrowsers(t.Context(), list[1].ID); err != nil { // done already
		t.Fatal(err)
	}
	l.told(t)
	fresh := l.elevate(t, s, mfa.ToConfirm("codes"), l.right()).Session
	if _, err := fresh.NewBackupCodes(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	phone.skipping(t, false)
	if left := browsers(t, fresh); len(left) != 2 || len(remembered(left)) != 0 {
		t.Errorf("left %+v: known, and not remembered", left)
	}
}

// TestRow_A5_Place: sessions are listed with the approximate place of their
// addresses, and with none where the Locator knows none or answers what breaks a
// page.
func TestRow_A5_Place(t *testing.T) {
	for _, c := range []struct{ name, says, want string }{
		{"known", "Lisbon, Portugal", "Lisbon, Portugal"}, {"unknown", "", ""},
		{"64", strings.Repeat("é", 64), strings.Repeat("é", 64)}, {"65", strings.Repeat("é", 65), ""},
		{"a line", "Lisbon\nBcc: all@example.org", ""}, {"turned", "Lisbon\u202e", ""}, {"no text", "Lisbon\xff", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, func(cfg *mfa.Config) { cfg.Locator = says(c.says) })
			o, err := l.session.Overview(t.Context())
			if err != nil || o.Sessions[0].Place != c.want || o.Browsers[0].Place != c.want || o.Sessions[0].Addr != "192.0.2.1" {
				t.Errorf("%+v and %+v, %v, want %q", o.Sessions[0], o.Browsers[0], err, c.want)
			}
		})
	}
}

// ok ends the test with an error.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
}

// bindSecond binds another app in s, which has just proven the first.
func (l *lab) bindSecond(t testing.TB, s *mfa.Session) *mfa.Session {
	t.Helper()
	out, err := s.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), "")
	ok(t, err)
	setup, err := out.Pending.StartTOTP(t.Context(), "second")
	ok(t, err)
	app, err := mfatest.NewAuthenticator(setup.URI())
	ok(t, err)
	out, err = out.Pending.ConfirmTOTP(t.Context(), app.Code(l.Clock.Now()))
	ok(t, err)
	return out.Session
}

// changed are the changes after which no browser is remembered.
func changed() map[string]func(t *testing.T, l *lab, fresh *mfa.Session) {
	return map[string]func(t *testing.T, l *lab, s *mfa.Session){
		"second app": func(t *testing.T, l *lab, s *mfa.Session) { l.bindSecond(t, s) },
		"an app removed": func(t *testing.T, l *lab, s *mfa.Session) {
			b := l.surf()
			s = l.bindSecond(t, s)
			b.remember(t) // or the second app would have ended it
			ok(t, s.RemoveTOTP(t.Context(), l.account(t, "ann").TOTP[1].ID))
			b.skipping(t, false)
		},
		"mail on": func(t *testing.T, l *lab, s *mfa.Session) { ok(t, s.SetMethod(t.Context(), mfa.EmailCode, true)) },
		"mail off": func(t *testing.T, l *lab, s *mfa.Session) {
			ok(t, s.SetMethod(t.Context(), mfa.EmailCode, true))
			b := l.surf()
			b.remember(t)
			ok(t, s.SetMethod(t.Context(), mfa.EmailCode, false))
			b.skipping(t, false)
		},
		"text messages off": func(t *testing.T, l *lab, s *mfa.Session) { ok(t, s.SetMethod(t.Context(), mfa.SMSCode, false)) },
		"text messages used first": func(t *testing.T, l *lab, s *mfa.Session) {
			l.Clock.Advance(6 * time.Minute)
			out, err := s.StepUp(t.Context(), mfa.ToConfirm("pay"), "")
			ok(t, err)
			_, err = out.Pending.Send(t.Context(), mfa.SMSCode)
			ok(t, err)
			_, err = out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.SMSCode, Code: l.Inbox.Code(t, "+351912345678")})
			ok(t, err)
		},
		"new codes": func(t *testing.T, l *lab, s *mfa.Session) {
			_, err := s.NewBackupCodes(t.Context(), "")
			ok(t, err)
		},
		"the switch": func(t *testing.T, l *lab, s *mfa.Session) {
			ok(t, s.SetAskAtSignIn(t.Context(), false))
			ok(t, s.SetAskAtSignIn(t.Context(), true))
		},
		"reset": func(t *testing.T, l *lab, s *mfa.Session) {
			account := l.account(t, "ann")
			ok(t, l.Guard.Operator("desk", "").Reset(t.Context(), "ann"))
			l.change(t, "ann", func(d *mfa.AccountData) { d.TOTP, d.Ask, d.MustEnroll = account.TOTP, true, false })
		},
		"password": func(t *testing.T, l *lab, _ *mfa.Session) { ok(t, l.Guard.CredentialsChanged(t.Context(), "ann")) },
		"disabled and enabled": func(t *testing.T, l *lab, _ *mfa.Session) {
			ok(t, l.Guard.Disable(t.Context(), "ann"))
			ok(t, l.Guard.Enable(t.Context(), "ann"))
		},
		"sessions ended": func(t *testing.T, l *lab, _ *mfa.Session) {
			ok(t, l.Guard.Operator("desk", "").EndSessions(t.Context(), "ann"))
		},
	}
}

// TestR16_EndedByAnyChange: R16 ends remembered browsers with every change of what
// the user holds, and with all that ends everything of hers.
func TestR16_EndedByAnyChange(t *testing.T) {
	for name, change := range changed() {
		t.Run(name, func(t *testing.T) {
			l, b := browsing(t)
			l.Users.Add(mfa.User{ID: "ann", Email: "ann@example.org", EmailVerified: true, Phone: "+351912345678", PhoneVerified: true})
			fresh := l.enter(t, l.right())
			b.skipping(t, true)
			change(t, l, fresh)
			b.skipping(t, false)
		})
	}
}

// TestR16_NotEndedByLess: what changes nothing of what she holds leaves a browser
// remembered.
func TestR16_NotEndedByLess(t *testing.T) {
	l, b := browsing(t)
	s := l.enter(t, l.right())
	for name, err := range map[string]error{
		"rename": s.RenameTOTP(t.Context(), l.account(t, "ann").TOTP[0].ID, "x"), "same switch": s.SetAskAtSignIn(t.Context(), true),
		"revoke": s.Revoke(t.Context(), "none"), "unlock": l.Guard.Operator("desk", "").Unlock(t.Context(), "ann"), "reseal": l.Guard.Reseal(t.Context(), "ann"),
		"forget none": s.ForgetBrowsers(t.Context()), "sign out": s.SignOut(t.Context()),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.skipping(t, true)
}

// TestR16_RevokeOthersForgets: who puts everybody else out puts out whoever has a
// remembered browser of hers too.
func TestR16_RevokeOthersForgets(t *testing.T) {
	l, b := browsing(t)
	if err := l.enter(t, l.right()).RevokeOthers(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.skipping(t, false)
}

// TestR16_RevokeForgets: so does who puts one other browser out.
func TestR16_RevokeForgets(t *testing.T) {
	l, b := browsing(t)
	thief := l.enter(t, l.right())
	l.Clock.Advance(l.app.Period())
	if err := l.enter(t, l.right()).Revoke(t.Context(), thief.ID()); err != nil {
		t.Fatal(err)
	}
	b.skipping(t, false)
}

// TestR16_AnotherBrowserIsNews: R29: the token of a known browser in another one is
// told like a new device: it may be stolen.
func TestR16_AnotherBrowserIsNews(t *testing.T) {
	l := newLab(t)
	in := mfa.SignIn{User: "ann", First: mfa.PasswordFirst(), Client: mfatest.Phone(), Browsers: l.Browsers("ann")}
	out, err := l.Guard.SignIn(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	l.Events.Take()
	if _, err := out.Pending.Verify(t.Context(), l.right()); err != nil {
		t.Fatal(err)
	}
	if got := names(l.Events.Take()); !slices.Contains(got, mfa.EventNewDevice) {
		t.Errorf("told %v", got)
	}
}

// TestR12_LastFactorEndsBrowsers: with the last factor go the remembered browsers. One
// that is bound later is asked for in all of them.
func TestR12_LastFactorEndsBrowsers(t *testing.T) {
	l, b := browsing(t)
	s := l.enter(t, l.right())
	if err := s.RemoveTOTP(t.Context(), l.account(t, "ann").TOTP[0].ID); err != nil {
		t.Fatal(err)
	}
	if list := browsers(t, s); len(list) == 0 || len(remembered(list)) != 0 {
		t.Errorf("%+v", list)
	}
	l.app, _, _ = l.Enroll(t, "ann")
	b.skipping(t, false)
}

// TestR16_ForgottenUser: nothing of a user who was deleted is left, nor comes back
// with her id.
func TestR16_ForgottenUser(t *testing.T) {
	l, b := browsing(t)
	if err := l.Guard.Forget(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	if n := l.kinds(t, mfa.BrowserKind); n != 0 {
		t.Errorf("%d browsers are left", n)
	}
	l.Clock.Advance(31 * 24 * time.Hour)
	l.app, _, _ = l.Enroll(t, "ann")
	b.skipping(t, false)
}

// TestR16_ElevenBrowsers: the eleventh ends the oldest, and no other.
func TestR16_ElevenBrowsers(t *testing.T) {
	l := newLab(t, postal) // her first is known
	s := l.session
	var all []*surfer
	for range 9 {
		all = append(all, l.surf())
		all[len(all)-1].remember(t)
	}
	if n := l.kinds(t, mfa.BrowserKind); n != 10 {
		t.Fatalf("%d browsers, want 10", n)
	}
	for n := 10; n <= 12; n++ {
		all = append(all, l.surf())
		s = all[n-1].remember(t)
		if n := l.kinds(t, mfa.BrowserKind); n != 10 {
			t.Fatalf("%d browsers, want 10", n)
		}
	}
	if ids := remembered(browsers(t, s)); len(ids) != 10 {
		t.Errorf("%d are remembered", len(ids))
	}
	for i, b := range all[2:] {
		if !b.skips(t) {
			t.Errorf("browser %d is not remembered", i+2)
		}
	}
	all[0].skipping(t, false)
	all[1].skipping(t, false)
}

// TestR16_NotBefore: after a restore or a leak nothing counts that was issued before:
// no browser is remembered or known.
func TestR16_NotBefore(t *testing.T) {
	l, b := browsing(t)
	issued := l.Clock.Now().Add(-l.app.Period())
	l.under(t, func(c *mfa.Config) { c.NotBefore = issued })
	b.skipping(t, true)
	l.under(t, func(c *mfa.Config) { c.NotBefore = issued.Add(time.Second) })
	b.skipping(t, false)
	l.Events.Take()
	s := b.typed(t, l.right())
	if got := names(l.Events.Take()); !slices.Contains(got, mfa.EventNewDevice) {
		t.Errorf("events %q: a browser that may be anybody's is known", got)
	}
	if list := browsers(t, s); len(list) != 1 {
		t.Errorf("%+v are listed", list)
	}
	b.remember(t)
	b.skipping(t, true)
}

// TestR26_BrowserOfDroppedKey: a browser whose key is gone is not remembered, and the
// user is asked as anywhere else. Until the key is back nothing of it is lost, unless
// a change ends what is remembered: it ends what cannot be read as well.
func TestR26_BrowserOfDroppedKey(t *testing.T) {
	for _, change := range []bool{false, true} {
		t.Run(fmt.Sprint("change ", change), func(t *testing.T) {
			older, newer := mfa.NewKey(), mfa.NewKey()
			l, b := browsing(t, func(c *mfa.Config) { c.Keys = parseKeys(t, older) })
			old := l.browserRecord(t, b)
			withKeys(t, l.Kit, newer+" "+older)
			if err := l.Guard.Reseal(t.Context(), "ann"); err != nil {
				t.Fatal(err)
			}
			b.skipping(t, true)
			overwrite(t, l.Config.Store, old) // written by a process without the new key
			b.skipping(t, true)
			overwrite(t, l.Config.Store, old)
			withKeys(t, l.Kit, newer)
			was := b.tokens["ann"]
			s := b.typed(t, l.right())
			if change {
				if _, err := s.NewBackupCodes(t.Context(), ""); err != nil {
					t.Fatal(err)
				}
			}
			withKeys(t, l.Kit, newer+" "+older)
			b.tokens["ann"] = was
			b.skipping(t, !change)
		})
	}
}

// browserRecord is what is stored of a browser of ann's.
func (l *lab) browserRecord(t testing.TB, b *surfer) mfa.Record {
	t.Helper()
	o, err := l.Guard.SignIn(t.Context(), mfa.SignIn{User: "ann", First: mfa.PasswordFirst(), Client: b.client, Browsers: []string{b.tokens["ann"]}})
	if err != nil || o.Session == nil {
		t.Fatalf("not remembered: %v", err)
	}
	list := browsers(t, o.Session)
	i := slices.IndexFunc(list, func(b mfa.BrowserInfo) bool { return !b.Remembered.IsZero() })
	records, err := l.Config.Store.Get(t.Context(), mfa.Key{Owner: "u/ann", Kind: mfa.BrowserKind, ID: list[i].ID})
	if err != nil || records[0].Version == "" {
		t.Fatalf("no record: %v", err)
	}
	return records[0]
}

// TestR16_BrokenRecord: whoever writes the table makes no browser remembered. A record
// that cannot be trusted is one that is not there, is left alone, and keeps nobody
// out.
func TestR16_BrokenRecord(t *testing.T) {
	v := newVictim(t)
	for _, d := range damages(t, v) {
		if d.name == "moved from another user" {
			continue // bob's browser has a secret of its own: TestR16_MovedRecord
		}
		t.Run(d.name, func(t *testing.T) {
			l, b := browsing(t, func(c *mfa.Config) { c.Keys = v.Config.Keys })
			good := l.browserRecord(t, b)
			bad := d.change(good)
			if bad.Version == "" {
				return // absent
			}
			table := &doctored{Store: l.Config.Store, kind: mfa.BrowserKind, change: func(r mfa.Record) mfa.Record {
				if r.ID == good.ID {
					return d.change(r)
				}
				return r
			}}
			l.under(t, func(c *mfa.Config) { c.Store = table })
			token := b.tokens["ann"]
			b.skipping(t, false)
			b.typed(t, l.right())
			b.tokens["ann"] = token
			b.skipping(t, false)
			table.change = nil
			b.skipping(t, true)
		})
	}
}

// TestR16_MovedRecord: a record under another id or of another user is none, though
// its token be right.
func TestR16_MovedRecord(t *testing.T) {
	l, b := browsing(t)
	good := l.browserRecord(t, b)
	other := l.surf()
	other.typed(t, l.right())
	for _, r := range recordsOf(t, l.Config.Store, "ann") {
		if r.Kind == mfa.BrowserKind && r.ID != good.ID {
			moved := good
			moved.ID = r.ID
			overwrite(t, l.Config.Store, moved)
		}
	}
	other.skipping(t, false)
	b.skipping(t, true)
}

// TestR16_SecretIsCompared: the id of a browser is shown on pages and is no proof: what
// counts is the secret in the token.
func TestR16_SecretIsCompared(t *testing.T) {
	l, b := browsing(t)
	r := l.browserRecord(t, b)
	alter(t, &r, func(d *mfa.BrowserData) { d.Secret[0] ^= 1 })
	overwrite(t, l.Config.Store, mfa.SignRecord(l.Guard, r))
	b.skipping(t, false)
}
