package pages_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing/fstest"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
	"github.com/seed-1320b244/mfa/mfahttp/pages"
)

// A whole host: the pages under /account, a page of its own behind them, and two
// sentences, a color and a link of its own choice.
func Example() {
	guard, err := newGuard()
	if err != nil {
		fmt.Println(err)
		return
	}
	jobs := mfahttp.NewJobs(nil)
	ctx, stop := context.WithCancel(context.Background())
	defer stop() // when the server has ended
	go jobs.Run(ctx)

	site, err := pages.New(pages.Config{
		Guard:   guard,
		HTTP:    mfahttp.Config{NoProxies: true},
		Users:   oneUser{},
		Jobs:    jobs.Add,
		Product: "Cedar",
		Prefix:  "/account",
		Home:    "/",
		Files: fstest.MapFS{ // or an embed.FS, or os.DirFS
			"messages/en.json":      {Data: []byte(`{"sign-in.title": "Welcome back", "host.privacy": "How {product} keeps your data"}`)},
			"static/host.css":       {Data: []byte(`:root { --accent: #0b57d0; --accent-strong: #0842a0; }`)},
			"templates/blocks.html": {Data: []byte(`{{define "foot"}}<footer class="foot">{{link "/privacy" (msg "host.privacy" "product" .Product)}}</footer>{{end}}`)},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/account/", site)
	mux.Handle("/", site.Web().RequireSession(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %s", mfahttp.SessionFrom(r.Context()).User())
	})))
	handler := site.Web().Protect(mux)

	// What a browser sees.
	for _, path := range []string{"/reports", "/account/sign-in?to=%2Freports"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		fmt.Println(path, w.Code)
		if to := w.Header().Get("Location"); to != "" {
			fmt.Println("to", to)
		}
		for _, part := range []string{"title", "footer"} {
			if _, rest, ok := strings.Cut(w.Body.String(), "<"+part); ok {
				_, rest, _ = strings.Cut(rest, ">")
				text, _, _ := strings.Cut(rest, "</"+part)
				fmt.Println(html.UnescapeString(text))
			}
		}
	}
	// Output:
	// /reports 303
	// to /account/sign-in?to=%2Freports
	// /account/sign-in?to=%2Freports 200
	// Welcome back · Cedar
	// <a href="/privacy">How Cedar keeps your data</a>
}

// oneUser is a directory.
type oneUser struct{}

func (oneUser) User(ctx context.Context, id string) (mfa.User, error) {
	if id != "u-1" {
		return mfa.User{}, mfa.ErrNoUser
	}
	return mfa.User{ID: id, Name: "alice", Email: "alice@example.com", EmailVerified: true}, nil
}

// FindUser makes signing in by name possible.
func (u oneUser) FindUser(ctx context.Context, login string) (mfa.User, error) {
	if login != "alice" {
		return mfa.User{}, mfa.ErrNoUser
	}
	return u.User(ctx, "u-1")
}

func newGuard() (*mfa.Guard, error) {
	keys, err := mfa.ParseKeys(mfa.NewKey())
	if err != nil {
		return nil, err
	}
	return mfa.New(mfa.Config{Issuer: "Cedar", Store: new(mfa.MemoryStore), Users: oneUser{}, Keys: keys})
}
