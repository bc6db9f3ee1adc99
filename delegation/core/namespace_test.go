package core_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/core"
)

func TestCreatingNeedsALivingNamespace(t *testing.T) {
	u := start(t)
	missing := expect[metav1.Status](t, u, http.StatusNotFound, http.MethodPost, "/api/v1/namespaces/nowhere/configmaps", `{"metadata":{"name":"a"}}`)
	if want := `namespaces "nowhere" not found`; missing.Message != want {
		t.Errorf("message %q, want %q", missing.Message, want)
	}

	expect[corev1.Namespace](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces", `{"metadata":{"name":"ending"}}`)
	expect[corev1.ConfigMap](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces/ending/configmaps",
		`{"metadata":{"name":"held","finalizers":["example.com/hold"]},"data":{"a":"b"}}`)
	gone := expect[corev1.Namespace](t, u, http.StatusOK, http.MethodDelete, "/api/v1/namespaces/ending", "")
	if gone.Status.Phase != corev1.NamespaceTerminating || gone.DeletionTimestamp == nil {
		t.Errorf("a namespace that was deleted: %+v", gone)
	}
	refused := expect[metav1.Status](t, u, http.StatusForbidden, http.MethodPost, "/api/v1/namespaces/ending/configmaps", `{"metadata":{"name":"late"}}`)
	if want := "unable to create new content in namespace ending because it is being terminated"; !strings.Contains(refused.Message, want) {
		t.Errorf("message %q, want %q in it", refused.Message, want)
	}
	if c := refused.Details.Causes; len(c) != 1 || c[0].Type != corev1.NamespaceTerminatingCause || c[0].Field != "metadata.namespace" {
		t.Errorf("causes %+v", c)
	}
	// What is there may still be changed and deleted.
	expect[corev1.ConfigMap](t, u, http.StatusOK, http.MethodPatch, "/api/v1/namespaces/ending/configmaps/held", `{"data":{"a":"c"}}`)
}

func TestSystemNamespacesAreNotDeleted(t *testing.T) {
	u := start(t)
	for _, name := range []string{"default", "kube-system", "kube-public"} {
		refused := expect[metav1.Status](t, u, http.StatusForbidden, http.MethodDelete, "/api/v1/namespaces/"+name, "")
		if want := fmt.Sprintf(`namespaces %q is forbidden: this namespace may not be deleted`, name); refused.Message != want {
			t.Errorf("message %q, want %q", refused.Message, want)
		}
	}
}

func TestANamespaceGoesWithItsContent(t *testing.T) {
	u := start(t)
	expect[corev1.Namespace](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces", `{"metadata":{"name":"demo"}}`)
	for path, object := range map[string]string{
		"/api/v1/namespaces/demo/configmaps":                       `{"metadata":{"name":"a"}}`,
		"/api/v1/namespaces/demo/secrets":                          `{"metadata":{"name":"a"}}`,
		"/apis/coordination.k8s.io/v1/namespaces/demo/leases":      `{"metadata":{"name":"a"}}`,
		"/apis/rbac.authorization.k8s.io/v1/namespaces/demo/roles": `{"metadata":{"name":"a"}}`,
		"/apis/discovery.k8s.io/v1/namespaces/demo/endpointslices": `{"metadata":{"name":"a"},"addressType":"IPv4"}`,
	} {
		expect[metav1.PartialObjectMetadata](t, u, http.StatusCreated, http.MethodPost, path, object)
	}
	expect[corev1.Namespace](t, u, http.StatusOK, http.MethodDelete, "/api/v1/namespaces/demo", "")
	u.until(t, "the namespace to go", func() bool { return !u.exists(t, "/api/v1/namespaces/demo") })
	for _, path := range []string{
		"/api/v1/namespaces/demo/configmaps/a", "/api/v1/namespaces/demo/secrets/a", "/api/v1/namespaces/demo/serviceaccounts/default",
		"/apis/coordination.k8s.io/v1/namespaces/demo/leases/a", "/apis/rbac.authorization.k8s.io/v1/namespaces/demo/roles/a",
		"/apis/discovery.k8s.io/v1/namespaces/demo/endpointslices/a",
	} {
		if u.exists(t, path) {
			t.Errorf("%s is still there", path)
		}
	}
	// The name is free again.
	expect[corev1.Namespace](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces", `{"metadata":{"name":"demo"}}`)
	expect[corev1.ConfigMap](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces/demo/configmaps", `{"metadata":{"name":"a"}}`)
}

func TestANamespaceTellsWhatKeepsIt(t *testing.T) {
	u := start(t)
	expect[corev1.Namespace](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces", `{"metadata":{"name":"kept"}}`)
	expect[corev1.ConfigMap](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces/kept/configmaps",
		`{"metadata":{"name":"held","finalizers":["example.com/hold"]}}`)
	expect[corev1.Namespace](t, u, http.StatusOK, http.MethodDelete, "/api/v1/namespaces/kept", "")
	var conditions []corev1.NamespaceCondition
	u.until(t, "conditions", func() bool {
		conditions = expect[corev1.Namespace](t, u, http.StatusOK, http.MethodGet, "/api/v1/namespaces/kept", "").Status.Conditions
		return len(conditions) == 5
	})
	for _, want := range []struct {
		kind    corev1.NamespaceConditionType
		status  corev1.ConditionStatus
		reason  string
		message string
	}{
		{corev1.NamespaceDeletionDiscoveryFailure, corev1.ConditionFalse, "ResourcesDiscovered", ""},
		{corev1.NamespaceDeletionContentFailure, corev1.ConditionFalse, "ContentDeleted", ""},
		{corev1.NamespaceContentRemaining, corev1.ConditionTrue, "SomeResourcesRemain", "Some resources are remaining: configmaps. has 1 resource instances"},
		{corev1.NamespaceFinalizersRemaining, corev1.ConditionTrue, "SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"},
	} {
		i := slices.IndexFunc(conditions, func(c corev1.NamespaceCondition) bool { return c.Type == want.kind })
		if i < 0 {
			t.Errorf("no condition %s in %+v", want.kind, conditions)
			continue
		}
		if c := conditions[i]; c.Status != want.status || c.Reason != want.reason || want.message != "" && c.Message != want.message {
			t.Errorf("condition\n got %+v\nwant %+v", c, want)
		}
	}
	expect[corev1.ConfigMap](t, u, http.StatusOK, http.MethodPatch, "/api/v1/namespaces/kept/configmaps/held", `{"metadata":{"finalizers":null}}`)
	u.until(t, "the namespace to go", func() bool { return !u.exists(t, "/api/v1/namespaces/kept") })
}

// elsewhere is the content of another unit: what remains there, until the test changes it.
type elsewhere struct {
	remaining atomic.Pointer[delegation.Remaining]
}

func (e *elsewhere) set(r delegation.Remaining) { e.remaining.Store(&r) }

func (e *elsewhere) Empty(context.Context, string) delegation.Remaining { return *e.remaining.Load() }

func TestContentOfOthersKeepsTheNamespaceAndNothingElse(t *testing.T) {
	cause := errors.New("widgets are out of reach")
	for name, c := range map[string]struct {
		remaining delegation.Remaining
		condition corev1.NamespaceConditionType
		reason    string
		message   string
	}{
		"a server that cannot be asked is named by its groups": {
			delegation.Remaining{Undiscovered: map[schema.GroupVersion]error{
				{Group: "widgets.example.com", Version: "v1"}: cause,
				{Group: "gadgets.example.com", Version: "v1"}: cause,
			}},
			corev1.NamespaceDeletionDiscoveryFailure, "DiscoveryFailed",
			"Discovery failed for some groups, 2 failing: gadgets.example.com/v1: widgets are out of reach, widgets.example.com/v1: widgets are out of reach",
		},
		"what is not deleted is told with the reason": {
			delegation.Remaining{Failed: []error{cause}},
			corev1.NamespaceDeletionContentFailure, "ContentDeletionFailed",
			"Failed to delete all resource types, 1 remaining: widgets are out of reach",
		},
		"what is still there is counted": {
			delegation.Remaining{Objects: map[schema.GroupResource]int{{Group: "widgets.example.com", Resource: "widgets"}: 3}},
			corev1.NamespaceContentRemaining, "SomeResourcesRemain",
			"Some resources are remaining: widgets.widgets.example.com has 3 resource instances",
		},
	} {
		t.Run(name, func(t *testing.T) {
			content := new(elsewhere)
			content.set(c.remaining)
			u := start(t, content)
			expect[corev1.Namespace](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces", `{"metadata":{"name":"stuck"}}`)
			expect[corev1.ConfigMap](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces/stuck/configmaps", `{"metadata":{"name":"a"}}`)
			expect[corev1.Namespace](t, u, http.StatusOK, http.MethodDelete, "/api/v1/namespaces/stuck", "")
			var conditions []corev1.NamespaceCondition
			u.until(t, "conditions", func() bool {
				conditions = expect[corev1.Namespace](t, u, http.StatusOK, http.MethodGet, "/api/v1/namespaces/stuck", "").Status.Conditions
				return len(conditions) == 5
			})
			for _, got := range conditions {
				if want := c.condition == got.Type; (got.Status == corev1.ConditionTrue) != want {
					t.Errorf("condition %s is %s: %s", got.Type, got.Status, got.Message)
				} else if want && (got.Reason != c.reason || got.Message != c.message) {
					t.Errorf("condition %s\n got %s %q\nwant %s %q", got.Type, got.Reason, got.Message, c.reason, c.message)
				}
			}
			u.until(t, "what is within reach to go", func() bool { return !u.exists(t, "/api/v1/namespaces/stuck/configmaps/a") })
			content.set(delegation.Remaining{})
			u.until(t, "the namespace to go", func() bool { return !u.exists(t, "/api/v1/namespaces/stuck") })
		})
	}
}

// hanging is the content of a server that does not answer.
type hanging struct {
	asked   chan struct{}
	release chan struct{}
}

func (h hanging) Empty(ctx context.Context, _ string) delegation.Remaining {
	select {
	case h.asked <- struct{}{}:
	default:
	}
	select {
	case <-h.release:
	case <-ctx.Done():
	}
	return delegation.Remaining{}
}

func TestAServerThatHangsKeepsNothingButTheNamespace(t *testing.T) {
	first := hanging{asked: make(chan struct{}, 1), release: make(chan struct{})}
	second := hanging{asked: make(chan struct{}, 1), release: make(chan struct{})}
	u := start(t, first, second)
	expect[corev1.Namespace](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces", `{"metadata":{"name":"slow"}}`)
	expect[corev1.ConfigMap](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces/slow/configmaps", `{"metadata":{"name":"a"}}`)
	expect[corev1.Namespace](t, u, http.StatusOK, http.MethodDelete, "/api/v1/namespaces/slow", "")
	<-first.asked
	<-second.asked // while the first one hangs
	u.until(t, "what is stored here to go", func() bool { return !u.exists(t, "/api/v1/namespaces/slow/configmaps/a") })
	if !u.exists(t, "/api/v1/namespaces/slow") {
		t.Error("the namespace did not wait")
	}
	close(first.release)
	close(second.release)
	u.until(t, "the namespace to go", func() bool { return !u.exists(t, "/api/v1/namespaces/slow") })
}

func TestEndingNamespacesAreLookedAtWhenContentOfOthersChanges(t *testing.T) {
	if got := core.LookedAtAgain([]string{"a", "b"}, []string{"gone"}); got != 2 {
		t.Errorf("%d namespaces are looked at, want the two that are ending", got)
	}
}

func TestFinalizeTakesFinalizersAndUpdateDoesNot(t *testing.T) {
	u := start(t)
	made := expect[corev1.Namespace](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces",
		`{"metadata":{"name":"f","labels":{"kubernetes.io/metadata.name":"other"}},"spec":{"finalizers":["example.com/mine"]},"status":{"phase":"Terminating"}}`)
	if got := fmt.Sprintf("%v %v %v", made.Spec.Finalizers, made.Status.Phase, made.Labels); got != "[example.com/mine kubernetes] Active map[kubernetes.io/metadata.name:f]" {
		t.Errorf("created as %s", got)
	}
	changed := made.DeepCopy()
	changed.Spec.Finalizers, changed.Labels = nil, nil
	updated := expect[corev1.Namespace](t, u, http.StatusOK, http.MethodPut, "/api/v1/namespaces/f", encode(t, changed))
	if len(updated.Spec.Finalizers) != 2 || updated.Labels["kubernetes.io/metadata.name"] != "f" {
		t.Errorf("updated to %+v", updated)
	}
	changed = updated.DeepCopy()
	changed.Spec.Finalizers, changed.Labels, changed.Status.Phase = []corev1.FinalizerName{"kubernetes"}, map[string]string{"a": "b"}, corev1.NamespaceTerminating
	finalized := expect[corev1.Namespace](t, u, http.StatusOK, http.MethodPut, "/api/v1/namespaces/f/finalize", encode(t, changed))
	if got := fmt.Sprintf("%v %v %v", finalized.Spec.Finalizers, finalized.Status.Phase, finalized.Labels); got != "[kubernetes] Active map[a:b kubernetes.io/metadata.name:f]" {
		t.Errorf("finalized to %s", got)
	}
}

func TestAGeneratedNameIsInTheLabel(t *testing.T) {
	u := start(t)
	made := expect[corev1.Namespace](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces", `{"metadata":{"generateName":"run-"}}`)
	if !strings.HasPrefix(made.Name, "run-") || made.Labels["kubernetes.io/metadata.name"] != made.Name {
		t.Errorf("name %q, labels %v", made.Name, made.Labels)
	}
	expect[metav1.Status](t, u, http.StatusUnprocessableEntity, http.MethodPost, "/api/v1/namespaces", `{"metadata":{"name":"a.b"}}`)
}
