package main

import (
	"fmt"
	"io"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/filters"
)

// snapshotPath is where an administrator gets a backup of a running server. It is not below /debug, because whoever may
// read profiles there must not read every secret.
const snapshotPath = "/storage/snapshot"

// isLongRunning exempts the backup of a large store over a slow line from the deadline of short requests.
func isLongRunning(r *http.Request, info *handler.RequestInfo) bool {
	return filters.DefaultLongRunning(r, info) || !info.IsResourceRequest && info.Path == snapshotPath
}

// serveSnapshot streams a backup of the store, embedded or a cluster.
func serveSnapshot(store *storage.Store) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.Header().Set("Allow", http.MethodGet)
			handler.WriteError(w, r, apierrors.NewGenericServerResponse(http.StatusMethodNotAllowed, r.Method, schema.GroupResource{}, "", "a snapshot can only be read", 0, true))
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Cache-Control", "no-store")
		body := &begun{w: w}
		err := store.Backup(r.Context(), body)
		switch {
		case err == nil:
		case body.yes:
			// Cutting the connection is all that still tells the client that this is not the whole.
			panic(http.ErrAbortHandler)
		default:
			handler.WriteError(w, r, fmt.Errorf("backing up the store: %w", err))
		}
	})
}

// begun is a body that knows whether something of it has been sent.
type begun struct {
	w   io.Writer
	yes bool
}

func (b *begun) Write(data []byte) (int, error) {
	b.yes = true
	return b.w.Write(data)
}
