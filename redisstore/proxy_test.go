package redisstore_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
	"github.com/seed-1320b244/mfa/redisstore"
)

// A proxy stands between a client and a server and spoils what passes: it cuts
// connections, delays, and closes one half, at random.
type proxy struct {
	addr, server string
	listener     net.Listener
	served       sync.WaitGroup
	cuts         atomic.Int64
	open         atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func startProxy(t *testing.T, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String(), server: server, listener: l, conns: make(map[net.Conn]bool)}
	p.served.Go(p.serve)
	t.Cleanup(p.stop)
	return p
}

func (p *proxy) stop() {
	p.listener.Close()
	p.mu.Lock()
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.served.Wait()
}

func (p *proxy) serve() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		s, err := net.Dial("tcp", p.server)
		if err != nil {
			c.Close()
			continue
		}
		p.mu.Lock()
		p.conns[c], p.conns[s] = true, true
		p.mu.Unlock()
		p.open.Add(1)
		var both sync.WaitGroup
		both.Go(func() { p.pass(s, c) })
		both.Go(func() { p.pass(c, s) })
		p.served.Go(func() {
			both.Wait()
			c.Close()
			s.Close()
			p.mu.Lock()
			delete(p.conns, c)
			delete(p.conns, s)
			p.mu.Unlock()
			p.open.Add(-1)
		})
	}
}

// pass copies what comes from one side to the other until something happens to it.
func (p *proxy) pass(to, from net.Conn) {
	chunk := make([]byte, 4096)
	for {
		n, err := from.Read(chunk)
		if err != nil {
			to.(*net.TCPConn).CloseWrite()
			return
		}
		switch rand.IntN(100) {
		case 0: // both ends at once, with what was under way
			p.cuts.Add(1)
			to.Close()
			from.Close()
			return
		case 1: // the middle of a message
			p.cuts.Add(1)
			to.Write(chunk[:n/2])
			to.Close()
			from.Close()
			return
		case 2: // this half, after what came; the other goes on
			p.cuts.Add(1)
			to.Write(chunk[:n])
			to.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, from)
			return
		case 3: // longer than the client waits: what was sent arrives late
			p.cuts.Add(1)
			<-time.After(time.Duration(60+rand.IntN(60)) * time.Millisecond)
		case 4, 5, 6:
			<-time.After(time.Duration(rand.IntN(5)) * time.Millisecond)
		}
		if _, err := to.Write(chunk[:n]); err != nil {
			from.Close()
			return
		}
	}
}

// A hand writes through the proxy: a counter of its own, and records that all
// hands try to create.
type hand struct {
	id           int
	store        *redisstore.Store
	version      string // of the counter, as far as known
	number       int    // of the last write tried
	acknowledged int    // the number up to which nothing may be lost
	lost         int    // commits whose outcome was unclear
}

func (h *hand) owner() string { return "u/hand{" + strconv.Itoa(h.id) + "}" }

// count replaces the counter. After an error it reads what became of it, as the
// library does.
func (h *hand) count(t *testing.T) error {
	h.number++
	w := write(h.owner(), "count", "", fmt.Sprintf("n%d", h.number), h.version)
	err := h.store.Commit(t.Context(), w)
	if err == nil {
		h.version, h.acknowledged = w.Version, h.number
		return nil
	}
	h.lost++
	if err := discreet(err); err != nil {
		return err
	}
	return h.settle(t)
}

func (h *hand) settle(t *testing.T) error {
	for range 1000 {
		r, err := h.store.Get(t.Context(), mfa.Key{Owner: h.owner(), Kind: "count"})
		if err != nil {
			if err := discreet(err); err != nil {
				return err
			}
			continue
		}
		n := 0
		if r[0].Version != "" {
			if n, err = strconv.Atoi(r[0].Version[1:]); err != nil {
				return err
			}
		}
		if n < h.acknowledged || n > h.number {
			return fmt.Errorf("the counter is %d, want %d, which was acknowledged, to %d", n, h.acknowledged, h.number)
		}
		h.version = r[0].Version
		return nil
	}
	return errors.New("1000 reads failed")
}

// discreet returns an error when err names what is in the store.
func discreet(err error) error {
	for _, s := range []string{secret, "u/", base64.RawURLEncoding.EncodeToString([]byte("u/h"))[:3], "mfa-test"} {
		if strings.Contains(err.Error(), s) {
			return fmt.Errorf("an error names data: %w", err)
		}
	}
	return nil
}

// TestR2_Proxy: through a network that cuts, delays and closes by halves, nothing
// is created twice, everything acknowledged is there, what was answered with a
// conflict was not applied, and no error names data.
func TestR2_Proxy(t *testing.T) {
	const hands = 8
	addr := sharedAddr(t)
	prefix := sharedPrefix(t, addr)
	p := startProxy(t, addr)
	o := options(p.addr)
	o.ReadTimeout, o.WriteTimeout, o.DialTimeout = 50*time.Millisecond, 50*time.Millisecond, 500*time.Millisecond
	o.DialerRetries, o.PoolSize = 5, hands
	c := clientOf(t, o)
	store := newStore(t, c, redisstore.Options{Prefix: prefix})

	rounds := mfatest.Rounds(10_000) / 2 / hands
	won := make([][]string, rounds)  // the version acknowledged, by shared record
	lost := make([][]string, rounds) // the versions in conflict
	var mu sync.Mutex
	all := make([]*hand, hands)
	var work sync.WaitGroup
	for i := range hands {
		h := &hand{id: i, store: store}
		all[i] = h
		work.Go(func() {
			for n := range rounds {
				if err := h.count(t); err != nil {
					t.Errorf("hand %d: %v", i, err)
					return
				}
				w := write("u/shared", "once", strconv.Itoa(n), fmt.Sprintf("h%d", i), "")
				err := store.Commit(t.Context(), w)
				mu.Lock()
				switch {
				case err == nil:
					won[n] = append(won[n], w.Version)
				case errors.Is(err, mfa.ErrConflict):
					lost[n] = append(lost[n], w.Version)
				}
				mu.Unlock()
			}
		})
	}
	work.Wait()

	direct := newStore(t, client(t, addr), redisstore.Options{Prefix: prefix})
	unclear := 0
	for _, h := range all {
		h.store = direct
		if err := h.settle(t); err != nil {
			t.Errorf("hand %d: %v", h.id, err)
		}
		unclear += h.lost
	}
	for n := range rounds {
		r, err := direct.Get(t.Context(), mfa.Key{Owner: "u/shared", Kind: "once", ID: strconv.Itoa(n)})
		if err != nil {
			t.Fatal(err)
		}
		if len(won[n]) > 1 || len(won[n]) == 1 && won[n][0] != r[0].Version {
			t.Errorf("record %d was created by %v and holds %q", n, won[n], r[0].Version)
		}
		for _, v := range lost[n] {
			if v == r[0].Version {
				t.Errorf("record %d: a commit was applied and answered with a conflict: it was sent twice", n)
			}
		}
	}
	if p.cuts.Load() == 0 || unclear == 0 {
		t.Errorf("the proxy spoiled %d messages and %d outcomes were unclear: nothing was tested", p.cuts.Load(), unclear)
	}
	t.Logf("%d operations, %d messages spoiled, %d counts unclear", 2*hands*rounds, p.cuts.Load(), unclear)
	idle(t, c)
	c.Close()
	until(t, "every connection is closed", func() bool { return p.open.Load() == 0 })
}
