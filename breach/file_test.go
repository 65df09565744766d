package breach_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/seed-1320b244/mfa/breach"
)

// checker is what mfa asks for: its BreachChecker.
type checker interface {
	Breached(ctx context.Context, password string) (bool, error)
}

var _, _ checker = (*breach.Client)(nil), (*breach.File)(nil)

// list returns the sorted list of "leaked 0" to "leaked n-1", with counts of as
// many digits as there can be.
func list(n int, end string) []string {
	lines := make([]string, n)
	for i := range lines {
		sum := sha1.Sum(fmt.Appendf(nil, "leaked %d", i))
		lines[i] = fmt.Sprintf("%X:%s%s", sum, strings.Repeat("7", 1+i%18), end)
	}
	slices.Sort(lines)
	return lines
}

func open(t testing.TB, text string) *breach.File {
	t.Helper()
	f, err := breach.NewFile(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Every password of lists of every length is found, in either kind of lines, and
// none of as many others.
func TestFile(t *testing.T) {
	for _, n := range []int{1, 2, 3, 4, 5, 7, 8, 31, 32, 33, 1000} {
		for _, end := range []string{"\n", "\r\n"} {
			whole := strings.Join(list(n, end), "")
			for _, text := range []string{whole, strings.TrimSuffix(whole, end), strings.ToLower(whole)} {
				f := open(t, text)
				for i := range n {
					if leaked, err := f.Breached(t.Context(), fmt.Sprintf("leaked %d", i)); !leaked || err != nil {
						t.Fatalf("%d of %d: got %v, %v", i, n, leaked, err)
					}
					if leaked, err := f.Breached(t.Context(), fmt.Sprintf("safe %d", i)); leaked || err != nil {
						t.Fatalf("another, of %d: got %v, %v", n, leaked, err)
					}
				}
			}
		}
	}
}

func TestFileHashes(t *testing.T) {
	var lines []string
	for _, h := range hashes {
		lines = append(lines, h.prefix+h.suffix+":5\r\n")
	}
	slices.Sort(lines)
	f := open(t, strings.Join(lines, ""))
	for _, h := range hashes {
		if leaked, err := f.Breached(t.Context(), h.password); !leaked || err != nil {
			t.Errorf("%s: got %v, %v", h.password, leaked, err)
		}
	}
	f = open(t, strings.ReplaceAll(strings.Join(lines, ""), ":5", ":0"))
	if leaked, err := f.Breached(t.Context(), "password"); leaked || err != nil {
		t.Errorf("seen by nobody: got %v, %v", leaked, err)
	}
}

// What is no such list is refused at once where the first or the last line shows
// it, and otherwise when a lookup comes to it.
func TestFileRefuses(t *testing.T) {
	lines := list(1000, "\n")
	sum := func(s string) string { b := sha1.Sum([]byte(s)); return strings.ToUpper(hex.EncodeToString(b[:])) }
	for name, text := range map[string]string{
		"empty":           "",
		"line break":      "\n",
		"text":            "password\n123456\n",
		"no count":        sum("a") + "\n",
		"byte order mark": "\ufeff" + lines[0],
		"backwards":       lines[1] + lines[0],
		"empty last line": lines[0] + "\n",
		"cut off":         lines[0] + lines[1][:30],
		"long line":       sum("a") + ":" + strings.Repeat("1", 19) + "\n",
		"one endless":     strings.Repeat("A", 1000),
		"NTLM":            "8846F7EAEE8FB117AD06BDD830B7586C:1\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := breach.NewFile(strings.NewReader(text), int64(len(text))); err == nil {
				t.Error("accepted")
			}
		})
	}
	if _, err := breach.NewFile(strings.NewReader(lines[0]), -1); err == nil {
		t.Error("accepted a negative size")
	}
	swapped := slices.Clone(lines)
	slices.Reverse(swapped[1 : len(swapped)-1])
	broken := slices.Clone(lines)
	for i := range broken[1:999] {
		broken[1+i] = "x" + broken[1+i][1:]
	}
	for name, l := range map[string][]string{"not sorted": swapped, "broken": broken} {
		f := open(t, strings.Join(l, ""))
		failed := 0
		for i := range 100 {
			leaked, err := f.Breached(t.Context(), fmt.Sprintf("safe %d", i))
			if leaked {
				t.Fatalf("%s: found what is not there", name)
			}
			if err != nil {
				failed++
			}
		}
		if failed < 90 {
			t.Errorf("%s: only %d of 100 lookups failed", name, failed)
		}
	}
}

// counting counts the bytes that are read, and fails once it is told to.
type counting struct {
	io.ReaderAt
	reads int
	bytes int
	err   error
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	c.bytes += len(p)
	if c.err != nil {
		return 0, c.err
	}
	return c.ReaderAt.ReadAt(p, off)
}

// A lookup reads a piece for each halving, whatever the size.
func TestFileReads(t *testing.T) {
	text := strings.Join(list(100_000, "\r\n"), "")
	r := &counting{ReaderAt: strings.NewReader(text)}
	f, err := breach.NewFile(r, int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	r.reads, r.bytes = 0, 0
	for i := range 100 {
		if _, err := f.Breached(t.Context(), fmt.Sprintf("safe %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if r.reads > 100*23 || r.bytes > r.reads*122 {
		t.Errorf("100 lookups in %d bytes took %d reads of %d bytes", len(text), r.reads, r.bytes)
	}
	r.err = errors.New("disk on fire")
	if leaked, err := f.Breached(t.Context(), "leaked 1"); leaked || !errors.Is(err, r.err) {
		t.Errorf("got %v, %v", leaked, err)
	}
	r.err = nil
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if leaked, err := f.Breached(ctx, "leaked 1"); leaked || !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: got %v, %v", leaked, err)
	}
}

// Whatever the file holds, a lookup ends without a panic, and what it finds is in
// the file.
func FuzzFile(f *testing.F) {
	f.Add([]byte(strings.Join(list(5, "\n"), "")), "leaked 1")
	f.Add([]byte("\n\n\n"), "")
	f.Fuzz(func(t *testing.T, text []byte, password string) {
		file, err := breach.NewFile(bytes.NewReader(text), int64(len(text)))
		if err != nil {
			return
		}
		leaked, err := file.Breached(t.Context(), password)
		sum := sha1.Sum([]byte(password))
		if leaked && (err != nil || !bytes.Contains(bytes.ToLower(text), []byte(hex.EncodeToString(sum[:])))) {
			t.Errorf("found %q in %q, %v", password, text, err)
		}
	})
}

func BenchmarkFile(b *testing.B) {
	text := strings.Join(list(1_000_000, "\r\n"), "")
	f := open(b, text)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Breached(b.Context(), "safe"); err != nil {
			b.Fatal(err)
		}
	}
}
