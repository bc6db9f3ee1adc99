package openapi

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"
	smdschema "sigs.k8s.io/structured-merge-diff/v6/schema"
)

// Resource is what a document tells of one resource or subresource.
type Resource struct {
	Name       string                  // plural, or the subresource's name: "status"
	Kind       schema.GroupVersionKind // of the bodies that are read and written
	Namespaced bool
	Verbs      []string // as in discovery
	// Object and List are empty values of the Go types, or pointers to them; List is nil for what cannot be listed.
	Object, List any
	// Schema is what objects are like that have no Go type, as JSON; Object and List are not looked at then. ListKind is the kind of
	// their lists, by default Kind with "List".
	Schema   json.RawMessage
	ListKind string
	// SelectableFields are the paths by which such objects can be selected: .spec.color.
	SelectableFields []string
	Subresources     []Resource
}

// ForResources describes the resources of one group-version, served below prefix: "/api/v1", "/apis/apps/v1". types
// says how their fields are merged; nil leaves that open.
func ForResources(prefix string, gv schema.GroupVersion, resources []Resource, types []smdschema.TypeDef) (*spec3.OpenAPI, error) {
	d := &describer{prefix: prefix, gv: gv, schemas: newSchemas(), paths: map[string]*spec3.Path{}}
	d.describeDiscovery()
	for i := range resources {
		d.describe(&resources[i])
	}
	d.schemas.markMerging(types)
	if err := d.schemas.err; err != nil {
		return nil, fmt.Errorf("describing %s: %w", gv, err)
	}
	return &spec3.OpenAPI{
		Version: "3.0.0",
		Info:    &spec.Info{InfoProps: spec.InfoProps{Title: "Portico", Version: gv.String()}},
		Paths:   &spec3.Paths{Paths: d.paths},
		Components: &spec3.Components{
			Schemas: d.schemas.byName,
			SecuritySchemes: spec3.SecuritySchemes{"BearerToken": {SecuritySchemeProps: spec3.SecuritySchemeProps{
				Type: "apiKey", Name: "authorization", In: "header", Description: "Bearer Token authentication",
			}}},
		},
	}, nil
}
