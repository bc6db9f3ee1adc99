package filters_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type waitGroup struct {
	draining bool
	n        atomic.Int64
}

func (g *waitGroup) Add() error {
	if g.draining {
		return errors.New("draining")
	}
	g.n.Add(1)
	return nil
}

func (g *waitGroup) Done() { g.n.Add(-1) }

func TestShutdownWaitsForRequestsAndRefusesNewOnes(t *testing.T) {
	c, group := config(), &waitGroup{}
	c.WaitGroup = group
	counts := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, group.n.Load()) })
	if got := ask(t, counts, c, "GET", "/api/v1/nodes").Body.String(); got != "1" {
		t.Errorf("%s requests are waited for, want 1", got)
	}
	if got := ask(t, counts, c, "GET", "/api/v1/nodes?watch=1").Body.String(); got != "0" {
		t.Errorf("%s watches are waited for, want 0", got)
	}
	if got := group.n.Load(); got != 0 {
		t.Errorf("%d requests are waited for after all have ended", got)
	}
	group.draining = true
	w := ask(t, ok, c, "GET", "/api/v1/nodes")
	if s := status(t, w); w.Code != 503 || s.Reason != metav1.StatusReasonServiceUnavailable || s.Message != "apiserver is shutting down" ||
		w.Header().Get("Retry-After") != "1" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a new request is answered %d %+v %v", w.Code, s, w.Header())
	}
	for _, path := range []string{"/readyz", "/livez/ping", "/healthz", "/metrics"} {
		if w := ask(t, ok, c, "GET", path); w.Code != 200 {
			t.Errorf("GET %s = %d during shutdown, want 200", path, w.Code)
		}
	}
}
