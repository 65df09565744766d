package smtpnotify_test

import (
	"context"
	"regexp"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfanotify"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestRow_A3_A4_SignIn turns codes by mail on, signs in with one that the library
// made and a server delivered, turns them off, and reads the notices of both (A4,
// E7).
func TestRow_A3_A4_SignIn(t *testing.T) {
	s := start(t, false)
	queue, err := mfanotify.NewQueue(mfanotify.QueueConfig{Notifier: notifier(t, s)})
	if err != nil {
		t.Fatal(err)
	}
	kit := mfatest.New(t, func(c *mfa.Config) {
		c.Policy.Rules.Methods, c.Notifier = []mfa.Method{mfa.TOTP, mfa.EmailCode}, queue
	})
	kit.Users.Add(mfa.User{ID: "alice", Email: "alice@example.org", EmailVerified: true})
	if err := kit.SignIn(t, "alice").Session.SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
		t.Fatal(err)
	}
	out := kit.SignIn(t, "alice")
	if _, err := out.Pending.Send(t.Context(), mfa.EmailCode); err != nil {
		t.Fatal(err)
	}
	if len(s.seen()) != 1 {
		t.Fatalf("%d mails before Run", len(s.seen()))
	}
	_, parts := parse(t, s.seen()[0].data)
	code := regexp.MustCompile(`\n    (\d{6})\r\n`).FindStringSubmatch(parts[0].text)
	if code == nil {
		t.Fatalf("no code in\n%s", parts[0].text)
	}
	out, err = out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.EmailCode, Code: code[1]})
	if err != nil || out.Session == nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}
	if err := out.Session.SetMethod(t.Context(), mfa.EmailCode, false); err != nil {
		t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := queue.Run(ctx); err != nil {
		t.Fatal(err)
	}
	subjects := map[string]bool{}
	for _, m := range s.seen()[1:] {
		header, _ := parse(t, m.data)
		subjects[decoded(t, header.Get("Subject"))] = true
	}
	for _, want := range []string{"A way to verify was added to your Acmé account", "A way to verify was removed from your Acmé account"} {
		if !subjects[want] {
			t.Errorf("no %q among %v", want, subjects)
		}
	}
}
