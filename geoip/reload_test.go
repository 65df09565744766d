package geoip_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa/geoip"
)

var there = netip.MustParseAddr("5.5.5.5")

// lab is an open file, a clock that is moved by hand, and what OnError was told.
type lab struct {
	path   string
	db     *geoip.DB
	now    time.Time
	errors []error
}

func newLab(t *testing.T) *lab {
	l := &lab{path: filepath.Join(t.TempDir(), "places.mmdb"), now: time.Unix(1_800_000_000, 0)}
	write(t, l.path, networks{"5.5.5.0/24": lisbon})
	var err error
	l.db, err = geoip.Open(l.path, geoip.Options{
		CheckEvery: time.Minute,
		OnError:    func(err error) { l.errors = append(l.errors, err) },
		Now:        func() time.Time { return l.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// expect moves the clock and asks.
func (l *lab) expect(t *testing.T, wait time.Duration, place string, errors int) {
	t.Helper()
	l.now = l.now.Add(wait)
	if got := l.db.Locate(there); got != place {
		t.Errorf("%q, want %q", got, place)
	}
	if len(l.errors) != errors {
		t.Errorf("%d errors, want %d: %v", len(l.errors), errors, l.errors)
	}
}

func TestReload(t *testing.T) {
	l := newLab(t)
	l.expect(t, 0, "Lisbon, Portugal", 0)
	write(t, l.path, networks{"5.5.5.0/24": munich})
	l.expect(t, time.Minute-1, "Lisbon, Portugal", 0)
	l.expect(t, 1, "Munich, Germany", 0)

	// A clock set back does not put the looking off until it has caught up.
	write(t, l.path, networks{"5.5.5.0/24": lisbon})
	l.expect(t, -time.Hour, "Lisbon, Portugal", 0)
}

func TestCheckPicksUp(t *testing.T) {
	l := newLab(t)
	write(t, l.path, networks{"5.5.5.0/24": munich})
	if err := l.db.Check(); err != nil {
		t.Error(err)
	}
	l.expect(t, 0, "Munich, Germany", 0)
}

func TestBrokenReplacement(t *testing.T) {
	l := newLab(t)
	data, err := os.ReadFile(l.path)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, l.path, data[:len(data)-40])
	l.expect(t, time.Minute, "Lisbon, Portugal", 1)
	l.expect(t, time.Minute, "Lisbon, Portugal", 1) // told once
	if err := l.db.Check(); err == nil {
		t.Error("Check says nothing")
	}
	replace(t, l.path, []byte("another broken one"))
	l.expect(t, time.Minute, "Lisbon, Portugal", 2)
	write(t, l.path, networks{"5.5.5.0/24": fields{"asn": str("AS1")}})
	l.expect(t, time.Minute, "Lisbon, Portugal", 3)
	write(t, l.path, networks{"5.5.5.0/24": munich})
	l.expect(t, time.Minute, "Munich, Germany", 3)
	if err := l.db.Check(); err != nil {
		t.Errorf("Check still says %v", err)
	}
}

func TestMissingReplacement(t *testing.T) {
	l := newLab(t)
	if err := os.Rename(l.path, l.path+".old"); err != nil {
		t.Fatal(err)
	}
	l.expect(t, time.Minute, "Lisbon, Portugal", 1)
	l.expect(t, time.Minute, "Lisbon, Portugal", 1)
	if !errors.Is(l.errors[0], fs.ErrNotExist) {
		t.Errorf("told %v", l.errors[0])
	}
	if err := os.Rename(l.path+".old", l.path); err != nil {
		t.Fatal(err)
	}
	l.expect(t, time.Minute, "Lisbon, Portugal", 1)
	if err := l.db.Check(); err != nil {
		t.Errorf("it is back, and Check says %v", err)
	}
}

// TestCopiedOver writes over the file in place, which kills a process that has
// mapped it.
func TestCopiedOver(t *testing.T) {
	l := newLab(t)
	if err := os.WriteFile(l.path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l.expect(t, 0, "Lisbon, Portugal", 0)
	l.expect(t, time.Minute, "Lisbon, Portugal", 1)
}

// TestOnErrorMayCheck calls back from OnError.
func TestOnErrorMayCheck(t *testing.T) {
	path := filepath.Join(t.TempDir(), "places.mmdb")
	write(t, path, networks{"5.5.5.0/24": lisbon})
	var db *geoip.DB
	now, told := time.Unix(1_800_000_000, 0), false
	db, err := geoip.Open(path, geoip.Options{
		OnError: func(error) { told = db.Check() != nil },
		Now:     func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	replace(t, path, []byte("broken"))
	now = now.Add(geoip.DefaultCheckEvery)
	if got := db.Locate(there); got != "Lisbon, Portugal" || !told {
		t.Errorf("%q, told %t", got, told)
	}
}

// TestRaceOfReload has 32 goroutines ask while the file is replaced, by good and by
// broken ones, and closed at the end. Each answer is one of a whole file.
func TestRaceOfReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "places.mmdb")
	write(t, path, networks{"5.5.5.0/24": lisbon})
	var clock atomic.Int64
	db, err := geoip.Open(path, geoip.Options{
		CheckEvery: time.Second,
		Now:        func() time.Time { return time.Unix(1_800_000_000+clock.Add(1), 0) }, // every call looks
	})
	if err != nil {
		t.Fatal(err)
	}
	put := []func(){
		func() { write(t, path, networks{"5.5.5.0/24": munich}) },
		func() { replace(t, path, []byte("broken")) },
		func() { write(t, path, networks{"5.5.5.0/24": lisbon}) },
	}
	for round := range 15 {
		var running sync.WaitGroup
		for range 32 {
			running.Go(func() {
				for range 20 {
					if got := db.Locate(there); got != "Lisbon, Portugal" && got != "Munich, Germany" {
						t.Errorf("it says %q", got)
					}
				}
			})
		}
		put[round%3]()
		if err := db.Check(); (err != nil) != (round%3 == 1) {
			t.Errorf("round %d: %v", round, err)
		}
		running.Wait()
	}

	var closing sync.WaitGroup // Close beside Locate: an answer or none, nothing else
	for range 32 {
		closing.Go(func() {
			if got := db.Locate(there); got != "" && got != "Lisbon, Portugal" {
				t.Errorf("it says %q", got)
			}
		})
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	closing.Wait()
	if got := db.Locate(there); got != "" {
		t.Errorf("closed, it says %q", got)
	}
}
