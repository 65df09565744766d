package sqlstore

import "context"

// Conflict is what the store makes of an error of a driver.
func Conflict(d Dialect, err error) bool { return (&Store{dialect: d}).conflict(err) }

// CommitError is what Commit returns for an error of a driver.
func CommitError(ctx context.Context, d Dialect, err error) error {
	return (&Store{dialect: d}).failed(ctx, "commit", err)
}

// Busy reports whether a writer of SQLite is at work.
func (s *Store) Busy() bool { return len(s.turn) > 0 }
