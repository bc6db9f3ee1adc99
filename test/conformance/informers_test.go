package conformance

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	clientfeatures "k8s.io/client-go/features"
	featuretesting "k8s.io/client-go/features/testing"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// asked are the requests that an informer has sent, in short.
type asked struct {
	mu       sync.Mutex
	requests []string
}

func (a *asked) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		query := r.URL.Query()
		request := "list"
		if query.Get("watch") != "" {
			request = "watch"
			if query.Get("sendInitialEvents") == "true" {
				request = "watch-list"
			}
		}
		a.mu.Lock()
		a.requests = append(a.requests, request)
		a.mu.Unlock()
		return next.RoundTrip(r)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// An informer of any kind holds what is there, then follows; with watch-list in one request, without
// it in a list and a watch. This is KUBE_FEATURE_WatchListClient as programs set it; the switch is the
// process's, so nothing here runs at the same time.
func TestInformersFollow(t *testing.T) {
	for _, watchList := range []bool{true, false} {
		t.Run(fmt.Sprintf("watch-list=%t", watchList), func(t *testing.T) {
			featuretesting.SetFeatureDuringTest(t, clientfeatures.WatchListClient, watchList)
			want := []string{"list", "watch"}
			if watchList {
				want = []string{"watch-list"}
			}
			for _, s := range engines {
				for name, config := range map[string]*rest.Config{"json": s.config, "protobuf": s.inProtobuf()} {
					for kind, informer := range informerKinds {
						t.Run(s.engine+", "+kind+", "+name, func(t *testing.T) {
							requests := &asked{}
							config := rest.CopyConfig(config)
							config.Wrap(requests.wrap)
							namespace := s.namespace(t)
							s.expectFollows(t, namespace, informer(t, s, config, namespace))
							requests.mu.Lock()
							defer requests.mu.Unlock()
							if !slices.Equal(requests.requests, want) {
								t.Errorf("the informer asked %q, want %q", requests.requests, want)
							}
						})
					}
				}
			}
		})
	}
}

// informerKinds make an informer of the config maps labelled followed=yes.
var informerKinds = map[string]func(t *testing.T, s *server, config *rest.Config, namespace string) cache.SharedIndexInformer{
	"typed": func(t *testing.T, s *server, config *rest.Config, namespace string) cache.SharedIndexInformer {
		factory := informers.NewSharedInformerFactoryWithOptions(s.typedFor(t, config), 0, informers.WithNamespace(namespace), informers.WithTweakListOptions(followed))
		return factory.Core().V1().ConfigMaps().Informer()
	},
	"dynamic": func(t *testing.T, _ *server, config *rest.Config, namespace string) cache.SharedIndexInformer {
		client, err := dynamic.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		return dynamicinformer.NewFilteredDynamicSharedInformerFactory(client, 0, namespace, followed).ForResource(configMaps).Informer()
	},
	"metadata": func(t *testing.T, _ *server, config *rest.Config, namespace string) cache.SharedIndexInformer {
		client, err := metadata.NewForConfig(metadata.ConfigFor(config))
		if err != nil {
			t.Fatal(err)
		}
		return metadatainformer.NewFilteredSharedInformerFactory(client, 0, namespace, followed).ForResource(configMaps).Informer()
	},
}

func followed(options *metav1.ListOptions) { options.LabelSelector = "followed=yes" }

// expectFollows runs an informer through everything that can happen to an object.
func (s *server) expectFollows(t *testing.T, namespace string, informer cache.SharedIndexInformer) {
	t.Helper()
	const label = `"followed":"yes"`
	for i := range 3 {
		s.put(t, namespace, fmt.Sprintf("followed-%d", i), "first", label)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { informer.RunWithContext(ctx) })
	defer running.Wait()
	defer cancel()
	if !cache.WaitForCacheSync(within(t, patience).Done(), informer.HasSynced) {
		t.Fatal("the informer never synced")
	}
	held := func() []string {
		var all []string
		for _, o := range informer.GetStore().List() {
			m, err := meta.Accessor(o)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, m.GetName()+"@"+m.GetResourceVersion())
		}
		slices.Sort(all)
		return all
	}
	stored := func() []string {
		var list metav1.PartialObjectMetadataList
		r := s.must(t, 200, exchange{path: collection(namespace, "configmaps") + "?labelSelector=followed%3Dyes", header: accept(mediaJSON + asPartialList)})
		decode(t, r.body, &list)
		var all []string
		for _, item := range list.Items {
			all = append(all, item.Name+"@"+item.ResourceVersion)
		}
		return all
	}
	if got, want := held(), stored(); !slices.Equal(got, want) {
		t.Errorf("after the start: got %v, want %v", got, want)
	}
	s.put(t, namespace, "followed-3", "first", label)
	s.put(t, namespace, "followed-0", "second", label)
	s.put(t, namespace, "followed-1", "first", "")
	s.remove(t, namespace, "followed-2")
	want := stored()
	eventually(t, fmt.Sprintf("the informer holds %v", want), func() bool { return slices.Equal(held(), want) })
}
