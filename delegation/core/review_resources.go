package core

import (
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/handler/rest"
)

// ReviewResources are the virtual resources that answer who somebody is and what they may do; scheme
// must know authentication.k8s.io/v1 and authorization.k8s.io/v1.
func ReviewResources(scheme *runtime.Scheme, authn authenticator.Request, authz authorizer.Authorizer, rules authorizer.RuleResolver) []*rest.Resource {
	panic("written in the next commit")
}
