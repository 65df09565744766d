package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"
	_ "modernc.org/sqlite"

	"github.com/seed-1320b244/mfa"
	"github.com/seed-1320b244/mfa/redisstore"
	"github.com/seed-1320b244/mfa/sqlstore"
)

// storage is where the records are kept and the keys that open them.
type storage struct {
	store  mfa.Store
	keys   mfa.Keys
	sweeps bool // the store has to be told to delete what is over
	close  func() error
}

const storeUsage = "where to keep records: memory, sqlite:FILE, postgres://…, mysql://USER:PASSWORD@HOST:PORT/DATABASE or redis://…; the `location`"

// keyFile holds the keys when the store is a server. A file of SQLite has its own
// beside it.
const keyFile = "webapp.key"

// openStorage opens the store at location and checks that it is fit. The table is
// made when it is not there.
func openStorage(ctx context.Context, location string) (*storage, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	kind, rest, _ := strings.Cut(location, ":")
	switch kind {
	case "memory":
		keys, err := mfa.ParseKeys(mfa.NewKey())
		return &storage{new(mfa.MemoryStore), keys, true, func() error { return nil }}, err
	case "sqlite":
		if rest == "" {
			return nil, errors.New("sqlite: names no file")
		}
		return openSQLite(ctx, rest)
	case "postgres", "postgresql":
		return openSQL(ctx, "pgx", location, sqlstore.PostgreSQL, keyFile)
	case "mysql":
		dsn, err := mysqlDSN(location)
		if err != nil {
			return nil, err
		}
		return openSQL(ctx, "mysql", dsn, sqlstore.MySQL, keyFile)
	case "redis", "rediss":
		return openRedis(ctx, location)
	}
	return nil, errors.New("-store is neither memory nor begins with sqlite, postgres, mysql or redis and a colon")
}

// openSQLite makes the file before SQLite does, for its owner's eyes only.
func openSQLite(ctx context.Context, file string) (*storage, error) {
	key := file + ".key"
	if _, err := os.Stat(file); err == nil {
		if _, err := os.Stat(key); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s is there and %s is not: without its keys no record can be read", file, key)
		}
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: file}).EscapedPath(), RawQuery: "_pragma=busy_timeout(4000)&_pragma=journal_mode(WAL)"}
	return openSQL(ctx, "sqlite", dsn.String(), sqlstore.SQLite, key)
}

// mysqlDSN writes a URL as the driver wants it.
func mysqlDSN(location string) (string, error) {
	u, err := url.Parse(location)
	if err != nil {
		return "", errors.New("mysql: not a URL") // the error of Parse repeats the password
	}
	c := mysql.NewConfig()
	c.User, c.Net, c.Addr, c.DBName = u.User.Username(), "tcp", u.Host, strings.TrimPrefix(u.Path, "/")
	c.Passwd, _ = u.User.Password()
	c.InterpolateParams = true // saves a round trip for each statement
	return c.FormatDSN(), nil
}

func openSQL(ctx context.Context, driver, dsn string, d sqlstore.Dialect, key string) (_ *storage, err error) {
	keys, err := readKeys(key)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = db.Close()
		}
	}()
	db.SetMaxOpenConns(10)
	if err := sqlstore.Migrate(ctx, db, d, sqlstore.DefaultPrefix); err != nil {
		return nil, err
	}
	store, err := sqlstore.New(db, d, sqlstore.Options{})
	if err != nil {
		return nil, err
	}
	if err := store.Check(ctx); err != nil {
		return nil, err
	}
	return &storage{store, keys, true, db.Close}, nil
}

func openRedis(ctx context.Context, location string) (_ *storage, err error) {
	keys, err := readKeys(keyFile)
	if err != nil {
		return nil, err
	}
	o, err := redis.ParseURL(location)
	if err != nil {
		return nil, errors.New("redis: not a URL that go-redis reads")
	}
	o.MaxRetries, o.ContextTimeoutEnabled = -1, true // New insists on both, and says why
	client := redis.NewClient(o)
	defer func() {
		if err != nil {
			_ = client.Close()
		}
	}()
	store, err := redisstore.New(client, redisstore.Options{})
	if err != nil {
		return nil, err
	}
	if err := store.Check(ctx); err != nil {
		return nil, err
	}
	return &storage{store, keys, false, client.Close}, nil
}

// readKeys reads the keys from a file, which it makes when there is none. A real
// host never does that: its keys come from where it keeps its secrets, and whoever
// copies the database does not find them beside it.
func readKeys(file string) (mfa.Keys, error) {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case err == nil:
		_, err = f.WriteString(mfa.NewKey() + "\n")
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			return mfa.Keys{}, err
		}
	case !errors.Is(err, fs.ErrExist):
		return mfa.Keys{}, err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return mfa.Keys{}, err
	}
	keys, err := mfa.ParseKeys(strings.TrimSpace(string(text)))
	if err != nil {
		return mfa.Keys{}, fmt.Errorf("%s: %w", file, err)
	}
	return keys, nil
}

// configure puts the store and its keys into the configuration of the guard.
func (s *storage) configure(c *mfa.Config) { c.Store, c.Keys = s.store, s.keys }

// sweep deletes what has been over for a day, now and every so often until ctx is
// done. The library starts nothing by itself: when to sweep, and in which of many
// processes, is for the host to say.
func (a *app) sweep(ctx context.Context, every time.Duration) {
	const limit = 1000 // a statement that deletes more holds its locks for long
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		n, err := a.guard.Sweep(ctx, limit)
		if err != nil && ctx.Err() == nil {
			a.log.ErrorContext(ctx, "sweep failed", "error", err)
		}
		if err == nil && n == limit {
			continue // there is more
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
