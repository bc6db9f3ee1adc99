package rest

import (
	"bytes"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// maxMergeSteps bounds how many pairs of list elements a strategic merge may compare. Where a list has a merge key,
// the library looks for each element of the patch among all of the object, and two lists that fit into
// their bodies would keep a core busy for minutes.
const maxMergeSteps = 10_000_000

// boundMerge refuses a merge that would take too long.
func boundMerge(object, patch []byte) error {
	// There are no more elements than commas and one: nearly every patch is let through by that.
	if mergeSteps(bytes.Count(object, []byte(","))+1, bytes.Count(patch, []byte(","))+1) <= maxMergeSteps {
		return nil
	}
	into, err := decodeTree(object)
	if err != nil {
		return fmt.Errorf("decoding the object to patch: %w", err)
	}
	from, err := decodeTree(patch)
	if err != nil {
		return apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
	}
	if mergeSteps(listElements(into), listElements(from)) > maxMergeSteps {
		return apierrors.NewRequestEntityTooLargeError("the lists in the patch and in the object are too long to be merged; use another kind of patch")
	}
	return nil
}

// mergeSteps is how many pairs there can be at most: what is not found is appended, and then compared, too.
func mergeSteps(object, patch int) int { return patch * (object + patch) }

// listElements counts the elements of all lists in a tree.
func listElements(tree any) int {
	n := 0
	switch node := tree.(type) {
	case map[string]any:
		for _, value := range node {
			n += listElements(value)
		}
	case []any:
		n = len(node)
		for _, value := range node {
			n += listElements(value)
		}
	}
	return n
}
