package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-1320b244/mfa"
)

// Commit implements mfa.Store. It uses a connection of its own, never a
// transaction of the host.
func (s *Store) Commit(ctx context.Context, writes ...mfa.Write) error {
	if err := mfa.CheckWrites(writes); err != nil {
		return err
	}
	writes = slices.SortedFunc(slices.Values(writes), inOrder)
	var err error
	switch {
	case s.dialect == SQLite:
		err = s.inTurn(ctx, func() error { return s.writeSQLite(ctx, writes) })
	case len(writes) == 1:
		err = s.write(ctx, s.db, writes[0])
	case s.dialect == PostgreSQL:
		err = s.writeAtOnce(ctx, writes)
	default:
		err = s.writeMySQL(ctx, writes)
	}
	return s.failed(ctx, "commit", err)
}

// inOrder is one order for everybody, so that two commits that lock row by row do
// not deadlock. The account is first: whatever begins or ends something of a user
// writes it under a condition, so that a lost race is over before anything is
// written. What creates a record has the least to say about that and is last.
func inOrder(a, b mfa.Write) int {
	place := func(w mfa.Write) int {
		switch {
		case w.Kind == "account":
			return 0
		case w.IfVersion != "":
			return 1
		}
		return 2
	}
	return cmp.Or(place(a)-place(b), strings.Compare(a.Kind, b.Kind), strings.Compare(a.ID, b.ID))
}

// An execer is a database or one connection to it.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// exec returns how many rows a statement changed.
func exec(ctx context.Context, on execer, q *statement) (int64, error) {
	result, err := on.ExecContext(ctx, q.String(), q.args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// write carries out one write if its condition holds. The condition is part of
// the statement, which finds the row as it is when its lock is granted.
func (s *Store) write(ctx context.Context, on execer, w mfa.Write) error {
	q := s.statement()
	if w.IfVersion == "" {
		q.add("INSERT INTO ", s.table, columns, " VALUES ").row(w.Record)
		if s.dialect != MySQL {
			q.add(" ON CONFLICT DO NOTHING") // a lost race is no entry in the server's log
		}
	} else {
		s.replace(q, w)
	}
	n, err := exec(ctx, on, q)
	if err == nil && n == 0 && s.dialect == MySQL && w.Version == w.IfVersion && len(w.Data) > 0 {
		// MySQL counts the rows that changed: not one that is replaced by itself.
		q := s.statement("SELECT count(*) FROM ", s.table, " WHERE ").key(w.Key).add(" AND version = ").bind(w.Version)
		q.add(" AND expires = ").bind(toUnix(w.Expires)).add(" AND data = ").bind(w.Data)
		err = on.QueryRowContext(ctx, q.String(), q.args...).Scan(&n)
	}
	if err == nil && n == 0 {
		err = mfa.ErrConflict
	}
	return err
}

// replace adds the statement that replaces or deletes a record if its condition
// holds.
func (s *Store) replace(q *statement, w mfa.Write) {
	if len(w.Data) == 0 {
		q.add("DELETE FROM ", s.table)
	} else {
		q.add("UPDATE ", s.table, " SET version = ").bind(w.Version).add(", expires = ").bind(toUnix(w.Expires)).add(", data = ").bind(w.Data)
	}
	q.add(" WHERE ").key(w.Key).add(" AND version = ").bind(w.IfVersion)
}

// writeAtOnce carries out several writes of one owner in one PostgreSQL
// statement, in one round trip:
//
//	WITH w0 AS (UPDATE records SET … WHERE (its key and its version) RETURNING 1),
//	     w1 AS (UPDATE records SET … WHERE (its key and its version)
//	            AND EXISTS (SELECT 1 FROM w0) RETURNING 1),
//	     w2 AS (INSERT INTO records SELECT … WHERE EXISTS (SELECT 1 FROM w1) RETURNING 1)
//	SELECT 1 / (SELECT count(*) FROM w2) FROM w0
//
// Why it is all or nothing: a write happens only if the one before found its row,
// so the last one tells about all. When w0 finds none nothing was done, the SELECT
// has no row, and that is an ordinary lost race. When w0 found its row and the last
// write none, the SELECT divides by zero, which takes back the whole statement. So
// does an INSERT that meets another record. The count is not known before it is
// taken, so the planner cannot divide earlier.
//
// Why in this order, though PostgreSQL says that the parts of a WITH run at once:
// EXISTS names no column of the row to be written. It is therefore a condition to
// be tested once, before the first row is looked for, and testing it runs the part
// that it asks. Locks are so taken in the order of the writes. A part that runs
// before its turn would at worst be a deadlock, which is a lost race, for the
// SELECT judges what was written and not when.
//
// At READ COMMITTED a part that waited for a row tests key and version again on the
// row as it is then (EvalPlanQual) and has nothing when it was replaced or deleted.
// The EXISTS is not asked again: its answer was there before the row was. A row that
// was created meanwhile is not seen, which is a race lost that need not have been.
// At REPEATABLE READ and SERIALIZABLE a row that changed meanwhile is an error that
// takes back everything.
func (s *Store) writeAtOnce(ctx context.Context, writes []mfa.Write) error {
	q := s.statement("WITH ")
	for i, w := range writes {
		before := "true"
		if i > 0 {
			before = "EXISTS (SELECT 1 FROM w" + strconv.Itoa(i-1) + ")"
			q.add(", ")
		}
		q.add("w", strconv.Itoa(i), " AS (")
		if w.IfVersion == "" {
			q.add("INSERT INTO ", s.table, columns, " SELECT ")
			q.bind([]byte(w.Owner)).add("::bytea, ").bind(w.Kind).add("::text, ").bind(w.ID).add("::text, ")
			q.bind(w.Version).add("::text, ").bind(toUnix(w.Expires)).add("::bigint, ").bind(w.Data).add("::bytea WHERE ", before)
		} else {
			s.replace(q, w)
			q.add(" AND ", before)
		}
		if i == 0 && w.IfVersion == "" {
			q.add(" ON CONFLICT DO NOTHING") // as in write
		}
		q.add(" RETURNING 1)")
	}
	q.add(" SELECT 1 / (SELECT count(*) FROM w", strconv.Itoa(len(writes)-1), ") FROM w0")
	n, err := exec(ctx, s.db, q)
	if err == nil && n == 0 {
		err = mfa.ErrConflict
	}
	return err
}

// writeMySQL carries out several writes. When none of them deletes, that is one
// statement, in one round trip. MySQL has none that also deletes, so otherwise it
// is a transaction.
func (s *Store) writeMySQL(ctx context.Context, writes []mfa.Write) error {
	var kept, ended []mfa.Write
	for _, w := range writes {
		if len(w.Data) > 0 {
			kept = append(kept, w)
		} else {
			ended = append(ended, w)
		}
	}
	if len(ended) == 0 {
		return s.upsert(ctx, s.db, kept)
	}
	return s.transact(ctx, "START TRANSACTION", func(c *sql.Conn) error {
		if len(kept) > 0 {
			if err := s.upsert(ctx, c, kept); err != nil {
				return err
			}
		}
		return s.writeEach(ctx, c, ended)
	})
}

// upsert creates and replaces records in one MySQL statement:
//
//	INSERT INTO records (owner, kind, id, version, expires, data) VALUES
//		(key, old version, 0, ''), (key, new version, …), -- a record that is replaced
//		(key, version, …)                                 -- one that is created
//	ON DUPLICATE KEY UPDATE version = CASE
//		WHEN data = '' OR kind = … AND id = … THEN fail -- the keys that are created
//		WHEN VALUES(data) <> '' THEN VALUES(version)
//		WHEN version = VALUES(version) THEN version
//		ELSE fail END, …
//
// The rows are worked off one after the other. The first row for a record that is
// replaced is its condition: the record must be there with the old version, and
// stays as it is. When it is not there that row is inserted, without data, as no
// record is; the second row finds it so and fails. A record that is created must
// meet none. To fail is to compute what no integer holds, which in every sql_mode
// is an error that takes back the whole statement, and with it a transaction of
// its own. It depends on a column, so that it is not computed in advance. No count
// of rows is needed, which would depend on the host's CLIENT_FOUND_ROWS and leaves
// out a record that is replaced by itself.
//
// An UPDATE for all of them would have to be planned, and could be planned as a
// scan, which locks the rows of other users. An INSERT has no plan. It goes to its
// primary keys and locks these rows and nothing else, no gap either, at READ
// COMMITTED as at REPEATABLE READ; TestLocksOwnRows watches that.
func (s *Store) upsert(ctx context.Context, on execer, writes []mfa.Write) error {
	const fail = "~0 + length(kind)"
	q := s.statement("INSERT INTO ", s.table, columns, " VALUES ")
	for i, w := range writes {
		if i > 0 {
			q.add(", ")
		}
		if w.IfVersion != "" {
			q.row(mfa.Record{Key: w.Key, Version: w.IfVersion, Data: []byte{}}).add(", ")
		}
		q.row(w.Record)
	}
	q.add(" ON DUPLICATE KEY UPDATE version = CASE WHEN data = ''")
	for _, w := range writes {
		if w.IfVersion == "" {
			q.add(" OR kind = ").bind(w.Kind).add(" AND id = ").bind(w.ID)
		}
	}
	q.add(" THEN ", fail, " WHEN VALUES(data) <> '' THEN VALUES(version) WHEN version = VALUES(version) THEN version ELSE ", fail, " END")
	// Columns are assigned in this order: data is the old one to the end.
	q.add(", expires = IF(VALUES(data) = '', expires, VALUES(expires)), data = IF(VALUES(data) = '', data, VALUES(data))")
	_, err := exec(ctx, on, q)
	return err
}

// inTurn has the writers of this Store wait for each other. SQLite takes one at a
// time, and the others would sleep between looks at the lock, for most of the time
// that it is free. Only other processes are left to wait so.
func (s *Store) inTurn(ctx context.Context, do func() error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
		return do()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writeSQLite locks the database before the first write, because a transaction
// that begins by reading cannot wait for the lock later.
func (s *Store) writeSQLite(ctx context.Context, writes []mfa.Write) error {
	if len(writes) == 1 {
		return s.write(ctx, s.db, writes[0])
	}
	return s.transact(ctx, "BEGIN IMMEDIATE", func(c *sql.Conn) error { return s.writeEach(ctx, c, writes) })
}

func (s *Store) writeEach(ctx context.Context, on execer, writes []mfa.Write) error {
	for _, w := range writes {
		if err := s.write(ctx, on, w); err != nil {
			return err
		}
	}
	return nil
}

// rollbackTimeout bounds the rollback of a transaction whose context is over.
const rollbackTimeout = 5 * time.Second

// transact runs do in a transaction on a connection of its own. The connection
// goes back to the pool only when it is certain that the transaction is over.
func (s *Store) transact(ctx context.Context, begin string, do func(*sql.Conn) error) error {
	c, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err = c.ExecContext(ctx, begin); err == nil {
		err = do(c)
		if err == nil {
			_, err = c.ExecContext(ctx, "COMMIT")
		}
	}
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
		defer cancel()
		if _, err2 := c.ExecContext(ctx, "ROLLBACK"); err2 != nil && !noTransaction(err2) {
			discard(c)
		}
	}
	return err
}

// discard closes a connection instead of giving it back to the pool. The server
// then ends what it left open.
func discard(c *sql.Conn) { _ = c.Raw(func(any) error { return driver.ErrBadConn }) }
