// Package conformance holds what clients may rely on of every built-in resource: the verbs, their
// options and their answers, as they look through the built binary on each of its storage engines.
package conformance

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/portico-api/portico/test/rig"
)

// Paths of the built programs.
var porticoBinary, etcdBinary, kubectlBinary string

// engines are the servers that every suite runs against, one for each place that objects are stored in.
var engines []*server

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "16") // most of them wait for the server, not for a processor
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run builds what is tested, starts it on each engine and runs the tests.
func run(m *testing.M) (int, error) {
	programs, err := rig.Build(rig.Portico, rig.Etcd, rig.Kubectl)
	if err != nil {
		return 0, err
	}
	porticoBinary, etcdBinary = filepath.Join(programs, rig.Portico), filepath.Join(programs, rig.Etcd)
	kubectlBinary = filepath.Join(programs, rig.Kubectl)
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"embedded store", "etcd"} {
		s, err := startServer(name, filepath.Join(dir, name))
		if err != nil {
			return 0, err
		}
		defer s.stop()
		engines = append(engines, s)
	}
	return m.Run(), nil
}

func TestAResultIsCachedForTheSameSourceOnly(t *testing.T) {
	if err := rig.SeeSource(); err != nil {
		t.Fatal(err)
	}
}
