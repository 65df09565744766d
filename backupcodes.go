package mfa

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/seed-1320b244/mfa/internal/keyring"
)

// A backup code is 16 characters of Crockford's base32. The first two select it
// within its set, so that a try costs one hash however many codes there are. The
// other 14 are 70 random bits, beyond the 64 that SP 800-63B-4 section 4.2.1.1
// asks of a saved recovery code, and are hashed like a password, each with a salt
// of its own (section 3.1.2.2).
const (
	backupCodes  = 10
	codeLen      = 16
	selectorLen  = 2
	codeAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ" // 32, so that a random byte maps evenly
	maxCodeInput = 64
)

// backupCode is an unused code as stored.
type backupCode struct {
	Selector string `json:"s"`
	Hash     string `json:"h"`
}

// keptCodes are those of an account, and most of it.
type keptCodes []backupCode

// UnmarshalJSON reads what json.Marshal wrote, as sessionData.decode does and for the
// same reason.
func (k *keptCodes) UnmarshalJSON(data []byte) error {
	c := cursor{rest: string(data)}
	c.want(`[`)
	all := list(&c, func() (code backupCode) {
		c.want(`{"s":`)
		code.Selector = c.string()
		c.want(`,"h":`)
		code.Hash = c.string()
		c.want(`}`)
		return code
	})
	if c.lost || c.rest != "" {
		return json.Unmarshal(data, (*[]backupCode)(k))
	}
	*k = all
	return nil
}

// BackupCodes is a fresh set. Only Reveal and WriteTo show it.
type BackupCodes struct {
	codes func() []string // fmt prints a func as an address
}

// Len returns how many codes there are, 0 when there is nothing to show.
func (b BackupCodes) Len() int { return len(b.Reveal()) }

// Reveal returns the codes as XXXX-XXXX-XXXX-XXXX.
func (b BackupCodes) Reveal() []string {
	if b.codes == nil {
		return nil
	}
	return slices.Clone(b.codes())
}

// WriteTo writes the codes as a text file, one a line.
func (b BackupCodes) WriteTo(w io.Writer) (int64, error) {
	var text strings.Builder
	for _, c := range b.Reveal() {
		text.WriteString(c + "\n")
	}
	n, err := io.WriteString(w, text.String())
	return int64(n), err
}

// normalizeBackupCode returns the code in what a person typed: spaces and hyphens
// dropped, case folded, and the letters that look like digits read as those.
func normalizeBackupCode(s string) (string, bool) {
	if len(s) > maxCodeInput {
		return "", false
	}
	code := make([]byte, 0, codeLen)
	for i := range len(s) {
		c := s[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		switch c {
		case ' ', '-':
			continue
		case 'O':
			c = '0'
		case 'I', 'L':
			c = '1'
		}
		if strings.IndexByte(codeAlphabet, c) < 0 || len(code) == codeLen {
			return "", false
		}
		code = append(code, c)
	}
	return string(code), len(code) == codeLen
}

// codeMaker makes one set of codes for one operation. Hashing ten codes takes a
// third of a second, so that the set stays when the operation has to run again.
type codeMaker struct {
	g     *Guard
	clear []string
	kept  []backupCode
}

func (m *codeMaker) make(ctx context.Context) error {
	var clear []string
	var kept []backupCode
	for len(kept) < backupCodes {
		code := make([]byte, codeLen)
		rand.Read(code)
		for i, b := range code {
			code[i] = codeAlphabet[b%32]
		}
		selector, secret := string(code[:selectorLen]), string(code[selectorLen:])
		if slices.ContainsFunc(kept, func(c backupCode) bool { return c.Selector == selector }) {
			continue
		}
		h := &hasher{g: m.g}
		hash, err := h.hash(ctx, secret)
		if err != nil {
			return err
		}
		clear = append(clear, group(string(code), 4, "-"))
		kept = append(kept, backupCode{selector, hash})
	}
	m.clear, m.kept = clear, kept
	return nil
}

// issueCodes stages a new set in place of the old one and shows it in this flow.
func (f *flow) issueCodes(ctx context.Context) error {
	f.unremember()
	if f.codes.kept == nil {
		if err := f.codes.make(ctx); err != nil {
			return err
		}
	}
	a := &f.account.data
	a.Codes, a.CodeSet, a.Unsaved, a.WeakCodes = slices.Clone(f.codes.kept), keyring.NewToken("", "").ID, true, false
	f.touched = true
	clear, err := json.Marshal(f.codes.clear)
	if err != nil {
		return err
	}
	f.data.Codes, f.data.CodeSet = f.g.ring.Seal(clear, f.owner, "codes", a.CodeSet), a.CodeSet
	f.tell(Event{Name: EventCodesIssued, Method: BackupCode})
	return nil
}

// openCodes returns the codes that the flow shows, nil when they cannot be opened.
func (f *flow) openCodes() []string {
	clear, err := f.g.ring.Open(f.data.Codes, f.owner, "codes", f.data.CodeSet)
	if err != nil {
		return nil
	}
	var codes []string
	if json.Unmarshal(clear, &codes) != nil {
		return nil
	}
	return codes
}

// useBackupCode looks for code among the user's and takes it out. Hit or miss
// costs one hash.
func (f *flow) useBackupCode(ctx context.Context, code string, h *hasher) (Reason, error) {
	a := &f.account.data
	if len(a.Codes) > 0 && a.Codes[0].Selector == "" {
		return f.useImportedCode(ctx, code, h)
	}
	normal, ok := normalizeBackupCode(code)
	if !ok {
		return ReasonMalformedCode, nil
	}
	hash := ""
	i := slices.IndexFunc(a.Codes, func(c backupCode) bool { return c.Selector == normal[:selectorLen] })
	if i >= 0 {
		hash = a.Codes[i].Hash
	}
	right, err := h.matches(ctx, hash, normal[selectorLen:])
	if err != nil {
		return "", err
	}
	if !right {
		return ReasonWrongCode, nil
	}
	a.Codes = slices.Delete(slices.Clone(a.Codes), i, i+1)
	f.touched = true
	f.tell(Event{Name: EventCodeUsed, Method: BackupCode})
	return "", nil
}

// NewBackupCodes replaces the backup codes: the old set is void from this commit
// on. The Outcome is a Pending at StepSaveCodes. It needs a fresh proof
// (*StepUpError) and the user's password (ErrRefused, *ThrottledError), which is not
// looked at when neither the library nor Config.Passwords has one of hers. It
// returns ErrForbidden when she holds no factor that the codes could back up.
func (s *Session) NewBackupCodes(ctx context.Context, password string) (Outcome, error) {
	const action = "new_backup_codes"
	codes := &codeMaker{g: s.s().g}
	h := &hasher{g: s.s().g}
	return s.s().open(ctx, bounded, ToConfirm(action), func(f *flow) (Outcome, error) {
		if err := f.fresh(action); err != nil {
			return Outcome{}, err
		}
		if !f.account.data.holds() {
			return Outcome{}, refuse(ErrForbidden, ReasonNoFactor)
		}
		if f.checks() {
			if err := f.passwordAgain(ctx, h, password); err != nil {
				return Outcome{}, err
			}
		}
		f.codes = codes
		if err := f.issueCodes(ctx); err != nil {
			return Outcome{}, err
		}
		return f.advance(ctx)
	})
}
