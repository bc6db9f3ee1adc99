package workload

import (
	"context"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// PodResource is pods as the HTTP layer installs them. What needs a pod that runs answers that none does.
func PodResource(pods, budgets *registry.Store, scheme *runtime.Scheme) *rest.Resource {
	r := pods.Rest()
	r.Subresources = append(r.Subresources,
		pods.Subresource(ephemeralContainers()),
		pods.Subresource(resize()),
		&rest.Resource{
			GroupVersion: corev1.SchemeGroupVersion, Kind: "Binding", Name: "binding", Namespaced: true, Scheme: scheme,
			New: func() runtime.Object { return &corev1.Binding{} }, Storage: &bindings{pods},
		},
		&rest.Resource{
			GroupVersion: corev1.SchemeGroupVersion, Kind: "Eviction", KindGroupVersion: policyv1.SchemeGroupVersion, Name: "eviction", Namespaced: true, Scheme: scheme,
			New: func() runtime.Object { return &policyv1.Eviction{} }, Storage: &evictions{pods, budgets},
		})
	for _, verb := range []struct {
		name string
		kind runtime.Object
	}{
		{"log", &corev1.PodLogOptions{}}, {"exec", &corev1.PodExecOptions{}}, {"attach", &corev1.PodAttachOptions{}},
		{"portforward", &corev1.PodPortForwardOptions{}}, {"proxy", &corev1.PodProxyOptions{}},
	} {
		r.Subresources = append(r.Subresources, unrunning(pods, "pod", verb.name, verb.kind, scheme))
	}
	return r
}

// NodeResource is nodes as the HTTP layer installs them.
func NodeResource(nodes *registry.Store, scheme *runtime.Scheme) *rest.Resource {
	r := nodes.Rest()
	r.Subresources = append(r.Subresources, unrunning(nodes, "node", "proxy", &corev1.NodeProxyOptions{}, scheme))
	return r
}

// unrunning is a subresource that reaches into what runs.
func unrunning(of *registry.Store, what, name string, options runtime.Object, scheme *runtime.Scheme) *rest.Resource {
	kinds, _, err := scheme.ObjectKinds(options)
	kind := "PodLogOptions"
	if err == nil {
		kind = kinds[0].Kind
	}
	if name == "log" {
		kind = "Pod" // as kube-apiserver tells of it
	}
	return &rest.Resource{
		GroupVersion: corev1.SchemeGroupVersion, Kind: kind, Name: name, Namespaced: what == "pod", Scheme: scheme,
		New: options.DeepCopyObject, Storage: &notRunning{of: of, what: what, name: name},
	}
}

// Methods implements rest.Connecter: those that kube-apiserver connects by.
func (n *notRunning) Methods() []string {
	switch n.name {
	case "log":
		return []string{http.MethodGet}
	case "proxy":
		return []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	}
	return []string{http.MethodGet, http.MethodPost}
}

// notRunning says that there is nothing to connect to: not found when there is no such object, or else that nobody runs it.
type notRunning struct {
	of         *registry.Store
	what, name string
}

// Connect implements rest.Connecter.
func (n *notRunning) Connect(_ http.ResponseWriter, r *http.Request, namespace, name string) error {
	if _, err := n.of.Get(r.Context(), namespace, name, &metav1.GetOptions{}); err != nil {
		return err
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotImplemented, Reason: "NotImplemented",
		Message: fmt.Sprintf("%s of %s %q is not available: this server stores %ss and runs none", n.name, n.what, name, n.what),
		Details: &metav1.StatusDetails{Name: name, Kind: n.what + "s/" + n.name},
	}}
}

// bindings give a pod to a node.
type bindings struct{ pods *registry.Store }

func (b *bindings) Create(ctx context.Context, namespace, name string, obj runtime.Object, opts *metav1.CreateOptions) (runtime.Object, error) {
	binding, ok := obj.(*corev1.Binding)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("a %T binds no pod", obj))
	}
	target := field.NewPath("target")
	var errs field.ErrorList
	if kind := binding.Target.Kind; kind != "" && kind != "Node" {
		errs = append(errs, field.NotSupported(target.Child("kind"), kind, []string{"Node", "<empty>"}))
	}
	if binding.Target.Name == "" {
		errs = append(errs, field.Required(target.Child("name"), ""))
	}
	if len(errs) > 0 {
		return nil, apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Binding").GroupKind(), name, errs)
	}
	ask := b.pods.SubresourceCreation("binding", corev1.SchemeGroupVersion.WithKind("Binding"), namespace, name, binding, opts)
	if err := ask.Admit(ctx); err != nil {
		return nil, err
	}
	if err := ask.Validate(ctx); err != nil {
		return nil, err
	}
	bind := func(_ context.Context, current runtime.Object) (runtime.Object, error) {
		return bound(current.(*corev1.Pod), binding)
	}
	sub := doorOf(b.pods, "binding")
	if _, _, err := sub.Update(ctx, namespace, name, bind, dryRunOf(opts)); err != nil {
		return nil, err
	}
	return created(), nil
}

// created is what is said of a create that makes no object.
func created() *metav1.Status {
	return &metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusSuccess, Code: http.StatusCreated}
}

// bound is a pod that has got its node. That is settled once.
func bound(pod *corev1.Pod, binding *corev1.Binding) (runtime.Object, error) {
	pods := corev1.Resource("pods")
	switch {
	case binding.UID != "" && binding.UID != pod.UID:
		return nil, apierrors.NewConflict(pods, pod.Name, fmt.Errorf("precondition failed: UID in precondition: %v, UID in object meta: %v", binding.UID, pod.UID))
	case pod.DeletionTimestamp != nil:
		return nil, apierrors.NewConflict(pods, pod.Name, fmt.Errorf("pod %s is being deleted, cannot be assigned to a host", pod.Name))
	case pod.Spec.NodeName != "":
		return nil, apierrors.NewConflict(pods, pod.Name, fmt.Errorf("pod %s is already assigned to node %q", pod.Name, pod.Spec.NodeName))
	case len(pod.Spec.SchedulingGates) > 0:
		return nil, apierrors.NewConflict(pods, pod.Name, fmt.Errorf("pod %s has non-empty .spec.schedulingGates", pod.Name))
	}
	pod.Spec.NodeName = binding.Target.Name
	scheduled := corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now().Rfc3339Copy()}
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == corev1.PodScheduled {
			pod.Status.Conditions[i] = scheduled
			return pod, nil
		}
	}
	pod.Status.Conditions = append(pod.Status.Conditions, scheduled)
	return pod, nil
}

// updater is the one verb of a subresource that is written to from here.
type updater interface {
	Update(ctx context.Context, namespace, name string, transform rest.Transform, opts *rest.UpdateOptions) (runtime.Object, bool, error)
}

// doorOf is a way to write all of a pod, under the name of a subresource, when admission has been asked.
func doorOf(pods *registry.Store, name string) updater {
	return pods.Subresource(registry.Subresource{Name: name, Admitted: true}).Storage.(updater)
}

func dryRunOf(opts *metav1.CreateOptions) *rest.UpdateOptions {
	u := &rest.UpdateOptions{}
	if opts != nil {
		u.DryRun, u.FieldManager = opts.DryRun, opts.FieldManager
	}
	return u
}

// ephemeralContainers lets containers be added to a pod for debugging, and nothing else change.
func ephemeralContainers() registry.Subresource {
	return registry.Subresource{
		Name: "ephemeralcontainers", Readable: true,
		Prepare: func(_ context.Context, obj, old runtime.Object) {
			p, was := obj.(*corev1.Pod), old.(*corev1.Pod)
			was.Spec.EphemeralContainers = p.Spec.EphemeralContainers
			*p = *was
		},
		Validate: func(_ context.Context, obj, old runtime.Object) field.ErrorList {
			now, was := obj.(*corev1.Pod).Spec.EphemeralContainers, old.(*corev1.Pod).Spec.EphemeralContainers
			path := field.NewPath("spec", "ephemeralContainers")
			if len(now) < len(was) {
				return field.ErrorList{field.Forbidden(path, "existing ephemeral containers may not be removed")}
			}
			var errs field.ErrorList
			names := map[string]bool{}
			for i := range now {
				switch {
				case i < len(was) && !apiequality.Semantic.DeepEqual(now[i], was[i]):
					errs = append(errs, field.Forbidden(path.Index(i), "existing ephemeral containers may not be changed"))
				case now[i].Name == "":
					errs = append(errs, field.Required(path.Index(i).Child("name"), ""))
				}
				errs = append(errs, checkUnique(names, now[i].Name, path.Index(i).Child("name"))...)
				errs = append(errs, checkContainer((*corev1.Container)(&now[i].EphemeralContainerCommon), path.Index(i))...)
			}
			return errs
		},
	}
}

// resize lets the needs of a pod's containers change, and nothing else.
func resize() registry.Subresource {
	return registry.Subresource{
		Name: "resize", Readable: true,
		Prepare: func(_ context.Context, obj, old runtime.Object) {
			p, was := obj.(*corev1.Pod), old.(*corev1.Pod)
			for i := range min(len(p.Spec.Containers), len(was.Spec.Containers)) {
				was.Spec.Containers[i].Resources = p.Spec.Containers[i].Resources
			}
			*p = *was
		},
		Validate: func(_ context.Context, obj, _ runtime.Object) field.ErrorList {
			var errs field.ErrorList
			for i, c := range obj.(*corev1.Pod).Spec.Containers {
				errs = append(errs, checkResources(&c.Resources, field.NewPath("spec", "containers").Index(i).Child("resources"))...)
			}
			return errs
		},
	}
}
