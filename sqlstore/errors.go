package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/seed-1320b244/mfa"
)

// failed wraps the error of an operation. What the database says about a conflict
// is left out: some name the key that was there twice.
func (s *Store) failed(ctx context.Context, operation string, err error) error {
	if err == nil {
		return nil
	}
	lost := errors.Is(err, mfa.ErrConflict) || s.conflict(err)
	switch over := ctx.Err(); {
	case over != nil && (lost || errors.Is(err, over)):
		return fmt.Errorf("sqlstore: %s: %w", operation, over)
	case over != nil: // some drivers say only that they were interrupted
		return fmt.Errorf("sqlstore: %s: %w: %w", operation, over, err)
	case lost && operation == "commit":
		return fmt.Errorf("sqlstore: %s: %w", operation, mfa.ErrConflict)
	case lost:
		return fmt.Errorf("sqlstore: %s: the database gave up on a conflict with another transaction", operation)
	}
	return fmt.Errorf("sqlstore: %s: %w", operation, err)
}

// maxTries bounds how often a statement runs again that the database took back.
const maxTries = 5

// again runs a read or a sweep, and runs it again when the database took it back
// in favor of another transaction (at SERIALIZABLE even a lone SELECT can be). A
// Commit is not run again here: whether to is the library's decision.
func (s *Store) again(ctx context.Context, do func() error) error {
	for n := 1; ; n++ {
		err := do()
		if err == nil || n == maxTries || ctx.Err() != nil || !s.conflict(err) {
			return err
		}
	}
}

// conflict reports whether the database says that a statement was taken back
// because of another transaction or of a record that exists. Nothing of it was
// applied then.
//
// Drivers have no common error, and none is imported here, so it is read off the
// error's shape. A driver whose errors have none of these shapes is safe: a
// conflict is then a failure of the store, which refuses where it could have
// tried again.
func (s *Store) conflict(err error) bool {
	switch s.dialect {
	case PostgreSQL: // pgx and lib/pq
		e, ok := errors.AsType[interface {
			error
			SQLState() string
		}](err)
		if !ok {
			return false
		}
		switch e.SQLState() {
		case "40001", // serialization_failure
			"40P01", // deadlock_detected
			"23505", // unique_violation: the primary key is the only one there is
			"22012", // division_by_zero: how writeAtOnce takes itself back
			"55P03": // lock_not_available, where the host has set lock_timeout
			return true
		}
	case MySQL: // the field Number of go-sql-driver's MySQLError
		switch number(err, "Number") {
		case 1062, // ER_DUP_ENTRY
			1690, // ER_DATA_OUT_OF_RANGE: how upsert takes itself back
			1205, // ER_LOCK_WAIT_TIMEOUT
			1213, // ER_LOCK_DEADLOCK
			1020, // ER_CHECKREAD: MariaDB with innodb_snapshot_isolation
			3101: // ER_TRANSACTION_ROLLBACK_DURING_COMMIT: group replication
			return true
		}
	case SQLite: // the method Code of modernc.org/sqlite, the field of mattn/go-sqlite3
		switch number(err, "Code") & 0xff { // the rest says more about it
		case 5, // SQLITE_BUSY
			6: // SQLITE_LOCKED
			return true
		}
	}
	return false
}

// number returns what the method or field of this name says in err or in an error
// that it wraps, 0 when there is none.
func number(err error, name string) int64 {
	for ; err != nil; err = errors.Unwrap(err) {
		v := reflect.ValueOf(err)
		if m := v.MethodByName(name); m.IsValid() {
			if m.Type().NumIn() != 0 || m.Type().NumOut() != 1 {
				continue
			}
			v = m.Call(nil)[0]
		} else {
			if v.Kind() == reflect.Pointer {
				v = v.Elem()
			}
			if v.Kind() != reflect.Struct {
				continue
			}
			v = v.FieldByName(name)
		}
		switch {
		case !v.IsValid():
		case v.CanInt():
			return v.Int()
		case v.CanUint():
			return int64(v.Uint())
		}
	}
	return 0
}

// noTransaction reports whether a rollback failed because SQLite had rolled back
// by itself.
func noTransaction(err error) bool {
	return strings.Contains(err.Error(), "no transaction is active")
}
