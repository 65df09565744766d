package sqlstore

import (
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
	// One order for everybody: two commits that lock row by row do not deadlock.
	writes = slices.SortedFunc(slices.Values(writes), func(a, b mfa.Write) int {
		if c := strings.Compare(a.Kind, b.Kind); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	var err error
	switch {
	case len(writes) == 1:
		err = s.write(ctx, s.db, writes[0])
	case s.dialect == PostgreSQL:
		err = s.writeAtOnce(ctx, writes)
	default:
		err = s.writeInOrder(ctx, writes)
	}
	return s.failed(ctx, "commit", err)
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
	switch {
	case w.IfVersion == "":
		q.add("INSERT INTO ", s.table, " (owner, kind, id, version, expires, data) VALUES (")
		q.bind([]byte(w.Owner)).add(", ").bind(w.Kind).add(", ").bind(w.ID).add(", ")
		q.bind(w.Version).add(", ").bind(toUnix(w.Expires)).add(", ").bind(w.Data).add(")")
		if s.dialect != MySQL {
			q.add(" ON CONFLICT DO NOTHING") // a lost race is no entry in the server's log
		}
	case len(w.Data) == 0:
		q.add("DELETE FROM ", s.table, " WHERE ").key(w.Key).add(" AND version = ").bind(w.IfVersion)
	default:
		q.add("UPDATE ", s.table, " SET version = ").bind(w.Version).add(", expires = ").bind(toUnix(w.Expires))
		q.add(", data = ").bind(w.Data).add(" WHERE ").key(w.Key).add(" AND version = ").bind(w.IfVersion)
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

// writeAtOnce carries out several writes of one owner in one PostgreSQL
// statement, in one round trip:
//
//	WITH held AS (SELECT 1 FROM records
//	              WHERE (its key and its version) OR … ORDER BY kind, id FOR UPDATE),
//	     met AS (SELECT 1 FROM held HAVING count(*) = …),
//	     w0 AS (UPDATE records SET … WHERE (its key) AND EXISTS (SELECT 1 FROM met)),
//	     …
//	DELETE FROM records WHERE (its key) AND EXISTS (SELECT 1 FROM met)
//
// Why it is all or nothing at every isolation level: held waits for each row's
// lock, and at READ COMMITTED checks the version again on the row as it is then
// (EvalPlanQual). A row that was replaced or deleted meanwhile drops out, the
// count is short, and no write happens. A row that is in held stays as it is,
// since its lock is kept to the end of the statement, so that every write after
// the count finds it. Only an INSERT can still fail, on the primary key, and that
// error takes back the whole statement. At REPEATABLE READ and SERIALIZABLE a row
// that changed meanwhile is such an error too.
//
// Every write refers to met, so that none runs before all locks are held. The
// last write is the statement proper and tells by its count whether all ran.
func (s *Store) writeAtOnce(ctx context.Context, writes []mfa.Write) error {
	q := s.statement()
	conditions := int64(0)
	for _, w := range writes {
		if w.IfVersion == "" {
			continue
		}
		if conditions++; conditions == 1 {
			q.add("WITH held AS (SELECT 1 FROM ", s.table, " WHERE ")
		} else {
			q.add(" OR ")
		}
		q.key(w.Key).add(" AND version = ").bind(w.IfVersion)
	}
	if conditions > 0 {
		q.add(" ORDER BY kind, id FOR UPDATE), met AS (SELECT 1 FROM held HAVING count(*) = ").bind(conditions).add(")")
	} else {
		q.add("WITH met AS (SELECT 1)")
	}
	for i, w := range writes {
		last := i == len(writes)-1
		if last {
			q.add(" ")
		} else {
			q.add(", w", strconv.Itoa(i), " AS (")
		}
		switch {
		case w.IfVersion == "":
			q.add("INSERT INTO ", s.table, " (owner, kind, id, version, expires, data) SELECT ")
			q.bind([]byte(w.Owner)).add("::bytea, ").bind(w.Kind).add("::text, ").bind(w.ID).add("::text, ")
			q.bind(w.Version).add("::text, ").bind(toUnix(w.Expires)).add("::bigint, ").bind(w.Data).add("::bytea WHERE ")
		case len(w.Data) == 0:
			q.add("DELETE FROM ", s.table, " WHERE ").key(w.Key).add(" AND ")
		default:
			q.add("UPDATE ", s.table, " SET version = ").bind(w.Version).add(", expires = ").bind(toUnix(w.Expires))
			q.add(", data = ").bind(w.Data).add(" WHERE ").key(w.Key).add(" AND ")
		}
		q.add("EXISTS (SELECT 1 FROM met)")
		if !last {
			q.add(")")
		}
	}
	n, err := exec(ctx, s.db, q)
	if err == nil && n == 0 {
		err = mfa.ErrConflict
	}
	return err
}

// rollbackTimeout bounds the rollback of a transaction whose context is over.
const rollbackTimeout = 5 * time.Second

// writeInOrder carries out several writes in one transaction. In SQLite it locks
// the database before the first one, because a transaction that begins by reading
// cannot wait for the lock later.
//
// In MySQL every statement finds rows by their whole primary key as they are now,
// at any isolation level. A statement that finds none ends the transaction, so
// that the lock on the gap is not kept.
func (s *Store) writeInOrder(ctx context.Context, writes []mfa.Write) error {
	begin := "START TRANSACTION"
	if s.dialect == SQLite {
		begin = "BEGIN IMMEDIATE"
	}
	return s.transact(ctx, begin, func(c *sql.Conn) error {
		for _, w := range writes {
			if err := s.write(ctx, c, w); err != nil {
				return err
			}
		}
		return nil
	})
}

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
