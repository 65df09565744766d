package sqlstore_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
	"github.com/seed-1320b244/mfa/sqlstore"
)

// The operator's queries in the README find what they say, in every dialect.
func TestOperatorQueries(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	heading := map[sqlstore.Dialect]string{
		sqlstore.PostgreSQL: "### PostgreSQL\n", sqlstore.MySQL: "### MySQL and MariaDB\n", sqlstore.SQLite: "### SQLite\n",
	}
	everywhere(t, func(t *testing.T, s service) {
		_, section, ok := strings.Cut(string(readme), heading[s.dialect])
		if !ok {
			t.Fatal("the README has no section on this dialect")
		}
		section, _, _ = strings.Cut(section, "\n#")
		blocks := strings.Split(section, "```sql\n")[1:]
		if len(blocks) != 3 {
			t.Fatalf("%d queries, want 3", len(blocks))
		}
		store, db := s.store(t)
		operatorUsers(t, store)
		for i, want := range []string{
			"bob\ncarol\n",
			"bob|2\nann|1\n\u00e9ve|1\n",
			"\u00e9ve|backup_code|6\n\u00e9ve|totp|5\n",
		} {
			query, _, _ := strings.Cut(blocks[i], "```")
			if got := rows(t, db, strings.ReplaceAll(query, "mfa_records", s.table())); got != want {
				t.Errorf("query %d found\n%swant\n%s", i+1, got, want)
			}
		}
	})
}

// operatorUsers makes ann, who has a factor and a session; bob, who has two
// sessions and no factor; carol, whose session is over and who has no factor;
// and éve, both of whose factors are locked.
func operatorUsers(t *testing.T, store *sqlstore.Store) {
	kit := mfatest.New(t, func(c *mfa.Config) { c.Store = store })
	kit.Users.Add(mfa.User{ID: "ann"}, mfa.User{ID: "bob"}, mfa.User{ID: "carol"}, mfa.User{ID: "\u00e9ve"})
	kit.Clock.Advance(time.Since(kit.Clock.Now()) - 48*time.Hour) // the queries ask the server's clock
	kit.SignIn(t, "carol")
	kit.Clock.Advance(48 * time.Hour)
	kit.Enroll(t, "ann")
	kit.SignIn(t, "bob")
	kit.SignIn(t, "bob")
	app, _, _ := kit.Enroll(t, "\u00e9ve")
	wrong := func(m mfa.Method, code string) {
		if _, err := kit.SignIn(t, "\u00e9ve").Pending.Verify(t.Context(), mfa.Proof{Method: m, Code: code}); err == nil {
			t.Fatal("a wrong proof was accepted")
		}
	}
	for range 5 {
		wrong(mfa.TOTP, app.Wrong(kit.Clock.Now()))
	}
	for range 5 {
		wrong(mfa.BackupCode, "0000-0000-0000-0000")
	}
	kit.Clock.Advance(2 * time.Minute)
	wrong(mfa.BackupCode, "0000-0000-0000-0000")
}
