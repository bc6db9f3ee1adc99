package aggregator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	probeTimeout = 5 * time.Second
	// probedEndpoints bounds how many endpoints of a service are asked at once.
	probedEndpoints = 5
	// probeGrace is how long the others may go on when one has answered well: to break off every handshake would leave no connection for
	// the next time, and a line in the log of each server.
	probeGrace = 200 * time.Millisecond
)

// probe asks the server for the document of gv. Upstream sends five requests to wherever they go;
// here each of up to five endpoints is asked, because one that is down says nothing of the others. The
// first good answer counts.
func probe(ctx context.Context, remote *remote, gv schema.GroupVersion) error {
	addresses, err := remote.addresses()
	if err != nil {
		return err
	}
	rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
	addresses = addresses[:min(len(addresses), probedEndpoints)]

	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	answers := make(chan error, len(addresses))
	for _, address := range addresses {
		go func() { answers <- probeEndpoint(ctx, remote, address, gv) }()
	}
	passed := false
	for range addresses {
		answer := <-answers
		if answer == nil {
			if !passed {
				defer time.AfterFunc(probeGrace, cancel).Stop() // the others need not be waited for
			}
			passed = true
		} else if err == nil || answer.Error() < err.Error() {
			err = answer // always the same one of several, or each check would write another message
		}
	}
	if passed {
		return nil
	}
	return err
}

// probeEndpoint asks once, and again when it failed quickly: an idle connection may have died
// unnoticed.
func probeEndpoint(ctx context.Context, remote *remote, address string, gv schema.GroupVersion) error {
	err := ask(ctx, remote, address, gv)
	if err != nil && ctx.Err() == nil {
		err = ask(ctx, remote, address, gv)
	}
	return err
}

// ask sends one request as the aggregator itself: only a server that trusts the proxy's certificate
// answers it with success.
func ask(ctx context.Context, remote *remote, address string, gv schema.GroupVersion) error {
	doc, where, err := remote.getFrom(ctx, address, question{path: documentPath(gv), as: kubeAggregator(), accept: "application/json, */*"})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("failing or missing response from %s: timed out waiting for %[1]s", where)
	case err != nil:
		return fmt.Errorf("failing or missing response from %s: %w", where, err)
	case doc.code < 200 || doc.code > 299:
		return fmt.Errorf("failing or missing response from %s: bad status from %[1]s: %d", where, doc.code)
	}
	return nil
}

// readyPath is where API servers, and most others behind an APIService, tell whether they want requests.
const readyPath = "/readyz"

// askReady tells why an endpoint that was left out should not have requests yet. One that listens may know neither the proxy's
// certificate nor what it caches. A server without that page is asked for the document of gv only.
func askReady(ctx context.Context, remote *remote, address string, gv schema.GroupVersion) error {
	doc, where, err := remote.getFrom(ctx, address, question{path: readyPath, as: kubeAggregator(), accept: "text/plain, */*"})
	if err != nil {
		return fmt.Errorf("asking %s: %w", where, err)
	}
	if doc.code >= http.StatusInternalServerError {
		return fmt.Errorf("%s answers %d", where, doc.code)
	}
	return ask(ctx, remote, address, gv)
}
