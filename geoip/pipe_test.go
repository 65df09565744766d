//go:build unix

package geoip_test

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// TestPipe puts a pipe at the path: to open one waits for a writer.
func TestPipe(t *testing.T) {
	l := newLab(t)
	if err := os.Remove(l.path); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(l.path, 0o600); err != nil {
		t.Skip("no pipes here: ", err)
	}
	l.expect(t, time.Minute, "Lisbon, Portugal", 1)
}
