package geoip

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/oschwald/maxminddb-golang/v2"
)

const (
	// maxFile bounds what is read into memory. The largest files of cities have
	// some hundred MB.
	maxFile = 1 << 30
	// sample is how many networks of a file are read before it is used.
	sample = 1000
)

// reload reads the file if it is another one than was seen last, and returns why
// the file at the path is not in use, and whether that is news. The caller holds
// d.mu, or is Open.
func (d *DB) reload() (news bool, err error) {
	if d.closed {
		return false, fmt.Errorf("geoip: %s: %w", d.path, os.ErrClosed)
	}
	info, err := os.Stat(d.path)
	if err == nil && same(info, d.seen) {
		return false, d.err
	}
	var db *maxminddb.Reader
	if err == nil {
		db, info, err = d.read(info)
	}
	if err == nil {
		d.current.Store(db)
		d.seen, d.err = info, nil
		return false, nil
	}
	err = fmt.Errorf("geoip: %w", err)
	news = info != nil || d.err == nil || d.err.Error() != err.Error()
	d.seen, d.err = info, err
	return news, err
}

// read returns the file in memory, and which file it was, nil when it cannot be
// opened: that may change without a trace in the file.
func (d *DB) read(info os.FileInfo) (*maxminddb.Reader, os.FileInfo, error) {
	if !info.Mode().IsRegular() || info.Size() > maxFile { // to open a pipe would wait for a writer
		return nil, info, fmt.Errorf("%s: no regular file of at most 1 GiB", d.path)
	}
	f, err := os.Open(d.path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	if info, err = f.Stat(); err != nil {
		return nil, nil, err
	}
	data := make([]byte, min(info.Size(), maxFile))
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, info, fmt.Errorf("%s: %w", d.path, err)
	}
	if after, err := f.Stat(); err != nil || !same(after, info) {
		return nil, info, fmt.Errorf("%s: changed while it was read", d.path)
	}
	db, err := maxminddb.OpenBytes(data)
	if err == nil {
		err = d.probe(db)
	}
	if err != nil {
		return nil, info, fmt.Errorf("%s: %w", d.path, err)
	}
	return db, info, nil
}

// probe reads the first networks of a file, so that one of another kind, or one
// damaged in its tree, does not take the place of one that works. To verify a whole
// file takes seconds, which a request cannot wait.
func (d *DB) probe(db *maxminddb.Reader) error {
	read, places := 0, 0
	for network := range db.Networks() {
		if err := network.Err(); err != nil {
			return err
		}
		if d.place(network) != "" {
			places++
		}
		if read++; read == sample {
			break
		}
	}
	if places == 0 {
		return errors.New("no city and no country in it")
	}
	return nil
}

// same reports whether two looks saw one file in one state.
func same(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
