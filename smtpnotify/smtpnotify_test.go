package smtpnotify_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfanotify"
	"github.com/seed-1320b244/mfa/smtpnotify"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const code = "024680"

// message returns a message as the library makes it. A code sits where no host can
// put one.
func message(kind mfa.MessageKind, locale string) mfa.Message {
	m := mfa.Message{
		Kind: kind, Channel: mfa.EmailCode, To: "alice@example.org", User: mfa.User{ID: "u-1", Locale: locale},
		Device: "Firefox on Windows", Addr: netip.MustParseAddr("192.0.2.7"), Place: "São Paulo, Brazil",
		At: time.Date(2026, 3, 1, 9, 4, 0, 0, time.UTC),
	}
	if kind == mfa.MessageCode {
		m.Expires = m.At.Add(10 * time.Minute)
		f := reflect.ValueOf(&m).Elem().FieldByName("code")
		reflect.NewAt(f.Type(), f.Addr().UnsafePointer()).Elem().Set(reflect.ValueOf(func() string { return code }))
	}
	return m
}

func words(t *testing.T) *mfanotify.Words {
	t.Helper()
	w, err := mfanotify.New(mfanotify.Config{Product: "Acmé", Support: "security@example.com", Host: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// notifier returns one that sends to s with its certificate and a password.
func notifier(t *testing.T, s *server, options ...func(*smtpnotify.Config)) *smtpnotify.Notifier {
	t.Helper()
	c := smtpnotify.Config{
		Addr: s.addr, TLS: &tls.Config{RootCAs: s.roots}, Username: username, Password: func() string { return password },
		From: "Acmé <no-reply@example.com>", Words: words(t),
	}
	for _, o := range options {
		o(&c)
	}
	n, err := smtpnotify.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRow_A3_Mail sends a code through a real server, by STARTTLS and by implicit
// TLS, and reads it back out of what was delivered.
func TestRow_A3_Mail(t *testing.T) {
	for _, c := range []struct {
		name     string
		implicit bool
		auth     string
	}{{"STARTTLS", false, "PLAIN"}, {"implicit TLS", true, "PLAIN"}, {"LOGIN", false, "LOGIN"}} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, c.implicit, func(s *server) { s.auth = []string{c.auth} })
			n := notifier(t, s, func(f *smtpnotify.Config) { f.ImplicitTLS = c.implicit })
			if err := n.Notify(t.Context(), message(mfa.MessageCode, "en")); err != nil {
				t.Fatal(err)
			}
			if len(s.seen()) != 1 {
				t.Fatalf("%d mails", len(s.seen()))
			}
			got := s.seen()[0]
			if got.from != "no-reply@example.com" || got.to != "alice@example.org" || got.hello != "example.com" || got.user != username || !got.encrypted {
				t.Errorf("from %q to %q, hello %q, user %q, encrypted %v", got.from, got.to, got.hello, got.user, got.encrypted)
			}
			header, parts := parse(t, got.data)
			if len(parts) != 2 || parts[0].kind != "text/plain" || parts[1].kind != "text/html" {
				t.Fatalf("parts %+v", parts)
			}
			if !strings.Contains(parts[0].text, "\n    "+code+"\r\n") || !strings.Contains(parts[1].text, ">"+code+"</p>") {
				t.Errorf("no code in\n%s\n%s", parts[0].text, parts[1].text)
			}
			for _, p := range parts {
				if !strings.Contains(p.text, "São Paulo, Brazil") || !strings.Contains(p.text, "Acmé") {
					t.Errorf("letters were lost:\n%s", p.text)
				}
			}
			checkHeader(t, header, "Your Acmé sign-in code")
		})
	}
}

func checkHeader(t *testing.T, h mail.Header, subject string) {
	t.Helper()
	if got := decoded(t, h.Get("Subject")); got != subject {
		t.Errorf("subject %q", got)
	}
	from, err := h.AddressList("From")
	if err != nil || len(from) != 1 || *from[0] != (mail.Address{Name: "Acmé", Address: "no-reply@example.com"}) {
		t.Errorf("from %v, %v", from, err)
	}
	to, err := h.AddressList("To")
	if err != nil || len(to) != 1 || to[0].Address != "alice@example.org" {
		t.Errorf("to %v, %v", to, err)
	}
	if id := h.Get("Message-Id"); !strings.HasSuffix(id, "@example.com>") || len(id) != len("<@example.com>")+26 {
		t.Errorf("message id %q", id)
	}
	if h.Get("Auto-Submitted") != "auto-generated" || h.Get("Date") == "" || h.Get("Mime-Version") != "1.0" {
		t.Errorf("header %v", h)
	}
	for name := range h {
		switch name {
		case "Subject", "From", "To", "Message-Id", "Auto-Submitted", "X-Auto-Response-Suppress", "Date", "Mime-Version", "Content-Type":
		default:
			t.Errorf("header %s", name)
		}
	}
}

func decoded(t *testing.T, header string) string {
	t.Helper()
	s, err := new(mime.WordDecoder).DecodeHeader(header)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type part struct{ kind, text string }

// parse takes a mail apart and decodes its parts.
func parse(t *testing.T, data []byte) (mail.Header, []part) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q, %v", kind, err)
	}
	var parts []part
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m.Header, parts
		}
		if err != nil {
			t.Fatal(err)
		}
		if e := p.Header.Get("Content-Transfer-Encoding"); e != "quoted-printable" {
			t.Fatalf("encoding %q", e)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		kind, params, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil || !strings.EqualFold(params["charset"], "utf-8") {
			t.Fatalf("part %q %v, %v", kind, params, err)
		}
		parts = append(parts, part{kind, string(text)})
	}
}

// TestRow_E7_Mail sends a notice in German.
func TestRow_E7_Mail(t *testing.T) {
	s := start(t, false)
	if err := notifier(t, s).Notify(t.Context(), message("new_device", "de-AT")); err != nil {
		t.Fatal(err)
	}
	header, parts := parse(t, s.seen()[0].data)
	checkHeader(t, header, "Neue Anmeldung an Ihrem Konto bei Acmé")
	if !strings.Contains(parts[0].text, "1. März 2026, 09:04 Uhr UTC") || !strings.Contains(parts[1].text, `lang="de"`) {
		t.Errorf("%s", parts[0].text)
	}
}

// TestMessageID checks that a queue which tries again sends the same mail.
func TestMessageID(t *testing.T) {
	s := start(t, false)
	n, ctx := notifier(t, s), mfanotify.WithDelivery(t.Context())
	var ids []string
	for _, ctx := range []context.Context{ctx, ctx, t.Context()} {
		if err := n.Notify(ctx, message("new_device", "en")); err != nil {
			t.Fatal(err)
		}
		header, _ := parse(t, s.seen()[len(ids)].data)
		ids = append(ids, header.Get("Message-Id"))
	}
	if ids[0] != ids[1] || ids[0] == ids[2] {
		t.Errorf("%q", ids)
	}
}

// TestPlaintext checks what InsecurePlaintext is for: a server next door.
func TestPlaintext(t *testing.T) {
	s := start(t, false, func(s *server) { s.TLSConfig = nil })
	n := notifier(t, s, func(c *smtpnotify.Config) {
		c.InsecurePlaintext, c.TLS, c.Username, c.Password, c.Hello = true, nil, "", nil, "app.example.com"
	})
	if err := n.Notify(t.Context(), message(mfa.MessageCode, "en")); err != nil {
		t.Fatal(err)
	}
	if got := s.seen()[0]; got.encrypted || got.user != "" || got.hello != "app.example.com" {
		t.Errorf("encrypted %v, user %q, hello %q", got.encrypted, got.user, got.hello)
	}
}

// TestNotMail checks what is refused before the server is asked.
func TestNotMail(t *testing.T) {
	s := start(t, false)
	n := notifier(t, s)
	for name, change := range map[string]func(*mfa.Message){
		"a text message":      func(m *mfa.Message) { m.Channel = mfa.SMSCode },
		"no channel":          func(m *mfa.Message) { m.Channel = 0 },
		"no address":          func(m *mfa.Message) { m.To = "" },
		"two addresses":       func(m *mfa.Message) { m.To = "a@example.org, b@example.org" },
		"a name":              func(m *mfa.Message) { m.To = "Alice <alice@example.org>" },
		"a second header":     func(m *mfa.Message) { m.To = "a@example.org\r\nBcc: b@example.org" },
		"a second command":    func(m *mfa.Message) { m.To = "a@example.org>\r\nRCPT TO:<b@example.org" },
		"a code that is none": func(m *mfa.Message) { m.Kind = mfa.MessageCode },
	} {
		m := message("new_device", "en")
		change(&m)
		err := n.Notify(t.Context(), m)
		if e, ok := errors.AsType[*mfanotify.DeliveryError](err); !ok || !e.Permanent {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(s.seen()) != 0 {
		t.Errorf("%d mails", len(s.seen()))
	}
}

// TestNewRefuses checks each field, at its limits and past them.
func TestNewRefuses(t *testing.T) {
	good := func() smtpnotify.Config {
		return smtpnotify.Config{Addr: "smtp.example.com:587", From: "no-reply@example.com", Words: words(t)}
	}
	secret := func() string { return password }
	for _, c := range []struct {
		name, want string
		change     func(*smtpnotify.Config)
	}{
		{"good", "", func(c *smtpnotify.Config) {}},
		{"the shortest time", "", func(c *smtpnotify.Config) { c.Timeout = 100 * time.Millisecond }},
		{"the longest time", "", func(c *smtpnotify.Config) { c.Timeout = 5 * time.Minute }},
		{"a check of its own", "", func(c *smtpnotify.Config) {
			c.TLS = &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error { return nil }}
		}},
		{"too short", "Timeout", func(c *smtpnotify.Config) { c.Timeout = 100*time.Millisecond - 1 }},
		{"too long", "Timeout", func(c *smtpnotify.Config) { c.Timeout = 5*time.Minute + 1 }},
		{"no address", "Addr", func(c *smtpnotify.Config) { c.Addr = "" }},
		{"no port", "Addr", func(c *smtpnotify.Config) { c.Addr = "smtp.example.com" }},
		{"port 0", "Addr", func(c *smtpnotify.Config) { c.Addr = "smtp.example.com:0" }},
		{"port 65536", "Addr", func(c *smtpnotify.Config) { c.Addr = "smtp.example.com:65536" }},
		{"no name", "Addr", func(c *smtpnotify.Config) { c.Addr = ":587" }},
		{"no sender", "From", func(c *smtpnotify.Config) { c.From = "" }},
		{"a sender of two lines", "From", func(c *smtpnotify.Config) { c.From = "a@example.com\r\nBcc: b@example.com" }},
		{"a name of two lines", "Hello", func(c *smtpnotify.Config) { c.Hello = "a\r\nb" }},
		{"no words", "Words", func(c *smtpnotify.Config) { c.Words = nil }},
		{"no password", "Password", func(c *smtpnotify.Config) { c.Username = username }},
		{"no user", "Username", func(c *smtpnotify.Config) { c.Password = secret }},
		{"a password in clear", "in clear", func(c *smtpnotify.Config) {
			c.InsecurePlaintext, c.Username, c.Password = true, username, secret
		}},
		{"plain and encrypted", "ImplicitTLS", func(c *smtpnotify.Config) { c.InsecurePlaintext, c.ImplicitTLS = true, true }},
		{"any certificate", "certificate", func(c *smtpnotify.Config) { c.TLS = &tls.Config{InsecureSkipVerify: true} }},
		{"TLS 1.1", "1.2", func(c *smtpnotify.Config) { c.TLS = &tls.Config{MinVersion: tls.VersionTLS11} }},
		{"no more than TLS 1.1", "1.2", func(c *smtpnotify.Config) { c.TLS = &tls.Config{MaxVersion: tls.VersionTLS11} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := good()
			c.change(&config)
			_, err := smtpnotify.New(config)
			if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, mfa.ErrInvalid) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v", err)
			}
		})
	}
}
