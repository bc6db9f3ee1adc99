package rest

import (
	"bytes"
	"encoding/json"
	"fmt"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	// maxPatchOperations is the contract's limit on a JSON patch.
	maxPatchOperations = 10000
	// maxCopyGrowth bounds what the copy operations of one patch may add: thirty of them that copy
	// the whole object into itself would otherwise fill any memory.
	maxCopyGrowth = 3 << 20
	// maxCopyWork bounds how many bytes are read and written again because copies are measured one by one.
	maxCopyWork = 128 << 20
)

// operations is a JSON patch, cut into runs so that each copy stands alone and can be measured.
type operations struct {
	runs []run
}

type run struct {
	patch jsonpatch.Patch
	copy  bool
}

func parseOperations(patch []byte) (*operations, error) {
	if n := countElements(patch); n > maxPatchOperations {
		return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("the allowed maximum operations in a JSON patch is %d, got more than that", maxPatchOperations))
	}
	all, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
	}
	if len(all) > maxPatchOperations {
		return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("the allowed maximum operations in a JSON patch is %d, got %d", maxPatchOperations, len(all)))
	}
	ops := &operations{}
	for i, op := range all {
		isCopy := op.Kind() == "copy"
		if last := len(ops.runs) - 1; last >= 0 && !isCopy && !ops.runs[last].copy {
			ops.runs[last].patch = append(ops.runs[last].patch, op)
			continue
		}
		ops.runs = append(ops.runs, run{patch: all[i : i+1 : i+1], copy: isCopy})
	}
	return ops, nil
}

// apply carries the operations out in order.
func (o *operations) apply(object []byte) ([]byte, error) {
	grown, work := 0, 0
	for _, run := range o.runs {
		if run.copy {
			if work += len(object); work > maxCopyWork {
				return nil, unprocessable("the patch copies too much")
			}
		}
		after, err := run.patch.Apply(object)
		if err != nil {
			return nil, unprocessable(err.Error())
		}
		if run.copy {
			if grown += max(0, len(after)-len(object)); grown > maxCopyGrowth {
				return nil, unprocessable(fmt.Sprintf("the copy operations of the patch add more than %d bytes", maxCopyGrowth))
			}
		}
		object = after
	}
	return object, nil
}

// countElements counts the elements of a JSON array without keeping them, and stops above the limit.
func countElements(patch []byte) int {
	decoder := json.NewDecoder(bytes.NewReader(patch))
	if start, err := decoder.Token(); err != nil || start != json.Delim('[') {
		return 0 // not an array: whoever decodes it says so
	}
	var element json.RawMessage
	n := 0
	for n <= maxPatchOperations && decoder.More() && decoder.Decode(&element) == nil {
		n++
	}
	return n
}
