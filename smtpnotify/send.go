package smtpnotify

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"github.com/seed-1320b244/mfa/mfanotify"
)

// quitFor is how long a server may take to say good-bye once it has the mail.
const quitFor = 250 * time.Millisecond

// send brings body to the server, step by step. go-mail's own client is not used:
// it looks at no context after dialing, leaves the connection open when the
// greeting, TLS or authentication fails, and calls a mail failed that the server
// accepted when the next command does.
func (n *Notifier) send(ctx context.Context, to string, body []byte) error {
	socket, err := new(net.Dialer).DialContext(ctx, "tcp", n.c.Addr)
	if err != nil {
		return failed(ctx, "connect", err)
	}
	conn := &boundedConn{Conn: socket, left: maxAnswers}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	client, err := n.greet(ctx, conn)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"AUTH", func() error { return n.authenticate(client) }},
		{"MAIL", func() error { return client.Mail("<" + n.from.Address + ">") }},
		{"RCPT", func() error { return client.Rcpt("<" + to + ">") }},
		{"DATA", func() error { return data(client, body) }},
	} {
		if err := step.run(); err != nil {
			return failed(ctx, step.name, err)
		}
	}
	conn.SetDeadline(time.Now().Add(quitFor))
	client.Quit() // the mail is accepted: nothing that happens now takes that back
	return nil
}

// greet returns a client that has said hello over an encrypted connection.
func (n *Notifier) greet(ctx context.Context, conn net.Conn) (*smtp.Client, error) {
	if n.c.ImplicitTLS {
		encrypted := tls.Client(conn, n.tls)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			return nil, failed(ctx, "TLS", err)
		}
		conn = encrypted
	}
	client, err := smtp.NewClient(conn, n.host)
	if err != nil {
		return nil, failed(ctx, "greeting", err)
	}
	if err := client.Hello(n.c.Hello); err != nil {
		return nil, failed(ctx, "EHLO", err)
	}
	if n.c.ImplicitTLS || n.c.InsecurePlaintext {
		return client, nil
	}
	if ok, _ := client.Extension("STARTTLS"); !ok {
		return nil, failed(ctx, "STARTTLS", errNoTLS)
	}
	if err := client.StartTLS(n.tls); err != nil {
		return nil, failed(ctx, "STARTTLS", err)
	}
	return client, nil
}

var (
	errNoTLS  = errors.New("the server offers no encryption, or somebody between removed the offer")
	errNoAuth = errors.New("the server offers no authentication that is known")
	errLong   = errors.New("the server says too much")
)

func (n *Notifier) authenticate(client *smtp.Client) error {
	if n.c.Username == "" {
		return nil
	}
	_, offered := client.Extension("AUTH")
	mechanisms := strings.Fields(strings.ToUpper(offered))
	password := n.c.Password()
	switch {
	case slices.Contains(mechanisms, "PLAIN"):
		return client.Auth(smtp.PlainAuth("", n.c.Username, password, n.host, false))
	case slices.Contains(mechanisms, "LOGIN"):
		return client.Auth(smtp.LoginAuth(n.c.Username, password, n.host, false))
	}
	return errNoAuth
}

func data(client *smtp.Client, body []byte) error {
	w, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(body); err != nil {
		return err // Close would end the mail here, and the server take it for whole
	}
	return w.Close()
}

// enhanced is an enhanced status code at the beginning of an answer (RFC 2034
// section 4).
var enhanced = regexp.MustCompile(`^[245]\.[0-9]{1,3}\.[0-9]{1,3}\b`)

// failed returns what may be told of err: a server may quote the mail or the
// password in its answers, so only numbers are taken from them.
func failed(ctx context.Context, step string, err error) *mfanotify.DeliveryError {
	out := &mfanotify.DeliveryError{Step: step}
	if answer, ok := errors.AsType[*textproto.Error](err); ok {
		out.Status, out.Code = answer.Code, enhanced.FindString(answer.Msg)
		// Before MAIL it is not this mail that the server refuses: what is wrong may be
		// mended while a notice waits.
		out.Permanent = answer.Code >= 500 && slices.Contains([]string{"MAIL", "RCPT", "DATA"}, step)
		return out
	}
	switch {
	case ctx.Err() != nil:
		out.Err = ctx.Err()
	case errors.Is(err, errNoTLS), errors.Is(err, errNoAuth), errors.Is(err, errLong):
		out.Err = err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		out.Err = io.ErrUnexpectedEOF
	default:
		out.Err = underneath(err)
	}
	return out
}

// underneath returns the part of err that this machine made.
func underneath(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return e
	}
	if e, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return errors.New(e.Msg)
	}
	return fmt.Errorf("%T", err)
}

// maxAnswers is how many bytes a server may send in one conversation, TLS
// included. They send some kilobytes; a hostile one must not fill the memory with
// a greeting that never ends.
const maxAnswers = 256 << 10

type boundedConn struct {
	net.Conn
	left int
}

func (c *boundedConn) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, errLong
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}
