package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/portico-api/portico/delegation/storage"
)

func newBackupCommand() *cobra.Command {
	var where target
	backup := &cobra.Command{
		Use:   "backup FILE",
		Short: "Back up the store, while it is in use",
		Long: `Back up the store, while it is in use.

A running server is asked for a snapshot of one revision over its API, as its administrator; it goes
on reading and writing meanwhile. That works for an embedded store and for --etcd-servers. An embedded
store that no server uses is read from --data-dir itself, unless a kubeconfig is named.

FILE is replaced when the new one is complete and its checksum is right. It is an etcd snapshot, which
etcdutl understands too, and holds every secret in the store. The certificates in --data-dir are not
in it: keep a copy of the folder pki beside it.`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			progress := newProgressLine(cmd.ErrOrStderr())
			defer progress.end()
			size, err := writeBackup(args[0], progress, func(w io.Writer) error {
				return takeSnapshot(cmd.Context(), &where, w)
			})
			if err != nil {
				return err
			}
			progress.end()
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d bytes\n", args[0], size)
			return nil
		},
	}
	where.addFlags(backup.Flags())
	return backup
}

// writeBackup writes what take gives to file, which is not touched unless that is a complete backup.
func writeBackup(file string, progress *progressLine, take func(io.Writer) error) (size int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("backing up to %s: %w", file, err)
		}
	}()
	part, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".part-*") // mode 0600
	if err != nil {
		return 0, err
	}
	defer os.Remove(part.Name()) // it has another name when all went well
	defer part.Close()
	sum := storage.NewChecksum()
	meter := &meter{show: func(done int64) { progress.show("backing up", done, 0) }}
	if err := take(io.MultiWriter(part, sum, meter)); err != nil {
		return 0, err
	}
	if err := sum.Verify(); err != nil {
		return 0, err
	}
	if err := part.Sync(); err != nil {
		return 0, err
	}
	if err := part.Close(); err != nil {
		return 0, err
	}
	return meter.done, os.Rename(part.Name(), file)
}

// takeSnapshot gets a snapshot from where it is to be had.
func takeSnapshot(ctx context.Context, where *target, w io.Writer) error {
	if len(where.named().files) == 0 {
		err := snapshotAtRest(ctx, where.dataDir, w)
		if !errors.Is(err, storage.ErrInUse) && !errors.Is(err, errNoStore) {
			return err
		}
	}
	client, err := where.connect()
	if err != nil {
		return err
	}
	defer client.http.CloseIdleConnections()
	err = client.copy(ctx, snapshotPath, w)
	var unreachable *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unreachable) && unreachable.Op == "dial":
		return fmt.Errorf("asking %s: %w: the embedded store of a server that is stopped is read with --data-dir DIR", client.url, err)
	}
	return fmt.Errorf("asking %s: %w", client.url, err)
}

var errNoStore = errors.New("there is no embedded store")

// snapshotAtRest reads the embedded store of a server that is not running.
func snapshotAtRest(ctx context.Context, dataDir string, w io.Writer) error {
	// To open what is not there would make it.
	if _, err := os.Stat(filepath.Join(dataDir, "etcd")); err != nil {
		return errNoStore
	}
	store, err := storage.Open(ctx, storage.Config{DataDir: dataDir, CompactionInterval: -1})
	if err != nil {
		return err
	}
	return errors.Join(store.Backup(ctx, w), store.Close())
}

// meter counts what is written to it, and shows it a few times a second.
type meter struct {
	done  int64
	shown time.Time
	show  func(done int64)
}

func (m *meter) Write(b []byte) (int, error) {
	m.done += int64(len(b))
	if now := time.Now(); now.Sub(m.shown) > 200*time.Millisecond {
		m.shown = now
		m.show(m.done)
	}
	return len(b), nil
}
