package aggregator

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/metrics"
)

// route is what becomes of the requests that one APIService claims. It lives as long as the
// APIService; what changes is swapped, so that a request takes no lock.
type route struct {
	name string
	gv   schema.GroupVersion
	next http.Handler // the next delegate, which answers for local APIServices

	metrics *metrics.Aggregator

	service   atomic.Pointer[apiregistrationv1.APIService] // as stored last
	remote    atomic.Pointer[remote]                       // nil when local
	available atomic.Bool
	verdict   atomic.Pointer[verdict] // of the last check; nil before the first
	doubted   atomic.Pointer[time.Time]
}

func newRoute(s *apiregistrationv1.APIService, next http.Handler, m *metrics.Aggregator) *route {
	rt := &route{name: s.Name, gv: groupVersionOf(s), next: next, metrics: m}
	rt.doubt()
	return rt
}

// doubt notes that the server does not answer, or that it is another one: what it was asked before says nothing of what it serves
// when it does.
func (rt *route) doubt() {
	now := time.Now()
	rt.doubted.Store(&now)
}

// ServeHTTP passes r on to the next delegate or to the remote server. An unavailable one is not
// even tried: clients get their answer at once, whatever state the backend is in.
func (rt *route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	remote := rt.remote.Load()
	switch {
	case remote == nil:
		rt.next.ServeHTTP(w, r)
	case !rt.available.Load():
		rt.metrics.ProxyTerminated(verbOf(r), rt.gv.Group, rt.gv.Version, http.StatusServiceUnavailable)
		handler.WriteError(w, r, errUnavailable())
	default:
		ctx, span := handler.StartSpan(r.Context(), "proxy")
		if span.Recording() {
			span.Set("apiservice", rt.name)
			handler.InjectTrace(ctx, r.Header) // the backend's span is a part of this one
			r = r.WithContext(ctx)
			defer span.End(nil)
		}
		remote.requests.ServeHTTP(w, r)
	}
}

// Explain implements handler.Explainer.
func (rt *route) Explain(r *http.Request) []handler.Station {
	name := "APIService " + rt.name
	remote := rt.remote.Load()
	if remote == nil {
		local := handler.Station{Name: name, Decision: "next delegate", Why: "it is local"}
		return append([]handler.Station{local}, handler.Explain(rt.next, r)...)
	}
	service := remote.reference
	behind := fmt.Sprintf("service %s/%s:%d", service.Namespace, service.Name, service.Port)
	if !rt.available.Load() {
		return []handler.Station{{Name: name, Decision: http.StatusText(http.StatusServiceUnavailable), Why: behind + " is not available: " + rt.trouble()}}
	}
	return []handler.Station{{Name: name, Decision: "proxy", Why: behind + " is available"}, remote.explain()}
}

// trouble is what keeps the server from being available, as its condition says.
func (rt *route) trouble() string {
	condition := availableCondition(rt.service.Load())
	if condition == nil {
		return "it has not been looked at"
	}
	return condition.Reason + ", " + condition.Message
}

// path is what rt claims: the document of its group and version and everything below it. The
// nameless group claims the whole of /api (contract 5.4).
func (rt *route) path() string {
	if rt.gv.Group == "" {
		return coreRoot
	}
	return documentPath(rt.gv)
}

func errUnavailable() error {
	return apierrors.NewServiceUnavailable("service unavailable")
}

// documentPath is where the document of a group and version is.
func documentPath(gv schema.GroupVersion) string {
	if gv.Group == "" {
		return coreRoot + "/" + gv.Version
	}
	return groupsRoot + "/" + gv.Group + "/" + gv.Version
}
