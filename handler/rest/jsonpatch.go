package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// JSON patches (RFC 6902) are carried out here and not by a library, because the ones there are either
// panic on some inputs or bound their work by a variable that all servers of a process share.
const (
	// maxPatchOperations is the contract's limit on a JSON patch.
	maxPatchOperations = 10000
	// maxCopyGrowth bounds what the copy operations of one patch may add: forty of them that copy a
	// list into itself would otherwise fill any memory.
	maxCopyGrowth = 3 << 20
	// maxListMoves bounds how many list elements are shifted by insertions and removals.
	maxListMoves = 50_000_000
)

// ErrPatchTestFailed: the value that a JSON patch wants to find in the object is another one.
var ErrPatchTestFailed = errors.New("the value there is another one")

// JSONPatch is a list of operations, to be carried out in order.
type JSONPatch []PatchOperation

// PatchOperation is one operation, in the words of RFC 6902.
type PatchOperation struct {
	Op    string          `json:"op"`
	Path  *string         `json:"path"`
	From  *string         `json:"from"`
	Value json.RawMessage `json:"value"`
}

// ParseJSONPatch reads a patch; its errors are Statuses.
func ParseJSONPatch(patch []byte) (JSONPatch, error) {
	if n := countElements(patch); n > maxPatchOperations {
		return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("the allowed maximum operations in a JSON patch is %d, got more", maxPatchOperations))
	}
	var operations JSONPatch
	if err := json.Unmarshal(patch, &operations); err != nil {
		return nil, apierrors.NewBadRequest("error decoding patch: " + inWords(err))
	}
	return operations, nil
}

// inWords is err of json.Unmarshal into a JSONPatch, without the names of our types.
func inWords(err error) string {
	var mismatch *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &mismatch):
		return err.Error()
	case mismatch.Field != "":
		return fmt.Sprintf("the %s of an operation must be a string, and is of type %s", mismatch.Field, mismatch.Value)
	case mismatch.Type == reflect.TypeFor[JSONPatch]():
		return "a JSON patch is an array of operations, and this is of type " + mismatch.Value
	}
	return "an operation of a JSON patch is an object, and one is of type " + mismatch.Value
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

// Apply returns the object after all operations. It does not trust the patch: what it may cost is bounded.
func (p JSONPatch) Apply(object []byte) ([]byte, error) {
	doc := patchedDocument{}
	var err error
	if doc.root, err = decodeTree(object); err != nil {
		return nil, fmt.Errorf("decoding the object to patch: %w", err)
	}
	for i, op := range p {
		if err := doc.do(op); err != nil {
			return nil, fmt.Errorf("operation %d of the JSON patch, %q, cannot be carried out: %w", i, op.Op, err)
		}
	}
	return json.Marshal(doc.root)
}

// patchedDocument is an object under change, and what the change has cost so far.
type patchedDocument struct {
	root   any
	copied int // bytes added by copies
	moved  int // list elements shifted
}

func (d *patchedDocument) do(op PatchOperation) error {
	if op.Path == nil {
		return errors.New("it has no path")
	}
	path, err := parsePointer(*op.Path)
	if err != nil {
		return err
	}
	switch op.Op {
	case "add", "replace", "test":
		if op.Value == nil {
			return errors.New("it has no value")
		}
		value, err := decodeTree(op.Value)
		if err != nil {
			return err
		}
		switch op.Op {
		case "add":
			return d.add(path, value)
		case "replace":
			return d.replace(path, value)
		}
		return d.test(path, value)
	case "remove":
		_, err := d.remove(path)
		return err
	case "move", "copy":
		if op.From == nil {
			return errors.New("it has no from")
		}
		from, err := parsePointer(*op.From)
		if err != nil {
			return err
		}
		if op.Op == "copy" {
			return d.copy(from, path)
		}
		return d.move(from, path)
	}
	return errors.New("there is no such operation")
}

func (d *patchedDocument) add(path []string, value any) error {
	return d.edit(path, value, func(container any, key string) (any, error) {
		switch c := container.(type) {
		case map[string]any:
			c[key] = value
			return c, nil
		case []any:
			i, err := placeInList(key, len(c))
			if err != nil {
				return nil, err
			}
			if err := d.shift(len(c) - i); err != nil {
				return nil, err
			}
			return slices.Insert(c, i, value), nil
		}
		return nil, errNoContainer
	})
}

func (d *patchedDocument) replace(path []string, value any) error {
	return d.edit(path, value, func(container any, key string) (any, error) {
		if _, err := child(container, key); err != nil {
			return nil, err
		}
		return withChild(container, key, value), nil
	})
}

func (d *patchedDocument) remove(path []string) (removed any, err error) {
	if len(path) == 0 {
		return nil, errors.New("the whole object cannot be removed")
	}
	err = d.edit(path, nil, func(container any, key string) (any, error) {
		if removed, err = child(container, key); err != nil {
			return nil, err
		}
		switch c := container.(type) {
		case map[string]any:
			delete(c, key)
			return c, nil
		case []any:
			i, _ := listIndex(key, len(c)) // child has found it
			return slices.Delete(c, i, i+1), d.shift(len(c) - i)
		}
		return nil, errNoContainer
	})
	return removed, err
}

func (d *patchedDocument) move(from, path []string) error {
	if len(path) > len(from) && slices.Equal(from, path[:len(from)]) {
		return errors.New("a value cannot be moved into itself")
	}
	value, err := d.remove(from)
	if err != nil {
		return err
	}
	return d.add(path, value)
}

func (d *patchedDocument) copy(from, path []string) error {
	value, err := d.find(from)
	if err != nil {
		return err
	}
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if d.copied += len(body); d.copied > maxCopyGrowth {
		return fmt.Errorf("the copy operations add more than %d bytes", maxCopyGrowth)
	}
	if value, err = decodeTree(body); err != nil {
		return err
	}
	return d.add(path, value)
}

func (d *patchedDocument) test(path []string, value any) error {
	found, err := d.find(path)
	if err != nil {
		return err
	}
	if !sameValue(found, value) {
		return ErrPatchTestFailed
	}
	return nil
}

func (d *patchedDocument) find(path []string) (any, error) {
	node := d.root
	var err error
	for _, key := range path {
		if node, err = child(node, key); err != nil {
			return nil, err
		}
	}
	return node, nil
}

// edit lets change make a new container of the one that path's last key is in; root becomes the document
// when path is empty.
func (d *patchedDocument) edit(path []string, root any, change func(container any, key string) (any, error)) error {
	if len(path) == 0 {
		d.root = root
		return nil
	}
	edited, err := editBelow(d.root, path, change)
	if err == nil {
		d.root = edited
	}
	return err
}

func editBelow(node any, path []string, change func(container any, key string) (any, error)) (any, error) {
	if len(path) == 1 {
		return change(node, path[0])
	}
	below, err := child(node, path[0])
	if err != nil {
		return nil, err
	}
	if below, err = editBelow(below, path[1:], change); err != nil {
		return nil, err
	}
	return withChild(node, path[0], below), nil
}

func (d *patchedDocument) shift(elements int) error {
	if d.moved += elements; d.moved > maxListMoves {
		return errors.New("it moves too many list elements")
	}
	return nil
}
