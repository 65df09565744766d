package mfanotify_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfanotify"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestRow_B5_SignIn signs in with a code that the library made and a gateway got.
func TestRow_B5_SignIn(t *testing.T) {
	g := newGateway(t, accept)
	queue := newQueue(t, mfanotify.QueueConfig{Notifier: mfanotify.ByChannel{Mail: &carrier{}, SMS: newFormPost(t, g.URL)}})
	kit := mfatest.New(t, func(c *mfa.Config) {
		c.Policy.Rules.Methods, c.Notifier = []mfa.Method{mfa.TOTP, mfa.SMSCode}, queue
	})
	kit.Users.Add(mfa.User{ID: "alice", Phone: "+351912345678", PhoneVerified: true, Locale: "de"})
	if err := kit.SignIn(t, "alice").Session.SetMethod(t.Context(), mfa.SMSCode, true); err != nil {
		t.Fatal(err)
	}
	out := kit.SignIn(t, "alice")
	if _, err := out.Pending.Send(t.Context(), mfa.SMSCode); err != nil {
		t.Fatal(err)
	}
	posts := g.seen()
	if len(posts) != 1 { // the notice that a factor was added waits for Run
		t.Fatalf("%d posts", len(posts))
	}
	body := posts[0].form.Get("Body")
	code := regexp.MustCompile(`^(\d{6}) ist Ihr Code für Example, gilt 10 Min\.`).FindStringSubmatch(body)
	if code == nil || posts[0].form.Get("To") != "+351912345678" {
		t.Fatalf("%q", posts[0].form)
	}
	out, err := out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.SMSCode, Code: code[1]})
	if err != nil || out.Session == nil {
		t.Errorf("%v (%s)", err, fmt.Sprint(mfa.ReasonOf(err)))
	}
}
