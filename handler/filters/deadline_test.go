package filters_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/handler"
)

func TestDeadlines(t *testing.T) {
	for name, test := range map[string]struct {
		target string
		want   time.Duration // 0 for none
	}{
		"is the limit without a wish":    {"/api/v1/nodes", time.Minute},
		"is the client's if shorter":     {"/api/v1/nodes?timeout=7s", 7 * time.Second},
		"is the limit if that is less":   {"/api/v1/nodes?timeout=7h", time.Minute},
		"is the limit for a wish of 0":   {"/api/v1/nodes?timeout=0", time.Minute},
		"is the limit for an empty wish": {"/api/v1/nodes?timeout=", time.Minute},
		"is none for a watch":            {"/api/v1/nodes?watch=1&timeout=7s", 0},
	} {
		t.Run(name, func(t *testing.T) {
			var got time.Duration
			ask(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if deadline, ok := r.Context().Deadline(); ok {
					rq, _ := handler.RequestFrom(r.Context())
					got = deadline.Sub(rq.ReceivedAt)
				}
			}), config(), "GET", test.target)
			if got != test.want {
				t.Errorf("GET %s has %v, want %v", test.target, got, test.want)
			}
		})
	}
	w := ask(t, ok, config(), "GET", "/api/v1/nodes?timeout=soon")
	if s := status(t, w); w.Code != 400 || s.Reason != metav1.StatusReasonBadRequest || !strings.HasPrefix(s.Message, "invalid timeout specified in the request URL - ") {
		t.Errorf("a bad timeout is answered %d %+v", w.Code, s)
	}
}
