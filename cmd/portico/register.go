package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/portico-api/portico/serving"
)

func newRegisterCommand() *cobra.Command {
	var r registration
	var where target
	var wait time.Duration
	command := &cobra.Command{
		Use:   "register GROUP/VERSION --backend https://HOST:PORT",
		Short: "Put an extension API server behind the front door",
		Long: `Put an extension API server behind the front door.

It makes, or brings up to date, what the aggregator reads: an APIService, and for its backends a Service with EndpointSlices
(or of type ExternalName, for one backend by its name). Several --backend are replicas of one server. Its
certificate is believed when it is signed by the authority in --ca-file and is for --server-name.

The command waits until the server is available, and says what keeps it from that.`,
		Example: `  portico register wardle.example.com/v1alpha1 --backend https://127.0.0.1:8443 --ca-file ca.crt`,
		Args:    oneGroupVersion,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := r.settle(args[0]); err != nil {
				return err
			}
			client, err := where.connect()
			if err != nil {
				return err
			}
			former, err := r.existing(cmd.Context(), client)
			if err == nil {
				err = r.apply(cmd.Context(), client, former)
			}
			if err != nil {
				return fmt.Errorf("registering %s: %w", args[0], err)
			}
			a := &arrival{client: client, name: r.apiServiceName(), groupVersion: args[0], out: cmd.OutOrStdout()}
			if former.Name != "" {
				a.former = availability(former)
			}
			return a.await(cmd.Context(), wait)
		},
	}
	f := command.Flags()
	f.StringArrayVar(&r.backends, "backend", nil, "Where a replica of the server is, https://HOST:PORT; once for each.")
	f.StringVar(&r.caFile, "ca-file", "", "The authority that has signed the server's certificate, PEM.")
	f.StringVar(&r.serverName, "server-name", "", "What the server's certificate is for: NAME.NAMESPACE.svc. The Service gets that name. (default GROUP's first part, in the namespace default)")
	f.BoolVar(&r.insecure, "insecure-skip-tls-verify", false, "Believe any certificate. Whoever can stand between sees and changes everything.")
	f.Int32Var(&r.groupPriority, "group-priority-minimum", 1000, "Place of the group among all, 1 to 20000; the highest comes first.")
	f.Int32Var(&r.versionPriority, "version-priority", 15, "Place of the version in its group, 1 to 1000; the highest comes first.")
	f.DurationVar(&wait, "wait", 30*time.Second, "How long to wait until the server is available; 0 does not.")
	where.addFlags(f)
	return command
}

func newUnregisterCommand() *cobra.Command {
	var where target
	command := &cobra.Command{
		Use:   "unregister GROUP/VERSION",
		Short: "Take an extension API server from behind the front door",
		Long: `Take an extension API server from behind the front door.

The APIService goes, and the Service and EndpointSlices if portico register has made them and no other APIService needs them, whatever
the APIService points to since. What the server has stored stays with it.`,
		Args: oneGroupVersion,
		RunE: func(cmd *cobra.Command, args []string) error {
			r := registration{}
			if err := r.parse(args[0]); err != nil {
				return err
			}
			client, err := where.connect()
			if err != nil {
				return err
			}
			if err := r.remove(cmd.Context(), client); err != nil {
				return fmt.Errorf("unregistering %s: %w", args[0], err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is not behind the front door any more.\n", args[0])
			return nil
		},
	}
	where.addFlags(command.Flags())
	return command
}

// readAuthority reads a PEM file of certificates.
func readAuthority(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	authorities, err := serving.NewCAFile(file)
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	_, bundle := authorities.Bundle()
	return bundle, nil
}
