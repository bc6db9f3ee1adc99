package delegation

import (
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/handler"
)

// muxIncompleteRetryAfter is how long a client waits before it asks again for a path that may
// still appear.
const muxIncompleteRetryAfter = 5 // seconds

// emptyDelegate ends the chain.
type emptyDelegate struct{}

// NewEmptyDelegate returns the end of a chain. It has nothing and contributes nothing; what reaches
// it exists nowhere: 404 in plain text, or, while a unit is not complete yet, 503. A 404 too early
// is believed by garbage collectors, which then delete things (contract 1.1).
func NewEmptyDelegate() DelegationTarget {
	return emptyDelegate{}
}

// notFound answers what reaches the end of a chain.
type notFound struct{}

// Explain implements handler.Explainer.
func (notFound) Explain(*http.Request) []handler.Station {
	return []handler.Station{{Name: "end of the chain", Decision: http.StatusText(http.StatusNotFound), Why: "no unit has it"}}
}

func (notFound) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req, ok := handler.RequestFrom(r.Context())
	if ok {
		req.Unit = "" // it has passed them all
	}
	if ok && req.MuxIncomplete {
		err := apierrors.NewServiceUnavailable("the server has not finished starting, this path may still appear")
		err.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: muxIncompleteRetryAfter}
		handler.WriteError(w, r, err)
		return
	}
	http.NotFound(w, r)
}

func (e emptyDelegate) UnprotectedHandler() http.Handler { return notFound{} }

func (e emptyDelegate) Contributions() Contributions { return Contributions{} }

func (e emptyDelegate) PrepareRun() PreparedAPIServer { return PreparedAPIServer{} }
