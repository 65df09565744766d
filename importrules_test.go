package mfa_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// otpauthOf returns the URI of an authenticator with these parameters.
func otpauthOf(secret string, more ...string) string {
	return "otpauth://totp/Old:ann?secret=" + secret + "&issuer=Old" + strings.Join(more, "")
}

const (
	secret160 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	secret80  = "GEZDGNBVGY3TQOJQ"
	// ofBcrypt72 is bcrypt, at cost 4, of "0123456789" seven times and "01".
	passwordOf72 = "012345678901234567890123456789012345678901234567890123456789012345678901"
)

// importedHashes are hashes of "password", as systems write them.
func importedHashes() map[string]string {
	return map[string]string{
		"argon2id":    "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
		"bcrypt":      bcryptOf("password"),
		"scrypt":      "$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA",
		"PBKDF2":      "$pbkdf2-sha1$i=1000,l=20$c2FsdC1vZi0xNi1ieXRlcw$TfPCf8JuY5pw+QJIvLrXzcSu1qI",
		"passlib":     "$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ",
		"passlib 512": "$pbkdf2-sha512$1212$RHY0Fr3IDMSVO/RSZyb5ow$eNLfBK.eVozomMr.1gYa17k9B7KIK25NOEshvhrSX.esqY3s.FvWZViXz4KoLlQI.BzY/YTNJOiKc5gBYFYGww",
	}
}

// TestR23_ImportedKinds: a hash of every kind signs in as it is, and is replaced by
// the library's at the first success: not at a wrong password, and not by CheckPassword.
func TestR23_ImportedKinds(t *testing.T) {
	for name, hash := range importedHashes() {
		t.Run(name, func(t *testing.T) {
			l := emptyLab(t)
			if _, err := l.Guard.Import(t.Context(), "ann", mfa.Import{PasswordHash: hash}); err != nil {
				t.Fatalf("%v", err)
			}
			stored := func() string {
				text, err := mfa.OpenSealed(l.Guard, l.account(t, "ann").Password.Sealed, "ann", "password")
				if err != nil {
					t.Fatal(err)
				}
				return string(text)
			}
			if _, err := l.typed(t, "ann", "passwort", false); !errors.Is(err, mfa.ErrRefused) || stored() != "import:"+hash {
				t.Fatalf("a wrong one: %v, stored %s", err, stored())
			}
			l.tally.conflicts.Store(3)
			if out, err := l.typed(t, "ann", "password", false); err != nil || out.Session == nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			first := stored()
			if !strings.HasPrefix(first, "$argon2id$v=19$m=8,t=1,p=1$") {
				t.Errorf("stored %s after the first success", first)
			}
			for password, want := range map[string]bool{"password": true, "passwort": false} {
				if _, err := l.typed(t, "ann", password, false); (err == nil) != want {
					t.Errorf("%s afterwards: %v", password, err)
				}
			}
			if stored() != first {
				t.Error("hashed anew at each sign-in")
			}
		})
	}
}

// TestR23_BcryptTruncated: bcrypt knows 72 bytes. When more were typed and these
// agree, a new password must be set, and what was typed is never hashed.
func TestR23_BcryptTruncated(t *testing.T) {
	for _, c := range []struct {
		name, typed string
		in, must    bool
	}{
		{"72 bytes", passwordOf72, true, false}, {"73 bytes", passwordOf72 + "x", true, true},
		{"100 bytes", passwordOf72 + strings.Repeat("y", 28), true, true},
		{"71 bytes", passwordOf72[:71], false, false}, {"another end within 72", passwordOf72[:71] + "x" + "x", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := emptyLab(t)
			if _, err := l.Guard.Import(t.Context(), "ann", mfa.Import{PasswordHash: bcryptOf(passwordOf72)}); err != nil {
				t.Fatal(err)
			}
			before := l.account(t, "ann").Password.Sealed
			out, err := l.typed(t, "ann", c.typed, false)
			if (err == nil) != c.in {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			if c.in && c.must != (out.Pending != nil && out.Pending.Need().Step == mfa.StepNewPassword) {
				t.Fatalf("session %t, want a new password to be asked for: %t", out.Session != nil, c.must)
			}
			if same := bytes.Equal(before, l.account(t, "ann").Password.Sealed); same != (c.must || !c.in) {
				t.Errorf("the hash is as it was: %t", same)
			}
			if !c.must {
				return
			}
			if _, err := out.Pending.SetPassword(t.Context(), "short"); !errors.Is(err, mfa.ErrWeak) {
				t.Errorf("a weak one: %v", err)
			}
			if out, err = out.Pending.SetPassword(t.Context(), newPassword); err != nil || out.Session == nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			if _, err := l.typed(t, "ann", c.typed, false); !errors.Is(err, mfa.ErrRefused) {
				t.Errorf("what was typed before: %v", err)
			}
		})
	}
}

// TestR26_ImportRefused: what cannot be imported is refused by the name of its field,
// showing nothing of it, and nothing is written.
func TestR26_ImportRefused(t *testing.T) {
	const secret79 = "SECRETSECRETSEC" // 15 characters of base32: 9 bytes and some bits
	four := []string{otpauthOf(secret160), otpauthOf(secret160), otpauthOf(secret160), otpauthOf(secret160)}
	app := four[:1]
	for _, c := range []struct {
		name, field string
		in          mfa.Import
	}{
		{"four apps", "Import.TOTP", mfa.Import{TOTP: four}},
		{"72 bits", "Import.TOTP", mfa.Import{TOTP: []string{otpauthOf(secret79)}}},
		{"129 bytes", "Import.TOTP", mfa.Import{TOTP: []string{otpauthOf(strings.Repeat("A", 207))}}},
		{"no base32", "Import.TOTP", mfa.Import{TOTP: []string{otpauthOf("SECRET!SECRET!SECRET!")}}},
		{"no secret", "Import.TOTP", mfa.Import{TOTP: []string{otpauthOf("")}}},
		{"HOTP", "Import.TOTP", mfa.Import{TOTP: []string{"otpauth://hotp/Old:ann?secret=" + secret160 + "&counter=1"}}},
		{"no URI", "Import.TOTP", mfa.Import{TOTP: []string{"SECRETSECRETSECRET"}}},
		{"empty", "Import.TOTP", mfa.Import{TOTP: []string{""}}},
		{"long", "Import.TOTP", mfa.Import{TOTP: []string{otpauthOf(secret160, "&x="+strings.Repeat("SECRET", 400))}}},
		{"5 digits", "Import.TOTP", mfa.Import{TOTP: []string{otpauthOf(secret160, "&digits=5")}}},
		{"9 digits", "Import.TOTP", mfa.Import{TOTP: []string{otpauthOf(secret160, "&digits=9")}}},
		{"period of 14 s", "Import.TOTP", mfa.Import{TOTP: []string{otpauthOf(secret160, "&period=14")}}},
		{"period of 121 s", "Import.TOTP", mfa.Import{TOTP: []string{otpauthOf(secret160, "&period=121")}}},
		{"MD5", "Import.TOTP", mfa.Import{TOTP: []string{otpauthOf(secret160, "&algorithm=MD5")}}},
		{"no hash", "Import.PasswordHash", mfa.Import{PasswordHash: "SECRET"}},
		{"MD5 crypt", "Import.PasswordHash", mfa.Import{PasswordHash: "$1$SECRET$SECRETSECRETSECRETSECRE"}},
		{"bcrypt of cost 15", "Import.PasswordHash", mfa.Import{PasswordHash: "$2b$15" + bcryptOf("x")[6:]}},
		{"a hash of ours", "Import.PasswordHash", mfa.Import{PasswordHash: "import:" + bcryptOf("x")}},
		{"eleven codes", "Import.BackupCodes", mfa.Import{TOTP: app, BackupCodes: strings.Fields(strings.Repeat("SECRET12 ", 11))}},
		{"codes alone", "Import.BackupCodes", mfa.Import{BackupCodes: []string{"SECRET12"}}},
		{"5 characters", "Import.BackupCodes", mfa.Import{TOTP: app, BackupCodes: []string{"SECR-T"}}},
		{"65 characters", "Import.BackupCodes", mfa.Import{TOTP: app, BackupCodes: []string{strings.Repeat("S", 65)}}},
		{"control", "Import.BackupCodes", mfa.Import{TOTP: app, BackupCodes: []string{"SECRET\x0012"}}},
		{"hash of no kind", "Import.BackupCodes", mfa.Import{TOTP: app, BackupCodes: []string{"$5$SECRET"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := emptyLab(t)
			_, err := l.Guard.Import(t.Context(), "ann", c.in)
			if !errors.Is(err, mfa.ErrInvalid) || !strings.Contains(err.Error(), c.field) {
				t.Fatalf("%v, want ErrInvalid naming %s", err, c.field)
			}
			for _, secret := range []string{"SECR", "GEZD", bcryptOf("x")[7:20]} {
				if strings.Contains(fmt.Sprintf("%v %+v %#v %+v", err, err, err, c.in), secret) {
					t.Errorf("it shows: %v", err)
				}
			}
			if len(l.tally.take()) != 0 {
				t.Error("something is written")
			}
		})
	}
}

// TestR26_ImportAtTheLimits: what is exempt from the rules of new secrets: 80 bits, 6
// to 8 digits, 15 to 120 seconds, each algorithm.
func TestR26_ImportAtTheLimits(t *testing.T) {
	for name, uri := range map[string]string{
		"80 bits": otpauthOf(secret80), "lower case, padded": otpauthOf("gezdgnbvgy3tqojqge%3D%3D%3D%3D%3D%3D"),
		"6 digits": otpauthOf(secret160, "&digits=6"), "7 digits": otpauthOf(secret160, "&digits=7"), "8 digits": otpauthOf(secret160, "&digits=8"),
		"15 s": otpauthOf(secret160, "&period=15"), "120 s": otpauthOf(secret160, "&period=120"),
		"SHA-256": otpauthOf(secret160, "&algorithm=SHA256"), "SHA-512": otpauthOf(secret160, "&algorithm=SHA512"),
		"128 bytes": otpauthOf(strings.Repeat("A", 205)), "120 bits": otpauthOf(strings.Repeat("A", 24)), "128 bits": otpauthOf(strings.Repeat("A", 26)),
	} {
		t.Run(name, func(t *testing.T) {
			l := emptyLab(t)
			report, err := l.Guard.Import(t.Context(), "ann", mfa.Import{TOTP: []string{uri}})
			if err != nil {
				t.Fatalf("%v", err)
			}
			if short := strings.HasSuffix(name, "0 bits") || strings.HasPrefix(name, "lower"); report.Authenticators != 1 || (report.ShortSecrets == 1) != short {
				t.Errorf("%+v, short: %v", report, short)
			}
			app, err := mfatest.NewAuthenticator(strings.ReplaceAll(uri, "%3D", ""))
			if err != nil {
				t.Fatal(err)
			}
			l.app = app
			if out, err := l.guess(t, l.wrong()); err == nil || out.Session != nil {
				t.Errorf("a wrong code: %v", err)
			}
			if out, err := l.guess(t, l.right()); err != nil || out.Session == nil {
				t.Errorf("its code: %v (%s)", err, mfa.ReasonOf(err))
			}
			if out, err := l.guess(t, l.right()); err == nil || out.Session != nil {
				t.Errorf("its code again: %v", err)
			}
		})
	}
}

// TestR26_ImportOnce: an import is done once. The same again changes nothing, another
// is refused, and so is any where something has been enrolled, set or reset since.
func TestR26_ImportOnce(t *testing.T) {
	in := mfa.Import{TOTP: []string{otpauthOf(secret160)}, BackupCodes: []string{"old-code-0001"}, PasswordHash: bcryptOf("password")}
	smaller := mfa.Import{TOTP: in.TOTP}
	for _, c := range []struct {
		name  string
		first func(t *testing.T, l *lab)
		in    mfa.Import
		why   mfa.Reason
	}{
		{"the same", func(t *testing.T, l *lab) { l.imports(t, in) }, in, ""},
		{"less", func(t *testing.T, l *lab) { l.imports(t, in) }, smaller, mfa.ReasonNotEmpty},
		{"more", func(t *testing.T, l *lab) { l.imports(t, smaller) }, in, mfa.ReasonNotEmpty},
		{"nothing after all", func(t *testing.T, l *lab) { l.imports(t, in) }, mfa.Import{}, mfa.ReasonNotEmpty},
		{"after an app", func(t *testing.T, l *lab) { l.Enroll(t, "ann") }, in, mfa.ReasonNotEmpty},
		{"after a password", func(t *testing.T, l *lab) {
			if err := l.Guard.SetPassword(t.Context(), "ann", oldPassword); err != nil {
				t.Fatal(err)
			}
		}, smaller, mfa.ReasonNotEmpty},
		{"after a reset", func(t *testing.T, l *lab) {
			if err := l.Guard.Operator("desk", "").Reset(t.Context(), "ann"); err != nil {
				t.Fatal(err)
			}
		}, in, mfa.ReasonNotEmpty},
		{"another, after an import and a reset", func(t *testing.T, l *lab) {
			l.imports(t, in)
			if err := l.Guard.Operator("desk", "").Reset(t.Context(), "ann"); err != nil {
				t.Fatal(err)
			}
		}, smaller, mfa.ReasonNotEmpty},
		{"a sign-in is no obstacle", func(t *testing.T, l *lab) { l.SignIn(t, "ann") }, in, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := emptyLab(t)
			c.first(t, l)
			l.Events.Take()
			before := fmt.Sprint(l.account(t, "ann"))
			_, err := l.Guard.Import(t.Context(), "ann", c.in)
			if c.why != "" {
				wants(t, err, mfa.ErrForbidden, c.why)
			} else if err != nil {
				t.Fatalf("%v (%s)", err, mfa.ReasonOf(err))
			}
			if same := fmt.Sprint(l.account(t, "ann")) == before; !same && c.name != "a sign-in is no obstacle" {
				t.Error("the account changed")
			}
			if c.name == "the same" {
				l.told(t)
			}
		})
	}
	l := emptyLab(t)
	l.imports(t, in)
	if err := l.Guard.Operator("desk", "").Reset(t.Context(), "ann"); err != nil {
		t.Fatal(err)
	}
	// The job is run again: what the reset took does not come back.
	if _, err := l.Guard.Import(t.Context(), "ann", in); err != nil || len(l.account(t, "ann").TOTP)+len(l.account(t, "ann").Codes) != 0 {
		t.Errorf("%v, %d apps are back", err, len(l.account(t, "ann").TOTP))
	}
}

// imports imports for ann.
func (l *lab) imports(t testing.TB, in mfa.Import) {
	t.Helper()
	if _, err := l.Guard.Import(t.Context(), "ann", in); err != nil {
		t.Fatal(err)
	}
}

// TestR26_ImportedCodes: a try costs a hash for each code that is left, at most ten.
// Codes that could be guessed are disabled at 100 wrong ones in a row; strong ones
// never, and wait a minute at most. Each works once.
func TestR26_ImportedCodes(t *testing.T) {
	weak, strong := "code%08d", "long-code-%012d"
	for format, weak := range map[string]bool{weak: true, strong: false} {
		t.Run(format, func(t *testing.T) {
			l := emptyLab(t)
			in := mfa.Import{TOTP: []string{otpauthOf(secret160)}}
			for i := range 10 {
				in.BackupCodes = append(in.BackupCodes, fmt.Sprintf(format, i))
			}
			l.imports(t, in)
			l.codes = in.BackupCodes
			hashes := mfa.CountHashes(l.Guard)
			for left := 10; left > 7; left-- {
				p, before := l.pending(t, l.flow(t)), hashes()
				_, err := p.Verify(t.Context(), mfa.Proof{Method: mfa.BackupCode, Code: "wrong" + in.BackupCodes[0]})
				wants(t, err, mfa.ErrRefused, mfa.ReasonWrongCode)
				if n := hashes() - before; n != left {
					t.Errorf("%d hashes for %d codes", n, left)
				}
				spelled := strings.ReplaceAll(in.BackupCodes[10-left], "0", " 0-")
				before = hashes()
				out, err := l.guess(t, mfa.Proof{Method: mfa.BackupCode, Code: spelled})
				if err != nil || out.Session == nil {
					t.Fatalf("code %d: %v (%s)", left, err, mfa.ReasonOf(err))
				}
				if n := hashes() - before; n != left {
					t.Errorf("%d hashes for a right one of %d: the time tells which", n, left)
				}
				if _, err := l.guess(t, mfa.Proof{Method: mfa.BackupCode, Code: in.BackupCodes[10-left]}); !errors.Is(err, mfa.ErrRefused) {
					t.Errorf("code %d again: %v", left, err)
				}
				upper := strings.ToUpper(in.BackupCodes[9])
				if _, err := l.guess(t, mfa.Proof{Method: mfa.BackupCode, Code: upper}); !errors.Is(err, mfa.ErrRefused) {
					t.Errorf("another case: %v", err)
				}
				l.Clock.Advance(time.Hour)
			}
			for _, n := range []int{99, 100} {
				l.wrongSoFar(t, mfa.BackupCode, n)
				l.Clock.Advance(time.Minute - time.Second)
				if weak {
					l.Clock.Advance(time.Hour)
				}
				out, err := l.signIn(t, "ann")
				if err != nil {
					t.Fatal(err)
				}
				offered := false
				for _, m := range out.Pending.Need().Methods {
					offered = offered || m == mfa.BackupCode
				}
				if offered != (n == 99 || !weak) {
					t.Errorf("after %d wrong ones: offered %t", n, offered)
				}
			}
			l.Clock.Advance(time.Second)
			if _, err := l.guess(t, l.backup(9)); (err == nil) == weak {
				t.Errorf("after 100 wrong ones: %v (%s)", err, mfa.ReasonOf(err))
			}
		})
	}
}

// bcryptOf returns a bcrypt hash of password at the least cost.
func bcryptOf(password string) string {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		panic(err)
	}
	return string(hash)
}
