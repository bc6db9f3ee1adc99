package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler/rest"
)

// Delete deletes one object, or marks it as being deleted while finalizers keep it (contract 7.6).
func (s *Store) Delete(ctx context.Context, namespace, name string, opts *metav1.DeleteOptions) (obj runtime.Object, deleted bool, err error) {
	if opts == nil {
		opts = &metav1.DeleteOptions{}
	}
	for {
		obj, deleted, err = s.tryDelete(ctx, namespace, name, opts)
		if errors.Is(err, errOvertaken) && ctx.Err() == nil {
			continue
		}
		return obj, deleted, err
	}
}

func (s *Store) tryDelete(ctx context.Context, namespace, name string, opts *metav1.DeleteOptions) (runtime.Object, bool, error) {
	stored, err := s.get(ctx, namespace, name, storage.Read{})
	if err != nil {
		return nil, false, s.explain(ctx, name, err)
	}
	obj, err := s.decode(stored)
	if err != nil {
		return nil, false, err
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil, false, fmt.Errorf("deleting %s: %w", s.gr, err)
	}
	if err := s.checkPreconditions(name, opts.Preconditions, m.GetUID(), m.GetResourceVersion()); err != nil {
		return nil, false, err
	}
	dryRun := len(opts.DryRun) > 0
	ask := s.request(ctx, Delete, "", nil, obj, m, func() runtime.Object { return options(opts.DeepCopy(), "DeleteOptions") }, dryRun)
	if err := s.admit(ctx, ask); err != nil {
		return nil, false, err
	}
	if err := s.validateAdmission(ctx, ask); err != nil {
		return nil, false, err
	}
	m.SetFinalizers(finalizersFor(opts, s.res.Strategy.Dependents, m.GetFinalizers()))
	kept := len(m.GetFinalizers()) > 0
	begin := s.res.Strategy.BeginDelete
	own := begin != nil && begin(obj)
	if kept || own {
		return obj, false, s.markDeleted(ctx, stored, obj, m, own, dryRun)
	}
	if dryRun {
		return obj, true, nil
	}
	gone, err := s.cache.Delete(ctx, namespace, name, stored.ResourceVersion())
	if err != nil {
		return nil, false, s.overtaken(ctx, name, err)
	}
	m.SetResourceVersion(strconv.FormatInt(gone.ResourceVersion(), 10))
	return obj, true, nil
}

// markDeleted stores that the deletion of an object has begun. To say so again changes nothing. A kind with an own way to be deleted has no period of
// grace, and its generation stays.
func (s *Store) markDeleted(ctx context.Context, stored *storage.Object, obj runtime.Object, m metav1.Object, own, dryRun bool) error {
	if m.GetDeletionTimestamp() == nil {
		now, grace := metav1.NewTime(s.cfg.Now().UTC()).Rfc3339Copy(), int64(0)
		m.SetDeletionTimestamp(&now)
		if !own {
			m.SetDeletionGracePeriodSeconds(&grace)
		}
		if !own && m.GetGeneration() > 0 {
			m.SetGeneration(m.GetGeneration() + 1)
		}
	}
	body, err := s.encode(obj, m)
	if err != nil || dryRun || unchanged(stored, body) {
		return err
	}
	if body, err = s.kept(ctx, body); err != nil {
		return err
	}
	written, err := s.cache.Update(ctx, stored.Namespace(), stored.Name(), body, stored.ResourceVersion(), s.res.Strategy.TTL)
	if err != nil {
		return s.overtaken(ctx, stored.Name(), err)
	}
	m.SetResourceVersion(strconv.FormatInt(written.ResourceVersion(), 10))
	return nil
}

// Dependents is what becomes of those that an object owns when it is deleted and the client does not say.
type Dependents int

const (
	// Collected dependents are deleted when their owner is gone.
	Collected Dependents = iota
	// Orphaned dependents stay. Kinds that are older than the garbage collector have it so.
	Orphaned
	// Ignored: objects of the kind own nothing, whatever clients say of dependents.
	Ignored
)

// finalizersFor adds and removes the finalizers by which the garbage collector learns what is to happen to
// dependents. Who does not say leaves it as it is, or to the kind.
func finalizersFor(opts *metav1.DeleteOptions, usual Dependents, finalizers []string) []string {
	var policy metav1.DeletionPropagation
	switch {
	case usual == Ignored:
		return finalizers
	case opts.PropagationPolicy != nil:
		policy = *opts.PropagationPolicy
	case opts.OrphanDependents != nil && *opts.OrphanDependents:
		policy = metav1.DeletePropagationOrphan
	case opts.OrphanDependents != nil:
		policy = metav1.DeletePropagationBackground
	case usual == Orphaned && !slices.ContainsFunc(finalizers, isAboutDependents):
		policy = metav1.DeletePropagationOrphan
	default:
		return finalizers
	}
	finalizers = slices.DeleteFunc(slices.Clone(finalizers), isAboutDependents)
	switch policy {
	case metav1.DeletePropagationOrphan:
		return append(finalizers, metav1.FinalizerOrphanDependents)
	case metav1.DeletePropagationForeground:
		return append(finalizers, metav1.FinalizerDeleteDependents)
	}
	return finalizers
}

func isAboutDependents(finalizer string) bool {
	return finalizer == metav1.FinalizerOrphanDependents || finalizer == metav1.FinalizerDeleteDependents
}

// DeleteCollection deletes every object that list selects and returns them as a list. The limit of list
// does not count: what is deleted is the collection as it was at one moment.
func (s *Store) DeleteCollection(ctx context.Context, namespace string, opts *metav1.DeleteOptions, list *rest.ListOptions) (runtime.Object, error) {
	return s.DeleteEach(ctx, namespace, list, func(ctx context.Context, o rest.Object) (runtime.Object, error) {
		obj, _, err := s.Delete(ctx, o.Namespace(), o.Name(), opts)
		return obj, err
	})
}

// DeleteEach is DeleteCollection for who has something to do around the deletion of each object.
func (s *Store) DeleteEach(ctx context.Context, namespace string, list *rest.ListOptions, remove func(ctx context.Context, o rest.Object) (runtime.Object, error)) (runtime.Object, error) {
	selected := rest.ListOptions{}
	if list != nil {
		selected = *list
		selected.Limit, selected.Continue = 0, ""
	}
	found, err := s.List(ctx, namespace, &selected)
	if err != nil {
		return nil, err
	}
	var deleted []runtime.Object
	for o := range found.Items {
		obj, err := remove(ctx, o)
		switch {
		case apierrors.IsNotFound(err):
		case err != nil:
			return nil, err
		default:
			deleted = append(deleted, obj)
		}
	}
	whole := s.res.NewList()
	if err := meta.SetList(whole, deleted); err != nil {
		return nil, fmt.Errorf("collecting the deleted %s: %w", s.gr, err)
	}
	if access, err := meta.ListAccessor(whole); err == nil {
		access.SetResourceVersion(strconv.FormatInt(found.ResourceVersion, 10))
	}
	return whole, nil
}
