package openapi

import (
	"reflect"
	"slices"
	"strings"

	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// queryOf are the fields of an options type as query parameters, with the texts written about them.
func queryOf(options interface{ SwaggerDoc() map[string]string }, except ...string) []*spec3.Parameter {
	texts := options.SwaggerDoc()
	t := reflect.TypeOf(options)
	var all []*spec3.Parameter
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "" || slices.Contains(except, name) {
			continue
		}
		if s := parameterSchema(t.Field(i).Type); s != nil {
			all = append(all, &spec3.Parameter{ParameterProps: spec3.ParameterProps{Name: name, In: "query", Description: texts[name], Schema: s}})
		}
	}
	return all
}

// parameterSchema is nil for what does not fit into a query, such as preconditions.
func parameterSchema(t reflect.Type) *spec.Schema {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem() // a list is given by repetition
	}
	switch t.Kind() {
	case reflect.String:
		return unique(simple("string", ""))
	case reflect.Bool:
		return unique(simple("boolean", ""))
	case reflect.Int64:
		return unique(simple("integer", ""))
	}
	return nil
}

func unique(s *spec.Schema) *spec.Schema {
	s.UniqueItems = true
	return s
}

func pretty() *spec3.Parameter {
	return &spec3.Parameter{ParameterProps: spec3.ParameterProps{
		Name: "pretty", In: "query", Schema: unique(simple("string", "")),
		Description: "If 'true', then the output is pretty printed.",
	}}
}

func inPath(name, text string) *spec3.Parameter {
	return &spec3.Parameter{ParameterProps: spec3.ParameterProps{
		Name: name, In: "path", Required: true, Description: text, Schema: unique(simple("string", "")),
	}}
}
