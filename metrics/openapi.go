package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// localChain is all that is described in this process. Upstream calls the parts of it by this name and a number.
const localChain = "k8s_internal_local_delegation_chain"

// Change is why the OpenAPI v2 document has to be made anew.
type Change string

const (
	DocumentAdded   Change = "add"
	DocumentUpdated Change = "update"
	DocumentRemoved Change = "delete"
)

// OpenAPI observes how often the OpenAPI v2 document of the whole chain is made, which is when a client asks for it after a change.
type OpenAPI struct {
	made map[Change]prometheus.Counter
	took *prometheus.GaugeVec // of those that there were: 0 seconds is what nothing takes
}

func newOpenAPI(r prometheus.Registerer) *OpenAPI {
	made := counters(r, "aggregator_openapi_v2_regeneration_count", "[ALPHA] Times the OpenAPI v2 document was made, by what had changed last. It is made when a client asks.", "apiservice", "reason")
	o := &OpenAPI{made: map[Change]prometheus.Counter{}}
	o.took = gauges(r, "aggregator_openapi_v2_regeneration_duration", "[ALPHA] Seconds that it took to make the OpenAPI v2 document, the last time.", "reason")
	for _, why := range []Change{DocumentAdded, DocumentUpdated, DocumentRemoved} {
		o.made[why] = made.WithLabelValues(localChain, string(why))
	}
	return o
}

// Made counts that the document was made after such a change.
func (o *OpenAPI) Made(why Change, took time.Duration) {
	if o == nil {
		return
	}
	o.made[why].Inc()
	o.took.WithLabelValues(string(why)).Set(took.Seconds())
}
