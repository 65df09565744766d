package smtpnotify_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfanotify"
	"github.com/seed-1320b244/mfa/smtpnotify"
)

// failed sends a code, which must fail with a DeliveryError that shows nothing of
// it, and returns that.
func failed(t *testing.T, ctx context.Context, n *smtpnotify.Notifier) *mfanotify.DeliveryError {
	t.Helper()
	err := n.Notify(ctx, message(mfa.MessageCode, "en"))
	e, ok := errors.AsType[*mfanotify.DeliveryError](err)
	if !ok {
		t.Fatalf("no DeliveryError: %v", err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Error("not sent", "error", err)
	for _, s := range []string{err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err), log.String()} {
		for _, secret := range []string{code, "24680", password, base64.StdEncoding.EncodeToString([]byte(password)), base64.StdEncoding.EncodeToString([]byte("\x00" + username + "\x00" + password)), "alice@", "sign-in"} {
			if strings.Contains(s, secret) {
				t.Errorf("shows %q: %s", secret, s)
			}
		}
		if len(s) > 1000 {
			t.Errorf("%d bytes: %s", len(s), s)
		}
	}
	return e
}

// TestRefused has the server refuse at every step, with a text that repeats what it
// was sent, and checks what is permanent: only what it says of this mail.
func TestRefused(t *testing.T) {
	echo := func(status int, enhanced smtp.EnhancedCode) *smtp.SMTPError {
		return &smtp.SMTPError{Code: status, EnhancedCode: enhanced, Message: "no: " + code + " for alice@example.org with " + password}
	}
	for _, c := range []struct {
		step      string
		answer    *smtp.SMTPError
		permanent bool
	}{
		{"EHLO", echo(554, smtp.EnhancedCode{5, 7, 1}), false},
		{"AUTH", echo(535, smtp.EnhancedCode{5, 7, 8}), false},
		{"AUTH", echo(454, smtp.EnhancedCode{4, 7, 0}), false},
		{"MAIL", echo(550, smtp.EnhancedCode{5, 7, 1}), true},
		{"MAIL", echo(451, smtp.EnhancedCode{4, 3, 0}), false},
		{"RCPT", echo(550, smtp.EnhancedCode{5, 1, 1}), true},
		{"RCPT", echo(450, smtp.EnhancedCode{4, 2, 1}), false},
		{"RCPT", echo(552, smtp.NoEnhancedCode), true},
		{"DATA", echo(554, smtp.EnhancedCode{5, 7, 1}), true},
		{"DATA", echo(451, smtp.EnhancedCode{4, 3, 2}), false},
	} {
		t.Run(fmt.Sprintf("%s %d", c.step, c.answer.Code), func(t *testing.T) {
			s := start(t, false, func(s *server) { s.fail[c.step] = c.answer })
			e := failed(t, t.Context(), notifier(t, s))
			code := fmt.Sprintf("%d.%d.%d", c.answer.EnhancedCode[0], c.answer.EnhancedCode[1], c.answer.EnhancedCode[2])
			if c.answer.EnhancedCode == smtp.NoEnhancedCode {
				code = ""
			}
			if e.Step != c.step || e.Status != c.answer.Code || e.Code != code || e.Permanent != c.permanent || e.Detail != "" {
				t.Errorf("%+v", e)
			}
			if len(s.seen()) != 0 {
				t.Error("a mail arrived")
			}
		})
	}
	t.Run("a wrong password", func(t *testing.T) {
		s := start(t, false)
		e := failed(t, t.Context(), notifier(t, s, func(c *smtpnotify.Config) { c.Password = func() string { return "wrong" } }))
		if e.Step != "AUTH" || e.Status != 535 || e.Permanent {
			t.Errorf("%+v", e)
		}
	})
	t.Run("no way to authenticate", func(t *testing.T) {
		s := start(t, false, func(s *server) { s.auth = []string{"CRAM-MD5"} })
		if e := failed(t, t.Context(), notifier(t, s)); e.Step != "AUTH" || e.Permanent {
			t.Errorf("%+v", e)
		}
	})
}

// TestSlow has the server fall silent at every step. Each send returns when its
// context ends, though the server never does.
func TestSlow(t *testing.T) {
	for _, step := range []string{"EHLO", "AUTH", "MAIL", "RCPT", "DATA"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			s := start(t, false, func(s *server) { s.hang = step })
			n := notifier(t, s)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if e := failed(t, ctx, n); !errors.Is(e, context.DeadlineExceeded) || e.Permanent {
				t.Errorf("%+v", e)
			}
		})
	}
	for _, c := range []struct {
		name, greeting string
		implicit       bool
	}{{"greeting", "", false}, {"TLS", "", true}, {"STARTTLS", "220 hello\r\n250-hello\r\n250 STARTTLS\r\n220 go\r\n", false}, {"half a greeting", "220-", false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := raw(t, func(conn net.Conn) {
				io.WriteString(conn, c.greeting)
				io.Copy(io.Discard, conn)
			})
			n := notifier(t, s, func(f *smtpnotify.Config) { f.ImplicitTLS = c.implicit })
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			if e := failed(t, ctx, n); !errors.Is(e, context.DeadlineExceeded) || e.Permanent {
				t.Errorf("%+v", e)
			}
		})
	}
	t.Run("canceled", func(t *testing.T) {
		s := start(t, false, func(s *server) { s.hang = "DATA" })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		if e := failed(t, ctx, notifier(t, s)); !errors.Is(e, context.Canceled) {
			t.Errorf("%+v", e)
		}
	})
	t.Run("without a deadline", func(t *testing.T) {
		s := start(t, false, func(s *server) { s.hang = "DATA" })
		n := notifier(t, s, func(c *smtpnotify.Config) { c.Timeout = 300 * time.Millisecond })
		if e := failed(t, t.Context(), n); !errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("%+v", e)
		}
	})
}

// raw is a server that says what a test likes.
func raw(t *testing.T, talk func(net.Conn)) *server {
	t.Helper()
	l := listen(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			talk(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return &server{addr: l.Addr().String(), roots: x509.NewCertPool()}
}

// TestDown checks a server that is not there, and ones that go away.
func TestDown(t *testing.T) {
	l := listen(t)
	gone := &server{addr: l.Addr().String(), roots: x509.NewCertPool()}
	l.Close()
	if e := failed(t, t.Context(), notifier(t, gone)); e.Step != "connect" || e.Status != 0 || e.Permanent {
		t.Errorf("%+v", e)
	}
	if e := failed(t, t.Context(), notifier(t, raw(t, func(net.Conn) {}))); e.Step != "greeting" || e.Permanent {
		t.Errorf("%+v", e)
	}
	if e := failed(t, t.Context(), notifier(t, raw(t, func(c net.Conn) { io.WriteString(c, "554 5.7.1 alice@example.org "+code+"\r\n") }))); e.Step != "greeting" || e.Status != 554 || e.Permanent {
		t.Errorf("%+v", e)
	}
}

// TestDiesInData has the server take the mail and go away before it answers: nobody
// knows whether it arrived, and that is no success.
func TestDiesInData(t *testing.T) {
	s := start(t, false, func(s *server) { s.fail["drop"] = errors.New("drop") })
	if e := failed(t, t.Context(), notifier(t, s)); e.Step != "DATA" || e.Status != 0 || e.Permanent {
		t.Errorf("%+v", e)
	}
	half := raw(t, func(conn net.Conn) {
		io.WriteString(conn, "220 hello\r\n250 hello\r\n250 ok\r\n250 ok\r\n354 go\r\n")
		io.CopyN(io.Discard, conn, 200) // into the mail
	})
	n := notifier(t, half, func(c *smtpnotify.Config) { c.InsecurePlaintext, c.TLS, c.Username, c.Password = true, nil, "", nil })
	if e := failed(t, t.Context(), n); e.Step != "DATA" || e.Status != 0 || e.Permanent {
		t.Errorf("%+v", e)
	}
}

// TestAccepted checks that a mail which the server has accepted is sent, whatever it
// does after.
func TestAccepted(t *testing.T) {
	for name, after := range map[string]string{"goes away": "", "is rude": "500 what?\r\n", "will not say good-bye": "221-\r\n"} {
		s := raw(t, func(conn net.Conn) {
			io.WriteString(conn, "220 hello\r\n250 hello\r\n250 ok\r\n250 ok\r\n354 go\r\n")
			for lines := bufio.NewScanner(conn); lines.Scan() && lines.Text() != "."; { // the end of the mail
			}
			io.WriteString(conn, "250 accepted\r\n"+after)
			if after != "" {
				io.Copy(io.Discard, conn)
			}
		})
		n := notifier(t, s, func(c *smtpnotify.Config) { c.InsecurePlaintext, c.TLS, c.Username, c.Password = true, nil, "", nil })
		if err := n.Notify(t.Context(), message(mfa.MessageCode, "en")); err != nil {
			t.Errorf("the server %s: %v", name, err)
		}
	}
}

// TestStripped has somebody on the way remove the offer of encryption: nothing is
// sent, no password and no mail.
func TestStripped(t *testing.T) {
	var heard bytes.Buffer
	heardAll := make(chan struct{})
	s := raw(t, func(conn net.Conn) {
		defer close(heardAll)
		io.WriteString(conn, "220 hello\r\n250-hello\r\n250 AUTH PLAIN LOGIN\r\n")
		io.Copy(&heard, conn)
	})
	if e := failed(t, t.Context(), notifier(t, s)); e.Step != "STARTTLS" || e.Permanent {
		t.Errorf("%+v", e)
	}
	<-heardAll
	if heard.String() != "EHLO example.com\r\n" {
		t.Errorf("the server heard %q", heard.String())
	}
	plain := start(t, false, func(s *server) { s.TLSConfig = nil; s.AllowInsecureAuth = true })
	if e := failed(t, t.Context(), notifier(t, plain)); e.Step != "STARTTLS" {
		t.Errorf("%+v", e)
	}
	if e := failed(t, t.Context(), notifier(t, plain, func(c *smtpnotify.Config) { c.ImplicitTLS = true })); e.Step != "TLS" {
		t.Errorf("%+v", e)
	}
}

// TestInjected has somebody on the way put an answer behind that to STARTTLS, which
// must not count as said by the server.
func TestInjected(t *testing.T) {
	certificate, roots, err := certify("127.0.0.1", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	s := raw(t, func(conn net.Conn) {
		io.WriteString(conn, "220 hello\r\n")
		heard := make([]byte, 100)
		conn.Read(heard) // EHLO
		io.WriteString(conn, "250-hello\r\n250 STARTTLS\r\n")
		conn.Read(heard) // STARTTLS
		io.WriteString(conn, "220 go\r\n250 AUTH PLAIN\r\n")
		encrypted := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}})
		encrypted.Handshake()
		encrypted.Read(heard) // EHLO
		io.WriteString(encrypted, "250 hello\r\n")
		io.Copy(io.Discard, encrypted)
	})
	s.roots = roots
	if e := failed(t, t.Context(), notifier(t, s)); e.Step != "AUTH" && e.Step != "STARTTLS" {
		t.Errorf("%+v", e)
	}
}

// TestCertificates checks that a server which does not show the right certificate
// hears no password.
func TestCertificates(t *testing.T) {
	for _, implicit := range []bool{false, true} {
		for _, c := range []struct {
			name, subject string
			end           time.Duration
			known         bool
		}{
			{"another name", "smtp.example.com", time.Hour, true},
			{"over", "127.0.0.1", -time.Minute, true},
			{"unknown", "127.0.0.1", time.Hour, false},
		} {
			t.Run(fmt.Sprintf("%s, implicit %v", c.name, implicit), func(t *testing.T) {
				certificate, roots, err := certify(c.subject, time.Now().Add(c.end))
				if err != nil {
					t.Fatal(err)
				}
				s := start(t, implicit, func(s *server) { s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}} })
				if s.roots = roots; !c.known {
					s.roots = x509.NewCertPool()
				}
				asked := false
				n := notifier(t, s, func(c *smtpnotify.Config) {
					c.ImplicitTLS, c.Password = implicit, func() string { asked = true; return password }
				})
				e := failed(t, t.Context(), n)
				if _, ok := errors.AsType[*tls.CertificateVerificationError](error(e)); !ok || e.Permanent || asked {
					t.Errorf("%+v, password asked: %v", e, asked)
				}
			})
		}
	}
	old := start(t, true, func(s *server) { s.TLSConfig.MinVersion, s.TLSConfig.MaxVersion = tls.VersionTLS10, tls.VersionTLS11 })
	if e := failed(t, t.Context(), notifier(t, old, func(c *smtpnotify.Config) { c.ImplicitTLS = true })); e.Step != "TLS" {
		t.Errorf("TLS 1.1: %+v", e)
	}
}

// TestTalkative has the server greet without end, in one line and in many.
func TestTalkative(t *testing.T) {
	for name, piece := range map[string]string{"one line": strings.Repeat("a", 4096), "many lines": strings.Repeat("220-hello\r\n", 400)} {
		t.Run(name, func(t *testing.T) {
			said := make(chan int, 1)
			s := raw(t, func(conn net.Conn) {
				n := 0
				for {
					m, err := io.WriteString(conn, piece)
					if n += m; err != nil {
						said <- n
						return
					}
				}
			})
			if e := failed(t, t.Context(), notifier(t, s)); e.Step != "greeting" || !strings.Contains(e.Error(), "too much") {
				t.Errorf("%+v", e)
			}
			t.Logf("hung up after the server had written %d KiB", <-said>>10)
		})
	}
}
