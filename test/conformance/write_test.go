package conformance

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	jsonPatch      = "application/json-patch+json"
	mergePatch     = "application/merge-patch+json"
	strategicPatch = "application/strategic-merge-patch+json"
)

func patch(path, contentType, body string) exchange {
	return exchange{method: "PATCH", path: path, body: body, header: map[string]string{"Content-Type": contentType}}
}

func TestACreateIsSettledByTheServer(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		r := s.must(t, 201, exchange{method: "POST", path: maps, body: `{"metadata":{"name":"one","uid":"mine","creationTimestamp":"2001-01-01T00:00:00Z",
			"deletionTimestamp":"2001-01-01T00:00:00Z","deletionGracePeriodSeconds":5,"generation":7,"selfLink":"/x"},"data":{"a":"b"}}`})
		got := r.object(t)
		if got.GetUID() == "" || got.GetUID() == "mine" || got.GetCreationTimestamp().Year() == 2001 || got.GetDeletionTimestamp() != nil ||
			got.GetDeletionGracePeriodSeconds() != nil || got.GetGeneration() != 0 || got.GetSelfLink() != "" || got.GetResourceVersion() == "" ||
			got.GetNamespace() != namespace || got.GetKind() != "ConfigMap" || got.GetAPIVersion() != "v1" {
			t.Errorf("got %s", r.body)
		}
		if read := s.must(t, 200, exchange{path: maps + "/one"}); read.object(t).GetResourceVersion() != got.GetResourceVersion() {
			t.Errorf("the answer of the create was %s, a read shows %s", r.body, read.body)
		}
	})
}

func TestAWriteThatCannotBeIsRefused(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps, leases := collection(namespace, "configmaps"), "/apis/coordination.k8s.io/v1/namespaces/"+namespace+"/leases"
		stale := s.put(t, namespace, "one", "first", "")
		s.put(t, namespace, "one", "second", "")
		s.must(t, 201, exchange{method: "POST", path: leases, body: `{"metadata":{"name":"one"}}`})
		const modified = "the object has been modified; please apply your changes to the latest version and try again"
		bad, conflict, invalid := metav1.StatusReasonBadRequest, metav1.StatusReasonConflict, metav1.StatusReasonInvalid
		one := maps + "/one"
		for _, c := range []struct {
			name string
			x    exchange
			want failure
		}{
			{"create: a resourceVersion", exchange{method: "POST", path: maps, body: `{"metadata":{"name":"a","resourceVersion":"1"}}`}, failure{500, "", "resourceVersion should not be set on objects to be created"}},
			{"create: another namespace", exchange{method: "POST", path: maps, body: `{"metadata":{"name":"a","namespace":"b"}}`}, failure{400, bad, "the namespace of the provided object does not match the namespace sent on the request"}},
			{"create: no name", exchange{method: "POST", path: maps, body: `{"metadata":{}}`}, failure{422, invalid, "name or generateName is required"}},
			{"create: a bad name", exchange{method: "POST", path: maps, body: `{"metadata":{"name":"A_b"}}`}, failure{422, invalid, `ConfigMap "A_b" is invalid: metadata.name: Invalid value: "A_b"`}},
			{"create: a bad label", exchange{method: "POST", path: maps, body: `{"metadata":{"name":"a","labels":{"a b":"c"}}}`}, failure{422, invalid, "metadata.labels"}},
			{"create: a name that is taken", exchange{method: "POST", path: maps, body: `{"metadata":{"name":"one"}}`}, failure{409, metav1.StatusReasonAlreadyExists, `configmaps "one" already exists`}},
			{"create: no such namespace", exchange{method: "POST", path: collection("nowhere", "configmaps"), body: `{"metadata":{"name":"a"}}`}, failure{404, metav1.StatusReasonNotFound, `namespaces "nowhere" not found`}},
			{"create: two controllers", exchange{method: "POST", path: maps, body: `{"metadata":{"name":"a","ownerReferences":[
				{"apiVersion":"v1","kind":"ConfigMap","name":"x","uid":"1","controller":true},{"apiVersion":"v1","kind":"ConfigMap","name":"y","uid":"2","controller":true}]}}`}, failure{422, invalid, "Only one reference can have Controller set to true"}},
			{"create: across all namespaces", exchange{method: "POST", path: "/api/v1/configmaps", body: `{"metadata":{"name":"a"}}`}, failure{405, metav1.StatusReasonMethodNotAllowed, ""}},
			{"create: at an object's path", exchange{method: "POST", path: one, body: `{"metadata":{"name":"one"}}`}, failure{405, metav1.StatusReasonMethodNotAllowed, ""}},
			{"create: an unknown manager's name", exchange{method: "POST", path: maps + "?fieldManager=" + strings.Repeat("m", 129), body: `{"metadata":{"name":"a"}}`}, failure{422, invalid, "fieldManager"}},
			{"create: half dry", exchange{method: "POST", path: maps + "?dryRun=Some", body: `{"metadata":{"name":"a"}}`}, failure{422, invalid, "dryRun"}},
			{"create: a validation that is none", exchange{method: "POST", path: maps + "?fieldValidation=Hard", body: `{"metadata":{"name":"a"}}`}, failure{422, invalid, "fieldValidation"}},
			{"update: stale", exchange{method: "PUT", path: one, body: `{"metadata":{"name":"one","resourceVersion":"` + stale + `"}}`}, failure{409, conflict, `Operation cannot be fulfilled on configmaps "one": ` + modified}},
			{"update: another name", exchange{method: "PUT", path: one, body: `{"metadata":{"name":"two"}}`}, failure{400, bad, "the name of the object (two) does not match the name on the URL (one)"}},
			{"update: no name", exchange{method: "PUT", path: one, body: `{"metadata":{}}`}, failure{400, bad, "name must be provided"}},
			{"update: another namespace", exchange{method: "PUT", path: one, body: `{"metadata":{"name":"one","namespace":"b"}}`}, failure{400, bad, "does not match the namespace on the request"}},
			{"update: another object of that name", exchange{method: "PUT", path: one, body: `{"metadata":{"name":"one","uid":"other"}}`}, failure{409, conflict, "Precondition failed: UID in precondition: other"}},
			{"update: nothing there", exchange{method: "PUT", path: maps + "/none", body: `{"metadata":{"name":"none"}}`}, failure{404, metav1.StatusReasonNotFound, `configmaps "none" not found`}},
			{"update: no number", exchange{method: "PUT", path: one, body: `{"metadata":{"name":"one","resourceVersion":"old"}}`}, failure{422, invalid, "resourceVersion"}},
			{"update: a lease without a resourceVersion", exchange{method: "PUT", path: leases + "/one", body: `{"metadata":{"name":"one"}}`}, failure{422, invalid, "metadata.resourceVersion: Invalid value: 0: must be specified for an update"}},
			{"update: a deletion's time", exchange{method: "PUT", path: one, body: `{"metadata":{"name":"one","deletionTimestamp":"2001-01-01T00:00:00Z"}}`}, failure{422, invalid, "metadata.deletionTimestamp"}},
			{"patch: nothing there", patch(maps+"/none", mergePatch, `{}`), failure{404, metav1.StatusReasonNotFound, `configmaps "none" not found`}},
			{"patch: an unknown language", patch(one, "application/x-patch", `{}`), failure{415, metav1.StatusReasonUnsupportedMediaType, "application/merge-patch+json"}},
			{"patch: half of a JSON patch", patch(one, jsonPatch, `[{"op":`), failure{400, bad, ""}},
			{"patch: half of a merge patch", patch(one, mergePatch, `{"data":`), failure{400, bad, ""}},
			{"patch: half of a strategic patch", patch(one, strategicPatch, `{"data":`), failure{400, bad, ""}},
			{"patch: a test that fails", patch(one, jsonPatch, `[{"op":"test","path":"/data/value","value":"other"}]`), failure{422, invalid, ""}},
			{"patch: a path that is not there", patch(one, jsonPatch, `[{"op":"remove","path":"/data/none"}]`), failure{422, invalid, ""}},
			{"patch: stale", patch(one, mergePatch, `{"metadata":{"resourceVersion":"`+stale+`"}}`), failure{409, conflict, modified}},
			{"patch: the name", patch(one, mergePatch, `{"metadata":{"name":"two"}}`), failure{400, bad, "does not match the name on the URL"}},
			{"patch: into another kind of value", patch(one, mergePatch, `{"data":{"value":7}}`), failure{422, invalid, ""}},
			{"patch: by force", patch(one+"?force=true", mergePatch, `{}`), failure{422, invalid, "force"}},
			{"patch: too much", patch(one, jsonPatch, "["+strings.Repeat(`{"op":"test","path":"/kind","value":"ConfigMap"},`, 10000)+`{"op":"test","path":"/kind","value":"ConfigMap"}]`), failure{413, metav1.StatusReasonRequestEntityTooLarge, "the allowed maximum operations in a JSON patch is 10000"}},
		} {
			t.Run(c.name, func(t *testing.T) { s.expectFailure(t, c.x, c.want) })
		}
		if got := s.must(t, 200, exchange{path: one}).object(t); got.Object["data"].(map[string]any)["value"] != "second" {
			t.Errorf("a write that was refused changed the object to %v", got.Object)
		}
	})
}

func TestAnUpdateReplaces(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		created := s.must(t, 201, exchange{method: "POST", path: maps, body: configMap("one", "first", `"a":"b"`)}).object(t)
		put := func(body string) *frame {
			t.Helper()
			return &frame{Object: s.must(t, 200, exchange{method: "PUT", path: maps + "/one", body: body}).object(t)}
		}
		same := put(configMap("one", "first", `"a":"b"`)).Object
		if same.GetResourceVersion() != created.GetResourceVersion() {
			t.Errorf("an update that changes nothing: resourceVersion %s became %s", created.GetResourceVersion(), same.GetResourceVersion())
		}
		changed := put(`{"metadata":{"name":"one","creationTimestamp":"2001-01-01T00:00:00Z","resourceVersion":"` + created.GetResourceVersion() + `"},"data":{"other":"x"}}`).Object
		if changed.GetUID() != created.GetUID() || changed.GetCreationTimestamp() != created.GetCreationTimestamp() || len(changed.GetLabels()) != 0 || !less(created.GetResourceVersion(), changed.GetResourceVersion()) {
			t.Errorf("got %v after %v", changed.Object, created.Object)
		}
		if data := changed.Object["data"].(map[string]any); len(data) != 1 || data["other"] != "x" {
			t.Errorf("the data: got %v", data)
		}
		leases := "/apis/coordination.k8s.io/v1/namespaces/" + namespace + "/leases"
		s.must(t, 201, exchange{method: "PUT", path: leases + "/made", body: `{"metadata":{"name":"made"}}`})
		s.must(t, 201, exchange{method: "PUT", path: leases + "/made-again", body: `{"metadata":{"name":"made-again","resourceVersion":"77"}}`})
		s.must(t, 200, exchange{path: leases + "/made"})
	})
}

func TestAStatusHasADoorOfItsOwn(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		services := collection(namespace, "services")
		const spec = `"spec":{"ports":[{"port":80}]}`
		const status = `"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.1"}]}}`
		addresses := func(r reply) int {
			ingress, _ := r.object(t).Object["status"].(map[string]any)["loadBalancer"].(map[string]any)["ingress"].([]any)
			return len(ingress)
		}
		if r := s.must(t, 201, exchange{method: "POST", path: services, body: `{"metadata":{"name":"one"},` + spec + `,` + status + `}`}); addresses(r) != 0 {
			t.Errorf("a create took a status: %s", r.body)
		}
		r := s.must(t, 200, exchange{method: "PUT", path: services + "/one/status", body: `{"metadata":{"name":"one","labels":{"a":"b"}},"spec":{"ports":[{"port":81}]},` + status + `}`})
		if addresses(r) != 1 || strings.Contains(string(r.body), `"port":81`) {
			t.Errorf("an update of the status: got %s", r.body)
		}
		r = s.must(t, 200, patch(services+"/one", mergePatch, `{"metadata":{"labels":{"c":"d"}},"status":{"loadBalancer":null}}`))
		if addresses(r) != 1 || r.object(t).GetLabels()["c"] != "d" {
			t.Errorf("a patch of the object: got %s", r.body)
		}
		r = s.must(t, 200, patch(services+"/one/status", mergePatch, `{"status":{"loadBalancer":{"ingress":null}}}`))
		if addresses(r) != 0 {
			t.Errorf("a patch of the status: got %s", r.body)
		}
		s.must(t, 200, exchange{path: services + "/one/status"})
		s.must(t, 404, exchange{path: services + "/one/none"})
	})
}

func TestAPatchChangesWhatItNames(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps, services := collection(namespace, "configmaps"), collection(namespace, "services")
		s.put(t, namespace, "one", "first", `"a":"b"`)
		for _, c := range []struct{ name, contentType, body, want string }{
			{"merge: a value", mergePatch, `{"data":{"x":"1"}}`, `"data":{"value":"first","x":"1"}`},
			{"merge: null removes", mergePatch, `{"data":{"value":null}}`, `"data":{"x":"1"}`},
			{"JSON: add and copy", jsonPatch, `[{"op":"add","path":"/data/y","value":"2"},{"op":"copy","from":"/data/y","path":"/data/z"}]`, `"data":{"x":"1","y":"2","z":"2"}`},
			{"JSON: test, then remove", jsonPatch, `[{"op":"test","path":"/data/x","value":"1"},{"op":"remove","path":"/data/x"}]`, `"data":{"y":"2","z":"2"}`},
			{"JSON: an escaped path", jsonPatch, `[{"op":"add","path":"/metadata/annotations","value":{}},{"op":"add","path":"/metadata/annotations/example.com~1a","value":"b"}]`, `"example.com/a":"b"`},
			{"strategic: a value", strategicPatch, `{"data":{"y":null,"v":"3"}}`, `"data":{"v":"3","z":"2"}`},
			{"strategic: replace", strategicPatch, `{"data":{"$patch":"replace","only":"1"}}`, `"data":{"only":"1"}`},
		} {
			r := s.must(t, 200, patch(maps+"/one", c.contentType, c.body))
			if !strings.Contains(string(r.body), c.want) {
				t.Errorf("%s: got %s, want %s", c.name, r.body, c.want)
			}
		}
		// Lists with keys are merged by a strategic patch, replaced by a merge patch.
		s.must(t, 201, exchange{method: "POST", path: services, body: `{"metadata":{"name":"one"},"spec":{"ports":[{"name":"a","port":80},{"name":"b","port":81}]}}`})
		ports := func(r reply) int {
			list, _ := r.object(t).Object["spec"].(map[string]any)["ports"].([]any)
			return len(list)
		}
		if r := s.must(t, 200, patch(services+"/one", strategicPatch, `{"spec":{"ports":[{"name":"c","port":82}]}}`)); ports(r) != 3 {
			t.Errorf("a strategic patch of a list: got %s", r.body)
		}
		if r := s.must(t, 200, patch(services+"/one", mergePatch, `{"spec":{"ports":[{"name":"d","port":83}]}}`)); ports(r) != 1 {
			t.Errorf("a merge patch of a list: got %s", r.body)
		}
		before := s.must(t, 200, exchange{path: maps + "/one"}).object(t)
		if r := s.must(t, 200, patch(maps+"/one", mergePatch, `{"data":{"only":"1"}}`)); r.object(t).GetResourceVersion() != before.GetResourceVersion() {
			t.Errorf("a patch that changes nothing: got %s after %s", r.body, before.GetResourceVersion())
		}
	})
}

func TestPatchesAtTheSameTimeAllCount(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		s.put(t, namespace, "one", "first", "")
		var patching sync.WaitGroup
		codes := make([]int, 24)
		for i := range codes {
			patching.Go(func() {
				codes[i] = s.do(t, patch(maps+"/one", mergePatch, fmt.Sprintf(`{"data":{"key-%d":"x"}}`, i))).code
			})
		}
		patching.Wait()
		data := s.must(t, 200, exchange{path: maps + "/one"}).object(t).Object["data"].(map[string]any)
		if len(data) != len(codes)+1 {
			t.Errorf("got the codes %v and %d keys, want %d", codes, len(data), len(codes)+1)
		}
	})
}

func TestAGeneratedNameIsFree(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		form := regexp.MustCompile(`^base-[bcdfghjklmnpqrstvwxz2456789]{5}$`)
		seen := map[string]bool{}
		for range 5 {
			name := s.must(t, 201, exchange{method: "POST", path: maps, body: `{"metadata":{"generateName":"base-"}}`}).object(t).GetName()
			if !form.MatchString(name) || seen[name] {
				t.Errorf("got the name %q, seen %v", name, seen)
			}
			seen[name] = true
		}
		long := s.must(t, 201, exchange{method: "POST", path: maps, body: `{"metadata":{"generateName":"` + strings.Repeat("a", 80) + `"}}`}).object(t).GetName()
		if len(long) != 63 {
			t.Errorf("a long base became a name of %d characters, want 63", len(long))
		}
		both := s.must(t, 201, exchange{method: "POST", path: maps, body: `{"metadata":{"name":"given","generateName":"base-"}}`}).object(t).GetName()
		if both != "given" {
			t.Errorf("name and generateName: got %q, want the name", both)
		}
		s.expectFailure(t, exchange{method: "POST", path: maps, body: `{"metadata":{"generateName":"Base_"}}`}, failure{422, metav1.StatusReasonInvalid, "metadata.generateName"})
	})
}

func TestFieldsThatAreUnknownOrDouble(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		s.put(t, namespace, "one", "first", "")
		const unknown = `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"%s","colour":"red"},"data":{"a":"1","a":"2"},"dota":{}}`
		problems := []string{`unknown field "dota"`, `unknown field "metadata.colour"`, `duplicate field "data.a"`}
		const yamlBody = "metadata:\n  name: %s\n  colour: red\ndota: {}\ndata:\n  a: '2'\n"
		merge := `{"metadata":{"colour":"red"},"dota":{}}`
		for _, c := range []struct {
			name     string
			x        exchange // its path ends in a query
			ok       int
			strict   int
			problems []string
		}{
			{"create", exchange{method: "POST", path: maps + "?", body: fmt.Sprintf(unknown, "%s")}, 201, 400, problems},
			{"create in YAML", exchange{method: "POST", path: maps + "?", body: yamlBody, header: map[string]string{"Content-Type": mediaYAML}}, 201, 400, problems[:2]},
			{"update", exchange{method: "PUT", path: maps + "/one?", body: fmt.Sprintf(unknown, "one")}, 200, 400, problems},
			{"merge patch", patch(maps+"/one?", mergePatch, merge), 200, 422, problems[:2]},
			{"strategic patch", patch(maps+"/one?", strategicPatch, merge), 200, 422, problems[:2]},
			{"JSON patch", patch(maps+"/one?", jsonPatch, `[{"op":"add","path":"/dota","value":{}},{"op":"add","path":"/metadata/colour","value":"red"}]`), 200, 422, problems[:2]},
		} {
			send := func(validation string) reply {
				x := c.x
				x.path += "fieldValidation=" + validation
				if strings.Contains(x.body, "%s") {
					x.body = fmt.Sprintf(x.body, strings.ToLower(strings.ReplaceAll(c.name, " ", "-")+"-x"+validation))
				}
				return s.do(t, x)
			}
			t.Run(c.name, func(t *testing.T) {
				for _, validation := range []string{"", "Warn"} {
					r := send(validation)
					got := slices.Clone(r.header["Warning"])
					want := []string{}
					for _, problem := range c.problems {
						want = append(want, fmt.Sprintf("299 - %q", problem))
					}
					slices.Sort(got)
					slices.Sort(want)
					if r.code != c.ok || !slices.Equal(got, want) {
						t.Errorf("validation %q: got %d with the warnings %q, want %d with %q: %s", validation, r.code, got, c.ok, want, cut(r.body))
					}
				}
				if r := send("Ignore"); r.code != c.ok || len(r.header["Warning"]) != 0 {
					t.Errorf("Ignore: got %d with the warnings %q, want %d with none", r.code, r.header["Warning"], c.ok)
				}
				r := send("Strict")
				if r.code != c.strict || !strings.Contains(r.status(t).Message, "strict decoding error: ") {
					t.Errorf("Strict: got %s, want a %d", cut(r.body), c.strict)
				}
				for _, problem := range c.problems {
					if !strings.Contains(r.status(t).Message, problem) {
						t.Errorf("Strict: got %q, want it to name %q", r.status(t).Message, problem)
					}
				}
			})
		}
	})
}

func TestDoubleOwnersAreDroppedWithAWarning(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		const owner = `{"apiVersion":"v1","kind":"ConfigMap","name":"x","uid":"1"}`
		r := s.must(t, 201, exchange{method: "POST", path: collection(namespace, "configmaps"), body: `{"metadata":{"name":"one","ownerReferences":[` + owner + `,` + owner + `]}}`})
		if len(r.object(t).GetOwnerReferences()) != 1 || !strings.Contains(r.header.Get("Warning"), "metadata.ownerReferences contains duplicate entries") {
			t.Errorf("got %s with the warning %q", r.body, r.header.Get("Warning"))
		}
	})
}

func TestADryRunStoresNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		version := s.put(t, namespace, "one", "first", `"dry":"yes"`)
		s.must(t, 201, exchange{method: "POST", path: maps, body: `{"metadata":{"name":"held","finalizers":["example.com/hold"]}}`})
		const dry = "?dryRun=All"

		made := s.must(t, 201, exchange{method: "POST", path: maps + dry, body: configMap("two", "first", "")}).object(t)
		if made.GetUID() == "" || made.GetCreationTimestamp().Year() < 2000 || made.GetResourceVersion() != "" {
			t.Errorf("create: got %v", made.Object)
		}
		s.must(t, 404, exchange{path: maps + "/two"})
		if name := s.must(t, 201, exchange{method: "POST", path: maps + dry, body: `{"metadata":{"generateName":"base-"}}`}).object(t).GetName(); !strings.HasPrefix(name, "base-") || len(name) != 10 {
			t.Errorf("create with generateName: got the name %q", name)
		}
		s.expectFailure(t, exchange{method: "POST", path: maps + dry, body: configMap("one", "", "")}, failure{409, metav1.StatusReasonAlreadyExists, "already exists"})
		s.expectFailure(t, exchange{method: "POST", path: maps + dry, body: `{"metadata":{"name":"A_b"}}`}, failure{422, metav1.StatusReasonInvalid, "metadata.name"})

		for name, x := range map[string]exchange{
			"update":       {method: "PUT", path: maps + "/one" + dry, body: configMap("one", "dry", "")},
			"merge patch":  patch(maps+"/one"+dry, mergePatch, `{"data":{"value":"dry"}}`),
			"JSON patch":   patch(maps+"/one"+dry, jsonPatch, `[{"op":"replace","path":"/data/value","value":"dry"}]`),
			"strategic":    patch(maps+"/one"+dry, strategicPatch, `{"data":{"value":"dry"}}`),
			"delete":       {method: "DELETE", path: maps + "/one" + dry},
			"delete, body": {method: "DELETE", path: maps + "/one", body: `{"kind":"DeleteOptions","apiVersion":"v1","dryRun":["All"]}`},
			"delete, held": {method: "DELETE", path: maps + "/held" + dry},
			"collection":   {method: "DELETE", path: maps + dry + "&labelSelector=dry"},
		} {
			r := s.must(t, 200, x)
			if (x.method == "PUT" || x.method == "PATCH") && !strings.Contains(string(r.body), `"value":"dry"`) {
				t.Errorf("%s: got %s", name, cut(r.body))
			}
			if name == "delete, held" && r.object(t).GetDeletionTimestamp() == nil {
				t.Errorf("%s: got %s", name, cut(r.body))
			}
			if got := s.must(t, 200, exchange{path: maps + "/one"}).object(t).GetResourceVersion(); got != version {
				t.Errorf("%s changed the object", name)
			}
		}
		if held := s.must(t, 200, exchange{path: maps + "/held"}).object(t); held.GetDeletionTimestamp() != nil {
			t.Error("a dry delete began a deletion")
		}
		leases := "/apis/coordination.k8s.io/v1/namespaces/" + namespace + "/leases/made"
		s.must(t, 201, exchange{method: "PUT", path: leases + dry, body: `{"metadata":{"name":"made"}}`})
		s.must(t, 404, exchange{path: leases})
	})
}
