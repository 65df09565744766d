package mfa

// Purpose says where a flow leads. The zero Purpose is invalid.
type Purpose struct {
	to  place
	arg string
}

// ToEnter leads through the door of an organization.
func ToEnter(org string) Purpose { return Purpose{toEnter, org} }

// ToConfirm leads to a fresh proof for a sensitive action. The name of the action
// is for the page and the log: the proof serves every such action while it is
// fresh. 1 to 64 code points.
func ToConfirm(action string) Purpose { return Purpose{toConfirm, action} }

// ToEnroll leads to a new factor: an authenticator for TOTP, a proven address for
// EmailCode or SMSCode.
func ToEnroll(m Method) Purpose { return Purpose{toEnroll, m.String()} }

// ToAdminister leads to the fresh proof that an administrator of an organization
// needs, by a factor that its rules allow; "" is the installation.
func ToAdminister(org string) Purpose { return Purpose{toAdminister, org} }

// SignIn reports whether the flow is a sign-in.
func (p Purpose) SignIn() bool { return p.to == toSignIn }

// Org returns the organization of ToEnter, or "".
func (p Purpose) Org() string { return p.only(toEnter) }

// Action returns the action of ToConfirm, or "".
func (p Purpose) Action() string { return p.only(toConfirm) }

// Administers returns the organization of ToAdminister, and false for another
// purpose.
func (p Purpose) Administers() (org string, ok bool) {
	return p.only(toAdminister), p.to == toAdminister
}

func (p Purpose) only(to place) string {
	if p.to != to {
		return ""
	}
	return p.arg
}

// valid reports whether a session may open a flow to p.
func (p Purpose) valid() bool {
	switch p.to {
	case toEnter:
		return validOrg(p.arg)
	case toAdminister:
		return p.arg == "" || validOrg(p.arg)
	case toConfirm:
		return p.arg != "" && validText(p.arg, maxName)
	case toEnroll:
		m := methodOf(p.arg)
		return m == TOTP || m.sent()
	}
	return false
}

// modest reports whether a mailed code is enough on the way to p even after a
// password that was set through a mailed link, for a user who holds nothing else:
// what takes away, and what leads to a better factor.
func (p Purpose) modest() bool {
	switch p {
	case ToConfirm("revoke_session"), ToConfirm("change_password"), ToConfirm("email_code_off"), ToEnroll(TOTP), ToEnroll(SMSCode):
		return true
	}
	return false
}

// strong reports whether a code that was mailed is not enough on the way to p, if
// anything else is held. Else whoever reads the user's mail could take her app away,
// or add one of his own and then take hers.
func (p Purpose) strong() bool {
	switch p {
	case ToConfirm("remove_totp"), ToConfirm("new_backup_codes"), ToConfirm("sms_code_off"), ToEnroll(TOTP), ToEnroll(SMSCode):
		return true
	}
	return false
}
