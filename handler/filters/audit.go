package filters

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditapi "k8s.io/apiserver/pkg/apis/audit"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/metrics"
)

// Auditor decides what is written down of a request, and does it.
type Auditor interface {
	// Begin returns the Record of a request, nil when nothing is written down. Its user is known, or could not be found out.
	Begin(r *http.Request, rq *handler.Request) *handler.Record
	// Write writes down that a request with a Record has come to a stage. It is false when the request may not go on because that failed.
	Write(rq *handler.Request, stage auditapi.Stage) bool
	// Explain tells how much would be written down of a request, and when.
	Explain(rq *handler.Request) (decision, why string)
}

// withAudit has requests written down as the policy says (contract 2.5). Without an auditor the filter is not there.
func withAudit(a Auditor, m *metrics.Metrics) filter {
	return func(next http.Handler) http.Handler {
		if a == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rq, start := requestOf(r), time.Now()
			rq.Record = a.Begin(r, rq)
			if rq.Record == nil {
				m.Requests.Filter("audit", time.Since(start))
				next.ServeHTTP(w, r)
				return
			}
			arrived := a.Write(rq, auditapi.StageRequestReceived)
			m.Requests.Filter("audit", time.Since(start))
			if !arrived {
				m.Audit.Rejected()
				http.Error(w, fmt.Sprintf("Internal Server Error: %q: failed to store audit event", r.RequestURI), http.StatusInternalServerError)
				return
			}
			audited(a, w, r, next)
		})
	}
}

// audited serves a request and writes down how it went.
func audited(a Auditor, w http.ResponseWriter, r *http.Request, next http.Handler) {
	rq, rw := requestOf(r), writerOf(w)
	if rq.LongRunning {
		others := rw.onCommit
		rw.onCommit = func(code int) {
			if others != nil {
				others(code)
			}
			answered(rq.Record, code)
			a.Write(rq, auditapi.StageResponseStarted)
		}
	}
	defer func() {
		reason := recover()
		switch reason {
		case nil:
			complete(a, r, rw, true)
			return
		case http.ErrAbortHandler:
			// Nothing has panicked: the client has gone, or who answers (an extension API server, the store) could not go on.
			complete(a, r, rw, false)
		default:
			rq.Record.AddStatus(internalError(fmt.Sprintf("APIServer panic'd: %v", reason)))
			a.Write(rq, auditapi.StagePanic)
		}
		panic(reason)
	}()
	next.ServeHTTP(w, r)
}

// incomplete is the annotation of an event whose answer was broken off by the server's side.
const incomplete = "portico/incomplete-answer"

func internalError(message string) *metav1.Status {
	return &metav1.Status{
		Status: metav1.StatusFailure, Reason: metav1.StatusReasonInternalError, Code: http.StatusInternalServerError, Message: message,
	}
}

// complete writes down the answer. When the deadline has answered in the handler's place, that is the answer. An answer that is not whole was
// broken off by the client's side or by ours.
func complete(a Auditor, r *http.Request, rw *responseWriter, whole bool) {
	rq, gone := requestOf(r), clientHasGone(r)
	code, late := rw.answered()
	switch {
	case late:
		status := errTimeout.Status()
		rq.Record.AddStatus(&status)
		rq.Record.AddAnswer(nil) // what was on its way has not reached the client
	case code == 0 && gone:
		rq.Record.AddStatus(&metav1.Status{Status: metav1.StatusSuccess, Code: http.StatusOK, Message: "Connection closed early"})
	case code == 0 && !whole:
		rq.Record.AddStatus(internalError("the connection was closed without an answer"))
	case code == 0:
		answered(rq.Record, http.StatusOK) // what an empty answer is sent with
	default:
		answered(rq.Record, code)
	}
	if !whole && !late && !gone {
		rq.Record.Annotate(incomplete, "true")
		rq.Record.AddAnswer(nil) // nobody knows how much of it has reached the client
	}
	noteLatency(rq)
	a.Write(rq, auditapi.StageResponseComplete)
}

// answered notes the code of the answer, unless it is known that it is a Status.
func answered(record *handler.Record, code int) {
	if s := record.Kept().Status; s != nil && int(s.Code) == code {
		return
	}
	record.AddStatus(&metav1.Status{Code: int32(code)})
}

// slow is how long a request takes that its event says so of.
const slow = 500 * time.Millisecond

func noteLatency(rq *handler.Request) {
	if took := time.Since(rq.ReceivedAt); took > slow && rq.Info.Verb != "watch" {
		rq.Record.Annotate("apiserver.latency.k8s.io/total", took.String())
	}
}

// auditFailure writes down a request that comes no further than to the filters before withAudit. There is one event, as by kube-apiserver.
func auditFailure(a Auditor, r *http.Request, failure apierrors.APIStatus, message string) {
	if a == nil {
		return
	}
	rq := requestOf(r)
	record := a.Begin(r, rq)
	if record == nil {
		return
	}
	status := failure.Status()
	status.Message = message
	record.AddStatus(&status)
	rq.Record = record
	a.Write(rq, auditapi.StageResponseStarted)
	rq.Record = nil // what follows is the answer, which is known
}

// attempted says by what a client has tried to show who it is. Of the credentials themselves it says nothing.
func attempted(r *http.Request) string {
	var ways []string
	if _, _, ok := r.BasicAuth(); ok {
		ways = append(ways, "basic")
	}
	scheme, _, ok := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	if ok && strings.EqualFold(scheme, "bearer") {
		ways = append(ways, "bearer")
	}
	if token, ok := handler.QueryValue(r.URL.RawQuery, "access_token"); ok && token != "" {
		ways = append(ways, "access_token")
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		ways = append(ways, "x509")
	}
	if len(ways) == 0 {
		return "Authentication failed, no credentials provided"
	}
	return "Authentication failed, attempted: " + strings.Join(ways, ", ")
}
