package audit

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	auditapi "k8s.io/apiserver/pkg/apis/audit"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/metrics"
)

// Auditor writes down what requests come to, as a policy says, in all of its backends.
type Auditor struct {
	policy   *Policy
	backends []*Backend
	metrics  *metrics.Audit
}

// New returns an auditor. Backends that keep events for a while hand them on once it runs.
func New(policy *Policy, m *metrics.Audit, backends ...*Backend) *Auditor {
	return &Auditor{policy, backends, m}
}

// Run hands on what backends keep for a while, until ctx ends and the last of it is handed on. No request may come to a stage afterwards.
func (a *Auditor) Run(ctx context.Context) error {
	var running sync.WaitGroup
	for _, b := range a.backends {
		running.Go(func() { b.run(ctx) })
	}
	running.Wait()
	return nil
}

const (
	maxUserAgent = 1024
	cutMark      = "...TRUNCATED"
)

// Begin returns what is to be written down of a request; nil for nothing. Its user is known, or could not be found out.
func (a *Auditor) Begin(r *http.Request, rq *handler.Request) *handler.Record {
	wanted := a.policy.of(rq)
	a.metrics.Level(string(wanted.Level))
	if wanted.Level == auditapi.LevelNone {
		return nil
	}
	record := &handler.Record{
		Level:             wanted.Level,
		OmitStages:        wanted.OmitStages,
		OmitManagedFields: wanted.OmitManagedFields,
		URI:               r.RequestURI,
		UserAgent:         r.UserAgent(),
	}
	if record.URI == "" {
		record.URI = r.URL.RequestURI()
	}
	if len(record.UserAgent) > maxUserAgent {
		record.UserAgent = record.UserAgent[:maxUserAgent] + cutMark
	}
	noteAddresses(record, r)
	return record
}

// Explain tells how much the policy wants written down of a request, and when.
func (a *Auditor) Explain(rq *handler.Request) (decision, why string) {
	wanted := a.policy.of(rq)
	switch {
	case wanted.Level == auditapi.LevelNone:
		return string(wanted.Level), "the policy wants nothing written down of it"
	case len(wanted.OmitStages) > 0:
		return string(wanted.Level), fmt.Sprintf("it is written down at every stage but %v", wanted.OmitStages)
	}
	return string(wanted.Level), "it is written down at every stage"
}

// maxAddresses is how many addresses of a client are written down.
const maxAddresses = 32

// noteAddresses notes where r says that it comes from, and in the end where it does.
func noteAddresses(record *handler.Record, r *http.Request) {
	if len(r.Header["X-Forwarded-For"]) == 0 && len(r.Header["X-Real-Ip"]) == 0 {
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil && host != "" {
			record.ComesFrom(host)
		}
		return
	}
	all := utilnet.SourceIPs(r)
	for i, ip := range all {
		if i < maxAddresses-1 || i == len(all)-1 { // the last one is the peer; a client may claim as many others as it likes
			record.SourceIPs = append(record.SourceIPs, ip.String())
		}
	}
}

// Write writes down that a request with a Record has come to a stage. It is false when that must be, and cannot be.
func (a *Auditor) Write(rq *handler.Request, stage auditapi.Stage) bool {
	if rq.Record.Omits(stage) {
		return true
	}
	a.metrics.Event()
	e := newEvent(rq, stage, time.Now())
	ok := true
	for _, b := range a.backends {
		ok = b.put(e) && ok
	}
	return ok
}
