package mfa

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pquerna/otp"

	"github.com/seed-1320b244/mfa/internal/keyring"
	"github.com/seed-1320b244/mfa/internal/otpcode"
	"github.com/seed-1320b244/mfa/internal/phc"
)

// Import is what another system knew about one user. Empty fields leave nothing.
type Import struct {
	// TOTP is the otpauth URIs of her authenticator apps, at most 3. They keep their
	// secrets, of 80 bits or more (RFC 4226 R6 asks 128 of new ones), their digits,
	// period and algorithm.
	TOTP []string `json:"-"`
	// PasswordHash is a string of Argon2id, bcrypt, scrypt or PBKDF2: see
	// Guard.Import.
	PasswordHash string `json:"-"`
	// BackupCodes is at most 10 unused ones, all in clear, or all as hashes of the
	// same kinds.
	BackupCodes []string `json:"-"`
}

// Imported reports what an Import is about: what was written, or is there already.
type Imported struct {
	Written        bool   // false: the same was imported before, and nothing changed
	Password       string // the kind of hash, such as "bcrypt"; "" for none
	Authenticators int
	ShortSecrets   int // of the Authenticators, with less than the 128 bits of RFC 4226 R6: enroll anew when you can
	BackupCodes    int
	WeakCodes      bool // the codes are disabled after too many wrong ones: see Guard.Import
}

// Format implements fmt.Formatter: secrets are not printed.
func (in Import) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, "{TOTP:%d PasswordHash:%t BackupCodes:%d}", len(in.TOTP), in.PasswordHash != "", len(in.BackupCodes))
}

const (
	minImported   = 80 / 8 // bytes of a secret
	shortSecret   = 128 / 8
	maxImported   = 128 // likewise
	strongCodeLen = 13  // characters of 32 in a code of 64 bits or more
)

// Import writes what another system knew about a user, so that she goes on without
// enrolling again. The account must be empty, or hold exactly this import: then
// nothing happens, so that a job can be run again. Nobody is told. The example takes
// over a table of users.
//
// A password hash is compared with the bytes as typed, and replaced at her next
// sign-in with SignInPassword; one of bcrypt leads to a new password when more than
// its 72 bytes were typed. Written like
//
//	$argon2id$v=19$m=19456,t=2,p=1$salt$hash
//	$2a$, $2b$ or $2y$ of bcrypt
//	$scrypt$ln=17,r=8,p=1$salt$hash
//	$pbkdf2-sha256$i=600000$salt$hash, also -sha512 and -sha1; passlib and Django
//
// Backup codes keep their alphabet: spaces and hyphens are dropped, in the code and
// in what is typed, and nothing else. A try costs one hash for each code that is
// left. Shorter than 13 characters, or hashed, they are disabled after
// Limits.TriesBeforeDisable wrong ones in a row, as codes of an app are.
//
// It returns ErrInvalid, naming the field and showing none of it; ErrForbidden when
// the account holds something else, or the same under a key that is no longer in
// Config.Keys; or ErrUnavailable.
func (g *Guard) Import(ctx context.Context, user string, in Import) (Imported, error) {
	switch {
	case len(in.TOTP) > maxAuthenticators:
		return Imported{}, invalid("Import.TOTP has more than 3")
	case len(in.BackupCodes) > backupCodes:
		return Imported{}, invalid("Import.BackupCodes has more than 10")
	case len(in.BackupCodes) > 0 && len(in.TOTP) == 0:
		return Imported{}, invalid("Import.BackupCodes without TOTP: they stand in for nothing")
	case in.PasswordHash != "" && g.passwords != nil:
		return Imported{}, invalid("Import.PasswordHash: Config.Passwords keeps the hashes")
	}
	fields := append(append([]string{in.PasswordHash}, in.TOTP...), in.BackupCodes...)
	im := &importer{g: g, in: in}
	if err := im.prepare(ctx, ownerOf(user)); err != nil {
		return Imported{}, err
	}
	err := g.change(ctx, user, asItIs, func(s *state) error {
		d := &s.account.data
		im.done.Written = false // in an earlier try that lost to somebody else
		if g.ring.CheckMAC(d.Import, append([]string{s.owner}, fields...)...) {
			return nil
		}
		if d.holds() || d.checkable() || d.Import != nil || d.MustEnroll {
			return refuse(ErrForbidden, ReasonNotEmpty)
		}
		if len(im.apps) > 0 {
			if err := s.mark(ctx); err != nil {
				return err
			}
		}
		for i := range im.apps {
			im.apps[i].Added = s.now.Unix()
		}
		d.TOTP, d.Ask = im.apps, len(im.apps) > 0
		d.Codes, d.WeakCodes = im.codes, im.done.WeakCodes
		if len(im.codes) > 0 {
			d.CodeSet = keyring.NewToken("", "").ID
		}
		if im.hash != "" {
			d.Password.Sealed = s.sealHash(im.hash)
		}
		d.Import = g.ring.MAC(append([]string{s.owner}, fields...)...)
		s.touched = true
		s.tell(Event{Name: EventImported})
		im.done.Written = true
		return nil
	})
	if err != nil {
		return Imported{}, err
	}
	return im.done, nil
}

// checkable reports whether the library has a password of the user's.
func (a *account) checkable() bool { return a.Password.Sealed != nil }

// importer prepares an import once, however often the operation runs again.
type importer struct {
	g     *Guard
	in    Import
	apps  []authenticator
	codes []backupCode
	hash  string
	done  Imported
}

func (im *importer) prepare(ctx context.Context, owner string) error {
	for _, uri := range im.in.TOTP {
		a, err := im.authenticator(owner, uri)
		if err != nil {
			return err
		}
		im.apps = append(im.apps, a)
		im.done.Authenticators++
	}
	if im.in.PasswordHash != "" {
		var err error
		if im.hash, err = phc.Import(im.in.PasswordHash); err != nil {
			return invalid("Import.PasswordHash is no hash of a kind that is known, or costs too much")
		}
		im.done.Password = phc.Scheme(im.hash)
	}
	for _, c := range im.in.BackupCodes {
		if err := im.code(ctx, c); err != nil {
			return err
		}
		im.done.BackupCodes++
	}
	return nil
}

// authenticator reads an otpauth URI.
func (im *importer) authenticator(owner, uri string) (authenticator, error) {
	bad := invalid("Import.TOTP is no otpauth URI of a TOTP authenticator with 6 to 8 digits and a period of 15 to 120 s")
	key, err := otp.NewKeyFromURL(uri)
	if err != nil || len(uri) > 2<<10 || key.Type() != "totp" {
		return authenticator{}, bad
	}
	secret, err := base32Secret.DecodeString(strings.TrimRight(strings.ToUpper(key.Secret()), "="))
	if err != nil || len(secret) < minImported || len(secret) > maxImported {
		return authenticator{}, invalid("Import.TOTP has a secret that is no base32, or shorter than 80 bits")
	}
	if len(secret) < shortSecret {
		im.done.ShortSecrets++
	}
	a := authenticator{ID: keyring.NewToken("", "").ID, Digits: key.Digits().Length(), Period: int64(key.Period())}
	switch key.Algorithm() {
	case otp.AlgorithmSHA1:
		a.Alg = otpcode.SHA1
	case otp.AlgorithmSHA256:
		a.Alg = otpcode.SHA256
	case otp.AlgorithmSHA512:
		a.Alg = otpcode.SHA512
	default:
		return authenticator{}, bad
	}
	if a.Digits < 6 || a.Digits > 8 || a.Period < 15 || a.Period > 120 {
		return authenticator{}, bad
	}
	a.Sealed = im.g.ring.Seal(secret, owner, "totp", a.ID)
	return a, nil
}

// code adds a backup code, in clear or hashed.
func (im *importer) code(ctx context.Context, code string) error {
	if strings.HasPrefix(code, "$") {
		hash, err := phc.Import(code)
		if err != nil {
			return invalid("Import.BackupCodes has a hash of no kind that is known, or one that costs too much")
		}
		im.done.WeakCodes = true
		im.codes = append(im.codes, backupCode{Hash: hash})
		return nil
	}
	normal := asTyped(code)
	if len(normal) < 6 || len(normal) > maxCodeInput || !validText(normal, maxCodeInput) {
		return invalid("Import.BackupCodes has one that is shorter than 6 or longer than 64 characters")
	}
	h := &hasher{g: im.g}
	hash, err := h.hash(ctx, normal)
	if err != nil {
		return err
	}
	im.done.WeakCodes = im.done.WeakCodes || len(normal) < strongCodeLen
	im.codes = append(im.codes, backupCode{Hash: hash})
	return nil
}

// asTyped returns an imported code, or what was typed for one, without what only
// groups it.
func asTyped(code string) string { return strings.NewReplacer(" ", "", "-", "").Replace(code) }

// useImportedCode looks for code among imported ones and takes it out. A try costs a
// hash for each: nothing tells which one it could be.
func (f *flow) useImportedCode(ctx context.Context, code string, h *hasher) (Reason, error) {
	normal := asTyped(code)
	if normal == "" || len(code) > maxCodeInput {
		return ReasonMalformedCode, nil
	}
	a := &f.account.data
	found := -1
	for i, c := range a.Codes {
		right, err := h.matches(ctx, c.Hash, normal)
		if err != nil {
			return "", err
		}
		if right {
			found = i
		}
	}
	if found < 0 {
		return ReasonWrongCode, nil
	}
	a.Codes = slices.Delete(slices.Clone(a.Codes), found, found+1)
	f.touched = true
	f.tell(Event{Name: EventCodeUsed, Method: BackupCode})
	return "", nil
}
