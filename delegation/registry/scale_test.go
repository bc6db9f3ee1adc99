package registry_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// deployments are a kind of a Go type that can be scaled.
func deployments() registry.Resource {
	return registry.Resource{
		GroupVersion: appsv1.SchemeGroupVersion, Kind: "Deployment", Name: "deployments", SingularName: "deployment", Namespaced: true,
		New:     func() runtime.Object { return &appsv1.Deployment{} },
		NewList: func() runtime.Object { return &appsv1.DeploymentList{} },
		Status:  true,
		Scale: &registry.Scale{
			SpecReplicas: []string{"spec", "replicas"}, StatusReplicas: []string{"status", "replicas"}, Selector: []string{"spec", "selector"},
		},
		Strategy: registry.Strategy{Generation: true, AllowUnconditionalUpdate: true},
	}
}

// widgets are a kind without a Go type that keeps its numbers in places of its own.
func widgets() registry.Resource {
	kind := schema.GroupVersionKind{Group: "example.com", Version: "v1", Kind: "Widget"}
	return registry.Resource{
		GroupVersion: kind.GroupVersion(), Kind: "Widget", Name: "widgets", SingularName: "widget", Namespaced: true,
		New: func() runtime.Object {
			u := &unstructured.Unstructured{}
			u.SetGroupVersionKind(kind)
			return u
		},
		NewList: func() runtime.Object { return &unstructured.UnstructuredList{} },
		Status:  true,
		Scale: &registry.Scale{
			SpecReplicas: []string{"spec", "size", "wanted"}, StatusReplicas: []string{"status", "have"}, Selector: []string{"status", "selector"},
		},
		Strategy: registry.Strategy{Generation: true},
	}
}

// scalable serves a resource that keeps account of its fields.
func scalable(t *testing.T, res registry.Resource, admission registry.Admission) *httptest.Server {
	t.Helper()
	scheme := testScheme(t)
	if err := appsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	res.Path = "scale-" + strings.ReplaceAll(t.Name(), "/", "-") + "/" + res.Name
	cfg := registry.Config{Store: shared, Scheme: scheme, Admission: admission}
	if _, typed := res.New().(*appsv1.Deployment); typed {
		cfg.Types = func() (managedfields.TypeConverter, error) { return applyconfigurations.NewTypeConverter(scheme), nil }
	} else {
		cfg.Types = func() (managedfields.TypeConverter, error) { return managedfields.NewDeducedTypeConverter(), nil }
	}
	s, err := registry.New(t.Context(), cfg, res)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return server(t, rest.Config{}, s)
}

const (
	ofDeployments = "/api/v1/namespaces/demo/deployments"
	ofWidgets     = "/api/v1/namespaces/demo/widgets"
	scaledWeb     = ofDeployments + "/web/scale"
	mergePatch    = "application/merge-patch+json"
	web           = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{"replicas":2,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`
)

func TestAScaleShowsWhereEachKindKeepsItsNumbers(t *testing.T) {
	for _, c := range []struct {
		name     string
		resource registry.Resource
		path     string
		object   string
		status   string
		want     string
	}{
		{"a Go type with a label selector", deployments(), ofDeployments, web, `{"status":{"replicas":1}}`, "2 1 app=web"},
		{"no Go type, and a selector as text", widgets(), ofWidgets,
			`{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"web"},"spec":{"size":{"wanted":5}}}`, `{"status":{"have":3,"selector":"a=b,c"}}`, "5 3 a=b,c"},
		{"a selector of plain labels", widgets(), ofWidgets,
			`{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"web"},"spec":{"size":{"wanted":0}}}`, `{"status":{"selector":{"b":"2","a":"1"}}}`, "0 0 a=1,b=2"},
		{"a status that makes no sense", widgets(), ofWidgets,
			`{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"web"},"spec":{"size":{"wanted":1}}}`, `{"status":{"have":"many","selector":7}}`, "1 0 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := scalable(t, c.resource, nil)
			want(t, 201, call(t, srv, "POST", c.path, c.object))
			whole := want(t, 200, call(t, srv, "PATCH", c.path+"/web/status", c.status, "Content-Type", mergePatch))
			var scale autoscalingv1.Scale
			want(t, 200, call(t, srv, "GET", c.path+"/web/scale", "")).into(t, &scale)
			if got := fmt.Sprint(scale.Spec.Replicas, " ", scale.Status.Replicas, " ", scale.Status.Selector); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if scale.Kind != "Scale" || scale.APIVersion != "autoscaling/v1" || scale.Name != "web" || scale.UID == "" || scale.ResourceVersion != version(t, whole) {
				t.Errorf("got %+v, want the identity of %s", scale, whole.body)
			}
		})
	}
}

func TestAScaleIsWrittenByEveryVerb(t *testing.T) {
	srv := scalable(t, deployments(), nil)
	want(t, 201, call(t, srv, "POST", ofDeployments, web))
	for _, c := range []struct {
		name, method, body, contentType string
		replicas                        int32
	}{
		{"put", "PUT", `{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"web"},"spec":{"replicas":3}}`, "application/json", 3},
		{"put of YAML", "PUT", "apiVersion: autoscaling/v1\nkind: Scale\nmetadata: {name: web}\nspec: {replicas: 4}\n", "application/yaml", 4},
		{"merge patch", "PATCH", `{"spec":{"replicas":5}}`, mergePatch, 5},
		{"JSON patch", "PATCH", `[{"op":"replace","path":"/spec/replicas","value":6}]`, "application/json-patch+json", 6},
		{"strategic patch", "PATCH", `{"spec":{"replicas":7}}`, "application/strategic-merge-patch+json", 7},
		{"put of nothing is none", "PUT", `{"metadata":{"name":"web"}}`, "application/json", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var scale autoscalingv1.Scale
			want(t, 200, call(t, srv, c.method, scaledWeb, c.body, "Content-Type", c.contentType)).into(t, &scale)
			var whole appsv1.Deployment
			stored := want(t, 200, call(t, srv, "GET", ofDeployments+"/web", ""))
			stored.into(t, &whole)
			if scale.Spec.Replicas != c.replicas || *whole.Spec.Replicas != c.replicas || scale.ResourceVersion != whole.ResourceVersion {
				t.Errorf("answered %+v and stored %s, want %d replicas of one version", scale, stored.body, c.replicas)
			}
			if whole.Spec.Template.Spec.Containers[0].Image != "i" {
				t.Errorf("the rest has changed: %s", stored.body)
			}
		})
	}
	var whole appsv1.Deployment
	want(t, 200, call(t, srv, "GET", ofDeployments+"/web", "")).into(t, &whole)
	if whole.Generation != 7 {
		t.Errorf("generation %d after six changes of the spec, want 7", whole.Generation)
	}
}

func TestAScaleInProtobuf(t *testing.T) {
	srv := scalable(t, deployments(), nil)
	want(t, 201, call(t, srv, "POST", ofDeployments, web))
	a := want(t, 200, call(t, srv, "GET", scaledWeb, "", "Accept", "application/vnd.kubernetes.protobuf"))
	var envelope runtime.Unknown
	var scale autoscalingv1.Scale
	if err := envelope.Unmarshal(a.body[4:]); err != nil {
		t.Fatal(err)
	}
	if err := scale.Unmarshal(envelope.Raw); err != nil || envelope.Kind != "Scale" || envelope.APIVersion != "autoscaling/v1" || scale.Spec.Replicas != 2 {
		t.Errorf("got %+v in %s %s: %v", scale, envelope.APIVersion, envelope.Kind, err)
	}
}

func TestAScaleThatIsRefused(t *testing.T) {
	srv := scalable(t, deployments(), nil)
	want(t, 201, call(t, srv, "POST", ofDeployments, web))
	for _, c := range []struct {
		name, method, path, body, contentType string
		code                                  int
		says                                  string
	}{
		{"of another name", "PUT", scaledWeb, `{"metadata":{"name":"other"},"spec":{"replicas":1}}`, "application/json", 400, "does not match the name on the URL"},
		{"of another kind", "PUT", scaledWeb, web, "application/json", 400, "expected API version (autoscaling/v1)"},
		{"of less than none", "PUT", scaledWeb, `{"metadata":{"name":"web"},"spec":{"replicas":-1}}`, "application/json", 422, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"},
		{"of another version", "PUT", scaledWeb, `{"metadata":{"name":"web","resourceVersion":"1"},"spec":{"replicas":1}}`, "application/json", 409, "the object has been modified"},
		{"of another object", "PUT", scaledWeb, `{"metadata":{"name":"web","uid":"other"},"spec":{"replicas":1}}`, "application/json", 409, "UID in precondition: other"},
		{"of what is not there", "PUT", ofDeployments + "/none/scale", `{"metadata":{"name":"none"},"spec":{"replicas":1}}`, "application/json", 404, `deployments.apps "none" not found`},
		{"read of what is not there", "GET", ofDeployments + "/none/scale", "", "", 404, `deployments.apps "none" not found`},
		{"applied to what is not there", "PATCH", ofDeployments + "/none/scale?fieldManager=m", "apiVersion: autoscaling/v1\nkind: Scale\nmetadata: {name: none}\nspec: {replicas: 1}", applyType, 404, `deployments.apps "none" not found`},
		{"with a field that scales have not", "PATCH", scaledWeb + "?fieldManager=m", "apiVersion: autoscaling/v1\nkind: Scale\nmetadata: {name: web}\nspec: {size: 1}", applyType, 400, ".spec.size: field not declared in schema"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status := want(t, c.code, call(t, srv, c.method, c.path, c.body, "Content-Type", c.contentType)).status(t)
			if !strings.Contains(status.Message, c.says) {
				t.Errorf("got %q, want %q in it", status.Message, c.says)
			}
		})
	}
}

func TestAScaleOfAKindThatSaysNoNumber(t *testing.T) {
	srv := scalable(t, widgets(), nil)
	want(t, 201, call(t, srv, "POST", ofWidgets, `{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"web"},"spec":{}}`))
	for _, c := range []struct {
		method, body string
		code         int
		says         string
	}{
		{"GET", "", 500, `the spec replicas field ".spec.size.wanted" does not exist`},
		{"PATCH", `{"metadata":{"labels":{"a":"b"}}}`, 400, `the spec replicas field ".spec.size.wanted" cannot be empty`},
	} {
		if got := want(t, c.code, call(t, srv, c.method, ofWidgets+"/web/scale", c.body, "Content-Type", mergePatch)).status(t); !strings.Contains(got.Message, c.says) {
			t.Errorf("%s: got %q, want %q in it", c.method, got.Message, c.says)
		}
	}
	want(t, 200, call(t, srv, "PATCH", ofWidgets+"/web/scale", `{"spec":{"replicas":4}}`, "Content-Type", mergePatch))
	var whole unstructured.Unstructured
	want(t, 200, call(t, srv, "GET", ofWidgets+"/web", "")).into(t, &whole.Object)
	if n, _, _ := unstructured.NestedFloat64(whole.Object, "spec", "size", "wanted"); n != 4 {
		t.Errorf("got %v, want 4 where the kind keeps it", whole.Object["spec"])
	}
}

func TestADryRunOfAScaleStoresNothing(t *testing.T) {
	srv := scalable(t, deployments(), nil)
	before := version(t, want(t, 201, call(t, srv, "POST", ofDeployments, web)))
	var scale autoscalingv1.Scale
	want(t, 200, call(t, srv, "PATCH", scaledWeb+"?dryRun=All", `{"spec":{"replicas":9}}`, "Content-Type", mergePatch)).into(t, &scale)
	if after := version(t, call(t, srv, "GET", ofDeployments+"/web", "")); scale.Spec.Replicas != 9 || after != before {
		t.Errorf("got %d replicas, and version %s after %s", scale.Spec.Replicas, after, before)
	}
}

// Who applies a number through the scale manages it in the object, and the other way round.
func TestAScaleAndItsObjectKeepOneAccount(t *testing.T) {
	srv := scalable(t, deployments(), nil)
	want(t, 201, apply(t, srv, ofDeployments+"/web", "fieldManager=owner", web))
	config := "apiVersion: autoscaling/v1\nkind: Scale\nmetadata: {name: web}\nspec: {replicas: 8}"
	status := want(t, 409, apply(t, srv, scaledWeb, "fieldManager=scaler", config)).status(t)
	if !strings.Contains(status.Message, `conflict with "owner"`) || !strings.Contains(status.Message, ".spec.replicas") {
		t.Errorf("got %q, want a conflict with the owner of the number", status.Message)
	}
	want(t, 200, apply(t, srv, scaledWeb, "fieldManager=scaler&force=true", config))
	if got := managersOf(t, call(t, srv, "GET", ofDeployments+"/web", ""), "f:replicas"); got != "scaler/scale Apply" {
		t.Errorf("the number is managed by %q, want the scaler alone", got)
	}
	want(t, 200, call(t, srv, "PATCH", scaledWeb+"?fieldManager=hand", `{"spec":{"replicas":3}}`, "Content-Type", mergePatch))
	if got := managersOf(t, call(t, srv, "GET", ofDeployments+"/web", ""), "f:replicas"); got != "hand/scale Update" {
		t.Errorf("the number is managed by %q, want the last one who wrote it", got)
	}
	// The owner gives the number up and keeps the rest: what the hand wrote stays.
	want(t, 200, apply(t, srv, ofDeployments+"/web", "fieldManager=owner", strings.Replace(web, `"replicas":2,`, "", 1)))
	var whole appsv1.Deployment
	want(t, 200, call(t, srv, "GET", ofDeployments+"/web", "")).into(t, &whole)
	if *whole.Spec.Replicas != 3 {
		t.Errorf("got %d replicas, want 3", *whole.Spec.Replicas)
	}
}

// managersOf are those whose fields hold text.
func managersOf(t *testing.T, a *answer, text string) string {
	t.Helper()
	var obj metav1.PartialObjectMetadata
	a.into(t, &obj)
	var names []string
	for _, entry := range obj.ManagedFields {
		if strings.Contains(string(entry.FieldsV1.Raw), text) {
			names = append(names, fmt.Sprintf("%s/%s %s", entry.Manager, entry.Subresource, entry.Operation))
		}
	}
	return strings.Join(names, ", ")
}

// scaleWatcher notes the scales that it is asked about, and adds one to each.
type scaleWatcher struct{ seen []string }

func (w *scaleWatcher) note(phase string, r *registry.Request) *autoscalingv1.Scale {
	scale, ok := r.Object.(*autoscalingv1.Scale)
	if !ok {
		return nil
	}
	w.seen = append(w.seen, fmt.Sprintf("%s %s %s/%s %s %d to %d", phase, r.Operation, r.Resource.Resource, r.Subresource, r.Kind.Kind,
		r.Old.(*autoscalingv1.Scale).Spec.Replicas, scale.Spec.Replicas))
	return scale
}

func (w *scaleWatcher) Admit(_ context.Context, r *registry.Request) error {
	if scale := w.note("admit", r); scale != nil {
		scale.Spec.Replicas++
	}
	return nil
}

func (w *scaleWatcher) Validate(_ context.Context, r *registry.Request) error {
	w.note("validate", r)
	return nil
}

func TestAdmissionSeesTheScale(t *testing.T) {
	var watcher scaleWatcher
	srv := scalable(t, deployments(), &watcher)
	want(t, 201, call(t, srv, "POST", ofDeployments, web))
	var scale autoscalingv1.Scale
	want(t, 200, call(t, srv, "PATCH", scaledWeb, `{"spec":{"replicas":5}}`, "Content-Type", mergePatch)).into(t, &scale)
	if got, want := strings.Join(watcher.seen, "; "), "admit UPDATE deployments/scale Scale 2 to 5; validate UPDATE deployments/scale Scale 2 to 6"; got != want {
		t.Errorf("admission saw %q, want %q", got, want)
	}
	if scale.Spec.Replicas != 6 {
		t.Errorf("got %d replicas, want the 6 that admission has made of them", scale.Spec.Replicas)
	}
}
