package aggregator

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/portico-api/portico/handler"
)

// BenchmarkRoute finds the route of one resource request among some: the cost must not grow.
func BenchmarkRoute(b *testing.B) {
	for _, n := range []int{10, 1000, 10000} {
		b.Run(fmt.Sprintf("APIServices=%d", n), func(b *testing.B) {
			mux := handler.NewPathRecorderMux("bench")
			c := &router{routes: map[string]*route{}, versions: map[string]int{}, groups: http.NotFoundHandler()}
			served := 0
			next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ })
			var all []*route
			for i := range n {
				s := &apiregistrationv1.APIService{}
				s.Spec.Group, s.Spec.Version = fmt.Sprintf("group%05d.example.com", i), "v1"
				s.Name = "v1." + s.Spec.Group
				all = append(all, newRoute(s, next, nil))
			}
			mux.Update(func(p *handler.Paths) { c.replace(p, nil, all) })

			r := httptest.NewRequest(http.MethodGet, "/apis/group00007.example.com/v1/namespaces/demo/flunders/one", nil)
			w := httptest.NewRecorder()
			b.ReportAllocs()
			for b.Loop() {
				mux.ServeHTTP(w, r)
			}
			if served == 0 {
				b.Fatal("the route was not taken")
			}
		})
	}
}

// BenchmarkAddOneAmong measures what a new APIService costs while others are served.
func BenchmarkAddOneAmong(b *testing.B) {
	for _, n := range []int{10, 10000} {
		b.Run(fmt.Sprintf("APIServices=%d", n), func(b *testing.B) {
			mux := handler.NewPathRecorderMux("bench")
			c := &router{routes: map[string]*route{}, versions: map[string]int{}, groups: http.NotFoundHandler()}
			var all []*route
			for i := range n {
				s := &apiregistrationv1.APIService{}
				s.Spec.Group, s.Spec.Version = fmt.Sprintf("group%05d.example.com", i), "v1"
				s.Name = "v1." + s.Spec.Group
				all = append(all, newRoute(s, http.NotFoundHandler(), nil))
			}
			mux.Update(func(p *handler.Paths) { c.replace(p, nil, all) })
			one := all[:1]
			b.ReportAllocs()
			for b.Loop() {
				mux.Update(func(p *handler.Paths) { c.replace(p, one, one) })
			}
		})
	}
}
