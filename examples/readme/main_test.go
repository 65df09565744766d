package main

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

func TestCodeIsAsked(t *testing.T) {
	kit := mfatest.New(t)
	kit.Users.Add(mfa.User{ID: "alice"})
	app, _, _ := kit.Enroll(t, "alice")

	pending, now := kit.SignIn(t, "alice").Pending, kit.Clock.Now()
	_, err := pending.Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: app.Wrong(now)})
	if !errors.Is(err, mfa.ErrRefused) {
		t.Errorf("a wrong code: %v", err)
	}
	out, err := pending.Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: app.Code(now)})
	if err != nil || out.Session == nil {
		t.Errorf("a right code: %v", err)
	}
}

// The README prints the program and the test above as they are here.
func TestReadme(t *testing.T) {
	readme := read(t, "../../README.md")
	_, program, _ := strings.Cut(read(t, "main.go"), "package main\n")
	_, test, _ := strings.Cut(read(t, "main_test.go"), "\nfunc TestCode")
	test, _, _ = strings.Cut(test, "\n}\n")
	for name, code := range map[string]string{
		"program": "```go\npackage main\n" + program + "```\n",
		"test":    "```go\nfunc TestCode" + test + "\n}\n```\n",
	} {
		if !strings.Contains(readme, code) {
			t.Errorf("README.md does not hold this %s:\n%s", name, code)
		}
	}
	if lines := strings.Count(test, "\n") + 2; lines > 16 {
		t.Errorf("the test has %d lines", lines)
	}
	for _, command := range []string{"go run ./examples/webapp", "go test work"} {
		if !strings.Contains(readme, "    "+command) {
			t.Errorf("README.md does not hold the command %s", command)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
