package mfanotify_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfanotify"
)

// Text messages go to a gateway in the shape of Twilio's, whose refusal is told
// without the number.
func ExampleFormPost() {
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("To") != "+15005550006" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"code": 21211, "message": "Invalid 'To' number: %s"}`, r.PostFormValue("To"))
			return
		}
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, `{"status": "queued"}`)
	}))
	defer gateway.Close()

	words, err := mfanotify.New(mfanotify.Config{Product: "Acme", Support: "security@acme.example", Host: "acme.example"})
	if err != nil {
		log.Fatal(err)
	}
	sms, err := mfanotify.NewFormPost(mfanotify.FormPostConfig{
		URL:   gateway.URL, // https://api.twilio.com/2010-04-01/Accounts/AC…/Messages.json
		Words: words, From: "+15005550001", Authorize: mfanotify.BasicAuth("AC…", "the token"),
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, to := range []string{"+15005550006", "+15005550009"} {
		err := sms.Notify(ctx, mfa.Message{Kind: "factor_added", Channel: mfa.SMSCode, To: to, Method: mfa.TOTP})
		if e, ok := errors.AsType[*mfanotify.DeliveryError](err); ok {
			fmt.Println(e, "- permanent:", e.Permanent)
			continue
		}
		fmt.Println("accepted")
	}
	// Output:
	// accepted
	// mfanotify: not delivered: POST 400 (21211): "Invalid 'To' number: …" - permanent: true
}
