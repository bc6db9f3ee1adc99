package backend_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/portico-api/portico/aggregator/backend"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var reference = backend.ServiceReference{Namespace: "ns", Name: "api", Port: 443}

// certificate returns a self-signed certificate for name, and its PEM.
func certificate(tb testing.TB, name string) (*tls.Certificate, []byte) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{name},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func server(tb testing.TB, cert *tls.Certificate, handler http.HandlerFunc) *httptest.Server {
	tb.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}, ClientAuth: tls.RequestClientCert, NextProtos: []string{"h2", "http/1.1"}}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	tb.Cleanup(s.Close)
	return s
}

// at is an index whose service has the servers as its endpoints.
func at(tb testing.TB, servers ...*httptest.Server) *index {
	i := &index{service: service(corev1.ServicePort{Name: "https", Port: 443})}
	for _, s := range servers {
		_, port, err := net.SplitHostPort(s.Listener.Addr().String())
		if err != nil {
			tb.Fatal(err)
		}
		n, _ := strconv.Atoi(port)
		i.slices = append(i.slices, slice("IPv4", named("https"), int32(n), "127.0.0.1"))
	}
	return i
}

func newTransport(tb testing.TB, cfg backend.Config, i *index) *backend.Transport {
	cfg.Service = reference
	t := backend.NewTransport(cfg, backend.NewResolver(i, ""))
	tb.Cleanup(t.Close)
	return t
}

// get sends one request and returns the body of its answer.
func get(tb testing.TB, t *backend.Transport) (string, error) {
	address, err := t.Address()
	if err != nil {
		return "", err
	}
	r, _ := http.NewRequest(http.MethodGet, "https://"+address+"/", nil)
	answer, err := t.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return string(body), err
}

func tellClient(w http.ResponseWriter, r *http.Request) {
	if len(r.TLS.PeerCertificates) > 0 {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}
	_, _ = io.WriteString(w, " "+r.TLS.ServerName)
}

func TestTheBackendIsVerifiedByItsServiceName(t *testing.T) {
	good, goodPEM := certificate(t, "api.ns.svc")
	other, otherPEM := certificate(t, "other.ns.svc")
	for _, c := range []struct {
		name string
		cert *tls.Certificate
		cfg  backend.Config
		fail string
	}{
		{"a certificate of the bundle for the service is trusted", good, backend.Config{CABundle: goodPEM}, ""},
		{"without a bundle the system's roots decide", good, backend.Config{}, "unknown authority"},
		{"a certificate for another name is refused", other, backend.Config{CABundle: otherPEM}, "api.ns.svc"},
		{"a certificate that the bundle does not know is refused", good, backend.Config{CABundle: otherPEM}, "unknown authority"},
		{"anything goes when verification is skipped", other, backend.Config{InsecureSkipTLSVerify: true}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := get(t, newTransport(t, c.cfg, at(t, server(t, c.cert, tellClient))))
			switch {
			case c.fail == "" && err != nil:
				t.Errorf("error %v", err)
			case c.fail != "" && (err == nil || !strings.Contains(err.Error(), c.fail)):
				t.Errorf("error %v, want one that names %q", err, c.fail)
			}
		})
	}
}

func TestABrokenBundleIsReportedToItsOwnClientsOnly(t *testing.T) {
	for name, cfg := range map[string]backend.Config{
		"no PEM":              {CABundle: []byte("nonsense")},
		"bundle and insecure": {CABundle: []byte("nonsense"), InsecureSkipTLSVerify: true},
	} {
		tr := newTransport(t, cfg, &index{})
		if tr.Err() == nil {
			t.Errorf("%s: Err is nil", name)
		}
		_, err := tr.Pick(nil)
		var status apierrors.APIStatus
		if !errors.As(err, &status) || status.Status().Code != 500 || !strings.Contains(err.Error(), "caBundle") {
			t.Errorf("%s: Pick fails with %v, want a Status of code 500 that names caBundle", name, err)
		}
		if _, err := tr.RoundTrip(httptest.NewRequest(http.MethodGet, "https://127.0.0.1/", nil)); err == nil {
			t.Errorf("%s: RoundTrip works", name)
		}
	}
}

func TestANewClientCertificateIsUsedAtOnce(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	first, _ := certificate(t, "first")
	second, _ := certificate(t, "second")
	var current atomic.Pointer[tls.Certificate]
	current.Store(first)
	s := server(t, cert, tellClient)
	tr := newTransport(t, backend.Config{CABundle: roots, ClientCertificate: func() (*tls.Certificate, error) { return current.Load(), nil }}, at(t, s))
	for _, c := range []struct {
		set  *tls.Certificate
		want string
	}{{first, "first api.ns.svc"}, {first, "first api.ns.svc"}, {second, "second api.ns.svc"}, {second, "second api.ns.svc"}} {
		current.Store(c.set)
		if got, err := get(t, tr); err != nil || got != c.want {
			t.Errorf("the backend saw %q, error %v; want %q", got, err, c.want)
		}
	}
}

func TestRequestsFollowTheEndpoints(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	answer := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, text) }
	}
	one, two := server(t, cert, answer("one")), server(t, cert, answer("two"))
	i := at(t, one)
	tr := newTransport(t, backend.Config{CABundle: roots}, i)
	if got, err := get(t, tr); got != "one" {
		t.Fatalf("answer %q, error %v", got, err)
	}
	i.slices = at(t, two).slices
	if got, err := get(t, tr); got != "two" {
		t.Errorf("after the endpoints changed: answer %q, error %v; want two", got, err)
	}
	i.slices = nil
	var u *backend.Unresolved
	if _, err := get(t, tr); !errors.As(err, &u) || u.Reason != backend.ReasonEndpointsNotFound {
		t.Errorf("after they went: error %v, want EndpointsNotFound", err)
	}
}

func TestRequestsGoToTheLessLoadedOfTwo(t *testing.T) {
	i := &index{service: service(corev1.ServicePort{Name: "https", Port: 443})}
	i.slices = []*discoveryv1.EndpointSlice{slice("IPv4", named("https"), 1, "10.0.0.1", "10.0.0.2")}
	tr := newTransport(t, backend.Config{InsecureSkipTLSVerify: true}, i)
	counts := map[string]int{}
	for range 100 {
		e, err := tr.Pick(nil) // never done: each is in flight
		if err != nil {
			t.Fatal(err)
		}
		counts[e.Address()]++
	}
	if counts["10.0.0.1:1"] != 50 || counts["10.0.0.2:1"] != 50 {
		t.Errorf("100 requests in flight are spread as %v, want evenly", counts)
	}
	// Another endpoint comes in place of one: the load of the other stays known.
	i.slices = []*discoveryv1.EndpointSlice{slice("IPv4", named("https"), 1, "10.0.0.1", "10.0.0.3")}
	for range 200 {
		e, err := tr.Pick(nil)
		if err != nil {
			t.Fatal(err)
		}
		counts[e.Address()]++
		e.Done(nil, false, false)
	}
	// It starts slowly, so it does not get all of them.
	if n := counts["10.0.0.3:1"]; n == 0 || n > 150 {
		t.Errorf("%d of 200 requests went to a new endpoint beside one with 50 in flight, want a few", n)
	}
}

// BenchmarkPick is what every proxied request pays to learn where it goes.
func BenchmarkPick(b *testing.B) {
	for _, n := range []int{1, 3, 100} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			addresses := make([]string, n)
			for i := range addresses {
				addresses[i] = "10.0.0." + strconv.Itoa(i)
			}
			i := &index{
				service: service(corev1.ServicePort{Name: "https", Port: 443}),
				slices:  []*discoveryv1.EndpointSlice{slice("IPv4", named("https"), 1, addresses...)},
			}
			tr := newTransport(b, backend.Config{InsecureSkipTLSVerify: true}, i)
			b.ReportAllocs()
			for b.Loop() {
				e, err := tr.Pick(nil)
				if err != nil {
					b.Fatal(err)
				}
				e.Done(nil, false, false)
			}
		})
	}
}

// BenchmarkRoundTrip compares the two protocols that a backend could be spoken to in: GETs of
// 1.5 KB, 32 at a time. cpu-µs/op is the time of the whole process, the backend included.
func BenchmarkRoundTrip(b *testing.B) {
	cert, roots := certificate(b, "api.ns.svc")
	body := bytes.Repeat([]byte("x"), 1500)
	s := server(b, cert, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(body) })
	own := newTransport(b, backend.Config{CABundle: roots}, at(b, s))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	h2 := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: "api.ns.svc"}, ForceAttemptHTTP2: true, DisableCompression: true}
	defer h2.CloseIdleConnections()
	for _, c := range []struct {
		name string
		trip func(*http.Request) (*http.Response, error)
	}{{"http1", own.RoundTrip}, {"http2", h2.RoundTrip}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16) // × 2 processors
			before := cpu()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r, _ := http.NewRequest(http.MethodGet, s.URL, nil)
					answer, err := c.trip(r)
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
				}
			})
			b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-µs/op")
		})
	}
}

// cpu is the time this process has computed, in microseconds.
func cpu() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return (u.Utime.Sec+u.Stime.Sec)*1e6 + int64(u.Utime.Usec+u.Stime.Usec)
}
