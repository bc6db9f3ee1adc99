package openapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The text is what the tree says, whatever the resources are like.
func TestCopiesOfASampleSayWhatTheTreeSays(t *testing.T) {
	gv := schema.GroupVersion{Group: "cars.example.com", Version: "v1"}
	scale := Resource{Name: "scale", Kind: autoscalingv1.SchemeGroupVersion.WithKind("Scale"), Verbs: []string{"get", "patch", "update"}, Object: autoscalingv1.Scale{}}
	d := &Description{Prefix: "/apis/" + gv.String(), GroupVersion: gv}
	schemas := []string{
		`{}`,
		`{"type":"object"}`,
		`{"type":"object","description":"\"properties\":{} __kind0__ ,\"__schema0__\":0","x-kubernetes-preserve-unknown-fields":true}`,
		` {"required":["spec"], "properties" : { "spec" : {"type":"object","properties":{"metadata":{"type":"string"}}}, "kind":{"type":"integer"}, "apiVersion":{},"metadata":{"a":1}}, "type":"object"} `,
		`{"properties":{"metadata":{"type":"object"}},"type":"object"}`,
		`{"properties":{"spec":{"type":"object","properties":{"template":{"type":"object","x-kubernetes-embedded-resource":true,"required":["kind"]}}}},"type":"object"}`,
	}
	for i := range 60 {
		kind := gv.WithKind(fmt.Sprint("Wheel", i))
		r := Resource{
			Name: fmt.Sprint("wheel", i, "s"), Kind: kind, Namespaced: i%2 == 0, Verbs: []string{"get", "list", "create", "delete", "deletecollection", "patch", "update"},
			Schema: json.RawMessage(schemas[i%len(schemas)]),
		}
		if i%3 == 0 {
			r.Verbs = r.Verbs[:3]
		}
		if i%4 == 0 {
			r.ListKind = fmt.Sprint("Wheels", i)
		}
		if i%8 < 3 {
			r.SelectableFields = []string{".spec.a", fmt.Sprint(".spec.b", i%8)}
		}
		if i%16 == 0 {
			r.SelectableFields = []string{".spec.__kind0__", ".spec.__plural1__"}
		}
		if i%5 == 0 {
			r.Subresources = append(r.Subresources, Resource{Name: "status", Kind: kind, Verbs: []string{"get", "patch", "update"}, Schema: r.Schema})
		}
		if i%7 == 0 {
			r.Subresources = append(r.Subresources, scale)
		}
		d.Resources = append(d.Resources, r)
	}
	d.Resources = append(d.Resources, Resource{Name: "maps", Kind: gv.WithKind("ConfigMap"), Verbs: []string{"get", "list"}, Object: &corev1.ConfigMap{}, List: &corev1.ConfigMapList{}})
	tree, err := d.document()
	if err != nil {
		t.Fatal(err)
	}
	want, err := tree.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	got, err := d.encode()
	if err != nil {
		t.Fatal(err)
	}
	differ(t, "", value(t, want), value(t, got))
}

func value(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// differ tells of the first places where two values differ.
func differ(t *testing.T, path string, want, got any) {
	t.Helper()
	w, isObject := want.(map[string]any)
	g, isToo := got.(map[string]any)
	if !isObject || !isToo {
		if !reflect.DeepEqual(want, got) {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
		return
	}
	for key := range g {
		if _, ok := w[key]; !ok {
			t.Errorf("%s has %s", path, key)
		}
	}
	for key, v := range w {
		differ(t, path+"/"+key, v, g[key])
	}
}

func FuzzSchemaIsTakenApart(f *testing.F) {
	for _, seed := range []string{`{}`, `{`, `[]`, `{"properties":[]}`, `{"properties":{"a":{}},"type":"object"}`, `{"type":"object","properties":{"metadata":1,"b":[{}]}}`, `{"properties":{"a":`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		gv := schema.GroupVersion{Group: "g", Version: "v1"}
		d := &Description{Prefix: "/apis/g/v1", GroupVersion: gv, Resources: []Resource{{Name: "as", Kind: gv.WithKind("A"), Verbs: []string{"get", "list"}, Schema: text}}}
		var object map[string]json.RawMessage
		var properties map[string]json.RawMessage
		if json.Unmarshal(text, &object) != nil || object == nil || object["properties"] != nil && (json.Unmarshal(object["properties"], &properties) != nil || properties == nil) {
			_, _ = d.encode() // must not panic; what was never JSON is not stored
			return
		}
		made, err := d.encode()
		if err != nil || !json.Valid(made) {
			t.Errorf("%s: %v, %s", text, err, made)
		}
	})
}
