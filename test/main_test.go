// Package test holds what is tested from outside: the built binary, used by the real kubectl and
// client-go, in front of the real sample-apiserver.
package test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/portico-api/portico/test/rig"
)

// Paths of the binary under test and of the real programs it is tested with.
var porticoBinary, kubectlBinary, sampleAPIServerBinary, etcdBinary, helmBinary, operatorBinary, metricsServerBinary string

func TestMain(m *testing.M) {
	dir, err := rig.Build(rig.Portico, rig.Kubectl, rig.SampleAPIServer, rig.Etcd, rig.Helm, rig.Operator, rig.MetricsServer)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	porticoBinary, kubectlBinary = filepath.Join(dir, rig.Portico), filepath.Join(dir, rig.Kubectl)
	sampleAPIServerBinary, etcdBinary = filepath.Join(dir, rig.SampleAPIServer), filepath.Join(dir, rig.Etcd)
	helmBinary, operatorBinary = filepath.Join(dir, rig.Helm), filepath.Join(dir, rig.Operator)
	metricsServerBinary = filepath.Join(dir, rig.MetricsServer)
	os.Exit(m.Run())
}

func TestAResultIsCachedForTheSameSourceOnly(t *testing.T) {
	if err := rig.SeeSource(); err != nil {
		t.Fatal(err)
	}
}
