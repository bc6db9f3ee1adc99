package registry_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler/rest"
)

// stream is an open watch.
type stream struct {
	t      testing.TB
	resp   *http.Response
	lines  *bufio.Reader
	cancel context.CancelFunc
}

func watchPath(t testing.TB, srv *httptest.Server, path string, headers ...string) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("got %d for %s: %s", resp.StatusCode, path, body)
	}
	return &stream{t, resp, bufio.NewReader(resp.Body), cancel}
}

// frame is a watch event as it is on the wire.
type frame struct {
	Type   string
	Object json.RawMessage
}

func (s *stream) next() frame {
	s.t.Helper()
	line, err := s.lines.ReadBytes('\n')
	if err != nil {
		s.t.Fatalf("reading an event: %v", err)
	}
	var f frame
	if err := json.Unmarshal(line, &f); err != nil {
		s.t.Fatalf("decoding %q: %v", line, err)
	}
	return f
}

// sees fails unless the next events are these: "TYPE name".
func (s *stream) sees(events ...string) (last corev1.ConfigMap) {
	s.t.Helper()
	for _, want := range events {
		f := s.next()
		last = corev1.ConfigMap{}
		if err := json.Unmarshal(f.Object, &last); err != nil {
			s.t.Fatal(err)
		}
		if got := strings.TrimSpace(f.Type + " " + last.Name); got != want {
			s.t.Fatalf("got event %q %s, want %q", got, f.Object, want)
		}
	}
	return last
}

func change(t testing.TB, s *registry.Store, name string, edit func(*corev1.ConfigMap)) *corev1.ConfigMap {
	t.Helper()
	c, err := registry.UpdateAs(t.Context(), s, "demo", name, func(c *corev1.ConfigMap) error { edit(c); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func relabel(value string) func(*corev1.ConfigMap) {
	return func(c *corev1.ConfigMap) { c.Labels = map[string]string{"third": value} }
}

func TestAWatchBeginsWhereItIsTold(t *testing.T) {
	s := open(t, configMaps())
	srv := server(t, rest.Config{}, s)
	versions := fill(t, s, 3, "demo")
	fill(t, s, 1, "other")
	tests := []struct{ query, want string }{
		// First, because it sees what the others do.
		{"&resourceVersion=" + versions[0], "ADDED c001,ADDED c002"},
		{"", "ADDED c000,ADDED c001,ADDED c002"},
		{"&resourceVersion=0", "ADDED c000,ADDED c001,ADDED c002"},
		{"&fieldSelector=metadata.name%3Dc001", "ADDED c001"},
		{"&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", "ADDED c000,ADDED c001,ADDED c002,BOOKMARK"},
		{"&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", "ADDED c000,ADDED c001,ADDED c002"},
		{"&sendInitialEvents=false&resourceVersionMatch=NotOlderThan", ""},
	}
	for i, test := range tests {
		t.Run(test.query, func(t *testing.T) {
			w := watchPath(t, srv, inDemo+"?watch=1"+test.query)
			if test.want != "" {
				w.sees(strings.Split(test.want, ",")...)
			}
			fresh := fmt.Sprintf("c001-%d", i)
			if strings.Contains(test.query, "metadata.name") {
				change(t, s, "c001", relabel("9"))
				w.sees("MODIFIED c001")
				return
			}
			want(t, 201, call(t, srv, "POST", inDemo, configMap(fresh, "")))
			want(t, 200, call(t, srv, "DELETE", inDemo+"/"+fresh, ""))
			w.sees("ADDED "+fresh, "DELETED "+fresh)
		})
	}
	w := watchPath(t, srv, "/api/v1/watch/namespaces/demo/configmaps/c002")
	w.sees("ADDED c002")
}

func TestTheEndOfTheInitialStateIsMarked(t *testing.T) {
	s := open(t, configMaps())
	srv := server(t, rest.Config{}, s)
	fill(t, s, 1, "demo")
	w := watchPath(t, srv, inDemo+"?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true")
	w.sees("ADDED c000")
	mark := w.sees("BOOKMARK")
	if mark.Annotations["k8s.io/initial-events-end"] != "true" || mark.ResourceVersion == "" || mark.Kind != "ConfigMap" || mark.APIVersion != "v1" {
		t.Errorf("got %+v", mark)
	}
}

func TestASelectorTurnsChangesIntoComingAndGoing(t *testing.T) {
	s := open(t, configMaps())
	srv := server(t, rest.Config{}, s)
	fill(t, s, 1, "demo")
	w := watchPath(t, srv, inDemo+"?watch=1&labelSelector=third%3D1")
	change(t, s, "c000", relabel("1"))
	w.sees("ADDED c000")
	change(t, s, "c000", func(c *corev1.ConfigMap) { c.Data["x"] = "y" })
	w.sees("MODIFIED c000")
	after := change(t, s, "c000", relabel("2"))
	gone := w.sees("DELETED c000")
	if gone.Labels["third"] != "1" || gone.ResourceVersion != after.ResourceVersion {
		t.Errorf("got labels %v at %s, want the last matching state at %s", gone.Labels, gone.ResourceVersion, after.ResourceVersion)
	}
	change(t, s, "c000", relabel("1"))
	w.sees("ADDED c000")
}

func TestAWatchEndsCleanly(t *testing.T) {
	t.Parallel()
	s := open(t, configMaps())
	stopping := make(chan struct{})
	srv := server(t, rest.Config{Stopping: stopping}, s)

	t.Run("when its time is over, after a last bookmark", func(t *testing.T) {
		w := watchPath(t, srv, inDemo+"?watch=1&timeoutSeconds=3&allowWatchBookmarks=true")
		if mark := w.sees("BOOKMARK"); mark.ResourceVersion == "" {
			t.Errorf("got %+v", mark)
		}
		if rest, err := io.ReadAll(w.lines); err != nil || len(rest) != 0 {
			t.Errorf("got %q, %v; want the end", rest, err)
		}
	})
	t.Run("when the resource goes", func(t *testing.T) {
		gone := open(t, configMaps())
		w := watchPath(t, server(t, rest.Config{}, gone), inDemo+"?watch=1")
		gone.Close()
		if rest, err := io.ReadAll(w.lines); err != nil || len(rest) != 0 {
			t.Errorf("got %q, %v; want the end", rest, err)
		}
	})
	t.Run("when the server stops", func(t *testing.T) {
		w, other := watchPath(t, srv, inDemo+"?watch=1"), watchPath(t, srv, inDemo+"?watch=1")
		close(stopping)
		for _, w := range []*stream{w, other} {
			if rest, err := io.ReadAll(w.lines); err != nil || len(rest) != 0 {
				t.Errorf("got %q, %v; want the end", rest, err)
			}
		}
	})
}

// However short a watch's own time is, it is told that the version it asks for is not there.
func TestAWatchFromTheFutureIsToldSoWhateverItsTime(t *testing.T) {
	t.Parallel()
	s := open(t, configMaps())
	srv := server(t, rest.Config{}, s)
	for _, query := range []string{"", "&timeoutSeconds=1", "&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"} {
		a := call(t, srv, "GET", inDemo+"?watch=1&resourceVersion=1000000"+query, "")
		status := want(t, 504, a).status(t)
		d := status.Details
		if status.Reason != metav1.StatusReasonTimeout || !strings.Contains(status.Message, "Too large resource version: 1000000, current: ") ||
			d == nil || d.RetryAfterSeconds != 1 || len(d.Causes) != 1 || d.Causes[0].Type != metav1.CauseTypeResourceVersionTooLarge || a.header.Get("Retry-After") != "1" {
			t.Errorf("%q: got %+v with Retry-After %q", query, status, a.header.Get("Retry-After"))
		}
	}
}

// What happened before a resource was opened is read back from the store, until the store has dropped it.
func TestAVersionThatIsGoneIs410(t *testing.T) {
	store, err := storage.Open(t.Context(), storage.Config{DataDir: t.TempDir(), CompactionInterval: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	reopen := func() *registry.Store {
		t.Helper()
		s, err := registry.New(t.Context(), registry.Config{Store: store, Scheme: testScheme(t)}, configMaps())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := reopen()
	fill(t, s, 3, "before")
	s.Close() // and with it what it has in memory
	for i := range 50 {
		s := reopen()                            // what was read back once would be remembered
		fill(t, s, 1, fmt.Sprintf("demo-%d", i)) // a store without changes has nothing to drop
		a := call(t, server(t, rest.Config{}, s), "GET", inDemo+"?watch=1&resourceVersion=1&timeoutSeconds=1", "")
		s.Close()
		if a.code == 200 {
			continue
		}
		if status := want(t, 410, a).status(t); status.Reason != metav1.StatusReasonExpired || !strings.HasPrefix(status.Message, "too old resource version: 1 (") {
			t.Errorf("got %+v", status)
		}
		return
	}
	t.Error("the history was never dropped")
}

func TestATableWatchSendsItsColumnsOnce(t *testing.T) {
	s := open(t, configMaps())
	srv := server(t, rest.Config{}, s)
	fill(t, s, 2, "demo")
	w := watchPath(t, srv, inDemo+"?watch=1", "Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	for i := range 2 {
		var table metav1.Table
		if err := json.Unmarshal(w.next().Object, &table); err != nil {
			t.Fatal(err)
		}
		if (len(table.ColumnDefinitions) > 0) != (i == 0) || len(table.Rows) != 1 {
			t.Errorf("event %d: %d columns, %d rows", i, len(table.ColumnDefinitions), len(table.Rows))
		}
	}
}

func TestAProtobufWatchIsFramedByLength(t *testing.T) {
	s := open(t, configMaps())
	srv := server(t, rest.Config{}, s)
	fill(t, s, 1, "demo")
	w := watchPath(t, srv, inDemo+"?watch=1", "Accept", "application/vnd.kubernetes.protobuf;stream=watch")
	if got := w.resp.Header.Get("Content-Type"); got != "application/vnd.kubernetes.protobuf;stream=watch" {
		t.Errorf("got Content-Type %q", got)
	}
	var size uint32
	if err := binary.Read(w.lines, binary.BigEndian, &size); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(w.lines, body); err != nil {
		t.Fatal(err)
	}
	var event metav1.WatchEvent
	if err := event.Unmarshal(body); err != nil {
		t.Fatal(err)
	}
	obj, _, err := protobuf.NewSerializer(testScheme(t), testScheme(t)).Decode(event.Object.Raw, nil, nil)
	if err != nil || event.Type != "ADDED" || obj.(*corev1.ConfigMap).Name != "c000" {
		t.Errorf("got %s %v, %v", event.Type, obj, err)
	}
}

func TestFollowTellsEverythingInOrder(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := open(t, configMaps())
	fill(t, s, 2, "demo")
	ctx, cancel := context.WithCancel(t.Context())
	var told []string
	synced := make(chan struct{})
	three := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		err := s.Follow(ctx, func(ev registry.Change) {
			c := ev.Object.(*corev1.ConfigMap)
			told = append(told, fmt.Sprintf("%s deleted=%t old=%t", c.Name, ev.Deleted, ev.Old != nil))
			if len(told) == 5 {
				close(three)
			}
		}, func() { close(synced) })
		if err != context.Canceled {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
	<-synced
	fill(t, s, 1, "later")
	change(t, s, "c001", relabel("x"))
	if _, _, err := s.Delete(t.Context(), "demo", "c000", nil); err != nil {
		t.Fatal(err)
	}
	<-three
	cancel()
	running.Wait()
	want := "c000 deleted=false old=false, c001 deleted=false old=false, c000 deleted=false old=false, c001 deleted=false old=true, c000 deleted=true old=true"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFollowNamedTellsOfNothingElse(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s := open(t, configMaps())
	fill(t, s, 2, "demo")
	ctx, cancel := context.WithCancel(t.Context())
	var told []string
	synced := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		err := s.FollowNamed(ctx, "c001", func(ev registry.Change) {
			c := ev.Object.(*corev1.ConfigMap)
			told = append(told, fmt.Sprintf("%s/%s deleted=%t old=%t", c.Namespace, c.Name, ev.Deleted, ev.Old != nil))
			if ev.Deleted {
				cancel()
			}
		}, func() { close(synced) })
		if err != context.Canceled {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
	<-synced
	fill(t, s, 2, "later")
	change(t, s, "c000", relabel("x"))
	for _, name := range []string{"c000", "c001"} {
		if _, _, err := s.Delete(t.Context(), "demo", name, nil); err != nil {
			t.Fatal(err)
		}
	}
	running.Wait()
	want := "demo/c001 deleted=false old=false, later/c001 deleted=false old=false, demo/c001 deleted=true old=true"
	if got := strings.Join(told, ", "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestConcurrentUpdatesLoseNothing(t *testing.T) {
	s := open(t, configMaps())
	fill(t, s, 1, "demo")
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 5 {
				_, err := registry.UpdateAs(t.Context(), s, "demo", "c000", func(c *corev1.ConfigMap) error {
					c.Data[fmt.Sprintf("w%d-%d", w, i)] = "x"
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	c, err := registry.GetAs[*corev1.ConfigMap](t.Context(), s, "demo", "c000")
	if err != nil || len(c.Data) != 1+40 {
		t.Errorf("got %d entries, want 41: %v", len(c.Data), err)
	}
}
