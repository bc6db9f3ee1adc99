// Package conformance holds what clients may rely on of every built-in resource: the verbs, their
// options and their answers, as they look through the built binary on each of its storage engines.
package conformance

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Paths of the built programs.
var porticoBinary, etcdBinary string

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
	if err := build(); err != nil {
		return 0, err
	}
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

// build builds the programs into the folder that the other end-to-end tests use, too: nothing is
// linked that is up to date.
func build() error {
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "portico-test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("making the folder of built programs: %w", err)
	}
	for _, b := range []struct {
		path            *string
		name, from, pkg string
	}{
		{&porticoBinary, "portico", "../..", "./cmd/portico"},
		{&etcdBinary, "etcd", "../tools", "go.etcd.io/etcd/server/v3"},
	} {
		*b.path = filepath.Join(dir, b.name)
		command := exec.Command("go", "build", "-C", b.from, "-o", *b.path, b.pkg)
		command.Stderr = os.Stderr
		if err := command.Run(); err != nil {
			return fmt.Errorf("building %s: %w", b.name, err)
		}
	}
	return nil
}
