package registry

import (
	"context"

	"github.com/portico-api/portico/delegation/storage"
)

// Version is the revision of the last write to an object that this process knows of; ok is false when there is none.
// It looks into no object and asks no store.
func (s *Store) Version(ctx context.Context, namespace, name string) (revision int64, ok bool) {
	o, err := s.cache.Get(ctx, namespace, name, storage.Read{Any: true})
	if err != nil {
		return 0, false
	}
	return o.ResourceVersion(), true
}
