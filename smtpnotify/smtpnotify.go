// Package smtpnotify sends the codes and notices of package mfa as mail, through
// an SMTP server that takes submissions (RFC 6409).
//
// The connection is encrypted and the server's certificate checked, or nothing is
// sent: a code on a network is as good as none. That protects the way to your
// server; how mail travels on from there, and who reads it, is out of your hands,
// which is why codes by mail are the weakest factor that package mfa knows.
package smtpnotify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"strconv"
	"strings"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfanotify"
)

// Config wires a Notifier. Addr, From and Words are required.
type Config struct {
	// Addr is the server's name and port, such as "smtp.example.com:587". The name
	// is what its certificate must show.
	Addr string
	// ImplicitTLS encrypts from the first byte, as servers on port 465 want it (RFC
	// 8314 section 3.3). Default false: STARTTLS, without which nothing is sent.
	ImplicitTLS bool
	// InsecurePlaintext sends without encryption, for a server on the same machine.
	// Whoever is on the network path reads every code, and can change where the mail
	// goes. It refuses to be used with Username.
	InsecurePlaintext bool
	// TLS is the client's configuration, cloned. Nil: the system's roots. Versions
	// before 1.2 and InsecureSkipVerify without a check of its own are refused.
	TLS *tls.Config
	// Username and Password authenticate, by PLAIN or LOGIN, the first that the server
	// offers. Password is called for each mail. Empty and nil: no authentication.
	Username string
	Password func() string
	// From is the sender, such as "Acme <no-reply@example.com>".
	From string
	// Hello is the name for EHLO. Empty: the domain of From.
	Hello string
	// Words makes the mail.
	Words *mfanotify.Words
	// Timeout bounds a mail, from dialing to acceptance, besides the context. Zero: 15
	// seconds. 100 ms to 5 minutes.
	Timeout time.Duration
}

// A Notifier sends mail. It opens a connection for each, keeps none, and starts no
// goroutine that outlives the call. It is safe for concurrent use.
type Notifier struct {
	c    Config
	host string
	from *mail.Address
	tls  *tls.Config // nil: InsecurePlaintext
}

// New checks c and returns a Notifier. It does not connect. Its error wraps
// mfa.ErrInvalid and names every field that is missing or unsafe.
func New(c Config) (*Notifier, error) {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	host, port, err := net.SplitHostPort(c.Addr)
	if n, e := strconv.Atoi(port); err != nil || e != nil || host == "" || n < 1 || n > 65535 {
		bad("Config.Addr is not a name and a port")
	}
	from, err := mail.ParseAddress(c.From)
	if err != nil {
		bad("Config.From is no address")
	} else if c.Hello == "" {
		c.Hello = from.Address[strings.LastIndexByte(from.Address, '@')+1:]
	}
	if strings.ContainsAny(c.Hello, " \t\r\n") {
		bad("Config.Hello is not a name")
	}
	if c.Words == nil {
		bad("Config.Words is missing")
	}
	if c.Timeout == 0 {
		c.Timeout = 15 * time.Second
	}
	if c.Timeout < 100*time.Millisecond || 5*time.Minute < c.Timeout {
		bad("Config.Timeout is not 100 ms to 5 min")
	}
	errs = append(errs, c.checkSecrecy())
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%w: %w", mfa.ErrInvalid, err)
	}
	n := &Notifier{c: c, host: host, from: from}
	if !c.InsecurePlaintext {
		n.tls = &tls.Config{}
		if c.TLS != nil {
			n.tls = c.TLS.Clone()
		}
		if n.tls.ServerName == "" {
			n.tls.ServerName = host
		}
		n.tls.MinVersion = max(n.tls.MinVersion, tls.VersionTLS12)
	}
	return n, nil
}

func (c Config) checkSecrecy() error {
	switch {
	case (c.Username == "") != (c.Password == nil):
		return errors.New("Config.Username and Config.Password go together")
	case c.InsecurePlaintext && c.Username != "":
		return errors.New("Config.InsecurePlaintext would send Config.Password in clear")
	case c.InsecurePlaintext && (c.ImplicitTLS || c.TLS != nil):
		return errors.New("Config.InsecurePlaintext excludes Config.ImplicitTLS and Config.TLS")
	case c.TLS == nil:
		return nil
	case c.TLS.InsecureSkipVerify && c.TLS.VerifyConnection == nil && c.TLS.VerifyPeerCertificate == nil:
		return errors.New("Config.TLS does not check the certificate")
	case c.TLS.MinVersion != 0 && c.TLS.MinVersion < tls.VersionTLS12, c.TLS.MaxVersion != 0 && c.TLS.MaxVersion < tls.VersionTLS12:
		return errors.New("Config.TLS allows versions before 1.2")
	}
	return nil
}

// Notify sends m and returns nil once the server has accepted it. It returns
// before ctx is over. Its error is a *mfanotify.DeliveryError, which is permanent when the
// server refused this mail, and not when something is wrong with the server, the
// connection or the password.
func (n *Notifier) Notify(ctx context.Context, m mfa.Message) error {
	if m.Channel != mfa.EmailCode {
		return &mfanotify.DeliveryError{Step: fmt.Sprintf("channel %q", m.Channel), Permanent: true}
	}
	to, err := mail.ParseAddress(m.To)
	if err != nil || to.Address != m.To {
		return &mfanotify.DeliveryError{Step: "address", Permanent: true}
	}
	text, err := n.c.Words.Mail(m)
	if err != nil {
		return &mfanotify.DeliveryError{Step: "words", Permanent: true, Err: err}
	}
	body, err := n.compose(text, to, mfanotify.Delivery(ctx))
	if err != nil {
		return &mfanotify.DeliveryError{Step: "message", Permanent: true}
	}
	ctx, cancel := context.WithTimeout(ctx, n.c.Timeout)
	defer cancel()
	return n.send(ctx, to.Address, body)
}
