package workload

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/registry"
)

// The annotations by which a class says that it is for who names none, and those by which objects of old name one.
const (
	defaultStorageClass     = "storageclass.kubernetes.io/is-default-class"
	betaDefaultStorageClass = "storageclass.beta.kubernetes.io/is-default-class"
	betaStorageClass        = "volume.beta.kubernetes.io/storage-class"
	defaultIngressClass     = "ingressclass.kubernetes.io/is-default-class"
	betaIngressClass        = "kubernetes.io/ingress.class"
)

// StorageClasses is the admission that gives new claims a storage class, as kube-apiserver's DefaultStorageClass does.
type StorageClasses struct {
	Classes func(ctx context.Context) ([]*storagev1.StorageClass, error)
}

// Admit gives a claim that names no class the one for such claims.
func (s *StorageClasses) Admit(ctx context.Context, r *registry.Request) error {
	claim, ok := r.Object.(*corev1.PersistentVolumeClaim)
	if !ok || r.Operation != registry.Create || r.Subresource != "" || claim.Spec.StorageClassName != nil {
		return nil
	}
	if _, named := claim.Annotations[betaStorageClass]; named {
		return nil
	}
	classes, err := s.Classes(ctx)
	if err != nil {
		return fmt.Errorf("reading storage classes: %w", err)
	}
	claim.Spec.StorageClassName = newest(classes, defaultStorageClass, betaDefaultStorageClass)
	return nil
}

// Validate has nothing to add.
func (s *StorageClasses) Validate(context.Context, *registry.Request) error { return nil }

// IngressClasses is the admission that gives new ingresses a class, as kube-apiserver's DefaultIngressClass does.
type IngressClasses struct {
	Classes func(ctx context.Context) ([]*networkingv1.IngressClass, error)
}

// Admit gives an ingress that names no class the one for such ingresses.
func (i *IngressClasses) Admit(ctx context.Context, r *registry.Request) error {
	ingress, ok := r.Object.(*networkingv1.Ingress)
	if !ok || r.Operation != registry.Create || r.Subresource != "" || ingress.Spec.IngressClassName != nil {
		return nil
	}
	if _, named := ingress.Annotations[betaIngressClass]; named {
		return nil
	}
	classes, err := i.Classes(ctx)
	if err != nil {
		return fmt.Errorf("reading ingress classes: %w", err)
	}
	ingress.Spec.IngressClassName = newest(classes, defaultIngressClass)
	return nil
}

// Validate has nothing to add.
func (i *IngressClasses) Validate(context.Context, *registry.Request) error { return nil }

// newest is the name of the class that says so last, nil when none does: who makes another default means that one.
func newest[C metav1.Object](classes []C, marks ...string) *string {
	var found metav1.Object
	for _, class := range classes {
		marked := false
		for _, mark := range marks {
			marked = marked || class.GetAnnotations()[mark] == "true"
		}
		if marked && (found == nil || isNewer(class, found)) {
			found = class
		}
	}
	if found == nil {
		return nil
	}
	name := found.GetName()
	return &name
}

func isNewer(a, b metav1.Object) bool {
	at, bt := a.GetCreationTimestamp(), b.GetCreationTimestamp()
	if at.Time.Equal(bt.Time) {
		return a.GetName() < b.GetName()
	}
	return at.After(bt.Time)
}
