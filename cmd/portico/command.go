package main

import (
	"flag"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
)

// NewAPIServerCommand is the command line of portico.
func NewAPIServerCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "portico",
		Short:         "A front door for Kubernetes-style APIs, without a cluster",
		SilenceUsage:  true, // a mistake is answered with one line, not with a page
		SilenceErrors: true, // main prints it
		Version:       gitVersion(),
	}
	root.AddCommand(newServeCommand(), newBackupCommand(), newRestoreCommand())
	return root
}

func newServeCommand() *cobra.Command {
	var o options
	serve := &cobra.Command{
		Use:   "serve",
		Short: "Serve the chain: aggregator, core, extensions",
		Long: `Serve the chain: aggregator, core, extensions.

Without flags it keeps everything below .portico in this directory: an embedded store, its own
certificates and admin.kubeconfig. It listens on loopback and denies every request without a
credential, except for the health checks and the version.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("serve takes flags only, not %q: see portico serve --help", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			return run(cmd.Context(), &o, cmd.OutOrStdout())
		},
	}
	o.addFlags(serve.Flags())
	addLogFlags(serve.Flags())
	return serve
}

// addLogFlags offers the flags of klog that are of use to whoever runs a server.
func addLogFlags(flags *pflag.FlagSet) {
	all := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(all)
	for _, name := range []string{"v", "vmodule"} {
		flags.AddGoFlag(all.Lookup(name))
	}
}
