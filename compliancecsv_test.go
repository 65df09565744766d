package mfa_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
)

// members yields statuses, and err last unless it is nil.
func members(err error, all ...mfa.MemberStatus) iter.Seq2[mfa.MemberStatus, error] {
	return func(yield func(mfa.MemberStatus, error) bool) {
		for _, m := range all {
			if !yield(m, nil) {
				return
			}
		}
		if err != nil {
			yield(mfa.MemberStatus{}, err)
		}
	}
}

// TestRow_E4_CSV: a report in a file has a line for every member under names that do
// not change, and shows of whom the organization does not manage whether she meets
// the rules, and nothing else.
func TestRow_E4_CSV(t *testing.T) {
	at := time.Date(2026, 3, 1, 10, 30, 0, 0, time.FixedZone("", 3600))
	for _, tc := range []struct {
		name    string
		members []mfa.MemberStatus
		want    string
	}{
		{"nobody", nil, ""},
		{"all columns", []mfa.MemberStatus{{
			User: "ann", Role: mfa.RoleOwner, Meets: true, Managed: true, Methods: []mfa.Method{mfa.TOTP, mfa.SMSCode}, CodesLeft: 9,
			LastVerified: at, Locked: true, Exempt: mfa.ReasonSSOWaived, Disabled: true, Problem: mfa.ReasonTampered,
		}}, "ann,owner,true,true,totp sms_code,9,2026-03-01T09:30:00Z,true,sso_waived,true,tampered\n"},
		{"never verified", []mfa.MemberStatus{{User: "bob", Managed: true}}, "bob,member,false,true,,0,,false,,false,\n"},
		{"not managed", []mfa.MemberStatus{{
			User: "eve", Role: mfa.RoleAdmin, Meets: true, Methods: []mfa.Method{mfa.TOTP}, CodesLeft: 9, LastVerified: at, Locked: true,
			Exempt: mfa.ReasonExempt, Disabled: true, Problem: mfa.ReasonTampered,
		}}, "eve,administrator,true,false,,,,,,,\n"},
		{"comma and quote", []mfa.MemberStatus{{User: `a,"b`}}, `"a,""b",member,false,false,,,,,,,` + "\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const head = "user,role,meets_rules,managed,methods,codes_left,last_verified,locked,exempt,disabled,problem\n"
			var got strings.Builder
			if err := mfa.WriteCompliance(&got, members(nil, tc.members...)); err != nil || got.String() != head+tc.want {
				t.Errorf("%v\n%s\nwant\n%s", err, got.String(), head+tc.want)
			}
		})
	}
}

// TestComplianceCSV_Formulas: no id is a formula to a spreadsheet, and each can be
// read back.
func TestComplianceCSV_Formulas(t *testing.T) {
	for user, quoted := range map[string]bool{
		"ann": false, "a=b": false, "": false, " ": false, " ann": false,
		"=1+1": true, "+49": true, "-1": true, "@sum": true, "\t=1": true, "\r=1": true, "\n=1": true, "＝1": true, "＋1": true, "－1": true, "＠1": true,
		" =1": true, "'=1": true, "'": true, `=cmd|' /c calc'!A1`: true,
	} {
		var file bytes.Buffer
		if err := mfa.WriteCompliance(&file, members(nil, mfa.MemberStatus{User: user})); err != nil {
			t.Fatal(err)
		}
		lines, err := csv.NewReader(&file).ReadAll()
		if err != nil || len(lines) != 2 || len(lines[1]) != len(lines[0]) {
			t.Fatalf("%q: %q, %v", user, lines, err)
		}
		want := user
		if quoted {
			want = "'" + user
		}
		if lines[1][0] != want {
			t.Errorf("%q is written as %q, want %q", user, lines[1][0], want)
		}
	}
}

// fragile is a writer that fails after so many bytes.
type fragile struct{ left int }

func (f *fragile) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

// TestComplianceCSV_Fails: a report that breaks off says so in the file and to the
// caller; one that does not begin leaves the file empty; a writer that fails is
// noticed before the members are all read.
func TestComplianceCSV_Fails(t *testing.T) {
	var file strings.Builder
	err := mfa.WriteCompliance(&file, members(mfa.ErrNoSession))
	if !errors.Is(err, mfa.ErrNoSession) || file.Len() != 0 {
		t.Errorf("before the first member: %v, %q", err, file.String())
	}
	c := newCompany(t)
	a := c.admin("alice", "acme")
	down := errors.New("the store is down")
	broken := func(yield func(mfa.MemberStatus, error) bool) {
		yield(mfa.MemberStatus{User: "ann"}, nil)
		c.FailStore(down)
		a.Compliance(t.Context())(yield)
	}
	err = mfa.WriteCompliance(&file, broken)
	lines := strings.Split(file.String(), "\n")
	if !errors.Is(err, down) || len(lines) != 4 || lines[2] != ",,,,,,,,,,incomplete:store_failed" {
		t.Errorf("after one member: %v, %q", err, lines)
	}
	asked := 0
	endless := func(yield func(mfa.MemberStatus, error) bool) {
		for asked = 0; asked < 1e6 && yield(mfa.MemberStatus{User: "ann", Managed: true}, nil); asked++ {
		}
	}
	if err := mfa.WriteCompliance(&fragile{20_000}, endless); !errors.Is(err, io.ErrShortWrite) || asked > 2000 {
		t.Errorf("a writer that fails: %v after %d members", err, asked)
	}
	if err := mfa.WriteCompliance(&fragile{10}, members(nil, mfa.MemberStatus{User: "ann"})); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a writer that fails at the end: %v", err)
	}
}

// TestComplianceCSV_Streams: what is written leaves before the last member is read.
func TestComplianceCSV_Streams(t *testing.T) {
	var file bytes.Buffer
	most := 0
	many := func(yield func(mfa.MemberStatus, error) bool) {
		for n := 0; n < 100_000 && yield(mfa.MemberStatus{User: "ann", Managed: true}, nil); n++ {
			most = max(most, n*len("ann,member,false,true,,0,,false,,false,\n")-file.Len())
		}
	}
	if err := mfa.WriteCompliance(&file, many); err != nil || most > 8<<10 {
		t.Errorf("%v; %d bytes were held back, want at most 8 KiB", err, most)
	}
}
