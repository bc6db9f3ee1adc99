package openapi

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/kube-openapi/pkg/util"
)

// The table holds what the comments of the stable types say, no less and no more.
func TestWhatMayBeLeftOutIsWhatTheSourceSays(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/api").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := strings.TrimSpace(string(dir))
	files, err := filepath.Glob(filepath.Join(root, "*", "v[0-9]", "types.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no types below %s: %v", root, err)
	}
	want := map[string][]string{}
	for _, file := range files {
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		pkg, _ := filepath.Rel(root, filepath.Dir(file))
		ast.Inspect(source, func(n ast.Node) bool {
			named, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if object, ok := named.Type.(*ast.StructType); ok {
				if names := leftOut(object); len(names) > 0 {
					want[util.ToRESTFriendlyName("k8s.io/api/"+filepath.ToSlash(pkg)+"."+named.Name.Name)] = names
				}
			}
			return true
		})
	}
	for _, model := range slices.Sorted(maps.Keys(want)) {
		if got := mayBeLeftOut[model]; !slices.Equal(got, want[model]) {
			t.Errorf("%s: got %q, want %q", model, got, want[model])
		}
	}
	for model := range mayBeLeftOut {
		if want[model] == nil {
			t.Errorf("%s has no such fields", model)
		}
	}
}

// leftOut are the fields of a struct that are always written and yet optional.
func leftOut(object *ast.StructType) []string {
	var names []string
	for _, f := range object.Fields.List {
		if f.Tag == nil || f.Doc == nil {
			continue
		}
		tag, _ := strconv.Unquote(f.Tag.Value)
		name, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		optional := slices.ContainsFunc(f.Doc.List, func(c *ast.Comment) bool { return strings.TrimSpace(c.Text) == "// +optional" })
		if name != "" && optional && !strings.Contains(options, "omit") && !strings.Contains(options, "inline") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
