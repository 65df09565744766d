package sqlstore_test

import (
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
)

// Each database passes the suite under every setting that changes how it locks or
// what the driver sends.
func TestStore(t *testing.T) {
	for name, s := range map[string]service{
		"postgres":                 postgres(),
		"postgres-repeatable-read": postgres("default_transaction_isolation=repeatable%20read"),
		"postgres-serializable":    postgres("default_transaction_isolation=serializable"),
		"mariadb":                  mariadb(),
		"mariadb-interpolated":     mariadb("interpolateParams=true", "clientFoundRows=true"),
		"mariadb-serializable":     mariadb("tx_isolation=%27SERIALIZABLE%27"),
		"sqlite-file":              sqliteFile(t),
		"sqlite-rollback-journal":  sqliteFile(t, "busy_timeout(10000)"),
		"sqlite-memory":            sqliteMemory(),
	} {
		t.Run(name, func(t *testing.T) {
			store, _ := s.store(t)
			mfatest.TestStore(t, func(*testing.T) mfa.Store { return store })
		})
	}
}
