package filters

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// forbidden is the answer to a request that its user may not make. Clients and tests read its text.
func forbidden(a authorizer.Attributes, reason string) error {
	name := ""
	if u := a.GetUser(); u != nil {
		name = u.GetName()
	}
	message := fmt.Sprintf("User %q cannot %s path %q", name, a.GetVerb(), a.GetPath())
	if a.IsResourceRequest() {
		resource := a.GetResource()
		if sub := a.GetSubresource(); sub != "" {
			resource += "/" + sub
		}
		scope := "at the cluster scope"
		if namespace := a.GetNamespace(); namespace != "" {
			scope = fmt.Sprintf("in the namespace %q", namespace)
		}
		message = fmt.Sprintf("User %q cannot %s resource %q in API group %q %s", name, a.GetVerb(), resource, a.GetAPIGroup(), scope)
	}
	if reason != "" {
		message += ": " + reason
	}
	gr := schema.GroupResource{Group: a.GetAPIGroup(), Resource: a.GetResource()}
	return apierrors.NewForbidden(gr, a.GetName(), errors.New(message))
}
