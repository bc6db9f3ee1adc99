package registry_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/emicklei/go-restful/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// discard is a response that nobody reads.
type discard struct {
	header http.Header
	bytes  int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Flush()                      {}
func (d *discard) Write(p []byte) (int, error) { d.bytes += len(p); return len(p), nil }

// benchmarked returns the routes over n objects of about 1 KB.
func benchmarked(b *testing.B, n int) (http.Handler, *registry.Store) {
	b.Helper()
	s := open(b, configMaps())
	for i := range n {
		if _, err := registry.CreateAs(b.Context(), s, "demo", sized(i)); err != nil {
			b.Fatal(err)
		}
	}
	ws := new(restful.WebService)
	rest.Install(ws, "/api/v1", []*rest.Resource{s.Rest()}, rest.Config{})
	container := restful.NewContainer()
	container.Router(restful.CurlyRouter{})
	container.Add(ws)
	return container, s
}

func sized(i int) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("c%06d", i), Labels: map[string]string{"app": "bench", "i": fmt.Sprint(i % 10)}},
		Data:       map[string]string{"a": strings.Repeat("a", 400), "b": strings.Repeat("b", 400)},
	}
}

func get(b *testing.B, h http.Handler, path string, headers ...string) int {
	w := &discard{header: http.Header{}}
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	h.ServeHTTP(w, r)
	return w.bytes
}

// BenchmarkGet compares the bytes that are stored with decoding and encoding them.
func BenchmarkGet(b *testing.B) {
	h, s := benchmarked(b, 100)
	b.Run("bytes", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			get(b, h, inDemo+"/c000050")
		}
	})
	b.Run("codec", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c, err := registry.GetAs[*corev1.ConfigMap](b.Context(), s, "demo", "c000050")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := json.Marshal(c); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkList10000(b *testing.B) {
	h, s := benchmarked(b, 10000)
	b.Run("bytes", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			b.SetBytes(int64(get(b, h, inDemo)))
		}
	})
	b.Run("protobuf", func(b *testing.B) {
		for range 2 { // from then on it is remembered beside the objects
			get(b, h, inDemo, "Accept", "application/vnd.kubernetes.protobuf")
		}
		b.ReportAllocs()
		for b.Loop() {
			b.SetBytes(int64(get(b, h, inDemo, "Accept", "application/vnd.kubernetes.protobuf")))
		}
	})
	b.Run("protobuf codec", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			all, err := registry.ListAs[*corev1.ConfigMap](b.Context(), s, "demo")
			if err != nil {
				b.Fatal(err)
			}
			list := &corev1.ConfigMapList{}
			for _, c := range all {
				list.Items = append(list.Items, *c)
			}
			if _, err := list.Marshal(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("codec", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			all, err := registry.ListAs[*corev1.ConfigMap](b.Context(), s, "demo")
			if err != nil {
				b.Fatal(err)
			}
			list := &corev1.ConfigMapList{}
			for _, c := range all {
				list.Items = append(list.Items, *c)
			}
			if _, err := json.Marshal(list); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("selected", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			get(b, h, inDemo+"?labelSelector=i%3D3")
		}
	})
	b.Run("paged by 500", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			get(b, h, inDemo+"?limit=500")
		}
	})
}

func BenchmarkCreate(b *testing.B) {
	s := open(b, configMaps())
	var n atomic.Int64
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(clients)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := registry.CreateAs(b.Context(), s, "demo", sized(int(n.Add(1)))); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkWatch delivers each change to many watchers over HTTP; the figure is for one delivered event.
func BenchmarkWatch(b *testing.B) {
	for _, watchers := range []int{1, 100} {
		b.Run(fmt.Sprintf("watchers=%d", watchers), func(b *testing.B) {
			s := open(b, configMaps())
			fill(b, s, 1, "demo")
			srv := server(b, rest.Config{}, s)
			delivered := make(chan struct{}, watchers)
			for range watchers {
				resp, err := srv.Client().Get(srv.URL + inDemo + "?watch=1")
				if err != nil {
					b.Fatal(err)
				}
				defer resp.Body.Close()
				lines := bufio.NewReader(resp.Body)
				if _, err := lines.ReadSlice('\n'); err != nil {
					b.Fatal(err)
				}
				go deliver(lines, delivered)
			}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				i++
				_, err := registry.UpdateAs(b.Context(), s, "demo", "c000", func(c *corev1.ConfigMap) error {
					c.Data["i"] = fmt.Sprint(i)
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
				for range watchers {
					<-delivered
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*watchers), "ns/delivery")
		})
	}
}

// deliver tells of each line until the stream ends.
func deliver(lines *bufio.Reader, delivered chan<- struct{}) {
	for {
		if _, err := lines.ReadSlice('\n'); err != nil {
			return
		}
		delivered <- struct{}{}
	}
}

// BenchmarkAccount tells what it costs to know who manages which field: "without" does not.
func BenchmarkAccount(b *testing.B) {
	for name, s := range map[string]*registry.Store{"without": open(b, configMaps()), "with": managed(b, configMaps())} {
		b.Run("create/"+name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			dry := &metav1.CreateOptions{FieldManager: "bench", DryRun: []string{"All"}} // the store is not what is measured
			for b.Loop() {
				i++
				if _, err := s.Create(b.Context(), "demo", "", sized(i), dry); err != nil {
					b.Fatal(err)
				}
			}
		})
		if _, err := registry.CreateAs(b.Context(), s, "demo", sized(0)); err != nil {
			b.Fatal(err)
		}
		for _, changes := range []string{"update", "no-op"} {
			b.Run(changes+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				opts := &rest.UpdateOptions{UpdateOptions: metav1.UpdateOptions{FieldManager: "bench", DryRun: []string{"All"}}}
				transform := func(_ context.Context, current runtime.Object) (runtime.Object, error) {
					if c := current.(*corev1.ConfigMap); changes == "update" {
						i++
						c.Data["i"] = fmt.Sprint(i)
					}
					return current, nil
				}
				for b.Loop() {
					if _, _, err := s.Update(b.Context(), "demo", "c000000", transform, opts); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
