package mfanotify_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfanotify"
)

// printer stands for smtpnotify or FormPost.
type printer struct{}

func (printer) Notify(_ context.Context, m mfa.Message) error {
	fmt.Println("sent:", m.Kind, "to", m.To)
	return nil
}

// A queue runs beside the server and ends with it: what waits is sent, for at most
// Drain.
func ExampleQueue() {
	queue, err := mfanotify.NewQueue(mfanotify.QueueConfig{
		Notifier: mfanotify.ByChannel{Mail: printer{}, SMS: printer{}}, Drain: 5 * time.Second, Log: slog.Default(),
	})
	if err != nil {
		log.Fatal(err)
	}
	// guard, err := mfa.New(mfa.Config{Notifier: queue, …})
	if err := queue.Notify(context.Background(), mfa.Message{Kind: "codes_issued", Channel: mfa.EmailCode, To: "ada@example.org"}); err != nil {
		log.Fatal(err)
	}
	fmt.Println("the request is answered")

	server, shutdown := context.WithCancel(context.Background())
	shutdown() // at once, here
	if err := queue.Run(server); err != nil {
		log.Fatal(err)
	}
	// Output:
	// the request is answered
	// sent: codes_issued to ada@example.org
}
