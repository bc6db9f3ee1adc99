package core

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// accessReviews tell whether somebody may do something. Extension servers ask for every request they get.
type accessReviews struct {
	authz authorizer.Authorizer
}

func (a accessReviews) anybody(ctx context.Context, _ string, r *authorizationv1.SubjectAccessReview) error {
	errs := append(validateSubjectAccess(&r.Spec), validateReviewMeta(&r.ObjectMeta)...)
	if len(errs) > 0 {
		return invalidReview("SubjectAccessReview", errs)
	}
	r.Status = a.review(ctx, subjectOf(&r.Spec), r.Spec.ResourceAttributes, r.Spec.NonResourceAttributes)
	return nil
}

// local is anybody for one namespace, for who may ask there only.
func (a accessReviews) local(ctx context.Context, namespace string, r *authorizationv1.LocalSubjectAccessReview) error {
	errs := append(validateSubjectAccess(&r.Spec), validateReviewMeta(&r.ObjectMeta)...)
	at := field.NewPath("spec")
	if r.Spec.ResourceAttributes != nil && r.Spec.ResourceAttributes.Namespace != namespace {
		errs = append(errs, field.Invalid(at.Child("resourceAttributes", "namespace"), r.Spec.ResourceAttributes.Namespace, "must match metadata.namespace"))
	}
	if r.Spec.NonResourceAttributes != nil {
		errs = append(errs, field.Invalid(at.Child("nonResourceAttributes"), r.Spec.NonResourceAttributes, "disallowed on this kind of request"))
	}
	if len(errs) > 0 {
		return invalidReview("LocalSubjectAccessReview", errs)
	}
	r.Status = a.review(ctx, subjectOf(&r.Spec), r.Spec.ResourceAttributes, nil)
	return nil
}

// self is kubectl auth can-i.
func (a accessReviews) self(ctx context.Context, _ string, r *authorizationv1.SelfSubjectAccessReview) error {
	u, err := requester(ctx)
	if err != nil {
		return err
	}
	errs := append(validateAttributes(r.Spec.ResourceAttributes, r.Spec.NonResourceAttributes), validateReviewMeta(&r.ObjectMeta)...)
	if len(errs) > 0 {
		return invalidReview("SelfSubjectAccessReview", errs)
	}
	r.Status = a.review(ctx, u, r.Spec.ResourceAttributes, r.Spec.NonResourceAttributes)
	return nil
}

func (a accessReviews) review(ctx context.Context, u user.Info, resource *authorizationv1.ResourceAttributes, path *authorizationv1.NonResourceAttributes) authorizationv1.SubjectAccessReviewStatus {
	attributes := authorizer.AttributesRecord{User: u}
	if resource != nil {
		attributes.ResourceRequest = true
		attributes.Verb = resource.Verb
		attributes.Namespace = resource.Namespace
		attributes.APIGroup = resource.Group
		attributes.APIVersion = resource.Version
		attributes.Resource = resource.Resource
		attributes.Subresource = resource.Subresource
		attributes.Name = resource.Name
		if attributes.APIVersion == "" {
			attributes.APIVersion = "*"
		}
		selectInto(&attributes, resource)
	} else {
		attributes.Verb = path.Verb
		attributes.Path = path.Path
	}
	decision, reason, err := a.authz.Authorize(ctx, attributes)
	status := authorizationv1.SubjectAccessReviewStatus{
		Allowed: decision == authorizer.DecisionAllow,
		Denied:  decision == authorizer.DecisionDeny,
		Reason:  reason,
	}
	if err != nil {
		status.EvaluationError = err.Error()
	}
	return status
}

func subjectOf(spec *authorizationv1.SubjectAccessReviewSpec) user.Info {
	u := &user.DefaultInfo{Name: spec.User, UID: spec.UID, Groups: spec.Groups}
	if len(spec.Extra) > 0 {
		u.Extra = make(map[string][]string, len(spec.Extra))
		for key, values := range spec.Extra {
			u.Extra[key] = values
		}
	}
	return u
}

func validateSubjectAccess(spec *authorizationv1.SubjectAccessReviewSpec) field.ErrorList {
	errs := validateAttributes(spec.ResourceAttributes, spec.NonResourceAttributes)
	if spec.User == "" && len(spec.Groups) == 0 {
		errs = append(errs, field.Invalid(field.NewPath("spec", "user"), spec.User, "at least one of user or group must be specified"))
	}
	return errs
}

func validateAttributes(resource *authorizationv1.ResourceAttributes, path *authorizationv1.NonResourceAttributes) field.ErrorList {
	at := field.NewPath("spec")
	switch {
	case resource != nil && path != nil:
		return field.ErrorList{field.Invalid(at.Child("nonResourceAttributes"), path, "cannot be specified in combination with resourceAttributes")}
	case resource == nil && path == nil:
		return field.ErrorList{field.Invalid(at.Child("resourceAttributes"), resource, "exactly one of nonResourceAttributes or resourceAttributes must be specified")}
	case resource != nil:
		return validateSelectors(resource, at.Child("resourceAttributes"))
	}
	return nil
}

// validateReviewMeta refuses metadata, because none of it would mean anything.
func validateReviewMeta(meta *metav1.ObjectMeta) field.ErrorList {
	rest := meta.DeepCopy()
	rest.ManagedFields = nil
	rest.Namespace = "" // comes from the path
	if equality.Semantic.DeepEqual(*rest, metav1.ObjectMeta{}) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("metadata"), meta, "must be empty")}
}

func invalidReview(kind string, errs field.ErrorList) error {
	return apierrors.NewInvalid(authorizationv1.SchemeGroupVersion.WithKind(kind).GroupKind(), "", errs)
}

// rulesReviews list what somebody may do.
type rulesReviews struct {
	rules authorizer.RuleResolver
}

// self is kubectl auth can-i --list.
func (l rulesReviews) self(ctx context.Context, _ string, r *authorizationv1.SelfSubjectRulesReview) error {
	u, err := requester(ctx)
	if err != nil {
		return err
	}
	if r.Spec.Namespace == "" {
		return apierrors.NewBadRequest("no namespace on request")
	}
	resources, urls, incomplete, err := l.rules.RulesFor(ctx, u, r.Spec.Namespace)
	r.Status = authorizationv1.SubjectRulesReviewStatus{
		ResourceRules:    []authorizationv1.ResourceRule{}, // a required list: never null
		NonResourceRules: []authorizationv1.NonResourceRule{},
		Incomplete:       incomplete,
	}
	for _, rule := range resources {
		r.Status.ResourceRules = append(r.Status.ResourceRules, authorizationv1.ResourceRule{
			Verbs: rule.GetVerbs(), APIGroups: rule.GetAPIGroups(), Resources: rule.GetResources(), ResourceNames: rule.GetResourceNames(),
		})
	}
	for _, rule := range urls {
		r.Status.NonResourceRules = append(r.Status.NonResourceRules, authorizationv1.NonResourceRule{
			Verbs: rule.GetVerbs(), NonResourceURLs: rule.GetNonResourceURLs(),
		})
	}
	if err != nil {
		r.Status.EvaluationError = fmt.Sprintf("some of the rules could not be resolved: %v", err)
	}
	return nil
}
