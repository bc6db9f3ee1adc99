package registry

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler/rest"
)

// Update changes one object. transform is called on the newest state, and again on a newer one when
// another writer was faster; a resourceVersion in its result must be that of the state it was given.
func (s *Store) Update(ctx context.Context, namespace, name string, transform rest.Transform, opts *rest.UpdateOptions) (obj runtime.Object, created bool, err error) {
	return s.update(ctx, &s.main, namespace, name, transform, opts)
}

func (s *Store) update(ctx context.Context, d *door, namespace, name string, transform rest.Transform, opts *rest.UpdateOptions) (runtime.Object, bool, error) {
	if opts == nil {
		opts = &rest.UpdateOptions{}
	}
	for {
		obj, created, err := s.tryUpdate(ctx, d, namespace, name, transform, opts)
		// Each time round, another writer has succeeded: this ends with the request at the latest.
		if errors.Is(err, errOvertaken) && ctx.Err() == nil {
			continue
		}
		return obj, created, err
	}
}

// errOvertaken: another writer was faster.
var errOvertaken = errors.New("another writer was faster")

func (s *Store) tryUpdate(ctx context.Context, d *door, namespace, name string, transform rest.Transform, opts *rest.UpdateOptions) (runtime.Object, bool, error) {
	stored, err := s.get(ctx, namespace, name, storage.Read{})
	if errors.Is(err, storage.ErrNotFound) && d.create && (opts.CreateOnMissing || s.res.Strategy.AllowCreateOnUpdate) {
		obj, err := s.createByUpdate(ctx, namespace, name, transform, opts)
		return obj, err == nil, err
	}
	if err != nil {
		return nil, false, s.explain(ctx, name, err)
	}
	old, err := s.decode(stored)
	if err != nil {
		return nil, false, err
	}
	obj, err := transform(ctx, old.DeepCopyObject())
	if err != nil {
		return nil, false, err
	}
	obj, err = s.replace(ctx, d, stored, old, obj, writingOf(opts))
	return obj, false, err
}

// createByUpdate stores what an update of a missing object makes. A client that names the object by its UID
// wants that one, which is gone, and no other.
func (s *Store) createByUpdate(ctx context.Context, namespace, name string, transform rest.Transform, opts *rest.UpdateOptions) (runtime.Object, error) {
	obj, err := transform(ctx, nil)
	if err != nil {
		return nil, err
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil, fmt.Errorf("creating %s: %w", s.gr, err)
	}
	if uid := m.GetUID(); uid != "" {
		return nil, s.preconditionFailed(name, "UID", string(uid), "")
	}
	m.SetName(name)
	m.SetResourceVersion("")
	created, err := s.create(ctx, namespace, obj, m, writingOf(opts))
	if apierrors.IsAlreadyExists(err) && ctx.Err() == nil {
		return nil, errOvertaken
	}
	return created, err
}

func writingOf(opts *rest.UpdateOptions) writing {
	return writing{manager: opts.FieldManager, applied: opts.Applied, dryRun: len(opts.DryRun) > 0, validation: opts.FieldValidation}
}

// replace stores obj in the place of old, which is stored.
func (s *Store) replace(ctx context.Context, d *door, stored *storage.Object, old, obj runtime.Object, w writing) (runtime.Object, error) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil, fmt.Errorf("updating %s: %w", s.gr, err)
	}
	oldMeta, err := meta.Accessor(old)
	if err != nil {
		return nil, fmt.Errorf("updating %s: %w", s.gr, err)
	}
	if err := s.checkVersion(m, oldMeta); err != nil {
		return nil, err
	}
	if err := s.checkUpdate(ctx, d, stored, obj, old, m, oldMeta, w); err != nil {
		return nil, err
	}
	if m.GetDeletionTimestamp() != nil && s.nothingKeeps(obj, m) {
		return obj, s.finish(ctx, stored, m, w.dryRun)
	}
	body, err := s.encode(obj, m)
	if err != nil {
		return nil, err
	}
	same, err := s.unchangedButTimes(stored, body, obj, m, oldMeta)
	if err != nil {
		return nil, err
	}
	if same && !stored.Rewritten() {
		return obj, nil
	}
	if s.res.Strategy.Generation && !d.uncounted {
		if body, err = s.countGeneration(obj, m, stored, body); err != nil {
			return nil, err
		}
	}
	if err := s.checkReadable(body); err != nil {
		return nil, err
	}
	if w.dryRun {
		return obj, nil
	}
	if body, err = s.kept(ctx, body); err != nil {
		return nil, err
	}
	written, err := s.cache.Update(ctx, stored.Namespace(), stored.Name(), body, stored.ResourceVersion(), s.res.Strategy.TTL)
	if err != nil {
		return nil, s.overtaken(ctx, stored.Name(), err)
	}
	m.SetResourceVersion(strconv.FormatInt(written.ResourceVersion(), 10))
	return s.seen(ctx, written, obj), nil
}

// checkVersion holds a client to the state that it has seen.
func (s *Store) checkVersion(m, old metav1.Object) error {
	if uid := m.GetUID(); uid != "" && uid != old.GetUID() {
		return s.preconditionFailed(old.GetName(), "UID", string(uid), string(old.GetUID()))
	}
	switch version := m.GetResourceVersion(); {
	case version == old.GetResourceVersion():
	case version != "" && version != "0":
		if _, err := parseRevision(version); err != nil {
			return s.invalid(old.GetName(), field.ErrorList{field.Invalid(field.NewPath("metadata", "resourceVersion"), version, "must be a number that the server has given out")})
		}
		return apierrors.NewConflict(s.gr, old.GetName(), errModified)
	case !s.res.Strategy.AllowUnconditionalUpdate:
		return s.invalid(old.GetName(), field.ErrorList{field.Invalid(field.NewPath("metadata", "resourceVersion"), 0, "must be specified for an update")})
	default:
		m.SetResourceVersion(old.GetResourceVersion())
	}
	return nil
}

// checkUpdate settles what obj becomes and whether it may: defaults, admission, what the door lets through,
// then validation, then admission again.
func (s *Store) checkUpdate(ctx context.Context, d *door, stored *storage.Object, obj, old runtime.Object, m, oldMeta metav1.Object, w writing) error {
	keepMetadata(m, oldMeta)
	dropDoubleOwners(ctx, m)
	if s.res.Strategy.Default != nil {
		s.res.Strategy.Default(obj)
	}
	if err := d.noteUpdated(s, stored, old, obj, m, oldMeta, w); err != nil {
		return err
	}
	var ask *Request
	if !d.admitted {
		ask = s.request(ctx, Update, d.subresource, obj, old, oldMeta, w.updateOptions, w.dryRun)
	}
	if err := s.admitUpdate(ctx, ask, m, oldMeta); err != nil {
		return err
	}
	if d.prepare != nil {
		managers, was := m.GetManagedFields(), old
		if !d.sparing {
			was = old.DeepCopyObject()
		}
		d.prepare(ctx, obj, was)
		m.SetManagedFields(managers)
	}
	problems := apivalidation.ValidateObjectMetaAccessorUpdate(m, oldMeta, field.NewPath("metadata"))
	if d.validate != nil {
		problems = append(problems, d.validate(ctx, obj, old)...)
	}
	if err := s.invalid(oldMeta.GetName(), problems); err != nil {
		return err
	}
	return s.validateAdmission(ctx, ask)
}

// countGeneration raises the generation when more than metadata (and status) has changed, and encodes anew.
func (s *Store) countGeneration(obj runtime.Object, m metav1.Object, stored *storage.Object, body []byte) ([]byte, error) {
	same, err := sameSpec(stored.JSON(), body, s.res.Status)
	if err != nil || same {
		return body, err
	}
	m.SetGeneration(m.GetGeneration() + 1)
	return s.encode(obj, m)
}

// nothingKeeps tells whether an object under deletion may go.
func (s *Store) nothingKeeps(obj runtime.Object, m metav1.Object) bool {
	return len(m.GetFinalizers()) == 0 && (s.res.Strategy.ShouldDelete == nil || s.res.Strategy.ShouldDelete(obj))
}

// finish deletes an object whose last finalizer an update has removed. Its answer is the last state.
func (s *Store) finish(ctx context.Context, stored *storage.Object, m metav1.Object, dryRun bool) error {
	if dryRun {
		return nil
	}
	gone, err := s.cache.Delete(ctx, stored.Namespace(), stored.Name(), stored.ResourceVersion())
	if err != nil {
		return s.overtaken(ctx, stored.Name(), err)
	}
	m.SetResourceVersion(strconv.FormatInt(gone.ResourceVersion(), 10))
	return nil
}

// overtaken marks what is worth another try on the newer state.
func (s *Store) overtaken(ctx context.Context, name string, err error) error {
	if errors.Is(err, storage.ErrConflict) {
		return fmt.Errorf("%w: %w", errOvertaken, s.explain(ctx, name, err))
	}
	return s.explain(ctx, name, err)
}
