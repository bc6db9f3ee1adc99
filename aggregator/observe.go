package aggregator

import (
	"time"

	"github.com/portico-api/portico/aggregator/backend"
	"github.com/portico-api/portico/metrics"
)

// observer shows what becomes of the endpoints of one APIService in metrics.
type observer struct {
	metrics    *metrics.Backend
	apiService string
}

// Meet implements backend.Observer.
func (o observer) Meet(address string) backend.Witness {
	return witness{o.metrics.Endpoint(o.apiService, address)}
}

type witness struct{ endpoint *metrics.BackendEndpoint }

func (w witness) Answered(code int, took time.Duration) { w.endpoint.Answered(code, took) }

func (w witness) Forget() { w.endpoint.Forget() }

func (w witness) Count(what backend.Quantity, difference int) {
	switch what {
	case backend.InFlight:
		w.endpoint.InFlight(difference)
	case backend.Connections:
		w.endpoint.Connections(difference)
	case backend.LeftOut:
		w.endpoint.LeftOut(difference)
	case backend.Retries:
		w.endpoint.Retried()
	case backend.Failures:
		w.endpoint.Failed()
	case backend.Ejections:
		w.endpoint.Ejected()
	}
}
