package fault

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A disk that is full costs nothing that was acknowledged, and no more than its being full.
func TestAFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	for round := range rounds {
		t.Run(fmt.Sprint(round), survivesAFullDisk)
		if t.Failed() {
			return
		}
	}
}

func survivesAFullDisk(t *testing.T) {
	disk := smallDisk(t)
	d := newDoor(t, filepath.Join(disk, "data"))
	d.start(t)
	client := d.configMaps(t)
	promised := newLedger()
	promised.writeUntil(t, client, "w", 4, 100, func() {
		fill(t, filepath.Join(disk, "filler"))
		full(t, d)
	})
	d.kill()
	// Nothing is promised of a start on a full disk but that it does no harm.
	d.launch(t)
	time.Sleep(time.Second)
	d.kill()
	if err := os.Remove(filepath.Join(disk, "filler")); err != nil {
		t.Fatal(err)
	}
	d.start(t)
	promised.settle(t, client)
	if _, err := client.Create(t.Context(), object("after", 1), metav1.CreateOptions{}); err != nil {
		t.Errorf("a write after the disk had space again: %v", err)
	}
}

// smallDisk is a disk of the test's own.
func smallDisk(t *testing.T) string {
	t.Helper()
	disk := t.TempDir()
	// The etcd sets 2 × 64 MB for its log aside.
	if err := syscall.Mount("portico-test", disk, "tmpfs", 0, "size=192m"); err != nil {
		if os.Getenv("PORTICO_NO_SKIP") != "" {
			t.Fatalf("making a small disk: %v", err)
		}
		t.Skipf("making a small disk, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return disk
}

// fill leaves no byte of the disk that file is on.
func fill(t *testing.T, file string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for chunk := make([]byte, 1<<20); len(chunk) > 0; {
		if _, err := f.Write(chunk); err != nil {
			chunk = chunk[:len(chunk)/2]
		}
	}
}

// full writes until the disk's being full is noticed: a write is refused, or the process ends and says why.
func full(t *testing.T, d *door) {
	t.Helper()
	client := d.configMaps(t)
	large := &corev1.ConfigMap{Data: map[string]string{"large": string(make([]byte, 500_000))}}
	for i := range 1000 {
		large.Name = fmt.Sprint("big-", i, "-", time.Now().UnixNano())
		if _, err := client.Create(t.Context(), large, metav1.CreateOptions{}); err != nil {
			t.Logf("noticed after %d large writes: %v", i, err)
			break
		}
	}
	select {
	case <-d.done:
		t.Logf("it ended with code %d, and: %s", d.cmd.ProcessState.ExitCode(), d.output())
	case <-time.After(5 * time.Second):
		t.Logf("it is still running")
	}
}
