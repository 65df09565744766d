package pages_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp/pages"
)

// Thousands that open a connection, send a byte and no more keep nobody from signing in.
// What ends them is the host's: ReadHeaderTimeout of its http.Server.
func TestSlowConnections(t *testing.T) {
	const many = 4000
	w := listen(t, newHost(t))
	b := w.host.browser().signIn("alice").at("/home")
	open := make([]net.Conn, 0, many)
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	starts := []string{"P", "POST /account/sign-in HTTP/1.1\r\n", request("POST", "/account/sign-in", "", "Content-Length: 9")[:80],
		strings.Replace(request("POST", "/account/sign-in", "n", sameOrigin), "Length: 1", "Length: 65536", 1)} // a form that does not go on
	for n := range many {
		c, err := net.Dial("tcp", w.server.Listener.Addr().String())
		if errors.Is(err, syscall.EMFILE) { // both ends are in this process
			t.Skipf("no more than %d connections may be open", n)
		}
		if err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
		open = append(open, c)
		if _, err := io.WriteString(c, starts[n%len(starts)]); err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
	}
	for range 20 {
		w.alive()
		if a := w.send(request("GET", "/account/security", "", b.cookie())); a.status != http.StatusOK || !strings.Contains(a.body, "alice@example.com") {
			t.Fatalf("a page of somebody who is signed in: %s", a.raw)
		}
		form := url.Values{"name": {"bob"}, "password": {password}}
		if a := w.send(request("POST", "/account/sign-in", form.Encode(), sameOrigin)); a.status != http.StatusSeeOther || a.header.Get("Location") != "/home" {
			t.Fatalf("a sign-in: %s", a.raw)
		}
	}
	// They are still there: the last of each kind is answered when it goes on.
	io.WriteString(open[many-4], "UT / HTTP/1.1\r\nHost: cedar.example\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(open[many-4]), nil)
	if err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("the connection that waited: %v, %v", resp, err)
	}
}

// What the host's own functions panic with is in no answer, and the next request is
// answered.
func TestHostPanics(t *testing.T) {
	const secret = "postgres://app:hunter2@db/app"
	panics := false
	boom := func() {
		if panics {
			panic(secret)
		}
	}
	h := newHost(t, func(c *pages.Config) {
		org := c.Org
		c.Org = func(ctx context.Context, id string) (pages.Org, error) { boom(); return org(ctx, id) }
		c.Name = func(u mfa.User) string { boom(); return u.Name }
		c.Language = func(r *http.Request) string {
			if strings.HasSuffix(r.URL.Path, "/recover") {
				boom()
			}
			return "en"
		}
		c.Jobs = func(func(context.Context) error) bool { boom(); return true }
	})
	inner := h.handler.(*http.ServeMux)
	inner.HandleFunc("GET /panics", func(w http.ResponseWriter, r *http.Request) {
		boom()
		w.WriteHeader(http.StatusNoContent)
	})
	h.handler = h.site.Web().Protect(inner)
	w := listen(t, h)
	b := h.browser().signIn("alice").turnOn()
	before := w.records()
	for _, text := range []string{
		request("GET", "/account/org/acme/settings", "", b.cookie()), request("GET", "/account/org/acme/members", "", b.cookie()),
		request("GET", "/account/recover", ""), request("POST", "/account/recover", "name=alice", sameOrigin), request("GET", "/panics", "", b.cookie()),
	} {
		line, _, _ := strings.Cut(text, "\r\n")
		panics = false
		if a := w.send(text); a.status == 0 {
			t.Errorf("%s is not answered", line)
		}
		panics = true
		a := w.send(text)
		for _, word := range []string{secret, "hunter2", "goroutine", ".go:", b.cookies["__Host-mfa_session"]} {
			if strings.Contains(a.raw, word) {
				t.Errorf("%s says %q: %s", line, word, a.raw)
			}
		}
		if a.status == http.StatusOK || !strings.Contains(w.log.String(), secret) {
			t.Errorf("%s did not panic: %d", line, a.status)
		}
		w.alive()
	}
	w.unchanged(before, "a panic")
	if strings.Contains(w.log.String(), b.cookies["__Host-mfa_session"]) || strings.Contains(w.log.String(), password) {
		t.Error("the server's log has what a user sent")
	}
}

// What goes wrong behind the pages is for the log: no page says what it was.
func TestFailuresSayNothing(t *testing.T) {
	const secret = "dial tcp 10.0.0.7:5432: password authentication failed for hunter2"
	w, b := deep(t)
	form := b.everything().Encode()
	for _, fail := range []func(error){w.kit.FailStore, w.kit.Users.Fail, w.kit.Inbox.Fail} {
		fail(errors.New(secret))
		for _, method := range []string{"GET", "POST"} {
			for _, path := range routes(t, method) {
				text := request(method, strings.TrimSuffix(path, "{$}"), map[string]string{"POST": form}[method], sameOrigin, b.cookie())
				if a := w.send(text); a.status == 0 || strings.Contains(a.raw, "hunter2") || strings.Contains(a.raw, "mfa: ") {
					t.Errorf("%s %s: %s", method, path, a.raw)
				}
			}
		}
		fail(nil)
		w.alive()
	}
}
