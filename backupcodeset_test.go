package mfa_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// bindApp takes a flow at StepEnroll through a new app's first code.
func (l *lab) bindApp(t testing.TB, p *mfa.Pending) mfa.Outcome {
	t.Helper()
	setup, err := p.StartTOTP(t.Context(), "")
	if err != nil {
		t.Fatalf("StartTOTP: %v (%s)", err, mfa.ReasonOf(err))
	}
	if l.app, err = mfatest.NewAuthenticator(setup.URI()); err != nil {
		t.Fatal(err)
	}
	out, err := p.ConfirmTOTP(t.Context(), l.right().Code)
	if err != nil {
		t.Fatalf("ConfirmTOTP: %v (%s)", err, mfa.ReasonOf(err))
	}
	l.Clock.Advance(l.app.Period())
	return out
}

// refuses fails unless all of codes are wrong.
func (l *lab) refuses(t *testing.T, codes []string) {
	t.Helper()
	for _, c := range codes {
		l.change(t, "ann", func(d *mfa.AccountData) { d.Tries, d.Failures, d.Compromised = nil, nil, false })
		_, err := l.guess(t, mfa.Proof{Method: mfa.BackupCode, Code: c})
		wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
	}
	l.change(t, "ann", func(d *mfa.AccountData) { d.Tries, d.Failures, d.Compromised = nil, nil, false })
}

// TestR8_Set: R8's set is 10 codes of 16 characters of Crockford's base32 in
// groups of four, no two with the same two first characters, and each works once.
func TestR8_Set(t *testing.T) {
	l := newLab(t)
	shape := regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$`)
	seen := make(map[string]bool)
	letters := make(map[rune]int)
	const sets = 100
	for range sets {
		out, err := l.session.NewBackupCodes(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		codes := out.Pending.BackupCodes()
		selectors := make(map[string]bool)
		for _, c := range codes.Reveal() {
			if !shape.MatchString(c) || seen[c] || selectors[c[:2]] {
				t.Fatalf("code %q: malformed, or it or its selector came before", c)
			}
			seen[c], selectors[c[:2]] = true, true
			for _, r := range strings.ReplaceAll(c, "-", "") {
				letters[r]++
			}
		}
		if codes.Len() != 10 || len(selectors) != 10 {
			t.Fatalf("%d codes, want 10", codes.Len())
		}
		l.codes = codes.Reveal()
	}
	// 16000 characters of 32: 500 each, with a standard deviation of 22.
	for r, n := range letters {
		if len(letters) != 32 || n < 350 || n > 650 {
			t.Errorf("%q is %d of 16000 characters, %d different ones, want about 500 of 32", r, n, len(letters))
		}
	}
	for i := range 10 {
		out, err := l.guess(t, l.backup(i))
		if err != nil || out.Pending == nil || out.Pending.Need().Step != mfa.StepSaveCodes {
			t.Fatalf("code %d of an unsaved set: %v (%s), want it accepted", i, err, mfa.ReasonOf(err))
		}
		l.change(t, "ann", func(d *mfa.AccountData) { d.Unsaved = false })
		l.session = l.enter(t, l.right())
		if out, err = l.session.NewBackupCodes(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		l.codes = out.Pending.BackupCodes().Reveal()
	}
}

// TestR8_RealCost: R8 hashes codes like passwords, each with a salt of its own.
func TestR8_RealCost(t *testing.T) {
	l := newLab(t, func(c *mfa.Config) { c.InsecureFastHashing = false })
	salts := make(map[string]bool)
	for _, c := range l.account(t, "ann").Codes {
		salt, found := strings.CutPrefix(c.Hash, "$argon2id$v=19$m=19456,t=2,p=1$")
		if !found {
			t.Errorf("stored as %q, want Argon2id with 19 MiB and 2 passes", c.Hash)
		}
		salts[strings.Split(salt, "$")[0]] = true
	}
	if len(salts) != 10 {
		t.Errorf("%d salts, want 10", len(salts))
	}
	l.enter(t, l.backup(0))
}

// TestR8_ShownUntilSaved: R8 shows the codes again after a reload, until they are
// saved, and never after; the store has them only sealed or hashed.
func TestR8_ShownUntilSaved(t *testing.T) {
	l := emptyLab(t, rules(mfa.Rules{Require: mfa.RequireAtSignIn}))
	out, err := l.signIn(t, "ann")
	if err != nil {
		t.Fatal(err)
	}
	if n := out.Pending.BackupCodes().Len(); n != 0 {
		t.Errorf("%d codes before enrolling", n)
	}
	p := l.bindApp(t, out.Pending).Pending
	codes := p.BackupCodes().Reveal()
	for range 3 {
		if again := l.pending(t, p.Token()); !slices.Equal(again.BackupCodes().Reveal(), codes) || again.Need().Step != mfa.StepSaveCodes {
			t.Fatal("a reload shows other codes, or another step")
		}
	}
	codes[0] = "changed by the page"
	if again := p.BackupCodes().Reveal(); again[0] == codes[0] {
		t.Error("the page's slice is the flow's own")
	}
	codes = p.BackupCodes().Reveal()
	records, err := l.Config.Store.List(t.Context(), "u/ann")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		for _, c := range codes {
			if plain := strings.ReplaceAll(c, "-", ""); bytes.Contains(r.Data, []byte(c)) || bytes.Contains(r.Data, []byte(plain[2:])) {
				t.Errorf("a code is in the %s record in clear", r.Kind)
			}
		}
	}
	for _, text := range []string{
		fmt.Sprintf("%v %+v %#v", p.BackupCodes(), p.BackupCodes(), p.BackupCodes()), fmt.Sprintf("%+v %#v", p, p),
	} {
		if strings.Contains(text, codes[0]) {
			t.Errorf("printed: %s", text)
		}
	}
	if text, err := encoded(p.BackupCodes()); err == nil && strings.Contains(string(text), codes[0]) {
		t.Errorf("encoded: %s", text)
	}
	if out, err = p.SaveCodes(t.Context()); err != nil || out.Session == nil {
		t.Fatalf("SaveCodes: session %t, %v", out.Session != nil, err)
	}
	_, err = l.Guard.Pending(t.Context(), p.Token(), "", mfatest.Laptop())
	wants(t, err, mfa.ErrNoPending, mfa.ReasonAlreadyCompleted)
	records, _ = l.Config.Store.List(t.Context(), "u/ann", "pending")
	for _, r := range records {
		var d mfa.PendingData
		if err := mfa.OpenRecord(l.Guard, r, &d); err != nil || d.Codes != nil {
			t.Errorf("after saving a flow still has codes: %t, %v", d.Codes != nil, err)
		}
	}
}

// TestR8_LeftUnsaved: R8 takes codes that were never saved for lost: the next
// sign-in shows a new set, after the second factor, and the old one is void.
func TestR8_LeftUnsaved(t *testing.T) {
	l := emptyLab(t, rules(mfa.Rules{Require: mfa.RequireAtSignIn}))
	out, err := l.signIn(t, "ann")
	if err != nil {
		t.Fatal(err)
	}
	p := l.bindApp(t, out.Pending).Pending
	old := p.BackupCodes().Reveal()
	l.Clock.Advance(10 * time.Minute)
	_, err = l.Guard.Pending(t.Context(), p.Token(), "", mfatest.Laptop())
	wants(t, err, mfa.ErrNoPending, mfa.ReasonExpired)

	if out, err = l.signIn(t, "ann"); err != nil || out.Pending.Need().Step != mfa.StepVerify || out.Pending.BackupCodes().Len() != 0 {
		t.Fatalf("the next sign-in: %v, want to verify first and no codes before", err)
	}
	if out, err = out.Pending.Verify(t.Context(), l.right()); err != nil || out.Pending == nil || out.Pending.Need().Step != mfa.StepSaveCodes {
		t.Fatalf("after the factor: %v, want codes to save", err)
	}
	l.codes = out.Pending.BackupCodes().Reveal()
	if len(l.codes) != 10 || slices.ContainsFunc(l.codes, func(c string) bool { return slices.Contains(old, c) }) {
		t.Fatalf("%d codes, want 10 new ones", len(l.codes))
	}
	l.Clock.Advance(l.app.Period())
	l.refuses(t, old)
	if out, err = l.pending(t, out.Pending.Token()).SaveCodes(t.Context()); err != nil || out.Session == nil {
		t.Fatalf("SaveCodes: %v (%s)", err, mfa.ReasonOf(err))
	}
	l.enter(t, l.backup(0))
	l.enter(t, l.right())
}

// TestR8_TwoUnsavedFlows: R8 saves the set that is shown: a flow whose codes were
// replaced by those of another shows nothing and saves nothing.
func TestR8_TwoUnsavedFlows(t *testing.T) {
	l := newLab(t)
	first, err := l.session.NewBackupCodes(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	second, err := l.session.NewBackupCodes(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.Guard.Pending(t.Context(), first.Pending.Token(), l.session.Token(), mfatest.Laptop())
	if err != nil || p.BackupCodes().Len() != 0 {
		t.Fatalf("%d void codes are shown, %v", p.BackupCodes().Len(), err)
	}
	out, err := p.SaveCodes(t.Context())
	if err != nil || out.Session == nil {
		t.Errorf("saving void codes: %v (%s), want the flow to go on: nothing is missing", err, mfa.ReasonOf(err))
	}
	if !l.account(t, "ann").Unsaved {
		t.Error("codes that nobody saved count as saved")
	}
	session := l.session
	if out.Session != nil {
		session = out.Session
	}
	p, err = l.Guard.Pending(t.Context(), second.Pending.Token(), session.Token(), mfatest.Laptop())
	if err != nil || p.BackupCodes().Len() != 10 {
		t.Fatalf("the set that is current: %v (%s), want it shown", err, mfa.ReasonOf(err))
	}
	if _, err = p.SaveCodes(t.Context()); err != nil || l.account(t, "ann").Unsaved {
		t.Errorf("the set that is current: %v, want it saved", err)
	}
}

// TestR8_Regenerate: R8's new set needs a fresh proof and ends the old one in its
// one commit, before anything of the new one is saved.
func TestR8_Regenerate(t *testing.T) {
	l := newLab(t)
	l.Clock.Advance(time.Hour)
	_, err := l.session.NewBackupCodes(t.Context(), "")
	wants(t, err, mfa.ErrStepUp, mfa.ReasonStale)
	out := l.elevate(t, l.session, mfa.ToConfirm("new_backup_codes"), l.right())
	l.tally.take()
	l.Events.Take()
	if out, err = out.Session.NewBackupCodes(t.Context(), ""); err != nil || out.Pending.Need().Step != mfa.StepSaveCodes {
		t.Fatalf("%v (%s), want codes to save", err, mfa.ReasonOf(err))
	}
	if n := len(l.tally.take()); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
	l.told(t, mfa.EventCodesIssued)
	old := l.codes
	l.codes = out.Pending.BackupCodes().Reveal()
	l.refuses(t, old)
	if _, err := l.guess(t, l.backup(0)); err != nil {
		t.Errorf("a code of the new set: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestR8_CountLeft: R8 counts what is left and advises a new set at three.
func TestR8_CountLeft(t *testing.T) {
	l := newLab(t)
	for used := range 10 {
		s := l.enter(t, l.backup(used))
		o, err := s.Overview(t.Context())
		left := 9 - used
		if err != nil || o.CodesLeft != left || slices.Contains(o.Advice, mfa.ReasonAdviseCodes) != (left <= 3) {
			t.Fatalf("%d used: %d left and advice %q, %v, want %d and advice from 3 on", used+1, o.CodesLeft, o.Advice, err, left)
		}
		if held := len(o.Methods); held != min(2, 1+left) {
			t.Errorf("%d methods with %d codes left", held, left)
		}
	}
	out, err := l.signIn(t, "ann")
	if err != nil || !slices.Equal(out.Pending.Need().Methods, []mfa.Method{mfa.TOTP}) {
		t.Errorf("with all codes used: %v, want the app alone to be asked for", err)
	}
}

// TestR8_TextFile: R8's codes can be kept as a text file, one a line.
func TestR8_TextFile(t *testing.T) {
	l := newLab(t)
	out, err := l.session.NewBackupCodes(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	var file strings.Builder
	n, err := out.Pending.BackupCodes().WriteTo(&file)
	want := strings.Join(out.Pending.BackupCodes().Reveal(), "\n") + "\n"
	if err != nil || n != int64(len(want)) || file.String() != want {
		t.Errorf("wrote %d bytes, %v:\n%s\nwant\n%s", n, err, file.String(), want)
	}
	file.Reset()
	if n, err := (mfa.BackupCodes{}).WriteTo(&file); n != 0 || err != nil || file.Len() != 0 {
		t.Errorf("no codes: wrote %d bytes, %v", n, err)
	}
}

// TestR8_FirstFactorOnly: R8 issues codes with the first app and leaves them as
// they are with the next.
func TestR8_FirstFactorOnly(t *testing.T) {
	l := newLab(t)
	before := l.account(t, "ann")
	out, err := l.session.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), "")
	if err != nil {
		t.Fatal(err)
	}
	if out = l.bindApp(t, out.Pending); out.Session == nil {
		t.Fatal("the second app does not lead straight to the session")
	}
	after := l.account(t, "ann")
	if len(after.TOTP) != 2 || after.CodeSet != before.CodeSet || !slices.Equal(after.Codes, before.Codes) || after.Unsaved {
		t.Errorf("%d apps, codes changed", len(after.TOTP))
	}
	l.enter(t, l.backup(0))
}

// encoded is v as JSON, whether or not there is anything to encode.
func encoded(v any) ([]byte, error) { return json.Marshal(v) }
