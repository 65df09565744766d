package mfa_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// against goes through every order of the store calls of a sign-in in a remembered
// browser and of something that ends it. A session that began spared the factor did so
// before the end was done, and none does after it.
func against(t *testing.T, end func(ctx context.Context, l *lab, s *mfa.Session) error, after func(t *testing.T, l *lab, b *surfer)) {
	t.Helper()
	spared, asked := 0, 0
	n := mfatest.Schedules(t, func(wrap func(mfa.Store) mfa.Store) mfatest.Race {
		order := []string{}
		l, b := browsing(t, func(c *mfa.Config) { c.Store = wrap(c.Store) })
		s := l.enter(t, l.right())
		l.Config.OnEvent = func(_ context.Context, e mfa.Event) { order = append(order, string(e.Name)) }
		l.under(t, func(*mfa.Config) {})
		s, err := l.Guard.Session(t.Context(), s.Token(), mfatest.Laptop())
		if err != nil {
			t.Fatal(err)
		}
		var out mfa.Outcome
		var signErr, endErr error
		return mfatest.Race{
			A: func(ctx context.Context) {
				out, signErr = l.Guard.SignIn(ctx, mfa.SignIn{
					User: "ann", First: mfa.PasswordFirst(), Client: mfatest.Laptop(), Browsers: []string{b.tokens["ann"]},
				})
			},
			B: func(ctx context.Context) {
				endErr = end(ctx, l, s)
			},
			Check: func(schedule string) {
				if signErr != nil || endErr != nil {
					t.Errorf("%v and %v", signErr, endErr)
				}
				if out.Session != nil && out.Session.Assurance().Remembered.Method != 0 {
					spared++
					if i := index(order, "signed_in"); i > index(order, "browsers_forgotten") {
						t.Errorf("spared after the end: %v", order)
					}
				} else {
					asked++
				}
				after(t, l, b)
			},
		}
	})
	t.Logf("%d schedules: %d spared, %d asked", n, spared, asked)
	if spared == 0 || asked == 0 {
		t.Error("the schedules do not show both")
	}
}

// index returns where name is, beyond the end when it is nowhere.
func index(list []string, name string) int {
	for i, s := range list {
		if s == name {
			return i
		}
	}
	return len(list)
}

// TestR16_ForgetSchedules: a browser that was forgotten spares nothing from that commit
// on.
func TestR16_ForgetSchedules(t *testing.T) {
	against(t, func(ctx context.Context, _ *lab, s *mfa.Session) error {
		o, err := s.Overview(ctx)
		if err != nil {
			return err
		}
		return s.ForgetBrowsers(ctx, remembered(o.Browsers)...)
	}, func(t *testing.T, l *lab, b *surfer) { b.skipping(t, false) })
}

// TestR16_RemoveSchedules: nor does a browser that was remembered for an app which is
// removed, though another is held.
func TestR16_RemoveSchedules(t *testing.T) {
	against(t, func(ctx context.Context, l *lab, s *mfa.Session) error {
		return s.RemoveTOTP(ctx, l.account(t, "ann").TOTP[0].ID)
	}, func(t *testing.T, l *lab, b *surfer) {
		if d := l.account(t, "ann"); len(d.TOTP) != 0 || d.Ask {
			t.Errorf("%+v", d)
		}
		l.app, _, _ = l.Enroll(t, "ann")
		b.skipping(t, false)
	})
}

// TestR16_ManySignInsAtOnce: 32 sign-ins of one remembered browser at once are 32
// sessions or refusals to try again, one browser, and no news.
func TestR16_ManySignInsAtOnce(t *testing.T) {
	l, b := browsing(t)
	list := l.kinds(t, mfa.BrowserKind)
	l.Events.Take()
	var wg sync.WaitGroup
	var mu sync.Mutex
	sessions := 0
	for range 32 {
		wg.Go(func() {
			for {
				out, err := l.Guard.SignIn(t.Context(), mfa.SignIn{User: "ann", First: mfa.PasswordFirst(), Browsers: []string{b.tokens["ann"]}})
				if mfa.ReasonOf(err) == mfa.ReasonBusy {
					continue
				}
				mu.Lock()
				if err != nil || out.Session == nil || out.Browser() != "" {
					t.Errorf("%v (%s), session %t, a new token %t", err, mfa.ReasonOf(err), out.Session != nil, out.Browser() != "")
				}
				sessions++
				mu.Unlock()
				return
			}
		})
	}
	wg.Wait()
	if n := l.kinds(t, mfa.BrowserKind); n != list || sessions != 32 || l.kinds(t, mfa.SessionKind) != 20 {
		t.Errorf("%d browsers, %d sign-ins, %d sessions, want %d, 32 and 20", n, sessions, l.kinds(t, mfa.SessionKind), list)
	}
	for _, e := range l.Events.Take() {
		if e.Name == mfa.EventNewDevice || e.Name == mfa.EventBrowserRemembered {
			t.Errorf("%+v", e)
		}
	}
}

// TestR16_ForgottenMeanwhile: a flow that began in a browser which is forgotten before
// its code is typed leads to a new one: it is told, and the old token is worth nothing.
func TestR16_ForgottenMeanwhile(t *testing.T) {
	l := newLab(t, postal)
	b := l.surf()
	b.typed(t, l.right())
	s := l.enter(t, l.right())
	old := b.tokens["ann"]
	out, err := b.arrive(t, "ann")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.ForgetBrowsers(t.Context(), browsers(t, s)[0].ID); err != nil {
		t.Fatal(err)
	}
	l.Events.Take()
	pr := l.right()
	pr.Remember = true
	if out, err = out.Pending.Verify(t.Context(), pr); err != nil || out.Browser() == "" || out.Browser() == old {
		t.Fatalf("%v, a new token %t", err, out.Browser() != old)
	}
	l.told(t, mfa.EventNewDevice, mfa.EventBrowserRemembered, mfa.EventSignedIn)
	b.tokens["ann"] = old
	b.skipping(t, false)
	b.tokens["ann"] = out.Browser()
	b.skipping(t, true)
}

// TestLimits_FullUser: a user with all that a user may have, 20 sessions, 16 flows, 10
// browsers, can be changed and ended in one commit, and what cannot be read besides
// keeps nobody from ending everything.
func TestLimits_FullUser(t *testing.T) {
	for name, do := range map[string]func(ctx context.Context, l *lab) error{
		"reset":    func(ctx context.Context, l *lab) error { return l.Guard.Operator("desk", "").Reset(ctx, "ann") },
		"password": func(ctx context.Context, l *lab) error { return l.Guard.CredentialsChanged(ctx, "ann") },
		"disable":  func(ctx context.Context, l *lab) error { return l.Guard.Disable(ctx, "ann") },
		"forget":   func(ctx context.Context, l *lab) error { return l.Guard.Forget(ctx, "ann") },
	} {
		for _, more := range []int{0, 16, 17, 90} { // 47 records are hers, the account included, and the history is sometimes written
			l := fullLab(t, more)
			l.tally.take()
			if err := do(t.Context(), l); err != nil {
				t.Errorf("%s with %d more: %v (%s)", name, more, err, mfa.ReasonOf(err))
			}
			if n := l.kinds(t, mfa.SessionKind) + l.kinds(t, mfa.PendingKind) + l.kinds(t, mfa.BrowserKind); n != 0 {
				t.Errorf("%s with %d more: %d are left", name, more, n)
			}
			commits := l.tally.take()
			hers := 47
			if slices.ContainsFunc(slices.Concat(commits...), func(w mfa.Write) bool { return w.Kind == "history" }) {
				hers++
			}
			if n := len(commits); n != 1+(hers+more-1)/64 {
				t.Errorf("%s with %d more: %d commits of %d records", name, more, n, hers+more)
			}
		}
	}
	l := fullLab(t, 0)
	s := l.surf().remember(t) // the eleventh browser and the 21st session
	if err := s.SetAskAtSignIn(t.Context(), false); err != nil {
		t.Error(err)
	}
	if err := l.Guard.Reseal(t.Context(), "ann"); err != nil {
		t.Error(err)
	}
	l = fullLab(t, 90)
	s = l.surf().typed(t, l.right())
	if err := s.SetAskAtSignIn(t.Context(), false); !errors.Is(err, mfa.ErrUnavailable) {
		t.Errorf("%v: more cannot be ended in one commit, and leaving some is no change", err)
	}
	if err := s.RevokeOthers(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.SetAskAtSignIn(t.Context(), false); err != nil {
		t.Error(err)
	}
}

// fullLab returns a lab in which ann has all that, and more records that cannot be read.
func fullLab(t *testing.T, more int) *lab {
	l := newLab(t, postal)
	for range 10 {
		l.surf().remember(t)
	}
	for range 10 {
		l.surf().typed(t, l.right()) // ends the oldest ten, one each
	}
	for range 16 {
		l.flow(t)
	}
	if s, p, b := l.kinds(t, mfa.SessionKind), l.kinds(t, mfa.PendingKind), l.kinds(t, mfa.BrowserKind); s != 20 || p != 16 || b != 10 {
		t.Fatalf("%d sessions, %d flows, %d browsers", s, p, b)
	}
	stranger := newKeyKit(t, mfa.NewKey())
	for n := range more {
		r := mfa.Record{
			Key: mfa.Key{Owner: "u/ann", Kind: mfa.BrowserKind, ID: unreadableID(n)}, Data: []byte(`{"v":1}`), Expires: l.Clock.Now().Add(time.Hour),
		}
		overwrite(t, l.Config.Store, mfa.SignRecord(stranger.Guard, r))
	}
	return l
}

// unreadableID returns the n-th of ids that no token has.
func unreadableID(n int) string {
	return "unreadable-" + string(rune('A'+n%26)) + string(rune('a'+n/26))
}

// TestR28_MoreThanACommit: what takes several commits, because somebody put rows
// back, is entered once, with the first, and not done before the last, whichever of
// them the store does not answer.
func TestR28_MoreThanACommit(t *testing.T) {
	for name, do := range map[string]func(context.Context, *mfa.Guard) error{
		"reset":    func(ctx context.Context, g *mfa.Guard) error { return g.Operator("ops", "").Reset(ctx, "ann") },
		"sessions": func(ctx context.Context, g *mfa.Guard) error { return g.Operator("ops", "").EndSessions(ctx, "ann") },
		"changed":  func(ctx context.Context, g *mfa.Guard) error { return g.CredentialsChanged(ctx, "ann") },
		"disable":  func(ctx context.Context, g *mfa.Guard) error { return g.Disable(ctx, "ann") },
	} {
		for _, fault := range []mfatest.Fault{mfatest.FaultAfter, mfatest.FaultConflict} {
			for n := 1; n <= 4; n++ {
				l := fullLab(t, 90)
				was := len(l.activity(t))
				store := mfatest.FailCommit(l.Config.Store, n, fault)
				l.under(t, func(c *mfa.Config) { c.Store = store })
				l.Events.Take()
				if err := do(t.Context(), l.Guard); err != nil || store.Fired() != (n < 4) {
					t.Fatalf("%s, commit %d: fault %t, %v", name, n, store.Fired(), err)
				}
				if left := l.kinds(t, mfa.SessionKind) + l.kinds(t, mfa.PendingKind) + l.kinds(t, mfa.BrowserKind); left != 0 {
					t.Errorf("%s, commit %d fails (%v): %d are left", name, n, fault, left)
				}
				if now, told := l.activity(t), len(l.Events.Take()); len(now) != was+1 || told != 1 {
					t.Errorf("%s, commit %d fails (%v): %d entries, %d events", name, n, fault, len(now)-was, told)
				}
			}
		}
	}
}

// activity returns the entries of ann, oldest first.
func (l *lab) activity(t *testing.T) []mfa.HistoryEntry {
	t.Helper()
	past, recent := recordOf(t, l.Config.Store, "ann", "history"), recordOf(t, l.Config.Store, "ann", "account")
	return append(l.entries(t, past), l.entries(t, recent)...)
}
