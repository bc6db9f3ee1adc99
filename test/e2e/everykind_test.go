package e2e

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// exceptions are steps that are not the same for some resources, and why.
var exceptions = map[string]map[string]string{
	"unchanged": {
		"limitranges":                 "the server completes a list that is replaced as a whole, so kubectl sends it each time",
		"poddisruptionbudgets.policy": "its selector is replaced as a whole, so kubectl sends it each time",
	},
	"own": {
		"events":               "an event is not allowed to be an owner",
		"events.events.k8s.io": "the garbage collector takes no notice of events",
	},
}

// but is the bed without the exceptions of a step.
func (b *bed) but(step string) *bed {
	return b.only(func(k *kind) bool { return exceptions[step][k.resource] == "" })
}

// What people do with kubectl works for every resource that there is.
func TestKubectlKnowsEveryKind(t *testing.T) {
	t.Parallel() // among the longest, and mostly waiting
	p := startPortico(t, "--workload-apis")
	p.kubectl(t, "create", "namespace", "bed")
	all := &bed{portico: p, kinds: discovered(t, p), namespace: "bed", set: "main", number: 1}
	all.only(func(k *kind) bool { return !k.kept() }).answers(t)
	kept := all.only((*kind).kept)

	kept.says(t, "created", "create")
	for _, step := range []struct {
		name string
		do   func(*bed, *testing.T)
	}{
		{"names", (*bed).isNamed},
		{"tables", (*bed).isShown},
		{"outputs", (*bed).isPrinted},
		{"describe", (*bed).isDescribed},
		{"explain", (*bed).isExplained},
		{"apply", (*bed).isApplied},
		{"change", (*bed).isChanged},
		{"status", (*bed).reportsStatus},
		{"scale", (*bed).isScaled},
		{"replace", (*bed).isReplaced},
	} {
		t.Run(step.name, func(t *testing.T) { step.do(kept, t) })
	}
}

// answers: what can only be created is answered and not kept.
func (b *bed) answers(t *testing.T) {
	for _, k := range b.kinds {
		if out := b.only(func(other *kind) bool { return other == k }).do(t, "create", "-o", "yaml"); k.Answer == "" || !strings.Contains(out, k.Answer) {
			t.Errorf("%s: the answer does not hold %q:\n%s", k.resource, k.Answer, out)
		}
	}
}

// isNamed: by short names, by categories, and in the list of resources.
func (b *bed) isNamed(t *testing.T) {
	var short, named []string
	taken := map[string]bool{}
	for _, k := range b.kinds {
		if !slices.Equal(k.served.ShortNames, k.Short) || !slices.Equal(k.served.Categories, k.Categories) {
			t.Errorf("%s: got short names %v and categories %v", k.resource, k.served.ShortNames, k.served.Categories)
		}
		name := b.plainName(t, k)
		for _, s := range k.Short {
			if !taken[s] { // the core group has it
				short, named = append(short, s+"/"+name), append(named, b.name(t, k))
			}
			taken[s] = true
		}
	}
	out := b.kubectl(t, append([]string{"-n", b.namespace, "get", "-o", "name"}, short...)...)
	if got := strings.Fields(out); !slices.Equal(got, named) {
		t.Errorf("by short names %v: got %v, want %v", short, got, named)
	}
	for _, category := range []string{"all", "api-extensions"} {
		out := strings.Fields(b.kubectl(t, "-n", b.namespace, "get", category, "-o", "name"))
		for _, k := range b.kinds {
			if want := slices.Contains(k.Categories, category); slices.Contains(out, b.name(t, k)) != want {
				t.Errorf("%s among %s: want %v", k.resource, category, want)
			}
		}
	}
}

// isShown: in tables, with the columns that people know.
func (b *bed) isShown(t *testing.T) {
	for _, wide := range []bool{false, true} {
		args := []string{"get"}
		if wide {
			args = append(args, "-o", "wide")
		}
		tables := strings.Split(b.do(t, args...), "\n\n")
		if len(tables) != len(b.kinds) {
			t.Fatalf("%d tables of %d kinds:\n%s", len(tables), len(b.kinds), strings.Join(tables, "\n\n"))
		}
		for i, k := range b.kinds {
			header, row, _ := strings.Cut(tables[i], "\n")
			want := k.Columns
			if wide && k.Wide != "" {
				want = k.Wide
			}
			if got := strings.Join(strings.Fields(header), " "); got != want {
				t.Errorf("%s: got columns %s, want %s", k.resource, got, want)
			}
			if strings.Contains(want, "NAME") && !strings.Contains(row, b.name(t, k)) || strings.TrimSpace(row) == "" {
				t.Errorf("%s: got row %q", k.resource, row)
			}
		}
	}
}

// isPrinted: in every format that programs read.
func (b *bed) isPrinted(t *testing.T) {
	type item struct {
		APIVersion, Kind string
		Metadata         struct{ Name, UID string }
	}
	var asJSON, asYAML struct{ Items []item }
	if err := json.Unmarshal([]byte(b.do(t, "get", "-o", "json")), &asJSON); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(b.do(t, "get", "-o", "yaml")), &asYAML); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(asJSON, asYAML) {
		t.Errorf("in YAML %+v, in JSON %+v", asYAML, asJSON)
	}
	var names, paths strings.Builder
	columns := b.do(t, "get", "-o", "custom-columns=KIND:.kind,UID:.metadata.uid")
	for i, k := range b.kinds {
		got := asJSON.Items[i]
		fmt.Fprintln(&names, b.name(t, k))
		fmt.Fprintf(&paths, "%s %s %s\n", got.APIVersion, got.Kind, got.Metadata.UID)
		if got.Kind != k.served.Kind || got.Metadata.Name != b.plainName(t, k) || got.Metadata.UID == "" {
			t.Errorf("%s: got %+v", k.resource, got)
		}
		if !strings.Contains(columns, got.Metadata.UID) {
			t.Errorf("%s: its UID is not among the columns:\n%s", k.resource, columns)
		}
	}
	if out := b.do(t, "get", "-o", "name"); out != names.String() {
		t.Errorf("names: got\n%swant\n%s", out, names.String())
	}
	const path = `jsonpath={range .items[*]}{.apiVersion}{" "}{.kind}{" "}{.metadata.uid}{"\n"}{end}`
	if out := b.do(t, "get", "-o", path); out != paths.String() {
		t.Errorf("paths: got\n%swant\n%s", out, paths.String())
	}
}

func (b *bed) isDescribed(t *testing.T) {
	sections := strings.Split("\n"+b.do(t, "describe"), "\nName:")
	for _, k := range b.kinds {
		name := b.plainName(t, k)
		i := slices.IndexFunc(sections, func(s string) bool {
			first, _, _ := strings.Cut(s, "\n")
			return strings.TrimSpace(first) == name
		})
		if i < 0 || k.Describe == "" || !strings.Contains(sections[i], k.Describe) {
			t.Errorf("%s: the description does not hold %q:\n%s", k.resource, k.Describe, sections[max(i, 0)])
		}
	}
}

func (b *bed) isExplained(t *testing.T) {
	for _, k := range b.kinds {
		gv := b.object(t, k)["apiVersion"].(string)
		out := b.kubectl(t, "explain", k.served.Name, "--api-version", gv)
		for _, want := range []string{"KIND:       " + k.served.Kind + "\n", "VERSION:    " + k.served.Version + "\n", "FIELDS:\n", "metadata\t<ObjectMeta>"} {
			if !strings.Contains(out, want) || strings.Contains(out, "DESCRIPTION:\n    <empty>") {
				t.Errorf("explain %s of %s does not tell %q:\n%s", k.served.Name, gv, want, out)
			}
		}
	}
}

// isApplied: by the client and by the server; what was applied is found to be as it was.
func (b *bed) isApplied(t *testing.T) {
	b.says(t, "configured", "apply") // that it was applied is remembered from now on
	b.but("unchanged").says(t, "unchanged", "apply")
	if out := b.do(t, "diff"); out != "" {
		t.Errorf("what was applied differs:\n%s", out)
	}
	b.says(t, "serverside-applied", "apply", "--server-side", "--force-conflicts", "--field-manager=other")
	b.says(t, "serverside-applied (server dry run)", "apply", "--server-side", "--force-conflicts", "--field-manager=other", "--dry-run=server")
}

// isChanged: in an editor, and with the commands that change a little.
func (b *bed) isChanged(t *testing.T) {
	out, errs, err := run(t, []string{"KUBECONFIG=" + b.kubeconfig, "HOME=" + b.home, "KUBE_EDITOR=sed -i s/before/after/"},
		b.list(t), kubectlBinary, "-n", b.namespace, "edit", "-f", "-")
	if err != nil {
		t.Errorf("edit: %v\n%s", err, errs)
	}
	for _, k := range b.kinds {
		if !strings.Contains(out, b.name(t, k)+" edited\n") {
			t.Errorf("%s was not edited", k.resource)
		}
	}
	b.says(t, "labeled", "label", "labelled=yes")
	b.says(t, "annotated", "annotate", "annotated=yes")
	b.says(t, "patched", "patch", "--type=merge", "-p", `{"metadata":{"labels":{"merged":"yes"}}}`)
	b.says(t, "patched", "patch", "--type=strategic", "-p", `{"metadata":{"labels":{"strategic":"yes"}}}`)
	b.says(t, "patched", "patch", "--type=json", "-p", `[{"op":"add","path":"/metadata/labels/json","value":"yes"}]`)
	for i, o := range b.objects(t) {
		m := o["metadata"].(map[string]any)
		labels, _ := m["labels"].(map[string]any)
		annotations, _ := m["annotations"].(map[string]any)
		for _, label := range []string{"labelled", "merged", "strategic", "json"} {
			if labels[label] != "yes" {
				t.Errorf("%s: label %s is missing", b.kinds[i].resource, label)
			}
		}
		if annotations["annotated"] != "yes" || annotations["note"] != "after" {
			t.Errorf("%s: annotations are %v", b.kinds[i].resource, annotations)
		}
	}
}

// objects are those that the server has.
func (b *bed) objects(t *testing.T) []map[string]any {
	t.Helper()
	var list struct{ Items []map[string]any }
	if err := json.Unmarshal([]byte(b.do(t, "get", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// reportsStatus: where there is a status, it is written apart.
func (b *bed) reportsStatus(t *testing.T) {
	for _, k := range b.kinds {
		if k.reports != (k.Status != nil) {
			t.Errorf("%s: it has a status subresource: %v; testdata/kinds has a status: %v", k.resource, k.reports, k.Status != nil)
		}
	}
	reporting := b.only(func(k *kind) bool { return k.reports && k.Status != nil })
	for _, k := range reporting.kinds {
		patch, err := json.Marshal(map[string]any{"status": k.Status})
		if err != nil {
			t.Fatal(err)
		}
		out := reporting.only(func(other *kind) bool { return other == k }).do(t, "patch", "--subresource=status", "--type=merge", "-p", string(patch), "-o", "json")
		var o map[string]any
		if err := json.Unmarshal([]byte(out), &o); err != nil {
			t.Fatal(err)
		}
		if !within(o["status"], k.Status) {
			t.Errorf("%s: status is %v, want %v", k.resource, o["status"], k.Status)
		}
	}
}

// within tells whether got has all that want has.
func within(got, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		has, ok := got.(map[string]any)
		for name, value := range want {
			ok = ok && within(has[name], value)
		}
		return ok
	case []any:
		has, ok := got.([]any)
		for _, value := range want {
			ok = ok && slices.ContainsFunc(has, func(got any) bool { return within(got, value) })
		}
		return ok
	}
	return reflect.DeepEqual(got, want)
}

func (b *bed) isScaled(t *testing.T) {
	scaling := b.only(func(k *kind) bool { return k.scales })
	if len(scaling.kinds) == 0 {
		t.Fatal("nothing scales")
	}
	scaling.says(t, "scaled", "scale", "--replicas=7")
	scaling.says(t, "scaled", "scale", "--replicas=3", "--current-replicas=7")
	for i, o := range scaling.objects(t) {
		if replicas := o["spec"].(map[string]any)["replicas"]; replicas != 3.0 {
			t.Errorf("%s: got %v replicas", scaling.kinds[i].resource, replicas)
		}
	}
}

// isReplaced: by itself, and a status that is missing is as little written as one that comes along.
func (b *bed) isReplaced(t *testing.T) {
	before, sent := b.objects(t), b.objects(t)
	for i, k := range b.kinds {
		if k.reports {
			delete(sent[i], "status")
		}
		for _, o := range []map[string]any{before[i], sent[i]} { // or kubectl would write anew what was applied last
			delete(o["metadata"].(map[string]any)["annotations"].(map[string]any), "kubectl.kubernetes.io/last-applied-configuration")
			delete(o["metadata"].(map[string]any), "resourceVersion")
		}
	}
	data, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": sent})
	if err != nil {
		t.Fatal(err)
	}
	out := b.kubectlIn(t, string(data), "-n", b.namespace, "replace", "-f", "-")
	for i, o := range b.objects(t) {
		if !strings.Contains(out, b.name(t, b.kinds[i])+" replaced\n") {
			t.Errorf("%s was not replaced", b.kinds[i].resource)
		}
		delete(o["metadata"].(map[string]any), "resourceVersion")
		if !reflect.DeepEqual(before[i], o) {
			t.Errorf("%s: replaced by itself it was\n%v and is\n%v", b.kinds[i].resource, before[i], o)
		}
	}
}
