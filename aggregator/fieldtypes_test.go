package aggregator_test

import (
	"flag"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/client/applyconfiguration"

	"github.com/portico-api/portico/aggregator"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/test/fieldtypes"
)

var update = flag.Bool("update", false, "write the generated files anew")

func TestFieldTypesAreThoseOfKubeAggregator(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := aggregator.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	fieldtypes.Hold(t, "fieldtypes_generated.go", "aggregator", *update, applyconfiguration.NewTypeConverter(scheme), registry.Resource{
		GroupVersion: apiregistrationv1.SchemeGroupVersion, Kind: "APIService", Name: "apiservices",
		New: func() runtime.Object { return &apiregistrationv1.APIService{} },
	})
}
