package rest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/emicklei/go-restful/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/rest"
)

// stored is an object that is as its bytes say, broken or not.
type stored string

func (s stored) JSON() []byte         { return []byte(s) }
func (stored) ResourceVersion() int64 { return 7 }
func (stored) Namespace() string      { return "" }
func (stored) Name() string           { return "x" }

// virtual answers creates without storing anything.
type virtual struct{}

func (virtual) Create(_ context.Context, _, name string, obj runtime.Object, _ *metav1.CreateOptions) (runtime.Object, error) {
	obj.(*corev1.Binding).Target.Name = "answered " + name
	return obj, nil
}

// upserter creates what is updated.
type upserter struct{}

func (upserter) Update(ctx context.Context, _, _ string, transform rest.Transform, _ *rest.UpdateOptions) (runtime.Object, bool, error) {
	obj, err := transform(ctx, nil)
	return obj, err == nil, err
}

// reader lists what it is.
type reader []stored

func (r reader) Get(context.Context, string, string, *metav1.GetOptions) (rest.Object, error) {
	return r[0], nil
}

func (r reader) List(context.Context, string, *rest.ListOptions) (*rest.List, error) {
	return &rest.List{ResourceVersion: 7, Items: func(yield func(rest.Object) bool) {
		for _, o := range r {
			if !yield(o) {
				return
			}
		}
	}}, nil
}

func bindings(t testing.TB, storage any) *rest.Resource {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return &rest.Resource{
		GroupVersion: corev1.SchemeGroupVersion, Kind: "Binding", Name: "bindings", Storage: storage, Scheme: scheme,
		New:     func() runtime.Object { return &corev1.Binding{} },
		NewList: func() runtime.Object { return &corev1.PodList{} },
		Table: &rest.Table{
			Columns: []metav1.TableColumnDefinition{{Name: "Target"}},
			Cells:   func(obj runtime.Object) []any { return []any{obj.(*corev1.Binding).Target.Name} },
		},
	}
}

func serve(t testing.TB, cfg rest.Config, resources ...*rest.Resource) http.Handler {
	t.Helper()
	ws := new(restful.WebService)
	rest.Install(ws, "/api/v1", resources, cfg)
	container := restful.NewContainer()
	container.DoNotRecover(true)
	container.Add(ws)
	return container
}

func do(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

func TestVerbsFollowFromTheStorage(t *testing.T) {
	type both struct {
		reader
		upserter
	}
	for _, test := range []struct {
		storage any
		want    []string
	}{
		{virtual{}, []string{"create"}},
		{upserter{}, []string{"update"}}, // nothing can be patched that cannot be read
		{both{}, []string{"get", "list", "patch", "update"}},
		{struct{}{}, nil},
	} {
		if got := bindings(t, test.storage).Verbs(); !slices.Equal(got, test.want) {
			t.Errorf("%T: got %v, want %v", test.storage, got, test.want)
		}
	}
}

func TestASubresourceIsBelowItsParent(t *testing.T) {
	parent := bindings(t, reader{`{"kind":"Binding","apiVersion":"v1","metadata":{"name":"x"}}`})
	parent.Namespaced = true
	sub := bindings(t, virtual{})
	sub.Name = "eviction"
	parent.Subresources = []*rest.Resource{sub}
	h := serve(t, rest.Config{}, parent)
	w := do(h, "POST", "/api/v1/namespaces/demo/bindings/x/eviction", `{"metadata":{"name":"x"}}`)
	if w.Code != 201 || !strings.Contains(w.Body.String(), "answered x") || !strings.HasPrefix(w.Body.String(), `{"kind":"Binding","apiVersion":"v1"`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := do(h, "POST", "/api/v1/namespaces/demo/bindings", `{}`); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("got %d for a verb the storage lacks", w.Code)
	}
}

// creator decides about creates only.
type creator struct {
	decision authorizer.Decision
	err      error
	asked    authorizer.Attributes
}

func (c *creator) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	c.asked = a
	return c.decision, "no rule", c.err
}

func TestAnUpdateThatCreatesNeedsToBeAllowedTo(t *testing.T) {
	for _, test := range []struct {
		name string
		creator
		code int
	}{
		{"allowed", creator{decision: authorizer.DecisionAllow}, 201},
		{"not allowed", creator{decision: authorizer.DecisionNoOpinion}, 403},
		{"not decided", creator{decision: authorizer.DecisionNoOpinion, err: errors.New("broken")}, 500},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := serve(t, rest.Config{Authorizer: &test.creator}, bindings(t, upserter{}))
			r := httptest.NewRequest("PUT", "/api/v1/bindings/x", strings.NewReader(`{"metadata":{"name":"x"}}`))
			r = r.WithContext(handler.WithRequest(r.Context(), &handler.Request{User: &user.DefaultInfo{Name: "alice"}}))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != test.code {
				t.Errorf("got %d %s, want %d", w.Code, w.Body, test.code)
			}
			if a := test.asked; a.GetVerb() != "create" || a.GetName() != "x" || a.GetResource() != "bindings" || a.GetUser().GetName() != "alice" {
				t.Errorf("asked for %+v", a)
			}
		})
	}
}

// What cannot be decoded after the answer has begun must not look like a shorter list.
func TestABrokenListIsCutAndNotShortened(t *testing.T) {
	large := stored(`{"kind":"Binding","apiVersion":"v1","metadata":{"name":"x","annotations":{"a":"` + strings.Repeat("x", 100<<10) + `"}}}`)
	srv := httptest.NewServer(serve(t, rest.Config{}, bindings(t, reader{large, large, large, `{"target":3}`})))
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/api/v1/bindings?includeObject=Object", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json;as=Table;g=meta.k8s.io;v=v1")
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("got a whole answer of %d bytes", len(body))
	}
	if w := do(serve(t, rest.Config{}, bindings(t, reader{`{"target":3}`})), "GET", "/api/v1/bindings", ""); w.Code != 200 {
		t.Errorf("a list in its own form was decoded: %d %s", w.Code, w.Body)
	}
}
