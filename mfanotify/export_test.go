package mfanotify

// Septets is how long a text message is, for tests.
func Septets(s string) int { return septets(s) }
