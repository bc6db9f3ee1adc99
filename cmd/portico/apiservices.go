package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func newAPIServicesCommand() *cobra.Command {
	var where target
	var output string
	var during time.Duration
	command := &cobra.Command{
		Use:   "apiservices",
		Short: "Show who serves each group-version, and how well",
		Long: `Show who serves each group-version, and how well.

REPLICAS are the endpoints of the service that have requests, of all that it has: none while its server does not answer as it
should. An endpoint that fails is left out until it can be reached and is ready again. LAST ERROR is what keeps an APIService from
being available, or who of its endpoints is left out.`,
		Args: flagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "" && output != "wide" && output != "json" {
				return fmt.Errorf("--output %q is unknown: choose json, wide, or nothing for a table", output)
			}
			if during <= 0 {
				return fmt.Errorf("--during %v leaves no time to look: choose more than 0s", during)
			}
			client, err := where.connect()
			if err != nil {
				return err
			}
			i, err := client.look(cmd.Context(), during)
			if err != nil {
				return fmt.Errorf("asking %s: %w", client.url, err)
			}
			_, all, err := client.apiServices(cmd.Context(), i)
			if err != nil {
				return fmt.Errorf("asking %s: %w", client.url, err)
			}
			if output == "json" {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				return encoder.Encode(struct {
					APIServices []apiServiceReport `json:"apiServices"`
				}{all})
			}
			return printAPIServices(cmd.OutOrStdout(), all, output == "wide")
		},
	}
	command.Flags().StringVarP(&output, "output", "o", "", "json, for programs; wide, with the endpoints; a table otherwise.")
	command.Flags().DurationVar(&during, "during", time.Second, "How long to look, for the rates.")
	where.addFlags(command.Flags())
	return command
}

func printAPIServices(out io.Writer, all []apiServiceReport, wide bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	header := "NAME\tSERVICE\tREPLICAS\tAVAILABLE\tREQUESTS/S\tFAILED\t99% WITHIN\t"
	if wide {
		header += "TOTAL\tENDPOINTS\t"
	}
	fmt.Fprintln(w, header+"LAST ERROR")
	for i := range all {
		a := &all[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t", a.Name, a.where(), a.replicas(), a.state(), rate(a.Requests.PerSecond), share(a.Requests.Failed, a.Requests.Total), a.within())
		if wide {
			fmt.Fprintf(w, "%d\t%s\t", a.Requests.Total, a.addresses())
		}
		fmt.Fprintln(w, a.trouble())
	}
	return w.Flush()
}

// where it is served.
func (a *apiServiceReport) where() string {
	if a.Service == "" {
		return "Local"
	}
	return a.Service
}

func (a *apiServiceReport) replicas() string {
	if a.Service == "" || len(a.Endpoints) == 0 && a.Available { // one that is known by its name has none
		return "-"
	}
	return fmt.Sprintf("%d of %d", a.ReadyEndpoints, len(a.Endpoints))
}

func (a *apiServiceReport) state() string {
	if a.Available {
		return "True"
	}
	return "False (" + a.Reason + ")"
}

func (a *apiServiceReport) within() string {
	if a.Requests.Total == 0 {
		return "-"
	}
	return seconds(a.Requests.P99Seconds)
}

func (a *apiServiceReport) addresses() string {
	var all []string
	for _, e := range a.Endpoints {
		all = append(all, e.Address)
	}
	if len(all) == 0 {
		return "-"
	}
	return strings.Join(all, ",")
}

// trouble is what is wrong, in one line.
func (a *apiServiceReport) trouble() string {
	if !a.Available {
		return strings.Join(strings.Fields(a.Message), " ")
	}
	var out []string
	for _, e := range a.Endpoints {
		if e.State == endpointLeftOut {
			out = append(out, e.Address)
		}
	}
	if len(out) == 0 {
		return "-"
	}
	return "left out because of failures: " + strings.Join(out, ",")
}
