package core

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/handler/rest"
)

// ReviewResources are the virtual resources that answer who somebody is and what they may do: a create is the
// question, its status the answer, and nothing is stored. scheme must know authentication.k8s.io/v1 and
// authorization.k8s.io/v1.
func ReviewResources(scheme *runtime.Scheme, authn authenticator.Request, authz authorizer.Authorizer, rules authorizer.RuleResolver) []*rest.Resource {
	who := identityReviews{authn: authn}
	may := accessReviews{authz: authz}
	list := rulesReviews{rules: rules}

	resources := []*rest.Resource{
		{
			GroupVersion: authenticationv1.SchemeGroupVersion, Kind: "TokenReview",
			Name: "tokenreviews", SingularName: "tokenreview",
			Storage: review[*authenticationv1.TokenReview](who.token),
			New:     func() runtime.Object { return &authenticationv1.TokenReview{} },
		},
		{
			GroupVersion: authenticationv1.SchemeGroupVersion, Kind: "SelfSubjectReview",
			Name: "selfsubjectreviews", SingularName: "selfsubjectreview",
			Storage: review[*authenticationv1.SelfSubjectReview](who.self),
			New:     func() runtime.Object { return &authenticationv1.SelfSubjectReview{} },
		},
		{
			GroupVersion: authorizationv1.SchemeGroupVersion, Kind: "SubjectAccessReview",
			Name: "subjectaccessreviews", SingularName: "subjectaccessreview",
			Storage: review[*authorizationv1.SubjectAccessReview](may.anybody),
			New:     func() runtime.Object { return &authorizationv1.SubjectAccessReview{} },
		},
		{
			GroupVersion: authorizationv1.SchemeGroupVersion, Kind: "SelfSubjectAccessReview",
			Name: "selfsubjectaccessreviews", SingularName: "selfsubjectaccessreview",
			Storage: review[*authorizationv1.SelfSubjectAccessReview](may.self),
			New:     func() runtime.Object { return &authorizationv1.SelfSubjectAccessReview{} },
		},
		{
			GroupVersion: authorizationv1.SchemeGroupVersion, Kind: "LocalSubjectAccessReview",
			Name: "localsubjectaccessreviews", SingularName: "localsubjectaccessreview", Namespaced: true,
			Storage: review[*authorizationv1.LocalSubjectAccessReview](may.local),
			New:     func() runtime.Object { return &authorizationv1.LocalSubjectAccessReview{} },
		},
		{
			GroupVersion: authorizationv1.SchemeGroupVersion, Kind: "SelfSubjectRulesReview",
			Name: "selfsubjectrulesreviews", SingularName: "selfsubjectrulesreview",
			Storage: review[*authorizationv1.SelfSubjectRulesReview](list.self),
			New:     func() runtime.Object { return &authorizationv1.SelfSubjectRulesReview{} },
		},
	}
	for _, r := range resources {
		r.Scheme = scheme
	}
	return resources
}

// review answers the question T by filling in its status.
type review[T runtime.Object] func(ctx context.Context, namespace string, question T) error

// Create is the only verb of a review.
func (f review[T]) Create(ctx context.Context, namespace, _ string, obj runtime.Object, _ *metav1.CreateOptions) (runtime.Object, error) {
	question, ok := obj.(T)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("a %T is not what is reviewed here", obj))
	}
	if err := f(ctx, namespace, question); err != nil {
		return nil, err
	}
	return question, nil
}
