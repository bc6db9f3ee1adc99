package metrics

import "github.com/prometheus/client_golang/prometheus"

// listInstruments are about the lists of one resource that were read from the store.
type listInstruments struct{ total, fetched, evaluated, returned prometheus.Counter }

func newStorageLists(r prometheus.Registerer) func(group, resource string) listInstruments {
	lists := counters(r, "apiserver_storage_list_total", "[ALPHA] Lists read from the store, to fill a cache or to answer for the past; what clients list comes from memory.", "group", "resource")
	fetched := counters(r, "apiserver_storage_list_fetched_objects_total", "[ALPHA] Objects read from the store by lists.", "group", "resource")
	evaluated := counters(r, "apiserver_storage_list_evaluated_objects_total", "[ALPHA] Objects of lists from the store that were looked into.", "group", "resource")
	returned := counters(r, "apiserver_storage_list_returned_objects_total", "[ALPHA] Objects that lists from the store have returned.", "group", "resource")
	return func(group, resource string) listInstruments {
		return listInstruments{
			total:     lists.WithLabelValues(group, resource),
			fetched:   fetched.WithLabelValues(group, resource),
			evaluated: evaluated.WithLabelValues(group, resource),
			returned:  returned.WithLabelValues(group, resource),
		}
	}
}

// Listed counts one list that was read from the store: how many objects it read, and how many of them were of use.
func (s *Storage) Listed(group, resource string, fetched, returned int) {
	if s == nil {
		return
	}
	i := s.caches.get(groupResource{group, resource}).lists
	i.total.Inc()
	i.fetched.Add(float64(fetched))
	i.evaluated.Add(float64(fetched))
	i.returned.Add(float64(returned))
}
