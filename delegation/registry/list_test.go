package registry_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// fill creates n config maps in each namespace and returns the resourceVersion of each.
func fill(t testing.TB, s *registry.Store, n int, namespaces ...string) []string {
	t.Helper()
	var versions []string
	for _, namespace := range namespaces {
		for i := range n {
			c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
				Name: fmt.Sprintf("c%03d", i), Labels: map[string]string{"third": strconv.Itoa(i % 3)},
			}, Data: map[string]string{"i": strconv.Itoa(i)}}
			c, err := registry.CreateAs(t.Context(), s, namespace, c)
			if err != nil {
				t.Fatal(err)
			}
			versions = append(versions, c.ResourceVersion)
		}
	}
	return versions
}

func names(list *corev1.ConfigMapList) string {
	var all []string
	for _, item := range list.Items {
		all = append(all, item.Namespace+"/"+item.Name)
	}
	return strings.Join(all, " ")
}

func TestListsByVersion(t *testing.T) {
	s := open(t, configMaps())
	srv := server(t, rest.Config{}, s)
	versions := fill(t, s, 4, "demo")
	second := versions[1]

	tests := []struct {
		query string
		code  int
		want  int    // objects
		says  string // resourceVersion of the list, or part of the message
	}{
		{"", 200, 4, versions[3]},
		{"resourceVersion=0", 200, 4, versions[3]},
		{"resourceVersion=0&limit=2", 200, 4, versions[3]}, // the limit does not count where the cache answers
		{"resourceVersion=0&resourceVersionMatch=NotOlderThan", 200, 4, versions[3]},
		{"resourceVersion=" + second, 200, 4, versions[3]},
		{"resourceVersion=" + second + "&resourceVersionMatch=NotOlderThan&limit=1", 200, 1, versions[3]},
		{"resourceVersion=" + second + "&resourceVersionMatch=Exact", 200, 2, second},
		{"resourceVersion=" + second + "&limit=5", 200, 2, second}, // exactly, as lists with a limit always were
		{"limit=3", 200, 3, versions[3]},
		{"labelSelector=third%3D0", 200, 2, versions[3]},
		{"labelSelector=third%3D0&limit=1", 200, 1, versions[3]},
		{"fieldSelector=metadata.name%3Dc001", 200, 1, versions[3]},
		{"fieldSelector=metadata.name%3Dc001,metadata.namespace%3Dother", 200, 0, versions[3]},
		{"fieldSelector=metadata.name!%3Dc001", 200, 3, versions[3]},
		{"resourceVersion=" + second + "&continue=x", 400, 0, "specifying resource version is not allowed when using continue"},
		{"resourceVersion=abc", 400, 0, "invalid resource version"},
	}
	for _, test := range tests {
		t.Run(test.query, func(t *testing.T) {
			a := want(t, test.code, call(t, srv, "GET", inDemo+"?"+test.query, ""))
			if test.code != 200 {
				if !strings.Contains(a.statusMessage(), test.says) {
					t.Errorf("got %s, want %q", a.body, test.says)
				}
				return
			}
			var list corev1.ConfigMapList
			a.into(t, &list)
			// Other tests share the store, so the newest revision may be newer than our last write.
			got, _ := strconv.Atoi(list.ResourceVersion)
			least, _ := strconv.Atoi(test.says)
			if len(list.Items) != test.want || got < least || strings.Contains(test.query, "Exact") && got != least {
				t.Errorf("got %d items at %d, want %d at %d", len(list.Items), got, test.want, least)
			}
		})
	}
}

func TestTooNewSaysSo(t *testing.T) {
	t.Parallel() // the server waits a while before it says so
	srv := server(t, rest.Config{}, open(t, configMaps()))
	a := want(t, 504, call(t, srv, "GET", inDemo+"?resourceVersion=999999999", ""))
	status := a.status(t)
	if len(status.Details.Causes) != 1 || status.Details.Causes[0].Type != metav1.CauseTypeResourceVersionTooLarge || a.header.Get("Retry-After") != "1" {
		t.Errorf("got %+v, Retry-After %q", status, a.header.Get("Retry-After"))
	}
}

func TestPagesAreOneState(t *testing.T) {
	s := open(t, configMaps())
	srv := server(t, rest.Config{}, s)
	fill(t, s, 7, "a", "b")

	var page corev1.ConfigMapList
	want(t, 200, call(t, srv, "GET", "/api/v1/configmaps?limit=5", "")).into(t, &page)
	if page.RemainingItemCount == nil || *page.RemainingItemCount != 9 {
		t.Errorf("got remainingItemCount %v, want 9", page.RemainingItemCount)
	}
	first, all := page.ResourceVersion, names(&page)
	// What happens between the pages shows in none of them.
	want(t, 200, call(t, srv, "DELETE", "/api/v1/namespaces/b/configmaps/c006", ""))
	fill(t, s, 1, "c")
	for page.Continue != "" {
		token := page.Continue
		page = corev1.ConfigMapList{}
		want(t, 200, call(t, srv, "GET", "/api/v1/configmaps?limit=5&continue="+token, "")).into(t, &page)
		if page.ResourceVersion != first {
			t.Errorf("got a page of %s, want %s", page.ResourceVersion, first)
		}
		all += " " + names(&page)
	}
	if got := strings.Fields(all); len(got) != 14 || got[0] != "a/c000" || got[13] != "b/c006" {
		t.Errorf("got %v", got)
	}
}

func TestAnEmptyListHasItems(t *testing.T) {
	srv := server(t, rest.Config{}, open(t, configMaps()))
	a := want(t, 200, call(t, srv, "GET", inDemo, ""))
	if !strings.HasPrefix(string(a.body), `{"kind":"ConfigMapList","apiVersion":"v1","metadata":{"resourceVersion":"`) || !strings.HasSuffix(string(a.body), `"items":[]}`) {
		t.Errorf("got %s", a.body)
	}
}

func TestLargeListsAreCompressed(t *testing.T) {
	s := open(t, configMaps())
	srv := server(t, rest.Config{}, s)
	for i := range 40 {
		c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("c%d", i)}, Data: map[string]string{"x": strings.Repeat("x", 8<<10)}}
		if _, err := registry.CreateAs(t.Context(), s, "demo", c); err != nil {
			t.Fatal(err)
		}
	}
	plain := want(t, 200, call(t, srv, "GET", inDemo, "", "Accept-Encoding", "identity"))
	zipped := want(t, 200, call(t, srv, "GET", inDemo, "", "Accept-Encoding", "gzip"))
	if plain.header.Get("Content-Encoding") != "" || zipped.header.Get("Content-Encoding") != "gzip" || zipped.header.Get("Vary") != "Accept-Encoding" {
		t.Fatalf("got encodings %q and %q", plain.header.Get("Content-Encoding"), zipped.header.Get("Content-Encoding"))
	}
	reader, err := gzip.NewReader(bytes.NewReader(zipped.body))
	if err != nil {
		t.Fatal(err)
	}
	unzipped, err := io.ReadAll(reader)
	if err != nil || len(unzipped) != len(plain.body) {
		t.Errorf("got %d bytes, want %d: %v", len(unzipped), len(plain.body), err)
	}
	var list corev1.ConfigMapList
	if err := json.Unmarshal(plain.body, &list); err != nil || len(list.Items) != 40 {
		t.Errorf("got %d items: %v", len(list.Items), err)
	}
}

func TestTheFormsOfAnObject(t *testing.T) {
	s := open(t, configMaps())
	srv := server(t, rest.Config{}, s)
	fill(t, s, 2, "demo")
	const one = inDemo + "/c001"

	t.Run("YAML", func(t *testing.T) {
		a := want(t, 200, call(t, srv, "GET", one, "", "Accept", "application/yaml"))
		if a.header.Get("Content-Type") != "application/yaml" || !strings.HasPrefix(string(a.body), "apiVersion: v1\n") {
			t.Errorf("got %s", a.body)
		}
	})
	t.Run("pretty JSON", func(t *testing.T) {
		for _, a := range []*answer{call(t, srv, "GET", one+"?pretty=1", ""), call(t, srv, "GET", one, "", "User-Agent", "curl/8")} {
			if !strings.HasPrefix(string(a.body), "{\n  \"kind\"") {
				t.Errorf("got %s", a.body)
			}
		}
	})
	t.Run("protobuf", func(t *testing.T) {
		const accept = "application/vnd.kubernetes.protobuf,application/json"
		decoder := protobuf.NewSerializer(testScheme(t), testScheme(t))
		a := want(t, 200, call(t, srv, "GET", one, "", "Accept", accept))
		obj, _, err := decoder.Decode(a.body, nil, nil)
		if err != nil || obj.(*corev1.ConfigMap).Data["i"] != "1" || obj.(*corev1.ConfigMap).ResourceVersion == "" {
			t.Fatalf("got %v, %v", obj, err)
		}
		a = want(t, 200, call(t, srv, "GET", inDemo, "", "Accept", accept))
		list, _, err := decoder.Decode(a.body, nil, nil)
		if err != nil || len(list.(*corev1.ConfigMapList).Items) != 2 {
			t.Fatalf("got %v, %v", list, err)
		}
		c := obj.(*corev1.ConfigMap)
		c.ObjectMeta = metav1.ObjectMeta{Name: "proto"}
		var body bytes.Buffer
		if err := decoder.Encode(c, &body); err != nil {
			t.Fatal(err)
		}
		want(t, 201, call(t, srv, "POST", inDemo, body.String(), "Content-Type", "application/vnd.kubernetes.protobuf", "Accept", accept))
		want(t, 400, call(t, srv, "POST", inDemo, "k8s\x00garbage", "Content-Type", "application/vnd.kubernetes.protobuf"))
		want(t, 200, call(t, srv, "DELETE", inDemo+"/proto", "", "Accept", accept))
	})
	t.Run("Table", func(t *testing.T) {
		const accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
		var table metav1.Table
		want(t, 200, call(t, srv, "GET", inDemo, "", "Accept", accept)).into(t, &table)
		if table.Kind != "Table" || len(table.Rows) != 2 || len(table.ColumnDefinitions) != 2 || table.ColumnDefinitions[0].Name != "Name" || table.Rows[1].Cells[0] != "c001" || table.ResourceVersion == "" {
			t.Fatalf("got %+v", table)
		}
		var partial metav1.PartialObjectMetadata
		if err := json.Unmarshal(table.Rows[0].Object.Raw, &partial); err != nil || partial.Kind != "PartialObjectMetadata" || partial.Name != "c000" || partial.Labels["third"] != "0" {
			t.Errorf("got row object %s: %v", table.Rows[0].Object.Raw, err)
		}
		table = metav1.Table{}
		want(t, 200, call(t, srv, "GET", one+"?includeObject=Object", "", "Accept", accept)).into(t, &table)
		if len(table.Rows) != 1 || !strings.Contains(string(table.Rows[0].Object.Raw), `"data"`) {
			t.Errorf("got %+v", table)
		}
		table = metav1.Table{}
		want(t, 200, call(t, srv, "GET", one+"?includeObject=None", "", "Accept", accept)).into(t, &table)
		if table.Rows[0].Object.Raw != nil && string(table.Rows[0].Object.Raw) != "null" {
			t.Errorf("got %s", table.Rows[0].Object.Raw)
		}
		want(t, 400, call(t, srv, "GET", one+"?includeObject=Some", "", "Accept", accept))
	})
	t.Run("metadata only", func(t *testing.T) {
		const params = ";g=meta.k8s.io;v=v1"
		var one1 metav1.PartialObjectMetadata
		want(t, 200, call(t, srv, "GET", one, "", "Accept", "application/json;as=PartialObjectMetadata"+params)).into(t, &one1)
		if one1.Kind != "PartialObjectMetadata" || one1.APIVersion != "meta.k8s.io/v1" || one1.Name != "c001" {
			t.Errorf("got %+v", one1)
		}
		var list metav1.PartialObjectMetadataList
		want(t, 200, call(t, srv, "GET", inDemo, "", "Accept", "application/json;as=PartialObjectMetadataList"+params)).into(t, &list)
		if list.Kind != "PartialObjectMetadataList" || len(list.Items) != 2 || list.Items[0].Name != "c000" {
			t.Errorf("got %+v", list)
		}
		a := want(t, 200, call(t, srv, "GET", inDemo, "", "Accept", "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList"+params))
		obj, _, err := protobuf.NewSerializer(testScheme(t), testScheme(t)).Decode(a.body, nil, nil)
		if err != nil || len(obj.(*metav1.PartialObjectMetadataList).Items) != 2 {
			t.Errorf("got %v, %v", obj, err)
		}
	})
	t.Run("HEAD", func(t *testing.T) {
		a := want(t, 200, call(t, srv, "HEAD", one, ""))
		if len(a.body) != 0 || a.header.Get("Content-Length") == "0" {
			t.Errorf("got %q, Content-Length %s", a.body, a.header.Get("Content-Length"))
		}
		want(t, 404, call(t, srv, "HEAD", inDemo+"/missing", ""))
	})
}
