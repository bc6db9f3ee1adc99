package fieldtypes

import "sigs.k8s.io/structured-merge-diff/v6/schema"

// Scale is the table of the kind that scale subresources speak, which client libraries do not have. Of its
// metadata nothing is ever managed.
func Scale() []schema.TypeDef {
	text, number := Inline(Scalar(schema.String)), Inline(Scalar(schema.Numeric))
	atomic := Define("__untyped_atomic_", Anything(schema.Untyped,
		List(schema.Atomic, Named("__untyped_atomic_")), Object(schema.Atomic, Named("__untyped_atomic_"))))
	deduced := Define("__untyped_deduced_", Anything(schema.Untyped,
		List(schema.Atomic, Named("__untyped_atomic_")), Object(schema.Separable, Named("__untyped_deduced_"))))
	return []schema.TypeDef{
		atomic, deduced,
		Define("io.k8s.api.autoscaling.v1.Scale", Object("", schema.TypeRef{},
			Has("apiVersion", text),
			Has("kind", text),
			Has("metadata", Named("__untyped_deduced_")),
			Has("spec", Inline(Object("", schema.TypeRef{}, Has("replicas", number)))),
			Has("status", Inline(Object("", schema.TypeRef{}, Has("replicas", number), Has("selector", text)))))),
	}
}
