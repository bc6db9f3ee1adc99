package metrics

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Storage observes the store and the caches in front of it. Groups and resources are those the server itself
// has opened, so the number of series is bounded by what is served.
type Storage struct {
	operations *bound[storeOperation, operationInstruments]
	caches     *bound[groupResource, cacheInstruments]
	size       prometheus.Gauge
	leading    *prometheus.GaugeVec
}

type groupResource struct{ group, resource string }

func (k groupResource) own() groupResource {
	return groupResource{strings.Clone(k.group), strings.Clone(k.resource)}
}

type storeOperation struct {
	operation string
	groupResource
}

type operationInstruments struct {
	total, errors prometheus.Counter
	duration      prometheus.Observer
}

type cacheInstruments struct {
	received, cacheReceived, dispatched prometheus.Counter
	initialized                         prometheus.Counter
	terminated, decodeErrors, initial   prometheus.Counter
	fresh, stale                        prometheus.Counter
	lists                               listInstruments
	revision, capacity                  prometheus.Gauge
	objects, deprecatedObjects, bytes   prometheus.Gauge
	wait                                prometheus.Observer
}

func newStorage(r prometheus.Registerer) *Storage {
	var (
		duration = histograms(r, "etcd_request_duration_seconds", "[ALPHA] How long the store took to answer, by operation and resource.", latencyBuckets, "operation", "group", "resource")
		total    = counters(r, "etcd_requests_total", "[ALPHA] Requests to the store.", "operation", "group", "resource")
		failed   = counters(r, "etcd_request_errors_total", "[ALPHA] Requests to the store that failed.", "operation", "group", "resource")

		objects    = gauges(r, "apiserver_resource_objects", "[ALPHA] Objects stored, by resource.", "group", "resource")
		deprecated = gauges(r, "apiserver_storage_objects", "[STABLE] Objects stored, by resource and group joined by a dot; apiserver_resource_objects says the same with the group apart.", "resource")
		bytes      = gauges(r, "apiserver_resource_size_estimate_bytes", "[ALPHA] Bytes of all stored objects of a resource.", "group", "resource")
		received   = counters(r, "apiserver_storage_events_received_total", "[ALPHA] Changes that the store has reported.", "group", "resource")
		decode     = counters(r, "apiserver_storage_decode_errors_total", "[ALPHA] Stored objects that could not be decoded.", "group", "resource")

		listed        = newStorageLists(r)
		cacheReceived = counters(r, "apiserver_watch_cache_events_received_total", "[ALPHA] Changes that entered the cache.", "group", "resource")
		dispatched    = counters(r, "apiserver_watch_cache_events_dispatched_total", "[ALPHA] Changes that the cache has made visible to its watchers.", "group", "resource")
		initialized   = counters(r, "apiserver_watch_cache_initializations_total", "[ALPHA] Times a cache was filled from the store.", "group", "resource")
		consistent    = counters(r, "apiserver_watch_cache_consistent_read_total", "[ALPHA] Consistent reads from the cache, by whether it became fresh in time.", "group", "resource", "success", "fallback")
		revision      = gauges(r, "apiserver_watch_cache_resource_version", "[ALPHA] The newest revision in the cache, its last 15 digits.", "group", "resource")
		wait          = histograms(r, "apiserver_watch_cache_read_wait_seconds", "[ALPHA] How long reads waited for the cache to become fresh enough.", []float64{.005, .025, .05, .1, .2, .4, .6, .8, 1, 1.25, 1.5, 2, 3}, "group", "resource")
		terminated    = counters(r, "apiserver_terminated_watchers_total", "[ALPHA] Watchers that fell behind the history and were ended.", "group", "resource")
		initial       = counters(r, "apiserver_init_events_total", "[ALPHA] Events that watchers were sent of what was there, or had happened, before they came.", "group", "resource")
		capacity      = gauges(r, "watch_cache_capacity", "[ALPHA] Changes that the history of a resource can hold.", "group", "resource")
	)
	return &Storage{
		leading: gauges(r, "leader_election_master_status", "[ALPHA] Whether this process leads: 1 or 0, by what it leads.", "name"),
		size:    gauges(r, "apiserver_storage_size_bytes", "[STABLE] Size of the store's database file.", "storage_cluster_id").WithLabelValues("etcd-0"),
		operations: newBound(
			func(k storeOperation) storeOperation {
				return storeOperation{strings.Clone(k.operation), k.groupResource.own()}
			},
			func(k storeOperation) operationInstruments {
				return operationInstruments{
					total:    total.WithLabelValues(k.operation, k.group, k.resource),
					errors:   failed.WithLabelValues(k.operation, k.group, k.resource),
					duration: duration.WithLabelValues(k.operation, k.group, k.resource),
				}
			}),
		caches: newBound(groupResource.own, func(k groupResource) cacheInstruments {
			g, res := k.group, k.resource
			dotted := res
			if g != "" {
				dotted = res + "." + g
			}
			return cacheInstruments{
				received:          received.WithLabelValues(g, res),
				cacheReceived:     cacheReceived.WithLabelValues(g, res),
				dispatched:        dispatched.WithLabelValues(g, res),
				initialized:       initialized.WithLabelValues(g, res),
				terminated:        terminated.WithLabelValues(g, res),
				lists:             listed(g, res),
				initial:           initial.WithLabelValues(g, res),
				decodeErrors:      decode.WithLabelValues(g, res),
				fresh:             consistent.WithLabelValues(g, res, "true", "false"),
				stale:             consistent.WithLabelValues(g, res, "false", "false"),
				revision:          revision.WithLabelValues(g, res),
				capacity:          capacity.WithLabelValues(g, res),
				objects:           objects.WithLabelValues(g, res),
				deprecatedObjects: deprecated.WithLabelValues(dotted),
				bytes:             bytes.WithLabelValues(g, res),
				wait:              wait.WithLabelValues(g, res),
			}
		}),
	}
}

// Leading shows whether this process leads what has that name.
func (s *Storage) Leading(name string, leads bool) {
	if s == nil {
		return
	}
	value := 0.0
	if leads {
		value = 1
	}
	s.leading.WithLabelValues(name).Set(value)
}

// ObserveRequest counts one request to the store: its operation ("get", "list", "create", "update",
// "delete", …), how long it took and whether it failed.
func (s *Storage) ObserveRequest(operation, group, resource string, d time.Duration, err error) {
	if s == nil {
		return
	}
	i := s.operations.get(storeOperation{operation, groupResource{group, resource}})
	i.total.Inc()
	i.duration.Observe(d.Seconds())
	if err != nil {
		i.errors.Inc()
	}
}

// EventReceived counts one change that came from the store into a cache.
func (s *Storage) EventReceived(group, resource string) {
	if s == nil {
		return
	}
	i := s.caches.get(groupResource{group, resource})
	i.received.Inc()
	i.cacheReceived.Inc()
}

// EventDispatched counts one change that watchers can see now.
func (s *Storage) EventDispatched(group, resource string) {
	if s != nil {
		s.caches.get(groupResource{group, resource}).dispatched.Inc()
	}
}

// SetCacheRevision tells how far a cache has come. Only the last 15 digits are shown: a float64 holds no more.
func (s *Storage) SetCacheRevision(group, resource string, revision int64) {
	if s != nil {
		s.caches.get(groupResource{group, resource}).revision.Set(float64(revision % 1e15))
	}
}

// SetObjects tells how many objects of a resource are stored.
func (s *Storage) SetObjects(group, resource string, n int) {
	if s == nil {
		return
	}
	i := s.caches.get(groupResource{group, resource})
	i.objects.Set(float64(n))
	i.deprecatedObjects.Set(float64(n))
}

// SetObjectBytes tells how many bytes the objects of a resource have together.
func (s *Storage) SetObjectBytes(group, resource string, n int64) {
	if s != nil {
		s.caches.get(groupResource{group, resource}).bytes.Set(float64(n))
	}
}

// Initialized counts that a cache was filled from the store.
func (s *Storage) Initialized(group, resource string) {
	if s != nil {
		s.caches.get(groupResource{group, resource}).initialized.Inc()
	}
}

// WatchersTerminated counts one watcher that fell off the history.
func (s *Storage) WatchersTerminated(group, resource string) {
	if s != nil {
		s.caches.get(groupResource{group, resource}).terminated.Inc()
	}
}

// InitialEvents counts what a watcher was sent of the time before it came.
func (s *Storage) InitialEvents(group, resource string, n int) {
	if s != nil {
		s.caches.get(groupResource{group, resource}).initial.Add(float64(n))
	}
}

// SetCapacity tells how many changes the history of a resource can hold.
func (s *Storage) SetCapacity(group, resource string, n int) {
	if s != nil {
		s.caches.get(groupResource{group, resource}).capacity.Set(float64(n))
	}
}

// ConsistentRead counts a read that had to be fresh, how long it waited and whether the cache got there in time.
func (s *Storage) ConsistentRead(group, resource string, wait time.Duration, fresh bool) {
	if s == nil {
		return
	}
	i := s.caches.get(groupResource{group, resource})
	i.wait.Observe(wait.Seconds())
	if fresh {
		i.fresh.Inc()
	} else {
		i.stale.Inc()
	}
}

// DecodeError counts a stored object that could not be decoded.
func (s *Storage) DecodeError(group, resource string) {
	if s != nil {
		s.caches.get(groupResource{group, resource}).decodeErrors.Inc()
	}
}

// SetSize tells how large the store's database is.
func (s *Storage) SetSize(bytes int64) {
	if s != nil {
		s.size.Set(float64(bytes))
	}
}
