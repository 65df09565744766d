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
// # Who may do what
//
// On other users and on an organization acts an Admin: from Session.Admin, of an
// organization or the installation, or from Guard.Operator. "step-up" is a
// *StepUpError, "no" is ErrForbidden, "-" is no handle to do it with. The sessions
// are: a flow that is not done; a password alone, of an owner who holds a factor;
// one whose proof is too old; a member, an administrator and an owner, each with
// a fresh proof; the owner of another organization; and an owner whom the host
// disabled. The users are: oneself, one whom the organization manages, a member
// whom it does not, and a member of another. Nobody but an owner acts on an equal
// role.
//
//	                                      pending  password stale    member   admin    owner    foreign  operator disabled
//	Admin.Rules                           -        step-up  step-up  no       yes      yes      no       yes      -
//	Admin.Preview                         -        step-up  step-up  no       yes      yes      no       yes      -
//	Admin.SetRules                        -        step-up  step-up  no       yes      yes      no       no       -
//	Admin.Compliance                      -        step-up  step-up  no       yes      yes      no       yes      -
//	Admin.Activity                        -        step-up  step-up  no       yes      yes      no       yes      -
//	Admin.Reset, self                     -        step-up  step-up  no       no       no       no       yes      -
//	Admin.Unlock, self                    -        step-up  step-up  no       no       no       no       yes      -
//	Admin.EndSessions, self               -        step-up  step-up  no       no       no       no       yes      -
//	Admin.RequirePasswordChange, self     -        step-up  step-up  no       no       no       no       yes      -
//	Admin.Reset, managed                  -        step-up  step-up  no       yes      yes      no       yes      -
//	Admin.Unlock, managed                 -        step-up  step-up  no       yes      yes      no       yes      -
//	Admin.EndSessions, managed            -        step-up  step-up  no       yes      yes      no       yes      -
//	Admin.RequirePasswordChange, managed  -        step-up  step-up  no       yes      yes      no       yes      -
//	Admin.Reset, unmanaged                -        step-up  step-up  no       no       no       no       yes      -
//	Admin.Unlock, unmanaged               -        step-up  step-up  no       no       no       no       yes      -
//	Admin.EndSessions, unmanaged          -        step-up  step-up  no       no       no       no       yes      -
//	Admin.RequirePasswordChange, unmanaged -        step-up  step-up  no       no       no       no       yes      -
//	Admin.Reset, stranger                 -        step-up  step-up  no       no       no       no       yes      -
//	Admin.Unlock, stranger                -        step-up  step-up  no       no       no       no       yes      -
//	Admin.EndSessions, stranger           -        step-up  step-up  no       no       no       no       yes      -
//	Admin.RequirePasswordChange, stranger -        step-up  step-up  no       no       no       no       yes      -
//	Session.Overview                      -        yes      yes      yes      yes      yes      yes      -        -
//	Session.StepUp                        -        yes      yes      yes      yes      yes      yes      -        -
//	Session.RequireFresh                  -        step-up  step-up  yes      yes      yes      yes      -        -
//	Session.RenameTOTP                    -        step-up  step-up  yes      yes      yes      yes      -        -
//	Session.RemoveTOTP                    -        step-up  step-up  yes      yes      yes      yes      -        -
//	Session.SetAskAtSignIn                -        step-up  step-up  yes      yes      yes      yes      -        -
//	Session.Revoke, own                   -        yes      yes      yes      yes      yes      yes      -        -
//	Session.Revoke, another               -        step-up  step-up  yes      yes      yes      yes      -        -
//	Session.RevokeOthers                  -        step-up  step-up  yes      yes      yes      yes      -        -
//	Session.ForgetBrowsers                -        yes      yes      yes      yes      yes      yes      -        -
//	Session.SignOut                       -        yes      yes      yes      yes      yes      yes      -        -
//
// # What it does not do
//
// A code that a user types into a phishing page can be passed on within its time
// step: authenticator apps, sent codes and backup codes do not stop real-time
// phishing (SP 800-63B-4 section 3.2.5). Nor does the library stop someone who
// controls the user's device or the host.
package mfa
