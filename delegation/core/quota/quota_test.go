package quota

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/portico-api/portico/delegation/registry"
)

// parse reads a manifest into a T.
func parse[T any](t *testing.T, manifest string) *T {
	t.Helper()
	obj := new(T)
	if err := yaml.UnmarshalStrict([]byte(manifest), obj); err != nil {
		t.Fatal(err)
	}
	return obj
}

func TestATypeOfLimitIsKnownOrSomebodys(t *testing.T) {
	says(t, validateLimitRange(parse[corev1.LimitRange](t, "spec: {limits: [{type: Foo}, {type: Pod}, {type: example.com/foo}]}")),
		`spec.limits[0].type: Invalid value: "Foo": must be a standard limit type or fully qualified`)
}

// says fails unless the problems are those that want begins, in order.
func says(t *testing.T, problems field.ErrorList, want ...string) {
	t.Helper()
	if len(problems) != len(want) {
		t.Fatalf("got %v, want %q", problems, want)
	}
	for i, problem := range problems {
		if !strings.HasPrefix(problem.Error(), want[i]) {
			t.Errorf("got %q, want %q", problem.Error(), want[i])
		}
	}
}

func TestAQuotaIsRefusedByField(t *testing.T) {
	for _, c := range []struct {
		name, manifest string
		want           []string
	}{
		{"a good one", "spec: {hard: {configmaps: 3, count/flunders.wardle.example.com: 1, limits.cpu: 500m}}", nil},
		{"less than none", "spec: {hard: {configmaps: -3}}", []string{"spec.hard[configmaps]: Invalid value"}},
		{"half of one", "spec: {hard: {count/secrets: 500m}}", []string{"spec.hard[count/secrets]: Invalid value"}},
		{"a name that is none", "spec: {hard: {oranges: 1}}", []string{"spec.hard[oranges]: Invalid value"}},
		{"a scope that is none", "spec: {scopes: [Sometimes]}", []string{"spec.scopes[0]: Unsupported value"}},
		{"a selector without values", "spec: {scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: In}]}}", []string{"spec.scopeSelector.matchExpressions[0].values: Invalid value"}},
	} {
		t.Run(c.name, func(t *testing.T) { says(t, validateQuota(parse[corev1.ResourceQuota](t, c.manifest)), c.want...) })
	}
	scoped, plain := parse[corev1.ResourceQuota](t, "spec: {scopes: [BestEffort]}"), parse[corev1.ResourceQuota](t, "spec: {}")
	says(t, validateQuotaUpdate(scoped, plain), "spec.scopes: Invalid value")
}

func TestALimitRangeIsRefusedByField(t *testing.T) {
	for _, c := range []struct {
		name, manifest string
		want           []string
	}{
		{"a good one", "spec: {limits: [{type: Container, min: {cpu: 1}, default: {cpu: 2}, max: {cpu: 3}}]}", nil},
		{"no type", "spec: {limits: [{min: {cpu: 1}}]}", []string{"spec.limits[0].type: Required value"}},
		{"a type twice", "spec: {limits: [{type: Pod}, {type: Pod}]}", []string{"spec.limits[1].type: Duplicate value"}},
		{"more at least than at most", "spec: {limits: [{type: Pod, min: {cpu: 2}, max: {cpu: 1}}]}", []string{"spec.limits[0].min[cpu]: Invalid value"}},
		{"a default for pods", "spec: {limits: [{type: Pod, default: {cpu: 2}}]}", []string{"spec.limits[0].default: Forbidden"}},
	} {
		t.Run(c.name, func(t *testing.T) { says(t, validateLimitRange(parse[corev1.LimitRange](t, c.manifest)), c.want...) })
	}
}

func TestAQuotaShowsWhatIsUsed(t *testing.T) {
	q := parse[corev1.ResourceQuota](t, "status: {hard: {secrets: 2, configmaps: 3, limits.cpu: 4}, used: {configmaps: 1}}")
	requests, limits := quotaCells(q)
	if requests != "configmaps: 1/3, secrets: 0/2" || limits != "limits.cpu: 0/4" {
		t.Errorf("got %q and %q", requests, limits)
	}
}

func BenchmarkCreateWithoutQuotas(b *testing.B) {
	a := NewAdmission(func() *registry.Store { return nil })
	r := &registry.Request{Operation: registry.Create, Resource: corev1.SchemeGroupVersion.WithResource("configmaps"), Namespace: "a", Object: &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x"}}}
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Validate(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}
