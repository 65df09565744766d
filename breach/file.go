package breach

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

const (
	hashDigits = 40
	maxLine    = hashDigits + 1 + maxDigits + 2
)

var errMalformed = errors.New("breach: the file is not one line of HASH:COUNT for each SHA-1, sorted by hash")

// A File searches a list of lines HASH:COUNT that is sorted by hash, as the
// downloader of Have I Been Pwned writes it. Nothing of it is kept in memory; a
// lookup reads some 35 pieces of 122 bytes. It is safe for concurrent use when
// its reader is.
type File struct {
	r    io.ReaderAt
	size int64
}

// NewFile returns a File for size bytes of r, an *os.File for example, which the
// caller closes when the File is no longer used. It reads the first and the last
// line, and fails when these cannot be of a sorted list. To replace the list make
// another File.
func NewFile(r io.ReaderAt, size int64) (*File, error) {
	f := &File{r, size}
	first, err := f.at(0, 0)
	if err != nil {
		return nil, err
	}
	last, err := f.at(0, size-1)
	if err != nil {
		return nil, err
	}
	if first.hash > last.hash {
		return nil, errMalformed
	}
	return f, nil
}

// Breached reports whether password is on the list. A file that turns out not to
// be sorted is an error.
func (f *File) Breached(ctx context.Context, password string) (bool, error) {
	want := hash(password)
	// The lines in [low, high) lie, by their hashes, between these two.
	low, high := int64(0), f.size
	after, before := "", "~"
	for low < high {
		if err := ctx.Err(); err != nil {
			return false, fmt.Errorf("breach: search the file: %w", err)
		}
		l, err := f.at(low, low+(high-low)/2)
		switch {
		case err != nil:
			return false, err
		case l.hash <= after || l.hash >= before:
			return false, errMalformed
		case l.hash == want:
			return l.seen > 0, nil
		case l.hash < want:
			low, after = l.end, l.hash
		default:
			high, before = l.start, l.hash
		}
	}
	return false, nil
}

type line struct {
	hash       string
	seen       int64
	start, end int64 // end is behind the line break
}

// at returns the line that holds the byte at offset. A line begins at low, which
// is not behind offset.
func (f *File) at(low, offset int64) (line, error) {
	from := max(low, offset-maxLine)
	n := min(offset+maxLine, f.size) - from
	if n <= 0 {
		return line{}, errMalformed // empty
	}
	buf := make([]byte, n)
	if n, err := f.r.ReadAt(buf, from); n < len(buf) {
		return line{}, fmt.Errorf("breach: read the file: %w", err)
	}
	begin := bytes.LastIndexByte(buf[:offset-from], '\n') + 1
	if begin == 0 && from > low {
		return line{}, errMalformed
	}
	text, _, broken := bytes.Cut(buf[begin:], []byte("\n"))
	l := line{start: from + int64(begin), end: from + int64(begin) + int64(len(text))}
	if broken {
		l.end++
	} else if l.end < f.size {
		return line{}, errMalformed
	}
	var ok bool
	if l.hash, l.seen, ok = parse(string(bytes.TrimSuffix(text, []byte("\r"))), hashDigits); !ok {
		return line{}, errMalformed
	}
	return l, nil
}
