package storage_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/portico-api/portico/delegation/storage"
)

// engines are the stores that every promise is tested on: one for the whole test binary each.
var engines = map[string]*storage.Store{}

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirVariable); dir != "" {
		crashChild(dir) // never returns
	}
	if dir := os.Getenv(etcdDirVariable); dir != "" {
		etcdChild(dir) // never returns
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "storage-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	server, address, err := startEtcd(dir + "/cluster")
	if err != nil {
		fmt.Fprintln(os.Stderr, "starting etcd:", err)
		return 1
	}
	for name, cfg := range map[string]storage.Config{
		"embedded": {DataDir: dir + "/embedded"},
		"cluster":  {Servers: []string{address}},
	} {
		s, err := storage.Open(context.Background(), cfg)
		if err != nil {
			fmt.Fprintln(os.Stderr, "opening", name, "store:", err)
			return 1
		}
		engines[name] = s
	}
	code := m.Run()
	for name, s := range engines {
		if err := s.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "closing", name, "store:", err)
			code = 1
		}
	}
	server.Close()
	// Everything is closed: whatever still runs has been forgotten.
	if err := goleak.Find(goleak.IgnoreTopFunction("go.etcd.io/etcd/pkg/v3/logutil.(*MergeLogger).outputLoop")); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// startEtcd runs an etcd that is reached over a socket, as a cluster is.
func startEtcd(dir string) (*embed.Etcd, string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", err
	}
	socket := url.URL{Scheme: "unix", Path: dir + "/client.sock"}
	c := embed.NewConfig()
	c.Dir = dir + "/data"
	c.ListenPeerUrls = nil
	c.ListenClientUrls = []url.URL{socket}
	c.AdvertiseClientUrls = []url.URL{socket}
	c.TickMs, c.ElectionMs = 10, 50
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	server, err := embed.StartEtcd(c)
	if err != nil {
		return nil, "", err
	}
	<-server.Server.ReadyNotify()
	return server, socket.String(), nil
}

// onEngines runs a test on every engine.
func onEngines(t *testing.T, test func(t *testing.T, s *storage.Store)) {
	t.Helper()
	for _, name := range []string{"embedded", "cluster"} {
		t.Run(name, func(t *testing.T) { test(t, engines[name]) })
	}
}

var resources atomic.Int64

// resource opens a resource of its own for a test.
func resource(t testing.TB, s *storage.Store, change ...func(*storage.ResourceConfig)) *storage.Cache {
	t.Helper()
	name := fmt.Sprint("things", resources.Add(1))
	cfg := storage.ResourceConfig{Group: "test.example.com", Resource: name, Path: "test.example.com/" + name, Namespaced: true}
	for _, f := range change {
		f(&cfg)
	}
	c, err := s.OpenResource(context.Background(), cfg)
	if err != nil {
		t.Fatalf("OpenResource(%s): %v", cfg.Path, err)
	}
	t.Cleanup(c.Close)
	return c
}

// thing is the JSON of an object, with a payload that tells states apart.
func thing(name, payload string) []byte {
	return []byte(`{"kind":"Thing","apiVersion":"test.example.com/v1","metadata":{"name":"` + name + `","labels":{"app":"` + name + `"}},"data":"` + payload + `"}`)
}

func create(t testing.TB, c *storage.Cache, namespace, name, payload string) *storage.Object {
	t.Helper()
	o, err := c.Create(context.Background(), namespace, name, thing(name, payload), 0)
	if err != nil {
		t.Fatalf("Create(%s/%s): %v", namespace, name, err)
	}
	return o
}

func update(t testing.TB, c *storage.Cache, o *storage.Object, payload string) *storage.Object {
	t.Helper()
	n, err := c.Update(context.Background(), o.Namespace(), o.Name(), thing(o.Name(), payload), o.ResourceVersion(), 0)
	if err != nil {
		t.Fatalf("Update(%s): %v", o.Key(), err)
	}
	return n
}

func remove(t testing.TB, c *storage.Cache, o *storage.Object) *storage.Object {
	t.Helper()
	n, err := c.Delete(context.Background(), o.Namespace(), o.Name(), o.ResourceVersion())
	if err != nil {
		t.Fatalf("Delete(%s): %v", o.Key(), err)
	}
	return n
}

// contents tells what is in a snapshot: "ns/name=payload …".
func contents(s *storage.Snapshot, namespace, start string) string {
	var b strings.Builder
	s.Ascend(namespace, start, func(o *storage.Object) bool {
		_, payload, _ := strings.Cut(string(o.JSON()), `"data":"`)
		fmt.Fprintf(&b, "%s=%s ", o.Key(), strings.TrimSuffix(payload, `"}`))
		return true
	})
	return strings.TrimSpace(b.String())
}
