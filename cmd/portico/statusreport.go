package main

import (
	"slices"
	"strings"
	"time"

	"github.com/portico-api/portico/delegation"
)

// report is what `portico status` tells, and the form of its JSON. Rates are of the moment; counts, errors and latencies since the start.
type report struct {
	Server       serverReport        `json:"server"`
	Requests     requestsReport      `json:"requests"`
	Units        []unitReport        `json:"units"`
	APIServices  []apiServiceReport  `json:"apiServices"`
	Store        storeReport         `json:"store"`
	Certificates []certificateReport `json:"certificates"`
}

type serverReport struct {
	URL           string    `json:"url"`
	Version       string    `json:"version"`
	StartTime     time.Time `json:"startTime"`
	UptimeSeconds int64     `json:"uptimeSeconds"`
	Ready         bool      `json:"ready"`
	FailingChecks []string  `json:"failingChecks"`
}

type requestsReport struct {
	answers
	InFlight    int `json:"inFlight"`
	LongRunning int `json:"longRunning"`
}

// answers are what the requests to something came to.
type answers struct {
	PerSecond  float64 `json:"perSecond"`
	Total      int64   `json:"total"`
	Failed     int64   `json:"failed"`
	P99Seconds float64 `json:"p99Seconds,omitempty"` // the bucket of the 99th percentile
}

type unitReport struct {
	delegation.UnitStatus
	// CustomGroupVersions are those of custom resources.
	CustomGroupVersions []string `json:"customGroupVersions,omitempty"`
	Requests            answers  `json:"requests"`
}

type storeReport struct {
	SizeBytes  int64   `json:"sizeBytes"`
	Objects    int64   `json:"objects"`
	PerSecond  float64 `json:"requestsPerSecond"`
	Total      int64   `json:"requests"`
	Failed     int64   `json:"failed"`
	WriteP99   float64 `json:"writeP99Seconds"`
	ReadAtOnce float64 `json:"readWaitP99Seconds"`
}

type certificateReport struct {
	Name    string    `json:"name"`
	Expires time.Time `json:"expires"`
}

const (
	requestTotal    = "apiserver_request_total"
	requestDuration = "apiserver_request_duration_seconds" // its buckets are finer than those of the objective
)

// interval is two scrapes, of which the rates are made.
type interval struct{ first, last *scrape }

func (i *interval) perSecond(name string, l labels) float64 {
	return max(0, (i.last.sum(name, l)-i.first.sum(name, l))/i.last.at.Sub(i.first.at).Seconds())
}

func (i *interval) answers(l labels) answers {
	short := labels{"verb": "!WATCH", "dry_run": ""}
	for name, value := range l {
		short[name] = value
	}
	return answers{
		PerSecond:  i.perSecond(requestTotal, l),
		Total:      int64(i.last.sum(requestTotal, l)),
		Failed:     int64(i.last.failed(requestTotal, l)),
		P99Seconds: i.last.within(0.99, requestDuration, short),
	}
}

func (i *interval) requests() requestsReport {
	return requestsReport{
		answers:     i.answers(nil),
		InFlight:    int(i.last.sum("apiserver_current_inflight_requests", nil)),
		LongRunning: int(i.last.sum("apiserver_longrunning_requests", nil)),
	}
}

// unit tells of a unit; the latency of units is not measured apart.
func (i *interval) unit(u delegation.UnitStatus) unitReport {
	const name = "portico_unit_requests_total"
	l := labels{"unit": u.Name}
	return unitReport{UnitStatus: u, Requests: answers{PerSecond: i.perSecond(name, l), Total: int64(i.last.sum(name, l)), Failed: int64(i.last.failed(name, l))}}
}

func (i *interval) store() storeReport {
	return storeReport{
		SizeBytes:  int64(i.last.sum("apiserver_storage_size_bytes", nil)),
		Objects:    int64(i.last.sum("apiserver_resource_objects", nil)),
		PerSecond:  i.perSecond("etcd_requests_total", nil),
		Total:      int64(i.last.sum("etcd_requests_total", nil)),
		Failed:     int64(i.last.sum("etcd_request_errors_total", nil)),
		WriteP99:   i.last.within(0.99, "etcd_request_duration_seconds", labels{"operation": "!list"}),
		ReadAtOnce: i.last.within(0.99, "apiserver_watch_cache_read_wait_seconds", nil),
	}
}

func (i *interval) certificates() []certificateReport {
	var all []certificateReport
	for name, end := range i.last.by("portico_certificate_expiration_timestamp_seconds", "certificate") {
		all = append(all, certificateReport{name, time.Unix(int64(end), 0).UTC()})
	}
	slices.SortFunc(all, func(a, b certificateReport) int { return strings.Compare(a.Name, b.Name) })
	return all
}
