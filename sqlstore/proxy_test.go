package sqlstore_test

import (
	"math/rand/v2"
	"net"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A proxy stands between a pool and its server and breaks connections at random:
// it cuts one, on the spot or in the middle of a message, closes one direction of
// it, or lets it wait.
type proxy struct {
	target   string
	listener net.Listener
	faults   atomic.Int64
	group    sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: target, listener: l, conns: make(map[net.Conn]bool)}
	p.group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.group.Go(func() { p.serve(c) })
		}
	})
	return p
}

// close ends every connection and waits for the goroutines.
func (p *proxy) close() {
	p.listener.Close()
	p.mu.Lock()
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.group.Wait()
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		client.Close()
		return
	}
	p.mu.Lock()
	p.conns[client], p.conns[server] = true, true
	p.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{client, server}, {server, client}} {
		both.Go(func() { p.copy(way[1], way[0], client, server) })
	}
	both.Wait()
	client.Close()
	server.Close()
	p.mu.Lock()
	delete(p.conns, client)
	delete(p.conns, server)
	p.mu.Unlock()
}

// copy passes on what comes from one side, chunk by chunk.
func (p *proxy) copy(to, from, client, server net.Conn) {
	cut := func() {
		p.faults.Add(1)
		client.Close()
		server.Close()
	}
	chunk := make([]byte, 16<<10)
	for {
		n, err := from.Read(chunk)
		if err != nil {
			_ = to.(*net.TCPConn).CloseWrite()
			return
		}
		switch rand.IntN(300) {
		case 0, 1:
			cut()
			return
		case 2:
			_, _ = to.Write(chunk[:rand.IntN(n)])
			cut()
			return
		case 3, 4:
			p.faults.Add(1)
			_ = to.(*net.TCPConn).CloseWrite()
			return
		case 5, 6, 7, 8:
			p.faults.Add(1)
			<-time.After(rand.N(20 * time.Millisecond))
		}
		if _, err := to.Write(chunk[:n]); err != nil {
			_ = from.(*net.TCPConn).CloseRead()
			return
		}
	}
}

// address is where the server is in a DSN of either driver.
var address = regexp.MustCompile(`(?:@|tcp\()([^@()/]+:\d+)`)

// via returns the same database by way of p.
func (s service) via(t testing.TB, p func(target string) string) service {
	t.Helper()
	m := address.FindStringSubmatchIndex(s.dsn)
	if m == nil {
		t.Fatalf("no host and port in the DSN of %v", s.dialect)
	}
	s.dsn = s.dsn[:m[2]] + p(s.dsn[m[2]:m[3]]) + s.dsn[m[3]:]
	return s
}
