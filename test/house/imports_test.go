// Package house_test holds the rules that the code keeps about itself.
package house_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/portico-api/portico/"

// mayImport is the import rule: what each package may use of ours. A package that is not listed may
// use nothing. All arrows point down this list or to its side, none back up, so there is no circle.
var mayImport = map[string][]string{
	"cmd/portico": {"*"},
	"aggregator": {
		"aggregator/proxy", "aggregator/backend", "delegation", "delegation/registry", "delegation/registry/fieldtypes",
		"handler", "handler/rest", "handler/discovery", "handler/openapi", "metrics",
	},
	"aggregator/proxy":   {"aggregator/wire", "metrics"},
	"aggregator/backend": {"aggregator/wire", "metrics"},
	"aggregator/wire":    {},
	"delegation": {
		"handler", "handler/rest", "handler/filters", "handler/discovery", "handler/openapi", "serving", "metrics",
	},
	"delegation/core": {
		"delegation", "delegation/admission", "delegation/controller", "delegation/core/bootstraptokens", "delegation/core/certificates", "delegation/core/garbagecollection", "delegation/core/quota", "delegation/core/workload", "delegation/hookclient", "delegation/stored", "delegation/registry", "delegation/registry/declare", "delegation/registry/fieldtypes",
		"handler", "handler/rest", "handler/authentication", "handler/authentication/serviceaccount", "handler/authorization",
	},
	"delegation/core/bootstraptokens":   {"delegation/controller", "delegation/registry"},
	"delegation/core/certificates":      {"delegation/controller", "delegation/registry", "delegation/registry/declare", "handler"},
	"delegation/core/quota":             {"delegation/controller", "delegation/registry", "delegation/registry/declare", "handler", "handler/rest"},
	"delegation/core/workload":          {"delegation/registry", "delegation/registry/declare", "delegation/registry/fieldtypes", "handler", "handler/rest"},
	"delegation/core/garbagecollection": {"delegation", "delegation/controller"},
	"delegation/extensions": {
		"delegation", "delegation/controller", "delegation/hookclient", "delegation/registry", "delegation/registry/fieldtypes", "delegation/stored",
		"handler", "handler/discovery", "handler/openapi", "handler/rawjson", "handler/rest",
	},
	"delegation/hookclient": {"metrics"},
	"delegation/stored":     {"delegation", "delegation/registry", "handler/rest"},
	// The registry implements the interface that the verbs declare, so it uses the types in it.
	"delegation/registry":                   {"delegation/registry/fieldtypes", "delegation/storage", "handler", "handler/rest"},
	"delegation/registry/declare":           {"delegation/registry", "handler/rest"},
	"delegation/admission":                  {"delegation/controller", "delegation/hookclient", "delegation/registry", "handler", "handler/rest", "metrics"},
	"delegation/storage":                    {"handler/rawjson", "metrics"},
	"handler":                               {"metrics"},
	"handler/filters":                       {"handler", "metrics"},
	"handler/authentication/serviceaccount": {"handler"},
	"handler/authentication":                {"handler", "metrics"},
	"handler/authorization":                 {"handler", "metrics"},
	"handler/audit":                         {"handler", "metrics"},
	"handler/rawjson":                       {},
	"handler/rest":                          {"handler", "handler/rawjson", "metrics"},
	"handler/discovery":                     {"handler", "metrics"},
	"handler/openapi":                       {"handler", "handler/rawjson", "metrics"},
}

// forbidden are the packages whose job is ours; the project exists to do it better.
var forbidden = []string{
	"k8s.io/apiserver/pkg/server", "k8s.io/apiserver/pkg/endpoints", "k8s.io/apiserver/pkg/registry", "k8s.io/apiserver/pkg/storage",
	"k8s.io/kube-aggregator/pkg/apiserver", "k8s.io/kube-aggregator/pkg/cmd", "k8s.io/kube-aggregator/pkg/controllers", "k8s.io/kube-aggregator/pkg/registry",
	"k8s.io/apiextensions-apiserver/pkg/cmd", "k8s.io/apiextensions-apiserver/pkg/controller", "k8s.io/apiextensions-apiserver/pkg/registry",
	"k8s.io/kubernetes",
}

// allowedHelpers are small parts of those that bring no server with them.
var allowedHelpers = []string{"k8s.io/apiserver/pkg/endpoints/request", "k8s.io/apiserver/pkg/server/egressselector"}

func TestArrowsPointDown(t *testing.T) {
	for pkg, imports := range ours(t) {
		for _, used := range slices.Sorted(maps.Keys(imports)) {
			if rest, ok := strings.CutPrefix(used, module); ok && !allowed(pkg, rest) {
				t.Errorf("%s imports %s: the import rule does not allow it (%v do)", pkg, rest, mayImport[pkg])
			}
		}
	}
}

func TestOurJobIsNotImported(t *testing.T) {
	for pkg, imports := range ours(t) {
		for used := range imports {
			if slices.Contains(allowedHelpers, used) {
				continue
			}
			for _, not := range forbidden {
				if used == not || strings.HasPrefix(used, not+"/") {
					t.Errorf("%s imports %s, which does what Portico exists to do", pkg, used)
				}
			}
		}
	}
}

func TestEveryPackageSaysWhereItStands(t *testing.T) {
	root := filepath.Join("..", "..")
	for pkg := range ours(t) {
		files, err := filepath.Glob(filepath.Join(root, pkg, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		comments := 0
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if parsed.Doc != nil && !strings.HasSuffix(file, "_test.go") {
				comments++
			}
		}
		if comments != 1 {
			t.Errorf("%s has %d package comments, want one", pkg, comments)
		}
	}
}

func allowed(pkg, used string) bool {
	rule := mayImport[pkg]
	return slices.Contains(rule, "*") || slices.Contains(rule, used)
}

// ours returns the imports of each package outside test/, tests left out: a test may use what it likes.
func ours(t *testing.T) map[string]map[string]bool {
	t.Helper()
	root := filepath.Join("..", "..")
	packages := map[string]map[string]bool{}
	err := filepath.WalkDir(root, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, file)
		name = filepath.ToSlash(name)
		if entry.IsDir() && (name == "test" || strings.HasPrefix(entry.Name(), ".") && name != "." || entry.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Dir(name)
		if packages[pkg] == nil {
			packages[pkg] = map[string]bool{}
		}
		for _, spec := range parsed.Imports {
			used, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			packages[pkg][used] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < len(mayImport) {
		t.Fatalf("found %d packages below %s, want at least the %d of the rule", len(packages), root, len(mayImport))
	}
	return packages
}
