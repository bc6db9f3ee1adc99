package rest_test

import (
	"bytes"
	stdjson "encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/handler/rest"
)

// patched is an object with everything that patches treat in a way of its own.
const patched = `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"x","labels":{"a":"b"},"finalizers":["a/b","c/d"],
	"ownerReferences":[{"apiVersion":"v1","kind":"K","name":"n","uid":"1"},{"apiVersion":"v1","kind":"K","name":"m","uid":"2"}]},"data":{"a":"1"}}`

// billionLaughs is YAML of a few hundred bytes that would be a gigabyte written out.
var billionLaughs = func() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [lol,lol,lol,lol,lol,lol,lol,lol,lol]\n")
	for i := 1; i < 10; i++ {
		alias := "*a" + string(rune('0'+i-1))
		b.WriteString("a" + string(rune('0'+i)) + ": &a" + string(rune('0'+i)) + " [" + strings.Repeat(alias+",", 8) + alias + "]\n")
	}
	return b.String()
}()

func FuzzMergePatch(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[]`, `1`, `{"data":null}`, `{"data":{"a":null,"b":"2"}}`, `{"data":[1]}`, `{"metadata":{"labels":{"a":null}}}`, `{"a":{"b":{"c":null}}}`,
		`{"a":1e999}`, `{"a":1,"a":2}`, `{"data"`, `{} {}`, strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000), "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, patch []byte) {
		once, err := rest.ApplyMergePatch([]byte(patched), patch)
		if err != nil {
			isAnswer(t, err)
			return
		}
		// A merge patch says what shall be, so to say it again changes nothing.
		twice, err := rest.ApplyMergePatch(once, patch)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%s makes %s, and then %s: %v", patch, once, twice, err)
		}
	})
}

func FuzzStrategicMergePatch(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"data":{"a":null}}`, `{"data":{"$patch":"delete"}}`, `{"$patch":"replace"}`, `{"$patch":"sideways"}`, `{"$retainKeys":["data"],"data":{}}`,
		`{"metadata":{"ownerReferences":[{"uid":"1","name":"z"},{"uid":"3"}]}}`, `{"metadata":{"ownerReferences":[{"$patch":"delete","uid":"1"}]}}`,
		`{"metadata":{"ownerReferences":[{"name":"no key"}]}}`, `{"metadata":{"ownerReferences":[1,null]}}`, `{"metadata":{"$setElementOrder/ownerReferences":[{"uid":"2"},{"uid":"1"}]}}`,
		`{"metadata":{"finalizers":["e/f"],"$deleteFromPrimitiveList/finalizers":["a/b"]}}`, `{"metadata":{"$deleteFromPrimitiveList/finalizers":{"a":1}}}`,
		`{"metadata":{"$setElementOrder/finalizers":"x"}}`, `{"metadata":1}`, `{"$patch":1}`, `{"$retainKeys":1}`,
		strings.Repeat(`{"data":`, 20000) + "1" + strings.Repeat("}", 20000), "\xff",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, patch []byte) {
		after, err := rest.MergeStrategically([]byte(patched), patch)
		if err != nil {
			isAnswer(t, err)
			return
		}
		if !stdjson.Valid(after) {
			t.Errorf("%s makes %s", patch, after)
		}
	})
}

// FuzzBody reads bodies: each is an object or an answer, and what is read is read again from what it is written as.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		patched, "kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}\ndata: {a: '1'}\n", "", "---\n", "--- a\n--- b\n", "a: [", "? a\n: b\n", "!!binary x", "a: !!float .nan", "<<: &a {b: *a}",
		"data: {a: 1}", "data: {a: yes}", "metadata: {creationTimestamp: 2001-12-14t21:59:43.10-05:00}", "{kind: ConfigMap, kind: Secret}", "data:\n  a: |\n\ttab",
		billionLaughs, "data: " + strings.Repeat("[", 20000), strings.Repeat(`{"a":`, 20000), "\x00", "\xff\xfe", `{"kind":"ConfigMap","apiVersion":"v1","data":{"a":"\ud800"}}`,
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, yaml bool) {
		obj, _, err := rest.Decode(scheme, yaml, body)
		if err != nil {
			isAnswer(t, err)
			return
		}
		written, err := stdjson.Marshal(obj)
		if err != nil {
			t.Fatalf("%q became what cannot be written: %v", body, err)
		}
		again, problems, err := rest.Decode(scheme, false, written)
		if err != nil || len(problems) > 0 || again.Name != obj.Name || len(again.Data) != len(obj.Data) {
			t.Errorf("%q became %s, and that %+v: %v %v", body, written, again, problems, err)
		}
	})
}

func FuzzWriteOptions(f *testing.F) {
	for _, seed := range []string{
		"", "dryRun=All", "dryRun=&dryRun=All", "dryRun=Some", "fieldManager=%00", "fieldManager=" + strings.Repeat("m", 200), "fieldValidation=Strict", "fieldValidation=x",
		"force=maybe", "gracePeriodSeconds=-1", "gracePeriodSeconds=99999999999999999999", "propagationPolicy=Never", "orphanDependents=true&propagationPolicy=Orphan", "pretty=%zz",
	} {
		f.Add(seed, "kubectl/v1.36")
	}
	f.Add("", strings.Repeat("é", 200))
	f.Add("", "\x00\xff/1")
	f.Fuzz(func(t *testing.T, text, agent string) {
		query, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		r := httptest.NewRequest("PUT", "/", nil)
		r.Header.Set("User-Agent", agent)
		if err := rest.ParseWrites(r, query); err != nil {
			isAnswer(t, err)
		}
	})
}
