package rest_test

import (
	"bytes"
	"context"
	encoding "encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	protobufserializer "k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	auditapi "k8s.io/apiserver/pkg/apis/audit"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/rest"
)

// shelf is a storage that answers every verb about one binding.
type shelf struct{ reader }

func (shelf) Create(_ context.Context, _, _ string, obj runtime.Object, _ *metav1.CreateOptions) (runtime.Object, error) {
	b := obj.(*corev1.Binding)
	if b.Name == "" {
		b.Name = b.GenerateName + "xyz"
	}
	b.UID, b.ResourceVersion = "the-uid", "8"
	return b, nil
}

func (shelf) Update(ctx context.Context, _, name string, transform rest.Transform, _ *rest.UpdateOptions) (runtime.Object, bool, error) {
	if name == "gone" {
		return nil, false, apierrors.NewNotFound(schema.GroupResource{Resource: "bindings"}, name)
	}
	obj, err := transform(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "x", UID: "the-uid"}})
	return obj, false, err
}

func (shelf) Delete(context.Context, string, string, *metav1.DeleteOptions) (runtime.Object, bool, error) {
	return &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "x", UID: "the-uid"}}, true, nil
}

func (shelf) DeleteCollection(context.Context, string, *metav1.DeleteOptions, *rest.ListOptions) (runtime.Object, error) {
	return &corev1.PodList{Items: []corev1.Pod{{}}}, nil
}

const (
	onTheShelf   = `{"kind":"Binding","apiVersion":"v1","metadata":{"name":"x","uid":"the-uid"},"target":{"name":"t"}}`
	onTheShelfIn = `{"metadata":{"name":"x","uid":"the-uid"},"target":{"name":"t"},"kind":"Binding","apiVersion":"v1"}`
)

// asProtobuf is a binding as a client sends it in protobuf.
func asProtobuf(t *testing.T, b *corev1.Binding) string {
	t.Helper()
	b.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Binding"))
	var body bytes.Buffer
	if err := protobufserializer.NewSerializer(nil, nil).Encode(b, &body); err != nil {
		t.Fatal(err)
	}
	return body.String()
}

func TestWhatIsSentAndAnsweredIsRecordedAsJSON(t *testing.T) {
	const proto = "application/vnd.kubernetes.protobuf"
	const sent = `{"kind":"Binding","apiVersion":"v1","metadata":{"name":"x","resourceVersion":"5"},"target":{"name":"t"}}`
	const made = `{"kind":"Binding","apiVersion":"v1","metadata":{"name":"x","uid":"the-uid","resourceVersion":"8"},"target":{"name":"t"}}`
	for name, c := range map[string]struct {
		method, path, contentType, accept, body string
		request, answer                         string // "" for none; only what it begins with when it ends in …
	}{
		"a create":                  {"POST", "", "application/json", "", sent, sent, made},
		"a create in YAML":          {"POST", "", "application/yaml", "application/yaml", "metadata: {name: x, resourceVersion: '5'}\ntarget: {name: t}", sent, made},
		"a create in protobuf":      {"POST", "", proto, proto, asProtobuf(t, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "x", ResourceVersion: "5"}, Target: corev1.ObjectReference{Name: "t"}}), sent, made},
		"fields given twice":        {"POST", "?fieldValidation=Ignore", "", "", `{"metadata":{"name":"x","resourceVersion":"5"},"target":{"name":"s"},"target":{"name":"t"},"no":1}`, sent, made},
		"a body that is none":       {"POST", "", "application/json", "", `{`, "", `{"kind":"Status",…`},
		"a body that is refused":    {"POST", "?fieldValidation=Strict", "", "", `{"no":1}`, "", `{"kind":"Status",…`},
		"an update":                 {"PUT", "/x", "application/json", "", sent, sent, sent},
		"a patch":                   {"PATCH", "/x", "application/merge-patch+json", "", ` { "target" : {"name":"t"} } `, ` { "target" : {"name":"t"} } `, onTheShelf},
		"a patch of what is gone":   {"PATCH", "/gone", "application/merge-patch+json", "", `{}`, `{}`, `{"kind":"Status",…`},
		"a read":                    {"GET", "/x", "", "", "", "", onTheShelfIn},
		"a read in protobuf":        {"GET", "/x", "", proto, "", "", onTheShelfIn},
		"a read of metadata":        {"GET", "/x", "", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "", "", `{"kind":"PartialObjectMetadata",…`},
		"metadata in protobuf":      {"GET", "/x", "", proto + ";as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "", "", `{"kind":"PartialObjectMetadata",…`},
		"a read of a table":         {"GET", "/x", "", "application/json;as=Table;v=v1;g=meta.k8s.io", "", "", `{"kind":"Table",…`},
		"a list":                    {"GET", "", "", "", "", "", `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[` + onTheShelfIn + `]}`},
		"a list in YAML":            {"GET", "", "", "application/yaml", "", "", `{"kind":"PodList",…`},
		"a list in protobuf":        {"GET", "", "", proto, "", "", `{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[` + onTheShelfIn + `]}`},
		"a delete":                  {"DELETE", "/x", "", "", "", "", `{"kind":"Status",…`},
		"a delete with options":     {"DELETE", "/x", "application/json", "", `{"propagationPolicy":"Orphan"}`, `{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Orphan"}`, `{"kind":"Status",…`},
		"a collection":              {"DELETE", "", "", "", "", "", `{"kind":"PodList",…`},
		"a collection, in protobuf": {"DELETE", "", "", proto, "", "", `{"kind":"PodList",…`},
	} {
		t.Run(name, func(t *testing.T) {
			h := serve(t, rest.Config{}, bindings(t, shelf{reader{onTheShelfIn}}))
			for _, level := range []auditapi.Level{auditapi.LevelMetadata, auditapi.LevelRequest, auditapi.LevelRequestResponse} {
				kept, code := recorded(t, h, level, c.method, "/api/v1/bindings"+c.path, c.contentType, c.accept, c.body)
				request, answer := c.request, c.answer
				if level == auditapi.LevelMetadata {
					request = ""
				}
				if level != auditapi.LevelRequestResponse {
					answer = ""
				}
				if !same(kept.Request, request) || !same(kept.Answer, answer) {
					t.Errorf("%s, answered %d:\ngot  %s\nand  %s\nwant %s\nand  %s", level, code, kept.Request, kept.Answer, request, answer)
				}
				if code >= 300 && (kept.Status == nil || int(kept.Status.Code) != code) {
					t.Errorf("%s: answered %d with the status %+v", level, code, kept.Status)
				}
			}
		})
	}
}

// same compares JSON; a want that ends in … is only the beginning of it.
func same(got []byte, want string) bool {
	if prefix, cut := strings.CutSuffix(want, "…"); cut {
		return encoding.Valid(got) && beginsAlike(string(got), prefix)
	}
	if want == "" || len(got) == 0 {
		return want == "" && len(got) == 0
	}
	var a, b any
	if encoding.Unmarshal(got, &a) != nil || encoding.Unmarshal([]byte(want), &b) != nil {
		return false
	}
	x, _ := encoding.Marshal(a)
	y, _ := encoding.Marshal(b)
	return bytes.Equal(x, y)
}

// beginsAlike compares the kind, which is not always first.
func beginsAlike(got, prefix string) bool {
	return strings.Contains(got, strings.Trim(prefix, "{,"))
}

// recorded sends a request of which something is written down, and returns what was added.
func recorded(t *testing.T, h http.Handler, level auditapi.Level, method, target, contentType, accept, body string) (handler.Recorded, int) {
	t.Helper()
	r, w := httptest.NewRequest(method, target, strings.NewReader(body)), httptest.NewRecorder()
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	rq := &handler.Request{Record: &handler.Record{Level: level}}
	if err := rq.Info.Parse(r); err != nil {
		t.Fatal(err)
	}
	h.ServeHTTP(w, r.WithContext(handler.WithRequest(r.Context(), rq)))
	return rq.Record.Kept(), w.Code
}

// keeper keeps what it is to create.
type keeper struct{ got runtime.Object }

func (k *keeper) Create(_ context.Context, _, _ string, obj runtime.Object, _ *metav1.CreateOptions) (runtime.Object, error) {
	k.got = obj.DeepCopyObject()
	return obj, nil
}

func TestRecordingChangesNothingOfWhatIsSent(t *testing.T) {
	for _, level := range []auditapi.Level{auditapi.LevelMetadata, auditapi.LevelRequestResponse} {
		k := &keeper{}
		loose := bindings(t, k)
		loose.New = func() runtime.Object { return &unstructured.Unstructured{} }
		loose.Settle = func(runtime.Object) ([]error, error) { return nil, nil }
		kept, code := recorded(t, serve(t, rest.Config{}, loose), level, "POST", "/api/v1/bindings", "", "", `{"apiVersion":"v1","kind":"Wrong","metadata":{"name":"x"}}`)
		if code != 201 || k.got.GetObjectKind().GroupVersionKind().Kind != "Wrong" {
			t.Errorf("%s: answered %d, the storage is given %v", level, code, k.got)
		}
		if level == auditapi.LevelRequestResponse && !bytes.Contains(kept.Request, []byte(`"Wrong"`)) {
			t.Errorf("recorded is %s", kept.Request)
		}
	}
}

func TestTheRecordSaysWhichObjectItWas(t *testing.T) {
	h := serve(t, rest.Config{}, bindings(t, shelf{reader{onTheShelfIn}}))
	for name, c := range map[string]struct {
		method, path, body string
		want               handler.Recorded
	}{
		"a name that the server makes": {"POST", "", `{"metadata":{"generateName":"a-"}}`, handler.Recorded{Name: "a-xyz", UID: "the-uid"}},
		"a name in the body":           {"POST", "", `{"metadata":{"name":"x"}}`, handler.Recorded{Name: "x", UID: "the-uid"}},
		"a state that was seen":        {"PUT", "/x", `{"metadata":{"name":"x","uid":"u","resourceVersion":"5"}}`, handler.Recorded{Name: "x", UID: "u", ResourceVersion: "5"}},
	} {
		kept, code := recorded(t, h, auditapi.LevelMetadata, c.method, "/api/v1/bindings"+c.path, "application/json", "", c.body)
		if kept.Name != c.want.Name || kept.UID != c.want.UID || kept.ResourceVersion != c.want.ResourceVersion {
			t.Errorf("%s, answered %d: %q %q %q", name, code, kept.Name, kept.UID, kept.ResourceVersion)
		}
	}
	kept, code := recorded(t, h, auditapi.LevelMetadata, "DELETE", "/api/v1/bindings/x", "", "", "")
	if s := kept.Status; code != 200 || s == nil || s.Status != metav1.StatusSuccess || s.Code != 200 || s.Details.UID != "the-uid" {
		t.Errorf("a delete, answered %d: %+v", code, s)
	}
}
