package mfanotify_test

import (
	"fmt"
	"log"
	"testing/fstest"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfanotify"
)

// One definition is replaced, and all others stay. A program would embed a folder
// of its own instead of the map.
func ExampleConfig_templates() {
	own := fstest.MapFS{"en.tmpl": {Data: []byte(
		`{{define "new_device.sms"}}{{.Product}}: new sign-in {{.WhenShort}}. Not you? Call {{.Support}}{{end}}`,
	)}}
	words, err := mfanotify.New(mfanotify.Config{Product: "Acme", Support: "+1 555 0100", Templates: own})
	if err != nil {
		log.Fatal(err) // also when a template would fail later
	}
	sms, err := words.SMS(mfa.Message{Kind: "new_device", Channel: mfa.SMSCode, At: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sms)
	// Output: Acme: new sign-in 2026-03-01 09:00 UTC. Not you? Call +1 555 0100
}
