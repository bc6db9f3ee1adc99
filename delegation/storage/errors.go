package storage

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// Errors of the store. The registry turns them into answers; none of them is shown to a client as is.
var (
	// ErrNotFound: there is no object of that name.
	ErrNotFound = errors.New("object not found")
	// ErrExists: a create found the name taken.
	ErrExists = errors.New("object exists already")
	// ErrConflict: the expected revision is not the current one.
	ErrConflict = errors.New("object has changed")
	// ErrCompacted: the revision has left the ring, and the etcd's history too.
	ErrCompacted = errors.New("revision is too old")
	// ErrFuture: the revision was not reached, although the reader waited for it.
	ErrFuture = errors.New("revision is not there yet")
	// ErrUnavailable: the etcd did not answer, or not in time. A write may or may not have happened.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrTooLarge: the object is larger than the etcd takes.
	ErrTooLarge = errors.New("object is too large")
	// ErrMalformed: the bytes are not a JSON object with an object as its metadata.
	ErrMalformed = errors.New("not the JSON of an object")
	// ErrInUse: another process has the data directory.
	ErrInUse = errors.New("is in use by another portico")
	// ErrHandshake: the servers of the cluster and we do not accept each other's certificates.
	ErrHandshake = errors.New("TLS handshake failed")
	// ErrClosed: the cache or the store was closed.
	ErrClosed = errors.New("store is closed")
)

// explain gives an error of the etcd client the sentinel that callers ask for. The end of the caller's
// own context stays what it is: nobody waits for that answer any more.
func explain(ctx context.Context, doing string, err error) error {
	switch {
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	case errors.Is(err, rpctypes.ErrRequestTooLarge):
		return fmt.Errorf("%s: %w", doing, ErrTooLarge)
	case errors.Is(err, rpctypes.ErrCompacted):
		return fmt.Errorf("%s: %w", doing, ErrCompacted)
	default:
		return fmt.Errorf("%s: %w: %w", doing, ErrUnavailable, err)
	}
}
