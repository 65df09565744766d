package mfahttp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
	"github.com/seed-1320b244/mfa/mfatest"
)

// An API for a mobile app: it keeps the token that an answer brings and presents it
// with the next request.
func ExampleNewAPI() {
	guard, err := newPasswordGuard()
	if err != nil {
		fmt.Println(err)
		return
	}
	api, err := mfahttp.NewAPI(mfahttp.Config{Guard: guard, NoProxies: true}, mfahttp.APIConfig{Bearer: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/api/mfa/", http.StripPrefix("/api/mfa", api))
	mux.Handle("GET /api/reports", api.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"of":%q}`, mfahttp.SessionFrom(r.Context()).User())
	})))

	// What an app sees.
	header := make(http.Header)
	send := func(method, path, body string) (token string) {
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.Header = header.Clone()
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		var answer map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			fmt.Println(err)
		}
		fmt.Print(method, " ", path, " ", w.Code)
		for _, field := range []string{"reason", "of", "need"} {
			if v, ok := answer[field]; ok {
				fmt.Print(" ", field, ":", v)
			}
		}
		fmt.Println()
		token, _ = answer["token"].(string)
		return token
	}
	send("GET", "/api/reports", "")
	send("POST", "/api/mfa/sign-in", `{"login":"alice","password":"a guess"}`)
	header.Set("Authorization", "Bearer "+send("POST", "/api/mfa/sign-in", `{"login":"alice","password":"blue stapler on the moon"}`))
	send("GET", "/api/reports", "")
	header.Set("Mfa-Pending", send("POST", "/api/mfa/session/step-up", `{"purpose":{"type":"enroll","method":"totp"}}`))
	send("POST", "/api/mfa/pending/totp/confirm", `{"code":"123456"}`)
	// Output:
	// GET /api/reports 401 reason:no_session
	// POST /api/mfa/sign-in 403 reason:refused
	// POST /api/mfa/sign-in 200
	// GET /api/reports 200 of:alice
	// POST /api/mfa/session/step-up 200 need:map[methods:[totp] step:enroll why:requested]
	// POST /api/mfa/pending/totp/confirm 403 reason:refused
}

// newPasswordGuard returns a guard that keeps alice's password.
func newPasswordGuard() (*mfa.Guard, error) {
	keys, err := mfa.ParseKeys(mfa.NewKey())
	if err != nil {
		return nil, err
	}
	users := new(mfatest.Users)
	users.Add(mfa.User{ID: "alice"})
	guard, err := mfa.New(mfa.Config{Issuer: "Example", Store: new(mfa.MemoryStore), Users: users, Keys: keys})
	if err != nil {
		return nil, err
	}
	return guard, guard.SetPassword(context.Background(), "alice", "blue stapler on the moon")
}
