package rest

import (
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// mergePatch is a JSON merge patch (RFC 7386), decoded. It is only read, so it can be applied again.
type mergePatch struct{ patch map[string]any }

func parseMergePatch(body []byte) (*mergePatch, error) {
	tree, err := decodeTree(body)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
	}
	patch, ok := tree.(map[string]any)
	if !ok {
		return nil, apierrors.NewBadRequest("error decoding patch: a merge patch of an object is an object")
	}
	return &mergePatch{patch}, nil
}

func (p *mergePatch) apply(object []byte) ([]byte, error) {
	tree, err := decodeTree(object)
	if err != nil {
		return nil, fmt.Errorf("decoding the object to patch: %w", err)
	}
	return json.Marshal(merge(tree, p.patch))
}

// merge returns target changed by patch: null removes, objects are merged, anything else replaces.
func merge(target any, patch map[string]any) map[string]any {
	merged, ok := target.(map[string]any)
	if !ok {
		merged = make(map[string]any, len(patch))
	}
	for key, value := range patch {
		switch value := value.(type) {
		case nil:
			delete(merged, key)
		case map[string]any:
			merged[key] = merge(merged[key], value)
		default:
			merged[key] = value
		}
	}
	return merged
}
