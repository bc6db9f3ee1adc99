package hookclient_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	registrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/portico-api/portico/delegation/hookclient"
)

func TestAWebhookIsToldWhoAsksAndOfTheTraceItIsAPartOf(t *testing.T) {
	var told, agent string
	hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told, agent = r.Header.Get("Traceparent"), r.UserAgent()
		w.Write([]byte("{}"))
	}))
	defer hook.Close()
	bundle := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})
	client := hookclient.NewClients(nil, "portico/test", nil).Of(&registrationv1.WebhookClientConfig{URL: &hook.URL, CABundle: bundle})

	if _, err := client.Post(t.Context(), []byte("{}"), time.Minute); err != nil || told != "" || agent != "portico/test" {
		t.Errorf("without a trace: told of %q by %q, %v", told, agent, err)
	}
	ctx, span := sdktrace.NewTracerProvider().Tracer("test").Start(t.Context(), "request")
	defer span.End()
	if _, err := client.Post(ctx, []byte("{}"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if want := "00-" + span.SpanContext().TraceID().String() + "-" + span.SpanContext().SpanID().String() + "-01"; told != want {
		t.Errorf("told of %q, want %q", told, want)
	}
}
