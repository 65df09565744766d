package mfa

import "context"

// PasswordFacts is what CheckPassword has to know besides the password.
type PasswordFacts struct {
	Besides bool
	Names   []string
	Reused  bool
	Breach  Reason
}

// CheckPassword resolves p and checks password. It panics when a field of p is out
// of bounds.
func CheckPassword(p PasswordPolicy, password string, f PasswordFacts) []Requirement {
	p = p.resolved(func(field string, _ any, _ string) { panic(field) })
	return p.check(password, passwordFacts{besides: f.Besides, names: f.Names, reused: f.Reused, breach: f.Breach})
}

// ResolvePasswords returns p with its defaults and which fields are out of bounds.
func ResolvePasswords(p PasswordPolicy) (PasswordPolicy, []string) {
	var fields []string
	p = p.resolved(func(field string, _ any, _ string) { fields = append(fields, field) })
	return p, fields
}

// BreachedPassword asks p.Breach.
func BreachedPassword(ctx context.Context, p PasswordPolicy, password string) (Reason, error) {
	return p.breached(ctx, password)
}

// ClassicPasswords and NISTPasswords are the presets; the rest are bounds.
func ClassicPasswords() PasswordPolicy { return classicPasswords() }
func NISTPasswords() PasswordPolicy    { return nistPasswords() }

const (
	MaxPasswordBytes = maxPasswordBytes
	MaxPasswordLen   = maxPasswordLen
)
