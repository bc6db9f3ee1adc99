package core

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/authentication/serviceaccount"
	"github.com/portico-api/portico/handler/rest"
)

// Tokens says how tokens of service accounts are made.
type Tokens struct {
	Issuer *serviceaccount.Issuer
	// Audiences are those of a token that is asked for without any.
	Audiences []string
	// MaxLifetime shortens what is asked for; 0 does not.
	MaxLifetime time.Duration
	// Extend makes the tokens that kubelets ask for good for a year, with a warning after what they asked for.
	Extend bool
	// Documents are what others need to verify the tokens; nil publishes nothing.
	Documents *serviceaccount.Documents
}

const (
	defaultTokenLifetime = time.Hour
	minTokenLifetime     = 10 * time.Minute
	// A token of exactly so many seconds is what a kubelet mounts into a pod; programs of old read it once (contract 4.2).
	extendedSeconds  = 3607
	extendedLifetime = 365 * 24 * time.Hour
)

// tokenRequests is the token subresource of service accounts: a create is the request, its status the answer. Nothing is
// stored.
type tokenRequests struct {
	Tokens
	accounts *registry.Store
	objects  *tokenObjects
}

// tokenResource is the subresource as the HTTP layer installs it.
func tokenResource(cfg Config, s *stores) *rest.Resource {
	return &rest.Resource{
		GroupVersion:     corev1.SchemeGroupVersion,
		Kind:             "TokenRequest",
		KindGroupVersion: authenticationv1.SchemeGroupVersion,
		Name:             "token",
		Namespaced:       true,
		Storage:          &tokenRequests{Tokens: *cfg.Tokens, accounts: s.serviceAccounts, objects: newTokenObjects(s)},
		New:              func() runtime.Object { return &authenticationv1.TokenRequest{} },
		Scheme:           cfg.Registry.Scheme,
	}
}

// Create makes a token for the service account of a name.
func (t *tokenRequests) Create(ctx context.Context, namespace, name string, obj runtime.Object, opts *metav1.CreateOptions) (runtime.Object, error) {
	request, ok := obj.(*authenticationv1.TokenRequest)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("a %T asks for no token", obj))
	}
	if request.Name != "" && request.Name != name {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("metadata.name: %q does not match the service account of the request, %q", request.Name, name))
	}
	account, err := registry.GetAs[*corev1.ServiceAccount](ctx, t.accounts, namespace, name)
	if err != nil {
		return nil, err
	}
	ask := t.accounts.SubresourceCreation("token", authenticationv1.SchemeGroupVersion.WithKind("TokenRequest"), namespace, name, request, opts)
	if err := ask.Admit(ctx); err != nil {
		return nil, err
	}
	if err := t.settle(request, name); err != nil {
		return nil, err
	}
	if err := ask.Validate(ctx); err != nil {
		return nil, err
	}
	asked := serviceaccount.Request{
		Namespace: namespace,
		Account:   serviceaccount.Reference{Name: account.Name, UID: string(account.UID)},
		Audiences: request.Spec.Audiences,
	}
	if err := t.bind(ctx, &asked, request.Spec.BoundObjectRef); err != nil {
		return nil, err
	}
	t.limit(ctx, &asked, request)
	request.Name, request.Namespace, request.CreationTimestamp = account.Name, account.Namespace, metav1.Now().Rfc3339Copy()
	request.ManagedFields = nil
	if opts != nil && len(opts.DryRun) > 0 {
		return request, nil
	}
	token, ends, err := t.Issuer.Issue(asked)
	if err != nil {
		return nil, err
	}
	request.Status = authenticationv1.TokenRequestStatus{Token: token, ExpirationTimestamp: metav1.NewTime(ends)}
	return request, nil
}

// settle fills in what a request leaves out and refuses what cannot be.
func (t *tokenRequests) settle(r *authenticationv1.TokenRequest, name string) error {
	if len(r.Spec.Audiences) == 0 {
		r.Spec.Audiences = slices.Clone(t.Audiences)
	}
	if r.Spec.ExpirationSeconds == nil {
		seconds := int64(defaultTokenLifetime / time.Second)
		r.Spec.ExpirationSeconds = &seconds
	}
	spec := field.NewPath("spec")
	var errs field.ErrorList
	switch seconds := *r.Spec.ExpirationSeconds; {
	case seconds < int64(minTokenLifetime/time.Second):
		errs = append(errs, field.Invalid(spec.Child("expirationSeconds"), seconds, "may not specify a duration less than 10 minutes"))
	case seconds > math.MaxUint32+1:
		errs = append(errs, field.Invalid(spec.Child("expirationSeconds"), seconds, "may not specify a duration larger than 2^32 seconds"))
	}
	if ref := r.Spec.BoundObjectRef; ref != nil {
		errs = append(errs, validateBoundObject(ref, spec.Child("boundObjectRef"))...)
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(authenticationv1.SchemeGroupVersion.WithKind("TokenRequest").GroupKind(), name, errs)
	}
	return nil
}

func validateBoundObject(ref *authenticationv1.BoundObjectReference, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	kinds := []string{string(serviceaccount.Pod), string(serviceaccount.Secret), string(serviceaccount.Node)}
	if !slices.Contains(kinds, ref.Kind) {
		errs = append(errs, field.NotSupported(path.Child("kind"), ref.Kind, kinds))
	}
	if ref.APIVersion != "" && ref.APIVersion != "v1" {
		errs = append(errs, field.NotSupported(path.Child("apiVersion"), ref.APIVersion, []string{"v1"}))
	}
	if ref.Name == "" {
		errs = append(errs, field.Required(path.Child("name"), ""))
	}
	return errs
}

// bind ties a token to an object, if that is the one that was meant.
func (t *tokenRequests) bind(ctx context.Context, asked *serviceaccount.Request, ref *authenticationv1.BoundObjectReference) error {
	if ref == nil {
		return nil
	}
	kind, namespace := serviceaccount.Kind(ref.Kind), asked.Namespace
	if kind == serviceaccount.Node {
		namespace = ""
	}
	resource := corev1.Resource(strings.ToLower(ref.Kind) + "s")
	state, err := t.objects.State(ctx, kind, namespace, ref.Name)
	if errors.Is(err, errNoSuchKind) {
		return apierrors.NewNotFound(resource, ref.Name)
	}
	if err != nil {
		return err
	}
	if ref.UID != "" && ref.UID != types.UID(state.UID) {
		return apierrors.NewConflict(resource, ref.Name, fmt.Errorf("the UID in the bound object reference (%s) does not match the UID in record. "+
			"The object might have been deleted and then recreated", ref.UID))
	}
	bound := &serviceaccount.Reference{Name: ref.Name, UID: state.UID}
	switch kind {
	case serviceaccount.Pod:
		asked.Pod = bound
		return t.bindPod(ctx, asked, state)
	case serviceaccount.Secret:
		asked.Secret = bound
	case serviceaccount.Node:
		asked.Node = bound
	}
	return nil
}

// bindPod refuses the pod of another account, and says on which node the pod is.
func (t *tokenRequests) bindPod(ctx context.Context, asked *serviceaccount.Request, pod serviceaccount.State) error {
	if pod.Account != asked.Account.Name {
		return apierrors.NewBadRequest(fmt.Sprintf("cannot bind token for serviceaccount %q to pod running with different serviceaccount name.", asked.Account.Name))
	}
	if pod.Node == "" {
		return nil
	}
	asked.Node = &serviceaccount.Reference{Name: pod.Node}
	node, err := t.objects.State(ctx, serviceaccount.Node, "", pod.Node)
	switch {
	case err == nil:
		asked.Node.UID = node.UID
	case !apierrors.IsNotFound(err) && !errors.Is(err, errNoSuchKind):
		return err
	}
	return nil
}

// limit settles how long a token lives.
func (t *tokenRequests) limit(ctx context.Context, asked *serviceaccount.Request, r *authenticationv1.TokenRequest) {
	asked.Lifetime = time.Duration(*r.Spec.ExpirationSeconds) * time.Second
	if t.MaxLifetime > 0 && asked.Lifetime > t.MaxLifetime {
		handler.AddWarning(ctx, fmt.Sprintf("requested expiration of %d seconds shortened to %d seconds", *r.Spec.ExpirationSeconds, int64(t.MaxLifetime/time.Second)))
		asked.Lifetime = t.MaxLifetime
		seconds := int64(t.MaxLifetime / time.Second)
		r.Spec.ExpirationSeconds = &seconds
	}
	ours := slices.ContainsFunc(asked.Audiences, func(a string) bool { return slices.Contains(t.Audiences, a) })
	if t.Extend && *r.Spec.ExpirationSeconds == extendedSeconds && asked.Pod != nil && ours {
		asked.WarnAfter, asked.Lifetime = asked.Lifetime, extendedLifetime
	}
}
