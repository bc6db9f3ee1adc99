package extensions

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/schemaconv"
	"k8s.io/kube-openapi/pkg/validation/spec"
	smdschema "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"

	"github.com/portico-api/portico/delegation/registry"
	types "github.com/portico-api/portico/delegation/registry/fieldtypes"
)

// objectMetaType is the name of metadata's type in the unit's own table.
const objectMetaType = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

// fieldTypes loads the types of the fields of a kind, in all versions, for the first write.
func (k *kind) fieldTypes() registry.FieldTypes {
	return sync.OnceValues(func() (managedfields.TypeConverter, error) {
		models := map[string]*spec.Schema{}
		for name, v := range k.versions {
			structural, err := v.structural()
			if err != nil {
				return nil, err
			}
			models[name] = structural.ToKubeOpenAPI()
		}
		made, err := schemaconv.ToSchemaFromOpenAPI(models, false)
		if err != nil {
			return nil, fmt.Errorf("reading the field types of %s: %w", k.definition.Name, err)
		}
		parser := &typed.Parser{Schema: smdschema.Schema{Types: fieldTypes()}}
		known := map[string]bool{}
		for _, t := range parser.Schema.Types {
			known[t.Name] = true
		}
		for _, t := range made.Types {
			if k.versions[t.Name] != nil {
				t = withMetadata(t)
			} else if known[t.Name] {
				continue
			}
			parser.Schema.Types = append(parser.Schema.Types, t)
		}
		return &objectTypes{kind: k, parser: parser}, nil
	})
}

// withMetadata gives a type the fields that every object has, of which schemas need not speak.
func withMetadata(t smdschema.TypeDef) smdschema.TypeDef {
	text := types.Inline(types.Scalar(smdschema.String))
	own := []smdschema.StructField{types.Has("apiVersion", text), types.Has("kind", text), types.Has("metadata", types.Named(objectMetaType))}
	if t.Map == nil {
		t.Map = &smdschema.Map{}
	}
	fields := own
	for _, f := range t.Map.Fields {
		if f.Name != "apiVersion" && f.Name != "kind" && f.Name != "metadata" {
			fields = append(fields, f)
		}
	}
	t.Atom = smdschema.Atom{Map: &smdschema.Map{Fields: fields, ElementType: t.Map.ElementType, ElementRelationship: t.Map.ElementRelationship}}
	return t
}

// objectTypes gives objects of a kind their types, by their version.
type objectTypes struct {
	kind   *kind
	parser *typed.Parser
}

// ObjectToTyped implements managedfields.TypeConverter.
func (o *objectTypes) ObjectToTyped(obj runtime.Object, options ...typed.ValidationOptions) (*typed.TypedValue, error) {
	gvk := obj.GetObjectKind().GroupVersionKind()
	if o.kind.versions[gvk.Version] == nil || gvk != o.kind.gvk(gvk.Version) {
		return nil, fmt.Errorf("no corresponding type for %v", gvk)
	}
	u, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("a %T is no custom resource", obj)
	}
	return o.parser.Type(gvk.Version).FromUnstructured(u.UnstructuredContent(), options...)
}

// TypedToObject implements managedfields.TypeConverter.
func (o *objectTypes) TypedToObject(v *typed.TypedValue) (runtime.Object, error) {
	content, ok := v.AsValue().Unstructured().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("a %s is no object", value.ToString(v.AsValue()))
	}
	return &unstructured.Unstructured{Object: content}, nil
}
