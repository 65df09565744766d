package breach_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa/breach"
)

// hashes are SHA-1 sums of passwords in UTF-8, cut where the service cuts them.
var hashes = []struct{ password, prefix, suffix string }{
	{"password", "5BAA6", "1E4C9B93F3F0682250B6CF8331B7EE68FD8"},
	{"P@ssw0rd", "21BD1", "2DC183F740EE76F27B78EB39C8AD972A757"},
	{"123456", "7C4A8", "D09CA3762AF61E59520943DC26494F8941B"},
	{"correct horse battery staple", "ABF7A", "AD6438836DBE526AA231ABDE2D0EEF74D42"},
	{"пароль", "5670B", "4358AE287FE8E74C2FF6F6293F905409077"},
}

// answer is a range with neighbors of want and a line of padding.
func answer(want string) string {
	return "1D2DA4053E34E76F6576ED1DA63134B5E2A:2\r\n" + want + "\r\n1D72CD07550416C216D8AD296BF5C0AE8E0:10\r\n" +
		"0000000000000000000000000000000000F:0"
}

// ask serves handle and asks about password.
func ask(t *testing.T, handle http.HandlerFunc, password string) (bool, error) {
	t.Helper()
	server := httptest.NewServer(handle)
	defer server.Close()
	client, err := breach.NewClient(breach.Options{BaseURL: server.URL, Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return client.Breached(t.Context(), password)
}

// fails checks that a lookup fails, for a reason that holds want, and that the
// error says nothing of the password.
func fails(t *testing.T, leaked bool, err error, want string) {
	t.Helper()
	if leaked || err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("got %v, %v, want an error with %q", leaked, err, want)
	}
	for _, h := range hashes {
		if strings.Contains(err.Error(), h.prefix) || strings.Contains(err.Error(), h.password) {
			t.Errorf("the error shows the password or its range: %v", err)
		}
	}
}

func TestClient(t *testing.T) {
	for _, h := range hashes {
		handle := func(line string) http.HandlerFunc {
			return func(w http.ResponseWriter, r *http.Request) {
				if r.Method != "GET" || r.URL.Path != "/range/"+h.prefix || r.Header.Get("Add-Padding") != "true" || r.UserAgent() == "" {
					t.Errorf("asked %s %s with %v", r.Method, r.URL, r.Header)
				}
				io.WriteString(w, answer(line))
			}
		}
		for _, c := range []struct {
			name, line string
			want       bool
		}{
			{"found", h.suffix + ":3861493", true},
			{"found once", h.suffix + ":1", true},
			{"lower case", strings.ToLower(h.suffix) + ":7", true},
			{"padding", h.suffix + ":0", false},
			{"padding and found", h.suffix + ":0\n" + h.suffix + ":1", true},
			{"not found", "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF:7", false},
		} {
			t.Run(h.password+", "+c.name, func(t *testing.T) {
				if got, err := ask(t, handle(c.line), h.password); got != c.want || err != nil {
					t.Errorf("got %v, %v, want %v", got, err, c.want)
				}
			})
		}
	}
}

// An answer that is not complete and well-formed is an error, wherever the fault
// is: "not on the list" would be a guess.
func TestClientRefuses(t *testing.T) {
	found := hashes[0].suffix + ":3861493"
	for name, body := range map[string]string{
		"empty":             "",
		"a page":            "<html>Sign in to the network</html>",
		"empty line":        found + "\r\n\r\n" + found,
		"no count":          found + "\n" + hashes[0].suffix,
		"empty count":       found + "\n" + hashes[0].suffix + ":",
		"negative count":    found + "\n" + hashes[0].suffix + ":-1",
		"huge count":        found + "\n" + hashes[0].suffix + ":" + strings.Repeat("9", 19),
		"short suffix":      found + "\n" + hashes[0].suffix[1:] + ":1",
		"whole hash":        hashes[0].prefix + found,
		"not hexadecimal":   found + "\n" + strings.Repeat("G", 35) + ":1",
		"cut off in a line": answer(found)[:60],
		"space":             found + " ",
		"NUL":               found + "\x00",
	} {
		t.Run(name, func(t *testing.T) {
			leaked, err := ask(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }, "password")
			want := "malformed"
			if body == "" {
				want = "nothing"
			}
			fails(t, leaked, err, want)
		})
	}
}

func TestClientStatus(t *testing.T) {
	for _, status := range []int{204, 301, 302, 304, 307, 308, 400, 403, 404, 429, 500, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			asked := 0
			leaked, err := ask(t, func(w http.ResponseWriter, _ *http.Request) {
				asked++
				w.Header().Set("Location", "/range/00000")
				w.WriteHeader(status)
				if status != 204 && status != 304 {
					io.WriteString(w, answer(hashes[0].suffix+":1"))
				}
			}, "password")
			fails(t, leaked, err, fmt.Sprint("status ", status))
			if asked != 1 {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

// At most 1 MiB is read, also of what is compressed.
func TestClientHuge(t *testing.T) {
	line := "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF:7\n"
	most := strings.Repeat(line, 1<<20/len(line)-1)
	most += line[:36] + strings.Repeat("1", 1<<20-len(most)-36) // a count fills up to the byte
	if len(most) != 1<<20 {
		t.Fatalf("%d bytes", len(most))
	}
	leaked, err := ask(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, most) }, "password")
	if leaked || err != nil {
		t.Errorf("1 MiB: got %v, %v", leaked, err)
	}
	leaked, err = ask(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, most+"\n") }, "password")
	fails(t, leaked, err, "more than 1048576 bytes")
	leaked, err = ask(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 1 << 20 { // until nobody reads any more
			if _, err := io.WriteString(w, most); err != nil {
				return
			}
		}
		t.Error("a terabyte was read")
	}, "password")
	fails(t, leaked, err, "more than 1048576 bytes")
	leaked, err = ask(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "gzip" {
			t.Errorf("accepts %q", r.Header.Get("Accept-Encoding"))
		}
		var small bytes.Buffer
		z := gzip.NewWriter(&small)
		for range 3 {
			io.WriteString(z, most+"\n")
		}
		z.Close()
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(small.Bytes())
	}, "password")
	fails(t, leaked, err, "more than 1048576 bytes")
}

// What ends before its announced end is an error even where its lines are whole.
func TestClientTruncated(t *testing.T) {
	body := answer(hashes[0].suffix + ":1")
	for name, head := range map[string]string{
		"length":  fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body)+1, body),
		"chunks":  fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(body), body),
		"headers": "HTTP/1.1 200 OK\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			leaked, err := ask(t, func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				io.WriteString(conn, head)
				conn.Close()
			}, "password")
			fails(t, leaked, err, "EOF")
		})
	}
}

// A service that does not answer, before its headers or within its body, keeps
// nobody longer than Timeout or the context.
func TestClientSlow(t *testing.T) {
	arrived := make(chan struct{}, 1)
	for _, begun := range []bool{false, true} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if begun {
				io.WriteString(w, answer(hashes[0].suffix+":1"))
				w.(http.Flusher).Flush()
			}
			arrived <- struct{}{}
			<-r.Context().Done()
		}))
		defer server.Close()
		quick, err := breach.NewClient(breach.Options{BaseURL: server.URL, Timeout: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		leaked, err := quick.Breached(t.Context(), "password")
		fails(t, leaked, err, "deadline")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		select { // it may have been too slow to arrive
		case <-arrived:
		default:
		}
		patient, err := breach.NewClient(breach.Options{BaseURL: server.URL, Timeout: 30 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		leaked, err = patient.Breached(ctx, "password")
		fails(t, leaked, err, "canceled")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	}
}

func TestClientDown(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	client, err := breach.NewClient(breach.Options{BaseURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	leaked, err := client.Breached(t.Context(), "password")
	fails(t, leaked, err, "refused")
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		name string
		o    breach.Options
		bad  string
	}{
		{"zero", breach.Options{}, ""},
		{"path", breach.Options{BaseURL: "https://mirror.example/pwned/"}, ""},
		{"loopback", breach.Options{BaseURL: "http://127.0.0.1:8080"}, ""},
		{"loopback IPv6", breach.Options{BaseURL: "http://[::1]:8080"}, ""},
		{"localhost", breach.Options{BaseURL: "http://localhost"}, ""},
		{"longest", breach.Options{Timeout: 30 * time.Second}, ""},
		{"plain", breach.Options{BaseURL: "http://mirror.example"}, "BaseURL"},
		{"plain, like loopback", breach.Options{BaseURL: "http://localhost.example"}, "BaseURL"},
		{"no scheme", breach.Options{BaseURL: "mirror.example"}, "BaseURL"},
		{"no host", breach.Options{BaseURL: "https:///range"}, "BaseURL"},
		{"file", breach.Options{BaseURL: "file:///etc/passwd"}, "BaseURL"},
		{"user", breach.Options{BaseURL: "https://user:secret@mirror.example"}, "BaseURL"},
		{"query", breach.Options{BaseURL: "https://mirror.example/?a=b"}, "BaseURL"},
		{"fragment", breach.Options{BaseURL: "https://mirror.example/#a"}, "BaseURL"},
		{"no URL", breach.Options{BaseURL: "https://secret\x00"}, "BaseURL"},
		{"negative", breach.Options{Timeout: -1}, "Timeout"},
		{"too long", breach.Options{Timeout: 30*time.Second + 1}, "Timeout"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, err := breach.NewClient(c.o)
			if (err == nil) != (c.bad == "") || (client != nil) != (c.bad == "") {
				t.Fatalf("got %v", err)
			}
			if err != nil && (!strings.Contains(err.Error(), c.bad) || strings.Contains(err.Error(), "secret")) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// transport answers in the process.
type transport func(*http.Request) string

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(f(r))), Request: r}, nil
}

// Without a BaseURL the service is Have I Been Pwned; a path of one is kept.
func TestClientURL(t *testing.T) {
	for base, want := range map[string]string{
		"": "https://api.pwnedpasswords.com/range/5BAA6", "https://mirror.example/pwned/": "https://mirror.example/pwned/range/5BAA6",
	} {
		client, err := breach.NewClient(breach.Options{BaseURL: base, Transport: transport(func(r *http.Request) string {
			if r.URL.String() != want {
				t.Errorf("asked %s, want %s", r.URL, want)
			}
			return answer(hashes[0].suffix + ":1")
		})})
		if err != nil {
			t.Fatal(err)
		}
		if leaked, err := client.Breached(t.Context(), "password"); !leaked || err != nil {
			t.Errorf("got %v, %v", leaked, err)
		}
	}
}

func BenchmarkClient(b *testing.B) {
	var body strings.Builder
	for i := range 900 { // as padded
		fmt.Fprintf(&body, "%035X:%d\r\n", i, i)
	}
	client, err := breach.NewClient(breach.Options{Transport: transport(func(*http.Request) string { return body.String() })})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Breached(b.Context(), "password"); err != nil {
			b.Fatal(err)
		}
	}
}
