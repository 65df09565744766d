package redisstore_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/seed-1320b244/mfa/redisstore"
)

func TestMain(m *testing.M) {
	if os.Getenv(racerAddr) != "" {
		os.Exit(runRacer())
	}
	code := m.Run()
	var leak error
	for range 5 { // a pool whose server was gone notices a second later that it was closed
		if leak = goleak.Find(); leak == nil {
			break
		}
	}
	if leak != nil && code == 0 {
		fmt.Fprintln(os.Stderr, leak)
		code = 1
	}
	os.Exit(code)
}

// absent ends a test whose server or program is missing: that skips, or fails
// where MFA_REQUIRE_SERVICES says that all are there.
func absent(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("MFA_REQUIRE_SERVICES") == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// sharedAddr returns the address of the server that tests share. They leave alone
// what does not begin with their own prefix.
func sharedAddr(t testing.TB) string {
	t.Helper()
	addr := os.Getenv("MFA_TEST_REDIS")
	if addr == "" {
		addr = "127.0.0.1:6379"
	}
	if err := client(t, addr).Ping(t.Context()).Err(); err != nil {
		absent(t, "no Redis at %s (MFA_TEST_REDIS): %v", addr, err)
	}
	return addr
}

// sharedPrefix returns a prefix of this test alone. Its keys are deleted when the
// test ends.
func sharedPrefix(t testing.TB, addr string) string {
	t.Helper()
	prefix := "mfa-test-" + rand.Text() + ":"
	c := client(t, addr)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		for keys := c.Scan(ctx, 0, prefix+"*", 1000).Iterator(); keys.Next(ctx); {
			c.Del(ctx, keys.Val())
		}
	})
	return prefix
}

func options(addr string) *redis.Options {
	return &redis.Options{
		Addr: addr, MaxRetries: -1, ContextTimeoutEnabled: true,
		DialerRetries: 1, DialTimeout: 5 * time.Second,
	}
}

func client(t testing.TB, addr string) *redis.Client { return clientOf(t, options(addr)) }

func clientOf(t testing.TB, o *redis.Options) *redis.Client {
	t.Helper()
	c := redis.NewClient(o)
	t.Cleanup(func() { c.Close() })
	return c
}

func newStore(t testing.TB, c redis.UniversalClient, o redisstore.Options) *redisstore.Store {
	t.Helper()
	s, err := redisstore.New(c, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A server is a redis-server of one test.
type server struct {
	addr string
	args []string
	log  bytes.Buffer
	cmd  *exec.Cmd
}

// startServer starts a server with further settings. It ends with the test.
func startServer(t testing.TB, settings ...string) *server {
	t.Helper()
	port := freePort(t)
	s := &server{addr: net.JoinHostPort("127.0.0.1", port)}
	s.args = append([]string{"--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "no",
		"--enable-debug-command", "yes"}, settings...)
	t.Cleanup(s.kill)
	s.start(t)
	return s
}

func (s *server) start(t testing.TB) {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		absent(t, "no redis-server: %v", err)
	}
	s.log.Reset()
	s.cmd = exec.Command(program, s.args...)
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(options(s.addr))
	defer c.Close()
	until(t, "the server answers", func() bool { return c.Ping(t.Context()).Err() == nil })
}

// kill ends the server as a crash does.
func (s *server) kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

// until returns when done reports true, and fails the test when it never does.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// startCluster starts a Cluster of three masters without replicas.
func startCluster(t testing.TB) (*redis.ClusterOptions, []*server) {
	t.Helper()
	var nodes []*server
	var admins []*redis.Client
	var addrs []string
	var buses []string
	for range 3 {
		bus := freePort(t)
		n := startServer(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-config-file", "nodes.conf", "--appendonly", "yes")
		nodes, admins, addrs, buses = append(nodes, n), append(admins, client(t, n.addr)), append(addrs, n.addr), append(buses, bus)
	}
	ctx := t.Context()
	for i, c := range admins {
		if err := c.Do(ctx, "cluster", "addslotsrange", i*16384/3, (i+1)*16384/3-1).Err(); err != nil {
			t.Fatal(err)
		}
		host, port, _ := net.SplitHostPort(addrs[i])
		if err := admins[0].Do(ctx, "cluster", "meet", host, port, buses[i]).Err(); err != nil && i > 0 {
			t.Fatal(err)
		}
	}
	for _, c := range admins {
		until(t, "the cluster is whole", func() bool {
			info := c.ClusterInfo(ctx).Val()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_ok:16384") &&
				strings.Contains(info, "cluster_size:3")
		})
	}
	return &redis.ClusterOptions{Addrs: addrs, MaxRetries: -1, ContextTimeoutEnabled: true, DialerRetries: 1}, nodes
}

func clusterClient(t testing.TB, o *redis.ClusterOptions) *redis.ClusterClient {
	t.Helper()
	c := redis.NewClusterClient(o)
	t.Cleanup(func() { c.Close() })
	return c
}

// idle checks that a client has lent out no connection.
func idle(t testing.TB, c redis.UniversalClient) {
	t.Helper()
	if s := c.PoolStats(); s.TotalConns != s.IdleConns {
		t.Errorf("%d of %d connections are still in use", s.TotalConns-s.IdleConns, s.TotalConns)
	}
}

// redisCLI returns what redis-cli prints, for a look past go-redis.
func redisCLI(t testing.TB, addr string, args ...string) string {
	t.Helper()
	program, err := exec.LookPath("redis-cli")
	if err != nil {
		absent(t, "no redis-cli: %v", err)
	}
	host, port, _ := net.SplitHostPort(addr)
	out, err := exec.Command(program, append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w: %s", filepath.Base(program), err, out))
	}
	return strings.TrimSpace(string(out))
}
