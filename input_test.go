package mfa_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// inputTest is ann in the middle of things: enrolled, signed in, with a flow that
// asks for a code and one that asks for a new authenticator's first code.
type inputTest struct {
	*mfatest.Kit
	store   *meter
	app     *mfatest.Authenticator
	next    *mfatest.Authenticator // staged in enroll
	codes   []string
	session *mfa.Session
	verify  *mfa.Pending
	enroll  *mfa.Pending
}

func newInputTest(t *testing.T) *inputTest {
	t.Helper()
	in := &inputTest{store: &meter{Store: new(mfa.MemoryStore)}}
	in.Kit = newKeyKit(t, mfa.NewKey(), func(c *mfa.Config) { c.Store = in.store })
	in.app, in.session, in.codes = in.Enroll(t, "ann")
	out, err := in.session.StepUp(t.Context(), mfa.ToEnroll(mfa.TOTP), "")
	if err != nil {
		t.Fatal(err)
	}
	in.enroll = out.Pending
	setup, err := in.enroll.StartTOTP(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if in.next, err = mfatest.NewAuthenticator(setup.URI()); err != nil {
		t.Fatal(err)
	}
	in.verify = in.SignIn(t, "ann").Pending
	return in
}

// A badCall is a call that must be refused.
type badCall struct {
	name string
	call func(context.Context) error
	want error
	why  mfa.Reason
}

// refuses checks that every call is refused with its error and writes nothing.
func (in *inputTest) refuses(t *testing.T, calls []badCall) {
	t.Helper()
	for _, c := range calls {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			before, records := in.store.calls(), fmt.Sprint(recordsOf(t, in.store.Store, "ann"))
			err := c.call(ctx)
			if !errors.Is(err, c.want) || mfa.ReasonOf(err) != c.why {
				t.Errorf("got %.200v (%s), want %v (%s)", err, mfa.ReasonOf(err), c.want, c.why)
			}
			if err != nil && len(err.Error()) > 200 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			if now := in.store.calls(); now[1] != before[1] {
				t.Errorf("%d commits", now[1]-before[1])
			}
			if fmt.Sprint(recordsOf(t, in.store.Store, "ann")) != records {
				t.Error("the records changed")
			}
		})
	}
}

// invalids returns a bad call with ErrInvalid for each value.
func invalids[T any](name string, values map[string]T, call func(context.Context, T) error) []badCall {
	var calls []badCall
	for what, v := range values {
		calls = append(calls, badCall{name + "/" + what, func(ctx context.Context) error { return call(ctx, v) }, mfa.ErrInvalid, mfa.ReasonInvalidArgument})
	}
	return calls
}

// badIDs are ids that no user and no organization can have.
func badIDs() map[string]string {
	return map[string]string{
		"empty": "", "zero byte": "a\x00", "line": "a\nb", "escape": "\x1b[31mann", "delete": "a\x7f", "C1": "a\u0085", "line separator": "a\u2028b",
		"turned": "\u202eann", "isolated": "ann\u2066", "no UTF-8": "\xff", "cut UTF-8": "ann\xc3", "surrogate": "\xed\xa0\x80",
		"255 bytes": strings.Repeat("a", 255), "256 bytes": strings.Repeat("a", 256), "300 bytes": strings.Repeat("a", 300),
		"128 code points of 2 bytes": strings.Repeat("\u00e9", 128), "1 MiB": strings.Repeat("a", 1<<20),
	}
}

// TestInput_UserIDs checks that every operation refuses what cannot be a user id,
// before it asks the directory or the store.
func TestInput_UserIDs(t *testing.T) {
	in := newInputTest(t)
	g, desk := in.Guard, in.Guard.Operator("desk", "")
	for name, call := range map[string]func(context.Context, string) error{
		"SignIn": func(ctx context.Context, id string) error {
			out, err := g.SignIn(ctx, mfa.SignIn{User: id, First: mfa.PasswordFirst(), Presented: []string{in.session.Token()}})
			return nothingBeside(out != mfa.Outcome{}, err)
		},
		"Export":             func(ctx context.Context, id string) error { _, err := g.Export(ctx, id); return err },
		"Disable":            g.Disable,
		"Enable":             g.Enable,
		"CredentialsChanged": g.CredentialsChanged,
		"Forget":             g.Forget,
		"Reseal":             g.Reseal,
		"Reset":              desk.Reset,
		"Unlock":             desk.Unlock,
		"EndSessions":        desk.EndSessions,
	} {
		before := in.store.calls()
		in.refuses(t, invalids(name, badIDs(), call))
		if in.store.calls() != before {
			t.Errorf("%s: the store was asked", name)
		}
	}
}

// TestInput_UserIDsAtTheLimit checks that whatever is an id works throughout, and
// that ids which look alike are different users.
func TestInput_UserIDsAtTheLimit(t *testing.T) {
	in := newInputTest(t)
	ids := []string{
		"a", strings.Repeat("a", 254), strings.Repeat("\u00e9", 127), "Ann", "ann ", " ann", "u/ann", "o/ann", "ann/../bob", "\u00e9", "e\u0301",
		"%00", `a"b\c`, "\U0001f600", "0", "null",
	}
	for _, id := range ids {
		in.Users.Add(mfa.User{ID: id})
	}
	for _, id := range ids {
		s := in.SignIn(t, id).Session
		if s == nil || s.User() != id {
			t.Fatalf("%q does not sign in as itself", id)
		}
		again, err := in.Guard.Session(t.Context(), s.Token(), mfatest.Laptop())
		if err != nil || again.User() != id {
			t.Errorf("%q: %v", id, err)
		}
		o, err := again.Overview(t.Context())
		if err != nil || len(o.Sessions) != 1 || len(o.Authenticators) != 0 {
			t.Errorf("%q has %d sessions and %d authenticators, %v", id, len(o.Sessions), len(o.Authenticators), err)
		}
		if err := in.Guard.Forget(t.Context(), id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	if _, err := in.Guard.Session(t.Context(), in.session.Token(), mfatest.Laptop()); err != nil {
		t.Errorf("forgetting the others ended ann's session: %v", err)
	}
}

// badCodes are inputs that cannot be a code of six digits.
func badCodes() map[string]string {
	return map[string]string{
		"empty": "", "separators": " - ", "short": "12345", "long": "1234567", "plus": "+12345", "plus and six": "+123456", "letters": "abcdef",
		"letter O": "12345O", "fullwidth": "\uff11\uff12\uff13\uff14\uff15\uff16", "Arabic-Indic": "\u0661\u0662\u0663\u0664\u0665\u0666",
		"Devanagari": "\u0967\u0968\u0969\u096a\u096b\u096c", "mathematical": "\U0001d7cf\U0001d7d0\U0001d7d1\U0001d7d2\U0001d7d3\U0001d7d4",
		"one fullwidth": "12345\uff16", "superscript": "12345\u00b2", "line": "123456\n", "tab": "123\t456", "zero byte": "123456\x00",
		"no-break space": "123\u00a0456", "en dash": "123\u2013456", "point": "123.456", "hexadecimal": "0x1234", "no UTF-8": "12345\xff",
		"65 bytes": strings.Repeat(" ", 59) + "123456", "1 MiB of digits": strings.Repeat("1", 1<<20), "1 MiB of spaces": strings.Repeat(" ", 1<<20) + "123456",
	}
}

// TestInput_Codes checks that what cannot be a code is refused, in every way in
// which people and programs get it wrong, and never counted as a guess.
func TestInput_Codes(t *testing.T) {
	in := newInputTest(t)
	backup := map[string]string{
		"15 characters": in.codes[0][:18], "17 characters": in.codes[0] + "0", "letter U": "UUUU-UUUU-UUUU-UUUU", "underscore": strings.ReplaceAll(in.codes[0], "-", "_"),
		"fullwidth":   "\uff21\uff22\uff23\uff24" + in.codes[0][4:],
		"Kelvin sign": "\u212a" + in.codes[0][1:], "dotless i": "\u0131" + in.codes[0][1:], "TOTP": "123456", "line": in.codes[0] + "\n",
	}
	for name, code := range badCodes() {
		backup[name] = code
	}
	var calls []badCall
	add := func(name string, codes map[string]string, call func(context.Context, string) error) {
		for what, code := range codes {
			calls = append(calls, badCall{name + "/" + what, func(ctx context.Context) error { return call(ctx, code) }, mfa.ErrRefused, mfa.ReasonMalformedCode})
		}
	}
	verify := func(m mfa.Method) func(context.Context, string) error {
		return func(ctx context.Context, code string) error {
			out, err := in.verify.Verify(ctx, mfa.Proof{Method: m, Code: code})
			return nothingBeside(out != mfa.Outcome{}, err)
		}
	}
	add("TOTP", badCodes(), verify(mfa.TOTP))
	add("backup code", backup, verify(mfa.BackupCode))
	add("first code", badCodes(), func(ctx context.Context, code string) error {
		out, err := in.enroll.ConfirmTOTP(ctx, code)
		return nothingBeside(out != mfa.Outcome{}, err)
	})
	for _, m := range []mfa.Method{0, -1, 6, 1 << 40, mfa.EmailCode, mfa.SMSCode, mfa.Password} {
		calls = append(calls, badCall{fmt.Sprint("method ", int(m)), func(ctx context.Context) error {
			return verify(m)(ctx, in.app.Code(in.Clock.Now()))
		}, mfa.ErrRefused, mfa.ReasonMethodNotAsked})
	}
	in.refuses(t, calls)
	in.acceptsSpelled(t)
}

// acceptsSpelled checks that after all that was refused, right codes are accepted
// as people write them.
func (in *inputTest) acceptsSpelled(t *testing.T) {
	t.Helper()
	out, err := in.enroll.ConfirmTOTP(t.Context(), spaced(in.next.Code(in.Clock.Now()), " - "))
	if err != nil || out.Session == nil {
		t.Fatalf("the first code with separators: %v (%s)", err, mfa.ReasonOf(err))
	}
	lower := strings.ToLower(strings.ReplaceAll(in.codes[1], "-", ""))
	for name, pr := range map[string]mfa.Proof{
		"TOTP in groups":                {Method: mfa.TOTP, Code: spaced(in.app.Code(in.Clock.Now()), " ")},
		"backup code as shown":          {Method: mfa.BackupCode, Code: in.codes[0]},
		"backup code in one":            {Method: mfa.BackupCode, Code: lower},
		"backup code with letters O, L": {Method: mfa.BackupCode, Code: strings.NewReplacer("0", "o", "1", "l").Replace(in.codes[2])},
	} {
		out, err := in.SignIn(t, "ann").Pending.Verify(t.Context(), pr)
		if err != nil || out.Session == nil {
			t.Errorf("%s: %v (%s)", name, err, mfa.ReasonOf(err))
		}
	}
}

func spaced(code, sep string) string { return " " + code[:3] + sep + code[3:] + " " }

// TestInput_Texts checks the bounds of labels, purposes and what an operator says
// about itself.
func TestInput_Texts(t *testing.T) {
	in := newInputTest(t)
	o, err := in.session.Overview(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	id, huge := o.Authenticators[0].ID, strings.Repeat("x", 1<<20)
	bad := map[string]string{
		"65 code points": strings.Repeat("\u00e9", 65), "1 MiB": strings.Repeat("a", 1<<20), "line": "a\nb", "zero byte": "a\x00b", "C1": "a\u0085b",
		"paragraph": "a\u2029b", "turned": "a\u202eb", "isolated": "a\u2067b", "no UTF-8": "a\xffb",
	}
	action := map[string]string{"empty": ""}
	label := map[string]string{"tab": "a\tb", "no-break space": "a\u00a0b", "wide space": "a\u3000b"}
	for name, text := range bad {
		action[name], label[name] = text, text
	}
	note := map[string]string{"201 code points": strings.Repeat("\u00e9", 201), "line": "a\nb", "turned": "a\u202eb", "no UTF-8": "\xff"}
	stepUp := func(ctx context.Context, p mfa.Purpose) error {
		out, err := in.session.StepUp(ctx, p, "")
		return nothingBeside(out != mfa.Outcome{}, err)
	}
	calls := invalids("StartTOTP", label, func(ctx context.Context, s string) error { _, err := in.enroll.StartTOTP(ctx, s); return err })
	for _, more := range [][]badCall{
		invalids("RenameTOTP", label, func(ctx context.Context, s string) error { return in.session.RenameTOTP(ctx, id, s) }),
		invalids("RequireFresh", action, func(ctx context.Context, s string) error { return in.session.RequireFresh(ctx, s) }),
		invalids("ToConfirm", action, func(ctx context.Context, s string) error { return stepUp(ctx, mfa.ToConfirm(s)) }),
		invalids("ToEnter", badIDs(), func(ctx context.Context, s string) error { return stepUp(ctx, mfa.ToEnter(s)) }),
		invalids("Enter", badIDs(), func(ctx context.Context, s string) error {
			got, err := in.Guard.Enter(ctx, in.session.Token(), s, mfatest.Laptop())
			return nothingBeside(got != nil, err)
		}),
		invalids("Purpose", map[string]mfa.Purpose{
			"zero": {}, "sign-in": in.verify.Purpose(), "enroll nothing": mfa.ToEnroll(0),
			"enroll codes": mfa.ToEnroll(mfa.BackupCode), "enroll a password": mfa.ToEnroll(mfa.Password), "enroll -1": mfa.ToEnroll(-1),
		}, stepUp),
		invalids("Operator", action, func(ctx context.Context, s string) error { return in.Guard.Operator(s, "").Reset(ctx, "ann") }),
		invalids("Operator's reason", note, func(ctx context.Context, s string) error { return in.Guard.Operator("desk", s).Reset(ctx, "ann") }),
		{
			{"RenameTOTP/unknown id", func(ctx context.Context) error { return in.session.RenameTOTP(ctx, huge, "a") }, mfa.ErrForbidden, mfa.ReasonUnknownFactor},
			{"RemoveTOTP/unknown id", func(ctx context.Context) error { return in.session.RemoveTOTP(ctx, "") }, mfa.ErrForbidden, mfa.ReasonUnknownFactor},
			{"Revoke/unknown ids", func(ctx context.Context) error { return in.session.Revoke(ctx, "", "\xff", huge) }, nil, ""},
			{"StepUp/mail is not allowed", func(ctx context.Context) error { return stepUp(ctx, mfa.ToEnroll(mfa.EmailCode)) }, mfa.ErrForbidden, mfa.ReasonNotAllowed},
			{"Revoke/nothing", func(ctx context.Context) error { return in.session.Revoke(ctx) }, nil, ""},
		},
	} {
		calls = append(calls, more...)
	}
	in.refuses(t, calls)
	longest := strings.Repeat("x", 254)
	in.Users.Add(mfa.User{ID: "ann", Orgs: []mfa.Membership{{Org: longest}}})
	for name, err := range map[string]error{
		"label of 64":    in.session.RenameTOTP(t.Context(), id, strings.Repeat("\U0001f511", 64)),
		"label of none":  in.session.RenameTOTP(t.Context(), id, ""),
		"label in space": in.session.RenameTOTP(t.Context(), id, " \t My <phone> & \"co\" \n"),
		"action of 64":   stepUp(t.Context(), mfa.ToConfirm(strings.Repeat("\u00e9", 64))),
		"org of 254":     stepUp(t.Context(), mfa.ToEnter(longest)),
		"operator":       in.Guard.Operator(strings.Repeat("\u00e9", 64), strings.Repeat("\u00e9", 200)).Unlock(t.Context(), "ann"),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
