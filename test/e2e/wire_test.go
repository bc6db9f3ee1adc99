package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// What a client sees of bad requests: a Status with the contract's code and reason, never a
// redirect, a panic or an internal error.
func TestBadRequestsGetTheirStatus(t *testing.T) {
	p := startPortico(t)
	client := p.client(t)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	const maps = "/api/v1/namespaces/default/configmaps"
	for _, c := range []struct {
		name, method, path, contentType, body string
		code                                  int
		reason                                string // "" where the contract has no Status
	}{
		{"a malformed body", "POST", maps, "application/json", `{"kind":`, 400, "BadRequest"},
		{"another kind", "POST", maps, "application/json", `{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"}}`, 400, "BadRequest"},
		{"another namespace", "POST", maps, "application/json", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","namespace":"other"}}`, 400, "BadRequest"},
		{"no name", "POST", maps, "application/json", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{}}`, 422, "Invalid"},
		{"a bad name", "POST", maps, "application/json", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"A B"}}`, 422, "Invalid"},
		{"an unknown content type", "POST", maps, "text/csv", `a,b`, 415, "UnsupportedMediaType"},
		{"an oversized body", "POST", maps, "application/json", `{"data":{"a":"` + strings.Repeat("a", 3<<20) + `"}}`, 413, "RequestEntityTooLarge"},
		{"a namespace that is not there", "POST", "/api/v1/namespaces/nowhere/configmaps", "application/json", `{"metadata":{"name":"a"}}`, 404, "NotFound"},
		{"a bad label selector", "GET", maps + "?labelSelector=a%3D%3D%3Db", "", "", 400, "BadRequest"},
		{"a bad field selector", "GET", maps + "?fieldSelector=nope%3D1", "", "", 400, "BadRequest"},
		{"a bad limit", "GET", maps + "?limit=many", "", "", 400, "BadRequest"},
		{"a bad continue token", "GET", maps + "?continue=nonsense", "", "", 400, "BadRequest"},
		{"a bad timeout", "GET", maps + "?timeout=soon", "", "", 400, "BadRequest"},
		{"a bad resource version", "GET", maps + "?resourceVersion=old", "", "", 400, "BadRequest"},
		{"an object that is not there", "GET", maps + "/nothing", "", "", 404, "NotFound"},
		{"a resource that is not there", "GET", "/api/v1/widgets", "", "", 404, "NotFound"},
		{"a verb that is not there", "PUT", "/api/v1/namespaces/default/configmaps", "application/json", `{}`, 405, "MethodNotAllowed"},
		{"an answer nobody can write", "GET", "GETAS:image/png " + maps, "", "", 406, "NotAcceptable"},
		{"double slashes", "GET", "/api/v1//configmaps", "", "", 404, "NotFound"},
		{"dots as a namespace", "GET", "/api/v1/namespaces/../configmaps", "", "", 404, "NotFound"},
		{"dots as a name", "GET", maps + "/..", "", "", 404, "NotFound"},
		{"dots at a root", "GET", "/api/../apis", "", "", 404, "NotFound"},
		{"an escaped percent sign as a name", "GET", maps + "/%25", "", "", 404, "NotFound"},
		{"an escaped slash that separates", "GET", maps + "%2Fnothing", "", "", 404, "NotFound"},
		{"a very long name", "GET", maps + "/" + strings.Repeat("a", 4000), "", "", 404, "NotFound"},
		{"an unknown root", "GET", "/nowhere", "", "", 404, ""},
		{"an unknown group", "GET", "/apis/nowhere.example.com/v1/things", "", "", 404, ""},
		{"no root of ours", "GET", "/apix", "", "", 404, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			accept := ""
			path := c.path
			if as, rest, ok := strings.Cut(path, " "); ok {
				accept, path = strings.TrimPrefix(as, "GETAS:"), rest
			}
			request, err := http.NewRequest(c.method, p.url+path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if c.contentType != "" {
				request.Header.Set("Content-Type", c.contentType)
			}
			if accept != "" {
				request.Header.Set("Accept", accept)
			}
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, _ := io.ReadAll(response.Body)
			if response.StatusCode != c.code {
				t.Fatalf("%s %s: got %d, want %d: %s", c.method, tail(path, 80), response.StatusCode, c.code, tail(string(body), 500))
			}
			if c.reason == "" {
				return
			}
			var status struct {
				Kind, APIVersion, Status, Reason, Message string
				Code                                      int
			}
			if err := json.Unmarshal(body, &status); err != nil {
				t.Fatalf("the answer is no JSON: %v: %s", err, tail(string(body), 500))
			}
			if status.Kind != "Status" || status.APIVersion != "v1" || status.Status != "Failure" || status.Reason != c.reason || status.Code != c.code || status.Message == "" {
				t.Errorf("%s %s: got %+v, want a Status of %d %s", c.method, tail(path, 80), status, c.code, c.reason)
			}
		})
	}
}

func TestNobodyIsLetInWithoutACredential(t *testing.T) {
	p := startPortico(t)
	anonymous := p.clientWith(t, nil)
	for path, want := range map[string]int{
		"/healthz": 200, "/livez": 200, "/readyz": 200, "/version": 200,
		"/": 401, "/api": 401, "/apis": 401, "/metrics": 401, "/api/v1/namespaces": 401, "/nowhere": 401, "/debug/pprof/": 401,
	} {
		if code, body := fetch(t, anonymous, p.url+path); code != want {
			t.Errorf("anonymous GET %s: got %d, want %d: %s", path, code, want, tail(body, 300))
		}
	}
	request, _ := http.NewRequest("GET", p.url+"/healthz", nil)
	request.Header.Set("Authorization", "Bearer stale")
	response, err := anonymous.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != 401 {
		t.Errorf("a stale token on /healthz: got %d, want 401 (never anonymous)", response.StatusCode)
	}
}

func TestAUserMayDoWhatRBACSays(t *testing.T) {
	p := startPortico(t)
	p.kubectl(t, "create", "rolebinding", "bob-views", "--clusterrole=view", "--user=bob")
	bob := p.as(t, "bob")
	bob.untilKubectl(t, "yes", "auth", "can-i", "list", "configmaps")
	for _, c := range []struct{ verb, resource, want string }{
		{"get", "configmaps", "yes"}, {"create", "configmaps", "no"}, {"get", "secrets", "no"}, {"delete", "namespaces", "no"},
	} {
		if out, _, _ := bob.tryKubectl(t, "", "auth", "can-i", c.verb, c.resource); strings.TrimSpace(out) != c.want {
			t.Errorf("bob: can-i %s %s: got %q, want %s", c.verb, c.resource, out, c.want)
		}
	}
	_, errs, _ := bob.tryKubectl(t, "", "get", "secrets")
	if want := `secrets is forbidden: User "bob" cannot list resource "secrets" in API group "" in the namespace "default"`; !strings.Contains(errs, want) {
		t.Errorf("got %q, want %q", errs, want)
	}
	if out := p.kubectl(t, "auth", "whoami", "--as", "carol", "--as-group", "dev"); !strings.Contains(out, "carol") || !strings.Contains(out, "dev") {
		t.Errorf("impersonating carol:\n%s", out)
	}
	if _, errs, err := bob.tryKubectl(t, "", "get", "configmaps", "--as", "root"); err == nil || !strings.Contains(errs, "cannot impersonate") {
		t.Errorf("bob impersonates root: %v %s", err, errs)
	}
}

// A PUT that would create needs the verb create too, or update would be enough to make new roles.
func TestAnUpdateThatCreatesNeedsCreate(t *testing.T) {
	p := startPortico(t)
	p.kubectl(t, "create", "role", "updater", "--verb=get,update", "--resource=leases.coordination.k8s.io")
	p.kubectl(t, "create", "rolebinding", "erin-updates", "--role=updater", "--user=erin")
	erin := p.as(t, "erin")
	erin.untilKubectl(t, "yes", "auth", "can-i", "update", "leases.coordination.k8s.io")
	const lease = `{"apiVersion":"coordination.k8s.io/v1","kind":"Lease","metadata":{"name":"new","namespace":"default"}}`
	put := func(client *http.Client) int {
		request, _ := http.NewRequest("PUT", p.url+"/apis/coordination.k8s.io/v1/namespaces/default/leases/new", strings.NewReader(lease))
		request.Header.Set("Content-Type", "application/json")
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	if code := put(p.clientAs(t, "erin")); code != http.StatusForbidden {
		t.Errorf("PUT by a user who may only update: got %d, want 403", code)
	}
	if code := put(p.client(t)); code != http.StatusCreated {
		t.Errorf("PUT by the administrator: got %d, want 201", code)
	}
}

// Every read is consistent: what was written before is seen by whoever asks next.
func TestAReaderSeesWhatWasWritten(t *testing.T) {
	p := startPortico(t)
	client := p.client(t)
	for i := range 50 {
		name := fmt.Sprintf("written-%d", i)
		response, err := client.Post(p.url+"/api/v1/namespaces/default/configmaps", "application/json", strings.NewReader(`{"metadata":{"name":"`+name+`"}}`))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 201 {
			t.Fatalf("creating %s: %d", name, response.StatusCode)
		}
		if code, _ := fetch(t, client, p.url+"/api/v1/namespaces/default/configmaps/"+name); code != 200 {
			t.Fatalf("reading %s at once: %d", name, code)
		}
	}
}
