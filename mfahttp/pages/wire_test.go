package pages_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/seed-1320b244/mfa"
)

// A wire is a host that listens, and what attackers write to it byte by byte: they are
// no browsers and send what none would.
type wire struct {
	*host
	server *httptest.Server
	log    *logged
}

// logged is what a server wrote to its log.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// maxHeader bytes are as much as the wire's server reads of a request line and headers,
// besides the 4096 that net/http grants.
const maxHeader = 16 << 10

func listen(t *testing.T, h *host) *wire {
	t.Helper()
	w := &wire{host: h, log: new(logged)}
	w.server = httptest.NewUnstartedServer(h.handler)
	w.server.Config.MaxHeaderBytes = maxHeader
	w.server.Config.ErrorLog = log.New(w.log, "", 0)
	w.server.Start()
	t.Cleanup(w.server.Close)
	return w
}

// An answer is what came back: status 0 when the connection was closed without one.
type answer struct {
	status  int
	header  http.Header
	cookies []*http.Cookie
	body    string
	raw     string
}

// send writes a whole request and reads the answer.
func (w *wire) send(request string) answer {
	w.t.Helper()
	c, err := net.Dial("tcp", w.server.Listener.Addr().String())
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	written := make(chan struct{})
	go func() { // a server that has read enough answers, and reads no more
		defer close(written)
		io.WriteString(c, request)
	}()
	raw, err := io.ReadAll(c)
	c.Close()
	<-written
	a := answer{raw: string(raw)}
	method, _, _ := strings.Cut(request, " ")
	resp, bad := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), &http.Request{Method: method})
	if bad != nil {
		return a
	}
	body, _ := io.ReadAll(resp.Body)
	a.status, a.header, a.cookies, a.body = resp.StatusCode, resp.Header, resp.Cookies(), string(body)
	if err != nil && a.status == 0 {
		w.t.Fatal(err)
	}
	return a
}

// request returns the bytes of a request; headers are "Name: value".
func request(method, target, body string, headers ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: cedar.example\r\nConnection: close\r\n", method, target)
	if body != "" || method == http.MethodPost {
		fmt.Fprintf(&b, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n", len(body))
	}
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	return b.String() + "\r\n" + body
}

// sameOrigin is what a browser says of a form of the site's own pages.
const sameOrigin = "Sec-Fetch-Site: same-origin"

// cookie returns the header with what a browser has.
func (b *browser) cookie() string {
	var all []string
	for name, value := range b.cookies {
		all = append(all, name+"="+value)
	}
	return "Cookie: " + strings.Join(all, "; ")
}

// records returns the version of all that the store has of the users and of the
// organization: any change is another one.
func (h *host) records() map[mfa.Key]string {
	h.t.Helper()
	all := make(map[mfa.Key]string)
	for _, owner := range []string{"u/u-1", "u/u-2", "o/acme"} {
		records, err := h.kit.Config.Store.List(h.t.Context(), owner)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, r := range records {
			all[r.Key] = r.Version
		}
	}
	if len(all) == 0 {
		h.t.Fatal("there are no records to compare")
	}
	return all
}

// unchanged fails the test when the records are no longer what they were.
func (h *host) unchanged(before map[mfa.Key]string, format string, args ...any) {
	h.t.Helper()
	after := h.records()
	for key, version := range after {
		if before[key] != version {
			h.t.Errorf("%s changed %v", fmt.Sprintf(format, args...), key)
		}
	}
	for key := range before {
		if after[key] == "" {
			h.t.Errorf("%s ended %v", fmt.Sprintf(format, args...), key)
		}
	}
}

// alive fails the test unless the server shows the sign-in.
func (w *wire) alive() {
	w.t.Helper()
	if a := w.send(request("GET", "/account/sign-in", "")); a.status != http.StatusOK || !strings.Contains(a.body, "Cedar") {
		w.t.Fatalf("the server does not answer: %s", a.raw)
	}
}

// routed are the routes in the program text: a new one is attacked as well.
var routed = regexp.MustCompile(`\b(open|session|handle|step|admin|org)\("(GET|POST)", "([^"{]*(?:\{do\}[^"{]*)?)"`)

// routes returns the paths of all pages, for one method.
func routes(t *testing.T, method string) (paths []string) {
	t.Helper()
	for _, file := range []string{"pages.go", "org.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range routed.FindAllStringSubmatch(string(text), -1) {
			path := strings.ReplaceAll(m[3], "{do}", "reset")
			if m[2] != method {
				continue
			}
			switch m[1] {
			case "admin": // of the installation and of organizations
				paths = append(paths, "/account/admin"+path, "/account/org/acme"+path)
			case "org":
				paths = append(paths, "/account/org/acme"+path)
			default:
				paths = append(paths, "/account"+path)
			}
		}
	}
	if len(paths) < 20 {
		t.Fatalf("%d routes for %s were found: %q", len(paths), method, paths)
	}
	return paths
}
