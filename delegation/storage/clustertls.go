package storage

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
)

func clusterTLS(cfg Config) (*tls.Config, error) {
	if cfg.CAFile == "" && cfg.CertFile == "" && cfg.KeyFile == "" {
		return nil, nil
	}
	return transport.TLSInfo{TrustedCAFile: cfg.CAFile, CertFile: cfg.CertFile, KeyFile: cfg.KeyFile}.ClientConfig()
}

const (
	handshakeTimeout = 5 * time.Second
	handshakeAgain   = 250 * time.Millisecond
	// objectionTime is how long a server may take to say that it does not accept our certificate. In TLS 1.3 it
	// says so after the handshake, and otherwise perhaps nothing.
	objectionTime = 500 * time.Millisecond
)

// objection tells why no server of the cluster lets us in; nil when one does, or when it cannot be told while ctx
// lasts. The etcd client tries again and again and does not say what it fails at, but certificates do not get
// better by that.
func objection(ctx context.Context, servers []string, config *tls.Config) error {
	for {
		var objections, unreachable error
		for _, server := range servers {
			at, err := url.Parse(server)
			if err != nil || at.Scheme != "https" {
				return nil
			}
			switch err = handshake(ctx, at, config); {
			case err == nil:
				return nil
			case errors.Is(err, ErrHandshake):
				objections = err
			default:
				unreachable = err // it may be about to start
			}
		}
		if unreachable == nil {
			return objections
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(handshakeAgain):
		}
	}
}

// handshake connects to one server. Only trouble that is about certificates is an ErrHandshake.
func handshake(ctx context.Context, at *url.URL, config *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return err
	}
	defer raw.Close()
	if config == nil {
		config = &tls.Config{}
	}
	config = config.Clone()
	config.NextProtos = []string{"h2"}
	if config.ServerName == "" {
		config.ServerName = at.Hostname()
	}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("%w with %s: %v", ErrHandshake, at.Host, err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(objectionTime)); err != nil {
		return err
	}
	var alert *net.OpError
	if _, err := conn.Read(make([]byte, 1)); errors.As(err, &alert) && alert.Op == "remote error" && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w with %s: %v", ErrHandshake, at.Host, err)
	}
	return nil
}
