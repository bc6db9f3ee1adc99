package fault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// etcd is a cluster of one member that can be stopped and started again at its address.
type etcd struct {
	dir          string
	client, peer string
	*process
}

func startEtcd(t *testing.T) *etcd {
	t.Helper()
	e := &etcd{dir: filepath.Join(t.TempDir(), "etcd")}
	e.client = "http://127.0.0.1:" + strconv.Itoa(freePort(t))
	e.peer = "http://127.0.0.1:" + strconv.Itoa(freePort(t))
	e.start(t)
	return e
}

func (e *etcd) start(t *testing.T) {
	t.Helper()
	e.process = start(t, etcdBinary, "--data-dir", e.dir, "--log-level", "error",
		"--listen-client-urls", e.client, "--advertise-client-urls", e.client,
		"--listen-peer-urls", e.peer, "--initial-advertise-peer-urls", e.peer, "--initial-cluster", "default="+e.peer)
}

// While its etcd is away a front door refuses writes with a Status and in time, answers the reads that take what there is, and
// goes on by itself when the etcd is back. A watch misses nothing.
func TestAnEtcdMayGoAndComeBack(t *testing.T) {
	t.Parallel()
	e := startEtcd(t)
	d := newDoor(t, filepath.Join(t.TempDir(), "data"), "--etcd-servers", e.client)
	d.start(t)
	client := d.configMaps(t)
	seen := newWitness(t, client)
	promised := newLedger()
	for _, fault := range []struct {
		name       string
		gone, back func()
	}{
		{"killed", func() { e.kill() }, func() { e.start(t) }},
		{"silent", func() { e.signal(t, syscall.SIGSTOP) }, func() { e.signal(t, syscall.SIGCONT) }},
	} {
		for round := range max(1, rounds/5) {
			promised.writeUntil(t, client, fmt.Sprint("w-", fault.name, round), 4, 50, fault.gone)
			holdsOut(t, d, fault.name)
			fault.back()
			eventually(t, "the front door is ready again", func() bool { return d.readyz() == http.StatusOK })
			promised.settle(t, client)
			if t.Failed() {
				t.Fatalf("%s, round %d", fault.name, round)
			}
		}
	}
	seen.testify(t, client, promised)
}

// holdsOut checks what a front door does while its etcd is away.
func holdsOut(t *testing.T, d *door, why string) {
	t.Helper()
	client := d.configMaps(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	begin := time.Now()
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() {
		_, err := client.Create(ctx, object("refused", 1), metav1.CreateOptions{})
		refused(t, why+": a write", err)
		t.Logf("%s: a write was refused after %v", why, time.Since(begin).Round(time.Millisecond))
	})
	_, err := client.Get(ctx, "refused", metav1.GetOptions{})
	refused(t, why+": a read of the newest state", err)
	if list, err := client.List(ctx, metav1.ListOptions{ResourceVersion: "0"}); err != nil || len(list.Items) == 0 {
		t.Errorf("%s: a list with resourceVersion=0: got %v, %v", why, list, err)
	}
	if code := d.readyz(); code != http.StatusInternalServerError {
		t.Errorf("%s: readyz: got %d, want 500", why, code)
	}
}

func refused(t *testing.T, what string, err error) {
	t.Helper()
	switch status := apierrors.APIStatus(nil); {
	case !errors.As(err, &status):
		t.Errorf("%s: got %v, want a Status", what, err)
	case status.Status().Code != http.StatusServiceUnavailable && status.Status().Code != http.StatusGatewayTimeout:
		t.Errorf("%s: got %d %v, want 503 or 504", what, status.Status().Code, err)
	}
}

// A disk that is full costs nothing that was acknowledged, and no more than its being full.
func TestAFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	// The etcd sets 2 × 64 MB for its log aside.
	if err := syscall.Mount("portico-test", disk, "tmpfs", 0, "size=160m"); err != nil {
		t.Skipf("no small disk can be made here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	d := newDoor(t, filepath.Join(disk, "data"))
	d.start(t)
	client := d.configMaps(t)
	promised := newLedger()
	for round := range max(1, rounds/10) {
		promised.writeUntil(t, client, fmt.Sprint("w", round), 4, 100, func() {
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
		for name := range big(t, d) {
			if err := client.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
				t.Errorf("deleting %s after the disk had space again: %v", name, err)
			}
		}
		if t.Failed() {
			return
		}
	}
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

// big are the large objects that are there.
func big(t *testing.T, d *door) map[string]bool {
	t.Helper()
	list, err := d.configMaps(t).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, o := range list.Items {
		if o.Data["large"] != "" {
			names[o.Name] = true
		}
	}
	return names
}
