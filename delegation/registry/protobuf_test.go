package registry_test

import (
	"encoding/json"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"

	"github.com/portico-api/portico/handler/rest"
)

// A list in protobuf is put together from its items' bytes, the first time and when they are remembered; the
// Go types read the same from it as from the JSON.
func TestAListInProtobufIsTheListInJSON(t *testing.T) {
	s := open(t, configMaps())
	srv := server(t, rest.Config{}, s)
	fill(t, s, 5, "demo")
	serializer := protobuf.NewSerializer(testScheme(t), testScheme(t))
	read := func(query, accept string, into runtime.Object) {
		t.Helper()
		a := want(t, 200, call(t, srv, "GET", inDemo+query, "", "Accept", accept))
		if _, _, err := serializer.Decode(a.body, nil, into); err != nil {
			t.Fatal(err)
		}
	}
	for _, query := range []string{"", "?limit=2", "?labelSelector=third%3D9"} {
		for range 3 {
			var got, wanted corev1.ConfigMapList
			read(query, "application/vnd.kubernetes.protobuf", &got)
			if err := json.Unmarshal(want(t, 200, call(t, srv, "GET", inDemo+query, "")).body, &wanted); err != nil {
				t.Fatal(err)
			}
			got.TypeMeta, wanted.TypeMeta = metav1.TypeMeta{}, metav1.TypeMeta{}
			for i := range wanted.Items {
				wanted.Items[i].TypeMeta = metav1.TypeMeta{}
			}
			if !apiequality.Semantic.DeepEqual(got, wanted) {
				t.Fatalf("list%s: got %v, want %v", query, got, wanted)
			}
			var partial metav1.PartialObjectMetadataList
			read(query, "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", &partial)
			if partial.ListMeta.Continue != wanted.Continue || len(partial.Items) != len(wanted.Items) {
				t.Fatalf("metadata of list%s: got %v, want %v", query, partial, wanted)
			}
			for i := range partial.Items {
				if !apiequality.Semantic.DeepEqual(partial.Items[i].ObjectMeta, wanted.Items[i].ObjectMeta) {
					t.Errorf("item %d of list%s: got %v, want %v", i, query, partial.Items[i], wanted.Items[i])
				}
			}
		}
	}
}
