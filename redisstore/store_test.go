package redisstore_test

import (
	"testing"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/mfatest"
	"github.com/seed-1320b244/mfa/redisstore"
)

func TestStore(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		addr := sharedAddr(t)
		c := client(t, addr)
		o := redisstore.Options{Prefix: sharedPrefix(t, addr)}
		mfatest.TestStore(t, func(t *testing.T) mfa.Store { return newStore(t, c, o) })
		idle(t, c)
	})
	t.Run("RESP2", func(t *testing.T) {
		addr := sharedAddr(t)
		o := options(addr)
		o.Protocol = 2
		c := clientOf(t, o)
		prefix := redisstore.Options{Prefix: sharedPrefix(t, addr)}
		mfatest.TestStore(t, func(t *testing.T) mfa.Store { return newStore(t, c, prefix) })
		idle(t, c)
	})
	t.Run("cluster", func(t *testing.T) {
		o, _ := startCluster(t)
		c := clusterClient(t, o)
		mfatest.TestStore(t, func(t *testing.T) mfa.Store { return newStore(t, c, redisstore.Options{}) })
		idle(t, c)
		for _, addr := range o.Addrs {
			if n := redisCLI(t, addr, "dbsize"); n == "0" {
				t.Errorf("the master at %s holds nothing: the owners do not spread", addr)
			}
		}
	})
}
