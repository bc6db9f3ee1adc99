package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json" // numbers become int64, as unstructured objects have them
	"sigs.k8s.io/yaml"
)

// exchange is one request over HTTP, for what client-go cannot say.
type exchange struct {
	method string // GET if empty
	path   string
	body   string
	header map[string]string // a body is JSON if nothing else is said
}

// reply is what came back.
type reply struct {
	code   int
	header http.Header
	body   []byte
}

func (s *server) send(t *testing.T, ctx context.Context, x exchange) *http.Response {
	t.Helper()
	if x.method == "" {
		x.method = http.MethodGet
	}
	request, err := http.NewRequestWithContext(ctx, x.method, s.url+x.path, strings.NewReader(x.body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("User-Agent", "conformance/1")
	if x.body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, value := range x.header {
		request.Header.Set(name, value)
	}
	response, err := s.http.Do(request)
	if err != nil {
		t.Fatalf("%s %s: %v", x.method, x.path, err)
	}
	return response
}

// do sends one request and reads its answer.
func (s *server) do(t *testing.T, x exchange) reply {
	t.Helper()
	response := s.send(t, within(t, patience), x)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: reading the answer: %v", x.method, x.path, err)
	}
	return reply{response.StatusCode, response.Header, body}
}

// must is do for requests that have to get code.
func (s *server) must(t *testing.T, code int, x exchange) reply {
	t.Helper()
	r := s.do(t, x)
	if r.code != code {
		t.Fatalf("%s %s: got %d, want %d: %s", x.method, x.path, r.code, code, cut(r.body))
	}
	return r
}

// object decodes the answer.
func (r reply) object(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(r.body, &u.Object); err != nil {
		t.Fatalf("the answer is no JSON object: %v: %s", err, cut(r.body))
	}
	return u
}

// status decodes the answer as a Status, in JSON or YAML.
func (r reply) status(t *testing.T) metav1.Status {
	t.Helper()
	var s metav1.Status
	if err := yaml.Unmarshal(r.body, &s); err != nil || s.Kind != "Status" || s.APIVersion != "v1" {
		t.Fatalf("the answer is no Status: %v: %s", err, cut(r.body))
	}
	return s
}

// failure is what a client reads of a request that is refused.
type failure struct {
	code    int
	reason  metav1.StatusReason
	message string // a part of the message
}

// expectFailure sends x and compares the Status that it gets.
func (s *server) expectFailure(t *testing.T, x exchange, want failure) metav1.Status {
	t.Helper()
	r := s.do(t, x)
	if r.code != want.code {
		t.Fatalf("%s %s: got %d, want %d: %s", x.method, x.path, r.code, want.code, cut(r.body))
	}
	got := r.status(t)
	if got.Status != metav1.StatusFailure || int(got.Code) != want.code || got.Reason != want.reason || !strings.Contains(got.Message, want.message) {
		t.Errorf("%s %s: got %d %q %q, want %d %q with %q", x.method, x.path, got.Code, got.Reason, got.Message, want.code, want.reason, want.message)
	}
	return got
}

// names are those of a list's items, or of a Table's rows.
func (r reply) names(t *testing.T) []string {
	t.Helper()
	var list struct {
		Items []metav1.PartialObjectMetadata
		Rows  []struct{ Object metav1.PartialObjectMetadata }
	}
	if err := json.Unmarshal(r.body, &list); err != nil {
		t.Fatalf("the answer is no list: %v: %s", err, cut(r.body))
	}
	names := []string{}
	for _, item := range list.Items {
		names = append(names, item.Name)
	}
	for _, row := range list.Rows {
		names = append(names, row.Object.Name)
	}
	return names
}

// listMeta is the metadata of a list.
func (r reply) listMeta(t *testing.T) metav1.ListMeta {
	t.Helper()
	var list struct{ Metadata metav1.ListMeta }
	if err := json.Unmarshal(r.body, &list); err != nil {
		t.Fatalf("the answer is no list: %v: %s", err, cut(r.body))
	}
	return list.Metadata
}

// frame is one event of a watch in JSON.
type frame struct {
	Type   string
	Object *unstructured.Unstructured
}

// told is the event in short: its type and whom it is about.
func (f frame) told() string {
	if name := f.Object.GetName(); name != "" {
		return f.Type + " " + name
	}
	return f.Type
}

// stream is an open watch in JSON.
type stream struct {
	response *http.Response
	lines    *bufio.Reader
}

// watch opens a watch that is accepted. It ends with the test.
func (s *server) watch(t *testing.T, path string) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	response := s.send(t, ctx, exchange{path: path})
	t.Cleanup(func() { cancel(); response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(response.Body)
		t.Fatalf("GET %s: got %d: %s", path, response.StatusCode, cut(body))
	}
	return newStream(response)
}

func newStream(response *http.Response) *stream {
	return &stream{response, bufio.NewReader(response.Body)}
}

// next returns the next event; false at a clean end of the stream.
func (w *stream) next(t *testing.T) (frame, bool) {
	t.Helper()
	line, err := w.lines.ReadBytes('\n')
	if err == io.EOF && len(line) == 0 {
		return frame{}, false
	}
	if err != nil {
		t.Fatalf("reading a watch: %v after %q", err, cut(line))
	}
	var f struct {
		Type   string         `json:"type"`
		Object map[string]any `json:"object"`
	}
	if err := utiljson.Unmarshal(line, &f); err != nil {
		t.Fatalf("a frame is no JSON: %v: %s", err, cut(line))
	}
	return frame{f.Type, &unstructured.Unstructured{Object: f.Object}}, true
}

// expect reads as many events as are named and compares them.
func (w *stream) expect(t *testing.T, want ...string) []frame {
	t.Helper()
	var got []frame
	for i, told := range want {
		f, ok := w.next(t)
		if !ok {
			t.Fatalf("the watch ended before %q", told)
		}
		got = append(got, f)
		if f.told() != told {
			t.Fatalf("event %d: got %q, want %q (of %q): %v", i, f.told(), told, want, f.Object)
		}
	}
	return got
}

// expectEnd reads the clean end of a watch.
func (w *stream) expectEnd(t *testing.T) {
	t.Helper()
	if f, ok := w.next(t); ok {
		t.Fatalf("got %q, want the end of the watch", f.told())
	}
}

func cut(body []byte) string {
	if len(body) > 500 {
		return string(body[:500]) + "…"
	}
	return string(body)
}

func decode(t *testing.T, body []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(body, into); err != nil {
		t.Fatalf("decoding %s: %v", cut(body), err)
	}
}
