package mfahttp_test

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
)

// A whole host: its own pages, one handler for each step, and a page for signed-in
// users.
func Example() {
	guard, err := newGuard()
	if err != nil {
		fmt.Println(err)
		return
	}
	web, err := mfahttp.New(mfahttp.Config{
		Guard: guard,
		Pages: mfahttp.Pages{
			SignIn: "/sign-in", Verify: "/verify", Enroll: "/setup", SaveCodes: "/codes",
			NewPassword: "/new-password", StepUp: "/step-up", Home: "/",
		},
		NoProxies: true,
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	mux := http.NewServeMux()
	mux.HandleFunc("POST /sign-in", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("name") != "alice" || r.PostFormValue("password") != "correct horse" { // your own check
			web.Next(w, r, mfa.Outcome{}, mfa.ErrRefused)
			return
		}
		out, err := guard.SignIn(r.Context(), web.SignIn(r, "u-1", mfa.PasswordFirst()))
		web.Next(w, r, out, err)
	})
	setup := template.Must(template.New("").Parse(`Scan <img src="/setup/qr"> and type the code: <form method="post"><input name="code">`))
	mux.Handle("GET /setup", web.RequirePending(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		setup.Execute(w, nil)
	}), mfa.StepEnroll))
	mux.Handle("POST /setup", web.RequirePending(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out, err := mfahttp.PendingFrom(r.Context()).ConfirmTOTP(r.Context(), r.PostFormValue("code"))
		web.Next(w, r, out, err)
	}), mfa.StepEnroll))
	mux.Handle("GET /", web.RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %s", mfahttp.SessionFrom(r.Context()).User())
	})))
	handler := web.Protect(mux)

	// What a browser sees.
	show := func(r *http.Request) *http.Response {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(r.Method, r.URL, w.Code, w.Header().Get("Location"))
		return w.Result()
	}
	show(httptest.NewRequest("GET", "/reports?year=2026", nil))
	for _, password := range []string{"guess", "correct horse"} {
		form := url.Values{"name": {"alice"}, "password": {password}, "to": {"/reports?year=2026"}}
		r := httptest.NewRequest("POST", "/sign-in", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range show(r).Cookies() {
			fmt.Println(c.Name, c.Secure, c.HttpOnly)
		}
	}
	// Output:
	// GET /reports?year=2026 303 /sign-in?to=%2Freports%3Fyear%3D2026
	// POST /sign-in 303 /sign-in?error=refused&to=%2Freports%3Fyear%3D2026
	// POST /sign-in 303 /setup
	// __Host-mfa_pending true true
}

// oneUser is a directory.
type oneUser struct{}

func (oneUser) User(ctx context.Context, id string) (mfa.User, error) {
	if id != "u-1" {
		return mfa.User{}, mfa.ErrNoUser
	}
	return mfa.User{ID: id, Name: "alice"}, nil
}

func newGuard() (*mfa.Guard, error) {
	keys, err := mfa.ParseKeys(mfa.NewKey())
	if err != nil {
		return nil, err
	}
	return mfa.New(mfa.Config{
		Issuer: "Example", Store: new(mfa.MemoryStore), Users: oneUser{}, Keys: keys,
		Policy: mfa.Policy{Rules: mfa.Rules{Require: mfa.RequireAtSignIn}},
	})
}
