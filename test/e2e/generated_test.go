package e2e

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/portico-api/portico/test/rig"
)

// orchard is a front door on which the definitions are installed that controller-gen made of the types in test/tools/orchard.
type orchard struct {
	*portico
	folder   string // with what was generated
	client   dynamic.Interface
	trees    dynamic.ResourceInterface // of the namespace default, in v1
	warnings warnings
}

func newOrchard(t *testing.T) *orchard {
	t.Helper()
	o := &orchard{portico: startPortico(t), folder: t.TempDir()}
	if err := rig.Generate(t.Context(), controllerGenBinary(t), o.folder); err != nil {
		t.Fatal(err)
	}
	o.kubectl(t, "create", "-f", filepath.Join(o.folder, "orchard.example.com_trees.yaml"), "-f", filepath.Join(o.folder, "orchard.example.com_meadows.yaml"))
	o.kubectl(t, "wait", "--for=condition=Established", "crd/trees.orchard.example.com", "crd/meadows.orchard.example.com", "--timeout=60s")
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.WarningHandler = -1, &o.warnings
	if o.client, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	o.trees = o.of("v1", "trees").Namespace("default")
	return o
}

func (o *orchard) of(version, resource string) dynamic.NamespaceableResourceInterface {
	return o.client.Resource(schema.GroupVersionResource{Group: "orchard.example.com", Version: version, Resource: resource})
}

// tree is an apple tree but for what a spec in JSON says.
func tree(t *testing.T, name, spec string) *unstructured.Unstructured {
	t.Helper()
	fields := map[string]any{"fruit": "apple"}
	if err := json.Unmarshal([]byte(spec), &fields); err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	if fields["fruit"] == nil {
		delete(fields, "fruit")
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "orchard.example.com/v1", "kind": "Tree", "metadata": map[string]any{"name": name}, "spec": fields,
	}}
}

// plants creates a tree, or tells why it cannot.
func (o *orchard) plants(t *testing.T, name, spec string) *unstructured.Unstructured {
	t.Helper()
	made, err := o.trees.Create(t.Context(), tree(t, name, spec), metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("%s: %v", spec, err)
	}
	return made
}

// is compares a field of an object with what it is in JSON.
func is(t *testing.T, obj *unstructured.Unstructured, want string, path ...string) {
	t.Helper()
	field, _, err := unstructured.NestedFieldNoCopy(obj.Object, path...)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(field); err != nil || string(got) != want {
		t.Errorf("%s of %s: got %s, want %s", strings.Join(path, "."), obj.GetName(), got, want)
	}
}

// warnings collects what the server warns of.
type warnings struct {
	mu   sync.Mutex
	said []string
}

func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = append(w.said, text)
}

// take returns what was said since it was asked last.
func (w *warnings) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := w.said
	w.said = nil
	return said
}

// What controller-gen makes of Go types is installed, and each marker does what its author means by it.
func TestEachMarkerOfControllerGenHasItsEffect(t *testing.T) {
	t.Parallel() // controller-gen takes its time
	o := newOrchard(t)
	t.Run("what a marker forbids is refused", o.refusals)
	t.Run("what it allows is taken", o.admissions)
	t.Run("rules see what was before", o.transitions)
	t.Run("defaults, nulls and unknown fields", o.shapes)
	t.Run("apply follows list, map and struct types", o.merges)
	t.Run("status and scale", o.subresources)
	t.Run("names, columns, selectors and versions", o.resource)
	t.Run("a marker that servers do not take", func(t *testing.T) {
		refuses(t, o.portico, "uniqueItems cannot be set to true", "", "create", "-f", filepath.Join(o.folder, "unwelcome.example.com_hives.yaml"))
	})
}

func (o *orchard) refusals(t *testing.T) {
	for _, c := range []struct{ marker, spec, want string }{
		{"required", `{"fruit":null}`, "spec.fruit: Required value"},
		{"Enum", `{"fruit":"stone"}`, `spec.fruit: Unsupported value: "stone": supported values: "apple", "pear", "cherry"`},
		{"k8s:enum", `{"season":"winter"}`, `spec.season: Unsupported value: "winter"`},
		{"Pattern", `{"code":"ab-12"}`, `spec.code: Invalid value: "ab-12": spec.code in body should match '^[A-Z]{2}-[0-9]+$'`},
		{"MinLength", `{"code":"A"}`, "spec.code in body should be at least 4 chars long"},
		{"MaxLength", `{"code":"AB-123456"}`, "spec.code: Too long: may not be more than 8 bytes"},
		{"Minimum", `{"branches":-1}`, "spec.branches in body should be greater than or equal to 0"},
		{"Maximum", `{"branches":101}`, "spec.branches in body should be less than or equal to 100"},
		{"ExclusiveMinimum", `{"height":0}`, "spec.height in body should be greater than 0"},
		{"ExclusiveMaximum", `{"height":120}`, "spec.height in body should be less than 120"},
		{"MultipleOf", `{"apart":7}`, "spec.apart in body should be a multiple of 5"},
		{"Format", `{"sensor":"1.2.3"}`, "spec.sensor in body must be of type ipv4"},
		{"the format of a time", `{"planted":"yesterday"}`, "spec.planted in body must be of type date-time"},
		{"Type", `{"row":1}`, `spec.row in body must be of type string: "integer"`},
		{"MinProperties", `{"notes":{}}`, "spec.notes in body should have at least 1 properties"},
		{"MaxProperties", `{"notes":{"a":"","b":"","c":""}}`, "spec.notes: Too many: 3: must have at most 2 items"},
		{"MinItems", `{"birds":[]}`, "spec.birds in body should have at least 1 items"},
		{"MaxItems", `{"birds":["aa","bb","cc","dd"]}`, "spec.birds: Too many: 4: must have at most 3 items"},
		{"items:MinLength", `{"birds":["a"]}`, "spec.birds[0] in body should be at least 2 chars long"},
		{"items:Pattern", `{"birds":["Wren"]}`, "spec.birds[0] in body should match '^[a-z]+$'"},
		{"listType=set", `{"birds":["wren","wren"]}`, `spec.birds[1]: Duplicate value: "wren"`},
		{"listMapKey", `{"grafts":[{"name":"a"},{"name":"a","side":"north"}]}`, `spec.grafts[1]: Duplicate value: {"name":"a","side":"north"}`},
		{"AtMostOneOf", `{"fence":"wood","hedge":"box"}`, "at most one of the fields in [fence hedge] may be set"},
		{"ExactlyOneOf", `{"roots":{"water":1}}`, "exactly one of the fields in [deep flat] must be set"},
		{"AtLeastOneOf", `{"roots":{"deep":1}}`, "at least one of the fields in [water air] must be set"},
		{"XIntOrString", `{"shade":true}`, `spec.shade: Invalid value: "boolean"`},
		{"Pattern on it", `{"shade":"half"}`, "spec.shade in body should match '^[0-9]+%$'"},
		{"a quantity", `{"juice":"much"}`, `spec.juice: Invalid value: "much"`},
		{"EmbeddedResource", `{"nest":{"kind":"Bird","metadata":{"name":"wren"}}}`, "spec.nest.apiVersion: Required value"},
		{"metadata in it", `{"nest":{"apiVersion":"v1","kind":"Bird","metadata":{"name":"a/b"}}}`, `spec.nest.metadata.name: Invalid value: "a/b"`},
		{"XValidation's messageExpression, fieldPath and reason", `{"height":5,"branches":60}`, "spec.branches: Forbidden: too many for a small apple tree"},
		{"XValidation's optionalOldSelf", `{"rings":5}`, `spec.rings: Invalid value: 5: a tree is planted without rings`},
	} {
		_, err := o.trees.Create(t.Context(), tree(t, "bad", c.spec), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %s: got %v\nwant %s", c.marker, c.spec, err, c.want)
		}
	}
	_, err := o.trees.Create(t.Context(), tree(t, "name-that-is-long", `{}`), metav1.CreateOptions{})
	if err == nil || !strings.Contains(err.Error(), "the name of a tree is short") {
		t.Errorf("a rule of the type itself: got %v", err)
	}
}

func (o *orchard) admissions(t *testing.T) {
	for _, spec := range []string{
		`{"season":"autumn","code":"AB-12345","branches":100,"height":119.9,"apart":10,"sensor":"192.0.2.1"}`,
		`{"planted":"2020-02-29T12:00:00Z","every":"1h30m","row":"2","notes":{"a":"","b":""},"birds":["wren","finch"]}`,
		`{"grafts":[{"name":"a"},{"name":"a","side":"south"},{"name":"b"}],"path":["left","left"],"hedge":"box","roots":{"deep":1,"air":2}}`,
		`{"shade":"50%","water":"a lot","juice":"1500m"}`,
		`{"shade":5,"water":7,"juice":2,"owner":null,"rings":0}`,
		`{"height":11,"branches":60,"whatever":[1,{"a":[null]}]}`,
	} {
		if _, err := o.trees.Create(t.Context(), tree(t, "good", spec), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
	}
}

func (o *orchard) transitions(t *testing.T) {
	o.plants(t, "ringed", `{"rings":0,"origin":"wood"}`)
	patch := func(spec, want string) {
		t.Helper()
		_, err := o.trees.Patch(t.Context(), "ringed", types.MergePatchType, []byte(`{"spec":`+spec+`}`), metav1.PatchOptions{})
		if want == "" && err != nil || want != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", spec, err, want)
		}
	}
	patch(`{"rings":3}`, "")
	patch(`{"rings":2}`, "spec.rings: Invalid value: 2: rings do not get fewer")
	patch(`{"rings":0}`, "rings do not vanish")
	patch(`{"origin":"shop"}`, "spec.origin: Invalid value: \"shop\": field is immutable")
	patch(`{"origin":null}`, "field is immutable") // as it would get its default
	patch(`{"rings":null}`, "")
	patch(`{"rings":7}`, "a tree is planted without rings")
}

func (o *orchard) shapes(t *testing.T) {
	o.warnings.take()
	made := o.plants(t, "shaped", `{"owner":null,"name":null,"unknown":1,"grafts":[{"name":"a"}],"path":[],
		"nest":{"apiVersion":"v1","kind":"Bird","metadata":{"name":"wren","unknown":1},"eggs":3},
		"wild":{"a":1,"known":"b","tame":{"sand":1,"unknown":2}},"whatever":{"a":null},"soil":{"clay":1,"unknown":1}}`)
	for path, want := range map[string]string{
		"branches": "1", "origin": `"orchard"`, // default, kubebuilder:default
		"owner":   "null",      // nullable, so that it keeps it
		"name":    `"unnamed"`, // not nullable, so that it is as if it were not there
		"unknown": "null",
		"grafts":  `[{"name":"a","side":"north"}]`,
		"nest":    `{"apiVersion":"v1","eggs":3,"kind":"Bird","metadata":{"name":"wren"}}`,
		"wild":    `{"a":1,"known":"b","tame":{"sand":1}}`,
		"soil":    `{"clay":1}`, "whatever": `{"a":null}`, "path": "[]",
	} {
		is(t, made, want, "spec", path)
	}
	if _, has := made.Object["spec"].(map[string]any)["owner"]; !has {
		t.Error("the owner is not null, but gone")
	}
	want := []string{`unknown field "spec.nest.metadata.unknown"`, `unknown field "spec.soil.unknown"`, `unknown field "spec.unknown"`, `unknown field "spec.wild.tame.unknown"`}
	got := o.warnings.take()
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("warnings %q, want %q", got, want)
	}

	meadow := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "orchard.example.com/v1", "kind": "Meadow",
		"metadata": map[string]any{"name": "wide"}, "spec": map[string]any{"acres": int64(3), "cows": int64(2)}, "lost": true}}
	made, err := o.of("v1", "meadows").Create(t.Context(), meadow, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	is(t, made, `{"acres":3,"cows":2}`, "spec")
	is(t, made, "null", "lost")
}
