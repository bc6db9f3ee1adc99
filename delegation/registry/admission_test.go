package registry_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// recorder notes in which order a write is asked about, and refuses what it is told to.
type recorder struct {
	steps  []string
	refuse string
}

func (r *recorder) note(step string) error {
	r.steps = append(r.steps, step)
	if step == r.refuse {
		return apierrors.NewForbidden(corev1.Resource("configmaps"), "x", fmt.Errorf("refused"))
	}
	return nil
}

func (r *recorder) Admit(_ context.Context, q *registry.Request) error {
	if c, ok := q.Object.(*corev1.ConfigMap); ok {
		c.Data = map[string]string{"admitted": string(q.Operation)}
	}
	return r.note("admit " + string(q.Operation))
}

func (r *recorder) Validate(_ context.Context, q *registry.Request) error {
	return r.note(fmt.Sprintf("validate %s %s object=%t old=%t dryRun=%t", q.Operation, q.Name, q.Object != nil, q.Old != nil, q.DryRun))
}

func admitted(t *testing.T, r *recorder) *registry.Store {
	t.Helper()
	res := configMaps()
	res.Path = t.Name() + "/configmaps"
	res.Strategy.Default = func(runtime.Object) { r.note("default") }
	res.Strategy.PrepareForCreate = func(context.Context, runtime.Object) { r.note("prepare") }
	res.Strategy.PrepareForUpdate = func(context.Context, runtime.Object, runtime.Object) { r.note("prepare") }
	res.Strategy.Validate = func(_ context.Context, obj runtime.Object) field.ErrorList {
		r.note("rules " + obj.(*corev1.ConfigMap).Data["admitted"])
		return nil
	}
	s, err := registry.New(t.Context(), registry.Config{Store: shared, Scheme: testScheme(t), Admission: r}, res)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestAdmissionIsAskedBeforeAndAfterTheRules(t *testing.T) {
	r := &recorder{}
	s := admitted(t, r)
	x := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}
	if _, err := registry.CreateAs(t.Context(), s, "demo", x); err != nil {
		t.Fatal(err)
	}
	_, err := registry.UpdateAs(t.Context(), s, "demo", "x", func(c *corev1.ConfigMap) error { c.Labels = map[string]string{"a": "b"}; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Delete(t.Context(), "demo", "x", &metav1.DeleteOptions{DryRun: []string{"All"}}); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"default", "admit CREATE", "prepare", "rules CREATE", "validate CREATE x object=true old=false dryRun=false",
		"default", "admit UPDATE", "prepare", "rules UPDATE", "validate UPDATE x object=true old=true dryRun=false",
		"admit DELETE", "validate DELETE x object=false old=true dryRun=true",
	}
	if !slices.Equal(r.steps, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(r.steps, "\n"), strings.Join(want, "\n"))
	}
}

func TestWhatAdmissionRefusesIsNotStored(t *testing.T) {
	for _, refuse := range []string{"admit CREATE", "validate CREATE x object=true old=false dryRun=false"} {
		t.Run(refuse, func(t *testing.T) {
			s := admitted(t, &recorder{refuse: refuse})
			_, err := registry.CreateAs(t.Context(), s, "demo", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}})
			if !apierrors.IsForbidden(err) {
				t.Errorf("got %v, want the refusal", err)
			}
			if _, err := registry.GetAs[*corev1.ConfigMap](t.Context(), s, "demo", "x"); !apierrors.IsNotFound(err) {
				t.Errorf("got %v, want nothing stored", err)
			}
		})
	}
}

// A kind may be kept by more than metadata.finalizers, and released through a door of its own.
func TestADeletionThatTheKindHoldsUp(t *testing.T) {
	res := configMaps()
	res.Path = t.Name() + "/configmaps"
	held := func(obj runtime.Object) bool { return obj.(*corev1.ConfigMap).Data["held"] != "" }
	res.Strategy.BeginDelete = func(obj runtime.Object) bool {
		obj.(*corev1.ConfigMap).Data["phase"] = "Terminating"
		return held(obj)
	}
	res.Strategy.ShouldDelete = func(obj runtime.Object) bool { return !held(obj) }
	s, err := registry.New(t.Context(), registry.Config{Store: shared, Scheme: testScheme(t)}, res)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	release := registry.Subresource{Name: "release", Prepare: func(_ context.Context, obj, old runtime.Object) {
		c, was := obj.(*corev1.ConfigMap), old.(*corev1.ConfigMap)
		was.Data["held"] = c.Data["held"]
		*c = *was
	}}
	if _, ok := s.Subresource(release).Storage.(rest.Getter); ok {
		t.Error("a subresource that is not readable can be read")
	}
	c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Data: map[string]string{"held": "yes"}}
	if _, err := registry.CreateAs(t.Context(), s, "demo", c); err != nil {
		t.Fatal(err)
	}
	obj, deleted, err := s.Delete(t.Context(), "demo", "x", nil)
	if err != nil || deleted || obj.(*corev1.ConfigMap).Data["phase"] != "Terminating" || obj.(*corev1.ConfigMap).DeletionTimestamp == nil {
		t.Fatalf("got %v, %t, %v", obj, deleted, err)
	}
	if _, err := registry.UpdateSubresourceAs(t.Context(), s, release, "demo", "x", func(c *corev1.ConfigMap) error { delete(c.Data, "held"); return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.GetAs[*corev1.ConfigMap](t.Context(), s, "demo", "x"); !apierrors.IsNotFound(err) {
		t.Errorf("got %v, want it gone", err)
	}
}

// squatter takes the first name that is generated, just before it is used.
type squatter struct {
	store *registry.Store
	taken string
}

func (s *squatter) Admit(ctx context.Context, r *registry.Request) error {
	if r.Object.(*corev1.ConfigMap).GenerateName == "" || s.taken != "" {
		return nil
	}
	s.taken = r.Name
	_, err := s.store.Create(ctx, r.Namespace, r.Name, &corev1.ConfigMap{}, nil)
	return err
}

func (*squatter) Validate(context.Context, *registry.Request) error { return nil }

func TestAnotherNameIsWrittenEverywhere(t *testing.T) {
	res := configMaps()
	res.Path = t.Name() + "/configmaps"
	res.Strategy.PrepareForCreate = func(_ context.Context, obj runtime.Object) {
		if c := obj.(*corev1.ConfigMap); c.Labels["name"] == "" {
			c.Labels = map[string]string{"name": c.Name}
		}
	}
	admission := &squatter{}
	s, err := registry.New(t.Context(), registry.Config{Store: shared, Scheme: testScheme(t), Admission: admission}, res)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	admission.store = s
	c, err := registry.CreateAs(t.Context(), s, "demo", &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "gen-"}})
	if err != nil {
		t.Fatal(err)
	}
	if admission.taken == "" || c.Name == admission.taken || c.Labels["name"] != c.Name {
		t.Errorf("got %q labelled %v after %q was taken", c.Name, c.Labels, admission.taken)
	}
}
