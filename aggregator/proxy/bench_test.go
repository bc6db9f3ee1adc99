package proxy_test

import (
	"bytes"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"syscall"
	"testing"

	"github.com/portico-api/portico/aggregator/proxy"
)

// BenchmarkProxiedGET is one GET of 1.5 KB, TLS on both sides, on 32 connections at a time: through
// our handler, through a bare httputil.ReverseProxy, and without any front. cpu-µs/op is the time of
// the whole process, so what the front costs is the difference to direct.
func BenchmarkProxiedGET(b *testing.B) {
	cert, roots := certificate(b)
	body := bytes.Repeat([]byte("x"), 1500)
	answer := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}
	backend := server(b, cert, http.HandlerFunc(answer))
	own, err := proxy.New(config(newTarget(b, backend.Listener.Addr().String(), roots)))
	if err != nil {
		b.Fatal(err)
	}
	location, _ := url.Parse(backend.URL)
	bare := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(location) },
		Transport: newTarget(b, "", roots).transport,
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	for _, front := range []struct {
		name    string
		handler http.Handler
	}{{"direct", http.HandlerFunc(answer)}, {"bare", bare}, {"own", own}} {
		for _, protocol := range []struct {
			name  string
			http2 bool
		}{{"http1", false}, {"http2", true}} {
			b.Run(front.name+"/"+protocol.name, func(b *testing.B) {
				s := server(b, cert, front.handler)
				benchmarkGET(b, s.URL+"/apis/example.com/v1/namespaces/demo/things/one", roots, protocol.http2)
			})
		}
	}
}

func benchmarkGET(b *testing.B, url string, roots *x509.CertPool, http2 bool) {
	client := newClient(b, roots, http2)
	client.Timeout = 0
	warm(b, client, url)
	b.ReportAllocs()
	b.SetParallelism(16) // × 2 processors
	before := cpu()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			get(b, client, url)
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-µs/op")
}

func warm(b *testing.B, client *http.Client, url string) {
	for range 32 {
		get(b, client, url)
	}
}

func get(b *testing.B, client *http.Client, url string) {
	r, _ := http.NewRequest(http.MethodGet, url, nil)
	r.Header.Set("User-Agent", "kubectl/v1.36.0")
	r.Header.Set("Accept", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		b.Error(err)
		return
	}
	if n, err := io.Copy(io.Discard, answer.Body); n != 1500 || err != nil {
		b.Errorf("answer of %d bytes, error %v", n, err)
	}
	answer.Body.Close()
}

// cpu is the time this process has computed, in microseconds.
func cpu() int64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return (u.Utime.Sec+u.Stime.Sec)*1e6 + int64(u.Utime.Usec+u.Stime.Usec)
}
