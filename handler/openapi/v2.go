package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	"google.golang.org/protobuf/proto"
	"k8s.io/kube-openapi/pkg/schemamutation"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// encodeV2 merges all documents into one of version 2. Its models are shared; where two documents differ in one,
// which can only be a mark, the first in the order of paths wins. Those of other servers come last.
func encodeV2(documents map[string]*document, foreign []*Foreign) ([]byte, error) {
	documents = maps.Clone(documents)
	for _, f := range foreign {
		delete(documents, f.path) // what is served elsewhere is described there
	}
	merged := &spec.Swagger{SwaggerProps: spec.SwaggerProps{
		Swagger:     "2.0",
		Info:        &spec.Info{InfoProps: spec.InfoProps{Title: "Portico", Version: "unversioned"}},
		Paths:       &spec.Paths{Paths: map[string]spec.PathItem{}},
		Definitions: spec.Definitions{},
		SecurityDefinitions: spec.SecurityDefinitions{"BearerToken": {SecuritySchemeProps: spec.SecuritySchemeProps{
			Type: "apiKey", Name: "authorization", In: "header", Description: "Bearer Token authentication",
		}}},
		Security: []map[string][]string{{"BearerToken": {}}},
	}}
	for _, doc := range sorted(documents) {
		v3, err := doc.build()
		if err != nil {
			continue // one group that cannot be described must not hide the others
		}
		for address, p := range v3.Paths.Paths {
			merged.Paths.Paths[address] = downPath(p)
		}
		if v3.Components == nil {
			continue
		}
		for name, s := range v3.Components.Schemas {
			if _, ok := merged.Definitions[name]; ok {
				continue
			}
			if s, err := whole(s); err == nil {
				merged.Definitions[name] = *downSchema(s)
			}
		}
	}
	mergeForeign(merged, foreign)
	return json.Marshal(merged)
}

func protoV2(doc *lazy) ([]byte, error) {
	text, err := doc.bytes()
	if err != nil {
		return nil, err
	}
	message, err := openapi_v2.ParseDocument(text)
	if err != nil {
		return nil, fmt.Errorf("encoding in protobuf: %w", err)
	}
	return proto.Marshal(message)
}

func downPath(p *spec3.Path) spec.PathItem {
	return spec.PathItem{VendorExtensible: p.VendorExtensible, PathItemProps: spec.PathItemProps{
		Get:        downOperation(p.Get),
		Put:        downOperation(p.Put),
		Post:       downOperation(p.Post),
		Patch:      downOperation(p.Patch),
		Delete:     downOperation(p.Delete),
		Parameters: downParameters(p.Parameters),
	}}
}

func downOperation(op *spec3.Operation) *spec.Operation {
	if op == nil {
		return nil
	}
	down := &spec.Operation{VendorExtensible: op.VendorExtensible, OperationProps: spec.OperationProps{
		ID: op.OperationId, Description: op.Description, Tags: op.Tags, Schemes: []string{"https"},
		Parameters: downParameters(op.Parameters),
		Responses:  &spec.Responses{ResponsesProps: spec.ResponsesProps{StatusCodeResponses: map[int]spec.Response{}}},
	}}
	if op.RequestBody != nil {
		down.Consumes = slices.Sorted(maps.Keys(op.RequestBody.Content))
		for _, m := range op.RequestBody.Content {
			down.Parameters = append(down.Parameters, spec.Parameter{ParamProps: spec.ParamProps{
				Name: "body", In: "body", Required: op.RequestBody.Required, Schema: downContent(m),
			}})
			break // they all have one schema
		}
	}
	if op.Responses == nil {
		return down
	}
	for code, response := range op.Responses.StatusCodeResponses {
		if response == nil {
			continue
		}
		r := spec.Response{ResponseProps: spec.ResponseProps{Description: response.Description}}
		for _, m := range response.Content {
			r.Schema = downContent(m)
			break
		}
		if len(response.Content) > len(down.Produces) {
			down.Produces = slices.Sorted(maps.Keys(response.Content))
		}
		down.Responses.StatusCodeResponses[code] = r
	}
	return down
}

// downContent is the schema of a body; other servers may have left it out.
func downContent(m *spec3.MediaType) *spec.Schema {
	if m == nil || m.Schema == nil {
		return nil
	}
	return downSchema(m.Schema)
}

func downParameters(parameters []*spec3.Parameter) []spec.Parameter {
	var down []spec.Parameter
	for _, p := range parameters {
		if p == nil {
			continue
		}
		q := spec.Parameter{ParamProps: spec.ParamProps{Name: p.Name, In: p.In, Description: p.Description, Required: p.Required}}
		if p.Schema != nil && len(p.Schema.Type) > 0 {
			q.Type, q.Format, q.UniqueItems = p.Schema.Type[0], p.Schema.Format, p.Schema.UniqueItems
		}
		down = append(down, q)
	}
	return down
}

// downSchema says a schema in the words of version 2, which has neither oneOf nor a place beside a reference that is needed.
func downSchema(s *spec.Schema) *spec.Schema {
	walker := schemamutation.Walker{
		RefCallback: func(ref *spec.Ref) *spec.Ref {
			name, ok := strings.CutPrefix(ref.String(), refPrefix)
			if !ok {
				return ref
			}
			down := spec.MustCreateRef("#/definitions/" + name)
			return &down
		},
		SchemaCallback: func(s *spec.Schema) *spec.Schema {
			open, required := isOpen(s), givenAlways(s)
			if len(s.OneOf) == 0 && len(s.AnyOf) == 0 && s.Not == nil && !s.Nullable && len(s.AllOf) != 1 && !open && len(required) == len(s.Required) {
				return s
			}
			down := *s
			switch {
			case s.Nullable || open: // kubectl before 1.25 would refuse null, and fields that are not named
				down.Type, down.Items, down.Properties = nil, nil, nil
			case len(s.OneOf) > 0 && len(s.Type) == 0:
				down.Type = []string{"string"} // int-or-string, quantities: every client can write them so
			}
			down.OneOf, down.AnyOf, down.Not, down.Nullable, down.Required = nil, nil, nil, false, required
			if len(down.AllOf) == 1 && down.AllOf[0].Ref.String() != "" {
				down.Ref, down.AllOf = down.AllOf[0].Ref, nil
			}
			return &down
		},
	}
	if _, kind := s.Extensions[extensionKind]; kind && isOpen(s) { // a kind is an object, whatever is in it
		down := simple("object", "")
		down.AddExtension(extensionKind, s.Extensions[extensionKind])
		return down
	}
	return walker.WalkSchema(s)
}

// isOpen tells whether a schema allows fields that it does not name.
func isOpen(s *spec.Schema) bool {
	open, _ := s.Extensions.GetBool("x-kubernetes-preserve-unknown-fields")
	return open
}

// givenAlways are the required fields, less those that may be null: kubectl takes null for nothing.
func givenAlways(s *spec.Schema) []string {
	null := func(name string) bool { return s.Properties[name].Nullable }
	if !slices.ContainsFunc(s.Required, null) {
		return s.Required
	}
	return slices.DeleteFunc(slices.Clone(s.Required), null)
}
