package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/portico-api/portico/delegation/storage"
)

func newRestoreCommand() *cobra.Command {
	var dataDir string
	restore := &cobra.Command{
		Use:   "restore FILE --data-dir DIR",
		Short: "Make an embedded store from a backup",
		Long: `Make an embedded store from a backup.

DIR must not hold a store. The backup's checksum is verified before anything is made of it, and the
store appears in DIR only when it is complete: after an interrupted restore a server does not start
there until it has been run again.

The restored store's revision is far ahead of the backup's, so that clients which have seen more than
the backup list everything anew. A backup is restored into an etcd cluster with etcdutl, on each member.`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			progress := newProgressLine(cmd.ErrOrStderr())
			defer progress.end()
			if err := storage.Restore(cmd.Context(), args[0], dataDir, progress.show); err != nil {
				return err
			}
			progress.end()
			fmt.Fprintf(cmd.OutOrStdout(), "%s is restored: portico serve --data-dir %s\n", args[0], dataDir)
			return nil
		},
	}
	restore.Flags().StringVar(&dataDir, "data-dir", defaultDataDir, "Data directory of the server.")
	return restore
}
