package mfa

// StoredCode is a backup code as accounts store it.
type StoredCode = backupCode

// ReadBackupCode returns the code in what a person typed, and whether it is one.
func ReadBackupCode(s string) (string, bool) { return normalizeBackupCode(s) }

// KeptCodes is the list of them in an account.
type KeptCodes = keptCodes
