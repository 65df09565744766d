package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxSkew is how far the clocks of this process and of the server may differ
// before Check says so.
const maxSkew = time.Minute

// Check reports everything about the database that breaks the contract of
// mfa.Store or will: a missing table, another schema, columns that do not compare
// bytes, a server that takes no writes, reads that need not be the latest or
// commits that need not be durable, a clock that is more than a minute off. Call
// it once when the program starts, and do not serve when it returns an error. It
// changes nothing.
//
// It sees the settings of one connection: every connection of the pool must be
// configured alike.
func (s *Store) Check(ctx context.Context) error {
	c, err := s.db.Conn(ctx)
	if err != nil {
		return s.failed(ctx, "check", err)
	}
	defer c.Close()
	r := &report{s: s, c: c}
	if r.checkVersion(ctx) {
		r.checkWrites(ctx)
		r.checkTable(ctx)
	}
	switch s.dialect {
	case PostgreSQL:
		r.checkPostgreSQL(ctx)
	case MySQL:
		r.checkMySQL(ctx)
	default:
		r.checkSQLite(ctx)
	}
	return s.failed(ctx, "check", errors.Join(r.problems...))
}

// A report collects what is wrong.
type report struct {
	s        *Store
	c        *sql.Conn
	problems []error
}

func (r *report) problem(format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf(format, args...))
}

// checkVersion reports whether the table is there.
func (r *report) checkVersion(ctx context.Context) bool {
	all, err := load(r.s.dialect, strings.TrimSuffix(r.s.table, "records"))
	if err != nil {
		r.problem("%w", err)
		return false
	}
	switch v, err := r.s.version(ctx, r.c); {
	case errors.Is(err, sql.ErrNoRows):
		r.problem("the table %s has no record of the schema's version: was it made by Migrate, Migrations or Schema?", r.s.table)
	case err != nil:
		r.problem("the table %s cannot be read: has Migrate run? %w", r.s.table, err)
		return false
	case v != len(all):
		r.problem("the schema's version is %d, this package needs %d: run Migrate of the latest version in use", v, len(all))
	}
	return true
}

// checkWrites tries the three sorts of write on no row. That needs the same
// rights and the same primary as on a row.
func (r *report) checkWrites(ctx context.Context) {
	for _, probe := range []string{
		"INSERT INTO " + r.s.table + " SELECT * FROM " + r.s.table + " WHERE 1 = 0",
		"UPDATE " + r.s.table + " SET expires = 0 WHERE 1 = 0",
		"DELETE FROM " + r.s.table + " WHERE 1 = 0",
	} {
		if _, err := r.c.ExecContext(ctx, probe); err != nil {
			r.problem("the database takes no writes (read-only, a replica, or no right to): %w", err)
			return
		}
	}
}

// A column is a type and, where the type has one, a collation.
type column struct{ name, kind string }

// A shape is what checkTable asks a database about the table, and the answers it
// wants: the columns, and the primary key with how it compares them.
type shape struct {
	columns string
	want    []column
	key     string
	wantKey string
}

func (d Dialect) shape() shape {
	switch d {
	case PostgreSQL:
		return shape{
			`SELECT a.attname, format_type(a.atttypid, a.atttypmod) || coalesce(' ' || c.collname, '')
				FROM pg_attribute a LEFT JOIN pg_collation c ON c.oid = a.attcollation
				WHERE a.attrelid = CAST($1 AS regclass) AND a.attnum > 0 AND NOT a.attisdropped`,
			[]column{{"owner", "bytea"}, {"kind", "text C"}, {"id", "text C"}, {"version", "text C"}, {"expires", "bigint"}, {"data", "bytea"}},
			`SELECT coalesce(max(pg_get_constraintdef(oid)), '') FROM pg_constraint WHERE conrelid = CAST($1 AS regclass) AND contype = 'p'`,
			"PRIMARY KEY (owner, kind, id)",
		}
	case MySQL:
		return shape{
			`SELECT column_name, concat(data_type, CASE WHEN data_type = 'varbinary' THEN concat(' ', character_maximum_length) ELSE '' END)
				FROM information_schema.columns WHERE table_schema = database() AND table_name = ?`,
			[]column{{"owner", "varbinary 256"}, {"kind", "varbinary 32"}, {"id", "varbinary 64"}, {"version", "varbinary 128"}, {"expires", "bigint"}, {"data", "mediumblob"}},
			`SELECT coalesce(group_concat(concat(s.column_name, coalesce(concat(' ', s.sub_part), '')) ORDER BY s.seq_in_index SEPARATOR ', '), '')
				FROM information_schema.statistics s JOIN information_schema.tables t USING (table_schema, table_name)
				WHERE s.table_schema = database() AND s.table_name = ? AND s.index_name = 'PRIMARY' AND t.engine = 'InnoDB'`,
			"owner, kind, id",
		}
	default:
		return shape{
			`SELECT name, lower(type) FROM pragma_table_info(?)`,
			[]column{{"owner", "blob"}, {"kind", "text"}, {"id", "text"}, {"version", "text"}, {"expires", "integer"}, {"data", "blob"}},
			`SELECT coalesce(group_concat(k.name || ' ' || k.coll, ', '), '') FROM pragma_index_list(?) l, pragma_index_xinfo(l.name) k
				WHERE l.origin = 'pk' AND k.key = 1`,
			"owner BINARY, kind BINARY, id BINARY",
		}
	}
}

func (r *report) checkTable(ctx context.Context) {
	t := r.s.dialect.shape()
	rows, err := r.c.QueryContext(ctx, t.columns, r.s.table)
	if err != nil {
		r.problem("the columns of %s cannot be read: %w", r.s.table, err)
		return
	}
	defer rows.Close()
	var got []column
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.name, &c.kind); err != nil {
			r.problem("the columns of %s cannot be read: %w", r.s.table, err)
			return
		}
		got = append(got, c)
	}
	if err := rows.Err(); err != nil {
		r.problem("the columns of %s cannot be read: %w", r.s.table, err)
		return
	}
	for _, w := range t.want {
		i := slices.IndexFunc(got, func(c column) bool { return c.name == w.name })
		switch {
		case i < 0:
			r.problem("the table %s has no column %s", r.s.table, w.name)
		case got[i] != w:
			r.problem("the column %s of %s is %s, not %s: keys and versions have to be compared as bytes and kept whole", w.name, r.s.table, got[i].kind, w.kind)
		}
	}
	var key string
	if err := r.c.QueryRowContext(ctx, t.key, r.s.table).Scan(&key); err != nil {
		r.problem("the primary key of %s cannot be read: %w", r.s.table, err)
	} else if key != t.wantKey {
		r.problem("the primary key of %s is %q, not %q: one record could be created twice", r.s.table, key, t.wantKey)
	}
}

// checkClock compares the server's clock with this process's. Nothing here goes
// by the server's, but when they differ one of them is wrong, and codes and
// expiries go by the process's.
func (r *report) checkClock(ctx context.Context, ask string) {
	var server float64
	before := r.s.now()
	if err := r.c.QueryRowContext(ctx, ask).Scan(&server); err != nil {
		r.problem("the server's clock cannot be read: %w", err)
		return
	}
	trip := r.s.now().Sub(before)
	skew := time.UnixMicro(int64(server * 1e6)).Sub(before.Add(trip / 2))
	if skew.Abs() > maxSkew+trip/2 {
		r.problem("the clocks of this process and of the database server are %v apart: codes and expiries go by this process's", skew.Abs().Round(time.Second))
	}
}

func (r *report) checkPostgreSQL(ctx context.Context) {
	r.checkClock(ctx, "SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8)")
	var replica bool
	var synchronous, fsync string
	err := r.c.QueryRowContext(ctx, "SELECT pg_is_in_recovery(), current_setting('synchronous_commit'), current_setting('fsync')").
		Scan(&replica, &synchronous, &fsync)
	switch {
	case err != nil:
		r.problem("the server's settings cannot be read: %w", err)
		return
	case replica:
		r.problem("the server is a replica: a session that was revoked would live on there")
	}
	if synchronous == "off" || fsync == "off" {
		r.problem("synchronous_commit is %s and fsync is %s: a used code could be used again after a crash", synchronous, fsync)
	}
}

func (r *report) checkMySQL(ctx context.Context) {
	r.checkClock(ctx, "SELECT unix_timestamp(sysdate(6)) + 0e0")
	set, err := r.variables(ctx)
	if err != nil {
		r.problem("the server's settings cannot be read: %w", err)
		return
	}
	for _, c := range []struct {
		wrong bool
		why   string
	}{
		{set["autocommit"] == "OFF", "autocommit is off: a read would see what was there long ago"},
		{set["tx_isolation"] == "READ-UNCOMMITTED" || set["transaction_isolation"] == "READ-UNCOMMITTED", "the isolation is READ UNCOMMITTED: a read would see parts of commits"},
		{!strings.Contains(set["sql_mode"], "STRICT_TRANS_TABLES") && !strings.Contains(set["sql_mode"], "STRICT_ALL_TABLES"), "sql_mode is not strict: what does not fit would be cut without an error"},
		{set["read_only"] == "ON" || set["super_read_only"] == "ON" || set["innodb_read_only"] == "ON" || set["tx_read_only"] == "ON" || set["transaction_read_only"] == "ON", "the server or the session is read-only: is it a replica?"},
		{set["innodb_flush_log_at_trx_commit"] != "1", "innodb_flush_log_at_trx_commit is not 1: a used code could be used again after a crash"},
		{set["wsrep_on"] == "ON" && galeraStale(set["wsrep_sync_wait"]), "wsrep_sync_wait does not cover reads: a session that was revoked on another node would live on"},
	} {
		if c.wrong {
			r.problem("%s", c.why)
		}
	}
}

// galeraStale reports whether reads may miss commits of other nodes: bit 1 of
// wsrep_sync_wait makes SELECT wait for them.
func galeraStale(wait string) bool {
	n, err := strconv.Atoi(wait)
	return err != nil || n&1 == 0
}

// variables returns the settings of the session. Which there are depends on the
// make and version of the server.
func (r *report) variables(ctx context.Context) (map[string]string, error) {
	rows, err := r.c.QueryContext(ctx, `SHOW SESSION VARIABLES WHERE variable_name IN ('autocommit', 'tx_isolation', 'transaction_isolation',
		'sql_mode', 'read_only', 'super_read_only', 'innodb_read_only', 'tx_read_only', 'transaction_read_only',
		'innodb_flush_log_at_trx_commit', 'wsrep_on', 'wsrep_sync_wait')`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	set := make(map[string]string)
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		set[name] = value
	}
	return set, rows.Err()
}

func (r *report) checkSQLite(ctx context.Context) {
	pragma := func(name string) (n int64) {
		if err := r.c.QueryRowContext(ctx, "PRAGMA "+name).Scan(&n); err != nil {
			r.problem("the setting %s cannot be read: %w", name, err)
		}
		return n
	}
	if pragma("busy_timeout") == 0 {
		r.problem("busy_timeout is 0: two commits at once would fail instead of one waiting for the other")
	}
	if pragma("synchronous") < 2 {
		r.problem("synchronous is neither FULL nor EXTRA: a used code could be used again after a power failure")
	}
	if pragma("read_uncommitted") != 0 {
		r.problem("read_uncommitted is set: a read would see parts of commits")
	}
}
