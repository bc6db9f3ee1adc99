package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/portico-api/portico/delegation"
)

func newTraceCommand() *cobra.Command {
	var where target
	var verb, as string
	var groups []string
	command := &cobra.Command{
		Use:   "trace PATH",
		Short: "Tell which station of the chain serves a path, and why",
		Long: `Tell which station of the chain serves a path, and why.

The server says what it would do with a request, station by station: what it understands, whether the user may, which
director, mux or APIService claims the path, and which endpoint it would be sent to. No request is made.`,
		Example: `  portico trace /apis/wardle.example.com/v1alpha1/namespaces/demo/flunders
  portico trace --verb delete --as jane --as-group dev /api/v1/namespaces/demo`,
		Args: onePath,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := where.connect()
			if err != nil {
				return err
			}
			query := url.Values{"path": args, "verb": {verb}, "user": {as}, "group": groups}
			var trace delegation.Trace
			if err := client.get(cmd.Context(), delegation.TracePath+"?"+query.Encode(), &trace); err != nil {
				return fmt.Errorf("tracing %s: %w", args[0], err)
			}
			return printTrace(cmd.OutOrStdout(), &trace)
		},
	}
	f := command.Flags()
	f.StringVar(&verb, "verb", "get", "What would be done: get, list, watch, create, update, patch, delete, or an HTTP method.")
	f.StringVar(&as, "as", "", "Who would do it. (default whoever asks)")
	f.StringSliceVar(&groups, "as-group", nil, "Groups of --as, beside system:authenticated.")
	where.addFlags(f)
	return command
}

func printTrace(out io.Writer, trace *delegation.Trace) error {
	table := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(table, "STATION\tDECISION\tWHY")
	for _, s := range trace.Stations {
		fmt.Fprintf(table, "%s\t%s\t%s\n", s.Name, s.Decision, strings.Join(strings.Fields(s.Why), " ")) // others may have written it
	}
	return table.Flush()
}
