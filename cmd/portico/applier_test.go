package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestWhichManifestsAreLackingIsSaid(t *testing.T) {
	f := &fakeFront{objects: map[string]any{"/api/v1": map[string]any{"resources": []any{map[string]any{"name": "namespaces", "kind": "Namespace"}}}}}
	a := &applier{client: f.client(t)}
	for n := range 8 {
		kind := "Namespace"
		if n > 0 {
			kind = "Cat"
		}
		object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": kind, "metadata": map[string]any{"name": "a"}}}
		a.all = append(a.all, &appliedManifest{manifest: manifest{fmt.Sprintf("%d.yaml, document 1", n), object}})
	}
	if left := a.pass(t.Context(), a.all); len(left) != 7 {
		t.Fatalf("%d are left, want 7", len(left))
	}
	const want = "Ready without 7 of 8 manifests, which will be tried again: 1.yaml, document 1; 2.yaml, document 1; 3.yaml, document 1; 4.yaml, document 1; 5.yaml, document 1; …"
	if got := a.lacking(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	a.all = a.all[:1]
	ctx, end := context.WithTimeout(t.Context(), time.Minute)
	defer end()
	if err := a.run(ctx, end); ctx.Err() != context.Canceled || err != context.Canceled {
		t.Errorf("run ended with %v, and the start is told: %v", err, ctx.Err())
	}
}
