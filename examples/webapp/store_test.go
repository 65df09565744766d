package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// absent ends a test whose server is missing: that skips, or fails where
// MFA_REQUIRE_SERVICES says that all are there.
func absent(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("MFA_REQUIRE_SERVICES") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

var address = regexp.MustCompile(`http://\S+`)

// start runs the program until stop is called, which checks that it ended well.
func start(t *testing.T, location string) (base string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, in, "127.0.0.1:0", "", location, true)
		in.CloseWithError(errors.Join(err, io.EOF))
		ended <- err
	}()
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	if err != nil {
		cancel()
		t.Fatalf("-store %s: %v", location, err)
	}
	go io.Copy(io.Discard, lines)
	stop = func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("-store %s: %v", location, err)
		}
	}
	return address.FindString(first), stop
}

// signedIn reports whether the browser with these cookies is shown the home page
// and not the way to it.
func signedIn(t *testing.T, browser *http.Client, base string) bool {
	t.Helper()
	answer, err := browser.Get(base + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK && answer.Request.URL.Path == "/"
}

// survives signs in, starts the program again on the same store and finds the
// session alive, ends it, and starts again.
func survives(t *testing.T, location string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	browser := &http.Client{Jar: jar, Transport: transport}
	post := func(url string, form url.Values) {
		t.Helper()
		answer, err := browser.PostForm(url, form)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	base, stop := start(t, location)
	if signedIn(t, browser, base) {
		t.Error("a stranger is signed in")
	}
	post(base+"/sign-in", url.Values{"name": {"alice"}, "password": {demoPassword}})
	if !signedIn(t, browser, base) {
		t.Error("nobody is signed in after signing in")
	}
	stop()

	base, stop = start(t, location)
	if !signedIn(t, browser, base) {
		t.Error("the session did not survive")
	}
	cookies := jar.Cookies(&url.URL{Scheme: "http", Host: "127.0.0.1", Path: "/"})
	post(base+"/sign-out", nil)
	stop()

	base, stop = start(t, location)
	defer stop()
	jar.SetCookies(&url.URL{Scheme: "http", Host: "127.0.0.1", Path: "/"}, cookies)
	if signedIn(t, browser, base) {
		t.Error("a session that was ended is alive again")
	}
}

// The program starts twice on one file, and the session is alive.
func TestStoreSQLite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a folder?", "web#app.db")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	survives(t, "sqlite:"+file)
	for _, name := range []string{file, file + ".key"} {
		if info, err := os.Stat(name); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", name, info.Mode(), err)
		}
	}
	if err := os.Remove(file + ".key"); err != nil {
		t.Fatal(err)
	}
	if _, err := openStorage(t.Context(), "sqlite:"+file); err == nil || !strings.Contains(err.Error(), "without its keys") {
		t.Errorf("a database whose keys are gone: %v", err)
	}
}

// ownName is a name in a server that no other test uses.
func ownName() string { return "webapp_" + strings.ToLower(rand.Text()[:12]) }

// connect returns a connection to prepare a server with.
func connect(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.PingContext(t.Context()); err != nil {
		if _, ok := errors.AsType[*net.OpError](err); !ok {
			t.Fatal(err)
		}
		absent(t, "no server for %s answers: %v", driver, err)
	}
	return db
}

// inside makes something in a server and drops it when the test ends.
func inside(t *testing.T, db *sql.DB, create, drop string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), create); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := db.Exec(drop); err != nil {
			t.Error(err)
		}
	})
}

func environment(name, otherwise string) string {
	if s := os.Getenv(name); s != "" {
		return s
	}
	return otherwise
}

func TestStorePostgres(t *testing.T) {
	t.Chdir(t.TempDir())
	dsn := environment("MFA_TEST_POSTGRES", "postgres://root@127.0.0.1:5432/test?sslmode=disable")
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	name := ownName()
	inside(t, connect(t, "pgx", dsn), "CREATE SCHEMA "+name, "DROP SCHEMA "+name+" CASCADE")
	query := u.Query()
	query.Set("search_path", name)
	u.RawQuery = query.Encode()
	survives(t, u.String())
}

func TestStoreMySQL(t *testing.T) {
	t.Chdir(t.TempDir())
	dsn := environment("MFA_TEST_MYSQL", "root@tcp(127.0.0.1:3306)/test")
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	name := ownName()
	inside(t, connect(t, "mysql", dsn), "CREATE DATABASE "+name, "DROP DATABASE "+name)
	u := url.URL{Scheme: "mysql", User: url.UserPassword(c.User, c.Passwd), Host: c.Addr, Path: "/" + name}
	survives(t, u.String())
}

// redisServer starts a Redis of the test's own, because the program refuses one
// that keeps nothing on disk.
func redisServer(t *testing.T, settings ...string) (location string) {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		absent(t, "redis-server is not installed")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(path, append([]string{"--bind", "127.0.0.1", "--port", port, "--dir", t.TempDir(), "--save", ""}, settings...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return "redis://" + addr + "/0"
		}
		<-tick.C
	}
	t.Fatal("redis-server does not answer")
	return ""
}

func TestStoreRedis(t *testing.T) {
	t.Chdir(t.TempDir())
	survives(t, redisServer(t, "--appendonly", "yes"))
	_, err := openStorage(t.Context(), redisServer(t, "--appendonly", "no"))
	if err == nil || !strings.Contains(err.Error(), "keeps nothing on disk") {
		t.Errorf("a server that forgets: %v", err)
	}
}

// Records in memory are gone when the program ends, and so is the session.
func TestStoreMemory(t *testing.T) {
	base, stop := start(t, "memory")
	defer stop()
	if signedIn(t, http.DefaultClient, base) {
		t.Error("a stranger is signed in")
	}
}

func TestStoreRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, location := range []string{
		"", "webapp.db", "sqlite:", "sqlite:no/such/folder.db", "mongodb://127.0.0.1", "postgres://root:hunter2@127.0.0.1:1/test",
		"mysql://root:hunter2@127.0.0.1:1/test", "mysql://root:hunter2@[", "redis://:hunter2@127.0.0.1:1", "redis://:hunter2@[",
	} {
		if _, err := openStorage(t.Context(), location); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("-store %s: %v, want an error without the password", location, err)
		}
	}
}
