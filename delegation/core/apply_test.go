package core_test

import (
	"encoding/json"
	"math/rand"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	"k8s.io/apimachinery/pkg/api/meta"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	coordinationv1ac "k8s.io/client-go/applyconfigurations/coordination/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	flowcontrolv1ac "k8s.io/client-go/applyconfigurations/flowcontrol/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	rbacv1ac "k8s.io/client-go/applyconfigurations/rbac/v1"
	"k8s.io/client-go/kubernetes"
	restclient "k8s.io/client-go/rest"

	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/storage"
)

// Programs apply with client-go's typed configurations, and read back what they have applied.
func TestClientGoAppliesTyped(t *testing.T) {
	u := start(t)
	client, err := kubernetes.NewForConfig(&restclient.Config{Host: u.url, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, how := t.Context(), metav1.ApplyOptions{FieldManager: "me"}

	wanted := corev1ac.ConfigMap("settings", "default").WithData(map[string]string{"a": "1"})
	if _, err := client.CoreV1().ConfigMaps("default").Apply(ctx, wanted, how); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CoreV1().ConfigMaps("default").Patch(ctx, "settings", "application/merge-patch+json", []byte(`{"data":{"b":"2"}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	cm, err := client.CoreV1().ConfigMaps("default").Get(ctx, "settings", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	mine, err := corev1ac.ExtractConfigMap(cm, "me")
	if err != nil || len(mine.Data) != 1 || mine.Data["a"] != "1" || len(cm.Data) != 2 {
		t.Errorf("of %v, me has applied %v, %v", cm.Data, mine, err)
	}

	lease := coordinationv1ac.Lease("l", "default").WithSpec(coordinationv1ac.LeaseSpec().WithHolderIdentity("me").WithRenewTime(metav1.NowMicro()))
	if _, err := client.CoordinationV1().Leases("default").Apply(ctx, lease, how); err != nil {
		t.Error(err)
	}
	role := rbacv1ac.ClusterRole("r").WithRules(rbacv1ac.PolicyRule().WithVerbs("get").WithAPIGroups("").WithResources("configmaps"))
	if _, err := client.RbacV1().ClusterRoles().Apply(ctx, role, how); err != nil {
		t.Error(err)
	}
	service := corev1ac.Service("s", "default").WithSpec(corev1ac.ServiceSpec().WithPorts(corev1ac.ServicePort().WithPort(80)))
	s, err := client.CoreV1().Services("default").Apply(ctx, service, how)
	if err != nil || len(s.Spec.Ports) != 1 || s.Spec.Ports[0].Protocol != corev1.ProtocolTCP {
		t.Errorf("the applied service is %v, %v", s, err)
	}

	schema := flowcontrolv1ac.FlowSchema("f").WithSpec(flowcontrolv1ac.FlowSchemaSpec().
		WithPriorityLevelConfiguration(flowcontrolv1ac.PriorityLevelConfigurationReference().WithName("p")).WithMatchingPrecedence(10))
	if _, err := client.FlowcontrolV1().FlowSchemas().Apply(ctx, schema, how); err != nil {
		t.Fatal(err)
	}
	dangling := flowcontrolv1ac.FlowSchema("f").WithStatus(flowcontrolv1ac.FlowSchemaStatus().WithConditions(
		flowcontrolv1ac.FlowSchemaCondition().WithType("Dangling").WithStatus("True").WithLastTransitionTime(metav1.Now()).WithReason("NotFound").WithMessage("m")))
	f, err := client.FlowcontrolV1().FlowSchemas().ApplyStatus(ctx, dangling, metav1.ApplyOptions{FieldManager: "controller", Force: true})
	if err != nil || len(f.Status.Conditions) != 1 || f.Spec.MatchingPrecedence != 10 {
		t.Errorf("the schema with an applied status is %v, %v", f, err)
	}

	namespace, err := client.CoreV1().Namespaces().Apply(ctx, corev1ac.Namespace("n").WithLabels(map[string]string{"a": "b"}).
		WithOwnerReferences(metav1ac.OwnerReference().WithAPIVersion("v1").WithKind("ConfigMap").WithName("settings").WithUID(cm.UID)), how)
	if err != nil || namespace.Status.Phase != corev1.NamespaceActive || namespace.Labels["a"] != "b" || len(namespace.OwnerReferences) != 1 {
		t.Errorf("the applied namespace is %v, %v", namespace, err)
	}
}

// The controllers of the unit are field managers like any other.
func TestControllersManageTheirFields(t *testing.T) {
	u := start(t)
	code, body := u.do(t, "GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin", "")
	if !strings.Contains(string(body), `"managedFields":[{"manager":"portico","operation":"Update","apiVersion":"rbac.authorization.k8s.io/v1","time":"`) {
		t.Errorf("got %d %s", code, body)
	}
}

// A new object's account is made by a short cut, with types of our own; the library's must be the same for
// whatever a kind can hold.
func TestTheFirstAccountIsTheLibrarysForEveryKind(t *testing.T) {
	scheme, err := core.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	store, err := storage.Open(t.Context(), storage.Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for name, declared := range core.DeclaredResources() {
		t.Run(name, func(t *testing.T) {
			res := registry.Resource{
				GroupVersion: declared.GroupVersion, Kind: declared.Kind, Name: name, Namespaced: declared.Namespaced,
				New: declared.New, NewList: declared.NewList, Status: declared.Status,
			}
			// The library without short cuts is what an object gets that is updated from nothing.
			library := applyconfigurations.NewTypeConverter(scheme)
			s, err := registry.New(t.Context(), registry.Config{Store: store, Scheme: scheme,
				Types: func() (managedfields.TypeConverter, error) { return library, nil }}, res)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			fill := fuzzer.FuzzerFor(metafuzzer.Funcs, rand.NewSource(1), serializer.NewCodecFactory(scheme))
			for range 30 {
				obj := declared.New()
				fill.Fill(obj)
				settleMetadata(t, obj)
				short, long := obj.DeepCopyObject(), obj.DeepCopyObject()
				if m, err := meta.Accessor(long); err == nil {
					m.SetManagedFields([]metav1.ManagedFieldsEntry{}) // given, so that the library looks at it
				}
				if got, want := account(t, s, res, short), account(t, s, res, long); got != want {
					text, _ := json.Marshal(obj)
					t.Fatalf("got\n%s\nwant\n%s\nof\n%s", got, want, text)
				}
			}
		})
	}
}

// settleMetadata takes out of a random object what cannot be created.
func settleMetadata(t *testing.T, obj runtime.Object) {
	t.Helper()
	m, err := meta.Accessor(obj)
	if err != nil {
		t.Fatal(err)
	}
	m.SetName("x")
	m.SetGenerateName("")
	m.SetNamespace("")
	m.SetLabels(map[string]string{"l": "v"})
	m.SetAnnotations(map[string]string{"a": "b"})
	m.SetFinalizers([]string{"example.com/one"})
	m.SetOwnerReferences(nil)
	m.SetResourceVersion("")
	m.SetManagedFields(nil)
}

// account is who manages which field of obj after it was created, in a dry run.
func account(t *testing.T, s *registry.Store, res registry.Resource, obj runtime.Object) string {
	t.Helper()
	namespace := ""
	if res.Namespaced {
		namespace = "default"
	}
	created, err := s.Create(t.Context(), namespace, "", obj, &metav1.CreateOptions{FieldManager: "me", DryRun: []string{"All"}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := meta.Accessor(created)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, entry := range m.GetManagedFields() {
		b.WriteString(entry.Manager + string(entry.Operation) + entry.APIVersion + string(entry.FieldsV1.Raw))
	}
	return b.String()
}
