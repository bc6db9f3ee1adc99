package main_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"

	"k8s.io/klog/v2"

	portico "github.com/portico-api/portico/cmd/portico"
	"github.com/portico-api/portico/serving/pki"
	"github.com/portico-api/portico/test/rig"
)

// BenchmarkFrontDoor is one GET of 1.5 KB from a registered extension API, TLS on both sides:
// without a front, through a bare httputil.ReverseProxy, and through the whole chain as the program
// builds it, by a user with a client certificate whom RBAC allows it.
//
// cpu-µs/op is the time of the whole process, client and backend included. x-bare is it divided by
// that of the ReverseProxy; x-bare-net is the same after direct was subtracted from both. Run one
// after the other, the fronts differ by how busy the machine is: take medians of several runs.
func BenchmarkFrontDoor(b *testing.B) {
	s := newStreet(b)
	for _, protocol := range []struct {
		name                 string
		connections, streams int
	}{{"http1", 32, 1}, {"http2", 4, 32}} {
		b.Run(protocol.name, func(b *testing.B) {
			cpu := map[string]float64{}
			for _, front := range []struct{ name, url string }{
				{"direct", s.backend}, {"reverseproxy", s.bare}, {"portico", s.door},
			} {
				clients := s.clients(b, protocol.connections, protocol.name == "http2")
				b.Run(front.name, func(b *testing.B) {
					used := benchmarkGET(b, clients, protocol.connections*protocol.streams, front.url+rig.ThingPath)
					cpu[front.name] = used
					b.ReportMetric(used, "cpu-µs/op")
					if bare, direct := cpu["reverseproxy"], cpu["direct"]; front.name == "portico" && bare > direct {
						b.ReportMetric(used/bare, "x-bare")
						b.ReportMetric((used-direct)/(bare-direct), "x-bare-net")
					}
				})
			}
		})
	}
}

// street is the three fronts side by side, by their addresses.
type street struct {
	backend, bare, door string
	user                *tls.Config // of clients
}

func newStreet(b *testing.B) *street {
	made, err := pki.Ensure(pki.Config{Dir: b.TempDir(), Hosts: []string{"127.0.0.1", rig.ThingsHost}})
	must(b, err)
	cert, err := tls.LoadX509KeyPair(made.Serving.CertFile, made.Serving.KeyFile)
	must(b, err)
	ca, err := os.ReadFile(made.CA.CertFile)
	must(b, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)

	backend := newServer(b, cert, rig.Things())
	location, err := url.Parse(backend.URL)
	must(b, err)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableCompression: true, MaxIdleConnsPerHost: 512}
	b.Cleanup(transport.CloseIdleConnections)
	bare := newServer(b, cert, &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(location) },
		Transport: transport,
	})

	door := startPortico(b)
	must(b, door.RegisterThings(b.Context(), backend.Listener.Addr().String(), ca))
	user, err := door.NewUser(rig.Reader, "developers")
	must(b, err)
	door.Trust(roots)
	return &street{
		backend: backend.URL, bare: bare.URL, door: door.URL,
		user: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{user}},
	}
}

func newServer(b *testing.B, cert tls.Certificate, handler http.Handler) *httptest.Server {
	s := httptest.NewUnstartedServer(handler)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	b.Cleanup(s.Close)
	return s
}

// startPortico runs the program's command in this process until the benchmark ends.
func startPortico(b *testing.B) *rig.Door {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
	dir := filepath.Join(b.TempDir(), "data")
	out, writer := io.Pipe()
	command := portico.NewAPIServerCommand()
	command.SetArgs([]string{"serve", "--data-dir", dir, "--secure-port", "0"})
	command.SetOut(writer)
	ctx, cancel := context.WithCancel(context.Background()) // the benchmark's own ends before its clean-up
	ended := make(chan error, 1)
	go func() {
		err := command.ExecuteContext(ctx)
		writer.CloseWithError(err)
		ended <- err
	}()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Errorf("serving: %v", err)
		}
	})
	url, err := rig.Address(out)
	must(b, err)
	must(b, rig.WaitReady(url))
	door, err := rig.Open(url, dir)
	must(b, err)
	b.Cleanup(door.Close)
	return door
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// clients returns n clients that share no connection.
func (s *street) clients(b *testing.B, n int, http2 bool) []*http.Client {
	clients := make([]*http.Client, n)
	for i := range clients {
		transport := &http.Transport{TLSClientConfig: s.user.Clone(), ForceAttemptHTTP2: http2, DisableCompression: true}
		b.Cleanup(transport.CloseIdleConnections)
		clients[i] = &http.Client{Transport: transport}
	}
	return clients
}

// benchmarkGET has that many users GET url, spread over clients, and returns the processor time in
// microseconds that one GET took.
func benchmarkGET(b *testing.B, clients []*http.Client, users int, url string) float64 {
	for _, client := range clients {
		get(b, client, url) // so that no handshake is measured
	}
	b.ReportAllocs()
	processors := runtime.GOMAXPROCS(0)
	b.SetParallelism((users + processors - 1) / processors)
	var next atomic.Uint32
	before := processorTime(b)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		client := clients[int(next.Add(1))%len(clients)]
		for pb.Next() {
			get(b, client, url)
		}
	})
	b.StopTimer()
	return (processorTime(b) - before) / float64(b.N)
}

func get(b *testing.B, client *http.Client, url string) {
	r, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		b.Error(err)
		return
	}
	r.Header.Set("User-Agent", "kubectl/v1.36.0")
	r.Header.Set("Accept", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		b.Error(err)
		return
	}
	defer answer.Body.Close()
	if n, err := io.Copy(io.Discard, answer.Body); n != rig.ThingSize || err != nil {
		b.Errorf("status %d, %d bytes, error %v", answer.StatusCode, n, err)
	}
}

// processorTime is what this process has used so far, in microseconds.
func processorTime(b *testing.B) float64 {
	var used syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return float64((used.Utime.Sec+used.Stime.Sec)*1e6 + int64(used.Utime.Usec+used.Stime.Usec))
}
