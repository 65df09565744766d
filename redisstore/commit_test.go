package redisstore_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/redisstore"
)

// write returns the write of a record that never expires, a delete when version is
// "".
func write(owner, kind, id, version, old string) mfa.Write {
	w := mfa.Write{Record: mfa.Record{Key: mfa.Key{Owner: owner, Kind: kind, ID: id}, Version: version}, IfVersion: old}
	if version != "" {
		w.Data = []byte(secret)
	}
	return w
}

// secret is what no error may say.
const secret = "the-secret-in-the-data"

func expiring(w mfa.Write, after time.Duration) mfa.Write {
	w.Expires = time.Unix(time.Now().Add(after).Unix(), 0).UTC()
	return w
}

func hashOf(prefix, owner string) string {
	return prefix + "{" + base64.RawURLEncoding.EncodeToString([]byte(owner)) + "}"
}

// TestExpiry: the server drops an owner when the last record has been over for 24
// hours, and never while one is there that does not expire.
func TestExpiry(t *testing.T) {
	addr := sharedAddr(t)
	c, prefix := client(t, addr), sharedPrefix(t, addr)
	s := newStore(t, c, redisstore.Options{Prefix: prefix})
	const owner = "u/{x}1"
	hash := hashOf(prefix, owner)
	short, long := expiring(write(owner, "short", "", "v1", ""), time.Minute), expiring(write(owner, "long", "", "v1", ""), time.Hour)
	forever := write(owner, "forever", "", "v1", "")
	for _, step := range []struct {
		name   string
		writes []mfa.Write
		want   time.Duration // Unix time; 0: never; -1: gone
	}{
		{"one record", []mfa.Write{short}, time.Duration(short.Expires.Unix()) * time.Second},
		{"a later one", []mfa.Write{long}, time.Duration(long.Expires.Unix()) * time.Second},
		{"one for ever", []mfa.Write{forever}, 0},
		{"and no longer", []mfa.Write{write(owner, "forever", "", "", "v1")}, time.Duration(long.Expires.Unix()) * time.Second},
		{"the later one made to stay", []mfa.Write{write(owner, "long", "", "v2", "v1")}, 0},
		{"the later one gone", []mfa.Write{write(owner, "long", "", "", "v2")}, time.Duration(short.Expires.Unix()) * time.Second},
		{"nothing left", []mfa.Write{write(owner, "short", "", "", "v1")}, -1},
	} {
		if err := s.Commit(t.Context(), step.writes...); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		for _, key := range []string{hash, hash + ":drop"} {
			got := c.PExpireTime(t.Context(), key).Val()
			switch {
			case step.want == -1 && c.Exists(t.Context(), key).Val() != 0:
				t.Errorf("%s: %s is still there", step.name, key)
			case step.want == 0 && got >= 0:
				t.Errorf("%s: %s expires", step.name, key)
			case step.want > 0 && got != step.want+24*time.Hour:
				t.Errorf("%s: %s expires at %v, want 24 h after %v", step.name, key, got, step.want)
			}
		}
	}
}

// TestPrune: where an owner stays, the next commit drops what was over for 24
// hours, and nothing earlier.
func TestPrune(t *testing.T) {
	addr := sharedAddr(t)
	c, prefix := client(t, addr), sharedPrefix(t, addr)
	s := newStore(t, c, redisstore.Options{Prefix: prefix})
	const owner = "u/1"
	if err := s.Commit(t.Context(), write(owner, "account", "", "v1", "")); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(),
		expiring(write(owner, "kept", "", "v1", ""), -24*time.Hour+time.Minute),
		expiring(write(owner, "dropped", "", "v1", ""), -24*time.Hour-time.Second)); err != nil {
		t.Fatal(err)
	}
	// One that became old since it was written.
	c.ZAdd(t.Context(), hashOf(prefix, owner)+":drop", redis.Z{Score: float64(time.Now().Add(-time.Second).UnixMilli()), Member: "session:a"})
	c.HSet(t.Context(), hashOf(prefix, owner), "session:a", "v1 1 x")
	if err := s.Commit(t.Context(), write(owner, "account", "", "v2", "v1")); err != nil {
		t.Fatal(err)
	}
	got, err := s.List(t.Context(), owner)
	if err != nil || len(got) != 2 {
		t.Fatalf("%d records are left, want the account and the one kept; %v", len(got), err)
	}
	if n := c.ZCard(t.Context(), hashOf(prefix, owner)+":drop").Val(); n != 1 {
		t.Errorf("%d records wait to be dropped, want 1", n)
	}
}

// TestForeignValues: what this package did not write is an error and not an absent
// record, and a commit that meets it applies nothing.
func TestForeignValues(t *testing.T) {
	addr := sharedAddr(t)
	c, prefix := client(t, addr), sharedPrefix(t, addr)
	s := newStore(t, c, redisstore.Options{Prefix: prefix})
	for i, value := range []string{"", "v1", "v1 0", "v1 0 ", " 0 x", "v1 x y", "v1  y", "{}"} {
		owner := "u/" + strconv.Itoa(i)
		c.HSet(t.Context(), hashOf(prefix, owner), "k:", value)
		if r, err := s.Get(t.Context(), mfa.Key{Owner: owner, Kind: "k"}); err == nil {
			t.Errorf("Get of %q returned version %q and no error", value, r[0].Version)
		}
		if _, err := s.Get(t.Context(), mfa.Key{Owner: owner, Kind: "k"}, mfa.Key{Owner: owner, Kind: "l"}); err == nil {
			t.Errorf("Get of two keys, one of them %q, returned no error", value)
		}
		if _, err := s.List(t.Context(), owner); err == nil {
			t.Errorf("List with %q returned no error", value)
		}
		if err := s.Commit(t.Context(), write(owner, "k", "", "v2", "")); !errors.Is(err, mfa.ErrConflict) {
			t.Errorf("creating over %q returned %v, want ErrConflict", value, err)
		}
	}
	for _, key := range []string{hashOf(prefix, "u/a"), hashOf(prefix, "u/b") + ":drop"} {
		c.Set(t.Context(), key, "text", 0)
	}
	for _, owner := range []string{"u/a", "u/b"} {
		err := s.Commit(t.Context(), expiring(write(owner, "k", "", "v1", ""), time.Hour))
		if err == nil || errors.Is(err, mfa.ErrConflict) {
			t.Errorf("a commit onto a text returned %v, want an error that is not ErrConflict", err)
		}
	}
	if n := c.Exists(t.Context(), hashOf(prefix, "u/b")).Val(); n != 0 {
		t.Error("a commit that failed was applied in part")
	}
	for _, w := range []mfa.Write{write("u/c", "k", "", "v 0", ""), write("u/c", "k", "", "v", "v 0")} {
		if err := s.Commit(t.Context(), w); err == nil || errors.Is(err, mfa.ErrConflict) {
			t.Errorf("a version with a space returned %v, want an error that is not ErrConflict", err)
		}
	}
}

// TestScriptFlush: a server that forgot the script gets it again.
func TestScriptFlush(t *testing.T) {
	c := client(t, startServer(t).addr)
	s := newStore(t, c, redisstore.Options{})
	for i, old := range []string{"", "v0", "v1"} {
		if err := s.Commit(t.Context(), write("u/1", "k", "", "v"+strconv.Itoa(i), old)); err != nil {
			t.Fatal(err)
		}
		c.ScriptFlush(t.Context())
	}
}

// TestOutOfMemory: a full server refuses a commit as a whole, still deletes, and
// drops nothing.
func TestOutOfMemory(t *testing.T) {
	c := client(t, startServer(t).addr)
	s := newStore(t, c, redisstore.Options{})
	if err := s.Commit(t.Context(), write("u/1", "k", "", "v1", "")); err != nil {
		t.Fatal(err)
	}
	c.ConfigSet(t.Context(), "maxmemory", "1mb")
	err := s.Commit(t.Context(), write("u/1", "k", "", "v2", "v1"), expiring(write("u/1", "l", "", "v1", ""), time.Hour))
	if err == nil || errors.Is(err, mfa.ErrConflict) {
		t.Errorf("Commit returned %v, want OOM", err)
	}
	got, err := s.List(t.Context(), "u/1")
	if err != nil || len(got) != 1 || got[0].Version != "v1" {
		t.Errorf("List returned %d records and %v, want the one from before", len(got), err)
	}
	if err := s.Commit(t.Context(), write("u/1", "k", "", "", "v1")); err != nil {
		t.Errorf("deleting returned %v", err)
	}
}

// stub answers every command with one line, on a connection that it may close.
func stub(t *testing.T, answer func(command string) (line string, hangUp bool)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		var serving []chan struct{}
		for {
			conn, err := l.Accept()
			if err != nil {
				break
			}
			served := make(chan struct{})
			serving = append(serving, served)
			go func() { defer close(served); defer conn.Close(); converse(conn, answer) }()
		}
		for _, s := range serving {
			<-s
		}
	}()
	return l.Addr().String()
}

func converse(conn net.Conn, answer func(string) (string, bool)) {
	in := bufio.NewReader(conn)
	number := func() int {
		line, err := in.ReadString('\n')
		if err != nil || len(line) < 4 {
			return -1
		}
		n, _ := strconv.Atoi(line[1 : len(line)-2])
		return n
	}
	for {
		var words []string
		for range number() {
			word := make([]byte, number()+2)
			if _, err := io.ReadFull(in, word); err != nil {
				return
			}
			words = append(words, strings.TrimSuffix(string(word), "\r\n"))
		}
		if len(words) == 0 {
			return
		}
		line, hangUp := answer(strings.ToLower(words[0]))
		if words[0] == "hello" {
			line = "-ERR unknown command"
		}
		if hangUp {
			return
		}
		if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
			return
		}
	}
}

// TestServerErrors: nothing that a server complains of is a conflict or an absent
// record, and no error repeats a key or data.
func TestServerErrors(t *testing.T) {
	const owner = "u/somebody"
	key := base64.RawURLEncoding.EncodeToString([]byte(owner))
	for _, line := range []string{
		"-LOADING Redis is loading the dataset in memory", "-READONLY You can't write against a read only replica.",
		"-CLUSTERDOWN Hash slot not served", "-MASTERDOWN Link with MASTER is down", "-OOM command not allowed",
		"-MISCONF Redis is configured to save RDB snapshots", "-NOREPLICAS Not enough good replicas to write.",
		"-TRYAGAIN Multiple keys request during rehashing of slot", "-BUSY Redis is busy running a script.",
		"-UNKILLABLE Sorry the script already executed write commands", "-NOPERM this user has no permissions",
		"-MOVED 1 127.0.0.1:1", "-ASK 1 127.0.0.1:1", "-ERR max number of clients reached",
		"-ERR unknown command 'evalsha', with args beginning with: '" + key + "' '" + secret + "' ",
		"-NOPERM No permissions to access the 'mfa:{" + key + "}' key",
		"?" + secret, ":7", "+" + secret, "*1\r\n+" + secret, "%1\r\n+k:\r\n+" + secret,
	} {
		t.Run(strings.ToLower(strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\r' })[0][1:]), func(t *testing.T) {
			addr := stub(t, func(string) (string, bool) { return line, false })
			o := options(addr)
			o.ReadTimeout = 200 * time.Millisecond // for a reply that promises more than comes
			s := newStore(t, clientOf(t, o), redisstore.Options{})
			_, err1 := s.Get(t.Context(), mfa.Key{Owner: owner, Kind: "k"})
			_, err2 := s.Get(t.Context(), mfa.Key{Owner: owner, Kind: "k"}, mfa.Key{Owner: owner, Kind: "l"})
			_, err3 := s.List(t.Context(), owner)
			err4 := s.Commit(t.Context(), write(owner, "k", "", "v1", ""))
			for i, err := range []error{err1, err2, err3, err4} {
				call := []string{"Get", "Get of two", "List", "Commit"}[i]
				switch {
				case err == nil:
					t.Errorf("%s returned nil", call)
				case errors.Is(err, mfa.ErrConflict):
					t.Errorf("%s returned ErrConflict", call)
				case strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), key) || strings.Contains(err.Error(), owner):
					t.Errorf("%s returned an error that names data: %v", call, err)
				}
			}
		})
	}
}

// TestCommitOnce: a commit whose answer was lost is not sent again by the client,
// where it would meet its own first write.
func TestCommitOnce(t *testing.T) {
	var sent atomic.Int64
	addr := stub(t, func(command string) (string, bool) {
		if command == "evalsha" || command == "eval" {
			sent.Add(1)
			return "", true
		}
		return "-ERR no", false
	})
	host, port, _ := strings.Cut(addr, ":")
	n, _ := strconv.Atoi(port)
	clusterOptions := &redis.ClusterOptions{
		Addrs: []string{addr}, MaxRetries: -1, MaxRedirects: 5, ContextTimeoutEnabled: true,
		ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
			return []redis.ClusterSlot{{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: net.JoinHostPort(host, strconv.Itoa(n))}}}}, nil
		},
	}
	for name, c := range map[string]redis.UniversalClient{"server": client(t, addr), "cluster": clusterClient(t, clusterOptions)} {
		t.Run(name, func(t *testing.T) {
			sent.Store(0)
			err := newStore(t, c, redisstore.Options{}).Commit(t.Context(), write("u/1", "k", "", "v1", ""))
			if err == nil || errors.Is(err, mfa.ErrConflict) || sent.Load() != 1 {
				t.Errorf("Commit returned %v and was sent %d times, want an error and once", err, sent.Load())
			}
		})
	}
}

// TestDeadline: a server that hangs costs a request no more than its own time.
func TestDeadline(t *testing.T) {
	hang := make(chan struct{})
	addr := stub(t, func(command string) (string, bool) {
		if strings.HasPrefix(command, "h") && command != "hello" || command == "evalsha" {
			<-hang
		}
		return "+OK", false
	})
	t.Cleanup(func() { close(hang) }) // before the stub waits for its connections
	s := newStore(t, client(t, addr), redisstore.Options{})
	for name, call := range map[string]func(context.Context) error{
		"Get":    func(ctx context.Context) error { _, err := s.Get(ctx, mfa.Key{Owner: "u/1", Kind: "k"}); return err },
		"List":   func(ctx context.Context) error { _, err := s.List(ctx, "u/1"); return err },
		"Commit": func(ctx context.Context) error { return s.Commit(ctx, write("u/1", "k", "", "v1", "")) },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		began := time.Now()
		err := call(ctx)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 2*time.Second {
			t.Errorf("%s returned %v after %v", name, err, time.Since(began))
		}
	}
}
