package filters_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/filters"
)

// took makes a request as old as that.
func took(d time.Duration, code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		rq, _ := handler.RequestFrom(r.Context())
		rq.ReceivedAt = rq.ReceivedAt.Add(-d)
		w.WriteHeader(code)
	}
}

func TestARequestThatFailsOrIsSlowHasALineWithItsAuditIDAndNoOtherHas(t *testing.T) {
	for name, test := range map[string]struct {
		target  string
		handler http.HandlerFunc
		want    []string // in the line; none means that there is none
	}{
		"one that fails":               {"/api/v1/nodes/a", took(0, 503), []string{"resp=503", `verb="get"`, `URI="/api/v1/nodes/a"`, `user="someone"`}},
		"one that is slow":             {"/api/v1/nodes/a", took(6*time.Second, 200), []string{"resp=200", `latency="6.`}},
		"one that is cut off":          {"/api/v1/nodes/a", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); panic(http.ErrAbortHandler) }, []string{"unfinished=true"}},
		"one that is all right":        {"/api/v1/nodes/a", took(0, 200), nil},
		"one that was a mistake":       {"/api/v1/nodes/a", took(0, 404), nil},
		"a watch, which may take long": {"/api/v1/nodes?watch=1", took(time.Hour, 200), nil},
		"health, which tells itself":   {"/readyz", took(0, 500), nil},
	} {
		t.Run(name, func(t *testing.T) {
			logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true)))
			r := httptest.NewRequest(http.MethodGet, test.target, nil)
			r.Header.Set("Audit-Id", "the-id")
			r.Header.Set("Authorization", "Bearer planted")
			func() {
				defer func() { _ = recover() }()
				filters.DefaultBuildHandlerChain(test.handler, config()).ServeHTTP(httptest.NewRecorder(), r.WithContext(klog.NewContext(t.Context(), logger)))
			}()
			log := logger.GetSink().(ktesting.Underlier).GetBuffer().String()
			lines := strings.Count(log, "INFO HTTP verb")
			if (lines == 1) != (test.want != nil) || lines > 1 {
				t.Fatalf("%d lines:\n%s", lines, log)
			}
			if test.want == nil {
				return
			}
			for _, want := range append(test.want, `audit-ID="the-id"`) {
				if !strings.Contains(log, want) {
					t.Errorf("%s is not in %s", want, log)
				}
			}
			if strings.Contains(log, "planted") {
				t.Errorf("the line has a credential: %s", log)
			}
		})
	}
}
