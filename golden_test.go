package mfa_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// goldenKey made the golden records: the bytes 0 to 31.
const goldenKey = "mfakey1_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

// A golden record is one that version 1 wrote, whole: with what authenticates it,
// and the token that it belongs to.
type golden struct {
	Owner, Kind, ID, Version string
	Expires                  int64 // Unix seconds; 0: never
	Token                    string
	Data                     json.RawMessage // indented here
}

// readGolden reads a golden file into the record that a store would hold.
func readGolden(t testing.TB, kind string) (mfa.Record, golden) {
	t.Helper()
	text, err := os.ReadFile("testdata/golden/v1-" + kind + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	var data bytes.Buffer
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&data, g.Data); err != nil {
		t.Fatal(err)
	}
	r := mfa.Record{Key: mfa.Key{Owner: g.Owner, Kind: g.Kind, ID: g.ID}, Version: g.Version, Data: data.Bytes()}
	if g.Expires != 0 {
		r.Expires = time.Unix(g.Expires, 0).UTC()
	}
	return r, g
}

// flatten returns the fields of v that are not zero by their paths.
func flatten(v any) map[string]string {
	flat := make(map[string]string)
	var walk func(path string, v reflect.Value)
	walk = func(path string, v reflect.Value) {
		switch {
		case v.Kind() == reflect.Pointer && !v.IsNil():
			walk(path, v.Elem())
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				walk(path+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
			if v.Len() > 0 {
				flat[path] = fmt.Sprintf("%x", v.Bytes())
			}
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				walk(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
			}
		case v.Kind() == reflect.Map:
			for _, k := range v.MapKeys() {
				walk(fmt.Sprintf("%s[%v]", path, k), v.MapIndex(k))
			}
		case !v.IsZero():
			flat[path] = fmt.Sprint(v)
		}
	}
	walk("", reflect.ValueOf(v))
	return flat
}

// base64Hex shows the base64 of a golden file as flatten does.
func base64Hex(t testing.TB, s string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", b)
}

// goldenAccount and those that follow say what the golden
// records mean, field by field.
func goldenAccount(t testing.TB) map[string]string {
	return map[string]string{
		".V": "1",

		".TOTP[0].ID": "2YTJw0EGTCm0oHH6AFyYmg", ".TOTP[0].Label": "Phone", ".TOTP[0].Alg": "SHA1", ".TOTP[0].Digits": "6",
		".TOTP[0].Period": "30", ".TOTP[0].Step": "59078519", ".TOTP[0].Added": "1772352000", ".TOTP[0].Used": "1772355570",
		".TOTP[0].Sealed": base64Hex(t, "I9FNioBT/l4z3rph6Cwap7+E4AMJMoHv/l7HD9sNp4DqpWi0+bXBQXN+gLued+IdxGuFfw=="),

		".TOTP[1].ID": "qqYsyR7vxXWHWWZk390RLQ", ".TOTP[1].Label": "Tablet <spare>", ".TOTP[1].Alg": "SHA512", ".TOTP[1].Digits": "8",
		".TOTP[1].Period": "60", ".TOTP[1].Step": "29539259", ".TOTP[1].Added": "1772352000", ".TOTP[1].Used": "1772355570",
		".TOTP[1].Sealed": base64Hex(t, "I9FNisyTOEFWfetZogywjRuSsevLVN46VF2NYry1QR4A9P3AEAtOt6COiVM7uIYYGZzNQ76YmE0CoOgl"+
			"9F77NbUG5VzdRYNH2RZIqlxiClvWFacQJmsDSXZmxn3YBRzF"),

		".Codes[0].Selector": "7K", ".Codes[0].Hash": "$argon2id$v=19$m=19456,t=2,p=1$kC9e4/sBIU0rECJ5Ax9wKQ$avppY2QA4QycClWHhYHiqAyy0Z2FJKC/ho/CbiShkRU",
		".Codes[1].Selector": "00", ".Codes[1].Hash": "$argon2id$v=19$m=19456,t=2,p=1$0HXRGK+8LHT4Us+c71pC9g$LemHbzdnH3bQBaQnmmMFrsbsgNAbExsXY8B8RZQ0mO4",
		".CodeSet": "xefJTcHSVmklZZAllUSbqQ", ".Unsaved": "true", ".Ask": "true", ".MustEnroll": "true",

		".Tries[totp].Wrong": "3", ".Tries[totp].Last": "1772355540", ".Tries[backup_code].Wrong": "7", ".Tries[backup_code].Last": "1772355539",
		".Failures[0]": "1772355480", ".Failures[1]": "1772355540", ".Compromised": "true", ".Disabled": "true", ".Forgotten": "true",
	}
}

func goldenSession(t testing.TB) map[string]string {
	return map[string]string{
		".V": "1", ".Secret": base64Hex(t, "H0iuie0R0z8lPn3QjasqPgKNzAtPR6QUhw8BmF5ok7g="), ".Created": "1772355600", ".Seen": "1772355660",
		".First.At": "1772355599", ".First.Password": "true", ".First.Connection": "google", ".First.AMR[0]": "pwd", ".First.AMR[1]": "otp",
		".First.ACR": "urn:example:loa2", ".Proofs[0].Method": "1", ".Proofs[0].At": "1772355601", ".Proofs[1].Method": "2",
		".Proofs[1].At": "1772355602", ".Device": "Firefox on Linux", ".Addr": "192.0.2.1",
	}
}

// goldenRemembered is a session that was spared the second factor.
func goldenRemembered(t testing.TB) map[string]string {
	return map[string]string{
		".V": "1", ".Secret": base64Hex(t, "U63aEx/Iqko50Kg9Q4fGEyORDuspuMixuyku4QYZCmc="), ".Created": "1772355600", ".Seen": "1772355660",
		".First.At": "1772355600", ".First.Password": "true", ".Device": "Firefox on Linux", ".Addr": "192.0.2.1",
		".Remembered.Method": "1", ".Remembered.At": "1772355000",
	}
}

func goldenBrowser(t testing.TB) map[string]string {
	return map[string]string{
		".V": "1", ".Secret": base64Hex(t, "QebQ7ZaIwaUIg16DWZy7R0dUysvTJ+tOWTRTpg/uP30="), ".Created": "1772355600", ".Used": "1772355660",
		".Device": "Firefox on Linux", ".Addr": "192.0.2.1", ".Proof.Method": "1", ".Proof.At": "1772355600", ".Until": "1772960400",
	}
}

func goldenPending(t testing.TB) map[string]string {
	return map[string]string{
		".V": "1", ".Secret": base64Hex(t, "54K2ICELE/TO12BMAlwnbPrBpuOrvdVpaJ/cy81xlbg="), ".Created": "1772355600", ".To": "2", ".Arg": "acme",
		".Session": "d-RMmd0dhlFRLoIcqyNjAg", ".First.At": "1772355599", ".First.Password": "true", ".First.Connection": "google",
		".First.AMR[0]": "pwd", ".First.AMR[1]": "otp", ".First.ACR": "urn:example:loa2", ".Proofs[0].Method": "1",
		".Proofs[0].At": "1772355601", ".Tries": "2", ".Skipped": "true",
		".Staged.ID": "5bs2hh4J5CcD-GZlZQXO8A", ".Staged.Label": "New phone", ".Staged.Alg": "SHA1", ".Staged.Digits": "6", ".Staged.Period": "30",
		".Staged.Step": "59078519", ".Staged.Added": "1772352000", ".Staged.Used": "1772355570",
		".Staged.Sealed": base64Hex(t, "I9FNigBd/3lgKilfutJDDClWPKwmmlO8rg3LdDnIAUrciZknnjwi85KhKnrjt9Qwrtq4xw=="),
		".Bound":         "true", ".CodeSet": "xefJTcHSVmklZZAllUSbqQ", ".Return": "/org/acme?a=1&b=<2>", ".Over": "already_completed",
		".Codes": base64Hex(t, "I9FNilxVFqDcSaObtj7qABe5K1vteN+kwB2ZhrQ4E4U96kIRnIl/j7PHTp1Zwp8DGA9CAtewAXdw41I6d/TizEKtP2ao2NjxkSy4Y84="),
	}
}

func goldenHistory(testing.TB) map[string]string {
	return map[string]string{
		".V": "1", ".Entries[0].Name": "factor_added", ".Entries[0].At": "1772352000", ".Entries[0].Method": "totp",
		".Entries[0].Session": "d-RMmd0dhlFRLoIcqyNjAg", ".Entries[0].Device": "Firefox on Linux", ".Entries[0].Addr": "192.0.2.1",
		".Entries[1].Name": "sessions_ended", ".Entries[1].At": "1772355540", ".Entries[1].Method": "password",
		".Entries[1].Reason": "too_many_sessions", ".Entries[1].Actor": "desk", ".Entries[1].Session": "d-RMmd0dhlFRLoIcqyNjAg",
		".Entries[1].Device": "Safari on iPhone", ".Entries[1].Addr": "2001:db8::1",
	}
}

func goldenRules(testing.TB) map[string]string {
	return map[string]string{
		".V": "1", ".Edition": "xefJTcHSVmklZZAllUSbqQ", ".By": "alice", ".At": "1772355600", ".Require": "2", ".From": "1775001600",
		".Methods[0]": "4", ".Methods[1]": "1", ".Remember": "86400", ".Life": "28800", ".Idle": "3600", ".Fresh": "120",
		".SSO[0].Name": "google", ".SSO[0].Rule": "2", ".SSO[1].Name": "okta", ".SSO[1].Rule": "1", ".SSO[1].AMR[0]": "mfa",
		".SSO[1].AMR[1]": "hwk", ".SSO[1].ACR[0]": "urn:example:loa2", ".Exempt[0]": "robot", ".NotBefore": "1772352000",
	}
}

// TestGolden_Records checks that what version 1 wrote is read for ever, with the
// same meaning, and also when a later version has added to it.
func TestGolden_Records(t *testing.T) {
	k := newKeyKit(t, goldenKey)
	for _, c := range []struct {
		kind string
		into func() any
		want func(testing.TB) map[string]string
	}{
		{"account", func() any { return new(mfa.AccountData) }, goldenAccount},
		{"session", func() any { return new(mfa.SessionData) }, goldenSession},
		{"pending", func() any { return new(mfa.PendingData) }, goldenPending},
		{"history", func() any { return new(mfa.HistoryData) }, goldenHistory},
		{"rules", func() any { return new(mfa.RulesData) }, goldenRules},
		{"browser", func() any { return new(mfa.BrowserData) }, goldenBrowser},
		{"remembered", func() any { return new(mfa.SessionData) }, goldenRemembered},
	} {
		t.Run(c.kind, func(t *testing.T) {
			r, g := readGolden(t, c.kind)
			d := c.into()
			if err := mfa.OpenRecord(k.Guard, r, d); err != nil {
				t.Fatal(err)
			}
			got, want := flatten(d), c.want(t)
			for _, path := range slices.Sorted(maps.Keys(want)) {
				if got[path] != want[path] {
					t.Errorf("%s is %q, want %q", path, got[path], want[path])
				}
			}
			if len(got) != len(want) {
				t.Errorf("%d fields are read, want %d: %v", len(got), len(want), got)
			}
			if secret := mfa.TokenSecret(k.Guard, g.Kind, g.Token); g.Token != "" {
				if sum := fmt.Sprintf("%x", sha256.Sum256(secret)); sum != want[".Secret"] {
					t.Errorf("the token proves %s", sum)
				}
			}
			r.Data = slices.Concat([]byte(`{"later":{"v":[2,"\u00e9"]},"zz":null,`), r.Data[1:])
			d = c.into()
			if err := mfa.OpenRecord(k.Guard, mfa.SignRecord(k.Guard, r), d); err != nil || !maps.Equal(flatten(d), want) {
				t.Errorf("with fields of a later version: %v", err)
			}
		})
	}
}

// TestGolden_Works checks that the golden records are more than legible: the
// session is alive, the app's codes and the backup codes are right.
func TestGolden_Works(t *testing.T) {
	k := newKeyKit(t, goldenKey)
	k.Clock.Advance(time.Unix(1772355700, 0).Sub(k.Clock.Now()))
	session, token := readGolden(t, "session")
	account, _ := readGolden(t, "account")
	history, _ := readGolden(t, "history")
	for _, r := range []mfa.Record{session, account, history} {
		overwrite(t, k.Config.Store, r)
	}
	s, err := k.Guard.Session(t.Context(), token.Token, mfatest.Laptop())
	if err != nil || s.User() != "ann" || s.ID() != session.ID || len(s.Assurance().Proofs) != 2 {
		t.Fatalf("the session: %+v, %v", s, err)
	}
	if _, err := k.Guard.SignIn(t.Context(), mfa.SignIn{User: "ann", First: mfa.PasswordFirst()}); mfa.ReasonOf(err) != mfa.ReasonUserForgotten {
		t.Errorf("the tombstone: %v (%s)", err, mfa.ReasonOf(err))
	}
	edit(t, k, "ann", "account", func(d *mfa.AccountData) {
		d.Disabled, d.Forgotten, d.Compromised, d.Unsaved = false, false, false, false
		d.Tries = nil
	})
	r := recordOf(t, k.Config.Store, "ann", "account")
	r.Expires = time.Time{}
	overwrite(t, k.Config.Store, mfa.SignRecord(k.Guard, r))

	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte("12345678901234567890"))
	phone, err := mfatest.NewAuthenticator("otpauth://totp/x:ann?issuer=x&secret=" + secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, proof := range []mfa.Proof{
		{Method: mfa.TOTP, Code: phone.Code(k.Clock.Now())},
		{Method: mfa.BackupCode, Code: "7kqw 3ert 5yah jkzx"},
		{Method: mfa.BackupCode, Code: "OOOO-OOOO-OOOO-OOOI"},
	} {
		out, err := k.SignIn(t, "ann").Pending.Verify(t.Context(), proof)
		if err != nil || out.Session == nil {
			t.Errorf("%v %s: %v (%s)", proof.Method, proof.Code, err, mfa.ReasonOf(err))
		}
	}
}

// TestGolden_RecentWorks checks that the entries which wait in an account are read as
// they are written.
func TestGolden_RecentWorks(t *testing.T) {
	k := newKeyKit(t, goldenKey)
	overwrite(t, k.Config.Store, mfa.SignRecord(k.Guard, mfa.Record{
		Key:  mfa.Key{Owner: "u/ann", Kind: "account"},
		Data: []byte(`{"v":1,"recent":{"v":1,"e":[{"n":"factor_removed","t":1772355600,"m":"totp","d":"Firefox on Windows","i":"203.0.113.7"}]}}`),
	}))
	o, err := k.SignIn(t, "ann").Session.Overview(t.Context())
	if err != nil || len(o.Activity) != 2 {
		t.Fatalf("%+v, %v", o.Activity, err)
	}
	want := mfa.Event{
		Name: mfa.EventFactorRemoved, At: time.Unix(1772355600, 0).UTC(), Actor: "ann", User: "ann", Method: mfa.TOTP,
		Device: "Firefox on Windows", Client: mfa.Client{Addr: netip.MustParseAddr("203.0.113.7")},
	}
	if got := o.Activity[1]; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestGolden_BrowserWorks checks that the golden browser spares its user the factor,
// as the golden session says that it did.
func TestGolden_BrowserWorks(t *testing.T) {
	k := newKeyKit(t, goldenKey, postal)
	k.Clock.Advance(time.Unix(1772355700, 0).Sub(k.Clock.Now()))
	k.Enroll(t, "ann")
	browser, token := readGolden(t, "browser")
	session, spared := readGolden(t, "remembered")
	overwrite(t, k.Config.Store, browser)
	overwrite(t, k.Config.Store, session)
	s, err := k.Guard.Session(t.Context(), spared.Token, mfatest.Laptop())
	if want := (mfa.Proven{Method: mfa.TOTP, At: time.Unix(1772355000, 0).UTC()}); err != nil || s.Assurance().Remembered != want {
		t.Errorf("the session: %+v, %v", s, err)
	}
	for i, want := range []bool{true, false} { // the last second, and one more
		until := 1772960399 + int64(i)
		k.Clock.Advance(time.Unix(until, 0).Sub(k.Clock.Now()))
		out, err := k.Guard.SignIn(t.Context(), mfa.SignIn{User: "ann", First: mfa.PasswordFirst(), Browsers: []string{token.Token}})
		if err != nil || (out.Session != nil) != want {
			t.Errorf("at %d: session %t, %v, want %t", until, out.Session != nil, err, want)
		}
	}
}

// TestRecords_Size checks the bounds that records have to keep: a session is read
// with every request, and an account with everything else.
func TestRecords_Size(t *testing.T) {
	k := newKeyKit(t, mfa.NewKey(), func(c *mfa.Config) {
		c.InsecureFastHashing = false // its hashes are shorter
		c.Policy.TOTP.Algorithm, c.Policy.TOTP.Digits = mfa.SHA512, 8
		c.Policy.Limits.FailuresBeforeSuspect = 50
	})
	app, s, codes := k.Enroll(t, "ann")
	if r := recordOf(t, k.Config.Store, "ann", "session"); len(r.Data) > 400 {
		t.Errorf("the session of a typical sign-in takes %d bytes, want at most 400: %s", len(r.Data), r.Data)
	}
	phone := mfatest.Phone()
	phone.Addr = netip.MustParseAddr("2001:db8:1234:5678:9abc:def0:1234:5678")
	out, err := k.Guard.SignIn(t.Context(), mfa.SignIn{
		User: "ann", First: mfa.SSOFirst("https://login.example.com", []string{"pwd", "mfa"}, "urn:example:loa2", k.Clock.Now()), Client: phone,
	})
	if err != nil {
		t.Fatal(err)
	}
	if out, err = out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.BackupCode, Code: codes[0]}); err != nil {
		t.Fatal(err)
	}
	records, err := k.Config.Store.Get(t.Context(), mfa.Key{Owner: "u/ann", Kind: "session", ID: out.Session.ID()})
	if err != nil || len(records[0].Data) > 400 {
		t.Errorf("the session of a sign-in at a provider takes %d bytes, want at most 400: %s", len(records[0].Data), records[0].Data)
	}
	longestSessions(t)
	k.Clock.Advance(time.Minute)
	fillAccount(t, k, app, s)
	r := recordOf(t, k.Config.Store, "ann", "account")
	if len(r.Data) > mfa.MaxRecord || len(r.Data) < 3000 {
		t.Errorf("a full account takes %d bytes, want 3000 to %d", len(r.Data), mfa.MaxRecord)
	}
	t.Logf("a full account takes %d bytes", len(r.Data))
	if err := k.Guard.Reseal(t.Context(), "ann"); err != nil {
		t.Errorf("writing a full account: %v", err)
	}
}

// longestSessions checks the sessions that take the most room: with the longest device,
// address, connection and proofs, and one that was spared all of them.
func longestSessions(t *testing.T) {
	t.Helper()
	long := mfa.SessionData{
		V: 1, Secret: make([]byte, 32), Created: 1<<40 - 1, Seen: 1<<40 - 1, Device: strings.Repeat("x", 40),
		Addr:  "2001:0db8:1234:5678:9abc:def0:1234:5678",
		First: mfa.FirstData{At: 1<<40 - 1, Connection: "https://login.example.com", AMR: []string{"pwd", "mfa"}, ACR: "urn:example:loa2"},
	}
	spared := long
	spared.Remembered = mfa.ProofData{Method: 4, At: 1<<40 - 1}
	for m := mfa.TOTP; m <= mfa.TOTP+1; m++ {
		long.Proofs = append(long.Proofs, mfa.ProofData{Method: int(m), At: 1<<40 - 1})
	}
	stepped := spared // and proved its factor later
	stepped.Proofs = long.Proofs[:1]
	for name, d := range map[string]mfa.SessionData{"proven": long, "spared": spared, "spared, then proven": stepped} {
		data, err := json.Marshal(d)
		if err != nil || len(data) > 400 {
			t.Errorf("%s: %d bytes, want at most 400: %s", name, len(data), data)
		}
		t.Logf("%s: %d bytes", name, len(data))
		if own, ok := mfa.ParseSession(string(data)); !ok || !reflect.DeepEqual(own, d) {
			t.Errorf("%s: not read without encoding/json", name)
		}
	}
}

// fillAccount gives ann all that an account can hold, with the labels that take
// the most room.
func fillAccount(t *testing.T, k *mfatest.Kit, app *mfatest.Authenticator, s *mfa.Session) {
	t.Helper()
	for range 2 {
		out, err := s.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), "")
		if err != nil {
			t.Fatal(err)
		}
		if out.Pending.Need().Step == mfa.StepVerify {
			if out, err = out.Pending.Verify(t.Context(), mfa.Proof{Method: mfa.TOTP, Code: app.Code(k.Clock.Now())}); err != nil {
				t.Fatal(err)
			}
		}
		setup, err := out.Pending.StartTOTP(t.Context(), strings.Repeat("<", 64))
		if err != nil {
			t.Fatal(err)
		}
		next, err := mfatest.NewAuthenticator(setup.URI())
		if err != nil {
			t.Fatal(err)
		}
		if out, err = out.Pending.ConfirmTOTP(t.Context(), next.Code(k.Clock.Now())); err != nil {
			t.Fatal(err)
		}
		s = out.Session
	}
	edit(t, k, "ann", "account", func(d *mfa.AccountData) {
		if len(d.TOTP) != mfa.MaxAuthenticators {
			t.Errorf("%d authenticators", len(d.TOTP))
		}
		d.TOTP[0].Label = strings.Repeat("&", 64)
		d.Codes = append(d.Codes, d.Codes[0]) // the one that was used
		d.Unsaved, d.MustEnroll, d.Compromised, d.Disabled = true, true, true, true
		d.Tries = make(map[string]mfa.Tries)
		for m := mfa.TOTP; m <= mfa.Password; m++ {
			d.Tries[m.String()] = mfa.Tries{Wrong: math.MaxInt32, Last: 1 << 40}
		}
		for range 50 {
			d.Failures = append(d.Failures, 1<<40)
		}
	})
}
