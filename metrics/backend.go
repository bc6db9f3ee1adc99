package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Backend observes the endpoints that requests are proxied to. Its series are bounded by the endpoints there are: those of one that is
// gone are removed. An endpoint is some numbers here, and no instruments of the library's: those of its eight families and their labels are 4 KB,
// and there may be thousands of endpoints. What a scrape shows is made of the numbers then.
type Backend struct {
	families backendFamilies

	mu        sync.Mutex
	endpoints map[backendKey]*backendSeries
}

type backendKey struct{ apiService, address string }

func newBackend(r prometheus.Registerer) *Backend {
	b := &Backend{families: newBackendFamilies(), endpoints: map[backendKey]*backendSeries{}}
	r.MustRegister(b)
	return b
}

// Endpoint returns the instruments of one endpoint of an APIService.
func (b *Backend) Endpoint(apiService, address string) *BackendEndpoint {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	key := backendKey{apiService, address}
	s := b.endpoints[key]
	if s == nil {
		s = &backendSeries{since: time.Now()}
		b.endpoints[key] = s
	}
	s.uses++
	return &BackendEndpoint{owner: b, key: key, series: s}
}

// BackendEndpoint observes one endpoint. All its methods may be called on a nil receiver, and after Forget; they then show nothing.
type BackendEndpoint struct {
	owner  *Backend
	key    backendKey
	series *backendSeries // nobody's, when all who observed it have forgotten it
	gone   bool           // under the owner's mu
}

// Answered counts an answer.
func (e *BackendEndpoint) Answered(code int, took time.Duration) {
	if e != nil {
		e.series.answered().count(code, took)
	}
}

// InFlight tells that there are more or fewer requests on their way.
func (e *BackendEndpoint) InFlight(difference int) {
	if e != nil {
		e.series.inFlight.Add(int64(difference))
	}
}

// Connections tells that there are more or fewer connections.
func (e *BackendEndpoint) Connections(difference int) {
	if e != nil {
		e.series.connections.Add(int64(difference))
	}
}

// LeftOut tells that the endpoint is left out, or is not any more.
func (e *BackendEndpoint) LeftOut(difference int) {
	if e != nil {
		e.series.leftOut.Add(int64(difference))
	}
}

// Retried counts a request that failed elsewhere.
func (e *BackendEndpoint) Retried() {
	if e != nil {
		e.series.retries.Add(1)
	}
}

// Failed counts an exchange that was broken off.
func (e *BackendEndpoint) Failed() {
	if e != nil {
		e.series.failures.Add(1)
	}
}

// Ejected counts that the endpoint was left out.
func (e *BackendEndpoint) Ejected() {
	if e != nil {
		e.series.ejections.Add(1)
	}
}

// Forget removes the series of the endpoint, if nobody else observes it.
func (e *BackendEndpoint) Forget() {
	if e == nil {
		return
	}
	b := e.owner
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.gone {
		return
	}
	e.gone = true
	if e.series.uses--; e.series.uses == 0 {
		delete(b.endpoints, e.key)
	}
}
