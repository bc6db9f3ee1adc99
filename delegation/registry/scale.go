package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"

	"github.com/portico-api/portico/handler/rest"
)

// Scale says where a kind keeps what its scale subresource shows (contract 7.1). Each is a path of field names from
// the object's root: []string{"spec", "replicas"}.
type Scale struct {
	SpecReplicas   []string
	StatusReplicas []string
	// Selector leads to a label selector, to plain labels, or to a selector as text; nil when there is none.
	Selector []string
	// Others is where objects of the kind's other versions have the number, by group and version: "example.com/v2"; nil for those that do not scale.
	// Who manages fields in a version that is not known here would be forgotten.
	Others map[string][]string
}

// replicas is where a Scale has what can be written through it.
var replicas = field.NewPath("spec", "replicas")

// scaleStore is the scale subresource: one number of an object, in a form that is the same for all kinds.
type scaleStore struct {
	store   *Store
	paths   Scale
	door    door
	account *scaleAccount
}

// scaleResource is the subresource as the HTTP layer installs it.
func (s *Store) scaleResource(paths Scale) *rest.Resource {
	d := s.mainDoor()
	d.subresource, d.create, d.fields, d.admitted = "scale", false, nil, true
	sc := &scaleStore{store: s, paths: paths, door: d, account: s.newScaleAccount(paths)}
	return &rest.Resource{
		GroupVersion:     s.res.GroupVersion,
		Kind:             scaleKind.Kind,
		KindGroupVersion: scaleKind.GroupVersion(),
		Name:             "scale",
		Namespaced:       s.res.Namespaced,
		Storage:          sc,
		New:              newScale,
		Scheme:           scaleScheme(),
		Applier:          sc.account.applier(),
		Table:            scaleTable(),
	}
}

// Get shows the scale of an object, as fresh as opts asks for.
func (sc *scaleStore) Get(ctx context.Context, namespace, name string, opts *metav1.GetOptions) (rest.Object, error) {
	stored, err := sc.store.Get(ctx, namespace, name, opts)
	if err != nil {
		return nil, err
	}
	var content map[string]any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(stored.JSON(), &content); err != nil {
		return nil, fmt.Errorf("decoding stored %s %s/%s: %w", sc.store.gr, namespace, name, err)
	}
	scale, set, err := sc.of(content)
	if err != nil {
		return nil, err
	}
	if !set {
		return nil, apierrors.NewInternalError(fmt.Errorf("the spec replicas field %q does not exist", sc.replicasPath()))
	}
	body, err := json.Marshal(scale)
	if err != nil {
		return nil, fmt.Errorf("encoding the scale of %s %s/%s: %w", sc.store.gr, namespace, name, err)
	}
	return scaleView{Object: stored, body: body}, nil
}

// scaleView is the scale of a stored object.
type scaleView struct {
	rest.Object
	body []byte
}

func (v scaleView) JSON() []byte { return v.body }

// Update changes how many there are to be.
func (sc *scaleStore) Update(ctx context.Context, namespace, name string, transform rest.Transform, opts *rest.UpdateOptions) (runtime.Object, bool, error) {
	if opts == nil {
		opts = &rest.UpdateOptions{}
	}
	settled := *opts
	settled.Applied, settled.CreateOnMissing = true, false // the account of the whole object is kept here
	rescale := func(ctx context.Context, current runtime.Object) (runtime.Object, error) {
		return sc.rescale(ctx, current, transform, opts)
	}
	obj, _, err := sc.store.update(ctx, &sc.door, namespace, name, rescale, &settled)
	if err != nil {
		return nil, false, err
	}
	content, err := contentOf(obj)
	if err != nil {
		return nil, false, err
	}
	scale, _, err := sc.of(content)
	return scale, false, err
}

// rescale makes the new state of a whole object from what transform makes of its scale.
func (sc *scaleStore) rescale(ctx context.Context, current runtime.Object, transform rest.Transform, opts *rest.UpdateOptions) (runtime.Object, error) {
	content, err := contentOf(current)
	if err != nil {
		return nil, err
	}
	old, set, err := sc.of(content)
	if err != nil {
		return nil, err
	}
	account := sc.account.of(content)
	if old.ManagedFields, err = account.shown(); err != nil {
		return nil, err
	}
	if !set {
		old.Spec.Replicas = unsetReplicas
	}
	changed, err := transform(ctx, old.DeepCopy())
	if err != nil {
		return nil, err
	}
	scale, ok := changed.(*autoscalingv1.Scale)
	if !ok {
		return nil, fmt.Errorf("scaling %s: got a %T", sc.store.gr, changed)
	}
	if !opts.Applied {
		if err := sc.account.updated(old, scale, opts.FieldManager); err != nil {
			return nil, err
		}
	}
	if err := sc.check(ctx, scale, old, writingOf(opts)); err != nil {
		return nil, err
	}
	managed, err := account.merged(scale.ManagedFields)
	if err != nil {
		return nil, err
	}
	return sc.write(content, scale, managed)
}

// unsetReplicas stands for a number that nobody has given: a patch that does not give one either is refused.
const unsetReplicas = -1 << 31

// check asks admission, which sees the scale and not the whole object, and validates.
func (sc *scaleStore) check(ctx context.Context, scale, old *autoscalingv1.Scale, w writing) error {
	if scale.Spec.Replicas == unsetReplicas {
		return apierrors.NewBadRequest(fmt.Sprintf("the spec replicas field %q cannot be empty", sc.replicasPath()))
	}
	ask := sc.store.request(ctx, Update, "scale", scale, old, old, w.updateOptions, w.dryRun)
	if ask != nil {
		ask.Kind, ask.defaults, ask.types = scaleKind, nil, sc.account.types
	}
	if err := sc.store.admit(ctx, ask); err != nil {
		return err
	}
	if n := scale.Spec.Replicas; n < 0 {
		return apierrors.NewInvalid(scaleKind.GroupKind(), scale.Name, field.ErrorList{field.Invalid(replicas, n, "must be greater than or equal to 0")})
	}
	return sc.store.validateAdmission(ctx, ask)
}

// write gives an object's content the number that scale has, and makes an object of it. A client that names the
// object's UID or version means that one.
func (sc *scaleStore) write(content map[string]any, scale *autoscalingv1.Scale, managed []metav1.ManagedFieldsEntry) (runtime.Object, error) {
	if err := unstructured.SetNestedField(content, int64(scale.Spec.Replicas), sc.paths.SpecReplicas...); err != nil {
		return nil, apierrors.NewInternalError(fmt.Errorf("the spec replicas field %q cannot be written: %w", sc.replicasPath(), err))
	}
	u := unstructured.Unstructured{Object: content}
	u.SetManagedFields(managed)
	if scale.UID != "" {
		u.SetUID(scale.UID)
	}
	if scale.ResourceVersion != "" {
		u.SetResourceVersion(scale.ResourceVersion)
	}
	obj := sc.store.res.New()
	if into, ok := obj.(runtime.Unstructured); ok {
		into.SetUnstructuredContent(content)
		return obj, nil
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, obj); err != nil {
		return nil, fmt.Errorf("scaling %s: %w", sc.store.gr, err)
	}
	return obj, nil
}

// of is the scale of an object's content; set tells whether the object says how many there are to be.
func (sc *scaleStore) of(content map[string]any) (scale *autoscalingv1.Scale, set bool, err error) {
	u := unstructured.Unstructured{Object: content}
	scale = &autoscalingv1.Scale{
		TypeMeta: metav1.TypeMeta{APIVersion: scaleKind.GroupVersion().String(), Kind: scaleKind.Kind},
		ObjectMeta: metav1.ObjectMeta{
			Name: u.GetName(), Namespace: u.GetNamespace(), UID: u.GetUID(),
			ResourceVersion: u.GetResourceVersion(), CreationTimestamp: u.GetCreationTimestamp(),
		},
	}
	wanted, set, err := unstructured.NestedInt64(content, sc.paths.SpecReplicas...)
	if err != nil {
		return nil, false, apierrors.NewInternalError(fmt.Errorf("reading the spec replicas: %w", err))
	}
	// What cannot be read of a status is left out: a status may be anything that its controller wrote.
	have, _, _ := unstructured.NestedInt64(content, sc.paths.StatusReplicas...)
	scale.Spec.Replicas, scale.Status.Replicas = int32(wanted), int32(have)
	if len(sc.paths.Selector) > 0 {
		found, _, _ := unstructured.NestedFieldNoCopy(content, sc.paths.Selector...)
		scale.Status.Selector = selectorText(found)
	}
	return scale, set, nil
}

func (sc *scaleStore) replicasPath() string { return "." + strings.Join(sc.paths.SpecReplicas, ".") }

// selectorText writes a selector as queries have it, in whichever of its forms a kind keeps it.
func selectorText(found any) string {
	switch selector := found.(type) {
	case string:
		return selector
	case map[string]any:
		if selectorMeansLabels(selector) {
			plain, _, _ := unstructured.NestedStringMap(map[string]any{"labels": selector}, "labels")
			return labels.SelectorFromSet(plain).String()
		}
		var typed metav1.LabelSelector
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(selector, &typed); err != nil {
			return ""
		}
		parsed, err := metav1.LabelSelectorAsSelector(&typed)
		if err != nil {
			return ""
		}
		return parsed.String()
	}
	return ""
}

// selectorMeansLabels tells a map of labels, which a ReplicationController has, from a LabelSelector: there the
// values are structures.
func selectorMeansLabels(selector map[string]any) bool {
	for _, value := range selector {
		if _, text := value.(string); !text {
			return false
		}
	}
	return len(selector) > 0
}

// contentOf is a tree of obj's fields that nobody else holds.
func contentOf(obj runtime.Object) (map[string]any, error) {
	if u, ok := obj.(runtime.Unstructured); ok {
		return runtime.DeepCopyJSON(u.UnstructuredContent()), nil
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, fmt.Errorf("taking apart a %T: %w", obj, err)
	}
	return content, nil
}
