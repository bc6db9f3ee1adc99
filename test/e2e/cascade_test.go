package e2e

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

// Whatever kind an owner is of, its dependents go with it, before it or not at all, as kubectl says.
func TestEveryKindIsDeletedAsKubectlSays(t *testing.T) {
	t.Parallel() // among the longest, and mostly waiting
	p := startPortico(t, "--workload-apis")
	p.kubectl(t, "create", "namespace", "bed")
	kinds := slices.DeleteFunc(discovered(t, p), func(k *kind) bool { return !k.kept() })
	for number, cascade := range []string{"background", "foreground", "orphan"} {
		t.Run(cascade, func(t *testing.T) {
			b := &bed{portico: p, kinds: kinds, namespace: "bed", set: cascade, number: number + 1}
			b.says(t, "created", "create")
			owners := b.but("own")
			owners.plantDependents(t)
			out := b.do(t, "delete", "--cascade="+cascade, "--wait=false") // its waiting takes long: it asks five times a second
			for _, k := range kinds {
				if !strings.Contains(out, ` "`+b.plainName(t, k)+`" deleted`) {
					t.Errorf("%s: kubectl does not tell of its deletion", k.resource)
				}
			}
			eventually(t, "all are gone", func() bool { return b.do(t, "get", "-o", "name", "--ignore-not-found") == "" })
			owners.checkDependents(t, cascade)
		})
	}
}

// plantDependents makes a config map for each object, which owns it.
func (b *bed) plantDependents(t *testing.T) {
	t.Helper()
	var items []map[string]any
	for i, o := range b.objects(t) {
		m := o["metadata"].(map[string]any)
		items = append(items, map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{
			"name": b.dependent(b.kinds[i]), "labels": map[string]any{"set": b.set},
			"ownerReferences": []any{map[string]any{"apiVersion": o["apiVersion"], "kind": o["kind"], "name": m["name"], "uid": m["uid"], "blockOwnerDeletion": true}},
		}})
	}
	data, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	if err != nil {
		t.Fatal(err)
	}
	b.kubectlIn(t, string(data), "-n", b.namespace, "create", "-f", "-")
}

func (b *bed) dependent(k *kind) string { return b.set + "-of-" + k.resource }

// checkDependents looks at what became of those whose owners are gone.
func (b *bed) checkDependents(t *testing.T, cascade string) {
	t.Helper()
	var left map[string]bool // by name, whether it still has its owner
	look := func() {
		var list struct {
			Items []struct {
				Metadata struct {
					Name            string
					OwnerReferences []any
				}
			}
		}
		out := b.kubectl(t, "-n", b.namespace, "get", "configmaps", "-l", "set="+b.set, "-o", "json")
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Fatal(err)
		}
		left = map[string]bool{}
		for _, item := range list.Items {
			left[item.Metadata.Name] = len(item.Metadata.OwnerReferences) > 0
		}
	}
	look()
	if cascade == "background" {
		for deadline := time.Now().Add(patience); len(left) > 0 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			look()
		}
	}
	for _, k := range b.kinds {
		owned, is := left[b.dependent(k)]
		if is != (cascade == "orphan") || owned {
			t.Errorf("%s: its dependent is there: %v, and has its owner: %v", k.resource, is, owned)
		}
	}
}
