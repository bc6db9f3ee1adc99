package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"
)

// NewAPIServerCommand is the command line of portico.
func NewAPIServerCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "portico",
		Short:         "A front door for Kubernetes-style APIs, without a cluster",
		SilenceUsage:  true, // a mistake is answered with one line, not with a page
		SilenceErrors: true, // main prints it
		Version:       gitVersion(),
		Args:          oneCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(newServeCommand(), newBackupCommand(), newRestoreCommand(), newRegisterCommand(), newUnregisterCommand(), newAPIServicesCommand(), newStatusCommand(), newTraceCommand(), newVersionCommand())
	root.SetFlagErrorFunc(pointToHelp)
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
		Args: flagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			haveProcessors(runtime.NumCPU())
			useLogFormat(o.logFormat, os.Stderr)
			o.given = given(cmd.Flags())
			return run(cmd.Context(), &o, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	addGroups(serve, o.flagGroups())
	return serve
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, the API's and Portico's own",
		Args:  flagsOnly,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), gitVersion())
			return err
		},
	}
}
