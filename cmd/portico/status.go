package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/portico-api/portico/delegation"
)

func newStatusCommand() *cobra.Command {
	var where target
	var output string
	var during time.Duration
	command := &cobra.Command{
		Use:   "status",
		Short: "Show how a running server and everything behind it fares",
		Long: `Show how a running server and everything behind it fares.

It asks the server, as its administrator: for its health, its units, its metrics and its APIServices.
Rates are those while it looks; errors and latencies are since the server's start.`,
		Args: flagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "" && output != "json" {
				return fmt.Errorf("--output %q is unknown: choose json, or nothing for a table", output)
			}
			if during <= 0 {
				return fmt.Errorf("--during %v leaves no time to look: choose more than 0s", during)
			}
			client, err := where.connect()
			if err != nil {
				return err
			}
			r, err := client.report(cmd.Context(), during)
			if err != nil {
				return fmt.Errorf("asking %s: %w", client.url, err)
			}
			if output == "json" {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(r)
			}
			return r.print(cmd.OutOrStdout())
		},
	}
	command.Flags().StringVarP(&output, "output", "o", "", "json, for programs; a table for persons otherwise.")
	command.Flags().DurationVar(&during, "during", time.Second, "How long to look, for the rates.")
	where.addFlags(command.Flags())
	return command
}

// report asks the server for everything, some of it twice.
func (c *frontClient) report(ctx context.Context, during time.Duration) (*report, error) {
	i, err := c.look(ctx, during)
	if err != nil {
		return nil, err
	}
	r := &report{Requests: i.requests(), Store: i.store(), Certificates: i.certificates()}
	if r.Server, err = c.serverReport(ctx); err != nil {
		return nil, err
	}
	var services []apiregistrationv1.APIService
	if services, r.APIServices, err = c.apiServices(ctx, i); err != nil {
		return nil, err
	}
	if r.Units, err = c.units(ctx, i, services); err != nil {
		return nil, err
	}
	return r, nil
}

// look reads the metrics twice.
func (c *frontClient) look(ctx context.Context, during time.Duration) (*interval, error) {
	first, err := c.scrape(ctx)
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(during):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	last, err := c.scrape(ctx)
	if err != nil {
		return nil, err
	}
	return &interval{first, last}, nil
}

func (c *frontClient) serverReport(ctx context.Context) (serverReport, error) {
	r := serverReport{URL: c.url, FailingChecks: []string{}}
	body, err := c.fetch(ctx, "/statusz", "application/json;v=v1beta1;g=config.k8s.io;as=Statusz")
	if err != nil {
		return r, fmt.Errorf("reading /statusz: %w", err)
	}
	var status struct {
		StartTime     time.Time
		UptimeSeconds int64
		BinaryVersion string
	}
	if err := json.Unmarshal(body, &status); err != nil {
		return r, fmt.Errorf("reading /statusz: %w", err)
	}
	r.Version, r.StartTime, r.UptimeSeconds = status.BinaryVersion, status.StartTime, status.UptimeSeconds

	_, err = c.fetch(ctx, "/readyz", "text/plain")
	var refused *refusal
	if err != nil && !errors.As(err, &refused) {
		return r, fmt.Errorf("reading /readyz: %w", err)
	}
	if r.Ready = err == nil; !r.Ready {
		r.FailingChecks = failing(refused.body)
	}
	return r, nil
}

// failing are the checks that a health page says are.
func failing(page string) []string {
	names := []string{}
	for line := range strings.Lines(page) {
		if rest, ok := strings.CutPrefix(line, "[-]"); ok {
			name, _, _ := strings.Cut(rest, " ")
			names = append(names, name)
		}
	}
	return names
}

// units are those of the chain. The last one has what custom resources define, besides its own.
func (c *frontClient) units(ctx context.Context, i *interval, services []apiregistrationv1.APIService) ([]unitReport, error) {
	var chain struct{ Units []delegation.UnitStatus }
	if err := c.get(ctx, delegation.ChainPath, &chain); err != nil {
		return nil, fmt.Errorf("reading the chain: %w", err)
	}
	units := make([]unitReport, len(chain.Units))
	for n, u := range chain.Units {
		units[n] = i.unit(u)
	}
	for _, a := range services {
		// "onstart" is what a unit brings along, "true" comes and goes with definitions.
		if a.Labels["kube-aggregator.kubernetes.io/automanaged"] == "true" && len(units) > 0 {
			last := &units[len(units)-1]
			last.CustomGroupVersions = append(last.CustomGroupVersions, schema.GroupVersion{Group: a.Spec.Group, Version: a.Spec.Version}.String())
		}
	}
	return units, nil
}

// refusal is an answer that is an error and no Status.
type refusal struct {
	*apierrors.StatusError
	body string
}
