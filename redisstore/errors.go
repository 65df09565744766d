package redisstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// errMalformed is returned for what this package did not write. A record that
// cannot be read must not look like one that never was.
var errMalformed = errors.New("a value in the store is not one of this package")

// failed wraps the error of an operation. Nothing here is mfa.ErrConflict: a
// server that is loading, read-only, out of memory or cut off from its Cluster is
// no other writer.
func failed(ctx context.Context, operation string, err error) error {
	over := ctx.Err()
	if t, ok := ctx.Deadline(); ok && over == nil && !time.Now().Before(t) {
		over = context.DeadlineExceeded // the connection's timer was first
	}
	err = plain(err)
	if over != nil && !errors.Is(err, over) {
		return fmt.Errorf("redisstore: %s: %w: %w", operation, over, err)
	}
	return fmt.Errorf("redisstore: %s: %w", operation, err)
}

// plain returns err without what it repeats of a command or of a reply. The server
// repeats the arguments of a command that it does not know, and go-redis quotes a
// reply that it cannot parse.
func plain(err error) error {
	if errors.Is(err, errMalformed) || fromNetwork(err) {
		return err
	}
	text := err.Error()
	if _, server := errors.AsType[redis.Error](err); !server && !strings.HasPrefix(text, "redis: ") {
		return fmt.Errorf("the client failed, or did not understand a reply (%T)", err)
	}
	cut := len(text)
	for _, mark := range []string{`"`, "{", ", with args"} {
		if i := strings.Index(text, mark); i >= 0 {
			cut = min(cut, i)
		}
	}
	if cut == len(text) {
		return err
	}
	return errors.New(text[:cut] + " [the rest is withheld]")
}

// fromNetwork reports whether err says that a connection or a context ended.
func fromNetwork(err error) bool {
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
