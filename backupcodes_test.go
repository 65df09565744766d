package mfa_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/internal/phc"
	"github.com/seed-1320b244/mfa/mfatest"
)

// TestR2_BackupCodeOnce: R2 consumes a backup code at its first use.
func TestR2_BackupCodeOnce(t *testing.T) {
	l := newLab(t)
	flow := l.flow(t)
	l.enter(t, l.backup(3))
	_, err := l.verify(t.Context(), flow, l.backup(3))
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	l.enter(t, l.backup(4))
	if left := len(l.account(t, "ann").Codes); left != 8 {
		t.Errorf("%d codes are left, want 8", left)
	}
}

// TestR2_BackupCodeRace: R2 has one winner when 32 requests on four processes race
// for one backup code, in one flow or in many.
func TestR2_BackupCodeRace(t *testing.T) {
	for _, c := range []struct {
		name  string
		flows int
	}{{"one flow", 1}, {"sixteen flows", 16}} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			processes := make([]*mfa.Guard, 4)
			for i := range processes {
				var err error
				if processes[i], err = mfa.New(l.Config); err != nil {
					t.Fatal(err)
				}
			}
			for round := range mfatest.Rounds(500) {
				// Each round has a code and a count of its own.
				l.Clock.Advance(time.Minute)
				code := l.plant(t, round)
				flows := make([]string, c.flows)
				for i := range flows {
					flows[i] = l.flow(t)
				}
				l.raceForCode(t, processes, flows, code)
			}
		})
	}
}

// plant gives ann two backup codes, returns the first, and forgets what was
// counted.
func (l *lab) plant(t testing.TB, n int) mfa.Proof {
	t.Helper()
	const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	secret := "CDEFGHJKMNPQ" + string([]byte{alphabet[n/32%32], alphabet[n%32]})
	l.change(t, "ann", func(d *mfa.AccountData) {
		hash := phc.Insecure().Hash([]byte(secret))
		d.Codes = []mfa.StoredCode{{Selector: "01", Hash: hash}, {Selector: "02", Hash: hash}}
		d.Tries, d.Failures, d.Compromised = nil, nil, false
	})
	return mfa.Proof{Method: mfa.BackupCode, Code: "01" + secret}
}

func (l *lab) raceForCode(t *testing.T, processes []*mfa.Guard, flows []string, code mfa.Proof) {
	t.Helper()
	var wg sync.WaitGroup
	start := make(chan struct{})
	sessions, errs := make([]*mfa.Session, 32), make([]error, 32)
	for i := range errs {
		wg.Go(func() {
			<-start
			p, err := processes[i%len(processes)].Pending(t.Context(), flows[i%len(flows)], "", mfatest.Laptop())
			if err != nil {
				errs[i] = err
				return
			}
			out, err := p.Verify(t.Context(), code)
			sessions[i], errs[i] = out.Session, err
		})
	}
	close(start)
	wg.Wait()
	var winners []string
	for i, s := range sessions {
		why := mfa.ReasonOf(errs[i])
		switch {
		case s != nil && errs[i] == nil:
			winners = append(winners, s.ID())
		case len(flows) == 1 && why != mfa.ReasonAlreadyCompleted:
			t.Errorf("a loser in the winner's flow: %v (%s), want already_completed, which is not counted", errs[i], why)
		case !slices.Contains([]mfa.Reason{mfa.ReasonAlreadyCompleted, mfa.ReasonWrongCode, mfa.ReasonMethodLocked}, why):
			t.Errorf("a loser: %v (%s)", errs[i], why)
		}
	}
	if len(winners) != 1 {
		t.Fatalf("%d of 32 were signed in, want 1", len(winners))
	}
	if tries := l.account(t, "ann").Tries; len(flows) == 1 && len(tries) > 0 {
		t.Errorf("counted %v in a flow that was completed, want nothing", tries)
	}
}

// TestR3_BackupCodeReading: R3 reads a backup code once, before it is compared or
// counted: spaces and hyphens do not matter, nor case, nor letters that look like
// digits; anything else is no code.
func TestR3_BackupCodeReading(t *testing.T) {
	const code, want = "01AB-CDEF-GHJK-MNPQ", "01ABCDEFGHJKMNPQ"
	for _, c := range []struct {
		name, typed string
		ok          bool
	}{
		{"as shown", code, true},
		{"without hyphens", want, true},
		{"lower case", strings.ToLower(code), true},
		{"mixed case", "01aB-CdEf-gHJk-mNpQ", true},
		{"spaces", "01AB CDEF GHJK MNPQ", true},
		{"spaces around", "   " + code + "   ", true},
		{"hyphens everywhere", "-0-1-A-B-C-D-E-F-G-H-J-K-M-N-P-Q-", true},
		{"O for 0", "O1AB-CDEF-GHJK-MNPQ", true},
		{"o for 0", "o1AB-CDEF-GHJK-MNPQ", true},
		{"I for 1", "0IAB-CDEF-GHJK-MNPQ", true},
		{"i for 1", "0iAB-CDEF-GHJK-MNPQ", true},
		{"L for 1", "0LAB-CDEF-GHJK-MNPQ", true},
		{"l for 1", "0lAB-CDEF-GHJK-MNPQ", true},
		{"64 bytes", code + strings.Repeat(" ", 64-len(code)), true},
		{"65 bytes", code + strings.Repeat(" ", 65-len(code)), false},
		{"empty", "", false},
		{"hyphens only", "---- ---- ---- ----", false},
		{"15 characters", code[:len(code)-1], false},
		{"17 characters", code + "0", false},
		{"U is no letter of it", "01AB-CDEF-GHJK-MNPU", false},
		{"plus", "01AB+CDEF+GHJK+MNPQ", false},
		{"line break", "01AB-CDEF\nGHJK-MNPQ", false},
		{"line break at the end", code + "\n", false},
		{"tab", "01AB\tCDEF\tGHJK\tMNPQ", false},
		{"zero byte", "01AB-CDEF-GHJK-MNP\x00", false},
		{"no-break space", "01AB\u00a0CDEF\u00a0GHJK\u00a0MNPQ", false},
		{"en dash", "01AB\u2013CDEF\u2013GHJK\u2013MNPQ", false},
		{"fullwidth digit", "\uff101AB-CDEF-GHJK-MNPQ", false},
		{"Arabic digit", "\u06601AB-CDEF-GHJK-MNPQ", false},
		{"Cyrillic letter", "01\u0410B-CDEF-GHJK-MNPQ", false},
		{"Kelvin sign", "01AB-CDEF-GHJ\u212a-MNPQ", false},
		{"dotless i", "0\u0131AB-CDEF-GHJK-MNPQ", false},
		{"zero-width space", "01AB\u200b-CDEF-GHJK-MNPQ", false},
		{"no UTF-8", "01AB-CDEF-GHJK-MNP\xff", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, ok := mfa.ReadBackupCode(c.typed)
			if ok != c.ok || ok && got != want {
				t.Errorf("%q is read as %q, %t, want %t", c.typed, got, ok, c.ok)
			}
		})
	}
}

// TestR3_BackupCodeMalformed: R3 refuses what is no code before anything is
// counted, hashed or used up; what is one in another spelling is accepted.
func TestR3_BackupCodeMalformed(t *testing.T) {
	l := newLab(t)
	flow := l.flow(t)
	hashes := mfa.CountHashes(l.Guard)
	l.tally.take()
	right := l.codes[0]
	for _, code := range []string{
		"", right[:18], right + "0", strings.Replace(right, "-", "_", 1), "U" + right[1:], right + "\u2013", "123456",
	} {
		_, err := l.verify(t.Context(), flow, mfa.Proof{Method: mfa.BackupCode, Code: code})
		wants(t, err, mfa.ErrRefused, mfa.ReasonMalformedCode)
	}
	if n := len(l.tally.take()); n != 0 || hashes() != 0 {
		t.Errorf("%d commits and %d hashes, want none", n, hashes())
	}
	typed := strings.NewReplacer("-", " ", "0", "o", "1", "l").Replace(strings.ToLower(right))
	if out, err := l.verify(t.Context(), flow, mfa.Proof{Method: mfa.BackupCode, Code: typed}); err != nil || out.Session == nil {
		t.Errorf("the right code in another spelling: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestR8_OneHashATry: R8 makes each try cost one hash, whether a code begins like
// that or not, so that time does not tell; a conflict with another request costs
// no second one.
func TestR8_OneHashATry(t *testing.T) {
	l := newLab(t)
	unknown := func() string {
		for _, c := range "0123456789ABCDEFGHJKMNPQRSTVWXYZ" {
			s := strings.Repeat(string(c), 2)
			if !slices.ContainsFunc(l.codes, func(code string) bool { return code[:2] == s }) {
				return s
			}
		}
		return ""
	}()
	used := l.codes[9]
	l.enter(t, l.backup(9))
	hashes := mfa.CountHashes(l.Guard)
	for _, c := range []struct {
		name      string
		code      string
		conflicts int32
		want      mfa.Reason
		hashes    int
	}{
		{"selector of a code, wrong rest", l.wrongBackup().Code, 0, mfa.ReasonWrongCode, 1},
		{"selector of no code", unknown + l.codes[0][2:], 0, mfa.ReasonWrongCode, 1},
		{"used", used, 0, mfa.ReasonWrongCode, 1},
		{"wrong, after conflicts", l.wrongBackup().Code, 7, mfa.ReasonWrongCode, 1},
		{"selector of no code, after conflicts", unknown + l.codes[0][2:], 7, mfa.ReasonWrongCode, 1},
		{"right", l.codes[0], 0, "", 1},
		{"right, after conflicts", l.codes[1], 7, "", 1},
		{"malformed", "0", 0, mfa.ReasonMalformedCode, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l.change(t, "ann", func(d *mfa.AccountData) { d.Tries = nil })
			flow, before := l.flow(t), hashes()
			l.tally.conflicts.Store(c.conflicts)
			_, err := l.verify(t.Context(), flow, mfa.Proof{Method: mfa.BackupCode, Code: c.code})
			if mfa.ReasonOf(err) != c.want {
				t.Errorf("%v (%s), want %q", err, mfa.ReasonOf(err), c.want)
			}
			if got := hashes() - before; got != c.hashes {
				t.Errorf("%d hashes, want %d", got, c.hashes)
			}
		})
	}
}

// TestR8_AnotherSetMeanwhile: R8 compares again when a set was replaced between
// the comparison and the commit: a code of the old set, found right and not yet
// used up, does not pass.
func TestR8_AnotherSetMeanwhile(t *testing.T) {
	l := newLab(t)
	p := l.pending(t, l.flow(t)) // has read the old set
	if _, err := l.session.NewBackupCodes(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	_, err := p.Verify(t.Context(), l.backup(0))
	wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
}
