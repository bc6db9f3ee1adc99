package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// arrival is an APIService that has just been registered, until it is available.
type arrival struct {
	client       *frontClient
	name         string
	groupVersion string
	former       string // what kept it from being available before it was registered again; empty for nothing
	out          io.Writer
}

// formerUntil is how long a condition that is what it was before may be about the former registration: the server may still be asked.
const formerUntil = 6 * time.Second

// await waits until the APIService is available, and tells what keeps it from that whenever it is something else.
func (a *arrival) await(ctx context.Context, patience time.Duration) error {
	if patience <= 0 {
		fmt.Fprintf(a.out, "%s is registered.\n", a.name)
		return nil
	}
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	told, last := notLookedAt, notLookedAt
	for {
		state, err := a.state(ctx)
		switch {
		case ctx.Err() != nil: // it is not known, and said below
		case err != nil:
			return err
		case state == "":
			fmt.Fprintf(a.out, "%s is available.\n", a.name)
			return nil
		case state == told || state == a.former && time.Since(begin) < formerUntil:
			last = state
		default:
			told, last = state, state
			fmt.Fprintf(a.out, "%s is not available yet: %s%s\n", a.name, state, remedy(state))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is registered, and was not available within %s: %s%s; portico unregister %s takes it away", a.name, patience, last, remedy(last), a.groupVersion)
		case <-tick.C:
		}
	}
}

// state is what keeps it from being available; empty when it is and answers.
func (a *arrival) state(ctx context.Context) (string, error) {
	var service apiregistrationv1.APIService
	if err := a.client.get(ctx, apiServicePath(a.name), &service); err != nil {
		return "", fmt.Errorf("looking at %s: %w", a.name, err)
	}
	if state := availability(&service); state != "" {
		return state, nil
	}
	return unanswered(ctx, a.client, &service), nil
}

// notLookedAt is what keeps an APIService from being available at first, and for a moment only.
const notLookedAt = "it has not been looked at"

// availability is what keeps an APIService from being available; empty when it is.
func availability(s *apiregistrationv1.APIService) string {
	for _, c := range s.Status.Conditions {
		if c.Type != apiregistrationv1.Available {
			continue
		}
		if c.Status == apiregistrationv1.ConditionTrue {
			return ""
		}
		return fmt.Sprintf("%s: %s", c.Reason, c.Message)
	}
	return notLookedAt
}

// unanswered tells what keeps a server from answering through the front door; empty when nothing does. The condition of one that was registered before may
// still be about what it was registered with then.
func unanswered(ctx context.Context, client *frontClient, s *apiregistrationv1.APIService) string {
	var resources metav1.APIResourceList
	if err := client.get(ctx, fmt.Sprintf("/apis/%s/%s", s.Spec.Group, s.Spec.Version), &resources); err != nil {
		return err.Error()
	}
	return ""
}

// remedy says which flags of register are about a certificate that is not believed.
func remedy(state string) string {
	const believed = "with --insecure-skip-tls-verify any certificate is believed)"
	if strings.Contains(state, "x509: certificate signed by unknown authority") {
		return " (--ca-file names the authority that has signed it; " + believed
	}
	for _, misnamed := range []string{"x509: certificate is valid for ", "x509: certificate is not valid for any names", "x509: certificate relies on legacy Common Name"} {
		if strings.Contains(state, misnamed) {
			return " (--server-name says what name it must be for; " + believed
		}
	}
	return ""
}
