// Package fault holds what the built binary promises when something breaks: the process, its store, its disk.
package fault

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"k8s.io/klog/v2"

	"github.com/portico-api/portico/test/rig"
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

// prepare builds the programs and reads how much is asked for.
func prepare() error {
	if text := os.Getenv("PORTICO_FAULT_ROUNDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("PORTICO_FAULT_ROUNDS=%q is not a number of rounds", text)
		}
		rounds = n
	}
	dir, err := rig.Build(rig.Portico, rig.Etcd)
	porticoBinary, etcdBinary = filepath.Join(dir, rig.Portico), filepath.Join(dir, rig.Etcd)
	return err
}

func TestAResultIsCachedForTheSameSourceOnly(t *testing.T) {
	if err := rig.SeeSource(); err != nil {
		t.Fatal(err)
	}
}
