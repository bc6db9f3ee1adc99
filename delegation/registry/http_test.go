package registry_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/portico-api/portico/handler/rest"
)

const inDemo = "/api/v1/namespaces/demo/configmaps"

func configMap(name, extra string) string {
	return fmt.Sprintf(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":%q%s},"data":{"a":"1"}}`, name, extra)
}

func TestTheLifeOfAnObject(t *testing.T) {
	srv := server(t, rest.Config{}, open(t, configMaps()))

	var created corev1.ConfigMap
	want(t, 201, call(t, srv, "POST", inDemo, configMap("one", ""))).into(t, &created)
	if created.UID == "" || created.CreationTimestamp.IsZero() || created.ResourceVersion == "" || created.Namespace != "demo" || created.Kind != "ConfigMap" {
		t.Errorf("created object lacks system metadata: %+v", created)
	}
	read := want(t, 200, call(t, srv, "GET", inDemo+"/one", ""))
	var got corev1.ConfigMap
	read.into(t, &got)
	if got.ResourceVersion != created.ResourceVersion || got.Data["a"] != "1" {
		t.Errorf("got %+v, want what was created: %+v", got, created)
	}
	if want := `{"kind":"ConfigMap","apiVersion":"v1","metadata":{`; !strings.HasPrefix(string(read.body), want) {
		t.Errorf("got %s, want kind and apiVersion first", read.body)
	}

	got.Data["a"] = "2"
	body, _ := yaml.Marshal(&got)
	var updated corev1.ConfigMap
	want(t, 200, call(t, srv, "PUT", inDemo+"/one", string(body), "Content-Type", "application/yaml")).into(t, &updated)
	if updated.ResourceVersion == created.ResourceVersion || updated.Data["a"] != "2" || updated.UID != created.UID {
		t.Errorf("got %+v after the update", updated)
	}
	status := want(t, 409, call(t, srv, "PUT", inDemo+"/one", string(body), "Content-Type", "application/yaml")).status(t)
	if status.Reason != metav1.StatusReasonConflict || !strings.Contains(status.Message, "the object has been modified; please apply your changes to the latest version and try again") {
		t.Errorf("got %+v for a stale update", status)
	}

	status = want(t, 200, call(t, srv, "DELETE", inDemo+"/one", "")).status(t)
	if status.Status != metav1.StatusSuccess || status.Details.Name != "one" || status.Details.Kind != "configmaps" || status.Details.UID != created.UID {
		t.Errorf("got %+v for a delete", status)
	}
	status = want(t, 404, call(t, srv, "GET", inDemo+"/one", "")).status(t)
	if status.Message != `configmaps "one" not found` {
		t.Errorf("got %q for a missing object", status.Message)
	}
}

func TestRefusals(t *testing.T) {
	srv := server(t, rest.Config{MaxBodyBytes: 1 << 16}, open(t, configMaps()), open(t, services()), open(t, nodes()))
	want(t, 201, call(t, srv, "POST", inDemo, configMap("taken", "")))
	want(t, 201, call(t, srv, "POST", "/api/v1/nodes", `{"kind":"Node","apiVersion":"v1","metadata":{"name":"n1"}}`))

	tests := []struct {
		name         string
		method, path string
		body         string
		headers      []string
		code         int
		says         string
	}{
		{name: "a name that is taken", method: "POST", path: inDemo, body: configMap("taken", ""), code: 409, says: `configmaps "taken" already exists`},
		{name: "a body of another version", method: "POST", path: inDemo, body: `{"kind":"ConfigMap","apiVersion":"v2","metadata":{"name":"x"}}`, code: 400, says: "the API version in the data (v2) does not match the expected API version (v1)"},
		{name: "a body of another kind", method: "POST", path: inDemo, body: `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x"}}`, code: 400, says: "cannot be handled as a ConfigMap"},
		{name: "no JSON", method: "POST", path: inDemo, body: `{"kind":`, code: 400, says: "unexpected end of JSON input"},
		{name: "a wrong type", method: "POST", path: inDemo, body: `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x"},"data":3}`, code: 400, says: "cannot be handled as a ConfigMap: json: cannot unmarshal number"},
		{name: "a body that is a list", method: "POST", path: inDemo, body: `[]`, code: 400, says: "json: cannot unmarshal array into an object with apiVersion and kind"},
		{name: "an unknown media type", method: "POST", path: inDemo, body: `x`, headers: []string{"Content-Type", "text/plain"}, code: 415, says: "application/json, application/yaml, application/vnd.kubernetes.protobuf"},
		{name: "an answer nobody can give", method: "GET", path: inDemo + "/taken", headers: []string{"Accept", "text/html"}, code: 406, says: "application/json"},
		{name: "a whole family of media types", method: "GET", path: inDemo + "/taken", headers: []string{"Accept", "application/*"}, code: 406},
		{name: "a body above the limit", method: "POST", path: inDemo, body: configMap("x", `,"annotations":{"a":"`+strings.Repeat("x", 1<<16)+`"}`), code: 413},
		{name: "another namespace in the body", method: "POST", path: inDemo, body: configMap("x", `,"namespace":"other"`), code: 400, says: "the namespace of the provided object does not match the namespace sent on the request"},
		{name: "no name at all", method: "POST", path: inDemo, body: configMap("", ""), code: 422, says: "name or generateName is required"},
		{name: "a name no DNS knows", method: "POST", path: inDemo, body: configMap("Bad_Name", ""), code: 422, says: "metadata.name: Invalid value"},
		{name: "a resourceVersion on create", method: "POST", path: inDemo, body: configMap("x", `,"resourceVersion":"5"`), code: 500, says: "resourceVersion should not be set on objects to be created"},
		{name: "a broken rule of the kind", method: "POST", path: inDemo, body: `{"metadata":{"name":"x"},"data":{"bad":"1"}}`, code: 422, says: "data.bad"},
		{name: "unknown fields when strict", method: "POST", path: inDemo + "?fieldValidation=Strict", body: `{"metadata":{"name":"x","foo":1},"spec":{}}`, code: 400, says: `strict decoding error: unknown field "metadata.foo", unknown field "spec"`},
		{name: "a dryRun that is not All", method: "POST", path: inDemo + "?dryRun=Some", body: configMap("x", ""), code: 422, says: "dryRun"},
		{name: "a fieldValidation nobody knows", method: "POST", path: inDemo + "?fieldValidation=Maybe", body: configMap("x", ""), code: 422, says: "fieldValidation"},
		{name: "a fieldManager that is too long", method: "POST", path: inDemo + "?fieldManager=" + strings.Repeat("m", 129), body: configMap("x", ""), code: 422, says: "fieldManager"},
		{name: "another name in the body", method: "PUT", path: inDemo + "/taken", body: configMap("x", ""), code: 400, says: "the name of the object (x) does not match the name on the URL (taken)"},
		{name: "an update of what is missing", method: "PUT", path: inDemo + "/missing", body: configMap("missing", ""), code: 404},
		{name: "an update without the version it was made of", method: "PUT", path: "/api/v1/nodes/n1", body: `{"metadata":{"name":"n1","labels":{"a":"b"}}}`, code: 422, says: "metadata.resourceVersion: Invalid value: 0: must be specified for an update"},
		{name: "another object of the same name", method: "PUT", path: inDemo + "/taken", body: configMap("taken", `,"uid":"other"`), code: 409, says: "UID in precondition: other"},
		{name: "a bad label selector", method: "GET", path: inDemo + "?labelSelector=a%20in%20b", code: 400},
		{name: "a field nobody selects by", method: "GET", path: inDemo + "?fieldSelector=spec.x%3D1", code: 400, says: "field label not supported: spec.x"},
		{name: "a match without a version", method: "GET", path: inDemo + "?resourceVersionMatch=Exact", code: 422, says: "resourceVersionMatch is forbidden unless resourceVersion is provided"},
		{name: "exactly any version", method: "GET", path: inDemo + "?resourceVersionMatch=Exact&resourceVersion=0", code: 422},
		{name: "initial events of a list", method: "GET", path: inDemo + "?sendInitialEvents=true", code: 422, says: "sendInitialEvents is forbidden for list"},
		{name: "a watch-list without its match", method: "GET", path: inDemo + "?watch=1&sendInitialEvents=true", code: 422, says: "sendInitialEvents requires setting resourceVersionMatch"},
		{name: "a watch from no number", method: "GET", path: inDemo + "?watch=1&resourceVersion=abc", code: 400, says: "invalid resource version"},
		{name: "a watch in YAML", method: "GET", path: inDemo + "?watch=1", headers: []string{"Accept", "application/yaml"}, code: 406},
		{name: "a limit that is no number", method: "GET", path: inDemo + "?limit=x", code: 400},
		{name: "a continue token of ours that is not", method: "GET", path: inDemo + "?continue=abc", code: 400, says: "continue key is not valid"},
		{name: "a patch in no known language", method: "PATCH", path: inDemo + "/taken", body: `{}`, headers: []string{"Content-Type", "application/json"}, code: 415, says: "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json"},
		{name: "a patch that is no patch", method: "PATCH", path: inDemo + "/taken", body: `{}`, headers: []string{"Content-Type", "application/json-patch+json"}, code: 400, says: "error decoding patch"},
		{name: "a JSON patch whose test fails", method: "PATCH", path: inDemo + "/taken", body: `[{"op":"test","path":"/data/a","value":"9"}]`, headers: []string{"Content-Type", "application/json-patch+json"}, code: 422},
		{name: "a JSON patch of too many operations", method: "PATCH", path: inDemo + "/taken", body: "[" + strings.Repeat(`{},`, 10000) + "{}]", headers: []string{"Content-Type", "application/json-patch+json"}, code: 413, says: "10000"},
		{name: "a JSON patch that copies for ever", method: "PATCH", path: inDemo + "/taken", body: `[{"op":"add","path":"/x","value":["twice"]}` + strings.Repeat(`,{"op":"copy","from":"/x","path":"/x/-"}`, 40) + `,{"op":"remove","path":"/x"}]`, headers: []string{"Content-Type", "application/json-patch+json"}, code: 422, says: "copy operations"},
		{name: "a strategic patch of endless lists", method: "PATCH", path: inDemo + "/taken", body: `{"metadata":{"ownerReferences":[{"uid":"1"}` + strings.Repeat(`,{"uid":"1"}`, 4000) + `]}}`, headers: []string{"Content-Type", "application/strategic-merge-patch+json"}, code: 413, says: "too long to be merged"},
		{name: "unknown fields in a strict patch", method: "PATCH", path: inDemo + "/taken?fieldValidation=Strict", body: `{"spec":1}`, headers: []string{"Content-Type", "application/merge-patch+json"}, code: 422, says: `unknown field \"spec\"`},
		{name: "a patch that breaks the type", method: "PATCH", path: inDemo + "/taken", body: `{"data":1}`, headers: []string{"Content-Type", "application/merge-patch+json"}, code: 422},
		{name: "a patch of the version it was not made of", method: "PATCH", path: inDemo + "/taken", body: `{"metadata":{"resourceVersion":"1"}}`, headers: []string{"Content-Type", "application/merge-patch+json"}, code: 409},
		{name: "a patch of what is missing", method: "PATCH", path: "/api/v1/namespaces/demo/services/x", body: `{}`, headers: []string{"Content-Type", "application/merge-patch+json"}, code: 404},
		{name: "force without apply", method: "PATCH", path: inDemo + "/taken?force=true", body: `{}`, headers: []string{"Content-Type", "application/merge-patch+json"}, code: 422, says: "force"},
		{name: "a delete of another object", method: "DELETE", path: inDemo + "/taken", body: `{"preconditions":{"uid":"other"}}`, code: 409, says: "UID in precondition: other"},
		{name: "a delete of two minds", method: "DELETE", path: inDemo + "/taken", body: `{"orphanDependents":true,"propagationPolicy":"Orphan"}`, code: 422, says: "orphanDependents and deletionPropagation cannot be both set"},
		{name: "a delete by options of another kind", method: "DELETE", path: inDemo + "/taken", body: `{"kind":"ConfigMap","apiVersion":"v1"}`, code: 400},
		{name: "a verb the storage lacks", method: "POST", path: "/api/v1/configmaps", body: configMap("x", ""), code: 405},
		{name: "two controllers of one object", method: "POST", path: inDemo, body: configMap("x", `,"ownerReferences":[{"apiVersion":"v1","kind":"A","name":"a","uid":"1","controller":true},{"apiVersion":"v1","kind":"B","name":"b","uid":"2","controller":true}]`), code: 422, says: "controller"},
		{name: "JSON that is nested without end", method: "POST", path: inDemo, body: strings.Repeat(`{"metadata":`, 5000), code: 400},
		{name: "a YAML bomb", method: "POST", path: inDemo, body: "a: &a [x,x,x,x,x,x,x,x,x]\n" + bomb(), headers: []string{"Content-Type", "application/yaml"}, code: 400},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := call(t, srv, test.method, test.path, test.body, test.headers...)
			if a.code != test.code || !strings.Contains(string(a.body), test.says) && !strings.Contains(a.statusMessage(), test.says) {
				t.Errorf("%s %s\n got %d %s\nwant %d %s", test.method, test.path, a.code, a.body, test.code, test.says)
			}
		})
	}
}

func (a *answer) statusMessage() string {
	var s metav1.Status
	if yaml.Unmarshal(a.body, &s) != nil {
		return ""
	}
	return s.Message
}

// bomb is a YAML document whose aliases unfold to a billion elements.
func bomb() string {
	var b strings.Builder
	for c := 'b'; c <= 'j'; c++ {
		fmt.Fprintf(&b, "%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	return b.String()
}

func TestPatches(t *testing.T) {
	tests := []struct {
		name, media, patch string
		want               map[string]string
	}{
		{"a JSON patch", "application/json-patch+json", `[{"op":"add","path":"/data/b","value":"2"},{"op":"copy","from":"/data/a","path":"/data/c"},{"op":"remove","path":"/data/a"}]`, map[string]string{"b": "2", "c": "1"}},
		{"a merge patch", "application/merge-patch+json", `{"data":{"a":null,"b":"2"}}`, map[string]string{"b": "2"}},
		{"a strategic merge patch", "application/strategic-merge-patch+json", `{"data":{"$patch":"replace","b":"2"}}`, map[string]string{"b": "2"}},
		{"a patch that changes nothing", "application/merge-patch+json", `{}`, map[string]string{"a": "1"}},
	}
	srv := server(t, rest.Config{}, open(t, configMaps()))
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			name := fmt.Sprintf("c%d", i)
			var before, after corev1.ConfigMap
			want(t, 201, call(t, srv, "POST", inDemo, configMap(name, ""))).into(t, &before)
			want(t, 200, call(t, srv, "PATCH", inDemo+"/"+name, test.patch, "Content-Type", test.media)).into(t, &after)
			if fmt.Sprint(after.Data) != fmt.Sprint(test.want) {
				t.Errorf("got %v, want %v", after.Data, test.want)
			}
			if same := fmt.Sprint(test.want) == fmt.Sprint(before.Data); same != (before.ResourceVersion == after.ResourceVersion) {
				t.Errorf("resourceVersion %s became %s", before.ResourceVersion, after.ResourceVersion)
			}
		})
	}
}

func TestStatusIsWrittenThroughItsOwnDoor(t *testing.T) {
	srv := server(t, rest.Config{}, open(t, services()))
	const path = "/api/v1/namespaces/demo/services"
	service := func(rv, typ, ip string) string {
		return fmt.Sprintf(`{"metadata":{"name":"s","resourceVersion":%q},"spec":{"type":%q},"status":{"loadBalancer":{"ingress":[{"ip":%q}]}}}`, rv, typ, ip)
	}
	var s corev1.Service
	want(t, 201, call(t, srv, "POST", path, service("", "ClusterIP", "1.1.1.1"))).into(t, &s)
	if len(s.Status.LoadBalancer.Ingress) != 0 || s.Generation != 1 {
		t.Errorf("a new object has status %v and generation %d, want none and 1", s.Status, s.Generation)
	}
	want(t, 200, call(t, srv, "PUT", path+"/s/status", service(s.ResourceVersion, "NodePort", "1.1.1.1"))).into(t, &s)
	if s.Spec.Type != "ClusterIP" || len(s.Status.LoadBalancer.Ingress) != 1 || s.Generation != 1 {
		t.Errorf("after a status update: %+v", s)
	}
	want(t, 200, call(t, srv, "PUT", path+"/s", service(s.ResourceVersion, "NodePort", "2.2.2.2"))).into(t, &s)
	if s.Spec.Type != "NodePort" || s.Status.LoadBalancer.Ingress[0].IP != "1.1.1.1" || s.Generation != 2 {
		t.Errorf("after an update: %+v", s)
	}
	var viaStatus corev1.Service
	want(t, 200, call(t, srv, "GET", path+"/s/status", "")).into(t, &viaStatus)
	if viaStatus.ResourceVersion != s.ResourceVersion {
		t.Errorf("status shows %s, want %s", viaStatus.ResourceVersion, s.ResourceVersion)
	}
	// A kind that may be created by an update is, and says so.
	want(t, 201, call(t, srv, "PUT", path+"/new", `{"metadata":{"name":"new"}}`))
	want(t, 404, call(t, srv, "PUT", path+"/other/status", `{"metadata":{"name":"other"}}`))
	// But not in the place of an object that the client knew and that is gone: a leader must not revive its lease.
	a := want(t, 409, call(t, srv, "PUT", path+"/gone", `{"metadata":{"name":"gone","uid":"u1","resourceVersion":"7"}}`))
	if got := a.status(t).Message; !strings.Contains(got, "UID in precondition: u1") {
		t.Errorf("got %q", got)
	}
}

func TestFinalizersKeepAnObject(t *testing.T) {
	srv := server(t, rest.Config{}, open(t, configMaps()))
	want(t, 201, call(t, srv, "POST", inDemo, configMap("kept", `,"finalizers":["example.com/keep"]`)))
	var c corev1.ConfigMap
	want(t, 200, call(t, srv, "DELETE", inDemo+"/kept", "")).into(t, &c)
	if c.DeletionTimestamp == nil || c.DeletionGracePeriodSeconds == nil || *c.DeletionGracePeriodSeconds != 0 {
		t.Fatalf("after a delete: %+v", c.ObjectMeta)
	}
	version := c.ResourceVersion
	want(t, 200, call(t, srv, "DELETE", inDemo+"/kept", "")).into(t, &c)
	if c.ResourceVersion != version {
		t.Errorf("deleting again made version %s of %s", c.ResourceVersion, version)
	}
	want(t, 202, call(t, srv, "DELETE", inDemo+"/kept?orphanDependents=false", ""))
	a := want(t, 409, call(t, srv, "POST", inDemo, configMap("kept", "")))
	if got := a.status(t).Message; got != `object is being deleted: configmaps "kept" already exists` {
		t.Errorf("got %q", got)
	}
	a = want(t, 422, call(t, srv, "PATCH", inDemo+"/kept", `{"metadata":{"finalizers":["example.com/keep","example.com/new"]}}`, "Content-Type", "application/merge-patch+json"))
	if !strings.Contains(string(a.body), "no new finalizers can be added if the object is being deleted") {
		t.Errorf("got %s", a.body)
	}
	want(t, 200, call(t, srv, "PATCH", inDemo+"/kept", `{"metadata":{"finalizers":null}}`, "Content-Type", "application/merge-patch+json"))
	want(t, 404, call(t, srv, "GET", inDemo+"/kept", ""))

	want(t, 201, call(t, srv, "POST", inDemo, configMap("owner", "")))
	want(t, 200, call(t, srv, "DELETE", inDemo+"/owner", `{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Foreground"}`)).into(t, &c)
	if len(c.Finalizers) != 1 || c.Finalizers[0] != "foregroundDeletion" {
		t.Errorf("got finalizers %v", c.Finalizers)
	}
}

func TestDryRunStoresNothing(t *testing.T) {
	srv := server(t, rest.Config{}, open(t, configMaps()))
	want(t, 201, call(t, srv, "POST", inDemo+"?dryRun=All", configMap("x", "")))
	want(t, 404, call(t, srv, "GET", inDemo+"/x", ""))
	want(t, 201, call(t, srv, "POST", inDemo, configMap("x", "")))
	want(t, 409, call(t, srv, "POST", inDemo+"?dryRun=All", configMap("x", "")))
	want(t, 200, call(t, srv, "PATCH", inDemo+"/x?dryRun=All", `{"data":{"a":"9"}}`, "Content-Type", "application/merge-patch+json"))
	want(t, 200, call(t, srv, "DELETE", inDemo+"/x?dryRun=All", ""))
	var c corev1.ConfigMap
	want(t, 200, call(t, srv, "GET", inDemo+"/x", "")).into(t, &c)
	if c.Data["a"] != "1" {
		t.Errorf("a dry run has written %v", c.Data)
	}
}

func TestGeneratedNames(t *testing.T) {
	srv := server(t, rest.Config{}, open(t, configMaps()))
	names := map[string]bool{}
	for range 20 {
		var c corev1.ConfigMap
		want(t, 201, call(t, srv, "POST", inDemo, `{"metadata":{"generateName":"gen-"}}`)).into(t, &c)
		if !strings.HasPrefix(c.Name, "gen-") || len(c.Name) != len("gen-")+5 || names[c.Name] {
			t.Fatalf("got name %q", c.Name)
		}
		names[c.Name] = true
	}
}

func TestDeleteCollection(t *testing.T) {
	srv := server(t, rest.Config{}, open(t, configMaps()))
	for i := range 5 {
		want(t, 201, call(t, srv, "POST", inDemo, configMap(fmt.Sprintf("c%d", i), fmt.Sprintf(`,"labels":{"odd":"%d"}`, i%2))))
	}
	want(t, 201, call(t, srv, "POST", "/api/v1/namespaces/other/configmaps", configMap("c9", "")))
	var list corev1.ConfigMapList
	want(t, 200, call(t, srv, "DELETE", inDemo+"?labelSelector=odd%3D1&limit=1", "")).into(t, &list)
	if len(list.Items) != 2 || list.Kind != "ConfigMapList" {
		t.Errorf("deleted %d, want 2", len(list.Items))
	}
	want(t, 200, call(t, srv, "GET", "/api/v1/configmaps", "")).into(t, &list)
	if len(list.Items) != 4 {
		t.Errorf("left %d, want 4", len(list.Items))
	}
}

func TestWarnings(t *testing.T) { // without a handler.Request there is nowhere to put them: they must not fail
	srv := server(t, rest.Config{}, open(t, configMaps()))
	want(t, http.StatusCreated, call(t, srv, "POST", inDemo, `{"metadata":{"name":"w"},"spec":1}`))
}
