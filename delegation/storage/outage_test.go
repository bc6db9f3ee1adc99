package storage_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/portico-api/portico/delegation/storage"
)

// Without its cluster the store refuses writes and fresh reads in time, serves the reads that
// take what there is, and works again when the cluster does.
func TestClusterOutage(t *testing.T) {
	dir := t.TempDir()
	server, address := startEtcdProcess(t, dir)
	s, err := storage.Open(t.Context(), storage.Config{Servers: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c := resource(t, s)
	o := create(t, c, "a", "x", "1")
	if _, err := c.Get(t.Context(), "a", "x", storage.Read{}); err != nil {
		t.Fatal(err)
	}
	cur, err := c.Watch(t.Context(), "", o.ResourceVersion())
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()

	kill(t, server)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := c.Create(ctx, "a", "y", thing("y", "1"), 0); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("Create without the cluster: got %v, want ErrUnavailable", err)
	}
	if _, err := c.Get(ctx, "a", "x", storage.Read{}); err == nil {
		t.Error("a fresh read without the cluster succeeded")
	}
	if got, err := c.Get(t.Context(), "a", "x", storage.Read{Any: true}); err != nil || got.ResourceVersion() != o.ResourceVersion() {
		t.Errorf("a read that takes any state: got %v, %v", got, err)
	}
	if err := s.Health(ctx); err == nil {
		t.Error("Health without the cluster: got nil")
	}

	server, _ = startEtcdProcess(t, dir)
	defer kill(t, server)
	recovered := create(t, c, "a", "z", "1") // the client connects again within the write's own deadline
	if got := tell(next(t, cur, 1)); got != "ADDED a/z=1" && got != "ADDED a/y=1 ADDED a/z=1" {
		t.Errorf("the watch after the outage: got %q, want ADDED a/z=1", got)
	}
	if got, err := c.Get(t.Context(), "a", "z", storage.Read{}); err != nil || got.ResourceVersion() != recovered.ResourceVersion() {
		t.Errorf("a fresh read after the outage: got %v, %v", got, err)
	}
}

const etcdDirVariable = "PORTICO_TEST_ETCD_DIR"

// etcdChild is an etcd that can be killed. It ends with its parent, who holds the other end of its input.
func etcdChild(dir string) {
	_, address, err := startEtcd(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(address)
	_, _ = os.Stdin.Read(make([]byte, 1))
	os.Exit(2)
}

func startEtcdProcess(t *testing.T, dir string) (child *exec.Cmd, address string) {
	t.Helper()
	child = exec.Command(os.Args[0])
	child.Env = append(os.Environ(), etcdDirVariable+"="+dir)
	child.Stderr = os.Stderr
	if _, err := child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		kill(t, child)
		t.Fatal("the etcd did not start")
	}
	return child, lines.Text()
}
