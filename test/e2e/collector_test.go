package e2e

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	collectortracev1 "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
)

// collector takes spans by OTLP over gRPC, as an OpenTelemetry collector does.
type collector struct {
	collectortracev1.UnimplementedTraceServiceServer
	address string

	mu    sync.Mutex
	spans []receivedSpan
}

// receivedSpan is a span in words.
type receivedSpan struct {
	service, instance, name   string
	traceID, spanID, parentID string
	attributes                map[string]string
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &collector{address: listener.Addr().String()}
	server := grpc.NewServer()
	collectortracev1.RegisterTraceServiceServer(server, c)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		server.Stop()
		serving.Wait()
	})
	return c
}

// Export implements the service of the protocol.
func (c *collector) Export(_ context.Context, request *collectortracev1.ExportTraceServiceRequest) (*collectortracev1.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, from := range request.ResourceSpans {
		about := map[string]string{}
		for _, a := range from.Resource.Attributes {
			about[a.Key] = a.Value.GetStringValue()
		}
		for _, scope := range from.ScopeSpans {
			for _, s := range scope.Spans {
				span := receivedSpan{about["service.name"], about["service.instance.id"], s.Name, hex.EncodeToString(s.TraceId), hex.EncodeToString(s.SpanId), hex.EncodeToString(s.ParentSpanId), map[string]string{}}
				for _, a := range s.Attributes {
					span.attributes[a.Key] = a.Value.GetStringValue()
				}
				c.spans = append(c.spans, span)
			}
		}
	}
	return &collectortracev1.ExportTraceServiceResponse{}, nil
}

// trace returns what has arrived of a trace.
func (c *collector) trace(id string) []receivedSpan {
	c.mu.Lock()
	defer c.mu.Unlock()
	var spans []receivedSpan
	for _, s := range c.spans {
		if s.traceID == id {
			spans = append(spans, s)
		}
	}
	return spans
}

// config writes a TracingConfiguration that sends to c.
func (c *collector) config(t *testing.T, version string, perMillion int) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "tracing.yaml")
	text := fmt.Sprintf("apiVersion: apiserver.config.k8s.io/%s\nkind: TracingConfiguration\nendpoint: %s\nsamplingRatePerMillion: %d\n", version, c.address, perMillion)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
