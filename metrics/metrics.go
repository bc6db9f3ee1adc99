package metrics

import (
	"io"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/apimachinery/pkg/version"
)

// Metrics is every instrument of one server, on a registry of its own, so that two servers can live in one
// process. Each field is handed to the package that observes it; all their methods may be called on a nil
// receiver and then do nothing.
type Metrics struct {
	Requests       *Requests
	Storage        *Storage
	Aggregator     *Aggregator
	Backend        *Backend
	Authentication *Authentication
	Authorization  *Authorization
	Admission      *Admission
	Audit          *Audit
	Extensions     *Extensions
	Health         *Health
	Workqueues     *Workqueues
	Units          *Units
	Certificates   *Certificates
	OpenAPI        *OpenAPI
	// BackendPeers and WebhookPeers are the servers behind APIServices, and webhooks.
	BackendPeers, WebhookPeers *Peers

	registry *prometheus.Registry
	shown    *resettable
	slis     *prometheus.Registry
	build    *prometheus.GaugeVec
}

// New returns instruments that nothing has been observed with yet.
func New() *Metrics {
	registry, slis := prometheus.NewRegistry(), prometheus.NewRegistry()
	process := collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})
	registry.MustRegister(process, collectors.NewGoCollector())

	m := &Metrics{registry: registry, slis: slis, shown: &resettable{gatherer: registry}}
	m.build = gauges(registry, "kubernetes_build_info",
		"[ALPHA] A constant 1, labelled with the version this program was built from.",
		"major", "minor", "git_version", "git_commit", "git_tree_state", "build_date", "go_version", "compiler", "platform")
	m.Requests = newRequests(registry)
	m.Storage = newStorage(registry)
	m.Aggregator = newAggregator(registry, m.Requests)
	m.Backend = newBackend(registry)
	m.Authentication = newAuthentication(registry)
	m.Authorization = newAuthorization(registry)
	m.Admission = newAdmission(registry)
	m.Audit = newAudit(registry)
	m.Extensions = newExtensions(registry)
	m.Units = newUnits(registry)
	m.Certificates = newCertificates(registry)
	m.OpenAPI = newOpenAPI(registry)
	m.BackendPeers = newPeers(registry, "apiserver_kube_aggregator", "servers behind APIServices")
	m.WebhookPeers = newPeers(registry, "apiserver_webhooks", "webhooks")
	m.Workqueues = newWorkqueues(registry)
	m.Health = newHealth(slis)
	registerStartTime(slis)
	return m
}

// SetBuildInfo shows which version is running.
func (m *Metrics) SetBuildInfo(v version.Info) {
	if m == nil || m.build == nil {
		return
	}
	m.build.Reset()
	m.build.WithLabelValues(v.Major, v.Minor, v.GitVersion, v.GitCommit, v.GitTreeState, v.BuildDate, v.GoVersion, v.Compiler, v.Platform).Set(1)
}

// Registerer takes the collectors of libraries that bring their own.
func (m *Metrics) Registerer() prometheus.Registerer { return m.registry }

// Gatherer reads what /metrics shows.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.shown }

// Handler serves /metrics as Prometheus text or OpenMetrics, compressed when the client accepts it.
func (m *Metrics) Handler() http.Handler { return serve(m.shown) }

// ResettableHandler is Handler, but has all that is counted begin at zero when it is asked to DELETE. It is for who looks for something: whatever
// else reads /metrics then sees what it sees after a restart.
func (m *Metrics) ResettableHandler() http.Handler {
	read := m.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodDelete {
			read.ServeHTTP(w, r)
			return
		}
		if err := m.shown.reset(); err != nil {
			http.Error(w, "resetting the metrics: "+err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = io.WriteString(w, "metrics reset\n")
	})
}

// SLIHandler serves /metrics/slis: the outcome of every health check, for availability objectives.
func (m *Metrics) SLIHandler() http.Handler { return serve(m.slis) }

func serve(r prometheus.Gatherer) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		// One collector that fails must not hide all the others from the operator.
		ErrorHandling: promhttp.ContinueOnError,
	})
}
