package core_test

import (
	"flag"
	"maps"
	"slices"
	"testing"

	"k8s.io/client-go/applyconfigurations"

	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/test/fieldtypes"
)

var update = flag.Bool("update", false, "write the generated files anew")

func TestFieldTypesAreThoseOfClientGo(t *testing.T) {
	scheme, err := core.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	resources := append(slices.Collect(maps.Values(core.DeclaredResources())), core.RBACResources()...)
	view := core.EventsView()
	resources = append(resources, registry.Resource{GroupVersion: view.GroupVersion, Kind: view.Kind, Name: "events", New: view.New})
	fieldtypes.Hold(t, "fieldtypes_generated.go", "core", *update, applyconfigurations.NewTypeConverter(scheme), resources...)
}
