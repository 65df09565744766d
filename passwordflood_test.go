package mfa_test

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestR23_MemoryOfAFlood: 500 sign-ins at the same moment, with hashes of the real
// cost, take less than 250 MiB of the process on two cores, and none is lost: each core
// more is 19 MiB more. They run in a process of their own, which nothing else has made
// grow.
func TestR23_MemoryOfAFlood(t *testing.T) {
	const variable, mib = "MFA_FLOOD_CHILD", 1 << 10
	if os.Getenv(variable) != "" {
		flood(t, mfatest.Rounds(500))
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(string(status))
		return
	}
	if raceDetector {
		t.Skip("the race detector takes several times the memory")
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("no /proc/self/status to read the memory from")
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestR23_MemoryOfAFlood$", "-test.count=1")
	child.Env = append(os.Environ(), variable+"=1", "GOMAXPROCS=2")
	out, err := child.CombinedOutput()
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(out)
	if err != nil || found == nil {
		t.Fatalf("%v: %s", err, bytes.TrimSpace(out))
	}
	kib, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d sign-ins at once: peak of %d MiB", mfatest.Rounds(500), kib/mib)
	if kib >= 250*mib {
		t.Errorf("%d MiB, want less than 250", kib/mib)
	}
}

// flood makes n sign-ins with the right password at once, each from a network of its
// own.
func flood(t *testing.T, n int) {
	const users = 10
	l := emptyLab(t, func(c *mfa.Config) {
		c.InsecureFastHashing = false
		c.Policy.Limits.PasswordsPerLogin = 1000
	})
	for i := range users {
		id := fmt.Sprint("user", i)
		l.Users.Add(mfa.User{ID: id})
		if err := l.Guard.SetPassword(t.Context(), id, oldPassword); err != nil {
			t.Fatal(err)
		}
	}
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			in := mfa.SignIn{Client: mfa.Client{Addr: netip.AddrFrom4([4]byte{198, 18, byte(i / 256), byte(i % 256)})}}
			out, err := l.Guard.SignInPassword(context.Background(), fmt.Sprint("user", i%users), oldPassword, in)
			if err != nil || out.Session == nil {
				t.Errorf("sign-in %d: %v (%s)", i, err, mfa.ReasonOf(err))
			}
		})
	}
	group.Wait()
}

// TestR24_FloodOfOneNetwork: however many requests a network makes at once, no more
// passwords are hashed than it has in an hour.
func TestR24_FloodOfOneNetwork(t *testing.T) {
	l := withPassword(t, func(c *mfa.Config) {
		c.Policy.Limits.PasswordsPerNetwork, c.Policy.Limits.PasswordsPerLogin = 20, 1000
	})
	hashes := mfa.CountHashes(l.Guard)
	var refused, throttled, busy atomic.Int32
	var group sync.WaitGroup
	for i := range 200 {
		group.Go(func() {
			_, err := l.Guard.SignInPassword(context.Background(), fmt.Sprint("nobody", i%7), newPassword, mfa.SignIn{Client: mfatest.Phone()})
			switch mfa.ReasonOf(err) {
			case mfa.ReasonUserUnknown:
				refused.Add(1)
			case mfa.ReasonNetworkBudget:
				throttled.Add(1)
			case mfa.ReasonBusy:
				busy.Add(1)
			default:
				t.Errorf("%v (%s)", err, mfa.ReasonOf(err))
			}
		})
	}
	group.Wait()
	if n := hashes(); n > 20 || int(refused.Load()) > n || refused.Load()+throttled.Load()+busy.Load() != 200 {
		t.Errorf("%d hashes, %d refused, %d told to wait, %d busy, want 20 hashes at most", n, refused.Load(), throttled.Load(), busy.Load())
	}
	if refused.Load() == 0 || throttled.Load() == 0 {
		t.Errorf("%d refused, %d told to wait", refused.Load(), throttled.Load())
	}
}

// TestR24_OfficeAtNine: whoever shares an address shares the record of its budget, and
// is not turned away because others came between.
func TestR24_OfficeAtNine(t *testing.T) {
	l := withPassword(t)
	l.tally.conflicts.Store(12)
	if _, err := l.typed(t, "ann", oldPassword, false); err != nil {
		t.Errorf("12 conflicts: %v (%s)", err, mfa.ReasonOf(err))
	}
}
