package aggregator

import (
	"context"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/portico-api/portico/delegation/registry"
)

// CustomGroupVersions tells in which group-versions there are custom resources.
type CustomGroupVersions interface {
	GroupVersions() []schema.GroupVersion
	OnChange(on func()) (stop func())
	// Synced is closed when all that was defined before the start is known.
	Synced() <-chan struct{}
}

// customRegistration keeps an APIService for each group-version of custom resources, as long as there are any (contract 5.3): it comes back when it is
// deleted, and stays as it is when it is edited. One that a user has made stays, and its server answers.
type customRegistration struct {
	auto    *autoRegistration
	store   *registry.Store
	from    CustomGroupVersions
	changed chan struct{}
}

func newCustomRegistration(auto *autoRegistration, store *registry.Store, from CustomGroupVersions) *customRegistration {
	return &customRegistration{auto: auto, store: store, from: from, changed: make(chan struct{}, 1)}
}

// wake has what there is looked at soon.
func (c *customRegistration) wake() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// noticed is told of each change of an APIService. What custom resources have to do with are those that went and those that are not what they were.
func (c *customRegistration) noticed(ev registry.Change) {
	s := ev.Object.(*apiregistrationv1.APIService)
	kept := s.Labels[automanagedLabel] == automanagedAlways
	if ev.Deleted || kept && !sameSpec(&s.Spec, &customAPIService(groupVersionOf(s)).Spec) {
		c.wake()
	}
}

// run follows what there is until ctx ends. Changes that come together, as when many resources are defined, are settled together.
func (c *customRegistration) run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.from.Synced(): // else those that are not known yet would be taken away
	}
	defer c.from.OnChange(c.wake)()
	c.wake()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.changed:
		}
		if err := c.reconcile(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Custom resources are not all registered yet")
			time.AfterFunc(registrationRetry, c.wake)
		}
	}
}

func (c *customRegistration) reconcile(ctx context.Context) error {
	missing := map[string]*apiregistrationv1.APIService{}
	for _, gv := range c.from.GroupVersions() {
		s := customAPIService(gv)
		missing[s.Name] = s
	}
	stored, err := registry.ListAs[*apiregistrationv1.APIService](ctx, c.store, "")
	if err != nil {
		return err
	}
	var work []func(ctx context.Context) error
	for _, s := range stored {
		want, wanted := missing[s.Name]
		delete(missing, s.Name)
		switch {
		case s.Labels[automanagedLabel] != automanagedAlways:
		case !wanted:
			work = append(work, func(ctx context.Context) error { return c.auto.remove(ctx, s) })
		case !sameSpec(&s.Spec, &want.Spec):
			work = append(work, func(ctx context.Context) error { return c.auto.update(ctx, s, want) })
		}
	}
	for _, want := range missing {
		work = append(work, func(ctx context.Context) error { return c.auto.create(ctx, want) })
	}
	return errors.Join(inParallel(ctx, registrationWorkers, work))
}

func customAPIService(gv schema.GroupVersion) *apiregistrationv1.APIService {
	return &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: gv.Version + "." + gv.Group, Labels: map[string]string{automanagedLabel: automanagedAlways}},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: gv.Group, Version: gv.Version, GroupPriorityMinimum: customGroupPriority, VersionPriority: customVersionPriority,
		},
	}
}
