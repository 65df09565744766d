// Package sqlstore keeps the records of package mfa in PostgreSQL, in MySQL or
// MariaDB, or in SQLite, through database/sql. It imports no driver.
//
// Everything is in one table with the primary key (owner, kind, id), compared as
// bytes. A Get of several keys is one statement. So is a Commit on PostgreSQL, and
// on MySQL one that deletes nothing; any other Commit of several records is one
// transaction. All write in one order, the account first. On SQLite the writers of
// one Store take turns: one Store for a database file, not several, is quickest.
//
// # Never a transaction of the host
//
// There is no way to run a Commit inside a transaction of the host, on purpose. A
// wrong guess is counted by a Commit, and a host rolls back when a request fails:
// the count would go with it, and guessing would cost nothing. What the library
// commits has to stand whatever becomes of the request.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-1320b244/mfa"
)

// A Dialect is the SQL of one family of databases. The zero Dialect is invalid.
type Dialect int

const (
	PostgreSQL Dialect = iota + 1 // 12 and later
	MySQL                         // MySQL 8.0, MariaDB 10.6 and later, InnoDB
	SQLite                        // 3.37 and later
)

// String returns the name of the folder that the dialect's migrations are in.
func (d Dialect) String() string {
	switch d {
	case PostgreSQL:
		return "postgresql"
	case MySQL:
		return "mysql"
	case SQLite:
		return "sqlite"
	}
	return fmt.Sprintf("Dialect(%d)", int(d))
}

// Options is what New may be told. The zero Options is fine.
type Options struct {
	// Prefix begins the name of the table, which is Prefix + "records". At most 40
	// of a-z, 0-9 and _, beginning with a letter. Zero: DefaultPrefix.
	Prefix string
	// Now is the clock that Check compares the server's with, the one that
	// mfa.Config.Now is. Nothing else here needs a clock. Nil: time.Now.
	Now func() time.Time
}

// DefaultPrefix begins the name of the table where no other is given.
const DefaultPrefix = "mfa_"

// tableName returns the name of the table. It is safe in a statement as it is: no
// key word ends in "records".
func tableName(d Dialect, prefix string) (string, error) {
	if d < PostgreSQL || d > SQLite {
		return "", fmt.Errorf("sqlstore: %v is no dialect", d)
	}
	if prefix == "" {
		prefix = DefaultPrefix
	}
	for i := range len(prefix) {
		c := prefix[i]
		if letter := 'a' <= c && c <= 'z'; !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return "", errors.New("sqlstore: the prefix is not a-z, 0-9 and _ beginning with a letter")
		}
	}
	if len(prefix) > 40 { // PostgreSQL cuts names at 63 bytes, and indexes have longer ones
		return "", errors.New("sqlstore: the prefix is longer than 40 bytes")
	}
	return prefix + "records", nil
}

// A Store is a mfa.Store and a mfa.Sweeper. It is safe for concurrent use.
type Store struct {
	db      *sql.DB
	dialect Dialect
	table   string
	now     func() time.Time
	get     string        // the statement for one key, which is what every request runs
	turn    chan struct{} // holds an element while a writer of SQLite is at work

	prepared sync.Map // what query keeps for SQLite: *sql.Stmt by its text
}

var (
	_ mfa.Store   = (*Store)(nil)
	_ mfa.Sweeper = (*Store)(nil)
)

// New returns a store on db. It does not touch the database: the table is made by
// Migrate, or by the host's own migrations from Schema or Migrations, and Check
// says whether it is there and fit. The host opens db, sizes its pool and closes
// it; every connection must lead to the primary.
func New(db *sql.DB, d Dialect, o Options) (*Store, error) {
	table, err := tableName(d, o.Prefix)
	if err != nil {
		return nil, err
	}
	if db == nil {
		return nil, errors.New("sqlstore: no database")
	}
	s := &Store{db: db, dialect: d, table: table, now: o.Now, turn: make(chan struct{}, 1)}
	if s.now == nil {
		s.now = time.Now
	}
	q := s.statement("SELECT version, expires, data FROM ", table, " WHERE ")
	q.key(mfa.Key{})
	s.get = q.String()
	return s, nil
}

// Get implements mfa.Store. It is one statement, and with that one snapshot.
func (s *Store) Get(ctx context.Context, keys ...mfa.Key) ([]mfa.Record, error) {
	records := make([]mfa.Record, len(keys))
	for i, k := range keys {
		records[i].Key = k
	}
	if len(keys) == 0 {
		return records, nil
	}
	var err error
	if len(keys) == 1 {
		err = s.again(ctx, func() error { return s.getOne(ctx, &records[0]) })
	} else {
		err = s.again(ctx, func() error { return s.getAll(ctx, records) })
	}
	if err != nil {
		return nil, s.failed(ctx, "get", err)
	}
	return records, nil
}

func (s *Store) getOne(ctx context.Context, r *mfa.Record) error {
	*r = mfa.Record{Key: r.Key} // an earlier try may have left something
	rows, err := s.query(ctx, s.get, []byte(r.Owner), r.Kind, r.ID)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var expires int64
		if err := rows.Scan(&r.Version, &expires, &r.Data); err != nil {
			return err
		}
		r.Expires = fromUnix(expires)
	}
	return rows.Err()
}

// getAll fills in the records of several keys, which are few. On PostgreSQL and
// SQLite one SELECT for each, joined by UNION ALL, goes straight to its row. On
// MySQL, which plans every SELECT of a union by itself, a list of keys is quicker:
// a range of the primary key for each. For a write it would not do, since a scan,
// should one be planned after all, locks what it looks at.
func (s *Store) getAll(ctx context.Context, records []mfa.Record) error {
	q := s.statement()
	next := ""
	if s.dialect == MySQL {
		q.add("SELECT owner, kind, id, version, expires, data FROM ", s.table, " WHERE (owner, kind, id) IN (")
	}
	for i, r := range records {
		records[i] = mfa.Record{Key: r.Key} // an earlier try may have left something
		q.add(next)
		if s.dialect == MySQL {
			q.add("(").bind([]byte(r.Owner)).add(", ").bind(r.Kind).add(", ").bind(r.ID).add(")")
			next = ", "
		} else {
			q.add("SELECT owner, kind, id, version, expires, data FROM ", s.table, " WHERE ").key(r.Key)
			next = " UNION ALL "
		}
	}
	if s.dialect == MySQL {
		q.add(")")
	}
	rows, err := s.query(ctx, q.String(), q.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r mfa.Record
		var expires int64
		if err := rows.Scan(&r.Owner, &r.Kind, &r.ID, &r.Version, &expires, &r.Data); err != nil {
			return err
		}
		r.Expires = fromUnix(expires)
		for i := range records {
			if records[i].Key == r.Key {
				records[i] = r
				r.Data = slices.Clone(r.Data) // for a key that is named twice
			}
		}
	}
	return rows.Err()
}

// query runs a SELECT. SQLite takes longer to parse one than to answer it, so there
// it is prepared once for each connection. What is kept ends with db, and is not
// much: the text depends on nothing but the number of arguments, which is bounded.
func (s *Store) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if s.dialect != SQLite || len(args) > maxPrepared {
		return s.db.QueryContext(ctx, text, args...)
	}
	kept, ok := s.prepared.Load(text)
	if !ok {
		made, err := s.db.PrepareContext(ctx, text)
		if err != nil {
			return nil, err
		}
		if kept, ok = s.prepared.LoadOrStore(text, made); ok {
			made.Close() // another goroutine was quicker
		}
	}
	return kept.(*sql.Stmt).QueryContext(ctx, args...)
}

// maxPrepared is how many arguments a SELECT has that is kept: five keys, or a List
// of fourteen kinds. The library asks for less.
const maxPrepared = 15

// List implements mfa.Store.
func (s *Store) List(ctx context.Context, owner string, kinds ...string) ([]mfa.Record, error) {
	q := s.statement("SELECT kind, id, version, expires, data FROM ", s.table, " WHERE owner = ").bind([]byte(owner))
	for i, k := range kinds {
		if i == 0 {
			q.add(" AND kind IN (").bind(k)
		} else {
			q.add(", ").bind(k)
		}
	}
	if len(kinds) > 0 {
		q.add(")")
	}
	var records []mfa.Record
	err := s.again(ctx, func() (err error) {
		records, err = s.list(ctx, owner, q)
		return err
	})
	if err != nil {
		return nil, s.failed(ctx, "list", err)
	}
	return records, nil
}

func (s *Store) list(ctx context.Context, owner string, q *statement) ([]mfa.Record, error) {
	rows, err := s.query(ctx, q.String(), q.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var records []mfa.Record
	for rows.Next() {
		r := mfa.Record{Key: mfa.Key{Owner: owner}}
		var expires int64
		if err := rows.Scan(&r.Kind, &r.ID, &r.Version, &expires, &r.Data); err != nil {
			return nil, err
		}
		r.Expires = fromUnix(expires)
		records = append(records, r)
	}
	return records, rows.Err()
}

// Sweep implements mfa.Sweeper. It is one statement; keep limit below a few
// thousand, so that it holds its locks for a short time.
func (s *Store) Sweep(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit <= 0 {
		return 0, nil
	}
	unix := before.Unix()
	if before.Nanosecond() > 0 {
		unix++ // Expires is whole seconds: what is earlier than 7.5 s is earlier than 8 s
	}
	// The key of the empty owner, with the schema's version, never expires.
	q := s.statement("DELETE FROM ", s.table, " WHERE ")
	over := func() { q.add("expires <> 0 AND expires < ").bind(unix) }
	switch s.dialect {
	case PostgreSQL: // what a Commit holds is being prolonged or deleted
		q.add("(owner, kind, id) IN (SELECT owner, kind, id FROM ", s.table, " WHERE ")
		over()
		q.add(" ORDER BY expires LIMIT ").bind(limit).add(" FOR UPDATE SKIP LOCKED) AND ")
		over()
	case MySQL:
		over()
		q.add(" ORDER BY expires LIMIT ").bind(limit)
	default:
		q.add("rowid IN (SELECT rowid FROM ", s.table, " WHERE ")
		over()
		q.add(" ORDER BY expires LIMIT ").bind(limit).add(")")
	}
	var n int64
	sweep := func() (err error) {
		n, err = exec(ctx, s.db, q)
		return err
	}
	err := s.again(ctx, func() error {
		if s.dialect == SQLite {
			return s.inTurn(ctx, sweep)
		}
		return sweep()
	})
	return int(n), s.failed(ctx, "sweep", err)
}

func fromUnix(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

func toUnix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// A statement is SQL and its arguments. Names in it come from tableName and
// nothing else ever becomes a part of its text.
type statement struct {
	strings.Builder
	args   []any
	dollar bool
}

func (s *Store) statement(text ...string) *statement {
	return (&statement{dollar: s.dialect == PostgreSQL}).add(text...)
}

func (q *statement) add(text ...string) *statement {
	for _, t := range text {
		q.WriteString(t)
	}
	return q
}

// bind adds a placeholder and its argument.
func (q *statement) bind(arg any) *statement {
	q.args = append(q.args, arg)
	if q.dollar {
		return q.add("$", strconv.Itoa(len(q.args)))
	}
	return q.add("?")
}

// columns are those that row has values for.
const columns = " (owner, kind, id, version, expires, data)"

func (q *statement) row(r mfa.Record) *statement {
	q.add("(").bind([]byte(r.Owner)).add(", ").bind(r.Kind).add(", ").bind(r.ID).add(", ")
	return q.bind(r.Version).add(", ").bind(toUnix(r.Expires)).add(", ").bind(r.Data).add(")")
}

// key adds the condition that picks one record. The owner travels as bytes, so
// that no character set of a connection touches it; the rest is ASCII.
func (q *statement) key(k mfa.Key) *statement {
	return q.add("owner = ").bind([]byte(k.Owner)).add(" AND kind = ").bind(k.Kind).add(" AND id = ").bind(k.ID)
}
