package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/delegation/storage"
)

// encode makes the bytes that are stored: the JSON that clients read, kind and apiVersion first, less the
// resourceVersion, which the store's revision is.
func (s *Store) encode(obj runtime.Object, m metav1.Object) ([]byte, error) {
	version := m.GetResourceVersion()
	m.SetResourceVersion("")
	defer m.SetResourceVersion(version)
	obj.GetObjectKind().SetGroupVersionKind(s.gvk)
	body, err := json.Marshal(obj)
	if err != nil {
		return nil, fmt.Errorf("encoding %s %s/%s: %w", s.gr, m.GetNamespace(), m.GetName(), err)
	}
	return body, nil
}

// unchanged tells whether body is what is stored as o already.
func unchanged(o *storage.Object, body []byte) bool {
	stored := o.JSON()
	version := versionField(o)
	if len(stored) != len(body)+len(version) {
		return false
	}
	// The store puts the version first into metadata, and nothing before metadata can look like it. If
	// it did, the worst would be a write that changes nothing.
	i := bytes.Index(stored, []byte(version))
	return i >= 0 && bytes.Equal(stored[:i], body[:i]) && bytes.Equal(stored[i+len(version):], body[i:])
}

// versionField is what the store adds to the bytes that it is given.
func versionField(o *storage.Object) string {
	return `"resourceVersion":"` + strconv.FormatInt(o.ResourceVersion(), 10) + `",`
}

// unchangedButTimes tells whether body, which is obj's, is what is stored already, or would be but for the
// times at which its fields were written: these then stay, too.
func (s *Store) unchangedButTimes(stored *storage.Object, body []byte, obj runtime.Object, m, old metav1.Object) (bool, error) {
	if unchanged(stored, body) {
		return true, nil
	}
	before, after := old.GetManagedFields(), m.GetManagedFields()
	if len(stored.JSON()) != len(body)+len(versionField(stored)) { // times are of one length
		return false, nil
	}
	if len(before) == 0 || !sameManagers(before, after) {
		return false, nil
	}
	m.SetManagedFields(before)
	body, err := s.encode(obj, m)
	if err != nil || unchanged(stored, body) {
		return err == nil, err
	}
	m.SetManagedFields(after)
	return false, nil
}

// sameSpec tells whether two encodings of an object agree outside metadata, and outside status when it is
// written through a door of its own: then the generation stays.
func sameSpec(a, b []byte, hasStatus bool) (bool, error) {
	var left, right map[string]json.RawMessage
	if err := json.Unmarshal(a, &left); err != nil {
		return false, fmt.Errorf("comparing with the stored object: %w", err)
	}
	if err := json.Unmarshal(b, &right); err != nil {
		return false, fmt.Errorf("comparing with the stored object: %w", err)
	}
	for _, fields := range []map[string]json.RawMessage{left, right} {
		delete(fields, "metadata")
		if hasStatus {
			delete(fields, "status")
		}
	}
	if len(left) != len(right) {
		return false, nil
	}
	for name, value := range left {
		if other, ok := right[name]; !ok || !bytes.Equal(value, other) {
			return false, nil
		}
	}
	return true, nil
}
