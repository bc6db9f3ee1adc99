// Package hookclient keeps the connections to programs outside that are asked about objects: by admission, and by conversion.
package hookclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/propagation"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/json"

	"github.com/portico-api/portico/metrics"
)

// Addresses returns where a service is, host:port of each ready endpoint, at least one.
type Addresses func(ctx context.Context, namespace, name string, port int32) ([]string, error)

// Client is one place where webhooks are, and the connections to it.
type Client struct {
	url  string
	http *http.Client
	err  error // why there can be no connection

	agent string
	peers *metrics.Peers
}

const (
	// maxAnswer bounds what a webhook may answer: an object of the greatest size as a patch, in base64, and some.
	maxAnswer      = 8 << 20
	dialTimeout    = 10 * time.Second // of one address; the hook's own timeout is over all of it
	idleTimeout    = 90 * time.Second
	idlePerWebhook = 64
)

// Clients keeps the connections to webhooks, so that a configuration that changes does not break those of others.
type Clients struct {
	addresses Addresses
	agent     string
	peers     *metrics.Peers

	mu   sync.Mutex
	kept map[string]*Client
}

// NewClients returns clients that find services by addresses; nil finds none. agent is what they say that they are; peers observes the
// certificates of webhooks.
func NewClients(addresses Addresses, agent string, peers *metrics.Peers) *Clients {
	return &Clients{addresses: addresses, agent: agent, peers: peers}
}

// Of returns the client of a place. The configuration has been validated.
func (c *Clients) Of(config *registrationv1.WebhookClientConfig) *Client {
	key, err := json.Marshal(config)
	if err != nil {
		return &Client{err: err}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known := c.kept[string(key)]; known != nil {
		return known
	}
	if c.kept == nil {
		c.kept = map[string]*Client{}
	}
	made := c.dialer(config)
	c.kept[string(key)] = made
	return made
}

// KeepOnly closes what no hook needs any more.
func (c *Clients) KeepOnly(used map[*Client]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, kept := range c.kept {
		if !used[kept] {
			delete(c.kept, key)
			kept.close()
		}
	}
}

// close ends the connections that are idle; calls under way end by themselves.
func (c *Client) close() {
	if c.http != nil {
		c.http.CloseIdleConnections()
	}
}

func (c *Clients) dialer(config *registrationv1.WebhookClientConfig) *Client {
	settings := &tls.Config{MinVersion: tls.VersionTLS12, VerifyConnection: c.peers.Connected}
	if len(config.CABundle) > 0 {
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(config.CABundle) {
			return &Client{err: errors.New("unable to load root certificates: caBundle holds no certificate")}
		}
	}
	transport := &http.Transport{
		TLSClientConfig:     settings,
		DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout: dialTimeout,
		IdleConnTimeout:     idleTimeout,
		MaxIdleConnsPerHost: idlePerWebhook,
	}
	made := &Client{agent: c.agent, peers: c.peers, http: &http.Client{
		Transport: transport,
		// A write would go where nobody has agreed to, and not be one any more.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if config.Service == nil {
		transport.ForceAttemptHTTP2 = true
		made.url = *config.URL
		return made
	}
	// HTTP/1.1, whose connections are spread over the service's endpoints. One of HTTP/2 would stay with its endpoint.
	service, port := config.Service, int32(443)
	if service.Port != nil {
		port = *service.Port
	}
	settings.ServerName = service.Name + "." + service.Namespace + ".svc"
	place := url.URL{Scheme: "https", Host: net.JoinHostPort(settings.ServerName, strconv.Itoa(int(port)))}
	if service.Path != nil {
		place.Path = *service.Path
	}
	made.url = place.String()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return c.dialService(ctx, network, service, port)
	}
	return made
}

// dialService connects to some endpoint of a service, and to another when it cannot be reached.
func (c *Clients) dialService(ctx context.Context, network string, service *registrationv1.ServiceReference, port int32) (net.Conn, error) {
	if c.addresses == nil {
		return nil, errors.New("this server knows no services")
	}
	found, err := c.addresses(ctx, service.Namespace, service.Name, port)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	first := rand.IntN(len(found))
	for i := range found {
		var conn net.Conn
		if conn, err = dialer.DialContext(ctx, network, found[(first+i)%len(found)]); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// Post sends a question and returns the answer's body, which is there before ctx ends. timeout tells the webhook how long anybody will wait.
func (c *Client) Post(ctx context.Context, question []byte, timeout time.Duration) ([]byte, error) {
	if c.err != nil {
		return nil, c.err
	}
	seconds := (timeout + time.Second - 1).Truncate(time.Second)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"?timeout="+seconds.String(), bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json, */*")
	if c.agent != "" {
		request.Header.Set("User-Agent", c.agent)
	}
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(request.Header)) // if the request that asks is traced
	response, err := c.http.Do(request)
	if err != nil {
		c.peers.Failed(err)
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer: %w", err)
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	case ctx.Err() != nil: // the end of an answer may still come through while the connection is being closed, and is too late all the same
		return nil, fmt.Errorf("reading the answer: %w", ctx.Err())
	case response.StatusCode < 200 || response.StatusCode > 299:
		return nil, notOK(response, body)
	}
	return body, nil
}

// notOK is the error of a server that does not answer as a webhook does. What it says itself is a Status, perhaps.
func notOK(response *http.Response, body []byte) error {
	var said metav1.Status
	if err := json.Unmarshal(body, &said); err == nil && said.Kind == "Status" && said.Status == metav1.StatusFailure {
		return &apierrors.StatusError{ErrStatus: said}
	}
	const shown = 1024
	return apierrors.NewGenericServerResponse(response.StatusCode, http.MethodPost, schema.GroupResource{}, "", string(body[:min(len(body), shown)]), 0, true)
}
