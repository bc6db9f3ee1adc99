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

// listKind is the kind of lists of what has no Go type.
func (r *Resource) listKind() string {
	if r.ListKind != "" {
		return r.ListKind
	}
	return r.Kind.Kind + "List"
}

// Description is what there is to tell of one group-version.
type Description struct {
	Prefix       string // where it is served: "/api/v1", "/apis/apps/v1"
	GroupVersion schema.GroupVersion
	Resources    []Resource
	Types        []smdschema.TypeDef // how fields are merged; nil leaves that open
}

// document is the description as a tree.
func (d *Description) document() (*spec3.OpenAPI, error) {
	return d.of(d.Resources)
}

// encode is the description in JSON.
func (d *Description) encode() ([]byte, error) {
	rest, samples := sampled(d.Resources)
	for _, s := range samples {
		rest = append(rest, s.Resource)
	}
	made, err := d.of(rest)
	if err != nil {
		return nil, err
	}
	text, err := made.MarshalJSON() // json.Marshal would read all of it again
	if err != nil || len(samples) == 0 {
		return text, err
	}
	return fill(text, samples)
}

func (d *Description) of(resources []Resource) (*spec3.OpenAPI, error) {
	r := &describer{prefix: d.Prefix, gv: d.GroupVersion, schemas: newSchemas(), paths: map[string]*spec3.Path{}}
	r.describeDiscovery()
	for i := range resources {
		r.describe(&resources[i])
	}
	r.schemas.markMerging(d.Types)
	if err := r.schemas.err; err != nil {
		return nil, fmt.Errorf("describing %s: %w", d.GroupVersion, err)
	}
	return &spec3.OpenAPI{
		Version: "3.0.0",
		Info:    &spec.Info{InfoProps: spec.InfoProps{Title: "Portico", Version: d.GroupVersion.String()}},
		Paths:   &spec3.Paths{Paths: r.paths},
		Components: &spec3.Components{
			Schemas: r.schemas.byName,
			SecuritySchemes: spec3.SecuritySchemes{"BearerToken": {SecuritySchemeProps: spec3.SecuritySchemeProps{
				Type: "apiKey", Name: "authorization", In: "header", Description: "Bearer Token authentication",
			}}},
		},
	}, nil
}
