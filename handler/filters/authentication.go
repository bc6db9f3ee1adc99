package filters

import (
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/metrics"
)

// withAuthentication finds out who asks. Credentials go no further: whoever is behind this filter learns the user,
// never the means to become that user.
func withAuthentication(c *Config) filter {
	a := &authentication{authenticator: c.Authenticator, headers: newIdentityHeaders(c), auditor: c.Auditor, metrics: c.Metrics}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if a.authenticate(w, r) {
				next.ServeHTTP(w, r)
			}
		})
	}
}

type authentication struct {
	authenticator authenticator.Request
	headers       *identityHeaders
	auditor       Auditor
	metrics       *metrics.Metrics
}

// authenticate reports whether the request may go on; if not, it has been answered.
func (a *authentication) authenticate(w http.ResponseWriter, r *http.Request) bool {
	rq := requestOf(r)
	start := time.Now()
	response, ok, err := a.authenticator.AuthenticateRequest(r)
	took := time.Since(start)
	a.metrics.Requests.Filter("authentication", took)
	if err != nil || !ok || response == nil || response.User == nil {
		result := metrics.Failure
		if err != nil {
			result = metrics.Error
			klog.FromContext(r.Context()).Error(err, "Unable to authenticate the request", "path", rq.Info.Path, "auditID", rq.AuditID)
		}
		a.metrics.Authentication.Observe(result, took)
		closeHTTP2(w, r)
		refusal := apierrors.NewUnauthorized("Unauthorized")
		if a.auditor != nil {
			auditFailure(a.auditor, r, refusal, attempted(r))
		}
		handler.WriteError(w, r, refusal)
		return false
	}
	a.metrics.Authentication.Observe(metrics.Success, took)
	a.metrics.Authentication.User(response.User.GetName())
	if response.User.GetName() == user.Anonymous {
		closeHTTP2(w, r)
	}
	a.headers.remove(r.Header)
	rq.User = response.User
	return true
}

// closeHTTP2 lets a client that has not shown who it is send one request per connection: opening and resetting streams
// is too cheap for attackers (CVE-2023-44487).
func closeHTTP2(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 2 {
		w.Header().Set("Connection", "close")
	}
}
