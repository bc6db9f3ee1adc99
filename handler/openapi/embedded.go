package openapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	utiljson "k8s.io/apimachinery/pkg/util/json" // keeps large integers
	"k8s.io/kube-openapi/pkg/validation/spec"
)

const extensionEmbedded = "x-kubernetes-embedded-resource"

// embedding is a schema with the properties of all objects in those of its parts that are objects themselves.
func embedding(text json.RawMessage, properties map[string]spec.Schema) (json.RawMessage, error) {
	if !bytes.Contains(text, []byte(extensionEmbedded)) {
		return text, nil
	}
	var root map[string]any
	if err := utiljson.Unmarshal(text, &root); err != nil {
		return nil, fmt.Errorf("reading a schema: %w", err)
	}
	embed(root, properties)
	return json.Marshal(root)
}

func embed(s map[string]any, everywhere map[string]spec.Schema) {
	properties, _ := s["properties"].(map[string]any)
	for _, p := range properties {
		if p, ok := p.(map[string]any); ok {
			embed(p, everywhere)
		}
	}
	for _, name := range []string{"items", "additionalProperties"} {
		if p, ok := s[name].(map[string]any); ok {
			embed(p, everywhere)
		}
	}
	if s[extensionEmbedded] != true {
		return
	}
	if properties == nil {
		properties = map[string]any{}
		s["properties"] = properties
	}
	for name, p := range everywhere {
		properties[name] = p
	}
	required, _ := s["required"].([]any)
	for _, name := range []string{"kind", "apiVersion"} {
		if !slices.Contains(required, any(name)) {
			required = append(required, name)
		}
	}
	s["required"] = required
}
