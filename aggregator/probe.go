package aggregator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	probeTimeout = 5 * time.Second
	// probedEndpoints bounds how many endpoints of a service are asked.
	probedEndpoints = 5
	// probePatience is how long the first of them may take before the others are asked, too.
	probePatience = 500 * time.Millisecond
)

// probe asks the server for the document of gv. Upstream sends five requests to wherever they go; here one endpoint is asked, and up to
// four others when that one is not well or takes long, because one that is down says nothing of the others. The first good
// answer counts. A server that is well costs one request, on a connection that is there already.
func probe(ctx context.Context, remote *remote, gv schema.GroupVersion) error {
	addresses, err := remote.addresses()
	if err != nil {
		return err
	}
	if len(addresses) == 0 {
		return errors.New("there is no endpoint")
	}
	addresses = slices.Clone(addresses)
	rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
	if connected, ok := remote.transport.Connected(""); ok {
		if i := slices.Index(addresses, connected); i > 0 {
			addresses[0], addresses[i] = addresses[i], addresses[0]
		}
	}
	addresses = addresses[:min(len(addresses), probedEndpoints)]

	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	answers := make(chan error, len(addresses))
	start := func(addresses []string) {
		for _, address := range addresses {
			go func() { answers <- probeEndpoint(ctx, remote, address, gv) }()
		}
	}
	start(addresses[:1])
	late := time.NewTimer(probePatience)
	defer late.Stop()
	for left, asked := len(addresses), 1; left > 0; {
		var answer error
		select {
		case answer = <-answers:
			left--
		case <-late.C:
			start(addresses[asked:])
			asked = len(addresses)
			continue
		}
		if answer == nil {
			cancel()
			for range asked - (len(addresses) - left) {
				<-answers // they end now
			}
			return nil
		}
		if err == nil || answer.Error() < err.Error() {
			err = answer // always the same one of several, or each check would write another message
		}
		start(addresses[asked:])
		asked = len(addresses)
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
