package main

import (
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// $KUBECONFIG may name a server that has been stopped; its store is there all the same.
func TestABackupOfAStoppedServerSaysHowItsStoreIsRead(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	file := filepath.Join(t.TempDir(), adminKubeconfig)
	write(t, file, strings.Replace(kubeconfigOf("a", "a"), "a.example", closed.Addr().String(), 1))
	t.Setenv("KUBECONFIG", file)
	var where target
	flags := pflag.NewFlagSet("backup", pflag.ContinueOnError)
	where.addFlags(flags)
	err = takeSnapshot(t.Context(), &where, io.Discard)
	if err == nil || !strings.Contains(err.Error(), closed.Addr().String()) || !strings.HasSuffix(err.Error(), "is read with --data-dir DIR") {
		t.Errorf("got %v", err)
	}
}
