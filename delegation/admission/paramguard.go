package admission

import (
	"context"
	"fmt"
	"slices"

	registrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/delegation/registry"
)

// ParamGuard holds those who write policies and bindings to parameters that they may read: what a policy says about a
// parameter in its messages would tell them otherwise.
type ParamGuard struct{ hooks *Hooks }

// ParamGuard is asked in the unit that stores policies.
func (h *Hooks) ParamGuard() *ParamGuard { return &ParamGuard{h} }

// Admit has nothing to change.
func (g *ParamGuard) Admit(context.Context, *registry.Request) error { return nil }

// Validate asks whether the user may get the parameters.
func (g *ParamGuard) Validate(ctx context.Context, r *registry.Request) error {
	if !isExempt(r) || r.Subresource != "" || r.Object == nil {
		return nil
	}
	asked, before := g.paramsIn(r.Object), reference{}
	if r.Old != nil {
		before = g.paramsIn(r.Old)
	}
	if asked.kind == nil || asked.equals(&before) {
		return nil
	}
	u := requester(ctx)
	if slices.Contains(u.GetGroups(), user.SystemPrivilegedGroup) {
		return nil
	}
	if g.mayGet(ctx, u, &asked) {
		return nil
	}
	problem := field.Forbidden(asked.path, fmt.Sprintf(`user %q must have "get" permission on %s`, u.GetName(), asked.text))
	return apierrors.NewInvalid(r.Kind.GroupKind(), r.Name, field.ErrorList{problem})
}

// reference is what a policy or binding says of parameters.
type reference struct {
	kind            *registrationv1.ParamKind // nil when there are none
	namespace, name string
	path            *field.Path
	text            string
}

// equals tells whether two references ask for the same.
func (r *reference) equals(other *reference) bool {
	return r.kind != nil && other.kind != nil && *r.kind == *other.kind && r.namespace == other.namespace && r.name == other.name
}

func (g *ParamGuard) paramsIn(obj runtime.Object) reference {
	switch o := obj.(type) {
	case *registrationv1.ValidatingAdmissionPolicy:
		return ofPolicy(o.Spec.ParamKind)
	case *registrationv1.MutatingAdmissionPolicy:
		return ofPolicy(o.Spec.ParamKind)
	case *registrationv1.ValidatingAdmissionPolicyBinding:
		g.hooks.mu.Lock()
		defer g.hooks.mu.Unlock()
		p := g.hooks.validatingPolicies[o.Spec.PolicyName].made
		if p == nil {
			return ofBinding(o.Spec.ParamRef, nil, false)
		}
		return ofBinding(o.Spec.ParamRef, p.params, true)
	case *registrationv1.MutatingAdmissionPolicyBinding:
		g.hooks.mu.Lock()
		defer g.hooks.mu.Unlock()
		p := g.hooks.mutatingPolicies[o.Spec.PolicyName].made
		if p == nil {
			return ofBinding(o.Spec.ParamRef, nil, false)
		}
		return ofBinding(o.Spec.ParamRef, p.params, true)
	}
	return reference{}
}

func ofPolicy(kind *registrationv1.ParamKind) reference {
	if kind == nil {
		return reference{}
	}
	return reference{
		kind: kind, namespace: "*", name: "*", path: field.NewPath("spec", "paramKind"),
		text: fmt.Sprintf("all objects of the referenced paramKind (kind=%s, apiVersion=%s)", kind.Kind, kind.APIVersion),
	}
}

// ofBinding is about everything when the policy is not known: what kind it will take, nobody can tell.
func ofBinding(ref *registrationv1.ParamRef, kind *schema.GroupVersionKind, known bool) reference {
	if ref == nil || known && kind == nil {
		return reference{}
	}
	r := reference{kind: &registrationv1.ParamKind{}, namespace: "*", name: "*", path: field.NewPath("spec", "paramRef"), text: "all objects of the referenced paramRef"}
	if known {
		r.kind = &registrationv1.ParamKind{APIVersion: kind.GroupVersion().String(), Kind: kind.Kind}
	}
	if ref.Name != "" {
		r.name, r.text = ref.Name, "the referenced paramRef"
	}
	if ref.Namespace != "" {
		r.namespace = ref.Namespace
	}
	return r
}

// mayGet asks for the resource of the kind, or for all there are when it is not known.
func (g *ParamGuard) mayGet(ctx context.Context, u user.Info, asked *reference) bool {
	attributes := authorizer.AttributesRecord{
		User: u, Verb: "get", ResourceRequest: true, Namespace: asked.namespace, Name: asked.name,
		APIGroup: "*", APIVersion: "*", Resource: "*",
	}
	if gv, err := schema.ParseGroupVersion(asked.kind.APIVersion); err == nil && asked.kind.Kind != "" {
		attributes.APIGroup, attributes.APIVersion = gv.Group, gv.Version
		if g.hooks.cfg.Params != nil {
			if params, ok := g.hooks.cfg.Params(gv.WithKind(asked.kind.Kind)); ok {
				attributes.Resource = params.Resource()
			}
		}
	}
	decision, _, _ := g.hooks.cfg.Authorizer.Authorize(ctx, attributes)
	return decision == authorizer.DecisionAllow
}
