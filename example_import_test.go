package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/url"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/seed-1320b244/mfa"
)

// oldUser is a row of the table that is left behind.
type oldUser struct {
	id, login    string
	passwordHash string   // as bcrypt wrote it
	totpSecret   string   // base32, of totp.Generate; "" for none
	backupCodes  []string // those that are not used up
}

// oldUsers is that table, and the directory of the new sign-in.
type oldUsers []oldUser

func (all oldUsers) User(_ context.Context, id string) (mfa.User, error) {
	return all.first(func(u oldUser) bool { return u.id == id })
}

// FindUser makes it a mfa.Finder, which SignInPassword needs.
func (all oldUsers) FindUser(_ context.Context, login string) (mfa.User, error) {
	return all.first(func(u oldUser) bool { return u.login == login })
}

func (all oldUsers) first(match func(oldUser) bool) (mfa.User, error) {
	for _, u := range all {
		if match(u) {
			return mfa.User{ID: u.id, Name: u.login}, nil
		}
	}
	return mfa.User{}, mfa.ErrNoUser
}

// credentials is what of a row the library takes over.
func (u oldUser) credentials() mfa.Import {
	in := mfa.Import{PasswordHash: u.passwordHash, BackupCodes: u.backupCodes}
	if u.totpSecret != "" {
		// What is not said is what pquerna/otp generates by default and apps take for
		// granted: SHA-1, six digits, 30 seconds. Add algorithm, digits or period where
		// the old system set them.
		uri := url.URL{
			Scheme: "otpauth", Host: "totp", Path: "/Old Shop:" + u.login,
			RawQuery: url.Values{"issuer": {"Old Shop"}, "secret": {u.totpSecret}}.Encode(),
		}
		in.TOTP = []string{uri.String()}
	}
	return in
}

// takeOver imports a table and reports on each row. An error ends it, to be run
// again.
func takeOver(ctx context.Context, guard *mfa.Guard, table oldUsers) error {
	for _, u := range table {
		switch report, err := guard.Import(ctx, u.id, u.credentials()); {
		case errors.Is(err, mfa.ErrInvalid):
			// The row is of no use. SetPassword to something that nobody knows gives her
			// a password that a link by mail (Recover) replaces.
			fmt.Println(" ", u.login, "refused:", err)
		case errors.Is(err, mfa.ErrForbidden): // something else is in the account already
			fmt.Println(" ", u.login, "refused:", mfa.ReasonOf(err))
		case err != nil:
			return err
		case !report.Written:
			fmt.Println(" ", u.login, "nothing to do")
		default:
			fmt.Printf("  %s imported: %s, apps: %d, backup codes: %d\n", u.login, report.Password, report.Authenticators, report.BackupCodes)
		}
	}
	return nil
}

// The users of another system keep their passwords, apps and backup codes. The job can
// be run until nothing is left to do: what is there already it leaves as it is.
func ExampleGuard_Import() {
	table := oldUsers{
		{"17", "ada", "$2a$10$hIv9axnCxQQd1VVcfNbOE.64X0yZhL5.uV5KTpw9wz14t0Kz5fqey",
			"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", []string{"3f9a-71c2", "b04e-d86f"}},
		{"18", "bob", "$2a$10$W9u22tWcClGQew6Gw73.XeK0.prQ4rcoHlCW2LC.XXWQSZ9CEPVkq", "", nil},
		{"19", "eve", "5f4dcc3b5aa765d61d8327deb882cf99", "", nil}, // MD5, of the years before bcrypt
	}
	keys, err := mfa.ParseKeys(mfa.NewKey()) // a real host reads its own from where secrets are kept
	if err != nil {
		log.Fatal(err)
	}
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	guard, err := mfa.New(mfa.Config{
		Issuer: "New Shop", Store: new(mfa.MemoryStore), Users: table, Keys: keys,
		Now: func() time.Time { return now },
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	for n := range 2 {
		fmt.Println("run", n+1)
		if err := takeOver(ctx, guard, table); err != nil {
			log.Fatal(err)
		}
	}

	// Ada types what she always typed, and reads the code from the app she always had.
	out, err := guard.SignInPassword(ctx, "ada", "correct horse battery staple", mfa.SignIn{})
	if err != nil || out.Pending == nil {
		log.Fatal("the second factor is not asked for: ", err)
	}
	fmt.Println("ada is asked to", out.Pending.Need().Step, "with one of", out.Pending.Need().Methods)
	code, err := totp.GenerateCode("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", now)
	if err != nil {
		log.Fatal(err)
	}
	out, err = out.Pending.Verify(ctx, mfa.Proof{Method: mfa.TOTP, Code: code})
	if err != nil || out.Session == nil {
		log.Fatal("not signed in: ", err)
	}
	fmt.Println("signed in: user", out.Session.User())

	// Output:
	// run 1
	//   ada imported: bcrypt, apps: 1, backup codes: 2
	//   bob imported: bcrypt, apps: 0, backup codes: 0
	//   eve refused: mfa: invalid argument: Import.PasswordHash is no hash of a kind that is known, or costs too much
	// run 2
	//   ada nothing to do
	//   bob nothing to do
	//   eve refused: mfa: invalid argument: Import.PasswordHash is no hash of a kind that is known, or costs too much
	// ada is asked to verify with one of [totp backup_code]
	// signed in: user 17
}
