package extensions

import (
	"crypto/sha512"
	"encoding/json"
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/handler/openapi"
)

// documents describe custom resources, when a client asks.
type documents struct {
	service *openapi.Service
	program string                            // its version
	stored  func(name string) ([]byte, error) // reads a definition
}

func newDocuments(service *openapi.Service, program string, stored func(name string) ([]byte, error)) *documents {
	return &documents{service, program, stored}
}

func (o *documents) add(gv schema.GroupVersion, definitions []*definition) {
	var names []string
	for _, d := range definitions {
		names = append(names, d.Name)
	}
	o.service.Add("apis/"+gv.String(), o.nameOf(definitions), func() (*openapi.Description, error) { return o.describe(gv, names) })
}

func (o *documents) remove(gv schema.GroupVersion) { o.service.Remove("apis/" + gv.String()) }

// nameOf names the content of the document of definitions, which nobody needs to make for that. It is the same in all replicas.
func (o *documents) nameOf(definitions []*definition) string {
	h := sha512.New()
	fmt.Fprintln(h, o.program)
	for _, d := range definitions {
		fmt.Fprintln(h, d.Name, d.UID, d.Generation, isTrue(d, apiextensionsv1.Terminating), d.Status.AcceptedNames.String())
	}
	return fmt.Sprintf("%X", h.Sum(nil))
}

// describe is what there is to tell of one group-version.
func (o *documents) describe(gv schema.GroupVersion, names []string) (*openapi.Description, error) {
	described := &openapi.Description{Prefix: "/apis/" + gv.String(), GroupVersion: gv}
	for _, name := range names {
		stored, err := o.stored(name)
		if err != nil {
			return nil, err
		}
		d, schemas, err := decodeAround(stored)
		if err != nil {
			return nil, err
		}
		if v := version(d, gv.Version); v != nil && v.Served {
			described.Resources = append(described.Resources, describeResource(d, v, schemas[v.Name]))
		}
	}
	return described, nil
}

func describeResource(d *definition, v *apiextensionsv1.CustomResourceDefinitionVersion, text json.RawMessage) openapi.Resource {
	if text == nil {
		text = json.RawMessage("{}")
	}
	names := &d.Status.AcceptedNames
	r := openapi.Resource{
		Name: names.Plural, Kind: schema.GroupVersionKind{Group: d.Spec.Group, Version: v.Name, Kind: names.Kind},
		Namespaced: isNamespaced(d), Verbs: verbs(d), Schema: text, ListKind: names.ListKind,
	}
	for _, field := range v.SelectableFields {
		r.SelectableFields = append(r.SelectableFields, field.JSONPath)
	}
	for _, sub := range describe(d, v).Subresources {
		kind := sub.ResponseKind
		part := openapi.Resource{Name: sub.Subresource, Kind: schema.GroupVersionKind{Group: kind.Group, Version: kind.Version, Kind: kind.Kind}, Verbs: sub.Verbs}
		if sub.Subresource == "scale" {
			part.Object = autoscalingv1.Scale{}
		} else {
			part.Schema = text
		}
		r.Subresources = append(r.Subresources, part)
	}
	return r
}
