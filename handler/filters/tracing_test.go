package filters_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/filters"
)

const (
	clientsTrace = "0af7651916cd43dd8448eb211c80319c"
	sampled      = "00-" + clientsTrace + "-b7ad6b7169203331-01"
)

// tracer records what is sampled at the given rate when no client decides.
func tracer(rate float64) (*tracetest.SpanRecorder, trace.Tracer) {
	recorder := tracetest.NewSpanRecorder()
	return recorder, sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(rate))), sdktrace.WithSpanProcessor(recorder)).Tracer("test")
}

func as(c *filters.Config, groups ...string) *filters.Config {
	c.Authenticator = everyone(&user.DefaultInfo{Name: "someone", Groups: groups})
	return c
}

func TestWhoMayDecideThatARequestIsTraced(t *testing.T) {
	for name, test := range map[string]struct {
		groups      []string
		traceparent string
		rate        float64
		spans       bool
		clients     bool // in the trace of the client
	}{
		"an administrator":                     {[]string{"system:masters"}, sampled, 0, true, true},
		"who monitors":                         {[]string{"system:monitoring"}, sampled, 0, true, true},
		"an administrator who does not want":   {[]string{"system:masters"}, sampled[:len(sampled)-1] + "0", 1, false, false},
		"an administrator who says nothing":    {[]string{"system:masters"}, "", 0, false, false},
		"nobody in particular":                 {[]string{"system:authenticated"}, sampled, 0, false, false},
		"nobody in particular, by chance":      {[]string{"system:authenticated"}, sampled, 1, true, false},
		"who says nothing, by chance":          {[]string{"system:authenticated"}, "", 1, true, false},
		"an administrator who writes nonsense": {[]string{"system:masters"}, "00-nonsense", 0, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			recorder, tracer := tracer(test.rate)
			c := as(config(), test.groups...)
			c.Tracer = tracer
			var handedOn string
			behind := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				handedOn = r.Header.Get("Traceparent")
				_, span := handler.StartSpan(r.Context(), "behind")
				span.End(nil)
			})
			ask(t, behind, c, "GET", "/apis/g/v/namespaces/n/r/x", "Traceparent", test.traceparent)

			var root sdktrace.ReadOnlySpan
			names := map[string]bool{}
			for _, span := range recorder.Ended() {
				names[span.Name()] = true
				if span.SpanKind() == trace.SpanKindServer {
					root = span
				}
			}
			if (root != nil) != test.spans {
				t.Fatalf("spans: %v", names)
			}
			if test.traceparent == sampled && !test.clients && len(handedOn) > 35 && handedOn[3:35] == clientsTrace {
				t.Errorf("what is behind is told of the client's trace: %s", handedOn)
			}
			if root == nil {
				return
			}
			wantSpans(t, names, "GET /apis/g/v/namespaces/{:namespace}/r/{:name}", "authorization", "behind")
			if got := root.SpanContext().TraceID().String() == clientsTrace; got != test.clients {
				t.Errorf("in the client's trace: %v", got)
			}
			if handedOn != "00-"+root.SpanContext().TraceID().String()+"-"+root.SpanContext().SpanID().String()+"-01" {
				t.Errorf("handed on %q, want the server's span", handedOn)
			}
			if !hasAttribute(root, attribute.Int("http.response.status_code", 200)) {
				t.Errorf("attributes: %v", root.Attributes())
			}
		})
	}
}

func wantSpans(t *testing.T, got map[string]bool, want ...string) {
	t.Helper()
	for _, name := range want {
		if !got[name] {
			t.Errorf("no span %q among %v", name, got)
		}
	}
}

func hasAttribute(span sdktrace.ReadOnlySpan, want attribute.KeyValue) bool {
	for _, a := range span.Attributes() {
		if a == want {
			return true
		}
	}
	return false
}

func TestAWatchHasASpanForItsWholeLifeAndOneForItsOpening(t *testing.T) {
	recorder, tracer := tracer(1)
	c := config()
	c.Tracer = tracer
	var before, during map[string]bool
	watch := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before = spanNames(recorder)
		w.WriteHeader(http.StatusOK)
		during = spanNames(recorder)
	})
	ask(t, watch, c, "GET", "/api/v1/nodes?watch=1")
	const life = "GET /api/v1/nodes"
	if before["opening"] || !during["opening"] || during[life] {
		t.Errorf("ended before it is open: %v, while it is open: %v", before, during)
	}
	wantSpans(t, spanNames(recorder), life, "opening")
	if value(t, c.Metrics, "apiserver_longrunning_requests") != 0 {
		t.Error("the watch is still shown as open")
	}
}

func TestAStreamThatNeverOpensHasItsSpansToo(t *testing.T) {
	recorder, tracer := tracer(1)
	c := config()
	c.Tracer = tracer
	func() {
		defer func() { _ = recover() }()
		ask(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), c, "GET", "/api/v1/nodes?watch=1")
	}()
	wantSpans(t, spanNames(recorder), "GET /api/v1/nodes", "opening")
}

func TestAnUpgradeHasSpansAndTheCodeOfASwitch(t *testing.T) {
	recorder, tracer := tracer(1)
	c := config()
	c.Tracer = tracer
	upgrade := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
		if !spanNames(recorder)["opening"] {
			t.Error("the stream is open and its opening has not ended")
		}
	})
	url, clients := serve(t, upgrade, c)
	r, err := http.NewRequest(http.MethodPost, url+"/api/v1/namespaces/n/pods/x/exec", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "x")
	response, err := clients["HTTP/1.1"].Do(r)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, response.Body)
	response.Body.Close()
	const life = "POST /api/v1/namespaces/{:namespace}/pods/{:name}/exec"
	for deadline := time.Now().Add(10 * time.Second); !spanNames(recorder)[life] && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	for _, span := range recorder.Ended() {
		if span.Name() == life {
			if !hasAttribute(span, attribute.Int("http.response.status_code", 101)) {
				t.Errorf("attributes: %v", span.Attributes())
			}
			return
		}
	}
	t.Errorf("no span %q among %v", life, spanNames(recorder))
}

func spanNames(recorder *tracetest.SpanRecorder) map[string]bool {
	names := map[string]bool{}
	for _, span := range recorder.Ended() {
		names[span.Name()] = true
	}
	return names
}
