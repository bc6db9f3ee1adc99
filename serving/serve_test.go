package serving_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/portico-api/portico/serving"
	"github.com/portico-api/portico/serving/pki"
)

// site is a server on a free port and what its clients need.
type site struct {
	address string
	roots   *x509.CertPool
	client  tls.Certificate

	stop            func()
	stopped         <-chan struct{}
	listenerStopped <-chan struct{}
}

func serve(t *testing.T, handler http.Handler, change func(*serving.SecureServingInfo)) *site {
	t.Helper()
	dir := t.TempDir()
	p, err := pki.Ensure(pki.Config{Dir: dir, Hosts: []string{"127.0.0.1", "localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := serving.NewCertFile(p.Serving.CertFile, p.Serving.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := serving.NewCAFile(p.CA.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	client, err := tls.LoadX509KeyPair(p.Admin.CertFile, p.Admin.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := serving.Listen("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	info := &serving.SecureServingInfo{Listener: ln, Cert: cert}
	if change != nil {
		change(info)
	}
	stop := make(chan struct{})
	stopped, listenerStopped, err := info.Serve(handler, 5*time.Second, stop)
	if err != nil {
		t.Fatal(err)
	}
	var once atomic.Bool
	s := &site{
		address: ln.Addr().String(), client: client,
		stop: func() {
			if once.CompareAndSwap(false, true) {
				close(stop)
			}
		},
		stopped: stopped, listenerStopped: listenerStopped,
	}
	s.roots, _ = ca.Bundle()
	t.Cleanup(func() {
		s.stop()
		await(t, "the server to stop", stopped)
		await(t, "the listener to stop", listenerStopped)
		goleak.VerifyNone(t)
	})
	return s
}

func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Errorf("waiting for %s: nothing after 20 s", what)
	}
}

// httpClient speaks one protocol only.
func (s *site) httpClient(t *testing.T, http2 bool, certificates ...tls.Certificate) *http.Client {
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: s.roots, Certificates: certificates},
		ForceAttemptHTTP2: http2,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// raw opens a TLS connection that is written to by hand.
func (s *site) raw(t *testing.T) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: s.roots, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

func echoProtocol(w http.ResponseWriter, r *http.Request) {
	user := "nobody"
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		user = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	fmt.Fprintf(w, "%s %s", r.Proto, user)
}

func TestBothProtocolsAreServed(t *testing.T) {
	for _, c := range []struct {
		name     string
		http2    bool
		disabled bool
		want     string
	}{
		{"a client of HTTP/2 gets HTTP/2", true, false, "HTTP/2.0"},
		{"a client of HTTP/1.1 gets HTTP/1.1", false, false, "HTTP/1.1"},
		{"a client of HTTP/2 gets HTTP/1.1 where HTTP/2 is off", true, true, "HTTP/1.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, http.HandlerFunc(echoProtocol), func(i *serving.SecureServingInfo) { i.DisableHTTP2 = c.disabled })
			answer, err := s.httpClient(t, c.http2).Get("https://" + s.address)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if body, _ := io.ReadAll(answer.Body); string(body) != c.want+" nobody" {
				t.Errorf("the handler saw %q, want %s without a certificate", body, c.want)
			}
		})
	}
}

func TestAClientCertificateIsShownToTheHandlerUnverified(t *testing.T) {
	// The server knows no client CA at all, so a verifying handshake would end in an alert.
	s := serve(t, http.HandlerFunc(echoProtocol), nil)
	for _, http2 := range []bool{false, true} {
		answer, err := s.httpClient(t, http2, s.client).Get("https://" + s.address)
		if err != nil {
			t.Fatalf("http2 %v: %v", http2, err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if !strings.HasSuffix(string(body), " "+leaf(t, s.client).Subject.CommonName) {
			t.Errorf("http2 %v: the handler saw %q, want the certificate's common name", http2, body)
		}
	}
}

func leaf(t *testing.T, c tls.Certificate) *x509.Certificate {
	t.Helper()
	l, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestARequestOfTwoLengthsLeavesNoSecondRequest(t *testing.T) {
	var served atomic.Int32
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
	}), nil)
	conn := s.raw(t)
	io.WriteString(conn, "POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n")
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	if answer.StatusCode != http.StatusBadRequest {
		t.Errorf("answer is %d, want 400", answer.StatusCode)
	}
	if rest, err := io.ReadAll(reader); err != nil || len(rest) > 0 {
		t.Errorf("the connection went on with %q, error %v; want its end", rest, err)
	}
	if n := served.Load(); n != 0 {
		t.Errorf("%d requests were served, want none", n)
	}
}

func TestAHijackedConnectionIsNotLookedAt(t *testing.T) {
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		_, _ = io.Copy(conn, buffered)
	}), nil)
	conn := s.raw(t)
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	reader := bufio.NewReader(conn)
	if _, err := http.ReadResponse(reader, nil); err != nil {
		t.Fatal(err)
	}
	const sent = "x\nContent-Length: 1\nTransfer-Encoding: chunked\n\n"
	io.WriteString(conn, sent)
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(reader, got); err != nil || string(got) != sent {
		t.Errorf("echoed %q, error %v; want %q", got, err, sent)
	}
	conn.Close()
}

func TestAConnectionWithoutTLSIsCountedAndToldSo(t *testing.T) {
	failed := make(chan struct{}, 1)
	s := serve(t, http.HandlerFunc(echoProtocol), func(i *serving.SecureServingInfo) {
		i.OnHandshakeError = func() { failed <- struct{}{} }
	})
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
	body, _ := io.ReadAll(conn)
	if !strings.Contains(string(body), "HTTP request to an HTTPS server") {
		t.Errorf("answer is %q", body)
	}
	await(t, "the failed handshake to be counted", failed)
}

func TestASilentConnectionDoesNotHoldUpShutdown(t *testing.T) {
	s := serve(t, http.HandlerFunc(echoProtocol), nil)
	conn, err := net.Dial("tcp", s.address) // says nothing: its handshake never ends
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer, err := s.httpClient(t, false).Get("https://" + s.address) // accepting has begun
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	s.stop()
	await(t, "the server to stop", s.stopped)
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", http2), func(t *testing.T) {
			entered, finish := make(chan struct{}), make(chan struct{})
			s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(entered)
				<-finish
				io.WriteString(w, "done")
			}), nil)
			type result struct {
				body string
				err  error
			}
			results := make(chan result, 1)
			client := s.httpClient(t, http2)
			go func() {
				answer, err := client.Get("https://" + s.address)
				if err != nil {
					results <- result{err: err}
					return
				}
				defer answer.Body.Close()
				body, err := io.ReadAll(answer.Body)
				results <- result{string(body), err}
			}()
			await(t, "the request", entered)
			s.stop()
			await(t, "the listener to stop", s.listenerStopped)
			if c, err := net.Dial("tcp", s.address); err == nil {
				c.Close()
				t.Error("a new connection was accepted after the listener stopped")
			}
			select {
			case <-s.stopped:
				t.Error("the server stopped while a request was being served")
			default:
			}
			close(finish)
			if r := <-results; r.err != nil || r.body != "done" {
				t.Errorf("the request ended with %q, error %v; want done", r.body, r.err)
			}
		})
	}
}

func TestConnContextReachesTheHandler(t *testing.T) {
	type key struct{}
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Context().Value(key{}))
	}), func(i *serving.SecureServingInfo) {
		i.ConnContext = func(ctx context.Context, _ net.Conn) context.Context { return context.WithValue(ctx, key{}, "here") }
	})
	for _, http2 := range []bool{false, true} {
		answer, err := s.httpClient(t, http2).Get("https://" + s.address)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if string(body) != "here" {
			t.Errorf("http2 %v: the handler found %q in its context, want here", http2, body)
		}
	}
}

func TestALargeHeaderIsRefused(t *testing.T) {
	s := serve(t, http.HandlerFunc(echoProtocol), func(i *serving.SecureServingInfo) { i.MaxHeaderBytes = 1 << 10 })
	r, _ := http.NewRequest(http.MethodGet, "https://"+s.address, nil)
	r.Header.Set("X-Large", strings.Repeat("x", 16<<10))
	answer, err := s.httpClient(t, false).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answer is %d, want 431", answer.StatusCode)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	s := serve(t, http.HandlerFunc(echoProtocol), nil)
	c, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err == nil {
		c.Close()
		t.Error("TLS 1.1 was accepted")
	}
}

func TestServeFailsWithoutWhatItNeeds(t *testing.T) {
	if _, _, err := (&serving.SecureServingInfo{}).Serve(nil, 0, nil); err == nil || !strings.Contains(err.Error(), "no listener") {
		t.Errorf("without a listener: error %v", err)
	}
	ln, err := serving.Listen("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, _, err := (&serving.SecureServingInfo{Listener: ln}).Serve(nil, 0, nil); err == nil || !strings.Contains(err.Error(), "no serving certificate") {
		t.Errorf("without a certificate: error %v", err)
	}
}

func TestListenSaysWhatToDo(t *testing.T) {
	ln, err := serving.Listen("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	port := ln.Addr().(*net.TCPAddr).Port
	for _, c := range []struct {
		name string
		host string
		port int
		want string
	}{
		{"a port in use", "127.0.0.1", port, fmt.Sprintf("address 127.0.0.1:%d is in use: stop the other program or choose --secure-port", port)},
		{"an address of another machine", "192.0.2.1", 0, "address 192.0.2.1:0 is not one of this machine: choose another --bind-address"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ln, err := serving.Listen(c.host, c.port)
			if err == nil {
				ln.Close()
				t.Fatalf("listening on %s:%d worked", c.host, c.port)
			}
			if err.Error() != c.want {
				t.Errorf("error is %q, want %q", err, c.want)
			}
		})
	}
}

func TestFilesAreReloadedAndBrokenOnesIgnored(t *testing.T) {
	first, err := pki.Ensure(pki.Config{Dir: t.TempDir(), Hosts: []string{"one"}})
	if err != nil {
		t.Fatal(err)
	}
	second, err := pki.Ensure(pki.Config{Dir: t.TempDir(), Hosts: []string{"two"}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile, caFile := filepath.Join(dir, "cert"), filepath.Join(dir, "key"), filepath.Join(dir, "ca")
	install := func(p *pki.PKI) {
		copyFile(t, p.Serving.CertFile, certFile)
		copyFile(t, p.Serving.KeyFile, keyFile)
		copyFile(t, p.CA.CertFile, caFile)
	}
	install(first)
	cert, err := serving.NewCertFile(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := serving.NewCAFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	before, generation := cert.Current(), ca.Generation()
	if changed, err := cert.Reload(); changed || err != nil || cert.Current() != before {
		t.Errorf("reloading the same files: changed %v, error %v", changed, err)
	}

	write(t, certFile, "not a certificate")
	write(t, caFile, "neither")
	if changed, err := cert.Reload(); changed || err == nil || cert.Current() != before {
		t.Errorf("reloading a broken certificate: changed %v, error %v; want the old one and an error", changed, err)
	} else if !strings.Contains(err.Error(), certFile) {
		t.Errorf("error %q does not name %s", err, certFile)
	}
	if changed, err := ca.Reload(); changed || err == nil || ca.Generation() != generation {
		t.Errorf("reloading a broken bundle: changed %v, error %v; want the old one and an error", changed, err)
	} else if !strings.Contains(err.Error(), caFile) {
		t.Errorf("error %q does not name %s", err, caFile)
	}

	install(second)
	if changed, err := cert.Reload(); !changed || err != nil || cert.Current().Leaf.VerifyHostname("two") != nil {
		t.Errorf("reloading a new certificate: changed %v, error %v", changed, err)
	}
	if changed, err := ca.Reload(); !changed || err != nil || ca.Generation() <= generation {
		t.Errorf("reloading a new bundle: changed %v, error %v, generation %d after %d", changed, err, ca.Generation(), generation)
	}
}

func TestAnUnreadableFileIsNamed(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.pem")
	if _, err := serving.NewCertFile(missing, missing); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("NewCertFile: error %v, want one that names %s", err, missing)
	}
	if _, err := serving.NewCAFile(missing); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("NewCAFile: error %v, want one that names %s", err, missing)
	}
}

func TestSNICertificateIsChosenByName(t *testing.T) {
	p, err := pki.Ensure(pki.Config{Dir: t.TempDir(), Hosts: []string{"other.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	sni, err := serving.NewCertFile(p.Serving.CertFile, p.Serving.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, http.HandlerFunc(echoProtocol), func(i *serving.SecureServingInfo) { i.SNICerts = []serving.Certificate{sni} })
	for name, want := range map[string]bool{"other.example.com": true, "localhost": false, "": false} {
		c, err := tls.Dial("tcp", s.address, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		got := c.ConnectionState().PeerCertificates[0].VerifyHostname("other.example.com") == nil
		c.Close()
		if got != want {
			t.Errorf("server name %q: SNI certificate shown = %v, want %v", name, got, want)
		}
	}
}

func TestTheAuthoritiesOfClientsAreNamedAndKeptCurrent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	var made []*pki.PKI
	for range 2 {
		p, err := pki.Ensure(pki.Config{Dir: t.TempDir(), Hosts: []string{"localhost"}})
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, p)
	}
	copyFile(t, made[0].CA.CertFile, file)
	ca, err := serving.NewCAFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, http.HandlerFunc(echoProtocol), func(i *serving.SecureServingInfo) { i.ClientCAs = []serving.CABundle{ca} })
	for _, p := range made {
		copyFile(t, p.CA.CertFile, file)
		if _, err := ca.Reload(); err != nil {
			t.Fatal(err)
		}
		client, err := tls.LoadX509KeyPair(p.Admin.CertFile, p.Admin.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		named := false
		c, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: s.roots, GetClientCertificate: func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			named = r.SupportsCertificate(&client) == nil
			return &client, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if !named {
			t.Errorf("the authority of %s was not named", p.Admin.CertFile)
		}
	}
}

func TestSessionsAreResumed(t *testing.T) {
	s := serve(t, http.HandlerFunc(echoProtocol), func(i *serving.SecureServingInfo) {
		i.ClientCAs = []serving.CABundle{bundle{}}
	})
	config := &tls.Config{RootCAs: s.roots, ClientSessionCache: tls.NewLRUClientSessionCache(0), NextProtos: []string{"http/1.1"}}
	for i := range 2 {
		c, err := tls.Dial("tcp", s.address, config)
		if err != nil {
			t.Fatal(err)
		}
		// The ticket arrives with the first answer.
		io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
		if got := c.ConnectionState().DidResume; got != (i > 0) {
			t.Errorf("connection %d: resumed = %v, want %v", i, got, i > 0)
		}
		c.Close()
	}
}

type bundle struct{}

func (bundle) Bundle() (*x509.CertPool, []byte) { return x509.NewCertPool(), nil }
func (bundle) Generation() uint64               { return 1 }

func TestFilesAreReadAgainEachMinute(t *testing.T) {
	p, err := pki.Ensure(pki.Config{Dir: t.TempDir(), Hosts: []string{"one"}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	copyFile(t, p.CA.CertFile, file)
	synctest.Test(t, func(t *testing.T) {
		ca, err := serving.NewCAFile(file)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- ca.Run(ctx) }()
		copyFile(t, p.FrontProxyCA.CertFile, file)
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		if got := ca.Generation(); got != 2 {
			t.Errorf("generation is %d a minute after the file changed, want 2", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, string(data))
}

func write(t *testing.T, file, data string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}
