package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// kind is what a file of testdata/kinds tells of one resource: first what people see of it, then an object. In the object NAME,
// NUMBER and NAMESPACE stand for what differs from one to the next.
type kind struct {
	Columns    string         // of a table
	Wide       string         // of a table with -o wide; empty when there are no more
	Short      []string       // short names
	Categories []string       // such as all
	Describe   string         // something that describe tells of the object
	Status     map[string]any // a merge patch of the status subresource; only where there is one
	Answer     string         // something in the answer, of what can be created and nothing else

	resource string // deployments.apps
	manifest string
	served   metav1.APIResource // as discovery has it
	scales   bool
	reports  bool // has a status subresource
}

// readKinds reads all files.
func readKinds(t *testing.T) map[string]*kind {
	t.Helper()
	files, err := filepath.Glob("testdata/kinds/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]*kind{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		about, manifest, _ := strings.Cut(string(text), "---\n")
		k := &kind{resource: strings.TrimSuffix(filepath.Base(file), ".yaml"), manifest: manifest}
		if err := yaml.UnmarshalStrict([]byte(about), k); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		kinds[k.resource] = k
	}
	return kinds
}

// discovered returns the kind of every resource that the server lists, the core group's first among those of one name. Each must have
// a file, and each file must be of a resource.
func discovered(t *testing.T, p *portico) []*kind {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", p.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	groups, lists, err := discovery.NewDiscoveryClientForConfigOrDie(config).ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	preferred := map[string]bool{}
	for _, g := range groups {
		preferred[g.PreferredVersion.GroupVersion] = true
	}
	kinds := readKinds(t)
	var all []*kind
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			r.Group, r.Version = gv.Group, gv.Version
			plural, subresource, _ := strings.Cut(r.Name, "/")
			k := kinds[gv.WithResource(plural).GroupResource().String()]
			switch {
			case k == nil:
				t.Errorf("%s of %s has no file in testdata/kinds", r.Name, gv)
			case subresource == "scale":
				k.scales = true
			case subresource == "status":
				k.reports = true
			case subresource == "" && preferred[list.GroupVersion]:
				k.served = r
				all = append(all, k)
			}
		}
	}
	slices.SortFunc(all, func(a, b *kind) int { return strings.Compare(a.resource, b.resource) })
	for _, k := range kinds {
		if !slices.Contains(all, k) {
			t.Errorf("the server lists no resource for testdata/kinds/%s.yaml", k.resource)
		}
	}
	return all
}

// kept tells whether there are objects, and not only answers.
func (k *kind) kept() bool { return slices.Contains(k.served.Verbs, "get") }

// typed is what kubectl calls objects of the kind.
func (k *kind) typed() string {
	return schema.GroupResource{Group: k.served.Group, Resource: strings.ToLower(k.served.Kind)}.String()
}

// bed is a set of objects, one of each of some kinds, in one namespace.
type bed struct {
	*portico
	kinds     []*kind
	namespace string
	set       string // the beginning of all names
	number    int    // differs from set to set
}

// only is the part of the bed whose kinds are chosen.
func (b *bed) only(chosen func(*kind) bool) *bed {
	part := *b
	part.kinds = slices.DeleteFunc(slices.Clone(b.kinds), func(k *kind) bool { return !chosen(k) })
	return &part
}

// object is the bed's object of a kind.
func (b *bed) object(t *testing.T, k *kind) map[string]any {
	t.Helper()
	name := b.set + "-" + strings.ReplaceAll(k.resource, ".", "-")
	text := strings.NewReplacer("NAMESPACE", b.namespace, "NAME", name, "NUMBER", strconv.Itoa(b.number)).Replace(k.manifest)
	var o map[string]any
	if err := yaml.Unmarshal([]byte(text), &o); err != nil {
		t.Fatalf("%s: %v", k.resource, err)
	}
	m, ok := o["metadata"].(map[string]any)
	if !ok {
		m = map[string]any{}
		o["metadata"] = m
	}
	if !k.kept() {
		return o // what is asked has no metadata
	}
	if m["name"] == nil {
		m["name"] = name
	}
	m["annotations"] = map[string]any{"note": "before"}
	return o
}

// name is what kubectl calls the bed's object of a kind.
func (b *bed) name(t *testing.T, k *kind) string {
	t.Helper()
	return k.typed() + "/" + b.plainName(t, k)
}

func (b *bed) plainName(t *testing.T, k *kind) string {
	t.Helper()
	return b.object(t, k)["metadata"].(map[string]any)["name"].(string)
}

// list is the whole bed, for kubectl's standard input.
func (b *bed) list(t *testing.T) string {
	t.Helper()
	items := make([]map[string]any, len(b.kinds))
	for i, k := range b.kinds {
		items[i] = b.object(t, k)
	}
	data, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// do has kubectl do something with the whole bed.
func (b *bed) do(t *testing.T, args ...string) string {
	t.Helper()
	return b.kubectlIn(t, b.list(t), append([]string{"-n", b.namespace}, append(args, "-f", "-")...)...)
}

// says has kubectl do something, and wants what it says of each object.
func (b *bed) says(t *testing.T, what string, args ...string) {
	t.Helper()
	out := b.do(t, args...)
	lines := strings.Split(out, "\n")
	for _, k := range b.kinds {
		if want := b.name(t, k) + " " + what; !slices.Contains(lines, want) {
			t.Errorf("kubectl %s does not say %q:\n%s", strings.Join(args, " "), want, about(lines, b.name(t, k)))
		}
	}
}

// about are the lines in which there is name.
func about(lines []string, name string) string {
	return strings.Join(slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !strings.Contains(line, name) }), "\n")
}
