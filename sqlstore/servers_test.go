package sqlstore_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa/sqlstore"
)

// A server is a program that a test starts for itself in a folder of its own.
type server struct {
	path, dir string
	args      []string
	port      int
	cmd       *exec.Cmd
}

// program returns where a program is, and ends the test when it is nowhere. Debian
// keeps servers out of a user's path.
func program(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil {
		t.Fatal(err)
	}
	found = append(found, "/usr/sbin/"+name)
	for i := len(found) - 1; i >= 0; i-- {
		if _, err := os.Stat(found[i]); err == nil {
			return found[i]
		}
	}
	absent(t, "no program %s", name)
	return ""
}

// newServer makes a folder that the server may write, and finds a free port.
func newServer(t testing.TB, name string) *server {
	t.Helper()
	s := &server{path: program(t, name)}
	dir, err := os.MkdirTemp("", "sqlstore-"+name+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if c := unprivileged(t); c != nil {
		if err := os.Chown(dir, int(c.Uid), int(c.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s.dir, s.port = dir, l.Addr().(*net.TCPAddr).Port
	return s
}

// unprivileged returns who runs the servers: they refuse to run as root.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, err1 := strconv.ParseUint(nobody.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(nobody.Gid, 10, 32)
	if err1 != nil || err2 != nil {
		t.Fatalf("the user nobody: %v, %v", err1, err2)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (s *server) command(t testing.TB, path string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: unprivileged(t)}
	return cmd
}

// start starts the server and waits until it answers. Should it end at once, as
// one does that finds traces of its killed predecessor, it is started again.
func (s *server) start(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		s.cmd = s.command(t, s.path, s.args...)
		s.cmd.Stdout, s.cmd.Stderr = log, log
		if err := s.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			_ = s.cmd.Wait()
			close(ended)
		}()
		for alive := true; alive; {
			select {
			case <-ended:
				alive = false
				<-again.C
			case <-ctx.Done():
				text, _ := os.ReadFile(log.Name())
				t.Fatalf("%s does not answer: %s", s.path, text)
			case <-again.C:
				if s.answers(ctx) {
					t.Cleanup(func() {
						_ = s.cmd.Process.Signal(syscall.SIGINT) // PostgreSQL's fast shutdown
						<-ended
					})
					return
				}
			}
		}
	}
}

func (s *server) answers(ctx context.Context) bool {
	service := s.postgres("connect_timeout=1")
	db, err := openService(service)
	if err != nil {
		return false
	}
	defer db.Close()
	return db.PingContext(ctx) == nil
}

// postgres returns the database that the server is, or leads to.
func (s *server) postgres(params ...string) service {
	dsn := fmt.Sprintf("postgres://root@127.0.0.1:%d/%s?sslmode=disable&default_query_exec_mode=exec", s.port, s.database())
	return service{"pgx", dsn, sqlstore.PostgreSQL, newPrefix()}.with(params...)
}

func (s *server) database() string {
	if filepath.Base(s.path) == "postgres" {
		return "postgres"
	}
	return "test"
}

// newPostgres starts a PostgreSQL of the test's own.
func newPostgres(t testing.TB) *server {
	t.Helper()
	s := newServer(t, "postgres")
	data := filepath.Join(s.dir, "data")
	initdb := s.command(t, program(t, "initdb"), "-D", data, "-U", "root", "-A", "trust", "-E", "UTF8", "--locale=C")
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.args = []string{"-D", data, "-p", strconv.Itoa(s.port), "-k", s.dir, "-c", "listen_addresses=127.0.0.1"}
	s.start(t)
	return s
}

// newBouncer starts a PgBouncer in transaction mode before the PostgreSQL that the
// other tests use.
func newBouncer(t testing.TB) *server {
	t.Helper()
	s := newServer(t, "pgbouncer")
	m := address.FindStringSubmatch(postgres().dsn)
	if m == nil {
		t.Fatal("no host and port in the DSN")
	}
	host, port, err := net.SplitHostPort(m[1])
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"users": "\"root\" \"\"\n",
		"ini": fmt.Sprintf(`[databases]
test = host=%s port=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = trust
auth_file = %s/users
pool_mode = transaction
default_pool_size = 6
`, host, port, s.port, s.dir),
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.args = []string{filepath.Join(s.dir, "ini")}
	s.start(t)
	return s
}
