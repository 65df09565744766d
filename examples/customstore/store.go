// Package customstore keeps the records of mfa in one more table of a PostgreSQL
// that the application has already.
package customstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/seed-1320b244/mfa"
)

const Schema = `CREATE TABLE mfa_records (
	owner bytea, kind text COLLATE "C", id text COLLATE "C",
	version text COLLATE "C" NOT NULL, expires bigint NOT NULL, data bytea NOT NULL,
	PRIMARY KEY (owner, kind, id))`

const where = ` WHERE owner = $1 AND kind = $2 AND id = $3 AND version = $4`

// Store is a mfa.Store. Every connection of DB must lead to the primary.
type Store struct{ DB *sql.DB }

func (s Store) Get(ctx context.Context, keys ...mfa.Key) ([]mfa.Record, error) {
	records := make([]mfa.Record, len(keys))
	owners, kinds, ids := make([][]byte, len(keys)), make([]string, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		records[i].Key = k
		owners[i], kinds[i], ids[i] = []byte(k.Owner), k.Kind, k.ID
	}
	err := s.each(ctx, func(r mfa.Record, n int64) { r.Key = keys[n]; records[n] = r }, `
		SELECT kind, id, version, expires, data, n - 1 FROM mfa_records JOIN unnest($1::bytea[], $2::text[], $3::text[])
		WITH ORDINALITY AS k (owner, kind, id, n) USING (owner, kind, id)`, owners, kinds, ids)
	return records, err
}

func (s Store) List(ctx context.Context, owner string, kinds ...string) (records []mfa.Record, err error) {
	err = s.each(ctx, func(r mfa.Record, _ int64) { r.Owner = owner; records = append(records, r) }, `
		SELECT kind, id, version, expires, data, 0 FROM mfa_records
		WHERE owner = $1 AND (cardinality($2::text[]) = 0 OR kind = ANY ($2))`, []byte(owner), append([]string{}, kinds...))
	return records, err
}

// each calls found with every record of a query.
func (s Store) each(ctx context.Context, found func(mfa.Record, int64), query string, args ...any) error {
	rows, err := s.DB.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r mfa.Record
		var expires, n int64
		if err := rows.Scan(&r.Kind, &r.ID, &r.Version, &expires, &r.Data, &n); err != nil {
			return err
		}
		if expires != 0 {
			r.Expires = time.Unix(expires, 0).UTC()
		}
		found(r, n)
	}
	return rows.Err()
}

func (s Store) Commit(ctx context.Context, writes ...mfa.Write) error {
	if err := mfa.CheckWrites(writes); err != nil {
		return err
	}
	tx, err := s.DB.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		return err
	}
	defer tx.Rollback()
	inOrder := func(a, b mfa.Write) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID)) }
	for _, w := range slices.SortedFunc(slices.Values(writes), inOrder) { // fewer deadlocks, each of which takes a second
		expires := int64(0)
		if !w.Expires.IsZero() {
			expires = w.Expires.Unix()
		}
		query, args := `UPDATE mfa_records SET version = $5, expires = $6, data = $7`+where, []any{w.IfVersion, w.Version, expires, w.Data}
		if w.IfVersion == "" {
			query, args = `INSERT INTO mfa_records VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`, args[1:]
		} else if len(w.Data) == 0 {
			query, args = `DELETE FROM mfa_records`+where, args[:1]
		}
		result, err := tx.ExecContext(ctx, query, append([]any{[]byte(w.Owner), w.Kind, w.ID}, args...)...)
		if e, ok := errors.AsType[*pgconn.PgError](err); ok && (e.Code == "40001" || e.Code == "40P01") {
			return mfa.ErrConflict // a serialization failure, a deadlock
		} else if err != nil {
			return err
		} else if n, _ := result.RowsAffected(); n == 0 { // pgx counts without error
			return mfa.ErrConflict
		}
	}
	return tx.Commit()
}
