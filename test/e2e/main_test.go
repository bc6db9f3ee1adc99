// Package e2e holds what is tested from outside: the built binary, used by the real kubectl and
// client-go, in front of the real sample-apiserver.
package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/portico-api/portico/test/rig"
)

// Paths of the binary under test and of the real programs it is tested with.
var porticoBinary, kubectlBinary, sampleAPIServerBinary, etcdBinary string

// Programs that few tests need, and that take long to build on a fresh machine: they are built while others run, because the go command
// ends a package's tests after eleven minutes.
var (
	helmBinary, operatorBinary, potterBinary = builtMeanwhile(rig.Helm), builtMeanwhile(rig.Operator), builtMeanwhile(rig.Potter)
	metricsServerBinary, controllerGenBinary = builtMeanwhile(rig.MetricsServer), builtMeanwhile(rig.ControllerGen)
)

// builtMeanwhile is the path of a program, once it is there.
func builtMeanwhile(name string) func(t *testing.T) string {
	path := sync.OnceValues(func() (string, error) {
		dir, err := rig.Build(name)
		return filepath.Join(dir, name), err
	})
	return func(t *testing.T) string {
		if t == nil {
			_, _ = path() // who needs it learns of the error
			return ""
		}
		t.Helper()
		file, err := path()
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
}

func TestMain(m *testing.M) {
	dir, err := rig.Build(rig.Portico, rig.Kubectl, rig.SampleAPIServer, rig.Etcd)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	porticoBinary, kubectlBinary = filepath.Join(dir, rig.Portico), filepath.Join(dir, rig.Kubectl)
	sampleAPIServerBinary, etcdBinary = filepath.Join(dir, rig.SampleAPIServer), filepath.Join(dir, rig.Etcd)
	go func() {
		for _, build := range []func(*testing.T) string{helmBinary, operatorBinary, potterBinary, metricsServerBinary, controllerGenBinary} {
			build(nil)
		}
	}()
	os.Exit(m.Run())
}

func TestAResultIsCachedForTheSameSourceOnly(t *testing.T) {
	if err := rig.SeeSource(); err != nil {
		t.Fatal(err)
	}
}
