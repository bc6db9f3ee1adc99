// Package stored tells the deletion of namespaces and the garbage collector of what registries keep, whichever unit they belong to.
package stored

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// NewNamespacedContent returns the content of a resource that is kept in a registry.
func NewNamespacedContent(resource registry.Resource, store *registry.Store) delegation.NamespacedContent {
	return storedContent{
		resource: schema.GroupResource{Group: resource.GroupVersion.Group, Resource: resource.Name},
		store:    store,
	}
}

type storedContent struct {
	resource schema.GroupResource
	store    *registry.Store
}

func (c storedContent) Empty(ctx context.Context, namespace string) delegation.Remaining {
	background := metav1.DeletePropagationBackground
	_, err := c.store.DeleteCollection(ctx, namespace, &metav1.DeleteOptions{PropagationPolicy: &background}, everything())
	if err != nil {
		return failed(fmt.Errorf("deleting %s in namespace %s: %w", c.resource, namespace, err))
	}
	list, err := c.store.List(ctx, namespace, everything())
	if err != nil {
		return failed(fmt.Errorf("listing %s in namespace %s: %w", c.resource, namespace, err))
	}
	count, finalizers := 0, map[string]int{}
	for object := range list.Items {
		count++
		for _, finalizer := range finalizersOf(object) {
			finalizers[finalizer]++
		}
	}
	return delegation.Remaining{Objects: map[schema.GroupResource]int{c.resource: count}, Finalizers: finalizers}
}

func failed(err error) delegation.Remaining { return delegation.Remaining{Failed: []error{err}} }

func everything() *rest.ListOptions {
	return &rest.ListOptions{LabelSelector: labels.Everything(), FieldSelector: fields.Everything()}
}

func finalizersOf(object rest.Object) []string {
	var stored struct {
		Metadata struct {
			Finalizers []string `json:"finalizers"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(object.JSON(), &stored); err != nil {
		return nil // counted as an object that remains
	}
	return stored.Metadata.Finalizers
}
