package rest_test

import (
	stdjson "encoding/json"
	"net/url"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/portico-api/portico/handler/rest"
)

// isAnswer fails unless err is something to tell a client, and of the client's making.
func isAnswer(t *testing.T, err error) {
	t.Helper()
	status, ok := err.(apierrors.APIStatus)
	if !ok || status.Status().Code < 400 || status.Status().Code > 499 {
		t.Errorf("got %T %v, want an answer of 4xx", err, err)
	}
}

func FuzzListOptions(f *testing.F) {
	for _, seed := range []string{
		"", "watch=1", "labelSelector=a%3Db,c+in+(d,e),!f", "fieldSelector=metadata.name%3Dx", "limit=-5", "limit=9223372036854775808",
		"timeoutSeconds=99999999999", "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0", "continue=abc", "%zz", "a=b;c=d",
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, text string, watch bool) {
		query, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		opts, err := rest.ParseList(query, watch)
		if err != nil {
			isAnswer(t, err)
			return
		}
		if opts.LabelSelector == nil || opts.FieldSelector == nil || opts.Limit < 0 {
			t.Errorf("%q: got %+v", text, opts)
		}
	})
}

func FuzzAccept(f *testing.F) {
	for _, seed := range []string{"", "*/*", "application/json;as=Table;v=v1;g=meta.k8s.io", ";;;q=", "a/b;q=1e9", ",,,", "application/json;q=\"0.5\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		rest.Accepted(accept, true)
		rest.Accepted(accept, false)
	})
}

func FuzzJSONPatch(f *testing.F) {
	for _, seed := range []string{
		`[]`, `{}`, `null`, `[null]`, `[{}]`, `[{"op":"add","path":"/data/b","value":1}]`, `[{"op":"remove","path":"/data"},{"op":"remove","path":"/data"}]`,
		`[{"op":"move","from":"/data","path":"/data/x"}]`, `[{"op":"copy","from":"/data","path":"/list/-"}]`, `[{"op":"replace","path":"","value":null}]`,
		`[{"op":"test","path":"/list/0","value":1}]`, `[{"op":"add","path":"/list/99999999","value":1}]`, `[{"op":"add","path":"/list/-1","value":1}]`, `[{"op":"copy"}]`,
	} {
		f.Add([]byte(seed))
	}
	object := []byte(`{"kind":"ConfigMap","metadata":{"name":"x"},"data":{"a":"1"},"list":[1,2]}`)
	f.Fuzz(func(t *testing.T, patch []byte) {
		after, err := rest.ApplyJSONPatch(object, patch)
		if err != nil {
			isAnswer(t, err)
			return
		}
		if !stdjson.Valid(after) {
			t.Errorf("%s makes %s", patch, after)
		}
	})
}
