package serving

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"k8s.io/klog/v2"
)

// Limits of every connection (contract, 2.2).
const (
	idleTimeout       = 90 * time.Second
	readHeaderTimeout = 32 * time.Second
	handshakeTimeout  = 10 * time.Second
	keepAlivePeriod   = 3 * time.Minute

	defaultMaxHeaderBytes = 1 << 20
	defaultMaxStreams     = 100
	http2Buffer           = 256 << 10 // of a frame and of a stream

	// A connection that has been silent for pingAfter is asked whether it still lives; a client
	// that vanished behind a NAT would otherwise hold its watches until TCP gives up.
	pingAfter   = 30 * time.Second
	pingTimeout = 15 * time.Second
)

// SecureServingInfo is how the server is reached: a listener and everything about TLS and HTTP on
// its connections. Listener and Cert are needed; the zero value of any other field is the default.
type SecureServingInfo struct {
	Listener net.Listener

	// Cert is shown to clients, unless one of SNICerts is for the name that they ask for.
	Cert     Certificate
	SNICerts []Certificate
	// ClientCAs are the authorities named to clients when a certificate is asked of them. They are
	// a hint: what a client shows is not verified here, so a bad certificate becomes a 401 with a
	// reason and not a TLS alert.
	ClientCAs []CABundle

	MinTLSVersion uint16   // default TLS 1.2
	CipherSuites  []uint16 // for TLS 1.2; default Go's

	DisableHTTP2                 bool
	HTTP2MaxStreamsPerConnection int // default 100
	MaxHeaderBytes               int // default 1 MiB

	// ConnContext adds to the context of all requests of a connection.
	ConnContext func(ctx context.Context, c net.Conn) context.Context
	// OnHandshakeError is told of each TLS handshake that failed.
	OnHandshakeError func()
	Logger           klog.Logger
}

// Certificate is a certificate that may change while the server runs.
type Certificate interface {
	Current() *tls.Certificate
}

// Serve serves handler on the listener until stop is closed, and then as RunServer says. It does
// not block. It fails only when the server could not serve a single request.
func (s *SecureServingInfo) Serve(handler http.Handler, shutdownTimeout time.Duration, stop <-chan struct{}) (stopped, listenerStopped <-chan struct{}, err error) {
	if s.Listener == nil {
		return nil, nil, errors.New("starting to serve: there is no listener")
	}
	if s.Cert == nil || s.Cert.Current() == nil {
		return nil, nil, errors.New("starting to serve: there is no serving certificate")
	}
	server, err := s.newServer(handler)
	if err != nil {
		return nil, nil, err
	}
	ln := newHandshakeListener(keepAliveListener{s.Listener}, server.TLSConfig, s.Logger, s.OnHandshakeError)
	return RunServer(server, ln, shutdownTimeout, stop)
}

func (s *SecureServingInfo) newServer(handler http.Handler) (*http.Server, error) {
	server := &http.Server{
		Handler:           handler,
		TLSConfig:         s.tlsConfig(),
		MaxHeaderBytes:    orDefault(s.MaxHeaderBytes, defaultMaxHeaderBytes),
		IdleTimeout:       idleTimeout,
		ReadHeaderTimeout: readHeaderTimeout,
		ConnContext:       s.ConnContext,
		ConnState:         trustHijacked,
		ErrorLog:          stdlog.New(errorLog{s.Logger}, "", 0),
	}
	if s.DisableHTTP2 {
		server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
		return server, nil
	}
	streams := orDefault(s.HTTP2MaxStreamsPerConnection, defaultMaxStreams)
	err := http2.ConfigureServer(server, &http2.Server{
		IdleTimeout:                  idleTimeout,
		MaxConcurrentStreams:         uint32(streams),
		MaxReadFrameSize:             http2Buffer,
		MaxUploadBufferPerStream:     http2Buffer,
		MaxUploadBufferPerConnection: int32(min(http2Buffer*int64(streams), 1<<30)),
		ReadIdleTimeout:              pingAfter,
		PingTimeout:                  pingTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("configuring HTTP/2: %w", err)
	}
	return server, nil
}

// RunServer serves on ln without blocking until stop is closed. Then it closes the listener, tells
// HTTP/2 clients to go elsewhere, waits up to shutdownTimeout for requests to finish, and closes
// what is left. listenerStopped is closed when no connection is accepted any more, stopped when the
// server is done with all of them.
func RunServer(server *http.Server, ln net.Listener, shutdownTimeout time.Duration, stop <-chan struct{}) (stopped, listenerStopped <-chan struct{}, err error) {
	if ln == nil {
		return nil, nil, errors.New("starting to serve: there is no listener")
	}
	done, closed := make(chan struct{}), make(chan struct{})
	go shutDown(server, shutdownTimeout, stop, done)
	go accept(server, ln, stop, closed)
	return done, closed, nil
}

func shutDown(server *http.Server, timeout time.Duration, stop <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	<-stop
	// A new context: whatever told us to stop has ended its own.
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close()
	}
}

func accept(server *http.Server, ln net.Listener, stop <-chan struct{}, closed chan<- struct{}) {
	defer close(closed)
	err := server.Serve(ln)
	select {
	case <-stop:
		klog.Background().V(1).Info("Stopped listening", "address", ln.Addr())
	default:
		// The process goes on: connections that are open are still served, and its owner watches
		// listenerStopped.
		klog.Background().Error(err, "Accepting connections ended", "address", ln.Addr())
	}
}

func orDefault(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

// errorLog receives what net/http has to say. Most of it is about a single connection, which any
// client can cause, so it is not an error of ours.
type errorLog struct{ logger klog.Logger }

func (l errorLog) Write(p []byte) (int, error) {
	message := strings.TrimSpace(string(p))
	if strings.Contains(message, "panic serving") || strings.HasPrefix(message, "http: Accept error") {
		l.logger.Error(nil, "HTTP server", "message", message)
	} else {
		l.logger.V(2).Info("HTTP server", "message", message)
	}
	return len(p), nil
}
