package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portico-api/portico/serving/pki"
	"github.com/portico-api/portico/test/rig"
)

// house is a portico of its own, for what must not be disturbed by other measurements, and next to it a bare
// announcer if one is needed.
type house struct {
	dir       string
	portico   *rig.Process
	announcer *rig.Process
	admin     *tls.Config
	client    *http.Client
}

func openHouse(ctx context.Context, binary string) (h *house, err error) {
	h = &house{admin: &tls.Config{RootCAs: x509.NewCertPool()}}
	if h.dir, err = os.MkdirTemp("", "portico-load-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	data := filepath.Join(h.dir, "data")
	if h.portico, _, err = rig.StartPortico(binary, data); err != nil {
		return nil, err
	}
	door, err := rig.Open(h.portico.URL, data)
	if err != nil {
		return nil, err
	}
	defer door.Close()
	admin, err := door.NewUser("load", "system:masters")
	if err != nil {
		return nil, err
	}
	h.admin.Certificates = []tls.Certificate{admin}
	door.Trust(h.admin.RootCAs)
	h.client = &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: h.admin.Clone(), MaxIdleConnsPerHost: creators, DisableCompression: true}}
	return h, nil
}

// openAnnouncer starts the bare server.
func (h *house) openAnnouncer() error {
	made, err := pki.Ensure(pki.Config{Dir: filepath.Join(h.dir, "announcer"), Hosts: []string{"127.0.0.1"}})
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(made.CA.CertFile)
	if err != nil {
		return err
	}
	h.admin.RootCAs.AppendCertsFromPEM(ca)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	h.announcer, err = rig.Start(self, serveFlag, made.Serving.CertFile, made.Serving.KeyFile, announceFlag)
	return err
}

func (h *house) close() {
	var errs []error
	if h.client != nil {
		h.client.CloseIdleConnections()
	}
	for _, p := range []*rig.Process{h.portico, h.announcer} {
		if p != nil {
			errs = append(errs, p.Stop())
		}
	}
	errs = append(errs, os.RemoveAll(h.dir))
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, "load: tidying up:", err)
	}
}

// do sends one request and returns the answer's body.
func (h *house) do(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	var answer bytes.Buffer
	_, err := h.send(ctx, method, url, body, &answer)
	return answer.Bytes(), err
}

// send sends one request, and the answer's body to out.
func (h *house) send(ctx context.Context, method, url string, body []byte, out io.Writer) (int64, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("User-Agent", requestAgent)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Content-Type", "application/json")
	answer, err := h.client.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	n, err := io.Copy(out, answer.Body)
	if err == nil && answer.StatusCode >= http.StatusBadRequest {
		err = fmt.Errorf("%s %s: status %d", method, url, answer.StatusCode)
	}
	return n, err
}

// creators is how many clients fill a store.
const creators = 64

// fill creates what body makes of a name, from number from up to number to.
func (h *house) fill(ctx context.Context, namespace string, from, to int, body func(name string) string) error {
	var next atomic.Int64
	next.Store(int64(from))
	errs := make([]error, creators)
	var running sync.WaitGroup
	for i := range creators {
		running.Go(func() {
			for errs[i] == nil {
				n := next.Add(1) - 1
				if n >= int64(to) {
					return
				}
				_, errs[i] = h.do(ctx, http.MethodPost, h.portico.URL+"/api/v1/namespaces/"+namespace+"/configmaps", []byte(body(fmt.Sprintf("c%06d", n))))
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// settled is the resident memory in MB when garbage has been collected and given back, as far as it is: an
// idle server gets there by itself, but takes minutes.
func (h *house) settled(ctx context.Context, p *rig.Process) (float64, error) {
	least := p.Memory()
	for range 10 {
		if p == h.portico {
			if _, err := h.send(ctx, http.MethodGet, p.URL+"/debug/pprof/heap?gc=1", nil, io.Discard); err != nil {
				return 0, err
			}
		}
		time.Sleep(time.Second)
		now := p.Memory()
		if now > least-0.5 {
			return min(now, least), nil
		}
		least = now
	}
	return least, nil
}
