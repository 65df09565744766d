package mfa_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A report for an auditor, as a file to download. The host has looked up the session
// and asked it for the Admin of the organization.
func ExampleWriteCompliance() {
	download := func(w http.ResponseWriter, r *http.Request, admin *mfa.Admin) {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="members.csv"`)
		if err := mfa.WriteCompliance(w, admin.Compliance(r.Context())); err != nil {
			log.Print(err) // a report that broke off says so in its last line
		}
	}
	w := httptest.NewRecorder()
	admin := exampleAdmin()
	download(w, httptest.NewRequest("GET", "/members.csv", nil), admin)
	fmt.Print(w.Body)
	// Output:
	// user,role,meets_rules,managed,methods,codes_left,last_verified,locked,exempt,disabled,problem
	// ann,administrator,true,true,,0,,false,,false,
	// bob,member,true,true,,0,,false,,false,
}

// exampleAdmin returns the support desk's handle of an installation with two users.
func exampleAdmin() *mfa.Admin {
	keys, err := mfa.ParseKeys(mfa.NewKey())
	if err != nil {
		log.Fatal(err)
	}
	users := new(mfatest.Users)
	users.Add(mfa.User{ID: "ann", Admin: true}, mfa.User{ID: "bob"})
	guard, err := mfa.New(mfa.Config{Issuer: "Example", Store: new(mfa.MemoryStore), Users: users, Keys: keys})
	if err != nil {
		log.Fatal(err)
	}
	return guard.Operator("desk", "the yearly audit")
}
