package aggregator

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

func FuzzGroupVersionOfKey(f *testing.F) {
	for _, seed := range []string{"", "api", "api/v1", "apis", "apis/", "apis//v1", "apis/example.com/v1", "apis/a/b/c", "version", "../api/v1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, key string) {
		gv, ok := groupVersionOfKey(key)
		if ok && openAPIKey(gv) != key {
			t.Errorf("key %q is taken for %v, whose key is %q", key, gv, openAPIKey(gv))
		}
		if gv, ok := groupVersionOfPath("/" + key); ok && documentPath(gv) != "/"+key {
			t.Errorf("path %q is taken for %v", "/"+key, gv)
		}
	})
}

func FuzzParseAggregated(f *testing.F) {
	f.Add([]byte(`{"items":[{"metadata":{"name":"g"},"versions":[{"version":"v1","resources":[{"resource":"r","responseKind":null}]}]}]}`))
	f.Add([]byte(`{"items":[null,{"versions":[{}]}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		found, err := parseAggregated(body)
		if err != nil && len(found) > 0 {
			t.Errorf("%q gives %v and %v", body, found, err)
		}
		for gv, v := range found {
			if gv != (schema.GroupVersion{Group: gv.Group, Version: v.Version}) {
				t.Errorf("%q gives %v the version %q", body, gv, v.Version)
			}
		}
	})
}
