package mfanotify_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfanotify"
)

// gateway is a server for text messages that remembers what was posted.
type gateway struct {
	*httptest.Server
	mu     sync.Mutex
	posts  []post
	answer func(w http.ResponseWriter, r *http.Request, n int) // n: from 1
}

type post struct {
	form                      url.Values
	auth, key, content, query string
}

func newGateway(t *testing.T, answer func(http.ResponseWriter, *http.Request, int)) *gateway {
	g := &gateway{answer: answer}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		g.mu.Lock()
		g.posts = append(g.posts, post{r.PostForm, r.Header.Get("Authorization"), r.Header.Get("Idempotency-Key"), r.Header.Get("Content-Type"), r.URL.RawQuery})
		n := len(g.posts)
		g.mu.Unlock()
		g.answer(w, r, n)
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *gateway) seen() []post {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.posts
}

const account, pass = "AC0123456789", "s3cret-p4ss"

func newFormPost(t testing.TB, address string, options ...func(*mfanotify.FormPostConfig)) *mfanotify.FormPost {
	t.Helper()
	c := mfanotify.FormPostConfig{URL: address, Words: newWords(t), Authorize: mfanotify.BasicAuth(account, pass), From: "+15005550006"}
	for _, o := range options {
		o(&c)
	}
	p, err := mfanotify.NewFormPost(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func accept(w http.ResponseWriter, _ *http.Request, _ int) {
	w.WriteHeader(http.StatusCreated)
	io.WriteString(w, `{"sid":"SM1","status":"queued"}`)
}

// TestRow_B5_FormPost sends a code and reads it from what the gateway got.
func TestRow_B5_FormPost(t *testing.T) {
	g := newGateway(t, accept)
	p := newFormPost(t, g.URL+"/2010-04-01/Accounts/"+account+"/Messages.json")
	if err := p.Notify(t.Context(), message(mfa.MessageCode, mfa.SMSCode, "en")); err != nil {
		t.Fatal(err)
	}
	if len(g.seen()) != 1 {
		t.Fatalf("%d posts", len(g.seen()))
	}
	got := g.seen()[0]
	if got.form.Get("To") != "+351912345678" || got.form.Get("From") != "+15005550006" || len(got.form) != 3 ||
		!strings.HasSuffix(got.form.Get("Body"), "\n\n@example.com #"+code) {
		t.Errorf("form %v", got.form)
	}
	if got.auth != "Basic "+base64.StdEncoding.EncodeToString([]byte(account+":"+pass)) || got.content != "application/x-www-form-urlencoded" || len(got.key) != 26 {
		t.Errorf("%+v", got)
	}
}

// TestFormPostFields checks another gateway's names, and a token.
func TestFormPostFields(t *testing.T) {
	g := newGateway(t, accept)
	p := newFormPost(t, g.URL, func(c *mfanotify.FormPostConfig) {
		c.ToField, c.FromField, c.BodyField, c.KeyHeader = "msisdn", "sender", "text", "X-Request-Id"
		c.Fields, c.Authorize = url.Values{"class": {"otp"}}, mfanotify.BearerToken(pass)
	})
	if err := p.Notify(t.Context(), message("new_device", mfa.SMSCode, "de")); err != nil {
		t.Fatal(err)
	}
	got := g.seen()[0]
	if got.form.Get("msisdn") != "+351912345678" || got.form.Get("sender") != "+15005550006" || got.form.Get("class") != "otp" ||
		!strings.HasPrefix(got.form.Get("text"), "Example: Anmeldung") || got.auth != "Bearer "+pass || got.key != "" {
		t.Errorf("%+v", got)
	}
}

// TestFormPostTriesAgain checks after which answers a message is posted again,
// with the same key, and what is final for a queue.
func TestFormPostTriesAgain(t *testing.T) {
	for _, c := range []struct {
		status    int
		posts     int
		permanent bool
	}{
		{500, 3, false}, {502, 3, false}, {503, 3, false}, {429, 3, false}, {408, 3, false},
		{400, 1, true}, {401, 1, false}, {403, 1, false}, {404, 1, false}, {407, 1, false}, {410, 1, true}, {422, 1, true},
		{301, 1, false}, {302, 1, false}, {307, 1, false}, {308, 1, false}, {304, 1, false},
	} {
		t.Run(fmt.Sprint(c.status), func(t *testing.T) {
			t.Parallel()
			elsewhere := newGateway(t, accept)
			g := newGateway(t, func(w http.ResponseWriter, r *http.Request, n int) {
				w.Header().Set("Location", elsewhere.URL)
				w.WriteHeader(c.status)
			})
			err := newFormPost(t, g.URL).Notify(t.Context(), message(mfa.MessageCode, mfa.SMSCode, "en"))
			e, ok := errors.AsType[*mfanotify.DeliveryError](err)
			if !ok || e.Status != c.status || e.Permanent != c.permanent {
				t.Errorf("%+v", err)
			}
			if len(g.seen()) != c.posts || len(elsewhere.seen()) != 0 {
				t.Errorf("%d posts, %d elsewhere", len(g.seen()), len(elsewhere.seen()))
			}
			for _, p := range g.seen() {
				if p.key != g.seen()[0].key {
					t.Errorf("keys %q and %q", p.key, g.seen()[0].key)
				}
			}
		})
	}
	g := newGateway(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n < 3 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		accept(w, r, n)
	})
	if err := newFormPost(t, g.URL).Notify(t.Context(), message(mfa.MessageCode, mfa.SMSCode, "en")); err != nil {
		t.Errorf("the third try is accepted: %v", err)
	}
}

// TestFormPostKeyOfQueue checks that the key is the same when a queue tries again.
func TestFormPostKeyOfQueue(t *testing.T) {
	g := newGateway(t, accept)
	p, ctx := newFormPost(t, g.URL), mfanotify.WithDelivery(t.Context())
	for range 2 {
		if err := p.Notify(ctx, message("new_device", mfa.SMSCode, "en")); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Notify(t.Context(), message("new_device", mfa.SMSCode, "en")); err != nil {
		t.Fatal(err)
	}
	if s := g.seen(); s[0].key != s[1].key || s[0].key == s[2].key {
		t.Errorf("keys %q, %q, %q", s[0].key, s[1].key, s[2].key)
	}
}

// transport answers without a network, in the time of a bubble.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestFormPostWaits checks that a gateway which names a wait is left alone for so
// long, or given up when that is too long; and that a silent one costs no more than
// the context.
func TestFormPostWaits(t *testing.T) {
	for _, c := range []struct {
		name  string
		after string
		posts int
		took  time.Duration // of the 5 seconds; the backoff comes on top of 0
	}{
		{"a second", "1", 3, 2 * time.Second},
		{"an hour", "3600", 1, 0},
		{"longer than time can say", "99999999999999999999", 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				posts := 0
				p := newFormPost(t, "https://sms.example.com/", func(f *mfanotify.FormPostConfig) {
					f.Transport = transport(func(r *http.Request) (*http.Response, error) {
						posts++
						return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {c.after}}, Body: http.NoBody, Request: r}, nil
					})
				})
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				start := time.Now()
				err := p.Notify(ctx, message(mfa.MessageCode, mfa.SMSCode, "en"))
				if e, ok := errors.AsType[*mfanotify.DeliveryError](err); !ok || e.Status != 429 || e.Permanent {
					t.Errorf("%v", err)
				}
				if c.after == "99999999999999999999" {
					return // strconv gives the largest number, which is cut to an hour
				}
				if posts != c.posts || time.Since(start) != c.took {
					t.Errorf("%d posts in %v", posts, time.Since(start))
				}
			})
		})
	}
	t.Run("silence", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := newFormPost(t, "https://sms.example.com/", func(f *mfanotify.FormPostConfig) {
				f.Transport = transport(func(r *http.Request) (*http.Response, error) {
					<-r.Context().Done()
					return nil, r.Context().Err()
				})
			})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			start := time.Now()
			err := p.Notify(ctx, message(mfa.MessageCode, mfa.SMSCode, "en"))
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 5*time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
			start = time.Now()
			err = p.Notify(t.Context(), message(mfa.MessageCode, mfa.SMSCode, "en"))
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Second {
				t.Errorf("without a deadline: %v after %v", err, time.Since(start))
			}
		})
	})
}

// TestR27_FormPostErrors has a gateway repeat all it was sent, and checks that no
// error does.
func TestR27_FormPostErrors(t *testing.T) {
	echo := func(r *http.Request) string {
		user, password, _ := r.BasicAuth()
		return fmt.Sprint("bad request: ", r.PostForm, " to ", r.PostForm.Get("To"), " 351 912 345 678 with ", r.PostForm.Get("Body"), " by ",
			r.Header.Get("Authorization"), " ", user, " ", password, " ", r.URL.RawQuery, " 0-2-4-6-8-0 ", base64.StdEncoding.EncodeToString([]byte(password)))
	}
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request, n int){
		"text": func(w http.ResponseWriter, r *http.Request, _ int) { w.WriteHeader(400); io.WriteString(w, echo(r)) },
		"JSON": func(w http.ResponseWriter, r *http.Request, _ int) {
			w.WriteHeader(400)
			fmt.Fprintf(w, `{"code":21211,"message":%q}`, echo(r))
		},
		"a number": func(w http.ResponseWriter, r *http.Request, _ int) {
			w.WriteHeader(400)
			io.WriteString(w, `{"code":24680}`)
		},
		"the code": func(w http.ResponseWriter, r *http.Request, _ int) {
			w.WriteHeader(400)
			io.WriteString(w, `{"code":"`+code+`"}`)
		},
		"no end": func(w http.ResponseWriter, r *http.Request, _ int) {
			w.WriteHeader(400)
			io.Copy(w, io.LimitReader(zeros{}, 10<<20))
		},
		"two lines": func(w http.ResponseWriter, r *http.Request, _ int) {
			w.WriteHeader(400)
			io.WriteString(w, "a\r\nb\x1b[31m\u202e")
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request, _ int) {
			http.Redirect(w, r, "/?"+code, http.StatusTemporaryRedirect)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t, answer)
			err := newFormPost(t, g.URL+"/?key=que-ry-s3cret").Notify(t.Context(), message(mfa.MessageCode, mfa.SMSCode, "en"))
			checkSilent(t, err)
		})
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	checkSilent(t, newFormPost(t, "http://"+closed.Addr().String()+"/?key=que-ry-s3cret").Notify(t.Context(), message(mfa.MessageCode, mfa.SMSCode, "en")))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return copy(p, strings.Repeat("0", len(p))), nil }

func checkSilent(t *testing.T, err error) {
	t.Helper()
	if _, ok := errors.AsType[*mfanotify.DeliveryError](err); !ok {
		t.Fatalf("no DeliveryError: %v", err)
	}
	for _, s := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err)} {
		for _, secret := range []string{code, "24680", "0-2-4", "351", "912", account, pass, token, base64.StdEncoding.EncodeToString([]byte(pass)), base64.StdEncoding.EncodeToString([]byte(account + ":" + pass)), "que-ry", "sign-in code", "\n", "\r", "\x1b", "\u202e"} {
			if strings.Contains(s, secret) {
				t.Errorf("the error shows %q: %s", secret, s)
			}
		}
		if len(s) > 1500 {
			t.Errorf("%d bytes: %s", len(s), s)
		}
	}
}

// TestFormPostDetail checks that what a gateway says reaches the log otherwise.
func TestFormPostDetail(t *testing.T) {
	g := newGateway(t, func(w http.ResponseWriter, r *http.Request, n int) {
		w.WriteHeader(400)
		io.WriteString(w, `{"code":21408,"message":"Permission to send has not been enabled for this region.","status":400}`)
	})
	err := newFormPost(t, g.URL).Notify(t.Context(), message(mfa.MessageCode, mfa.SMSCode, "en"))
	if want := `mfanotify: not delivered: POST 400 (21408): "Permission to send has not been enabled for this region."`; err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

// TestFormPostOtherMessages checks what is refused before anything is posted.
func TestFormPostOtherMessages(t *testing.T) {
	g := newGateway(t, accept)
	p := newFormPost(t, g.URL)
	for name, m := range map[string]mfa.Message{
		"a mail": message("new_device", mfa.EmailCode, "en"), "no channel": message("new_device", 0, "en"),
		"a code that is missing": {Kind: mfa.MessageCode, Channel: mfa.SMSCode, To: "+351912345678"},
	} {
		if e, ok := errors.AsType[*mfanotify.DeliveryError](p.Notify(t.Context(), m)); !ok || !e.Permanent {
			t.Errorf("%s: %v", name, e)
		}
	}
	if len(g.seen()) != 0 {
		t.Errorf("%d posts", len(g.seen()))
	}
}

// TestNewFormPostRefuses checks what would send codes where others read them.
func TestNewFormPostRefuses(t *testing.T) {
	for address, want := range map[string]string{
		"https://sms.example.com/send": "", "http://127.0.0.1:8080/": "", "http://[::1]/": "", "http://localhost/": "",
		"": "URL", "sms.example.com": "URL", "http://sms.example.com/": "not https", "http://127.0.0.1.evil.example/": "not https",
		"http://localhost.evil.example/": "not https", "ftp://sms.example.com/": "not https", "https://a:b@sms.example.com/": "credentials", "http://10.0.0.1/": "not https",
		"https://%zz": "URL",
	} {
		_, err := mfanotify.NewFormPost(mfanotify.FormPostConfig{URL: address, Words: newWords(t), Authorize: mfanotify.BearerToken("x"), Tries: 10, Timeout: time.Minute})
		if (err == nil) != (want == "") || err != nil && (!errors.Is(err, mfa.ErrInvalid) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", address, err)
		}
	}
	for want, c := range map[string]mfanotify.FormPostConfig{
		"Words":     {URL: "https://a.example/", Authorize: mfanotify.BearerToken("x")},
		"Authorize": {URL: "https://a.example/", Words: newWords(t)},
		"Tries":     {URL: "https://a.example/", Words: newWords(t), Authorize: mfanotify.BearerToken("x"), Tries: 11},
		"Timeout":   {URL: "https://a.example/", Words: newWords(t), Authorize: mfanotify.BearerToken("x"), Timeout: time.Minute + 1},
	} {
		if _, err := mfanotify.NewFormPost(c); !errors.Is(err, mfa.ErrInvalid) || !strings.Contains(err.Error(), "FormPostConfig."+want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
