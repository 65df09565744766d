package sqlstore_test

import (
	"errors"
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// A guard whose table is gone, or whose server takes no writes, refuses a right
// code as unavailable, and accepts it once when all is well again. Nothing is
// taken for absent meanwhile.
func TestFaultsDamage(t *testing.T) {
	readOnly := map[string]string{
		"postgresql": "default_transaction_read_only=on", "mysql": "tx_read_only=1", "sqlite": "_pragma=query_only(1)",
	}
	everywhere(t, func(t *testing.T, s service) {
		store, db := s.store(t)
		kit := mfatest.New(t, func(c *mfa.Config) { c.Store = store })
		kit.Users.Add(mfa.User{ID: "ann"})
		app, session, _ := kit.Enroll(t, "ann")
		spoiled := s.with(readOnly[s.dialect.String()])
		config := kit.Config
		config.Store = spoiled.on(t, spoiled.open(t))
		reader, err := mfa.New(config)
		if err != nil {
			t.Fatal(err)
		}
		token := kit.SignIn(t, "ann").Pending.Token()
		proof := mfa.Proof{Method: mfa.TOTP, Code: app.Code(kit.Clock.Now())}
		verify := func(g *mfa.Guard) (*mfa.Session, error) {
			p, err := g.Pending(t.Context(), token, "", mfatest.Laptop())
			if err != nil {
				return nil, err
			}
			out, err := p.Verify(t.Context(), proof)
			return out.Session, err
		}
		if _, err := verify(reader); !errors.Is(err, mfa.ErrUnavailable) {
			t.Errorf("a code where nothing can be written: %v", err)
		}
		if _, err := reader.Session(t.Context(), session.Token(), mfatest.Laptop()); err != nil {
			t.Errorf("a session where nothing can be written: %v", err)
		}
		execute(t, db, "ALTER TABLE "+s.table()+" RENAME TO "+s.prefix+"away")
		if _, err := verify(kit.Guard); !errors.Is(err, mfa.ErrUnavailable) {
			t.Errorf("a code without a table: %v", err)
		}
		if _, err := kit.Guard.Session(t.Context(), session.Token(), mfatest.Laptop()); !errors.Is(err, mfa.ErrUnavailable) {
			t.Errorf("a session without a table: %v, want one that is not said to have ended", err)
		}
		in := mfa.SignIn{User: "ann", First: mfa.PasswordFirst(), Client: mfatest.Laptop()}
		if _, err := kit.Guard.SignIn(t.Context(), in); !errors.Is(err, mfa.ErrUnavailable) {
			t.Errorf("a sign-in without a table: %v, want none past the second factor", err)
		}
		execute(t, db, "ALTER TABLE "+s.prefix+"away RENAME TO "+s.table())
		if s, err := verify(kit.Guard); err != nil || s == nil {
			t.Errorf("the code when all is well again: %v (%s)", err, mfa.ReasonOf(err))
		}
		token = kit.SignIn(t, "ann").Pending.Token()
		if _, err := verify(kit.Guard); mfa.ReasonOf(err) != mfa.ReasonTOTPReused {
			t.Errorf("the code once more: %v", err)
		}
	})
}
