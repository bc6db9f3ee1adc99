package core

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/registry"
)

const (
	trustMapName = "extension-apiserver-authentication"
	// trustInterval bounds how long an expired certificate stays published.
	trustInterval = time.Minute
)

// trustPublisher keeps the config map from which extension API servers learn whom to trust.
type trustPublisher struct {
	configMaps *registry.Store
	source     TrustSource
	// ready returns when kube-system is there.
	ready func(context.Context) error
	// changed holds one note that something has changed: more of them say nothing more.
	changed chan struct{}
}

func newTrustPublisher(configMaps *registry.Store, source TrustSource, ready func(context.Context) error) *trustPublisher {
	p := &trustPublisher{configMaps: configMaps, source: source, ready: ready, changed: make(chan struct{}, 1)}
	source.OnTrustChange(p.note)
	return p
}

func (p *trustPublisher) note() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// Run publishes at once, whenever trust changes and whenever somebody else changes what was published.
func (p *trustPublisher) Run(ctx context.Context, started func()) error {
	if err := p.ready(ctx); err != nil {
		return err
	}
	if err := controller.Retry(ctx, "publishing "+trustMapName, p.publish); err != nil {
		return err
	}
	started()
	return controller.RunAll(ctx, p.followMap, p.republish)
}

func (p *trustPublisher) followMap(ctx context.Context) error {
	return p.configMaps.FollowNamed(ctx, trustMapName, func(change registry.Change) {
		if change.Object.(*corev1.ConfigMap).Namespace == metav1.NamespaceSystem {
			p.note()
		}
	}, func() {})
}

func (p *trustPublisher) republish(ctx context.Context) error {
	tick := time.NewTicker(trustInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.changed:
		case <-tick.C:
		}
		if err := p.publish(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Will try again", "after", trustInterval)
		}
	}
}

// publish writes the config map unless it says already what it should.
func (p *trustPublisher) publish(ctx context.Context) error {
	trust := p.source.Trust()
	stored, err := registry.GetAs[*corev1.ConfigMap](ctx, p.configMaps, metav1.NamespaceSystem, trustMapName)
	switch {
	case apierrors.IsNotFound(err):
		_, err = registry.CreateAs(ctx, p.configMaps, metav1.NamespaceSystem, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: trustMapName},
			Data:       trust.mergeInto(nil, time.Now()),
		})
	case err == nil:
		if maps.Equal(trust.mergeInto(stored.Data, time.Now()), stored.Data) {
			return nil
		}
		_, err = registry.UpdateAs(ctx, p.configMaps, metav1.NamespaceSystem, trustMapName, func(cm *corev1.ConfigMap) error {
			cm.Data = trust.mergeInto(cm.Data, time.Now())
			return nil
		})
	}
	if isTooLarge(err) {
		return p.startOver(ctx, err)
	}
	if err != nil {
		return fmt.Errorf("publishing %s/%s: %w", metav1.NamespaceSystem, trustMapName, err)
	}
	return nil
}

// startOver deletes a config map that has collected more than fits. The deletion is followed, so
// the next one holds ours alone.
func (p *trustPublisher) startOver(ctx context.Context, cause error) error {
	_, _, err := p.configMaps.Delete(ctx, metav1.NamespaceSystem, trustMapName, &metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("deleting %s/%s after %q: %w", metav1.NamespaceSystem, trustMapName, cause, err)
	}
	return nil
}

func isTooLarge(err error) bool {
	if apierrors.IsRequestEntityTooLargeError(err) {
		return true
	}
	status, ok := err.(apierrors.APIStatus)
	if !ok || !apierrors.IsInvalid(err) || status.Status().Details == nil {
		return false
	}
	for _, cause := range status.Status().Details.Causes {
		if cause.Type == metav1.CauseType(field.ErrorTypeTooLong) {
			return true
		}
	}
	return false
}
