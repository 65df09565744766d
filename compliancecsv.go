package mfa

import (
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
)

// complianceColumns are the names of the columns. They are added to at the end, and
// never change.
const complianceColumns = "user,role,meets_rules,managed,methods,codes_left,last_verified,locked,exempt,disabled,problem"

// WriteCompliance writes what Admin.Compliance yields as CSV (RFC 4180): a line with
// the names of the columns, and one for each member as she comes, so that an
// organization of any size takes the same memory. Times are UTC as in RFC 3339,
// methods have a space between, and roles, methods and reasons are their stable words.
// What the organization does not learn of a member is empty.
//
// A user whose id begins with what a spreadsheet takes for a formula, or with an
// apostrophe, has an apostrophe put before it: take one off to get the id back. That
// makes the file safe to open, not to paste from.
//
// It returns the error of w or of members. A report that broke off ends in a line
// without a user whose problem is incomplete, a colon and the reason. One that did not
// begin writes nothing, so that a handler can still answer with the error.
func WriteCompliance(w io.Writer, members iter.Seq2[MemberStatus, error]) error {
	out, names := csv.NewWriter(w), strings.Split(complianceColumns, ",")
	begun := false
	begin := func() {
		if !begun {
			_ = out.Write(names) // an error stays and is returned by Flush
			begun = true
		}
	}
	for m, err := range members {
		switch {
		case err != nil && !begun:
			return err
		case err != nil:
			last := make([]string, len(names))
			last[len(last)-1] = "incomplete:" + string(ReasonOf(err))
			_ = out.Write(last)
			out.Flush()
			return err
		}
		begin()
		if err := out.Write(m.columns()); err != nil {
			return fmt.Errorf("mfa: write a report: %w", err)
		}
	}
	begin()
	if out.Flush(); out.Error() != nil {
		return fmt.Errorf("mfa: write a report: %w", out.Error())
	}
	return nil
}

// columns returns what complianceColumns names.
func (m *MemberStatus) columns() []string {
	all := []string{noFormula(m.User), m.Role.String(), strconv.FormatBool(m.Meets), strconv.FormatBool(m.Managed)}
	if !m.Managed {
		return append(all, make([]string, strings.Count(complianceColumns, ",")+1-len(all))...)
	}
	methods := make([]string, len(m.Methods))
	for i, method := range m.Methods {
		methods[i] = method.String()
	}
	verified := ""
	if !m.LastVerified.IsZero() {
		verified = m.LastVerified.UTC().Format(time.RFC3339)
	}
	return append(all, strings.Join(methods, " "), strconv.Itoa(m.CodesLeft), verified, strconv.FormatBool(m.Locked), string(m.Exempt),
		strconv.FormatBool(m.Disabled), string(m.Problem))
}

// noFormula returns s as text to a spreadsheet. Who chooses her own id would otherwise
// have a formula run on the machine of who reads the report (OWASP, CSV Injection; the
// wide signs are formulas to Japanese editions). Spaces before it are skipped, as a
// spreadsheet may.
func noFormula(s string) string {
	if bare := strings.TrimLeft(s, " "); bare != "" && strings.ContainsAny(string([]rune(bare)[0]), "=+-@\t\r\n'＝＋－＠") {
		return "'" + s
	}
	return s
}
