package workload_test

import (
	"flag"
	"testing"

	"k8s.io/client-go/applyconfigurations"

	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/delegation/core/workload"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/test/fieldtypes"
)

var update = flag.Bool("update", false, "write the generated files anew")

func TestFieldTypesAreThoseOfClientGo(t *testing.T) {
	scheme, err := core.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	if err := workload.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	view := workload.AutoscalersView()
	resources := append(workload.Resources(), registry.Resource{GroupVersion: view.GroupVersion, Kind: view.Kind, Name: "horizontalpodautoscalers", New: view.New})
	fieldtypes.Hold(t, "fieldtypes_generated.go", "workload", *update, applyconfigurations.NewTypeConverter(scheme), resources...)
}
