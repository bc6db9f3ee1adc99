package filters

import (
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/metrics"
)

// withWaitGroup counts the requests that a shutdown waits for, and refuses those that come after it began to.
// Whoever asks for health or metrics is answered to the end.
func withWaitGroup(wg WaitGroup, m *metrics.Metrics) filter {
	return func(next http.Handler) http.Handler {
		if wg == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rq := requestOf(r)
			if rq.LongRunning {
				next.ServeHTTP(w, r)
				return
			}
			if err := wg.Add(); err != nil {
				if probes(rq.Info.Path) {
					next.ServeHTTP(w, r)
					return
				}
				m.Requests.Terminated(callOf(r, rq, 0), http.StatusServiceUnavailable)
				handler.WriteError(w, r, errShuttingDown())
				return
			}
			defer wg.Done()
			next.ServeHTTP(w, r)
		})
	}
}

func probes(path string) bool {
	for _, prefix := range []string{"/readyz", "/livez", "/healthz", "/metrics"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

func errShuttingDown() error {
	err := apierrors.NewServiceUnavailable("apiserver is shutting down")
	err.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: 1}
	return err
}
