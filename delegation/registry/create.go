package registry

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/delegation/storage"
)

// Create checks obj and stores it, and returns what was stored, for which it may change obj. name may be empty:
// then it is the object's, or generated.
func (s *Store) Create(ctx context.Context, namespace, name string, obj runtime.Object, opts *metav1.CreateOptions) (runtime.Object, error) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil, fmt.Errorf("creating %s: %w", s.gr, err)
	}
	if m.GetResourceVersion() != "" {
		return nil, untyped("resourceVersion should not be set on objects to be created")
	}
	if name != "" && m.GetName() == "" {
		m.SetName(name)
	}
	if name != "" && m.GetName() != name {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", m.GetName(), name))
	}
	w := writing{}
	if opts != nil {
		w = writing{manager: opts.FieldManager, dryRun: len(opts.DryRun) > 0, validation: opts.FieldValidation}
	}
	return s.create(ctx, namespace, obj, m, w)
}

// writing is what a create or an update is asked to do besides.
type writing struct {
	manager    string // who manages the fields that it sets
	applied    bool   // who manages which field is settled already
	dryRun     bool
	validation string // of unknown fields, for others to see: they are dealt with before
}

// createOptions and updateOptions are w as a client says it.
func (w writing) createOptions() runtime.Object {
	return options(&metav1.CreateOptions{FieldManager: w.manager, FieldValidation: w.validation, DryRun: w.dryRunOption()}, "CreateOptions")
}

func (w writing) updateOptions() runtime.Object {
	return options(&metav1.UpdateOptions{FieldManager: w.manager, FieldValidation: w.validation, DryRun: w.dryRunOption()}, "UpdateOptions")
}

func (w writing) dryRunOption() []string {
	if w.dryRun {
		return []string{metav1.DryRunAll}
	}
	return nil
}

func (s *Store) create(ctx context.Context, namespace string, obj runtime.Object, m metav1.Object, w writing) (runtime.Object, error) {
	if err := s.settleNamespace(m, namespace); err != nil {
		return nil, err
	}
	s.beginMetadata(m, s.cfg.Now())
	dropDoubleOwners(ctx, m)
	if s.res.Status {
		clearStatus(obj)
	}
	if m.GetName() == "" && m.GetGenerateName() != "" {
		return s.createGenerated(ctx, obj, w)
	}
	return s.createNamed(ctx, obj, m, w)
}

// createGenerated stores obj under a name that is free. Each attempt begins anew, because admission and the kind's rules
// may have written the name into the object.
func (s *Store) createGenerated(ctx context.Context, obj runtime.Object, w writing) (runtime.Object, error) {
	for attempt := 1; ; attempt++ {
		named := obj.DeepCopyObject()
		m, err := meta.Accessor(named)
		if err != nil {
			return nil, fmt.Errorf("creating %s: %w", s.gr, err)
		}
		m.SetName(generateName(m.GetGenerateName()))
		created, err := s.createNamed(ctx, named, m, w)
		switch {
		case !apierrors.IsAlreadyExists(err):
			return created, err
		case attempt == nameAttempts:
			return nil, apierrors.NewGenerateNameConflict(s.gr, m.GetName(), 1)
		}
	}
}

// createNamed checks obj and stores it.
func (s *Store) createNamed(ctx context.Context, obj runtime.Object, m metav1.Object, w writing) (runtime.Object, error) {
	if err := s.checkNew(ctx, obj, m, w); err != nil {
		return nil, err
	}
	stored, err := s.put(ctx, obj, m, w.dryRun)
	switch {
	case errors.Is(err, storage.ErrExists):
		return nil, s.exists(ctx, m)
	case err != nil:
		return nil, s.explain(ctx, m.GetName(), err)
	case stored != nil:
		m.SetResourceVersion(strconv.FormatInt(stored.ResourceVersion(), 10))
		return s.seen(ctx, stored, obj), nil
	}
	return obj, nil
}

// checkNew settles what obj is: defaults, admission, what the kind forces, then validation, then admission again.
func (s *Store) checkNew(ctx context.Context, obj runtime.Object, m metav1.Object, w writing) error {
	strategy := &s.res.Strategy
	if strategy.Default != nil {
		strategy.Default(obj)
	}
	s.main.noteCreated(ctx, obj, m, w)
	ask := s.request(ctx, Create, "", obj, nil, m, w.createOptions, w.dryRun)
	if err := s.admitNew(ctx, ask, obj, m); err != nil {
		return err
	}
	if strategy.PrepareForCreate != nil {
		strategy.PrepareForCreate(ctx, obj)
	}
	if err := s.validateNew(ctx, obj, m); err != nil {
		return err
	}
	return s.validateAdmission(ctx, ask)
}

// put writes obj, or only finds out whether it could when dryRun. stored is nil then.
func (s *Store) put(ctx context.Context, obj runtime.Object, m metav1.Object, dryRun bool) (stored *storage.Object, err error) {
	if dryRun {
		obj.GetObjectKind().SetGroupVersionKind(s.gvk)
		switch _, err := s.cache.Get(ctx, m.GetNamespace(), m.GetName(), storage.Read{}); {
		case err == nil:
			return nil, storage.ErrExists
		case errors.Is(err, storage.ErrNotFound):
			return nil, nil
		default:
			return nil, err
		}
	}
	body, err := s.encode(obj, m)
	if err != nil {
		return nil, err
	}
	if err := s.checkReadable(body); err != nil {
		return nil, err
	}
	if body, err = s.kept(ctx, body); err != nil {
		return nil, err
	}
	return s.cache.Create(ctx, m.GetNamespace(), m.GetName(), body, s.res.Strategy.TTL)
}

// exists answers that the name is taken, and whether it will soon be free.
func (s *Store) exists(ctx context.Context, m metav1.Object) error {
	conflict := apierrors.NewAlreadyExists(s.gr, m.GetName())
	current, err := s.cache.Get(ctx, m.GetNamespace(), m.GetName(), storage.Read{})
	if err != nil {
		return conflict
	}
	obj, err := s.decode(current)
	if err != nil {
		return conflict
	}
	if c, err := meta.Accessor(obj); err == nil && c.GetDeletionTimestamp() != nil {
		conflict.ErrStatus.Message = "object is being deleted: " + conflict.ErrStatus.Message
	}
	return conflict
}
