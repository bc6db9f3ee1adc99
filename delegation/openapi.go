package delegation

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	smdschema "sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/openapi"
	"github.com/portico-api/portico/handler/rest"
)

// addOpenAPI describes the resources of one group-version below prefix. Nothing is made before a
// client asks.
func (s *GenericAPIServer) addOpenAPI(prefix string, gv schema.GroupVersion, resources []*rest.Resource, types func() []smdschema.TypeDef) {
	s.config.OpenAPI.Add(prefix, "", func() (*openapi.Description, error) {
		d := &openapi.Description{Prefix: prefix, GroupVersion: gv, Resources: openAPIResources(resources)}
		if types != nil {
			d.Types = types()
		}
		return d, nil
	})
}

// installOpenAPI adds the paths of the chain's shared documents, unless the unit has its own.
func (s *GenericAPIServer) installOpenAPI() {
	if s.config.SkipOpenAPIInstallation {
		return
	}
	s.Handler.NonGoRestfulMux.Update(func(p *handler.Paths) {
		p.Handle("/openapi/v2", s.config.OpenAPI.V2Handler())
		p.Handle("/openapi/v3", s.config.OpenAPI.RootHandler())
		p.HandlePrefix("/openapi/v3/", s.config.OpenAPI.DocumentHandler())
	})
}

func openAPIResources(resources []*rest.Resource) []openapi.Resource {
	out := make([]openapi.Resource, len(resources))
	for i, r := range resources {
		kind := responseKind(r)
		out[i] = openapi.Resource{
			Name:         r.Name,
			Kind:         schema.GroupVersionKind{Group: kind.Group, Version: kind.Version, Kind: kind.Kind},
			Namespaced:   r.Namespaced,
			Verbs:        r.Verbs(),
			Subresources: openAPIResources(r.Subresources),
		}
		if r.New != nil {
			out[i].Object = r.New()
		}
		if r.NewList != nil {
			out[i].List = r.NewList()
		}
	}
	return out
}
