package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

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

// With the program as it is printed, a user signs in: with her password, an app that
// she sets up, and her backup codes saved.
func TestSignIn(t *testing.T) {
	server := httptest.NewServer(handler(t.Context()))
	defer server.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := server.Client()
	client.Jar = jar
	client.CheckRedirect = func(next *http.Request, _ []*http.Request) error {
		if next.URL.Scheme == "otpauth" { // a phone would open the app
			return http.ErrUseLastResponse
		}
		return nil
	}
	said := func(answer *http.Response, err error) (path, body string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Request.URL.Path, string(b)
	}

	if path, _ := said(client.Get(server.URL)); path != "/account/sign-in" {
		t.Fatalf("the application leads a stranger to %s", path)
	}
	path, body := said(client.PostForm(server.URL+"/account/sign-in", url.Values{"name": {"alice"}, "password": {"violet tractor 7"}, "to": {"/"}}))
	if path != "/account/setup" {
		t.Fatalf("the password leads to %s:\n%s", path, body)
	}
	open, err := client.Get(server.URL + "/account/setup/open")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Body.Close()
	app, err := mfatest.NewAuthenticator(open.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	code := url.Values{"code": {app.Code(time.Now())}}
	if path, body := said(client.PostForm(server.URL+"/account/setup?method=totp", code)); path != "/account/codes" {
		t.Fatalf("the code leads to %s:\n%s", path, body)
	}
	if path, body := said(client.PostForm(server.URL+"/account/codes", url.Values{"saved": {"yes"}})); path != "/" || body != "Hello, u-1\n" {
		t.Fatalf("the end of the sign-in is %s:\n%s", path, body)
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
