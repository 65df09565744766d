package mfanotify_test

import (
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfanotify"
)

// A Notifier of your own takes its words from Words.
func ExampleWords_Mail() {
	words, err := mfanotify.New(mfanotify.Config{Product: "Acme", Support: "security@acme.example"})
	if err != nil {
		log.Fatal(err)
	}
	mail, err := words.Mail(mfa.Message{
		Kind: "new_device", Channel: mfa.EmailCode, To: "ada@example.org",
		User:   mfa.User{ID: "ada", Locale: "en-GB"},
		Device: "Firefox on Windows", Place: "Lisbon, Portugal", Addr: netip.MustParseAddr("192.0.2.7"),
		At: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("Subject:", mail.Subject)
	fmt.Println()
	fmt.Print(mail.Text()) // mail.HTML() is the same as a page
	// Output:
	// Subject: New sign-in to your Acme account
	//
	// Somebody signed in to your Acme account from a device that was not used there before.
	//
	// When: 1 March 2026, 09:00 UTC
	// Device: Firefox on Windows
	// Place, roughly: Lisbon, Portugal
	// Address: 192.0.2.7
	//
	// Was this you? Then there is nothing to do.
	//
	// Was it not? Then somebody else is in your account: change your password at once, end all other sessions in your security settings, and contact security@acme.example.
	//
	// Acme sends this for your security. We never ask for a password or a code, neither by mail nor by phone.
}
