package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/portico-api/portico/delegation/storage"
)

func newBackupCommand() *cobra.Command {
	var dataDir, kubeconfig string
	backup := &cobra.Command{
		Use:   "backup FILE",
		Short: "Back up the store, while it is in use",
		Long: `Back up the store, while it is in use.

A running server is asked for a snapshot of one revision over its API, as its administrator; it goes
on reading and writing meanwhile. That works for an embedded store and for --etcd-servers. An embedded
store that no server uses is read from --data-dir itself.

FILE is replaced when the new one is complete and its checksum is right. It is an etcd snapshot, which
etcdutl understands too, and holds every secret in the store. The certificates in --data-dir are not
in it: keep a copy of the folder pki beside it.`,
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			progress := newProgressLine(cmd.ErrOrStderr())
			defer progress.end()
			size, err := writeBackup(args[0], progress, func(w io.Writer) error {
				return takeSnapshot(cmd.Context(), dataDir, kubeconfig, w)
			})
			if err != nil {
				return err
			}
			progress.end()
			fmt.Fprintf(cmd.OutOrStdout(), "%s: %d bytes\n", args[0], size)
			return nil
		},
	}
	backup.Flags().StringVar(&dataDir, "data-dir", defaultDataDir, "Data directory of the server.")
	backup.Flags().StringVar(&kubeconfig, "kubeconfig", "", "Kubeconfig of an administrator of a running server, instead of --data-dir.")
	return backup
}

func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%s takes one file, not %q: see portico %s --help", cmd.Name(), args, cmd.Name())
	}
	return nil
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
func takeSnapshot(ctx context.Context, dataDir, kubeconfig string, w io.Writer) error {
	if kubeconfig == "" {
		err := snapshotAtRest(ctx, dataDir, w)
		if !errors.Is(err, storage.ErrInUse) && !errors.Is(err, errNoStore) {
			return err
		}
		kubeconfig = filepath.Join(dataDir, adminKubeconfig)
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return fmt.Errorf("finding the server: %w; give --data-dir or --kubeconfig", err)
	}
	return snapshotOver(ctx, config, w)
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

// snapshotOver asks a running server.
func snapshotOver(ctx context.Context, config *restclient.Config, w io.Writer) error {
	client, err := restclient.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	defer client.CloseIdleConnections()
	base, _, err := restclient.DefaultServerUrlFor(config)
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base.JoinPath(snapshotPath).String(), nil)
	if err != nil {
		return err
	}
	response, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		message, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		return fmt.Errorf("asking the server: %w", apierrors.NewGenericServerResponse(response.StatusCode, http.MethodGet, schema.GroupResource{}, "", string(message), 0, true))
	}
	if _, err := io.Copy(w, response.Body); err != nil {
		return fmt.Errorf("reading the snapshot: %w", err)
	}
	return nil
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
