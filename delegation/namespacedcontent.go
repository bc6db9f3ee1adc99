package delegation

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// NamespacedContent is what one resource, or one server behind a unit, keeps in namespaces. It goes
// with them.
type NamespacedContent interface {
	// Empty deletes what there is in a namespace and tells what is still there after. It is called
	// again until nothing is, and returns soon when ctx ends.
	Empty(ctx context.Context, namespace string) Remaining
}

// Remaining is what keeps a namespace from being empty; the zero value is nothing.
type Remaining struct {
	// Objects are those that are still there, by resource.
	Objects map[schema.GroupResource]int
	// Finalizers are those that keep objects, and how many each keeps.
	Finalizers map[string]int
	// Undiscovered are the group-versions of which it is not known what they have in the namespace,
	// and why. Each counts as not empty.
	Undiscovered map[schema.GroupVersion]error
	// Failed is what could not be deleted or counted, and why.
	Failed []error
}
