package registry

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/delegation/storage"
)

// Codec leads between the version that a registry speaks and the one its objects are stored in. Both are JSON with kind and
// apiVersion.
type Codec interface {
	// Show makes objects of the registry's version of stored ones, all of them at once and in their order. One that is of
	// the version already is returned as it came.
	Show(ctx context.Context, stored [][]byte) ([][]byte, error)
	// Keep makes what is stored of an object of the registry's version.
	Keep(ctx context.Context, object []byte) ([]byte, error)
}

// In returns another registry of the same objects, which speaks the version of res: its rules, its admission and its field
// managers see objects in that version only. It is closed with s.
func (s *Store) In(cfg Config, res Resource, codec Codec) *Store {
	return newStore(cfg, res, s.cache, codec)
}

// AlsoIn tells of another version that clients speak: admission may want to see what is written here in it, and fields may be managed
// in it. It is to be called before the first write.
func (s *Store) AlsoIn(v View) { s.addForm(&v) }

func (s *Store) addForm(v *View) *fieldTypes {
	s.views = append(s.views, v)
	if s.forms == nil {
		return nil
	}
	types := newFieldTypes(s.cfg.Types, v.GroupVersion.WithKind(v.Kind), v.New)
	s.forms.views = append(s.forms.views, viewForm{view: v, types: types})
	return types
}

// shown is a stored object in the registry's version.
func (s *Store) shown(ctx context.Context, o *storage.Object) (*storage.Object, error) {
	if s.codec == nil {
		return o, nil
	}
	all, err := s.shownAll(ctx, []*storage.Object{o})
	if err != nil {
		return nil, err
	}
	return all[0], nil
}

// shownAll is shown for many: those that are not remembered are converted together. It reuses the slice.
func (s *Store) shownAll(ctx context.Context, objects []*storage.Object) ([]*storage.Object, error) {
	if s.codec == nil {
		return objects, nil
	}
	var missing []int
	var stored [][]byte
	for i, o := range objects {
		if shown, ok := o.ShownIn(s); ok {
			objects[i] = shown
			continue
		}
		missing = append(missing, i)
		stored = append(stored, o.JSON())
	}
	if len(missing) == 0 {
		return objects, nil
	}
	bodies, err := s.codec.Show(ctx, stored)
	if err != nil {
		return nil, err
	}
	for n, i := range missing {
		if sameBytes(bodies[n], stored[n]) {
			continue
		}
		shown, err := objects[i].Shown(bodies[n], s.res.Strategy.Fields)
		if err != nil {
			return nil, fmt.Errorf("showing %s %s as %s: %w", s.gr, objects[i].Key(), s.gvk.GroupVersion(), err)
		}
		objects[i].RememberIn(s, shown)
		objects[i] = shown
	}
	return objects, nil
}

// sameBytes tells whether a and b are one and the same, not whether they are equal.
func sameBytes(a, b []byte) bool { return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0] }

// kept is what is stored of an object.
func (s *Store) kept(ctx context.Context, body []byte) ([]byte, error) {
	if s.codec == nil {
		return body, nil
	}
	return s.codec.Keep(ctx, body)
}

// get reads one object in the registry's version.
func (s *Store) get(ctx context.Context, namespace, name string, read storage.Read) (*storage.Object, error) {
	o, err := s.cache.Get(ctx, namespace, name, read)
	if err != nil {
		return nil, err
	}
	return s.shown(ctx, o)
}

// seen is what clients see of obj once it is written, which is how their next read shows it: what the stored version does not know is gone, and its
// defaults are there. That it is written is not to be taken back, even if it cannot be read.
func (s *Store) seen(ctx context.Context, written *storage.Object, obj runtime.Object) runtime.Object {
	if s.codec == nil {
		return obj
	}
	if s.res.Read != nil {
		body, _ := s.res.Read(written.JSON())
		known, err := written.Shown(body, s.res.Strategy.Fields)
		if err != nil {
			return obj
		}
		written = known
	}
	shown, err := s.shown(ctx, written)
	if err != nil || shown == written {
		return obj
	}
	read, err := s.decode(shown)
	if err != nil {
		return obj
	}
	return read
}
