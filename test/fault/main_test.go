// Package fault holds what the built binary promises when something breaks: the process, its store, its disk.
package fault

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"k8s.io/klog/v2"
)

// Paths of the built programs.
var porticoBinary, etcdBinary string

// rounds is how often each fault is made. The few that go test ./... makes find what is broken always;
// PORTICO_FAULT_ROUNDS=50 finds what is broken sometimes.
var rounds = 3

func TestMain(m *testing.M) {
	// The clients complain of each fault that is made.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	if err := prepare(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// prepare builds the programs into the folder that the other end-to-end tests use, too: nothing is linked that is
// up to date.
func prepare() error {
	if text := os.Getenv("PORTICO_FAULT_ROUNDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("PORTICO_FAULT_ROUNDS=%q is not a number of rounds", text)
		}
		rounds = n
	}
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
