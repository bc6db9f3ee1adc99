package storage

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3rpc"
	"google.golang.org/grpc"
)

// hatch lets etcdctl look into the embedded etcd, through a socket that only the user who runs this process can open.
type hatch struct {
	path    string
	server  *grpc.Server
	serving sync.WaitGroup
}

// openHatch serves the etcd on a socket at path. What a process that was killed has left there is replaced.
func openHatch(etcd *etcdserver.EtcdServer, path string) (*hatch, error) {
	listener, err := listenPrivately(path)
	if err != nil {
		return nil, fmt.Errorf("listening on unix://%s: %w", path, err)
	}
	h := &hatch{path: path, server: v3rpc.Server(etcd, nil, nil)}
	h.serving.Go(func() { _ = h.server.Serve(listener) }) // it ends with close
	return h, nil
}

// listenPrivately returns a listener whose socket never was anybody else's to open: it is made in a directory of its own,
// and moved to its place when its mode is set.
func listenPrivately(path string) (net.Listener, error) {
	switch info, err := os.Lstat(path); {
	case err == nil && info.Mode().Type() != os.ModeSocket:
		return nil, errors.New("there is a file that is no socket")
	case err == nil:
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return nil, errors.New("another process listens there")
		}
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".s") // mode 0700; short, because the kernel takes about 100 bytes
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(socket, 0o600), os.Rename(socket, path)); err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}

// close ends the requests that are under way.
func (h *hatch) close() error {
	h.server.Stop()
	h.serving.Wait()
	return os.Remove(h.path)
}
