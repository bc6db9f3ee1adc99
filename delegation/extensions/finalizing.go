package extensions

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/registry"
)

// remainingRecheck is when is looked again whether finalizers still keep an object of a definition that goes.
const remainingRecheck = time.Second

// finalizing deletes the objects of definitions that are deleted, and then lets these go.
type finalizing struct {
	definitions *writer
	catalog     *catalog
	now         func() time.Time
	queue       *controller.Queue
}

func newFinalizing(definitions *writer, c *catalog, now func() time.Time) *finalizing {
	f := &finalizing{definitions: definitions, catalog: c, now: now}
	f.queue = controller.NewQueue("crd_finalizer", f.settle)
	return f
}

func (f *finalizing) run(ctx context.Context) error {
	return f.queue.Run(ctx, 4, func(ctx context.Context) error {
		return f.catalog.follow(ctx, func(d *definition, deleted bool) {
			if !deleted && isGoing(d) {
				f.queue.Add(d.Name)
			}
		})
	})
}

func isGoing(d *definition) bool {
	return d.DeletionTimestamp != nil && apihelpers.CRDHasFinalizer(d, apiextensionsv1.CustomResourceCleanupFinalizer)
}

// settle takes one definition as far as it can go now.
func (f *finalizing) settle(ctx context.Context, name string) (again time.Duration, err error) {
	d, err := registry.GetAs[*definition](ctx, f.definitions.store, "", name)
	switch {
	case apierrors.IsNotFound(err):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("reading %s: %w", name, err)
	case !isGoing(d):
		return 0, nil
	}
	if isBuiltIn(d) {
		return 0, f.finish(ctx, d, "OverlappingBuiltInResource", "instances overlap with built-in resources in storage")
	}
	s := f.catalog.find(d)
	switch {
	case s == nil && !isServed(d):
		return 0, f.finish(ctx, d, "NeverEstablished", "resource was never established")
	case s == nil || !s.terminating(): // it is on its way here
		return remainingRecheck / 10, f.say(ctx, d, apiextensionsv1.ConditionTrue, "InstanceDeletionInProgress", "CustomResource deletion is in progress")
	}
	some, err := s.hasObjects(ctx)
	switch {
	case err != nil:
		return 0, fmt.Errorf("looking for objects of %s: %w", name, err)
	case !some: // as of most definitions that are deleted in numbers: neither read nor said to be on their way
		return 0, f.finish(ctx, d, "InstanceDeletionCompleted", "removed all instances")
	}
	if !isWaiting(d) {
		if err := f.say(ctx, d, apiextensionsv1.ConditionTrue, "InstanceDeletionInProgress", "CustomResource deletion is in progress"); err != nil {
			return 0, err
		}
	}
	remaining := s.clear(ctx, "")
	if err := errors.Join(remaining.Failed...); err != nil {
		_ = f.say(ctx, d, apiextensionsv1.ConditionTrue, "InstanceDeletionFailed", fmt.Sprintf("could not delete instances: %v", err)) // it is tried again anyway
		return 0, fmt.Errorf("deleting the objects of %s: %w", name, err)
	}
	if remaining.Objects[resourceOf(d)] > 0 {
		return remainingRecheck, f.say(ctx, d, apiextensionsv1.ConditionTrue, "InstanceDeletionCheck", "could not confirm zero CustomResources remaining: finalizers keep some")
	}
	return 0, f.finish(ctx, d, "InstanceDeletionCompleted", "removed all instances")
}

// isWaiting tells whether it has been said why objects are still there. To say by turns that and that they are being deleted would be a write
// for every look, and a look for every write.
func isWaiting(d *definition) bool {
	c := apihelpers.FindCRDCondition(d, apiextensionsv1.Terminating)
	return c != nil && (c.Reason == "InstanceDeletionCheck" || c.Reason == "InstanceDeletionFailed")
}

// isBuiltIn tells a definition whose objects would be stored where the server keeps its own.
func isBuiltIn(d *definition) bool {
	switch resourceOf(d).String() {
	case "apiservices.apiregistration.k8s.io", "customresourcedefinitions.apiextensions.k8s.io":
		return true
	}
	return false
}

func (f *finalizing) say(ctx context.Context, d *definition, status apiextensionsv1.ConditionStatus, reason, message string) error {
	_, err := f.definitions.updateStatus(ctx, d.Name, func(current *definition) error {
		if current.UID == d.UID {
			setCondition(current, f.now(), apiextensionsv1.Terminating, status, reason, message)
		}
		return nil
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("writing how far the deletion of %s is: %w", d.Name, err)
	}
	return nil
}

// finish lets a definition go, and says why, for whom something else keeps it.
func (f *finalizing) finish(ctx context.Context, d *definition, reason, message string) error {
	err := f.definitions.letGo(ctx, d.Name, func(current *definition) error {
		if current.UID == d.UID {
			setCondition(current, f.now(), apiextensionsv1.Terminating, apiextensionsv1.ConditionFalse, reason, message)
			apihelpers.CRDRemoveFinalizer(current, apiextensionsv1.CustomResourceCleanupFinalizer)
		}
		return nil
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("letting %s go: %w", d.Name, err)
	}
	return nil
}
