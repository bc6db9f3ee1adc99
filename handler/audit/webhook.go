package audit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
)

// NewWebhook returns a backend that sends events to the server of a client configuration. Whatever goes wrong it tries again, first after backoff.
func NewWebhook(to *rest.Config, backoff time.Duration, cfg Config) (*Backend, error) {
	server, err := url.Parse(to.Host)
	if err != nil || server.Host == "" || server.Scheme != "http" && server.Scheme != "https" {
		return nil, fmt.Errorf("the server %q is no URL: give one such as https://audit.example.com/events", to.Host)
	}
	client, err := rest.HTTPClientFor(to)
	if err != nil {
		return nil, err
	}
	client.Timeout = answerWithin
	h := &hook{client: client, url: server.String(), retry: wait.Backoff{Duration: backoff, Factor: 1.5, Jitter: 0.2, Steps: attempts}}
	return newBackend(nameWebhook, cfg, batchesAtATime, h, func(dst []byte, e *event) []byte { return e.appendJSON(dst) }), nil
}

const (
	// attempts is how often a batch is sent before it is lost.
	attempts = 5
	// answerWithin is how long the server may take for one of them.
	answerWithin = 30 * time.Second
	// batchesAtATime bounds what a slow server can make this process hold, beside the buffer.
	batchesAtATime = 8
)

// hook is a server that takes events.
type hook struct {
	client *http.Client
	url    string
	retry  wait.Backoff
}

// Deliver implements destination.
func (h *hook) Deliver(ctx context.Context, events [][]byte) error {
	var list bytes.Buffer
	list.WriteString(`{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[`)
	list.Write(bytes.Join(events, []byte(",")))
	list.WriteString("]}")

	waits := h.retry
	for {
		err := h.post(ctx, list.Bytes())
		if err == nil {
			return nil
		}
		pause := waits.Step()
		if waits.Steps == 0 {
			return err
		}
		again := time.NewTimer(pause)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return err
		}
	}
}

func (h *hook) post(ctx context.Context, list []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(list))
	if err != nil {
		return fmt.Errorf("sending audit events: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := h.client.Do(r)
	if err != nil {
		return fmt.Errorf("sending audit events: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer)) // so that the connection can be used again
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return fmt.Errorf("sending audit events to %s: the answer is %s", h.url, response.Status)
	}
	return nil
}

// maxAnswer is how much is read of an answer that says nothing.
const maxAnswer = 64 << 10

// Close implements destination.
func (h *hook) Close() error {
	h.client.CloseIdleConnections()
	return nil
}
