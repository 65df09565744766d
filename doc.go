// Package mfa adds multi-factor authentication and account security to a Go
// application that already has users: authenticator apps, codes by mail and text
// message, backup codes, remembered browsers, sessions that can be listed and
// revoked, notices of what changed, and rules that force a second factor.
//
// # What you hold is what you may do
//
// Guard.SignIn turns a proven first factor into an Outcome. That is a Session
// when nothing is missing, or else a Pending: a flow that can prove, enroll and
// save backup codes, and nothing else. A handler that holds a Pending cannot list
// sessions; it does not compile. Sign-in, the door of an organization
// (Guard.Enter), a fresh proof for a sensitive action and enrollment from the
// settings (Session.StepUp) are one state machine, so that a host needs one loop:
//
//	func next(w http.ResponseWriter, r *http.Request, out mfa.Outcome, err error) {
//		switch {
//		case err != nil: // show the page again; see the sentinels beside ErrRefused
//		case out.Session != nil: // set out.Session.Token() as the session cookie
//		default: // set out.Pending.Token() as the pending cookie, show out.Pending.Need()
//		}
//	}
//
// # How it works
//
// Every operation loads, decides, commits and tells, in that order. Decisions are
// pure functions of what was loaded and the time. One conditional write of the
// Store is the only synchronization: a code that 32 requests race for has one
// winner. When that write finds that another operation came between, the whole
// operation runs again.
//
// The Store sees no secret: authenticator secrets are sealed, codes and tokens
// are hashed, and every record is authenticated, so that whoever can write the
// table cannot forge a session. What it can do is put an old row back; see
// Config.NotBefore.
//
// Codes that are sent and notices go out through the host's Notifier, codes before
// the answer and notices after the commit. Nothing is sent to an address that
// nobody has shown to be the user's.
//
// # What it does not do
//
// A code that a user types into a phishing page can be passed on within its time
// step: authenticator apps, sent codes and backup codes do not stop real-time
// phishing (SP 800-63B-4 section 3.2.5). Nor does the library stop someone who
// controls the user's device or the host.
package mfa
