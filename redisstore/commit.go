package redisstore

import (
	"context"
	"crypto/sha1"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/seed-1320b244/mfa"
)

//go:embed commit.lua
var commitScript string

// commitSHA names the script to the server (EVALSHA).
var commitSHA = func() string {
	sum := sha1.Sum([]byte(commitScript))
	return hex.EncodeToString(sum[:])
}()

// Commit implements mfa.Store. It is one script, and a second round trip when the
// server does not have the script yet.
func (s *Store) Commit(ctx context.Context, writes ...mfa.Write) error {
	if err := mfa.CheckWrites(writes); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return failed(ctx, "commit", err)
	}
	hash := s.hash(writes[0].Owner)
	args := make([]any, 0, 5+4*len(writes))
	args = append(args, "evalsha", commitSHA, 2, hash, hash+":drop")
	for _, w := range writes {
		if strings.Contains(w.Version, " ") || strings.Contains(w.IfVersion, " ") {
			return errors.New("redisstore: commit: a version with a space")
		}
		value, until := "", ""
		if len(w.Data) > 0 {
			value, until = encode(w.Record), drop(w.Record)
		}
		args = append(args, field(w.Key), w.IfVersion, value, until)
	}
	applied, err := s.once(ctx, args)
	if redis.HasErrorPrefix(err, "NOSCRIPT") { // it did not run
		args[0], args[1] = "eval", commitScript
		applied, err = s.once(ctx, args)
	}
	switch {
	case err != nil:
		return failed(ctx, "commit", err)
	case applied == 0:
		return fmt.Errorf("redisstore: commit: %w", mfa.ErrConflict)
	case applied != 1:
		return errors.New("redisstore: commit: an answer that the script does not give")
	}
	return nil
}

// once sends a command whose first key is its fourth word.
func (s *Store) once(ctx context.Context, args []any) (int, error) {
	cmd := redis.NewCmd(ctx, args...)
	cmd.SetFirstKeyPos(3)
	if err := s.client.Process(ctx, onceCmd{cmd}); err != nil {
		return 0, err
	}
	return cmd.Int()
}

// onceCmd is a command that go-redis does not send again when it failed on the
// way. On a Cluster MaxRetries does not do that: MaxRedirects counts those too. A
// commit sent twice meets its own first write, and says that it was in conflict.
type onceCmd struct{ *redis.Cmd }

func (onceCmd) NoRetry() bool { return true }
