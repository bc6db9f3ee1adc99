package rest_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/handler/rest"
)

// clocked notes how long each verb would be let wait; nil for ever.
type clocked struct{ left *time.Duration }

func (c clocked) note(ctx context.Context) error {
	*c.left = 0
	if deadline, ok := ctx.Deadline(); ok {
		*c.left = time.Until(deadline)
	}
	return nil
}

func (c clocked) Create(ctx context.Context, _, _ string, obj runtime.Object, _ *metav1.CreateOptions) (runtime.Object, error) {
	return obj, c.note(ctx)
}

func (c clocked) Get(ctx context.Context, _, _ string, _ *metav1.GetOptions) (rest.Object, error) {
	return stored(`{"metadata":{"name":"x"}}`), c.note(ctx)
}

func (c clocked) Update(ctx context.Context, _, _ string, transform rest.Transform, _ *rest.UpdateOptions) (runtime.Object, bool, error) {
	obj, err := transform(ctx, &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "x"}})
	if err == nil {
		err = c.note(ctx)
	}
	return obj, false, err
}

func (c clocked) Delete(ctx context.Context, _, _ string, _ *metav1.DeleteOptions) (runtime.Object, bool, error) {
	return &corev1.Binding{}, true, c.note(ctx)
}

func (c clocked) DeleteCollection(ctx context.Context, _ string, _ *metav1.DeleteOptions, _ *rest.ListOptions) (runtime.Object, error) {
	return &corev1.ConfigMapList{}, c.note(ctx)
}

func TestOneWriteMayTakeHalfAMinute(t *testing.T) {
	var left time.Duration
	h := serve(t, rest.Config{}, bindings(t, clocked{&left}))
	for _, c := range []struct {
		name, method, path, body, contentType string
		bounded                               bool
	}{
		{"create", "POST", "/bindings", `{"metadata":{"name":"x"}}`, "application/json", true},
		{"update", "PUT", "/bindings/x", `{"metadata":{"name":"x"}}`, "application/json", true},
		{"patch", "PATCH", "/bindings/x", `{}`, "application/merge-patch+json", true},
		{"delete", "DELETE", "/bindings/x", "", "", true},
		{"read", "GET", "/bindings/x", "", "", false},
		{"delete of a collection, which takes as long as it is large", "DELETE", "/bindings", "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			left = -1
			w, r := httptest.NewRecorder(), httptest.NewRequest(c.method, "/api/v1"+c.path, strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.contentType)
			h.ServeHTTP(w, r)
			if w.Code >= http.StatusMultipleChoices || left < 0 {
				t.Fatalf("got %d: %s", w.Code, w.Body)
			}
			if bounded := left > 0; bounded != c.bounded || left > 34*time.Second {
				t.Errorf("it was given %v", left)
			}
		})
	}
}
