package bench

import (
	"errors"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"golang.org/x/crypto/bcrypt"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// enrolled is a user with an authenticator, ten backup codes and a history that
// is full: what every operation on her reads and writes is as long as it gets.
type enrolled struct {
	*mfatest.Kit
	app     *mfatest.Authenticator
	codes   []string
	session string // token
}

const user = "ada"

func enroll(b *testing.B) *enrolled {
	b.Helper()
	kit := mfatest.New(b, func(c *mfa.Config) { c.InsecureFastHashing = false })
	kit.Users.Add(mfa.User{ID: user, Name: "ada@example.com"})
	app, session, codes := kit.Enroll(b, user)
	u := &enrolled{kit, app, codes, session.Token()}
	for range 50 {
		u.verify(b, u.pending(b), mfa.Proof{Method: mfa.TOTP, Code: u.app.Code(u.Clock.Now())})
	}
	u.Events.Take()
	return u
}

// pending signs in with a password, after every wait is over, in the browser that
// still has the last session.
func (u *enrolled) pending(b *testing.B) string {
	b.Helper()
	u.Clock.Advance(2 * time.Hour)
	out, err := u.Guard.SignIn(b.Context(), mfa.SignIn{
		User: user, First: mfa.PasswordFirst(), Client: mfatest.Laptop(), Presented: []string{u.session},
	})
	if err != nil {
		b.Fatal(err)
	}
	u.Events.Take()
	return out.Pending.Token()
}

// verify is what the code page does with what was typed.
func (u *enrolled) verify(b *testing.B, pending string, proof mfa.Proof) (mfa.Outcome, error) {
	b.Helper()
	p, err := u.Guard.Pending(b.Context(), pending, "", mfatest.Laptop())
	if err != nil {
		b.Fatal(err)
	}
	return p.Verify(b.Context(), proof)
}

// pass ends a sign-in with a right code, so that wrong ones do not add up.
func (u *enrolled) pass(b *testing.B) {
	b.Helper()
	out, err := u.verify(b, u.pending(b), mfa.Proof{Method: mfa.TOTP, Code: u.app.Code(u.Clock.Now())})
	if err != nil {
		b.Fatal(err)
	}
	if out.Session == nil { // the failures before made the password suspect
		if err := u.Guard.CredentialsChanged(b.Context(), user); err != nil {
			b.Fatal(err)
		}
		return
	}
	u.session = out.Session.Token()
}

// BenchmarkSignIn is Guard.SignIn after a password: of a user without a factor,
// which ends in a session, and of one with a factor, which ends in a flow. Beside
// it what scs does at a sign-in.
func BenchmarkSignIn(b *testing.B) {
	b.Run("to=session/lib=mfa", func(b *testing.B) {
		kit := mfatest.New(b)
		kit.Users.Add(mfa.User{ID: user})
		in := mfa.SignIn{User: user, First: mfa.PasswordFirst(), Client: mfatest.Laptop()}
		measure(b, func() error {
			out, err := kit.Guard.SignIn(b.Context(), in)
			if err == nil {
				in.Presented = []string{out.Session.Token()}
				kit.Events.Take()
			}
			return err
		})
	})
	b.Run("to=session/lib=scs-gob", func(b *testing.B) {
		manager := newSCS(scs.GobCodec{})
		token := ""
		measure(b, func() error {
			ctx, err := manager.Load(b.Context(), token)
			if err != nil {
				return err
			}
			if err := manager.RenewToken(ctx); err != nil {
				return err
			}
			fillSCS(ctx, manager, user)
			token, _, err = manager.Commit(ctx)
			return err
		})
	})
	b.Run("to=flow/lib=mfa", func(b *testing.B) {
		u := enroll(b)
		measure(b, func() error {
			u.pending(b)
			return nil
		})
	})
}

// BenchmarkVerify is the request that answers the code page: Guard.Pending, then
// Verify. A right code ends in a new session. Signing in before it is not counted.
func BenchmarkVerify(b *testing.B) {
	for _, code := range []struct {
		name  string
		proof func(*enrolled) mfa.Proof
		right bool
	}{
		{"right", func(u *enrolled) mfa.Proof {
			return mfa.Proof{Method: mfa.TOTP, Code: u.app.Code(u.Clock.Now())}
		}, true},
		{"wrong", func(u *enrolled) mfa.Proof {
			return mfa.Proof{Method: mfa.TOTP, Code: u.app.Wrong(u.Clock.Now())}
		}, false},
		{"wrong-backup", func(u *enrolled) mfa.Proof {
			return mfa.Proof{Method: mfa.BackupCode, Code: u.codes[0][:3] + "0000000000000"}
		}, false},
	} {
		b.Run("code="+code.name+"/lib=mfa", func(b *testing.B) {
			u := enroll(b)
			var spent stopwatch
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				if !code.right {
					u.pass(b)
				}
				pending, proof := u.pending(b), code.proof(u)
				b.StartTimer()
				spent.start()
				out, err := u.verify(b, pending, proof)
				spent.stop()
				b.StopTimer()
				switch {
				case code.right && err == nil:
					u.session = out.Session.Token()
				case code.right || mfa.ReasonOf(err) != mfa.ReasonWrongCode:
					b.Fatal(err, mfa.ReasonOf(err))
				}
				b.StartTimer()
			}
			spent.report(b)
		})
	}
	// What a library pays that keeps ten codes as bcrypt hashes and compares
	// with one after the other.
	b.Run("code=wrong-backup/lib=ten-bcrypt", func(b *testing.B) {
		u := enroll(b)
		var hashes [][]byte
		for _, code := range u.codes {
			hash, err := bcrypt.GenerateFromPassword([]byte(code), bcrypt.DefaultCost)
			if err != nil {
				b.Fatal(err)
			}
			hashes = append(hashes, hash)
		}
		measure(b, func() error {
			for _, hash := range hashes {
				if bcrypt.CompareHashAndPassword(hash, []byte("0000-0000-0000-0000")) == nil {
					return errors.New("accepted")
				}
			}
			return nil
		})
	})
}
