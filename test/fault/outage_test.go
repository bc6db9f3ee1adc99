package fault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

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
