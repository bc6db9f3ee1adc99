package audit_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditapi "k8s.io/apiserver/pkg/apis/audit"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/client-go/rest"

	"github.com/portico-api/portico/handler/audit"
	"github.com/portico-api/portico/metrics"
)

// leaks returns what finds goroutines that outlive a test. lumberjack never ends the one that removes old logs; there is one for each log.
func leaks(t *testing.T) (find func()) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	return func() {
		goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("gopkg.in/natefinch/lumberjack%2ev2.(*Logger).millRun"))
	}
}

// running is an auditor of everything that writes to b. end has it finish.
func running(t *testing.T, m *metrics.Audit, b *audit.Backend) (a *audit.Auditor, end func()) {
	t.Helper()
	policy, err := audit.ParsePolicy([]byte(head + everything))
	if err != nil {
		t.Fatal(err)
	}
	a = audit.New(policy, m, b)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- a.Run(ctx) }()
	return a, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// say writes down n requests, numbered from first.
func say(t *testing.T, a *audit.Auditor, first, n int) (ok bool) {
	t.Helper()
	ok = true
	for i := first; i < first+n; i++ {
		r, rq := asked(t, nil, "POST", "/api/v1/namespaces/ns/secrets")
		rq.AuditID = fmt.Sprint(i)
		rq.Record = a.Begin(r, rq)
		rq.Record.AddRequest([]byte(`{"a":"` + strings.Repeat("x", 1000) + `"}`))
		rq.Record.AddStatus(&metav1.Status{Code: 200})
		ok = a.Write(rq, auditapi.StageRequestReceived) && ok
	}
	return ok
}

func numbered(t *testing.T, events []auditv1.Event, n int) {
	t.Helper()
	if len(events) != n {
		t.Errorf("%d events, want %d", len(events), n)
		return
	}
	for i, e := range events {
		if string(e.AuditID) != fmt.Sprint(i) {
			t.Errorf("event %d is of request %s", i, e.AuditID)
		}
	}
}

func lost(t *testing.T, m *metrics.Metrics, plugin string) float64 {
	t.Helper()
	return value(t, m.Gatherer(), "apiserver_audit_error_total", plugin)
}

// value is the counter of a name, and with the only label's value when there is one.
func value(t *testing.T, g prometheus.Gatherer, name, label string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			if len(m.GetLabel()) == 0 && label == "" || len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestAFileHasEveryEventAndNobodyElseReadsIt(t *testing.T) {
	defer leaks(t)()
	for _, mode := range []audit.Mode{audit.Blocking, audit.BlockingStrict, audit.Batch} {
		t.Run(string(mode), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "logs", "audit.log")
			b, err := audit.NewFile(file, audit.Rotation{}, audit.JSON, audit.Config{Mode: mode, Batching: audit.Batching{BufferSize: 1000, MaxSize: 7, MaxWait: time.Hour}})
			if err != nil {
				t.Fatal(err)
			}
			a, end := running(t, nil, b)
			if !say(t, a, 0, 100) {
				t.Error("a request may not go on")
			}
			end()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			numbered(t, decodeEvents(t, string(data)), 100)
			if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}

func TestAFileThatIsThereGoesOn(t *testing.T) {
	defer leaks(t)()
	file := filepath.Join(t.TempDir(), "audit.log")
	for i := range 2 {
		b, err := audit.NewFile(file, audit.Rotation{}, audit.JSON, audit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		a, end := running(t, nil, b)
		say(t, a, i, 1)
		end()
	}
	data, _ := os.ReadFile(file)
	numbered(t, decodeEvents(t, string(data)), 2)
}

func TestAFileThatCannotBeWrittenIsNoBackend(t *testing.T) {
	for _, file := range []string{t.TempDir(), "/proc/nowhere/audit.log"} {
		if _, err := audit.NewFile(file, audit.Rotation{}, audit.JSON, audit.Config{}); err == nil || !strings.Contains(err.Error(), filepath.Dir(file)) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestALargeFileIsRotatedAndTheOldOnesAreCounted(t *testing.T) {
	defer leaks(t)()
	dir := t.TempDir()
	b, err := audit.NewFile(filepath.Join(dir, "audit.log"), audit.Rotation{MaxMegabytes: 1, MaxBackups: 2, Compress: true}, audit.JSON, audit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	a, end := running(t, nil, b)
	defer end()
	say(t, a, 0, 5000) // 6 MB
	var old []string
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		all, _ := filepath.Glob(filepath.Join(dir, "*"))
		old, _ = filepath.Glob(filepath.Join(dir, "audit-*.log.gz"))
		if len(old) == 2 && len(all) == 3 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the directory holds %v", all)
		}
	}
	for _, file := range old {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", file, info.Mode(), err)
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(z)
		if err != nil || len(decodeEvents(t, string(data))) == 0 {
			t.Errorf("%s: %d bytes, %v", file, len(data), err)
		}
		f.Close()
	}
}

func TestAnEventThatIsLargerThanAFileLosesItsBodies(t *testing.T) {
	defer leaks(t)()
	file := filepath.Join(t.TempDir(), "audit.log")
	m := metrics.New()
	b, err := audit.NewFile(file, audit.Rotation{MaxMegabytes: 1}, audit.JSON, audit.Config{Metrics: m.Audit})
	if err != nil {
		t.Fatal(err)
	}
	a, end := running(t, m.Audit, b)
	r, rq := asked(t, nil, "GET", "/api/v1/secrets")
	rq.Record = a.Begin(r, rq)
	rq.Record.AddAnswer([]byte(`"` + strings.Repeat("x", 2<<20) + `"`))
	a.Write(rq, auditapi.StageResponseComplete)
	end()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if events := decodeEvents(t, string(data)); len(events) != 1 || events[0].ResponseObject != nil || events[0].Annotations["audit.k8s.io/truncated"] != "true" {
		t.Errorf("the log holds %d events, %v are lost", len(events), lost(t, m, "log"))
	}
}

// broken is an output that is broken for as long as it is.
type broken struct{ mended atomic.Bool }

func (b *broken) Write(p []byte) (int, error) {
	if b.mended.Load() {
		return len(p), nil
	}
	return 0, errors.New("the disk is full")
}

func TestOnlyAStrictLogKeepsARequestThatCannotBeWrittenDownFromGoingOn(t *testing.T) {
	defer leaks(t)()
	for mode, want := range map[audit.Mode]bool{audit.Blocking: true, audit.BlockingStrict: false} {
		m, out := metrics.New(), &broken{}
		a, end := running(t, m.Audit, audit.NewStream(out, audit.JSON, audit.Config{Mode: mode, Metrics: m.Audit}))
		if got := say(t, a, 0, 3); got != want {
			t.Errorf("%s: the requests go on: %v, want %v", mode, got, want)
		}
		if n := lost(t, m, "log"); n != 3 {
			t.Errorf("%s: %v events are counted as lost, want 3", mode, n)
		}
		r, rq := asked(t, nil, "GET", "/version")
		rq.Record = a.Begin(r, rq)
		if !a.Write(rq, auditapi.StageResponseComplete) {
			t.Errorf("%s: a request that was answered may not go on", mode)
		}
		out.mended.Store(true)
		if !say(t, a, 0, 1) {
			t.Errorf("%s: it may not go on, although all is well", mode)
		}
		end()
		if n := value(t, m.Gatherer(), "apiserver_audit_event_total", ""); n != 5 {
			t.Errorf("%s: %v events are counted, want 5", mode, n)
		}
		if n := value(t, m.Gatherer(), "apiserver_audit_level_total", "RequestResponse"); n != 5 {
			t.Errorf("%s: %v requests are counted, want 5", mode, n)
		}
	}
}

// gate is an output that takes nothing before it is opened.
type gate struct {
	open  chan struct{}
	mu    sync.Mutex
	lines strings.Builder
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lines.Write(p)
}

func TestABufferLosesWhatIsTooMuchAndNoRequestWaits(t *testing.T) {
	defer leaks(t)()
	m, out := metrics.New(), &gate{open: make(chan struct{})}
	a, end := running(t, m.Audit, audit.NewStream(out, audit.JSON, audit.Config{Mode: audit.Batch, Batching: audit.Batching{BufferSize: 10, MaxSize: 1}, Metrics: m.Audit}))
	if !say(t, a, 0, 100) {
		t.Error("a request may not go on")
	}
	close(out.open)
	end()
	kept, gone := len(decodeEvents(t, out.lines.String())), lost(t, m, "buffered")
	if kept < 10 || kept > 20 || kept+int(gone) != 100 {
		t.Errorf("%d events are kept and %v are counted as lost, of 100", kept, gone)
	}
	say(t, a, 0, 1)
	if n := lost(t, m, "buffered"); n != gone+1 {
		t.Errorf("after the end %v events are counted as lost, want %v", n, gone+1)
	}
}

func TestABufferLosesWhatIsTooLargeInAllUntilThereIsRoomAgain(t *testing.T) {
	defer leaks(t)()
	m, out := metrics.New(), &gate{open: make(chan struct{})}
	a, end := running(t, m.Audit, audit.NewStream(out, audit.JSON, audit.Config{Mode: audit.Batch, Batching: audit.Batching{BufferSize: 100, BufferBytes: 128 << 10, MaxSize: 1}, Metrics: m.Audit}))
	body := []byte(`"` + strings.Repeat("x", 10<<10) + `"`)
	large := func(id int) {
		r, rq := asked(t, nil, "POST", "/api/v1/namespaces/ns/secrets")
		rq.AuditID = fmt.Sprint(id)
		rq.Record = a.Begin(r, rq)
		rq.Record.AddRequest(body)
		if !a.Write(rq, auditapi.StageRequestReceived) {
			t.Error("a request may not go on")
		}
	}
	for i := range 15 { // of 10 KB each
		large(i)
	}
	gone := lost(t, m, "buffered")
	if gone != 3 {
		t.Errorf("%v events are counted as lost, want 3", gone)
	}
	close(out.open)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		before := lost(t, m, "buffered")
		if large(15); lost(t, m, "buffered") == before {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("there is no room when everything has been handed on")
		}
	}
	end()
}

func TestABatchWaitsForMoreButNotForEver(t *testing.T) {
	defer leaks(t)()
	var sizes []int
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var list auditv1.EventList
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil || list.Kind != "EventList" || list.APIVersion != "audit.k8s.io/v1" {
			t.Errorf("%v in %s of %s", err, list.Kind, list.APIVersion)
		}
		mu.Lock()
		defer mu.Unlock()
		sizes = append(sizes, len(list.Items))
	}))
	defer s.Close()
	b := webhook(t, s.URL, time.Second, audit.Config{Mode: audit.Batch, Batching: audit.Batching{BufferSize: 100, MaxSize: 10, MaxWait: 50 * time.Millisecond, QPS: 100, Burst: 1}})
	a, end := running(t, nil, b)
	say(t, a, 0, 25)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		mu.Lock()
		n := 0
		for _, size := range sizes {
			n += size
		}
		mu.Unlock()
		if n == 25 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("batches of %v came", sizes)
		}
	}
	end()
	if len(sizes) < 3 {
		t.Errorf("batches of %v, want none of more than 10", sizes)
	}
}

// webhook is a backend that sends to url; ca is that of its certificate, if it has one.
func webhook(t *testing.T, url string, backoff time.Duration, cfg audit.Config, ca ...byte) *audit.Backend {
	t.Helper()
	b, err := audit.NewWebhook(&rest.Config{
		Host: url, BearerToken: "the-token", UserAgent: "portico/test", TLSClientConfig: rest.TLSClientConfig{CAData: ca},
	}, backoff, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAWebhookIsSentEventsUntilItTakesThem(t *testing.T) {
	defer leaks(t)()
	var asked atomic.Int32
	var got []auditv1.Event
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if r.URL.Path != "/events" || r.Header.Get("Authorization") != "Bearer the-token" || r.Header.Get("Content-Type") != "application/json" || r.UserAgent() != "portico/test" {
			t.Errorf("%s with %v", r.URL, r.Header)
		}
		var list auditv1.EventList
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
			t.Error(err)
		}
		got = append(got, list.Items...)
	}))
	defer s.Close()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	for _, mode := range []audit.Mode{audit.Blocking, audit.Batch} {
		m := metrics.New()
		asked.Store(0)
		got = nil
		a, end := running(t, m.Audit, webhook(t, s.URL+"/events", time.Millisecond, audit.Config{Mode: mode, Batching: audit.Batching{BufferSize: 10, MaxSize: 10, MaxWait: time.Hour}, Metrics: m.Audit}, ca...))
		say(t, a, 0, 2)
		end()
		numbered(t, got, 2)
		if n := lost(t, m, "webhook"); n != 0 {
			t.Errorf("%s: %v events are counted as lost", mode, n)
		}
	}
}

func TestAWebhookThatTakesNothingLosesEvents(t *testing.T) {
	defer leaks(t)()
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusInternalServerError)
	}))
	defer s.Close()
	m := metrics.New()
	a, end := running(t, m.Audit, webhook(t, s.URL, time.Microsecond, audit.Config{Mode: audit.BlockingStrict, Metrics: m.Audit}))
	if say(t, a, 0, 1) {
		t.Error("the request goes on")
	}
	end()
	if n := lost(t, m, "webhook"); n != 1 || asked.Load() != 5 {
		t.Errorf("%v events are counted as lost after %d attempts, want 1 after 5", n, asked.Load())
	}
}

func TestAWebhookWithoutAServerIsNoBackend(t *testing.T) {
	for _, to := range []rest.Config{{Host: "ftp://host"}, {}, {Host: "https://host", TLSClientConfig: rest.TLSClientConfig{CAData: []byte("no certificate")}}} {
		if _, err := audit.NewWebhook(&to, time.Second, audit.Config{}); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line", to.Host, err)
		}
	}
}

func TestAnEventThatIsTooLargeLosesItsBodies(t *testing.T) {
	m := metrics.New()
	tr := newTrail(t, everything, audit.JSON, audit.Config{MaxEventSize: 1000, Metrics: m.Audit})
	for _, c := range []struct {
		body string
		cut  bool
	}{{`{"a":1}`, false}, {`{"a":"` + strings.Repeat("x", 1000) + `"}`, true}} {
		e := written(t, tr, c.body, "{}")
		if cut := e.Annotations["audit.k8s.io/truncated"] == "true"; cut != c.cut || (e.RequestObject == nil) != c.cut || (e.ResponseObject == nil) != c.cut {
			t.Errorf("of %d bytes: %+v", len(c.body), e)
		}
	}
	r, rq := asked(t, nil, "GET", "/version?"+strings.Repeat("x", 1000))
	rq.Record = tr.Begin(r, rq)
	if !tr.Write(rq, auditapi.StageResponseComplete) || len(tr.events(t)) != 2 || lost(t, m, "truncate") != 1 {
		t.Errorf("%d events, %v lost, want 2 and 1", len(tr.events(t)), lost(t, m, "truncate"))
	}
}

func TestNobodyKeepsOutOfTheTrailWithALongAddress(t *testing.T) {
	tr := newTrail(t, everything, audit.JSON, audit.Config{MaxEventSize: 10_000})
	r, rq := asked(t, nil, "DELETE", "/api/v1/namespaces/ns?"+strings.Repeat("x", 100_000))
	rq.AuditID = strings.Repeat("y", 100_000)
	rq.Record = tr.Begin(r, rq)
	tr.Write(rq, auditapi.StageResponseComplete)
	if e := tr.events(t)[0]; !strings.HasSuffix(e.RequestURI, "xxx...TRUNCATED") || !strings.HasSuffix(string(e.AuditID), "yyy...TRUNCATED") || e.Annotations["audit.k8s.io/truncated"] != "true" {
		t.Errorf("got %+v", e)
	}
}

func TestABatchThatIsTooLargeIsDivided(t *testing.T) {
	defer leaks(t)()
	var sizes []int
	var mu sync.Mutex
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var list auditv1.EventList
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		sizes = append(sizes, len(list.Items))
	}))
	defer s.Close()
	a, end := running(t, nil, webhook(t, s.URL, time.Second, audit.Config{Mode: audit.Batch, MaxEventSize: 4000, MaxBatchSize: 4000,
		Batching: audit.Batching{BufferSize: 10, MaxSize: 10, MaxWait: time.Hour}}))
	say(t, a, 0, 10) // of about 1,500 bytes
	end()
	total := 0
	for _, size := range sizes {
		total += size
	}
	if slices.Max(sizes) > 2 || total != 10 {
		t.Errorf("batches of %v, want 10 events, and no batch of more than 4000 bytes", sizes)
	}
}
