package bench

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/postgresstore"
	"github.com/alexedwards/scs/v2"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfahttp"
	"github.com/seed-1320b244/mfa/mfatest"
	"github.com/seed-1320b244/mfa/sqlstore"
)

// BenchmarkHTTP is the load that wrk, another process, puts on a server whose
// sessions are in PostgreSQL: on a handler behind nothing, behind RequireSession,
// behind RequireEntry of an organization that forces a second factor, and behind
// what scs does in their place. The routes take turns, so that whatever else the
// machine does falls on all of them; figures are medians of the turns.
func BenchmarkHTTP(b *testing.B) {
	wrk, err := exec.LookPath("wrk")
	if err != nil {
		absent(b, "wrk is not installed")
	}
	onDatabases(b, func(b *testing.B, db database) {
		if db.dialect != sqlstore.PostgreSQL {
			b.Skip("one database says it")
		}
		server, cookies := db.routes(b, 1000)
		for route, all := range cookies { // wrk takes a redirect for an answer
			served(b, server+"/"+route, all[0])
			served(b, server+"/"+route, all[len(all)-1])
		}
		const turns = 7
		routes := []string{"bare", "scs", "session", "entry"}
		rates := make(map[string][]float64)
		for b.Loop() {
			for range turns {
				for _, route := range routes {
					rates[route] = append(rates[route], load(b, wrk, server+"/"+route, cookies[route]))
				}
			}
		}
		median := func(route string) float64 {
			slices.Sort(rates[route])
			return rates[route][len(rates[route])/2]
		}
		for _, route := range routes {
			b.ReportMetric(median(route), route+"-req/s")
		}
		for _, route := range routes[1:] {
			b.ReportMetric(median(route)/median("bare"), route+"/bare")
		}
		for _, route := range routes[2:] {
			b.ReportMetric(median(route)/median("scs"), route+"/scs")
		}
	})
}

// routes serves the handlers. It returns the server's address, and for each route
// the cookies of n browsers.
func (db database) routes(b *testing.B, n int) (string, map[string][]string) {
	b.Helper()
	store, _ := db.store(b)
	kit := mfatest.New(b, func(c *mfa.Config) { c.Store, c.OnEvent = store, nil })
	kit.Clock.Advance(time.Since(kit.Clock.Now())) // scs has no clock of its own
	member := []mfa.Membership{{Org: "acme"}}
	kit.Users.Add(mfa.User{ID: user, Orgs: []mfa.Membership{{Org: "acme", Role: mfa.RoleOwner}}})
	cookies := make(map[string][]string)
	for i := range n {
		id := userID(i)
		kit.Users.Add(mfa.User{ID: id, Orgs: member})
		_, s, _ := kit.Enroll(b, id)
		cookies["session"] = append(cookies["session"], "__Host-mfa_session="+s.Token())
	}
	cookies["entry"], cookies["bare"] = cookies["session"], cookies["session"]
	_, owner, _ := kit.Enroll(b, user)
	admin, err := owner.Admin(b.Context(), "acme")
	if err != nil {
		b.Fatal(err)
	}
	if err := admin.SetRules(b.Context(), mfa.Rules{Require: mfa.RequireAtDoor}, ""); err != nil {
		b.Fatal(err)
	}
	web, err := mfahttp.New(mfahttp.Config{Guard: kit.Guard, NoProxies: true, Now: kit.Clock.Now, Pages: mfahttp.Pages{
		SignIn: "/a", Verify: "/b", Enroll: "/c", SaveCodes: "/d", NewPassword: "/e", StepUp: "/f", Home: "/g",
	}})
	if err != nil {
		b.Fatal(err)
	}

	table := "bench_" + strings.ToLower(rand.Text()[:12]) + "_sessions"
	db.execute(b, "CREATE TABLE "+table+" (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)")
	db.dropAfter(b, table)
	manager := scs.New()
	manager.Store = postgresstore.NewWithConfig(db.DB, postgresstore.Config{TableName: table})
	for i := range n {
		ctx, err := manager.Load(b.Context(), "")
		if err != nil {
			b.Fatal(err)
		}
		manager.Put(ctx, "user", userID(i))
		token, _, err := manager.Commit(ctx)
		if err != nil {
			b.Fatal(err)
		}
		cookies["scs"] = append(cookies["scs"], manager.Cookie.Name+"="+token)
	}

	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") })
	mux := http.NewServeMux()
	mux.Handle("/bare", hello)
	mux.Handle("/scs", manager.LoadAndSave(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if manager.GetString(r.Context(), "user") == "" {
			http.Error(w, "who?", http.StatusUnauthorized)
			return
		}
		hello(w, r)
	})))
	mux.Handle("/session", web.RequireSession(hello))
	mux.Handle("/entry", web.RequireEntry(func(*http.Request) string { return "acme" }, hello))
	server := httptest.NewServer(mux)
	b.Cleanup(server.Close)
	return server.URL, cookies
}

// served fails unless the route answers a browser with its page.
func served(b *testing.B, url, cookie string) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Cookie", cookie)
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		b.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b.Fatalf("%s: %s", url, resp.Status)
	}
}

var (
	rate = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)
	bad  = regexp.MustCompile(`Non-2xx or 3xx responses|Socket errors`)
)

// load returns how many requests a second one connection for each that may be in
// flight gets answered, for three seconds.
func load(b *testing.B, wrk, url string, cookies []string) float64 {
	b.Helper()
	script := filepath.Join(b.TempDir(), "cookies.lua")
	text := "cookies = {\"" + strings.Join(cookies, "\", \"") + "\"}\ni = 0\n" +
		"request = function() i = i % #cookies + 1; return wrk.format(\"GET\", nil, {[\"Cookie\"] = cookies[i]}) end\n"
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	out, err := exec.CommandContext(b.Context(), wrk, "-t1", "-c"+strconv.Itoa(inFlight), "-d3s", "-s", script, url).CombinedOutput()
	found := rate.FindSubmatch(out)
	if err != nil || found == nil || bad.Match(out) {
		b.Fatalf("%v\n%s", err, out)
	}
	n, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}
