package core

import (
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// NewScheme returns a scheme that knows the types of the groups this unit serves, and those every
// API speaks: options, Status, discovery documents, tables. Other units add theirs to it before
// it is used. client-go's scheme of all groups would cost several megabytes for types nobody asks for.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	groups := runtime.NewSchemeBuilder(
		corev1.AddToScheme,
		authenticationv1.AddToScheme,
		authorizationv1.AddToScheme,
		certificatesv1.AddToScheme,
		coordinationv1.AddToScheme,
		rbacv1.AddToScheme,
		flowcontrolv1.AddToScheme,
		admissionregistrationv1.AddToScheme,
		discoveryv1.AddToScheme,
		eventsv1.AddToScheme,
		metav1.AddMetaToScheme,
	)
	if err := groups.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("building the scheme of the built-in groups: %w", err)
	}
	scheme.AddUnversionedTypes(schema.GroupVersion{Version: "v1"},
		&metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
	return scheme, nil
}
