package filters

import (
	"net/http"
	"slices"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/metrics"
)

// withMaxInFlight limits how many reads and how many writes are in flight at once. Whoever comes when the server is full is told
// to try again; administrators are let in, or they could not repair what fills it.
func withMaxInFlight(c *Config) filter {
	limits := [2]limit{metrics.ReadOnly: {max: int64(c.MaxRequestsInFlight)}, metrics.Mutating: {max: int64(c.MaxMutatingRequestsInFlight)}}
	m := c.Metrics
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rq := requestOf(r)
			if rq.LongRunning {
				next.ServeHTTP(w, r)
				return
			}
			kind := metrics.Mutating
			if rq.IsReadOnly() {
				kind = metrics.ReadOnly
			}
			if !limits[kind].enter() {
				if !isAdministrator(rq.User) {
					m.Requests.Terminated(callOf(r, rq, 0), http.StatusTooManyRequests)
					handler.WriteError(w, r, apierrors.NewTooManyRequests("Too many requests, please try again later.", 1))
					return
				}
				next.ServeHTTP(w, r)
				return
			}
			defer limits[kind].leave()
			m.Requests.Enter(kind, rq.ReceivedAt)
			defer m.Requests.Leave(kind)
			next.ServeHTTP(w, r)
		})
	}
}

// limit counts what is in flight, without a lock.
type limit struct {
	max     int64 // negative for no limit
	current atomic.Int64
}

func (l *limit) enter() bool {
	if n := l.current.Add(1); l.max >= 0 && n > l.max {
		l.current.Add(-1)
		return false
	}
	return true
}

func (l *limit) leave() { l.current.Add(-1) }

func isAdministrator(u user.Info) bool {
	return u != nil && slices.Contains(u.GetGroups(), user.SystemPrivilegedGroup)
}
