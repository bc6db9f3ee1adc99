package extensions

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/portico-api/portico/handler/openapi"
)

// documents describe custom resources, when a client asks.
type documents struct {
	service *openapi.Service
	load    func(name string) (*definition, error)
}

func newDocuments(service *openapi.Service, load func(name string) (*definition, error)) *documents {
	return &documents{service, load}
}

func (o *documents) add(gv schema.GroupVersion, definitions []*definition) {
	var names []string
	for _, d := range definitions {
		names = append(names, d.Name)
	}
	o.service.Add("apis/"+gv.String(), func() (*spec3.OpenAPI, error) { return o.describe(gv, names) })
}

func (o *documents) remove(gv schema.GroupVersion) { o.service.Remove("apis/" + gv.String()) }

// describe makes the document of one group-version.
func (o *documents) describe(gv schema.GroupVersion, names []string) (*spec3.OpenAPI, error) {
	var resources []openapi.Resource
	for _, name := range names {
		d, err := o.load(name)
		if err != nil {
			return nil, err
		}
		v := version(d, gv.Version)
		if v == nil || !v.Served {
			continue
		}
		k, err := newKind(d, func() (*definition, error) { return d, nil }, nil)
		if err != nil {
			return nil, err
		}
		s := k.versions[v.Name]
		structural, err := s.structural()
		if err != nil {
			return nil, err
		}
		r := openapi.Resource{
			Name: d.Status.AcceptedNames.Plural, Kind: s.kind, Namespaced: isNamespaced(d), Verbs: verbs(d),
			Schema: structural.ToKubeOpenAPI(), ListKind: d.Status.AcceptedNames.ListKind,
		}
		if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
			r.Schema = &spec.Schema{}
		}
		for _, sub := range describe(d, v).Subresources {
			kind := sub.ResponseKind
			part := openapi.Resource{Name: sub.Subresource, Kind: schema.GroupVersionKind{Group: kind.Group, Version: kind.Version, Kind: kind.Kind}, Verbs: sub.Verbs}
			if sub.Subresource == "scale" {
				part.Object = autoscalingv1.Scale{}
			} else {
				part.Schema = r.Schema
			}
			r.Subresources = append(r.Subresources, part)
		}
		resources = append(resources, r)
	}
	return openapi.ForResources("/apis/"+gv.String(), gv, resources, nil)
}
