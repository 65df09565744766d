package sqlstore

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Each migration can run again without harm, because MySQL ends a transaction at
// every CREATE, and a process may stop in between. Its last statement sets the
// version.
//
//go:embed migrations
var migrations embed.FS

// A migration is one file.
type migration struct {
	name string
	text string // with the name of the table filled in
}

// load returns the migrations of a dialect, oldest first: the place of each,
// counted from 1, is its version.
func load(d Dialect, prefix string) ([]migration, error) {
	table, err := tableName(d, prefix)
	if err != nil {
		return nil, err
	}
	entries, err := migrations.ReadDir("migrations/" + d.String())
	if err != nil {
		return nil, err
	}
	var all []migration
	for _, e := range entries { // sorted by name
		text, err := migrations.ReadFile("migrations/" + d.String() + "/" + e.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, migration{e.Name(), strings.ReplaceAll(string(text), "{records}", table)})
	}
	return all, nil
}

// up returns what the migration does, without the marks of goose.
func (m migration) up() string {
	up, _, _ := strings.Cut(m.text, "-- +goose Down")
	_, up, _ = strings.Cut(up, "-- +goose Up\n")
	return strings.TrimSpace(up) + "\n"
}

// statements returns up, statement by statement. No string in a migration ends a
// line with a semicolon.
func (m migration) statements() []string {
	var all []string
	for text := range strings.SplitSeq(m.up(), ";\n") {
		if text = strings.TrimSpace(text); text != "" {
			all = append(all, text)
		}
	}
	return all
}

// Schema returns the SQL that makes the table, as it is after every migration, for
// a host that runs SQL by other means. An empty prefix is DefaultPrefix. Schema
// panics when d or prefix is none that New accepts.
func Schema(d Dialect, prefix string) string {
	all, err := load(d, prefix)
	if err != nil {
		panic(err.Error())
	}
	var text strings.Builder
	for _, m := range all {
		text.WriteString(m.up())
	}
	return text.String()
}

// Migrations returns the migrations as files that goose reads, at the root of the
// file system. They are numbered from 1, so give goose a table of its own for
// their versions. A file that was released never changes. Migrations panics when
// Schema does.
func Migrations(d Dialect, prefix string) fs.FS {
	all, err := load(d, prefix)
	if err != nil {
		panic(err.Error())
	}
	var archive bytes.Buffer // a file system in memory
	w := zip.NewWriter(&archive)
	for _, m := range all {
		f, err := w.Create(m.name)
		if err == nil {
			_, err = f.Write([]byte(m.text))
		}
		if err != nil {
			panic(err.Error()) // a Buffer takes everything
		}
	}
	if err := w.Close(); err != nil {
		panic(err.Error())
	}
	r, err := zip.NewReader(bytes.NewReader(archive.Bytes()), int64(archive.Len()))
	if err != nil {
		panic(err.Error())
	}
	return r
}

// migrateTimeout bounds how long Migrate waits for another process to finish.
const migrateTimeout = time.Minute

// Migrate makes the table, or brings it up to date. Call it when the program
// starts, or when it is deployed; any number of processes may at the same time:
// one works, the others wait for it and find nothing to do. When there is nothing
// to do it needs no more than the right to read the table.
//
// It returns an error when the table is of a later version of this package.
func Migrate(ctx context.Context, db *sql.DB, d Dialect, prefix string) error {
	all, err := load(d, prefix)
	if err != nil {
		return err
	}
	s, err := New(db, d, Options{Prefix: prefix})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	if v, err := s.version(ctx, db); err == nil && v == len(all) {
		return nil
	}
	switch d {
	case PostgreSQL:
		err = s.migratePostgreSQL(ctx, all)
	case MySQL:
		err = s.migrateMySQL(ctx, all)
	default:
		err = s.migrateSQLite(ctx, all)
	}
	return s.failed(ctx, "migrate", err)
}

// version returns the version of the schema. It is kept in the record of the
// empty key, which no Commit can write and no user owns.
func (s *Store) version(ctx context.Context, on execer) (int, error) {
	var text string
	var expires int64
	var data []byte
	err := on.QueryRowContext(ctx, s.get, []byte{}, "", "").Scan(&text, &expires, &data)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// migrate runs what is missing. The caller holds a lock.
func (s *Store) migrate(ctx context.Context, on execer, all []migration) error {
	version := 1 // what the first migration leaves, also when it finds the table
	for i, m := range all {
		if i > 0 && i+1 <= version {
			continue
		}
		for _, text := range m.statements() {
			if _, err := on.ExecContext(ctx, text); err != nil {
				return err
			}
		}
		var err error
		if version, err = s.version(ctx, on); err != nil {
			return err
		}
		if version < i+1 {
			return fmt.Errorf("the schema's version is %d after migration %d", version, i+1)
		}
	}
	if version > len(all) {
		return fmt.Errorf("the schema's version is %d, later than the %d of this package", version, len(all))
	}
	return nil
}

// migratePostgreSQL works in one transaction, with a lock that ends with it: that
// also holds through PgBouncer. READ COMMITTED, so that it sees after the wait
// what the other process did.
func (s *Store) migratePostgreSQL(ctx context.Context, all []migration) error {
	tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	sum := s.lockName()
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(binary.BigEndian.Uint64(sum[:]))); err != nil {
		return err
	}
	if err := s.migrate(ctx, tx, all); err != nil {
		return err
	}
	return tx.Commit()
}

// migrateMySQL works without a transaction, which MySQL would end at the first
// CREATE. The lock belongs to the connection, not to a transaction.
func (s *Store) migrateMySQL(ctx context.Context, all []migration) error {
	c, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	sum := s.lockName()
	var name string // of a lock: they are the server's, not the database's
	err = c.QueryRowContext(ctx, "SELECT concat('mfa ', md5(concat(coalesce(database(), ''), ?)))", hex.EncodeToString(sum[:])).Scan(&name)
	if err != nil {
		return err
	}
	var got sql.NullInt64
	err = c.QueryRowContext(ctx, "SELECT get_lock(?, ?)", name, int(migrateTimeout.Seconds())).Scan(&got)
	if err != nil {
		return err
	}
	if got.Int64 != 1 {
		return errors.New("another process holds the lock for migrations")
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
		defer cancel()
		if _, err := c.ExecContext(ctx, "DO release_lock(?)", name); err != nil {
			discard(c)
		}
	}()
	return s.migrate(ctx, c, all)
}

// lockName is the same for all who migrate this table.
func (s *Store) lockName() [sha256.Size]byte {
	return sha256.Sum256([]byte("github.com/seed-1320b244/mfa/sqlstore " + s.table))
}

// migrateSQLite works in one transaction, and waits for others by trying again,
// whatever busy_timeout the host has set.
func (s *Store) migrateSQLite(ctx context.Context, all []migration) error {
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		err := s.transact(ctx, "BEGIN IMMEDIATE", func(c *sql.Conn) error { return s.migrate(ctx, c, all) })
		if err == nil || !s.conflict(err) {
			return err
		}
		select {
		case <-retry.C:
		case <-ctx.Done():
			return err
		}
	}
}
