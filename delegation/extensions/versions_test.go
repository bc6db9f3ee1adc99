package extensions_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

const twoVersions = `
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, properties: {status: {type: object, x-kubernetes-preserve-unknown-fields: true}, spec: {type: object, properties: {color: {type: string}, one: {type: string, default: full}}}}}}
  - name: v2
    served: true
    storage: false
    deprecated: true
    deprecationWarning: v2 is going
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, properties: {status: {type: object, x-kubernetes-preserve-unknown-fields: true}, spec: {type: object, properties: {color: {type: string, enum: [red]}, two: {type: string, default: full}}}}}}
`

const twos = "/apis/example.com/v2/namespaces/a/widgets"

func TestVersionsThatDifferInTheirSchemasOnly(t *testing.T) {
	r := newRig(t, t.TempDir())
	name := r.define(widgets(twoVersions))
	if a := r.do(http.MethodPost, ones, widget("one", `{color: blue}`)); a.code != 201 || a.at("spec", "one") != "full" {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	a := r.get(twos + "/one")
	if a.code != 200 || a.at("apiVersion") != "example.com/v2" || a.at("spec", "one") != nil || len(a.warnings) != 1 || !strings.Contains(a.warnings[0], "v2 is going") {
		t.Errorf("in the other version: %d %s %q", a.code, a.body, a.warnings)
	}
	if a.at("spec", "two") != nil {
		t.Errorf("what is read has the defaults of another version than the stored one: %s", a.body)
	}
	if a := r.do(http.MethodPatch, twos+"/one?dryRun=All", `{}`); a.at("spec", "two") != "full" {
		t.Errorf("what is written has not the defaults of its version: %d %s", a.code, a.body)
	}
	if got := r.get("/metrics").body; !strings.Contains(string(got), `apiserver_requested_deprecated_apis{group="example.com",removed_release="",resource="widgets",subresource="",version="v2"} 1`) {
		t.Errorf("uses of deprecated versions: %s", got)
	}
	// Who migrates objects learns from the hash that another version is stored.
	storedAs := func(want string) bool {
		for _, path := range []string{"/apis/example.com/v1", "/apis/example.com/v2"} {
			var list metav1.APIResourceList
			a := r.get(path)
			if a.code == 404 { // it is not served
				continue
			}
			if err := json.Unmarshal(a.body, &list); err != nil {
				t.Fatal(err)
			}
			for _, resource := range list.APIResources {
				if got := resource.StorageVersionHash; resource.Name == "widgets" && got != want || resource.Name != "widgets" && got != "" {
					return false
				}
			}
		}
		return true
	}
	r.until("the hash of the stored version is told", func() bool { return storedAs("gIwvi5rymmg=") })
	// Each version has its own rules, and what was not valid before and stays is let be.
	refused(t, r.do(http.MethodPost, twos, strings.Replace(widget("two", `{color: green}`), "/v1", "/v2", 1)), 422, "spec.color")
	if a := r.do(http.MethodPatch, twos+"/one", `{metadata: {labels: {a: b}}}`); a.code != 200 {
		t.Errorf("a label of an object that this version would not take: %d %s", a.code, a.body)
	}
	refused(t, r.do(http.MethodPatch, twos+"/one", `{spec: {color: green}}`), 422, "spec.color")
	if a := r.do(http.MethodPatch, twos+"/one/status", `{status: {x: 1}}`); a.code != 200 || r.get(ones+"/one").at("status", "x") != 1.0 {
		t.Errorf("by the status of the other version: %d %s", a.code, a.body)
	}
	apply := func(path, version, manager, spec string) *answer {
		return r.do(http.MethodPatch, path+"/one?fieldManager="+manager, strings.Replace(widget("one", spec), "/v1", "/"+version, 1), "Content-Type", "application/apply-patch+yaml")
	}
	if a := apply(ones+"", "v1", "m", `{one: mine}`); a.code != 409 { // the default was written by who created it
		t.Errorf("applying in one version: %d %s", a.code, a.body)
	}
	if a := apply(twos, "v2", "m", `{two: mine}`); a.code != 200 && a.code != 409 {
		t.Errorf("applying in the other: %d %s", a.code, a.body)
	}
	if items, _ := r.get(twos + "?labelSelector=a%3Db").at("items").([]any); len(items) != 1 || items[0].(map[string]any)["apiVersion"] != "example.com/v2" {
		t.Errorf("listing in the other version: %v", items)
	}

	// The other version is stored from now on: objects are there as before, and the next write stores them anew.
	before := r.get(ones+"/one").at("metadata", "resourceVersion")
	r.redefine(name, strings.NewReplacer("storage: true", "storage: false", "storage: false", "storage: true").Replace("spec:\n  versions:"+twoVersions))
	r.until("both are noted as stored", func() bool {
		return fmt.Sprint(r.get(crds+"/"+name).at("status", "storedVersions")) == "[v1 v2]"
	})
	r.until("it is served", func() bool { return r.get(twos+"/one").code == 200 })
	r.until("the hash of the other version is told", func() bool { return storedAs("zRcoV5EeA3s=") })
	if a := r.do(http.MethodPatch, twos+"/one", `{}`); a.code != 200 || a.at("metadata", "resourceVersion") == before {
		t.Errorf("it is not stored anew: %d %s", a.code, a.body)
	}
	if a := r.get(ones + "/one"); a.code != 200 || a.at("apiVersion") != "example.com/v1" {
		t.Errorf("got %d %s", a.code, a.body)
	}
	if a := r.do(http.MethodPatch, crds+"/"+name+"/status", `{status: {storedVersions: [v2]}}`); a.code != 200 {
		t.Errorf("forgetting a version: %d %s", a.code, a.body)
	}
	r.redefine(name, strings.NewReplacer("storage: true", "storage: false", "served: true\n    storage: false", "served: false\n    storage: true").Replace("spec:\n  versions:"+twoVersions))
	r.until("there is no hash of a version that is not served", func() bool { return storedAs("") })
}

// converting is a webhook that moves spec.color to spec.paint in v2.
type converting struct {
	*httptest.Server
	asked atomic.Int32 // requests
	lie   atomic.Pointer[func(*apiextensionsv1.ConversionReview)]
}

func newConverting(t *testing.T) *converting {
	c := &converting{}
	c.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.asked.Add(1)
		var review apiextensionsv1.ConversionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		said := &apiextensionsv1.ConversionResponse{UID: review.Request.UID, Result: metav1.Status{Status: metav1.StatusSuccess}}
		for _, raw := range review.Request.Objects {
			u := &unstructured.Unstructured{}
			_ = u.UnmarshalJSON(raw.Raw)
			spec, _ := u.Object["spec"].(map[string]any)
			from, to := "color", "paint"
			if review.Request.DesiredAPIVersion == "example.com/v1" {
				from, to = to, from
			}
			if value, ok := spec[from]; ok {
				spec[to] = value
				delete(spec, from)
			}
			u.SetAPIVersion(review.Request.DesiredAPIVersion)
			said.ConvertedObjects = append(said.ConvertedObjects, runtime.RawExtension{Object: u})
		}
		review.Request, review.Response = nil, said
		if lie := c.lie.Load(); lie != nil {
			(*lie)(&review)
		}
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(c.Close)
	return c
}

func (c *converting) lies(how func(*apiextensionsv1.ConversionReview)) {
	if how == nil {
		c.lie.Store(nil)
		return
	}
	c.lie.Store(&how)
}

func TestAWebhookConverts(t *testing.T) {
	hook := newConverting(t)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})
	bundle, _ := json.Marshal(ca)
	r := newRig(t, t.TempDir())
	schema := func(field string) string {
		return "{openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {" + field + ": {type: string}}}}}}"
	}
	r.define(widgets("\n  - {name: v1, served: true, storage: true, schema: "+schema("color")+"}\n  - {name: v2, served: true, storage: false, schema: "+schema("paint")+"}\n") +
		fmt.Sprintf("  conversion: {strategy: Webhook, webhook: {conversionReviewVersions: [v1], clientConfig: {url: %q, caBundle: %s}}}\n", hook.URL, bundle))

	if a := r.do(http.MethodPost, ones, widget("one", `{color: red}`)); a.code != 201 || hook.asked.Load() != 0 {
		t.Fatalf("in the stored version: %d %s, the webhook was asked %d times", a.code, a.body, hook.asked.Load())
	}
	a := r.do(http.MethodPost, twos, strings.Replace(widget("two", `{paint: blue}`), "/v1", "/v2", 1))
	if a.code != 201 || a.at("apiVersion") != "example.com/v2" || a.at("spec", "paint") != "blue" {
		t.Fatalf("in the other version: %d %s", a.code, a.body)
	}
	if a := r.get(ones + "/two"); a.at("spec", "color") != "blue" {
		t.Errorf("what was written in the other version: %s", a.body)
	}
	for i := range 20 {
		r.do(http.MethodPost, ones, widget(fmt.Sprint("w", i), `{color: red}`))
	}
	asked := hook.asked.Load()
	a = r.get(twos)
	items, _ := a.at("items").([]any)
	if len(items) != 22 || !strings.Contains(string(a.body), `"paint":"red"`) || strings.Contains(string(a.body), `"color"`) {
		t.Errorf("listing in the other version: %d %.300s", len(items), a.body)
	}
	if got := hook.asked.Load() - asked; got != 1 {
		t.Errorf("a list asked the webhook %d times, want once", got)
	}
	for i := range 9 { // more than an answer may hold
		r.do(http.MethodPost, ones, widget(fmt.Sprint("large", i), fmt.Sprintf("{color: %q}", strings.Repeat("x", 1<<20))))
	}
	if a := r.get(twos); a.code != 200 || len(a.at("items").([]any)) != 31 {
		t.Errorf("a list that is larger than an answer may be: %d %.300s", a.code, a.body)
	}
	for i := range 9 {
		r.do(http.MethodDelete, fmt.Sprint(ones, "/large", i), nil)
	}
	if a := r.do(http.MethodPatch, twos+"/one", `{spec: {paint: green}}`); a.code != 200 || r.get(ones+"/one").at("spec", "color") != "green" {
		t.Errorf("a patch in the other version: %d %s", a.code, a.body)
	}
	if a := r.do(http.MethodPatch, twos+"/one?fieldManager=m&force=true", strings.Replace(widget("one", `{paint: black}`), "/v1", "/v2", 1), "Content-Type", "application/apply-patch+yaml"); a.code != 200 || r.get(ones+"/one").at("spec", "color") != "black" {
		t.Errorf("applying in the other version: %d %s", a.code, a.body)
	}

	for name, c := range map[string]struct {
		lie     func(*apiextensionsv1.ConversionReview)
		want    string
		counted string
	}{
		"fails": {func(v *apiextensionsv1.ConversionReview) {
			v.Response.Result = metav1.Status{Status: metav1.StatusFailure, Message: "no way"}
		}, "no way", "conversion_webhook_malformed_response_failure"},
		"drops":   {func(v *apiextensionsv1.ConversionReview) { v.Response.ConvertedObjects = nil }, "returned 0 objects, expected 1", "conversion_webhook_no_objects_returned_failure"},
		"another": {func(v *apiextensionsv1.ConversionReview) { v.Response.UID = "x" }, "response.uid", "conversion_webhook_malformed_response_failure"},
		"renames": {func(v *apiextensionsv1.ConversionReview) {
			v.Response.ConvertedObjects[0].Object.(*unstructured.Unstructured).SetName("x")
		}, "must have the same name: one != x", "conversion_webhook_invalid_converted_object_failure"},
		"wrong version": {func(v *apiextensionsv1.ConversionReview) {
			v.Response.ConvertedObjects[0].Object.(*unstructured.Unstructured).SetAPIVersion("example.com/v3")
		}, "invalid groupVersion", "conversion_webhook_invalid_converted_object_failure"},
		"spoils labels": {func(v *apiextensionsv1.ConversionReview) {
			v.Response.ConvertedObjects[0].Object.(*unstructured.Unstructured).SetLabels(map[string]string{"-a-": "b b"})
		}, "metadata.labels: Invalid value", "conversion_webhook_invalid_converted_object_failure"},
		"makes labels a number": {func(v *apiextensionsv1.ConversionReview) {
			v.Response.ConvertedObjects[0].Object.(*unstructured.Unstructured).Object["metadata"].(map[string]any)["labels"] = 5
		}, "metadata.labels", "conversion_webhook_invalid_converted_object_failure"},
		"makes an annotation a number": {func(v *apiextensionsv1.ConversionReview) {
			v.Response.ConvertedObjects[0].Object.(*unstructured.Unstructured).Object["metadata"].(map[string]any)["annotations"] = map[string]any{"a": 1}
		}, "metadata.annotations", "conversion_webhook_invalid_converted_object_failure"},
		"other kind": {func(v *apiextensionsv1.ConversionReview) { v.Kind = "Pod" }, "expected a ConversionReview", "conversion_webhook_malformed_response_failure"},
	} {
		hook.lies(c.lie)
		r.do(http.MethodPatch, ones+"/one", fmt.Sprintf("{spec: {color: %q}}", name)) // nothing is remembered of it
		refused(t, r.get(twos+"/one"), 500, "conversion webhook for example.com/v1, Kind=Widget failed: ", c.want)
		if !r.shows(fmt.Sprintf("apiserver_conversion_webhook_request_total{failure_type=%q,result=\"failure\"}", c.counted)) {
			t.Errorf("%s: not counted as %s", name, c.counted)
		}
	}
	hook.lies(func(v *apiextensionsv1.ConversionReview) {
		u := v.Response.ConvertedObjects[0].Object.(*unstructured.Unstructured)
		u.SetFinalizers([]string{"example.com/x"})
		u.SetLabels(map[string]string{"a": "b"})
	})
	r.do(http.MethodPatch, ones+"/one", "{spec: {color: white}}")
	if a := r.get(twos + "/one"); a.at("metadata", "finalizers") != nil || a.at("metadata", "labels", "a") != "b" {
		t.Errorf("of metadata only labels and annotations are a webhook's to change: %s", a.body)
	}
	hook.lies(func(v *apiextensionsv1.ConversionReview) {
		metadata := v.Response.ConvertedObjects[0].Object.(*unstructured.Unstructured).Object["metadata"].(map[string]any)
		metadata["labels"], metadata["annotations"] = nil, nil
	})
	r.do(http.MethodPatch, ones+"/one", "{metadata: {labels: {a: b}}}")
	if a := r.get(twos + "/one"); a.code != 200 || a.at("metadata", "labels") != nil {
		t.Errorf("labels and annotations that are null are none: %d %s", a.code, a.body)
	}
	hook.lies(nil)
	r.do(http.MethodPatch, twos+"/one?fieldManager=m&force=true", strings.Replace(widget("one", `{paint: black}`), "/v1", "/v2", 1), "Content-Type", "application/apply-patch+yaml")
	hook.Close()
	if a := r.get(ones + "/one"); a.code != 200 {
		t.Errorf("the stored version needs no webhook: %d %s", a.code, a.body)
	}
	if a := r.do(http.MethodPatch, ones+"/one", "{spec: {color: grey}}"); a.code != 200 || !strings.Contains(string(a.body), `"manager":"m"`) {
		t.Errorf("who applied in the other version is forgotten: %d %s", a.code, a.body)
	}
	refused(t, r.get(twos+"/one"), 500, `"message":"conversion webhook for example.com/v1, Kind=Widget failed: `)
	if !r.shows(fmt.Sprintf("apiserver_conversion_webhook_request_total{failure_type=%q", "conversion_webhook_call_failure")) {
		t.Error("a webhook that does not answer is not counted")
	}
	refused(t, r.do(http.MethodPost, twos, strings.Replace(widget("three", `{}`), "/v1", "/v2", 1)), 500, "conversion webhook")
	if a := r.get(ones + "/three"); a.code != 404 {
		t.Errorf("what could not be converted was stored: %d %s", a.code, a.body)
	}
	const series = `apiserver_crd_conversion_webhook_duration_seconds_count{crd_name="widgets.example.com"`
	if !r.shows(series) {
		t.Error("the definition has no series")
	}
	r.do(http.MethodDelete, crds+"/widgets.example.com", nil)
	r.until("its series go with the definition", func() bool { return !r.shows(series) })
}
