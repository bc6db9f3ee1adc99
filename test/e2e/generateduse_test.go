package e2e

import (
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

func (o *orchard) merges(t *testing.T) {
	apply := func(manager, spec string) (*unstructured.Unstructured, error) {
		return o.trees.Apply(t.Context(), "merged", tree(t, "merged", spec), metav1.ApplyOptions{FieldManager: manager})
	}
	must := func(manager, spec string) *unstructured.Unstructured {
		t.Helper()
		made, err := apply(manager, spec)
		if err != nil {
			t.Fatalf("%s applies %s: %v", manager, spec, err)
		}
		return made
	}
	conflicts := func(spec, want string) {
		t.Helper()
		if _, err := apply("second", spec); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("second applies %s: got %v, want a conflict on %s", spec, err, want)
		}
	}
	must("first", `{"birds":["wren"],"grafts":[{"name":"a","fruit":"pear"}],"path":["left"],"marks":{"a":"1"},"tags":{"a":"1"},"soil":{"sand":1},"sun":{"sand":1}}`)
	// What is granular is merged.
	made := must("second", `{"birds":["finch"],"grafts":[{"name":"a","side":"south"},{"name":"b","side":"north"}],"tags":{"b":"2"},"sun":{"clay":2}}`)
	is(t, made, `["wren","finch"]`, "spec", "birds")
	is(t, made, `[{"fruit":"pear","name":"a","side":"north"},{"name":"a","side":"south"},{"name":"b","side":"north"}]`, "spec", "grafts")
	is(t, made, `{"a":"1","b":"2"}`, "spec", "tags")
	is(t, made, `{"clay":2,"sand":1}`, "spec", "sun")
	// What is atomic is somebody's as a whole.
	conflicts(`{"path":["right"]}`, ".spec.path")
	conflicts(`{"marks":{"b":"2"}}`, ".spec.marks")
	conflicts(`{"soil":{"clay":2}}`, ".spec.soil")
	conflicts(`{"grafts":[{"name":"a","side":"north","fruit":"cherry"}]}`, `.spec.grafts[name="a",side="north"].fruit`)
	// What one applied goes when they do not apply it any more, and nothing of the other's.
	made = must("second", `{}`)
	is(t, made, `["wren"]`, "spec", "birds")
	is(t, made, `[{"fruit":"pear","name":"a","side":"north"}]`, "spec", "grafts")
	is(t, made, `{"a":"1"}`, "spec", "tags")
	is(t, made, `{"sand":1}`, "spec", "sun")
}

func (o *orchard) subresources(t *testing.T) {
	made := o.plants(t, "grown", `{"branches":3}`)
	is(t, made, "null", "status")
	made.Object["status"] = map[string]any{"branches": int64(2), "selector": "on=grown"}
	made, err := o.trees.Update(t.Context(), made, metav1.UpdateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	is(t, made, "null", "status") // which an update of the object does not touch
	made.Object["status"] = map[string]any{"branches": int64(2), "selector": "on=grown"}
	if err := unstructured.SetNestedField(made.Object, int64(50), "spec", "branches"); err != nil {
		t.Fatal(err)
	}
	if made, err = o.trees.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	is(t, made, "3", "spec", "branches") // which an update of the status does not touch
	is(t, made, `{"branches":2,"selector":"on=grown"}`, "status")
	is(t, made, "1", "metadata", "generation")
	_, err = o.trees.Patch(t.Context(), "grown", types.MergePatchType, []byte(`{"status":{"conditions":[{"type":"a b"}]}}`), metav1.PatchOptions{}, "status")
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), `status.conditions[0].type: Invalid value: "a b"`) {
		t.Errorf("a bad status: got %v", err)
	}

	says(t, o.portico, "scaled", "scale", "tree/grown", "--replicas=7", "--current-replicas=3")
	scale, err := o.trees.Get(t.Context(), "grown", metav1.GetOptions{}, "scale")
	if err != nil {
		t.Fatal(err)
	}
	is(t, scale, `"autoscaling/v1"`, "apiVersion")
	is(t, scale, `{"replicas":7}`, "spec")
	is(t, scale, `{"replicas":2,"selector":"on=grown"}`, "status")
	refuses(t, o.portico, "less than or equal to 100", "", "scale", "tree/grown", "--replicas=101")
}

func (o *orchard) resource(t *testing.T) {
	o.kubectl(t, "delete", "trees", "--all")
	o.plants(t, "old", `{"planted":"2020-02-29T12:00:00Z","height":11.5,"fruit":"pear"}`)
	o.plants(t, "young", `{"branches":2}`)

	says(t, o.portico, "NAME FRUIT BRANCHES PLANTED old pear 1", "get", "tr")
	says(t, o.portico, "NAME FRUIT BRANCHES PLANTED HEIGHT old pear 1", "get", "tree", "old", "-o", "wide")
	if wide := strings.Fields(o.kubectl(t, "get", "tree", "old", "-o", "wide", "--no-headers")); len(wide) != 5 || !strings.Contains(wide[3], "y") || wide[4] != "11.5" {
		t.Errorf("a date is told in years, and a number as it is: %q", wide)
	}
	for _, names := range []string{"trs", "tree", "plants", "all", "trees.orchard.example.com"} {
		says(t, o.portico, "tree.orchard.example.com/old tree.orchard.example.com/young", "get", names, "-o", "name")
	}
	says(t, o.portico, "meadow.orchard.example.com/wide", "get", "meadow", "-o", "name")
	says(t, o.portico, "trees tr,trs orchard.example.com/v1 true Tree", "api-resources", "--api-group=orchard.example.com")
	says(t, o.portico, "meadows orchard.example.com/v1 false Meadow", "api-resources", "--api-group=orchard.example.com")
	says(t, o.portico, "trees.orchard.example.com", "get", "crd", "-l", "made=by-machine", "-o", "name")
	says(t, o.portico, "do not edit", "get", "crd", "trees.orchard.example.com", "-o", `jsonpath={.metadata.annotations.example\.com/note}`)

	for selector, want := range map[string]string{
		"spec.fruit=pear": "old", "spec.fruit!=pear": "young", "spec.branches=2": "young", "spec.fruit=apple,spec.branches=1": "",
	} {
		list, err := o.trees.List(t.Context(), metav1.ListOptions{FieldSelector: selector})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, item := range list.Items {
			got += item.GetName()
		}
		if got != want {
			t.Errorf("%s selects %q, want %q", selector, got, want)
		}
	}
	if _, err := o.trees.List(t.Context(), metav1.ListOptions{FieldSelector: "spec.code=x"}); !apierrors.IsBadRequest(err) {
		t.Errorf("a selector that there is not: got %v", err)
	}

	for _, want := range []string{"ENUM: apple pear cherry", "Fruit is what grows on it.", "EXTERNAL DOCS: all about fruit URL: https://example.com/fruit"} {
		says(t, o.portico, want, "explain", "tree.spec.fruit")
	}
	says(t, o.portico, "fruit <string> -required-", "explain", "tree.spec")
	if _, document := o.get(t, "/openapi/v3/apis/orchard.example.com/v1"); !strings.Contains(document, `"title":"Fruit of the tree"`) || !strings.Contains(document, `"example":"apple"`) {
		t.Error("the document lacks a title or an example")
	}

	o.warnings.take()
	before, err := o.of("v1beta1", "trees").Namespace("default").Get(t.Context(), "old", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	is(t, before, `{"branches":1,"fruit":"pear"}`, "spec")
	if got := o.warnings.take(); len(got) != 1 || got[0] != "trees are v1 now" {
		t.Errorf("warnings of a deprecated version: %q", got)
	}
	if code, body := o.get(t, "/apis/orchard.example.com/v1alpha1/namespaces/default/trees"); code != http.StatusNotFound {
		t.Errorf("a version that is not served: %d %s", code, body)
	}
	says(t, o.portico, `["v1"]`, "get", "crd", "trees.orchard.example.com", "-o", "jsonpath={.status.storedVersions}")
}
