package core

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// NamespacedContent is one resource whose objects live in namespaces and go with them.
type NamespacedContent interface {
	// Empty deletes what the resource has in a namespace and tells what is still there after.
	Empty(ctx context.Context, namespace string) (Remaining, error)
}

// Remaining is what a resource still has in a namespace.
type Remaining struct {
	Resource schema.GroupResource
	Objects  int
	// Finalizers are those that keep objects, and how many each keeps.
	Finalizers map[string]int
}

// NewNamespacedContent returns the content of a resource that is kept in a registry.
func NewNamespacedContent(resource registry.Resource, store *registry.Store) NamespacedContent {
	return storedContent{
		resource: schema.GroupResource{Group: resource.GroupVersion.Group, Resource: resource.Name},
		store:    store,
	}
}

type storedContent struct {
	resource schema.GroupResource
	store    *registry.Store
}

func (c storedContent) Empty(ctx context.Context, namespace string) (Remaining, error) {
	remaining := Remaining{Resource: c.resource}
	background := metav1.DeletePropagationBackground
	_, err := c.store.DeleteCollection(ctx, namespace, &metav1.DeleteOptions{PropagationPolicy: &background}, everything())
	if err != nil {
		return remaining, fmt.Errorf("deleting %s in namespace %s: %w", c.resource, namespace, err)
	}
	list, err := c.store.List(ctx, namespace, everything())
	if err != nil {
		return remaining, fmt.Errorf("listing %s in namespace %s: %w", c.resource, namespace, err)
	}
	for object := range list.Items {
		remaining.Objects++
		for _, finalizer := range finalizersOf(object) {
			if remaining.Finalizers == nil {
				remaining.Finalizers = make(map[string]int, 1)
			}
			remaining.Finalizers[finalizer]++
		}
	}
	return remaining, nil
}

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
