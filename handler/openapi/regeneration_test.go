package openapi_test

import (
	"slices"
	"testing"
	"time"

	"github.com/portico-api/portico/handler/openapi"
	"github.com/portico-api/portico/metrics"
)

// makings are why the v2 document was made, each time.
type makings []metrics.Change

func (m *makings) Made(why metrics.Change, took time.Duration) {
	if took > 0 {
		*m = append(*m, why)
	}
}

func TestTheV2DocumentIsMadeOnceForEachChangeThatSomebodyLooksAfter(t *testing.T) {
	var made makings
	s := openapi.NewService(&made)
	s.Add("api/v1", "", core)
	s.Add("apis/apiregistration.k8s.io/v1", "", apiregistration)
	if len(made) > 0 {
		t.Errorf("made before anybody asked: %v", made)
	}
	look := func() { get(t, mux(s), "/openapi/v2") }
	look()
	look() // nothing has changed
	s.Add("api/v1", "", core)
	look()
	s.Remove("apis/apiregistration.k8s.io/v1")
	look()
	if want := (makings{metrics.DocumentAdded, metrics.DocumentUpdated, metrics.DocumentRemoved}); !slices.Equal(made, want) {
		t.Errorf("made for %v, want %v", made, want)
	}
}
