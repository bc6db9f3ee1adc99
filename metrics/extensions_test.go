package metrics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/portico-api/portico/metrics"
)

func TestConversionsAreCountedUntilTheirDefinitionIsGone(t *testing.T) {
	m := metrics.New()
	m.Extensions.Converted("things.example.com", "v1", "v2", "", time.Millisecond)
	m.Extensions.Converted("things.example.com", "v1", "v2", "conversion_webhook_partial_response_failure", time.Second)
	page := get(t, m.Handler(), "/metrics")
	for _, want := range []string{
		`apiserver_crd_conversion_webhook_duration_seconds_bucket{crd_name="things.example.com",from_version="v1",succeeded="true",to_version="v2",le="0.001"} 1`,
		`apiserver_crd_conversion_webhook_duration_seconds_count{crd_name="things.example.com",from_version="v1",succeeded="false",to_version="v2"} 1`,
		`apiserver_conversion_webhook_request_total{failure_type="",result="success"} 1`,
		`apiserver_conversion_webhook_request_total{failure_type="conversion_webhook_partial_response_failure",result="failure"} 1`,
		`apiserver_conversion_webhook_duration_seconds_bucket{failure_type="",result="success",le="0.005"} 1`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	m.Extensions.Forget("things.example.com")
	if page := get(t, m.Handler(), "/metrics"); strings.Contains(page, "things.example.com") {
		t.Error("a definition that is no more still has series")
	}
	var nobody *metrics.Extensions
	nobody.Converted("", "", "", "", 0)
	nobody.Forget("")
}
