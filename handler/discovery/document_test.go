package discovery_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	clientdiscovery "k8s.io/client-go/discovery"

	"github.com/portico-api/portico/handler/discovery"
)

const (
	v2      = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
	v2beta1 = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
	plain   = "application/json"
)

// served is a handler as the path /apis has it.
func served() http.Handler {
	m := discovery.NewManager(nil)
	m.AddGroupVersion(discovery.SourceBuiltIn, "apps", version("v1", "deployments"))
	return m.GroupsHandler(discovery.NewDocument(discovery.NewAPIGroupList(m.APIGroups())))
}

func get(h http.Handler, header ...string) *http.Response {
	r := httptest.NewRequest(http.MethodGet, "/apis", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestNegotiation(t *testing.T) {
	for name, tc := range map[string]struct {
		accept   string
		wantCode int
		wantType string // prefix
		wantKind string
	}{
		"no Accept means the older document":             {"", 200, plain, "APIGroupList"},
		"plain JSON means the older document":            {plain, 200, plain, "APIGroupList"},
		"anything means the older document":              {"*/*", 200, plain, "APIGroupList"},
		"v2 in JSON":                                     {v2, 200, v2, "APIGroupDiscoveryList"},
		"v2 in YAML":                                     {strings.Replace(v2, "json", "yaml", 1), 200, strings.Replace(v2, "json", "yaml", 1), "APIGroupDiscoveryList"},
		"client-go prefers v2":                           {v2 + "," + v2beta1 + "," + plain, 200, v2, "APIGroupDiscoveryList"},
		"client-go with a profile":                       {v2 + ";profile=nopeer," + v2 + "," + v2beta1 + "," + plain, 200, v2, "APIGroupDiscoveryList"},
		"an older client-go gets the older document":     {v2beta1 + "," + plain, 200, plain, "APIGroupList"},
		"v2beta1 alone is not acceptable":                {v2beta1, 406, plain, "Status"},
		"HTML alone is not acceptable":                   {"text/html", 406, plain, "Status"},
		"a browser gets the older document":              {"text/html,application/xhtml+xml,*/*;q=0.8", 200, plain, "APIGroupList"},
		"quality decides":                                {v2 + ";q=0.2," + plain + ";q=0.9", 200, plain, "APIGroupList"},
		"quality 0 is refused":                           {v2 + ";q=0," + v2beta1, 406, plain, "Status"},
		"parameters may be in any order and have spaces": {"application/json; as=APIGroupDiscoveryList; v=v2; g=apidiscovery.k8s.io", 200, v2, "APIGroupDiscoveryList"},
		"as= of another kind is passed over":             {"application/json;as=Table;g=meta.k8s.io;v=v1," + plain, 200, plain, "APIGroupList"},
	} {
		t.Run(name, func(t *testing.T) {
			resp := get(served(), "Accept", tc.accept)
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tc.wantCode {
				t.Fatalf("Accept %q: got %d, want %d: %s", tc.accept, resp.StatusCode, tc.wantCode, body)
			}
			got := resp.Header.Get("Content-Type")
			if got != tc.wantType {
				t.Errorf("Accept %q: Content-Type: got %q, want %q", tc.accept, got, tc.wantType)
			}
			var doc metav1.TypeMeta
			if err := yaml.Unmarshal(body, &doc); err != nil || doc.Kind != tc.wantKind {
				t.Errorf("Accept %q: kind: got %q (%v), want %q", tc.accept, doc.Kind, err, tc.wantKind)
			}
		})
	}
}

func TestAggregatedDocumentIsCachedByItsHash(t *testing.T) {
	h := served()
	resp := get(h, "Accept", v2)
	body, _ := io.ReadAll(resp.Body)
	etag := fmt.Sprintf(`"%X"`, sha512.Sum512(body))
	for header, want := range map[string]string{"ETag": etag, "Vary": "Accept", "Cache-Control": "public"} {
		if got := resp.Header.Get(header); got != want {
			t.Errorf("%s: got %q, want %q", header, got, want)
		}
	}

	for ifNoneMatch, want := range map[string]int{
		etag:                    http.StatusNotModified,
		strings.Trim(etag, `"`): http.StatusOK, // an ETag has quotes
		`"0"`:                   http.StatusOK,
	} {
		resp := get(h, "Accept", v2, "If-None-Match", ifNoneMatch)
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != want {
			t.Errorf("If-None-Match %s: got %d, want %d", ifNoneMatch, resp.StatusCode, want)
		}
		if want == http.StatusNotModified && len(body) != 0 {
			t.Errorf("If-None-Match %s: body: got %q, want none", ifNoneMatch, body)
		}
	}
}

func TestDocumentIsTheSameInEveryEncoding(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := apidiscoveryv2.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	metav1.AddToGroupVersion(scheme, apidiscoveryv2.SchemeGroupVersion)
	read := func(mediaType string) []byte {
		resp := get(served(), "Accept", strings.Replace(v2, plain, mediaType, 1))
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 200 {
			t.Fatalf("Accept %s: got %d: %s", mediaType, resp.StatusCode, body)
		}
		return body
	}
	var want, fromYAML apidiscoveryv2.APIGroupDiscoveryList
	if err := json.Unmarshal(read("application/json"), &want); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(read("application/yaml"), &fromYAML); err != nil {
		t.Fatal(err)
	}
	fromProtobuf, _, err := protobuf.NewSerializer(scheme, scheme).Decode(read("application/vnd.kubernetes.protobuf"), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]runtime.Object{"YAML": &fromYAML, "protobuf": fromProtobuf} {
		got.GetObjectKind().SetGroupVersionKind(want.GroupVersionKind())
		gotJSON, _ := json.Marshal(got)
		wantJSON, _ := json.Marshal(&want)
		if !bytes.Equal(gotJSON, wantJSON) {
			t.Errorf("%s\n got %s\nwant %s", name, gotJSON, wantJSON)
		}
	}
}

func TestLargeDocumentIsCompressedForWhoAccepts(t *testing.T) {
	m := discovery.NewManager(nil)
	for i := range 1500 {
		m.AddGroupVersion(discovery.SourceBuiltIn, fmt.Sprintf("group-%d.example.com", i), version("v1", "things"))
	}
	h := m.GroupsHandler(http.NotFoundHandler())
	whole, _ := io.ReadAll(get(h, "Accept", v2).Body)

	resp := get(h, "Accept", v2, "Accept-Encoding", "br, gzip;q=0.5")
	if got := resp.Header.Get("Content-Encoding"); got != "gzip" {
		t.Fatalf("Content-Encoding of %d bytes: got %q, want gzip", len(whole), got)
	}
	zr, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := io.ReadAll(zr)
	if err != nil || !bytes.Equal(unpacked, whole) {
		t.Errorf("unpacked body: got %d bytes (%v), want the %d of the plain answer", len(unpacked), err, len(whole))
	}
	if got := get(h, "Accept", v2, "Accept-Encoding", "gzip;q=0").Header.Get("Content-Encoding"); got != "" {
		t.Errorf("Content-Encoding for a client that refuses gzip: got %q, want none", got)
	}
}

func TestClientGoUnderstandsTheDocuments(t *testing.T) {
	m := discovery.NewManager(nil)
	core, apps, stale := version("v1", "pods"), version("v1", "deployments"), version("v1", "flunders")
	stale.Freshness = apidiscoveryv2.DiscoveryFreshnessStale
	m.AddGroupVersion(discovery.SourceBuiltIn, "", core)
	m.AddGroupVersion(discovery.SourceBuiltIn, "apps", apps)
	m.AddGroupVersion(discovery.SourceAggregator, "wardle.example.com", stale)

	mux := http.NewServeMux()
	mux.Handle("/api", m.CoreHandler(discovery.NewDocument(discovery.NewAPIVersions("127.0.0.1:6443", "v1"))))
	mux.Handle("/apis", m.GroupsHandler(discovery.NewDocument(discovery.NewAPIGroupList(m.APIGroups()))))
	mux.Handle("/api/v1", discovery.NewDocument(discovery.NewAPIResourceList("", core)))
	mux.Handle("/apis/apps/v1", discovery.NewDocument(discovery.NewAPIResourceList("apps", apps)))
	server := httptest.NewServer(mux)
	defer server.Close()

	for name, legacy := range map[string]bool{"aggregated": false, "legacy": true} {
		t.Run(name, func(t *testing.T) {
			client := clientdiscovery.NewDiscoveryClientForConfigOrDie(&rest.Config{Host: server.URL})
			client.UseLegacyDiscovery = legacy
			groups, lists, err := clientdiscovery.ServerGroupsAndResources(memory.NewMemCacheClient(client))
			if !clientdiscovery.IsGroupDiscoveryFailedError(err) {
				t.Errorf("error: got %v, want the one stale group to have failed", err)
			}
			if len(groups) != 3 {
				t.Errorf("groups: got %d, want 3: %v", len(groups), groups)
			}
			got := map[string]string{}
			for _, l := range lists {
				for _, r := range l.APIResources {
					got[l.GroupVersion+" "+r.Name] = r.Kind
				}
			}
			for resource, kind := range map[string]string{"v1 pods": "Pods", "apps/v1 deployments": "Deployments"} {
				if got[resource] != kind {
					t.Errorf("kind of %s: got %q, want %q", resource, got[resource], kind)
				}
			}
		})
	}
}
