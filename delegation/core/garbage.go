package core

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/core/garbagecollection"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/stored"
)

// newGarbageCollector collects over all resources of the unit but events, which come and go by themselves, and over those of
// others.
func newGarbageCollector(s *stores, cfg Config) *garbagecollection.Collector {
	gc := garbagecollection.Config{
		Others:    cfg.OwnedResources,
		Subscribe: cfg.SubscribeOwnedResources,
		Misplaced: func(ctx context.Context, resource delegation.OwnedResource, o *delegation.OwnedObject, owner metav1.OwnerReference) {
			if err := reportMisplaced(ctx, s.events, resource, o, owner); err != nil {
				klog.FromContext(ctx).Error(err, "Reporting an owner that is in a namespace", "name", o.Name)
			}
		},
	}
	for _, o := range s.all {
		if o.store != s.events {
			gc.Own = append(gc.Own, stored.NewOwnedResource(o.resource, o.store))
		}
	}
	return garbagecollection.New(gc)
}

// reportMisplaced tells whoever describes the object why its owner counts for nothing.
func reportMisplaced(ctx context.Context, events *registry.Store, resource delegation.OwnedResource, o *delegation.OwnedObject, owner metav1.OwnerReference) error {
	now := metav1.Now()
	_, err := registry.CreateAs(ctx, events, metav1.NamespaceDefault, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: fmt.Sprintf("%s.%x", o.Name, now.UnixNano())},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: resource.Resource.GroupVersion().String(), Kind: resource.Kind, Name: o.Name, UID: o.UID, ResourceVersion: o.ResourceVersion,
		},
		Type:           corev1.EventTypeWarning,
		Reason:         "OwnerRefInvalidNamespace",
		Message:        fmt.Sprintf("ownerRef [%s/%s, name: %s, uid: %s] is of a namespaced kind, and this object is in no namespace", owner.APIVersion, owner.Kind, owner.Name, owner.UID),
		Source:         corev1.EventSource{Component: "garbage-collector-controller"},
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	})
	return err
}
