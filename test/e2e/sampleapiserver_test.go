package e2e

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sampleAPIServer is an unmodified k8s.io/sample-apiserver with an etcd of its own.
type sampleAPIServer struct {
	*process
	port int
	args []string
}

// startSampleAPIServer starts it against the front door with the identity in kubeconfig, and waits
// until it is ready.
func startSampleAPIServer(t *testing.T, kubeconfig string, args ...string) *sampleAPIServer {
	t.Helper()
	s := newSampleAPIServer(t, kubeconfig, startEtcd(t), args...)
	s.start(t)
	return s
}

// newSampleAPIServer is one that has not been started. Several with the same etcd are replicas.
func newSampleAPIServer(t *testing.T, kubeconfig, etcd string, args ...string) *sampleAPIServer {
	t.Helper()
	s := &sampleAPIServer{port: freePort(t)}
	s.args = []string{
		"--kubeconfig", kubeconfig, "--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig,
		"--etcd-servers", etcd, "--bind-address", "127.0.0.1", "--secure-port", strconv.Itoa(s.port),
		"--cert-dir", t.TempDir(),
	}
	s.args = append(s.args, args...)
	return s
}

// startEtcd starts an etcd of one member on an empty directory and returns where clients reach it.
func startEtcd(t *testing.T) (url string) {
	t.Helper()
	client, peer := "http://"+loopback(freePort(t)), "http://"+loopback(freePort(t))
	start(t, t.TempDir(), etcdBinary, "--data-dir", filepath.Join(t.TempDir(), "etcd"), "--log-level", "error",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	return client
}

// start starts it, also again after it was killed, with the objects and on the port that it had.
func (s *sampleAPIServer) start(t *testing.T) {
	t.Helper()
	s.launch(t)
	s.untilReady(t)
}

func (s *sampleAPIServer) launch(t *testing.T) {
	t.Helper()
	s.process = start(t, t.TempDir(), sampleAPIServerBinary, s.args...)
}

// restart asks it to end, as who replaces it by a newer one would, and starts it again. What it has not ended then, such as watches, is cut.
func (s *sampleAPIServer) restart(t *testing.T) {
	t.Helper()
	s.interrupt(t)
	select {
	case <-s.done:
	case <-time.After(2 * time.Second):
		s.kill()
	}
	s.start(t)
}

func (s *sampleAPIServer) untilReady(t *testing.T) {
	t.Helper()
	direct := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	t.Cleanup(direct.CloseIdleConnections)
	eventually(t, "the sample-apiserver is ready", func() bool {
		if s.ended() {
			t.Fatalf("the sample-apiserver ended:\n%s", s.output)
		}
		response, err := direct.Get("https://" + loopback(s.port) + "/readyz")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// wardleManifests returns the example's folder with the port of its endpoint replaced.
func wardleManifests(t *testing.T, port int) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob("../../deploy/examples/wardle/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests of the example: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(data), "port: 8443", "port: "+strconv.Itoa(port))
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(file)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
