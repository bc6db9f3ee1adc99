package extensions

import (
	"context"
	"maps"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/handler/openapi"
)

// Schema is what the objects of the first version of a definition are like.
type Schema struct{ schema *versionSchema }

// NewSchema reads a definition.
func NewSchema(d *apiextensionsv1.CustomResourceDefinition) (*Schema, error) {
	d.Status.AcceptedNames = d.Spec.Names
	k, err := newKind(d, func() (*definition, error) { return d, nil }, nil, nil)
	if err != nil {
		return nil, err
	}
	return &Schema{k.versions[d.Spec.Versions[0].Name]}, nil
}

// Settle prunes an object and fills in its defaults.
func (s *Schema) Settle(u *unstructured.Unstructured) error {
	if _, err := s.schema.settleSent(u); err != nil {
		return err
	}
	s.schema.fill(u)
	return nil
}

// Validate is what a create is checked by.
func (s *Schema) Validate(ctx context.Context, u *unstructured.Unstructured) field.ErrorList {
	return s.schema.validate(ctx, u)
}

// Shown is what clients see of stored bytes.
func (s *Schema) Shown(stored []byte) ([]byte, error) { return s.schema.shown(stored) }

// Describe is what there is to tell of a group-version, from definitions as they are stored.
func Describe(gv schema.GroupVersion, stored map[string][]byte) (*openapi.Description, error) {
	o := newDocuments(nil, "", func(name string) ([]byte, error) { return stored[name], nil })
	return o.describe(gv, slices.Sorted(maps.Keys(stored)))
}

// HoldTurn takes the turn of definitions until release is called.
func (s *Server) HoldTurn(ctx context.Context) (release func()) {
	held, over, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.turns.do(ctx, 0, func(context.Context) error {
			close(held)
			<-over
			return nil
		})
		close(left)
	}()
	<-held
	return func() { close(over); <-left }
}

// WaitForTurn tells how many writes wait for theirs.
func (s *Server) WaitForTurn() int {
	s.turns.mu.Lock()
	defer s.turns.mu.Unlock()
	return len(s.turns.waiting)
}

// Weigh is the size by which a write takes its turn.
func (s *Server) Weigh(ctx context.Context, size int) int { return s.turns.weigh(ctx, size) }
