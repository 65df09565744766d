package mfa_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// goldenPassword and goldenLink say what the golden records of an account with a
// password, addresses and an import, and of a link to a new password mean. What is
// sealed is left out: see opens.
func goldenPassword() map[string]string {
	return map[string]string{
		".V": "1", ".Addresses[email_code].Changed": "true", ".Addresses[email_code].Held": "true", ".Addresses[email_code].Proven": "1772355600",
		".Addresses[email_code].Sent[0]": "1772355000", ".Addresses[email_code].Sent[1]": "1772355500", ".Addresses[sms_code].Off": "true",
		".Addresses[sms_code].Proven": "1772350000", ".Ask": "true", ".Changes": "2", ".CodeSet": "3hlB91izmaZ5Mtusw2ua2w",
		".Codes[0].Hash": "$argon2id$v=19$m=19456,t=2,p=1$Rqe23tNVXk72tzxARUyxEQ$hyrFWIU0dGVY8TCoXrsY+9uBeyezZgOQWh4y6lBG8kE", ".Entered": "true",
		".Password.Mailed": "true", ".SSO.ACR": "loa2", ".SSO.AMR[0]": "otp", ".SSO.At": "1772355100", ".SSO.Connection": "google",
		".TOTP[0].Added": "1772355600", ".TOTP[0].Alg": "SHA1", ".TOTP[0].Digits": "6", ".TOTP[0].ID": "RfCgXksW7Rt4JlS4QYIjlQ",
		".TOTP[0].Period": "30", ".Tries[password].Last": "1772355500", ".Tries[password].Wrong": "2",
		".Tries[password_again].Last": "1772355400", ".Tries[password_again].Wrong": "1", ".Verified": "1772355200",
		".Warned": "1772355300", ".WeakCodes": "true",
	}
}

func goldenLink() map[string]string {
	return map[string]string{
		".Created": "1772355600", ".Does": "1", ".Method": "3", ".Order": "2",
		".Secret": "52869a08da77cec4192adab42a8dbad62a69eb0d673d4ab3e7f14fed82a965fe", ".V": "1",
	}
}

// goldenKit returns a kit with the golden key, at the time of the records, in which they
// are stored.
func goldenKit(t *testing.T) (*lab, string) {
	t.Helper()
	l := &lab{Kit: newKeyKit(t, goldenKey, postal), tally: &tally{}}
	l.Clock.Advance(time.Unix(1772355700, 0).Sub(l.Clock.Now()))
	l.Users.Add(mfa.User{ID: "ann", Email: "ann@example.org", EmailVerified: true, Phone: "+351912345678", PhoneVerified: true})
	account, _ := readGolden(t, "password")
	link, g := readGolden(t, "link")
	overwrite(t, l.Config.Store, account, link)
	return l, g.Token
}

// TestGolden_Password: what version 1 wrote of passwords, addresses, imports and links
// is read for ever, with the same meaning.
func TestGolden_Password(t *testing.T) {
	l, _ := goldenKit(t)
	account, link := l.account(t, "ann"), mfa.LinkData{}
	if err := mfa.OpenRecord(l.Guard, recordOf(t, l.Config.Store, "ann", "link"), &link); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ got, want map[string]string }{
		"account": {flatten(account), goldenPassword()}, "link": {flatten(link), goldenLink()},
	} {
		maps.DeleteFunc(c.got, func(path, _ string) bool {
			return slices.ContainsFunc([]string{".Sealed", ".New", ".Past[", ".Import", ".To"}, func(s string) bool { return strings.Contains(path, s) })
		})
		for _, path := range slices.Sorted(maps.Keys(c.want)) {
			if c.got[path] != c.want[path] {
				t.Errorf("%s: %s is %q, want %q", name, path, c.got[path], c.want[path])
			}
		}
		if len(c.got) != len(c.want) {
			t.Errorf("%s: %d fields are read, want %d: %v", name, len(c.got), len(c.want), c.got)
		}
	}
	mail, text := account.Addresses["email_code"], account.Addresses["sms_code"]
	for name, c := range map[string]struct {
		sealed []byte
		what   []string
		begins string
	}{
		"the password":     {account.Password.Sealed, []string{"password"}, "$argon2id$v=19$m=19456,t=2,p=1$"},
		"the one before":   {account.Password.Past[0], []string{"password"}, "$argon2id$v=19$m=19456,t=2,p=1$"},
		"the imported one": {account.Password.Past[1], []string{"password"}, "import:$pbkdf2-sha256$1212$"},
		"the mail address": {mail.Sealed, []string{"address", "email_code"}, "ann@example.org"},
		"the proven one":   {mail.New, []string{"address", "email_code"}, "ann@example.net"},
		"the number":       {text.Sealed, []string{"address", "sms_code"}, "+351912345678"},
		"the link's":       {link.To, []string{"address", "email_code"}, "ann@example.org"},
	} {
		if clear, err := mfa.OpenSealed(l.Guard, c.sealed, "ann", c.what...); err != nil || !strings.HasPrefix(string(clear), c.begins) {
			t.Errorf("%s: %q, %v", name, clear, err)
		}
	}
}

// TestGolden_PasswordWorks: the records are more than legible: the password and the old
// app are right, the link and the import are known.
func TestGolden_PasswordWorks(t *testing.T) {
	l, token := goldenKit(t)
	imported := mfa.Import{
		TOTP:         []string{otpauthOf(secret160)},
		PasswordHash: "$pbkdf2-sha256$1212$4vjV83LKPjQzk31VI4E0Vw$hsYF68OiOUPdDZ1Fg.fJPeq1h/gXXY7acBp9/6c.tmQ",
		BackupCodes:  []string{"old-code-0001"},
	}
	if _, err := l.Guard.Import(t.Context(), "ann", imported); err != nil {
		t.Errorf("the import of before: %v", err)
	}
	app, err := mfatest.NewAuthenticator(imported.TOTP[0])
	if err != nil {
		t.Fatal(err)
	}
	l.app = app
	out, err := l.typed(t, "ann", newPassword, false)
	if err != nil {
		t.Fatalf("the password: %v (%s)", err, mfa.ReasonOf(err))
	}
	if out, err = out.Pending.Verify(t.Context(), l.right()); err != nil || out.Session == nil {
		t.Fatalf("the app: %v (%s)", err, mfa.ReasonOf(err))
	}
	if err := l.Guard.ResetPassword(t.Context(), token, "another-Moss-2024", mfa.Client{}); err != nil {
		t.Errorf("the link: %v (%s)", err, mfa.ReasonOf(err))
	}
}

// TestR26_ResealPassword: Reseal moves the password, the ones before, and the addresses
// to the first key. Once links of before are over the old key can go.
func TestR26_ResealPassword(t *testing.T) {
	e := newEnrolled(t, postal, func(c *mfa.Config) { c.Policy.Password.History = 3 })
	e.Users.Add(mfa.User{ID: "ann", Email: "ann@example.org", EmailVerified: true})
	l := &lab{Kit: e.Kit, app: e.app, codes: e.codes, tally: &tally{}}
	for _, password := range []string{oldPassword, newPassword} {
		if err := e.Guard.SetPassword(t.Context(), "ann", password); err != nil {
			t.Fatal(err)
		}
	}
	l.session = l.enter(t, l.right())
	if err := l.session.SetMethod(t.Context(), mfa.EmailCode, true); err != nil {
		t.Fatal(err)
	}
	link := l.link(t)
	withKeys(t, e.Kit, e.new+"\n"+e.old)
	if err := e.Guard.ResetPassword(t.Context(), link, "short", mfa.Client{}); mfa.ReasonOf(err) == mfa.ReasonUnknownKey {
		t.Errorf("a link of the old key: %v", err)
	}
	for range 2 {
		if err := e.Guard.Reseal(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
	}
	withKeys(t, e.Kit, e.new)
	wants(t, e.Guard.ResetPassword(t.Context(), link, oldPassword, mfa.Client{}), mfa.ErrRefused, mfa.ReasonUnknownKey)
	for _, password := range []string{oldPassword, newPassword} {
		_, err := l.typed(t, "ann", password, false)
		if (err == nil) != (password == newPassword) {
			t.Errorf("%s: %v (%s)", password, err, mfa.ReasonOf(err))
		}
		if err := e.Guard.SetPassword(t.Context(), "ann", password); mfa.ReasonOf(err) == mfa.ReasonUnknownKey || err == nil {
			t.Errorf("the history of %s: %v", password, err)
		}
	}
	out, err := l.typed(t, "ann", newPassword, false)
	if err != nil {
		t.Fatal(err)
	}
	if out = l.byMail(t, out.Pending); out.Session == nil {
		t.Error("a mailed code does not lead to a session")
	}
	if err := e.Guard.ResetPassword(t.Context(), l.link(t), "another-Moss-2024", mfa.Client{}); err != nil {
		t.Errorf("a link of the new key: %v (%s)", err, mfa.ReasonOf(err))
	}
}
