package rest

import (
	"time"

	"github.com/emicklei/go-restful/v3"
)

// Config is what the verbs of one unit share. Its zero value is usable.
type Config struct {
	// Metrics observes watch events; nil observes nothing.
	Metrics WatchMetrics
	// MinRequestTimeout bounds the life of a watch that names none: between once and twice of it.
	// Default 30 minutes.
	MinRequestTimeout time.Duration
	// MaxBodyBytes bounds a request's body. Default 3 MiB.
	MaxBodyBytes int64
	// Stopping is closed when the server shuts down: watches then end cleanly. Nil never ends them.
	Stopping <-chan struct{}
}

// WatchMetrics observes the events that watchers are sent.
type WatchMetrics interface {
	WatchEvent(group, version, resource string, size int)
}

// Install adds the routes of resources and their subresources to ws, whose root is prefix
// ("/api/v1", "/apis/group/version").
func Install(ws *restful.WebService, prefix string, resources []*Resource, cfg Config) {
}
