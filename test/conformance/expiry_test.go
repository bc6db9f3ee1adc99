package conformance

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/pager"
)

// History that the store has dropped is gone for everybody: each request that needs it is told so in the
// way its client expects, and how to go on. The server is restarted in between, since what it has in
// memory outlives the store's history.
func TestHistoryThatIsGone(t *testing.T) {
	for _, engine := range []string{"embedded store", "etcd"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s, err := startServer(engine, t.TempDir(), "--etcd-compaction-interval", "300ms")
			if err != nil {
				t.Fatal(err)
			}
			defer s.stop()
			namespace := s.namespace(t)
			maps := collection(namespace, "configmaps")
			s.makePaged(t, namespace, 3)
			first := s.page(t, namespace, "limit=1")
			old, token := first.listMeta(t).ResourceVersion, first.listMeta(t).Continue
			s.put(t, namespace, "page-1", "second", `"paged":"yes"`)
			s.put(t, namespace, "page-2", "second", `"paged":"yes"`)
			s.restart(t)
			exactly := maps + "?resourceVersionMatch=Exact&resourceVersion=" + old
			eventually(t, "the history is dropped", func() bool {
				s.put(t, namespace, "passing", time.Now().String(), "") // a store without changes has nothing to drop
				return s.do(t, exchange{path: exactly}).code == 410
			})

			expired := metav1.StatusReasonExpired
			s.expectFailure(t, exchange{path: exactly}, failure{410, expired, "The resourceVersion for the provided list is too old."})
			s.expectFailure(t, exchange{path: maps + "?limit=5&resourceVersion=" + old}, failure{410, expired, "The resourceVersion for the provided list is too old."})
			s.must(t, 200, exchange{path: maps + "?resourceVersion=" + old})
			s.must(t, 200, exchange{path: maps + "/page-1?resourceVersion=" + old})

			status := s.expectFailure(t, exchange{path: maps + "?labelSelector=paged&limit=1&continue=" + token}, failure{410, expired, "The provided continue parameter is too old to display a consistent list result"})
			if status.Continue == "" {
				t.Fatal("the Status has no token to go on with")
			}
			rest := s.page(t, namespace, "continue="+url.QueryEscape(status.Continue))
			if got := rest.names(t); !slices.Equal(got, []string{"page-1", "page-2"}) || !strings.Contains(string(rest.body), "second") {
				t.Errorf("going on in the newest state: got %v, %s", got, cut(rest.body))
			}

			s.expectTooOld(t, maps+"?watch=true&resourceVersion="+old)
			client := s.typed(t).CoreV1().ConfigMaps(namespace)
			w, err := client.Watch(t.Context(), metav1.ListOptions{ResourceVersion: old})
			if err == nil {
				err = apierrors.FromObject((<-w.ResultChan()).Object)
				w.Stop()
			}
			if !apierrors.IsResourceExpired(err) {
				t.Errorf("client-go's watch: got %v", err)
			}
			pages := pager.New(func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				if o.Continue != "" {
					o.Continue = token
				}
				return client.List(ctx, o)
			})
			pages.PageSize = 1
			all, _, err := pages.List(t.Context(), metav1.ListOptions{LabelSelector: "paged=yes"})
			if err != nil || len(all.(*corev1.ConfigMapList).Items) != 3 {
				t.Errorf("client-go's pager: got %v, %v", all, err)
			}
		})
	}
}

// expectTooOld expects the end of a watch that cannot be resumed: as the answer, or as its only event.
func (s *server) expectTooOld(t *testing.T, path string) {
	t.Helper()
	response := s.send(t, within(t, patience), exchange{path: path})
	defer response.Body.Close()
	if response.StatusCode != 200 {
		if response.StatusCode != 410 {
			t.Errorf("GET %s: got %d, want 410", path, response.StatusCode)
		}
		return
	}
	w := newStream(response)
	f, ok := w.next(t)
	code, _ := f.Object.Object["code"].(int64)
	if !ok || f.Type != string(watch.Error) || code != 410 || f.Object.GetKind() != "Status" {
		t.Errorf("GET %s: got %v, want the error 410", path, f)
	}
	w.expectEnd(t)
}
