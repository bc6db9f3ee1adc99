package storage

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/watch"
)

func TestResourceVersionIsSplicedIn(t *testing.T) {
	for _, tc := range []struct{ name, json, want string }{
		{"into metadata", `{"metadata":{"name":"x"},"a":1}`, `{"metadata":{"resourceVersion":"7","name":"x"},"a":1}`},
		{"into empty metadata", `{"metadata":{ }}`, `{"metadata":{"resourceVersion":"7" }}`},
		{"into null metadata", `{"metadata":null,"a":1}`, `{"metadata":{"resourceVersion":"7"},"a":1}`},
		{"where there is no metadata", `{"a":1}`, `{"metadata":{"resourceVersion":"7"},"a":1}`},
		{"into nothing", ` {} `, `{"metadata":{"resourceVersion":"7"}}`},
		{"in place of the only member", `{"metadata":{"resourceVersion":"1"}}`, `{"metadata":{"resourceVersion":"7"}}`},
		{"in place of the first", `{"metadata":{"resourceVersion":"1", "a":"b"}}`, `{"metadata":{"resourceVersion":"7", "a":"b"}}`},
		{"in place of the last", `{"metadata":{"a":"b" , "resourceVersion":"1"}}`, `{"metadata":{"resourceVersion":"7","a":"b" }}`},
		{"in place of one between", `{"metadata":{"a":"b","resourceVersion":"1","c":"d"}}`, `{"metadata":{"resourceVersion":"7","a":"b","c":"d"}}`},
		{"not into metadata further down", `{"spec":{"metadata":{}},"metadata":{"a":"}"}}`, `{"spec":{"metadata":{}},"metadata":{"resourceVersion":"7","a":"}"}}`},
		{"into metadata spelt with escapes", `{"metad\u0061ta":{"resourceVersi\u006fn":"1"}}`, `{"metad\u0061ta":{"resourceVersion":"7"}}`},
		{"past escaped quotes", `{"a\\\"":"\\","metadata":{"b":"\"{"}}`, `{"a\\\"":"\\","metadata":{"resourceVersion":"7","b":"\"{"}}`},
	} {
		o, err := newObject("x", 0, []byte(tc.json), 7, watch.Added)
		if err != nil {
			t.Errorf("%s: %s: %v", tc.name, tc.json, err)
			continue
		}
		if got := string(o.JSON()); got != tc.want {
			t.Errorf("%s: %s\n got %s\nwant %s", tc.name, tc.json, got, tc.want)
		}
	}
}

func TestMalformedObjectsAreRefused(t *testing.T) {
	for _, s := range []string{
		``, ` `, `{`, `[]`, `"x"`, `{"metadata"`, `{"metadata":`, `{"metadata":{`, `{"metadata":{}`, `{"metadata":{}}x`, `{"metadata":[]}`, `{"metadata":1}`,
		`{"a":"b`, `{"a":"\"}`, `{,}`, `{"a"}`, `{"a":}`, `{"a":[}`, `{"metadata":{"labels":[]}}`, `{"metadata":{"labels":{"a":1}}}`,
		`{"metadata":{"resourceVersion":"1","resourceVersion":"2"}}`, "k8s\x00\n\x0c\n\x02v1", strings.Repeat(`{"a":`, 100000),
	} {
		if o, err := newObject("x", 0, []byte(s), 7, watch.Added); err == nil {
			t.Errorf("%.60q: got %.60s, want an error", s, o.JSON())
		}
	}
}

func FuzzSplice(f *testing.F) {
	for _, s := range []string{
		`{"kind":"A","metadata":{"name":"x","labels":{"a":"b","c\"":"\u0064"},"resourceVersion":"3"},"spec":{"a":[1,2,{"b":null}]}}`,
		`{"metadata":{}}`, `{"metadata":null}`, `{}`, ` {"a" : 1 } `, `{"metadata":{"labels":null}}`, `{"metadata":{"resourceVersion":"1","a":1}}`,
		`{"metadata":{"a":1,"resourceVersion":null}}`, `{"metadata":1}`, `{"metadata":{"a":1},"metadata":{"b":2}}`, `{"\u006detadata":{"x":"\\\""}}`,
	} {
		f.Add([]byte(s), int64(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, revision int64) {
		o, err := newObject("x", 0, data, revision, watch.Added)
		var want map[string]any
		if json.Unmarshal(data, &want) != nil || want == nil {
			return // no object: an error or not, but no panic
		}
		meta, isObject := want["metadata"].(map[string]any)
		if err != nil {
			return // refused is fine, changed is not; TestResourceVersionIsSplicedIn says what must not be refused
		}
		if want["metadata"] != nil && !isObject {
			t.Fatalf("%q: metadata is no object, but it was taken: %s", data, o.JSON())
		}
		var got map[string]any
		if err := json.Unmarshal(o.JSON(), &got); err != nil {
			t.Fatalf("%q: the result %s is no JSON: %v", data, o.JSON(), err)
		}
		gotMeta := got["metadata"].(map[string]any)
		if gotMeta["resourceVersion"] != strconv.FormatInt(revision, 10) {
			t.Fatalf("%q: resourceVersion is not %d in %s", data, revision, o.JSON())
		}
		delete(gotMeta, "resourceVersion")
		wantMeta := maps.Clone(meta)
		delete(wantMeta, "resourceVersion")
		delete(got, "metadata")
		delete(want, "metadata")
		if len(gotMeta)+len(wantMeta) > 0 && !reflect.DeepEqual(gotMeta, wantMeta) || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q became %s", data, o.JSON())
		}
		labels, _ := wantMeta["labels"].(map[string]any)
		for key, value := range labels {
			if got, ok := o.Labels().Lookup(key); !ok || got != value {
				t.Fatalf("%q: label %q: got %q, %v; want %q", data, key, got, ok, value)
			}
		}
		if !bytes.HasSuffix(o.Frame(watch.Added), []byte("}\n")) {
			t.Fatalf("%q: frame %q", data, o.Frame(watch.Added))
		}
	})
}

func BenchmarkSplice(b *testing.B) {
	data := []byte(`{"kind":"Widget","apiVersion":"example.com/v1","metadata":{"name":"x","namespace":"a","uid":"0b5c","creationTimestamp":"2026-11-23T00:00:00Z","labels":{"app":"x","tier":"web"}},"spec":{"text":"` + strings.Repeat("x", 1000) + `"}}`)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := newObject("a/x", 1, data, 123456, watch.Added); err != nil {
			b.Fatal(err)
		}
	}
}
