package smtpnotify_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"log/slog"
	"mime"
	"net/mail"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfanotify"
	"github.com/seed-1320b244/mfa/smtpnotify"
)

// Mail through a server that asks for STARTTLS and a password. Codes are sent at
// once; notices wait in a queue that ends with the program.
func Example() {
	server, stop, err := serve(false) // a real one, of this test
	if err != nil {
		log.Fatal(err)
	}
	defer stop()

	words, err := mfanotify.New(mfanotify.Config{Product: "Acme", Support: "security@acme.example"})
	if err != nil {
		log.Fatal(err)
	}
	mailer, err := smtpnotify.New(smtpnotify.Config{
		Addr: server.addr,                        // smtp.acme.example:587
		TLS:  &tls.Config{RootCAs: server.roots}, // nil: the roots of the system
		From: "Acme <no-reply@acme.example>", Username: username, Password: func() string { return password },
		Words: words,
	})
	if err != nil {
		log.Fatal(err)
	}
	queue, err := mfanotify.NewQueue(mfanotify.QueueConfig{Notifier: mailer, Log: slog.Default()})
	if err != nil {
		log.Fatal(err)
	}
	// guard, err := mfa.New(mfa.Config{Notifier: queue, …})
	err = queue.Notify(context.Background(), mfa.Message{
		Kind: "codes_issued", Channel: mfa.EmailCode, To: "ada@example.org", User: mfa.User{ID: "ada", Locale: "de"},
		At: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, shutdown := context.WithCancel(context.Background())
	shutdown() // at once, here
	if err := queue.Run(ctx); err != nil {
		log.Fatal(err)
	}
	for _, m := range server.seen() {
		received, err := mail.ReadMessage(bytes.NewReader(m.data))
		if err != nil {
			log.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(received.Header.Get("Subject"))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("to", m.to+":", subject)
	}
	// Output:
	// to ada@example.org: Neue Ersatzcodes für Ihr Konto bei Acme
}
