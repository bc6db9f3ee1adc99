package registry

import (
	"context"
	"time"

	"github.com/portico-api/portico/handler/rest"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Resource declares one kind of stored object: what it is called, what it looks like and what may
// change. A built-in resource is one of these in one file.
type Resource struct {
	GroupVersion schema.GroupVersion
	Kind         string
	ListKind     string // default Kind + "List"
	Name         string // plural
	SingularName string
	ShortNames   []string
	Categories   []string
	Namespaced   bool
	// Path is the key path below the store's prefix (kube-apiserver's layout); default Name.
	Path string

	New     func() runtime.Object
	NewList func() runtime.Object

	// Read is storage.ResourceConfig.Read.
	Read func(json []byte) (shown []byte, rewritten bool)
	// Settle is rest.Resource.Settle.
	Settle func(obj runtime.Object) (unknown []error, err error)

	Strategy Strategy
	// Status adds the status subresource.
	Status bool
	// Scale adds the scale subresource; nil for kinds that have nothing to scale.
	Scale *Scale
	Table *rest.Table
}

// Strategy is what is particular to one kind. Every field may be nil or zero.
type Strategy struct {
	// Default fills what the client left out, before validation, on create and update.
	Default func(obj runtime.Object)
	// PrepareForCreate and PrepareForUpdate drop or force what the client may not decide.
	PrepareForCreate func(ctx context.Context, obj runtime.Object)
	PrepareForUpdate func(ctx context.Context, obj, old runtime.Object)
	// PrepareForStatusUpdate does so for the status subresource; the default keeps all but status (and metadata.managedFields) of old.
	PrepareForStatusUpdate func(ctx context.Context, obj, old runtime.Object)
	Validate               func(ctx context.Context, obj runtime.Object) field.ErrorList
	ValidateUpdate         func(ctx context.Context, obj, old runtime.Object) field.ErrorList // Validate runs too
	ValidateStatusUpdate   func(ctx context.Context, obj, old runtime.Object) field.ErrorList
	// ValidateChange takes the place of Validate and ValidateUpdate on updates, for kinds that let be what was not valid before.
	ValidateChange func(ctx context.Context, obj, old runtime.Object) field.ErrorList
	// ValidateName returns messages; default DNS-1123 subdomain.
	ValidateName func(name string, prefix bool) []string
	// Generation maintains metadata.generation.
	Generation               bool
	AllowCreateOnUpdate      bool
	AllowUnconditionalUpdate bool
	// Fields are selectable fields beyond metadata.name and metadata.namespace; the keys of FieldNames say which labels are known.
	FieldNames []string
	Fields     func(json []byte) fields.Set
	TTL        time.Duration
	// ShouldDelete tells after an update of an object under deletion whether nothing keeps it any more,
	// beyond metadata.finalizers (namespaces: spec.finalizers).
	ShouldDelete func(obj runtime.Object) bool
	// BeginDelete may change the object when its deletion begins (namespaces: phase Terminating) and tells whether something
	// beyond metadata.finalizers keeps it.
	BeginDelete func(obj runtime.Object) (kept bool)
	// Dependents is what becomes of dependents when a client does not say.
	Dependents Dependents
}
