package rig

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// The programs that tests run: the one under test, and real ones from the modules below test/tools.
const (
	Portico         = "portico"
	Kubectl         = "kubectl"
	SampleAPIServer = "sample-apiserver"
	Etcd            = "etcd"
	Helm            = "helm"
	Operator        = "operator"
	Potter          = "potter"
	MetricsServer   = "metrics-server"
	ControllerGen   = "controller-gen"
)

// Orchard is the module of the Go types that controller-gen makes definitions of, and of controller-gen.
const Orchard = "test/tools/orchard"

// recipes say what each program is built from. kubectl compares versions and must know its own.
var recipes = map[string]struct{ from, pkg, ldflags string }{
	Portico:         {".", "./cmd/portico", ""},
	Kubectl:         {"test/tools", "./kubectl", "-X k8s.io/component-base/version.gitVersion=v1.36.6 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"},
	SampleAPIServer: {"test/tools", "k8s.io/sample-apiserver", ""},
	Etcd:            {"test/tools", "go.etcd.io/etcd/server/v3", ""},
	Operator:        {"test/tools/operator", ".", ""},
	Potter:          {"test/tools/operator", "./potter", ""},
	ControllerGen:   {Orchard, "sigs.k8s.io/controller-tools/cmd/controller-gen", ""},
	// In modules of their own, because they are made of other versions.
	Helm:          {"test/tools/helm", "helm.sh/helm/v3/cmd/helm", ""},
	MetricsServer: {"test/tools/metricsserver", "sigs.k8s.io/metrics-server/cmd/metrics-server", ""},
}

// Build builds programs and returns the folder that they are in under their names. The folder is
// kept, because linking kubectl takes longer than most tests; what is up to date is left alone. It
// is meant for TestMain, before the tests' clock starts.
func Build(programs ...string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "portico-test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the folder of built programs: %w", err)
	}
	for _, name := range programs {
		if err := build(dir, name); err != nil {
			return "", err
		}
	}
	return dir, nil
}

func build(dir, name string) error {
	// Packages are tested at the same time: one must not replace a program that another starts.
	lock, err := os.OpenFile(filepath.Join(dir, "lock-"+name), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("locking %s: %w", name, err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("locking %s: %w", name, err)
	}
	recipe := recipes[name]
	// Without what debuggers need: on a fresh machine, linking is much of the wait.
	command := exec.Command("go", "build", "-C", filepath.Join(root(), recipe.from), "-ldflags", "-s -w "+recipe.ldflags, "-o", filepath.Join(dir, name), recipe.pkg)
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("building %s: %w", name, err)
	}
	return nil
}

// SeeSource looks at every source file of the program under test. The go command remembers what a
// test has looked at and runs it again when that has changed; it cannot see what a program that
// was built aside is made of. Call it from a test: what happens before is not remembered.
func SeeSource() error {
	return filepath.WalkDir(root(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && path != root() && (name == "test" || strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") || name == "go.mod" {
			_, err = os.Stat(path)
		}
		return err
	})
}

// root is the repository's.
func root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}
