package rest

import (
	"bytes"
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/metrics"
)

var initialEventsEnd = []byte(metav1.InitialEventsAnnotationKey)

// observe returns what is told of every event that one watch has sent.
func (e *endpoint) observe(ctx context.Context, frames *frameEncoder) (sent func(ev *Event, size int)) {
	m := e.cfg.Metrics
	if m == nil {
		return func(*Event, int) {}
	}
	// Asked for once there is something to count: a series shows as soon as it exists.
	var count func(size int)
	return func(ev *Event, size int) {
		if count == nil {
			count = m.WatchEvents(e.gvr.Group, e.gvr.Version, e.gvr.Resource)
		}
		count(size)
		if frames.initial == metrics.NoScope || ev.Type != watch.Bookmark || !bytes.Contains(ev.Object.JSON(), initialEventsEnd) {
			return
		}
		if rq, ok := handler.RequestFrom(ctx); ok {
			m.WatchList(e.gvr.Group, e.gvr.Version, e.gvr.Resource, frames.initial, time.Since(rq.ReceivedAt))
		}
		frames.initial = metrics.NoScope
	}
}

func scopeOf(at target) metrics.Scope {
	switch {
	case at.name != "":
		return metrics.ResourceScope
	case at.namespace != "":
		return metrics.NamespaceScope
	default:
		return metrics.ClusterScope
	}
}
