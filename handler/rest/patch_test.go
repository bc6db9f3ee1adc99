package rest_test

import (
	stdjson "encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/portico-api/portico/handler/rest"
)

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if stdjson.Unmarshal(a, &x) != nil || stdjson.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(x, y)
}

func TestJSONPatch(t *testing.T) {
	tests := []struct{ name, object, patch, want, fails string }{
		{name: "adds a member", object: `{"a":1}`, patch: `[{"op":"add","path":"/b","value":{"c":[1]}}]`, want: `{"a":1,"b":{"c":[1]}}`},
		{name: "inserts into a list", object: `{"l":[1,3]}`, patch: `[{"op":"add","path":"/l/1","value":2},{"op":"add","path":"/l/-","value":4}]`, want: `{"l":[1,2,3,4]}`},
		{name: "removes from a list", object: `{"l":[1,2,3]}`, patch: `[{"op":"remove","path":"/l/1"}]`, want: `{"l":[1,3]}`},
		{name: "replaces with null", object: `{"a":1}`, patch: `[{"op":"replace","path":"/a","value":null}]`, want: `{"a":null}`},
		{name: "replaces everything", object: `{"a":1}`, patch: `[{"op":"replace","path":"","value":{"b":2}}]`, want: `{"b":2}`},
		{name: "moves", object: `{"a":{"b":1}}`, patch: `[{"op":"move","from":"/a/b","path":"/c"}]`, want: `{"a":{},"c":1}`},
		{name: "copies by value", object: `{"a":{"b":1}}`, patch: `[{"op":"copy","from":"/a","path":"/c"},{"op":"replace","path":"/c/b","value":2}]`, want: `{"a":{"b":1},"c":{"b":2}}`},
		{name: "tests numbers by value", object: `{"a":1.0}`, patch: `[{"op":"test","path":"/a","value":1}]`, want: `{"a":1.0}`},
		{name: "reads escaped keys", object: `{"a/b":{"~":1}}`, patch: `[{"op":"remove","path":"/a~1b/~0"}]`, want: `{"a/b":{}}`},
		{name: "keeps large numbers", object: `{"a":12345678901234567890123}`, patch: `[]`, want: `{"a":12345678901234567890123}`},
		{name: "removes what is missing", object: `{}`, patch: `[{"op":"remove","path":"/a"}]`, fails: `there is no "a"`},
		{name: "replaces what is missing", object: `{}`, patch: `[{"op":"replace","path":"/a","value":1}]`, fails: `there is no "a"`},
		{name: "adds below what is missing", object: `{}`, patch: `[{"op":"add","path":"/a/b","value":1}]`, fails: `there is no "a"`},
		{name: "adds below a number", object: `{"a":1}`, patch: `[{"op":"add","path":"/a/b","value":1}]`, fails: "no object and no list"},
		{name: "removes the place behind the last", object: `{"l":[1]}`, patch: `[{"op":"remove","path":"/l/-"}]`, fails: "no index"},
		{name: "replaces the place behind the last", object: `{"l":[1]}`, patch: `[{"op":"replace","path":"/l/-","value":2}]`, fails: "no index"},
		{name: "adds below the place behind the last", object: `{"l":[{}]}`, patch: `[{"op":"add","path":"/l/-/a","value":2}]`, fails: "no index"},
		{name: "adds beyond the end", object: `{"l":[]}`, patch: `[{"op":"add","path":"/l/1","value":1}]`, fails: "beyond the end"},
		{name: "moves a value into itself", object: `{"a":{}}`, patch: `[{"op":"move","from":"/a","path":"/a/b"}]`, fails: "into itself"},
		{name: "tests another value", object: `{"a":{"b":1}}`, patch: `[{"op":"test","path":"/a","value":{"b":"1"}}]`, fails: "another one"},
		{name: "has no value", object: `{}`, patch: `[{"op":"add","path":"/a"}]`, fails: "no value"},
		{name: "has no path", object: `{}`, patch: `[{"op":"add","value":1}]`, fails: "no path"},
		{name: "is no operation", object: `{}`, patch: `[{"op":"increment","path":"/a"}]`, fails: "no such operation"},
		{name: "is an object", object: `{}`, patch: `{"op":"remove","path":"/a"}`, fails: "error decoding patch: a JSON patch is an array of operations, and this is of type object"},
		{name: "is a string", object: `{}`, patch: `"remove"`, fails: "a JSON patch is an array of operations, and this is of type string"},
		{name: "has a number for an operation", object: `{}`, patch: `[1]`, fails: "an operation of a JSON patch is an object, and one is of type number"},
		{name: "has a list for a path", object: `{}`, patch: `[{"op":"remove","path":["a"]}]`, fails: "the path of an operation must be a string, and is of type array"},
		{name: "has a number for a name", object: `{}`, patch: `[{"op":1}]`, fails: "the op of an operation must be a string, and is of type number"},
		{name: "is no JSON", object: `{}`, patch: `[{`, fails: "unexpected end of JSON input"},
		{name: "goes too deep", object: `{}`, patch: `[{"op":"remove","path":"` + strings.Repeat("/a", 300) + `"}]`, fails: "too deep"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := rest.ApplyJSONPatch([]byte(test.object), []byte(test.patch))
			if test.fails != "" {
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("%s: got %s, %v; want %q", test.patch, got, err, test.fails)
				}
				return
			}
			if err != nil || !sameJSON(t, got, []byte(test.want)) {
				t.Errorf("%s: got %s, %v; want %s", test.patch, got, err, test.want)
			}
		})
	}
}

func TestMergePatch(t *testing.T) {
	// The cases of RFC 7386, appendix A, whose patch is an object.
	tests := [][3]string{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	}
	for _, test := range tests {
		got, err := rest.ApplyMergePatch([]byte(test[0]), []byte(test[1]))
		if err != nil || !sameJSON(t, got, []byte(test[2])) {
			t.Errorf("%s by %s: got %s, %v; want %s", test[0], test[1], got, err, test[2])
		}
	}
	for _, patch := range []string{`[]`, `1`, `null`, `{`, `{} {}`} {
		if _, err := rest.ApplyMergePatch([]byte(`{}`), []byte(patch)); err == nil {
			t.Errorf("%s was taken for a merge patch", patch)
		}
	}
}

// A merge patch is applied again when another writer was faster: it must not keep what it was merged into.
func TestAMergePatchKeepsNoState(t *testing.T) {
	apply := rest.MergePatch(t, `{"a":{"x":1}}`)
	for _, object := range []string{`{"a":{"b":1}}`, `{"a":{"c":1}}`, `{}`, `{"a":{"d":1}}`} {
		got := apply(object)
		want, err := rest.ApplyMergePatch([]byte(object), []byte(`{"a":{"x":1}}`))
		if err != nil || !sameJSON(t, []byte(got), want) {
			t.Errorf("%s: got %s, want %s", object, got, want)
		}
	}
}
