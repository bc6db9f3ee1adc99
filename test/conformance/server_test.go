package conformance

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/portico-api/portico/test/rig"
)

// patience bounds every wait; a test that passes does not wait for it.
const patience = 30 * time.Second

// server is a running front door as its administrator sees it.
type server struct {
	engine  string
	url     string
	dataDir string
	config  *rest.Config // JSON, without a rate limit
	http    *http.Client
	args    []string

	portico *rig.Process
	etcd    *exec.Cmd // nil when the store is embedded
	etcdURL string
}

// startServer starts a front door on an empty directory; on an etcd of its own when engine says so.
func startServer(engine, dir string, args ...string) (*server, error) {
	s := &server{engine: engine, dataDir: filepath.Join(dir, "data"), args: args}
	if engine == "etcd" {
		if err := s.startEtcd("http", filepath.Join(dir, "etcd")); err != nil {
			return nil, err
		}
		s.args = append(s.args, "--etcd-servers", s.etcdURL)
	}
	if err := s.start(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// start starts the front door on what is in its directory.
func (s *server) start() error {
	var err error
	if s.portico, err = rig.Start(porticoBinary, append([]string{"serve", "--data-dir", s.dataDir, "--secure-port", "0"}, s.args...)...); err != nil {
		return err
	}
	s.url = s.portico.URL
	if err := rig.WaitReady(s.url); err != nil {
		return err
	}
	if s.config, err = clientcmd.BuildConfigFromFlags("", filepath.Join(s.dataDir, "admin.kubeconfig")); err != nil {
		return err
	}
	s.config.QPS = -1
	s.config.UserAgent = "conformance/1"
	s.http, err = rest.HTTPClientFor(s.config)
	return err
}

// stop ends everything that was started.
func (s *server) stop() {
	if s.http != nil {
		s.http.CloseIdleConnections()
	}
	if s.portico != nil {
		s.portico.Stop()
	}
	if s.etcd != nil {
		s.etcd.Process.Signal(syscall.SIGTERM)
		s.etcd.Wait()
	}
}

// restart ends the front door and starts it again on the same store.
func (s *server) restart(t *testing.T) {
	t.Helper()
	s.http.CloseIdleConnections()
	if err := s.portico.Stop(); err != nil {
		t.Fatal(err)
	}
	s.portico = nil
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
}

// startEtcd starts an etcd whose clients speak scheme.
func (s *server) startEtcd(scheme, dir string, args ...string) error {
	client, err := rig.FreePort()
	if err != nil {
		return err
	}
	peerPort, err := rig.FreePort()
	if err != nil {
		return err
	}
	s.etcdURL = fmt.Sprintf("%s://127.0.0.1:%d", scheme, client)
	peer := fmt.Sprintf("http://127.0.0.1:%d", peerPort)
	s.etcd = exec.Command(etcdBinary, append([]string{"--data-dir", dir, "--log-level", "error", "--unsafe-no-fsync",
		"--listen-client-urls", s.etcdURL, "--advertise-client-urls", s.etcdURL,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default=" + peer}, args...)...)
	if err := s.etcd.Start(); err != nil {
		return fmt.Errorf("starting etcd: %w", err)
	}
	return nil // the front door waits for it
}

// onEachEngine runs a suite against every engine, each time in a namespace of its own.
func onEachEngine(t *testing.T, suite func(t *testing.T, s *server, namespace string)) {
	t.Helper()
	for _, s := range engines {
		t.Run(s.engine, func(t *testing.T) {
			t.Parallel()
			suite(t, s, s.namespace(t))
		})
	}
}

// namespace makes a namespace that no other test uses, and returns when its furniture (the config map
// with the authorities) is there, so that a test sees its own changes only.
func (s *server) namespace(t *testing.T) string {
	t.Helper()
	client := s.typed(t)
	made, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "conformance-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace is furnished", func() bool {
		_, mapErr := client.CoreV1().ConfigMaps(made.Name).Get(t.Context(), "kube-root-ca.crt", metav1.GetOptions{})
		_, accountErr := client.CoreV1().ServiceAccounts(made.Name).Get(t.Context(), "default", metav1.GetOptions{})
		return mapErr == nil && accountErr == nil
	})
	return made.Name
}

// typed is client-go's client for Go types, with the answers and bodies in JSON.
func (s *server) typed(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfigAndClient(s.config, s.http)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// eventually asks until the answer is true.
func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	for begin := time.Now(); !ask(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("waited %v in vain: %s", patience, what)
		}
	}
}

// within is the context of one piece of a test.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// collection is the path of a namespace's objects of a core resource.
func collection(namespace, resource string) string {
	return strings.Join([]string{"/api/v1/namespaces", namespace, resource}, "/")
}
