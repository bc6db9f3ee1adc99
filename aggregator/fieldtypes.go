package aggregator

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-aggregator/pkg/client/applyconfiguration"

	"github.com/portico-api/portico/delegation/registry"
)

// newFieldTypes returns what the registry of APIServices knows their fields by. It is a millisecond's work
// for the first write.
func newFieldTypes(scheme *runtime.Scheme) registry.FieldTypes {
	return func() (managedfields.TypeConverter, error) {
		return applyconfiguration.NewTypeConverter(scheme), nil
	}
}
