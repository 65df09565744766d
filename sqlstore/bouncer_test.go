package sqlstore_test

import (
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// Behind PgBouncer in transaction mode every statement may reach another
// connection of the server, so no statement may be prepared under a name. Both
// modes of pgx that prepare none work, Migrate and Check included.
func TestStoreBouncer(t *testing.T) {
	bouncer := newBouncer(t)
	for _, mode := range []string{"exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			store, _ := bouncer.postgres("default_query_exec_mode=" + mode).store(t)
			if err := store.Check(t.Context()); err != nil {
				t.Errorf("Check: %v", err)
			}
			mfatest.TestStore(t, func(*testing.T) mfa.Store { return store })
		})
	}
}
