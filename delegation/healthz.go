package delegation

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"k8s.io/klog/v2"

	"github.com/portico-api/portico/metrics"
)

// pathRegistry is where the health endpoints are installed.
type pathRegistry interface {
	Handle(path string, h http.Handler)
}

// healthEndpoint answers /healthz, /livez or /readyz (contract 9).
type healthEndpoint struct {
	name     string
	checks   []HealthCheck
	observer *metrics.Health

	// told is what the log was told last: which checks fail, or that there are none; nil before all checks have passed once.
	told atomic.Pointer[string]
}

// tell tells the log when something has changed since a server that was all right: why is for the log only, and a probe asks every
// few seconds. What is not there yet at the start, and what goes on, is for who wants to know more.
func (e *healthEndpoint) tell(r *http.Request, failures []string) {
	log, now := klog.FromContext(r.Context()), namesOf(failures)
	before := e.told.Load()
	switch {
	case before == nil && now == "":
		e.told.CompareAndSwap(nil, &now)
	case before != nil && *before != now && e.told.CompareAndSwap(before, &now):
		if now == "" {
			log.Info("Health checks pass again", "endpoint", e.name, "failed", *before)
			return
		}
		log.Info("Health check failed", "endpoint", e.name, "failures", failures)
	case now != "":
		log.V(2).Info("Health check failed", "endpoint", e.name, "failures", failures)
	}
}

// install adds the endpoint and a path for each of its checks to mux.
func (e *healthEndpoint) install(mux pathRegistry) {
	mux.Handle("/"+e.name, e)
	for _, c := range e.checks {
		mux.Handle("/"+e.name+"/"+c.Name, singleCheck(c))
	}
}

// singleCheck tells why a check fails: whoever may read this path was authorized for it.
func singleCheck(c HealthCheck) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := c.Check(r.Context()); err != nil {
			http.Error(w, fmt.Sprintf("internal server error: %v", err), http.StatusInternalServerError)
			return
		}
		writePlain(w, []byte("ok"))
	})
}

func (e *healthEndpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	report, failures := e.run(r, query["exclude"])
	if len(query["exclude"]) == 0 {
		e.tell(r, failures)
	}
	if len(failures) > 0 {
		http.Error(w, fmt.Sprintf("%s%s check failed", report, e.name), http.StatusInternalServerError)
		return
	}
	if !query.Has("verbose") {
		writePlain(w, []byte("ok"))
		return
	}
	writePlain(w, fmt.Appendf(report, "%s check passed\n", e.name))
}

// run makes all checks but the excluded ones. The report says which fail; why is for the log only,
// because health is public.
func (e *healthEndpoint) run(r *http.Request, excluded []string) (report []byte, failures []string) {
	var out bytes.Buffer
	unmatched := slices.Compact(slices.Sorted(slices.Values(excluded)))
	for _, c := range e.checks {
		if slices.Contains(excluded, c.Name) {
			fmt.Fprintf(&out, "[+]%s excluded: ok\n", c.Name)
			unmatched = without(unmatched, c.Name)
			continue
		}
		if c.Group != "" && slices.Contains(excluded, c.Group) {
			fmt.Fprintf(&out, "[+]%s excluded with %s: ok\n", c.Name, c.Group)
			unmatched = without(unmatched, c.Group)
			continue
		}
		err := c.Check(r.Context())
		e.observer.Observe(c.Name, e.name, err == nil)
		if err != nil {
			fmt.Fprintf(&out, "[-]%s failed: reason withheld\n", c.Name)
			failures = append(failures, c.Name+": "+err.Error())
			continue
		}
		fmt.Fprintf(&out, "[+]%s ok\n", c.Name)
	}
	if len(unmatched) > 0 {
		fmt.Fprintf(&out, "warn: some health checks cannot be excluded: no matches for %s\n", quoted(unmatched))
	}
	return out.Bytes(), failures
}

// namesOf are the checks that fail, without the reasons: those may be worded anew each time.
func namesOf(failures []string) string {
	names := make([]string, len(failures))
	for i, f := range failures {
		names[i], _, _ = strings.Cut(f, ": ")
	}
	return strings.Join(names, ", ")
}

func without(names []string, name string) []string {
	return slices.DeleteFunc(names, func(n string) bool { return n == name })
}

func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(out, ",")
}

func writePlain(w http.ResponseWriter, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.Write(body) // an error here is the client's going away
}
