package extensions

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"weak"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/jsonpath"

	"github.com/portico-api/portico/delegation/hookclient"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// kind is a definition made ready for its objects.
type kind struct {
	definition *definition // without schemas
	storage    string      // the version that is stored
	versions   map[string]*versionSchema
	converter  converter
}

// newKind makes the kind of a definition. load finds the definition with its schemas, when something of them is needed first.
func newKind(d *definition, load func() (*definition, error), clients *hookclient.Clients, m conversionMetrics) (*kind, error) {
	k := &kind{definition: d, versions: map[string]*versionSchema{}}
	load = remembered(load)
	var err error
	if k.converter, err = newConverter(d, clients, m); err != nil {
		return nil, err
	}
	for i := range d.Spec.Versions {
		v := &d.Spec.Versions[i]
		k.versions[v.Name] = newVersionSchema(k.gvk(v.Name), func() (*apiextensionsv1.CustomResourceDefinitionVersion, error) {
			whole, err := load()
			if err != nil {
				return nil, err
			}
			if found := version(whole, v.Name); found != nil {
				return found, nil
			}
			return nil, errRetired
		})
		if v.Storage {
			k.storage = v.Name
		}
	}
	if k.storage == "" {
		return nil, fmt.Errorf("%s has no version that is stored", d.Name)
	}
	return k, nil
}

// remembered keeps what load returns until the memory is wanted: whoever needs the schemas of all versions would decode all of them for each.
func remembered(load func() (*definition, error)) func() (*definition, error) {
	var mu sync.Mutex
	var last weak.Pointer[definition]
	return func() (*definition, error) {
		mu.Lock()
		defer mu.Unlock()
		if d := last.Value(); d != nil {
			return d, nil
		}
		d, err := load()
		if err != nil {
			return nil, err
		}
		last = weak.Make(d)
		return d, nil
	}
}

func (k *kind) gvk(version string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: k.definition.Spec.Group, Version: version, Kind: k.definition.Status.AcceptedNames.Kind}
}

func isNamespaced(d *definition) bool { return d.Spec.Scope == apiextensionsv1.NamespaceScoped }

// resource declares the objects in one version.
func (k *kind) resource(v *apiextensionsv1.CustomResourceDefinitionVersion) registry.Resource {
	s, names := k.versions[v.Name], &k.definition.Status.AcceptedNames
	res := registry.Resource{
		GroupVersion: s.kind.GroupVersion(),
		Kind:         names.Kind,
		ListKind:     names.ListKind,
		Name:         k.definition.Spec.Names.Plural,
		SingularName: names.Singular,
		ShortNames:   names.ShortNames,
		Categories:   names.Categories,
		Namespaced:   isNamespaced(k.definition),
		Path:         pathTo(k.definition),
		New:          newObject,
		NewList:      func() runtime.Object { return &unstructured.UnstructuredList{} },
		Read:         k.read,
		Settle:       s.settleSent,
		Table:        tableOf(v),
		Strategy: registry.Strategy{
			Generation:           true,
			PrepareForCreate:     func(ctx context.Context, obj runtime.Object) { warnOfFinalizers(ctx, obj, nil) },
			PrepareForUpdate:     warnOfFinalizers,
			Default:              s.fill,
			Validate:             s.validate,
			ValidateChange:       s.validateChange,
			ValidateStatusUpdate: s.validateStatus,
		},
	}
	res.Strategy.FieldNames, res.Strategy.Fields = selectable(v.SelectableFields)
	if sub := v.Subresources; sub != nil {
		res.Status = sub.Status != nil
		if sub.Scale != nil {
			res.Scale = &registry.Scale{SpecReplicas: pathOf(sub.Scale.SpecReplicasPath), StatusReplicas: pathOf(sub.Scale.StatusReplicasPath)}
			if path := sub.Scale.LabelSelectorPath; path != nil && *path != "" {
				res.Scale.Selector = pathOf(*path)
			}
			res.Scale.Others = k.replicas(v.Name)
		}
	}
	return res
}

// replicas is where versions other than one have the number that scales.
func (k *kind) replicas(but string) map[string][]string {
	paths := map[string][]string{}
	for i := range k.definition.Spec.Versions {
		v := &k.definition.Spec.Versions[i]
		if v.Name == but {
			continue
		}
		var path []string
		if v.Subresources != nil && v.Subresources.Scale != nil {
			path = pathOf(v.Subresources.Scale.SpecReplicasPath)
		}
		paths[k.gvk(v.Name).GroupVersion().String()] = path
	}
	return paths
}

func newObject() runtime.Object { return &unstructured.Unstructured{Object: map[string]any{}} }

// version of a definition; nil when there is none of that name.
func version(d *definition, name string) *apiextensionsv1.CustomResourceDefinitionVersion {
	for i := range d.Spec.Versions {
		if d.Spec.Versions[i].Name == name {
			return &d.Spec.Versions[i]
		}
	}
	return nil
}

// read makes what is cached of what is stored: what its version's schema knows, with that version's defaults, in the version that is stored now if
// that takes no webhook.
func (k *kind) read(stored []byte) (shown []byte, rewritten bool) {
	name := versionOf(stored)
	s := k.versions[name]
	if s == nil {
		s = k.versions[k.storage] // the version is gone, and nothing else is known of the object
	}
	body, err := s.shown(stored)
	if err != nil {
		return stored, false // who asks for it gets the error
	}
	if _, simple := k.converter.(renaming); simple && name != k.storage {
		if renamed, err := k.renamed(body); err == nil {
			body = renamed
		}
	}
	return body, name != k.storage || !bytes.Equal(body, stored)
}

func (k *kind) renamed(body []byte) ([]byte, error) {
	u, err := decode(body)
	if err != nil {
		return nil, err
	}
	s := k.versions[k.storage]
	u.SetGroupVersionKind(s.kind)
	if _, err := s.settle(u, true); err != nil {
		return nil, err
	}
	return json.Marshal(u.Object)
}

// versionOf is the version that a stored object says it is of.
func versionOf(body []byte) string {
	// Objects are stored with their members in order, and apiVersion is the first.
	const head = `{"apiVersion":"`
	if rest, ok := bytes.CutPrefix(body, []byte(head)); ok {
		if i := bytes.IndexByte(rest, '"'); i >= 0 {
			return versionIn(string(rest[:i]))
		}
	}
	var said metav1.TypeMeta
	_ = json.Unmarshal(body, &said) // an object that cannot be read is of no version
	return versionIn(said.APIVersion)
}

func versionIn(apiVersion string) string {
	return apiVersion[strings.LastIndexByte(apiVersion, '/')+1:]
}

// isOf tells whether a stored object is of a kind's version.
func isOf(body []byte, kind schema.GroupVersionKind) bool { return versionOf(body) == kind.Version }

// selectable makes the fields by which objects can be selected.
func selectable(declared []apiextensionsv1.SelectableField) (names []string, extract func(json []byte) fields.Set) {
	if len(declared) == 0 {
		return nil, nil
	}
	paths := make([]*jsonpath.JSONPath, len(declared))
	for i, f := range declared {
		names = append(names, strings.TrimPrefix(f.JSONPath, "."))
		path := jsonpath.New("selectableField").AllowMissingKeys(true)
		if path.Parse("{"+f.JSONPath+"}") == nil { // it has been validated
			paths[i] = path
		}
	}
	return names, func(body []byte) fields.Set {
		set := fields.Set{}
		u, err := decode(body)
		if err != nil {
			return set
		}
		for i, path := range paths {
			set[names[i]] = ""
			if path == nil {
				continue
			}
			if found, err := path.FindResults(u.Object); err == nil && len(found) > 0 && len(found[0]) > 0 {
				set[names[i]] = fmt.Sprint(found[0][0].Interface())
			}
		}
		return set
	}
}

// views are the other versions that objects of one are seen in: by admission, and in accounts of who manages which field.
func (k *kind) views(of string) []registry.View {
	var all []registry.View
	for i := range k.definition.Spec.Versions {
		v := &k.definition.Spec.Versions[i]
		if v.Name == of || !v.Served {
			continue
		}
		own, other := k.versions[of], k.versions[v.Name]
		all = append(all, registry.View{
			GroupVersion: other.kind.GroupVersion(), Kind: other.kind.Kind, New: newObject,
			NewList: func() runtime.Object { return &unstructured.UnstructuredList{} },
			Show:    func(obj runtime.Object) (runtime.Object, error) { return convertTo(k.converter, obj, other) },
			Take:    func(obj runtime.Object) (runtime.Object, error) { return convertTo(k.converter, obj, own) },
		})
	}
	return all
}

// tableOf is how objects of a version look in kubectl get.
func tableOf(v *apiextensionsv1.CustomResourceDefinitionVersion) *rest.Table {
	declared := v.AdditionalPrinterColumns
	if len(declared) == 0 {
		declared = []apiextensionsv1.CustomResourceColumnDefinition{
			{Name: "Age", Type: "date", Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"], JSONPath: ".metadata.creationTimestamp"},
		}
	}
	t := &rest.Table{Columns: []metav1.TableColumnDefinition{{Name: "Name", Type: "string", Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"]}}}
	var cells []cell
	for _, c := range declared {
		description := c.Description
		if description == "" {
			description = fmt.Sprintf("Custom resource definition column (in JSONPath format): %s", c.JSONPath)
		}
		t.Columns = append(t.Columns, metav1.TableColumnDefinition{Name: c.Name, Type: c.Type, Format: c.Format, Description: description, Priority: c.Priority})
		cells = append(cells, newCell(c))
	}
	t.Cells = func(obj runtime.Object) []any {
		u := obj.(*unstructured.Unstructured)
		row := make([]any, 0, len(cells)+1)
		row = append(row, u.GetName())
		for _, c := range cells {
			row = append(row, c.of(u.Object))
		}
		return row
	}
	return t
}
