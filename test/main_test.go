// Package test holds what is tested from outside: the built binary, used by the real kubectl and
// client-go, in front of the real sample-apiserver.
package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Paths of the binaries under test and of the real programs they are tested with.
var porticoBinary, kubectlBinary, sampleAPIServerBinary, etcdBinary string

// TestMain builds what the tests run. It does so before the tests' clock starts, and into a folder
// that is kept, because linking kubectl takes longer than most tests.
func TestMain(m *testing.M) {
	dir, err := binaries()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, b := range []struct {
		path    *string
		name    string
		from    string
		pkg     string
		ldflags string
	}{
		{&porticoBinary, "portico", "..", "./cmd/portico", ""},
		{&kubectlBinary, "kubectl", "tools", "./kubectl", "-X k8s.io/component-base/version.gitVersion=v1.36.6 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"},
		{&sampleAPIServerBinary, "sample-apiserver", "tools", "k8s.io/sample-apiserver", ""},
		{&etcdBinary, "etcd", "tools", "go.etcd.io/etcd/server/v3", ""},
	} {
		*b.path = filepath.Join(dir, b.name)
		build := exec.Command("go", "build", "-C", b.from, "-ldflags", b.ldflags, "-o", *b.path, b.pkg)
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintf(os.Stderr, "building %s: %v\n", b.name, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// binaries returns the folder that the built programs are kept in.
func binaries() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "portico-test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the folder of built programs: %w", err)
	}
	return dir, nil
}
