package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/portico-api/portico/test/rig"
)

// serveFlag makes this program one of the servers that portico is compared with.
const serveFlag = "-serve"

// serve is the backend when it is given a certificate and its key, a bare ReverseProxy when the backend's
// URL and its authority follow, and the announcer when its flag does. It prints its address and serves until it is told to end.
func serve(args []string) error {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	handler := rig.Things()
	switch len(args) {
	case 3:
		handler = newAnnouncer()
	case 4:
		var err error
		if handler, err = newReverseProxy(args[2], args[3]); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("https://%s\n", listener.Addr())
	server := &http.Server{Handler: handler}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	if err := server.ServeTLS(listener, args[0], args[1]); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func newReverseProxy(backend, caFile string) (http.Handler, error) {
	location, err := url.Parse(backend)
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	return &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(location) },
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableCompression: true, MaxIdleConnsPerHost: 512},
	}, nil
}
