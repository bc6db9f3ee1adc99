package filters

import (
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/metrics"
)

// withMetrics counts every request once, when it ends; long-running ones are also shown while they are open.
func withMetrics(m *metrics.Metrics) filter {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rq, rw := requestOf(r), writerOf(w)
			if rq.LongRunning {
				// Not before the answer begins: only then is it known that there is something to watch.
				ended := func() {}
				rw.onCommit = func(code int) {
					if code < 300 {
						ended = m.Requests.LongRunning(callOf(r, rq, code))
					}
				}
				defer func() { ended() }()
			}
			returned := false
			defer func() {
				if returned {
					rw.finish() // an empty answer is a 200
				}
				count(m, r, rq, rw)
			}()
			next.ServeHTTP(w, r)
			returned = true
		})
	}
}

// count counts a request that has ended.
func count(m *metrics.Metrics, r *http.Request, rq *handler.Request, rw *responseWriter) {
	code := rw.status
	switch {
	case code != 0:
	case clientHasGone(r):
		code = handler.StatusClientClosedRequest
	default:
		code = http.StatusInternalServerError // what the panic will be answered with
	}
	c, took := callOf(r, rq, code), time.Since(rq.ReceivedAt)
	m.Requests.Done(c, metrics.Outcome{Code: code, Took: took, Size: rw.size, Body: r.ContentLength, Added: rq.Waited(), TraceID: rq.TraceID})
	m.Units.Answered(rq.Unit, code)
	if rq.Deprecated {
		m.Requests.Deprecated(c, rq.RemovedRelease)
	}
	if mode, ok := handler.QueryValue(r.URL.RawQuery, "fieldValidation"); ok && !rq.IsReadOnly() {
		m.Requests.FieldValidation(mode, took)
	}
	if rq.User != nil && rq.User.GetName() == user.APIServerUser {
		m.Requests.Self(c)
	}
}

// callOf is the request as metrics see it, with the code it was answered with or 0.
func callOf(r *http.Request, rq *handler.Request, code int) metrics.Call {
	info := &rq.Info
	c := metrics.Call{Verb: metrics.VerbOf(info.Verb)}
	if !info.IsResourceRequest {
		c.Subresource, c.Known = ownPath(info.Path)
		return c
	}
	c.Group, c.Version, c.Resource, c.Subresource = info.APIGroup, info.APIVersion, info.Resource, info.Subresource
	c.Known = rq.Routed || code >= 200 && code < 300 || code == http.StatusNotModified
	c.Scope = scopeOf(info)
	switch {
	case info.Verb == "proxy" || isConnect(info.Subresource):
		c.Verb = metrics.Connect
	case info.Verb == "patch" && r.Header.Get("Content-Type") == string(types.ApplyPatchType):
		c.Verb = metrics.Apply
	}
	if dry, ok := handler.QueryValue(r.URL.RawQuery, "dryRun"); ok {
		c.DryRun = metrics.DryInvalid
		if dry == "All" {
			c.DryRun = metrics.DryAll
		}
	}
	return c
}

// ownPath is the label of a path that is no resource. Clients may ask for any path, so only those that probes and scrapers
// use are told apart.
func ownPath(path string) (label string, known bool) {
	switch path {
	case "/healthz", "/livez", "/readyz", "/version", "/metrics", "/metrics/slis", "/api", "/apis", "/openapi/v2", "/openapi/v3":
		return path, true
	}
	return "", false
}

func scopeOf(info *handler.RequestInfo) metrics.Scope {
	collection := info.Verb == "list" || info.Verb == "watch" || info.Verb == "deletecollection"
	switch {
	case info.Verb == "create" || info.Name != "" && !collection:
		return metrics.ResourceScope
	case info.Namespace != "":
		return metrics.NamespaceScope
	default:
		return metrics.ClusterScope
	}
}

func isConnect(subresource string) bool {
	switch subresource {
	case "log", "exec", "attach", "portforward", "proxy":
		return true
	}
	return false
}
