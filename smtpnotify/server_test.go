package smtpnotify_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

const username, password = "mailer", "s3cret-p4ssword"

// delivered is a mail that a server has accepted.
type delivered struct {
	hello, from, to, user string
	encrypted             bool
	data                  []byte
}

// server is a real SMTP server on loopback, which refuses or hangs where a test
// says so.
type server struct {
	*smtp.Server
	addr  string
	roots *x509.CertPool

	mu    sync.Mutex
	mails []delivered
	fail  map[string]error // by step
	hang  string           // a step
	held  chan struct{}    // closed at the end
	auth  []string
}

func (s *server) seen() []delivered {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mails
}

// step is what a session does before it answers.
func (s *server) step(name string) error {
	s.mu.Lock()
	hang, err := s.hang == name, s.fail[name]
	s.mu.Unlock()
	if hang {
		<-s.held
	}
	return err
}

// start is serve for a test.
func start(t *testing.T, implicit bool, options ...func(*server)) *server {
	t.Helper()
	s, stop, err := serve(implicit, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	return s
}

// serve runs a server, with STARTTLS or, implicit, with TLS from the first byte,
// until stop. Options change it before.
func serve(implicit bool, options ...func(*server)) (s *server, stop func() error, err error) {
	certificate, roots, err := certify("127.0.0.1", time.Now().Add(time.Hour))
	if err != nil {
		return nil, nil, err
	}
	s = &server{roots: roots, fail: map[string]error{}, held: make(chan struct{}), auth: []string{sasl.Plain}}
	s.Server = smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		if err := s.step("EHLO"); err != nil {
			return nil, err
		}
		_, encrypted := c.TLSConnectionState()
		return &session{server: s, conn: c, mail: delivered{encrypted: encrypted}}, nil
	}))
	s.Domain, s.TLSConfig = "mail.example.net", &tls.Config{Certificates: []tls.Certificate{certificate}}
	s.ErrorLog = log.New(io.Discard, "", 0)
	for _, o := range options {
		o(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	s.addr = l.Addr().String()
	if implicit {
		l = tls.NewListener(l, s.TLSConfig)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	return s, func() error {
		close(s.held)
		s.Close()
		if err := <-done; err != nil && !errors.Is(err, smtp.ErrServerClosed) {
			return err
		}
		return nil
	}, nil
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

type session struct {
	*server
	conn *smtp.Conn
	mail delivered
}

func (s *session) Reset()        {}
func (s *session) Logout() error { return nil }

func (s *session) AuthMechanisms() []string { return s.auth }

func (s *session) Auth(mechanism string) (sasl.Server, error) {
	if err := s.step("AUTH"); err != nil {
		return nil, err
	}
	check := func(user, pass string) error {
		if user != username || pass != password {
			return smtp.ErrAuthFailed
		}
		s.mail.user = user
		return nil
	}
	if mechanism == "LOGIN" {
		return &login{check: check}, nil
	}
	return sasl.NewPlainServer(func(identity, user, pass string) error { return check(user, pass) }), nil
}

// login is the server's side of LOGIN, which go-sasl lacks.
type login struct {
	check func(user, pass string) error
	said  []string
}

func (l *login) Next(response []byte) (challenge []byte, done bool, err error) {
	if response != nil {
		l.said = append(l.said, string(response))
	}
	switch len(l.said) {
	case 0:
		return []byte("Username:"), false, nil
	case 1:
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.said[0], l.said[1])
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.mail.from, s.mail.hello = from, s.conn.Hostname()
	return s.step("MAIL")
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.mail.to = to
	return s.step("RCPT")
}

func (s *session) Data(r io.Reader) error {
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		return err
	}
	if err := s.step("DATA"); err != nil {
		return err
	}
	s.mail.data = b.Bytes()
	s.mu.Lock()
	s.mails = append(s.mails, s.mail)
	s.mu.Unlock()
	if s.step("drop") != nil {
		s.conn.Conn().Close() // before the answer
	}
	return nil
}

// certify makes a certificate for a name or an address that ends at a time, and
// the roots that know it.
func certify(name string, end time.Time) (tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: end.Add(-2 * time.Hour), NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots, nil
}
