package e2e

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// clientSpans makes and sends the spans of a client.
func clientSpans(t *testing.T, c *collector) trace.Tracer {
	t.Helper()
	exporter, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithInsecure(), otlptracegrpc.WithEndpoint(c.address))
	if err != nil {
		t.Fatal(err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter), sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "client"))))
	t.Cleanup(func() { provider.Shutdown(context.Background()) })
	return provider.Tracer("test")
}

// traced sends a request in a span of its own and returns the trace's ID.
func traced(t *testing.T, tracer trace.Tracer, client *http.Client, method, url, body string, header ...string) (id string) {
	t.Helper()
	ctx, span := tracer.Start(t.Context(), "client", trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(r.Header))
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return span.SpanContext().TraceID().String()
}

func TestATraceSpansClientFrontDoorAndBackend(t *testing.T) {
	t.Parallel()
	spans := startCollector(t)
	p := startPortico(t, "--tracing-config-file", spans.config(t, "v1", 0))
	sample := startSampleAPIServer(t, p.kubeconfig, "--tracing-config-file", spans.config(t, "v1", 0))
	p.kubectl(t, "apply", "-f", wardleManifests(t, sample.port))
	p.kubectl(t, "wait", "--for=condition=Available", "--timeout=60s", "apiservice/"+wardleService)
	tracer, admin := clientSpans(t, spans), p.client(t)

	id := traced(t, tracer, admin, "GET", p.url+"/apis/wardle.example.com/v1alpha1/namespaces/default/flunders", "")
	chain := awaitChain(t, spans, id, "client client", "apiserver GET /apis/wardle.example.com/v1alpha1/namespaces/{:namespace}/flunders", "apiserver director", "apiserver proxy")
	// What the proxy's span contains is of another process.
	var backend *receivedSpan
	eventually(t, "the backend's span is below the proxy's", func() bool {
		backend = child(spans.trace(id), chain[len(chain)-1])
		return backend != nil
	})
	t.Logf("the backend's span is %q of %q", backend.name, backend.service)
	if backend.instance == chain[1].instance || chain[1].instance == "" {
		t.Errorf("the span below the proxy's is not of the backend: %+v", backend)
	}

	// A watch has a span as long as it lasts, through all stations, and one for its opening.
	id = traced(t, tracer, admin, "GET", p.url+"/apis/wardle.example.com/v1alpha1/namespaces/default/flunders?watch=1&timeoutSeconds=1", "")
	life := "apiserver GET /apis/wardle.example.com/v1alpha1/namespaces/{:namespace}/flunders"
	awaitChain(t, spans, id, "client client", life, "apiserver opening")
	awaitChain(t, spans, id, "client client", life, "apiserver director", "apiserver proxy", life)

	// A write ends in the store, three units behind the first.
	id = traced(t, tracer, admin, "POST", p.url+"/api/v1/namespaces/default/configmaps", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"traced"}}`, "Content-Type", "application/json")
	awaitChain(t, spans, id, "client client", "apiserver POST /api/v1/namespaces/{:namespace}/configmaps", "apiserver director", "apiserver director", "apiserver store")
	for _, want := range []string{"filters until authentication", "authorization"} {
		if find(spans.trace(id), func(s receivedSpan) bool { return s.name == want }) == nil {
			t.Errorf("no span %q in %v", want, spans.trace(id))
		}
	}

	// The latency of a traced request leads to its trace.
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	response, err := admin.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), `trace_id="`+id+`"`) {
		t.Error("no exemplar of the traced request in the metrics")
	}

	// Who may not decide that the server traces does not.
	p.kubectl(t, "create", "serviceaccount", "nosy")
	token := strings.TrimSpace(p.kubectl(t, "create", "token", "nosy"))
	id = traced(t, tracer, p.clientWith(t, nil), "GET", p.url+"/version", "", "Authorization", "Bearer "+token)
	last := traced(t, tracer, admin, "GET", p.url+"/version", "")
	awaitChain(t, spans, last, "client client", "apiserver GET") // what was before it has been sent, too
	if of := spans.trace(id); len(of) != 1 {
		t.Errorf("a user in no particular group has made the server trace: %v", of)
	}
}

// awaitChain waits for spans of a trace each of which is the parent of the next, given by service and name, and returns them.
func awaitChain(t *testing.T, c *collector, id string, names ...string) (chain []receivedSpan) {
	t.Helper()
	eventually(t, "the trace has "+strings.Join(names, " > "), func() bool {
		chain = longestChain(c.trace(id), "", names)
		return len(chain) == len(names)
	})
	return chain
}

func longestChain(spans []receivedSpan, parent string, names []string) (longest []receivedSpan) {
	if len(names) == 0 {
		return nil
	}
	for _, s := range spans {
		if s.parentID != parent || s.service+" "+s.name != names[0] {
			continue
		}
		if chain := append([]receivedSpan{s}, longestChain(spans, s.spanID, names[1:])...); len(chain) > len(longest) {
			longest = chain
		}
	}
	return longest
}

func child(spans []receivedSpan, of receivedSpan) *receivedSpan {
	return find(spans, func(s receivedSpan) bool { return s.parentID == of.spanID })
}

func find(spans []receivedSpan, is func(receivedSpan) bool) *receivedSpan {
	for i := range spans {
		if is(spans[i]) {
			return &spans[i]
		}
	}
	return nil
}
