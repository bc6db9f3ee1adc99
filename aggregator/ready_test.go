package aggregator_test

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// A replica that was restarted listens before it is ready: before it knows its caches, or the front door's certificate, in which case it
// would take every user for anonymous.
func TestAReplicaIsUsedAgainWhenItIsReady(t *testing.T) {
	const document, path = "/apis/wardle.example.com/v1alpha1", "/apis/wardle.example.com/v1alpha1/flunders"
	for name, notReady := range map[string]func(e *extension){
		"its readiness fails": func(e *extension) {
			e.answer("/readyz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
		},
		"it does not know the front door": func(e *extension) {
			e.answer(document, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, "")
			good, bad := newWardle(t, false), newWardle(t, false)
			good.answer(path, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "good") })
			var broken atomic.Int32
			bad.answer(path, func(w http.ResponseWriter, _ *http.Request) {
				broken.Add(1)
				if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
					conn.Close()
				}
			})
			notReady(bad)
			h.services.serve(t, "api", good.address, bad.address)
			h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
			h.eventually("True", func() bool { return h.condition(wardle).Status == "True" })
			h.eventually("three broken exchanges", func() bool {
				if got := h.get(path); got.code != http.StatusOK || got.body != "good" {
					t.Errorf("while one is broken: %d %q", got.code, got.body)
				}
				return broken.Load() >= 3
			})

			bad.answer(path, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "back") })
			for until := time.Now().Add(700 * time.Millisecond); time.Now().Before(until); {
				if got := h.get(path); got.body != "good" {
					t.Fatalf("before it is ready: %d %q", got.code, got.body)
				}
			}
			bad.answer("/readyz", http.NotFound) // as from a server that has no such page
			bad.answerJSON(document, "application/json", wardleList)
			h.eventually("it to be used", func() bool { return h.get(path).body == "back" })
		})
	}
}
