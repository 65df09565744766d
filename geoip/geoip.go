// Package geoip says approximately where an address is, from a file in the
// MaxMind DB format (.mmdb), for the session lists and notices of package mfa:
//
//	places, err := geoip.Open("/var/lib/geoip/city.mmdb", geoip.Options{})
//	if err != nil {
//		return err
//	}
//	guard, err := mfa.New(mfa.Config{Locator: places /* … */})
//
// A place is information for people and never a proof. It is that of the network's
// operator as somebody guessed it: behind a VPN, a company's gateway or a mobile
// network it is another city or another country, and an attacker chooses it.
//
// # The file
//
// No file comes with the package; the README says where there are some. Files with
// names in several languages (GeoLite, GeoIP2, DB-IP, IP2Location) and flat ones
// (IPinfo, ip-location-db) are read alike: the city, where the file has cities, and
// the country, or its code of two letters where the file has no name for it.
//
// The whole file is kept in memory, 10 MB for countries and 60 to 130 MB for
// cities. A memory map would be smaller, but whoever copies a new file over a
// mapped one, instead of renaming it, kills the process (SIGBUS).
//
// # A new file
//
// A file that is renamed to the path is picked up by the first Locate after
// Options.CheckEvery, in that call: nothing runs in the background. The others go
// on with the old file meanwhile. When the new one cannot be read, the old one stays
// in use and Options.OnError is told, once.
package geoip

import (
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/seed-1320b244/mfa"
)

// DefaultCheckEvery is how often the file is looked at. Providers publish daily to
// monthly.
const DefaultCheckEvery = time.Minute

// Options is what Open may be told. The zero Options is fine.
type Options struct {
	// Language is that of the names, as the file writes it: "de", "pt-BR". A name
	// that the file lacks in it is given in English. Zero: English. Flat files have
	// one language.
	Language string
	// CheckEvery is how long a replaced file may go unnoticed. Each look is one
	// stat. Zero or less: DefaultCheckEvery.
	CheckEvery time.Duration
	// OnError is told why the file at the path is not in use: once for each file
	// that cannot be read, and once when there is none. It is called by Locate and
	// must not wait. Nil: only Check says so.
	OnError func(error)
	// Now is the clock by which CheckEvery is measured. Nil: time.Now.
	Now func() time.Time
}

// A DB answers from a file. It is safe for concurrent use.
type DB struct {
	path      string
	languages []string
	every     time.Duration
	onError   func(error)
	now       func() time.Time

	current atomic.Pointer[maxminddb.Reader] // nil: closed
	next    atomic.Int64                     // when the file is looked at again, Unix nanoseconds

	mu     sync.Mutex // held by the one call that looks at the file
	seen   os.FileInfo
	err    error // why the file that was seen is not in use
	closed bool
}

var _ mfa.Locator = (*DB)(nil)

// Open reads the file at path. It fails when there is none, when it is larger than
// 1 GiB, damaged, or no file of places.
func Open(path string, o Options) (*DB, error) {
	d := &DB{path: path, languages: []string{"en"}, every: o.CheckEvery, onError: o.OnError, now: o.Now}
	if o.Language != "" && o.Language != "en" {
		d.languages = []string{o.Language, "en"}
	}
	if d.every <= 0 {
		d.every = DefaultCheckEvery
	}
	if d.now == nil {
		d.now = time.Now
	}
	if _, err := d.reload(); err != nil {
		return nil, err
	}
	d.next.Store(d.now().Add(d.every).UnixNano())
	return d, nil
}

// Locate returns where addr is, as in "Lisbon, Portugal" or "Portugal": at most 64
// code points, without controls and without characters that change the direction
// of text. Of what is no public address, or not in the file, it returns "".
func (d *DB) Locate(addr netip.Addr) string {
	d.look()
	db := d.current.Load()
	if addr = addr.Unmap(); db == nil || !public(addr) {
		return ""
	}
	return d.place(db.Lookup(addr))
}

// Check looks at the file now and returns why it is not in use, nil when it is. The
// error is os.ErrClosed after Close. It is for a health check, or to pick up a new
// file at once.
func (d *DB) Check() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, err := d.reload()
	return err
}

// Close frees the memory. Locate returns "" from then on. The error is nil.
func (d *DB) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.current.Store(nil)
	return nil
}

// look picks up a new file when it is time to look. One call looks; others go on.
func (d *DB) look() {
	now := d.now().UnixNano()
	// Beyond one interval ahead: the clock was set back, and would stop the looking.
	if next := d.next.Load(); now < next && next-now <= int64(d.every) || !d.mu.TryLock() {
		return
	}
	d.next.Store(now + int64(d.every))
	news, err := d.reload()
	d.mu.Unlock() // OnError may call Check
	if news && d.onError != nil {
		d.onError(err)
	}
}
