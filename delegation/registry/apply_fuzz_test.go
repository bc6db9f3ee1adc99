package registry_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/portico-api/portico/handler/rest"
)

// FuzzApply applies what a client may send: it is refused or stored, and what is stored can be applied again.
func FuzzApply(f *testing.F) {
	for _, seed := range []string{
		config("x", `a: "1"`),
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, labels: {a: b}, finalizers: [a/b, a/b], ownerReferences: [{uid: u}, {uid: u}]}\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, managedFields: [{}], creationTimestamp: never}\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: x\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, generation: 1.5, deletionGracePeriodSeconds: 9223372036854775808}\n",
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, annotations: {kubectl.kubernetes.io/last-applied-configuration: \"{}\"}}\nbinaryData: {a: '*'}\nimmutable: 1\n",
		"a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":null}`,
		"data: " + strings.Repeat("[", 20000),
		"null", "\x00", "!!binary x",
	} {
		f.Add(seed)
	}
	srv := server(f, rest.Config{}, managed(f, configMaps()))
	send := func(body string) int {
		w, r := httptest.NewRecorder(), httptest.NewRequest("PATCH", inDemo+"/x?fieldManager=kubectl&force=true", strings.NewReader(body))
		r.Header.Set("Content-Type", applyType)
		srv.Config.Handler.ServeHTTP(w, r)
		return w.Code
	}
	f.Fuzz(func(t *testing.T, body string) {
		code := send(body)
		if code >= 500 {
			t.Fatalf("got %d", code)
		}
		if code < 300 {
			if again := send(body); again != 200 {
				t.Errorf("got %d, and %d for the same again", code, again)
			}
		}
	})
}
