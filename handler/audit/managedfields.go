package audit

import (
	"bytes"
	"encoding/json"

	kjson "sigs.k8s.io/json"
)

// withoutManagedFields is an object, a list or a table without the account of who manages which field, which is often longer than the rest.
func withoutManagedFields(body []byte) []byte {
	if !bytes.Contains(body, []byte(`"managedFields"`)) {
		return body
	}
	var tree map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, &tree); err != nil {
		return body // a patch in JSON is a list
	}
	dropManagedFields(tree)
	for _, item := range listOf(tree, "items") {
		dropManagedFields(item)
	}
	for _, row := range listOf(tree, "rows") {
		if fields, ok := row.(map[string]any); ok {
			dropManagedFields(fields["object"])
		}
	}
	without, err := json.Marshal(tree)
	if err != nil {
		return body // it was JSON: it cannot be
	}
	return without
}

func listOf(tree map[string]any, name string) []any {
	list, _ := tree[name].([]any)
	return list
}

func dropManagedFields(object any) {
	fields, _ := object.(map[string]any)
	if metadata, ok := fields["metadata"].(map[string]any); ok {
		delete(metadata, "managedFields")
	}
}
