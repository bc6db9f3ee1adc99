package openapi

import (
	"k8s.io/kube-openapi/pkg/validation/spec"
	smdschema "sigs.k8s.io/structured-merge-diff/v6/schema"
)

// Extensions that say how lists and maps are merged when configurations are applied. Clients that merge by
// themselves read them.
const (
	extensionListType = "x-kubernetes-list-type"
	extensionListKeys = "x-kubernetes-list-map-keys"
	extensionMapType  = "x-kubernetes-map-type"
)

// markMerging tells of each model what types knows of it; the Go types do not show it.
func (s *schemas) markMerging(types []smdschema.TypeDef) {
	for i := range types {
		m := s.byName[types[i].Name]
		if m == nil || types[i].Map == nil {
			continue
		}
		if types[i].Map.ElementRelationship == smdschema.Atomic {
			m.AddExtension(extensionMapType, "atomic")
		}
		for _, field := range types[i].Map.Fields {
			property, ok := m.Properties[field.Name]
			if !ok || property.Ref.String() != "" {
				continue // nothing may stand beside a reference
			}
			markProperty(&property, field.Type.Inlined)
			m.Properties[field.Name] = property
		}
	}
}

func markProperty(p *spec.Schema, as smdschema.Atom) {
	switch {
	case as.List != nil && as.List.ElementRelationship == smdschema.Atomic:
		p.AddExtension(extensionListType, "atomic")
	case as.List != nil && len(as.List.Keys) > 0:
		p.AddExtension(extensionListType, "map")
		p.AddExtension(extensionListKeys, as.List.Keys)
	case as.List != nil:
		p.AddExtension(extensionListType, "set")
	case as.Map != nil && as.Map.ElementRelationship == smdschema.Atomic:
		p.AddExtension(extensionMapType, "atomic")
	}
}
