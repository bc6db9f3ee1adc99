package garbagecollection

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/delegation"
)

const (
	// doubtRecheck is when an owner is asked for again that could not be. What changes meanwhile, such as a server's return,
	// has the object looked at without waiting for it.
	doubtRecheck = 30 * time.Second
	// settles is how long an owner waits before its dependents forget it: one that was made just before may
	// not have been heard of yet, and would be taken for garbage afterwards.
	settles = 200 * time.Millisecond
	// incompleteRecheck is when is looked again whether all dependents are known.
	incompleteRecheck = time.Second
)

// collect deletes an object that no owner keeps, and makes one that an owner keeps forget those that are gone.
func (c *Collector) collect(ctx context.Context, v view, mayWait bool) (again time.Duration, err error) {
	if len(v.owners) == 0 {
		return 0, nil
	}
	live, err := v.source.Reader.Get(ctx, v.namespace, v.name)
	switch {
	case apierrors.IsNotFound(err), err == nil && (live.UID != v.uid || live.Deleting || len(live.Owners) == 0):
		return 0, nil // what has happened meanwhile is on its way here
	case err != nil:
		return 0, fmt.Errorf("reading %s %s/%s: %w", v.source.Resource, v.namespace, v.name, err)
	}
	found := c.sort(ctx, live, mayWait)
	switch {
	case errors.Is(found.doubt, errTakesServer):
		return 0, found.doubt
	case len(found.misplaced) > 0:
		c.tellMisplaced(ctx, v.source, live, found.misplaced[0])
		return 0, nil
	case len(found.solid) > 0:
		return 0, c.forget(ctx, v, slices.Concat(found.absent, found.waiting))
	case found.doubt != nil && errors.Is(found.doubt, errUnknownKind):
		klog.FromContext(ctx).V(3).Info("An object is kept because it is not known whether its owner exists",
			"resource", v.source.Resource, "namespace", v.namespace, "name", v.name, "why", found.doubt)
		return doubtRecheck, nil
	case found.doubt != nil:
		return 0, found.doubt
	case len(found.waiting) > 0 && len(v.dependents) > 0:
		return 0, c.deleteAfterDependents(ctx, v, live)
	}
	return 0, c.delete(ctx, v, live, policyOf(live))
}

// policyOf is what is to become of the dependents of an object, as far as somebody has said so.
func policyOf(o *delegation.OwnedObject) metav1.DeletionPropagation {
	switch {
	case slices.Contains(o.Finalizers, metav1.FinalizerOrphanDependents):
		return metav1.DeletePropagationOrphan
	case slices.Contains(o.Finalizers, metav1.FinalizerDeleteDependents):
		return metav1.DeletePropagationForeground
	}
	return metav1.DeletePropagationBackground
}

// delete deletes an object as it was seen: one that has been written to meanwhile, perhaps by a new owner, is looked at anew.
func (c *Collector) delete(ctx context.Context, v view, seen *delegation.OwnedObject, policy metav1.DeletionPropagation) error {
	err := v.source.Writer.Delete(ctx, seen, policy)
	switch {
	case err == nil:
		klog.FromContext(ctx).V(2).Info("Deleted garbage", "resource", v.source.Resource, "namespace", v.namespace, "name", v.name, "uid", v.uid, "policy", policy)
		return nil
	case apierrors.IsNotFound(err):
		return nil
	}
	return fmt.Errorf("deleting %s %s/%s: %w", v.source.Resource, v.namespace, v.name, err)
}

// deleteAfterDependents deletes an object whose owner waits for it, and which has dependents that it waits for in turn. If one of
// them waits already the references may lead in a circle, in which nobody would ever be the first: this
// object then blocks nobody.
func (c *Collector) deleteAfterDependents(ctx context.Context, v view, seen *delegation.OwnedObject) error {
	if slices.ContainsFunc(v.dependents, func(d dependent) bool { return d.deletion == foreground }) && blocks(seen) {
		err := v.source.Writer.Rewrite(ctx, v.namespace, v.name, v.uid, func(o *delegation.OwnedObject) bool {
			for i := range o.Owners {
				o.Owners[i].BlockOwnerDeletion = nil
			}
			return true
		})
		if ignoreGone(err) != nil {
			return fmt.Errorf("breaking a circle at %s %s/%s: %w", v.source.Resource, v.namespace, v.name, err)
		}
		return nil // the change brings it here again
	}
	return c.delete(ctx, v, seen, metav1.DeletePropagationForeground)
}

func blocks(o *delegation.OwnedObject) bool {
	return slices.ContainsFunc(o.Owners, func(ref metav1.OwnerReference) bool { return ref.BlockOwnerDeletion != nil && *ref.BlockOwnerDeletion })
}

// forget removes owners of an object that has others.
func (c *Collector) forget(ctx context.Context, v view, gone []types.UID) error {
	if len(gone) == 0 {
		return nil
	}
	if err := disown(ctx, v.source, v.namespace, v.name, v.uid, gone); err != nil {
		return fmt.Errorf("removing owners that are gone: %w", err)
	}
	return nil
}

// disown removes owners of an object, which may have gone itself.
func disown(ctx context.Context, s *source, namespace, name string, uid types.UID, owners []types.UID) error {
	err := s.Writer.Rewrite(ctx, namespace, name, uid, func(o *delegation.OwnedObject) bool {
		left := without(o.Owners, owners)
		changed := len(left) != len(o.Owners)
		o.Owners = left
		return changed
	})
	if err = ignoreGone(err); err != nil {
		return fmt.Errorf("rewriting %s %s/%s: %w", s.Resource, namespace, name, err)
	}
	return nil
}

func ignoreGone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// finishForeground lets an owner go when no dependent is left that it has to wait for, and has the others looked at.
func (c *Collector) finishForeground(ctx context.Context, v view) (again time.Duration, err error) {
	waits := false
	for _, d := range v.dependents {
		waits = waits || d.blocks
		if d.deletion == notDeleted {
			c.queue.Add(string(d.uid))
		}
	}
	switch {
	case waits:
		return 0, nil // their end brings it here again
	case !c.ownIsComplete():
		return incompleteRecheck, nil
	}
	return 0, c.removeFinalizer(ctx, v, metav1.FinalizerDeleteDependents)
}

// finishOrphan makes the dependents of an owner forget it and then lets it go. It waits for servers that are out of reach: a
// dependent there would be taken for garbage when it is back.
func (c *Collector) finishOrphan(ctx context.Context, v view) (again time.Duration, err error) {
	if left := settles - time.Since(v.orphans); left > 0 {
		return left, nil
	}
	if !c.isComplete() {
		klog.FromContext(ctx).V(2).Info("An orphaning deletion waits until every resource is known", "resource", v.source.Resource, "namespace", v.namespace, "name", v.name)
		return incompleteRecheck, nil
	}
	for _, d := range v.dependents {
		if err := disown(ctx, d.source, d.namespace, d.name, d.uid, []types.UID{v.uid}); err != nil {
			return 0, fmt.Errorf("orphaning: %w", err)
		}
	}
	return 0, c.removeFinalizer(ctx, v, metav1.FinalizerOrphanDependents)
}

func (c *Collector) removeFinalizer(ctx context.Context, v view, finalizer string) error {
	err := v.source.Writer.Rewrite(ctx, v.namespace, v.name, v.uid, func(o *delegation.OwnedObject) bool {
		left := slices.DeleteFunc(slices.Clone(o.Finalizers), func(f string) bool { return f == finalizer })
		changed := len(left) != len(o.Finalizers)
		o.Finalizers = left
		return changed
	})
	if err = ignoreGone(err); err != nil {
		return fmt.Errorf("removing finalizer %s of %s %s/%s: %w", finalizer, v.source.Resource, v.namespace, v.name, err)
	}
	return nil
}

func (c *Collector) tellMisplaced(ctx context.Context, s *source, o *delegation.OwnedObject, owner metav1.OwnerReference) {
	if _, told := c.told.Get(o.UID); told || c.cfg.Misplaced == nil {
		return
	}
	c.told.Add(o.UID, struct{}{})
	c.cfg.Misplaced(ctx, s.OwnedResource, o, owner)
}
