package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/portico-api/portico/delegation/storage"
)

// errModified is what a writer is told who has not seen the newest state.
var errModified = errors.New("the object has been modified; please apply your changes to the latest version and try again")

// explain turns a store's error into the answer a client knows. What the store says about itself is not
// for clients: it stays in the wrapped error of an answer that is logged.
func (s *Store) explain(ctx context.Context, name string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, storage.ErrNotFound):
		return apierrors.NewNotFound(s.gr, name)
	case errors.Is(err, storage.ErrExists):
		return apierrors.NewAlreadyExists(s.gr, name)
	case errors.Is(err, storage.ErrConflict):
		return apierrors.NewConflict(s.gr, name, errModified)
	case errors.Is(err, storage.ErrTooLarge):
		return apierrors.NewRequestEntityTooLargeError("the object is larger than the store takes")
	case errors.Is(err, context.DeadlineExceeded):
		return apierrors.NewTimeoutError("the store did not answer within the time of the request", 0)
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return err
	case errors.Is(err, storage.ErrUnavailable):
		return apierrors.NewServiceUnavailable("the store cannot be reached")
	case errors.Is(err, storage.ErrClosed):
		return apierrors.NewServiceUnavailable("the store has been closed")
	}
	return fmt.Errorf("%s %q: %w", s.gr, name, err)
}

// tooNew answers who asked for a revision that did not come in time.
func (s *Store) tooNew(ctx context.Context, asked int64) error {
	current := int64(0)
	if now, err := s.cache.Snapshot(ctx, storage.Read{Any: true}); err == nil {
		current = now.Revision()
	}
	err := apierrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %d, current: %d", asked, current), 1)
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{
		Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version",
	}}
	return err
}

// preconditionFailed answers who wanted another object than the one there is.
func (s *Store) preconditionFailed(name, what, asked, current string) error {
	//lint:ignore ST1005 clients know this text
	return apierrors.NewConflict(s.gr, name, fmt.Errorf("Precondition failed: %s in precondition: %s, %s in object meta: %s", what, asked, what, current))
}

func (s *Store) checkPreconditions(name string, p *metav1.Preconditions, uid types.UID, version string) error {
	switch {
	case p == nil:
	case p.UID != nil && *p.UID != uid:
		return s.preconditionFailed(name, "UID", string(*p.UID), string(uid))
	case p.ResourceVersion != nil && *p.ResourceVersion != version:
		return s.preconditionFailed(name, "ResourceVersion", *p.ResourceVersion, version)
	}
	return nil
}

// untyped is an internal error whose text clients may read.
func untyped(message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: message,
	}}
}
